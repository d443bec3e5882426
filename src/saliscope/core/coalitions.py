"""Coalitions of groups: which groups are present in a row, how such rows are drawn and asked for.

A coalition is a row of booleans over the groups of a grouping; groups that are absent are filled.
Coalitions are drawn level by level (a level holds those of one size), without replacement, and a
small level soon is whole. Levels of known size and mass make estimates with honest standard errors
possible: see `saliscope.core.surrogate`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saliscope.core.ask import Answer, Ask, Question
from saliscope.core.errors import OptionError
from saliscope.core.perturbation import Perturbation
from saliscope.core.units import FloatArray, Grouping, Units

__all__ = ["Grouped", "Level", "Masks", "Sampler", "scores_of"]

Masks = npt.NDArray[np.bool_]

_USUAL = ("word", "column", "patch")  # what is taken away together where nothing is said
_LISTED = 4096  # coalitions of a level that are listed and shuffled rather than drawn one by one
_AT_ONCE = 1 << 22  # weights of one ask
_NEGLIGIBLE = 1e-9  # share of a level, relative to the largest, below which all are alike


@dataclass(frozen=True, eq=False)
class Grouped:
    """The groups that a method moves, and how values per group are laid out in its result.

    Parameters
    ----------
    units : Units
        Of the question.
    grouping : Grouping
        A partition.

    Examples
    --------
    >>> units = Units(("position",), (3,), "element")
    >>> grouped = Grouped.by(units, [0, 1, 0])
    >>> grouped.count, grouped.lay(np.array([[5.0, 7.0]])).tolist()
    (2, [[5.0, 7.0]])
    """

    units: Units
    grouping: Grouping

    @classmethod
    def by(
        cls, units: Units, groups: str | Sequence[int] | Mapping[str, Sequence[str]] | None
    ) -> Grouped:
        """Return the groups of that name or those labels; by default words or patches, if any.

        Raises
        ------
        OptionError
            If the input has no such grouping, or no group in it.
        """
        if groups is None:
            groups = next((name for name in _USUAL if name in units.groupings), None)
        grouping = units.group(groups)
        if not grouping.count:
            msg = f"this input has no {grouping.kind}; give other groups="
            raise OptionError(msg)
        return cls(units, grouping)

    @property
    def count(self) -> int:
        """Number of groups."""
        return self.grouping.count

    @property
    def own(self) -> bool:
        """Whether each kept unit is a group by itself, so that values are given per unit."""
        return self.grouping.kind == self.units.kind

    @property
    def shown(self) -> Units | None:
        """Units of the result, where they are not those of the question."""
        return None if self.own else self.units.grouped(self.grouping)

    def lay(self, values: FloatArray) -> FloatArray:
        """Return values (targets, groups) in the shape of the result's units."""
        if self.own:
            return self.grouping.spread(values, self.units.shape)
        grid = tuple(map(len, self.grouping.grid))
        return values.reshape(len(values), *grid) if grid else values


