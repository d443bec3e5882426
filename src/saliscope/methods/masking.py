"""Masking: leave one unit or group out, and see what the target loses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saliscope.core.ask import Ask, Estimate, Options, Question, Steps
from saliscope.core.coalitions import Grouped
from saliscope.core.health import finding
from saliscope.core.perturbation import Perturbation
from saliscope.core.registry import method, option

__all__ = ["Masking", "masking"]


@dataclass(frozen=True)
class Masking(Options):
    """Options of `masking`."""

    groups: str | Sequence[int] | None = option(
        None,
        "what is masked together: 'word', 'token', 'residue', or one group number per unit "
        "(default: words of a text, single residues of a protein, patches of an image, single "
        "elements of a tensor)",
    )


@method(
    "masking",
    options=Masking,
    needs={"values"},
    summary="Fall of the target when one word, token, residue or group is masked or deleted.",
    cost="1 forward pass per group, and 1; times the size of a background",
    use="text and sequences: the plain question of what happens without this word; tables: of how "
    "far the prediction moves, on average, when one column takes the values of other rows",
    misuse="where two units say the same (masking one changes nothing), and where the masked input "
    "is unlike anything the model was trained on",
    source="Li, Monroe & Jurafsky 2016, arXiv:1612.08220, equation 1 (erasure)",
    equation=r"a_g = f(x) - f(x_{g \leftarrow \text{fill}})",
    takes={"fill", "background"},
    aliases=("leave_one_out", "loo", "erasure", "feature_ablation", "ablation"),
)
def masking(question: Question, options: Masking) -> Steps:
    """Ask for the target with each group masked; of a background, by each of its fills in turn.

    Over those the values are means, with their standard errors in `stderr`. Beside the values,
    `probability_drop` holds the fall in probability where the target has one.
    """
    units, fill = question.units, question.baseline
    grouped = Grouped.by(units, options.groups)
    fills = tuple(question.background) or (fill,)
    asked = yield Ask(Perturbation.leave_one_out(grouped.grouping, fills))
    whole, likely = asked.values[-1], asked.probabilities[-1]
    each = (grouped.count, len(fills), question.targets)
    with np.errstate(invalid="ignore"):  # infinities are found in the result
        falls = (whole - asked.values[:-1]).reshape(each)
        lost = (likely - asked.probabilities[:-1]).reshape(each)
    extra = {}
    if np.isfinite(likely).all():
        extra["probability_drop"] = grouped.lay(lost.mean(1).T)
    if len(fills) > 1:
        extra["stderr"] = grouped.lay(falls.std(1, ddof=1).T / np.sqrt(len(fills)))
    deleted = fill.deletes and not question.background
    return Estimate(
        grouped.lay(falls.mean(1).T), whole, extra=extra,
        units=grouped.shown,
        findings=(finding("deletion_shifts"),) if deleted else (),
        notes={
            "groups": grouped.count, "by": grouped.grouping.kind,
            "fill": fills[0].name if len(fills) == 1 else f"background of {len(fills)}",
        },
    )  # fmt: skip
