"""A line of text and the map of each of its characters, taken out of a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import OptionError
from saliscope.core.record import Record
from saliscope.core.string_target import visible
from saliscope.core.units import FloatArray
from saliscope.show.pictures import Box, has_picture, maps_of, picture_of
from saliscope.show.reading import ATTENTION

__all__ = ["Glyph", "Line", "character_maps", "has_characters", "has_mistakes", "line_of", "window"]


@dataclass(frozen=True)
class Glyph:
    """A character, or a mistake, and its map.

    Parameters
    ----------
    text : str
        As it is shown: a space is an open box.
    number : int
        Of the character in the text, from 1.
    values : numpy.ndarray, shape (rows, columns)
        The map, over the box of the line.
    confidence : float or None
    left, right : float or None
        Its place in pixels of the line's picture: from halfway to the character before it to
        halfway to the one behind, and at most a quarter of the line's height to each side.
    mistake : mapping or None
        What is wrong with it.
    """

    text: str
    number: int
    values: FloatArray
    confidence: float | None = None
    left: float | None = None
    right: float | None = None
    mistake: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Line:
    """A line of text with its maps.

    Parameters
    ----------
    picture : numpy.ndarray of uint8, shape (y, x, 3)
    box : (left, top, right, bottom)
        The part of the picture, in its pixels, that the maps lie over.
    glyphs : list of Glyph
    mistakes : list of mapping
        All that is wrong in the line, where it was compared with the truth.
    signed : bool
    slopes : bool
        Whether values are slopes, whose sign says what a lighter pixel does.
    scale : float
        Pixels of the picture as it came per pixel here: a result keeps large ones smaller.
    """

    picture: npt.NDArray[np.uint8]
    box: Box
    glyphs: list[Glyph]
    mistakes: list[dict[str, Any]]
    signed: bool
    slopes: bool
    scale: float = 1.0

    @property
    def width(self) -> int:
        """Pixels of the picture from left to right."""
        return int(self.picture.shape[1])

    @property
    def height(self) -> int:
        """Pixels of the picture from top to bottom."""
        return int(self.picture.shape[0])

    @property
    def gray(self) -> FloatArray:
        """The picture in gray, from 0 to 1."""
        gray: FloatArray = self.picture.astype(np.float64) @ [0.299, 0.587, 0.114] / 255
        return gray

    def profiles(self, bins: int | None = None) -> FloatArray:
        """Return what each map has in each column of the picture, as shares of the map.

        Counted is what speaks for the character: of a signed map the positive values, of slopes
        their size, as ink is darker than paper.

        Parameters
        ----------
        bins : int, optional
            Columns of the result, evenly over the picture (default: its pixels).

        Returns
        -------
        numpy.ndarray, shape (characters, columns)
            Each row sums to 1, or to 0 where a map has nothing.
        """
        edges = np.linspace(0, self.width, (bins or self.width) + 1)
        found = np.zeros((len(self.glyphs), len(edges) - 1))
        for row, glyph in zip(found, self.glyphs, strict=True):
            values = np.nan_to_num(glyph.values)
            counted = np.abs(values) if self.slopes else np.clip(values, 0, None)
            columns = counted.sum(0)
            at = np.linspace(self.box[0], self.box[2], len(columns) + 1)
            total = np.concatenate([[0.0], columns.cumsum()])
            row[:] = np.diff(np.interp(edges, at, total))
        sums = found.sum(1, keepdims=True)
        shares: FloatArray = np.divide(found, sums, out=np.zeros_like(found), where=sums > 0)
        return shares


def has_characters(record: Record) -> bool:
    """Return whether a record has a map for each of several characters of a line."""
    if record.kind == ATTENTION:
        return (
            "picture" in record.meta
            and record.meta.get("kind") == "cross"
            and {"query", "key"} <= set(map(str, record.values.dims))
            and "key_x" in record.data.coords
        )
    return has_picture(record) and bool(_numbers(record))


def has_mistakes(record: Record) -> bool:
    """Return whether a record has a map for each of some mistakes of a line."""
    return has_picture(record) and "explained" in record.meta.get("compared", {})


def line_of(record: Record) -> Line:
    """Return a line and the maps of its characters, or of its mistakes.

    Parameters
    ----------
    record : Record
        An attribution of ``target="characters"`` or of mistakes; cross-attention from characters
        to the picture, of which the mean over layers and heads is taken.

    Raises
    ------
    OptionError
        It is none of these.
    """
    if record.kind == ATTENTION and has_characters(record):
        return _attention(record)
    if not (has_characters(record) or has_mistakes(record)):
        msg = (
            "this result has no maps of single characters; explain a line with "
            "target='characters', or take cross-attention with reduce='mean'"
        )
        raise OptionError(msg)
    picture, box = picture_of(record)
    across = picture.shape[1] / record.meta["picture"]["width"]
    maps = [values for _, values in maps_of(record)]
    compared = record.meta.get("compared", {})
    read = _placed(record, across, picture.shape)
    mistakes = [
        {**m, **{k: read[m["number"]][k] for k in ("left", "right")}}
        if m["read"] and m["number"] in read
        else _moved(m, across)
        for m in compared.get("mistakes", [])
    ]
    if has_mistakes(record):
        glyphs = [
            Glyph(visible(m["read"]) if m["read"] else "", m["number"], values, m["confidence"],
                  m["left"], m["right"], m)
            for m, values in zip([mistakes[k] for k in compared["explained"]], maps, strict=False)
        ]  # fmt: skip
    else:
        wrong = {m["number"]: m for m in mistakes if m["read"]}
        glyphs = [
            Glyph(visible(read[n]["text"]), n, values, read[n]["confidence"], read[n]["left"],
                  read[n]["right"], wrong.get(n))
            for n, values in zip(_numbers(record), maps, strict=True)
        ]  # fmt: skip
    slopes = "per unit of input" in str(record.meta.get("unit", ""))
    return Line(
        picture, box, glyphs, mistakes, bool(record.meta.get("signed", True)), slopes, 1 / across
    )


def _moved(item: Mapping[str, Any], across: float) -> dict[str, Any]:
    """Return something with a place, in pixels of the picture that a record keeps."""
    place = {k: None if item[k] is None else item[k] * across for k in ("left", "right")}
    return {**item, **place}


def _placed(record: Record, across: float, shape: tuple[int, ...]) -> dict[int, dict[str, Any]]:
    """Return the characters of a reading by their numbers, each as wide as its place is."""
    most = shape[0] / 4
    read = [_moved(c, across) for c in record.meta["reading"]["characters"]]
    found = {c["number"]: dict(c) for c in read}
    there = sorted((c for c in read if c["left"] is not None), key=lambda c: c["left"])
    for k, one in enumerate(there):
        left = (there[k - 1]["right"] + one["left"]) / 2 if k else one["left"] - most
        behind = there[k + 1]["left"] if k + 1 < len(there) else None
        right = one["right"] + most if behind is None else (one["right"] + behind) / 2
        found[one["number"]]["left"] = max(0.0, left, one["left"] - most)
        found[one["number"]]["right"] = min(right, one["right"] + most, float(shape[1]))
    return found


def _numbers(record: Record) -> list[int]:
    """Return the numbers of the characters that the targets of a record are; none of others."""
    reading = record.meta.get("reading")
    if not isinstance(reading, dict):
        return []
    known = {f"{visible(c['text'])} at {c['number']}": c["number"] for c in reading["characters"]}
    names = [known.get(str(name)) for name in record.meta.get("target", [])]
    return [n for n in names if n is not None] if None not in names else []


def _attention(record: Record) -> Line:
    picture, box = picture_of(record)
    values = record.values
    values = values.mean([d for d in values.dims if d not in {"query", "key"}])
    array = np.asarray(values.transpose("query", "key").values, dtype=np.float64)
    y, x = record.data["key_y"].values, record.data["key_x"].values
    rows, columns = len(np.unique(y)), len(np.unique(x))
    maps = array.reshape(len(array), rows, columns)
    names = record.data["query_character"].values
    glyphs = [
        Glyph(str(name), number, one)
        for number, (name, one) in enumerate(zip(names, maps, strict=True), 1)
    ]
    scale = record.meta["picture"]["width"] / picture.shape[1]
    return Line(picture, box, glyphs, [], signed=False, slopes=False, scale=scale)


def character_maps(record: Record) -> tuple[list[str], FloatArray]:
    """Return the characters of a line and their maps as arrays.

    Parameters
    ----------
    record : Record
        As of `line_of`.

    Returns
    -------
    characters : list of str
        As pictures show them: a space is an open box.
    maps : numpy.ndarray, shape (characters, y, x)
        In pixels of the model's input; of attention one value per cell that is attended to.
    """
    line = line_of(record)
    return [glyph.text for glyph in line.glyphs], np.stack([g.values for g in line.glyphs])


def window(line: Line, glyph: Glyph, heights: float) -> tuple[int, int]:
    """Return the columns of the picture to look at a character in: first, and behind the last.

    Around its place, or where it has none around the middle of its map.

    Parameters
    ----------
    line : Line
    glyph : Glyph
    heights : float
        How wide, in heights of the line.
    """
    wide = min(line.width, max(1, round(heights * line.height)))
    if glyph.left is not None and glyph.right is not None:
        middle = (glyph.left + glyph.right) / 2
    else:
        columns = np.abs(np.nan_to_num(glyph.values)).sum(0)
        at = np.linspace(line.box[0], line.box[2], len(columns), endpoint=False)
        half = np.searchsorted(columns.cumsum(), columns.sum() / 2)
        middle = float(at[min(int(half), len(at) - 1)])
    first = int(np.clip(round(middle - wide / 2), 0, line.width - wide))
    return first, first + wide
