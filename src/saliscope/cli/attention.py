"""`saliscope attention`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from saliscope.api.attending import attention
from saliscope.cli.common import Folder, read_bytes, read_inputs, read_numbers, say, warn
from saliscope.cli.writing import Written, write_failures, write_report
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

        def results() -> Iterator[tuple[str, str, object]]:
            maps = attention(adapter, iter(inputs), errors="collect", **settings)
            for item, result in zip(inputs, maps, strict=True):
                yield item.name, f"attention {reduce}", result

        written = Written(folder.path / "attention.csv")
        written.add(results())
        write_report(folder.path / "report.html", written.shown, f"attention of {adapter.name}")
        write_failures(folder.path, written.failures)
        for record in written.shown[:3]:
            say(repr(record), quiet=quiet)
        say(f"{written.table}  ({written.count:,} results)", quiet=quiet)
        say(str(folder.path / "report.html"), quiet=quiet)
    for name, _, error in written.failures[:5]:
        warn(f"{name}: {error}")
    if written.failures:
        where = folder.path / "failures.csv"
        warn(f"{len(written.failures)} of {len(inputs)} records failed; see {where}")
        raise SystemExit(2)
