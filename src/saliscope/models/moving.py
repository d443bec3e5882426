"""Rows of a batch in the embedding of a token model, between their fills and their inputs.

All pieces of a batch are embedded, moved and multiplied at once: a hundred short inputs cost a few
operations, not a few each.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from saliscope.core.model import Piece
from saliscope.core.perturbation import Baseline
from saliscope.models.noise import add_noise

__all__ = ["MovedRows"]

Ids = npt.NDArray[np.int64]


class MovedRows:
    """Rows of a batch in the embedding.

    Parameters
    ----------
    embed : callable
        From ids, shape (rows, width), to what the embedding contributes for them.
    pieces : sequence of Piece
    width : int
        Tokens of a row, padding included.
    pad, mask : int or None
        Ids of padding, and of what stands where the target masks.
    """

    def __init__(
        self, embed: Callable[[Ids], torch.Tensor], pieces: Sequence[Piece], width: int, pad: int,
        mask: int | None,
    ) -> None:  # fmt: skip
        self._embed, self._pieces, self._mask = embed, pieces, mask
        self._starts = np.cumsum([0, *(len(piece.rows) for piece in pieces)]).tolist()
        count = self._starts[-1]
        self._inputs = np.full((count, width), pad, dtype=np.int64)
        self._weights = np.ones((count, width))
        self._given: list[tuple[slice, int, torch.Tensor]] = []  # fills that are no ids
        for piece, start in zip(pieces, self._starts, strict=False):
            own = slice(start, start + len(piece.rows))
            self._inputs[own, : piece.sample.length] = piece.sample.context["ids"]
        self._fills = self._inputs.copy()
        for piece, start in zip(pieces, self._starts, strict=False):
            if piece.perturbation.every_fill:
                self._fill(piece, start)

    def _fill(self, piece: Piece, start: int) -> None:
        moved, length = piece.perturbation, piece.sample.length
        own = slice(start, start + len(piece.rows))
        if moved.grouping.labels is None:
            weights = 1.0 - np.stack([moved.covered(int(row), length) for row in piece.rows])
        else:
            groups = np.ones((len(piece.rows), moved.grouping.count + 1))  # the last: untouched
            groups[:, :-1] = moved.matrix(piece.rows)
            weights = groups[:, moved.grouping.labels]
        self._weights[own, :length] = weights
        if moved.choice is None:
            self._put(moved.fill, own, length)
            return
        for place, row in enumerate(piece.rows, start):
            self._put(moved.fill_of(int(row)), slice(place, place + 1), length)

    def _put(self, fill: Baseline | None, rows: slice, length: int) -> None:
        assert fill is not None
        if fill.value is None:
            self._fills[rows, :length] = np.asarray(fill.ids)
        else:
            assert isinstance(fill.value, torch.Tensor)
            self._given.append((rows, length, fill.value))

    def _filled(self) -> torch.Tensor:
        found = self._embed(self._fills)
        for rows, length, value in self._given:
            found[rows, :length] = value
        return found

    def leaf(self) -> torch.Tensor:
        """Return the embedding of every row, shape (rows, width, features)."""
        here = leaf = self._embed(self._inputs)
        if any(piece.perturbation.every_fill for piece in self._pieces):
            weights = torch.from_numpy(self._weights).to(here)[..., None]
            # lerp is exact at both ends.
            leaf = self._filled().lerp_(here, weights.expand(here.shape))
        for piece, start in zip(self._pieces, self._starts, strict=False):
            sample, noise = piece.sample, piece.perturbation.noise
            own = leaf[start : start + len(piece.rows), : sample.length]
            if noise is not None:
                value = self._embed(sample.context["ids"])
                add_noise(own, noise, piece.rows, value, sample.units.kept)
            if piece.view:
                assert self._mask is not None
                own[:, list(piece.view)] = self._embed(np.array([self._mask], dtype=np.int64))[0]
        return leaf

    def away(self, times: Sequence[str]) -> torch.Tensor:
        """Return what gradients of each piece are multiplied by.

        That is one, the input, or its distance from the fill.
        """
        found = self._embed(self._inputs)
        rows = [slice(a, b) for a, b in itertools.pairwise(self._starts)]
        if "difference" in times:
            fills = self._filled()
            for own, word in zip(rows, times, strict=True):
                if word != "difference":
                    fills[own] = 0.0
            found = found - fills
        for piece, own, word in zip(self._pieces, rows, times, strict=True):
            if word == "one":
                found[own] = 1.0
            elif piece.view:  # what the target masks does not move
                found[own, list(piece.view)] = 0.0
        return found
