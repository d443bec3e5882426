"""DeepLIFT: the model runs at the input and at the baseline, and multipliers go back.

Both runs are watched (`saliscope.models.rules.tape`) and compared step by step: the same
operations, with the same constants. Then each operation in the graph of the input's run either is
linear, and sends back what it always does; or has a rule (`OPERATIONS`); or is refused by name.
So whatever is answered accounts for the whole difference of the target, up to rounding.

Source: Shrikumar, Greenside & Kundaje 2017, arXiv:1704.02685; several baselines are averaged as in
DeepSHAP (Lundberg & Lee 2017, arXiv:1705.07874, section 4.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from saliscope.core.errors import RefusedError
from saliscope.core.model import Pass, Piece, Reader
from saliscope.core.perturbation import Perturbation
from saliscope.models.readout import plain
from saliscope.models.rules import choices, normalized, strings
from saliscope.models.rules.choices import same
from saliscope.models.rules.rescale import (
    Operation,
    division,
    elementwise,
    gate,
    matrices,
    product,
)
from saliscope.models.rules.tape import Back, Held, Step, Tape, respond

if TYPE_CHECKING:
    from saliscope.models.torch_model import TorchModel

__all__ = ["LINEAR", "OPERATIONS", "DeepLift", "check_linear"]

_RULES: dict[Operation, str] = {
    elementwise(smooth=False): "relu clamp clamp_min clamp_max hardtanh hardsigmoid leaky_relu "
    "threshold abs softshrink _prelu_kernel",
    elementwise(): "gelu silu mish sigmoid tanh log_sigmoid_forward erf erfc exp exp2 expm1 log1p "
    "sin cos sinh cosh asinh atan",
    elementwise(homogeneous=True): "log log2 log10 sqrt rsqrt reciprocal pow",
    elementwise(kinks=(0.0,)): "elu celu",
    elementwise(kinks=(-3.0, 3.0)): "hardswish",
    elementwise(sharpness="beta"): "softplus",
    product: "mul",
    division: "div",
    gate: "glu",
    matrices("self", "mat2"): "mm bmm",
    matrices("mat1", "mat2"): "addmm",
    matrices("batch1", "batch2"): "baddbmm",
    choices.selected(torch.gt): "maximum",
    choices.selected(torch.lt): "minimum",
    choices.where: "where",
    choices.filled: "masked_fill",
    choices.extreme: "max min amax amin",
    choices.pooled(2): "max_pool2d_with_indices adaptive_max_pool2d",
    choices.pooled(3): "max_pool3d_with_indices adaptive_max_pool3d",
    normalized.softmax: "_softmax _safe_softmax",
    normalized.log_softmax: "_log_softmax",
    normalized.logsumexp: "logsumexp",
    normalized.norm: "native_layer_norm native_group_norm _fused_rms_norm",
    normalized.batch_norm: "native_batch_norm cudnn_batch_norm",
    normalized.spread: "var std var_mean std_mean",
    normalized.euclidean: "linalg_vector_norm",
    normalized.attention: "_scaled_dot_product_flash_attention_for_cpu "
    "_scaled_dot_product_flash_attention _scaled_dot_product_efficient_attention "
    "_scaled_dot_product_cudnn_attention",
    strings.alignments: "ctc",
}
OPERATIONS = {name: rule for rule, names in _RULES.items() for name in names.split()}
"""Rules by operation."""

_LINEAR = """
add sub rsub neg sum mean mv dot addmv convolution view unsafeview reshapealias expand permute
transpose t squeeze unsqueeze select slice narrow index indexselect gather take takealongdim cat
stack split unsafesplit splitwithsizes unsafesplitwithsizes chunk unbind clone tocopy copy
copyslices copybackwards alias asstrided repeat roll flip rot90 tril triu diagonal diag diagembed
trace cumsum constantpadnd reflectionpad1d reflectionpad2d reflectionpad3d replicationpad1d
replicationpad2d replicationpad3d avgpool2d avgpool3d adaptiveavgpool2d adaptiveavgpool3d
mkldnnadaptiveavgpool2d upsamplelinear1d upsamplebilinear2d upsamplebicubic2d upsampletrilinear3d
upsamplenearest1d upsamplenearest2d upsamplenearest3d upsamplenearestexact1d
upsamplenearestexact2d upsamplenearestexact3d upsamplebilinear2daa upsamplebicubic2daa
gridsampler2d gridsampler3d unfold im2col col2im pixelshuffle pixelunshuffle channelshuffle
scatter scatteradd scatterreduce indexadd indexcopy indexfill indexput maskedscatter maskedselect
selectscatter slicescatter fftr2c fftc2r fftc2c viewasreal viewascomplex real imag conj lerp fill
zero
"""
LINEAR = frozenset(_LINEAR.split())
"""Kinds of nodes that are linear in all of their inputs that move, taken together."""

# Linear in these inputs one at a time, and in these not at all.
_ONE_OF = {"mv": (0, 1), "dot": (0, 1), "convolution": (0, 1), "addmv": (1, 2)}
_NEVER = {"lerp": 2, "gridsampler2d": 1, "gridsampler3d": 1}
# Their rules look at constants that differ between the runs themselves.
_LOOKED_AT = {"mul", "where", "masked_fill"}
_HINTS = {
    "mkldnnrnnlayer": " (a fused recurrent layer; in float64 it runs step by step)",
    "cudnnrnn": " (a fused recurrent layer; on the CPU in float64 it runs step by step)",
}


class DeepLift:
    """The rule "deeplift"."""

    follows: ClassVar[tuple[int, int]] = (2, 2)

    def run(
        self, model: TorchModel, pieces: Sequence[Piece], readers: Sequence[Reader]
    ) -> list[Pass]:
        """Run the baselines, then the inputs; send multipliers back through the inputs' graph."""
        held: Held = {}
        below = [replace(p, perturbation=_at_fill(p.perturbation)) for p in pieces]
        lower = Tape(_kept, held)
        with lower:
            read_low, _ = model.evaluate(model.realize(below), readers, gradients=True)
        reference = [np.stack(both) for both in plain(read_low)]
        del read_low  # and with it the graph of that run
        batch = model.realize(pieces)
        upper = Tape(_kept, held)
        with upper:
            read_off, leaf = model.evaluate(batch, readers, gradients=True)
        assert leaf is not None
        values = [v for v, _ in read_off]
        try:
            _compare(upper.steps, lower.steps)
            respond(values, leaf, upper, _Rule(upper.steps, lower.steps))
            folded = model.backward(pieces, readers, batch, leaf, values)
        except RefusedError as error:
            msg = (
                f"deeplift cannot take {model.name} apart: {error}; use integrated_gradients, "
                "which needs the gradient only"
            )
            raise RefusedError(msg) from error
        return [
            Pass(*both, gradients, reference=low)
            for both, gradients, low in zip(plain(read_off), folded, reference, strict=True)
        ]


