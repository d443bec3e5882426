"""A linear surrogate of the target over coalitions, and how sure its coefficients are.

Weighted least squares on coalitions that were drawn level by level. Its standard errors are those
of a stratified sample without replacement: levels that are whole add nothing to them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saliscope.core.health import Finding, finding
from saliscope.core.units import FloatArray

__all__ = ["Strata", "Surrogate", "fit", "missed", "relative_error", "size"]

_NEAR_ONE = 0.99


@dataclass(frozen=True, eq=False)
class Strata:
    """Which level each row was drawn from.

    Parameters
    ----------
    level : numpy.ndarray of int, shape (rows,)
    mass : numpy.ndarray, shape (levels,)
        Weight of a level as a whole, in the population that is fitted.
    counts : numpy.ndarray, shape (levels,)
        How many coalitions a level has.
    """

    level: npt.NDArray[np.int64]
    mass: FloatArray
    counts: FloatArray

    @property
    def weights(self) -> FloatArray:
        """Weight of each row: its level's mass, shared out evenly."""
        drawn = np.bincount(self.level, minlength=len(self.mass))
        return (self.mass / np.maximum(drawn, 1))[self.level]


@dataclass(frozen=True, eq=False)
class Surrogate:
    """A fit.

    Parameters
    ----------
    coefficients, stderr : numpy.ndarray, shape (targets, coefficients)
    held_out : numpy.ndarray, shape (rows, targets)
        What the fit without a row misses that row by.
    """

    coefficients: FloatArray
    stderr: FloatArray
    held_out: FloatArray


def fit(
    design: FloatArray, values: FloatArray, strata: Strata, basis: FloatArray | None = None
) -> Surrogate:
    """Fit `values` by a weighted linear combination of the columns of `design`.

    Parameters
    ----------
    design : numpy.ndarray, shape (rows, columns)
        Of full column rank.
    values : numpy.ndarray, shape (rows, targets)
    strata : Strata
    basis : numpy.ndarray, shape (coefficients, columns), optional
        The coefficients that are wanted as combinations of those of the columns.

    Notes
    -----
    The error of a coefficient is, to first order, a weighted mean of its influence times the
    residual in each level. Its variance is that of means of samples without replacement, with
    residuals divided by one minus their leverage (MacKinnon & White 1985, HC3), because
    residuals of few rows are too small. Sarndal, Swensson & Wretman (1992), section 6.6.

    Examples
    --------
    >>> design = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> strata = Strata(np.zeros(3, dtype=int), np.ones(1), np.array([3.0]))
    >>> found = fit(design, np.array([[1.0], [3.0], [5.0]]), strata)
    >>> found.coefficients.round(9).tolist(), found.stderr.tolist()
    ([[1.0, 2.0]], [[0.0, 0.0]])
    """
    weights = strata.weights
    # Rows are scaled before they are multiplied out, and so are columns: both keep digits.
    scaled = design * np.sqrt(weights)[:, None]
    size = np.sqrt((scaled**2).sum(0))
    size[size == 0] = 1.0
    q, r = np.linalg.qr(scaled / size)
    inverse = np.linalg.inv(r) / size[:, None]  # (columns, columns)
    solution = inverse @ (q.T @ (values * np.sqrt(weights)[:, None]))
    leverage = (q**2).sum(1)
    held_out = (values - design @ solution) / (1 - np.minimum(leverage, _NEAR_ONE))[:, None]
    wanted = np.eye(len(solution)) if basis is None else basis
    influence = (design @ inverse) @ (wanted @ inverse).T  # (rows, coefficients)
    return Surrogate(
        (wanted @ solution).T, np.sqrt(_variance(influence, held_out, strata)), held_out
    )


def _variance(influence: FloatArray, held_out: FloatArray, strata: Strata) -> FloatArray:
    """Return the variance of each coefficient, shape (targets, coefficients)."""
    total = np.zeros((held_out.shape[1], influence.shape[1]))
    for level in np.unique(strata.level):
        rows = np.flatnonzero(strata.level == level)
        drawn, count = len(rows), strata.counts[level]
        if drawn >= count:
            continue
        share = strata.mass[level] ** 2 * (1 - drawn / count) / drawn
        for target, missed in enumerate(held_out[rows].T):
            total[target] += share * (influence[rows] * missed[:, None]).var(0, ddof=1)
    return total


def size(values: FloatArray, change: FloatArray | float = 0.0) -> FloatArray:
    """Return what errors are relative to: max(|score change|, sum of |values|) of each target.

    Examples
    --------
    >>> size(np.array([[3.0, -1.0]]), np.array([2.0])).tolist()
    [4.0]
    """
    return np.asarray(np.maximum(np.abs(change), np.abs(values).reshape(len(values), -1).sum(1)))


def relative_error(
    values: FloatArray, stderr: FloatArray, change: FloatArray | float = 0.0
) -> FloatArray:
    """Return summed standard errors, relative to max(|score change|, sum of |values|).

    Parameters
    ----------
    values, stderr : numpy.ndarray, shape (targets, *units)
    change : numpy.ndarray, shape (targets,), optional

    Examples
    --------
    >>> relative_error(np.array([[3.0, -1.0]]), np.array([[0.1, 0.1]])).tolist()
    [0.05]
    """
    scale, total = size(values, change), stderr.reshape(len(stderr), -1).sum(1)
    return np.asarray(np.divide(total, scale, out=np.zeros_like(total), where=scale != 0))


def missed(error: FloatArray, tolerance: float, evaluations: int) -> tuple[Finding, ...]:
    """Return the finding that says so, where the largest error is above the tolerance."""
    worst = float(error.max(initial=0.0))
    if not worst > tolerance:
        return ()
    return (
        finding("evaluation_cap", evaluations=evaluations, error=worst, tolerance=tolerance),
    )  # fmt: skip
