"""Where a cue might be, found without being told: swaps of windows, then of ever less of the best.

Windows of a quarter of the picture's shorter edge are swapped between pictures of a class and
others, and the one that moves the log-odds of the class most is cut down on each side as long as
hardly any of its effect goes. Saliency has no part in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saliscope.audit.pictures.regions import Region
from saliscope.audit.pictures.swapping import Move, Pairs, Stream
from saliscope.core.units import FloatArray

__all__ = ["find", "windows"]

_KEPT = 0.95  # share of its effect that a region keeps when a side is cut
_CUTS = 7  # places that are tried along each side
_ROUNDS = 4


def windows(shape: tuple[int, int], edge: int | None = None) -> list[Region]:
    """Return overlapping windows over a picture (height, width), half of a window apart.

    Examples
    --------
    >>> found = windows((8, 8), 4)
    >>> len(found), str(found[-1])
    (9, '4 x 4 pixels at x 4, y 4')
    """
    size = edge or max(2, round(min(shape) / 4))
    step = max(1, size // 2)
    rows, columns = ([*range(0, n - size, step), n - size] for n in shape)
    return [Region(x, y, size, size) for y in rows for x in columns]


def find(
    stream: Stream, pairs: Sequence[Pairs], edge: int | None = None
) -> tuple[list[Region], FloatArray]:
    """Return the region of each class that moves it most, and the effect of every window.

    Parameters
    ----------
    stream : Stream
    pairs : sequence of Pairs
        One for each class; none of them shall serve in the test of what is found.
    edge : int, optional
        Of the windows; a cue can be found that is at most as large.

    Returns
    -------
    list of Region
    numpy.ndarray, shape (classes, windows)
        Mean effect on the log-odds.
    """
    tried = windows((stream.units.shape[0], stream.units.shape[1]), edge)
    seen = stream.swap(pairs, [[(w, -1) for w in tried]] * len(pairs))
    effects = np.stack([swapped.effect.mean(1) for swapped in seen])
    regions = [tried[int(best)] for best in effects.argmax(1)]
    moved = effects.max(1)
    for _ in range(_ROUNDS):
        cuts = [_cuts(region) for region in regions]
        wanted: list[list[Move]] = [[(cut, -1) for side in own for cut in side] for own in cuts]
        if not any(wanted):
            break
        found = stream.swap(pairs, wanted)
        smaller = []
        for own, region, swapped, most in zip(cuts, regions, found, moved, strict=True):
            smaller.append(_cut(region, own, swapped.effect.mean(1), _KEPT * most))
        if smaller == regions:
            break
        regions = smaller
    return regions, effects


def _cuts(region: Region) -> list[list[Region]]:
    """Return what is left of a region when more and more goes from one side, for each side."""
    x, y, width, height = region
    wide, high = (
        sorted(set(np.linspace(1, size - 1, min(_CUTS, size - 1)).round().astype(int).tolist()))
        for size in (width, height)
    )
    return [
        [Region(x + n, y, width - n, height) for n in wide],
        [Region(x, y, width - n, height) for n in wide],
        [Region(x, y + n, width, height - n) for n in high],
        [Region(x, y, width, height - n) for n in high],
    ]


def _cut(
    region: Region, cuts: Sequence[Sequence[Region]], effects: FloatArray, least: float
) -> Region:
    """Cut each side as far as the effect stays above the least; a region of one pixel stays."""
    left, top, right, bottom = 0, 0, region.width, region.height
    start = 0
    for place, side in enumerate(cuts):
        own = effects[start : start + len(side)]
        start += len(side)
        held = 0
        while held < len(side) and own[held] >= least:
            held += 1
        if not held:
            continue
        last = side[held - 1]
        if place == 0:
            left = last.x - region.x
        elif place == 1:
            right = last.width
        elif place == 2:
            top = last.y - region.y
        else:
            bottom = last.height
    if left >= right or top >= bottom:  # either half will do alone: cut one side only
        return next((side[0] for side in cuts if side), region)
    return Region(region.x + left, region.y + top, right - left, bottom - top)
