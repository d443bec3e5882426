"""How far the reported error of integrated gradients can be trusted.

    python -m benchmarks.calibration

On 200 paths (networks with ReLU, GELU and tanh, small and wide, with kinks and without, and the
trained models of the package) the reported error is compared with the true one, and the number of
evaluations with the smallest Gauss-Legendre rule that meets the same tolerance.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch import nn

import saliscope
from benchmarks.paths import minilm

TEXTS = (
    "This place is not worth your time, let alone Vegas.",
    "The soup was cold but I would come back for the fish alone.",
    "A very, very, very slow-moving, aimless movie about a distressed, drifting young man.",
    "Great for the jawbone.",
    "I found this place by accident and I could not be happier.",
)
Run = tuple[float, float, int, int]  # reported error, true error, evaluations, least GL nodes
ACTIVATIONS = (nn.ReLU, nn.GELU, nn.Tanh)


def network(seed: int) -> nn.Module:
    """Return a two-layer network in double precision with weights scaled up, so that it bends."""
    torch.manual_seed(seed)
    width = (8, 32, 128)[(seed // 3) % 3]
    act = ACTIVATIONS[seed % 3]
    net = nn.Sequential(
        nn.Linear(10, width), act(), nn.Linear(width, width), act(), nn.Linear(width, 3)
    ).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(3)
    return net


def compare(name: str, runs: list[Run]) -> None:
    """Print coverage, the median ratio of reported to true error, and evaluations."""
    reported, true, rows, least = (np.array(column) for column in zip(*runs, strict=True))
    ratio = np.median(reported / np.maximum(true, 1e-12))
    beside = f"{np.median(rows / least):.2f}" if least.all() else "-"
    print(
        f"| {name} | {len(runs)} | {np.mean(true <= reported + 1e-12):.1%} | {ratio:.1f} | "
        f"{true.max():.2%} | {np.median(rows):.0f} | {beside} |",
        flush=True,
    )


def on_networks(count: int) -> list[Run]:
    """Random networks; the truth is a midpoint rule of 20,000 nodes, in one pass."""
    runs = []
    for seed in range(count):
        net = network(seed)
        x, b = torch.randn(2, 10, dtype=torch.float64)
        a = saliscope.explain(net, x[None], "integrated_gradients", 0, baseline=b)
        alpha = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
        path = (b + alpha[:, None] * (x - b)).requires_grad_()
        (slope,) = torch.autograd.grad(net(path)[:, 0].sum(), path)
        truth = (slope.mean(0) * (x - b)).numpy()
        scale = max(abs(float(a.score[0] - a.baseline_score[0])), np.abs(a.to_numpy()).sum())
        true = np.abs(a.to_numpy()[0] - truth).sum() / scale
        runs.append((float(a.error[0]), float(true), a.evaluations, 0))
    return runs


def on_model(model: object, inputs: list[str], target: object, dense: int) -> list[Run]:
    """Compare on a trained token model; the truth is Gauss-Legendre with `dense` nodes."""
    runs = []
    for text in inputs:
        truth = saliscope.explain(
            model, text, "integrated_gradients", target, steps=dense
        ).to_numpy()
        a = saliscope.explain(model, text, "integrated_gradients", target)
        scale = max(abs(a.score - a.baseline_score), np.abs(truth).sum())
        least = 0
        for steps in range(2, 97):
            fixed = saliscope.explain(model, text, "integrated_gradients", target, steps=steps)
            if np.abs(fixed.to_numpy() - truth).sum() / scale <= 0.01:
                least = steps
                break
        true = np.abs(a.to_numpy() - truth).sum() / scale
        nodes = int(a.provenance["notes"]["nodes"])
        runs.append((float(a.error), float(true), nodes, least))
    return runs


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=190)
    args = parser.parse_args()
    print("| paths | n | covered | reported / true | largest true | evaluations | / least GL |")
    print("|---|---|---|---|---|---|---|")
    networks = on_networks(args.count)
    compare("networks", networks)
    sentiment = on_model("zoo:sentiment", list(TEXTS), "positive", 256)
    compare("zoo:sentiment", sentiment)
    adapter = minilm()
    vector = np.random.default_rng(0).normal(size=adapter.config.hidden_size)
    encoder = on_model(adapter, list(TEXTS), saliscope.Projection(vector), 160)
    compare("trained BERT encoder", encoder)
    compare("all", networks + sentiment + encoder)


if __name__ == "__main__":
    main()
