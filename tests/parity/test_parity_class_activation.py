"""Grad-CAM beside captum and pytorch-grad-cam: equal where those are right."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.peers import grad_cam

from saliscope import explain
from saliscope.core.grids import resized


class Net(nn.Module):
    """Two convolutions, and a head that weights every position by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.early = nn.Conv2d(3, 6, 3, padding=1)
        self.late = nn.Sequential(nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.ReLU())
        self.head = nn.Linear(8 * 5 * 4, 4)
        generator = torch.Generator().manual_seed(9)
        for parameter in self.parameters():
            parameter.data.uniform_(-0.5, 0.6, generator=generator)
        self.double().eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return four logits of images of 9 x 8."""
        logits: torch.Tensor = self.head(self.late(torch.relu(self.early(x))).flatten(1))
        return logits


IMAGES = torch.randn(4, 3, 9, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture(scope="module")
def captum() -> Any:
    """Return captum's attribution methods."""
    return pytest.importorskip("captum.attr", reason="captum is in the benchmark extra only")


@pytest.fixture(scope="module")
def peer() -> Any:
    """Return pytorch-grad-cam."""
    if importlib.util.find_spec("pytorch_grad_cam") is None:
        pytest.skip("pytorch-grad-cam is in the benchmark extra only")
    return grad_cam()


@pytest.mark.parametrize("target", range(4))
def test_grad_cam_is_captums(captum: Any, target: int) -> None:
    net = Net()
    theirs = captum.LayerGradCam(net, net.late)
    for rectified in (True, False):
        wanted = theirs.attribute(IMAGES, target=target, relu_attributions=rectified)
        ours = explain(
            net, IMAGES, "grad_cam", target, absolute=None if rectified else False, upsample=False
        )
        np.testing.assert_allclose(
            ours.to_numpy(), wanted[:, 0].detach().numpy(), rtol=0, atol=1e-12
        )
        up = captum.LayerAttribution.interpolate(wanted, (9, 8), interpolate_mode="bilinear")
        whole = explain(net, IMAGES, "grad_cam", target, absolute=None if rectified else False)
        np.testing.assert_allclose(whole.to_numpy(), up[:, 0].detach().numpy(), atol=1e-12)


def targets(peer: Any, index: int) -> list[Any]:
    """Return one class as pytorch-grad-cam wants it."""
    module = peer.utils.model_targets
    return [module.ClassifierOutputTarget(index)] * len(IMAGES)


def scaled(maps: np.ndarray) -> np.ndarray:
    """Return maps brought to [0, 1] one by one, as pytorch-grad-cam gives them."""
    low = maps.min((1, 2), keepdims=True)
    return (maps - low) / (1e-7 + (maps - low).max((1, 2), keepdims=True))


@pytest.mark.parametrize(
    ("method", "name"),
    [("grad_cam", "GradCAM"), ("grad_cam_plus_plus", "GradCAMPlusPlus"), ("layer_cam", "LayerCAM")],
)
def test_maps_are_those_of_pytorch_grad_cam_but_for_its_scaling(
    peer: Any, method: str, name: str
) -> None:
    # Scores a thousandfold, so that the 1e-6 that it adds to the denominators of Grad-CAM++, which
    # takes the place of small slopes, does not count. It computes in float32.
    net = Net()
    with torch.no_grad():
        net.head.weight.mul_(1000)
    single = Net().float()
    single.load_state_dict(net.state_dict())
    with getattr(peer, name)(model=single, target_layers=[single.late]) as cam:
        theirs = cam(input_tensor=IMAGES.float(), targets=targets(peer, 1))
    ours = explain(net, IMAGES, method, 1, upsample=False).to_numpy()
    wanted = scaled(resized(scaled(ours), (9, 8)))
    np.testing.assert_allclose(theirs, wanted, rtol=0, atol=1e-3)


def test_pytorch_grad_cam_writes_into_the_model_and_this_does_not(peer: Any) -> None:
    net = Net().float().train()
    with peer.GradCAM(model=net, target_layers=[net.late]) as cam:
        cam(input_tensor=IMAGES.float(), targets=targets(peer, 1))
    assert not net.training
    assert all(p.grad is not None for p in net.parameters())
    ours = Net().float().train()
    explain(ours, IMAGES.float(), "grad_cam", 1)
    assert ours.training
    assert all(p.grad is None for p in ours.parameters())
