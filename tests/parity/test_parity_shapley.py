"""The numbers of shap and captum where those are right, and the difference where they are not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from helpers import toys
from saliscope import explain
from saliscope.core.games import all_coalitions

PLAYERS = 6
LINE = np.linspace(-2.0, 3.0, 20)


@pytest.fixture(scope="module")
def shap() -> Any:
    """Return shap."""
    return pytest.importorskip("shap", reason="shap comes with the extra of tables")


@pytest.fixture(scope="module")
def captum() -> Any:
    """Return captum's attribution methods."""
    return pytest.importorskip("captum.attr", reason="captum is in the benchmark extra only")


@pytest.fixture(params=[nn.ReLU, nn.GELU, nn.Tanh])
def setting(request: pytest.FixtureRequest) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Return a network with two outputs, an input and a background of five."""
    net = toys.random_net(3, (PLAYERS, 10, 2), request.param, 4.0)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(6, PLAYERS, generator=generator, dtype=torch.float64)
    return net, rows[:1], rows[1:]


def numeric(net: nn.Module) -> Any:
    """Return output 1 of a network (or its only one) as a function of arrays."""

    def call(rows: Any) -> np.ndarray:
        with torch.no_grad():
            return net(torch.from_numpy(np.asarray(rows, dtype=np.float64)))[:, -1].numpy()

    return call


@pytest.mark.parametrize("examples", [1, 5])
def test_shap_with_a_full_budget(shap: Any, setting: Any, examples: int) -> None:
    net, x, background = setting
    background = background[:examples]
    mine = explain(net, x, "shapley", 1, baseline=background)
    kernel = shap.KernelExplainer(numeric(net), background.numpy())
    theirs = kernel.shap_values(x.numpy(), nsamples=2**PLAYERS, l1_reg=0, silent=True)[0]
    np.testing.assert_allclose(mine.to_numpy()[0], theirs, atol=1e-10)
    assert float(mine.baseline_score[0]) == pytest.approx(float(kernel.expected_value), abs=1e-12)
    exact = shap.explainers.ExactExplainer(
        numeric(net), shap.maskers.Independent(background.numpy())
    )
    np.testing.assert_allclose(mine.to_numpy()[0], exact(x.numpy()).values[0], atol=1e-10)


def test_shap_leaves_features_out_by_default(shap: Any) -> None:
    # Its l1_reg="num_features(10)" sets half of the coefficients of a linear model to zero.
    net, ones = toys.linear([LINE.tolist()]), torch.ones(1, 20, dtype=torch.float64)
    mine = explain(net, ones, "shapley", 0).to_numpy()[0]
    np.testing.assert_allclose(mine, LINE, atol=1e-9)
    theirs = shap.KernelExplainer(numeric(net), np.zeros((1, 20))).shap_values(
        ones.numpy(), silent=True
    )[0]
    assert (theirs == 0).sum() == 10
    assert np.abs(theirs - LINE).max() > 1


def test_shaps_exact_interactions_are_another_index(shap: Any, setting: Any) -> None:
    # Half of the Shapley-Taylor index of each pair (Sundararajan et al. 2020), with what is left on
    # the diagonal. For interactions of pairs only it is the Shapley interaction index.
    net, x, background = setting
    fill = background[:1]
    mask = torch.from_numpy(all_coalitions(PLAYERS))
    table = numeric(net)(torch.where(mask, x, fill))
    taylor = np.zeros((PLAYERS, PLAYERS))
    for i in range(PLAYERS):
        for j in range(i):
            bits = (1 << i) | (1 << j)
            for s in range(1 << PLAYERS):
                if not s & bits:
                    weight = 2 / PLAYERS / math.comb(PLAYERS - 1, s.bit_count())
                    both = table[s | bits] - table[s | 1 << i] - table[s | 1 << j] + table[s]
                    taylor[i, j] += weight * both
    masker = shap.maskers.Independent(fill.numpy())
    theirs = shap.explainers.ExactExplainer(numeric(net), masker)(x.numpy(), interactions=2)
    np.testing.assert_allclose(2 * np.tril(theirs.values[0], -1), taylor, atol=1e-10)
    square = nn.Sequential(toys.random_net(6, (PLAYERS, 3), nn.ReLU, 3.0), Squares())
    mine = explain(square, x, "shapley", 0, fill=fill, interactions=True).interaction.values[0]
    theirs = shap.explainers.ExactExplainer(numeric(square), masker)(x.numpy(), interactions=2)
    np.testing.assert_allclose(mine, 2 * off_diagonal(theirs.values[0]), atol=1e-10)


class Squares(nn.Module):
    """A sum of squares: of the second degree in its inputs."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return it as a column."""
        return (rows**2).sum(1, keepdim=True)


