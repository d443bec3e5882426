"""Heatmaps of attention: layer by position, and position by position."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from saliscope.core.errors import OptionError
from saliscope.core.record import Record
from saliscope.core.units import FloatArray
from saliscope.show.reading import heading, label_of, method_of, unsure
from saliscope.show.style import INK, MUTED, clip, color_scale, drawn, new_figure, number, visible

__all__ = [
    "heat", "layer_position", "names_along", "number_cells", "position_position", "refuse",
    "shrink", "titles", "unsure_cells",
]  # fmt: skip

MOST_CELLS = 600
MOST_RINGS = 1600


def shrink(values: FloatArray, rows: int, columns: int) -> FloatArray:
    """Return block means with at most `rows` by `columns` cells (missing cells left out).

    Examples
    --------
    >>> shrink(np.arange(8.0).reshape(2, 4), 2, 2).tolist()
    [[0.5, 2.5], [4.5, 6.5]]
    """
    for axis, most in ((0, rows), (1, columns)):
        size = values.shape[axis]
        if size > most:
            edges = np.linspace(0, size, most + 1).astype(int)[:-1]
            finite = np.isfinite(values)
            total = np.add.reduceat(np.where(finite, values, 0.0), edges, axis=axis)
            count = np.add.reduceat(finite.astype(float), edges, axis=axis)
            values = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return values


def names_along(data: xr.Dataset, dim: str, first: int = 1) -> tuple[str, ...]:
    """Return what a reader calls the places along `dim`: "W15", a token, a layer number.

    The labels of an axis "query" or "key" may also stand along "position". Places that have no
    numbers are counted from `first`.
    """
    if dim in {"layer", "head"} and dim in data.coords:
        return tuple(str(k) for k in data[dim].values)
    size = int(data.sizes[dim])
    known: npt.NDArray[Any] = np.arange(first, first + size)
    for name in (dim, "position"):
        if name in data.coords and data[name].dims == (dim,) and data[name].dtype.kind in "iu":
            known = data[name].values
            break
    kind, labels = label_of(data, dim)
    if not labels and dim in {"query", "key"} and data.sizes.get("position") == size:
        kind, labels = label_of(data, "position")
    if not labels:
        return tuple(str(k) for k in known)
    if "token" in kind or "word" in kind or max(map(len, labels), default=0) > 3:
        return labels
    return tuple(f"{label}{k}" for label, k in zip(labels, known, strict=True))


def heat(
    axes: Axes, values: FloatArray, *, rows: tuple[str, ...], columns: tuple[str, ...],
    signed: bool, root: bool, label: str, like: FloatArray | None = None,
) -> None:  # fmt: skip
    """Draw one matrix with its color bar, whose range is that of `like` (default: the matrix).

    Large matrices are drawn as block means, and the picture says so.
    """
    norm, cmap = color_scale(values if like is None else like, signed=signed, root=root)
    small = shrink(values, MOST_CELLS, MOST_CELLS)
    extent = (-0.5, values.shape[1] - 0.5, values.shape[0] - 0.5, -0.5)
    axes.imshow(small, norm=norm, cmap=cmap, aspect="auto", interpolation="none", extent=extent)
    for side in axes.spines.values():
        side.set_visible(False)
    _axis(axes, "x", columns, axes.figure.get_figure(root=True).get_figwidth() * 0.62)
    _axis(axes, "y", rows, axes.figure.get_figure(root=True).get_figheight() * 0.62)
    if small.shape != values.shape:
        axes.annotate(f"shown as {small.shape[0]} × {small.shape[1]} block means", (1, 1.01),
                      xycoords="axes fraction", ha="right", fontsize=7)  # fmt: skip
    made = axes.figure.colorbar(ScalarMappable(norm, cmap), ax=axes, pad=0.02, aspect=24)
    ends = sorted({float(norm.vmin or 0.0), 0.0, float(norm.vmax or 1.0)})
    if root:
        ends = sorted({*ends, ends[-1] / 4, ends[-1] / 16})
    made.set_ticks(ends, labels=[number(v, sign=signed) for v in ends])
    made.ax.tick_params(length=2, labelsize=7.5)
    made.set_label(label, fontsize=8)


def number_cells(
    axes: Axes, values: FloatArray, *, signed: bool, like: FloatArray | None = None
) -> None:
    """Write each value that is not zero into its cell, dark on light and light on dark."""
    norm, cmap = color_scale(values if like is None else like, signed=signed)
    paint = ScalarMappable(norm, cmap)
    for (row, column), value in np.ndenumerate(values):
        if value == 0 or not np.isfinite(value):
            continue
        red, green, blue, _ = paint.to_rgba(np.array([value]))[0]
        light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        axes.text(column, row, number(float(f"{value:.2g}"), sign=signed), fontsize=6.5,
                  ha="center", va="center", color="white" if light < 0.5 else INK)  # fmt: skip


def unsure_cells(axes: Axes, values: FloatArray, stderr: FloatArray | None) -> bool:
    """Put a ring into each cell that lies within two standard errors of zero; say if there is one.

    Matrices of more than 1,600 cells have no room for rings.
    """
    if stderr is None or values.size > MOST_RINGS:
        return False
    rows, columns = np.nonzero(unsure(values, stderr))
    axes.scatter(columns + 0.33, rows + 0.3, s=9, facecolors="none", edgecolors=MUTED,
                 linewidths=0.7)  # fmt: skip
    return bool(len(rows))


def _axis(axes: Axes, which: str, names: tuple[str, ...], inches: float) -> None:
    """Put as many names as fit: all of them, or every fifth, tenth, ... number."""
    upright = which == "x" and max(map(len, names), default=0) > 2
    most = max(2, int(inches / (0.17 if upright or which == "y" else 0.2)))
    steps = (s * 10**k for k in range(9) for s in (1, 2, 5))
    step = next(s for s in steps if len(names) / s <= most)
    places = list(range(len(names))) if step == 1 else list(range(step - 1, len(names), step))
    if step > 1 and all(map(str.isdecimal, names)):  # round numbers, wherever counting begins
        places = [place for place, name in enumerate(names) if int(name) % step == 0]
    if step > 1 and places and places[0] > 1:
        places.insert(0, 0)
    shown = [clip(names[i], 14) for i in places]
    if which == "x":
        axes.set_xticks(places, shown, rotation=90 if upright else 0, fontsize=7)
    else:
        axes.set_yticks(places, shown, fontsize=7)
    axes.tick_params(axis="both", length=2)


def _pick(values: xr.DataArray, dim: str, index: int | None, said: list[str]) -> xr.DataArray:
    if dim not in values.dims:
        return values
    size = values.sizes[dim]
    if index is None:
        said.append(f"mean of {size} {dim}s" if size > 1 else f"its only {dim}")
        return values.mean(dim)
    there = values[dim].values.tolist() if dim in values.coords else list(range(size))
    if index not in there and not -size <= index < 0:
        msg = f"{dim}={index} is not in this map; it has {', '.join(map(str, there))}"
        raise OptionError(msg)
    place = there.index(index) if index in there else size + index
    said.append(f"{dim} {there[place]}")
    return values.isel({dim: place})


def titles(
    axes: Axes, record: Record, title: str | None, said: list[str], pad: float | None = None
) -> None:
    """Write the record's name, its method, and what was picked, `pad` points above a picture."""
    name = heading(record, title, 66)
    about = clip(" · ".join([method_of(record), *said]), 86)
    axes.set_title(about, fontsize=8, fontweight="normal", pad=pad)
    figure = axes.figure.get_figure(root=True)
    figure.suptitle(name, x=0.012, ha="left", fontsize=10.5, fontweight="bold")


