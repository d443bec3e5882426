"""Attention probabilities in blocks, and what masks say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

__all__ = ["Block", "accumulation", "additive", "blocks", "repeat_heads", "room", "visible"]

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
        In the type in which sums are kept. Hidden entries are a finite number, not minus infinity:
        a row that sees nothing (padding) then stays a number, also in other bases.
    """
    dtype = accumulation(like.dtype)
    lowest = torch.finfo(dtype).min / 4
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
