"""Runs the sides of a row in turn and compares them pair by pair.

Times are wall times of one process, the sides in turn (A B C A B C ...), so that a drift of the
machine's speed meets all of them; ratios are taken within each round and their median is given.
Memory is the peak of resident bytes above the loaded model, each side in a fresh process.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.attention_received import Peak

__all__ = ["Case", "Result", "error", "measure", "memory"]


@dataclass
class Case:
    """One row of the table: what is timed, and what is true.

    Parameters
    ----------
    ours : str
        Name of Saliscope's side.
    sides : dict of str to callable
        Each returns its map as an array (None for bare passes).
    truth : callable, optional
        Gives the true map, for the true error of every side.
    calls : callable, optional
        Rows that Saliscope ran, after its side has run.
    """

    ours: str
    sides: dict[str, Callable[[], Any]]
    truth: Callable[[], np.ndarray[Any, Any]] | None = None
    calls: Callable[[], int] | None = None
    bare: str = ""  # subtract this side from all others: what is left is overhead


@dataclass
class Result:
    """Medians of one row."""

    seconds: dict[str, float]
    ratio: dict[str, float]  # other side's time / ours, median over rounds
    errors: dict[str, float] = field(default_factory=dict)
    overhead: dict[str, float] = field(default_factory=dict)
    calls: int | None = None


def error(values: Any, truth: np.ndarray[Any, Any]) -> float:
    """Return the L1 distance to the truth, relative to the truth's L1 norm."""
    return float(np.abs(np.asarray(values) - truth).sum() / np.abs(truth).sum())


def measure(case: Case, rounds: int) -> Result:
    """Run every side once unmeasured, then all of them in turn, `rounds` times."""
    values = {name: side() for name, side in case.sides.items()}
    times: dict[str, list[float]] = {name: [] for name in case.sides}
    for _ in range(rounds):
        for name, side in case.sides.items():
            start = time.perf_counter()
            side()
            times[name].append(time.perf_counter() - start)
    ours = times[case.ours]
    result = Result(
        seconds={n: statistics.median(t) for n, t in times.items()},
        ratio={
            n: statistics.median(a / b for a, b in zip(t, ours, strict=True))
            for n, t in times.items()
        },
        calls=case.calls() if case.calls else None,
    )
    if case.truth is not None:
        truth = case.truth()
        result.errors = {n: error(v, truth) for n, v in values.items() if v is not None}
    if case.bare:
        bare = times[case.bare]
        result.overhead = {
            n: statistics.median(a - b for a, b in zip(t, bare, strict=True))
            for n, t in times.items()
            if n != case.bare
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
    """Return the peak bytes of one side, run once, above what was loaded before."""
    with Peak() as watch:
        case.sides[side]()
    return watch.grown
