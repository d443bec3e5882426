"""Points on the straight ways from many baselines to the input, in evenly spread sequences."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import numpy.typing as npt

from saliscope.core.ask import Answer, Ask, Fold, Question
from saliscope.core.perturbation import Perturbation
from saliscope.core.surrogate import relative_error, size
from saliscope.core.units import FloatArray

__all__ = ["Ways", "ask_ways"]

_GOLDEN = (np.sqrt(5) - 1) / 2
_Numbers = npt.NDArray[np.int64]


def ask_ways(
    question: Question, places: FloatArray, choice: _Numbers, fold: Fold | None = None
) -> Generator[Ask, Answer, Answer]:
    """Ask for points on the ways from some baselines of the background (0) to the input (1)."""
    moved = Perturbation(
        question.units.whole(), weights=places[:, None], fills=question.background, choice=choice
    )
    return (yield Ask(moved, fold))


class Ways:
    """Sequences of points, taken in turn, and what was found at them.

    Each sequence goes through the baselines in random orders, and through the places in steps of
    the golden ratio from a random start (Cranley & Patterson 1976). Every point alone is uniform,
    so means are unbiased; together they are spread more evenly than by chance. How much the means
    of the sequences differ says how sure they are.
    """

    def __init__(self, question: Question, sequences: int) -> None:
        self.question = question
        self.starts = question.rng.random(sequences)
        self.orders = np.zeros((sequences, 0), dtype=np.int64)
        self.totals: FloatArray | float = 0.0
        count = len(question.background)
        self.drawn = np.zeros(count, dtype=np.int64)
        self.score = np.zeros(question.targets)
        self.scores = np.full((2, count, question.targets), np.nan)  # values and probabilities

    @property
    def sequences(self) -> int:
        """How many there are."""
        return len(self.starts)

    @property
    def counts(self) -> FloatArray:
        """How many points each sequence has given."""
        return np.bincount(np.arange(self.drawn.sum()) % self.sequences).astype(np.float64)

    def _next(self, count: int) -> tuple[_Numbers, FloatArray, _Numbers]:
        """Return sequence, place and baseline of the next points."""
        numbers = self.drawn.sum() + np.arange(count)
        which, step = numbers % self.sequences, numbers // self.sequences
        every = np.tile(np.arange(len(self.drawn)), (self.sequences, 1))
        while self.orders.shape[1] <= step[-1]:
            fresh = self.question.rng.permuted(every, axis=1)
            self.orders = np.concatenate([self.orders, fresh], axis=1)
        return which, (self.starts[which] + step * _GOLDEN) % 1.0, self.orders[which, step]

    def ask(self, count: int) -> Generator[Ask, Answer, None]:
        """Ask for slopes at the next points, summed over each sequence, and at new ends."""
        which, places, choice = self._next(count)
        new = np.unique(choice[self.drawn[choice] == 0])
        first = not self.drawn.any()
        if len(new):
            ends = np.append(new, new[:1]) if first else new
            at = np.zeros(len(ends))
            at[len(new) :] = 1.0  # the input itself
            answer = yield from ask_ways(self.question, at, ends)
            self.scores[:, new] = answer.values[: len(new)], answer.probabilities[: len(new)]
            if first:
                self.score = answer.values[-1]
        sums = (which == np.arange(self.sequences)[:, None]).astype(np.float64)
        fold = Fold("difference", rows=sums)
        answer = yield from ask_ways(self.question, places, choice, fold)
        assert answer.gradients is not None
        self.totals = self.totals + answer.gradients
        self.drawn += np.bincount(choice, minlength=len(self.drawn))

    def values(self) -> tuple[FloatArray, FloatArray]:
        """Return the mean over all points, and its standard error."""
        means = (np.asarray(self.totals).T / self.counts).T
        return means.mean(0), means.std(0, ddof=1) / np.sqrt(len(means))

    def baseline(self) -> tuple[FloatArray, FloatArray]:
        """Return mean score and probability over all baselines, or over those that were drawn."""
        weights = np.ones(len(self.drawn)) if self.drawn.all() else self.drawn
        used = np.flatnonzero(weights)
        share = weights[used] / weights.sum()
        return np.asarray(share @ self.scores[0, used]), np.asarray(share @ self.scores[1, used])

    def error(self) -> FloatArray:
        """Return the relative error: the standard errors, or the gap where that is larger.

        Where slopes are steep in few places, as next to a baseline below a layer norm, draws that
        miss those agree with each other; the gap tells.
        """
        values, stderr = self.values()
        change = self.score - self.baseline()[0]
        gap = values.reshape(len(values), -1).sum(1) - change
        scale = size(values, change)
        missed = np.divide(np.abs(gap), scale, out=np.zeros_like(gap), where=scale != 0)
        return np.asarray(np.maximum(relative_error(values, stderr, change), missed))