def _at_fill(moved: Perturbation) -> Perturbation:
    """Return the same rows with the fill everywhere."""
    weights = np.zeros((moved.rows, moved.grouping.count))
    return replace(moved, weights=weights, removed=None)


def _kept(name: str, tensors: Sequence[torch.Tensor]) -> bool:
    """Whether the rule of an operation looks at the tensors that move."""
    if name not in OPERATIONS:
        return False
    moving = [t for t in tensors if t.requires_grad]
    if name in {"mul", "where", "masked_fill"} and len(moving) == 1:
        # Only a mask as large as what it masks can be one that depends on it.
        still = [t for t in tensors if not t.requires_grad]
        return any(t.numel() == moving[0].numel() for t in still)
    if name == "div":
        return len(tensors) > 1 and tensors[1].requires_grad
    if name in {"mm", "bmm", "addmm", "baddbmm"}:
        return len(moving) > 1
    return True


def _compare(above: Sequence[Step], below: Sequence[Step]) -> None:
    """Refuse runs that did different things."""
    for step, twin in zip(above, below, strict=False):
        if step.func is not twin.func or step.movers != twin.movers:
            msg = f"it does {step.name} on the input where it does {twin.name} on the baseline"
            raise RefusedError(msg)
        for name, value in step.values.items():
            if name in step.movers or same(value, twin[name]):
                continue
            if step.name not in _LOOKED_AT or not isinstance(value, torch.Tensor):
                msg = (
                    f"{step.name} uses something ({name}) that has no gradient and differs between "
                    "the input and its baseline, such as a mask or an index made from the input"
                )
                raise RefusedError(msg)
    if len(above) != len(below):
        msg = f"it does {len(above)} operations on the input and {len(below)} on the baseline"
        raise RefusedError(msg)


class _Rule:
    """Answers what each node sends back."""

    def __init__(self, above: Sequence[Step], below: Sequence[Step]) -> None:
        self.above, self.below = above, below
        self.done: set[int] = set()

    def __call__(self, kind: str, before: tuple[Any, ...], number: int | None) -> Back | None:
        """Return a rule, or None for what is linear."""
        step = self.above[number] if number is not None else None
        name = step.name if step is not None and step.kind == kind else None
        if name in OPERATIONS:
            assert step is not None
            assert number is not None
            if number in self.done:
                msg = f"{name} was called where it could not be seen"
                raise RefusedError(msg)
            self.done.add(number)
            if name == "mul" and len(step.movers) == 1:
                return choices.masked(step, self.below[number])
            return OPERATIONS[name](step, self.below[number])
        check_linear(kind, before, name)
        return None


def check_linear(kind: str, before: Sequence[Any], name: str | None = None) -> None:
    """Refuse a node that is not linear in what moves, by its name.

    `before` holds the node of each of its inputs, None where one does not move.
    """
    if kind not in LINEAR:
        msg = f"{name or kind} has no rule and is not linear{_HINTS.get(kind, '')}"
        raise RefusedError(msg)
    moving = [number for number, each in enumerate(before) if each is not None]
    both = [number for number in moving if number in _ONE_OF.get(kind, ())]
    if len(both) > 1 or _NEVER.get(kind) in moving:
        msg = f"{kind} with two inputs that move"
        raise RefusedError(msg)
