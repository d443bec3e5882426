"""Maps of plain tensors: bars, lines and heatmaps for arrays of one to three axes."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from saliscope.core.errors import OptionError
from saliscope.core.record import Record
from saliscope.core.units import FloatArray
from saliscope.show.heatmaps import heat, names_along
from saliscope.show.reading import heading, method_of
from saliscope.show.style import LOWER, MUTED, PLAIN, RAISE, clip, drawn, new_figure

__all__ = ["tensor_plot"]

MOST_PANELS = 12
MOST_BARS = 64
ROWS_FROM = 6
"""Above so many targets of one axis each, targets are the rows of one heatmap."""


@drawn
def tensor_plot(record: Record, *, title: str | None = None) -> Figure:
    """Draw a map of any shape up to three axes: bars or a line, a heatmap, or a row of heatmaps.

    Targets and examples each have their own panel; at most twelve panels are drawn.

    Parameters
    ----------
    record : Record
        A record.
    title : str, optional
        Instead of the record's name; "" for no heading.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        If one example has more than three axes.
    """
    found = list(_panels(record))
    shown = found[:MOST_PANELS]
    flat = shown[0][1].ndim < 2
    long = shown[0][1].shape[-1] > 16
    columns = 1 if long and (flat or len(shown) == 1) else min(len(shown), 3)
    rows = -(-len(shown) // columns)
    width = 8.0 if long and columns == 1 else max(5.2, 3.0 * columns)
    figure = new_figure(width, 0.9 + (1.7 if flat else 2.6) * rows, layout="constrained")
    name = heading(record, title, 60)
    left_out = f"; {len(shown)} of {len(found)} panels" if len(found) > len(shown) else ""
    if title != "":
        high = figure.get_figheight()
        figure.text(0.1 / figure.get_figwidth(), 1 - 0.17 / high, name, fontsize=10.5,
                    fontweight="bold", va="center")  # fmt: skip
        figure.text(0.1 / figure.get_figwidth(), 1 - 0.36 / high, fontsize=8, color=MUTED,
                    va="center", s=clip(method_of(record) + left_out, 80))  # fmt: skip
        engine = figure.get_layout_engine()
        assert isinstance(engine, ConstrainedLayoutEngine)
        engine.set(rect=(0, 0, 1, 1 - 0.5 / high))
    grid = figure.subplots(rows, columns, squeeze=False)
    every = np.concatenate([v.ravel() for _, v, _ in shown]) if shown else np.zeros(0)
    signed = bool(record.meta.get("signed", record.kind != "attention_map"))
    unit = clip(record.meta.get("unit", "value"), 40)
    for axes in grid.ravel()[len(shown) :]:
        axes.set_axis_off()
    for axes, (label, values, dims) in zip(grid.ravel(), shown, strict=False):
        axes.set_title(clip(label, 36), fontsize=8, fontweight="normal")
        axes.set_xlabel(dims[-1], fontsize=8)
        if values.ndim == 1:
            _line(axes, record, values, dims[0], signed, unit)
        else:
            names = names_along(record.data, dims[0])
            if dims[0] == "target":
                names = tuple(str(n) for n in record.meta.get("target", names))
            heat(axes, values, rows=names, signed=signed, root=False,
                 columns=names_along(record.data, dims[1]), label=unit, like=every)  # fmt: skip
            axes.set_ylabel(dims[0], fontsize=8)
    if flat:
        _share_scale(grid, every)
    return figure


def _panels(record: Record) -> list[tuple[str, FloatArray, tuple[str, ...]]]:
    """Return what each panel holds: its name, one or two axes of values, their names."""
    values = record.values
    dims = [str(d) for d in values.dims]
    lead = [d for d in dims if d in {"target", "example"}]
    own = [d for d in dims if d not in lead]
    if len(own) > 3:
        msg = f"this map has {len(own)} axes ({', '.join(own)}); at most three are drawn"
        raise OptionError(msg)
    if not own:
        own, lead = (lead[-1:] or ["unit"]), lead[:-1]
        if not dims:
            values = values.expand_dims("unit")
    if len(own) == 1 and values.sizes.get("target", 1) > ROWS_FROM:
        lead.remove("target")
        own.insert(0, "target")
    lead += own[:-2]
    own = own[-2:]
    names = [str(n) for n in record.meta.get("target", [])]
    sizes = tuple(values.sizes[d] for d in lead)
    found = []
    for where in np.ndindex(*sizes):
        parts = []
        for dim, index in zip(lead, where, strict=True):
            known = dim == "target" and index < len(names)
            if values.sizes[dim] > 1 or known:
                parts.append(names[index] if known else f"{dim} {index + 1}")
        part = values.isel(dict(zip(lead, where, strict=True))).transpose(*own)
        found.append((" · ".join(parts), np.asarray(part.values, dtype=np.float64), tuple(own)))
    return found


def _line(
    axes: Axes, record: Record, values: FloatArray, dim: str, signed: bool, unit: str
) -> None:
    places = np.arange(len(values))
    if len(values) <= MOST_BARS:
        colors = [(RAISE if v > 0 else LOWER) if signed else PLAIN for v in values]
        axes.bar(places, np.nan_to_num(values), color=colors, width=0.8)
        lost = places[~np.isfinite(values)]
        axes.plot(lost, np.zeros(len(lost)), "x", color=MUTED, markersize=4)
    else:
        axes.plot(places, values, color=PLAIN, linewidth=0.9)
        for side, color in ((values > 0, RAISE if signed else PLAIN), (values < 0, LOWER)):
            axes.fill_between(places, values, 0, where=side.tolist(), color=color, alpha=0.6,
                              linewidth=0)  # fmt: skip
    axes.axhline(0, color=MUTED, linewidth=0.7)
    axes.set_ylabel(unit, fontsize=8)
    size = record.data.sizes.get(dim, 0)
    names = names_along(record.data, dim) if size == len(values) else ()
    if names and len(values) <= 24:
        long = max(map(len, names)) > 2
        shown = [clip(n, 12) for n in names]
        axes.set_xticks(places, shown, rotation=90 if long else 0, fontsize=7)


def _share_scale(
    grid: np.ndarray[tuple[int, int], np.dtype[np.object_]], every: FloatArray
) -> None:
    """Give all panels one axis of values, so that they compare."""
    finite = every[np.isfinite(every)]
    bottom, top = float(finite.min(initial=0.0)), float(finite.max(initial=0.0))
    pad = (top - bottom or 1.0) * 0.05
    for axes in grid.ravel():
        axes.set_ylim(bottom - pad * (bottom < 0), top + pad)
