"""Image classifiers: what the module is given, in which space, with which fills, and from where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from transformers import (
    ConvNextConfig,
    ConvNextForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.mobilenet_v2.image_processing_pil_mobilenet_v2 import (
    MobileNetV2ImageProcessorPil,
)
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

import saliscope
from helpers import toys
from helpers.cases import general
from saliscope import InputError, ModelError, OptionError, explain
from saliscope.core.model import Piece
from saliscope.core.perturbation import Perturbation
from saliscope.core.registry import methods
from saliscope.models.vision.classifier import ImageModel, image_model
from saliscope.models.vision.images import read_image
from saliscope.models.vision.preparing import Preparation, prepared_as

NOISE = np.random.default_rng(0).integers(0, 256, (31, 47, 3), dtype=np.uint8)
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)


class Sees(nn.Module):
    """Keeps what it is given; the outputs are the mean of each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = torch.empty(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one logit per channel."""
        self.seen = x.detach()
        return x.mean((2, 3))


def vit(labels: int = 3) -> ViTForImageClassification:
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        image_size=32, patch_size=8, num_labels=labels,
    )  # fmt: skip
    config.id2label = {i: f"kind {i}" for i in range(labels)}
    return ViTForImageClassification(config).eval()


def shown(model: ImageModel, raw: Any) -> torch.Tensor:
    """Return what the module is given for an unperturbed picture."""
    (sample,) = model.prepare(raw)
    piece = Piece(sample, Perturbation.identity(sample.units), np.array([0]))
    with torch.no_grad():
        model.forward(model.realize([piece]), {"classes"}, gradients=False)
    seen: torch.Tensor = model.module.seen
    return seen[0]


# -- what the module is given ------------------------------------------------------------------


def test_the_module_is_given_normalized_channels_first() -> None:
    model = image_model(Sees(), mean=MEAN, std=STD)
    pixels = torch.from_numpy(NOISE).permute(2, 0, 1) / 255
    wanted = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    assert torch.equal(shown(model, NOISE), wanted)
    turned = image_model(Sees(), mean=MEAN, std=STD, channels="BGR")
    other = (pixels.flip(0) - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    assert torch.equal(shown(turned, NOISE), other)
    levels = image_model(Sees(), std=1 / 255)
    torch.testing.assert_close(shown(levels, NOISE), pixels * 255, rtol=1e-6, atol=1e-4)


def test_size_and_crop_are_those_of_resize_and_center_crop() -> None:
    """The shorter edge to 20, then 16 x 16 out of the middle; by hand with Pillow."""
    model = image_model(Sees(), size=16, resize=20)
    whole = Image.fromarray(NOISE).resize((int(20 * 47 / 31), 20), Image.Resampling.BILINEAR)
    left, top = (whole.width - 16) // 2, (whole.height - 16) // 2
    part = whole.crop((left, top, left + 16, top + 16))
    wanted = torch.from_numpy(np.array(part)).permute(2, 0, 1) / 255
    assert torch.equal(shown(model, NOISE), wanted)
    (sample,) = model.prepare(NOISE)
    across = 47 / 30
    kept = sample.context["picture"]
    np.testing.assert_allclose(
        kept["box"], [left * across, top * 31 / 20, (left + 16) * across, (top + 16) * 31 / 20]
    )
    assert (kept["width"], kept["height"], kept["size"]) == (47, 31, [16, 16])
    stretched = image_model(Sees(), size=(16, 20))
    assert shown(stretched, NOISE).shape == (3, 16, 20)
    assert stretched.prepare(NOISE)[0].context["picture"]["box"] == [0, 0, 47, 31]


def test_a_small_picture_is_padded_where_more_is_cut_out_than_there_is() -> None:
    picture, box = Preparation((4, 4), resize=2).fit(read_image(np.full((2, 2), 255, np.uint8)))
    assert picture.levels[..., 0].tolist() == [
        [0, 0, 0, 0], [0, 255, 255, 0], [0, 255, 255, 0], [0, 0, 0, 0],
    ]  # fmt: skip
    assert box == (-1, -1, 3, 3)


def test_gray_is_read_off_the_first_convolution() -> None:
    model = image_model(toys.ConvNet().eval(), size=8)
    assert model.preparation.colors == "L"
    assert explain(model, NOISE, "gradient").values.sizes == {"y": 8, "x": 8}


def test_pictures_of_any_size() -> None:
    model = image_model(toys.ConvNet(channels=3).eval())
    many = explain(model, [NOISE, NOISE[:9, :12]], "integrated_gradients", 1, steps=3)
    assert [a.values.shape for a in many] == [(31, 47), (9, 12)]


# -- numbers by hand ---------------------------------------------------------------------------


def linear(labels: list[str] | None = None) -> ImageModel:
    """Return a model whose two logits are linear in a picture of 2 x 3 pixels."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(18, 2)).double()
    with torch.no_grad():
        net[1].weight.copy_(torch.arange(36.0).reshape(2, 18) / 10)
    return image_model(net.eval(), size=(2, 3), mean=MEAN, std=STD, labels=labels, patch=2)


def linear_of(high: int, wide: int) -> ImageModel:
    """Return a model of pictures of that size."""
    return image_model(Sees(), size=(high, wide))


PICTURE = np.random.default_rng(1).random((2, 3, 3))


def test_values_are_sums_over_channels_in_pixels_before_normalization() -> None:
    model = linear(["cat", "dog"])
    weight = (torch.arange(18, 36) / 10).reshape(3, 2, 3).double().numpy()  # of "dog"
    slope = weight / np.array(STD)[:, None, None]
    pixels = np.moveaxis(PICTURE.astype(np.float32), 2, 0).astype(np.float64)
    wanted = (slope * pixels).sum(0)
    for method in ("integrated_gradients", "input_x_gradient", "deeplift"):
        a = explain(model, PICTURE, method, "dog")
        np.testing.assert_allclose(a.to_numpy(), wanted, rtol=1e-6)
    a = explain(model, PICTURE, "gradient", "dog")
    np.testing.assert_allclose(a.to_numpy(), slope.sum(0), rtol=1e-6)
    norm = explain(model, PICTURE, "gradient", "dog", reduce="norm")
    np.testing.assert_allclose(norm.to_numpy(), np.sqrt((slope**2).sum(0)), rtol=1e-6)
    mean = (slope * (pixels - np.array(MEAN)[:, None, None])).sum(0)
    for method in ("masking", "shapley"):
        a = explain(model, PICTURE, method, "dog", groups="pixel")
        np.testing.assert_allclose(a.to_numpy(), mean, rtol=1e-5)
    patches = explain(model, PICTURE, "shapley", "dog")
    assert (patches.values.dims, patches.values.x.values.tolist()) == (("y", "x"), [0, 2])
    np.testing.assert_allclose(
        patches.to_numpy(), [[mean[:, :2].sum(), mean[:, 2].sum()]], rtol=1e-5
    )
    window = explain(model, PICTURE, "occlusion", "dog", window=(2, 1), stride=1)
    np.testing.assert_allclose(window.to_numpy(), [mean.sum(0)] * 2, rtol=1e-5)
    assert explain(model, PICTURE, "occlusion", "dog").provenance["notes"]["window"] == [2, 2]
    assert a.target == "dog"


def test_baselines() -> None:
    model = linear()
    (sample,) = model.prepare(PICTURE)
    value = sample.value.numpy()

    def made(given: object) -> Any:
        return model.baseline(sample, given).value.numpy()

    assert not made(None).any()
    assert not made("black").any()
    assert (made("white") == 1).all()
    assert (made("gray") == 0.5).all()
    np.testing.assert_allclose(made("mean"), np.broadcast_to(MEAN, (2, 3, 3)))
    np.testing.assert_allclose(made("average")[1, 2], value.mean((0, 1)))
    assert (made(0.25) == 0.25).all()
    assert np.array_equal(made("noise"), made("noise:0"))
    assert not np.array_equal(made("noise:1"), made("noise:2"))
    assert 0 <= made("noise:1").min() < made("noise:1").max() <= 1
    (large,) = linear_of(40, 25).prepare(NOISE)
    scipy = pytest.importorskip("scipy.ndimage", reason="the reference for a blur")
    blurred = linear_of(40, 25).baseline(large, "blur").value.numpy()
    wanted = scipy.gaussian_filter(large.value.numpy(), (2, 2, 0), mode="nearest", truncate=3)
    np.testing.assert_allclose(blurred, wanted, atol=1e-6)
    assert made("blur").std() < value.std()
    np.testing.assert_allclose(made(PICTURE), value)
    assert np.array_equal(made(np.zeros((2, 3, 3), np.uint8)), np.zeros((2, 3, 3)))
    assert (model.fill(sample, None).value == model.baseline(sample, "mean").value).all()
    plain = image_model(Sees())
    (other,) = plain.prepare(NOISE)
    assert (plain.fill(other, None).value == 0.5).all()


def test_a_blurred_background_is_each_pictures_own() -> None:
    model = linear(["cat", "dog"])
    options: dict[str, Any] = {
        "method": "expected_gradients",
        "target": 0,
        "baseline": ["blur"] * 2,
    }
    together = explain(model, [PICTURE, 1 - PICTURE], **options)
    alone = [explain(model, p, **options) for p in (PICTURE, 1 - PICTURE)]
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a.to_numpy(), b.to_numpy(), atol=1e-9)


