"""Means over random draws: taken until they are sure enough, in the memory of a few maps."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np

from saliscope.core.ask import Answer, Ask
from saliscope.core.errors import OptionError
from saliscope.core.health import Finding, finding
from saliscope.core.units import FloatArray

__all__ = [
    "FIRST",
    "MAX_SAMPLES",
    "TOLERANCE",
    "Lengths",
    "Moments",
    "Plan",
    "checked_samples",
    "draw",
    "rows_at_once",
]

TOLERANCE = 0.05
MAX_SAMPLES = 2048
FIRST = 16
"""Draws before the error is looked at: fewer do not say how sure they are."""
_NUMBERS = 2**22
_MOST_ROWS = 64

Draw = Generator[Ask, Answer, None]


class Moments:
    """Mean and variance of arrays that come in parts, by merging (Chan, Golub & LeVeque 1983).

    Deviations are squared, never sums subtracted, so that no variance is below zero and that of
    equal arrays is zero.

    Examples
    --------
    >>> moments = Moments()
    >>> moments.add(np.array([[1.0, 5.0], [2.0, 5.0]]))
    >>> moments.add(np.array([[6.0, 5.0]]))
    >>> moments.mean.tolist(), moments.variance.tolist()
    ([3.0, 5.0], [7.0, 0.0])
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean: FloatArray | None = None
        self._squares: FloatArray | None = None

    def add(self, draws: FloatArray) -> None:
        """Take in some draws, along the first axis."""
        new = len(draws)
        mean = draws.mean(0)
        squares = ((draws - mean) ** 2).sum(0)
        if self._mean is None or self._squares is None:
            self.count, self._mean, self._squares = new, mean, squares
            return
        total = self.count + new
        shift = mean - self._mean
        self._mean = self._mean + shift * (new / total)
        self._squares = self._squares + squares + shift**2 * (self.count * new / total)
        self.count = total

    @property
    def mean(self) -> FloatArray:
        """Mean of all draws."""
        assert self._mean is not None
        return self._mean

    @property
    def variance(self) -> FloatArray:
        """Unbiased variance of one draw; NaN before the second."""
        assert self._squares is not None
        return self._squares / (self.count - 1 if self.count > 1 else math.nan)

    @property
    def stderr(self) -> FloatArray:
        """Standard error of the mean."""
        return np.asarray(np.sqrt(self.variance / self.count))


class Lengths(Moments):
    """Means of vectors (the last axis): how long they are, and how sure their length is.

    Examples
    --------
    >>> vectors = Lengths()
    >>> vectors.add(np.array([[3.0, 4.1], [3.0, 3.9]]))
    >>> length, stderr = vectors.lengths()
    >>> float(length), round(float(stderr), 3)
    (5.0, 0.08)
    """

    def __init__(self) -> None:
        super().__init__()
        self._along: FloatArray | float = 0.0
        self._freedom = 0

    def add(self, draws: FloatArray) -> None:
        """Take in draws; how they spread along the mean is what moves its length."""
        super().add(draws)
        length = np.linalg.norm(self.mean, axis=-1, keepdims=True)
        direction = np.divide(self.mean, length, out=np.zeros_like(self.mean), where=length > 0)
        along = (draws * direction).sum(-1)
        self._along = self._along + ((along - along.mean(0)) ** 2).sum(0)
        self._freedom += len(draws) - 1

    def lengths(self) -> tuple[FloatArray, FloatArray]:
        """Return the lengths and their standard errors.

        Noise in any direction makes a mean longer than it is: by its squared error over twice
        its length. That is part of the error, which is at most that of the vector.
        """
        length = np.linalg.norm(self.mean, axis=-1)
        vector = (self.stderr**2).sum(-1)
        longer = np.where(length > 0, vector / (2 * np.where(length > 0, length, 1)), vector**0.5)
        along = self._along / max(1, self._freedom) / self.count
        return length, np.sqrt(np.minimum(vector, along + longer**2))


def rows_at_once(numbers: int) -> int:
    """Return for how many rows of `numbers` each to ask at once: 32 MiB, but at least four.

    Examples
    --------
    >>> rows_at_once(3), rows_at_once(224 * 224 * 3)
    (64, 27)
    """
    return min(_MOST_ROWS, max(4, _NUMBERS // max(1, numbers)))


@dataclass(frozen=True)
class Plan:
    """How much to draw.

    Parameters
    ----------
    tolerance : float
        Relative error to reach.
    most : int
        Draws to stop at.
    fixed : bool
        Take just that many.
    step : int
        Draws come in multiples of this.
    """

    tolerance: float
    most: int
    fixed: bool
    step: int = 1

    @classmethod
    def of(
        cls, tolerance: float | None, max_evaluations: int | None, samples: int | None, *,
        others: int = 1, step: int = 1,
    ) -> Plan:  # fmt: skip
        """Make a plan of what the user said; `others` are evaluations that are no draws."""
        wanted = TOLERANCE if tolerance is None else tolerance
        most = MAX_SAMPLES if max_evaluations is None else max_evaluations - others
        if samples is None:
            return cls(wanted, most // step * step, fixed=False, step=step)
        if max_evaluations is not None and samples > most:
            msg = (
                f"samples={samples} needs {samples + others} evaluations and max_evaluations is "
                f"{max_evaluations}; give one of them only"
            )
            raise OptionError(msg)
        return cls(wanted, samples, fixed=True, step=step)


def draw(
    plan: Plan, at_once: int, ask: Callable[[int], Draw], error: Callable[[], FloatArray]
) -> Generator[Ask, Answer, tuple[FloatArray, tuple[Finding, ...]]]:
    """Draw until the error is small enough; return the error, and what is to be said of it.

    Parameters
    ----------
    plan : Plan
    at_once : int
        Draws to ask for at most at once.
    ask : callable
        Takes a number of draws, and asks for them.
    error : callable
        Returns the relative error of each target, from what was drawn.
    """
    at_once = max(plan.step, at_once // plan.step * plan.step)
    first = math.ceil(FIRST / plan.step) * plan.step
    drawn, wanted = 0, plan.most if plan.fixed else min(first, plan.most)
    while True:
        while drawn < wanted:
            count = min(at_once, wanted - drawn)
            yield from ask(count)
            drawn += count
        reached = error()
        worst = float(reached.max())
        if wanted >= plan.most or not np.isfinite(worst) or worst <= plan.tolerance:
            break
        # The error falls with the root of the number; a little more spares another round.
        needed = math.ceil(1.1 * drawn * (worst / plan.tolerance) ** 2)
        step = min(max(needed, drawn + plan.step), 2 * drawn)
        wanted = min(plan.most, math.ceil(step / plan.step) * plan.step)
    if not worst > plan.tolerance:
        return reached, ()
    facts = {"error": worst, "tolerance": plan.tolerance}
    if plan.fixed:
        return reached, (finding("sampling_error", samples=drawn, **facts),)
    return reached, (finding("evaluation_cap", evaluations=drawn, **facts),)


def checked_samples(samples: object, least: int, step: int = 1) -> None:
    """Refuse a fixed number of samples that tells nothing, or does not come out even."""
    if samples is None:
        return
    if isinstance(samples, bool) or not isinstance(samples, (int, np.integer)):
        msg = f"samples={samples!r} is not a whole number; give how many to draw"
        raise OptionError(msg)
    if samples < least or samples % step:
        even = f", a multiple of {step}" if step > 1 else ""
        msg = f"samples={samples} cannot be used; give at least {least}{even}, or leave it unset"
        raise OptionError(msg)
