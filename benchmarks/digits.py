"""Rows on a network that was trained on handwritten digits: expected gradients and Grad-CAM."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

import saliscope
from benchmarks.cams import cam
from benchmarks.harness import FLOOR, OURS, Best, Case, faster, near_floor

__all__ = ["DIGITS"]

SHAP = "shap GradientExplainer"
SAMPLES, EQUAL = 200, 104
"""Draws of the peer, and those with which evenly spread draws have an error as small."""


@cache
def data() -> tuple[torch.Tensor, torch.Tensor]:
    """Return the digits of scikit-learn, (n, 64) in [0, 1], and their classes."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return torch.tensor(found.data / 16, dtype=torch.float32), torch.tensor(found.target)


def fit(net: nn.Module, images: torch.Tensor, classes: torch.Tensor, epochs: int) -> nn.Module:
    """Train a network by Adam on whole batches of 128."""
    torch.manual_seed(0)
    steps = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(epochs):
        for part in torch.randperm(len(images)).split(128):
            steps.zero_grad()
            nn.functional.cross_entropy(net(images[part]), classes[part]).backward()
            steps.step()
    return net.eval().requires_grad_(False)


def sampling() -> Case:
    """Time expected gradients of ten outputs at twenty digits, with 100 as the background."""
    import shap

    images, classes = data()
    torch.manual_seed(0)
    net = fit(
        nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 64), nn.GELU(),
                      nn.Linear(64, 10)), images, classes, 20,
    )  # fmt: skip
    inputs, background = images[:20], images[100:200]
    targets = list(range(10))
    peer = shap.GradientExplainer(net, background)
    rows: list[int] = []

    def ours() -> Any:
        a = saliscope.explain(
            net, inputs, "expected_gradients", targets, baseline=background, samples=EQUAL
        )
        rows[:] = [a.evaluations]
        return a.to_numpy()

    def shaps() -> Any:
        values = peer.shap_values(inputs, nsamples=SAMPLES, rseed=0)
        return np.moveaxis(np.asarray(values), -1, 0)

    def truth() -> Any:
        """Return every baseline with 64 Gauss-Legendre nodes."""
        return np.mean(
            [
                saliscope.explain(
                    net, inputs, "integrated_gradients", targets, baseline=b, steps=64
                ).to_numpy()
                for b in background
            ],
            axis=0,
        )

    def bare(size: int) -> None:
        """As many points as ours, each with ten backward passes of a summed output."""
        points = images[:1].expand(min(size, rows[0]), 64)
        for start in range(0, rows[0], size):
            leaf = points[: rows[0] - start].clone().requires_grad_()
            out = net(leaf).sum(0)
            for target in targets:
                torch.autograd.grad(out[target], leaf, retain_graph=target < len(targets) - 1)

    return Case(
        {OURS: ours, SHAP: shaps, FLOOR: Best(bare, (64, 256, 1024, 4096))},
        (faster(SHAP, 50), near_floor()), truth, lambda: rows[0], warm=lambda: net(inputs),
    )  # fmt: skip


def block(wide: int, out: int, stride: int) -> nn.Module:
    """Return two convolutions of a residual network, without the shortcut."""
    return nn.Sequential(
        nn.Conv2d(wide, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(),
        nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(),
    )  # fmt: skip


def activation() -> Case:
    """Time Grad-CAM of one class at the last stage of a convolutional network."""
    images, classes = data()
    large = nn.functional.interpolate(images.reshape(-1, 1, 8, 8), scale_factor=12, mode="bilinear")
    torch.manual_seed(0)
    stages = [block(1, 16, 2), block(16, 32, 2), block(32, 64, 2), block(64, 128, 2)]
    net = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))
    fit(net, large[:512], classes[:512], 2)
    image, target = large[600:601], int(classes[600])
    return cam(net, "3", image, target, ())


DIGITS: dict[str, Callable[[], Case]] = {
    "expected gradients, 10 outputs, 20 digits": sampling,
    "Grad-CAM, one class, last stage": activation,
}
