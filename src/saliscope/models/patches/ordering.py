"""Operations on the order of axes, and parts along axes on which patches are whole."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from saliscope.models.patches.along import both
from saliscope.models.patches.rows import PatchRows

__all__ = ["part", "permute", "view"]

_aten: Any = torch.ops.aten


def permute(func: Any, x: PatchRows, *given: Any) -> Any:
    """Change the order of axes."""
    probe = torch.empty(tuple(range(2, 2 + x.ndim)), device="meta")
    order = [size - 2 for size in func(probe, *given).shape]
    if order[0]:
        return NotImplemented
    axes = tuple(order.index(axis) for axis in x.axes)
    return x.seen_as(both(x, (func, *given), lambda part: func(part, *given), axes))


def view(func: Any, x: PatchRows, *given: Any) -> Any:
    """Put axes together or apart, where those of patches stay as they are."""
    shape = list(func(torch.empty(x.shape, device="meta"), *given).shape)
    if not shape or shape[0] != len(x):
        return NotImplemented
    steps = np.cumprod([1, *shape[1:]]).tolist()
    axes = []
    for axis in x.axes:
        step = math.prod(x.shape[1:axis])
        found = [
            b for b in range(1, len(shape)) if steps[b - 1] == step and shape[b] == x.shape[axis]
        ]
        if not found:
            return NotImplemented
        axes.append(found[0])
    small = list(shape)
    for axis, extent in zip(axes, x.extents, strict=True):
        small[axis] = extent
    whole = x.whole
    if x.axes:
        full = [len(whole), *shape[1:]]
        whole = x.story.once([func, whole, *given], lambda: x.whole.reshape(full))
    try:
        patch = x.patch.view(small)
    except RuntimeError:  # what is written into the view shall be seen in the rows as well
        x.become(x.whole, x.patch.contiguous(), x.axes, x.at)
        patch = x.patch.view(small)
    return x.seen_as(x.like(whole, patch, tuple(axes), x.at))


def part(func: Any, x: PatchRows, *args: Any, **kwargs: Any) -> Any:
    """Take a part of another axis."""
    axis = (args[1] if func is _aten.split.Tensor else args[0] if args else 0) % x.ndim
    if axis == 0 or axis in x.axes:
        return NotImplemented
    patches = func(x.patch, *args, **kwargs)
    if isinstance(patches, torch.Tensor):
        key = (func, *args, *kwargs.items())
        return x.seen_as(both(x, key, lambda part: func(part, *args, **kwargs)))
    wholes = func(x.whole, *args, **kwargs) if x.axes else patches
    pairs = zip(wholes, patches, strict=True)
    return [x.seen_as(x.like(w, p, x.axes, x.at)) for w, p in pairs]
