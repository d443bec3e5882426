"""The picture of a test: curves beside the band of shuffled copies, and the cascade."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saliscope.show.style import INK, LOWER, MUTED, PLAIN, RAISE, RULE, clip, drawn, new_figure
from saliscope.trust.record import ALIKE, Trust

__all__ = ["trust_figure"]

_NAME = 24  # letters of the name of a stage
_PANELS = (
    ("deletion", "Largest values taken away first", "below the band is good", RAISE),
    ("insertion", "Largest values put back first", "above the band is good", LOWER),
)


@drawn
def trust_figure(record: Trust, *, title: str | None = None) -> Figure:
    """Draw deletion and insertion with the middle 95 % of shuffled copies.

    Where the map was made again with random weights, a third panel shows how alike the maps stay.

    Parameters
    ----------
    record : Trust
    title : str, optional
        Instead of name and method.

    Returns
    -------
    matplotlib.figure.Figure
    """
    cascade = "similarity" in record.data
    figure = new_figure(10.2 if cascade else 6.8, 3.3, layout="constrained")
    name = title or f"{record.name}, {record.method}: {record.verdict}"
    figure.suptitle(clip(name, 96), x=0.012, ha="left", fontsize=10.5, fontweight="bold")
    panels = figure.subplots(1, 2 + cascade, squeeze=False)[0]
    for axes, (curve, words, good, color) in zip(panels, _PANELS, strict=False):
        _curve(axes, record, curve, color)
        axes.set_title(f"{words}\n{good}", fontsize=8.5, color=INK, fontweight="normal")
    low = min(axes.get_ylim()[0] for axes in panels[:2])
    high = max(axes.get_ylim()[1] for axes in panels[:2])
    for axes in panels[:2]:
        axes.set_ylim(low, high)
    panels[0].set_ylabel(clip(f"{record.target} ({record.meta['scale']})", 44), fontsize=8)
    if cascade:
        _cascade(panels[2], record)
    return figure


def _curve(axes: Axes, record: Trust, curve: str, color: str) -> None:
    data = record.data
    share = data["share"].to_numpy() * 100
    low, middle, high = data[f"{curve}_null"].to_numpy()
    if np.isfinite(low).all():
        axes.fill_between(share, low, high, color=RULE, linewidth=0, label="shuffled copies, 95 %")
        axes.plot(share, middle, color=MUTED, linewidth=0.9, linestyle=(0, (3, 2)))
    values = data[f"{curve}_curve"].to_numpy()
    axes.plot(share, values, color=color, linewidth=1.6, marker="o", markersize=3, label="this map")
    axes.set_xlim(0, 100)
    axes.set_xlabel(f"{record.meta['unit_kind']}s, %", fontsize=8)
    axes.legend(loc="best", fontsize=7)


def _cascade(axes: Axes, record: Trust) -> None:
    values = record.data["similarity"].to_numpy()
    places = np.arange(len(values))
    names = [_end(str(name)) for name in record.data["stage"].to_numpy()]
    axes.axhline(ALIKE, color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.axhline(0, color=RULE, linewidth=0.8)
    axes.plot(places, values, color=PLAIN, linewidth=1.6, marker="o", markersize=3)
    axes.set_xticks(places, names, rotation=38, ha="right", rotation_mode="anchor", fontsize=6.5)
    axes.set_ylim(min(-0.35, float(np.nanmin(values)) - 0.1), 1.08)
    axes.set_ylabel("rank similarity to this map", fontsize=8)
    axes.set_title(
        "Random weights, from the output back\nat the end, under the dashed line is good",
        fontsize=8.5, color=INK, fontweight="normal",
    )  # fmt: skip


def _end(name: str) -> str:
    """Return the end of the name of a module, where names differ."""
    return name if len(name) <= _NAME else "…" + name[1 - _NAME :]
