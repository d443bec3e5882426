"""The Rescale rule for choices: the larger of two, one or the other by a mask, the largest of many.

Source: the max-pooling of Shrikumar's own implementation of arXiv:1704.02685, told as a rule: the
difference goes to the unit that was chosen in the run with the larger outcome. Its own difference
is at least as large, so the multiplier lies between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from saliscope.core.errors import RefusedError
from saliscope.models.rules.rescale import Operation, given, quotient, wide
from saliscope.models.rules.tape import Back, Grads, Step

__all__ = ["extreme", "filled", "masked", "pooled", "selected", "where"]

Tensor = torch.Tensor
Branches = tuple[Tensor, Tensor, Tensor]  # condition, what is taken where it holds, and where not


def _changed(step: Step) -> RefusedError:
    return RefusedError(
        f"{step.name} by a mask or factor that has no gradient and differs between the input and "
        "its baseline"
    )


def _share(step: Step, one: Branches, two: Branches) -> Tensor:
    """Return the multiplier of the first branch; the second one gets the rest of 1.

    A condition that is equal in both runs selects. One that differs must be that of the larger or
    the smaller branch, or the difference would have a cause that is not seen here.
    """
    (now, apart), (then, before) = ((c, wide(a) - wide(b)) for c, a, b in (one, two))
    differs = now != then
    for sign in (1, -1):
        fits = [
            torch.where(c, sign * gap >= 0, sign * gap <= 0)
            for c, gap in ((now, apart), (then, before))
        ]
        if bool((fits[0] & fits[1] | ~differs).all()):
            break
    else:
        raise _changed(step)
    moved = torch.where(now, apart, 0.0) - torch.where(then, before, 0.0)
    share = quotient(moved, apart - before, 0.5)
    return torch.where(differs, share, now.to(share))


def _divided(share: Tensor, shapes: Sequence[torch.Size]) -> Back:
    def back(incoming: Grads) -> Grads:
        gradient = given(incoming[0])
        parts = (gradient * share, gradient * (1 - share))
        return tuple(p.sum_to_size(s) for p, s in zip(parts, shapes, strict=False))

    return back


def selected(comparison: Callable[[Tensor, Tensor], Tensor]) -> Operation:
    """Return the rule of the larger (`torch.gt`) or smaller (`torch.lt`) of two."""

    def rule(step: Step, twin: Step) -> Back:
        one, two = (
            (comparison(s["self"], s["other"]), s["self"], s["other"]) for s in (step, twin)
        )
        return _divided(_share(step, one, two), (step["self"].shape, step["other"].shape))

    return rule


def where(step: Step, twin: Step) -> Back | None:
    """Return the rule of ``torch.where``."""
    if torch.equal(step["condition"], twin["condition"]):
        return None
    one, two = ((s["condition"], s["self"], s["other"]) for s in (step, twin))
    if any(value is None for value in (*one, *two)):
        raise _changed(step)
    return _divided(_share(step, one, two), (step["self"].shape, step["other"].shape))


def filled(step: Step, twin: Step) -> Back | None:
    """Return the rule of ``masked_fill``."""
    if torch.equal(step["mask"], twin["mask"]):
        return None
    one, two = ((~s["mask"], s["self"], s["value"]) for s in (step, twin))
    if any(value is None for value in (*one, *two)):
        raise _changed(step)
    kinds = ((c, a, torch.as_tensor(b).to(a)) for c, a, b in (one, two))
    return _divided(_share(step, *kinds), (step["self"].shape, torch.Size()))


def masked(step: Step, twin: Step) -> Back | None:
    """Return the rule of a factor without gradient: a constant, or a ReLU told as x * (x > 0)."""
    mover, factor = ("self", "other") if "self" in step.movers else ("other", "self")
    if same(step[factor], twin[factor]):
        return None
    moving = [s[mover] for s in (step, twin)]
    masks = [s[factor] for s in (step, twin)]
    if any(m is None for m in moving) or any(bool(((m != 0) & (m != 1)).any()) for m in masks):
        raise _changed(step)
    one, two = ((m != 0, a, torch.zeros_like(a)) for m, a in zip(masks, moving, strict=True))
    share = _share(step, one, two)

    def back(incoming: Grads) -> Grads:
        sent = (given(incoming[0]) * share).sum_to_size(moving[0].shape)
        return (sent, None) if mover == "self" else (None, sent)

    return back


def same(one: object, two: object) -> bool:
    """Whether what an operation was given is the same in both runs."""
    if isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor):
        if one.shape != two.shape or one.dtype != two.dtype:
            return False
        place = [(t.data_ptr(), t.stride()) for t in (one, two)]
        return place[0] == place[1] or bool(((one == two) | (one != one) & (two != two)).all())
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two)


# -- the largest of many -------------------------------------------------------------------------


def _winner(
    one: Tensor, two: Tensor, first: Tensor, second: Tensor, *, largest: bool
) -> tuple[Tensor, Tensor]:
    """Return which unit (last axis) gets the difference of the outcome, and its multiplier.

    `first` and `second` say which unit was chosen in each run.
    """
    now, then = one.gather(-1, first), two.gather(-1, second)
    index = torch.where((now >= then) if largest else (now <= then), first, second)
    apart = one.gather(-1, index) - two.gather(-1, index)
    return index, quotient(now - then, apart, 1.0)


def extreme(step: Step, twin: Step) -> Back:
    """Return the rule of the largest or smallest along axes: max, min, amax, amin."""
    largest = step.name in {"max", "amax"}
    one, two = (wide(s["self"]) for s in (step, twin))
    axes = step.get("dim", [])
    axes = [a % one.ndim for a in (axes if isinstance(axes, (list, tuple)) else [axes])]
    axes = axes or list(range(one.ndim))
    order = [a for a in range(one.ndim) if a not in axes] + axes
    shape = [one.shape[a] for a in order]
    rest = len(order) - len(axes)
    flat = [t.permute(order).flatten(rest) for t in (one, two)]
    picked = [(t if largest else -t).argmax(-1, keepdim=True) for t in flat]
    index, share = _winner(*flat, *picked, largest=largest)

    def back(incoming: Grads) -> Grads:
        gradient = given(incoming[0]).reshape(*shape[:rest], 1)
        sent = torch.zeros_like(flat[0]).scatter(-1, index, gradient * share)
        inverse = sorted(range(len(order)), key=order.__getitem__)
        return (sent.reshape(shape).permute(inverse),)

    return back


def pooled(axes: int) -> Operation:
    """Return the rule of max-pooling over the last axes."""

    def rule(step: Step, twin: Step) -> Back:
        one, two = (wide(s["self"]) for s in (step, twin))
        picked = [s.call(t)[1].flatten(-axes) for s, t in ((step, one), (twin, two))]
        index, share = _winner(one.flatten(-axes), two.flatten(-axes), *picked, largest=True)

        def back(incoming: Grads) -> Grads:
            gradient = given(incoming[0]).flatten(-axes)
            sent = torch.zeros_like(one).flatten(-axes).scatter_add(-1, index, gradient * share)
            return (sent.reshape(one.shape),)

        return back

    return rule
