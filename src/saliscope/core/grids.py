"""Values on a coarse grid, laid over the finer units that the grid stands for."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from saliscope.core.units import FloatArray

__all__ = ["centers", "resized"]


def _places(cells: int, units: int) -> FloatArray:
    """Return where the centers of units lie, counted in cells from the center of the first."""
    places: FloatArray = (np.arange(units, dtype=np.float64) + 0.5) * (cells / units) - 0.5
    return places


def centers(cells: int, units: int) -> list[float]:
    """Return the center of each cell, counted in units from the center of the first unit.

    Examples
    --------
    >>> centers(2, 8)
    [1.5, 5.5]
    """
    return [float(place) for place in _places(units, cells)]


@functools.lru_cache(maxsize=256)
def _weights(cells: int, units: int) -> FloatArray:
    """Return the share of each cell in each unit, shape (cells, units)."""
    place = np.clip(_places(cells, units), 0, cells - 1)
    low = np.floor(place).astype(np.int64)
    share = place - low
    weights = np.zeros((cells, units))
    np.add.at(weights, (low, np.arange(units)), 1 - share)
    np.add.at(weights, (np.minimum(low + 1, cells - 1), np.arange(units)), share)
    return weights


def resized(values: FloatArray, shape: Sequence[int]) -> FloatArray:
    """Interpolate the last axes of an array linearly to a shape.

    Cells and units fill the same extent, so that the corners of both coincide (what torch calls
    ``align_corners=False``); beyond the outermost centers the value stays as it is.

    Parameters
    ----------
    values : numpy.ndarray, shape (..., *grid)
    shape : sequence of int
        As many numbers as the grid has axes.

    Returns
    -------
    numpy.ndarray, shape (..., *shape)

    Examples
    --------
    >>> resized(np.array([0.0, 4.0]), (4,)).tolist()
    [0.0, 1.0, 3.0, 4.0]
    """
    first = values.ndim - len(shape)
    for units in shape:  # each takes the first axis away and puts its own behind the last
        values = np.tensordot(values, _weights(values.shape[first], units), ([first], [0]))
    return values
