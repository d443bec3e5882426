"""Noisy copies of an input, and the gradients there."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saliscope.core.ask import Answer, Ask, Fold, Question
from saliscope.core.health import Finding, finding
from saliscope.core.perturbation import Noise, Perturbation
from saliscope.core.sampling import rows_at_once
from saliscope.core.units import FloatArray

__all__ = ["Copies"]

_STILL = 1e-6
"""Relative change of the score that is rounding."""


@dataclass(eq=False)
class Copies:
    """Noisy copies of the input of a question.

    Parameters
    ----------
    question : Question
    noise : float
        Standard deviation, as a share of the range of the input.
    fold : Fold
        How the gradients are reduced.
    score : numpy.ndarray, shape (targets,)
        The target at the input itself.
    moved : bool
        Whether the target was another one at some copy.
    """

    question: Question
    noise: float
    fold: Fold
    score: FloatArray
    moved: bool = False

    @classmethod
    def of(cls, question: Question, noise: float, *, norm: bool) -> Generator[Ask, Answer, Copies]:
        """Ask for the input itself first."""
        whole = yield Ask(Perturbation.identity(question.units))
        return cls(question, noise, Fold("one", "each" if norm else "sum"), whole.values[0])

    @property
    def at_once(self) -> int:
        """How many copies to ask for together."""
        features = self.question.features if self.fold.features == "each" else 1
        return rows_at_once(self.question.units.size * self.question.targets * features)

    def seeds(self, count: int) -> npt.NDArray[np.int64]:
        """Return fresh seeds."""
        return self.question.rng.integers(2**32, size=count, dtype=np.int64)

    def gradients(
        self, seeds: npt.NDArray[np.int64], signs: FloatArray | None = None
    ) -> Generator[Ask, Answer, FloatArray]:
        """Ask for the gradient at copies, shape (copies, targets, *units[, features])."""
        points = Perturbation(
            self.question.units.whole(), weights=np.ones((len(seeds), 1)),
            noise=Noise(self.noise, seeds, signs),
        )  # fmt: skip
        answer = yield Ask(points, self.fold)
        assert answer.gradients is not None
        self.moved = self.moved or not np.allclose(answer.values, self.score, _STILL, 0.0)
        return answer.gradients

    def findings(self, values: FloatArray) -> tuple[Finding, ...]:
        """Say so where noise, a share of the range of the input, came to nothing."""
        return () if self.moved or not values.any() else (finding("no_noise"),)
