"""Reducers: take the attention of one layer after the other, and keep only what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch

from saliscope.attention.kernels import accumulation
from saliscope.attention.sums import Places
from saliscope.core.errors import OptionError, RefusedError

__all__ = ["REDUCTIONS", "Reducer", "Reduction", "Side"]

Reduction = Literal["received", "mean", "full", "rollout"]
REDUCTIONS: tuple[Reduction, ...] = ("received", "mean", "full", "rollout")


class Side:
    """What the tokens along one axis are: padding, special, or units that results show.

    Parameters
    ----------
    real : torch.Tensor of bool or None, shape (batch, length)
        False for padding; None where there is none.
    units : torch.Tensor of bool or None, shape (batch or 1, length)
        False for special tokens; None where all are units.
    drop : bool
        Whether special tokens are left out.
    name : str
        For messages: "query" or "key".
    """

    def __init__(
        self, real: torch.Tensor | None, units: torch.Tensor | None, *, drop: bool, name: str
    ) -> None:
        self._real, self._units, self._drop, self._name = real, units, drop, name

    def resolve(self, batch: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the masks (real, keep), each of shape (batch, length), on the CPU.

        Raises
        ------
        OptionError
            If a mask has another length than the model's own tokens, or keeps nothing.
        """
        masks = []
        for mask, word in ((self._real, "attention mask"), (self._units, "keep mask")):
            if mask is None:
                masks.append(torch.ones(batch, length, dtype=torch.bool))
                continue
            mask = mask.bool().cpu()  # noqa: PLW2901
            if mask.shape[-1] != length or mask.shape[0] not in {1, batch}:
                msg = (
                    f"the {word} of the {self._name} side has shape {tuple(mask.shape)}, but the "
                    f"model attends over {batch} x {length} tokens; give one entry per token"
                )
                raise OptionError(msg)
            masks.append(mask.expand(batch, length))
        real = masks[0]
        keep = real & masks[1] if self._drop else real
        if not bool(keep.any(1).all()):
            msg = f"no {self._name} is left after dropping special tokens; use specials='keep'"
            raise OptionError(msg)
        return real, keep


