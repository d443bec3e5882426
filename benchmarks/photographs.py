"""Rows on a network of real size, trained on ImageNet, that a package ships."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import nn

import saliscope
from benchmarks.digits import CAM, CAPTUM, scaled
from benchmarks.efficientnet_lite import MEAN, STD, efficientnet_lite0
from benchmarks.harness import FLOOR, OURS, Best, Case, faster, near_floor
from benchmarks.peers import grad_cam

__all__ = ["PHOTOGRAPHS"]

PALACE = 698
WINDOW, STRIDE = 56, 28


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
    from captum.attr import LayerGradCam

    net, image = network()
    layer = net.get_submodule("_bn1")
    package = grad_cam()
    peer = package.GradCAM(model=net, target_layers=[layer])
    wanted = [package.utils.model_targets.ClassifierOutputTarget(PALACE)]
    layered = LayerGradCam(net, layer)

    def ours() -> Any:
        a = saliscope.explain(net, image, "grad_cam", PALACE, layer="_bn1", upsample=False)
        return scaled(a.to_numpy())

    def cams() -> None:
        """Not compared: the peer enlarges and scales its map (a test compares them)."""
        with torch.enable_grad():
            peer(input_tensor=image.clone().requires_grad_(), targets=wanted)

    def captum() -> Any:
        leaf = image.clone().requires_grad_()
        found = layered.attribute(leaf, target=PALACE, relu_attributions=True)
        return scaled(found.detach().numpy()[:, 0])

    def bare(_size: int) -> None:
        with torch.no_grad():
            net(image)

    return Case(
        {OURS: ours, CAM: cams, CAPTUM: captum, FLOOR: Best(bare, (1,))},
        (faster(CAM, 3), near_floor()), captum, lambda: 1, warm=lambda: net(image),
    )  # fmt: skip


def occlusion() -> Case:
    """Time occlusion with 49 windows: bare passes are nearly all of it."""
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
        (near_floor(),), partial(captum, 8), lambda: count, warm=lambda: net(image),
    )  # fmt: skip


PHOTOGRAPHS: dict[str, Callable[[], Case]] = {
    "Grad-CAM, trained EfficientNet-Lite0, 224 x 224": activation,
    "occlusion, trained EfficientNet-Lite0, window 56, stride 28": occlusion,
}
