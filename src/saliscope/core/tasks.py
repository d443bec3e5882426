"""Jobs that the engine is given, tasks that it has under way, and outcomes that it returns."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from saliscope.core.ask import Answer, Ask, Estimate, Question, Steps
from saliscope.core.errors import SaliscopeError
from saliscope.core.health import Finding
from saliscope.core.model import Pass, Sample
from saliscope.core.target import BoundTarget
from saliscope.core.units import FloatArray

__all__ = ["Job", "Outcome", "Progress", "Task"]


@dataclass(frozen=True, eq=False)
class Job:
    """One sample, its target, and the method started on it.

    `key` is equal for jobs whose outcome must be equal; such a job is done once. One that is done
    beside another is not `counted` as progress, and shares no row with what is counted.
    """

    sample: Sample
    target: BoundTarget
    question: Question
    start: Callable[[Question], Steps]
    key: Hashable | None = None
    counted: bool = True


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a job: an estimate or an error, and what it cost."""

    job: Job
    estimate: Estimate | None
    error: SaliscopeError | None
    evaluations: int
    calls: int
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Progress:
    """How far a run is: questions done and started, rows run, batches run."""

    done: int
    started: int
    rows: int
    calls: int


@dataclass(eq=False)
class Task:
    """A job under way: the ask that is pending and what has been received of it."""

    number: int
    job: Job
    steps: Steps
    ask: Ask
    values: FloatArray
    probabilities: FloatArray
    gradients: FloatArray | None = None
    activations: FloatArray | None = None
    slopes: FloatArray | None = None
    reference: FloatArray | None = None
    waiting: list[tuple[int, int]] = field(default_factory=list)  # (row, view)
    missing: int = 0
    evaluations: int = 0
    calls: int = 0
    findings: dict[str, Finding] = field(default_factory=dict)
    kind: Hashable = None  # which tasks its rows go together with; the engine says it once an ask
    error: SaliscopeError | None = None

    def pose(self, ask: Ask) -> None:
        """Take up a new ask."""
        targets, views = self.job.target.count, len(self.job.target.views)
        self.ask, self.kind = ask, None
        rows = ask.points.rows
        self.values = np.zeros((rows, targets))
        self.probabilities = np.zeros((rows, targets))
        self.gradients = self.activations = self.slopes = self.reference = None
        if ask.layer is not None:
            inside = (ask.layer.features, *ask.layer.units.shape)
            self.activations = np.zeros((rows, *inside))
            self.slopes = np.zeros((rows, targets, *inside))
        self.waiting = [(row, view) for row in range(rows) for view in range(views)]
        self.missing = len(self.waiting)

    def receive(self, rows: npt.NDArray[np.int64], got: Pass) -> None:
        """Add what a batch gave for `rows`."""
        every = len(rows) == len(self.values) and np.array_equal(rows, np.arange(len(rows)))
        where = slice(None) if every else rows  # by numbers takes several times as long
        self.values[where] += got.values
        self.probabilities[where] += got.probabilities
        if got.gradients is not None:
            assert self.ask.fold is not None
            whole = every or self.ask.fold.rows is not None
            if self.gradients is None and whole:  # large as a rule, and the only ones
                self.gradients = got.gradients
            else:
                if self.gradients is None:
                    results = self.ask.fold.results(len(self.values), self.values.shape[1])
                    self.gradients = np.zeros((*results, *got.gradients.shape[2:]))
                self.gradients[... if whole else rows] += got.gradients
        if got.activations is not None and got.slopes is not None:
            assert self.activations is not None
            assert self.slopes is not None
            self.activations[rows] = got.activations
            self.slopes[rows] += got.slopes
        if got.reference is not None:
            if self.reference is None:
                self.reference = np.zeros((2, *self.values.shape))
            self.reference[:, rows] += got.reference
        self.missing -= len(rows)

    @property
    def backward(self) -> int:
        """Backward passes that a batch of this ask takes: one per target, none for values."""
        if self.ask.fold is None and self.ask.layer is None:
            return 0
        return self.job.target.count

    @property
    def rule(self) -> str | None:
        """How its backward passes treat operations; None where there are none."""
        return None if self.ask.fold is None else self.ask.fold.rule

    @property
    def layer(self) -> str | None:
        """Name of the layer that the ask is about; None for the input."""
        return None if self.ask.layer is None else self.ask.layer.name

    @property
    def answer(self) -> Answer:
        """Everything that was received."""
        return Answer(
            self.values, self.probabilities, self.gradients, self.activations, self.slopes,
            self.reference,
        )  # fmt: skip