@drawn
def layer_position(
    record: Record, *, head: int | None = None, scale: str = "root", title: str | None = None
) -> Figure:
    """Draw the attention that each position receives in each layer.

    Parameters
    ----------
    record : Record
        Received attention: (layer, head, position).
    head : int, optional
        Number of one head (negative: from the end); without it the mean over heads.
    scale : {"root", "linear"}
        How attention becomes color. The square root keeps small shares visible.
    title : str, optional
        Instead of the record's name.

    Returns
    -------
    matplotlib.figure.Figure
    """
    height = min(7.0, max(2.4, 1.7 + 0.16 * record.values.sizes.get("layer", 1)))
    return _matrix(
        record, "layer_position", {"layer": "layer", "position": "position"}, {"head": head},
        "share of attention", scale, title, (8.6, height),
    )  # fmt: skip


@drawn
def position_position(
    record: Record, *, layer: int | None = None, head: int | None = None, scale: str = "root",
    title: str | None = None,
) -> Figure:  # fmt: skip
    """Draw how much each position (row) attends to each other one (column).

    Parameters
    ----------
    record : Record
        Mean, full or rolled-out attention: (..., query, key).
    layer, head : int, optional
        Number of one layer or head (negative: from the end); without, the mean over them.
    scale : {"root", "linear"}
        How attention becomes color. The square root keeps small shares visible.
    title : str, optional
        Instead of the record's name.

    Returns
    -------
    matplotlib.figure.Figure
    """
    axes = {"query": "attending (query)", "key": "attended to (key)"}
    return _matrix(
        record, "position_position", axes, {"layer": layer, "head": head},
        "share of a row's attention", scale, title, (6.6, 6.0),
    )  # fmt: skip


def _matrix(
    record: Record, kind: str, axes: dict[str, str], chosen: dict[str, int | None], label: str,
    scale: str, title: str | None, size: tuple[float, float],
) -> Figure:  # fmt: skip
    """Draw a map over two axes (rows, columns), the others picked or averaged."""
    down, across = axes
    values = record.values
    if not set(axes) <= set(values.dims):
        refuse(kind, f"{down} and {across}", values)
    said: list[str] = []
    for dim, index in chosen.items():
        values = _pick(values, dim, index, said)
    matrix = np.asarray(values.transpose(down, across).values, float)
    figure = new_figure(*size, layout="constrained")
    panel = figure.subplots()
    heat(panel, matrix, rows=names_along(record.data, down),
         columns=names_along(record.data, across), signed=False, root=scale == "root",
         label=label + _bend(scale))  # fmt: skip
    panel.set_xlabel(axes[across])
    panel.set_ylabel(axes[down])
    titles(panel, record, title, said)
    return figure


def _bend(scale: str) -> str:
    if scale not in {"root", "linear"}:
        msg = f"scale={visible(scale)!r} does not exist; there are: root, linear"
        raise OptionError(msg)
    return "\n(square-root color scale)" if scale == "root" else ""


def refuse(kind: str, wanted: str, values: xr.DataArray) -> None:
    """Refuse a map that does not have the axes of a picture."""
    have = ", ".join(map(str, values.dims))
    msg = f"kind={kind!r} needs the axes {wanted}; this map has {have}; leave kind unset"
    raise OptionError(msg)
