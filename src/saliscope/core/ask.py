"""What a method asks, and what it gets: the whole conversation between methods and the engine.

A method is a generator. It yields an `Ask` and receives an `Answer`; in the end it returns an
`Estimate`. It sees a `Question`: the units, the number of targets, the baseline, and how exact
the answer shall be, but no model, no batch and no file.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from saliscope.core.health import Finding
from saliscope.core.perturbation import Baseline, Perturbation
from saliscope.core.units import FloatArray, Units

__all__ = ["Answer", "Ask", "Estimate", "Fold", "Layer", "Method", "Options", "Question", "Steps"]


@dataclass(frozen=True, eq=False)
class Fold:
    """How gradients are reduced in the pass that makes them, so that none is ever stored whole.

    Parameters
    ----------
    times : {"one", "input", "difference"}
        Multiply the gradient by nothing, by the input, or by input minus baseline.
    features : {"sum", "norm", "each"}
        Reduce the features of a unit (the embedding of a token) by their sum or L2 norm.
        Units without features keep their signed value under "sum" and its size under "norm".
        "each" keeps them all, on a last axis: for what is reduced over rows first.
    rows : numpy.ndarray, shape (sums, rows), optional
        Weighted sums over the rows of the ask, taken before the features are reduced.
        None: one result per row.
    mix : numpy.ndarray, shape (rows, targets), optional
        Take the gradient of this weighted sum of the targets of each row, in one pass; the
        result has one target. None: the gradient of every target, in a pass each.
    rule : str
        How the backward pass treats operations: "gradient" is calculus; other rules ("deeplift",
        "relevance") send something else back in its place. A method that uses one needs what its
        rule needs of the model.
    """

    times: Literal["one", "input", "difference"] = "one"
    features: Literal["sum", "norm", "each"] = "sum"
    rows: FloatArray | None = None
    mix: FloatArray | None = None
    rule: str = "gradient"

    def at(self, rows: npt.NDArray[np.int64]) -> Fold:
        """Return the fold of some rows of the ask."""
        return replace(
            self,
            rows=None if self.rows is None else self.rows[:, rows],
            mix=None if self.mix is None else self.mix[rows],
        )

    def results(self, rows: int, targets: int) -> tuple[int, int]:
        """Return how many results (per row or sum) and targets the folded gradients have."""
        return (
            rows if self.rows is None else len(self.rows),
            targets if self.mix is None else 1,
        )


@dataclass(frozen=True, eq=False)
class Layer:
    """A place inside the model.

    Parameters
    ----------
    name : str
        Of the module whose output it is, as ``named_modules`` calls it.
    units : Units
        The grid of positions that its output has for one input.
    features : int
        Numbers at each position (channels).
    skipped : int
        Leading positions of its output that stand for no place in the input (class and register
        tokens), and are left out.
    """

    name: str
    units: Units
    features: int
    skipped: int = 0


@dataclass(frozen=True, eq=False)
class Ask:
    """Points at which the target, and with `fold` its gradient, is wanted.

    With `layer`, activations of that layer and the target's gradient there are given as they are,
    not folded: for a few rows of a small grid.
    """

    points: Perturbation
    fold: Fold | None = None
    layer: Layer | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """What the model said at the points of an ask.

    Parameters
    ----------
    values, probabilities : numpy.ndarray, shape (rows, targets)
        Probabilities are NaN where a target has none.
    gradients : numpy.ndarray, shape (rows or sums, targets, *units), optional
        Folded as asked; float64. With a last axis of features where "each" was asked for.
    activations : numpy.ndarray, shape (rows, features, *grid), optional
        Of the layer that was asked for.
    slopes : numpy.ndarray, shape (rows, targets, features, *grid), optional
        Gradients of every target there.
    reference : numpy.ndarray, shape (2, rows, targets), optional
        Values and probabilities at the fill of each row, where the rule of the fold runs it too.
    """

    values: FloatArray
    probabilities: FloatArray
    gradients: FloatArray | None = None
    activations: FloatArray | None = None
    slopes: FloatArray | None = None
    reference: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Question:
    """One input, its targets and the exactness that is wanted: all that a method may know.

    Parameters
    ----------
    units : Units
    targets : int
        Number of targets; every array leads with it.
    baseline : Baseline
        Start of paths, and what stands in place of units that are taken away.
    tolerance : float or None
        Relative error to reach; None is the method's own default.
    max_evaluations : int or None
    rng : numpy.random.Generator
        The only source of randomness.
    background : sequence of Baseline
        Several baselines to average over, for methods that take them.
    layer : Layer or None
        The layer that the method looks at, for methods that take one.
    features : int
        Numbers that each unit has in the differentiable space (the width of an embedding).
    """

    units: Units
    targets: int
    baseline: Baseline
    tolerance: float | None
    max_evaluations: int | None
    rng: np.random.Generator
    background: Sequence[Baseline] = ()
    layer: Layer | None = None
    features: int = 1


@dataclass(frozen=True, eq=False)
class Estimate:
    """A map, and how good it is.

    Parameters
    ----------
    values : numpy.ndarray, shape (targets, *units)
    score : numpy.ndarray, shape (targets,)
        Target at the input.
    baseline_score : numpy.ndarray, shape (targets,), optional
        Target at the baseline, where the method has one.
    error : numpy.ndarray, shape (targets,), optional
        Estimated L1 error of `values`, relative to max(|score change|, sum of |values|).
    additive : bool
        Whether the values are meant to sum to score minus baseline score (then the gap counts).
    tolerance : float, optional
        Relative gap that is still right; None is what the user asked for.
    extra : mapping of str to numpy.ndarray
        Further values per unit, shape (targets, *units): standard errors, probability drops.
    numbers : mapping of str to numpy.ndarray
        Further numbers per target, shape (targets,): how well a surrogate fits.
    pairs : mapping of str to numpy.ndarray
        Values per pair of units of the result, shape (targets, units, units): interactions.
    units : Units, optional
        Units of `values` where they are not those of the question (results per group).
    findings : tuple of Finding
    signed : bool
        Whether the sign of a value means something here.
    notes : mapping
        What to keep in the provenance: rule, nodes, intervals.
    """

    values: FloatArray
    score: FloatArray
    baseline_score: FloatArray | None = None
    error: FloatArray | None = None
    additive: bool = False
    tolerance: float | None = None
    extra: Mapping[str, FloatArray] = field(default_factory=dict)
    numbers: Mapping[str, FloatArray] = field(default_factory=dict)
    pairs: Mapping[str, FloatArray] = field(default_factory=dict)
    units: Units | None = None
    findings: tuple[Finding, ...] = ()
    signed: bool = True
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """Base of every method's options.

    A frozen dataclass whose fields become keyword arguments in Python, flags on the command line,
    rows in the docs and entries in the provenance.
    """


Steps = Generator[Ask, Answer, Estimate]


class Method(Protocol):
    """A method: yields asks, receives answers, returns an estimate."""

    def __call__(self, question: Question, options: Any, /) -> Steps:
        """Start answering `question`."""
        ...