# -- every method, on a network and on a transformer -------------------------------------------


@pytest.mark.parametrize(
    "method", sorted(m for m, s in methods().items() if s.needs <= ImageModel.offers)
)
def test_every_method_runs_on_a_vision_transformer(tmp_path: Path, method: str) -> None:
    model = image_model(vit(), size=32, mean=0.5, std=0.5, labels=["a", "b", "c"])
    assert model.patch == 8
    a = explain(model, NOISE, method, **general(method, 66))
    assert a.values.dims == ("y", "x")
    assert a.values.shape == ((4, 4) if a.meta["unit_kind"] == "patch" else (32, 32))
    assert np.isfinite(a.to_numpy()).all()
    assert a.target == a.prediction[0]["label"] in {"a", "b", "c"}
    assert len(a.to_frame()) == a.values.size
    assert saliscope.Attribution.load(a.save(tmp_path / "a.nc")).equals(a)


# -- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "words"), [
    ({"size": 0}, "size=0: give a number of pixels"),
    ({"size": (8, 8, 8)}, "size=.8, 8, 8.: give a number of pixels"),
    ({"resize": "big"}, "resize='big': give a number"),
    ({"mean": (0.5, 0.5)}, "mean=.0.5, 0.5.: give a number, or one for each of 3 channels"),
    ({"std": 0}, "std=0: a standard deviation is above 0"),
    ({"channels": 2}, "channels=2 does not exist"),
    ({"size": 4, "resample": "cubic"}, "did you mean 'bicubic'"),
    ({"size": 8, "labels": ["a", "b"]}, "2 labels were given, and the model has 3 outputs"),
])  # fmt: skip
def test_what_cannot_be_declared_is_one_line(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        image_model(Sees(), **options)
    assert "\n" not in str(caught.value)


def test_a_module_that_does_not_take_what_is_declared() -> None:
    with pytest.raises(InputError, match="check size= and channels="):
        image_model(nn.Sequential(nn.Flatten(), nn.Linear(5, 2)), size=8)
    with pytest.raises(InputError, match="check size= and channels="):
        image_model(toys.ConvNet(channels=3), size=8, channels=1)


@pytest.mark.parametrize(("options", "words"), [
    ({"method": "masking", "fill": "delete"}, "pixels cannot be deleted"),
    ({"baseline": "grey"}, "did you mean 'gray'"),
    ({"baseline": "blur:3"}, "only noise has a number"),
    ({"baseline": 1.5}, "baseline 1.5 is not a level of gray"),
    ({"baseline": np.zeros((7, 7, 3))}, "the baseline has 7 x 7 pixels; give 3 x 2 .the model's."),
    ({"baseline": "none.png"}, "the baseline: there is no such file"),
    ({"method": "masking", "groups": "word"}, "it has: pixel, patch"),
    ({"method": "masking", "groups": [0, 1]}, "shape .2, 3."),
    ({"target": "bird"}, "the model has no class 'bird'"),
    ({"method": "rollout"}, "rollout needs attention"),
])  # fmt: skip
def test_what_cannot_be_asked_is_one_line(options: dict[str, Any], words: str) -> None:
    with pytest.raises(saliscope.SaliscopeError, match=words) as caught:
        explain(linear(["cat", "dog"]), PICTURE, **options)
    assert "\n" not in str(caught.value)


def test_outputs_that_are_probabilities_are_explained_as_they_are() -> None:
    net = nn.Sequential(toys.ConvNet(channels=3), nn.Softmax(1)).eval()
    a = explain(image_model(net, size=8), NOISE, "gradient")
    assert a.meta["scale"] == "raw"
    one = nn.Sequential(toys.ConvNet(channels=3), nn.Linear(4, 1)).eval()
    assert explain(image_model(one, size=8), NOISE, "gradient").target == "output"


def test_half_precision_keeps_pixels_wide() -> None:
    model = image_model(toys.ConvNet(torch.bfloat16, channels=3).eval(), size=8)
    (sample,) = model.prepare(NOISE)
    assert sample.value.dtype == torch.float32


# -- checkpoints -------------------------------------------------------------------------------


def convnext() -> ConvNextForImageClassification:
    torch.manual_seed(0)
    config = ConvNextConfig(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], num_labels=3)
    return ConvNextForImageClassification(config).eval()


