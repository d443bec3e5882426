"""Pictures of tables: contributions of one row, of many rows, importance, and dependence."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from saliscope.core.attribution import Attribution
from saliscope.core.errors import OptionError
from saliscope.core.record import Record
from saliscope.core.units import FloatArray
from saliscope.show.reading import heading, method_of, stderr_of
from saliscope.show.style import (
    DIVERGING,
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

__all__ = ["INTERVAL", "beeswarm", "column_bars", "dependence", "has_columns", "waterfall"]

INTERVAL = 1.96
"""Standard errors to each side of a value that make a 95 % interval."""

_NAMED = 34
_SEED = 0


def has_columns(record: Record) -> bool:
    """Whether the map runs along the columns of a table."""
    return "column" in record.values.dims


@drawn
def waterfall(
    record: Record, *, target: int | str | None = None, top: int = 12, title: str | None = None
) -> Figure:
    """Draw how the columns of one row lead from the baseline score to the score.

    Parameters
    ----------
    record : Record
        An attribution of one row whose values add up (``shapley``).
    target : int or str, optional
        Which of several targets (default: the first).
    top : int
        Columns that are drawn apart; the others are one bar.
    title : str, optional
        Instead of the record's name.
    """
    one = _one_target(record, target)
    score, start = one.score, one.baseline_score
    if one.values.dims != ("column",) or not isinstance(start, float):
        msg = "a waterfall is for one row and values that add up; use shapley, or leave kind unset"
        raise OptionError(msg)
    values, names = one.to_numpy(), _names(one)
    order = [int(i) for i in np.argsort(-np.abs(np.nan_to_num(values)), kind="stable")]
    shown, rest = order[:top], order[top:]
    bars = [(names[i], float(values[i])) for i in shown]
    if rest:
        bars.append((f"{len(rest)} other columns", float(values[rest].sum())))
    figure = new_figure(7.2, 1.5 + 0.27 * len(bars), layout="constrained")
    axes = _titled(figure, record, one, title)
    widths = np.array([value for _, value in bars])[::-1]
    ends = start + np.cumsum([0.0, *widths])
    rows = np.arange(len(bars))[::-1]
    colors = [RAISE if value > 0 else LOWER for value in widths]
    axes.barh(rows, widths, left=ends[:-1], color=colors, height=0.66)
    stderr = stderr_of(one)
    if stderr is not None:
        known = [INTERVAL * float(stderr.values[i]) for i in shown][::-1]
        axes.errorbar(ends[1:][len(bars) - len(shown) :], rows[len(bars) - len(shown) :],
                      xerr=known, fmt="none", ecolor=INK, elinewidth=0.7, capsize=1.5)  # fmt: skip
    for row, begin, width in zip(rows, ends[:-1], widths, strict=True):
        axes.annotate(
            number(width, sign=True), (max(begin, begin + width), row), xytext=(3, 0),
            textcoords="offset points", va="center", fontsize=7.5,
        )  # fmt: skip
        above = row - 1
        if above >= 0:
            axes.plot([begin + width] * 2, [row, above], color=MUTED, linewidth=0.6)
    for value, text, place in ((start, "on average", "top"), (score, "this row", "bottom")):
        axes.axvline(value, color=MUTED, linewidth=0.7, linestyle=(0, (4, 3)), zorder=0)
        axes.annotate(
            f"{text} {number(value)}", (value, -0.75 if place == "bottom" else len(bars) - 0.25),
            ha="center", va="center", fontsize=7.5, color=MUTED,
        )  # fmt: skip
    axes.set_yticks(rows, [name for name, _ in bars][::-1])
    axes.set_ylim(len(bars) + 0.1, -1.1)
    axes.margins(x=0.14)
    _bare(axes)
    axes.set_xlabel(_scale(one), fontsize=8)
    return figure


@drawn
def column_bars(
    record: Record, *, target: int | str | None = None, top: int = 20, title: str | None = None
) -> Figure:
    """Draw columns as bars with 95 % intervals, the largest on top.

    Parameters
    ----------
    record : Record
        An attribution along columns. Of several rows the mean size of the values is drawn.
    target : int or str, optional
        Which of several targets (default: the first).
    top : int
        How many columns.
    title : str, optional
        Instead of the record's name.
    """
    one = _one_target(record, target)
    values, stderr, several = one.to_numpy(), stderr_of(one), "example" in one.values.dims
    spread = None if stderr is None else np.nan_to_num(stderr.values)
    if several:
        values = np.abs(values)
        count = len(values)
        spread = values.std(0, ddof=1) / np.sqrt(count) if count > 1 else None
        values = values.mean(0)
    names = _names(one)
    order = np.argsort(-np.abs(np.nan_to_num(values)), kind="stable")[:top]
    figure = new_figure(6.8, 1.1 + 0.25 * len(order), layout="constrained")
    axes = _titled(figure, record, one, title)
    rows = np.arange(len(order))
    signed = bool(one.meta.get("signed", True)) and not several
    colors = [(RAISE if values[i] > 0 else LOWER) if signed else PLAIN for i in order]
    wide = None if spread is None else INTERVAL * spread[order]
    axes.barh(rows, values[order], color=colors, height=0.66, xerr=wide, ecolor=INK, capsize=1.5,
              error_kw={"elinewidth": 0.7})  # fmt: skip
    for row, i in zip(rows, order, strict=True):
        end = values[i] + (0.0 if wide is None else np.sign(values[i]) * wide[row])
        axes.annotate(
            number(values[i], sign=signed), (end, row), xytext=(3 if values[i] >= 0 else -3, 0),
            textcoords="offset points", va="center", fontsize=7.5,
            ha="left" if values[i] >= 0 else "right",
        )  # fmt: skip
    axes.set_yticks(rows, [names[i] for i in order])
    axes.invert_yaxis()
    axes.axvline(0, color=MUTED, linewidth=0.7)
    axes.margins(x=0.14)
    _bare(axes)
    said = "mean size of " if several else ""
    lines = "; lines: 95 % interval" if wide is not None else ""
    unit = one.meta.get("unit", "score")
    unit = f"change of the {_scale(one)}" if unit == "score" else unit
    axes.set_xlabel(f"{said}{unit}{lines}", fontsize=8)
    return figure


@drawn
def beeswarm(
    record: Record, *, target: int | str | None = None, top: int = 15, title: str | None = None
) -> Figure:
    """Draw a point for every row and column: where it stands is its value, its color the cell.

    Parameters
    ----------
    record : Record
        An attribution of several rows.
    target : int or str, optional
        Which of several targets (default: the first).
    top : int
        How many columns, those of the largest mean size.
    title : str, optional
        Instead of the record's name.

    Raises
    ------
    OptionError
        One row only, or rows that are explained for different classes.
    """
    one = _one_target(record, target)
    if one.values.dims != ("example", "column"):
        msg = "a beeswarm is for several rows of a table; explain a table, or leave kind unset"
        raise OptionError(msg)
    if "class" in one.data.coords:
        msg = "rows are explained for different classes; give target= for one picture of all"
        raise OptionError(msg)
    values = one.to_numpy()
    size = np.abs(np.nan_to_num(values)).mean(0)
    order = np.argsort(-size, kind="stable")[:top]
    names = [clip(name, _NAMED) for name in one.data["column"].values]
    figure = new_figure(7.2, 1.4 + 0.36 * len(order), layout="constrained")
    axes = _titled(figure, record, one, title)
    axes.axvline(0, color=MUTED, linewidth=0.7, zorder=0)
    shade = None
    for row, i in enumerate(order):
        heights = row + _spread(values[:, i])
        level = _level(one, int(i))
        axes.axhline(row, color=RULE, linewidth=0.5, zorder=0)
        if level is None:
            axes.scatter(values[:, i], heights, s=9, color=PLAIN, alpha=0.75, linewidths=0)
            continue
        shade = axes.scatter(values[:, i], heights, s=9, c=level, cmap=DIVERGING, vmin=0, vmax=1,
                             linewidths=0.25, edgecolors=MUTED)  # fmt: skip
    axes.set_yticks(np.arange(len(order)), [names[i] for i in order])
    axes.set_ylim(len(order) - 0.4, -0.6)
    _bare(axes)
    axes.set_xlabel(f"change of the {_scale(one)}; a point is a row", fontsize=8)
    if shade is not None:
        bar = figure.colorbar(shade, ax=axes, ticks=[0, 1], shrink=0.6, aspect=26, pad=0.02)
        bar.ax.set_yticklabels(["low", "high"])
        bar.set_label("the row's own number (no color: not a number)", fontsize=7.5)
        bar.ax.spines[:].set_visible(False)
    return figure


@drawn
def dependence(record: Record, *, title: str | None = None) -> Figure:
    """Draw a curve per row along one column, and their mean.

    Parameters
    ----------
    record : Record
        A `saliscope.tables.Dependence`.
    title : str, optional
        Instead of the column's name.
    """
    if record.kind != "dependence":
        msg = "curves along a column are drawn of what saliscope.tables.dependence() returns"
        raise OptionError(msg)
    figure = new_figure(6.4, 4.0, layout="constrained")
    axes = figure.subplots()
    at, curves = record.data["at"].values, record.to_numpy()
    named = at.dtype.kind in "UOT"
    places = np.arange(len(at)) if named else at.astype(np.float64)
    lines = [np.column_stack([places, curve]) for curve in curves]
    axes.add_collection(LineCollection(lines, colors=PLAIN, linewidths=0.6, alpha=0.35))
    axes.plot(places, record.data["mean"].values, color=RAISE, linewidth=2.2,
              marker="o" if named else None, label=f"mean of {len(curves):,} rows")  # fmt: skip
    own = record.data["own"].values
    marks = [(list(at).index(v) if v in at else np.nan) if named else _float(v) for v in own]
    low = float(np.nanmin(curves, initial=np.inf))
    axes.plot(marks, np.full(len(marks), low - 0.04 * (np.ptp(curves) or 1.0)), "|", color=MUTED,
              markersize=6, markeredgewidth=0.6, label="where the rows stand")  # fmt: skip
    if named:
        axes.set_xticks(places, [clip(v, 16) for v in at], rotation=30, ha="right")
    figure.suptitle(heading(record, title, 62), x=0.012, ha="left", fontsize=10.5,
                    fontweight="bold")  # fmt: skip
    axes.set_xlabel(clip(record.meta.get("column", ""), 60), fontsize=8)
    axes.set_ylabel(clip(f"{record.meta['target'][0]} ({_scale(record)})", 50), fontsize=8)
    axes.autoscale_view()
    axes.legend(loc="best")
    return figure


def _scale(record: Record) -> str:
    """Return in words what the target is measured in."""
    words = {"prob": "probability", "log_prob": "log-probability", "log_odds": "log-odds"}
    scale = str(record.meta.get("scale", ""))
    return words.get(scale, "logit" if scale == "logit" else "score")


def _one_target(record: Record, target: int | str | None) -> Attribution:
    if not isinstance(record, Attribution) or not has_columns(record):
        msg = "this picture is for columns of a table; leave kind unset"
        raise OptionError(msg)
    return record.select(0 if target is None else target)


def _names(record: Record) -> list[str]:
    """Return what columns are called: with their cell, where one row is explained."""
    data = record.data
    names = [clip(name, _NAMED) for name in data["column"].values]
    if "cell" not in data.coords or data["cell"].dims != ("column",):
        return names
    cells = [clip(cell, 16) for cell in data["cell"].values]
    return [f"{name} = {cell}" for name, cell in zip(names, cells, strict=True)]


def _titled(figure: Figure, record: Record, one: Attribution, title: str | None) -> Axes:
    name = heading(record, title, 62)
    if name:
        figure.suptitle(name, x=0.012, ha="left", fontsize=10.5, fontweight="bold")
    axes = figure.subplots()
    line = clip(f"{method_of(record)} · target: {one.target}", 84)
    axes.set_title(line, fontsize=8, color=MUTED, fontweight="normal")
    return axes


def _bare(axes: Axes) -> None:
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _level(record: Record, column: int) -> FloatArray | None:
    """Return where the numbers of a column stand among the rows, from 0 to 1; None for words."""
    if "cell" not in record.data.coords:
        return None
    cells = [_float(cell) for cell in record.data["cell"].values[:, column]]
    numbers = np.array(cells)
    known = np.unique(numbers[np.isfinite(numbers)])
    words = sum(c != "missing" for c in record.data["cell"].values[:, column])
    if len(known) < 2 or np.isfinite(numbers).sum() < words:
        return None
    ranks = np.searchsorted(known, numbers) / (len(known) - 1)
    return np.where(np.isfinite(numbers), ranks, np.nan)


def _spread(values: FloatArray) -> FloatArray:
    """Return heights around 0 that keep points of one place apart: wide where many are."""
    finite = np.nan_to_num(values)
    span = float(np.ptp(finite)) or 1.0
    bins = np.minimum(((finite - finite.min()) / span * 60).astype(int), 59)
    heights = np.zeros(len(values))
    most = max(1, int(np.bincount(bins).max()))
    for one in np.unique(bins):
        members = np.flatnonzero(bins == one)
        steps = (np.arange(len(members)) + 1) // 2 * np.where(np.arange(len(members)) % 2, 1, -1)
        heights[members] = steps / max(most, 8) * 0.72
    return heights
