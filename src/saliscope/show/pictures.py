"""Maps of images: over the picture that was explained, with the picture itself beside it."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from saliscope.core.attribution import Attribution
from saliscope.core.errors import OptionError, nearest
from saliscope.core.record import Record
from saliscope.core.units import FloatArray
from saliscope.show.colormaps import colormap_of
from saliscope.show.reading import heading, method_of
from saliscope.show.style import DIVERGING, MUTED, SEQUENTIAL, clip, drawn, new_figure

__all__ = [
    "Box", "blend", "has_picture", "image_map", "maps_of", "overlay", "picture_of", "scale_of",
]  # fmt: skip

MOST_PANELS = 8
SHARE = 98.0
"""Of the pixels, in percent, that the colors span; a few extremes would leave the rest pale."""
OPAQUE = 0.75
_VIEWS = ("both", "overlay", "map", "picture")
_AXES = ("y", "x")


def has_picture(record: Record) -> bool:
    """Return whether a record is a map over a picture that it holds."""
    return "picture" in record.meta and set(_AXES) <= set(map(str, record.values.dims))


@drawn
def image_map(
    record: Record, *, target: int | str | None = None, view: str = "both",
    alpha: float | None = None, colormap: str | int | None = None, title: str | None = None,
) -> Figure:  # fmt: skip
    """Draw the map of an image over the picture, and beside it the picture as it came.

    Where the map is strong it covers the picture, where it is near zero the picture, in gray, shows
    through. Signed maps are orange (raises the target) and blue (lowers it); maps without a sign
    are of one perceptually uniform scale. Both can be told apart in any kind of color vision. All
    targets share one scale, which spans all but the largest 2 % of the values.

    Parameters
    ----------
    record : Record
        With dims "y" and "x", and the picture.
    target : int or str, optional
        Only this target; without it each has a panel (at most eight).
    view : {"both", "overlay", "map", "picture"}
        The picture beside the overlay, or one of them; "map" leaves the picture out.
    alpha : float, optional
        How opaque the map is, 0 to 1, the same everywhere; None lets it grow with the value.
    colormap : str or int, optional
        A name of matplotlib's ("jet", "viridis") or a code of OpenCV's (``cv2.COLORMAP_JET``);
        None for the one that fits.
    title : str, optional
        Instead of the record's name; "" for no heading.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        There is no picture, view, colormap or target of that name.
    """
    if not has_picture(record):
        msg = "this result holds no picture to draw on; use tensor_plot"
        raise OptionError(msg)
    if view not in _VIEWS:
        msg = f"view={view!r} does not exist: {nearest(view, _VIEWS)}"
        raise OptionError(msg)
    if alpha is not None and not 0 <= alpha <= 1:
        msg = f"alpha={alpha} must lie between 0 (the picture) and 1 (the map)"
        raise OptionError(msg)
    record = _selected(record, target)
    panels = maps_of(record)[:MOST_PANELS]
    picture, box = picture_of(record)
    norm, colors = scale_of(record, [values for _, values in panels], colormap)
    first = view in {"both", "picture"}
    rest = [] if view == "picture" else panels
    high, wide = picture.shape[:2]
    count = first + len(rest)
    line = wide > 4 * high  # a line of text takes the width of the page
    columns = 1 if line else min(count, 2 if count == 4 or wide > 1.6 * high else 3)
    rows = -(-count // columns)
    # As large as the picture is, in so far as a page holds it.
    side = min(7.8 if line else 4.2, 7.8 / columns)
    figure = new_figure(
        side * columns + 0.9,
        (side * min(1.4, high / wide) + 0.25) * rows + (0.1 if title == "" else 0.5),
        "constrained",
    )
    cut = bool(rest) and box != (0, 0, wide, high)
    notes = ["dashed: what the model saw"] * cut
    if left_out := len(maps_of(record)) - len(panels):
        notes.append(f"{left_out} more targets are not drawn")
    _head(figure, record, title, notes)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    if first:
        axes = grid[0]
        axes.imshow(picture, extent=(0, wide, high, 0), interpolation="antialiased")
        axes.set_title("picture", fontsize=8, fontweight="normal")
    for axes, (name, values) in zip(grid[first:], rest, strict=False):
        _draw(axes, picture, box, values, norm, colors, alpha if view != "map" else 1.0)
        axes.set_title(clip(f"target: {name}", 40), fontsize=8, fontweight="normal")
    if rest:
        _bar(figure, grid[:count].tolist(), record, norm, colors, panels)
    return figure


def overlay(
    record: Record, *, target: int | str | None = None, alpha: float | None = None,
    colormap: str | int | None = None,
) -> npt.NDArray[np.uint8]:  # fmt: skip
    """Return the overlay as an array, in the pixels of the picture that the record holds.

    Parameters
    ----------
    record : Record
    target : int or str, optional
        Which, where there are several (default: the first).
    alpha, colormap
        As of `image_map`.

    Returns
    -------
    numpy.ndarray of uint8, shape (y, x, 3)
    """
    record = _selected(record, target)
    values = maps_of(record)[0][1]
    picture, box = picture_of(record)
    norm, colors = scale_of(record, [values], colormap)
    shown = blend(picture, box, values, norm, colors, alpha)
    return np.round(shown * 255).astype(np.uint8)


Box = tuple[float, float, float, float]


def _selected(record: Record, target: int | str | None) -> Record:
    if target is None:
        return record
    if not isinstance(record, Attribution):
        msg = f"target={target!r}: this result has no targets"
        raise OptionError(msg)
    return record.select(target)


def picture_of(record: Record) -> tuple[npt.NDArray[np.uint8], Box]:
    """Return the picture, and the part of it, in its pixels here, that the map lies over."""
    from saliscope.models.vision.images import kept_picture

    kept: dict[str, Any] = record.meta["picture"]
    picture = kept_picture(kept)
    across, down = picture.shape[1] / kept["width"], picture.shape[0] / kept["height"]
    left, top, right, bottom = kept["box"]
    return picture, (left * across, top * down, right * across, bottom * down)


def maps_of(record: Record) -> list[tuple[str, FloatArray]]:
    """Return the name and the map, shape (y, x), of every target."""
    names = [str(n) for n in record.meta.get("target", [""])]
    values = record.values.transpose(..., *_AXES)
    array = np.asarray(values.values, dtype=np.float64).reshape(-1, *values.shape[-2:])
    return [
        (names[i] if i < len(names) else f"target {i}", _dense(record, part))
        for i, part in enumerate(array)
    ]


def _dense(record: Record, values: FloatArray) -> FloatArray:
    """Return a map of patches with every patch as large as it is: the last may be smaller."""
    if record.meta.get("unit_kind") != "patch":
        return values
    size = record.meta["picture"].get("size")
    if size is None:
        return values
    for axis, (dim, whole) in enumerate(zip(_AXES, size, strict=True)):
        starts = [*np.asarray(record.data[dim].values, dtype=int).tolist(), int(whole)]
        values = np.repeat(values, np.diff(starts), axis=axis)
    return values


def scale_of(
    record: Record, maps: list[FloatArray], colormap: str | int | None
) -> tuple[Normalize, Colormap]:
    """Return the norm and the colors that maps share: all but their largest 2 % are spanned."""
    every = np.concatenate([m.ravel() for m in maps])
    finite = every[np.isfinite(every)]
    signed = bool(record.meta.get("signed", True))
    size = np.abs(finite) if signed else finite
    top = float(np.percentile(size, SHARE)) if size.size else 0.0
    top = top or float(size.max(initial=0.0)) or 1.0
    chosen = (
        (DIVERGING if signed else colormaps[SEQUENTIAL])
        if colormap is None
        else (colormap_of(colormap))
    )
    if signed:
        return Normalize(-top, top, clip=True), chosen
    return Normalize(min(0.0, float(finite.min(initial=0.0))), top, clip=True), chosen


def blend(
    picture: npt.NDArray[np.uint8], box: Box, values: FloatArray, norm: Normalize,
    colors: Colormap, alpha: float | None,
) -> FloatArray:  # fmt: skip
    """Return the picture with the map over it, shape (y, x, 3), from 0 to 1."""
    high, wide = picture.shape[:2]
    gray = picture.astype(np.float64) @ [0.299, 0.587, 0.114] / 255
    # Lighter, so that a dark picture does not swallow the colors.
    ground = np.repeat((0.35 + 0.65 * gray)[..., None], 3, axis=2)
    left, top, right, bottom = box
    y = np.floor((np.arange(high) + 0.5 - top) / (bottom - top) * values.shape[0]).astype(int)
    x = np.floor((np.arange(wide) + 0.5 - left) / (right - left) * values.shape[1]).astype(int)
    rows = np.flatnonzero((y >= 0) & (y < values.shape[0]))
    columns = np.flatnonzero((x >= 0) & (x < values.shape[1]))
    whole = np.ix_(rows, columns)
    part = values[np.ix_(y[rows], x[columns])]
    shade = np.asarray(norm(np.ma.masked_invalid(part)))
    color = np.asarray(colors(np.ma.masked_invalid(norm(np.ma.masked_invalid(part)))))[..., :3]
    if alpha is None:
        zero = float(norm(0.0))
        strength = np.abs(np.nan_to_num(shade) - zero) / max(zero, 1 - zero)
        cover = OPAQUE * np.clip(strength, 0, 1) ** 0.5
    else:
        cover = np.full(part.shape, alpha)
    shown = ground * 0.75 + 0.25  # what the model did not see is paler still
    shown[whole] = ground[whole] * (1 - cover[..., None]) + color * cover[..., None]
    return np.clip(shown, 0, 1)


def _draw(
    axes: Axes, picture: npt.NDArray[np.uint8], box: Box, values: FloatArray, norm: Normalize,
    colors: Colormap, alpha: float | None,
) -> None:  # fmt: skip
    high, wide = picture.shape[:2]
    axes.imshow(blend(picture, box, values, norm, colors, alpha), extent=(0, wide, high, 0),
                interpolation="antialiased")  # fmt: skip
    left, top, right, bottom = box
    if box != (0, 0, wide, high):
        axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top],
                  color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))  # fmt: skip
        axes.set_xlim(min(0, left), max(wide, right))
        axes.set_ylim(max(high, bottom), min(0, top))


def _head(figure: Figure, record: Record, title: str | None, notes: list[str]) -> None:
    if title == "":
        return
    high, wide = figure.get_figheight(), figure.get_figwidth()
    room = int(wide * 12)
    figure.text(0.1 / wide, 1 - 0.17 / high, heading(record, title, room), fontsize=10.5,
                fontweight="bold", va="center")  # fmt: skip
    figure.text(0.1 / wide, 1 - 0.36 / high, fontsize=8, color=MUTED, va="center",
                s=clip("; ".join([method_of(record), *notes]), room))  # fmt: skip
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(rect=(0, 0, 1, 1 - 0.5 / high))


def _bar(
    figure: Figure, axes: list[Axes], record: Record, norm: Normalize, colors: Colormap,
    panels: list[tuple[str, FloatArray]],
) -> None:  # fmt: skip
    beyond = max(float(np.nanmax(np.abs(v), initial=0.0)) for _, v in panels)
    low = norm.vmin is not None and norm.vmin < 0
    assert norm.vmax is not None
    over = beyond > norm.vmax * (1 + 1e-9)
    extend: Literal["neither", "both", "max"] = "neither" if not over else "both" if low else "max"
    made = figure.colorbar(ScalarMappable(norm, colors), ax=axes, pad=0.02, aspect=28,
                           fraction=0.05, extend=extend)  # fmt: skip
    made.outline.set_visible(False)
    made.ax.tick_params(labelsize=7)
    unit = clip(record.meta.get("unit", "value"), 40)
    patches = record.meta.get("unit_kind") == "patch"
    made.set_label(f"{unit} per patch" if patches else unit, fontsize=8)
