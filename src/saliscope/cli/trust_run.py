"""What `saliscope trust` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from saliscope.api.trusting import trust
from saliscope.cli.common import (
    Folder,
    Page,
    read_bytes,
    read_flags,
    read_page,
    say,
    titled,
)
from saliscope.cli.summary import end
from saliscope.cli.writing import Failure, write_failures
from saliscope.core.errors import InputError, SaliscopeError
from saliscope.core.files import write_beside
from saliscope.core.registry import get_method
from saliscope.models.loading import load
from saliscope.trust.page import trust_html
from saliscope.trust.record import Trust
from saliscope.trust.summary import summarize

__all__ = ["run"]


def run(
    sources: Sequence[str], model: str, out: str, *, methods: Sequence[str], target: str | None,
    settings: dict[str, Any], budget: str | None, seed: int, device: str, quiet: bool,
    extra: Sequence[str], page: Page,
) -> None:  # fmt: skip
    """Test the map of every record of some files, by every chosen method."""
    specs = list({spec.name: spec for spec in map(get_method, methods)}.values())
    own: dict[str, dict[str, Any]] = read_flags(extra, specs)
    bytes_ = read_bytes(budget)
    adapter = load(model, device=device)
    inputs = read_page(sources, page, adapter)
    found: list[Trust] = []
    failures: list[Failure] = []
    with Folder(out) as folder:
        for item in inputs:
            for spec in specs:
                try:
                    one = trust(
                        adapter, item, method=spec.name, target=target, budget=bytes_, seed=seed,
                        progress=not quiet, **settings, **own[spec.name],
                    )  # fmt: skip
                except SaliscopeError as error:
                    failures.append(Failure(item.name, spec.name, error))
                    continue
                found += one if isinstance(one, list) else [one]
                say(f"{item.name}, {spec.name}: {found[-1].sentence}", quiet=quiet)
        if not found:
            msg = f"{titled(sources)}: no map could be tested: {failures[0].reason}"
            raise InputError(msg)
        _write(folder.path, found, f"{Path(titled(sources)).name} by {adapter.name}")
        write_failures(folder.path, failures)
        end(folder.path, failures, len(inputs))


def _write(folder: Path, found: Sequence[Trust], title: str) -> None:
    frames = [
        one.to_frame().assign(name=one.name, method=one.method, verdict=one.verdict)
        for one in found
    ]
    table = pd.concat(frames, ignore_index=True)
    first = ["name", "method", "verdict"]
    table = table[first + [c for c in table if c not in first]]
    summary = summarize(found)
    for name, each in {"trust.csv": table, "summary.csv": summary}.items():
        write_beside(folder / name, each.to_csv(index=False, lineterminator="\n").encode())
    page = trust_html(found, title=f"Tests of maps: {title}", summary=summary)
    write_beside(folder / "report.html", page.encode())
