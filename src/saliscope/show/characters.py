"""Pictures of a line of text, character by character."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from saliscope.core.record import Record
from saliscope.core.units import FloatArray
from saliscope.show.lines import Glyph, Line, line_of, window
from saliscope.show.pictures import blend, scale_of
from saliscope.show.reading import heading, method_of
from saliscope.show.style import INK, LOWER, MUTED, RAISE, clip, drawn, new_figure, number

__all__ = [
    "ERROR", "character_grid", "headed", "line_characters", "mistake_crops", "mistakes",
    "shared_scale", "told",
]  # fmt: skip

ERROR = "#b3261e"
MOST_CELLS = 120
_RIDGES = (RAISE, LOWER, "#5f5470")
_PIECE = 7.6  # heights of a line that one row of a picture holds
_FAINT = 0.004  # share of the scale below which a curve is not drawn
_SURE = 0.9  # confidence from which on a character needs no number


@drawn
def character_grid(
    record: Record, *, alpha: float | None = None, colormap: str | int | None = None,
    heights: float = 2.0, title: str | None = None,
) -> Figure:  # fmt: skip
    """Draw a cell for each character: what it is, how sure it is, and its map, on one scale.

    A cell shows the part of the line around the place where the character is read, which the two
    ticks below it mark; of a decoder, around the middle of its map.

    Parameters
    ----------
    record : Record
        As of `saliscope.show.line_of`.
    alpha, colormap
        As of `image_map`.
    heights : float
        Width of a cell, in heights of the line.
    title : str, optional
        Instead of the record's name; "" for no heading.

    Returns
    -------
    matplotlib.figure.Figure
        At most 120 characters.
    """
    line = line_of(record)
    shown = line.glyphs[:MOST_CELLS]
    norm, colors = shared_scale(record, line, heights, colormap)
    many = len(shown) > 36
    columns = min(len(shown), max(4, round((16 if many else 12) / max(1.0, heights))), 10)
    rows = -(-len(shown) // columns)
    side = 8.6 / columns
    figure = new_figure(
        9.3, rows * (side / heights + 0.3) + (0.15 if title == "" else 0.6), "constrained"
    )
    notes = [f"{len(line.glyphs) - len(shown)} more are not drawn"] * (
        len(line.glyphs) > MOST_CELLS
    )
    headed(figure, record, title, ["all on one scale", *notes])
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, glyph in zip(grid, shown, strict=False):
        _cell(axes, line, glyph, heights, norm, colors, alpha)
        sure = "" if glyph.confidence is None else f"  {glyph.confidence:.2f}"
        wrong = glyph.mistake is not None
        axes.set_title(f"{glyph.text}{sure}", fontsize=8 if many else 9, pad=5, loc="left",
                       fontweight="bold", color=ERROR if wrong else INK)  # fmt: skip
        if wrong:
            axes.set_title(_instead(glyph), fontsize=6.5 if many else 7.5, pad=5, loc="right",
                           color=ERROR, fontweight="normal")  # fmt: skip
    _bar(figure, list(grid), norm, colors, record, line)
    return figure


@drawn
def mistakes(
    record: Record, *, alpha: float | None = None, colormap: str | int | None = None,
    heights: float = 5.0, title: str | None = None,
) -> Figure:  # fmt: skip
    """Draw each mistake in a line: what speaks for what was read, and what for the truth.

    Parameters
    ----------
    record : Record
        Of `saliscope.reading.explain_mistakes`.
    alpha, colormap
        As of `image_map`.
    heights : float
        Width of a cell, in heights of the line.
    title : str, optional
        Instead of the record's name; "" for no heading.

    Returns
    -------
    matplotlib.figure.Figure
    """
    line = line_of(record)
    heights = min(heights, line.width / line.height)
    shown = line.glyphs[:MOST_CELLS]
    norm, colors = shared_scale(record, line, heights, colormap)
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    side = 8.4 / max(2, columns)
    scores = np.atleast_1d(np.asarray(record.data["score"].values, dtype=float))
    figure = new_figure(
        max(4.6, side * columns + 0.9),
        rows * (side / heights + 0.34) + (0.15 if title == "" else 0.6),
        "constrained",
    )
    signs = "orange: for what was read, blue: for the truth" if line.signed else ""
    headed(figure, record, title, [signs] if signs and colormap is None else [])
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, glyph, score in zip(grid, shown, scores.tolist(), strict=False):
        _cell(axes, line, glyph, heights, norm, colors, alpha, box=True)
        axes.set_title(told(glyph), fontsize=8.5, pad=3, color=ERROR)
        axes.set_title(f"{number(score, sign=True)} nats", fontsize=7.5, pad=3, loc="right",
                       color=MUTED, fontweight="normal")  # fmt: skip
    _bar(figure, list(grid), norm, colors, record, line)
    return figure


def mistake_crops(
    record: Record, *, heights: float = 5.0, alpha: float | None = None,
    colormap: str | int | None = None,
) -> list[npt.NDArray[np.uint8]]:  # fmt: skip
    """Return what `mistakes` draws as arrays: the part of the line around each, boxed.

    Parameters
    ----------
    record, heights, alpha, colormap
        As of `mistakes`.

    Returns
    -------
    list of numpy.ndarray of uint8, shape (y, x, 3)
        In pixels of the picture that the record holds.
    """
    line = line_of(record)
    heights = min(heights, line.width / line.height)
    norm, colors = shared_scale(record, line, heights, colormap)
    found = []
    for glyph in line.glyphs:
        first, last = window(line, glyph, heights)
        crop = np.round(_crop(line, glyph, first, last, norm, colors, alpha) * 255).astype(np.uint8)
        if glyph.left is not None and glyph.right is not None:
            a = int(np.clip(glyph.left - first, 0, crop.shape[1] - 1))
            b = int(np.clip(glyph.right - first, a, crop.shape[1] - 1))
            edge = tuple(round(255 * part) for part in to_rgb(ERROR))
            crop[:, [a, b]] = edge
            crop[[0, -1], a : b + 1] = edge
        found.append(crop)
    return found


@drawn
def line_characters(record: Record, *, title: str | None = None) -> Figure:
    """Draw the line in gray, and above it how the map of each character lies along it.

    Each curve is the share that a column has in the map of one character, where it speaks for it;
    all have one scale. The character stands where it was read, in the color of its curve: a curve
    that stands elsewhere looked elsewhere. Mistakes are boxed, with what is written below.

    Parameters
    ----------
    record : Record
        As of `saliscope.show.line_of`.
    title : str, optional
        Instead of the record's name; "" for no heading.

    Returns
    -------
    matplotlib.figure.Figure
    """
    line = line_of(record)
    curves = line.profiles(max(1, line.width // 2))
    at = (np.arange(curves.shape[1]) + 0.5) * line.width / curves.shape[1]
    top = float(np.quantile(curves.max(1), 0.9)) if len(curves) else 1.0
    curves = np.clip(curves / (top or 1.0), 0, 1.15)
    middles = [_middle(line, glyph) for glyph in line.glyphs]
    cuts = _cuts(line)
    high = line.height
    longest = max(b - a for a, b in pairwise(cuts))
    scale = 9.0 / longest  # inches per pixel
    each = 2.65 * high * scale
    head = 0.05 if title == "" else 0.5
    figure = new_figure(9.2, (len(cuts) - 1) * each + head)
    notes = ["curves: shares of each map"]
    if any(g.confidence is not None and g.confidence < _SURE for g in line.glyphs):
        notes.append(f"numbers: confidence below {_SURE:g}")
    if line.mistakes:
        notes.append("red: mistakes, above the truth")
    _title(figure, record, title, notes)
    room = figure.get_figheight() - head
    for k, (start, end) in enumerate(pairwise(cuts)):
        bottom = room - (k + 1) * each
        high_part = figure.get_figheight()
        place = (0.1 / 9.2, bottom / high_part, (end - start) * scale / 9.2, each / high_part)
        axes = figure.add_axes(place)
        axes.set_axis_off()
        axes.set_xlim(start, end)
        axes.set_ylim(1.4 * high, -1.25 * high)
        axes.imshow(line.gray, cmap="gray", vmin=-0.15, vmax=1, extent=(0, line.width, high, 0),
                    aspect="auto", interpolation="antialiased", zorder=0)  # fmt: skip
        for n, (glyph, curve) in enumerate(zip(line.glyphs, curves, strict=True)):
            color = _RIDGES[n % len(_RIDGES)]
            there = (at >= start) & (at < end)
            seen = curve > _FAINT
            seen[1:] |= curve[:-1] > _FAINT  # down to the line on both sides
            seen[:-1] |= curve[1:] > _FAINT
            height = np.where(seen, -curve * 0.8 * high, np.nan)
            axes.fill_between(at[there], height[there], 0, color=color, alpha=0.28, linewidth=0,
                              zorder=2)  # fmt: skip
            axes.plot(at[there], height[there], color=color, linewidth=0.9, zorder=3)
            if start <= middles[n] < end:
                _letter(axes, glyph, middles[n], high, color)
        for wrong in line.mistakes:
            _boxed(axes, wrong, high, start, end)
    return figure


def shared_scale(
    record: Record, line: Line, heights: float, colormap: str | int | None
) -> tuple[Normalize, Colormap]:
    """Return the norm and colors of all maps of a line, of what lies near their characters."""
    near = []
    for glyph in line.glyphs:
        first, last = window(line, glyph, heights)
        columns = glyph.values.shape[1]
        across = columns / (line.box[2] - line.box[0])
        a = int(np.clip((first - line.box[0]) * across, 0, columns - 1))
        b = int(np.clip(np.ceil((last - line.box[0]) * across), a + 1, columns))
        near.append(glyph.values[:, a:b])
    return scale_of(record, near, colormap)


def _cell(
    axes: Axes, line: Line, glyph: Glyph, heights: float, norm: Normalize, colors: Colormap,
    alpha: float | None, *, box: bool = False,
) -> None:  # fmt: skip
    """Draw the part of a line around a character, its map over it, and ticks at its place."""
    first, last = window(line, glyph, heights)
    shown = _crop(line, glyph, first, last, norm, colors, alpha)
    high = line.height
    axes.imshow(shown, extent=(first, last, high, 0), interpolation="antialiased")
    if glyph.left is None or glyph.right is None:
        return
    a, b = glyph.left, glyph.right
    if box:
        a, b = max(a - 1, first + 0.5), min(b + 1, last - 0.5)
        axes.add_patch(Rectangle((a, 0.5), b - a, high - 1, fill=False, edgecolor=ERROR,
                                 linewidth=1.1))  # fmt: skip
    else:
        axes.plot([a, b], [high + 1.5, high + 1.5], color=ERROR if glyph.mistake else INK,
                  linewidth=1.6, clip_on=False, solid_capstyle="butt")  # fmt: skip
        axes.set_ylim(high + 2.5, 0)


def _crop(
    line: Line, glyph: Glyph, first: int, last: int, norm: Normalize, colors: Colormap,
    alpha: float | None,
) -> FloatArray:  # fmt: skip
    """Return some columns of a line with a map over them, from 0 to 1."""
    left, top, right, bottom = line.box
    box = (left - first, top, right - first, bottom)
    return blend(line.picture[:, first:last], box, glyph.values, norm, colors, alpha)


def told(glyph: Glyph, *, sure: bool = True) -> str:
    """Return what is wrong in a few words, and how sure the model was."""
    mistake = glyph.mistake or {}
    number_ = "" if glyph.confidence is None or not sure else f" ({glyph.confidence:.2f})"
    if mistake.get("kind") == "missed":
        return f"missed {_shown(mistake['truth'])}"
    if mistake.get("kind") == "inserted":
        return f"{glyph.text}{number_} inserted"
    return f"{glyph.text}{number_} for {_shown(mistake.get('truth', ''))}"


def _instead(glyph: Glyph) -> str:
    truth = (glyph.mistake or {}).get("truth", "")
    return f"is {_shown(truth)}" if truth else "extra"


def _shown(text: str) -> str:
    return text.replace(" ", "␣")


def _middle(line: Line, glyph: Glyph) -> float:
    """Return where a character stands: at its place, else at the middle of its map."""
    first, last = window(line, glyph, 0.02)
    if glyph.left is not None and glyph.right is not None:
        return (glyph.left + glyph.right) / 2
    return (first + last) / 2


def _cuts(line: Line) -> list[float]:
    """Return where a long line is cut into rows of about equal length, between characters."""
    count = max(1, round(line.width / (_PIECE * line.height)))
    places = sorted(
        (m, m, m) if g.left is None or g.right is None else (m, g.left, g.right)
        for g, m in ((glyph, _middle(line, glyph)) for glyph in line.glyphs)
    )
    between = [(right + left) / 2 for (_, _, right), (_, left, _) in pairwise(places)]
    cuts = [0.0]
    for k in range(1, count):
        ideal = line.width * k / count
        best = min(between, key=lambda x: abs(x - ideal), default=ideal)
        if best > cuts[-1]:
            cuts.append(best)
    return [*cuts, float(line.width)]


def _letter(axes: Axes, glyph: Glyph, x: float, high: int, color: str) -> None:
    """Write a character above its place, and how sure it is where it is not."""
    wrong = glyph.mistake is not None
    axes.text(x, -0.98 * high, glyph.text, ha="center", va="center", fontsize=9, clip_on=True,
              color=ERROR if wrong else color, fontweight="bold")  # fmt: skip
    if glyph.confidence is not None and glyph.confidence < _SURE:
        axes.text(x, -1.17 * high, f"{glyph.confidence:.1f}".lstrip("0"), ha="center", va="center",
                  fontsize=6.5, color=MUTED, clip_on=True)  # fmt: skip
    axes.plot([x, x], [-0.85 * high, 0], color=color, linewidth=0.5, alpha=0.5, zorder=1)


def _boxed(axes: Axes, wrong: dict[str, object], high: int, start: float, end: float) -> None:
    """Box a mistake on the line, and write what stands there below it."""
    a, b = wrong["left"], wrong["right"]
    if not isinstance(a, float) or not isinstance(b, float) or not start <= (a + b) / 2 < end:
        return
    missed = wrong["kind"] == "missed"
    if missed:  # a gap may be wide: mark its middle
        a = b = (a + b) / 2
    left, right = max(a - 1.5, start + 0.7), min(b + 1.5, end - 0.7)
    axes.add_patch(
        Rectangle((left, 0), right - left, high, fill=False, edgecolor=ERROR, linewidth=1.1,
                  linestyle=(0, (2, 1)) if missed else "solid", zorder=4)
    )  # fmt: skip
    told = _shown(str(wrong["truth"])) or "–"
    axes.text((a + b) / 2, 1.17 * high, f"+{told}" if missed else told, ha="center", va="center",
              fontsize=8, color=ERROR, fontweight="bold", clip_on=True)  # fmt: skip


def headed(figure: Figure, record: Record, title: str | None, notes: list[str]) -> None:
    """Write the heading of a figure, and leave room for it."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(w_pad=0.05, h_pad=0.04, wspace=0.05, hspace=0.03)
    if title == "":
        return
    _title(figure, record, title, notes)
    engine.set(rect=(0, 0, 1, 1 - 0.5 / figure.get_figheight()))


