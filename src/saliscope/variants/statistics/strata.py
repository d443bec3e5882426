"""Exact and asymptotic tests of 2x2 tables in strata, as R's `fisher.test` and `mantelhaen.test`.

Given the margins, the count of exposed cases is a sum of independent hypergeometric variables: one
distribution, from which the exact p, the conditional estimate of the common odds ratio, and its
interval are read. Fisher's test is the case of one stratum. Written here because scipy knows one
stratum only, and statsmodels no exact test, a continuity correction that can overshoot, and p from
`1 - cdf`, which is lost when small.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.statistics.common import BoolArray, FloatArray, IntArray

__all__ = [
    "Exact",
    "Homogeneity",
    "Pooled",
    "as_tables",
    "breslow_day",
    "exact",
    "informative",
    "mantel_haenszel",
]

_SMALLEST = 1e-290
_RELATIVE = 1 + 1e-7  # of R: tables that differ in probability by less are equally extreme
_ENOUGH = 5  # Mantel and Fleiss (1980): expected counts this far from both of their limits


@dataclass(frozen=True)
class Exact:
    """An exact conditional test.

    Parameters
    ----------
    p : float
        Two-sided: the probability of all tables that are no more probable than the observed one.
    odds_ratio : float
        Conditional maximum likelihood estimate, common to the strata; may be 0 or infinite.
    low, high : float
        Exact interval (equal tails), which need not agree with the two-sided p at its edge.
    """

    p: float
    odds_ratio: float
    low: float
    high: float


@dataclass(frozen=True)
class Pooled:
    """Mantel-Haenszel statistics.

    Parameters
    ----------
    odds_ratio : float, optional
        Mantel and Haenszel (1959); infinite where no table opposes, None where none has a say.
    low, high : float, optional
        Interval of Robins, Breslow and Greenland (1986); None where the estimate is 0 or infinite.
    chi2, p : float
        With continuity correction where the difference is at least one half, as in R.
    chi2_uncorrected : float
    enough : bool
        Whether the chi-square form may be trusted (Mantel and Fleiss 1980).
    """

    odds_ratio: float | None
    low: float | None
    high: float | None
    chi2: float
    p: float
    chi2_uncorrected: float
    enough: bool


@dataclass(frozen=True)
class Homogeneity:
    """Whether the odds ratios of the strata differ: Breslow-Day, and with Tarone's correction.

    Parameters
    ----------
    statistic, p : float
        Breslow and Day (1980).
    tarone, tarone_p : float
        Tarone (1985); the one to report.
    df : int
        Strata minus one.
    """

    statistic: float
    p: float
    tarone: float
    tarone_p: float
    df: int


def as_tables(tables: npt.ArrayLike) -> IntArray:
    """Return counts of shape (strata, 2, 2), or refuse what is not a table of counts.

    Examples
    --------
    >>> as_tables([[3, 1], [1, 3]]).shape
    (1, 2, 2)
    """
    try:
        array = np.asarray(tables, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = "2x2 tables: hold something that is not a count; give whole numbers"
        raise InputError(msg) from error
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.shape[1:] != (2, 2):
        msg = f"2x2 tables: have shape {array.shape}; give (strata, 2, 2)"
        raise InputError(msg)
    if not np.all(np.isfinite(array) & (array >= 0) & (array == np.round(array))):
        msg = "2x2 tables: hold a count that is negative or not whole; give whole numbers"
        raise InputError(msg)
    return array.astype(np.int64)


def informative(tables: npt.ArrayLike) -> BoolArray:
    """Return which strata have all four margins above zero: the others contribute nothing.

    Examples
    --------
    >>> informative([[[3, 1], [1, 3]], [[0, 5], [0, 6]]]).tolist()
    [True, False]
    """
    counts = as_tables(tables)
    return np.asarray(np.all(counts.sum(1) > 0, axis=1) & np.all(counts.sum(2) > 0, axis=1))


def _hypergeometric(table: IntArray, log_odds: float) -> tuple[int, FloatArray]:
    """Return the lowest count of exposed cases and the probabilities from there on.

    Products of the ratio of neighbors, from the mode outward, keep full relative precision where
    logarithms of factorials would lose it.
    """
    (a, b), (c, d) = (tuple(map(int, row)) for row in table)
    cases, exposed, rest = a + b, a + c, d - a
    low, high = max(0, -rest), min(cases, exposed)
    k = np.arange(low, high, dtype=np.float64)
    ratio = (cases - k) * (exposed - k) / ((k + 1) * (rest + k + 1)) * math.exp(log_odds)
    mode = int(np.count_nonzero(ratio > 1))
    weights = np.ones(high - low + 1)
    weights[mode + 1 :] = np.cumprod(ratio[mode:])
    weights[:mode] = np.cumprod(1 / ratio[:mode][::-1])[::-1]
    weights /= weights.sum()
    held = np.flatnonzero(weights > _SMALLEST)
    return low + int(held[0]), weights[held[0] : held[-1] + 1]


def _distribution(tables: IntArray, log_odds: float = 0.0) -> tuple[int, FloatArray]:
    """Return the lowest total and the probabilities from there on, at a common odds ratio.

    Ends that a double cannot hold are cut, or the sums over large cohorts would be mostly zeros.
    """
    low, total = 0, np.ones(1)
    for table in tables:
        start, probabilities = _hypergeometric(table, log_odds)
        total = np.convolve(total, probabilities)
        held = np.flatnonzero(total > _SMALLEST)
        low, total = low + start + int(held[0]), total[held[0] : held[-1] + 1]
    return low, total / total.sum()


def _near(tables: IntArray) -> float:
    """Return a finite log odds ratio near the estimate: Mantel-Haenszel with halves added."""
    cells = tables + 0.5
    n = cells.sum((1, 2))
    agree = cells[:, 0, 0] * cells[:, 1, 1] / n
    oppose = cells[:, 0, 1] * cells[:, 1, 0] / n
    return math.log(float(agree.sum()) / float(oppose.sum()))


def _root(function: Callable[[float], float]) -> float:
    """Return the zero of an increasing function of the log odds ratio."""
    from scipy.optimize import brentq

    low, high = -1.0, 1.0
    while function(low) > 0:
        low *= 2
    while function(high) < 0:
        high *= 2
    return float(brentq(function, low, high, xtol=1e-15, rtol=1e-15, maxiter=1000))


def exact(tables: npt.ArrayLike, confidence: float = 0.95) -> Exact | None:
    """Return the exact conditional test of 2x2 tables; Fisher's test where there is one.

    Parameters
    ----------
    tables : array of int, shape (strata, 2, 2) or (2, 2)
        Rows: cases, controls; columns: with, without.
    confidence : float
        Of the interval.

    Returns
    -------
    Exact, optional
        None where no stratum has all margins above zero.

    Notes
    -----
    Mehta, Patel and Gray (1985), J. Am. Stat. Assoc. 80:969. The distribution is tilted to the
    region of the estimate before it is summed, so that large tables do not underflow there. A p
    below 1e-290 is given as 0.

    Examples
    --------
    >>> r = exact([[3, 1], [1, 3]])
    >>> round(r.p, 6), round(r.odds_ratio, 4), round(r.low, 4), round(r.high, 2)
    (0.485714, 6.4083, 0.2117, 626.24)
    """
    if not 0 < confidence < 1:
        msg = f"confidence={confidence}: must lie between 0 and 1"
        raise OptionError(msg)
    counts = as_tables(tables)
    counts = counts[informative(counts)]
    if not len(counts):
        return None
    observed = int(counts[:, 0, 0].sum())
    low, null = _distribution(counts)
    held = 0 <= observed - low < len(null)
    p = float(null[null <= null[observed - low] * _RELATIVE].sum()) if held else 0.0

    near = _near(counts)
    low, tilted = _distribution(counts, near)
    with np.errstate(divide="ignore"):
        logs = np.log(tilted)
    away = np.arange(low, low + len(tilted)) - observed

    def at(log_odds: float) -> FloatArray:
        exponents = logs + log_odds * away
        weights = np.exp(exponents - exponents.max())
        return np.asarray(weights / weights.sum())

    def odds(function: Callable[[float], float]) -> float:
        return math.exp(near + _root(function))

    tail = (1 - confidence) / 2
    a, b, c, d = counts.reshape(-1, 4).T
    above = observed > int(np.maximum(0, a - d).sum())
    below = observed < int(np.minimum(a + b, a + c).sum())
    ratio, least, most = 0.0, 0.0, math.inf
    if above:
        ratio = math.inf
        least = odds(lambda u: float(at(u)[away >= 0].sum()) - tail)
    if below:
        most = odds(lambda u: tail - float(at(u)[away <= 0].sum()))
        if above:
            ratio = odds(lambda u: float((at(u) * away).sum()))
    return Exact(min(1.0, p), ratio, least, most)


def mantel_haenszel(tables: npt.ArrayLike, confidence: float = 0.95) -> Pooled | None:
    """Return the Mantel-Haenszel odds ratio, its interval, and the chi-square test.

    Parameters
    ----------
    tables : array of int, shape (strata, 2, 2) or (2, 2)
    confidence : float

    Returns
    -------
    Pooled, optional
        None where no stratum has all margins above zero.

    Notes
    -----
    Mantel and Haenszel (1959), J. Natl. Cancer Inst. 22:719; Robins, Breslow and Greenland (1986),
    Biometrics 42:311; Mantel and Fleiss (1980), Am. J. Epidemiol. 112:129.

    Examples
    --------
    >>> r = mantel_haenszel([[[12, 88], [5, 95]], [[6, 24], [3, 27]]])
    >>> round(r.odds_ratio, 4), round(r.low, 4), round(r.high, 4), round(r.chi2, 4)
    (2.4706, 1.0293, 5.9301, 3.4596)
    """
    from scipy.special import chdtrc, ndtri

    counts = as_tables(tables)
    counts = counts[informative(counts)].astype(np.float64)
    if not len(counts):
        return None
    a, b, c, d = counts[:, 0, 0], counts[:, 0, 1], counts[:, 1, 0], counts[:, 1, 1]
    n = a + b + c + d
    expected = (a + b) * (a + c) / n
    gap = abs(float((a - expected).sum()))
    variance = float(((a + b) * (a + c) * (b + d) * (c + d) / (n**2 * (n - 1))).sum())
    corrected = (gap - (0.5 if gap >= 0.5 else 0.0)) ** 2 / variance
    lowest, highest = np.maximum(0, a - d), np.minimum(a + b, a + c)
    agree, oppose = a * d / n, b * c / n
    r, s = float(agree.sum()), float(oppose.sum())
    ratio = r / s if s else math.inf if r else None
    low = high = None
    if r and s:
        concordant = (a + d) / n
        width = float(ndtri((1 + confidence) / 2)) * math.sqrt(
            float((concordant * agree).sum()) / (2 * r**2)
            + float((concordant * oppose + (1 - concordant) * agree).sum()) / (2 * r * s)
            + float(((1 - concordant) * oppose).sum()) / (2 * s**2)
        )
        low, high = r / s * math.exp(-width), r / s * math.exp(width)
    return Pooled(
        odds_ratio=ratio,
        low=low,
        high=high,
        chi2=corrected,
        p=float(chdtrc(1, corrected)),
        chi2_uncorrected=gap**2 / variance,
        enough=bool((expected - lowest).sum() >= _ENOUGH and (highest - expected).sum() >= _ENOUGH),
    )


def breslow_day(tables: npt.ArrayLike) -> Homogeneity | None:
    """Return the test of equal odds ratios in all strata, about the Mantel-Haenszel estimate.

    Parameters
    ----------
    tables : array of int, shape (strata, 2, 2)

    Returns
    -------
    Homogeneity, optional
        None with fewer than two strata that have all margins above zero, or with a pooled odds
        ratio that is 0 or infinite.

    Notes
    -----
    Breslow and Day (1980), Statistical Methods in Cancer Research I, 4.30; Tarone (1985),
    Biometrika 72:91.

    Examples
    --------
    >>> r = breslow_day([[[20, 30], [10, 60]], [[8, 52], [24, 36]]])
    >>> round(r.statistic, 3), round(r.tarone, 3), r.df
    (21.211, 21.211, 1)
    """
    from scipy.special import chdtrc

    counts = as_tables(tables)
    counts = counts[informative(counts)].astype(np.float64)
    pooled = mantel_haenszel(counts) if len(counts) > 1 else None
    if pooled is None or not pooled.odds_ratio or math.isinf(pooled.odds_ratio):
        return None
    ratio = pooled.odds_ratio
    a, d = counts[:, 0, 0], counts[:, 1, 1]
    cases, exposed = counts[:, 0].sum(1), counts[:, :, 0].sum(1)
    rest = d - a
    # The root of (1 - ratio) e^2 + linear e - ratio cases exposed = 0 that is a possible count,
    # in the one of its two forms that does not cancel.
    linear = rest + ratio * (cases + exposed)
    root = np.sqrt(linear**2 + 4 * (1 - ratio) * ratio * cases * exposed)
    e = np.where(
        linear > 0,
        2 * ratio * cases * exposed / np.where(linear > 0, linear + root, 1),
        (root - linear) / (2 * (1 - ratio) if ratio != 1 else 1),
    )
    variance = 1 / (1 / e + 1 / (cases - e) + 1 / (exposed - e) + 1 / (rest + e))
    statistic = float(((a - e) ** 2 / variance).sum())
    tarone = statistic - float((a - e).sum()) ** 2 / float(variance.sum())
    df = len(counts) - 1
    return Homogeneity(
        statistic=statistic,
        p=float(chdtrc(df, statistic)),
        tarone=max(0.0, tarone),
        tarone_p=float(chdtrc(df, max(0.0, tarone))),
        df=df,
    )