PROCESSORS = {
    "stretched": lambda: ViTImageProcessorPil(size={"height": 32, "width": 32}),
    "not resized": lambda: ViTImageProcessorPil(do_resize=False),
    "not normalized": lambda: ViTImageProcessorPil(
        size={"height": 32, "width": 32}, do_normalize=False
    ),
    "not rescaled": lambda: ViTImageProcessorPil(
        size={"height": 32, "width": 32}, do_rescale=False, image_mean=[127] * 3,
        image_std=[128] * 3,
    ),
    "cropped": lambda: MobileNetV2ImageProcessorPil(
        size={"shortest_edge": 40}, crop_size={"height": 33, "width": 32}
    ),
    "padded": lambda: MobileNetV2ImageProcessorPil(
        size={"shortest_edge": 30}, crop_size={"height": 40, "width": 40}
    ),
    "a share of it": lambda: ConvNextImageProcessorPil(size={"shortest_edge": 32}),
    "large": lambda: ConvNextImageProcessorPil(size={"shortest_edge": 384}, resample=2),
}  # fmt: skip


@pytest.mark.parametrize("kind", PROCESSORS)
def test_pictures_are_prepared_as_by_the_image_processor(kind: str) -> None:
    """On a picture of which the check within `prepared_as` knows nothing."""
    processor = PROCESSORS[kind]()
    made = prepared_as(processor, "model")
    theirs = processor(images=Image.fromarray(NOISE), return_tensors="np")["pixel_values"][0]
    model = ImageModel(Sees(), "sees", made)
    np.testing.assert_allclose(shown(model, NOISE).numpy(), theirs, rtol=1e-4, atol=1e-4)


