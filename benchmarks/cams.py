"""The row of Grad-CAM, on any network.

Weights want gradients in a network as it is loaded, and the peer then computes theirs, too: that is
its default. With weights frozen by hand it has its best setting; Saliscope freezes them itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

import saliscope
from benchmarks.harness import FLOOR, OURS, Best, Case, Goal
from benchmarks.peers import grad_cam

__all__ = ["CAM", "cam"]

CAM, FROZEN, CAPTUM = "pytorch-grad-cam", "pytorch-grad-cam, frozen weights", "captum LayerGradCam"


def cam(
    net: nn.Module, layer: str, image: torch.Tensor, target: int, goals: Sequence[Goal]
) -> Case:
    """Time Grad-CAM of one class at a layer, beside both peers and one forward pass."""
    from captum.attr import LayerGradCam

    place = net.get_submodule(layer)
    package = grad_cam()
    peer = package.GradCAM(model=net, target_layers=[place])
    wanted = [package.utils.model_targets.ClassifierOutputTarget(target)]
    layered = LayerGradCam(net, place)

    def ours() -> Any:
        a = saliscope.explain(net, image, "grad_cam", target, layer=layer, upsample=False)
        return _scaled(a.to_numpy())

    def cams() -> None:
        """Not compared: the peer enlarges and scales its map (a test compares them)."""
        net.requires_grad_(True)
        try:
            frozen()
        finally:
            net.requires_grad_(False)

    def frozen() -> None:
        with torch.enable_grad():
            peer(input_tensor=image.clone().requires_grad_(), targets=wanted)

    def captum() -> Any:
        leaf = image.clone().requires_grad_()
        found = layered.attribute(leaf, target=target, relu_attributions=True)
        return _scaled(found.detach().numpy()[:, 0])

    def bare(_size: int) -> None:
        with torch.no_grad():
            net(image)

    return Case(
        {OURS: ours, CAM: cams, FROZEN: frozen, CAPTUM: captum, FLOOR: Best(bare, (1,))},
        goals, captum, lambda: 1, warm=lambda: net(image),
    )  # fmt: skip


def _scaled(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Scale a map to a largest value of one, as the peer does."""
    return values / max(float(np.abs(values).max()), 1e-12)
