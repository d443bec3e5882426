"""Maps of plain tensors: bars, lines and heatmaps for arrays of one to three axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from saliscope.core.errors import OptionError
from saliscope.core.record import Record
from saliscope.core.units import FloatArray
from saliscope.show.heatmaps import heat, names_along, unsure_cells
from saliscope.show.reading import RING, heading, method_of, stderr_of
from saliscope.show.style import INK, LOWER, MUTED, PLAIN, RAISE, clip, drawn, new_figure

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
    found = _panels(record)
    shown = found[:MOST_PANELS]
    flat = shown[0].values.ndim < 2
    long = shown[0].values.shape[-1] > 16
    columns = 1 if long and (flat or len(shown) == 1) else min(len(shown), 3)
    rows = -(-len(shown) // columns)
    width = 8.0 if long and columns == 1 else max(5.2, 3.0 * columns)
    figure = new_figure(width, 0.9 + (1.7 if flat else 2.6) * rows, layout="constrained")
    name = heading(record, title, 60)
    said = [method_of(record)]
    if len(found) > len(shown):
        said.append(f"{len(shown)} of {len(found)} panels")
    if title != "":
        high = figure.get_figheight()
        figure.text(0.1 / figure.get_figwidth(), 1 - 0.17 / high, name, fontsize=10.5,
                    fontweight="bold", va="center")  # fmt: skip
        below = figure.text(0.1 / figure.get_figwidth(), 1 - 0.36 / high, fontsize=8, color=MUTED,
                            va="center", s="")  # fmt: skip
        engine = figure.get_layout_engine()
        assert isinstance(engine, ConstrainedLayoutEngine)
        engine.set(rect=(0, 0, 1, 1 - 0.5 / high))
    grid = figure.subplots(rows, columns, squeeze=False)
    every = np.concatenate([panel.values.ravel() for panel in shown])
    signed = bool(record.meta.get("signed", record.kind != "attention_map"))
    unit = clip(record.meta.get("unit", "value"), 40)
    for axes in grid.ravel()[len(shown) :]:
        axes.set_axis_off()
    ringed = False
    for axes, panel in zip(grid.ravel(), shown, strict=False):
        axes.set_title(clip(panel.name, 36), fontsize=8, fontweight="normal")
        axes.set_xlabel(panel.dims[-1], fontsize=8)
        if panel.values.ndim == 1:
            _line(axes, record, panel, signed, unit)
        else:
            names = names_along(record.data, panel.dims[0], first=0)
            if panel.dims[0] == "target":
                names = tuple(str(n) for n in record.meta.get("target", names))
            heat(axes, panel.values, rows=names, signed=signed, root=False,
                 columns=names_along(record.data, panel.dims[1], first=0), label=unit,
                 like=every)  # fmt: skip
            ringed |= unsure_cells(axes, panel.values, panel.stderr)
            axes.set_ylabel(panel.dims[0], fontsize=8)
    if flat:
        _share_scale(grid, shown)
    if ringed:
        said.append(RING)
    elif flat and any(panel.stderr is not None for panel in shown):
        said.append("bars or band: one standard error")
    if title != "":
        below.set_text(clip(" · ".join(said), 90))
    return figure


@dataclass(frozen=True, eq=False)
class _Panel:
    """One or two axes of values."""

    name: str
    dims: tuple[str, ...]
    values: FloatArray
    stderr: FloatArray | None


def _panels(record: Record) -> list[_Panel]:
    """Return what each panel holds."""
    values = record.values
    errors = stderr_of(record)
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
            errors = None if errors is None else errors.expand_dims("unit")
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
                parts.append(names[index] if known else f"{dim} {values[dim].values[index]}")
        place = dict(zip(lead, where, strict=True))
        part, beside = (
            None if each is None else np.asarray(each.isel(place).transpose(*own), dtype=np.float64)
            for each in (values, errors)
        )
        assert part is not None
        found.append(_Panel(" · ".join(parts), tuple(own), part, beside))
    return found


def _line(axes: Axes, record: Record, panel: _Panel, signed: bool, unit: str) -> None:
    values, dim = panel.values, panel.dims[0]
    places = np.arange(len(values))
    spread = None if panel.stderr is None else np.nan_to_num(panel.stderr)
    if len(values) <= MOST_BARS:
        colors = [(RAISE if v > 0 else LOWER) if signed else PLAIN for v in values]
        axes.bar(places, np.nan_to_num(values), color=colors, width=0.8, yerr=spread, ecolor=INK,
                 capsize=1.5, error_kw={"elinewidth": 0.7})  # fmt: skip
        lost = places[~np.isfinite(values)]
        axes.plot(lost, np.zeros(len(lost)), "x", color=MUTED, markersize=4)
    else:
        axes.plot(places, values, color=PLAIN, linewidth=0.9)
        for side, color in ((values > 0, RAISE if signed else PLAIN), (values < 0, LOWER)):
            axes.fill_between(places, values, 0, where=side.tolist(), color=color, alpha=0.6,
                              linewidth=0)  # fmt: skip
        if spread is not None:
            axes.fill_between(places, values - spread, values + spread, color=INK, alpha=0.25,
                              linewidth=0)  # fmt: skip
    axes.axhline(0, color=MUTED, linewidth=0.7)
    axes.set_ylabel(unit, fontsize=8)
    size = record.data.sizes.get(dim, 0)
    names = names_along(record.data, dim, first=0) if size == len(values) else ()
    if names and len(values) <= 24:
        long = max(map(len, names)) > 2
        shown = [clip(n, 12) for n in names]
        axes.set_xticks(places, shown, rotation=90 if long else 0, fontsize=7)


def _share_scale(
    grid: np.ndarray[tuple[int, int], np.dtype[np.object_]], shown: Sequence[_Panel]
) -> None:
    """Give all panels one axis of values, so that they compare."""
    ends = [
        panel.values + sign * (0.0 if panel.stderr is None else np.nan_to_num(panel.stderr))
        for panel in shown
        for sign in (-1, 1)
    ]
    every = np.concatenate(ends)
    finite = every[np.isfinite(every)]
    bottom, top = float(finite.min(initial=0.0)), float(finite.max(initial=0.0))
    pad = (top - bottom or 1.0) * 0.05
    for axes in grid.ravel():
        axes.set_ylim(bottom - pad * (bottom < 0), top + pad)
