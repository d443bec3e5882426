"""`saliscope explain`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from saliscope.api.explaining import explain_each
from saliscope.api.planning import plan
from saliscope.api.running import Result
from saliscope.api.store import Store
from saliscope.cli.common import Folder, read_bytes, read_flags, read_inputs, titled
from saliscope.cli.summary import finish
from saliscope.cli.writing import Written
from saliscope.core.registry import get_method
from saliscope.models.loading import load

__all__ = ["run"]


def run(
    source: str, model: str, out: str, *, methods: Sequence[str], targets: Sequence[str],
    general: dict[str, Any], budget: str | None, seed: int, device: str, strict: bool, quiet: bool,
    extra: Sequence[str],
) -> None:  # fmt: skip
    """Explain every record of a file by every chosen method."""
    specs = list({spec.name: spec for spec in map(get_method, methods)}.values())
    own = read_flags(extra, specs)
    bytes_ = read_bytes(budget)
    adapter = load(model, device=device)
    target = None if not targets else targets[0] if len(targets) == 1 else list(targets)
    # A general parameter goes to the methods that use it, and must be used by one.
    used = {name for spec in specs for name in spec.accepts}
    plans = [
        plan(
            adapter, spec.name, target, budget=bytes_, seed=seed, options=own[spec.name],
            **{k: v for k, v in general.items() if k in spec.accepts or k not in used},
        )
        for spec in specs
    ]  # fmt: skip
    inputs = read_inputs(source, adapter.modality)
    with Folder(out) as folder:
        store = Store(folder.path / "records")

        def results() -> Iterator[tuple[str, str, Result]]:
            for wanted in plans:
                each = explain_each(
                    wanted, inputs, collect=True, strict=strict, progress=not quiet, store=store
                )
                for item, result in zip(inputs, each, strict=True):
                    yield item.name, wanted.method.name, result

        written = Written(folder.path / "attributions.csv", titled(source))
        written.add(results())
        title = f"{Path(titled(source)).name} by {adapter.name}"
        finish(folder.path, written, title, len(inputs), quiet=quiet)
