"""What a row by itself tells: the bytes that it needs, and whether company changes its values."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import numpy as np

from saliscope.core.batching import Sizer
from saliscope.core.model import Model, Pass, Piece, Reader
from saliscope.core.tasks import Task

__all__ = ["SingleRow"]


class SingleRow:
    """Passes of one row, beside those of a run; they are counted to no question.

    Parameters
    ----------
    model : Model
    weighed : dict
        What is known of the bytes that rows need; grows.
    """

    def __init__(self, model: Model, weighed: dict[Hashable, int]) -> None:
        self.model, self.weighed = model, weighed
        self.seen: tuple[Piece, Pass] | None = None

    def weigh(self, task: Task, sizer: Sizer) -> None:
        """Tell a sizer what a row of this very kind needs, measured once per model.

        Batches of a run that must be cut equally are the same whether it was known before or not.
        """
        sample, target = task.job.sample, task.job.target
        pack = self.model.pack_key(sample, task.ask.points)
        read = (frozenset(target.reads), target.count, len(target.views))
        # All that the bytes depend on, or batches would depend on what was weighed before.
        key = (task.backward, task.rule, task.layer, sample.length, pack, read)
        if key not in self.weighed or "call" in target.reads:  # a function, equal to no other
            row, view = task.waiting[0]
            rows = np.array([row])
            fold = None if task.ask.fold is None else task.ask.fold.at(rows)
            piece = Piece(sample, task.ask.points, rows, target.views[view])
            reader = Reader(target, view, np.zeros(1, dtype=np.int64), 0, fold, task.ask.layer)
            try:
                (got,), needed = self.model.run([piece], [reader], account=True)
            except Exception:  # noqa: BLE001 - the batch of this row fails as well, and tells
                return
            self.seen, self.weighed[key] = (piece, got), needed
        sizer.bytes_per_row, sizer.length = self.weighed[key], sample.length

    def dependence(self, piece: Piece, reader: Reader, together: Pass) -> float:
        """Return how much the first row of a batch differs from the same row run alone."""
        first = replace(piece, rows=piece.rows[:1])
        if self.seen is not None and _same(self.seen[0], first):
            apart = self.seen[1]
        else:
            only = replace(reader, rows=np.zeros(1, dtype=np.int64), piece=0, fold=None, layer=None)
            (apart,), _ = self.model.run([first], [only])
        with np.errstate(invalid="ignore"):
            change = np.abs(apart.values[0] - together.values[0]).max()
        size = max(np.abs(apart.values[0]).max(), np.abs(together.values).max())
        return float(change / size) if np.isfinite(change) and size > 0 else 0.0


def _same(one: Piece, other: Piece) -> bool:
    """Return whether two pieces of one row each are the same row."""
    return (
        one.sample is other.sample
        and one.perturbation is other.perturbation
        and one.view == other.view
        and one.rows[0] == other.rows[0]
    )
