"""DeepLIFT beside captum and shap: equal where those are right, and where they are not, how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from helpers import toys
from saliscope import explain

captum = pytest.importorskip("captum.attr", reason="captum comes with the benchmark extra")
shap = pytest.importorskip("shap", reason="shap comes with the extra of tables")

pytestmark = pytest.mark.filterwarnings("ignore")


class Functional(nn.Module):
    """A ReLU that is no module."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = toys.random_net(3, (5, 9), nn.Identity, 3.0)
        self.outer = toys.random_net(4, (9, 3), nn.Identity, 3.0)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return three outputs."""
        out: torch.Tensor = self.outer(torch.relu(self.inner(rows)))
        return out


def network(activation: Callable[[], nn.Module]) -> nn.Sequential:
    """Return a network with two layers of one activation."""
    return toys.random_net(2, (5, 9, 9, 3), activation, 3.0)


def convolutions() -> nn.Module:
    """Return a small network with max-pooling."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 3)
    ).double()


def numbers(shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs and one baseline, with the example axis."""
    random = torch.Generator().manual_seed(1)
    x, b = (torch.randn((n, *shape), generator=random, dtype=torch.float64) for n in (4, 1))
    return x, b


def maps(net: nn.Module, shape: tuple[int, ...] = (5,)) -> dict[str, np.ndarray[Any, Any]]:
    """Return the map of target 1 by each library, and the score change."""
    x, b = numbers(shape)
    theirs = shap.DeepExplainer(net, b).shap_values(x, check_additivity=False)
    return {
        "saliscope": explain(net, x, "deeplift", 1, baseline=b).to_numpy(),
        "captum": captum.DeepLift(net).attribute(x, b, target=1).detach().numpy(),
        "shap": np.asarray(theirs)[..., 1],
        "change": (net(x) - net(b))[:, 1].detach().numpy(),
    }


def missed(found: dict[str, np.ndarray[Any, Any]], name: str) -> float:
    """Return the largest gap."""
    return float(np.abs(found[name].reshape(4, -1).sum(1) - found["change"]).max())


@pytest.mark.parametrize(
    "activation", [nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus]
)
def test_modules_that_all_know(activation: Any) -> None:
    found = maps(network(activation))
    for name in ("captum", "shap"):
        np.testing.assert_allclose(found[name], found["saliscope"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("activation", [nn.GELU, nn.SELU])
def test_shap_knows_more_modules_and_captum_is_silently_wrong_on_them(activation: Any) -> None:
    found = maps(network(activation))
    np.testing.assert_allclose(found["shap"], found["saliscope"], rtol=0, atol=1e-12)
    assert missed(found, "captum") > 1e-3
    assert missed(found, "saliscope") < 1e-12


def test_max_pooling_is_that_of_shap_and_captum_does_not_conserve() -> None:
    found = maps(convolutions(), (1, 8, 8))
    np.testing.assert_allclose(found["shap"], found["saliscope"], rtol=0, atol=1e-12)
    assert missed(found, "captum") > 0.01
    assert missed(found, "saliscope") < 1e-12


@pytest.mark.parametrize("make", [Functional, lambda: network(nn.SiLU)], ids=["torch.relu", "SiLU"])
def test_what_modules_do_not_show_is_wrong_in_both(make: Any) -> None:
    found = maps(make())
    assert missed(found, "captum") > 1e-3
    assert missed(found, "shap") > 1e-3
    assert missed(found, "saliscope") < 1e-12


def test_a_layer_norm_is_wrong_in_both() -> None:
    inner, outer = (toys.random_net(s, n, nn.Identity, 3.0) for s, n in ((3, (5, 9)), (4, (9, 3))))
    found = maps(nn.Sequential(inner, nn.LayerNorm(9).double(), outer))
    assert missed(found, "captum") > 1e-3
    assert missed(found, "shap") > 1e-3
    assert missed(found, "saliscope") < 1e-12


def test_several_baselines_are_those_of_deep_shap() -> None:
    net = network(nn.ReLU)
    x, _ = numbers((5,))
    background = x.flip(0) * 0.5
    theirs = shap.DeepExplainer(net, background).shap_values(x, check_additivity=False)
    ours = explain(net, x, "deep_shap", 1, baseline=background).to_numpy()
    np.testing.assert_allclose(ours, np.asarray(theirs)[..., 1], rtol=0, atol=1e-12)
