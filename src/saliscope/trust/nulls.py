"""Maps that mean nothing: the same values elsewhere, as smooth as before.

A map is judged beside copies of itself whose values stand in other places. Where neighbors are
alike, single values must not be shuffled: the copies would be rougher than the map, and a model may
answer to that alone. So whole blocks are moved, as long as neighbors are alike; where they are
not, blocks are single values.

Where it is known how much the input changes when a part goes, values stay among parts that change
it about as much. Otherwise a map that knows nothing but where there is something in a picture (its
brightness, its edges, the map of random weights) would beat copies that lie on the background.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from saliscope.core.units import FloatArray

__all__ = ["Shuffler", "alike", "order_of", "strata_of"]

_ALIKE = 0.2  # rank correlation of neighbors that counts
_CHANCE = 2.0  # standard errors of a correlation that is none
_STRATA = 8


def alike(values: FloatArray, axis: int) -> int:
    """Return how far apart values along an axis stand until they are no longer alike.

    The first distance at which the rank correlation falls to 0.2, or to two standard errors where
    those are more; 1 where neighbors already differ.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.normal(size=200)
    >>> alike(noise, 0), alike(np.convolve(noise, np.ones(8), "valid"), 0)
    (1, 6)
    """
    ranks = np.moveaxis(rankdata(values).reshape(values.shape), axis, 0)
    ranks = ranks - ranks.mean()
    size = float((ranks**2).mean())
    if size == 0:
        return 1
    for lag in range(1, len(ranks)):
        pairs = ranks[lag:] * ranks[:-lag]
        if pairs.mean() / size < max(_ALIKE, _CHANCE / np.sqrt(pairs.size)):
            return lag
    return len(ranks)


def order_of(values: FloatArray, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the places of values from the largest to the smallest, equal ones in random order.

    Examples
    --------
    >>> order_of(np.array([0.5, 2.0, -1.0]), np.random.default_rng(0)).tolist()
    [1, 0, 2]
    """
    flat = values.ravel()
    return np.lexsort((rng.random(flat.size), -flat)).astype(np.int64)


def strata_of(change: FloatArray) -> npt.NDArray[np.int64]:
    """Return parts by how much the input changes without them: at most eight strata of like ones.

    Equal changes are in one stratum, so that a black background is.

    Examples
    --------
    >>> strata_of(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 9.0])).tolist()
    [1, 1, 1, 1, 1, 1, 2, 3]
    """
    ends = np.unique(np.quantile(change, np.arange(1, _STRATA) / _STRATA))
    return np.digitize(change, ends).astype(np.int64)


class Shuffler:
    """Draws copies of a map with its values elsewhere.

    Parameters
    ----------
    values : numpy.ndarray
        On the grid of its groups: along a sequence, or rows and columns of an image.
    rng : numpy.random.Generator
    ordered : bool
        Whether neighbors on the grid are neighbors in the input. Columns of a table are not.
    strata : numpy.ndarray of int, optional
        Of each value, by `strata_of`: values stay within.

    Examples
    --------
    >>> ramp = np.arange(12.0)
    >>> draw = Shuffler(ramp, np.random.default_rng(0))
    >>> copy = draw()
    >>> draw.blocks, sorted(copy.tolist()) == ramp.tolist(), int((np.abs(np.diff(copy)) == 1).sum())
    ((2,), True, 6)
    """

    def __init__(
        self, values: FloatArray, rng: np.random.Generator, *, ordered: bool = True,
        strata: npt.NDArray[np.int64] | None = None,
    ) -> None:  # fmt: skip
        self.values, self.rng = values, rng
        labels = np.zeros(0) if strata is None else strata.ravel()
        self.strata = [np.flatnonzero(labels == each) for each in np.unique(labels)]
        self.blocks = tuple(
            min(alike(values, axis), max(1, size // 3)) if ordered else 1
            for axis, size in enumerate(values.shape)
        )
        """Values of a block along each axis."""

    def __call__(self) -> FloatArray:
        """Return one copy."""
        copy = self._moved()
        if not self.strata:
            return copy
        # Within a stratum its own values stand in the order of the copy, which is as smooth.
        ranks, own, kept = copy.ravel(), self.values.ravel(), np.empty(copy.size)
        for stratum in self.strata:
            kept[stratum[order_of(ranks[stratum], self.rng)]] = np.sort(own[stratum])[::-1]
        return kept.reshape(copy.shape)

    def _moved(self) -> FloatArray:
        """Return the values in other places, blocks of them where neighbors are alike."""
        if set(self.blocks) == {1}:
            return self.rng.permutation(self.values.ravel()).reshape(self.values.shape)
        places = [self._places(n, b) for n, b in zip(self.values.shape, self.blocks, strict=True)]
        return self.values[np.ix_(*places)]

    def _places(self, size: int, block: int) -> npt.NDArray[np.int64]:
        """Return where values along one axis come from: blocks of a circle, in random order."""
        start = int(self.rng.integers(size))
        circle = (np.arange(size) + start) % size
        pieces = np.array_split(circle, max(1, size // block))
        order = self.rng.permutation(len(pieces))
        joined = np.concatenate([pieces[i] for i in order])
        turned = np.roll(joined, int(self.rng.integers(size)))
        return turned[::-1] if self.rng.random() < 0.5 else turned