class Reducer:
    """Keeps the reduced attention of the layers that were selected.

    Parameters
    ----------
    reduce : {"received", "mean", "full", "rollout"}
    planned : int
        Layers that the model has.
    layers : sequence of int or None
        Numbers of the layers to keep, sorted; None for all.
    heads : sequence of int or None
    queries, keys : Side
    budget : int
        Most bytes that the values may take.
    each : callable, optional
        Is given the number, path and values of every layer as it ends, so that one is held.

    Notes
    -----
    Values have the length of the model's own tokens, with zeros where a token was dropped.
    """

    def __init__(
        self,
        reduce: Reduction,
        planned: int,
        layers: Sequence[int] | None,
        heads: Sequence[int] | None,
        queries: Side,
        keys: Side,
        *,
        budget: int,
        each: Callable[[int, str, torch.Tensor], None] | None = None,
    ) -> None:
        self.reduce: Reduction = reduce
        self.names: list[str] = []
        self.numbers: list[int] = []
        self.calls = 0
        self.heads: list[int] = []
        self._planned, self._layers, self._asked = planned, layers, heads
        self._sides, self._budget, self._each = (queries, keys), budget, each
        self._shape: tuple[int, int, int, int] | None = None
        self._seen_of: tuple[object, torch.Tensor, torch.Tensor] | None = None

    # -- the shape is known at the first layer ---------------------------------------------------

    def _start(self, shape: tuple[int, int, int, int], like: torch.Tensor) -> None:
        batch, heads, queries, keys = shape
        if self._asked is not None and max(self._asked) >= heads:
            msg = f"head {max(self._asked)} does not exist; the model has heads 0 to {heads - 1}"
            raise OptionError(msg)
        self.heads = list(range(heads)) if self._asked is None else list(self._asked)
        self.dtype, self.device = accumulation(like.dtype), like.device
        real_queries, keep_queries = self._sides[0].resolve(batch, queries)
        real_keys, keep_keys = self._sides[1].resolve(batch, keys)
        self.query_keep, self.key_keep = keep_queries, keep_keys
        self._shape = shape
        self.real_queries = real_queries.to(self.device)
        self.rows = keep_queries.to(self.device)
        self.columns = keep_keys.to(self.device)
        self.rest = (real_keys & ~keep_keys).to(self.device)
        self._pair = torch.stack([self.columns, self.rest], -1).to(self.dtype)
        self._all_columns = bool(keep_keys.all())
        capacity = 1 if self.reduce == "rollout" or self._each else self._capacity
        self.values = self._zeros(capacity)
        wide = (batch, capacity, len(self.heads))
        self.removed = torch.zeros(wide, dtype=self.dtype, device=self.device)
        self.seen = torch.zeros(batch, capacity, keys, dtype=torch.int32, device=self.device)
        if self.reduce == "rollout":
            eye = torch.eye(queries, dtype=self.dtype, device=self.device)
            self.values[:, 0] = eye
            self._mean = torch.empty(batch, queries, keys, dtype=self.dtype, device=self.device)

    @property
    def _capacity(self) -> int:
        return self._planned if self._layers is None else len(self._layers)

    def _zeros(self, layers: int) -> torch.Tensor:
        assert self._shape is not None
        batch, _, queries, keys = self._shape
        shape = {
            "received": (batch, layers, len(self.heads), keys),
            "mean": (batch, layers, queries, keys),
            "full": (batch, layers, len(self.heads), queries, keys),
            "rollout": (batch, 1, queries, keys),
        }[self.reduce]
        needed = torch.Size(shape).numel() * torch.empty((), dtype=self.dtype).element_size()
        if needed > self._budget:
            msg = (
                f"reduce={self.reduce!r} needs {needed:,} bytes, more than the budget of "
                f"{self._budget:,}; select layers or heads, use reduce='received', or raise budget"
            )
            raise RefusedError(msg)
        return torch.zeros(shape, dtype=self.dtype, device=self.device)

    # -- one layer -------------------------------------------------------------------------------

    def begin(self, name: str, shape: tuple[int, int, int, int], like: torch.Tensor) -> int | None:
        """Announce the next layer; return its place in the values, or None if it is not wanted.

        Parameters
        ----------
        name : str
        shape : tuple of int
            (batch, heads, queries, keys)
        like : torch.Tensor
            Gives type and device.

        Raises
        ------
        RefusedError
            If the layer's shape differs from the ones before, or the values exceed the budget.
        """
        number = self.calls
        self.calls += 1
        if self._layers is not None and number not in self._layers:
            return None
        if self._shape is None:
            self._start(shape, like)
        if shape != self._shape:
            msg = (
                f"{name} attends over (batch, heads, queries, keys) = {shape}, earlier layers over "
                f"{self._shape}; such models have no common map: select the layers of one size"
            )
            raise RefusedError(msg)
        place = len(self.names)
        self.names.append(name)
        self.numbers.append(number)
        if self.reduce == "rollout":
            self._mean.zero_()
            return 0
        if self._each is not None:
            self.values.zero_()
            self.removed.zero_()
            return 0
        if place == self.values.shape[1]:
            self._grow()
        return place

    def _grow(self) -> None:
        # One module can be several layers (shared weights): then the plan was too short.
        more = self._zeros(self.values.shape[1] * 2)
        count = self.values.shape[1]
        more[:, :count] = self.values
        self.values = more
        self.removed = torch.cat([self.removed, torch.zeros_like(self.removed)], 1)
        self.seen = torch.cat([self.seen, torch.zeros_like(self.seen)], 1)

    def take_sums(
        self, place: int, examples: torch.Tensor | slice, columns: Places, sums: torch.Tensor,
        removed: torch.Tensor | None,
    ) -> None:  # fmt: skip
        """Take column sums of `saliscope.attention.sums` for some examples of equal masks.

        Places that are no columns hold zeros already.
        """
        if columns.span is not None and isinstance(examples, slice):
            self.values[examples, place, :, columns.span] = sums
        else:
            block = sums.new_zeros(*sums.shape[:2], self.columns.shape[1])
            self.values[examples, place] = block.index_copy_(2, columns.index, sums)
        if removed is not None:
            self.removed[examples, place] = removed

    def take(
        self, place: int, example: int, heads: slice, queries: slice, weights: torch.Tensor
    ) -> None:
        """Take the probabilities of some heads and queries, shape (heads, queries, keys)."""
        weights = weights.to(self.dtype)
        if self.reduce == "rollout":
            part = weights.sum(0) / len(self.heads)
            self._mean[example, queries] += part
            return
        rows = self.rows[example, queries].to(self.dtype)
        scale = rows.expand(weights.shape[0], -1)
        if not self._all_columns:
            kept, lost = torch.matmul(weights, self._pair[example]).unbind(-1)
            # A row with nothing left on kept keys has nothing to give (see `column_sums`).
            scale = torch.where(kept > 0, rows / kept, 0)
            self.removed[example, place, heads] += (lost * rows).sum(-1) / self.rows[example].sum()
        if self.reduce == "received":
            sums = torch.matmul(scale[:, None], weights)[:, 0]
            self.values[example, place, heads] += sums
        elif self.reduce == "mean":
            self.values[example, place, queries] += torch.einsum(
                "hq,hqk->qk", scale / len(self.heads), weights
            )
        else:
            own = self.values[example, place, heads, queries]
            torch.mul(weights, scale[..., None], out=own)

    def end(self, place: int, mask: torch.Tensor | None, seen: torch.Tensor | None) -> None:
        """Finish a layer.

        Parameters
        ----------
        place : int
        mask : torch.Tensor or None
            What `seen` was made of: layers that share it share the count.
        seen : torch.Tensor of bool or None, shape (batch or 1, queries, keys)
            Which query can see which key; None for all.
        """
        if self.reduce == "rollout":
            self._roll()
            return
        key = "all" if mask is None and seen is None else mask
        if key is None or self._seen_of is None or self._seen_of[0] is not key:
            count = self._count(seen)
            self._seen_of = (key, count, count.clamp(min=1)[:, None].to(self.dtype))
        _, count, divisor = self._seen_of
        self.seen[:, place] = count
        if self.reduce == "received":
            self.values[:, place] /= divisor
        if self._each is not None:
            self._each(self.numbers[-1], self.names[-1], self.values[:, place])

    def _count(self, seen: torch.Tensor | None) -> torch.Tensor:
        """Return how many kept queries can see each kept key, shape (batch, keys)."""
        rows = self.rows.to(torch.float32)
        if seen is None:
            count = rows.sum(1, keepdim=True).expand(self.columns.shape)
        else:
            wide = seen.expand(len(rows), rows.shape[1], -1).to(torch.float32)
            count = torch.matmul(rows[:, None], wide)[:, 0]
        return torch.where(self.columns, count, 0).to(torch.int32)

    def _roll(self) -> None:
        """Multiply one more layer into the rollout.

        Padding attends to itself only, so that what it would hold (possibly not numbers) stays
        out of the product.
        """
        count = self._mean.shape[1]
        for example in range(len(self._mean)):
            mean = self._mean[example]
            mean[~self.real_queries[example]] = 0
            mean.mul_(0.5).diagonal().add_(0.5)
            mean.div_(mean.sum(1, keepdim=True))
            self.values[example, 0] = torch.mm(mean, self.values[example, 0].view(count, count))

    # -- the end ---------------------------------------------------------------------------------

    def finish(self) -> None:
        """Cut to the layers that came, and leave out what was dropped."""
        count = 1 if self.reduce == "rollout" or self._each else len(self.names)
        self.values = self.values[:, :count]
        self.removed, self.seen = self.removed[:, :count], self.seen[:, :count]
        if self.reduce == "rollout":
            self._finish_rollout()
        hidden = ~self.columns
        self.values.masked_fill_(hidden[(slice(None), *[None] * (self.values.ndim - 2))], 0)

    def _finish_rollout(self) -> None:
        self.values = self.values[:, 0]
        lost = torch.matmul(self.values, self.rest[..., None].to(self.dtype))[..., 0]
        weight = self.rows / self.rows.sum(1, keepdim=True)
        self.removed = (lost * weight).sum(1)
        self.values *= self.rows[..., None]
        self.seen = self._count(None)[:, None]
