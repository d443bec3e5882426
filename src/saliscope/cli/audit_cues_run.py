"""What `saliscope audit cues` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saliscope.api.inputs import Input
from saliscope.audit.pictures.cues import cues
from saliscope.cli.audit_run import finish
from saliscope.cli.common import Folder, read_bytes, read_inputs, read_numbers
from saliscope.core.errors import InputError, OptionError
from saliscope.models.loading import load

__all__ = ["run"]

SAMPLE = "sample"


def run(
    sources: Sequence[str], model: str, out: str, *, labels: str | None, region: str | None,
    target: str | None, settings: Mapping[str, Any], budget: str | None, seed: int, device: str,
    strict: bool, quiet: bool,
) -> None:  # fmt: skip
    """Audit a classifier on labeled pictures."""
    numbers = read_numbers(region, "--region")
    bytes_ = read_bytes(budget)
    images, classes = _read(sources, labels)
    with Folder(out) as folder:
        audit = cues(
            load(model, device=device), images, classes, numbers, target=target, budget=bytes_,
            seed=seed, progress=not quiet, **settings,
        )  # fmt: skip
        finish(audit, folder.path, strict=strict, quiet=quiet)


def _read(sources: Sequence[str], labels: str | None) -> tuple[list[Input], list[Any]]:
    """Return pictures and the class of each."""
    if list(sources) == [SAMPLE]:
        if labels is not None:
            msg = f"--labels is for your own pictures; {SAMPLE!r} has labels"
            raise OptionError(msg)
        from saliscope.datasets.marking import clothes

        given = clothes(marked=True)
        names = [given.names[which] for which in given.labels]
        return [
            Input(f"{n} {i}", x) for i, (n, x) in enumerate(zip(names, given.images, strict=True))
        ], names
    folders = [f for source in sources for f in _folders(Path(source))]
    files = [Path(f.raw) for f in read_inputs([str(f) for f in folders], "image")]
    if labels is not None:
        from saliscope.reading.truth import read_truth

        classes = read_truth(labels, "label").of(files)
    else:
        classes = [file.absolute().parent.name for file in files]
    return [Input(str(file), str(file)) for file in files], classes


def _folders(path: Path) -> list[Path]:
    """Return a file, or a folder and the folders within it that hold files."""
    if not path.is_dir():
        return [path]
    within = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    own = [path] if any(p.is_file() for p in path.iterdir()) else []
    if not own + within:
        msg = f"{path}: is an empty folder; give one with pictures, or with a folder per class"
        raise InputError(msg)
    return own + within
