"""Where boxes lie in the memory of a tensor, and boxes taken out of it."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

__all__ = [
    "Ints", "as_index", "boxes", "extended", "inside_of", "laid", "order_of", "places_of",
    "table_of",
]  # fmt: skip

Ints = npt.NDArray[np.int64]


def places_of(begin: Ints, sizes: Sequence[int], spans: Sequence[int], rows: Ints) -> Ints:
    """Return where boxes are in a flat table of `spans`, shape (rows, prod(sizes)).

    Rows of the table begin at `rows`; places outside of it are moved to its edge.
    """
    flat = rows.reshape(-1, 1)
    for column, size, span in zip(begin.T, sizes, spans, strict=True):
        along = column[:, None] + _along(size)
        if not _fits(column, size, span):
            along = np.minimum(np.maximum(along, 0), span - 1)
        flat = (flat[:, :, None] * span + along[:, None]).reshape(len(rows), -1)
    return flat


def inside_of(
    begin: Ints, sizes: Sequence[int], spans: Sequence[int]
) -> npt.NDArray[np.bool_] | None:
    """Return which places of boxes are inside of `spans`, as `places_of`; None: all of them."""
    if all(map(_fits, begin.T, sizes, spans)):
        return None
    found = np.ones((len(begin), 1), dtype=bool)
    for column, size, span in zip(begin.T, sizes, spans, strict=True):
        along = column[:, None] + _along(size)
        within = (along >= 0) & (along < span)
        found = (found[:, :, None] & within[:, None]).reshape(len(begin), -1)
    return found


def _fits(begin: Ints, size: int, span: int) -> bool:
    return bool(begin.min() >= 0 and begin.max() + size <= span)


@functools.lru_cache(maxsize=256)
def _along(size: int) -> Ints:
    return np.arange(size)


def order_of(tensor: torch.Tensor, axes: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the axes that number the rows of a table, and those of each row.

    Memory keeps its order, unless numbers that lie beside each other are of one channel: then
    channels go last, which is quicker for whatever comes after, too.
    """
    order = sorted(range(1, tensor.ndim), key=tensor.stride().__getitem__, reverse=True)
    if order and order[-1] in axes:
        channels = [1] if tensor.ndim > 2 and 1 not in axes else []
        return [axis for axis in range(1, tensor.ndim) if axis not in channels], channels
    first = 1 + max((order.index(axis) for axis in axes), default=-1)
    return order[:first], order[first:]


def laid(whole: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
    """Return inputs in the order in memory that their boxes have."""
    lead, rest = order_of(whole, axes)
    order = [0, *lead, *rest]
    return whole.permute(order).contiguous().permute(_inverse(order))


def _inverse(order: Sequence[int]) -> list[int]:
    return [order.index(axis) for axis in range(len(order))]


def extended(
    lead: Sequence[int], axes: Sequence[int], whole: torch.Tensor, begin: Ints,
    sizes: Sequence[int],
) -> tuple[Ints, list[int]]:  # fmt: skip
    """Return boxes along the leading axes, of which they fill those that are not theirs."""
    own = {axis: n for n, axis in enumerate(axes)}
    full = np.zeros(len(begin), dtype=np.int64)
    if list(lead) == list(axes):
        return begin, [int(size) for size in sizes]
    columns = [begin[:, own[axis]] if axis in own else full for axis in lead]
    extents = [int(sizes[own[axis]]) if axis in own else whole.shape[axis] for axis in lead]
    return np.stack(columns, axis=1) if lead else begin[:, :0], extents


def table_of(tensor: torch.Tensor, lead: Sequence[int], rest: Sequence[int]) -> torch.Tensor:
    """Return a tensor as a flat table, the leading axes in front."""
    shape = [tensor.shape[axis] for axis in rest]
    return tensor.permute(0, *lead, *rest).reshape(-1, *shape)


def as_index(places: Ints, like: torch.Tensor) -> torch.Tensor:
    """Return places as an index where a tensor is."""
    return torch.from_numpy(places.reshape(-1)).to(like.device)


def boxes(
    whole: torch.Tensor, axes: Sequence[int], of: Ints, begin: Ints, sizes: Sequence[int]
) -> torch.Tensor:
    """Return a box of each row, of rows that are all alike.

    Parameters
    ----------
    whole : torch.Tensor, shape (inputs, ...)
    axes : sequence of int
        Axes along which boxes are a part.
    of : numpy.ndarray of int, shape (rows,)
        Which input each row belongs to.
    begin : numpy.ndarray of int, shape (rows, axes)
        Where the boxes begin; what is outside of the input is like its edge.
    sizes : sequence of int

    Examples
    --------
    >>> whole = torch.arange(6.0)[None]
    >>> boxes(whole, (1,), np.array([0, 0]), np.array([[1], [3]]), [2]).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    lead, rest = order_of(whole, axes)
    begin, sizes = extended(lead, axes, whole, begin, sizes)
    spans = [whole.shape[axis] for axis in lead]
    table = table_of(whole, lead, rest).contiguous()  # quicker to pick from
    if sizes == spans and not begin.any():
        table, places = table.reshape(len(whole), *spans, *table.shape[1:]), of
    else:
        places = places_of(begin, sizes, spans, of)
    made = table.index_select(0, as_index(places, table))
    order = [0, *lead, *rest]
    made = made.reshape(len(begin), *sizes, *made.shape[len(made.shape) - len(rest) :])
    return made.permute(_inverse(order))
