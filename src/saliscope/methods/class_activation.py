"""Class activation maps: what a late layer holds, weighted by what the target makes of it.

All of them look at one layer: its features A_k on a grid of positions, and the slopes of the
target there, which one backward pass gives that stops at the layer. They differ in the weights.
Maps are given as they are, not scaled to [0, 1], so that two maps can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from saliscope.core.activation import ClassActivation, mapped
from saliscope.core.ask import Answer, Ask, Question, Steps
from saliscope.core.health import Finding, finding
from saliscope.core.perturbation import Perturbation
from saliscope.core.registry import method
from saliscope.core.units import FloatArray

__all__ = ["grad_cam", "grad_cam_plus_plus", "layer_cam"]

_FEW, _MANY = 0.25, 16  # share of the places, and the number of them from which it is looked at
_COST = "1 forward pass, and 1 backward pass per target that stops at the layer"


@dataclass(frozen=True, eq=False)
class _Inside:
    """A layer at the input: features (features, *grid), slopes (targets, features, *grid)."""

    answer: Answer
    features: FloatArray
    slopes: FloatArray
    findings: tuple[Finding, ...]

    @property
    def grid(self) -> tuple[int, ...]:
        """The axes of the slopes along which positions lie."""
        return tuple(range(2, self.slopes.ndim))


def _inside(question: Question, answer: Answer) -> _Inside:
    assert question.layer is not None
    assert answer.activations is not None
    assert answer.slopes is not None
    slopes = answer.slopes[0]
    found = () if slopes.any() else (finding("no_slope", layer=question.layer.name),)
    return _Inside(answer, answer.activations[0], slopes, found)


def _local(question: Question, inside: _Inside) -> tuple[Finding, ...]:
    """Say so where one weight per feature cannot do: the slopes of a target lie in few places.

    The share of places is the participation ratio, (sum s)^2 / (n sum s^2), of s_p = sum_k |g_kp|.
    """
    assert question.layer is not None
    size = np.abs(inside.slopes).sum(1).reshape(len(inside.slopes), -1)
    size = size[size.any(1)]
    if size.shape[1] < _MANY or not len(size):
        return inside.findings
    share = float((size.sum(1) ** 2 / (size**2).sum(1) / size.shape[1]).min())
    if share >= _FEW:
        return inside.findings
    return *inside.findings, finding("slope_in_few_places", share=share, layer=question.layer.name)


@method(
    "grad_cam",
    options=ClassActivation,
    needs={"gradients", "layers"},
    summary="Features of a late layer, each weighted by the target's mean slope for it.",
    cost=_COST,
    use="images and other grids: a quick look at which region speaks for a class",
    misuse="where a feature counts at one place and not at another: its one weight is the mean "
    "slope over all positions, so it is painted wherever it is active",
    source="Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2",
    equation=r"a_p = \max\Bigl(0, \sum_k w_k A_{kp}\Bigr), \quad "
    r"w_k = \frac{1}{|P|} \sum_{p \in P} \frac{\partial f}{\partial A_{kp}}",
    takes={"layer"},
    aliases=("gradcam", "layer_grad_cam", "cam"),
)
def grad_cam(question: Question, options: ClassActivation) -> Steps:
    """Weight each feature by its mean slope."""
    answer = yield Ask(Perturbation.identity(question.units), layer=question.layer)
    inside = _inside(question, answer)
    total = np.tensordot(inside.slopes.mean(inside.grid), inside.features, 1)
    return mapped(question, options, answer, total, _local(question, inside))


@method(
    "grad_cam_plus_plus",
    options=ClassActivation,
    needs={"gradients", "layers"},
    summary="Grad-CAM with weights that count positions of positive slope, however few they are.",
    cost=_COST,
    use="several objects of one class, of which Grad-CAM would show the largest only",
    misuse="for evidence against the target, which it cannot see (negative slopes are cut off), "
    "and behind layers whose features may be negative, for which its weights are not derived",
    source="Chattopadhay et al. 2018, arXiv:1710.11063, equations 7 and 19, for the exponential of "
    "the score; the factor exp(f), common to the whole map, is left out",
    equation=r"a_p = \max\Bigl(0, \sum_k w_k A_{kp}\Bigr), \quad "
    r"w_k = \sum_p \frac{\max(0, g_{kp})}{2 + g_{kp} \sum_q A_{kq}}, \quad "
    r"g_{kp} = \frac{\partial f}{\partial A_{kp}}",
    takes={"layer"},
    unit="weighted activation",
    aliases=("grad_cam_pp", "gradcampp"),
)
def grad_cam_plus_plus(question: Question, options: ClassActivation) -> Steps:
    """Weight each feature by its positive slopes, each with the share that the paper derives.

    With derivatives of exp(f), alpha = g^2 / (2 g^2 + g^3 sum A): g^2 cancels, which leaves no 0/0
    and no squares of small slopes. Where g is zero its term is zero, whatever alpha would be.
    """
    answer = yield Ask(Perturbation.identity(question.units), layer=question.layer)
    inside = _inside(question, answer)
    features, slopes = inside.features, inside.slopes
    places = tuple(range(1, features.ndim))
    below = 2 + slopes * features.sum(places, keepdims=True)
    rising = np.maximum(slopes, 0)
    share = np.divide(rising, below, out=np.zeros_like(rising), where=below != 0)
    found = _local(question, inside)
    if (below[rising > 0] <= 0).any():
        assert question.layer is not None
        found += (finding("negative_activations", layer=question.layer.name),)
    total = np.tensordot(share.sum(inside.grid), features, 1)
    return mapped(question, options, answer, total, found)


@method(
    "layer_cam",
    options=ClassActivation,
    needs={"gradients", "layers"},
    summary="Features of a layer, each weighted at each position by its positive slope there.",
    cost=_COST,
    use="finer maps from earlier layers, where one weight per feature is too coarse",
    misuse="for evidence against the target: at each position the positive half alone is summed, "
    "so features that cancel each other look like strong evidence",
    source="Jiang et al. 2021, IEEE TIP 30, doi:10.1109/TIP.2021.3089943, section III",
    equation=r"a_p = \max\Bigl(0, \sum_k \max\bigl(0, \partial f / \partial A_{kp}\bigr) "
    r"A_{kp}\Bigr)",
    takes={"layer"},
    aliases=("layercam",),
)
def layer_cam(question: Question, options: ClassActivation) -> Steps:
    """Weight each feature at each position by its positive slope."""
    answer = yield Ask(Perturbation.identity(question.units), layer=question.layer)
    inside = _inside(question, answer)
    total = (np.maximum(inside.slopes, 0) * inside.features).sum(1)
    return mapped(question, options, answer, total, inside.findings)
