"""Pixels of a picture as units, and the patches that they belong to."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import nn

from saliscope.core.units import FloatArray, Grouping, Units

__all__ = ["PATCH", "blurred", "over_pixels", "own_patch", "pixel_units", "token_units"]

PATCH = 16
"""Edge of a patch in pixels, where the model has none of its own."""


def pixel_units(height: int, width: int, patch: int) -> Units:
    """Return the pixels of a picture as units, with square patches as a grouping.

    Patches at the right and lower edge are smaller where the size is no multiple of theirs.

    Examples
    --------
    >>> units = pixel_units(4, 6, 3)
    >>> units.groupings["patch"].count, units.grouped(units.groupings["patch"]).shape
    (4, (2, 2))
    """
    starts = tuple(tuple(range(0, n, patch)) for n in (height, width))
    y, x = (np.arange(n) // patch for n in (height, width))
    labels = (y[:, None] * len(starts[1]) + x).astype(np.int64)
    return Units(
        ("y", "x"), (height, width), "pixel",
        {"y": ("y", range(height)), "x": ("x", range(width))},
        groupings={"patch": Grouping("patch", labels=labels, grid=starts)},
        window=(min(patch, height), min(patch, width)),
    )  # fmt: skip


def token_units(grid: tuple[int, ...], leading: int) -> Units:
    """Return the tokens of a vision transformer as units: patches, led by class tokens.

    Examples
    --------
    >>> units = token_units((1, 2), 1)
    >>> units.kept.tolist(), units.coords["patch"][1]
    ([1, 2], ['class', 'y 0 x 0', 'y 0 x 1'])
    """
    places = [f"y {y} x {x}" for y, x in np.ndindex(grid)]
    count = leading + len(places)
    return Units(
        ("position",), (count,), "patch",
        {
            "position": ("position", [*[0] * leading, *range(1, len(places) + 1)]),
            "patch": ("position", ["class"] * leading + places),
        },
        keep=np.arange(count) >= leading,
    )  # fmt: skip


def over_pixels(values: FloatArray, shape: tuple[int, ...], edge: int) -> FloatArray:
    """Return values per patch as values per pixel, each that of its patch.

    Pixels at the right and lower edge that are in no whole patch get zero.

    Parameters
    ----------
    values : numpy.ndarray, shape (..., patches)
    shape : tuple of int
        Pixels along y and x.
    edge : int
        Of a patch.

    Examples
    --------
    >>> over_pixels(np.array([1.0, 2.0]), (2, 5), 2).tolist()
    [[1.0, 1.0, 2.0, 2.0, 0.0], [1.0, 1.0, 2.0, 2.0, 0.0]]
    """
    high, wide = shape
    grid = values.reshape(*values.shape[:-1], high // edge, wide // edge)
    spread = grid.repeat(edge, axis=-2).repeat(edge, axis=-1)
    made = np.zeros((*values.shape[:-1], high, wide))
    made[..., : spread.shape[-2], : spread.shape[-1]] = spread
    return made


def own_patch(module: nn.Module) -> int | None:
    """Return the edge of a vision transformer's patches, where a module says it."""
    config = getattr(module, "config", None)
    sizes = [getattr(config, "patch_size", None)]
    sizes += [getattr(part, "patch_size", None) for part in itertools.islice(module.modules(), 8)]
    for size in sizes:
        edge = size[0] if isinstance(size, (tuple, list)) and size else size
        if isinstance(edge, int) and edge > 1:
            return edge
    return None


def blurred(value: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return pixels (y, x, channels) under a Gaussian; edges are continued with their own color."""
    reach = max(1, math.ceil(3 * sigma))
    weights = torch.arange(-reach, reach + 1).to(value).div(sigma).square().div(-2).exp()
    weights = weights / weights.sum()
    rows = value.permute(2, 0, 1)[:, None]
    for shape, edges in (
        ((1, 1, -1, 1), (0, 0, reach, reach)),
        ((1, 1, 1, -1), (reach, reach, 0, 0)),
    ):
        padded = nn.functional.pad(rows, edges, mode="replicate")
        rows = nn.functional.conv2d(padded, weights.reshape(shape))
    return rows[:, 0].permute(1, 2, 0).contiguous()
