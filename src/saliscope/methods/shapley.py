"""Shapley values of groups: exact where all coalitions can be asked for, else estimated.

The estimate is a regression on pairs of coalitions (`saliscope.core.paired`). Pairs of permutations
were the alternative. In six nonlinear games of 14 players (ReLU, tanh and logistic networks,
products, conjunctions, a maximum) and 16 evaluations per player, regression had 0.57 to 0.86 of
their error, and 1.3 times it on products; and its standard errors are honest from 4 evaluations
per player on, where those of a few permutations cover half of the true values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from saliscope.core.ask import Ask, Estimate, Fold, Options, Question, Steps
from saliscope.core.coalitions import Grouped, scores_of
from saliscope.core.errors import OptionError
from saliscope.core.games import all_coalitions, shapley_interactions, shapley_values
from saliscope.core.health import Finding, finding
from saliscope.core.paired import PairedRegression, square
from saliscope.core.perturbation import Perturbation
from saliscope.core.registry import method, option
from saliscope.core.sampling import TOLERANCE
from saliscope.core.surrogate import missed, relative_error
from saliscope.core.units import FloatArray

__all__ = ["Shapley", "shapley"]

MAX_COALITIONS = 2048
GROWTH = 1.5


@dataclass(frozen=True)
class Shapley(Options):
    """Options of `shapley`."""

    groups: str | Sequence[int] | None = option(
        None,
        "what is present or absent together: 'word', 'token', 'residue', or one group number per "
        "unit (default: words of a text, single residues of a protein, patches of an image, "
        "single elements of a tensor)",
    )
    interactions: bool = option(
        False, "give the interaction of each pair of groups too, from the same evaluations"
    )
    trees: Literal["interventional", "path"] | None = option(
        None,
        "of a model of trees, exact values by shap's TreeExplainer: 'interventional' (what is "
        "absent takes the background's values, as without it) or 'path' (what is absent follows "
        "the training rows down each tree; no background)",
    )


@method(
    "shapley",
    options=Shapley,
    needs={"values"},
    summary="Mean change of the target when a group joins the others in random order.",
    cost="2^n forward passes for up to 11 groups; for more, from 4 n to 2,048, until the standard "
    "errors sum to 5 % of the values (max_evaluations moves both); times the size of a background",
    use="contributions that add up to the score change from the filled input, share what groups "
    "do together fairly, and say how sure they are; few groups, or many passes",
    misuse="where effects cancel: of two words that undo each other both get zero "
    "(interactions=True shows it), and where inputs with absent parts are unlike anything the "
    "model was trained on",
    source="Shapley 1953; Lundberg & Lee 2017, arXiv:1705.07874, theorem 2; interactions: "
    "Grabisch & Roubens 1999, and Fumagalli et al. 2024, arXiv:2405.10852, for their regression",
    equation=r"a_g = \sum_{S: \, g \notin S} \frac{|S|! \, (n - |S| - 1)!}{n!} "
    r"\bigl(f(x_{S \cup g}) - f(x_S)\bigr)",
    takes={"fill", "background", "tolerance", "max_evaluations"},
    aliases=("shap", "kernel_shap", "shapley_values", "shapley_value_sampling", "exact_shapley"),
)
def shapley(question: Question, options: Shapley) -> Steps:
    """Enumerate all coalitions, or draw pairs of them until the values are sure enough.

    `stderr` holds the standard error of each value; `interaction` and `interaction_stderr` those
    of pairs of groups, with dims ``("first", "second")``.
    """
    grouped = Grouped.by(question.units, options.groups)
    if options.trees is not None:
        return (yield from _of_trees(question, grouped, options))
    most = MAX_COALITIONS
    if question.max_evaluations is not None:
        most = question.max_evaluations // max(1, len(question.background))
    if math.log2(max(1, most)) >= grouped.count:
        return (yield from _enumerated(question, grouped, interactions=options.interactions))
    return (yield from _sampled(question, grouped, most, interactions=options.interactions))


def _of_trees(question: Question, grouped: Grouped, options: Shapley) -> Steps:
    """Ask the model for the values themselves, against each row of the background."""
    if not grouped.own or options.interactions:
        msg = "trees= gives values of single columns; leave groups= and interactions= out"
        raise OptionError(msg)
    if options.trees not in {"interventional", "path"}:
        msg = f"trees={options.trees!r} does not exist; give 'interventional' or 'path'"
        raise OptionError(msg)
    background = tuple(question.background) or (question.baseline,)
    count = len(background)
    points = Perturbation(
        question.units.whole(), weights=np.ones((count, 1)), fills=background,
        choice=np.arange(count),
    )  # fmt: skip
    fold = Fold("difference", rows=np.full((1, count), 1 / count), rule=f"trees_{options.trees}")
    answer = yield Ask(points, fold)
    assert answer.gradients is not None
    assert answer.reference is not None
    ends = answer.values[0], answer.reference[0].mean(0)
    values = answer.gradients[0]
    return _estimate(
        question, grouped, ends, values, np.zeros_like(values), {}, (),
        {"rule": f"trees, {options.trees}", "source": "shap TreeExplainer"},
    )  # fmt: skip


def _enumerated(question: Question, grouped: Grouped, *, interactions: bool) -> Steps:
    table = yield from scores_of(question, grouped.grouping, all_coalitions(grouped.count))
    values = shapley_values(table)
    pairs = {}
    if interactions:
        second = shapley_interactions(table)
        pairs = {"interaction": second, "interaction_stderr": np.zeros_like(second)}
    return _estimate(
        question, grouped, (table[-1], table[0]), values, np.zeros_like(values), pairs,
        (), {"rule": "exact", "coalitions": len(table)},
    )  # fmt: skip


def _sampled(question: Question, grouped: Grouped, most: int, *, interactions: bool) -> Steps:
    n, times = grouped.count, max(1, len(question.background))
    tolerance = TOLERANCE if question.tolerance is None else question.tolerance
    game = PairedRegression(n, question.rng, interactions=interactions)
    least = min(2 + 2 * game.least, 1 << n)
    if most < least:
        msg = (
            f"Shapley values of {n:,} groups need at least {least * times:,} evaluations, and "
            f"max_evaluations is {most * times:,}; raise it, or make fewer groups (groups=)"
        )
        raise OptionError(msg)
    ends = np.stack([np.ones(n, dtype=bool), np.zeros(n, dtype=bool)])
    whole, empty = yield from scores_of(question, grouped.grouping, ends)
    wanted, limit = game.least, most // 2 - 1
    while True:
        masks = game.draw(wanted)
        both = yield from scores_of(question, grouped.grouping, np.concatenate([masks, ~masks]))
        game.add(masks, whole, empty, *np.split(both, 2))
        found = game.values()
        error = relative_error(found.coefficients, found.stderr, whole - empty)
        # What is not finite does not become so with more evaluations.
        if wanted >= limit or not (error > tolerance).any():
            break
        wanted = min(math.ceil(wanted * GROWTH), limit)
    coalitions = 2 + 2 * game.pairs
    pairs = {}
    if interactions:
        second = game.interactions()
        pairs = {
            "interaction": square(second.coefficients, n),
            "interaction_stderr": square(second.stderr, n),
        }
    return _estimate(
        question, grouped, (whole, empty), found.coefficients, found.stderr, pairs,
        missed(error, tolerance, coalitions * times),
        {"rule": "sampled", "coalitions": coalitions},
    )  # fmt: skip


def _estimate(
    question: Question, grouped: Grouped, ends: tuple[FloatArray, FloatArray],
    values: FloatArray, stderr: FloatArray, pairs: dict[str, FloatArray],
    findings: tuple[Finding, ...], notes: dict[str, object],
) -> Estimate:  # fmt: skip
    whole, empty = ends
    if question.baseline.deletes and not question.background:
        findings = (*findings, finding("deletion_shifts"))
    return Estimate(
        grouped.lay(values), whole, empty, additive=True,
        error=relative_error(values, stderr, whole - empty),
        extra={"stderr": grouped.lay(stderr)}, pairs=pairs, units=grouped.shown,
        findings=findings,
        notes={**notes, "groups": grouped.count, "by": grouped.grouping.kind},
    )  # fmt: skip
