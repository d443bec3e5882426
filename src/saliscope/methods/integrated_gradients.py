"""Integrated gradients, with as many evaluations as the wanted accuracy needs.

The path integral is refined by bisection. Every panel carries the closed three-point Simpson rule;
cutting a panel in two reuses its three points and adds two. The difference between a panel's rule
and that of its halves tells how wrong it was, so the next cut goes where the integrand bends:
near a kink of a ReLU, or near the baseline where a layer norm turns a small step into a large one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from saliscope.core.adaptive import Evaluation, integrate
from saliscope.core.ask import Ask, Estimate, Fold, Options, Question, Steps
from saliscope.core.errors import OptionError
from saliscope.core.health import Finding, finding
from saliscope.core.perturbation import Perturbation
from saliscope.core.quadrature import fixed_rule
from saliscope.core.registry import method, option
from saliscope.core.units import FloatArray

__all__ = ["IntegratedGradients", "baseline_findings", "integrated_gradients"]

TOLERANCE = 0.01
MAX_EVALUATIONS = 513
Rule = Literal["trapezoid", "midpoint", "gauss_legendre"]
RULES = ("trapezoid", "midpoint", "gauss_legendre")


@dataclass(frozen=True)
class IntegratedGradients(Options):
    """Options of `integrated_gradients`."""

    steps: int | None = option(
        None, "number of nodes of a fixed rule; unset: refine until the tolerance is met"
    )
    rule: Rule | None = option(
        None, "the fixed rule: trapezoid, midpoint or gauss_legendre (default with steps)"
    )

    def __post_init__(self) -> None:
        if self.rule is not None and self.rule not in RULES:
            msg = f"rule={self.rule!r} does not exist; use one of {', '.join(RULES)}"
            raise OptionError(msg)
        if self.rule is not None and self.steps is None:
            msg = "rule= needs steps=; without both the path is refined adaptively"
            raise OptionError(msg)
        least = 2 if self.rule == "trapezoid" else 1
        if self.steps is None:
            return
        if isinstance(self.steps, bool) or not isinstance(self.steps, (int, np.integer)):
            msg = f"steps={self.steps!r} is not a whole number; give the number of nodes"
            raise OptionError(msg)
        if self.steps < least:
            msg = f"steps={self.steps} is too few; give at least {least}, or leave it unset"
            raise OptionError(msg)


@method(
    "integrated_gradients",
    options=IntegratedGradients,
    needs={"gradients"},
    summary="Average slope on the straight way from a baseline to the input, times the way.",
    cost="9 to about 130 forward and backward passes, as the path and the tolerance need",
    use="signed contributions that add up to the score change from the baseline",
    misuse="with a baseline that means something to the model: the map explains the difference "
    "from that baseline, and units equal to it get zero",
    source="Sundararajan, Taly & Yan 2017, arXiv:1703.01365, equation 1",
    equation=r"a_i = (x_i - b_i) \int_0^1 \partial_i f(b + \alpha (x - b)) \, d\alpha",
    takes={"baseline", "tolerance", "max_evaluations"},
    aliases=("ig", "integrated", "integrated_gradient", "path_attribution"),
)
def integrated_gradients(question: Question, options: IntegratedGradients) -> Steps:
    """Integrate along the path, adaptively or by a fixed rule."""
    if options.steps is None:
        return (yield from _adaptive(question))
    return (yield from _fixed(question, options.rule or "gauss_legendre", options.steps))


def _fixed(question: Question, rule: str, steps: int) -> Steps:
    nodes, weights = fixed_rule(rule, steps)
    path = Perturbation.path(question.units, nodes, question.baseline)
    answer = yield Ask(path, Fold("difference", rows=weights[None]))
    ends = yield Ask(Perturbation.path(question.units, [0.0, 1.0], question.baseline))
    assert answer.gradients is not None
    return Estimate(
        answer.gradients[0], ends.values[1], ends.values[0], additive=True,
        findings=baseline_findings(ends.probabilities),
        notes={"rule": rule, "nodes": steps},
    )  # fmt: skip


def _adaptive(question: Question) -> Steps:
    tolerance = TOLERANCE if question.tolerance is None else question.tolerance
    limit = MAX_EVALUATIONS if question.max_evaluations is None else question.max_evaluations
    ends: list[FloatArray] = []

    def evaluate(nodes: Sequence[float]) -> Evaluation:
        path = Perturbation.path(question.units, nodes, question.baseline)
        answer = yield Ask(path, Fold("difference"))
        assert answer.gradients is not None
        ends.append(answer.probabilities)
        return answer.gradients, answer.values

    found = yield from integrate(evaluate, tolerance, limit)
    return Estimate(
        found.values, found.high, found.low, error=found.error, additive=True,
        findings=(*baseline_findings(ends[0]), *found.findings),
        notes={"rule": "adaptive", "nodes": found.nodes, "panels": found.panels},
    )  # fmt: skip


def baseline_findings(probabilities: FloatArray) -> tuple[Finding, ...]:
    """Say so where the model is confident of the target on the baseline (first row) itself."""
    at = probabilities[0]
    sure = np.flatnonzero(np.nan_to_num(at) > 0.9)
    if not len(sure):
        return ()
    label = f"target {sure[0] + 1}" if len(at) > 1 else "the target"
    return (finding("confident_baseline", probability=float(at[sure[0]]), label=label),)
