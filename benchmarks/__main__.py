"""Print (and with --write keep) the table of ratios.

    python -m benchmarks [--rounds 5] [--only NAME] [--write docs/benchmarks.md]

Attention is measured by ``python benchmarks/attention_received.py``, each side in its own process.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from benchmarks.harness import measure, memory, peak
from benchmarks.rows import ROWS

HEAD = (
    "| work | side | time / ours | peak MiB above the model | true L1 error | overhead / ours |\n"
    "|---|---|---|---|---|---|\n"
)


def table(rounds: int, only: str) -> str:
    """Measure every row whose name contains `only`."""
    lines = []
    for name, make in ROWS.items():
        if only not in name:
            continue
        case = make()
        result = measure(case, rounds)
        for side in case.sides:
            ratio = result.ratio[side]
            wrong = f"{result.errors[side]:.2%}" if side in result.errors else ""
            over = ""
            if side in result.overhead:
                own = max(result.overhead[case.ours], 1e-9)
                over = f"{result.overhead[side] / own:.1f}"
            calls = f" ({result.calls} rows)" if side == case.ours and result.calls else ""
            used = memory(name, side)
            lines.append(
                f"| {name} | {side}{calls} | {ratio:.2f} | {used:.0f} | {wrong} | {over} |"
            )
            print(lines[-1], flush=True)
    return HEAD + "\n".join(lines) + "\n"


def main() -> None:
    """Parse flags and print the table."""
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
    print(HEAD, end="")
    text = table(args.rounds, args.only)
    if args.write:
        head = "# Benchmarks\n\n`make bench` writes this page. "
        how = (
            f"Medians of {args.rounds} rounds, sides in turn, {torch.get_num_threads()} threads, "
            f"torch {torch.__version__}. A time ratio above 1 is slower than Saliscope.\n\n"
        )
        args.write.write_text(head + how + text, encoding="utf-8")


if __name__ == "__main__":
    main()
