"""How much a column tells of an attribute: cross-fitted, with bootstrap rows.

One idea for columns of every type: a column has *levels* (its values, or at most twenty bins of
numbers, each with the same number of rows; missing is a level of its own), and what it tells is the
share of each attribute value in its level, among rows that are not those it is used for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types

from saliscope.core.units import FloatArray

__all__ = ["auc_of", "folds_of", "interval", "levels_of", "resampled", "told"]

BINS = 20
FOLDS = 5
SMOOTHING = 10.0
"""Rows of the overall share that are added to each level, so that rare levels tell little."""

_Whole = npt.NDArray[np.int64]


def levels_of(table: pd.DataFrame, bins: int = BINS) -> _Whole:
    """Return the level of each row: of one column, or of several taken together.

    Parameters
    ----------
    table : pandas.DataFrame
        One column or several that belong together.
    bins : int
        Most levels of numbers; of several columns with numbers, of all of them together.

    Returns
    -------
    numpy.ndarray of int, shape (rows,)
        Counted from 0.

    Examples
    --------
    >>> levels_of(pd.DataFrame({"city": ["Rome", "Bari", "Rome", None]})).tolist()
    [2, 1, 2, 0]
    >>> levels_of(pd.DataFrame({"age": [10.0, 20.0, 30.0, 40.0]}), bins=2).tolist()
    [1, 1, 2, 2]
    """
    many = [_continuous(table.iloc[:, j], bins) for j in range(table.shape[1])]
    each = max(2, round(bins ** (1 / max(1, sum(many)))))
    codes = [
        _binned(table.iloc[:, j], each) if numbers else _coded(table.iloc[:, j])
        for j, numbers in enumerate(many)
    ]
    if len(codes) == 1:
        return codes[0]
    _, joint = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)
    return np.asarray(joint.reshape(-1), dtype=np.int64)


def _continuous(column: pd.Series[Any], bins: int) -> bool:
    number = types.is_numeric_dtype(column.dtype) or types.is_datetime64_any_dtype(column.dtype)
    return bool(number and column.nunique() > bins)


def _coded(column: pd.Series[Any]) -> _Whole:
    """Return values as whole numbers in their order; 0 is missing."""
    codes, found = pd.factorize(column)
    order = np.argsort(np.argsort(np.array([str(v) for v in found]), kind="stable"))
    return np.asarray(np.append(order, -1)[codes] + 1, dtype=np.int64)


def _binned(column: pd.Series[Any], bins: int) -> _Whole:
    numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    known = numbers[~np.isnan(numbers)]
    cuts = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.where(np.isnan(numbers), 0, np.searchsorted(cuts, numbers, side="left") + 1)


def folds_of(rows: int, rng: np.random.Generator, count: int = FOLDS) -> _Whole:
    """Return the fold of each row, drawn; folds differ by one row at most."""
    return np.asarray(rng.permutation(np.arange(rows) % min(count, rows)), dtype=np.int64)


def told(levels: _Whole, positive: npt.NDArray[np.bool_], folds: _Whole) -> FloatArray:
    """Return the share of positives in the level of each row, among rows of other folds.

    Shares are drawn towards the overall share, as if each level had ten more rows of it
    (Micci-Barreca 2001, SIGKDD Explorations 3(1), section 3).

    Examples
    --------
    >>> level, sick = np.array([0, 0, 1, 1]), np.array([True, True, False, False])
    >>> told(level, sick, np.array([0, 1, 0, 1])).round(3).tolist()
    [0.545, 0.545, 0.455, 0.455]
    """
    found = np.empty(len(levels))
    for fold in np.unique(folds):
        own = folds == fold
        seen, known = levels[~own], positive[~own]
        count = np.bincount(seen, minlength=levels.max() + 1)
        hits = np.bincount(seen, known, minlength=levels.max() + 1)
        share = known.mean() if len(known) else 0.0
        found[own] = ((hits + SMOOTHING * share) / (count + SMOOTHING))[levels[own]]
    return found


def resampled(rows: int, draws: int, rng: np.random.Generator) -> FloatArray:
    """Return how often each row is drawn: first once each, then in bootstrap samples.

    Returns
    -------
    numpy.ndarray, shape (draws + 1, rows)
    """
    share = np.full(rows, 1 / rows)
    drawn = rng.multinomial(rows, share, size=draws)
    return np.concatenate([np.ones((1, rows)), drawn]).astype(np.float64)


def auc_of(
    scores: FloatArray, positive: npt.NDArray[np.bool_], folds: _Whole, weights: FloatArray
) -> FloatArray:
    """Return the area under the ROC curve, over pairs of rows of the same fold.

    Scores of different folds come from different fits, and comparing them would pull the area of
    a column that tells nothing below one half.

    Parameters
    ----------
    scores : numpy.ndarray, shape (rows,)
    positive : numpy.ndarray of bool, shape (rows,)
    folds : numpy.ndarray of int, shape (rows,)
    weights : numpy.ndarray, shape (draws, rows)
        How often each row counts, in each sample.

    Returns
    -------
    numpy.ndarray, shape (draws,)
        NaN where a sample has no pair to compare.

    Examples
    --------
    >>> y = np.array([False, True, False, True])
    >>> auc_of(np.array([0.1, 0.2, 0.3, 0.3]), y, np.zeros(4, int), np.ones((1, 4))).tolist()
    [0.625]
    """
    places, key = np.unique(np.stack([folds, scores], axis=1), axis=0, return_inverse=True)
    key = key.reshape(-1)
    both = 2 * key + positive
    counts = np.stack([np.bincount(both, row, 2 * len(places)) for row in weights])
    low, high = counts[:, 0::2], counts[:, 1::2]
    below = np.cumsum(low, axis=1) - low
    starts = np.searchsorted(places[:, 0], places[:, 0])  # where the fold of each place begins
    below = below - below[:, starts]
    fold = places[:, 0].astype(np.int64)
    pairs = sum(
        (high[:, fold == f].sum(1) * low[:, fold == f].sum(1) for f in np.unique(fold)),
        start=np.zeros(len(weights)),
    )
    won = (high * (below + low / 2)).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(won / pairs)


def interval(samples: FloatArray, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of bootstrap samples (Efron & Tibshirani 1993, chapter 13)."""
    known = samples[np.isfinite(samples)]
    if len(known) < 2:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
