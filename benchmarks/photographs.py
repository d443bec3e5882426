"""Rows on a network of real size, trained on ImageNet, that a package ships."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import nn

import saliscope
from benchmarks.cams import CAM, cam
from benchmarks.efficientnet_lite import MEAN, STD, efficientnet_lite0
from benchmarks.harness import FLOOR, OURS, Best, Case, faster, near_floor

__all__ = ["PHOTOGRAPHS"]

PALACE = 698
WINDOW, STRIDE = 16, 8


@cache
def network() -> tuple[nn.Module, torch.Tensor]:
    """Return the network, and scikit-learn's photograph of a palace, (1, 3, 224, 224)."""
    from sklearn.datasets import load_sample_image

    net = efficientnet_lite0().eval().requires_grad_(False)
    photo = torch.from_numpy(load_sample_image("china.jpg").copy()).permute(2, 0, 1)[None] / 255.0
    square = photo[..., :, 106:533]
    image = nn.functional.interpolate(square, (224, 224), mode="bilinear", antialias=True)
    return net, (image - MEAN) / STD


def activation() -> Case:
    """Time Grad-CAM of one class at the last layer."""
    net, image = network()
    return cam(net, "_bn1", image, PALACE, (faster(CAM, 3), near_floor()))


def occlusion() -> Case:
    """Time occlusion with 729 windows: bare passes are nearly all of it."""
    from captum.attr import Occlusion

    net, image = network()
    shape, step = (3, WINDOW, WINDOW), (3, STRIDE, STRIDE)
    count = ((224 - WINDOW) // STRIDE + 1) ** 2 + 1
    peer = Occlusion(net)

    def ours() -> Any:
        return saliscope.explain(
            net, image, "occlusion", PALACE, window=shape, stride=step
        ).to_numpy()

    def captum(batch: int) -> Any:
        return peer.attribute(
            image, sliding_window_shapes=shape, strides=step, target=PALACE,
            perturbations_per_eval=batch,
        ).numpy()  # fmt: skip

    def bare(size: int) -> None:
        rows = image.expand(size, -1, -1, -1).contiguous()
        with torch.no_grad():
            for left in range(count, 0, -size):
                net(rows[:left])

    return Case(
        {OURS: ours, "captum": partial(captum, 1), "captum, 8 at once": partial(captum, 8),
         FLOOR: Best(bare, (1, 2, 4, 8, 16, 32))},
        (faster("captum", 5), near_floor()), partial(captum, 8), lambda: count,
        warm=lambda: net(image),
    )  # fmt: skip


PHOTOGRAPHS: dict[str, Callable[[], Case]] = {
    "Grad-CAM, trained EfficientNet-Lite0, 224 x 224": activation,
    "occlusion, trained EfficientNet-Lite0, window 16, stride 8": occlusion,
}