def test_a_processor_that_does_something_else_is_refused() -> None:
    class Odd(ViTImageProcessorPil):  # type: ignore[misc]
        def rescale(self, image: Any, scale: float, **options: Any) -> Any:
            return super().rescale(image[:, ::-1], scale, **options)

    with pytest.raises(ModelError, match="prepares pictures in a way that is not known here"):
        prepared_as(Odd(size={"height": 32, "width": 32}), "model")


def test_a_folder_is_loaded_with_its_processor_and_labels(tmp_path: Path) -> None:
    module = vit()
    module.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"has no preprocessor_config\.json") as caught:
        saliscope.load(str(tmp_path))
    assert "\n" not in str(caught.value)
    processor = PROCESSORS["stretched"]()
    processor.save_pretrained(tmp_path)
    model = saliscope.load(str(tmp_path))
    assert (model.modality, model.labels) == ("image", ("kind 0", "kind 1", "kind 2"))
    a = explain(model, NOISE, "gradient", "kind 1")
    pixels = processor(images=Image.fromarray(NOISE), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        assert a.score == pytest.approx(float(module(pixels).logits[0, 1]), abs=1e-5)
    b = explain(module, NOISE, "gradient", "kind 1", tokenizer=processor)
    np.testing.assert_allclose(a.to_numpy(), b.to_numpy(), atol=1e-6)
    assert a.provenance["model"]["preparation"]["size"] == [32, 32]


def test_equal_pictures_are_computed_once_and_found_again(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.fromarray(NOISE).save(tmp_path / name)
    model = image_model(toys.ConvNet(channels=3).eval(), size=8)
    files = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    one, two = explain(model, files, "masking", 0)
    assert (one.name, two.name, two.evaluations) == ("a.png", "b.png", 0)
    kept = str(tmp_path / "kept")
    first = explain(model, files[:1], "masking", 0, resume=kept)
    with toys.Calls(model.module) as calls:
        again = explain(model, files[:1], "masking", 0, resume=kept)
    assert calls.calls == 0
    assert again[0].equals(first[0])
    Image.fromarray(255 - NOISE).save(files[0])  # another picture of the same name
    changed = explain(model, files[:1], "masking", 0, resume=kept)
    assert not np.allclose(changed[0].to_numpy(), first[0].to_numpy())
