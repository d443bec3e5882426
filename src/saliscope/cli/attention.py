"""`saliscope attention`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from saliscope.api.attending import attention
from saliscope.attention.map import AttentionMap
from saliscope.cli.common import Folder, Page, read_bytes, read_numbers, read_page, titled
from saliscope.cli.summary import finish
from saliscope.cli.writing import Written
from saliscope.core.attribution import Attribution
from saliscope.core.errors import SaliscopeError
from saliscope.models.loading import load

__all__ = ["run"]


def run(
    sources: Sequence[str], model: str, out: str, *, reduce: str, kind: str | None,
    layers: str | None, heads: str | None, specials: str, budget: str | None, seed: int,
    device: str, quiet: bool, page: Page,
) -> None:  # fmt: skip
    """Write the attention of every record of some files."""
    settings: dict[str, Any] = {
        "reduce": reduce, "kind": kind, "specials": specials, "budget": read_bytes(budget),
        "seed": seed, "layers": read_numbers(layers, "--layers"),
        "heads": read_numbers(heads, "--heads"),
    }  # fmt: skip
    adapter = load(model, device=device)
    inputs = read_page(sources, page, adapter)
    each: list[tuple[str, str, Attribution]] = []
    with Folder(out) as folder:

        def results() -> Iterator[tuple[str, str, AttentionMap | SaliscopeError]]:
            maps = attention(adapter, iter(inputs), errors="collect", **settings)
            for item, result in zip(inputs, maps, strict=True):
                if isinstance(result, AttentionMap) and reduce != "rollout":
                    each.append((item.name, "attention", result.received(-1)))
                yield item.name, f"attention {reduce}", result

        written = Written(folder.path / "attention.csv", titled(sources))
        written.add(results())
        if each:  # one score per position, as it is plotted and taken to the laboratory
            Written(folder.path / "received.csv", titled(sources)).add(iter(each))
        title = f"attention in {Path(titled(sources)).name} by {adapter.name}"
        finish(folder.path, written, title, len(inputs), quiet=quiet)
