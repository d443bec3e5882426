"""Which picture a record gets."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from matplotlib.figure import Figure

from saliscope.core.errors import OptionError, nearest
from saliscope.core.record import Record
from saliscope.show.alignment import alignment
from saliscope.show.bars import word_bars
from saliscope.show.characters import character_grid, line_characters, mistakes
from saliscope.show.heatmaps import layer_position, position_position
from saliscope.show.interactions import pairs
from saliscope.show.lines import has_characters, has_mistakes
from saliscope.show.matrix import line_matrix
from saliscope.show.pictures import has_picture, image_map
from saliscope.show.reading import ATTENTION, has_positions, is_text
from saliscope.show.residues import MOST_PANELS, residue_track
from saliscope.show.tables import beeswarm, column_bars, dependence, has_columns, waterfall
from saliscope.show.tensors import tensor_plot
from saliscope.show.text import colored_text

__all__ = ["PLOTS", "default_kind", "plot"]

PLOTS: dict[str, Callable[..., Figure]] = {
    "residue_track": residue_track,
    "colored_text": colored_text,
    "word_bars": word_bars,
    "alignment": alignment,
    "pairs": pairs,
    "layer_position": layer_position,
    "position_position": position_position,
    "tensor_plot": tensor_plot,
    "image_map": image_map,
    "character_grid": character_grid,
    "line_characters": line_characters,
    "line_matrix": line_matrix,
    "mistakes": mistakes,
    "waterfall": waterfall,
    "beeswarm": beeswarm,
    "column_bars": column_bars,
    "dependence": dependence,
}


def default_kind(record: Record) -> str:
    """Return the name of the picture that shows a record best."""
    dims = set(map(str, record.values.dims))
    if record.kind == "dependence":
        return "dependence"
    if has_columns(record):
        return _of_columns(record)
    if has_mistakes(record):
        return "mistakes"
    if has_characters(record):
        return "line_matrix" if record.kind == ATTENTION else "line_characters"
    if record.kind == ATTENTION and {"query", "key"} <= dims:
        return "position_position"
    if record.kind == ATTENTION and {"layer", "position"} <= dims:
        return "layer_position"
    if has_picture(record):
        return "image_map"
    if not has_positions(record):
        return "tensor_plot"
    sizes = record.values.sizes
    if (
        is_text(record)
        and set(sizes) == {"target", "position"}
        and ("stream" in record.data.coords or sizes["target"] > MOST_PANELS)
    ):
        return "alignment"
    lead = record.values.size // max(1, record.values.sizes["position"])
    if lead > MOST_PANELS:
        return "tensor_plot"
    return "colored_text" if is_text(record) else "residue_track"


def _of_columns(record: Record) -> str:
    """Return the picture of a map along the columns of a table."""
    if "example" in record.values.dims:
        return "column_bars" if "class" in record.data.coords else "beeswarm"
    adds_up = "baseline_score" in record.data and "gap" in record.data
    return "waterfall" if adds_up and record.meta.get("signed", True) else "column_bars"


def plot(record: Record, kind: str | None = None, **options: object) -> Figure:
    """Draw a record.

    Parameters
    ----------
    record : Record
        An attribution or a map of attention.
    kind : str, optional
        "residue_track", "colored_text", "word_bars", "alignment", "pairs" (interactions),
        "layer_position", "position_position", "image_map" or "tensor_plot"; of a line of text
        "line_characters", "character_grid", "line_matrix" or "mistakes"; of tables "waterfall",
        "beeswarm", "column_bars" or "dependence"; without it, what fits the record.
    **options
        Options of that picture: `title` for all; `target`, `top`, `layer`, `head`, ... for some.

    Returns
    -------
    matplotlib.figure.Figure
        Made without pyplot; `save_figure` or its own ``savefig`` writes it.

    Raises
    ------
    OptionError
        If there is no such kind or option, or the kind does not fit the record.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> from saliscope.core.attribution import Attribution
    >>> data = xr.Dataset({"values": ("position", np.array([0.5, -1.0]))},
    ...                   coords={"position": [1, 2], "residue": ("position", ["M", "V"])})
    >>> record = Attribution(data, {"method": "gradient", "target": ["demo"], "provenance": {}})
    >>> len(plot(record).axes)
    1
    >>> plot(record, kind="histogram")
    Traceback (most recent call last):
        ...
    saliscope.core.errors.OptionError: there is no picture 'histogram'; known: alignment, \
beeswarm, character_grid, colored_text, column_bars, dependence, image_map, layer_position, \
line_characters, line_matrix, mistakes, pairs, ...
    """
    name = default_kind(record) if kind is None else kind
    if name not in PLOTS:
        msg = f"there is no picture {name!r}; {nearest(name, PLOTS)}"
        if "known:" not in msg:
            msg += f" (known: {', '.join(sorted(PLOTS))})"
        raise OptionError(msg)
    draw = PLOTS[name]
    known = [p for p in inspect.signature(draw).parameters if p != "record"]
    for option in options:
        if option not in known:
            msg = f"{name} has no option {option!r}; {nearest(option, known)}"
            raise OptionError(msg)
    return draw(record, **options)