def scores_of(
    question: Question, grouping: Grouping, masks: Masks
) -> Generator[Ask, Answer, FloatArray]:
    """Ask for the target of coalitions, averaged over the background where there is one.

    Parameters
    ----------
    question : Question
    grouping : Grouping
    masks : numpy.ndarray of bool, shape (rows, groups)
        True where a group is present.

    Returns
    -------
    numpy.ndarray, shape (rows, targets)
        NaN where the target is not finite.
    """
    fills = tuple(question.background) or (question.baseline,)
    step = max(1, _AT_ONCE // (grouping.count * len(fills)))
    found = [np.empty((0, question.targets))]
    for start in range(0, len(masks), step):
        weights = masks[start : start + step].astype(np.float64)
        if len(fills) == 1:
            points = Perturbation(grouping, weights=weights, fill=fills[0])
        else:
            points = Perturbation(
                grouping, weights=np.repeat(weights, len(fills), axis=0), fills=fills,
                choice=np.tile(np.arange(len(fills)), len(weights)),
            )  # fmt: skip
        answer = yield Ask(points)
        found.append(answer.values.reshape(len(weights), len(fills), -1).mean(1))
    scores = np.concatenate(found)
    # Two infinities have no difference; as NaN they pass through sums without a warning.
    return np.where(np.isfinite(scores), scores, np.nan)


class Level:
    """The coalitions of one size, handed out in random order, none twice.

    Parameters
    ----------
    players, size : int
    rng : numpy.random.Generator
    paired : bool
        A coalition stands for its complement, too, so at half of the players only those are
        given that lack the first player.

    Examples
    --------
    >>> level = Level(4, 2, np.random.default_rng(0), paired=True)
    >>> level.count, level.draw(5).astype(int).tolist()
    (3, [[0, 0, 1, 1], [0, 1, 1, 0], [0, 1, 0, 1]])
    """

    def __init__(
        self, players: int, size: int, rng: np.random.Generator, *, paired: bool = False
    ) -> None:
        self.players, self.size, self._rng = players, size, rng
        self._half = paired and 2 * size == players
        self.count = math.comb(players - self._half, size)
        self.drawn = 0
        self._seen: set[bytes] = set()
        self._listed: Masks | None = None

    def draw(self, more: int) -> Masks:
        """Return up to `more` further coalitions, shape (rows, players)."""
        more = min(more, self.count - self.drawn)
        found = self._list()[self.drawn : self.drawn + more] if more else self._empty(0)
        if self.count > _LISTED:
            found = self._fresh(more)
        self.drawn += len(found)
        return found

    def _empty(self, rows: int) -> Masks:
        return np.zeros((rows, self.players), dtype=bool)

    def _list(self) -> Masks:
        if self._listed is None and self.count <= _LISTED:
            choices = itertools.combinations(range(int(self._half), self.players), self.size)
            members = np.array(list(choices), dtype=np.int64).reshape(self.count, self.size)
            masks = self._empty(self.count)
            np.put_along_axis(masks, members, values=True, axis=1)
            self._listed = masks[self._rng.permutation(self.count)]
        return self._empty(0) if self._listed is None else self._listed

    def _fresh(self, more: int) -> Masks:
        """Draw at random, again where a coalition was drawn before."""
        found: list[Masks] = []
        first = int(self._half)
        while len(found) < more:
            order = self._rng.random((more - len(found), self.players - first))
            members = first + order.argpartition(self.size - 1, axis=1)[:, : self.size]
            masks = self._empty(len(members))
            np.put_along_axis(masks, members, values=True, axis=1)
            for mask, key in zip(masks, np.packbits(masks, axis=1), strict=True):
                name = key.tobytes()
                if name not in self._seen:
                    self._seen.add(name)
                    found.append(mask)
        return np.array(found, dtype=bool).reshape(len(found), self.players)


class Sampler:
    """Draws coalitions of several sizes, more from levels that count for more.

    Parameters
    ----------
    levels : sequence of Level
    shares : array of float, shape (levels,)
        How many coalitions of each level are wanted beside the other levels.
    whole : sequence of int
        Numbers of the levels that are taken whole at once.

    Notes
    -----
    At least two coalitions of each level are drawn, because one says nothing of its spread.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sampler = Sampler([Level(4, size, rng) for size in (1, 2, 3)], [1, 1, 1], whole=[0])
    >>> sampler.least
    8
    >>> masks, level = sampler.draw(9)
    >>> masks.shape, np.bincount(level).tolist()
    ((8, 4), [4, 2, 2])
    """

    def __init__(
        self, levels: Sequence[Level], shares: npt.ArrayLike, whole: Sequence[int] = ()
    ) -> None:
        self.levels = levels
        given = np.asarray(shares, dtype=np.float64)
        self._shares = np.maximum(given / given.max(), _NEGLIGIBLE)
        self._least = [
            level.count if number in whole else min(2, level.count)
            for number, level in enumerate(levels)
        ]

    @property
    def least(self) -> int:
        """Coalitions without which there is no estimate."""
        return sum(self._least)

    @property
    def counts(self) -> FloatArray:
        """How many coalitions each level has."""
        return np.array([float(level.count) for level in self.levels])

    @property
    def exhausted(self) -> bool:
        """Whether every coalition was drawn."""
        return all(level.drawn == level.count for level in self.levels)

    def draw(self, total: int) -> tuple[Masks, npt.NDArray[np.int64]]:
        """Draw until there are about `total` (never more) in all, counting those drawn before.

        Returns
        -------
        masks : numpy.ndarray of bool, shape (fresh, players)
        level : numpy.ndarray of int, shape (fresh,)
        """
        wanted = self._allot(total)
        drawn = [
            level.draw(max(0, int(most) - level.drawn))
            for level, most in zip(self.levels, wanted, strict=True)
        ]
        numbers = np.repeat(np.arange(len(drawn)), [len(masks) for masks in drawn])
        return np.concatenate(drawn), numbers

    def _allot(self, total: int) -> npt.NDArray[np.int64]:
        """Return how many of each level: in proportion to the shares, between least and all."""
        most = np.array([min(level.count, total) for level in self.levels])

        def at(scale: float) -> npt.NDArray[np.int64]:
            wanted = np.minimum(np.floor(scale * self._shares), total).astype(np.int64)
            return np.asarray(np.clip(wanted, self._least, np.maximum(most, self._least)))

        low, high = 0.0, 2.0 * max(1, total) / self._shares.min()
        for _ in range(64):
            middle = (low + high) / 2
            low, high = (middle, high) if at(middle).sum() <= total else (low, middle)
        return at(low)
