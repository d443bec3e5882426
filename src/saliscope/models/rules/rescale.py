"""The Rescale rule of DeepLIFT, operation by operation.

Every operation here has run twice: at the input (`step`) and at the reference (`twin`). Its rule
gives *multipliers* that account for the whole difference of its output: the sum of multipliers
times differences of its inputs *is* the difference of its output, in exact arithmetic. Where a
quotient of differences would lose all digits (inputs that hardly differ), the slope half way
stands in its place; where a difference cancels algebraically, no quotient is taken at all.

Source: Shrikumar, Greenside & Kundaje 2017, arXiv:1704.02685, equations 1 to 3 and section 3.5.1
for functions of one number. For the others, what follows from it by taking them apart into such
functions, sums and products; a product is shared evenly between its factors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from saliscope.core.errors import RefusedError
from saliscope.models.readout import accumulating
from saliscope.models.rules.tape import Back, Grads, Step

__all__ = [
    "Operation", "chords", "division", "elementwise", "gate", "given", "matrices", "middle",
    "product", "quotient", "reach", "wide",
]  # fmt: skip

Operation = Callable[[Step, Step], Back | None]
Tensor = torch.Tensor


def wide(tensor: Tensor) -> Tensor:
    """Return a tensor in the type that differences are taken in: at least float32."""
    if tensor.is_complex():
        msg = "a product or function of complex numbers that move"
        raise RefusedError(msg)
    return tensor.to(accumulating(tensor.dtype))


def given(gradient: Tensor | None) -> Tensor:
    """Return a gradient that must be there, wide."""
    assert gradient is not None
    return wide(gradient)


def middle(one: Tensor, two: Tensor) -> Tensor:
    """Return what lies half way between the two runs."""
    return wide(one).lerp(wide(two), 0.5)


def quotient(above: Tensor, below: Tensor, otherwise: Tensor | float) -> Tensor:
    """Divide, and put something else where the divisor is zero or nothing finite comes out."""
    found = above / below
    other = torch.as_tensor(otherwise, dtype=found.dtype, device=found.device)
    return torch.where(found.isfinite(), found, other)


# -- functions of one number ---------------------------------------------------------------------


def reach(tensor: Tensor) -> float:
    """Return how far apart two points may be for the slope half way to be as good as the chord.

    The cube root of the rounding unit: the slope then misses the chord by less than rounding does.
    """
    return math.cbrt(24 * torch.finfo(tensor.dtype).eps)


def chords(
    function: Callable[[Tensor], Tensor], one: Tensor, two: Tensor, near: Tensor | float, *,
    alone: bool = True,
) -> Tensor:  # fmt: skip
    """Return the slope of the chord between two points; where they are `near`, that half way.

    A function of nothing else (`alone`) can be asked for some of the points.
    """
    high, low = function(one), function(two)
    one, two = one.expand_as(high), two.expand_as(high)
    apart = one - two
    slope = (high - low) / apart
    close = ~(apart.abs() > near)  # also where both are infinite
    if not bool(close.any()):
        return slope
    with torch.enable_grad():
        half = one[close].lerp(two[close], 0.5) if alone else one.lerp(two, 0.5)
        half.requires_grad_()
        (half_way,) = torch.autograd.grad(function(half).sum(), half)
    half_way = half_way.nan_to_num(0.0, 0.0, 0.0)
    return slope.masked_scatter(close, half_way if alone else half_way[close])


def elementwise(
    *, smooth: bool = True, kinks: Sequence[float] = (), homogeneous: bool = False,
    sharpness: str | None = None,
) -> Operation:  # fmt: skip
    """Return the rule of a function of one number.

    Parameters
    ----------
    smooth : bool
        False for functions made of straight pieces, whose chord is exact at any distance.
    kinks : sequence of float
        Where its slope jumps.
    homogeneous : bool
        It bends on the scale of its argument itself (powers, logarithms), not on a scale of one.
    sharpness : str, optional
        The argument whose inverse is the scale on which it bends.
    """

    def rule(step: Step, twin: Step) -> Back:
        one, two = (wide(next(iter(s.tensors.values()))) for s in (step, twin))
        alone = len(step.tensors) == 1

        def function(x: Tensor) -> Tensor:
            out: Tensor | tuple[Tensor, ...] = step.call(x)
            return out[0] if isinstance(out, tuple) else out

        near: Tensor | float = 0.0
        if smooth:
            near = reach(one) * (torch.minimum(one.abs(), two.abs()) if homogeneous else 1.0)
            if sharpness is not None:
                near = reach(one) / max(1.0, abs(step[sharpness]))
            for kink in kinks:
                same = (one > kink) == (two > kink)
                near = torch.where(same, near, 0.0)
        slope = chords(function, one, two, near, alone=alone)

        def back(incoming: Grads) -> Grads:
            return ((given(incoming[0]) * slope).sum_to_size(one.shape),)

        return back

    return rule


# -- products ------------------------------------------------------------------------------------


def product(step: Step, twin: Step) -> Back:
    """Return the rule of a product: each factor's difference times the mean of the other."""
    (a, b), (c, d) = ((s["self"], s["other"]) for s in (step, twin))
    first, second = middle(a, c), middle(b, d)

    def back(incoming: Grads) -> Grads:
        gradient = given(incoming[0])
        return (
            (gradient * second).sum_to_size(first.shape),
            (gradient * first).sum_to_size(second.shape),
        )

    return back


def division(step: Step, twin: Step) -> Back | None:
    """Return the rule of a / b as a times 1 / b, whose chord is -1 / (b b')."""
    (a, b), (c, d) = ((s["self"], s["other"]) for s in (step, twin))
    if step.get("rounding_mode") is not None:
        msg = "division with rounding"
        raise RefusedError(msg)
    if "other" not in step.movers:
        return None
    b, d = wide(b), wide(d)
    shape = a.shape if isinstance(a, Tensor) else ()
    first, inverse = middle(a, c), (1 / b).lerp(1 / d, 0.5)
    second = -first / (b * d)

    def back(incoming: Grads) -> Grads:
        gradient = given(incoming[0])
        return (
            (gradient * inverse).sum_to_size(shape),
            (gradient * second).sum_to_size(b.shape),
        )

    return back


def matrices(left: str, right: str) -> Operation:
    """Return the rule of a product of two matrices, alone or added to something."""

    def rule(step: Step, twin: Step) -> Back | None:
        if not {left, right} <= step.movers:
            return None  # linear
        first, second = middle(step[left], twin[left]), middle(step[right], twin[right])
        factor = step.get("alpha", 1)
        added = step["self"] if left != "self" else None

        def back(incoming: Grads) -> Grads:
            gradient = given(incoming[0])
            sent = (
                factor * (gradient @ second.mT),
                factor * (first.mT @ gradient),
            )
            if added is None:
                return sent
            return ((step["beta"] * gradient).sum_to_size(added.shape), *sent)

        return back

    return rule


def gate(step: Step, twin: Step) -> Back:
    """Return the rule of a times sigmoid(b), for the two halves a and b of a tensor."""
    dim = step["dim"]
    (a, b), (c, d) = (wide(s["self"]).chunk(2, dim) for s in (step, twin))
    slope = chords(torch.sigmoid, b, d, reach(b))
    first, gate = middle(a, c), middle(b.sigmoid(), d.sigmoid())

    def back(incoming: Grads) -> Grads:
        gradient = given(incoming[0])
        return (torch.cat([gradient * gate, gradient * first * slope], dim),)

    return back
