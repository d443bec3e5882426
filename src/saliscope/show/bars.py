"""Word bars: the strongest words or tokens of a text, as horizontal bars."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saliscope.core.record import Record
from saliscope.show.reading import Track, about, heading, tracks
from saliscope.show.residues import MOST_PANELS
from saliscope.show.style import (
    INK,
    LOWER,
    MUTED,
    PLAIN,
    RAISE,
    clip,
    drawn,
    new_figure,
    number,
)

__all__ = ["word_bars"]


@drawn
def word_bars(
    record: Record, *, target: int | str | None = None, top: int = 15, title: str | None = None
) -> Figure:
    """Draw the units of the largest magnitude as horizontal bars, the largest on top.

    Parameters
    ----------
    record : Record
        An attribution along words, tokens, residues or other units of a sequence.
    target : int or str, optional
        Only this target; without it every target has its own panel (at most six).
    top : int
        How many units.
    title : str, optional
        Instead of the record's name.

    Returns
    -------
    matplotlib.figure.Figure
    """
    found = tracks(record, target)
    panels = found[:MOST_PANELS]
    counts = [max(1, len(track.top(top))) for track in panels]
    heights = [0.23 * n + 0.75 for n in counts]
    figure = new_figure(6.4, 0.5 + sum(heights), layout="constrained")
    name = heading(record, title, 62)
    figure.suptitle(name, x=0.012, ha="left", fontsize=10.5, fontweight="bold")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for panel, track in zip(axes, panels, strict=True):
        line = about(record, track, len(panels), len(found), 84)
        panel.set_title(line, fontsize=8, color=MUTED, fontweight="normal")
        _panel(panel, track, track.top(top))
    return figure


def _panel(axes: Axes, track: Track, chosen: list[int]) -> None:
    values = track.values[chosen] if chosen else np.zeros(0)
    rows = np.arange(len(chosen))
    colors = [(RAISE if v > 0 else LOWER) if track.signed else PLAIN for v in values]
    spread = None if track.stderr is None else np.nan_to_num(track.stderr[chosen])
    axes.barh(rows, values, color=colors, height=0.68, xerr=spread, ecolor=INK, capsize=1.5,
              error_kw={"elinewidth": 0.7})  # fmt: skip
    names = [clip(track.name(i), 22) + f"  {track.positions[i]}" * (track.kind != "residue")
             for i in chosen]  # fmt: skip
    axes.set_yticks(rows, names if track.labels else [f"position {n.strip()}" for n in names])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.axvline(0, color=MUTED, linewidth=0.7)
    axes.spines["left"].set_visible(False)
    words = "; + raises the target, − lowers it" if track.signed else ""
    drop = "; in brackets: fall of the probability" if track.drop is not None else ""
    axes.set_xlabel(f"{track.unit}{words}{drop}", fontsize=8)
    wide = track.most + (0.0 if spread is None or not len(spread) else float(spread.max())) or 1.0
    room = wide * (0.58 if track.drop is not None else 0.3)
    low, high = (values < 0).any(), (values > 0).any()
    axes.set_xlim(-wide - room if low else 0, wide + room if high or not low else 0)
    if not chosen:
        axes.set_xlim(-1, 1)
        axes.text(0.5, 0.5, "no value differs from zero", transform=axes.transAxes, ha="center")
    for row, i in enumerate(chosen):
        value = float(values[row])
        text = number(value, sign=track.signed)
        if track.drop is not None:
            text += f"  ({number(track.drop[i], sign=True)})"
        end = value + (0.0 if spread is None else np.sign(value) * float(spread[row]))
        axes.annotate(text, (end, row), xytext=(3 if value > 0 else -3, 0), fontsize=7.5,
                      textcoords="offset points", va="center", color=INK,
                      ha="left" if value > 0 else "right")  # fmt: skip
