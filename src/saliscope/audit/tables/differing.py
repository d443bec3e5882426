"""Differences between groups: bootstrap intervals, and what they are where all rows are alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Self

import numpy as np

from saliscope.audit.tables.telling import interval
from saliscope.core.units import FloatArray

__all__ = ["Sampled", "chance_of_any"]

_LEVEL = 0.05
_NORMAL = NormalDist().inv_cdf(1 - _LEVEL / 2)


@dataclass(frozen=True, eq=False)
class Sampled:
    """A number of one group, and what it is in bootstrap samples.

    Parameters
    ----------
    samples : numpy.ndarray, shape (draws + 1,)
        The first is that of the rows themselves.
    below, above : float
        How far its interval reaches at least. Where none of n rows is a hit, or all are, every
        bootstrap sample says the same, as if it were sure; the exact (Clopper and Pearson) interval
        of a share reaches to 1 - 0.025 ** (1 / n).

    Examples
    --------
    >>> none = Sampled.share(np.ones((3, 35)), np.zeros(35), np.ones(35), counted=True)
    >>> round(float(none.above), 2), float(none.below)
    (0.1, 0.0)
    """

    samples: FloatArray
    below: float = 0.0
    above: float = 0.0

    @classmethod
    def share(
        cls, weights: FloatArray, top: FloatArray, under: FloatArray, *, counted: bool
    ) -> Self:
        """Return what is summed over what, per row; `counted` where it is a share of rows."""
        with np.errstate(invalid="ignore", divide="ignore"):
            samples = np.asarray((weights @ top) / (weights @ under))
        hits, count = top.sum(), under.sum()
        reach = 1 - (_LEVEL / 2) ** (1 / count) if counted and count else 0.0
        return cls(samples, float(reach * (hits == count)), float(reach * (hits == 0)))

    def beside(self, base: Sampled | None, limit: float) -> dict[str, Any]:
        """Return its interval and the difference to another, which is clear beyond `limit` errors.

        Where an interval reaches farther than the bootstrap says, that of the difference does
        (square and add; Newcombe 1998, Statistics in Medicine 17, method 10).
        """
        value = float(self.samples[0])
        low, high = interval(self.samples[1:])
        row: dict[str, Any] = {
            "low": min(low, value - self.below), "high": max(high, value + self.above)
        }  # fmt: skip
        if base is None:
            nothing = float("nan")
            return row | {
                "difference": 0.0, "difference_low": nothing, "difference_high": nothing,
                "clear": False,
            }  # fmt: skip
        away = self.samples - base.samples
        found = float(away[0])
        low, high = interval(away[1:])
        known = away[1:][np.isfinite(away[1:])]
        spread = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
        reach = math.hypot(*(max(one.below, one.above) for one in (self, base))) / _NORMAL
        return row | {
            "difference": found,
            "difference_low": found - math.hypot(found - low, self.below, base.above),
            "difference_high": found + math.hypot(high - found, self.above, base.below),
            "clear": bool(abs(found) > limit * math.hypot(spread, reach)),
        }  # fmt: skip


def chance_of_any(comparisons: int) -> float:
    """Return the standard errors beyond which one of so many is with a chance of 5 % (Bonferroni).

    Examples
    --------
    >>> round(chance_of_any(1), 2), round(chance_of_any(20), 2)
    (1.96, 3.02)
    """
    return NormalDist().inv_cdf(1 - _LEVEL / (2 * max(1, comparisons)))
