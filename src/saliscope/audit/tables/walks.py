"""Contributions of factors on the ways from reference rows to an applicant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from saliscope.audit.tables.shared import Asked
from saliscope.core.errors import OptionError
from saliscope.core.units import FloatArray

__all__ = ["Score", "Walks"]


class Score:
    """The model's score on the scale of contributions."""

    def __init__(self, chosen: Asked, scale: str) -> None:
        self.chosen, self.scale = chosen, scale
        self.calls = self.evaluations = 0

    def plain(self, rows: pd.DataFrame) -> FloatArray:
        """Return probabilities, or outputs as they are."""
        self.calls += 1
        self.evaluations += len(rows)
        read = self.chosen.scores if self.scale == "raw" else self.chosen.probabilities
        return read(rows)

    def __call__(self, rows: pd.DataFrame) -> FloatArray:
        """Return what contributions add up on."""
        found = self.plain(rows)
        if self.scale != "log_odds":
            return found
        sure = (found <= 0) | (found >= 1)
        if sure.any():
            msg = (
                f"{self.chosen.model.name} returned a probability of {found[sure][0]:g}, which has "
                "no log-odds; give scale='prob'"
            )
            raise OptionError(msg)
        return np.asarray(np.log(found) - np.log1p(-found))


class Walks:
    """Contributions of factors to the way from each reference row to an applicant."""

    def __init__(
        self, score: Score, parts: Mapping[str, Sequence[str]], rows: pd.DataFrame,
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        self._score, self._columns = score, score.chosen.model.columns
        self._count = len(parts)
        names = list(rows.columns)
        self._owner = np.zeros(len(names), dtype=np.int64)
        for number, columns in enumerate(parts.values()):
            for column in columns:
                self._owner[names.index(column)] = number
        self._cells = self._columns.encode(rows, "reference")
        self._ends = score(rows)
        ahead = np.argsort(rng.random((len(rows), self._count)), axis=1)
        self._ranks = np.stack([ahead, self._count - 1 - ahead])  # an order and its mirror image

    def of(self, applicant: pd.DataFrame) -> FloatArray:
        """Return the contribution of each factor against each reference row, (rows, factors)."""
        own = self._columns.encode(applicant, "table")[0]
        ways, rows, steps = 2, len(self._cells), self._count + 1
        values = np.empty((ways, rows, steps))
        values[..., 0] = self._ends
        values[..., -1] = self._score(applicant)[0]
        if steps > 2:
            inner = np.arange(1, steps - 1)
            taken = self._ranks[:, :, None, :] < inner[:, None]  # (ways, rows, steps, factors)
            mixed = np.where(taken[..., self._owner], own, self._cells[:, None, :])
            table = self._columns.decode(mixed.reshape(-1, len(own)))
            values[..., 1:-1] = self._score(table).reshape(ways, rows, -1)
        gains = np.diff(values, axis=-1)
        return np.asarray(np.take_along_axis(gains, self._ranks, axis=-1).mean(0))
