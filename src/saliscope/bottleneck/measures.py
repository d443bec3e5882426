"""Plain functions of arrays: effective rank, alignment of representations, ranks, intervals."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from saliscope.core.units import FloatArray

__all__ = [
    "Interval", "auroc", "effective_rank", "explained", "interval", "linear_cka",
    "rank_correlations", "ranks",
    "spearman",
]  # fmt: skip


class Interval(NamedTuple):
    """A mean over families, and the middle 95 % of what redrawn families give."""

    value: float
    low: float
    high: float


def _spectrum(rows: FloatArray) -> FloatArray:
    """Return the singular values of centered rows."""
    centered = rows - rows.mean(0)
    return np.linalg.svd(centered, compute_uv=False)


def effective_rank(rows: FloatArray) -> float:
    """Return how many directions numbers use: exp of the entropy of the singular values.

    Roy and Vetterli (2007), EUSIPCO, definition 1, of centered rows: 1 where all rows lie on a
    line, the number of columns where they fill all directions alike.

    Parameters
    ----------
    rows : numpy.ndarray, shape (inputs, numbers)

    Examples
    --------
    >>> line = np.outer(np.arange(5.0), [1.0, 2.0])
    >>> round(effective_rank(line), 6)
    1.0
    """
    values = _spectrum(rows)
    total = values.sum()
    if total == 0:
        return 0.0
    share = values[values > values[0] * 1e-12] / total
    return float(np.exp(-(share * np.log(share)).sum()))


def explained(rows: FloatArray, share: float) -> int:
    """Return how many principal components hold a share of the variance of centered rows.

    Examples
    --------
    >>> explained(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.1], [1.0, 0.1]]), 0.9)
    1
    """
    variance = _spectrum(rows) ** 2
    if variance.sum() == 0:
        return 0
    reached = np.cumsum(variance) / variance.sum()
    return int(np.searchsorted(reached, share - 1e-12) + 1)


def linear_cka(x: FloatArray, y: FloatArray) -> float:
    """Return the linear centered kernel alignment of two representations of the same rows.

    Kornblith et al. (2019), Similarity of Neural Network Representations Revisited, ICML, eq. 5:
    1 for representations that differ by a rotation and a scale, near 0 for unrelated ones where
    rows outnumber columns.

    Parameters
    ----------
    x, y : numpy.ndarray, shape (rows, numbers)

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(50, 3))
    >>> round(linear_cka(x, 2 * x[:, [2, 0, 1]]), 6)
    1.0
    """
    x, y = x - x.mean(0), y - y.mean(0)
    below = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(np.linalg.norm(y.T @ x) ** 2 / below) if below else float("nan")


def ranks(values: FloatArray) -> FloatArray:
    """Return ranks from 1 along the first axis, ties sharing their mean.

    Examples
    --------
    >>> ranks(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    found: FloatArray = (ends - (counts - 1) / 2)[inverse].astype(np.float64)
    return found


def spearman(x: FloatArray, y: FloatArray) -> float:
    """Return the rank correlation; NaN where either is constant.

    Examples
    --------
    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 9.0]))
    1.0
    """
    a, b = ranks(x), ranks(y)
    a, b = a - a.mean(), b - b.mean()
    below = float(np.sqrt((a @ a) * (b @ b)))
    return round(float(a @ b) / below, 15) if below > 0 else float("nan")


def rank_correlations(x: FloatArray, y: FloatArray) -> list[float]:
    """Return the rank correlation of each column of one array with that of the other.

    Examples
    --------
    >>> x = np.array([[1.0, 3.0], [2.0, 2.0], [5.0, 1.0]])
    >>> rank_correlations(x, x[:, ::-1])
    [-1.0, -1.0]
    """
    from scipy.stats import rankdata

    a, b = (rankdata(side, axis=0) - (len(side) + 1) / 2 for side in (x, y))
    below = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: list[float] = ((a * b).sum(0) / below).round(15).tolist()
    return found


def auroc(positive: FloatArray, scores: FloatArray) -> float:
    """Return the chance that a positive has a larger score than a negative; NaN without either.

    Examples
    --------
    >>> auroc(np.array([1, 0, 1, 0]), np.array([0.9, 0.1, 0.4, 0.4]))
    0.875
    """
    chosen = np.asarray(positive, dtype=bool)
    count, rest = int(chosen.sum()), int((~chosen).sum())
    if not count or not rest:
        return float("nan")
    total = float(ranks(np.asarray(scores, dtype=np.float64))[chosen].sum())
    return (total - count * (count + 1) / 2) / (count * rest)


def interval(
    values: FloatArray, families: Sequence[Hashable], *, draws: int = 1000, seed: int = 0
) -> Interval:
    """Return the mean of values, each family weighing as much as its members, and its interval.

    Families are redrawn, since members of one are no independent observations.

    Parameters
    ----------
    values : numpy.ndarray, shape (items,)
        NaN where an item says nothing.
    families : sequence
        Of each item.

    Examples
    --------
    >>> interval(np.array([0.0, 1.0, 1.0]), ["a", "b", "b"]).value
    0.6666666666666666
    """
    known = np.isfinite(values)
    if not known.any():
        return Interval(float("nan"), float("nan"), float("nan"))
    _, number = np.unique(np.asarray(families, dtype=str)[known], return_inverse=True)
    totals = np.bincount(number, weights=values[known])
    counts = np.bincount(number)
    drawn = np.random.default_rng(seed).integers(0, len(totals), (draws, len(totals)))
    means = totals[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(totals.sum() / counts.sum()), float(low), float(high))
