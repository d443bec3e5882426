"""A place inside a torch model, and passes that are cut there.

What comes out of the module becomes the start of the graph, so that nothing before it is kept or
differentiated: the backward pass stops at the layer, and parameters get no gradients.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from saliscope.core.ask import Layer
from saliscope.core.errors import ModelError
from saliscope.core.model import Pass, Piece, Reader
from saliscope.models.readout import as_numpy, plain, slopes
from saliscope.models.torch_model import TorchModel

__all__ = ["Cut", "Place", "cut", "main_tensor", "run_cut"]


@dataclass(frozen=True, eq=False)
class Place(Layer):
    """A layer of a torch model, and how its output is laid out.

    Parameters
    ----------
    shape : tuple of int
        Of its output for one input.
    last : bool
        Whether features stand behind positions there.
    """

    shape: tuple[int, ...] = ()
    last: bool = False

    def arranged(self, output: torch.Tensor) -> torch.Tensor:
        """Return its output, shape (rows, *shape), as (rows, features, *grid).

        Examples
        --------
        >>> from saliscope.core.units import Units
        >>> grid = Units(("y", "x"), (1, 2), "cell")
        >>> tokens = Place("norm", grid, 3, skipped=1, shape=(3, 3), last=True)
        >>> tokens.arranged(torch.arange(9.0).reshape(1, 3, 3)).tolist()
        [[[[3.0, 6.0]], [[4.0, 7.0]], [[5.0, 8.0]]]]
        """
        if not self.last:
            return output
        cells = output.flatten(1, -2)[:, self.skipped :]
        return cells.transpose(1, 2).reshape(len(output), self.features, *self.units.shape)


@dataclass(eq=False)
class Cut:
    """A pass that was cut at a place: `start` is the output there, which needs gradients."""

    place: Place
    start: torch.Tensor | None = None

    def rows(self, count: int) -> torch.Tensor:
        """Return the output, which must have `count` rows."""
        name = self.place.name
        if self.start is None:
            msg = f"layer {name!r} was not run in this pass; name another with layer="
            raise ModelError(msg)
        if self.start.shape != (count, *self.place.shape):
            msg = (
                f"layer {name!r} gave {tuple(self.start.shape)} for {count} input(s), where "
                f"{(count, *self.place.shape)} was expected; name another with layer="
            )
            raise ModelError(msg)
        return self.start


@contextmanager
def cut(module: nn.Module, place: Place) -> Iterator[Cut]:
    """Let what comes out of a place start the graph, for passes inside the context."""
    here = Cut(place)

    def restart(_part: nn.Module, _given: Any, output: Any) -> Any:
        tensor = main_tensor(output)
        if here.start is not None or tensor is None:
            msg = f"layer {place.name!r} does not give one tensor, once a pass"
            raise ModelError(msg)
        here.start = tensor.detach().requires_grad_()
        # A copy, because what follows may work in place, which a leaf forbids.
        return _with(output, here.start.clone())

    handle = module.get_submodule(place.name).register_forward_hook(restart)
    try:
        yield here
    finally:
        handle.remove()


def main_tensor(output: Any) -> torch.Tensor | None:
    """Return the tensor that a module gives: its output, or the first in a container."""
    if isinstance(output, torch.Tensor):
        return output
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, (tuple, list)) and output and isinstance(output[0], torch.Tensor):
        return output[0]
    return None


def _with(output: Any, tensor: torch.Tensor) -> Any:
    """Return the output of a module with another tensor in place of its first."""
    if isinstance(output, torch.Tensor):
        return tensor
    if isinstance(output, Mapping):
        kind: Any = type(output)
        return kind(**{**output, next(iter(output)): tensor})
    parts = [tensor, *output[1:]]
    return type(output)(*parts) if hasattr(output, "_fields") else type(output)(parts)


def run_cut(
    model: TorchModel, layer: Layer, pieces: Sequence[Piece], readers: Sequence[Reader]
) -> list[Pass]:
    """Run one batch that is cut at a layer: one forward pass, and one back to it per target.

    The activations there, and the slopes of every target, are given as they are.
    """
    assert isinstance(layer, Place)
    batch = model.realize(pieces)
    # With frozen parameters and an input that needs no gradients, the graph begins at the cut.
    with cut(model.module, layer) as here:
        read_off, _ = model.evaluate(batch, readers, gradients=False, graph=True)
    start = here.rows(batch.starts[-1])
    inside = as_numpy(layer.arranged(start))
    each = [as_numpy(layer.arranged(s)) for s in slopes([v for v, _ in read_off], start)]
    passes = []
    for reader, both in zip(readers, plain(read_off), strict=True):
        own = np.stack([slope[reader.rows] for slope in each[: both[0].shape[1]]], axis=1)
        passes.append(Pass(*both, activations=inside[reader.rows], slopes=own))
    return passes
