"""Whether positions with a high gradient cluster around variant sites.

Sites are shifted together around the coding sequence, which keeps their spacing and the
autocorrelation of the gradient along it: positions are not taken as independent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.statistics.common import FloatArray, IntArray, finite, said

__all__ = ["Clustering", "codon_of", "site_clustering"]

_CHUNK = 1 << 22  # values looked up at once


def codon_of(base: int) -> int:
    """Return the codon, from 1, of a base of the coding sequence, from 1.

    Examples
    --------
    >>> codon_of(1), codon_of(3), codon_of(4), codon_of(719)
    (1, 1, 2, 240)
    """
    if base < 1:
        msg = f"base {base}: the coding sequence starts at 1; give a position inside it"
        raise InputError(msg)
    return (base - 1) // 3 + 1


@dataclass(frozen=True)
class Clustering:
    """Saliency near variant sites against all other placements of the same sites.

    Parameters
    ----------
    near, elsewhere : float
        Mean saliency within the window of a site, and outside of all windows (the same number
        where they cover everything).
    p : float
        One-sided, (1 + #{null >= near}) / (N + 1).
    shifts : int
        N: all circular shifts but none.
    sites, window, codons : int
        Distinct sites, codons to each side, length.
    """

    near: float
    elsewhere: float
    p: float
    shifts: int
    sites: int
    window: int
    codons: int

    @property
    def text(self) -> str:
        """What a report says of it."""
        verb = "higher than" if self.p < 0.05 else "not clearly higher than"
        return (
            f"saliency within {self.window} codons of {self.sites} variant sites averages "
            f"{self.near:.3g}, elsewhere {self.elsewhere:.3g}; {verb} at other placements of the "
            f"same sites (p {said(self.p)}, {self.shifts:,} circular shifts)"
        )


def site_clustering(saliency: npt.ArrayLike, sites: Iterable[int], window: int = 3) -> Clustering:
    """Return whether saliency is higher around `sites` than around the same sites shifted.

    Parameters
    ----------
    saliency : array of float, shape (codons,)
        A magnitude per codon, the stop not included.
    sites : iterable of int
        Codons, from 1; repeats count once.
    window : int
        Codons to each side.

    Returns
    -------
    Clustering

    Raises
    ------
    InputError
        Without sites, for a site outside, fewer than two codons, or a saliency that is not finite
        or negative.
    OptionError
        For a negative window.

    Notes
    -----
    The statistic is the mean saliency over all codons within `window` of a site, each counted
    once. The sequence is taken as a ring, also for windows at its ends, so that every shift is the
    same statistic; all shifts are computed, none is drawn.

    Examples
    --------
    >>> c = site_clustering([0, 0, 0, 9, 0, 0, 0, 0, 0, 0], [4], window=0)
    >>> c.near, c.elsewhere, c.p, c.shifts
    (9.0, 0.0, 0.1, 9)
    """
    values = finite(saliency, "saliency")
    length = len(values)
    if length < 2 or np.any(values < 0):
        msg = "saliency: needs two codons or more and no negative number; give magnitudes"
        raise InputError(msg)
    if window < 0:
        msg = f"window={window}: must be at least 0"
        raise OptionError(msg)
    places = sorted({int(site) for site in sites})
    if not places or places[0] < 1 or places[-1] > length:
        outside = [site for site in places if not 1 <= site <= length]
        msg = f"sites {outside or 'none'}: give codons from 1 to {length}"
        raise InputError(msg)
    steps = np.arange(-window, window + 1)
    around = np.unique((np.array(places)[:, None] - 1 + steps) % length)
    means = _shifted_means(values, around)
    near, total = float(means[0]), float(values.sum())
    slack = 1e-12 * float(means.max())
    others = length - len(around)
    return Clustering(
        near=near,
        elsewhere=(total - near * len(around)) / others if others else near,
        p=(1 + int(np.count_nonzero(means[1:] >= near - slack))) / length,
        shifts=length - 1,
        sites=len(places),
        window=window,
        codons=length,
    )


def _shifted_means(values: FloatArray, around: IntArray) -> FloatArray:
    """Return the mean of `values` at `around`, for every circular shift of `around`."""
    length = len(values)
    step = max(1, _CHUNK // len(around))
    return np.concatenate(
        [
            values[(around + np.arange(i, min(i + step, length))[:, None]) % length].mean(1)
            for i in range(0, length, step)
        ]
    )
