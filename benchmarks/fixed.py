"""What Saliscope does beside the passes, and how much work makes it a tenth.

    python -m benchmarks.fixed [--rounds 15]

On a network whose pass costs next to nothing, a call is all bookkeeping: reading options, labels,
findings, batches, the result. That cost is told in two parts, of a call and of each further input,
and in forward passes of `zoo:sentiment` on one sentence, measured in turn, so that it holds
elsewhere. Ten times it is the work from which a call costs at most 1.1 times its bare passes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import saliscope
from benchmarks.texts import SENTENCES

MANY = 33
METHODS: dict[str, dict[str, Any]] = {
    "gradient": {},
    "input_x_gradient": {},
    "integrated_gradients": {},
    "occlusion": {"window": 8},
    "masking": {},
    "grad_cam": {"layer": "0", "upsample": False},
}


def clock(run: Callable[[], Any], repeats: int = 3) -> float:
    """Return the least seconds of a few runs: what disturbs only slows down."""
    least = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - start)
    return least


def pass_of_sentiment() -> Callable[[], Any]:
    """Return a forward pass of `zoo:sentiment` on one sentence."""
    adapter = saliscope.load("zoo:sentiment")
    (sample,) = adapter.prepare(SENTENCES[0])
    given = adapter.arguments([sample.context["ids"]])
    adapter.module.eval()

    def run() -> None:
        with torch.no_grad():
            adapter.module(**given)

    return run


def bare(net: nn.Module, rows: torch.Tensor, count: int, *, back: bool) -> Callable[[], Any]:
    """Return the passes of the network alone: `count` rows for each input, all at once."""
    every = rows.repeat_interleave(count, 0)

    def run() -> None:
        if not back:
            with torch.no_grad():
                net(every)
            return
        leaf = every.clone().requires_grad_()
        torch.autograd.grad(net(leaf)[:, 0].sum(), leaf)

    return run


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    torch.manual_seed(0)
    unit = pass_of_sentiment()
    print("| method | a call | each further input | 1.1 is met from (passes, one input) |")
    print("|---|---|---|---|")
    for method, options in METHODS.items():
        if method == "grad_cam":
            net: nn.Module = nn.Sequential(
                nn.Conv1d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 30, 3)
            )
            rows = torch.randn(MANY, 1, 32)
        else:
            net, rows = nn.Sequential(nn.Linear(32, 8), nn.ReLU(), nn.Linear(8, 3)), torch.randn(
                MANY, 32
            )  # fmt: skip
        net = net.eval().requires_grad_(False)
        wide = {**options, "window": (8,)} if "window" in options else options

        def ours(
            count: int, net: nn.Module = net, rows: torch.Tensor = rows, method: str = method,
            wide: dict[str, Any] = wide,
        ) -> Any:  # fmt: skip
            return saliscope.explain(net, rows[:count], method, 0, **wide)

        passes = ours(1).evaluations
        back = method in {"gradient", "input_x_gradient", "integrated_gradients"}
        alone = [bare(net, rows[:n], passes, back=back) for n in (1, MANY)]
        calls, more = [], []
        for _ in range(args.rounds):
            one = clock(unit)
            first = clock(lambda: ours(1)) - clock(alone[0])
            last = clock(lambda: ours(MANY)) - clock(alone[1])
            calls.append(first / one)
            more.append((last - first) / (MANY - 1) / one)
        call, each = statistics.median(calls), statistics.median(more)
        print(f"| `{method}` | {call:.2f} | {each:.3f} | {10 * call:.0f} |", flush=True)


if __name__ == "__main__":
    main()
