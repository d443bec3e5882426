"""Operations along axes on which patches are whole: norms, sums, dense layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from saliscope.models.patches.places import as_index, boxes
from saliscope.models.patches.rows import PatchRows, aligned

__all__ = [
    "adaptive_pool", "below", "both", "cat", "dense", "layer_norm", "normed", "reduce", "same",
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
    return both(x, key, lambda part: func(part, *args, **kwargs))


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
    """Sum over all of the rows: what a patch has more than the same place of its input is added."""
    if func is _aten.amax.default:
        return NotImplemented
    total = _aten.sum.dim_IntList
    more = total(x.patch - boxes(x.whole, x.axes, x.of, x.at, x.extents), gone, keep)
    if func is _aten.mean.dim:
        more = more / math.prod(x.shape[axis] for axis in gone)
    return func(x.whole, gone, keep, **kwargs).index_select(0, as_index(x.of, more)) + more


def adaptive_pool(func: Any, x: PatchRows, shape: Sequence[int]) -> Any:
    """Average over parts of a plane: what changes in it changes by the same weights."""
    if x.ndim != 4 or not x.axes:
        return NotImplemented
    x = x.fill([1])
    moved = x.patch - boxes(x.whole, x.axes, x.of, x.at, x.extents)
    weights = []
    for axis, parts in zip((2, 3), shape, strict=True):
        every = torch.eye(x.shape[axis], dtype=moved.dtype, device=moved.device)
        each = torch.nn.functional.adaptive_avg_pool1d(every[None], parts)[0]
        begin = x.at[:, x.axes.index(axis)] if axis in x.axes else np.zeros(len(x), dtype=np.int64)
        places = begin[:, None] + np.arange(moved.shape[axis])
        weights.append(each[torch.from_numpy(places).to(each.device)])
    more = torch.einsum("nchw,nhp,nwq->ncpq", moved, *weights)
    return func(x.whole, shape)[as_index(x.of, more)] + more


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
