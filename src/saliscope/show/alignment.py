"""Several targets along one text as a matrix: what each of them rests on."""

from __future__ import annotations

import itertools

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saliscope.core.record import Record
from saliscope.show.heatmaps import heat, names_along, number_cells, refuse, titles, unsure_cells
from saliscope.show.reading import RING, stderr_of, tracks
from saliscope.show.style import MUTED, clip, drawn, new_figure, visible

__all__ = ["alignment"]

_COLUMNS, _CELLS = 16, 200  # up to which numbers are written into the cells


@drawn
def alignment(record: Record, *, title: str | None = None) -> Figure:
    """Draw one row per target and one column per unit: an output against what stands before it.

    Lines part the input from the output. All rows share one color scale; where the matrix is small,
    each cell holds its number, so that color is not needed to read it.

    Parameters
    ----------
    record : Record
        An attribution with the dims (target, position).
    title : str, optional
        Instead of the record's name.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if set(map(str, record.values.dims)) != {"target", "position"}:
        refuse("alignment", "target and position", record.values)
    values = np.asarray(record.values.transpose("target", "position").values, float)
    first = tracks(record, 0)[0]
    rows = tuple(visible(name) for name in record.data["target"].values)
    columns = names_along(record.data, "position")
    figure = new_figure(
        min(12.0, max(6.2, 2.6 + 0.44 * len(columns))), min(10.0, max(2.6, 1.9 + 0.27 * len(rows))),
        layout="constrained",
    )  # fmt: skip
    panel = figure.subplots()
    words = "+ raises the target,\n\u2212 lowers it" if first.signed else "darker: less"
    label = "\n".join(part for part in (first.unit, words) if part)
    heat(panel, values, rows=rows, columns=columns, signed=first.signed, root=False, label=label)
    # Targets may be pairs ("good vs bad at 7"), so their names get more room than those of units.
    shown = [int(place) for place in panel.get_yticks()]
    panel.set_yticks(shown, [clip(rows[place], 32) for place in shown])
    if values.shape[1] <= _COLUMNS and values.size <= _CELLS:
        number_cells(panel, values, signed=first.signed)
    said = [f"{len(rows)} targets"]
    stderr = stderr_of(record)
    beside = None if stderr is None else stderr.transpose("target", "position").values
    if unsure_cells(panel, values, beside):
        said.append(RING)
    streams = "stream" in record.data.coords
    if streams:
        _streams(panel, [visible(name) for name in record.data["stream"].values])
    panel.set_xlabel("explained by")
    titles(panel, record, title, said, 18 if streams else None)
    return figure


def _streams(panel: Axes, streams: list[str]) -> None:
    """Part the streams by lines, and name them above."""
    start = 0
    for name, members in itertools.groupby(streams):
        end = start + len(list(members))
        if start:
            panel.axvline(start - 0.5, color=MUTED, linewidth=0.9)
        panel.annotate(name, ((start + end - 1) / 2, 1.0), (0, 3), ha="center", va="bottom",
                       xycoords=("data", "axes fraction"), textcoords="offset points", fontsize=7.5,
                       color=MUTED)  # fmt: skip
        start = end
