"""Operations that compute a number from the numbers at the same place."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from saliscope.models.patches.places import as_index, boxes
from saliscope.models.patches.rows import PatchRows, aligned

__all__ = ["pointwise"]


def pointwise(func: Any, *args: Any, **kwargs: Any) -> Any:
    """Compute numbers from numbers at the same place, where a place needs no more of the rows."""
    changes = func._schema.is_mutable  # noqa: SLF001 - the only way to an operation's arguments
    random = torch.Tag.nondeterministic_seeded in func.tags
    if random or "out" in kwargs or (changes and not isinstance(args[0], PatchRows)):
        return NotImplemented
    given = [*args, *kwargs.values()]
    if any(isinstance(v, (list, tuple)) and any(map(torch.is_tensor, v)) for v in given):
        return NotImplemented
    if changes:
        args[0].written()
    each = aligned([v for v in given if isinstance(v, PatchRows)])
    first = each[0]
    rest = iter(each)
    wholes: list[Any] = []
    patches: list[Any] = []
    for value in given:
        if isinstance(value, PatchRows):
            own = next(rest)
            wholes.append(own.whole)
            patches.append(own.patch)
        elif isinstance(value, torch.Tensor):
            pair = _placed(value, first)
            if pair is None:
                return NotImplemented
            wholes.append(pair[0])
            patches.append(pair[1])
        else:
            wholes.append(value)
            patches.append(value)
    keys, count = list(kwargs), len(args)

    def on(values: list[Any]) -> torch.Tensor:
        made: torch.Tensor = func(*values[:count], **dict(zip(keys, values[count:], strict=True)))
        return made

    whole = wholes[0]
    if first.axes:
        same = [w if isinstance(v, PatchRows) else v for v, w in zip(given, wholes, strict=True)]

        def once() -> torch.Tensor:
            # A copy is changed in place of the inputs, which the next batch meets as they are here.
            return on([wholes[0].clone(), *wholes[1:]] if changes else wholes)

        whole = first.story.once([func, *same, *keys], once)
    patch = on(patches)
    if changes:
        args[0].become(whole, patch, first.axes, first.at)
        return args[0]
    return first.like(whole, patch, first.axes, first.at)


def _placed(value: torch.Tensor, x: PatchRows) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return what an ordinary tensor is for the inputs of rows, and for their patches."""
    if value.ndim == 0 or not x.axes:
        return value, value
    if value.ndim > x.ndim:
        return None
    value = value.reshape((1,) * (x.ndim - value.ndim) + tuple(value.shape))
    whole, of = value, np.zeros(len(x.of), dtype=np.int64)
    if len(value) > 1:  # a tensor of its own for each row
        first = np.unique(x.of, return_index=True)[1]
        whole, of = value[as_index(first, value)], x.of
        if not torch.equal(whole[as_index(of, whole)], value):
            return None
    if all(value.shape[axis] == 1 for axis in x.axes):
        return whole, whole[as_index(of, whole)] if len(whole) > 1 else whole
    shape = [x.shape[axis] if axis in x.axes else size for axis, size in enumerate(whole.shape)]
    return whole, boxes(whole.expand(shape), x.axes, of, x.at, x.extents)
