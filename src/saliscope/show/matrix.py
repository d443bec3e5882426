"""Characters against places: where along a line each character of a text was found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from saliscope.core.record import Record
from saliscope.show.characters import ERROR, headed
from saliscope.show.lines import Line, line_of
from saliscope.show.pictures import SHARE
from saliscope.show.reading import method_of
from saliscope.show.style import MUTED, SEQUENTIAL, clip, drawn, new_figure

__all__ = ["line_matrix"]

_BINS = 4  # pixels of the picture in a cell
_WIDE = 9.4


@drawn
def line_matrix(
    record: Record, *, beside: Record | None = None, colormap: str | int | None = None,
    title: str | None = None,
) -> Figure:  # fmt: skip
    """Draw the alignment of a text with its line: characters from top to bottom, x along the line.

    A row is the map of one character as shares of its columns, so all rows have one scale (of
    square roots, so that faint shares are seen). Ticks mark where a CTC head reads the character.
    A model that goes along the line gives a diagonal.

    Parameters
    ----------
    record : Record
        As of `saliscope.show.line_of`.
    beside : Record, optional
        Of the same line, by another head or method.
    colormap : str or int, optional
        A name of matplotlib's or a code of OpenCV's; None for a perceptually uniform one.
    title : str, optional
        Instead of the record's name; "" for no heading.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from saliscope.show.colormaps import colormap_of

    records: Sequence[Record] = [record] if beside is None else [record, beside]
    lines = [line_of(one) for one in records]
    matrices = [line.profiles(max(8, round(line.width * line.scale / _BINS))) for line in lines]
    top = float(np.percentile(np.concatenate([m.max(1) for m in matrices]), SHARE)) or 1.0
    count = len(lines)
    most = max(len(line.glyphs) for line in lines)
    strip = (_WIDE / count - 0.5) * lines[0].height / lines[0].width
    body = float(np.clip(0.155 * most, 1.6, 10.5))
    figure = new_figure(_WIDE, strip + body + (0.8 if title == "" else 1.2), "constrained")
    colors = colormap_of(SEQUENTIAL if colormap is None else colormap)
    norm = PowerNorm(0.5, 0, top, clip=True)  # faint shares stay visible beside sharp ones
    grid = figure.subplots(2, count, squeeze=False, height_ratios=[strip, body])
    image = None
    for k, (one, line, matrix) in enumerate(zip(records, lines, matrices, strict=True)):
        _picture(grid[0, k], line, _named(one))
        axes = grid[1, k]
        extent = (0.0, line.width * line.scale, len(line.glyphs) + 0.5, 0.5)
        image = axes.imshow(matrix, cmap=colors, norm=norm, aspect="auto", extent=extent,
                            interpolation="nearest")  # fmt: skip
        _rows(axes, line)
        axes.set_xlabel("x, pixels of the picture", fontsize=8)
    assert image is not None
    bar = figure.colorbar(image, ax=list(grid[1]), pad=0.015, fraction=0.03, extend="max",
                          aspect=min(28, 9 * body), extendfrac=0.03)  # fmt: skip
    bar.outline.set_visible(False)
    ticks = [top * (k / 4) ** 2 for k in range(5)]
    bar.set_ticks(ticks, labels=[f"{tick:.2g}" for tick in ticks], fontsize=7)
    bar.set_label(f"share of a character's map per {_BINS} pixels (square-root colors)", fontsize=8)
    headed(figure, record, title, ["characters against x"])
    return figure


def _named(record: Record) -> str:
    """Return the method, and the head that reads."""
    head = record.meta.get("provenance", {}).get("model", {}).get("head")
    return f"{method_of(record)}, {head} head" if head else method_of(record)


def _picture(axes: Axes, line: Line, name: str) -> None:
    axes.imshow(line.picture, extent=(0, line.width, line.height, 0), aspect="auto",
                interpolation="antialiased")  # fmt: skip
    axes.set_axis_off()
    axes.set_title(clip(name, 60), fontsize=8.5, fontweight="normal", color=MUTED)


def _rows(axes: Axes, line: Line) -> None:
    """Name the rows, and mark where each character is read."""
    every = max(1, -(-len(line.glyphs) // 100))
    size = 7.5 if len(line.glyphs) <= 66 else 6
    places = list(range(1, len(line.glyphs) + 1, every))
    axes.set_yticks(places, [line.glyphs[n - 1].text for n in places], fontsize=size)
    for n, label in zip(places, axes.get_yticklabels(), strict=True):
        if line.glyphs[n - 1].mistake is not None:
            label.set_color(ERROR)
            label.set_fontweight("bold")
    axes.tick_params(axis="y", length=0, pad=3)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for row, glyph in enumerate(line.glyphs, 1):
        if glyph.left is not None and glyph.right is not None:
            wrong = glyph.mistake is not None
            for x in (glyph.left * line.scale, glyph.right * line.scale):
                axes.plot([x, x], [row - 0.5, row + 0.5], color=ERROR if wrong else "white",
                          linewidth=0.7, alpha=0.7)  # fmt: skip
