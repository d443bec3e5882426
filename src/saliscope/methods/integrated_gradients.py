"""Integrated gradients, with as many evaluations as the wanted accuracy needs.

The path integral is refined by bisection. Every panel carries the closed three-point Simpson rule;
cutting a panel in two reuses its three points and adds two. The difference between a panel's rule
and that of its halves tells how wrong it was, so the next cut goes where the integrand bends:
near a kink of a ReLU, or near the baseline where a layer norm turns a small step into a large one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from saliscope.core.ask import Ask, Estimate, Fold, Options, Question, Steps
from saliscope.core.errors import OptionError
from saliscope.core.health import Finding, finding
from saliscope.core.perturbation import Perturbation
from saliscope.core.quadrature import Panel, fixed_rule, panel, quarters, to_cut
from saliscope.core.registry import method, option
from saliscope.core.units import FloatArray

__all__ = ["IntegratedGradients", "integrated_gradients"]

TOLERANCE = 0.01
MAX_EVALUATIONS = 513
Rule = Literal["trapezoid", "midpoint", "gauss_legendre"]
RULES = ("trapezoid", "midpoint", "gauss_legendre")
_ROUNDING = 1e-5


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
    cost="5 to about 130 forward and backward passes, as the path and the tolerance need",
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
        findings=_baseline_findings(ends.probabilities),
        notes={"rule": rule, "nodes": steps},
    )  # fmt: skip


def _adaptive(question: Question) -> Steps:
    tolerance = TOLERANCE if question.tolerance is None else question.tolerance
    limit = MAX_EVALUATIONS if question.max_evaluations is None else question.max_evaluations
    slopes: dict[float, FloatArray] = {}
    scores: dict[float, FloatArray] = {}
    panels: list[Panel] = []
    wanted: list[tuple[tuple[float, ...], FloatArray | None]] = [(quarters(0.0, 1.0), None)]
    findings: list[Finding] = []
    while True:
        fresh = sorted({node for nodes, _ in wanted for node in nodes} - scores.keys())
        answer = yield Ask(
            Perturbation.path(question.units, fresh, question.baseline), Fold("difference")
        )
        assert answer.gradients is not None
        slopes |= dict(zip(fresh, answer.gradients, strict=True))
        scores |= dict(zip(fresh, answer.values, strict=True))
        if not findings and 0.0 in fresh:
            ends = answer.probabilities[[0, -1]]
            findings += _baseline_findings(ends)
        panels += [
            panel(nodes, [slopes[n] for n in nodes], [scores[n] for n in nodes], spread)
            for nodes, spread in wanted
        ]
        values = np.sum([p.integral for p in panels], axis=0)
        units = tuple(range(1, values.ndim))
        change = scores[1.0] - scores[0.0]
        # Without a slope anywhere, rounding alone moves the score.
        still = (np.abs(values).sum(units) + np.sum([p.spread for p in panels], axis=0)) == 0
        change[still & (np.abs(change) <= _ROUNDING * np.abs(scores[1.0]))] = 0.0
        scale = np.maximum(np.abs(change), np.abs(values).sum(units))
        error = np.sum([p.doubt for p in panels], axis=0)
        # Where everything is zero nothing is wrong; where a number is not finite, neither is this.
        with np.errstate(invalid="ignore"):
            relative = np.divide(error, scale, out=np.zeros_like(error), where=scale != 0)
        if not np.isfinite(relative).all() or (relative <= tolerance).all():
            break
        chosen = to_cut(panels, tolerance * scale)
        if len(scores) + 4 * len(chosen) > limit:
            chosen = chosen[: max(0, (limit - len(scores)) // 4)]
        if not chosen or min(panels[i].nodes[1] - panels[i].nodes[0] for i in chosen) < 1e-9:
            worst = float(relative.max())
            findings.append(
                finding("evaluation_cap", evaluations=len(scores), error=worst, tolerance=tolerance)
            )
            break
        wanted = []
        for index in chosen:
            low, _, middle, _, high = panels[index].nodes
            spread = panels[index].spread
            wanted += [(quarters(low, middle), spread), (quarters(middle, high), spread)]
        panels = [p for i, p in enumerate(panels) if i not in set(chosen)]
        needed = {n for p in panels for n in p.nodes} | {n for q, _ in wanted for n in q}
        slopes = {n: s for n, s in slopes.items() if n in needed}
    return Estimate(
        values, scores[1.0], scores[0.0], error=relative, additive=True, findings=tuple(findings),
        notes={"rule": "adaptive", "nodes": len(scores), "panels": len(panels)},
    )  # fmt: skip


def _baseline_findings(probabilities: FloatArray) -> tuple[Finding, ...]:
    """Say so where the model is confident of the target on the baseline (first row) itself."""
    at = probabilities[0]
    sure = np.flatnonzero(np.nan_to_num(at) > 0.9)
    if not len(sure):
        return ()
    label = f"target {sure[0] + 1}" if len(at) > 1 else "the target"
    return (finding("confident_baseline", probability=float(at[sure[0]]), label=label),)
