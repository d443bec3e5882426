"""Runs the sides of a row in turn and compares them pair by pair.

Times are wall times of one process, the sides in turn (A B C A B C ...), so that a drift of the
machine's speed meets all of them; ratios are taken within each round and their median is given.
Short sides run several times a round. Memory is the peak of resident bytes above the loaded model,
each side in a fresh process that has everything imported.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.attention_received import Peak

__all__ = [
    "FLOOR", "OURS", "Best", "Case", "Goal", "Result", "error", "faster", "lighter", "measure",
    "memory", "near_floor", "overhead", "peak",
]  # fmt: skip

OURS = "saliscope"
FLOOR = "bare passes"
SHORT = 0.25
"""Seconds that a side runs for in each round, at least."""


@dataclass
class Result:
    """Medians of one row."""

    seconds: dict[str, float]
    ratio: dict[str, float]  # other side's time / ours, median over rounds
    errors: dict[str, float] = field(default_factory=dict)
    overhead: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    rows: int | None = None


@dataclass(frozen=True)
class Goal:
    """What is asked of a row.

    Parameters
    ----------
    words : str
    value : callable
        Reads the measured number off a result.
    bound : float
    most : bool
        The number must be at most the bound; else at least.
    limit : callable, optional
        What the bare passes alone would measure: nobody who runs them reaches more.
    """

    words: str
    value: Callable[[Result], float]
    bound: float
    most: bool
    limit: Callable[[Result], float] | None = None

    def reached(self, found: float) -> bool:
        """Return whether a number, as it is printed, meets the bound."""
        return round(found, 2) <= self.bound if self.most else round(found, 2) >= self.bound


def faster(side: str, times: float) -> Goal:
    """Ask for at most 1/`times` of a side's time."""
    words = f"{times:g} times faster than {side}"
    return Goal(
        words, lambda r: r.ratio[side], times, most=False,
        limit=lambda r: r.ratio[side] / r.ratio[FLOOR] if FLOOR in r.ratio else math.nan,
    )  # fmt: skip


def near_floor(most: float = 1.1) -> Goal:
    """Ask for at most `most` times the bare passes."""
    words = f"at most {most:g} times the bare passes"
    return Goal(words, lambda r: 1 / r.ratio[FLOOR], most, most=True)


def lighter(side: str, part: float) -> Goal:
    """Ask for at most a part of a side's memory."""
    words = f"at most {part:.2f} of the memory of {side}"
    return Goal(words, lambda r: r.memory[OURS] / r.memory[side], round(part, 2), most=True)


def overhead(side: str, times: float) -> Goal:
    """Ask for at most 1/`times` of a side's time above the bare passes."""
    words = f"{times:g} times less overhead than {side}"
    return Goal(words, lambda r: r.overhead[side] / max(r.overhead[OURS], 1e-9), times, most=False)


@dataclass
class Case:
    """One row of the table: what is timed, what is true, and what is asked.

    Parameters
    ----------
    sides : dict of str to callable
        `OURS` is Saliscope. Each returns its map as an array (`FLOOR`, bare passes: None).
    goals : sequence of Goal
    truth : callable, optional
        Gives the true map, for the true error of every side.
    rows : callable, optional
        Rows that Saliscope ran, after its side has run.
    warm : callable, optional
        One row through the model, before memory is weighed.
    overhead : bool
        Tell what a side takes beside the bare passes.
    """

    sides: dict[str, Callable[[], Any]]
    goals: Sequence[Goal] = ()
    truth: Callable[[], np.ndarray[Any, Any]] | None = None
    rows: Callable[[], int] | None = None
    warm: Callable[[], Any] | None = None
    overhead: bool = False


class Best:
    """Bare passes at the best of several batch sizes, which is looked for at the first call.

    Parameters
    ----------
    run : callable
        Does all of the work in batches of so many rows.
    sizes : sequence of int
    """

    def __init__(self, run: Callable[[int], Any], sizes: Sequence[int] = (8, 16, 32, 64)) -> None:
        self.run, self.sizes = run, sizes
        self.size: int | None = None

    def __call__(self) -> None:
        """Do the work."""
        if self.size is None:
            spent = {size: min(_clock(self.run, size) for _ in range(3)) for size in self.sizes}
            self.size = min(spent, key=spent.__getitem__)
        self.run(self.size)


def _clock(run: Callable[..., Any], *given: Any) -> float:
    start = time.perf_counter()
    run(*given)
    return time.perf_counter() - start


def error(values: Any, truth: np.ndarray[Any, Any]) -> float:
    """Return the L1 distance to the truth, relative to the truth's L1 norm."""
    return float(np.abs(np.asarray(values) - truth).sum() / np.abs(truth).sum())


def measure(case: Case, rounds: int) -> Result:
    """Run every side unmeasured, then all of them in turn, `rounds` times."""
    values = {name: side() for name, side in case.sides.items()}
    repeats = {n: max(1, math.ceil(SHORT / _clock(side))) for n, side in case.sides.items()}
    times: dict[str, list[float]] = {name: [] for name in case.sides}
    for _ in range(rounds):
        for name, side in case.sides.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                side()
            times[name].append((time.perf_counter() - start) / repeats[name])
    ours = times[OURS]
    result = Result(
        seconds={n: statistics.median(t) for n, t in times.items()},
        ratio={
            n: statistics.median(a / b for a, b in zip(t, ours, strict=True))
            for n, t in times.items()
        },
        rows=case.rows() if case.rows else None,
    )
    if case.truth is not None:
        truth = case.truth()
        result.errors = {n: error(v, truth) for n, v in values.items() if v is not None}
    if case.overhead:
        bare = times[FLOOR]
        result.overhead = {
            n: statistics.median(a - b for a, b in zip(t, bare, strict=True))
            for n, t in times.items()
            if n != FLOOR
        }
    return result


def memory(row: str, side: str) -> float:
    """Return the peak MiB of one side above the loaded model, in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--peak", row, side],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return float(json.loads(done.stdout.splitlines()[-1])) / 2**20


def peak(case: Case, side: str) -> int:
    """Return the peak bytes of one side, run once, above what was loaded before.

    For every side alike a tiny map is made first, which imports what Saliscope imports lazily, and
    one row goes through the model: neither libraries nor a thread pool's stacks are a method's.
    """
    import torch

    import saliscope

    saliscope.explain(torch.nn.Linear(2, 2), torch.ones(1, 2), "integrated_gradients", 0)
    if case.warm is not None:
        case.warm()
    with Peak() as watch:
        case.sides[side]()
    return watch.grown
