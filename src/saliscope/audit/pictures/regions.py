"""Rectangles of pixels: read, checked, moved to other places; and textures to put there instead."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError, OptionError
from saliscope.core.units import FloatArray

__all__ = ["TEXTURES", "Region", "as_region", "others", "texture"]

TEXTURES = ("noise", "checks", "rows", "columns", "slope")
"""What stands in place of a region's own content, one control each."""

_WAVE = 2  # pixels of a stripe and of a check, at least


class Region(NamedTuple):
    """A rectangle, in pixels of the picture as the model sees it.

    Examples
    --------
    >>> region = Region(1, 2, 4, 3)
    >>> region.box
    (slice(2, 5, None), slice(1, 5, None))
    >>> region.overlap(Region(3, 2, 4, 3))
    0.3333333333333333
    """

    x: int
    y: int
    width: int
    height: int

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of the picture."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    @property
    def area(self) -> int:
        """Pixels."""
        return self.width * self.height

    def overlap(self, other: Region) -> float:
        """Return intersection over union."""
        right = min(self.x + self.width, other.x + other.width)
        below = min(self.y + self.height, other.y + other.height)
        shared = max(0, right - max(self.x, other.x)) * max(0, below - max(self.y, other.y))
        return shared / (self.area + other.area - shared)

    def __str__(self) -> str:
        return f"{self.width} x {self.height} pixels at x {self.x}, y {self.y}"


def as_region(given: Any, shape: tuple[int, int]) -> Region:
    """Return a region that lies inside pictures of a shape (height, width).

    Parameters
    ----------
    given : sequence of int
        x, y, width and height.
    shape : (height, width)

    Raises
    ------
    OptionError
        These are not four whole numbers.
    InputError
        The region is empty, reaches outside, or is so large that none fits beside it.

    Examples
    --------
    >>> as_region((0, 0, 30, 4), (28, 28))
    Traceback (most recent call last):
        ...
    saliscope.core.errors.InputError: region 30 x 4 pixels at x 0, y 0: reaches outside the \
picture, which the model sees as 28 x 28 pixels; give x, y, width, height inside it
    """
    numbers = np.asarray(given).ravel().tolist() if not isinstance(given, str) else []
    if len(numbers) != 4 or not all(type(n) is int for n in numbers):
        msg = f"region={given!r}: give four whole numbers: x, y, width, height"
        raise OptionError(msg)
    region = Region(*numbers)
    high, wide = shape
    if region.width < 1 or region.height < 1:
        msg = f"region {region}: is empty; give a width and a height of at least 1"
        raise InputError(msg)
    outside = region.x < 0 or region.y < 0
    if outside or region.x + region.width > wide or region.y + region.height > high:
        msg = (
            f"region {region}: reaches outside the picture, which the model sees as "
            f"{wide} x {high} pixels; give x, y, width, height inside it"
        )
        raise InputError(msg)
    if region.area == wide * high:
        msg = f"region {region}: is the whole picture, so there is nothing to compare it with"
        raise InputError(msg)
    return region


def others(
    region: Region, shape: tuple[int, int], count: int, rng: np.random.Generator
) -> list[Region]:
    """Return rectangles of the same size elsewhere, none over the region, by chance.

    There are fewer than `count` where no more fit.

    Examples
    --------
    >>> found = others(Region(0, 0, 2, 2), (4, 4), 50, np.random.default_rng(0))
    >>> [tuple(r)[:2] for r in found]
    [(2, 0), (2, 1), (0, 2), (1, 2), (2, 2)]
    """
    high, wide = shape
    free = [
        found
        for y in range(high - region.height + 1)
        for x in range(wide - region.width + 1)
        if not (found := Region(x, y, region.width, region.height)).overlap(region)
    ]
    if len(free) <= count:
        return free
    return [free[i] for i in np.sort(rng.choice(len(free), count, replace=False))]


def texture(
    name: str, shape: tuple[int, int], channels: int, rng: np.random.Generator
) -> FloatArray:
    """Return a picture full of a texture, from 0 to 1, shape (y, x, channels).

    Examples
    --------
    >>> texture("rows", (4, 2), 1, np.random.default_rng(0))[..., 0].tolist()
    [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [1.0, 1.0]]
    """
    y, x = np.indices(shape)
    wave = max(_WAVE, min(shape) // 32)
    made: npt.NDArray[Any]
    if name == "noise":
        made = rng.random(shape)
    elif name == "checks":
        made = (y // wave + x // wave) % 2
    elif name == "rows":
        made = y // wave % 2
    elif name == "columns":
        made = x // wave % 2
    else:  # "slope": from dark to light and back, about four times across
        made = np.abs((x + y) % (2 * wave * 4) / (wave * 4) - 1)
    return np.repeat(made.astype(np.float64)[..., None], channels, axis=2)
