"""Deletion and insertion, beside maps that mean nothing: one stream of perturbed inputs.

`faithfulness` is a method as any other: it asks for the target of coalitions of groups and the
engine packs them. Everything is read off the same coalitions: the two curves of the map, those of
its shuffled copies, comprehensiveness and sufficiency, and how well sums of values predict falls.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from saliscope.core.ask import Answer, Ask, Estimate, Question, Steps
from saliscope.core.coalitions import Masks, scores_of
from saliscope.core.units import FloatArray, Grouping
from saliscope.trust.nulls import Shuffler, order_of, strata_of
from saliscope.trust.record import LEVEL

__all__ = ["BINS", "Curves", "Wanted", "counts_of", "faithfulness", "mean_height"]

BINS = (0.01, 0.05, 0.10, 0.20, 0.50)
"""Shares of groups over which comprehensiveness and sufficiency are averaged."""

_FLAT = 1e-6  # change relative to the target that is rounding
_ONE_BY_ONE = 12  # groups
_AT_ONCE = 1 << 25  # numbers of coalitions that are held


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is tested.

    Parameters
    ----------
    values : numpy.ndarray
        The map, one value per group, on the grid of the groups.
    grouping : Grouping
        What is taken away together.
    additive : numpy.ndarray, shape (groups,), optional
        What the map predicts that the target falls by when a group goes; None where it predicts
        an order only.
    ordered : bool
        Whether groups stand in a sequence or on a grid.
    draws : int
        Shuffled copies; fewer where the map cannot pass any more.
    levels : int
        Points of a curve after the first, where there are more than twelve groups.
    first : int
        Copies that are always drawn, so that there is something to draw a band from.
    change : numpy.ndarray, shape (groups,), optional
        How much the input changes when a group goes, where that is known: values of copies stay
        among groups of like changes.
    """

    values: FloatArray
    grouping: Grouping
    additive: FloatArray | None
    ordered: bool
    draws: int
    levels: int
    first: int = 99
    change: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Curves:
    """What came of it.

    Parameters
    ----------
    share : numpy.ndarray, shape (points,)
        Of groups that were deleted or inserted.
    own, null : numpy.ndarray, shape (2, points) and (draws, 2, points)
        The target along the deletion and the insertion of the map and of its copies.
    p : numpy.ndarray, shape (2,)
        Of deletion and of insertion; NaN without copies.
    comprehensiveness, sufficiency : float
    falls, predicted : numpy.ndarray, shape (draws, rows)
        Of the target at the coalitions of the copies, and what the map predicts; the latter is
        empty where the map predicts an order only.
    blocks : tuple of int
        Groups that were moved together.
    rows : int
        Distinct coalitions that the model was run on.
    flat : bool
        Whether the target never moved.
    lost : int
        Coalitions at which the target is not finite.
    """

    share: FloatArray
    own: FloatArray
    null: FloatArray
    p: FloatArray
    comprehensiveness: float
    sufficiency: float
    falls: FloatArray
    predicted: FloatArray
    blocks: tuple[int, ...]
    rows: int
    flat: bool
    lost: int


def counts_of(groups: int, levels: int) -> npt.NDArray[np.int64]:
    """Return how many groups are gone at each point of a curve, closer together at the start.

    Up to twelve groups go one by one: they have no more than 4,096 coalitions, and with fewer
    points too few orders would differ.

    Examples
    --------
    >>> counts_of(100, 5).tolist(), counts_of(4, 2).tolist()
    ([0, 4, 16, 36, 64, 100], [0, 1, 2, 3, 4])
    """
    if groups <= max(levels, _ONE_BY_ONE):
        return np.arange(groups + 1)
    shares = (np.arange(levels + 1) / levels) ** 2
    return np.unique(np.ceil(groups * shares - 1e-9).astype(np.int64))


def mean_height(share: FloatArray, curve: FloatArray) -> FloatArray:
    """Return the area under curves whose last axis is the share, which runs from 0 to 1.

    Examples
    --------
    >>> float(mean_height(np.array([0.0, 0.5, 1.0]), np.array([4.0, 2.0, 0.0])))
    2.0
    """
    return np.asarray(np.trapezoid(curve, share, axis=-1))


@dataclass(eq=False)
class _Known:
    """Coalitions that were asked for, each once."""

    question: Question
    grouping: Grouping
    scores: dict[bytes, float] = field(default_factory=dict)

    def ask(self, masks: Masks) -> Generator[Ask, Answer, FloatArray]:
        keys = [row.tobytes() for row in np.packbits(masks, axis=1)]
        new = {key: i for i, key in enumerate(keys) if key not in self.scores}
        if new:
            found = yield from scores_of(self.question, self.grouping, masks[list(new.values())])
            self.scores.update(zip(new, found[:, 0].tolist(), strict=True))
        return np.array([self.scores[key] for key in keys])


