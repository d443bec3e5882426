"""The representations that probes are asked about, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from saliscope.bottleneck.cut import Pressed
from saliscope.bottleneck.probes import Setting, probe
from saliscope.bottleneck.tasks import AMINO, Task, composition
from saliscope.core.units import FloatArray

__all__ = ["Scan", "protein_views", "read_off", "residue_views", "whole"]

_WINDOW = 2  # residues on each side that the window of residues shows


@dataclass(frozen=True)
class Scan:
    """Measured effects of missense variants of one protein.

    Parameters
    ----------
    name, sequence : str
    effects : mapping of str to float
        By name: "E7V".
    """

    name: str
    sequence: str = field(repr=False)
    effects: Mapping[str, float] = field(repr=False)


def read_off(
    task: Task, views: Mapping[str, Sequence[FloatArray | None]], families: Sequence[int],
    sequences: Sequence[str], setting: Setting, notes: list[str],
) -> list[dict[str, Any]]:  # fmt: skip
    """Ask every representation about a task; one with too few families is left out, and noted."""
    labelled = {f for f, v in zip(families, task.values, strict=True) if v is not None}
    if len(labelled) < setting.folds:
        notes.append(f"{task.name}: labels in fewer than {setting.folds} families; left out")
        return []
    return [
        {"features": name, "dimension": setting.dimension, **row}
        for name, features in views.items()
        if any(f is not None for f in features)
        for row in probe(task, features, families, sequences, setting)
    ]


def residue_views(
    raws: Sequence[str], pressed: Sequence[Pressed], reads: Sequence[FloatArray | None],
    last: Sequence[FloatArray], rival: str, *, alone: bool,
) -> dict[str, Sequence[FloatArray | None]]:  # fmt: skip
    """Return what residues are represented by.

    Of the bottleneck: what each place of the output reads from it, and, where the decoder is shown
    nothing else, what the decoder makes of it.
    """
    lengths = [len(raw) for raw in raws]
    wrong = [*reads[1:], reads[0]]
    views: dict[str, Sequence[FloatArray | None]] = {
        "bottleneck": reads,
        "decoder, from the bottleneck": [
            p.decoded if alone and len(p.decoded) == n else None
            for p, n in zip(pressed, lengths, strict=True)
        ],
        "another input's bottleneck": [
            None if own is None else own[np.arange(n) % len(own)]
            for own, n in zip(wrong, lengths, strict=True)
        ],
        "encoder, mean over places": [
            np.broadcast_to(p.states.mean(0), (n, p.states.shape[1]))
            for p, n in zip(pressed, lengths, strict=True)
        ],
        "window of residues": [window(raw) for raw in raws],
    }
    if last:
        views[rival] = last
    return views


def window(sequence: str) -> FloatArray:
    """Return which residue stands at each place and around it, (residues, 5 x 20)."""
    hot = np.array([[float(a == b) for b in AMINO] for a in sequence])
    padded = np.pad(hot, ((_WINDOW, _WINDOW), (0, 0)))
    shifts: Iterator[FloatArray] = (padded[k : k + len(sequence)] for k in range(2 * _WINDOW + 1))
    return np.concatenate(list(shifts), 1)


def whole(pressed: Pressed, *, fixed: bool) -> FloatArray:
    """Return the bottleneck as one row; the mean over slots where their number varies."""
    return pressed.numbers.ravel() if fixed else pressed.numbers.mean(0)


def protein_views(
    raws: Sequence[str], pressed: Sequence[Pressed], last: Sequence[FloatArray], rival: str, *,
    fixed: bool, task: str,
) -> dict[str, Sequence[FloatArray | None]]:  # fmt: skip
    """Return what whole proteins are represented by; composition, where that is not the task."""
    rows = [whole(p, fixed=fixed) for p in pressed]
    views: dict[str, Sequence[FloatArray | None]] = {
        "bottleneck": rows,
        "another input's bottleneck": [*rows[1:], rows[0]],
        "encoder, mean over places": [p.states.mean(0) for p in pressed],
    }
    if last:
        views[f"{rival}, mean over places"] = [x.mean(0) for x in last]
    if task != "composition":
        views["composition"] = [composition(raw) for raw in raws]
    return views
