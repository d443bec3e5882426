"""Column sums of attention probabilities, without the probabilities.

The column sums that "received" needs are an attention themselves: with the log-normalizer
``l[q]`` of every query known, ``sum_q exp(s[q, k] - l[q])`` is the normalizer of key ``k`` over
the queries. Fast kernels return normalizers, so two calls of one replace the matrix; a third one
merges in special tokens, which are seen and not shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from saliscope.attention.kernels import accumulation

__all__ = ["Places", "can_sum", "column_sums"]

_HALF = frozenset({torch.float16, torch.bfloat16})
_WIDEST = 248  # with further coordinates, at most 256
_LEVER = 16.0  # what a weight is multiplied with, so that half precision can hold large ones
_UNSEEN = -1e30  # the log-weight of a query that gives nothing


@dataclass(frozen=True, eq=False)
class Places:
    """Some places along an axis, known on the processor, so that no device is waited for.

    Parameters
    ----------
    index : torch.Tensor of int
        Sorted.
    span : slice or None
        The same, where the places follow each other.

    Examples
    --------
    >>> Places.of(torch.tensor([False, True, True])).take(torch.arange(3), 0).tolist()
    [1, 2]
    """

    index: torch.Tensor
    span: slice | None

    @classmethod
    def of(cls, chosen: torch.Tensor, device: torch.device | None = None) -> Places:
        """Return the places of true entries of a mask, shape (length,)."""
        index = chosen.nonzero()[:, 0].cpu()
        count = len(index)
        first, last = (int(index[0]), int(index[-1])) if count else (0, -1)
        span = slice(first, last + 1) if last - first + 1 == count else None
        return cls(index.to(device), span)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.index)

    def take(self, states: torch.Tensor, dim: int) -> torch.Tensor:
        """Return the entries at these places: a view where they follow each other."""
        if self.span is None:
            return states.index_select(dim, self.index)
        return states.narrow(dim, self.span.start, self.span.stop - self.span.start)


# -- kernels -------------------------------------------------------------------------------------

Attended = tuple[torch.Tensor, torch.Tensor]
"""The output, and the log-normalizer of every query."""


def _on_processors(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, added: torch.Tensor | None,
    scale: float,
) -> Attended:  # fmt: skip
    attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # noqa: SLF001
    # Contiguous before it is broadcast: the kernel would copy it for every head and row else.
    mask = None if added is None else added.contiguous()
    output, normal = attend(query, key, value, attn_mask=mask, scale=scale)
    return output, normal


def _efficient(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, added: torch.Tensor | None,
    scale: float,
) -> Attended:  # fmt: skip
    attend = torch.ops.aten._scaled_dot_product_efficient_attention  # noqa: SLF001
    if added is not None:  # the kernel reads 16 bytes at once
        count = added.shape[-1]
        added = functional.pad(added.contiguous(), (0, -count % 4))[..., :count]
        added = added.expand(*query.shape[:3], count)
    output, normal, *_ = attend(query, key, value, added, True, scale=scale)
    return output, normal[..., : query.shape[2]]


def _flash(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, added: torch.Tensor | None,
    scale: float,
) -> Attended:  # fmt: skip
    assert added is None
    attend = torch.ops.aten._scaled_dot_product_flash_attention  # noqa: SLF001
    output, normal, *_ = attend(query, key, value, scale=scale)
    return output, normal


@dataclass(frozen=True)
class _Kernel:
    """A kernel that returns normalizers, and what it asks for.

    Parameters
    ----------
    run : callable
    dtype : torch.dtype
        In which it takes states; normalizers come in at least float32 from all.
    masks : bool
        Whether something can be added to its scores.
    digits : int
        How many numbers of `dtype` hold one of float32 or float64.
    grain : int
        Of which the number of coordinates is a multiple.
    """

    run: Callable[..., Attended]
    dtype: torch.dtype
    masks: bool = True
    digits: int = 1
    grain: int = 1


def _kernel_for(query: torch.Tensor, added: torch.Tensor | None) -> _Kernel:
    """Return the fastest kernel whose sums are exact to float32.

    Products of half-precision numbers are exact in float32, so their scores and normalizers are as
    good as those of states that were turned into float32; the kernel for them takes no mask.
    """
    if query.device.type == "cpu":
        return _Kernel(_on_processors, accumulation(query.dtype))
    fits = query.shape[-1] % 8 == 0 and query.shape[-1] <= _WIDEST
    plain = added is None and query.dtype in _HALF and fits
    if plain and torch.cuda.get_device_capability(query.device) >= (8, 0):
        return _Kernel(_flash, query.dtype, masks=False, digits=3, grain=8)
    return _Kernel(_efficient, torch.float32, grain=4)


def can_sum(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> bool:
    """Whether a kernel serves these tensors.

    All have one width; on CUDA devices it is a multiple of four numbers, and none is float64.
    """
    if not query.shape[-1] == key.shape[-1] == value.shape[-1]:
        return False
    if query.device.type == "cpu":
        return True
    nvidia = query.device.type == "cuda" and torch.version.hip is None
    return nvidia and query.dtype != torch.float64 and query.shape[-1] % 4 == 0


# -- sums ----------------------------------------------------------------------------------------


def column_sums(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    added: torch.Tensor | None,
    scale: float,
    *,
    rows: Places,
    columns: Places,
    others: Places,
    heads: list[int],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Return the output, and what each key receives, without any matrix of probabilities.

    Parameters
    ----------
    query, key, value : torch.Tensor, shape (batch, heads, queries or keys, d)
    added : torch.Tensor or None
        Of `additive`.
    scale : float
    rows : Places
        The queries that are summed over.
    columns, others : Places
        The keys that every row is normalized over, and the further keys that the model sees.
    heads : list of int
        Heads whose sums are wanted; the output always has all.

    Returns
    -------
    output : torch.Tensor, shape (batch, heads, queries, d)
    sums : torch.Tensor, shape (batch, selected heads, columns)
        ``sum over rows of P[row, column] / sum over columns of P[row, :]``.
    removed : torch.Tensor or None, shape (batch, selected heads)
        Mean over `rows` of the probability of `others`; None where there are none.
    """
    kernel = _kernel_for(query, added)
    query, key, value = (states.to(kernel.dtype) for states in (query, key, value))

    def over(keys: Places) -> Attended:
        mask = None if added is None else keys.take(added, 3)
        return kernel.run(query, keys.take(key, 2), keys.take(value, 2), mask, scale)

    output, normal = over(columns)
    queries, keys = rows.take(query, 2), columns.take(key, 2)
    mask = None if added is None else columns.take(added, 3)
    everyone = len(heads) == query.shape[1]
    removed = None
    if len(others):
        # The rest of the keys (a few special tokens) is merged in exactly: a softmax over both
        # parts from the softmax over each. Subtracting it from 1 afterwards would lose the rows
        # that spend nearly everything on a special token.
        away, rest = over(others)
        lost = torch.sigmoid(rest - normal)
        output = torch.lerp(output.to(lost.dtype), away.to(lost.dtype), lost[..., None])
        removed = rows.take(lost if everyone else lost[:, heads], 2).mean(-1)
    normal = rows.take(normal, 2)
    if not everyone:
        queries, keys, normal = queries[:, heads], keys[:, heads], normal[:, heads]
        mask = mask if mask is None or mask.shape[1] == 1 else mask[:, heads]
    weight = -normal
    if mask is not None:
        # A row that sees no column at all has nothing to give: weight zero, no division by 0.
        weight = torch.where(normal < torch.finfo(normal.dtype).min / 8, _UNSEEN, weight)
    if mask is None and kernel.masks:
        turned: torch.Tensor | None = weight[:, :, None]
    else:
        queries, keys = _weighted(queries, keys, weight / (scale * _LEVER), kernel)
        turned = None if mask is None else rows.take(_tall(mask, query), 2).transpose(2, 3)
    _, sums = kernel.run(keys, queries, queries, turned, scale)
    return output, sums.exp(), removed


def _tall(mask: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
    """Return a mask with a row per query."""
    return mask.expand(-1, -1, query.shape[2], -1) if mask.shape[2] == 1 else mask


def _weighted(
    queries: torch.Tensor, keys: torch.Tensor, weight: torch.Tensor, kernel: _Kernel
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add coordinates by which every score of a query gains its weight.

    So a mask needs no copy per head, and a kernel without masks needs none. A weight that one
    number of the type cannot hold is the sum of several, each the rest of those before.
    """
    parts = []
    for _ in range(kernel.digits):
        parts.append(weight.to(kernel.dtype))
        weight = weight - parts[-1]
    width = queries.shape[-1]
    empty = -(width + kernel.digits) % kernel.grain
    queries = torch.cat([queries, torch.stack(parts, -1)], -1)
    keys = functional.pad(keys, (0, kernel.digits), value=_LEVER)
    return functional.pad(queries, (0, empty)), functional.pad(keys, (0, empty))
