"""Relevance: gradient times attention, multiplied through the layers of a transformer."""

from __future__ import annotations

from saliscope.core.ask import Ask, Estimate, Fold, Options, Question, Steps
from saliscope.core.perturbation import Perturbation
from saliscope.core.registry import method

__all__ = ["relevance"]


@method(
    "relevance",
    needs={"attention", "gradients"},
    summary="Attention weighted by the target's gradient, multiplied through all layers.",
    cost="1 forward and 1 backward pass per target, in which every layer makes its attention "
    "probabilities once more; one layer's at a time",
    use="transformers of one stream (an encoder, or a causal model; encoder-decoders are refused): "
    "where the target got its information from, a map per class in two passes",
    misuse="for evidence against the target, which it cannot see (negative products are cut off), "
    "and where the target's own token decides: what a token keeps of itself is left out",
    source="Chefer, Gur & Wolf 2021, arXiv:2103.15679, equations 5 and 6 (self-attention), and R - "
    "I as in equation 8",
    equation=r"a = \frac{1}{|T|} \sum_{t \in T} (R_L - I)_{t \cdot}, \quad R_l = R_{l-1} + "
    r"\bar A_l R_{l-1}, \quad R_0 = I, \quad \bar A_l = \frac1H \sum_h \max\Bigl(0, "
    r"\frac{\partial f}{\partial P^{(l,h)}} \odot P^{(l,h)}\Bigr), \quad T: "
    r"\text{ where the target is read}",
    signed=False,
    unit="weighted attention",
    aliases=("chefer", "attention_relevance", "transformer_attribution", "gradient_x_attention"),
)
def relevance(question: Question, _options: Options) -> Steps:
    """Ask for the rows at which the target is read, of the product of all layers."""
    answer = yield Ask(Perturbation.identity(question.units), Fold(rule="relevance"))
    assert answer.gradients is not None
    return Estimate(answer.gradients[0], answer.values[0], signed=False)
