"""What maps of a line of text look like, in numbers: on ink, spread out, beside their character."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from saliscope.core.attribution import Attribution
from saliscope.core.errors import InputError
from saliscope.core.string_target import visible

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["center", "column_table", "columns", "ink", "measure_maps", "spread", "within"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def ink(line: npt.ArrayLike) -> BoolArray:
    """Return which pixels of a line are ink: far from the tone of the paper (Otsu 1979).

    The paper is the median tone, since ink covers less than half of a line; ink may be darker or
    lighter. The limit is the one that parts the distances from it into the two groups that differ
    most (N. Otsu, A threshold selection method from gray-level histograms).

    Parameters
    ----------
    line : array_like, shape (y, x)
        Gray values, on any scale.

    Examples
    --------
    >>> ink([[250, 248, 20], [249, 30, 251]]).tolist()
    [[False, False, True], [False, True, False]]
    >>> bool(ink(np.full((4, 9), 250)).any())
    False
    """
    gray = np.asarray(line, dtype=np.float64)
    if gray.ndim != 2 or gray.size == 0:
        msg = f"a line has rows and columns of gray values, not the shape {gray.shape}"
        raise InputError(msg)
    away = np.abs(gray - np.median(gray))
    top = float(away.max())
    if not top:
        return np.zeros(gray.shape, dtype=bool)
    counts, edges = np.histogram(away, bins=256, range=(0.0, top))
    middles = (edges[:-1] + edges[1:]) / 2
    below, above = np.cumsum(counts)[:-1], gray.size - np.cumsum(counts)[:-1]
    sums = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    best = np.nanmax(apart)
    # Between the groups every limit is as good: the middle one is farthest from both.
    limits = edges[1:-1][apart >= best * (1 - 1e-9)]
    black: BoolArray = away > limits.mean()
    return black


def columns(values: npt.ArrayLike) -> FloatArray:
    """Return the positive mass of a map in each column; its negative parts do not count.

    Parameters
    ----------
    values : array_like, shape (..., y, x)

    Returns
    -------
    np.ndarray, shape (..., x)

    Examples
    --------
    >>> columns([[1.0, -2.0], [0.5, 3.0]]).tolist()
    [1.5, 3.0]
    """
    mass: FloatArray = np.clip(np.asarray(values, dtype=np.float64), 0.0, None).sum(-2)
    return mass


def within(profile: npt.ArrayLike, left: float, right: float) -> float:
    """Return the share of a profile's mass between two places; 0 of a profile without mass.

    Parameters
    ----------
    profile : array_like, shape (x,)
        Mass per column, not negative.
    left, right : float
        In columns from the left edge; a column that is cut counts in part.

    Examples
    --------
    >>> within([1, 1, 2, 0], 0.5, 3)
    0.875
    """
    mass = np.asarray(profile, dtype=np.float64)
    total = mass.sum()
    if not total > 0:
        return 0.0
    edges = np.concatenate([[0.0], mass.cumsum()])
    low, high = np.interp([left, right], np.arange(len(edges)), edges)
    return float((high - low) / total)


def center(profile: npt.ArrayLike) -> float:
    """Return the center of mass, in columns from the left edge; NaN without mass.

    Examples
    --------
    >>> center([0, 1, 1])
    2.0
    """
    mass = np.asarray(profile, dtype=np.float64)
    total = mass.sum()
    return float(mass @ (np.arange(len(mass)) + 0.5) / total) if total > 0 else float("nan")


def spread(profile: npt.ArrayLike) -> tuple[float, float]:
    """Return the entropy of a profile in bits, and over how many columns it is spread: 2**entropy.

    Examples
    --------
    >>> spread([0, 1, 1, 1, 1])
    (2.0, 4.0)
    """
    mass = np.asarray(profile, dtype=np.float64)
    total = mass.sum()
    if not total > 0:
        return float("nan"), float("nan")
    share = mass / total
    share = share[share > 0]
    bits = float(-(share * np.log2(share)).sum())
    return max(0.0, bits), 2.0 ** max(0.0, bits)


def column_table(result: Attribution) -> pd.DataFrame:
    """Return the maps of the characters of a line, summed over each column of pixels.

    Parameters
    ----------
    result : Attribution
        Of a recognizer, for the target `Characters` (as of `explain_characters`).

    Returns
    -------
    pandas.DataFrame
        A row per character and column: ``target``, ``number`` (from 1), ``character``,
        ``confidence``, ``x`` (the middle of the column, in pixels of the picture from its left
        edge) and ``value``, the sum over the column with its signs, in the unit of the map.

    Raises
    ------
    InputError
        The result is not of the characters of a line.

    Examples
    --------
    >>> import saliscope
    >>> line = np.full((48, 60), 240, dtype=np.uint8)
    >>> line[10:38, 28:32] = 30
    >>> target = saliscope.Characters("l")
    >>> a = saliscope.explain("zoo:handwriting", line, "layer_cam", target)
    >>> found = column_table(a)
    >>> len(found), found.columns.tolist()
    (60, ['target', 'number', 'character', 'confidence', 'x', 'value'])
    >>> bool(abs(found["value"].sum() - a.to_numpy().sum()) < 1e-9)
    True
    """
    import pandas as pd

    frames = []
    edges = result.meta.get("picture", {}).get("box", (0.0, 0.0, 0.0, 0.0))
    for number, place, values in _characters(result):
        wide = values.shape[1]
        x = edges[0] + (np.arange(wide) + 0.5) * (edges[2] - edges[0]) / wide
        frames.append(pd.DataFrame({
            "target": f"{visible(place['text'])} at {number}", "number": number,
            "character": place["text"], "confidence": place["confidence"], "x": x,
            "value": values.sum(0),
        }))  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def _characters(result: Attribution) -> Iterator[tuple[int, dict[str, Any], FloatArray]]:
    """Yield the number of each character, what was read there, and its map, shape (y, x).

    Raises
    ------
    InputError
        The result is not of the characters of a line.
    """
    from saliscope.show.pictures import maps_of

    reading = result.meta.get("reading")
    maps = maps_of(result) if reading else []
    if not reading or len(maps) == 0:
        msg = f"{result.name}: is no map of characters; explain a line with target=Characters()"
        raise InputError(msg)
    known = {item["number"]: item for item in reading["characters"]}
    for name, values in maps:
        number = name.rpartition(" at ")[2]
        place = known.get(int(number)) if number.isdecimal() else None
        if place is None:
            msg = f"{result.name}: {name!r} is no character; explain a line with Characters()"
            raise InputError(msg)
        yield int(number), place, values


def measure_maps(result: Attribution) -> pd.DataFrame:
    """Return what can be counted about the map of each character of a line.

    Only positive values count: what speaks for the character.

    Parameters
    ----------
    result : Attribution
        Of a recognizer, for the target `Characters` (as of `explain_characters`).

    Returns
    -------
    pandas.DataFrame
        One row per character: its number; ``on_ink``, the share of the map's mass on ink, beside
        ``ink``, the share of pixels that are ink (what a map that ignores ink has on it);
        ``entropy`` over the columns in bits, and ``columns``, the pixels of the line's width over
        which that is spread; ``peak`` and ``center`` in pixels from the left edge; ``left`` and
        ``right``, where the model's own frames say the character (NaN of a decoder), and ``away``,
        how far the peak is from there. Frames are the model's own opinion of where a character
        is, and no truth: what `away` shows is whether map and frames agree.

    Raises
    ------
    InputError
        The result is not of the characters of a line.

    Examples
    --------
    >>> import saliscope
    >>> line = np.full((48, 60), 240, dtype=np.uint8)
    >>> line[10:38, 28:32] = 30
    >>> target = saliscope.Characters("l")
    >>> a = saliscope.explain("zoo:handwriting", line, "input_x_gradient", target)
    >>> found = measure_maps(a)
    >>> found["character"].tolist(), found["ink"].round(3).tolist()  # 28 x 4 of 48 x 60 pixels
    (['l'], [0.039])
    """
    import pandas as pd
    from PIL import Image

    from saliscope.show.pictures import picture_of

    maps = list(_characters(result))
    picture, _ = picture_of(result)
    high, wide = maps[0][2].shape
    gray = Image.fromarray(picture).convert("L").resize((wide, high), Image.Resampling.BOX)
    black = ink(np.asarray(gray))
    scale = result.meta["reading"]["width"] / wide
    rows = []
    for number, place, values in maps:
        profile = columns(values)
        mass = np.clip(values, 0.0, None)
        total = mass.sum()
        bits, count = spread(profile)
        left, right = (np.nan if place[k] is None else place[k] for k in ("left", "right"))
        peak = (int(profile.argmax()) + 0.5) * scale if total > 0 else np.nan
        rows.append({
            "number": number, "character": visible(place["text"]),
            "on_ink": float(mass[black].sum() / total) if total > 0 else np.nan,
            "ink": float(black.mean()), "entropy": bits, "columns": count * scale, "peak": peak,
            "center": center(profile) * scale, "left": left, "right": right,
            "away": float(max(left - peak, peak - right, 0.0)) if peak == peak else np.nan,
        })  # fmt: skip
    return pd.DataFrame(rows)
