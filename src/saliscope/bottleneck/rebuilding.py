"""What is written from the bottleneck alone, beside what is written from a wrong one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from saliscope.bottleneck.cut import Cut, Pressed
from saliscope.bottleneck.measures import interval
from saliscope.bottleneck.tasks import AMINO, Task
from saliscope.core.target import IntArray
from saliscope.core.units import FloatArray

__all__ = ["SOURCES", "Rebuilt", "beyond", "groups_of", "rebuild"]

Bools = npt.NDArray[np.bool_]

SOURCES = ("bottleneck", "slots in another order", "another input's bottleneck", "composition")
"""What was written from: itself, two wrong bottlenecks, and only the commonest token."""

_CONSERVED, _STEP = 8, 50


@dataclass(frozen=True, eq=False)
class Rebuilt:
    """Which places of each input were written rightly.

    Parameters
    ----------
    said : tuple of numpy.ndarray
        What would be right; -1 where nothing.
    right : mapping of str to tuple of numpy.ndarray or None
        By what was written from; None where it could not be.
    """

    said: tuple[IntArray, ...] = field(repr=False)
    right: Mapping[str, tuple[Bools | None, ...]] = field(repr=False)

    def table(
        self, groups: Mapping[str, Mapping[str, Sequence[Bools | None]]],
        families: Sequence[int], seed: int = 0,
    ) -> pd.DataFrame:  # fmt: skip
        """Return the share of places that are right, by group and by what was written from.

        The mean over inputs; intervals from redrawn families.
        """
        rows: list[dict[str, Any]] = []
        for kind, labels in groups.items():
            for label, masks in labels.items():
                for source, right in self.right.items():
                    values, places = self._shares(right, masks)
                    if not np.isfinite(values).any():
                        continue
                    of = interval(values, families, seed=seed)
                    rows.append({
                        "group": kind, "label": label, "from": source, "accuracy": of.value,
                        "low": of.low, "high": of.high,
                        "inputs": int(np.isfinite(values).sum()), "places": places,
                    })  # fmt: skip
        return pd.DataFrame(rows)

    def _shares(
        self, right: Sequence[Bools | None], masks: Sequence[Bools | None]
    ) -> tuple[FloatArray, int]:
        values, places = np.full(len(self.said), np.nan), 0
        for number, (own, mask, said) in enumerate(zip(right, masks, self.said, strict=True)):
            if own is None or mask is None:
                continue
            inside = mask & (said >= 0)
            if inside.any():
                values[number] = own[inside].mean()
                places += int(inside.sum())
        return values, places


def rebuild(
    cut: Cut, raws: Sequence[Any], pressed: Sequence[Pressed], seed: int = 0
) -> Rebuilt | None:
    """Write every input from its bottleneck, and from wrong ones; None where nothing is written."""
    fed = [cut.feed(raw).said for raw in raws]
    if any(said is None for said in fed) or any(p.written is None for p in pressed):
        return None
    said = tuple(s for s in fed if s is not None)
    found: dict[str, list[Bools | None]] = {source: [] for source in SOURCES}
    rng = np.random.default_rng(seed)
    shifted = np.roll(rng.permutation(len(raws)), 1)
    other = dict(zip(np.roll(shifted, -1).tolist(), shifted.tolist(), strict=True))
    for number, (raw, own) in enumerate(zip(raws, pressed, strict=True)):
        truth = said[number]
        assert own.written is not None
        found[SOURCES[0]].append(own.written.argmax(-1)[: len(truth)] == truth)
        order = rng.permutation(len(own.numbers))
        moved = own.numbers[order] if len(order) > 1 else None
        found[SOURCES[1]].append(_right(cut, raw, moved, truth))
        wrong = pressed[other[number]].numbers
        same = wrong.shape == own.numbers.shape and other[number] != number
        found[SOURCES[2]].append(_right(cut, raw, wrong if same else None, truth))
        known = truth[truth >= 0].tolist()
        most = Counter(known).most_common(1)[0][0] if known else -2
        found[SOURCES[3]].append(truth == most)
    return Rebuilt(said, {source: tuple(r) for source, r in found.items()})


def _right(cut: Cut, raw: Any, numbers: FloatArray | None, truth: IntArray) -> Bools | None:
    if numbers is None:
        return None
    found: Bools = cut.write(raw, numbers).argmax(-1)[: len(truth)] == truth
    return found


def groups_of(
    raws: Sequence[Any], said: Sequence[IntArray], tasks: Sequence[Task], *, letters: bool
) -> dict[str, dict[str, list[Bools | None]]]:
    """Return the groups of places that accuracy is told for.

    All; where proteins, conserved and binding residues and the rest, each kind of residue, and
    stretches of fifty positions.
    """
    everywhere: list[Bools | None] = [np.ones(len(s), dtype=bool) for s in said]
    found: dict[str, dict[str, list[Bools | None]]] = {"all": {"all": everywhere}}
    if not letters:
        return found
    for task in tasks:
        if task.level == "residue" and task.name == "conservation":
            found["conservation"] = dict(_halves(task, _CONSERVED, "conserved"))
        if task.level == "residue" and task.name == "binding":
            found["binding"] = dict(_halves(task, 1, "binding"))
    texts = [np.array(list(str(raw).upper())) for raw in raws]
    found["residue"] = {a: [t == a for t in texts] for a in AMINO}
    longest = max(map(len, said))
    found["position"] = {
        f"{start + 1} to {start + _STEP}": [
            _between(len(s), start, start + _STEP) for s in said
        ]
        for start in range(0, longest, _STEP)
    }  # fmt: skip
    bounds = [*range(0, longest, 2 * _STEP), longest + 1]
    found["length"] = {
        f"{low + 1} to {min(high, longest)} residues": [
            np.ones(len(s), dtype=bool) if low < len(s) <= high else None for s in said
        ]
        for low, high in pairwise(bounds)
    }
    return found


def beyond(said: Sequence[IntArray], limit: int) -> dict[str, dict[str, list[Bools | None]]]:
    """Return the groups of proteins that are longer than a model was made for."""
    return {"beyond the limit": {
        f"positions up to {limit} of longer proteins": [_between(len(s), 0, limit) for s in said],
        f"positions beyond {limit}": [_between(len(s), limit, len(s)) for s in said],
    }}  # fmt: skip


def _between(length: int, low: int, high: int) -> Bools | None:
    if length <= low:
        return None
    at = np.arange(length)
    found: Bools = (at >= low) & (at < high)
    return found


def _halves(task: Task, least: float, word: str) -> Iterator[tuple[str, list[Bools | None]]]:
    yield word, [None if v is None else v >= least for v in task.values]
    yield f"not {word}", [None if v is None else v < least for v in task.values]
