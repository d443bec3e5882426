"""What a model's attention answers to a fold that names it: `saliscope.models.rules.RULES`.

Maps of attention do not depend on what the target makes of the output. Rollout and flow are
matrices from tokens to tokens, and a map is the mean of the rows at which the target is read; where
the target does not say (a class is read off a first token, a last one, or a mean), the last layer
is asked: the rows are those of its output on which the target depends.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from saliscope.attention.again import running_again
from saliscope.attention.capture import check_blocks, check_calls, reading, routed
from saliscope.attention.descent import Descent, Related
from saliscope.attention.flow import attention_flow, check_size
from saliscope.attention.layers import Layer, find_layers, one_stack, planned
from saliscope.attention.reducer import Reducer, Reduction, Side
from saliscope.core.errors import RefusedError
from saliscope.core.model import Pass, Piece, Reader
from saliscope.core.target import POSITIONED
from saliscope.models.layers import main_tensor
from saliscope.models.readout import ReadOff, as_numpy, plain, slopes
from saliscope.models.tokens import TokenBatch, TokenModel
from saliscope.models.torch_model import TorchModel
from saliscope.models.vision.classifier import ImageModel

if TYPE_CHECKING:
    from saliscope.core.units import FloatArray

__all__ = ["Flow", "Received", "Relevance", "Rollout"]

_SAYS_WHERE = POSITIONED | {"embedding"}  # heads whose terms stand at tokens


@dataclass(frozen=True, eq=False)
class _Batch:
    """Rows of one batch, and the attention layers that they will go through."""

    model: TorchModel
    pieces: Sequence[Piece]
    readers: Sequence[Reader]
    rows: TokenBatch
    layers: list[Layer]
    every: list[Layer]

    @classmethod
    def of(cls, model: TorchModel, pieces: Sequence[Piece], readers: Sequence[Reader]) -> _Batch:
        assert isinstance(model, (TokenModel, ImageModel))  # no other adapter offers attention
        rows = model.tokens(pieces) if isinstance(model, ImageModel) else model.realize(pieces)
        every = find_layers(model.module)
        return cls(model, pieces, readers, rows, one_stack(model.module, every), every)

    @property
    def real(self) -> torch.Tensor:
        """False for padding, shape (rows of the module, tokens)."""
        mask: torch.Tensor = self.rows.arguments["attention_mask"]
        return mask.bool()

    @property
    def planned(self) -> int:
        """Layers that will run."""
        return planned(self.model.module, self.layers)

    @property
    def targets(self) -> int:
        return max(reader.target.count for reader in self.readers)

    def span(self, piece: Piece) -> tuple[int, npt.NDArray[np.int64]]:
        """Return how many tokens an input has, and which are units: patches of an image."""
        if isinstance(self.model, ImageModel):
            pool = self.rows.pool[0].cpu().numpy()
            return len(pool), np.flatnonzero(pool)
        return piece.sample.length, piece.sample.units.kept

    def ran(self, calls: int) -> None:
        """Check that as many layers have run as were planned."""
        check_calls(self.model.module, calls, self.planned, self.layers[0].kind, exact=True)

    def read(self) -> torch.Tensor:
        """Return where targets say that they are read, shape (targets, *that of `real`)."""
        pool = self.rows.pool.cpu()
        found = torch.zeros(self.targets, *pool.shape, dtype=torch.bool)
        for reader in self.readers:
            target, rows = reader.target, torch.from_numpy(reader.rows)
            if target.head == "embedding":
                found[: target.count, rows] = pool[rows]
            elif target.head in _SAYS_WHERE:
                here, size = target.view == reader.view, target.width or 1
                for owner, place in zip(target.owner[here], target.position[here], strict=True):
                    found[owner * size : (owner + 1) * size, rows, place] = True
        found, laid = found.to(self.real.device), self.rows.spread
        return found if laid is None else torch.stack([laid.marked(own) for own in found])

    def joined(self, maps: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
        """Return maps along units, of maps that are means over what is read in each row.

        Where an input is several rows of the module, so that the same unit stands in some of them,
        its value is the sum, and the mean is one over what is read in all of them.
        """
        laid = self.rows.spread
        if laid is None:
            return maps
        count = read.sum(-1).to(maps)
        every = count.unflatten(1, (-1, laid.each)).sum(-1).repeat_interleave(laid.each, 1)
        share = count / every.clamp(min=1)
        return torch.stack([laid.gather(own, 0) for own in maps * share[..., None]])

    def passes(self, read_off: Sequence[ReadOff], maps: torch.Tensor) -> list[Pass]:
        """Return what each reader gets of the maps, shape (targets, rows, tokens)."""
        passes = []
        for reader, both in zip(self.readers, plain(read_off), strict=True):
            target, rows = reader.target, torch.from_numpy(reader.rows).to(maps.device)
            piece = self.pieces[reader.piece]
            length, units = self.span(piece)
            own = as_numpy(maps[: target.count, rows, :length]).swapaxes(0, 1)
            if isinstance(self.model, ImageModel):
                own = self.model.over_pixels(piece.sample, own[..., units])
            if len(target.views) > 1:  # what is read in several views is their mean
                owned = [target.view[target.owner == o] for o in range(target.owners)]
                each = np.repeat([len(np.unique(v)) for v in owned], target.width or 1)
                own = own / each.astype(np.float64)[:, None]
            passes.append(Pass(*both, own))
        return passes


class Relevance:
    """The rule "relevance": gradient times attention, layer by layer on the way back."""

    follows: ClassVar[tuple[int, int]] = (2, 1)

    def run(
        self, model: TorchModel, pieces: Sequence[Piece], readers: Sequence[Reader]
    ) -> list[Pass]:
        """One forward pass, and one backward pass per target with the descent in it."""
        batch = _Batch.of(model, pieces, readers)
        module, layers = batch.model.module, batch.layers
        check_blocks(module, layers, "relevance")
        descent = Descent(batch.real)
        with routed(
            module,
            layers,
            batch.every,
            Related(layers, descent),
            lambda: running_again(layers, descent),
        ):
            read_off, leaf = model.evaluate(batch.rows, readers, gradients=True)
        batch.ran(descent.calls)
        assert leaf is not None
        back = slopes([values for values, _ in read_off], leaf)
        maps, read = [], batch.read()
        for own in read:
            descent.begin(own)
            next(back)
            found = descent.relevance()
            maps.append(torch.zeros(batch.real.shape).to(leaf) if found is None else found)
        return batch.passes(read_off, batch.joined(torch.stack(maps), read))


class _Start:
    """Lets the output of the last attention layer start a graph.

    Parameters
    ----------
    last : int
        Number of the call whose output it is, from 1.
    """

    def __init__(self, last: int) -> None:
        self._last, self._calls = last, 0
        self.output: torch.Tensor | None = None

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> None:
        self._calls += 1
        tensor = main_tensor(output)
        if self._calls == self._last and tensor is not None:
            self.output = tensor.requires_grad_()


class _Reading(ABC):
    """Base of the rules that reduce attention in one forward pass."""

    follows: ClassVar[tuple[int, int]] = (1, 1)
    name: ClassVar[str]
    reduce: ClassVar[Reduction]
    drop: ClassVar[bool] = False  # whether special tokens are left out of the rows
    chosen: ClassVar[bool] = True  # whether rows are chosen by where the target is read

    def run(
        self, model: TorchModel, pieces: Sequence[Piece], readers: Sequence[Reader]
    ) -> list[Pass]:
        """One forward pass, its attention reduced as it goes by."""
        if any(piece.view for piece in pieces):
            msg = (
                f"{self.name} has one map per input, and this target masks positions in turn; give "
                "a target that does not ('likelihood' in place of 'likelihood:context')"
            )
            raise RefusedError(msg)
        batch = _Batch.of(model, pieces, readers)
        self.check(batch)
        side = Side(batch.real, batch.rows.pool, drop=self.drop, name="token")
        # The engine has cut the batch to its budget.
        reducer = Reducer(
            self.reduce, batch.planned, self.numbers(batch), None, side, side, budget=sys.maxsize
        )
        start = _Start(batch.planned)
        asking = self.chosen and any(r.target.head not in _SAYS_WHERE for r in readers)
        looking = reading(batch.model.module, batch.layers, batch.every, reducer)
        with looking, _heard(batch.layers, start):
            read_off, _ = model.evaluate(batch.rows, readers, gradients=False, graph=asking)
        batch.ran(reducer.calls)
        reducer.finish()
        shares = _shares(batch, read_off, start.output if asking else None) if self.chosen else None
        maps = self.maps(batch, reducer.values, shares)
        return batch.passes([(v.detach(), p) for v, p in read_off], maps)

    def check(self, batch: _Batch) -> None:
        """Refuse what cannot be right."""
        check_blocks(batch.model.module, batch.layers, self.name)

    def numbers(self, batch: _Batch) -> list[int] | None:
        """Return which layers are kept; None is all."""
        return None

    @abstractmethod
    def maps(
        self, batch: _Batch, values: torch.Tensor, shares: torch.Tensor | None
    ) -> torch.Tensor:
        """Return maps (targets, rows, tokens) from reduced values and shares of queries."""


@contextmanager
def _heard(layers: Sequence[Layer], start: _Start) -> Iterator[None]:
    handles = [layer.module.register_forward_hook(start) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _shares(batch: _Batch, read_off: Sequence[ReadOff], start: torch.Tensor | None) -> torch.Tensor:
    """Return the share of each token in what is read, shape (targets, rows, tokens)."""
    read = batch.read()
    if start is not None:
        if start.shape[:2] != batch.real.shape:
            msg = (
                f"{batch.layers[-1].name} gives {tuple(start.shape)} for "
                f"{tuple(batch.real.shape)} tokens, so it is not known where the target is read"
            )
            raise RefusedError(msg)
        touched = [(s != 0).flatten(2).any(-1) for s in slopes([v for v, _ in read_off], start)]
        read = torch.where(read.any(-1, keepdim=True), read, torch.stack(touched))
    return read / read.sum(-1, keepdim=True).clamp(min=1)


class Received(_Reading):
    """The rule "attention": what each token receives in the last layer."""

    name = "attention"
    reduce = "received"
    drop = True
    chosen = False

    def check(self, batch: _Batch) -> None:
        """Accept all: one layer needs no other."""

    def numbers(self, batch: _Batch) -> list[int] | None:
        """Return the last layer."""
        return [batch.planned - 1]

    def maps(
        self, batch: _Batch, values: torch.Tensor, shares: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the mean over heads of the last layer, for every target."""
        return values[:, -1].mean(1).expand(batch.targets, -1, -1)


