"""Write the pages that are made from the code: methods, defaults, health, the README's table.

``python docs/_generate.py`` writes them; with ``--check`` nothing is written, and the exit code
is 1 where a file on disk differs from what the code says.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from saliscope.core.defaults import DEFAULTS
from saliscope.core.health import CATALOG
from saliscope.core.registry import MethodSpec
from saliscope.core.registry import methods as registered

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
BEGIN, END = "<!-- methods: made by docs/_generate.py -->", "<!-- end of methods -->"
MADE = "<!-- Made by docs/_generate.py; change the code, then run it again. -->"

MISLEADING = runpy.run_path(str(DOCS / "_misleading.py"))
EXAMPLES: dict[str, tuple[str, str]] = MISLEADING["EXAMPLES"]
SETUP: str = MISLEADING["SETUP"]

_TAKES = {
    "baseline": ("baseline", "where the path starts"),
    "background": (
        "baseline",
        "one baseline, or several to average over: a list, or a tensor with a leading axis",
    ),
    "examples": (
        "baseline",
        "a background of at least two: a list, or a tensor with a leading axis; unset, the other "
        "examples of the tensor that is explained",
    ),
    "fill": ("fill", "what stands in place of a part that is taken away"),
    "tolerance": ("tolerance", "relative error to reach"),
    "max_evaluations": ("max_evaluations", "model rows after which it stops, with a finding"),
}
_SEVERITY = {
    "error": "the map should not be used as it is; `strict=True` raises",
    "warning": "the map is what it says, but it is easily misread",
    "note": "good to know before reading the map",
}


def cell(text: object) -> str:
    """Return text that stands in one cell of a Markdown table."""
    return re.sub(r"\s+", " ", str(text)).replace("|", r"\|").strip()


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
    return "\n".join(lines)


def _sentence(text: str) -> str:
    text = text.strip().rstrip(".")
    return text[:1].upper() + text[1:] + "."


def _section(spec: MethodSpec) -> str:
    needs = ", ".join(sorted(spec.needs))
    aliases = ", ".join(f"`{a}`" for a in spec.aliases) or "no other name"
    parts = [
        f"## `{spec.name}`",
        spec.summary,
        f"$$\n{spec.equation}\n$$",
        "\n".join(
            [
                f"Source\n: {_sentence(spec.source)}\n",
                f"Cost\n: {_sentence(spec.cost)}\n",
                f"Use it for\n: {_sentence(spec.use)}\n",
                f"It misleads\n: {_sentence(spec.misuse)}\n",
                f"Values\n: Measured in: {spec.unit}.\n",
                f"The model must offer\n: {_sentence(needs)}\n",
                f"Also understood as\n: {aliases}.",
            ]
        ),
    ]
    options = [
        (f"`{f.name}`", f"`{f.default!r}`", f.metadata["doc"])
        for f in dataclasses.fields(spec.options)
    ]
    parts.append(
        "Its own options:\n\n" + table(("option", "default", "what it does"), options)
        if options
        else "It has no options of its own."
    )
    if spec.takes:
        general = [(f"`{name}`", text) for key, (name, text) in _TAKES.items() if key in spec.takes]
        if general:
            head = "General parameters that it uses:\n\n"
            parts.append(head + table(("name", "meaning"), general))
    if spec.name in EXAMPLES:
        sentence, session = EXAMPLES[spec.name]
        parts.append(
            f"**An input on which it misleads.** {sentence}\n\n```pycon\n{session.strip()}\n```"
        )
    return "\n\n".join(parts)


def overview(*, linked: bool = False) -> str:
    """Return the table of all methods, `linked` to their sections."""
    rows = [
        (
            f"[`{s.name}`](#{s.name})" if linked else f"`{s.name}`",
            s.summary, s.cost, ", ".join(sorted(s.needs)),
        )
        for s in registered().values()
    ]  # fmt: skip
    return table(("method", "what it gives", "cost per input", "needs"), rows)


def methods_page() -> str:
    """Return docs/methods.md."""
    head = (
        "# Methods\n\n"
        f"{MADE}\n\n"
        "A method turns questions to a model into one value per unit of the input. This page is "
        "made from the registry that Python, the command line and the tests use, so it lists what "
        "is there. `saliscope methods NAME` prints the same words.\n\n"
        "In the equations $f$ is the target, $x$ the input, $b$ the baseline, and $i$ a unit: a "
        "residue, a token, an element of a tensor. For token models $x_i$ is the embedding of a "
        "token, and products are summed over its features.\n\n"
        "No method is right everywhere. At the end of each section stands an input on which it "
        "misleads: on formulas of a few numbers and pictures of three pixels, where the truth can "
        "be seen, or on the small text model of the zoo, for some of them with other weights. They "
        f"use these few lines, and a test compares what is printed.\n\n```python\n{SETUP}\n```"
    )
    sections = [_section(spec) for spec in registered().values()]
    return "\n\n".join([head, overview(linked=True), *sections]) + "\n"


def defaults_page() -> str:
    """Return docs/defaults.md."""
    names = list(DEFAULTS)
    fields = [f.name for f in dataclasses.fields(next(iter(DEFAULTS.values())))]
    change = {
        "target": "`target=`", "scale": "`saliscope.Class(..., scale=)`",
        "baseline": "`baseline=`", "fill": "`fill=`", "unit": "`groups=`",
        "features": "`reduce=` of gradient, smoothgrad, vargrad",
    }  # fmt: skip
    rows = [(f, *(getattr(DEFAULTS[name], f) for name in names), change[f]) for f in fields]
    return (
        "# Defaults\n\n"
        f"{MADE}\n\n"
        "What happens when nothing is said, by the kind of model, and what to write to have it "
        "otherwise. `saliscope models --defaults` prints the same table, and the adapters read "
        "it.\n\n" + table(("", *names, "changed by"), rows) + "\n"
    )


def _fact(sentence: str) -> str:
    """Return a sentence with dots in place of its facts."""
    return re.sub(r"\{\w+[^}]*\}", "…", sentence)


def health_page() -> str:
    """Return docs/health.md."""
    order = list(_SEVERITY)
    found = sorted(CATALOG.items(), key=lambda item: order.index(item[1][0]))
    rows = [(f"`{c}`", severity, _fact(text), remedy) for c, (severity, text, remedy) in found]
    meaning = "\n".join(f"* **{name}**: {text}." for name, text in _SEVERITY.items())
    return (
        "# Health findings\n\n"
        f"{MADE}\n\n"
        "Every result carries its health: what should make a reader doubt this map. Three "
        "severities exist:\n\n" + meaning + "\n\n"
        "A summary shows at most three findings, the worst first; `result.health` holds all of "
        "them, with the facts of each sentence as data; here dots stand for them.\n\n"
        + table(("code", "severity", "what it says", "what to do"), rows)
        + "\n"
    )


def readme(text: str) -> str:
    """Return the README with its table of methods renewed."""
    before, found, rest = text.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        msg = f"README.md: the lines {BEGIN!r} and {END!r} are not there"
        raise SystemExit(msg)
    return f"{before}{BEGIN}\n{overview()}\n{END}{after}"


def pages() -> dict[Path, str]:
    """Return what each made file should hold."""
    front = ROOT / "README.md"
    return {
        DOCS / "methods.md": methods_page(),
        DOCS / "defaults.md": defaults_page(),
        DOCS / "health.md": health_page(),
        front: readme(front.read_text(encoding="utf-8")),
    }


def stale() -> list[str]:
    """Return the files that differ from what the code says."""
    return [
        str(path.relative_to(ROOT))
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write, or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    if parser.parse_args(arguments).check:
        found = stale()
        for name in found:
            print(f"{name}: differs from the code; run python docs/_generate.py", file=sys.stderr)
        return int(bool(found))
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
