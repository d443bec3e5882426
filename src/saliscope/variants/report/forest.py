"""Forest plots: odds ratios with their intervals, one row each, on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import blended_transform_factory

from saliscope.core.errors import OptionError
from saliscope.show.style import INK, MUTED, PLAIN, RAISE, RULE, clip, drawn, new_figure
from saliscope.variants.statistics.cohort import odds_text

__all__ = ["KINDS", "ForestRow", "forest"]

KINDS = {
    "tested": ("o", PLAIN, PLAIN, "tested"),
    "low q": ("s", RAISE, RAISE, "tested, q below 0.05"),
    "control": ("D", "none", MUTED, "synonymous: 1 is expected"),
    "common": ("d", INK, INK, "common to the rows above"),
}
"""Marker, face, edge and meaning: kinds differ in shape and filling, not in color alone."""

# Inches.
WIDTH, HEAD, FOOT, LINE, GAP = 8.6, 0.62, 0.5, 0.215, 0.1
NAME, RIGHT, ODDS, LETTER, BETWEEN = 0.08, 6.72, 6.85, 0.066, 0.22
LETTERS = 26
NARROWEST, WIDEST = 4.0, 200.0
TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
DECADES = (0.01, 0.1, 1, 10, 100)


@dataclass(frozen=True)
class ForestRow:
    """One odds ratio; or the heading of a group, where `kind` is empty.

    Parameters
    ----------
    name : str
    kind : str
        One of `KINDS`, or "".
    ratio, low, high : float, optional
        None where nothing could be estimated; `remark` says why. Ends may be 0 or infinite.
    cases, controls : str
        Counts, as they are shown.
    remark : str
        Behind the odds ratio, or in its place.
    """

    name: str
    kind: str = ""
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    cases: str = ""
    controls: str = ""
    remark: str = ""


@drawn
def forest(rows: Sequence[ForestRow]) -> Figure:
    """Draw odds ratios with their intervals.

    Parameters
    ----------
    rows : sequence of ForestRow
        From above.

    Returns
    -------
    matplotlib.figure.Figure
        An arrow is an interval that goes on beyond the axis.

    Raises
    ------
    OptionError
        Without rows.

    Examples
    --------
    >>> figure = forest([ForestRow("p.Tyr240Cys", "tested", 1.5, 0.9, 2.5, "30 of 180")])
    >>> figure.axes[0].get_xscale()
    'log'
    """
    if not rows:
        msg = "a forest plot needs a row; there is nothing to draw"
        raise OptionError(msg)
    tops = [0.0]
    for i, row in enumerate(rows):
        tops.append(tops[-1] + LINE + (GAP if i and not row.kind else 0.0))
    height = HEAD + tops[-1] + FOOT
    figure = new_figure(WIDTH, height)
    cases, controls, left = _columns(rows)
    axes = figure.add_axes((left / WIDTH, FOOT / height, (RIGHT - left) / WIDTH, tops[-1] / height))
    low, high = _reach(rows)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(tops[-1], 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    ticks = [t for t in (TICKS if high <= max(TICKS) else DECADES) if low <= t <= high]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.set_xticks([], minor=True)
    axes.axvline(1, color=MUTED, linewidth=0.9, linestyle=":", zorder=1)
    axes.set_xlabel("odds ratio (logarithmic axis), 95 % interval")
    for bottom, row in zip(tops[1:], rows, strict=True):
        _row(figure, axes, row, (cases, controls), bottom - LINE / 2, height)
    _head(figure, rows, (cases, controls), height)
    return figure


def _columns(rows: Sequence[ForestRow]) -> tuple[float, float, float]:
    """Return right ends of the columns of cases and controls, and where the axis begins."""
    own = [row for row in rows if row.kind]

    def wide(texts: Sequence[str], least: int) -> float:
        return LETTER * max([least, *map(len, texts)])

    cases = NAME + wide([clip(r.name, LETTERS) for r in own], 14) + BETWEEN
    cases += wide([r.cases for r in own], 6)
    controls = cases + BETWEEN + wide([r.controls for r in own], 8)
    return cases, controls, controls + BETWEEN


def _reach(rows: Sequence[ForestRow]) -> tuple[float, float]:
    """Return ends of the axis, equally far from 1, that hold what is finite and not extreme."""
    found = [v for r in rows for v in (r.ratio, r.low, r.high) if v and math.isfinite(v)]
    far = max((max(v, 1 / v) for v in found), default=NARROWEST)
    far = min(max(far * 1.15, NARROWEST), WIDEST)
    return 1 / far, far


def _row(
    figure: Figure, axes: Axes, row: ForestRow, columns: tuple[float, float], y: float,
    height: float,
) -> None:  # fmt: skip
    def write(x: float, text: str, align: str = "left", bold: bool = False) -> None:
        figure.text(x / WIDTH, 1 - (HEAD + y) / height, text, ha=align, va="center", fontsize=8,
                    fontweight="bold" if bold else "normal")  # fmt: skip

    if not row.kind:
        write(NAME, clip(row.name, 90), bold=True)
        return
    common = row.kind == "common"
    write(NAME, clip(row.name, LETTERS), bold=common)
    write(columns[0], row.cases, "right")
    write(columns[1], row.controls, "right")
    if row.ratio is None or row.low is None or row.high is None:
        write(ODDS, clip(row.remark, 30))
        return
    told = f"{odds_text(row.ratio)} [{odds_text(row.low)}, {odds_text(row.high)}]"
    write(ODDS, f"{told}{'  ' if row.remark else ''}{row.remark}", bold=common)
    marker, face, edge, _ = KINDS[row.kind]
    least, most = axes.get_xlim()
    ends = (max(row.low, least), min(row.high, most))
    axes.plot(ends, (y, y), color=edge, linewidth=1.3, solid_capstyle="butt", zorder=2)
    # An arrow stands at the edge of the axes itself, whatever the scale.
    edges = blended_transform_factory(axes.transAxes, axes.transData)
    for beyond, x, arrow in ((row.low < least, 0.0, "<"), (row.high > most, 1.0, ">")):
        if beyond:
            axes.plot(x, y, arrow, color=edge, markersize=5, markeredgewidth=0, clip_on=False,
                      transform=edges, zorder=3)  # fmt: skip
    if least <= row.ratio <= most:
        axes.plot(row.ratio, y, marker, markersize=8 if common else 6, markerfacecolor="white",
                  markeredgecolor="none", zorder=3)  # fmt: skip
        axes.plot(row.ratio, y, marker, markersize=8 if common else 6, markerfacecolor=face,
                  markeredgecolor=edge, markeredgewidth=1.2, zorder=4)  # fmt: skip


def _head(
    figure: Figure, rows: Sequence[ForestRow], columns: tuple[float, float], height: float
) -> None:
    y = 1 - (HEAD - 0.13) / height
    for x, text, align in (
        (columns[0], "cases", "right"), (columns[1], "controls", "right"),
        (ODDS, "odds ratio [95 % interval]", "left"),
    ):  # fmt: skip
        figure.text(x / WIDTH, y, text, ha=align, va="center", fontsize=8, color=MUTED)
    ends, level = [NAME / WIDTH, 1 - NAME / WIDTH], 1 - (HEAD - 0.02) / height
    figure.add_artist(Line2D(ends, [level, level], color=RULE, linewidth=0.7))
    shown = dict.fromkeys(row.kind for row in rows if row.kind and row.ratio is not None)
    handles = [
        Line2D([], [], color=edge, linewidth=1.3, marker=marker, markerfacecolor=face,
               markeredgecolor=edge, markersize=6, label=told)
        for marker, face, edge, told in (KINDS[kind] for kind in shown)
    ]  # fmt: skip
    if handles:
        figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0, 1), borderaxespad=0.2,
                      ncols=len(handles), columnspacing=1.6)  # fmt: skip