class Rollout(_Reading):
    """The rule "rollout": rows of the product of all layers."""

    name = "rollout"
    reduce = "rollout"

    def maps(
        self, batch: _Batch, values: torch.Tensor, shares: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the rows that are read."""
        assert shares is not None
        return torch.einsum("tbq,bqk->tbk", shares.to(values), values)


class Flow(_Reading):
    """The rule "attention_flow": the largest flow to the rows that are read."""

    name = "attention_flow"
    reduce = "mean"

    def check(self, batch: _Batch) -> None:
        """Refuse inputs that are too large even for one row."""
        super().check(batch)
        for piece in batch.pieces:
            length, units = batch.span(piece)
            check_size(piece.sample.name, 1, len(units), batch.planned, length)

    def maps(
        self, batch: _Batch, values: torch.Tensor, shares: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the mean of the flows to the rows that are read, row by row."""
        assert shares is not None
        maps = torch.zeros(shares.shape, dtype=torch.float64)
        weights: FloatArray = as_numpy(values)
        for piece, first in zip(batch.pieces, batch.rows.starts, strict=False):
            sample = piece.sample
            length, sinks = batch.span(piece)
            for row in range(first, first + len(piece.rows)):
                share = as_numpy(shares[:, row, :length])
                sources = np.flatnonzero(share.any(0))
                check_size(sample.name, len(sources), len(sinks), len(weights[row]), length)
                flows = attention_flow(weights[row, :, :length, :length], sources, sinks)
                maps[:, row, sinks] = torch.from_numpy(share[:, sources] @ flows)
        return maps
