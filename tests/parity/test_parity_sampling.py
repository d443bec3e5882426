"""Sampled numbers of captum and shap, within the errors of both, and where theirs are wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from helpers import toys
from saliscope import explain

COUNT = 4000
NOISE = 0.2


@pytest.fixture(scope="module")
def captum() -> Any:
    """Return captum's attribution methods."""
    return pytest.importorskip("captum.attr", reason="captum is in the benchmark extra only")


@pytest.fixture(scope="module")
def shap() -> Any:
    """Return shap."""
    return pytest.importorskip("shap", reason="shap comes with the extra of tables")


@pytest.fixture(params=[nn.ReLU, nn.GELU], ids=["relu", "gelu"])
def setting(request: pytest.FixtureRequest) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Return a network with two outputs in float32, an input and a background of twenty."""
    net = toys.random_net(3, (6, 12, 8, 2), request.param, 4.0, torch.float32)
    rows = torch.randn(21, 6, generator=torch.Generator().manual_seed(0))
    return net, rows[:1], rows[1:]


def stderr(a: Any) -> np.ndarray:
    """Return the standard errors of a result."""
    return np.asarray(a.data["stderr"].values)


def agree(mine: Any, theirs: np.ndarray, error: np.ndarray | float) -> None:
    """Within five standard errors of the difference."""
    off = np.abs(mine.to_numpy()[0] - theirs)
    assert (off <= 5 * np.sqrt(stderr(mine)[0] ** 2 + error**2) + 1e-6).all()


def tunnel(captum: Any, net: nn.Module, x: torch.Tensor, kind: str) -> np.ndarray:
    """Return captum's mean or variance of plain gradients over noise."""
    torch.manual_seed(5)
    found = captum.NoiseTunnel(captum.Saliency(net)).attribute(
        x, nt_type=kind, nt_samples=COUNT, stdevs=float(NOISE * (x.max() - x.min())), target=1,
        abs=False,
    )  # fmt: skip
    return found[0].detach().numpy()


def test_captums_smoothgrad(captum: Any, setting: Any) -> None:
    net, x, _ = setting
    mine = explain(net, x, "smoothgrad", 1, noise=NOISE, samples=COUNT)
    spread = explain(net, x, "vargrad", 1, noise=NOISE, samples=COUNT).to_numpy()[0]
    agree(mine, tunnel(captum, net, x, "smoothgrad"), np.sqrt(spread / COUNT))
    # Mirrored pairs are worth more than as many independent draws.
    assert stderr(mine).sum() < 0.9 * np.sqrt(spread / COUNT).sum()


def test_captums_vargrad(captum: Any, setting: Any) -> None:
    net, x, _ = setting
    mine = explain(net, x, "vargrad", 1, noise=NOISE, samples=COUNT)
    agree(mine, tunnel(captum, net, x, "vargrad"), stderr(mine)[0])


def test_captums_variance_of_a_linear_model_is_rounding(captum: Any) -> None:
    # It subtracts the square of a mean from a mean of squares; deviations are squared here.
    net = nn.Linear(40, 2)
    with torch.no_grad():
        net.weight.copy_(torch.linspace(-300, 300, 80).reshape(2, 40))
    x = torch.linspace(-1, 2, 40)[None]
    mine = explain(net, x, "vargrad", 1).to_numpy()
    theirs = tunnel(captum, net, x, "vargrad")
    assert (theirs < 0).any()
    assert (mine >= 0).all()
    assert mine.max() < 1e-2 * np.abs(theirs).max()


def test_captums_noise_is_of_one_type(captum: Any) -> None:
    net = toys.random_net(3, (6, 8, 2), nn.GELU, 2.0, torch.bfloat16)
    x = torch.linspace(-1, 1, 6, dtype=torch.bfloat16)[None]
    with pytest.raises(RuntimeError, match="dtype"):
        tunnel(captum, net, x, "smoothgrad")
    mine = explain(net, x, "smoothgrad", 1, samples=64).to_numpy()
    exact = explain(net.double(), x.double(), "smoothgrad", 1, samples=64).to_numpy()
    np.testing.assert_allclose(mine, exact, atol=0.05 * np.abs(exact).max())


def test_captums_gradient_shap(captum: Any, setting: Any) -> None:
    net, x, background = setting
    mine = explain(net, x, "expected_gradients", 1, baseline=background, samples=COUNT)
    np.random.seed(3)  # noqa: NPY002 - what captum draws from
    torch.manual_seed(3)
    parts = [
        captum.GradientShap(net).attribute(x, background, n_samples=COUNT // 8, target=1)
        for _ in range(8)
    ]
    theirs = np.stack([part[0].detach().numpy() for part in parts])
    agree(mine, theirs.mean(0), theirs.std(0, ddof=1) / np.sqrt(8))


def test_shaps_gradient_explainer(shap: Any, setting: Any) -> None:
    net, x, background = setting
    mine = explain(net, x, "expected_gradients", [0, 1], baseline=background, samples=COUNT)
    explainer = shap.GradientExplainer(net, background)
    theirs, spread = explainer.shap_values(x, nsamples=1000, rseed=2, return_variances=True)
    for output in (0, 1):
        values = np.asarray(theirs)[..., output] if np.ndim(theirs) == 3 else theirs[output]
        # What it calls the variance of means is that of a draw over the root of their number.
        error = np.sqrt(np.asarray(spread[output]).reshape(-1) / np.sqrt(1000))
        agree(mine.select(output), values[0], error)
        # Points that are spread evenly are worth more than as many independent draws.
        assert stderr(mine.select(output)).sum() * np.sqrt(COUNT / 1000) < 0.9 * error.sum()


def test_shap_takes_no_doubles(shap: Any, setting: Any) -> None:
    net, x, background = setting
    explainer = shap.GradientExplainer(net.double(), background.double())
    with pytest.raises(RuntimeError, match=r"dtype|Double|Float"):
        explainer.shap_values(x.double(), nsamples=5)
    mine = explain(net, x.double(), "expected_gradients", 1, baseline=background)
    assert np.isfinite(mine.to_numpy()).all()
