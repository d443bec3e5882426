"""Rows of one input in which boxes are covered, kept from batch to batch.

Filling a batch with copies of the input costs more than a small model does. Between two batches
of one occlusion only the boxes differ, so those alone are written.
"""

from __future__ import annotations

from typing import Any

import torch

from saliscope.core.model import Piece
from saliscope.core.units import Box

__all__ = ["Canvas"]


def _writable(tensor: torch.Tensor) -> Any:
    """Return the cheapest thing that boxes can be written through: a numpy view, or the tensor."""
    if tensor.device.type == "cpu" and tensor.dtype in {torch.float32, torch.float64}:
        return tensor.numpy()
    return tensor


class Canvas:
    """Lends out rows of an input with one box covered in each.

    The rows are whole again before the next batch is painted, unless the model has written into
    them (then, or when more rows are wanted, they are made anew).

    Examples
    --------
    >>> import numpy as np
    >>> from saliscope.core.model import Sample
    >>> from saliscope.core.perturbation import Baseline, Perturbation
    >>> from saliscope.core.units import Units
    >>> units = Units(("dim_1",), (3,), "element")
    >>> sample = Sample("x", "", units, torch.ones(3), {"scalar": False})
    >>> none = Baseline("zero", torch.zeros(3))
    >>> each = Perturbation.leave_one_out(units.boxes((1,), (1,)), [none])
    >>> canvas = Canvas()
    >>> canvas.paint(Piece(sample, each, np.array([0, 1]))).tolist()
    [[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]]
    >>> canvas.paint(Piece(sample, each, np.array([2, 3]))).tolist()  # the last: the input
    [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Let go of the rows."""
        self._rows = torch.empty(0)
        self._input: torch.Tensor | None = None
        self._version = -1
        self._covered: list[tuple[int, Box]] = []

    def paint(self, piece: Piece) -> torch.Tensor:
        """Return the rows of a piece whose perturbation takes one box away per row."""
        value: torch.Tensor = piece.sample.value
        moved = piece.perturbation
        assert moved.fill is not None
        assert isinstance(moved.fill.value, torch.Tensor)
        assert moved.grouping.boxes is not None
        assert moved.removed is not None
        count = len(piece.rows)
        whole = self._input is value and self._rows._version == self._version  # noqa: SLF001 - counts changes in place
        if not whole or len(self._rows) < count or self._rows.requires_grad:
            self.clear()
            self._rows = value.expand(count, *value.shape).clone()
            self._input, self._version = value, self._rows._version  # noqa: SLF001
        rows, clean, fill = map(_writable, (self._rows, value, moved.fill.value))
        for place, box in self._covered:
            rows[(place, *box)] = clean[box]
        chosen = moved.removed[piece.rows].tolist()
        boxes = moved.grouping.boxes
        self._covered = [(place, boxes[group]) for place, group in enumerate(chosen) if group >= 0]
        for place, box in self._covered:
            rows[(place, *box)] = fill[box]
        self._version = self._rows._version  # noqa: SLF001 - what is painted here is no change
        return self._rows[:count]
