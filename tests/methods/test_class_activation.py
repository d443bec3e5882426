"""Class activation maps: by hand, against slow references from the papers, and where they mislead.

The toy image has one channel and three pixels (0, 1, 2). Its layer holds two features,
A1 = x and A2 = relu(2 - x): A1 = (0, 1, 2), A2 = (2, 1, 0). The head weights every position of
every feature by hand, so that slopes differ between positions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from helpers import toys
from helpers.features import FIRST, METHODS, SECOND, X, toy
from saliscope import OptionError, RefusedError, explain
from saliscope.core.registry import get_method
from saliscope.show.report import html

# Score-CAM of the first output: masks (0, 1/2, 1) and (1, 1/2, 0) give the inputs (0, 1/2, 2) and
# (0, 1/2, 0), with scores 2 + 3/2 = 7/2 and 2 + 3/2 - 10 = -13/2.
W = 1 / (1 + math.exp(-10.0))
# Of the second: -1/2 - 2 = -5/2 and -1/2 - 6 = -13/2.
V = 1 / (1 + math.exp(-4.0))

LITERALS: list[tuple[str, dict[str, Any], list[float], list[float]]] = [
    # Mean slopes 1 and -1; -2/3 and -1.
    ("grad_cam", {}, [0, 0, 2], [0, 0, 0]),
    ("grad_cam", {"absolute": False}, [-2, 0, 2], [-2, -5 / 3, -4 / 3]),
    ("grad_cam", {"absolute": True}, [2, 0, 2], [2, 5 / 3, 4 / 3]),
    # 3 / (2 + 3 * 3) and twice 1 / (2 + 3); nothing rises for the second.
    ("grad_cam_plus_plus", {}, [4 / 5, 3 / 11 + 2 / 5, 6 / 11], [0, 0, 0]),
    ("layer_cam", {}, [2, 1, 0], [0, 0, 0]),
    ("score_cam", {}, [2 - 2 * W, 1, 2 * W], [2 - 2 * V, 1, 2 * V]),
]


@pytest.mark.parametrize(("method", "options", "first", "second"), LITERALS)
def test_hand_computed_maps(
    method: str, options: dict[str, Any], first: list[float], second: list[float]
) -> None:
    both = explain(toy(FIRST, SECOND), X, method, [1, 0], **options)
    assert both.values.dims == ("target", "example", "dim_2", "dim_3")
    np.testing.assert_allclose(both.to_numpy()[:, 0, 0], [second, first], rtol=0, atol=1e-12)
    for target, wanted in enumerate((first, second)):
        a = explain(toy(FIRST, SECOND), X, method, target, **options)
        assert a.values.dims == ("example", "dim_2", "dim_3")
        np.testing.assert_allclose(a.to_numpy()[0, 0], wanted, rtol=0, atol=1e-12)
        assert float(a.score[0]) == [3.0, -3.0][target]
        assert a.signed == (options.get("absolute") is False)


# -- the papers, slowly --------------------------------------------------------------------------


def inside(net: nn.Module, layer: str, x: torch.Tensor, target: int) -> tuple[Any, Any]:
    """Return features and slopes at a layer, of a plain pass with its whole graph."""
    kept = []

    def keep(_part: nn.Module, _given: Any, output: torch.Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    handle = net.get_submodule(layer).register_forward_hook(keep)
    net(x[None].clone().requires_grad_())[0, target].backward()
    handle.remove()
    return kept[0][0].detach().numpy(), kept[0].grad[0].numpy()


def by_the_paper(
    method: str, net: nn.Module, layer: str, x: torch.Tensor, target: int
) -> np.ndarray:
    """Return the map on the grid, position by position and feature by feature."""
    features, slopes = inside(net, layer, x, target)
    total = np.zeros(features.shape[1:])
    positions = list(np.ndindex(total.shape))
    if method == "score_cam":
        scores, kept = [], []
        for feature in features:
            up = interpolate(
                torch.from_numpy(feature)[None, None], size=x.shape[1:], mode="bilinear"
            )
            if up.max() > up.min():
                mask = (up - up.min()) / (up.max() - up.min())
                scores.append(float(net(x[None] * mask)[0, target].detach()))
                kept.append(feature)
        weights = np.exp(np.array(scores) - max(scores))
        for weight, feature in zip(weights / weights.sum(), kept, strict=True):
            total += weight * feature
        return np.maximum(total, 0)
    for feature, slope in zip(features, slopes, strict=True):
        if method == "grad_cam":  # Selvaraju et al. 2017, equations 1 and 2
            weight = sum(slope[p] for p in positions) / len(positions)
        elif method == "grad_cam_plus_plus":  # Chattopadhay et al. 2018, equations 7 and 19
            weight, whole = 0.0, sum(feature[p] for p in positions)
            for p in positions:
                below = 2 * slope[p] ** 2 + whole * slope[p] ** 3
                alpha = slope[p] ** 2 / below if below != 0 else 0.0
                weight += alpha * max(0.0, slope[p])
        for p in positions:  # Jiang et al. 2021: a weight of each position
            total[p] += (max(0.0, slope[p]) if method == "layer_cam" else weight) * feature[p]
    return np.maximum(total, 0)


class Deep(nn.Module):
    """Two convolutions, and a head with weights of its own for every position."""

    def __init__(self) -> None:
        super().__init__()
        self.early = nn.Conv2d(2, 4, 3, padding=1)
        self.late = nn.Conv2d(4, 5, 3, stride=2, padding=1)
        self.head = nn.Linear(5 * 4 * 3, 3)
        generator = torch.Generator().manual_seed(5)
        for parameter in self.parameters():
            parameter.data.uniform_(-0.5, 0.6, generator=generator)
        self.double().eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return three logits of images of 7 x 6."""
        inner = torch.relu(self.late(torch.relu(self.early(x))))
        logits: torch.Tensor = self.head(torch.tanh(inner).flatten(1))
        return logits


