"""Non-additivity of a model's score: second differences, exact Shapley values, a rank transform.

A statement about the model, not about biology: any score that saturates is not additive, which is
why every test is repeated after a monotone transform of the score.

A *coalition table* holds the score of every subset of n changes: entry m is the score of the
sequence that carries change i if, and only if, bit i of m is set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saliscope.core import games
from saliscope.core.errors import InputError, OptionError
from saliscope.variants.statistics.common import FloatArray, IntArray, finite

__all__ = [
    "MOST_PLAYERS",
    "RankTransform",
    "coalitions",
    "pair_interactions",
    "second_difference",
    "shapley_values",
]

MOST_PLAYERS = 12
"""Changes for which all subsets are evaluated: 4,096 sequences."""

_TAIL = 0.1


def second_difference(
    both: npt.ArrayLike, first: npt.ArrayLike, second: npt.ArrayLike, neither: npt.ArrayLike
) -> FloatArray:
    """Return e = s(ij) - s(i) - s(j) + s(0), elementwise; 0 where the score is additive.

    Examples
    --------
    >>> float(second_difference(-2.5, -1.0, -1.0, 0.0))
    -0.5
    """
    ij, i, j, none = (np.asarray(s, dtype=np.float64) for s in (both, first, second, neither))
    return np.asarray(ij - i - j + none)


def coalitions(players: int) -> npt.NDArray[np.bool_]:
    """Return who is in each coalition, shape (2^players, players), in the order of the table.

    Raises
    ------
    OptionError
        For more than 12 players, or none.

    Examples
    --------
    >>> coalitions(2).astype(int).tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    if not 1 <= players <= MOST_PLAYERS:
        msg = f"{players} changes: exact Shapley values are for 1 to {MOST_PLAYERS}; take fewer"
        raise OptionError(msg)
    return games.all_coalitions(players)


def _table(scores: npt.ArrayLike) -> tuple[FloatArray, int]:
    table = finite(scores, "coalition scores")
    players = len(table).bit_length() - 1
    if players < 1 or len(table) != 1 << players:
        msg = f"coalition scores: {len(table)} of them; give one for each of the 2^n subsets"
        raise InputError(msg)
    coalitions(players)
    return table, players


def shapley_values(scores: npt.ArrayLike) -> FloatArray:
    """Return the exact Shapley value of each change.

    Parameters
    ----------
    scores : array of float, shape (2^n,)
        A coalition table, n up to 12.

    Returns
    -------
    array of float, shape (n,)
        Sums to the score of all changes together minus that of none.

    Raises
    ------
    InputError
        For a table that is not of length 2^n, or a score that is not finite.
    OptionError
        For more than 12 changes.

    Notes
    -----
    Shapley (1953): phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S)).

    Examples
    --------
    >>> shapley_values([0.0, 1.0, 2.0, 4.0]).tolist()      # 1 and 2 alone, 4 together
    [1.5, 2.5]
    """
    table, _ = _table(scores)
    return np.asarray(games.shapley_values(table[:, None])[0])


def pair_interactions(scores: npt.ArrayLike, *, on_subject: bool = False) -> FloatArray:
    """Return the second difference of each pair, all other changes absent or all present.

    Parameters
    ----------
    scores : array of float, shape (2^n,)
        A coalition table.
    on_subject : bool
        On the background of all other changes of the subject, instead of on the reference.

    Returns
    -------
    array of float, shape (n, n)
        Symmetric, with a diagonal of zeros.

    Examples
    --------
    >>> pair_interactions([0.0, 1.0, 2.0, 4.0]).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    table, n = _table(scores)
    bits: IntArray = 1 << np.arange(n, dtype=np.int64)
    single, double = bits, bits[:, None] | bits
    whole = (1 << n) - 1
    if on_subject:
        single, double = whole ^ single, whole ^ double
    neither = table[whole if on_subject else 0]
    alone = table[single]
    pairs = second_difference(table[double], alone[:, None], alone, neither)
    np.fill_diagonal(pairs, 0.0)
    return pairs


@dataclass(frozen=True, eq=False)
class RankTransform:
    """A strictly increasing map of scores by the distribution of a reference set.

    Between the members it is the interpolated empirical distribution (mid-ranks over n); beyond
    them it goes on as a line with the mean slope of the outer tenth, so that scores more extreme
    than all members, as those of two changes together often are, still differ.

    Parameters
    ----------
    scores, ranks : array of float, shape (k,)
        Knots; made by `of`.

    Examples
    --------
    >>> t = RankTransform.of([0.0, 1.0, 10.0, 100.0])
    >>> t([0.0, 1.0, 5.5, 100.0]).tolist()
    [0.125, 0.375, 0.5, 0.875]
    >>> bool(t(200.0) > t(100.0))
    True
    """

    scores: FloatArray
    ranks: FloatArray

    @classmethod
    def of(cls, reference: npt.ArrayLike) -> RankTransform:
        """Make the map from scores (not shifts) of single changes, of pairs, or of both.

        Raises
        ------
        InputError
            With fewer than two distinct scores.
        """
        members = finite(reference, "reference scores")
        scores, counts = np.unique(members, return_counts=True)
        if len(scores) < 2:
            msg = "reference scores: fewer than two distinct ones; ranks need a set that varies"
            raise InputError(msg)
        return cls(scores, (np.cumsum(counts) - counts / 2) / len(members))

    def __call__(self, values: npt.ArrayLike) -> FloatArray:
        """Return the transformed scores, of the same shape."""
        x = np.asarray(values, dtype=np.float64)
        ranks = np.interp(x, self.scores, self.ranks)
        reach = max(1, int(_TAIL * len(self.scores)))
        for end, inner in ((0, reach), (-1, -1 - reach)):
            beyond = x < self.scores[0] if end == 0 else x > self.scores[-1]
            slope = (self.ranks[end] - self.ranks[inner]) / (self.scores[end] - self.scores[inner])
            ranks = np.where(beyond, self.ranks[end] + slope * (x - self.scores[end]), ranks)
        return np.asarray(ranks, dtype=np.float64)
