"""Whether a pair's interaction is unusual for this model: its rank among pairs like it.

A deterministic model has no sampling noise, so an interaction is judged by the interactions of
other pairs of missense changes of the same transcript: with first-in effects in the same deciles
(order does not matter) and as far apart in the sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.statistics.common import (
    FloatArray,
    IntArray,
    benjamini_hochberg,
    finite,
    permutation_p,
    said,
    signed,
)

__all__ = [
    "DISTANCE_CLASSES",
    "LEAST_PAIRS",
    "WANTED_PAIRS",
    "Match",
    "PairTest",
    "Pairs",
    "deciles_of",
    "distance_class",
    "draw_pairs",
    "match_of",
    "plan_pairs",
    "rank_pairs",
]

DISTANCE_CLASSES = ("<6", "6-24", ">24")
"""Residues between the two changes."""

LEAST_PAIRS, WANTED_PAIRS = 200, 1000
"""Matched pairs below which no p is given, and for which pairs are drawn."""

_UNUSUAL = 0.05
_MOST_CANDIDATES = 1 << 24


@dataclass(frozen=True, order=True)
class Match:
    """What a pair and its null have in common.

    Parameters
    ----------
    low, high : int
        Deciles of the two first-in effects, 0 to 9, the lower first.
    distance : int
        Index into `DISTANCE_CLASSES`.
    """

    low: int
    high: int
    distance: int


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of changes with their first-in effects, distance and second difference.

    Parameters
    ----------
    first, second : array of float, shape (pairs,)
        First-in effects on the reference.
    distance : array of int, shape (pairs,)
        Residues apart, at least 1.
    interaction : array of float, shape (pairs,)
        Second differences.
    """

    first: FloatArray
    second: FloatArray
    distance: IntArray
    interaction: FloatArray

    def __post_init__(self) -> None:
        sizes = {len(x) for x in (self.first, self.second, self.distance, self.interaction)}
        if len(sizes) != 1:
            msg = "pairs: effects, distances and interactions differ in length; give one of each"
            raise InputError(msg)
        for values, name in (
            (self.first, "first-in effects"),
            (self.second, "first-in effects"),
            (self.interaction, "interactions"),
        ):
            finite(values, name)


@dataclass(frozen=True)
class PairTest:
    """One pair against its matched null.

    Parameters
    ----------
    interaction : float
        The pair's second difference.
    p : float, optional
        (1 + #{|null| >= |interaction|}) / (n + 1); None with fewer than 200 matched pairs.
    q : float, optional
        Benjamini-Hochberg over the pairs tested.
    n : int
        Matched pairs.
    match : Match
    """

    interaction: float
    p: float | None
    q: float | None
    n: int
    match: Match

    @property
    def unusual(self) -> bool:
        """Whether q is under 0.05."""
        return self.q is not None and self.q < _UNUSUAL

    @property
    def text(self) -> str:
        """What a report says of it."""
        start = f"model interaction {signed(self.interaction)}, "
        if self.p is None or self.q is None:
            return f"{start}no p: {self.n:,} matched pairs where {LEAST_PAIRS} are needed"
        verdict = "unusual for this model" if self.unusual else "not unusual for this model"
        return (
            f"{start}rank {said(self.p)} among {self.n:,} matched pairs "
            f"(q {said(self.q)}): {verdict}"
        )


def deciles_of(effects: npt.ArrayLike) -> FloatArray:
    """Return the nine edges that cut first-in effects into tenths.

    Examples
    --------
    >>> deciles_of(range(11)).tolist()
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    """
    values = finite(np.asarray(effects), "first-in effects")
    if not len(values):
        msg = "first-in effects: none given; deciles need a reference set"
        raise InputError(msg)
    return np.asarray(np.quantile(values, np.arange(1, 10) / 10))


def distance_class(distance: npt.ArrayLike) -> IntArray:
    """Return 0, 1 or 2 for under 6, 6 to 24 and over 24 residues apart.

    Examples
    --------
    >>> distance_class([1, 5, 6, 24, 25]).tolist()
    [0, 0, 1, 1, 2]
    """
    apart = np.abs(np.asarray(distance))
    return np.asarray(np.searchsorted([6, 25], apart, side="right"), dtype=np.int64)


def _keys(
    first: npt.ArrayLike, second: npt.ArrayLike, distance: npt.ArrayLike, edges: FloatArray
) -> IntArray:
    """Return (pairs, 3): the two deciles in order, and the distance class."""
    deciles = np.searchsorted(edges, np.stack([np.asarray(first), np.asarray(second)]), "right")
    return np.stack([deciles.min(0), deciles.max(0), distance_class(distance)], axis=-1)


def match_of(first: float, second: float, distance: int, edges: FloatArray) -> Match:
    """Return what a null pair must share with this pair.

    Parameters
    ----------
    first, second : float
        First-in effects on the reference.
    distance : int
        Residues apart; not 0, two changes of one residue are one change.
    edges : array of float, shape (9,)
        From `deciles_of`.

    Examples
    --------
    >>> match_of(9.5, 0.5, 30, deciles_of(range(11)))
    Match(low=0, high=9, distance=2)
    """
    if distance == 0:
        msg = "a pair at one residue: is one change; test it as one"
        raise InputError(msg)
    return Match(*(int(x) for x in _keys(first, second, distance, edges)))