IMAGES = torch.randn(3, 2, 7, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("layer", ["early", "late"])
def test_it_is_what_the_paper_says(method: str, layer: str) -> None:
    # The last module with a grid is `late`, before its ReLU: features may be negative.
    net = Deep()
    grid = explain(net, IMAGES, method, [0, 1, 2], layer=layer, upsample=False)
    whole = explain(net, IMAGES, method, [0, 1, 2], layer=layer)
    assert whole.to_numpy().shape == (3, 3, 7, 6)
    for target in range(3):
        for i, x in enumerate(IMAGES):
            wanted = by_the_paper(method, net, layer, x, target)
            got = grid.to_numpy()[target, i]
            np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-10 * max(1, wanted.max()))
            up = interpolate(torch.from_numpy(wanted)[None, None], size=(7, 6), mode="bilinear")
            np.testing.assert_allclose(
                whole.to_numpy()[target, i], up[0, 0], rtol=0, atol=1e-10 * max(1, wanted.max())
            )


def test_small_slopes_are_not_lost() -> None:
    # With squares and cubes of slopes of 1e-200, alpha would be 0/0; it is nearly 1/2.
    net = toy([1e-200] * 6)
    a = explain(net, X, "grad_cam_plus_plus", 0)
    np.testing.assert_allclose(a.to_numpy()[0, 0], [3e-200] * 3, rtol=1e-12)


def test_the_predicted_class_of_each_example() -> None:
    rows = torch.cat([X, 2 - X * 4])
    a = explain(toy((1, 1, 1, 0, 0, 0), (0, 0, 0, 1, 1, 1)), rows, "grad_cam")
    assert a.target == "predicted class"
    assert a.data["class"].values.tolist() == ["0", "1"]


# -- what is told --------------------------------------------------------------------------------


def test_layer_and_grid_are_told(tmp_path: Any) -> None:
    a = explain(Deep(), IMAGES[:1], "grad_cam", 0)
    assert a.provenance["layer"] == {
        "name": "late", "inferred": True, "grid": [4, 3], "features": 5, "tokens_left_out": 0,
    }  # fmt: skip
    assert a.layer == "late, grid 4 x 3 (inferred)"
    assert "layer        late, grid 4 x 3 (inferred)" in repr(a)
    assert "late, grid 4 x 3 (inferred)" in html([a])
    assert "grid of 4 x 3" in str([f.sentence for f in a.health])
    named = explain(Deep(), IMAGES[:1], "grad_cam", 0, layer="early")
    assert named.layer == "early, grid 7 x 6"
    assert "coarse_grid" not in named.health
    assert explain(Deep(), IMAGES[:1], "gradient", 0).layer == ""
    cells = explain(Deep(), IMAGES[:1], "grad_cam", 0, upsample=False)
    assert cells.values["dim_2"].values.tolist() == [0.375, 2.125, 3.875, 5.625]
    assert cells.values["dim_3"].values.tolist() == [0.5, 2.5, 4.5]
    assert "coarse_grid" not in cells.health


