"""Nodes that the adaptive path uses, beside the smallest Gauss-Legendre rule that is as good.

Of several texts on a trained encoder, each with a random projection of its own. The truth is a rule
of 96 nodes. Error does not fall steadily with the nodes of a rule, so the smallest rule is the one
from which two in a row meet the tolerance.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

import saliscope
from benchmarks.paths import minilm
from benchmarks.texts import SAMPLES, SENTENCES, TEXT

__all__ = ["Nodes", "count"]

TOLERANCE = 0.01
DENSE = 96


class Nodes(NamedTuple):
    """What one path took."""

    ours: int
    least: int
    error: float  # of ours, true

    @property
    def ratio(self) -> float:
        """Ours over the smallest rule."""
        return self.ours / self.least


def count() -> Iterator[Nodes]:
    """Yield the nodes of each text."""
    adapter = minilm()
    for number, text in enumerate((*SAMPLES, TEXT, *SENTENCES)):
        vector = np.random.default_rng(number).normal(size=adapter.config.hidden_size)
        yield _one(adapter, text, saliscope.Projection(vector))


def _one(adapter: Any, text: str, target: Any) -> Nodes:
    def fixed(steps: int) -> Any:
        explained = saliscope.explain(adapter, text, "integrated_gradients", target, steps=steps)
        return explained.to_numpy()

    ours = saliscope.explain(adapter, text, "integrated_gradients", target, tolerance=TOLERANCE)
    truth = fixed(DENSE)
    scale = max(abs(ours.score - ours.baseline_score), np.abs(truth).sum())

    @functools.cache
    def good(steps: int) -> bool:
        return bool(np.abs(fixed(steps) - truth).sum() / scale <= TOLERANCE)

    def steady(steps: int) -> bool:
        return good(steps) and good(steps + 1)

    low, high = 1, 8
    while not steady(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if steady(middle) else (middle, high)
    error = np.abs(ours.to_numpy() - truth).sum() / scale
    return Nodes(int(ours.provenance["notes"]["nodes"]), high, float(error))
