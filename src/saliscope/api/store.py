"""A folder of finished results, so that a run that was cut off can go on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from saliscope.api.inputs import Input
from saliscope.core.attribution import Attribution
from saliscope.core.errors import InputError, OptionError
from saliscope.core.record import plain

if TYPE_CHECKING:
    from saliscope.api.explaining import Plan

__all__ = ["Store"]


class Store:
    """Keeps one netCDF file per finished result, named by a hash of input and settings.

    Parameters
    ----------
    folder : str or path
        Made if it does not exist.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"{folder}: cannot be used as a folder ({error.strerror}); choose another"
            raise InputError(msg) from error

    def path(self, wanted: Plan, item: Input) -> Path:
        """Return the file of one result: equal for equal input, model and settings."""
        if not isinstance(item.raw, str):
            msg = "resume= works for texts and proteins; tensors have no key of their own"
            raise OptionError(msg)
        settings = {
            "model": wanted.model.describe(),
            "method": wanted.method.name,
            "options": dataclasses.asdict(wanted.options),
            "target": repr(wanted.target),
            "baseline": repr(wanted.baseline), "fill": repr(wanted.fill),
            "tolerance": wanted.tolerance, "max_evaluations": wanted.max_evaluations,
            "seed": wanted.seed, "name": item.name, "input": item.raw,
        }  # fmt: skip
        text = json.dumps(plain(settings), sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.nc"

    def find(self, wanted: Plan, item: Input) -> Attribution | None:
        """Return a result that was finished before, or None."""
        path = self.path(wanted, item)
        return Attribution.load(path) if path.exists() else None

    def keep(self, wanted: Plan, item: Input, result: Attribution) -> None:
        """Save a finished result."""
        result.save(self.path(wanted, item))
