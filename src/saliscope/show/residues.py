"""The residue track: bars along a protein, wrapped into rows."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.transforms import ScaledTranslation

from saliscope.core.record import Record
from saliscope.core.units import FloatArray
from saliscope.show.reading import ATTENTION, Track, heading, method_of, tracks
from saliscope.show.style import (
    INK,
    LOWER,
    MUTED,
    PLAIN,
    RAISE,
    RULE,
    clip,
    drawn,
    new_figure,
    number,
)

__all__ = ["MOST_PANELS", "residue_track"]

Indices = npt.NDArray[np.int64]

MOST_PANELS = 6
LETTERS_UP_TO = 1500
ROW, WIDEST, NAMED = 5.4, 0.9, 0.5
"""Inches: the least width of a row, the most of a bar, and of one that its name fits under."""
# Inches, from the left and from the top of the figure.
CELL, LEFT, RIGHT, BARS, TIER, UNDER, HEAD, FOOT = 0.135, 0.78, 0.2, 0.72, 0.15, 0.43, 0.56, 0.06


@drawn
def residue_track(
    record: Record,
    *,
    target: int | str | None = None,
    per_row: int | None = None,
    top: int = 10,
    title: str | None = None,
) -> Figure:
    """Draw one value per residue along the sequence.

    Parameters
    ----------
    record : Record
        An attribution along positions, or received attention (its mean over layers and heads).
    target : int or str, optional
        Only this target; without it every target has its own panel (at most six).
    per_row : int, optional
        Residues in a row: 60, or 200 without letters above 1,500 residues.
    top : int
        How many of the largest values are labelled.
    title : str, optional
        Instead of the record's name; "" for no heading but the legend.

    Returns
    -------
    matplotlib.figure.Figure
    """
    found = tracks(record, target)
    panels = found[:MOST_PANELS]
    size = len(panels[0].values)
    asked = per_row or (60 if size <= LETTERS_UP_TO else 200)
    cell = CELL if asked <= 100 else 8.1 / asked
    if panels[0].kind != "residue":  # a few groups share the room of a row
        cell = max(cell, min(WIDEST, ROW / max(1, size)))
    width = max(min(asked, size), math.ceil(ROW / cell))
    rows = max(1, math.ceil(size / width))
    parts = [np.arange(row * width, min((row + 1) * width, size)) for row in range(rows)]
    rooms = [[_room(track, part, top) for part in parts] for track in panels]
    head = HEAD if title != "" else 0.3 if any(t.signed for t in panels) else 0.1
    height = head + FOOT + sum(BARS + up + down + UNDER for room in rooms for up, down in room)
    height += 0.24 * len(panels) * (len(panels) > 1)
    across = LEFT + width * cell + RIGHT
    figure = new_figure(across, height)
    _head(figure, record, panels, len(found), title, across, height)
    y = head
    for track, room in zip(panels, rooms, strict=True):
        if len(panels) > 1:
            figure.text(LEFT / across, 1 - (y + 0.06) / height, f"Target: {track.target}",
                        fontsize=9, fontweight="bold", va="center")  # fmt: skip
            y += 0.24
        labelled = set(track.top(top))
        for part, (up, down) in zip(parts, room, strict=True):
            inches = BARS + up + down
            box = (LEFT / across, 1 - (y + inches) / height, width * cell / across, inches / height)
            axes = figure.add_axes(box)
            _row(axes, track, part, width, cell, (up, down), labelled)
            if part[0] == 0:
                axes.set_ylabel(clip(track.unit, 24), fontsize=8, labelpad=2)
                middle = (down + BARS / 2) / inches
                axes.yaxis.set_label_coords(-0.56 / (width * cell), middle)
            y += inches + UNDER
    return figure


def _room(track: Track, part: Indices, top: int) -> tuple[float, float]:
    """Return the inches above and below the bars of a row that its labels need."""
    chosen = [i for i in track.top(top) if part[0] <= i <= part[-1]]
    sides = []
    for sign in (1, -1):
        own = np.sort([i for i in chosen if track.values[i] * sign > 0])
        crowded = bool((np.diff(own) <= 4).any())
        sides.append((2 * TIER if crowded else TIER + 0.02) if len(own) else 0.05)
    return sides[0], sides[1]


def _head(
    figure: Figure, record: Record, panels: list[Track], found: int, title: str | None,
    across: float, height: float,
) -> None:  # fmt: skip
    signed = any(t.signed for t in panels)
    room = across - LEFT - RIGHT
    bare = title == ""
    if signed:
        marks = [Patch(color=RAISE, label="raises (+)"), Patch(color=LOWER, label="lowers (−)")]
        x = LEFT / across if bare else 1 - RIGHT / across
        figure.legend(
            handles=marks, loc="center left" if bare else "center right", ncols=2, fontsize=8,
            handlelength=0.9, handletextpad=0.4, columnspacing=0.9, borderaxespad=0, borderpad=0,
            bbox_to_anchor=(x, 1 - 0.17 / height),
        )  # fmt: skip
    if bare:
        return
    name = heading(record, title, int((room - 1.6 * signed) / 0.1))
    figure.text(LEFT / across, 1 - 0.17 / height, name, fontsize=10.5, fontweight="bold",
                va="center")  # fmt: skip
    notes = [method_of(record)]
    if found > len(panels):
        notes.append(f"{len(panels)} of {found} targets shown")
    if sum(t.missing for t in panels):
        notes.append(f"{sum(t.missing for t in panels)} values not finite (×)")
    if all(t.most == 0 for t in panels):
        notes.append("all values are zero")
    if len(panels) == 1:
        kind = "" if record.kind == ATTENTION else "target: "
        notes.append(kind + panels[0].target)
    error = getattr(record, "error", None)
    if isinstance(error, float) and math.isfinite(error):
        notes.append(f"estimated error {error:.1%} of the map")
    figure.text(LEFT / across, 1 - 0.38 / height, clip(" · ".join(notes), int(room / 0.068)),
                fontsize=8, color=MUTED, va="center")  # fmt: skip


def _row(
    axes: Axes, track: Track, part: Indices, width: int,
    cell: float, room: tuple[float, float], labelled: set[int],
) -> None:  # fmt: skip
    values = track.values
    finite = values[np.isfinite(values)]
    high = max(0.0, float(finite.max(initial=0.0)))
    low = min(0.0, float(finite.min(initial=0.0)))
    if track.stderr is not None:
        spread = np.nan_to_num(track.stderr)
        high = max(high, float(np.nanmax(values + spread, initial=0.0)))
        low = min(low, float(np.nanmin(values - spread, initial=0.0)))
    if high == low:
        high = 1.0
    scale = BARS / (high - low)
    axes.set_ylim(low - room[1] / scale, high + room[0] / scale)
    axes.set_xlim(part[0] - 0.5, part[0] + width - 0.5)
    for positive in (True, False):
        color = (RAISE if positive else LOWER) if track.signed else PLAIN
        chosen = [i for i in part if (values[i] > 0 if positive else values[i] < 0)]
        if chosen:
            axes.add_patch(PathPatch(_bars(chosen, values), facecolor=color, linewidth=0))
    if track.stderr is not None:
        axes.errorbar(part, values[part], yerr=np.nan_to_num(track.stderr)[part], fmt="none",
                      ecolor=INK, elinewidth=0.7, capsize=1.2)  # fmt: skip
    lost = [i for i in part if not np.isfinite(values[i])]
    if lost:
        axes.plot(lost, [0.0] * len(lost), "x", color=MUTED, markersize=4)
    axes.hlines(0, part[0] - 0.5, part[-1] + 0.5, color=MUTED, linewidth=0.7)
    _ticks(axes, track, part, cell, (low, high))
    if cell < NAMED:
        _labels(axes, track, [i for i in part if i in labelled], cell, scale, part)


def _bars(chosen: list[int], values: FloatArray) -> Path:
    """Return all bars of one color as one path: a file holds one element for them."""
    corners = []
    for i in chosen:
        y = float(values[i])
        corners += [(i - 0.4, 0.0), (i - 0.4, y), (i + 0.4, y), (i + 0.4, 0.0), (i - 0.4, 0.0)]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(chosen)
    return Path(corners, codes)


def _ticks(
    axes: Axes, track: Track, part: Indices, cell: float,
    ends: tuple[float, float],
) -> None:  # fmt: skip
    step = 10 if cell > 0.1 else 50
    round_ones = [int(i) for i in part if track.positions[i] % step == 0]
    first, near = int(part[0]), max(3, int(0.3 / cell))
    if not round_ones or round_ones[0] - first >= near:
        round_ones.insert(0, first)
    axes.set_xticks(round_ones, [str(track.positions[i]) for i in round_ones])
    if cell >= NAMED:
        axes.set_xticks(part, [clip(track.name(int(i)), int(cell / 0.062)) for i in part])
    letters = track.kind == "residue" and cell > 0.1
    axes.tick_params(axis="x", length=0, pad=14 if letters else 4, labelcolor=MUTED)
    axes.spines["bottom"].set_visible(False)
    axes.spines["left"].set_bounds(*ends)
    shown = sorted({ends[0], 0.0, ends[1]}) if ends != (0.0, 1.0) or track.most else [0.0]
    far = [v for v in shown if v == 0 or abs(v) > 0.16 * (ends[1] - ends[0])]
    axes.set_yticks(far, [number(v) for v in far], fontsize=7)
    axes.tick_params(axis="y", length=2, pad=2)
    if letters:
        top = set(track.top(10))
        figure = axes.figure.get_figure(root=True)
        below = axes.get_xaxis_transform() + ScaledTranslation(0, -3 / 72, figure.dpi_scale_trans)
        for i in part:
            strong = int(i) in top
            axes.text(
                float(i), 0, clip(track.labels[i], 2), transform=below, ha="center", va="top",
                fontsize=7.5, fontweight="bold" if strong else "normal",
                color=INK if strong else MUTED,
            )  # fmt: skip


def _labels(
    axes: Axes, track: Track, chosen: list[int], cell: float, scale: float,
    part: Indices,
) -> None:  # fmt: skip
    """Label the largest values: each above what already stands in its way, or not at all."""
    tall = np.nan_to_num(track.values) * scale
    if track.stderr is not None:
        tall = tall + np.sign(tall) * np.nan_to_num(track.stderr) * scale
    low, high = (v * scale for v in axes.get_ylim())
    for positive in (True, False):
        way = {int(i): max(0.0, float(tall[i] if positive else -tall[i])) for i in part}
        limit = high if positive else -low
        for i in sorted(chosen, key=lambda i: -abs(track.values[i])):
            if (track.values[i] > 0) != positive:
                continue
            name = clip(track.name(i), 14)
            half = math.ceil((len(name) * 0.073 + 0.04) / cell / 2)
            over = [j for j in way if abs(j - i) <= half]
            base = max(way[j] for j in over) + 0.03
            if base + 0.11 > limit + 1e-9:
                continue
            # A label at the start of a row stays clear of the axis.
            middle = max(float(i), part[0] - 0.4 + len(name) * 0.0365 / cell)
            axes.text(middle, (base if positive else -base) / scale, name, fontsize=7.5,
                      ha="center", va="bottom" if positive else "top", color=INK)  # fmt: skip
            if base - way[i] > 0.06:
                ends = [(v if positive else -v) / scale for v in (way[i] + 0.01, base)]
                axes.plot([i, i], ends, color=RULE, linewidth=0.7)
            for j in over:
                way[j] = base + 0.12
