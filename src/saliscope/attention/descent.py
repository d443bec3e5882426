"""Gradient times attention, from the last layer to the first, in the backward pass itself.

With ``A_l`` the head mean of ``relu(P * dP)`` in layer ``l`` (probabilities and their gradients),
Chefer et al. multiply the matrices ``I + A_l``. What is wanted of the product are rows, those of
the tokens at which the target is read, and a row times the product from the left takes the layers
from the last to the first, which is the order in which a backward pass comes by. So each layer
makes its probabilities again when its turn comes, block by block, adds ``r A_l`` to the row ``r``,
and lets them go: nothing of the size of heads x length x length outlives a block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from saliscope.attention import kernels
from saliscope.attention.interface import AttentionFunction, Given, States
from saliscope.attention.layers import Layer
from saliscope.core.errors import RefusedError

__all__ = ["Descent", "Related", "spans"]


class Descent:
    """Relevance on its way down through the layers, for one target at a time.

    Parameters
    ----------
    real : torch.Tensor of bool, shape (batch, tokens)
        False for padding.
    """

    def __init__(self, real: torch.Tensor) -> None:
        self.real = real
        self.calls = 0  # of layers, in the forward pass
        self._read = torch.zeros_like(real)
        self._start: torch.Tensor | None = None
        self._now: torch.Tensor | None = None

    def check(self, name: str, queries: int, keys: int) -> None:
        """Refuse a layer that does not attend among the tokens of the input."""
        tokens = self.real.shape[1]
        if queries != tokens or keys != tokens:
            msg = (
                f"{name} attends from {queries} to {keys} tokens, and the input has {tokens}; "
                "relevance follows the input's own tokens: use a gradient or masking method"
            )
            raise RefusedError(msg)

    def begin(self, read: torch.Tensor) -> None:
        """Start a backward pass.

        Parameters
        ----------
        read : torch.Tensor of bool, shape (batch, tokens)
            The tokens at which the target is read. Where a row has none, they are those on whose
            attention in the last layer the target depends.
        """
        self._read, self._start, self._now = read, None, None

    def rows(self, slope: torch.Tensor) -> torch.Tensor:
        """Return what has come down to a layer, shape (batch, queries).

        Parameters
        ----------
        slope : torch.Tensor, shape (batch, queries, any)
            Gradient of the target at the layer's output.
        """
        if self._now is None:
            read = self._read
            read = torch.where(read.any(1, keepdim=True), read, (slope != 0).any(-1))
            share = read.to(kernels.accumulation(slope.dtype))
            self._start = self._now = share / share.sum(1, keepdim=True).clamp(min=1)
        return self._now

    def add(self, received: torch.Tensor) -> None:
        """Add what the tokens received in a layer, shape (batch, keys)."""
        assert self._now is not None
        self._now = self._now + received

    def relevance(self) -> torch.Tensor | None:
        """Return rows of R - I, shape (batch, tokens); None where no attention had a gradient."""
        return None if self._now is None or self._start is None else self._now - self._start


def spans(
    batch: int, heads: int, queries: int, keys: int, room: int
) -> Iterator[tuple[slice, slice, slice]]:
    """Cut (batch, heads, queries) so that no part has more than `room` probabilities.

    Whole examples go together where they fit, else heads of one example, else queries of a head.

    Examples
    --------
    >>> [(b.stop, h.stop, q.stop) for b, h, q in spans(3, 2, 4, 4, 64)]
    [(2, 2, 4), (3, 2, 4)]
    >>> [(b.stop, h.stop, q.stop) for b, h, q in spans(1, 2, 4, 4, 8)]
    [(1, 1, 2), (1, 1, 4), (1, 2, 2), (1, 2, 4)]
    """
    rows = max(1, min(queries, room // keys))
    some = max(1, min(heads, room // (rows * keys)))
    examples = max(1, min(batch, room // (heads * queries * keys)))
    for example in range(0, batch, examples):
        for head in range(0, heads, some):
            for query in range(0, queries, rows):
                yield (
                    slice(example, min(batch, example + examples)),
                    slice(head, min(heads, head + some)),
                    slice(query, min(queries, query + rows)),
                )


def _part(added: torch.Tensor, where: tuple[slice, ...]) -> torch.Tensor:
    """Return what is added to a block of scores; axes of length one are for all."""
    pairs = zip(added.shape, where, strict=False)
    return added[tuple(cut if size > 1 else slice(None) for size, cut in pairs)]


class _Attended(torch.autograd.Function):
    """Attention that tells the descent what goes back through its probabilities."""

    @staticmethod
    def forward(
        ctx: Any, descent: Descent, given: Given, plain: Callable[[], torch.Tensor], *states: Any
    ) -> torch.Tensor:
        """Run the model's own attention; keep the states, and no probabilities."""
        ctx.save_for_backward(*states, given.mask, given.bias)
        ctx.descent, ctx.scale, ctx.causal = descent, given.scale, given.causal
        return plain()

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        """Return the gradients of query, key and value, shape (batch, heads, n, d)."""
        query, key, value, mask, bias = ctx.saved_tensors
        (slope,) = slopes  # (batch, queries, heads, d)
        batch, heads, queries, _ = query.shape
        keys, groups = key.shape[2], key.shape[1]
        dtype = kernels.accumulation(query.dtype)
        added = kernels.additive(mask, bias, ctx.causal, queries, keys, query)
        rows = ctx.descent.rows(slope.flatten(2))
        slope = slope.transpose(1, 2)
        key, value = (kernels.repeat_heads(states, heads) for states in (key, value))
        found = [torch.zeros_like(states, dtype=dtype) for states in (query, key, value)]
        received = torch.zeros(batch, keys, dtype=dtype, device=query.device)
        # Four matrices of a block are alive at once.
        most = kernels.room(dtype, query.device) // 4
        for part in spans(batch, heads, queries, keys, most):
            pair, rest = part[:2], rows[part[0], None, None, part[2]]
            own, back = query[part].to(dtype) * ctx.scale, slope[part].to(dtype)
            turned, held = key[pair].to(dtype), value[pair].to(dtype)
            scores = own @ turned.mT
            if added is not None:
                scores += _part(added, part)
            shares = scores.softmax(-1)
            found[2][pair] += shares.mT @ back
            flow = (back @ held.mT).mul_(shares)  # probabilities times their gradients
            total = flow.sum(-1, keepdim=True)
            received[part[0]] += (rest @ flow.relu()).sum((1, 2))
            flow.addcmul_(shares, total, value=-1)
            found[0][part] = (flow @ turned) * ctx.scale
            found[1][pair] += flow.mT @ own
        ctx.descent.add(received / heads)
        if groups != heads:
            found[1:] = [f.unflatten(1, (groups, -1)).sum(2) for f in found[1:]]
        return None, None, None, *(f.to(query.dtype) for f in found)


class Related(AttentionFunction):
    """Attention of models on route "interface" that takes part in a descent."""

    def __init__(self, layers: Sequence[Layer], descent: Descent) -> None:
        super().__init__(layers)
        self._descent = descent

    def attend(
        self, name: str, given: Given, states: States, plain: Callable[[], torch.Tensor]
    ) -> torch.Tensor:
        """Return the output of one layer, which takes part."""
        query, key, _ = states
        self._descent.calls += 1
        self._descent.check(name, query.shape[2], key.shape[2])
        if given.bias is not None and given.bias.requires_grad:
            msg = (
                f"{name} adds something to its scores that depends on the input, which "
                "relevance does not follow; use a gradient or masking method"
            )
            raise RefusedError(msg)
        attended: Callable[..., torch.Tensor] = _Attended.apply
        return attended(self._descent, given, plain, *states)
