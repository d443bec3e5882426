"""Infidelity, correlation and sensitivity: how well values predict, how much they tremble."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from saliscope.core.ask import Estimate, Question, Steps
from saliscope.core.perturbation import Noise
from saliscope.core.units import FloatArray

__all__ = ["Prediction", "predicted_falls", "shaken"]

_RESAMPLED = 2000


@dataclass(frozen=True)
class Prediction:
    """How well sums of values predict how far the target falls.

    Parameters
    ----------
    infidelity : float
        Mean squared difference (Yeh et al. 2019, arXiv:1901.09392, equation 1).
    relative : float
        The same, as a share of the mean squared fall: 1 is a map of zeros.
    correlation : float
        Of predicted and true falls (Bhatt et al. 2020, arXiv:2005.00631, equation 3).
    relative_interval, correlation_interval : tuple of float
        95 % bootstrap intervals over copies; NaN where there is one.
    """

    infidelity: float
    relative: float
    correlation: float
    relative_interval: tuple[float, float]
    correlation_interval: tuple[float, float]


def predicted_falls(
    predicted: FloatArray, falls: FloatArray, rng: np.random.Generator
) -> Prediction:
    """Compare predicted with true falls, both (draws, rows); draws are resampled whole.

    Examples
    --------
    >>> falls = np.array([[1.0, 2.0], [0.0, 3.0], [2.0, 1.0]])
    >>> exact = predicted_falls(falls, falls, np.random.default_rng(0))
    >>> exact.infidelity, round(exact.correlation, 12)
    (0.0, 1.0)
    >>> wrong = predicted_falls(-falls, falls, np.random.default_rng(0))
    >>> wrong.relative, round(wrong.correlation, 12)
    (4.0, -1.0)
    """
    nothing = (float("nan"), float("nan"))
    if not falls.size or not np.isfinite(predicted).all() or not np.isfinite(falls).all():
        return Prediction(*nothing, float("nan"), nothing, nothing)
    wrong = (predicted - falls) ** 2
    parts = (
        np.ones_like(falls), predicted, falls, predicted**2, falls**2, predicted * falls, wrong,
    )  # fmt: skip
    sums = np.stack([part.sum(1) for part in parts], axis=1)
    own = _ratios(sums.sum(0)[None])
    draws = len(sums)
    times = rng.multinomial(draws, np.full(draws, 1 / draws), size=_RESAMPLED if draws > 1 else 0)
    again = _ratios(times @ sums)
    low, high = (
        np.nanpercentile(again, (2.5, 97.5), axis=0)
        if len(again) and np.isfinite(again).any(0).all()
        else np.full((2, 2), np.nan)
    )
    return Prediction(
        float(wrong.mean()), float(own[0, 0]), float(own[0, 1]), (float(low[0]), float(high[0])),
        (float(low[1]), float(high[1])),
    )  # fmt: skip


def _ratios(sums: FloatArray) -> FloatArray:
    """Return relative infidelity and correlation, from sums over rows."""
    count, p, f, pp, ff, pf, wrong = sums.T
    spread = np.maximum(count * pp - p**2, 0) * np.maximum(count * ff - f**2, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.where(ff > 0, wrong / ff, np.nan)
        tiny = 1e-24 * count**2 * pp * ff
        correlation = np.where(spread > tiny, (count * pf - p * f) / np.sqrt(spread), np.nan)
    return np.stack([relative, np.clip(correlation, -1, 1)], axis=1)


def shaken(
    method: Callable[[Question], Steps], noise: float, seed: int
) -> Callable[[Question], Steps]:
    """Return a method that explains the input moved by a little noise.

    Every point that it asks for is moved by the same noise, so it explains the same function, a
    step aside, in the space in which gradients are taken: pixels, numbers, or embeddings of tokens.

    Parameters
    ----------
    method : callable
    noise : float
        Standard deviation, as a share of the range of the input.
    seed : int
    """

    def start(question: Question) -> Steps:
        steps = method(question)
        ask = next(steps)
        while True:
            points = ask.points
            if points.noise is None:
                same = Noise(noise, np.full(points.rows, seed, dtype=np.int64))
                ask = replace(ask, points=replace(points, noise=same))
            answer = yield ask
            try:
                ask = steps.send(answer)
            except StopIteration as stop:
                estimate: Estimate = stop.value
                return estimate

    return start