def _masks(order: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> Masks:
    """Return what is present along deletion, then along insertion, in an order of groups."""
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    inserted = rank[None] < counts[:, None]
    return np.concatenate([~inserted, inserted])


def faithfulness(question: Question, wanted: Wanted) -> Steps:
    """Ask for the curves of a map and of its shuffled copies.

    Copies are drawn until there are as many as wanted, or until so many of them are as good as the
    map that it cannot pass: the verdict is the same (Besag & Clifford 1991, Sequential Monte Carlo
    p-values, Biometrika 78).
    """
    known = _Known(question, wanted.grouping)
    groups = wanted.grouping.count
    counts = counts_of(groups, wanted.levels)
    share = counts / groups
    order = order_of(wanted.values, question.rng)
    own = (yield from known.ask(_masks(order, counts))).reshape(2, -1)
    bins = np.unique(np.maximum(1, np.ceil(groups * np.array(BINS) - 1e-9)).astype(np.int64))
    both = (yield from known.ask(_masks(order, bins))).reshape(2, -1)
    whole, empty = own[0, 0], own[0, -1]
    strata = None if wanted.change is None else strata_of(wanted.change)
    shuffled = Shuffler(wanted.values, question.rng, ordered=wanted.ordered, strata=strata)
    null = np.empty((0, 2, len(counts)))
    predicted = [np.empty((0, 2 * (len(counts) - 2)))]
    at_once = max(1, _AT_ONCE // (2 * len(counts) * groups))
    test = _Test(mean_height(share, own), wanted.draws)
    while len(null) < wanted.draws and not (test.over and len(null) >= wanted.first):
        more = min(max(wanted.first, 2 * len(null)), wanted.draws - len(null), at_once)
        masks = np.stack([_masks(order_of(shuffled(), question.rng), counts) for _ in range(more)])
        found = yield from known.ask(masks.reshape(-1, groups))
        fresh = found.reshape(more, 2, -1)
        null = np.concatenate([null, fresh])
        if wanted.additive is not None:
            gone = ~masks.reshape(more, 2, -1, groups)[:, :, 1:-1].reshape(more, -1, groups)
            predicted.append(gone @ wanted.additive)
        test.see(mean_height(share, fresh))
    inner = null[:, :, 1:-1].reshape(len(null), 2 * (len(counts) - 2))
    every = np.array(list(known.scores.values()))
    finite = every[np.isfinite(every)]
    moved = np.ptp(finite) if len(finite) else 0.0
    curves = Curves(
        share, own, null, test.p, float((whole - both[0]).mean()), float((whole - both[1]).mean()),
        whole - inner, np.concatenate(predicted), shuffled.blocks, len(every),
        flat=bool(moved <= _FLAT * np.nanmax(np.abs(every), initial=0.0)),
        lost=int((~np.isfinite(every)).sum()),
    )  # fmt: skip
    score = np.array([whole])
    return Estimate(
        np.zeros((1, *question.units.shape)), score, baseline_score=np.array([empty]),
        notes={"curves": curves},
    )  # fmt: skip


class _Test:
    """Counts copies that are as good as the map, and stops counting where it cannot pass."""

    def __init__(self, own: FloatArray, draws: int) -> None:
        self.own = own
        self.most = int(LEVEL * (draws + 1) + 1e-9)  # so many as good as the map are too many
        self.good = np.zeros((0, 2), dtype=bool)

    def see(self, areas: FloatArray) -> None:
        """Take the areas (draws, 2) of further copies: low ones are good in deletion."""
        slack = 1e-12 * np.maximum(1.0, np.abs(self.own))
        better = np.stack(
            [~(areas[:, 0] > self.own[0] + slack[0]), ~(areas[:, 1] < self.own[1] - slack[1])], 1
        )
        self.good = np.concatenate([self.good, better])

    @property
    def over(self) -> bool:
        """Whether the map cannot pass any more."""
        return bool((self.good.sum(0) >= max(1, self.most)).any())

    @property
    def p(self) -> FloatArray:
        """Share of copies that are as good as the map, the map among them."""
        if not len(self.good):
            return np.full(2, np.nan)
        return np.asarray((1 + self.good.sum(0)) / (1 + len(self.good)))
