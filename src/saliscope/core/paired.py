"""Regression on pairs of a coalition and its complement: Shapley values and interactions of pairs.

A pair splits a target into an odd part, half of the difference of its two scores, and an even part,
half of their sum. Shapley values depend on the odd part alone, and are exact where that is linear:
for every target that is additive or has interactions of pairs only. Interactions of pairs depend on
the even part alone, so that both come from the same evaluations. This is kernel SHAP with pairs
drawn level by level without replacement, and with the sum of the values held fixed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from saliscope.core.coalitions import Level, Masks, Sampler
from saliscope.core.surrogate import Strata, Surrogate, fit
from saliscope.core.units import FloatArray

__all__ = ["PairedRegression", "square"]


class PairedRegression:
    """Coalitions with their complements: drawn, evaluated, and fitted.

    Parameters
    ----------
    players : int
        At least four; at least six with interactions.
    rng : numpy.random.Generator
    interactions : bool
        Draw what `interactions` needs, too.

    Examples
    --------
    >>> def score(masks):  # each player has a part, and the first two work together
    ...     return (masks @ np.arange(1.0, 7.0) + 2.0 * masks[:, 0] * masks[:, 1])[:, None]
    >>> game = PairedRegression(6, np.random.default_rng(0), interactions=True)
    >>> ends = score(np.array([[True] * 6, [False] * 6]))
    >>> masks = game.draw(game.least)
    >>> game.add(masks, ends[0], ends[1], score(masks), score(~masks))
    >>> game.values().coefficients.round(9).tolist()
    [[2.0, 3.0, 3.0, 4.0, 5.0, 6.0]]
    >>> pairs = game.interactions().coefficients
    >>> square(pairs, 6)[0, 0].round(9) + 0.0  # of the first player with each
    array([0., 2., 0., 0., 0., 0.])
    """

    def __init__(
        self, players: int, rng: np.random.Generator, *, interactions: bool = False
    ) -> None:
        self.players = players
        self.sizes = np.arange(1, players // 2 + 1)
        levels = [Level(players, int(size), rng, paired=True) for size in self.sizes]
        # A residual at size k weighs 1 / (k (n - k)) in the fit, and a coefficient moves with it by
        # the square root of k (n - k); this share is optimal where all levels have like residuals.
        shares = 1 / np.sqrt(self.sizes * (players - self.sizes))
        # The first level whole makes additive targets exact; the second, those of pairs.
        self._sampler = Sampler(levels, shares, whole=(0, 1) if interactions else (0,))
        self._masks: list[Masks] = []
        self._level: list[npt.NDArray[np.int64]] = []
        self._fresh = np.empty(0, dtype=np.int64)
        self._odd: list[FloatArray] = []
        self._even: list[FloatArray] = []
        self.whole = self.empty = np.empty(0)

    @property
    def least(self) -> int:
        """Pairs without which there is no estimate."""
        return self._sampler.least

    @property
    def pairs(self) -> int:
        """Pairs that were added."""
        return sum(map(len, self._level))

    def draw(self, pairs: int) -> Masks:
        """Return fresh coalitions, so that there are at most `pairs` in all."""
        masks, self._fresh = self._sampler.draw(pairs)
        return masks

    def add(
        self, masks: Masks, whole: FloatArray, empty: FloatArray, those: FloatArray,
        others: FloatArray,
    ) -> None:  # fmt: skip
        """Take up scores.

        Parameters
        ----------
        masks : numpy.ndarray of bool, shape (rows, players)
            What was drawn last.
        whole, empty : numpy.ndarray, shape (targets,)
            Scores of all players together and of none.
        those, others : numpy.ndarray, shape (rows, targets)
            Scores of the coalitions drawn and of their complements.
        """
        self.whole, self.empty = whole, empty
        self._masks.append(masks)
        self._level.append(self._fresh)
        self._odd.append((those - others) / 2)
        self._even.append((those + others) / 2)

    def values(self) -> Surrogate:
        """Return Shapley values: the fit of the odd part by a sum over players.

        Their sum is the score of all players minus that of none, up to rounding.
        """
        n, change = self.players, self.whole - self.empty
        centered = np.concatenate(self._masks) - 0.5
        mass = self._sides / (self.sizes * (n - self.sizes))
        basis = _kernel(np.ones((1, n)))
        rest = np.concatenate(self._odd) - np.outer(centered.sum(1), change / n)
        strata = Strata(np.concatenate(self._level), mass, self._sampler.counts)
        found = fit(centered @ basis, rest, strata, basis)
        values = found.coefficients + change[:, None] / n
        values += (change - values.sum(1))[:, None] / n
        return Surrogate(values, found.stderr, found.held_out)

    def interactions(self) -> Surrogate:
        """Return Shapley interaction indices: the fit of the even part by a sum over pairs.

        Coefficients are in the order of ``numpy.triu_indices(players, 1)``. With the masses used
        here, the fit to all coalitions is the Shapley interaction index (Fumagalli et al. 2024,
        arXiv:2405.10852). The sum of one player's interactions is known from the first level, so
        what is left of them is fitted to the other levels.
        """
        n = self.players
        masks, level = np.concatenate(self._masks), np.concatenate(self._level)
        even = np.concatenate(self._even)
        first, second = np.triu_indices(n, 1)
        middle, single = (self.whole + self.empty) / 2, level == 0
        alone = np.empty((n, even.shape[1]))
        alone[masks[single].argmax(1)] = even[single]
        sums = 2 * (middle - alone)  # of each player's interactions, (players, targets)
        member = np.zeros((n, len(first)))
        member[first, range(len(first))] = member[second, range(len(first))] = 1.0
        start = np.linalg.lstsq(member, sums, rcond=None)[0]
        centered = masks[~single] - 0.5
        products = centered[:, first] * centered[:, second]
        # With all players, or none, each product is a quarter: that gives the constant.
        rest = even[~single] - (middle - sums.sum(0) / 8) - products @ start
        sizes, basis = self.sizes[1:], _kernel(member)
        mass = self._sides[1:] / (sizes * (sizes - 1) * (n - sizes) * (n - sizes - 1))
        strata = Strata(level[~single] - 1, mass, self._sampler.counts[1:])
        found = fit(products @ basis, rest, strata, basis)
        return Surrogate(found.coefficients + start.T, found.stderr, found.held_out)

    @property
    def _sides(self) -> FloatArray:
        """Sizes that a level of pairs stands for: two, but one at half of the players."""
        return np.where(2 * self.sizes == self.players, 1.0, 2.0)


def _kernel(constraints: FloatArray) -> FloatArray:
    """Return orthonormal columns that each of the constraints (rows) maps to zero."""
    full, _ = np.linalg.qr(constraints.T, mode="complete")
    return np.asarray(full[:, len(constraints) :])


def square(pairs: FloatArray, players: int) -> FloatArray:
    """Return numbers of pairs, shape (targets, pairs), as symmetric matrices.

    Examples
    --------
    >>> square(np.array([[5.0]]), 2).tolist()
    [[[0.0, 5.0], [5.0, 0.0]]]
    """
    first, second = np.triu_indices(players, 1)
    matrix = np.zeros((len(pairs), players, players))
    matrix[:, first, second] = matrix[:, second, first] = pairs
    return matrix
