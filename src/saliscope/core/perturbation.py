"""Perturbation: one description for every way of moving an input.

A perturbation has `rows`; each row gives every group of units a weight in [0, 1]: 1 keeps the
input, 0 puts the fill in its place, anything between lies on the straight line (where the input
space allows it). A path is one group with many weights; occlusion and masking take one group away
per row; a coalition is a row of zeros and ones. The adapter that realizes a perturbation is the
only place that knows token ids, pixels or columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from saliscope.core.units import FloatArray, Grouping, Units

__all__ = ["DELETE", "Baseline", "Noise", "Perturbation"]


@dataclass(frozen=True, eq=False)
class Baseline:
    """What takes the place of a unit that is taken away.

    Made by a model's adapter from what the user gives (`baseline=` or `fill=`).

    Parameters
    ----------
    name : str
        How the result calls it: "zero", "mask", "A", "delete", "given".
    value : object
        The baseline in the differentiable space, as the adapter keeps it; None if there is none.
    ids : object
        The baseline as the adapter's discrete input (token ids); None if there is none.
    """

    name: str
    value: object = None
    ids: object = None

    @property
    def deletes(self) -> bool:
        """Whether units are removed, so that the input becomes shorter."""
        return self.name == "delete"


DELETE = Baseline("delete")


@dataclass(frozen=True, eq=False)
class Noise:
    """Normal noise, drawn for each row from a seed of its own, so that packing changes nothing.

    Parameters
    ----------
    scale : float
        Standard deviation, as a share of the range (largest minus smallest) of the input.
    seeds : numpy.ndarray of int, shape (rows,)
    signs : numpy.ndarray, shape (rows,), optional
        1 adds the noise of a row's seed, -1 takes it away: two rows of one seed are mirrored.
    """

    scale: float
    seeds: npt.NDArray[np.int64]
    signs: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Perturbation:
    """Rows of weights over groups of units.

    Parameters
    ----------
    grouping : Grouping
        Which units move together.
    weights : numpy.ndarray, shape (rows, groups), or sequence of numpy.ndarray, optional
        Weight of each group in each row; a sequence may make each row when it is asked for.
    removed : numpy.ndarray of int, shape (rows,), optional
        In place of `weights`: the one group that each row takes away (-1: none). Keeps n rows over
        n groups at n numbers.
    fill : Baseline, optional
        What takes the place of weight 0. None where every weight is 1.
    fills : sequence of Baseline
        Several of them, of which `choice` says the one of each row, in place of `fill`.
    choice : numpy.ndarray of int, shape (rows,), optional
    noise : Noise, optional
        What is added to each row in the differentiable space.

    Examples
    --------
    >>> units = Units(("position",), (4,), "element")
    >>> Perturbation.path(units, [0.0, 0.5, 1.0], Baseline("zero")).rows
    3
    >>> Perturbation.leave_one_out(units.each(), [Baseline("zero")]).row(2).tolist()
    [1.0, 1.0, 0.0, 1.0]
    """

    grouping: Grouping
    weights: FloatArray | Sequence[FloatArray] | None = None
    removed: npt.NDArray[np.int64] | None = None
    fill: Baseline | None = None
    fills: Sequence[Baseline] = ()
    choice: npt.NDArray[np.int64] | None = None
    noise: Noise | None = None

    def fill_of(self, row: int) -> Baseline | None:
        """Return what takes the place of weight 0 in one row."""
        if self.choice is None:
            return self.fill
        return self.fills[int(self.choice[row])]

    @property
    def every_fill(self) -> Sequence[Baseline]:
        """All that may take the place of weight 0 in some row."""
        if self.choice is not None:
            return self.fills
        return () if self.fill is None else (self.fill,)

    @property
    def rows(self) -> int:
        """Number of perturbed inputs."""
        chosen = self.weights if self.weights is not None else self.removed
        assert chosen is not None
        return len(chosen)

    def row(self, index: int) -> FloatArray:
        """Return the weights of one row, shape (groups,)."""
        if self.weights is not None:
            return np.asarray(self.weights[index])
        assert self.removed is not None
        weights = np.ones(self.grouping.count)
        if self.removed[index] >= 0:
            weights[self.removed[index]] = 0.0
        return weights

    def matrix(self, rows: npt.NDArray[np.int64]) -> FloatArray:
        """Return the weights of some rows, shape (rows, groups)."""
        if isinstance(self.weights, np.ndarray):
            return np.asarray(self.weights[rows])
        return np.stack([self.row(int(row)) for row in rows])

    def covered(self, row: int, length: int) -> npt.NDArray[np.bool_]:
        """Return which of `length` units along one axis a row takes away."""
        if self.fill_of(row) is None:
            return np.zeros(length, dtype=bool)
        if self.removed is None:
            assert self.grouping.labels is not None
            return np.asarray(np.append(self.row(row), 1.0)[self.grouping.labels] == 0.0)
        group = int(self.removed[row])
        if group >= 0 and self.grouping.boxes is None:
            return np.asarray(self.grouping.labels == group)
        covered = np.zeros(length, dtype=bool)
        if group >= 0 and self.grouping.boxes is not None:
            covered[self.grouping.boxes[group]] = True
        return covered

    @cached_property
    def is_identity(self) -> bool:
        """Whether every row is the input itself."""
        if self.noise is not None:
            return False
        if not self.every_fill:
            return True
        if self.weights is not None:
            return all(bool((row == 1).all()) for row in self.weights)
        assert self.removed is not None
        return bool((self.removed < 0).all())

    @cached_property
    def is_whole(self) -> bool:
        """Whether every row has each group either as it is or taken away: all weights 0 or 1."""
        if self.weights is None:
            return True
        return all(bool(((row == 0) | (row == 1)).all()) for row in self.weights)

    @classmethod
    def identity(cls, units: Units) -> Perturbation:
        """Return one row: the input as it is."""
        return cls(units.whole(), weights=np.ones((1, 1)))

    @classmethod
    def path(
        cls, units: Units, alphas: Sequence[float] | FloatArray, fill: Baseline
    ) -> Perturbation:
        """Return points on the straight line from `fill` (0) to the input (1)."""
        return cls(units.whole(), weights=np.asarray(alphas, dtype=np.float64)[:, None], fill=fill)

    @classmethod
    def leave_one_out(cls, grouping: Grouping, fills: Sequence[Baseline]) -> Perturbation:
        """Return each group taken away, by each fill in turn, and in the last row the input."""
        removed = np.append(np.repeat(np.arange(grouping.count), len(fills)), -1)
        if len(fills) == 1:
            return cls(grouping, removed=removed, fill=fills[0])
        choice = np.append(np.tile(np.arange(len(fills)), grouping.count), 0)
        return cls(grouping, removed=removed, fills=fills, choice=choice)