def test_evidence_against_the_target_alone_gives_zero_and_says_why() -> None:
    a = explain(toy(SECOND), X, "grad_cam", 0)
    assert not a.to_numpy().any()
    assert "nothing_positive" in a.health
    assert "flat" not in a.health
    assert "nothing_positive" not in explain(toy(SECOND), X, "grad_cam", 0, absolute=False).health


def test_a_layer_without_a_slope_is_told() -> None:
    net = nn.ModuleDict({"used": toy(FIRST), "unused": nn.Conv2d(1, 1, 1).double()})

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.parts["unused"](x)
            logits: torch.Tensor = self.parts["used"](x)
            return logits

    a = explain(Net(), X, "grad_cam", 0, layer="parts.unused")
    assert "no_slope" in a.health
    assert "flat" not in a.health
    assert explain(Net(), X, "grad_cam", 0).provenance["layer"]["name"] == "parts.used.1"


def test_negative_features_are_told_where_weights_are_not_meant_for_them() -> None:
    net = toy((3, 0, 0, 0, 0, 0))
    net[1] = nn.Identity()
    a = explain(net, -X, "grad_cam_plus_plus", 0, layer="0")  # sum -3: 3 / (2 - 9)
    np.testing.assert_allclose(
        explain(net, -X, "grad_cam_plus_plus", 0, layer="0", absolute=False).to_numpy()[0, 0],
        [0, 3 / 7, 6 / 7],
    )
    assert "negative_activations" in a.health
    assert "negative_activations" not in explain(net, X, "grad_cam_plus_plus", 0, layer="0").health


