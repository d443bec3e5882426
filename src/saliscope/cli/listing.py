"""`saliscope methods` and `saliscope models`."""

from __future__ import annotations

import dataclasses
import re
import textwrap

from rich.console import Console
from rich.table import Column, Table

from saliscope.core.defaults import DEFAULTS
from saliscope.core.registry import get_method, methods
from saliscope.models.zoo import zoo_card, zoo_names

__all__ = ["print_methods", "print_models"]


def print_methods(name: str | None) -> None:
    """Print the table of methods, or everything about one."""
    console = Console()
    if name is None:
        names = Column("method", no_wrap=True)  # a name is typed, so it is never cut
        table = Table(names, "what it gives", "cost per input", "needs", box=None, pad_edge=False)
        for spec in methods().values():
            table.add_row(spec.name, spec.summary, spec.cost, ", ".join(sorted(spec.needs)))
        console.print(table)
        return
    spec = get_method(name)
    rows = [
        ("method", spec.name), ("gives", spec.summary), ("unit", spec.unit), ("cost", spec.cost),
        ("use it", spec.use), ("it misleads", spec.misuse), ("equation", spec.equation),
        ("source", spec.source), ("also called", ", ".join(spec.aliases)),
        ("uses", ", ".join(sorted(spec.accepts)) or "no baseline and no tolerance"),
    ]  # fmt: skip
    table = Table.grid(padding=(0, 2))
    for label, text in rows:
        table.add_row(label, text)
    console.print(table, markup=False)
    options = Table("option", "default", "what it does", box=None, pad_edge=False)
    for item in dataclasses.fields(spec.options):
        options.add_row(f"--{item.name}", str(item.default), item.metadata["doc"])
    if options.row_count:
        console.print()
        console.print(options)


def print_models(name: str | None, *, defaults: bool) -> None:
    """Print the zoo, a card, or the table of defaults."""
    console = Console()
    if defaults:
        modalities = list(DEFAULTS)
        table = Table("default", *modalities, box=None, pad_edge=False)
        for item in dataclasses.fields(next(iter(DEFAULTS.values()))):
            table.add_row(item.name, *(getattr(DEFAULTS[m], item.name) for m in modalities))
        console.print(table)
        return
    if name is not None:
        print(zoo_card(name.removeprefix("zoo:")))
        return
    for model in zoo_names():
        print(f"zoo:{model}\n{textwrap.indent(_opening(zoo_card(model)), '  ')}")
    print("Also: a hub name (facebook/esm2_t6_8M_UR50D), a folder written by save_pretrained(),")
    print("or your own code as package.module:factory. See also: saliscope models --defaults")


def _opening(card: str) -> str:
    """Return the first sentence of a card, in lines of at most 76 letters."""
    parts = [p for p in re.split(r"\n\s*\n", card) if p.strip() and not p.startswith("#")]
    parts += [line for line in card.splitlines() if line.strip() and not line.startswith("#")]
    text = " ".join((parts or ["no card"])[0].split())
    return textwrap.fill(re.split(r"(?<=[.!?]) ", text)[0], 76)
