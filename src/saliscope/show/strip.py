"""A strip for the page: one line of text, and the map of one character at a time.

All maps stand below each other in one picture (a sprite) with its own transparency, so a page
steps through them by moving it; no numbers are computed in the browser.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import Colormap, Normalize
from PIL import Image

from saliscope.core.record import Record
from saliscope.core.units import FloatArray
from saliscope.show.characters import shared_scale, told
from saliscope.show.lines import Glyph, Line, has_characters, has_mistakes, line_of
from saliscope.show.pictures import OPAQUE
from saliscope.show.style import clip, number

__all__ = ["Strip", "strip_of"]

MOST = 300
BYTES = 240_000
_NEAR = 3.0  # heights of the line around a character that the colors are scaled by
_FACTORS = (1, 2, 3, 4, 6, 8, 12, 16)


@dataclass(frozen=True)
class Strip:
    """What the page gets of a line.

    Parameters
    ----------
    name : str
    what : str
        "character" or "mistake".
    width, height : int
        Of the line in pixels.
    picture, sprite : str
        Data URIs: the line in gray, and all maps below each other.
    cells : list of dict
        Of each map: "text", what is said of it ("say"), whether something is wrong with it
        ("wrong"), and its place in percent of the line ("left", "width").
    low, high : str
        The ends of the color scale.
    signed : bool
    left_out : int
        How many characters are not shown.
    """

    name: str
    what: str
    width: int
    height: int
    picture: str
    sprite: str
    cells: list[dict[str, Any]]
    low: str
    high: str
    ramp: str
    signed: bool
    left_out: int = 0


def strip_of(record: Record, budget: int = BYTES) -> Strip | None:
    """Return the strip of a line, or None of a record that has no maps of characters.

    Parameters
    ----------
    record : Record
    budget : int
        Bytes that the maps may take before base64; they are made coarser until they fit.
    """
    if not (has_characters(record) or has_mistakes(record)):
        return None
    line = line_of(record)
    shown = line.glyphs[:MOST]
    norm, colors = shared_scale(record, line, _NEAR, None)
    what = "mistake" if has_mistakes(record) else "character"
    cells = [_cell(line, glyph, what, n, len(shown)) for n, glyph in enumerate(shown, 1)]
    assert norm.vmin is not None
    assert norm.vmax is not None
    stops = ",".join(_hex(colors(t)) for t in np.linspace(0, 1, 9).tolist())
    return Strip(
        clip(record.name, 80) or "the line", what, line.width, line.height,
        _uri(Image.fromarray(np.round(line.gray * 255).astype(np.uint8))),
        _sprite(line, shown, norm, colors, budget), cells, number(norm.vmin), number(norm.vmax),
        f"linear-gradient(90deg,{stops})", line.signed, len(line.glyphs) - len(shown),
    )  # fmt: skip


def _cell(line: Line, glyph: Glyph, what: str, number_: int, count: int) -> dict[str, Any]:
    said = f"{what} {number_} of {count}: "
    if what == "mistake":
        said += told(glyph)
    else:
        said += {"␣": "space"}.get(glyph.text, glyph.text)
        if glyph.confidence is not None:
            said += f", confidence {glyph.confidence:.2f}"
        if glyph.mistake is not None:
            truth = glyph.mistake["truth"]
            said += f", written {truth.replace(' ', '␣')}" if truth else ", nothing written"
    text = told(glyph, sure=False) if what == "mistake" else glyph.text
    cell: dict[str, Any] = {"text": text, "say": said, "left": None, "width": None,
                            "wrong": glyph.mistake is not None}  # fmt: skip
    if glyph.left is not None and glyph.right is not None:
        cell["left"] = round(100 * glyph.left / line.width, 2)
        cell["width"] = round(100 * (glyph.right - glyph.left) / line.width, 2)
    return cell


def _sprite(line: Line, shown: list[Glyph], norm: Normalize, colors: Colormap, budget: int) -> str:
    """Return the maps below each other as a picture of 256 colors, as fine as the budget lets."""
    zero = float(norm(0.0))
    at = np.linspace(0, 1, 256)
    palette = np.round(np.asarray(colors(at))[:, :3] * 255).astype(np.uint8)
    strength = np.clip(np.abs(at - zero) / max(zero, 1 - zero), 0, 1)
    cover = np.round(255 * OPAQUE * strength**0.5).astype(np.uint8)
    cover[strength < 0.01] = 0
    made = b""
    for factor in _FACTORS:
        rows = [_fitted(line, glyph.values, factor) for glyph in shown]
        levels = np.round(np.asarray(norm(np.concatenate(rows))) * 255).astype(np.uint8)
        image = Image.fromarray(levels, "P")
        image.putpalette(palette.tobytes())
        out = io.BytesIO()
        image.save(out, "PNG", transparency=cover.tobytes(), optimize=True)
        made = out.getvalue()
        if len(made) <= budget:
            break
    return f"data:image/png;base64,{base64.b64encode(made).decode('ascii')}"


def _fitted(line: Line, values: FloatArray, factor: int) -> npt.NDArray[np.float64]:
    """Return a map over the whole picture, in cells of `factor` pixels; 0 where it does not lie."""
    high, wide = (max(1, -(-side // factor)) for side in (line.height, line.width))
    left, top, right, bottom = line.box
    whole = Image.fromarray(np.nan_to_num(values).astype(np.float32))
    across, down = values.shape[1] / (right - left), values.shape[0] / (bottom - top)
    part = (max(0.0, left), max(0.0, top), min(right, line.width), min(bottom, line.height))
    x0, y0 = round(part[0] / line.width * wide), round(part[1] / line.height * high)
    x1 = max(x0 + 1, round(part[2] / line.width * wide))
    y1 = max(y0 + 1, round(part[3] / line.height * high))
    source = ((part[0] - left) * across, (part[1] - top) * down,
              (part[2] - left) * across, (part[3] - top) * down)  # fmt: skip
    fitted = np.zeros((high, wide))
    box = Image.Resampling.BOX
    fitted[y0:y1, x0:x1] = np.asarray(whole.resize((x1 - x0, y1 - y0), box, source))
    return fitted


def _uri(image: Image.Image) -> str:
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"


def _hex(color: tuple[float, ...]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in color[:3])
