"""Linkage of two variants in a panel, and whether linked variants have correlated attributions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.statistics.common import FloatArray, permutation_p, said, signed

__all__ = [
    "LEAST_TESTED_PAIRS",
    "Linkage",
    "LinkageCorrelation",
    "attribution_correlation",
    "correlate_with_linkage",
    "linkage",
    "pairwise_linkage",
]

LEAST_TESTED_PAIRS = 20
"""Pairs of variants below which the correlation is shown but not tested."""


@dataclass(frozen=True)
class Linkage:
    """Linkage disequilibrium of two alleles, from phased haplotypes.

    Parameters
    ----------
    haplotypes, first, second, both : int
        All haplotypes, and those with the first, the second, and both alleles.
    d : float
        p(both) - p(first) p(second).
    d_prime, r2 : float, optional
        D over its largest possible size, with the sign of D; squared correlation. None where an
        allele is on no haplotype or on all.
    """

    haplotypes: int
    first: int
    second: int
    both: int
    d: float
    d_prime: float | None
    r2: float | None

    @property
    def text(self) -> str:
        """What a report says of it."""
        counts = (
            f"{self.first:,} and {self.second:,} of {self.haplotypes:,} haplotypes, "
            f"{self.both:,} with both"
        )
        if self.r2 is None or self.d_prime is None:
            return f"linkage undefined: an allele does not vary ({counts})"
        return f"r2 {said(self.r2)}, D' {signed(self.d_prime)} ({counts})"


def linkage(both: int, first: int, second: int, haplotypes: int) -> Linkage:
    """Return D, D' and r squared from haplotype counts.

    Parameters
    ----------
    both, first, second : int
        Haplotypes with both alleles, with the first (both included), and with the second.
    haplotypes : int
        All.

    Raises
    ------
    InputError
        For counts that cannot be.

    Notes
    -----
    Lewontin (1964), Genetics 49:49; Hill and Robertson (1968), Theor. Appl. Genet. 38:226.

    Examples
    --------
    >>> x = linkage(64, 64, 100, 1000)
    >>> round(x.d, 4), round(x.d_prime, 4), round(x.r2, 4)
    (0.0576, 1.0, 0.6154)
    >>> linkage(0, 10, 20, 100).d_prime
    -1.0
    """
    if haplotypes < 1 or both < 0 or not both <= min(first, second) <= max(first, second):
        msg = f"{both} with both of {first} and {second}: counts that cannot be; correct them"
        raise InputError(msg)
    if first + second - both > haplotypes:
        msg = f"{first} and {second} of {haplotypes} haplotypes: more carriers than there are"
        raise InputError(msg)
    # In whole numbers, so that D of independent alleles is exactly 0 and D' exactly 1 or -1.
    d = both * haplotypes - first * second
    rest_first, rest_second = haplotypes - first, haplotypes - second
    if d < 0:
        most = min(first * second, rest_first * rest_second)
    else:
        most = min(first * rest_second, rest_first * second)
    spread = first * rest_first * second * rest_second
    return Linkage(
        haplotypes,
        first,
        second,
        both,
        d / haplotypes**2,
        d / most if spread else None,
        d * d / spread if spread else None,
    )


def pairwise_linkage(
    carried: npt.ArrayLike, counts: npt.ArrayLike
) -> Iterator[tuple[int, int, Linkage]]:
    """Yield (i, j, linkage) for every pair of variants i < j.

    Parameters
    ----------
    carried : array of bool, shape (distinct haplotypes, variants)
        Which haplotype has which variant.
    counts : array of int, shape (distinct haplotypes,)
        How often each occurs.

    Raises
    ------
    InputError
        For shapes that do not fit.

    Examples
    --------
    >>> [(i, j, x.both) for i, j, x in pairwise_linkage([[1, 1], [1, 0], [0, 0]], [5, 2, 9])]
    [(0, 1, 5)]
    """
    has = np.asarray(carried, dtype=bool)
    number = np.asarray(counts, dtype=np.int64)
    if has.ndim != 2 or number.shape != has.shape[:1]:
        msg = f"haplotypes of shape {has.shape}, counts of {number.shape}: give a count per row"
        raise InputError(msg)
    together = (has * number[:, None]).T @ has.astype(np.int64)
    total = int(number.sum())
    for i, j in combinations(range(has.shape[1]), 2):
        a, b, c = (int(together[x]) for x in ((i, j), (i, i), (j, j)))
        yield i, j, linkage(a, b, c, total)


@dataclass(frozen=True)
class LinkageCorrelation:
    """Spearman correlation of linkage with the correlation of attributions, over pairs.

    Parameters
    ----------
    pairs, variants : int
    rho : float, optional
        None where one of the two does not vary, or with fewer than three pairs.
    p : float, optional
        By permutation of variants; None with fewer than 20 pairs.
    draws : int
    """

    pairs: int
    variants: int
    rho: float | None
    p: float | None
    draws: int

    @property
    def text(self) -> str:
        """What a report says of it."""
        if self.rho is None:
            return f"linkage and correlation of attributions: {self.pairs} pairs, not assessed"
        start = f"linkage and correlation of attributions over {self.pairs} pairs of "
        start += f"{self.variants} variants"
        if self.p is None:
            return f"{start}: not tested, {LEAST_TESTED_PAIRS} pairs are needed"
        rho = f"Spearman {signed(self.rho)}"
        return f"{start}: {rho} (p {said(self.p)}, variants permuted)"


def correlate_with_linkage(
    r2: npt.ArrayLike, attribution: npt.ArrayLike, *, draws: int = 999, seed: int = 0
) -> LinkageCorrelation:
    """Return whether pairs in stronger linkage have more correlated attributions.

    Pairs that share a variant are not independent, so variants are permuted, not pairs (the test
    of Mantel 1967, Cancer Res. 27:209, with ranks).

    Parameters
    ----------
    r2, attribution : array of float, shape (variants, variants)
        Symmetric; NaN where a pair has no value (an allele or attribution that does not vary). The
        diagonal is not read.
    draws : int
        Permutations.
    seed : int

    Raises
    ------
    InputError
        For matrices that are not square, symmetric and of one size.
    OptionError
        For fewer than one draw.

    Examples
    --------
    >>> x = np.fromfunction(lambda i, j: 1.0 / (1 + abs(i - j)), (8, 8))
    >>> c = correlate_with_linkage(x, x)
    >>> c.pairs, round(c.rho, 6), c.p < 0.05
    (28, 1.0, True)
    """
    first, second = (np.asarray(m, dtype=np.float64) for m in (r2, attribution))
    square = first.ndim == 2 and first.shape[0] == first.shape[1]
    if not square or first.shape != second.shape:
        msg = f"matrices of shape {first.shape} and {second.shape}: give two square ones of a size"
        raise InputError(msg)
    if not all(np.allclose(m, m.T, equal_nan=True) for m in (first, second)):
        msg = "linkage or attribution matrix: is not symmetric; give one value per pair"
        raise InputError(msg)
    if draws < 1:
        msg = f"draws={draws}: must be at least 1"
        raise OptionError(msg)
    variants = len(first)
    upper = np.triu_indices(variants, 1)
    pairs = int(np.isfinite(first[upper] + second[upper]).sum())
    rho = _spearman(first[upper], second[upper])
    if rho is None or pairs < LEAST_TESTED_PAIRS:
        return LinkageCorrelation(pairs, variants, rho, None, 0)
    rng = np.random.default_rng(seed)
    null: list[float] = []
    for _ in range(draws):
        order = rng.permutation(variants)
        null.append(_spearman(first[np.ix_(order, order)][upper], second[upper]) or 0.0)
    return LinkageCorrelation(pairs, variants, rho, permutation_p(rho, null), draws)


def _spearman(first: FloatArray, second: FloatArray) -> float | None:
    from scipy.stats import rankdata

    both = np.isfinite(first) & np.isfinite(second)
    x, y = first[both], second[both]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])


def attribution_correlation(attributions: npt.ArrayLike, counts: Sequence[int]) -> FloatArray:
    """Return the correlation of variants' attributions over haplotypes, weighted by counts.

    Parameters
    ----------
    attributions : array of float, shape (distinct haplotypes, variants)
        NaN where a haplotype does not carry the variant.
    counts : sequence of int
        How often each haplotype occurs.

    Returns
    -------
    array of float, shape (variants, variants)
        Pearson; NaN where fewer than three distinct haplotypes carry both, or one does not vary.

    Examples
    --------
    >>> attribution_correlation([[1.0, 2.0], [2.0, 4.0], [4.0, 8.0]], [1, 1, 1]).round(6).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    values = np.asarray(attributions, dtype=np.float64)
    number = np.asarray(counts, dtype=np.float64)
    if values.ndim != 2 or number.shape != values.shape[:1]:
        msg = f"attributions of shape {values.shape}, {len(number)} counts: give a count per row"
        raise InputError(msg)
    n = values.shape[1]
    result = np.full((n, n), np.nan)
    for i, j in combinations(range(n), 2):
        both = np.isfinite(values[:, i]) & np.isfinite(values[:, j]) & (number > 0)
        x, y, w = values[both, i], values[both, j], number[both]
        if len(x) >= 3 and np.ptp(x) > 0 and np.ptp(y) > 0:
            covariance = np.cov(x, y, aweights=w)
            scale = np.sqrt(covariance[0, 0] * covariance[1, 1])
            result[i, j] = result[j, i] = covariance[0, 1] / scale
    np.fill_diagonal(result, 1.0)
    return result
