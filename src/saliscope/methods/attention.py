"""Maps of attention alone: received, rollout and flow. What the target is does not enter them."""

from __future__ import annotations

from saliscope.core.ask import Ask, Estimate, Fold, Options, Question, Steps
from saliscope.core.health import finding
from saliscope.core.perturbation import Perturbation
from saliscope.core.registry import method

__all__ = ["attention", "attention_flow", "rollout"]

_WHERE = "which class or token is explained, only on the positions at which it is read"


def _map(question: Question, rule: str, what: str) -> Steps:
    """Ask for what a rule reads in the forward pass; the same for every target."""
    answer = yield Ask(Perturbation.identity(question.units), Fold(rule=rule))
    assert answer.gradients is not None
    found = finding("same_for_every_target", what=what)
    return Estimate(answer.gradients[0], answer.values[0], findings=(found,), signed=False)


@method(
    "attention",
    needs={"attention"},
    summary="Attention that each unit receives in the last layer, mean over heads and queries.",
    cost="1 forward pass",
    use="seeing where the last layer reads, beside a map of the target; other layers and single "
    "heads: saliscope.attention",
    misuse="as what matters for the target: a unit can receive nearly all attention and change "
    "nothing, because what is read there (its value vector) is multiplied by zero afterwards",
    source="Bahdanau et al. 2015, arXiv:1409.0473, section 5.2.1, for attention as a map; misuse: "
    "Jain & Wallace 2019, arXiv:1902.10186",
    equation=r"a_k = \frac{1}{H |Q_k|} \sum_{h} \sum_{q \in Q_k} P^{(L,h)}_{qk}, \quad Q_k: "
    r"\text{ units that can see } k",
    signed=False,
    unit="share of attention",
    aliases=("attentions", "raw_attention", "attention_weights"),
)
def attention(question: Question, _options: Options) -> Steps:
    """Ask for what `saliscope.attention` gives: special tokens dropped, rows divided again."""
    return (yield from _map(question, "attention", "the target"))


@method(
    "rollout",
    needs={"attention"},
    summary="Attention multiplied through all layers, from where the target is read to each unit.",
    cost="1 forward pass, and a product of two length x length matrices per layer",
    use="seeing which units can have reached the place where the target is read",
    misuse="as what matters for the target, which does not enter: heads are averaged, so a head "
    "that the output ignores counts as much as one that decides it",
    source="Abnar & Zuidema 2020, arXiv:2005.00928, section 3, equation 1",
    equation=r"a = \frac{1}{|T|} \sum_{t \in T} R_{t \cdot}, \quad R = \tilde A_L \cdots \tilde "
    r"A_1, \quad \tilde A_l = \tfrac12 \Bigl(\frac1H \sum_h P^{(l,h)} + I\Bigr), \quad T: \text{ "
    r"where the target is read}",
    signed=False,
    unit="share of attention",
    aliases=("attention_rollout",),
)
def rollout(question: Question, _options: Options) -> Steps:
    """Ask for rows of a product in which all tokens take part; nothing is divided in the end."""
    return (yield from _map(question, "rollout", _WHERE))


@method(
    "attention_flow",
    needs={"attention"},
    summary="Most that can flow through the attention of all layers from each unit to the target.",
    cost="1 forward pass, and for each unit and each position at which the target is read a "
    "largest flow through layers x tokens^2 edges (refused where that is too many)",
    use="short inputs: as rollout, but limited by the narrowest place on the way to the target",
    misuse="for comparing units: each flow has the whole network for itself, so the flows of all "
    "units together are far more than what fits through, and many units get nearly the same",
    source="Abnar & Zuidema 2020, arXiv:2005.00928, section 3; largest flow by Dinic's method on "
    "capacities rounded to 2^-30, its cut summed in float64",
    equation=r"a_k = \frac{1}{|T|} \sum_{t \in T} \operatorname{maxflow}\bigl((L, t) \to (0, k)"
    r"\bigr), \quad \text{capacity of } (l, q) \to (l-1, k) = \tilde A_{l,qk}",
    signed=False,
    unit="capacity",
    aliases=("flow", "max_flow"),
)
def attention_flow(question: Question, _options: Options) -> Steps:
    """Ask for flows through a graph in which all tokens take part."""
    return (yield from _map(question, "attention_flow", _WHERE))
