"""Sequence-colored text as a figure: words on colored ground, with a sign each."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from saliscope.core.record import Record
from saliscope.show.reading import Track, about, heading, tracks, unsure
from saliscope.show.residues import MOST_PANELS
from saliscope.show.segments import right_to_left, segments, sign_of
from saliscope.show.style import (
    INK,
    MUTED,
    clip,
    color_scale,
    drawn,
    new_figure,
    number,
)

__all__ = ["colored_text"]

SIZE, LINE, EDGE = 11.0, 21.0, 14.0  # points: letters, line height, margin
Measure = Callable[[str, float], float]


@dataclass(frozen=True)
class Piece:
    """A stretch without spaces that is drawn at one place."""

    text: str
    value: float | None
    sign: str = ""
    unsure: bool = False


@drawn
def colored_text(
    record: Record, *, target: int | str | None = None, width: float = 7.0,
    title: str | None = None,
) -> Figure:  # fmt: skip
    """Draw a text with each word or token on a ground that shows its value.

    Strong units also carry + or −, so that color is not needed to read the sign.

    Parameters
    ----------
    record : Record
        An attribution along the words or tokens of a text.
    target : int or str, optional
        Only this target; without it every target has its own panel (at most six).
    width : float
        Inches.
    title : str, optional
        Instead of the record's name.

    Returns
    -------
    matplotlib.figure.Figure
    """
    found = tracks(record, target)
    panels = found[:MOST_PANELS]
    measure = _ruler()
    room = width * 72 - 2 * EDGE
    bodies = [_lines(track, room, measure) for track in panels]
    head, foot = 46.0, 44.0
    height = sum(head + LINE * len(lines) + foot for lines in bodies)
    figure = new_figure(width, height / 72)
    page = figure.add_axes((0, 0, 1, 1))
    page.set_axis_off()
    page.set_xlim(0, width * 72)
    page.set_ylim(height, 0)
    name = heading(record, title, int(room / 6.8))
    y = 0.0
    for track, lines in zip(panels, bodies, strict=True):
        page.text(EDGE, y + 15, name, fontsize=10.5, fontweight="bold", va="center")
        below = about(record, track, len(panels), len(found), int(room / 5.2))
        page.text(EDGE, y + 31, below, fontsize=8, color=MUTED, va="center")
        y += head
        norm, cmap = color_scale(track.values, signed=track.signed)
        for line in lines:
            _draw(page, line, y, width * 72, measure, ScalarMappable(norm, cmap))
            y += LINE
        _legend(figure, track, y, height, width)
        y += foot
    return figure


def _ruler() -> Measure:
    """Return a function that measures text in points."""
    figure = new_figure(1, 1)
    known: dict[tuple[str, float], float] = {}

    def measure(text: str, size: float) -> float:
        if (text, size) not in known:
            probe = figure.text(0, 0, text, fontsize=size)
            known[text, size] = float(probe.get_window_extent().width) * 72 / figure.dpi
            probe.remove()
        return known[text, size]

    return measure


def _lines(track: Track, room: float, measure: Measure) -> list[list[list[Piece]]]:
    """Wrap a text: lines of clusters, clusters of the pieces that no space divides."""
    lines: list[list[list[Piece]]] = [[[]]]
    for segment in segments(track):
        sign = sign_of(segment.value, track.most, signed=track.signed)
        parts = [p for p in re.split(r"(\n|[^\S\n]+)", segment.text) if p]
        last = max((k for k, p in enumerate(parts) if not p.isspace()), default=-1)
        for k, part in enumerate(parts):
            if part == "\n":
                lines.append([[]])
            elif part.isspace():
                lines[-1].append([])
            else:
                piece = Piece(part, segment.value, sign if k == last else "", segment.unsure)
                lines[-1][-1].append(piece)
    wrapped: list[list[list[Piece]]] = []
    space = measure("n n", SIZE) - 2 * measure("n", SIZE)
    for line in lines:
        current: list[list[Piece]] = []
        used = 0.0
        for whole in line:
            for cluster in _fit(whole, room, measure):
                wide = sum(_wide(p, measure) for p in cluster)
                if current and used + space + wide > room:
                    wrapped.append(current)
                    current, used = [], 0.0
                used += wide + (space if current else 0.0)
                current.append(cluster)
        wrapped.append(current)
    return wrapped


def _wide(piece: Piece, measure: Measure) -> float:
    mark = measure(piece.sign, SIZE * 0.8) + 1 if piece.sign else 0.0
    return measure(piece.text, SIZE) + mark + (1.5 if piece.value is not None else 0.0)


def _fit(cluster: list[Piece], room: float, measure: Measure) -> list[list[Piece]]:
    """Cut a cluster that is wider than a line."""
    if not cluster:
        return []
    if sum(_wide(p, measure) for p in cluster) <= room:
        return [cluster]
    letters = max(1, int(room / measure("W", SIZE)) - 2)
    chunks: list[list[Piece]] = []
    for piece in cluster:
        cuts = [piece.text[k : k + letters] for k in range(0, len(piece.text), letters)]
        chunks += [[replace(piece, text=c, sign="")] for c in cuts[:-1]]
        chunks.append([replace(piece, text=cuts[-1])])
    return chunks


def _draw(
    page: Axes, line: list[list[Piece]], y: float, across: float, measure: Measure,
    paint: ScalarMappable,
) -> None:  # fmt: skip
    space = measure("n n", SIZE) - 2 * measure("n", SIZE)
    mirrored = right_to_left("".join(p.text for cluster in line for p in cluster))
    x = EDGE
    for cluster in line:
        for piece in cluster:
            wide = _wide(piece, measure)
            left = across - x - wide if mirrored else x
            ink = INK
            if piece.value is not None:
                shade = paint.to_rgba(np.array([piece.value]))[0]
                light = 0.2126 * shade[0] + 0.7152 * shade[1] + 0.0722 * shade[2]
                ink = "white" if light < 0.5 else INK
                page.add_patch(Rectangle((left + 0.3, y + 2), wide - 0.6, LINE - 5, color=shade,
                                         linewidth=0))  # fmt: skip
            # The sign stands at the end of the word: on its left where words run that way.
            mark = measure(piece.text, SIZE) + 1.2
            before = measure(piece.sign, SIZE * 0.8) + 1 if piece.sign and mirrored else 0.0
            page.text(left + 0.7 + before, y + LINE - 7, piece.text, fontsize=SIZE, color=ink)
            if piece.sign:
                mark = 0.7 if mirrored else mark
                page.text(left + mark, y + LINE - 11, piece.sign, fontsize=SIZE * 0.8, color=ink,
                          fontweight="bold")  # fmt: skip
            if piece.unsure:
                ends = (left + 1, left + wide - 1)
                page.plot(ends, (y + LINE - 1.6,) * 2, color=MUTED, linewidth=1.2, linestyle=":")
            x += wide
        x += space


def _legend(figure: Figure, track: Track, y: float, height: float, width: float) -> None:
    norm, cmap = color_scale(track.values, signed=track.signed)
    points = width * 72
    box = ((EDGE + 12) / points, 1 - (y + 17) / height, 150 / points, 7 / height)
    axes = figure.add_axes(box)
    ends = [float(norm.vmin or 0.0), 0.0, float(norm.vmax or 1.0)]
    ends = sorted(set(ends))
    bar = figure.colorbar(ScalarMappable(norm, cmap), cax=axes, orientation="horizontal")
    bar.set_ticks(ends, labels=[number(v, sign=track.signed) for v in ends])
    bar.outline.set_visible(False)
    axes.tick_params(length=2, labelsize=7)
    words = "+ raises the target, − lowers it" if track.signed else "darker: less, lighter: more"
    more = []
    if track.stderr is not None and unsure(track.values, track.stderr).any():
        more.append("dotted: within two standard errors of zero")
    if track.missing:
        more.append(f"{track.missing} not finite (gray)")
    lines = [clip("; ".join(notes), int((points - 215) / 4.6))
             for notes in ([track.unit, words], more) if notes]  # fmt: skip
    axes.text(1.08, 0.5, "\n".join(lines), fontsize=7.5, color=MUTED, va="center",
              linespacing=1.4, transform=axes.transAxes)  # fmt: skip
