"""Permutation importance: replace a group's values by those of other examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saliscope.core.ask import Ask, Estimate, Options, Question, Steps
from saliscope.core.coalitions import Grouped
from saliscope.core.errors import OptionError
from saliscope.core.perturbation import Perturbation
from saliscope.core.registry import method, option
from saliscope.core.surrogate import relative_error

__all__ = ["Permutation", "permutation"]

MAX_EVALUATIONS = 2048


@dataclass(frozen=True)
class Permutation(Options):
    """Options of `permutation`."""

    groups: str | Sequence[int] | None = option(
        None,
        "what is replaced together: 'word', 'token', 'residue', or one group number per unit "
        "(default: words of a text, single residues of a protein, patches of an image, single "
        "elements of a tensor)",
    )


@method(
    "permutation",
    options=Permutation,
    needs={"values"},
    summary="Mean fall of the target when a group takes its values from other examples.",
    cost="1 forward pass per group and example of the background (at most 2,048 passes; then a "
    "random part of the background), and 1",
    use="tables: what a column is worth to the model on data like these; the mean over examples "
    "(mean_over_examples) is the global importance",
    misuse="where columns go together: one that changes alone makes inputs that do not exist, and "
    "what the model does with those counts",
    source="Breiman 2001, section 10; per example: Casalicchio, Molnar & Bischl 2018, "
    "arXiv:1804.06620; mean: Fisher, Rudin & Dominici 2019, JMLR 20(177), section 3",
    equation=r"a_g = \frac{1}{K} \sum_{k=1}^{K} "
    r"\bigl(f(x) - f(x_{g \leftarrow x^{(k)}})\bigr)",
    takes={"examples", "max_evaluations"},
    aliases=("permutation_importance", "feature_permutation", "model_reliance"),
)
def permutation(question: Question, options: Permutation) -> Steps:
    """Ask for the target with each group taken from each example of the background.

    Nothing is shuffled: every example of the background is used once for every group, so the only
    chance is which examples the background holds. `stderr` is the standard error over them, the
    standard deviation of the falls divided by the square root of K.
    """
    grouped = Grouped.by(question.units, options.groups)
    n, others = grouped.count, question.background
    limit = MAX_EVALUATIONS if question.max_evaluations is None else question.max_evaluations
    if len(others) < 2:
        msg = (
            f"permutation needs at least 2 other examples and has {len(others)}; give a tensor "
            "of more examples, or baseline=[...] with inputs of the same length"
        )
        raise OptionError(msg)
    most = (limit - 1) // n
    if most < 2:
        msg = (
            f"permutation of {n:,} groups needs at least {2 * n + 1:,} evaluations, and "
            f"max_evaluations is {limit:,}; raise it, or make fewer groups (groups=)"
        )
        raise OptionError(msg)
    count = min(most, len(others))
    chosen = np.sort(question.rng.choice(len(others), count, replace=False))
    background = tuple(others[int(i)] for i in chosen)
    whole = yield Ask(Perturbation.identity(question.units))
    removed, choice = np.repeat(np.arange(n), count), np.tile(np.arange(count), n)
    each = Perturbation(grouped.grouping, removed=removed, fills=background, choice=choice)
    replaced = yield Ask(each)
    with np.errstate(invalid="ignore"):  # infinities are found in the result
        falls = (whole.values[0] - replaced.values).reshape(n, count, question.targets)
        values = falls.mean(1).T
        stderr = falls.std(1, ddof=1).T / np.sqrt(count)
    return Estimate(
        grouped.lay(values), whole.values[0], error=relative_error(values, stderr),
        extra={"stderr": grouped.lay(stderr)}, units=grouped.shown,
        notes={"examples": count, "groups": n, "by": grouped.grouping.kind},
    )  # fmt: skip
