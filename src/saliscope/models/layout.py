"""Inputs that reach a module in several parts: outputs side by side, or an encoder and a decoder.

The units of such a sample stand on one axis. A layout says which of them each row of the module
holds, stream by stream. So a sample may be two rows (an output, and another one in its place, after
the same input) or two streams (the source, and the output so far), and a perturbation, a gradient
and a target know only the axis of units.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["Layout", "Spread", "padded", "spread"]

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Layout:
    """Which units stand where in the rows of a module.

    Parameters
    ----------
    rows : tuple of tuple of numpy.ndarray
        Of each row of the module, of each of its streams: the places of its units, in order.
        Targets are read off the last stream.
    """

    rows: tuple[tuple[Ids, ...], ...]

    @property
    def kind(self) -> tuple[int, int]:
        """Numbers of rows and of streams: samples of one kind can share a batch."""
        return len(self.rows), len(self.rows[0])

    @property
    def key(self) -> Hashable:
        """Equal for layouts that put the same units at the same places."""
        return tuple(tuple(stream.tobytes() for stream in row) for row in self.rows)


@dataclass(frozen=True, eq=False)
class Spread:
    """The layout of a batch.

    Parameters
    ----------
    streams : list of torch.Tensor, shape (rows of the module, length)
        The places of units, for each stream; padding has place 0.
    masks : list of torch.Tensor
        Which of them are no padding.
    back : torch.Tensor, shape (rows, units)
        Where in the last stream, the rows of the module that belong to one row joined, a unit
        stands; 0 for units that do not.
    each : int
        Rows of the module for every row.
    """

    streams: list[torch.Tensor]
    masks: list[torch.Tensor]
    back: torch.Tensor
    each: int

    def put(self, values: torch.Tensor, stream: int) -> torch.Tensor:
        """Return what stands in a stream, of values along units (rows, units, ...)."""
        places = self.streams[stream]
        rows = torch.arange(len(values), device=values.device).repeat_interleave(self.each)
        return values[rows[:, None], places]

    def gather(self, values: torch.Tensor, stream: int) -> torch.Tensor:
        """Return the sum of what each unit has in a stream, of values along its places."""
        rows, width = self.back.shape
        real = values.masked_fill(self.masks[stream] == 0, 0.0).reshape(rows, -1)
        places = self.streams[stream].reshape(rows, -1)
        return values.new_zeros(rows, width).scatter_add_(1, places, real)

    def marked(self, units: torch.Tensor) -> torch.Tensor:
        """Return where in the last stream marked units, shape (rows, units), are read off."""
        found = torch.zeros_like(self.masks[-1]).reshape(len(self.back), -1)
        found.scatter_add_(1, self.back, units.to(found))
        return (found > 0).reshape(self.masks[-1].shape)

    def take(self, values: torch.Tensor) -> torch.Tensor:
        """Return what a module gave for its last stream along units again."""
        joined = values.reshape(len(self.back), -1, *values.shape[2:])
        rows = torch.arange(len(self.back), device=values.device)
        return joined[rows[:, None], self.back]


def padded(
    rows: Sequence[Ids], pad: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows of ids padded to the longest, and what hides the padding (0)."""
    width = max(map(len, rows))
    ids = np.full((len(rows), width), pad, dtype=np.int64)
    real = np.zeros((len(rows), width), dtype=np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)], real[i, : len(row)] = row, 1
    return torch.from_numpy(ids).to(device), torch.from_numpy(real).to(device)


def spread(layouts: Sequence[Layout], units: int, device: torch.device) -> Spread:
    """Return the layout of a batch whose rows have these layouts, padded to `units` units."""
    each, streams = layouts[0].kind
    places: list[torch.Tensor] = []
    masks: list[torch.Tensor] = []
    back = np.zeros((len(layouts), units), dtype=np.int64)
    for stream in range(streams):
        rows = [row[stream] for layout in layouts for row in layout.rows]
        index, mask = padded(rows, 0, device)
        places.append(index)
        masks.append(mask)
    for i in reversed(range(len(rows))):  # what rows share is read off the first
        back[i // each, rows[i]] = i % each * index.shape[1] + np.arange(len(rows[i]))
    return Spread(places, masks, torch.from_numpy(back).to(device), each)