def _title(figure: Figure, record: Record, title: str | None, notes: list[str]) -> None:
    if title == "":
        return
    high, wide = figure.get_figheight(), figure.get_figwidth()
    room = int(wide * 12)
    figure.text(0.1 / wide, 1 - 0.17 / high, heading(record, title, room), fontsize=10.5,
                fontweight="bold", va="center")  # fmt: skip
    figure.text(0.1 / wide, 1 - 0.36 / high, fontsize=8, color=MUTED, va="center",
                s=clip("; ".join([method_of(record), *notes]), room))  # fmt: skip


def _bar(
    figure: Figure, axes: list[Axes], norm: Normalize, colors: Colormap, record: Record, line: Line
) -> None:
    assert norm.vmax is not None
    most = max(float(np.nanmax(np.abs(g.values), initial=0.0)) for g in line.glyphs)
    over = most > norm.vmax * (1 + 1e-9)
    extend = "neither" if not over else "both" if line.signed else "max"
    long = min(28, 9 * figure.get_figheight())
    made = figure.colorbar(ScalarMappable(norm, colors), ax=axes, pad=0.02, fraction=0.02,
                           extend=extend, extendfrac=0.03, aspect=long)  # fmt: skip
    made.outline.set_visible(False)
    made.ax.tick_params(labelsize=7)
    unit = "share" if record.kind == "attention_map" else record.meta.get("unit", "value")
    made.set_label(clip(unit, 40), fontsize=8)
