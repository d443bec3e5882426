"""AttnLRP: relevance propagation for transformers. An optional extra; see the note on patents.

The authors of AttnLRP publish their own implementation, of which nothing is used here, under a
license that grants no patent rights. Layer-wise relevance propagation may be patented where you
are: ask before commercial use.
"""

from __future__ import annotations

from saliscope.core.ask import Ask, Estimate, Fold, Options, Question, Steps
from saliscope.core.perturbation import Perturbation
from saliscope.core.registry import method

__all__ = ["attnlrp"]


@method(
    "attnlrp",
    needs={"operations"},
    summary="Optional extra: the score handed back through a transformer as relevance (LRP).",
    cost="1 forward and 1 backward pass",
    use="signed maps of transformers without a baseline, where products, norms and activations "
    "share out the score instead of sending slopes. The authors' license of their own code grants "
    "no patent rights, and relevance propagation may be patented where you are: ask before "
    "commercial use",
    misuse="as shares of the score: biases and softmax keep some of it (provenance notes the sum), "
    "and a constant offset of the inputs, which no class depends on, gets relevance",
    source="Achtibat et al. 2024, arXiv:2402.05602, section 3.3",
    equation=r"a_i = x_i \, \tilde\partial f / \partial x_i, \quad "
    r"\tilde\partial g(y) = \frac{g(y) - g(0)}{y} \tilde\partial y, \quad "
    r"\tilde\partial (u v) = \tfrac{1}{2} (v \, \tilde\partial u + u \, \tilde\partial v), \quad "
    r"\tilde\partial \frac{y}{\sigma(y)} = \frac{\tilde\partial y}{\sigma(y)}",
    aliases=("attn_lrp", "lrp", "layer_wise_relevance_propagation", "lxt"),
)
def attnlrp(question: Question, _options: Options) -> Steps:
    """Ask for relevance over input, times the input."""
    points = Perturbation.identity(question.units)
    answer = yield Ask(points, Fold("input", rule="attnlrp"))
    assert answer.gradients is not None
    values, score = answer.gradients[0], answer.values[0]
    total = values.reshape(len(values), -1).sum(1)
    return Estimate(values, score, notes={"relevance_sum": total.tolist()})
