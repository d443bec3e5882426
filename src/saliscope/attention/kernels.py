"""Attention probabilities in blocks, and their column sums without the probabilities.

The column sums that "received" needs are an attention themselves: with the log-normalizer
``l[q]`` of every query known, ``sum_q exp(s[q, k] - l[q])`` is the normalizer of key ``k`` over
the queries. The fast kernel returns normalizers, so two calls of it replace the matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional

__all__ = [
    "Block", "accumulation", "additive", "blocks", "can_sum", "column_sums", "repeat_heads", "room",
    "visible",
]  # fmt: skip

# Measured on two cores: blocks near the size of the second-level cache. Elsewhere launches count.
_BLOCK_BYTES = {"cpu": 1 << 22}
_BLOCK_ELSEWHERE = 1 << 26


def accumulation(dtype: torch.dtype) -> torch.dtype:
    """Return the type that sums are kept in: float64 for float64, else float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def room(dtype: torch.dtype, device: torch.device) -> int:
    """Return how many probabilities go into one block."""
    size = torch.empty((), dtype=dtype).element_size()
    return _BLOCK_BYTES.get(device.type, _BLOCK_ELSEWHERE) // size


def repeat_heads(states: torch.Tensor, heads: int) -> torch.Tensor:
    """Repeat grouped keys or values, shape (batch, groups, n, d), to one per head."""
    groups = states.shape[1]
    if groups == heads:
        return states
    return states.repeat_interleave(heads // groups, dim=1)


def visible(
    mask: torch.Tensor | None, causal: bool, queries: int, keys: int, device: torch.device
) -> torch.Tensor | None:
    """Return which query can see which key.

    Parameters
    ----------
    mask : torch.Tensor or None
        Boolean (True is seen) or additive, broadcastable to (batch, heads, queries, keys).
    causal : bool
        Used where there is no mask.

    Returns
    -------
    torch.Tensor of bool, shape (batch or 1, queries or 1, keys), or None
        None where every query sees every key. A key seen by any head counts as seen.
    """
    if mask is None:
        if not causal:
            return None
        return torch.ones(queries, keys, dtype=torch.bool, device=device).tril()[None]
    if mask.dtype != torch.bool:
        mask = mask > torch.finfo(mask.dtype).min / 2
    return mask.any(1)


def additive(
    mask: torch.Tensor | None,
    bias: torch.Tensor | None,
    causal: bool,
    queries: int,
    keys: int,
    like: torch.Tensor,
) -> torch.Tensor | None:
    """Return mask and bias as one tensor that is added to the scores, or None.

    Returns
    -------
    torch.Tensor, shape (batch or 1, heads or 1, queries or 1, keys)
        In the type in which sums are kept. Hidden entries are the smallest finite number, not
        minus infinity: a row that sees nothing (padding) then stays a number.
    """
    dtype = accumulation(like.dtype)
    lowest = torch.finfo(dtype).min
    if mask is None and causal:
        mask = visible(None, True, queries, keys, like.device)
        assert mask is not None
        mask = mask[None]
    if mask is not None and mask.dtype == torch.bool:
        floor = torch.tensor(lowest, dtype=dtype, device=like.device)
        added = torch.zeros((), dtype=dtype, device=like.device) if bias is None else bias.to(dtype)
        return torch.where(mask, added, floor)
    parts = [part.to(dtype) for part in (mask, bias) if part is not None]
    return sum(parts[1:], start=parts[0]).clamp(min=lowest) if parts else None


@dataclass(frozen=True, eq=False)
class Block:
    """Probabilities of some heads and queries of one example.

    Parameters
    ----------
    example : int
    heads, queries : slice
        Which of the selected heads, and which queries.
    probabilities : torch.Tensor, shape (heads, queries, keys)
        In at least float32. The memory is used again for the next block.
    """

    example: int
    heads: slice
    queries: slice
    probabilities: torch.Tensor


def blocks(
    query: torch.Tensor,
    key: torch.Tensor,
    added: torch.Tensor | None,
    scale: float,
    heads: list[int],
) -> Iterator[Block]:
    """Yield the attention probabilities block by block.

    Parameters
    ----------
    query, key : torch.Tensor, shape (batch, heads, queries or keys, d)
    added : torch.Tensor or None
        Of `additive`.
    scale : float
    heads : list of int
        Which heads to compute.
    """
    batch, count, rows, _ = query.shape
    keys = key.shape[2]
    dtype = accumulation(query.dtype)
    fitting = max(1, room(dtype, query.device) // keys)
    step = min(rows, fitting)
    together = max(1, min(len(heads), fitting // step))
    memory = torch.empty(2, together * step * keys, dtype=dtype, device=query.device)
    everyone = len(heads) == count
    for example in range(batch):
        for start in range(0, len(heads), together):
            part = heads[start : start + together]
            pick = slice(part[0], part[-1] + 1) if everyone else part
            own = query[example, pick].to(dtype) * scale
            turned = key[example, pick].to(dtype).transpose(1, 2)
            for top in range(0, rows, step):
                bottom = min(rows, top + step)
                shape = (len(part), bottom - top, keys)
                scores, out = (m[: shape[0] * shape[1] * keys].view(shape) for m in memory)
                torch.bmm(own[:, top:bottom], turned, out=scores)
                if added is not None:
                    mask = added[example if added.shape[0] > 1 else 0]
                    mask = mask[pick] if mask.shape[0] > 1 else mask
                    scores += mask[:, top:bottom] if mask.shape[1] > 1 else mask
                torch.softmax(scores, -1, out=out)
                yield Block(
                    example, slice(start, start + len(part)), slice(top, bottom), out
                )  # fmt: skip


def can_sum(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> bool:
    """Whether `column_sums` serves these tensors: on the CPU, with one width for all three."""
    return query.device.type == "cpu" and query.shape[-1] == key.shape[-1] == value.shape[-1]


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    added: torch.Tensor | None,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the output and the log-normalizer of every query, by the fast kernel."""
    attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # noqa: SLF001
    output, normalizer = attend(query, key, value, attn_mask=added, scale=scale)
    return output, normalizer


def _take(states: torch.Tensor, index: torch.Tensor, dim: int) -> torch.Tensor:
    """Return the entries at sorted indices, as a view where they are a range."""
    if not len(index):
        return states.narrow(dim, 0, 0)
    first, last = int(index[0]), int(index[-1])
    if last - first + 1 == len(index):
        return states.narrow(dim, first, len(index))
    return states.index_select(dim, index)


def column_sums(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    added: torch.Tensor | None,
    scale: float,
    *,
    rows: torch.Tensor,
    columns: torch.Tensor,
    others: torch.Tensor,
    heads: list[int],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the output, and what each key receives, without any matrix of probabilities.

    Parameters
    ----------
    query, key, value : torch.Tensor, shape (batch, heads, queries or keys, d)
        In float32 or float64.
    added : torch.Tensor or None
        Of `additive`.
    scale : float
    rows : torch.Tensor of int
        The queries that are summed over.
    columns, others : torch.Tensor of int
        The keys that every row is normalized over, and the further keys that the model sees.
    heads : list of int
        Heads whose sums are wanted; the output always has all.

    Returns
    -------
    output : torch.Tensor, shape (batch, heads, queries, d)
    sums : torch.Tensor, shape (batch, selected heads, columns)
        ``sum over rows of P[row, column] / sum over columns of P[row, :]``.
    removed : torch.Tensor, shape (batch, selected heads)
        Mean over `rows` of the probability of `others`.
    """
    own, seen = _take(key, columns, 2), _take(value, columns, 2)
    mask = None if added is None else _take(added, columns, 3)
    output, normal = _attend(query, own, seen, mask, scale)
    removed = normal.new_zeros(query.shape[0], len(heads))
    if len(others):
        # The rest of the keys (a few special tokens) is merged in exactly: a softmax over both
        # parts from the softmax over each. Subtracting it from 1 afterwards would lose the rows
        # that spend nearly everything on a special token.
        scores = torch.matmul(query, _take(key, others, 2).transpose(2, 3)) * scale
        if added is not None:
            scores = scores + _take(added, others, 3)
        both = torch.logaddexp(normal, scores.logsumexp(-1))
        rest = torch.exp(scores - both[..., None])
        output = output * torch.exp(normal - both)[..., None]
        output = output + torch.matmul(rest, _take(value, others, 2))
        removed = _take(rest.sum(-1)[:, heads], rows, 2).mean(-1)
    everyone = len(heads) == query.shape[1]
    queries, keys = _take(query, rows, 2), own
    normal = _take(normal, rows, 2)
    if not everyone:
        queries, keys, normal = queries[:, heads], keys[:, heads], normal[:, heads]
    # A row that sees no column at all has nothing to give: weight zero instead of a division by 0.
    lowest = torch.finfo(normal.dtype).min
    weight = torch.where(normal < lowest / 2, torch.full_like(normal, -1e30), -normal)
    if mask is None:
        turned = weight[:, :, None]
    else:
        # The weight of a query goes into one more coordinate of the vectors, so that the mask
        # needs no copy per head.
        queries = torch.cat([queries, (weight / scale)[..., None]], -1)
        keys = functional.pad(keys, (0, 1), value=1.0)
        picked = mask if everyone or mask.shape[1] == 1 else mask[:, heads]
        if picked.shape[2] == 1:
            picked = picked.expand(-1, -1, query.shape[2], -1)
        turned = _take(picked, rows, 2).transpose(2, 3)
    # Contiguous before it is broadcast: the kernel would copy it for every head and row else.
    _, sums = _attend(keys, queries, queries, turned.contiguous(), scale)
    return output, sums.exp(), removed
