"""Interactions of pairs: a matrix that says which units do more, or less, together than apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from saliscope.core.attribution import PAIR, Attribution
from saliscope.core.errors import OptionError
from saliscope.core.record import Record
from saliscope.core.units import FloatArray
from saliscope.show.heatmaps import heat, number_cells, unsure_cells
from saliscope.show.reading import RING, each_map, heading, method_of, stderr_of
from saliscope.show.residues import MOST_PANELS
from saliscope.show.style import RULE, clip, drawn, new_figure, visible

__all__ = ["Pair", "PairMap", "has_pairs", "pairs", "pairs_of", "strongest_pairs"]

NUMBERED = 12
"""Up to so many units, each cell holds its number."""
WORDS = "+ more together than apart,\n− less"


@dataclass(frozen=True)
class Pair:
    """The interaction of two units."""

    first: str
    second: str
    value: float
    stderr: float | None = None


@dataclass(frozen=True, eq=False)
class PairMap:
    """The interactions of all pairs, for one target of one example."""

    target: str
    names: tuple[str, ...]
    values: FloatArray
    stderr: FloatArray | None


def has_pairs(record: Record) -> bool:
    """Whether a record holds interactions of pairs."""
    return "interaction" in record.data


def pairs_of(record: Record, target: int | str | None = None) -> list[PairMap]:
    """Return the interactions of a record, one matrix per target and example.

    Raises
    ------
    OptionError
        If it has none, or there is no such target.
    """
    if not has_pairs(record):
        msg = "this record has no interactions of pairs; ask shapley with interactions=True"
        raise OptionError(msg)
    if target is not None and isinstance(record, Attribution):
        record = record.select(target)
    data, errors = record.data, stderr_of(record, "interaction_stderr", "interaction")
    names = tuple(visible(name) for name in data[PAIR[0]].values)
    found = []
    for where, title in each_map(record):
        values, stderr = (
            None if each is None else np.asarray(each.isel(where).transpose(*PAIR), np.float64)
            for each in (data["interaction"], errors)
        )
        assert values is not None
        found.append(PairMap(clip(title, 120), names, values, stderr))
    return found


def strongest_pairs(found: PairMap, count: int) -> list[Pair]:
    """Return the pairs of the largest interaction that is not zero, the largest first."""
    first, second = np.triu_indices(len(found.names), 1)
    values = found.values[first, second]
    size = np.where(np.isfinite(values), np.abs(values), 0.0)
    order = [k for k in np.argsort(-size, kind="stable")[:count] if size[k] > 0]
    return [
        Pair(
            found.names[first[k]], found.names[second[k]], float(values[k]),
            None if found.stderr is None else float(found.stderr[first[k], second[k]]),
        )
        for k in order
    ]  # fmt: skip


@drawn
def pairs(record: Record, *, target: int | str | None = None, title: str | None = None) -> Figure:
    """Draw the interaction of each pair of units as a symmetric matrix.

    A cell is what two units do together beyond what each does alone; the diagonal is empty. Up
    to twelve units, each cell holds its number. A small ring marks what lies within two standard
    errors of zero.

    Parameters
    ----------
    record : Record
        Shapley values that were asked for with ``interactions=True``.
    target : int or str, optional
        Only this target; without it every target has its own panel (at most six).
    title : str, optional
        Instead of the record's name; "" for no heading.

    Returns
    -------
    matplotlib.figure.Figure
    """
    found = pairs_of(record, target)
    panels = found[:MOST_PANELS]
    size = len(panels[0].names)
    side = min(7.5, max(2.6, (0.46 if size <= NUMBERED else 0.3) * size))
    figure = new_figure(side + 2.6, 0.6 + (side + 1.1) * len(panels), layout="constrained")
    if title != "":
        more = f" · {len(panels)} of {len(found)} targets" if len(found) > len(panels) else ""
        name = heading(record, title, 54)
        figure.suptitle(name, x=0.012, ha="left", fontsize=10.5, fontweight="bold")
        line = f"{method_of(record)} · interactions of pairs{more}"
    else:
        line = "Interactions of pairs"
    axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    like = np.concatenate([_apart(panel.values).ravel() for panel in panels])
    unit = clip(record.meta.get("unit", "value"), 40)
    for panel, own in zip(axes, panels, strict=True):
        values = _apart(own.values)
        heat(panel, values, rows=own.names, columns=own.names, signed=True, root=False,
             label=f"{unit}\n{WORDS}", like=like)  # fmt: skip
        panel.set_aspect("equal")
        for k in range(size):
            panel.add_patch(Rectangle((k - 0.5, k - 0.5), 1, 1, color=RULE, linewidth=0))
        if size <= NUMBERED:
            number_cells(panel, values, signed=True, like=like)
        marked = unsure_cells(panel, values, own.stderr)
        said = [line, f"target: {own.target}" if own.target else ""]
        said.append(RING if marked else "")
        panel.set_title(clip(" · ".join(part for part in said if part), int(side * 14) + 30),
                        fontsize=8, fontweight="normal")  # fmt: skip
    return figure


def _apart(values: FloatArray) -> FloatArray:
    """Return interactions of two different units: a unit has none with itself."""
    found = values.copy()
    np.fill_diagonal(found, np.nan)
    return found
