"""Adaptive integrated gradients: the error that it reports, and when it stops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from helpers import toys
from saliscope import Class, explain
from saliscope.methods.integrated_gradients import MAX_EVALUATIONS

ACTIVATIONS = (nn.ReLU, nn.GELU, nn.Tanh)
SIZES = ((10, 16, 3), (10, 16, 16, 3), (6, 32, 32, 2), (20, 8, 8, 4), (4, 64, 2))
NETWORKS, EACH = 40, 5  # 200 cases
NODES = 6_000


def case(seed: int) -> tuple[nn.Sequential, torch.Tensor, torch.Tensor]:
    """Return a random network with scaled weights, an input and a baseline."""
    sizes, activation = SIZES[seed % len(SIZES)], ACTIVATIONS[seed % len(ACTIVATIONS)]
    net = toys.random_net(seed, sizes, activation, scale=(2.0, 4.0, 6.0)[seed // 15 % 3])
    generator = torch.Generator().manual_seed(1000 + seed)
    x, b = torch.randn(2, sizes[0], generator=generator, dtype=torch.float64)
    return net, x, b


def truth(net: nn.Module, x: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    """Return the integral for output 0 by a dense midpoint rule, all nodes at once."""
    nodes = (torch.arange(NODES, dtype=torch.float64) + 0.5) / NODES
    points = (b + nodes[:, None] * (x - b)).requires_grad_()
    (slopes,) = torch.autograd.grad(net(points)[:, 0].sum(), points)
    return (slopes.mean(0) * (x - b)).detach().numpy()


def test_the_reported_error_is_calibrated_on_200_cases() -> None:
    reported, true = [], []
    for seed in range(NETWORKS):
        net, x, b = case(seed)
        generator = torch.Generator().manual_seed(2000 + seed)
        rows = torch.cat([x[None], torch.randn(EACH - 1, len(x), generator=generator).double()])
        a = explain(net, rows, "integrated_gradients", 0, baseline=b)
        assert a.evaluations <= MAX_EVALUATIONS * EACH
        values, change = a.to_numpy(), (a.score - a.baseline_score).values
        scale = np.maximum(np.abs(change), np.abs(values).sum(1))
        # The gap is what it says, and never above the error.
        np.testing.assert_allclose(a.gap.values, values.sum(1) - change, atol=1e-12)
        assert (np.abs(a.gap.values) / scale <= a.error.values + 1e-12).all()
        assert "evaluation_cap" in a.health or (a.error.values <= 0.01).all()
        exact = np.stack([truth(net, row, b) for row in rows])
        reported += a.error.values.tolist()
        true += (np.abs(values - exact).sum(1) / scale).tolist()
    assert len(true) == 200
    assert np.mean(np.array(true) <= reported) >= 0.95
    assert np.median(np.array(reported) / np.maximum(true, 1e-15)) <= 10


@pytest.mark.parametrize("tolerance", [0.1, 0.01, 1e-3, 1e-4])
@pytest.mark.parametrize("seed", [1, 2, 4, 5])
def test_a_finer_tolerance_is_honored_on_smooth_networks(tolerance: float, seed: int) -> None:
    net, x, b = case(seed)
    a = explain(net, x[None], "ig", 0, baseline=b, tolerance=tolerance)
    assert float(a.error[0]) <= tolerance
    true = np.abs(a.to_numpy()[0] - truth(net, x, b)).sum()
    scale = max(abs(float(a.score[0] - a.baseline_score[0])), np.abs(a.to_numpy()).sum())
    assert true / scale <= tolerance
    assert a.provenance["tolerance"] == tolerance


def test_a_finer_tolerance_costs_more() -> None:
    net, x, b = case(0)
    costs = [
        explain(net, x[None], "ig", 0, baseline=b, tolerance=t).evaluations
        for t in (0.2, 0.02, 0.002)
    ]
    assert costs[0] < costs[1] < costs[2]


@pytest.mark.parametrize("most", [5, 6, 9, 12, 21, 40])
def test_the_cap_is_never_passed_and_is_told(most: int) -> None:
    net, x, b = case(3)
    a = explain(net, x[None], "ig", 0, baseline=b, tolerance=1e-9, max_evaluations=most)
    assert a.evaluations <= most
    (found,) = [f for f in a.health if f.code == "evaluation_cap"]
    assert found.severity == "error"
    assert found.facts["evaluations"] == a.evaluations
    assert found.facts["error"] == pytest.approx(float(a.error[0]))
    assert not a.health.ok


def test_several_targets_all_meet_the_tolerance() -> None:
    net, x, b = case(1)
    a = explain(net, x[None], "ig", [0, 1, 2], baseline=b, tolerance=0.005)
    assert (a.error.values <= 0.005).all()
    assert a.error.dims == ("target", "example")
    alone = explain(net, x[None], "ig", 0, baseline=b, tolerance=0.005)
    scale = np.abs(alone.to_numpy()).sum()
    assert np.abs(a.to_numpy()[0] - alone.to_numpy()).sum() / scale <= 0.01


def test_each_example_stops_by_itself() -> None:
    net, x, b = case(0)
    rows = torch.stack([x, b, b + 1e-6 * (x - b)])
    a = explain(net, rows, "ig", 0, baseline=b)
    alone = [explain(net, row[None], "ig", 0, baseline=b) for row in rows]
    assert a.evaluations == sum(one.evaluations for one in alone)
    np.testing.assert_allclose(a.to_numpy(), [o.to_numpy()[0] for o in alone], atol=1e-12)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("options", [{}, {"steps": 4}])
def test_numbers_that_are_not_finite_are_a_finding(number: float, options: dict[str, Any]) -> None:
    net, x, b = case(0)
    a = explain(toys.Broken(net, number), x[None], "ig", 0, baseline=b, **options)
    assert "non_finite" in a.health
    assert not a.health.ok
    assert a.error is None or not np.isfinite(float(a.error[0]))


@pytest.mark.parametrize("method", ["gradient", "input_x_gradient", "occlusion", "masking", "ig"])
def test_every_method_tells_of_nan(method: str) -> None:
    net, x, _ = case(0)
    a = explain(toys.Broken(net, float("nan")), x[None], method, 0)
    assert "non_finite" in a.health


def test_an_input_that_equals_its_baseline_has_a_zero_map() -> None:
    net, x, _ = case(0)
    a = explain(net, x[None], "ig", 0, baseline=x)
    assert (a.to_numpy() == 0).all()
    assert float(a.error[0]) == 0
    assert float(a.gap[0]) == pytest.approx(0, abs=1e-14)
    assert "input_equals_baseline" in a.health
    assert a.evaluations == 9


@pytest.mark.parametrize("method", ["ig", "gradient", "masking", "occlusion"])
def test_a_target_that_never_changes_is_flat(method: str) -> None:
    net, x, _ = case(0)
    a = explain(toys.Broken(net, 0.0), x[None], method, 0)
    assert (a.to_numpy() == 0).all()
    assert "flat" in a.health


def test_a_protein_of_the_baseline_itself_is_told(protein: Any) -> None:
    a = explain(protein, "AAAA", "ig", baseline="A")
    assert "input_equals_baseline" in a.health


def test_fixed_rules_with_a_gap_say_so() -> None:
    net, x, b = case(0)
    a = explain(net, x[None], "ig", 0, baseline=b, steps=1, rule="midpoint")
    (found,) = [f for f in a.health if f.code == "gap_over_tolerance"]
    scale = max(abs(float(a.score[0] - a.baseline_score[0])), np.abs(a.to_numpy()).sum())
    assert found.facts["gap"] == pytest.approx(abs(float(a.gap[0])) / scale)


@pytest.mark.parametrize(("bias", "told"), [(8.0, True), (1.0, False)])
def test_a_confident_baseline_is_told(bias: float, told: bool) -> None:
    net = toys.linear([[0.0, 1.0], [0.0, 0.0]], [bias, 0.0])
    a = explain(net, torch.ones(1, 2).double(), "ig", Class(0, scale="logit"))
    assert ("confident_baseline" in a.health) == told


def test_a_relu_path_needs_no_more_nodes_than_its_kinks_ask() -> None:
    net = toys.linear([[1.0, 2.0]])
    a = explain(net, torch.ones(1, 2).double(), "ig", 0)
    assert a.evaluations == 9
    np.testing.assert_allclose(a.to_numpy()[0], [1, 2], rtol=1e-15)
