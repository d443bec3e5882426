"""Lines cut out of a page: by ALTO, the format of layout analysis, or by boxes.

ALTO is read by an event parser that refuses a document type, so that no entity is ever expanded and
nothing outside of the file is opened.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np
import torch

from saliscope.core.errors import InputError, OptionError
from saliscope.models.vision.images import Picture
from saliscope.models.vision.lines import paper

__all__ = ["TextLine", "boxed", "cut_out", "read_alto", "scaled"]

MOST_BYTES = 50_000_000
"""Larger ALTO files are refused unread."""
_SHAPE = 0.02  # by which the shape of a page may differ between ALTO and picture

Point = tuple[float, float]


@dataclass(frozen=True)
class TextLine:
    """A line of a page.

    Parameters
    ----------
    name : str
        Its ID in the file, or its number.
    text : str
        What is written there, where the file says it.
    outline : tuple of (float, float)
        Its polygon (x, y), or the corners of its box, in units of `page`.
    page : (float, float)
        Width and height of the page in the same units; (0, 0) where the file does not say.
    """

    name: str
    text: str
    outline: tuple[Point, ...]
    page: tuple[float, float] = (0.0, 0.0)


def read_alto(path: str | os.PathLike[str]) -> list[TextLine]:
    """Return the lines of an ALTO file (any version), in its order.

    Parameters
    ----------
    path : path

    Raises
    ------
    InputError
        No such file, no ALTO, broken XML or one with a document type, no line, a line without a
        place.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "page.xml"
    ...     _ = file.write_text(
    ...         '<alto><Layout><Page WIDTH="200" HEIGHT="100"><TextLine ID="a" HPOS="10" VPOS="20" '
    ...         'WIDTH="80" HEIGHT="16"><String CONTENT="un"/><SP/><String CONTENT="mot"/>'
    ...         '</TextLine></Page></Layout></alto>')
    ...     (line,) = read_alto(file)
    >>> line.name, line.text, line.outline[2], line.page
    ('a', 'un mot', (90.0, 36.0), (200.0, 100.0))
    """
    place = Path(path)
    try:
        size = place.stat().st_size
        held = b"" if size > MOST_BYTES else place.read_bytes()
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror or error})"
        raise InputError(msg) from error
    if size > MOST_BYTES:
        msg = f"{path}: has {size:,} bytes, more than the {MOST_BYTES:,} of any page of text"
        raise InputError(msg)
    lines = _Alto(str(path)).read(held)
    if not lines:
        msg = f"{path}: has no line (TextLine); run line segmentation, or give boxes"
        raise InputError(msg)
    return lines


@dataclass
class _Alto:
    """Reads ALTO as it goes by."""

    path: str
    page: tuple[float, float] = (0.0, 0.0)
    lines: list[TextLine] = field(default_factory=list)
    attributes: dict[str, str] | None = None  # of the line that is open
    parts: list[str] = field(default_factory=list)
    outline: tuple[Point, ...] = ()
    root: str = ""

    def read(self, held: bytes) -> list[TextLine]:
        """Return the lines of a file."""
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._refuse
        try:
            parser.Parse(held, True)
        except expat.ExpatError as error:
            msg = f"{self.path}: is not well-formed XML ({error}); export the ALTO file again"
            raise InputError(msg) from error
        return self.lines

    def _refuse(self, *_: Any) -> None:
        msg = f"{self.path}: has a document type (DOCTYPE), which ALTO has not; remove it"
        raise InputError(msg)

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if not self.root:
            self.root = name
            if name != "alto":
                msg = f"{self.path}: is <{name}>, not <alto>; export the page as ALTO"
                raise InputError(msg)
        elif name == "Page":
            self.page = self._number(attributes, "WIDTH"), self._number(attributes, "HEIGHT")
        elif name == "TextLine":
            self.attributes, self.parts, self.outline = attributes, [], ()
        elif self.attributes is None:
            return
        elif name == "Polygon":
            self.outline = self._points(attributes.get("POINTS", ""))
        elif name == "String":
            self.parts.append(attributes.get("CONTENT", ""))
        elif name == "SP":
            self.parts.append(" ")
        elif name == "HYP":
            self.parts.append(attributes.get("CONTENT", "-"))

    def _end(self, name: str) -> None:
        if name.rpartition(":")[2] != "TextLine" or self.attributes is None:
            return
        about, self.attributes = self.attributes, None
        label = about.get("ID") or str(len(self.lines) + 1)
        outline = self.outline
        if not outline:
            x, y, wide, high = (
                self._number(about, key) for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT")
            )
            outline = ((x, y), (x + wide, y), (x + wide, y + high), (x, y + high))
        across, down = zip(*outline, strict=True)
        if min(across) == max(across) or min(down) == max(down):
            msg = f"{self.path}: line {label!r} has no place (Polygon, or HPOS to HEIGHT)"
            raise InputError(msg)
        self.lines.append(TextLine(label, "".join(self.parts), outline, self.page))

    def _number(self, attributes: dict[str, str], key: str) -> float:
        try:
            value = float(attributes.get(key, 0))
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            msg = f"{self.path}: {key}={attributes[key]!r} is not a number"
            raise InputError(msg)
        return value

    def _points(self, text: str) -> tuple[Point, ...]:
        """Return the corners of a polygon, written "x y x y" or "x,y x,y"."""
        try:
            numbers = [float(word) for word in re.split(r"[\s,]+", text.strip()) if word]
        except ValueError:
            numbers = [np.nan]
        if len(numbers) < 6 or len(numbers) % 2 or not np.isfinite(numbers).all():
            if not text.strip():
                return ()
            msg = f"{self.path}: the polygon {text[:40]!r} is not three corners or more"
            raise InputError(msg)
        return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def scaled(line: TextLine, picture: Picture, path: str) -> TextLine:
    """Return a line in pixels of a picture; ALTO may count in tenths of millimeters.

    Raises
    ------
    InputError
        The ALTO file is of a page of another shape.
    """
    wide, high = line.page
    if not (wide > 0 and high > 0):
        return line
    across, down = picture.width / wide, picture.height / high
    if abs(across / down - 1) > _SHAPE:
        msg = (
            f"{path}: is of a page of {wide:g} x {high:g}, and {picture.name} has {picture.width} "
            f"x {picture.height} pixels; give the ALTO file of this page"
        )
        raise InputError(msg)
    return replace(line, outline=tuple((x * across, y * down) for x, y in line.outline))


def boxed(boxes: Sequence[Sequence[float]]) -> Iterator[TextLine]:
    """Yield boxes (x, y, width, height) in pixels as lines.

    Raises
    ------
    OptionError
        No box, or one that is none.
    """
    if not len(boxes):
        msg = "the list of boxes is empty; give at least one (x, y, width, height)"
        raise OptionError(msg)
    for number, box in enumerate(boxes, 1):
        if len(box) != 4 or not np.isfinite(box).all() or box[2] <= 0 or box[3] <= 0:
            msg = f"box {number} is {tuple(box)}; give x, y, width and height in pixels"
            raise OptionError(msg)
        x, y, wide, high = map(float, box)
        corners = ((x, y), (x + wide, y), (x + wide, y + high), (x, y + high))
        yield TextLine(str(number), "", corners)


def cut_out(picture: Picture, line: TextLine, title: str) -> Picture:
    """Return the part of a page within an outline, in the tone of its paper around it.

    Raises
    ------
    InputError
        The outline lies outside of the page.
    """
    from PIL import Image, ImageDraw

    x, y = np.array(line.outline).T
    left, top = max(0, int(np.floor(x.min()))), max(0, int(np.floor(y.min())))
    right = min(picture.width, int(np.ceil(x.max())))
    bottom = min(picture.height, int(np.ceil(y.max())))
    if left >= right or top >= bottom:
        msg = (
            f"{title}: lies outside of the page, which has {picture.width} x {picture.height} "
            "pixels"
        )
        raise InputError(msg)
    part = picture.cut(left, top, right, bottom)
    mask = Image.new("1", (part.width, part.height))
    corners = [(a - left, b - top) for a, b in line.outline]
    ImageDraw.Draw(mask).polygon(corners, fill=1, outline=1)
    outside = ~np.array(mask)
    levels = part.levels.copy()
    tone = paper(torch.from_numpy(np.ascontiguousarray(levels, dtype=np.float32))).numpy()
    levels[outside] = tone.astype(levels.dtype)
    return Picture(title, levels, picture.findings)