def draw_pairs(
    seed: int,
    effects: npt.ArrayLike,
    positions: npt.ArrayLike,
    match: Match,
    count: int = WANTED_PAIRS,
    *,
    exclude: Iterable[tuple[int, int]] = (),
    farthest: int | None = None,
) -> IntArray:
    """Return pairs of single changes to evaluate for the null of `match`.

    Parameters
    ----------
    seed : int
        The same numbers give the same pairs, whatever else is drawn.
    effects : array of float, shape (changes,)
        First-in effects of all missense changes; their deciles are those of `match`.
    positions : array of int, shape (changes,)
        Residues.
    match : Match
    count : int
        Pairs wanted; all there are, where there are fewer.
    exclude : iterable of (int, int)
        Pairs of indices not to draw, such as the tested one.
    farthest : int, optional
        Residues that a pair may be apart; by default however many.

    Returns
    -------
    array of int, shape (pairs, 2)
        Indices of changes, lower first, sorted, without repeats, never two of one residue.

    Raises
    ------
    InputError
        For effects and positions that differ in length.
    OptionError
        For a count below 1.

    Notes
    -----
    In very long proteins (more than 2^24 candidate pairs of the two deciles) the first members of
    the candidates are a random part of their decile.

    Examples
    --------
    >>> effects, residues = [0.0, 1.0, 5.0, 5.0], [1, 9, 2, 2]
    >>> match = match_of(0.0, 5.0, 4, deciles_of(effects))
    >>> draw_pairs(0, effects, residues, match, 10).tolist()
    [[0, 2], [0, 3]]
    """
    values = finite(effects, "first-in effects")
    places = np.asarray(positions, dtype=np.int64)
    if len(values) != len(places):
        msg = f"{len(values)} effects, {len(places)} positions: give one of each per change"
        raise InputError(msg)
    if count < 1:
        msg = f"count={count}: must be at least 1"
        raise OptionError(msg)
    rng = np.random.default_rng([seed, match.low, match.high, match.distance])
    decile = np.searchsorted(deciles_of(values), values, side="right")
    rows, columns = np.flatnonzero(decile == match.low), np.flatnonzero(decile == match.high)
    most = max(1, _MOST_CANDIDATES // max(1, len(columns)))
    if len(rows) > most:
        rows = np.sort(rng.choice(rows, most, replace=False))
    apart = np.abs(places[rows][:, None] - places[columns])
    fits = (distance_class(apart) == match.distance) & (apart > 0)
    if farthest is not None:
        fits &= apart <= farthest
    if match.low == match.high:
        fits &= rows[:, None] < columns
    i, j = np.nonzero(fits)
    pairs = np.sort(np.stack([rows[i], columns[j]], axis=-1), axis=1)
    out = {tuple(sorted(pair)) for pair in exclude}
    if out:
        pairs = pairs[[tuple(pair) not in out for pair in pairs.tolist()]]
    if len(pairs) > count:
        pairs = pairs[rng.choice(len(pairs), count, replace=False)]
    return np.asarray(pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))], dtype=np.int64)


def plan_pairs(
    seed: int,
    effects: npt.ArrayLike,
    positions: npt.ArrayLike,
    matches: Iterable[Match],
    count: int = WANTED_PAIRS,
    *,
    exclude: Iterable[tuple[int, int]] = (),
    farthest: int | None = None,
) -> IntArray:
    """Return the pairs for several tested pairs, as `draw_pairs`; each kind is drawn once.

    Examples
    --------
    >>> effects, residues = [0.0, 1.0, 5.0, 5.0], [1, 9, 2, 2]
    >>> match = match_of(0.0, 5.0, 4, deciles_of(effects))
    >>> plan_pairs(0, effects, residues, [match, match]).tolist()
    [[0, 2], [0, 3]]
    """
    out = tuple(exclude)
    kinds = sorted(set(matches))
    if not kinds:
        return np.empty((0, 2), dtype=np.int64)
    drawn = [
        draw_pairs(seed, effects, positions, m, count, exclude=out, farthest=farthest)
        for m in kinds
    ]
    return np.unique(np.concatenate(drawn), axis=0)


def rank_pairs(tested: Pairs, null: Pairs, edges: FloatArray) -> tuple[PairTest, ...]:
    """Return every tested pair against the null pairs that match it, and the q over all.

    Parameters
    ----------
    tested, null : Pairs
        On the same scale: both of the score, or both of its rank transform.
    edges : array of float, shape (9,)
        From `deciles_of` all first-in effects, on the scale of the pairs.

    Returns
    -------
    tuple of PairTest
        In the order of `tested`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> null = Pairs(np.zeros(999), np.zeros(999), np.full(999, 9), rng.normal(size=999))
    >>> one = Pairs(np.zeros(1), np.zeros(1), np.array([7]), np.array([5.5]))
    >>> test = rank_pairs(one, null, deciles_of([0.0, 1.0]))[0]
    >>> test.p, test.q, test.n, test.unusual
    (0.001, 0.001, 999, True)
    """
    if np.any(np.asarray(tested.distance) == 0) or np.any(np.asarray(null.distance) == 0):
        msg = "a pair at one residue: is one change; leave it out"
        raise InputError(msg)
    wanted = _keys(tested.first, tested.second, tested.distance, edges)
    offered = _keys(null.first, null.second, null.distance, edges)
    results: list[PairTest] = []
    for key, value in zip(wanted, tested.interaction.tolist(), strict=True):
        like = null.interaction[(offered == key).all(1)]
        p = permutation_p(value, like) if len(like) >= LEAST_PAIRS else None
        results.append(PairTest(value, p, None, len(like), Match(*(int(x) for x in key))))
    return _with_q(results)


def _with_q(results: Sequence[PairTest]) -> tuple[PairTest, ...]:
    corrected = benjamini_hochberg([r.p for r in results])
    return tuple(replace(r, q=q) for r, q in zip(results, corrected, strict=True))