def off_diagonal(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix with zeros on its diagonal."""
    return matrix - np.diag(np.diag(matrix))


def test_captums_shapley_values(captum: Any, setting: Any) -> None:
    net, x, background = setting
    mine = explain(net, x, "shapley", 1, fill=background[:1]).to_numpy()[0]
    small = net.to(torch.float64)
    theirs = captum.ShapleyValues(small).attribute(x, baselines=background[:1], target=1)
    # It adds up in float32, whatever it is given.
    assert theirs.dtype == torch.float32
    np.testing.assert_allclose(mine, theirs.numpy()[0], atol=2e-4 * np.abs(mine).max())
    groups = torch.tensor([[0, 1, 0, 2, 2, 1]])
    theirs = captum.ShapleyValues(small).attribute(
        x, baselines=background[:1], target=1, feature_mask=groups
    )
    mine = explain(net, x, "shapley", 1, fill=background[:1], groups=groups[0].tolist()).to_numpy()[
        0
    ]
    firsts = [0, 1, 3]  # every unit has the value of its group there
    np.testing.assert_allclose(mine, theirs.numpy()[0, firsts], atol=2e-4 * np.abs(mine).max())


def test_captums_lime_fits_the_same_model(captum: Any, setting: Any) -> None:
    from captum._utils.models.linear_model import SkLearnLinearRegression

    net, x, background = setting
    masks = all_coalitions(PLAYERS)

    def each(_inputs: Any, **_: Any) -> Iterator[torch.Tensor]:
        yield from (torch.from_numpy(mask)[None].long() for mask in masks)

    def similarity(_x: Any, _moved: Any, mask: torch.Tensor, **_: Any) -> float:
        present = int(mask.sum())
        distance = 1 - math.sqrt(present / PLAYERS)
        return math.exp(-(distance**2) / 2 / 0.25**2) / math.comb(PLAYERS, present)

    lime = captum.Lime(
        net, interpretable_model=SkLearnLinearRegression(), similarity_func=similarity,
        perturb_func=each,
    )  # fmt: skip
    theirs = lime.attribute(x, baselines=background[:1], target=1, n_samples=len(masks))
    mine = explain(net, x, "lime", 1, fill=background[:1], samples=len(masks)).to_numpy()[0]
    # Its data set for the linear model is float32.
    np.testing.assert_allclose(mine, theirs.numpy()[0], atol=1e-5 * np.abs(mine).max())


def test_captums_kernel_shap_is_no_nearer_with_a_full_budget(captum: Any, setting: Any) -> None:
    # It draws with replacement, so as many samples as there are coalitions leave some out.
    net, x, background = setting
    mine = explain(net, x, "shapley", 1, fill=background[:1]).to_numpy()[0]
    torch.manual_seed(0)
    theirs = captum.KernelShap(net).attribute(
        x, baselines=background[:1], target=1, n_samples=2**PLAYERS - 2
    )
    assert np.abs(mine - theirs.numpy()[0]).max() > 1e-3 * np.abs(mine).max()
    np.testing.assert_allclose(mine, theirs.numpy()[0], atol=0.3 * np.abs(mine).max())
