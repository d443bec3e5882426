"""Print (and with --write keep) the tables: ratios, and what was asked beside what was reached.

    python -m benchmarks [--rounds 5] [--only NAME] [--write docs/benchmarks.md]

Attention is measured by ``python benchmarks/attention_received.py``, each side in its own process.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from pathlib import Path

import torch

from benchmarks.harness import FLOOR, OURS, Case, Goal, Result, measure, memory, peak
from benchmarks.nodes import count
from benchmarks.rows import ROWS

HEAD = (
    "| work | side | time / ours | peak MiB above the model | true L1 error | overhead / ours |\n"
    "|---|---|---|---|---|---|"
)
ASKED = "| work | asked | measured | reached | bare passes alone |\n|---|---|---|---|---|"
NODES = "nodes of the path, trained BERT encoder, 7 texts"
NODE_GOAL = Goal("at most 1.3 times the smallest Gauss-Legendre rule of 1 %", lambda _: 0.0, 1.3,
                 most=True)  # fmt: skip
INTRODUCTION = """# Benchmarks

`make bench` writes this page. Medians of {rounds} rounds, sides in turn, {threads} threads,
torch {torch}; the ratio of two sides is taken within each round. A time ratio above 1 is slower
than Saliscope. Bare passes are the forward and backward passes alone, at the best of several batch
sizes. Memory is the peak of a fresh process in which everything is imported and the model loaded.
The true error of gradients, masking and occlusion is the distance from what the peer gives
(masking: in double precision).
The bare passes are asked of trained models; networks made for a row show what a call costs by
itself ([more](benchmarks-small.md)). Where a peer is to be outrun, the last column of the second
table says what its time is to that of the bare passes alone. No way of running them whole is
faster; occlusion through convolutions computes only what a window reaches, and so is.
Attention is measured by `python benchmarks/attention_received.py`, each side in its own process.
"""


def lines(name: str, case: Case, result: Result) -> list[str]:
    """Return the lines of one row, a side each."""
    found = []
    for side in case.sides:
        rows = f" ({result.rows} rows)" if side == OURS and result.rows else ""
        used = f"{result.memory[side]:.0f}" if side in result.memory else ""
        wrong = f"{result.errors[side]:.2%}" if side in result.errors else ""
        over = ""
        if side in result.overhead:
            over = f"{result.overhead[side] / max(result.overhead[OURS], 1e-9):.1f}"
        found.append(
            f"| {name} | {side}{rows} | {result.ratio[side]:.2f} | {used} | {wrong} | {over} |"
        )
    return found


def asked(name: str, goal: Goal, found: float, limit: float = math.nan) -> str:
    """Return the line of one goal; `limit` is what the bare passes alone would measure."""
    most = "" if math.isnan(limit) else f"{limit:.2f}"
    reached = "yes" if goal.reached(found) else "no"
    return f"| {name} | {goal.words} | {found:.2f} | {reached} | {most} |"


def nodes() -> tuple[str, str]:
    """Return a sentence about the nodes of paths, and the line of its goal."""
    found = list(count())
    ratios = [n.ratio for n in found]
    middle = statistics.median(ratios)
    pairs = ", ".join(f"{n.ours}/{n.least}" for n in found)
    sentence = (
        f"Nodes of the adaptive path over those of the smallest Gauss-Legendre rule with a true "
        f"error of 1 % (trained BERT encoder, {len(found)} texts, a random projection each): "
        f"{pairs}; median {middle:.2f}, from {min(ratios):.2f} to {max(ratios):.2f}; the largest "
        f"true error of the adaptive paths is {max(n.error for n in found):.2%}."
    )
    return sentence, asked(NODES, NODE_GOAL, middle)


def page(rounds: int, only: str) -> str:
    """Measure every row whose name contains `only`, and return the tables."""
    table, goals, sentence = [HEAD], [ASKED], ""
    for name, make in ROWS.items():
        if only not in name:
            continue
        case = make()
        result = measure(case, rounds)
        result.memory = {side: memory(name, side) for side in case.sides if side != FLOOR}
        table += lines(name, case, result)
        goals += [
            asked(name, goal, goal.value(result), goal.limit(result) if goal.limit else math.nan)
            for goal in case.goals
        ]
        print("\n".join(table[-len(case.sides) :]), flush=True)
    if only in NODES:
        sentence, line = nodes()
        goals.append(line)
        print(sentence)
    print("\n".join(goals))
    parts = ["\n".join(table), sentence, "## What was asked", "\n".join(goals)]
    return "\n\n".join(part for part in parts if part) + "\n"


def main() -> None:
    """Parse flags and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--peak", nargs=2, metavar=("ROW", "SIDE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peak:
        case = ROWS[args.peak[0]]()
        print(json.dumps(peak(case, args.peak[1])))
        return
    print(HEAD)
    text = page(args.rounds, args.only)
    if args.write:
        head = INTRODUCTION.format(
            rounds=args.rounds, threads=torch.get_num_threads(), torch=torch.__version__
        )
        args.write.write_text(f"{head}\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
