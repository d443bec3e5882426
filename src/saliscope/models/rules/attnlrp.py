"""AttnLRP: layer-wise relevance propagation through transformers, by operation.

Relevance is input times what is sent back, so every rule is a change of what a node sends:
functions of one number send their value over their input, norms are linear once their scale is
known, and the two factors of a product get half each. Softmax and all that is linear send their
gradient. Relevance is kept by all of these except biases and softmax, which take some.

Source: Achtibat et al. 2024, arXiv:2402.05602, section 3.3, written as gradients. The authors' own
implementation, of which nothing is used here, grants no patent rights: layer-wise relevance
propagation may be patented where you are, so ask before commercial use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from saliscope.core.errors import RefusedError
from saliscope.core.model import Pass, Piece, Reader
from saliscope.models.readout import plain
from saliscope.models.rules.deeplift import OPERATIONS, check_linear
from saliscope.models.rules.normalized import standardizing
from saliscope.models.rules.rescale import chords, given, reach, wide
from saliscope.models.rules.tape import Back, Grads, Shares, Step, Tape, kind, respond

if TYPE_CHECKING:
    from saliscope.models.torch_model import TorchModel

__all__ = ["AttnLRP"]

_VALUES = """
relu clamp clamp_min clamp_max hardtanh leaky_relu threshold abs softshrink _prelu_kernel gelu silu
mish sigmoid hardsigmoid tanh erf exp expm1 log1p sin sinh asinh atan elu celu hardswish softplus
pow
"""
_SENDS_VALUES = frozenset(_VALUES.split())
_NORMS = frozenset({"native_layer_norm", "_fused_rms_norm", "native_group_norm"})
# The two factors of a product get half of the relevance each; what is added keeps its own.
_SHARES: dict[str, Shares] = {
    "mul": (0.5, 0.5),
    "mm": (0.5, 0.5),
    "bmm": (0.5, 0.5),
    "addmm": (1.0, 0.5, 0.5),
    "baddbmm": (1.0, 0.5, 0.5),
}
# Fused attention is two products in a row, the first of which holds query and key.
_ATTENTION: Shares = (0.25, 0.25, 0.5)


class AttnLRP:
    """The rule "attnlrp"."""

    follows: ClassVar[tuple[int, int]] = (2, 2)

    def run(
        self, model: TorchModel, pieces: Sequence[Piece], readers: Sequence[Reader]
    ) -> list[Pass]:
        """Run the inputs once; send relevance over input back through their graph."""
        batch = model.realize(pieces)
        tape = Tape(_kept)
        with tape:
            read_off, leaf = model.evaluate(batch, readers, gradients=True)
        assert leaf is not None
        values = [v for v, _ in read_off]

        def rule(kind: str, before: tuple[Any, ...], number: int | None) -> Back | Shares | None:
            step = tape.steps[number] if number is not None else None
            if step is None or step.kind != kind or step.name not in OPERATIONS:
                check_linear(kind, before)
                return None
            return _sends(step, before)

        try:
            respond(values, leaf, tape, rule)
            folded = model.backward(pieces, readers, batch, leaf, values)
        except RefusedError as error:
            msg = f"attnlrp cannot take {model.name} apart: {error}; use input_x_gradient"
            raise RefusedError(msg) from error
        return [
            Pass(*both, relevance) for both, relevance in zip(plain(read_off), folded, strict=True)
        ]


def _kept(name: str, _tensors: Sequence[torch.Tensor]) -> bool:
    return name in _SENDS_VALUES or name in _NORMS or name == "glu"


def _sends(step: Step, before: Sequence[Any]) -> Back | Shares | None:
    """Return the rule of an operation; None for what sends its gradient."""
    if step.name in _SENDS_VALUES:
        return _value(step)
    if step.name in _NORMS:
        return standardizing(step)
    if step.name == "glu":
        return _gate(step)
    if step.name.startswith("_scaled_dot_product"):
        return (*_ATTENTION, *(1.0 for _ in before[3:]))
    if step.name == "div" and before[-1] is not None:
        return (1.0, 0.0)  # as if the divisor were known
    shares = _SHARES.get(step.name)
    if shares is None or sum(each is not None for each in before[-2:]) < 2:
        return None
    scales = [_is_scale(each) for each in before]
    if step.name == "mul" and sum(scales) == 1:
        return tuple(0.0 if scale else 1.0 for scale in scales)
    return shares


def _is_scale(node: Any) -> bool:
    """Whether a factor is the scale of a norm that is written out: an inverse root."""
    while kind(node.name()) in {"expand", "view", "unsqueeze", "tocopy"}:
        ((node, _),) = node.next_functions
    return kind(node.name()) in {"rsqrt", "reciprocal"}


def _value(step: Step) -> Back:
    """Return the rule of a function of one number: its value over its input, a chord from zero.

    So at zero itself it sends its slope, and nothing is divided by a small number. A value at
    zero (of a sigmoid) is a bias, and gets no relevance.
    """
    x = wide(next(iter(step.tensors.values())))

    def function(t: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = step.call(t)
        return out

    slope = chords(function, x, torch.zeros_like(x), reach(x), alone=len(step.tensors) == 1)

    def back(incoming: Grads) -> Grads:
        return ((given(incoming[0]) * slope).sum_to_size(x.shape),)

    return back


def _gate(step: Step) -> Back:
    """Return the rule of a times sigmoid(b), for the two halves a and b of a tensor."""
    dim = step["dim"]
    a, b = wide(step["self"]).chunk(2, dim)
    slope = chords(torch.sigmoid, b, torch.zeros_like(b), reach(b))

    def back(incoming: Grads) -> Grads:
        half = given(incoming[0]) / 2
        return (torch.cat([half * b.sigmoid(), half * a * slope], dim),)

    return back
