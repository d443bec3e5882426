"""`saliscope attention`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from saliscope.api.attending import attention
from saliscope.attention.map import AttentionMap
from saliscope.cli.common import Folder, read_bytes, read_inputs, read_numbers, say, titled, warn
from saliscope.cli.writing import REPORTED, Written, write_failures, write_report
from saliscope.core.errors import SaliscopeError
from saliscope.models.loading import load

__all__ = ["run"]


def run(
    source: str, model: str, out: str, *, reduce: str, kind: str | None, layers: str | None,
    heads: str | None, specials: str, budget: str | None, seed: int, device: str, quiet: bool,
) -> None:  # fmt: skip
    """Write the attention of every record of a file."""
    settings: dict[str, Any] = {
        "reduce": reduce, "kind": kind, "specials": specials, "budget": read_bytes(budget),
        "seed": seed, "layers": read_numbers(layers, "--layers"),
        "heads": read_numbers(heads, "--heads"),
    }  # fmt: skip
    adapter = load(model, device=device)
    inputs = read_inputs(source, adapter.modality)
    with Folder(out) as folder:

        def results() -> Iterator[tuple[str, str, AttentionMap | SaliscopeError]]:
            maps = attention(adapter, iter(inputs), errors="collect", **settings)
            for item, result in zip(inputs, maps, strict=True):
                yield item.name, f"attention {reduce}", result

        written = Written(folder.path / "attention.csv", titled(source))
        written.add(results())
        title = f"attention in {Path(titled(source)).name} by {adapter.name}"
        write_report(folder.path / "report.html", written.shown, title)
        write_failures(folder.path, written.failures)
        for record in written.shown[:3]:
            say(repr(record), quiet=quiet)
        if written.count > 3:
            say(f"... and {written.count - 3:,} more", quiet=quiet)
        say(f"{written.table}  ({written.count:,} results)", quiet=quiet)
        part = f"  (the first {REPORTED} of {len(inputs):,} records)"
        more = part if len(inputs) > REPORTED else ""
        say(f"{folder.path / 'report.html'}{more}", quiet=quiet)
    if written.failures:
        warn(written.loss(len(inputs), folder.path / "failures.csv"))
        raise SystemExit(2)
