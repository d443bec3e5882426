"""Operations along axes on which patches are whole: norms, sums, dense layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from saliscope.models.patches.places import boxes
from saliscope.models.patches.rows import PatchRows, aligned

__all__ = [
    "below", "both", "cat", "dense", "layer_norm", "normed", "reduce", "same",
    "softmax",
]  # fmt: skip

_aten: Any = torch.ops.aten


def below(func: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a function whose operations are seen one by one."""
    with torch._C.DisableTorchFunctionSubclass():  # noqa: SLF001 - as torch's own subclasses do
        return func(*args, **kwargs)


def both(
    x: PatchRows, key: Sequence[object], apply: Callable[[torch.Tensor], Any],
    axes: tuple[int, ...] | None = None,
) -> PatchRows:  # fmt: skip
    """Do the same with the inputs and the patches; `axes` are where those of patches go."""
    whole = x.story.once([*key, x.whole], lambda: apply(x.whole)) if x.axes else x.whole
    return x.like(whole, apply(x.patch), x.axes if axes is None else axes, x.at)


def same(func: Any, x: PatchRows, *args: Any, **kwargs: Any) -> PatchRows:
    """Do the same with the inputs and the patches."""
    key = (func, *args, *kwargs.items())
    made = both(x, key, lambda part: func(part, *args, **kwargs))
    one, other = made.patch.untyped_storage(), x.patch.untyped_storage()
    return x.seen_as(made) if one.data_ptr() == other.data_ptr() else made


def normed(func: Any, x: PatchRows, axes: Sequence[int], *args: Any) -> Any:
    """Normalize over axes; the other results serve the backward pass alone."""
    x = x.fill(axes)
    patch, *rest = func(x.patch, *args)
    whole = x.whole
    if x.axes:
        whole = x.story.once([func, whole, *args], lambda: func(x.whole, *args)[0])
    return x.like(whole, patch, x.axes, x.at), *rest


def layer_norm(func: Any, x: PatchRows, shape: Sequence[int], *args: Any) -> Any:
    """Normalize over the last axes."""
    axes = range(x.ndim - len(shape), x.ndim)
    return NotImplemented if 0 in axes else normed(func, x, axes, shape, *args)


def softmax(func: Any, x: PatchRows, axis: int, *args: Any) -> Any:
    """Normalize probabilities along an axis."""
    axis %= x.ndim
    return same(func, x.fill([axis]), axis, *args) if axis else NotImplemented


def reduce(
    func: Any,
    x: PatchRows,
    axes: Sequence[int] | None = None,
    keep: bool = False,
    **kwargs: Any,
) -> Any:
    """Sum or average over axes, or take the largest number."""
    gone = {axis % x.ndim for axis in axes or ()}
    if not gone or 0 in gone:
        return NotImplemented
    if x.axes and gone >= set(x.axes):
        return _total(func, x, sorted(gone), keep, **kwargs)
    x = x.fill(sorted(gone))
    left = tuple(a if keep else a - sum(g < a for g in gone) for a in x.axes)
    key = (func, gone, keep, *kwargs.items())
    return both(x, key, lambda part: func(part, sorted(gone), keep, **kwargs), left)


def _total(func: Any, x: PatchRows, gone: list[int], keep: bool, **kwargs: Any) -> Any:
    """Sum over all of the rows: over their patches, and over what is outside of them."""
    if func is _aten.amax.default or kwargs or not x.is_floating_point():
        return NotImplemented
    total = _aten.sum.dim_IntList
    found = total(x.patch, gone, True) + _outside(x, [a for a in gone if a not in x.axes])
    if func is _aten.mean.dim:
        found = found / math.prod(x.shape[axis] for axis in gone)
    return found if keep else total(found, gone, False)


def _outside(x: PatchRows, others: list[int]) -> torch.Tensor:
    """Return the sum over axes of what is outside of patches.

    Nothing is taken away from a larger sum, which would lose what is small beside it: before and
    behind the patch along the first axis, then so along the next inside of it, and so on.
    """
    found = torch.zeros((), dtype=torch.float64)
    for n, axis in enumerate(x.axes):
        gone = [*x.axes[n + 1 :], *others]

        def sums(axis: int = axis, gone: list[int] = gone) -> torch.Tensor:
            wide = x.whole.double().sum(gone, keepdim=True) if gone else x.whole.double()
            none = torch.zeros_like(wide.narrow(axis, 0, 1))
            behind = wide.flip(axis).cumsum(axis).flip(axis)
            return torch.cat([none, wide.cumsum(axis), behind, none], axis)

        table = x.story.once(["outside", axis, *gone, x.whole], sums)
        for place in (x.at[:, n], x.at[:, n] + x.extents[n] + x.shape[axis] + 1):
            begin = np.concatenate([x.at[:, :n], place[:, None]], axis=1)
            sizes = [*x.extents[:n], 1]
            part = boxes(table, x.axes[: n + 1], x.of, begin, sizes)
            found = found + part.sum(x.axes[:n], keepdim=True) if n else found + part
    return found.to(x.patch.dtype)


def cat(func: Any, each: Sequence[torch.Tensor], axis: int = 0) -> Any:
    """Put rows together along another axis."""
    rows = [x for x in each if isinstance(x, PatchRows)]
    if len(rows) < len(each):
        return NotImplemented
    axis %= rows[0].ndim
    rows = aligned([x.fill([axis]) for x in rows])
    first = rows[0]
    if axis == 0:
        return NotImplemented
    wholes = [x.whole for x in rows]
    whole = wholes[0]
    if first.axes:
        whole = first.story.once([func, axis, *wholes], lambda: func(wholes, axis))
    return first.like(whole, func([x.patch for x in rows], axis), first.axes, first.at)


def dense(x: Any, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Compute a dense layer, along the last axis."""
    linear: Callable[..., torch.Tensor] = torch.nn.functional.linear
    if not isinstance(x, PatchRows) or isinstance(weight, PatchRows) or x.ndim < 2:
        made: torch.Tensor = below(linear, x, weight, bias)
        return made
    key = (linear, weight, bias)
    return both(x.fill([x.ndim - 1]), key, lambda part: linear(part, weight, bias))
