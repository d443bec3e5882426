"""Attributions of hand-written networks, worked out by hand and written as literals.

The two-layer network is h1 = relu(x1 - x2), h2 = relu(2 x2 + x3 - 1), out0 = h1 + h2 + 1/2,
out1 = 2 h1 - h2, at x = (2, 1, 1): h = (1, 2), out = (7/2, 0).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from helpers import toys
from saliscope import Contrast, OptionError, explain
from saliscope.core.quadrature import fixed_rule
from saliscope.methods.integrated_gradients import RULES

X = torch.tensor([toys.TWO_LAYER_INPUT], dtype=torch.float64)
THIRD = 1 / 3

LITERALS: list[tuple[str, dict[str, Any], list[float], list[float]]] = [
    # method, options, map of output 0, map of output 1
    ("gradient", {}, [1, 1, 1], [2, -4, -1]),
    ("gradient", {"absolute": True}, [1, 1, 1], [2, 4, 1]),
    ("gradient", {"reduce": "norm"}, [1, 1, 1], [2, 4, 1]),
    ("input_x_gradient", {}, [2, 1, 1], [4, -4, -1]),
    # h2 is on for alpha > 1/3, two thirds of the way.
    ("integrated_gradients", {"tolerance": 1e-4}, [2, THIRD, 2 * THIRD], [4, -10 / 3, -2 / 3]),
    ("integrated_gradients", {"steps": 3, "rule": "midpoint"},
     [2, THIRD, 2 * THIRD], [4, -10 / 3, -2 / 3]),
    # Nodes 0, 1/2, 1 with weights 1/4, 1/2, 1/4; both units are off at 0.
    ("integrated_gradients", {"steps": 3, "rule": "trapezoid"},
     [1.5, 0.75, 0.75], [3, -3, -0.75]),
    # Nodes 0.211 and 0.789 with weights 1/2: h2 is on at the second only.
    ("integrated_gradients", {"steps": 2, "rule": "gauss_legendre"}, [2, 0, 0.5], [4, -3, -0.5]),
    ("integrated_gradients", {"steps": 2}, [2, 0, 0.5], [4, -3, -0.5]),
    ("masking", {}, [1, 1, 1], [2, -4, -1]),
    # Without x1 and x3: (0, 1, 0), h = (0, 1), out = (3/2, -1).
    ("masking", {"groups": [0, 1, 0]}, [2, 1], [1, -4]),
    ("masking", {"groups": [-1, 5, 2]}, [1, 1], [-1, -4]),
    ("occlusion", {}, [1, 1, 1], [2, -4, -1]),
    # Windows {1, 2}: (0, 0, 1) and {2, 3}: (2, 0, 0); the middle unit is the mean of both.
    ("occlusion", {"window": 2}, [3, 2, 1], [0, -2, -4]),
    ("occlusion", {"window": 2, "stride": 2}, [3, 2, 1], [0, -2, -4]),
    ("occlusion", {"window": 3}, [3, 3, 3], [0, 0, 0]),
]  # fmt: skip


def exact(options: dict[str, Any]) -> float:
    """Return how near to the literal a result must be."""
    return 1e-4 if "tolerance" in options else 1e-12


@pytest.mark.parametrize(("method", "options", "first", "second"), LITERALS)
def test_hand_computed_values(
    method: str, options: dict[str, Any], first: list[float], second: list[float]
) -> None:
    for target, wanted in enumerate((first, second)):
        a = explain(toys.two_layer(), X, method=method, target=target, **options)
        np.testing.assert_allclose(a.to_numpy()[0], wanted, atol=exact(options) * 10, rtol=0)
        assert float(a.score[0]) == pytest.approx([3.5, 0.0][target], abs=1e-12)


@pytest.mark.parametrize(("method", "options", "first", "second"), LITERALS)
def test_several_targets_at_once_equal_each_alone(
    method: str, options: dict[str, Any], first: list[float], second: list[float]
) -> None:
    a = explain(toys.two_layer(), X, method=method, target=[1, 0], **options)
    assert a.values.dims[:2] == ("target", "example")
    assert a.target == ["1", "0"]
    np.testing.assert_allclose(
        a.to_numpy()[:, 0], [second, first], atol=exact(options) * 10, rtol=0
    )


SIGNED = [row for row in LITERALS if row[1].get("reduce") is None and "absolute" not in row[1]]


@pytest.mark.parametrize(("method", "options", "first", "second"), SIGNED)
@pytest.mark.parametrize("target", [(0, 1), Contrast(0, 1), Contrast("0", "1")])
def test_a_contrast_is_the_difference_of_two_maps(
    method: str, options: dict[str, Any], first: list[float], second: list[float], target: object
) -> None:
    a = explain(toys.two_layer(), X, method=method, target=target, **options)
    wanted = np.subtract(first, second)
    np.testing.assert_allclose(a.to_numpy()[0], wanted, atol=exact(options) * 20, rtol=0)
    assert a.target == "0 vs 1"
    assert float(a.score[0]) == pytest.approx(3.5)


@pytest.mark.parametrize("kind", ["tensor", "tuple", "list", "dict", "named", "object"])
@pytest.mark.parametrize("method", ["gradient", "integrated_gradients", "occlusion"])
def test_outputs_in_a_container_are_read(kind: str, method: str) -> None:
    net = toys.Wrapped(toys.two_layer(), kind)
    a = explain(net, X, method=method, target=0)
    b = explain(toys.two_layer(), X, method=method, target=0)
    np.testing.assert_array_equal(a.to_numpy(), b.to_numpy())


@pytest.mark.parametrize("kind", ["tuple", "dict", "named", "object"])
def test_a_function_of_the_output_sees_the_container(kind: str) -> None:
    def second(out: Any) -> torch.Tensor:
        part = out["logits"] if kind == "dict" else out[0] if kind != "object" else out.logits
        return part[:, 1]

    a = explain(
        toys.Wrapped(toys.two_layer(), kind), X.repeat(3, 1), method="masking", target=second
    )
    assert a.target == "second"
    np.testing.assert_allclose(a.to_numpy(), [[2, -4, -1]] * 3, atol=1e-12)


def test_windows_on_an_image_are_averaged_by_hand() -> None:
    net = nn.Sequential(nn.Flatten(), toys.linear([[1, 2, 3, 4, 5, 6]]))
    image = torch.ones(1, 3, 2, dtype=torch.float64)
    tall = explain(net, image, method="occlusion", window=(2, 1), stride=(1, 1), target=0)
    # Columns (1, 3, 5) and (2, 4, 6): windows hold 4, 8 and 6, 10.
    np.testing.assert_allclose(tall.to_numpy()[0], [[4, 6], [6, 8], [8, 10]])
    whole = explain(net, image, method="occlusion", window=2, stride=1, target=0)
    # Rows 1-2 hold 10, rows 2-3 hold 18.
    np.testing.assert_allclose(whole.to_numpy()[0], [[10, 10], [14, 14], [18, 18]])


def test_the_last_window_is_flush_with_the_end() -> None:
    net = toys.linear([[1, 2, 3, 4, 5]])
    a = explain(net, torch.ones(1, 5).double(), method="occlusion", window=2, stride=2, target=0)
    # Windows at 0, 2 and 3: sums 3, 7 and 9; the fourth unit lies in two.
    np.testing.assert_allclose(a.to_numpy()[0], [3, 3, 7, 8, 9])


def test_a_fill_and_a_baseline_of_ones() -> None:
    net = toys.linear([[1, -2, 3]], [4])
    x = torch.tensor([[3.0, 5.0, 1.0]]).double()
    masked = explain(net, x, method="masking", fill=1.0, target=0)
    np.testing.assert_allclose(masked.to_numpy()[0], [2, -8, 0])
    path = explain(net, x, method="ig", baseline=torch.ones(3), target=0)
    np.testing.assert_allclose(path.to_numpy()[0], [2, -8, 0], atol=1e-12)
    assert float(path.baseline_score[0]) == 6.0
    assert float(path.gap[0]) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("steps", [2, 3, 7, 16])
def test_rules_sum_to_one_and_are_exact_on_linear_models(rule: str, steps: int) -> None:
    nodes, weights = fixed_rule(rule, steps)
    assert len(nodes) == len(weights) == steps
    assert weights.sum() == pytest.approx(1, abs=1e-15)
    assert (np.diff(nodes) > 0).all()
    assert nodes.min() >= 0
    assert nodes.max() <= 1
    net = toys.linear([[1, -2, 3], [0, 1, 0]], [4, 1])
    x = torch.tensor([[3.0, 5.0, -1.0]]).double()
    a = explain(net, x, method="ig", steps=steps, rule=rule, target=0)
    np.testing.assert_allclose(a.to_numpy()[0], [3, -10, -3], rtol=1e-14)
    assert a.provenance["notes"] == {"rule": rule, "nodes": steps}


def test_midpoint_with_one_step_is_the_slope_at_half_way() -> None:
    a = explain(toys.two_layer(), X, method="ig", steps=1, rule="midpoint", target=0)
    np.testing.assert_allclose(a.to_numpy()[0], [2, 1, 1])


def test_every_element_of_a_batch_is_its_own_example() -> None:
    rows = torch.cat([X, torch.zeros_like(X), X * 2])
    a = explain(toys.two_layer(), rows, method="gradient", target=0)
    np.testing.assert_allclose(a.to_numpy(), [[1, 1, 1], [0, 0, 0], [1, 1, 1]])
    assert a.values.dims == ("example", "dim_1")


def test_the_predicted_class_is_explained_and_named() -> None:
    net = toys.linear([[1, 0], [0, 1]])
    a = explain(net, torch.tensor([[2.0, 1.0]]).double(), method="masking")
    assert a.target == "0"
    both = explain(net, torch.tensor([[2.0, 1.0], [0.0, 3.0]]).double(), method="masking")
    assert both.target == "predicted class"
    assert both.data["class"].values.tolist() == ["0", "1"]
    np.testing.assert_allclose(both.to_numpy(), [[2, 0], [0, 3]])


def test_probability_drops_of_words_are_differences_of_softmax(text: Any) -> None:
    a = explain(text, "good film", method="masking", target="positive")
    whole = _softmax(text, "good film")
    expected = [whole - _softmax(text, "[MASK] film"), whole - _softmax(text, "good [MASK]")]
    np.testing.assert_allclose(a.data["probability_drop"].values, expected, atol=1e-12)


def _softmax(text: Any, words: str) -> float:
    with torch.no_grad():
        logits = text.module(**text.tokenizer(words, return_tensors="pt")).logits
    return float(logits.softmax(-1)[0, text.labels.index("positive")])


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("occlusion", {"window": 0}, "window"),
        ("occlusion", {"window": 4}, "longer than the input"),
        ("occlusion", {"window": -1}, "window"),
        ("occlusion", {"window": (1, 1)}, "axes"),
        ("occlusion", {"window": 1.5}, "whole numbers"),
        ("occlusion", {"window": 1, "stride": 2}, "skipped"),
        ("occlusion", {"window": True}, "whole numbers"),
        ("integrated_gradients", {"steps": 0}, "too few"),
        ("integrated_gradients", {"steps": 1, "rule": "trapezoid"}, "too few"),
        ("integrated_gradients", {"rule": "midpoint"}, "needs steps"),
        ("integrated_gradients", {"steps": 4, "rule": "simpson"}, "simpson"),
        ("gradient", {"reduce": "max"}, "max"),
        ("masking", {"groups": "word"}, "word"),
        ("masking", {"groups": [0, 1]}, "shape"),
        ("masking", {"groups": [-1, -1, -1]}, "groups"),
        ("masking", {"groups": [0.5, 1.0, 2.0]}, "whole number"),
        ("masking", {"group": "word"}, "groups"),
        ("gradient", {"window": 2}, "no option"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    method: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        explain(toys.two_layer(), X, method=method, target=0, **options)
    assert "\n" not in str(caught.value)