@pytest.mark.parametrize(
    ("name", "method"),
    [("GradCAM", "grad_cam"), ("gradcam", "grad_cam"), ("LayerGradCam", "grad_cam"),
     ("GradCAM++", "grad_cam_plus_plus"), ("grad-cam++", "grad_cam_plus_plus"),
     ("GradCAMPlusPlus", "grad_cam_plus_plus"), ("LayerCAM", "layer_cam"),
     ("ScoreCAM", "score_cam"), ("Score-CAM", "score_cam")],
)  # fmt: skip
def test_the_words_of_others(name: str, method: str) -> None:
    assert get_method(name).name == method


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_model_without_a_grid_is_refused_in_one_line(method: str) -> None:
    x = torch.tensor([toys.TWO_LAYER_INPUT]).double()
    with pytest.raises(RefusedError, match="no layers with a grid of positions") as caught:
        explain(toys.two_layer(), x, method, 0)
    assert "\n" not in str(caught.value)
    assert "occlusion" in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("layer", "does not exist in Deep: did you mean 'late'"),
        ("head", r"gives \(1, 3\) for one input, which is no grid.* such as 'late'"),
        (nn.ReLU(), "layer= is a ReLU; give the name of a module"),
    ],
)
def test_layers_that_are_none_are_refused(layer: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        explain(Deep(), IMAGES[:1], "grad_cam", 0, layer=layer)
    assert "\n" not in str(caught.value)


def test_other_words_are_refused() -> None:
    with pytest.raises(OptionError, match="no option 'layers': did you mean 'layer'"):
        explain(Deep(), IMAGES[:1], "grad_cam", 0, layers="late")
    with pytest.raises(OptionError, match="does not use baseline=; it takes layer"):
        explain(Deep(), IMAGES[:1], "grad_cam", 0, baseline=0.0)


class Reshaped(nn.Module):
    """A vector of nine numbers that the model itself makes an image of."""

    def __init__(self) -> None:
        super().__init__()
        self.net = toy([1.0] * 18)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one output."""
        out: torch.Tensor = self.net(x.reshape(len(x), 1, 3, 3))
        return out


def test_a_grid_along_no_axis_of_the_input_is_given_as_it_is_or_refused() -> None:
    x = torch.arange(9.0).double()[None]
    a = explain(Reshaped(), x, "grad_cam", 0, upsample=False)
    assert a.values.dims == ("example", "grid_1", "grid_2")
    np.testing.assert_allclose(a.to_numpy()[0, 0], [2, 2, 2])
    for method, options in (("grad_cam", {}), ("score_cam", {"upsample": False})):
        with pytest.raises(OptionError, match=r"grid .*3 x 3.* along no axes of the input"):
            explain(Reshaped(), x, method, 0, **options)


# -- Score-CAM -----------------------------------------------------------------------------------


def test_features_that_mask_nothing_cost_nothing_and_weigh_nothing() -> None:
    net = toy((0, 0, 1, 0, 0, 0, 0, 0, 0), features=((1, 0), (0, 3), (0, -1)))
    a = explain(net, X, "score_cam", 0)
    np.testing.assert_allclose(a.to_numpy()[0, 0], [0, 1, 2])
    assert a.provenance["notes"] == {"masks": 1, "fill": "zero"}
    assert a.evaluations == 2
    still = explain(net, torch.ones_like(X), "score_cam", 0)
    assert not still.to_numpy().any()
    assert still.evaluations == 1


def test_masked_inputs_lie_between_the_input_and_the_fill() -> None:
    # Masks (0, 1/2, 1) and (1, 1/2, 0) from ones: (1, 1, 2) and (0, 1, 1); the head reads x1 + x3.
    net = toy((1, 0, 1, 0, 0, 0))
    a = explain(net, X, "score_cam", 0, fill=1.0)
    w = 1 / (1 + math.exp(1 - 3))
    np.testing.assert_allclose(a.to_numpy()[0, 0], [2 - 2 * w, 1, 2 * w], atol=1e-12)
    assert a.provenance["fill"] == "given"


# -- where each misleads -------------------------------------------------------------------------


def test_grad_cam_misleads_where_a_feature_counts_at_one_place_only() -> None:
    net, x = toy((1, 0, 0), features=((1, 0),)), torch.ones_like(X)
    np.testing.assert_allclose(explain(net, x, "grad_cam", 0).to_numpy()[0, 0], [1 / 3] * 3)
    np.testing.assert_allclose(explain(net, x, "occlusion", 0).to_numpy()[0, 0, 0], [1, 0, 0])


def test_grad_cam_plus_plus_misleads_on_evidence_against_the_target() -> None:
    # The second pixel lowers the score by 5, and is drawn as brightly as the first, which raises
    # it by 1.
    net, x = toy((1, -5, 0), features=((1, 0),)), torch.ones_like(X)
    got = explain(net, x, "grad_cam_plus_plus", 0, absolute=False).to_numpy()[0, 0]
    np.testing.assert_allclose(got, [1 / 5] * 3)
    np.testing.assert_allclose(explain(net, x, "occlusion", 0).to_numpy()[0, 0, 0], [1, -5, 0])


def test_layer_cam_misleads_where_features_cancel_each_other() -> None:
    net, x = toy((1, 0, 0, -1, 0, 0), features=((1, 0), (1, 0))), torch.ones_like(X)
    np.testing.assert_allclose(explain(net, x, "layer_cam", 0).to_numpy()[0, 0], [1, 0, 0])
    np.testing.assert_allclose(explain(net, x, "occlusion", 0).to_numpy()[0, 0, 0], [0, 0, 0])


def test_score_cam_misleads_where_scores_lie_close_together() -> None:
    # One output reads the first pixel, the other the last: the maps differ by less than a percent.
    net = toy((0.01, 0, 0, 0, 0, 0), (0, 0, 0.01, 0, 0, 0))
    first, second = explain(net, X + 0.5, "score_cam", [0, 1]).to_numpy()[:, 0, 0]
    assert np.abs(first - second).max() < 0.02 * first.max()
    drops = explain(net, X + 0.5, "occlusion", [0, 1]).to_numpy()[:, 0, 0, 0]
    np.testing.assert_allclose(drops, [[0.005, 0, 0], [0, 0, 0.025]], atol=1e-12)


@pytest.mark.parametrize(("places", "told"), [(4, True), (5, False)])
def test_slopes_in_few_places_are_told_where_one_weight_is_for_all(places: int, told: bool) -> None:
    head = [1.0] * places + [0.0] * (20 - places)  # a share of 20 % and of 25 %
    net = toy(head, head, features=((1, 0),), width=20)
    given = torch.ones(1, 1, 1, 20, dtype=torch.float64)
    for method, may in (("grad_cam", True), ("grad_cam_plus_plus", True), ("layer_cam", False)):
        found = explain(net, given, method, 0, layer="1").health
        assert ("slope_in_few_places" in found) == (told and may)
