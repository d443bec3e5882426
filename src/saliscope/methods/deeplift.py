"""DeepLIFT: the difference from a baseline, handed back through every operation of the model."""

from __future__ import annotations

import numpy as np

from saliscope.core.ask import Ask, Estimate, Fold, Options, Question, Steps
from saliscope.core.perturbation import Perturbation
from saliscope.core.registry import method
from saliscope.methods.integrated_gradients import baseline_findings

__all__ = ["deeplift"]


@method(
    "deeplift",
    needs={"operations"},
    summary="Each operation's output difference from the baseline, shared among its inputs.",
    cost="1 forward pass at the baseline, 1 forward and 1 backward pass at the input (for each "
    "baseline of a background)",
    use="signed contributions that add up to the score change, for the price of two gradients",
    misuse="as what the model would do without a unit: where units act together (two of them in "
    "a maximum or a product) the share of each depends on how the model is written, and two "
    "models that compute the same function can get different maps",
    source="Shrikumar, Greenside & Kundaje 2017, arXiv:1704.02685, Rescale rule (equation 3 and "
    "section 3.5.1); several baselines: Lundberg & Lee 2017, arXiv:1705.07874, section 4.2",
    equation=r"a_i = m_{\Delta x_i \Delta f} \, (x_i - b_i), \quad m_{\Delta x_i \Delta t} = "
    r"\sum_j m_{\Delta x_i \Delta y_j} \, m_{\Delta y_j \Delta t}, \quad m_{\Delta y \Delta g(y)} "
    r"= \frac{g(y) - g(y^b)}{y - y^b}",
    takes={"background"},
    aliases=("deep_lift", "deepshap", "deep_shap", "deep_explainer", "rescale"),
)
def deeplift(question: Question, _options: Options) -> Steps:
    """Ask for the multipliers at the input, against each baseline, and average."""
    background = question.background or (question.baseline,)
    count = len(background)
    points = Perturbation(
        question.units.whole(), weights=np.ones((count, 1)), fills=tuple(background),
        choice=np.arange(count),
    )  # fmt: skip
    share = np.full((1, count), 1 / count)
    answer = yield Ask(points, Fold("difference", rows=share, rule="deeplift"))
    assert answer.gradients is not None
    assert answer.reference is not None
    values, probabilities = answer.reference
    return Estimate(
        answer.gradients[0], answer.values[0], values.mean(0), additive=True,
        findings=baseline_findings(probabilities.mean(0, keepdims=True)),
        notes={"baselines": count},
    )  # fmt: skip
