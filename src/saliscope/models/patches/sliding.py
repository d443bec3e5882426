"""Kernels that slide over the axes behind the channels: pooling, padding, and what they need."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from saliscope.models.patches.places import Ints
from saliscope.models.patches.rows import PatchRows, windows

__all__ = [
    "Slide",
    "adaptive_pool",
    "each_axis",
    "max_pool",
    "max_pool_lines",
    "mean_pool",
    "pad",
    "slide",
]


def each_axis(value: int | Sequence[int], axes: int) -> list[int]:
    """Return one number per axis."""
    numbers = [value] if isinstance(value, int) else list(value)
    return numbers * (axes if len(numbers) == 1 else 1)


@dataclass(frozen=True, eq=False)
class Slide:
    """What a sliding kernel is given: the inputs, and as much of each row as it needs.

    Parameters
    ----------
    whole, part : torch.Tensor
    pads, inner : list of int
        Their padding along the axes behind the channels.
    axes : tuple of int
        Along which what comes out is a part.
    at : numpy.ndarray of int, shape (rows, axes)
        Where that begins.
    extents : list of int
        Its size along all axes behind the channels.
    """

    whole: torch.Tensor
    pads: list[int]
    part: torch.Tensor
    inner: list[int]
    axes: tuple[int, ...]
    at: Ints
    extents: list[int]


def slide(
    x: PatchRows, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int],
    dilation: Sequence[int], spans: Sequence[int], outside: float = 0.0, *, joins: bool = False,
) -> Slide:  # fmt: skip
    """Choose what a kernel needs that makes planes of size `spans`.

    With `joins` a rim that was put around whole rows becomes padding, which must mean the same.
    """
    pads, full = list(padding), list(spans)
    if not x.axes or (joins and x.rim == outside):
        more = _even(x)
        if more is not None:
            inner = [pad + more.get(axis, 0) for axis, pad in enumerate(pads, 2)]
            return Slide(x.whole, pads, x.patch, inner, (), x.at[:, :0], full)
    own = [axis - 2 for axis in x.axes]
    if all(kernel[a] == stride[a] == 1 and not pads[a] for a in own):
        return Slide(x.whole, pads, x.patch, pads, x.axes, x.at, _put(full, own, x.extents))
    lows, sizes, begins, seen = [], [], [], []
    for n, (a, extent) in enumerate(zip(own, x.extents, strict=True)):
        reach, step, last = dilation[a] * (kernel[a] - 1) + 1, stride[a], full[a]
        moved = x.at[:, n] + pads[a]
        low = np.minimum(np.maximum((moved + (step - reach)) // step, 0), last - 1)
        # As many as any row may need, so that batches have few shapes: each costs a preparation.
        size = min((extent + reach - 2) // step + 1, last)
        lows.append(np.minimum(low, last - size))
        begins.append(lows[-1] * step - pads[a])
        sizes.append(size)
        seen.append((size - 1) * step + reach)
    part = windows(x, np.stack(begins, axis=1), seen, outside)
    inner = _put(pads, own, [0] * len(own))
    at = np.stack(lows, axis=1)
    return Slide(x.whole, pads, part, inner, x.axes, at, _put(full, own, sizes))


def _even(x: PatchRows) -> dict[int, int] | None:
    """Return how wide the rim around patches is along each axis; None: not as wide at both ends."""
    wide = {}
    for axis, span, extent, at in zip(x.axes, x.spans, x.extents, x.at.T, strict=True):
        wide[axis] = int(at[0])
        if span - extent != 2 * wide[axis] or (at != at[0]).any():
            return None
    return wide


def _put(numbers: Sequence[int], places: Sequence[int], values: Sequence[int]) -> list[int]:
    changed = dict(enumerate(numbers)) | dict(zip(places, values, strict=True))
    return list(changed.values())


def max_pool(
    func: Any, x: PatchRows, kernel: Sequence[int], stride: Sequence[int] = (),
    padding: Sequence[int] = (0,), dilation: Sequence[int] = (1,), ceil: bool = False,
) -> Any:  # fmt: skip
    """Take the largest number of each window; where it was is not known of patches."""
    axes = x.ndim - 2
    kernel, padding, dilation = (each_axis(v, axes) for v in (kernel, padding, dilation))
    stride = each_axis(stride, axes) if stride else kernel

    def apply(part: torch.Tensor, pad: list[int]) -> torch.Tensor:
        made: torch.Tensor = func(part, kernel, stride, pad, dilation, ceil)[0]
        return made

    if x.ndim != 4:
        return NotImplemented
    sizes = (kernel, stride, padding, dilation)
    return _pooled(x.fill([1]), sizes, apply, (func, *sizes, ceil), -math.inf), None


def _pooled(
    x: PatchRows, sizes: tuple[Sequence[int], Sequence[int], Sequence[int], Sequence[int]],
    apply: Callable[[torch.Tensor, list[int]], torch.Tensor], key: Sequence[object],
    outside: float = 0.0,
) -> PatchRows:  # fmt: skip
    if not x.axes:
        return x.like(x.whole, apply(x.patch, list(sizes[2])), (), x.at)
    whole = x.story.once([*key, x.whole], lambda: apply(x.whole, list(sizes[2])))
    given = slide(x, *sizes, whole.shape[2:], outside)
    return x.like(whole, apply(given.part, given.inner), given.axes, given.at)


def max_pool_lines(
    x: torch.Tensor, kernel: int, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """Pool lines as pictures of one row, since where the largest numbers were is not known."""
    if return_indices:
        msg = "where the largest numbers were is not known of patches"
        raise NotImplementedError(msg)  # seen when the module is tried, which then runs whole rows
    along = [
        each_axis(v, 1)[0]
        for v in (kernel, kernel if stride is None else stride, padding, dilation)
    ]
    pairs = list(zip((1, 1, 0, 1), along, strict=True))
    pooled = torch.nn.functional.max_pool2d(
        x.unsqueeze(-2), pairs[0], pairs[1], pairs[2], pairs[3], ceil_mode
    )
    return pooled.squeeze(-2)


def mean_pool(
    func: Any, x: PatchRows, kernel: Sequence[int], stride: Sequence[int] = (),
    padding: Sequence[int] = (0,), ceil: bool = False, counts: bool = True,
    divisor: int | None = None,
) -> Any:  # fmt: skip
    """Average each window."""
    axes = x.ndim - 2
    kernel, padding = each_axis(kernel, axes), each_axis(padding, axes)
    stride = each_axis(stride, axes) if stride else kernel
    if x.ndim != 4 or ceil or (any(padding) and not counts):
        return NotImplemented

    def apply(part: torch.Tensor, pad: list[int]) -> torch.Tensor:
        made: torch.Tensor = func(part, kernel, stride, pad, ceil, counts, divisor)
        return made

    sizes = (kernel, stride, padding, [1] * axes)
    return _pooled(x.fill([1]), sizes, apply, (func, *sizes, counts, divisor))


def adaptive_pool(func: Any, x: PatchRows, shape: Sequence[int]) -> Any:
    """Average over parts of a plane: those in which a patch lies are made anew."""
    if x.ndim != 4 or not x.axes:
        return NotImplemented
    x = x.fill([1])
    begins, sizes, lows, weights = [], [], [], []
    for axis, count in zip((2, 3), shape, strict=True):
        span = x.shape[axis]
        starts = np.arange(count) * span // count
        ends = -(-np.arange(1, count + 1) * span // count)
        n = x.axes.index(axis) if axis in x.axes else None
        at = np.zeros(len(x), dtype=np.int64) if n is None else x.at[:, n]
        low = np.searchsorted(ends, at, side="right")
        high = np.searchsorted(starts, at + x.patch.shape[axis], side="left")
        low = np.minimum(low, count - (high - low).max())
        each = low[:, None] + np.arange((high - low).max())
        begin, size = starts[low], int((ends[each[:, -1]] - starts[low]).max())
        place = begin[:, None, None] + np.arange(size)
        within = (place >= starts[each][..., None]) & (place < ends[each][..., None])
        weight = within / (ends - starts)[each][..., None]
        weights.append(torch.from_numpy(weight).to(x.patch))
        if n is not None:
            begins.append(begin)
            sizes.append(size)
            lows.append(low)
    seen = windows(x, np.stack(begins, axis=1), sizes)
    patch = torch.einsum("nchw,nph,nqw->ncpq", seen, *weights)
    whole = x.story.once([func, *shape, x.whole], lambda: func(x.whole, shape))
    return x.like(whole, patch, x.axes, np.stack(lows, axis=1))


def pad(func: Any, x: PatchRows, pads: Sequence[int], value: float = 0.0) -> Any:
    """Put a rim of one number around the rows: patches stay what they are."""
    before = {x.ndim - 1 - n: pad for n, pad in enumerate(pads[::2])}
    after = {x.ndim - 1 - n: pad for n, pad in enumerate(pads[1::2])}
    if before.get(0, 0) or after.get(0, 0):
        return NotImplemented
    if any(min(before.get(axis, 0), after.get(axis, 0)) < 0 for axis in x.axes):
        return NotImplemented
    if not x.axes and min(pads) >= 0:
        spans = [size + before.get(n, 0) + after.get(n, 0) for n, size in enumerate(x.shape)]
        axes = tuple(axis for axis in range(1, x.ndim) if spans[axis] > x.shape[axis])
        at = np.tile([before[axis] for axis in axes], (len(x), 1)).astype(np.int64)
        padded = x.like(x.patch.new_full((x.inputs, *spans[1:]), value), x.patch, axes, at)
        padded.rim, padded.lent, x.lent = value, True, True
        return padded
    moved = np.array([before.get(axis, 0) for axis in x.axes], dtype=np.int64)
    inner = list(pads)
    for axis in x.axes:
        place = 2 * (x.ndim - 1 - axis)
        inner[place : place + 2] = [0] * len(inner[place : place + 2])
    whole = x.whole
    if x.axes:
        whole = x.story.once([func, whole, pads, value], lambda: func(x.whole, pads, value))
    if any(inner):
        return x.like(whole, func(x.patch, inner, value), x.axes, x.at + moved)
    padded = x.like(whole, x.patch, x.axes, x.at + moved)
    padded.lent = x.lent = True  # both have the same patches, until one is written into
    return padded
