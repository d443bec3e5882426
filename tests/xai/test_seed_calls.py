"""The calls of a page on attention and saliency of pictures, on a real line."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import saliscope
from helpers import lines
from saliscope.core.errors import InputError, OptionError, RefusedError
from saliscope.show.colormaps import colormap_of
from saliscope.xai import AttentionVisualizer, SaliencyConfig, SaliencyGenerator

SAMPLE = Path(saliscope.__file__).parent / "samples" / "lines" / "roman.jpg"

# The five names that the page uses and does not define.
PREAMBLE = f"""
import saliscope
model = saliscope.load("zoo:handwriting")
image = {str(SAMPLE)!r}
per_char_attentions = model.get_attention(image, per_character=True)[:5]
"""

ATTENTION = """
from saliscope.xai.attention_maps import AttentionVisualizer
import cv2

# Get attention from model
attention_weights = model.get_attention(image)

# Create visualization
viz = AttentionVisualizer.overlay_attention(
    image=image,
    attention_weights=attention_weights,
    alpha=0.6,
    colormap=cv2.COLORMAP_JET,
)

# Save
cv2.imwrite("attention.png", viz)
"""

GRID = """
AttentionVisualizer.plot_attention_grid(
    image=image,
    attentions=per_char_attentions,
    tokens=["H", "e", "l", "l", "o"],
    save_path="attention_grid.png",
)
"""

SALIENCY = [
    """
from saliscope.xai.saliency import SaliencyGenerator

generator = SaliencyGenerator(model)
saliency = generator.compute_gradient_saliency(image)
""",
    """
saliency = generator.compute_integrated_gradients(
    image,
    num_steps=50,
    baseline=None,  # Uses zeros
)
""",
    """
saliency = generator.compute_smoothgrad(
    image,
    num_samples=25,
    noise_level=0.1,
)
""",
    """
saliency = generator.compute_gradcam(image)
""",
]

CONFIG = """
from saliscope.xai.saliency import SaliencyConfig, SaliencyGenerator

config = SaliencyConfig(
    method="integrated",
    num_steps=50,
    absolute=True,
    normalize=True,
)

generator = SaliencyGenerator(model, config)
"""


def imwrite(path: str, array: np.ndarray[Any, Any]) -> bool:
    """Write blue, green and red as OpenCV does."""
    Image.fromarray(np.ascontiguousarray(array[..., ::-1])).save(path)
    return True


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Return a function that runs code of the page; OpenCV's own where it is installed."""
    monkeypatch.chdir(tmp_path)
    try:
        import cv2  # noqa: F401
    except ImportError:
        stand_in = types.ModuleType("cv2")
        stand_in.__dict__.update(COLORMAP_JET=2, imwrite=imwrite)
        monkeypatch.setitem(sys.modules, "cv2", stand_in)
    names: dict[str, Any] = {}

    def run(code: str) -> dict[str, Any]:
        exec(compile(code, "page", "exec"), names)
        return names

    run(PREAMBLE)
    return run


def test_the_page_runs_on_a_real_line(
    page: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    names = page(ATTENTION)
    saved = np.asarray(Image.open(tmp_path / "attention.png").convert("RGB"))
    weights = names["attention_weights"]
    assert saved.shape == (*weights.shape, 3)
    under = np.asarray(Image.open(SAMPLE).convert("L")) / 255
    for channel in range(3):  # red first: the saved file's red is the map's red
        heat = np.asarray(colormap_of("jet")(weights / weights.max()))[..., channel]
        wanted = np.round(255 * (0.6 * heat + 0.4 * under))
        np.testing.assert_allclose(saved[..., channel], wanted, atol=1)
    assert saved[..., 0].std() > 5
    assert not np.array_equal(saved[..., 0], saved[..., 2])

    page(GRID)
    grid = np.asarray(Image.open(tmp_path / "attention_grid.png").convert("L"))
    assert grid.std() > 5
    for code in SALIENCY:
        saliency = page(code)["saliency"]
        assert saliency.shape == weights.shape
        assert saliency.min() >= 0
        assert saliency.max() == 1
    generator = page(CONFIG)["generator"]
    wanted = saliscope.explain(names["model"], SAMPLE, "integrated_gradients", steps=4,
                               baseline="zero").to_numpy()  # fmt: skip
    short = SaliencyConfig(method="integrated", num_steps=4)
    found = SaliencyGenerator(names["model"], short).compute(SAMPLE)
    np.testing.assert_allclose(found, np.abs(wanted) / np.abs(wanted).max(), rtol=1e-4, atol=1e-6)
    assert generator.config.num_steps == 50


def test_maps_are_those_of_explain() -> None:
    model, picture = lines.ctc(), lines.line(120)
    plain = SaliencyConfig(absolute=False, normalize=False)
    generator = SaliencyGenerator(model, plain)
    for found, method, options in (
        (generator.compute(picture), "gradient", {}),
        (generator.compute_gradcam(picture, layer="first"), "grad_cam", {"layer": "first"}),
        (generator.compute_smoothgrad(picture, 5, 0.2), "smoothgrad", {"samples": 6, "noise": 0.2}),
        (generator.compute_integrated_gradients(picture, 6, "paper"), "integrated_gradients",
         {"steps": 6, "baseline": "paper"}),
    ):  # fmt: skip
        wanted = saliscope.explain(model, picture, method, **options).to_numpy()
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)
    one = saliscope.Characters(at=1)
    cam = SaliencyGenerator(model, SaliencyConfig("gradcam", target=one, normalize=False))
    wanted = np.abs(saliscope.explain(model, picture, "grad_cam", one).to_numpy())
    np.testing.assert_allclose(cam.compute(picture), wanted)
    with pytest.raises(OptionError, match="give one target"):
        generator.compute(picture, target="characters")


@pytest.mark.parametrize("code", [2, 16, "jet", "cividis"])
def test_an_overlay_is_blue_green_red(code: Any) -> None:
    weights = np.array([[0.0, 0.25, 1.0]])
    made = AttentionVisualizer.overlay_attention(
        np.zeros((2, 6), dtype=np.uint8), weights, alpha=1.0, colormap=code
    )
    wanted = np.round(255 * np.asarray(colormap_of(code)(weights[0]))[:, :3])
    np.testing.assert_array_equal(made[0, ::2, ::-1], wanted)
    np.testing.assert_array_equal(made[1, 1::2, ::-1], wanted)
    assert made.dtype == np.uint8


def test_colors_of_the_picture_keep_their_order() -> None:
    red = np.zeros((2, 2, 3), dtype=np.uint8)
    red[..., 0] = 200
    made = AttentionVisualizer.overlay_attention(red, np.ones((1, 1)), alpha=0.0)
    assert made[0, 0].tolist() == [0, 0, 200]
    again = AttentionVisualizer.overlay_attention(made, np.ones(2), alpha=0.0, order="BGR")
    np.testing.assert_array_equal(again, made)


@pytest.mark.parametrize(("call", "words"), [
    (lambda p: AttentionVisualizer.overlay_attention(p, np.ones((2, 2)), alpha=2), "alpha=2"),
    (lambda p: AttentionVisualizer.overlay_attention(p, np.ones((2, 2, 2))), "the shape"),
    (lambda p: AttentionVisualizer.overlay_attention(p, [[np.nan]]), "NaN or infinity"),
    (lambda p: AttentionVisualizer.overlay_attention(p, "abc"), "are no numbers"),
    (lambda p: AttentionVisualizer.overlay_attention(p, [1.0], colormap=12), "no counterpart"),
    (lambda p: AttentionVisualizer.overlay_attention(p, [1.0], order="GBR"), "order='GBR'"),
    (lambda p: AttentionVisualizer.plot_attention_grid(p, [[1.0]], list("ab")), "1 maps"),
    (lambda p: AttentionVisualizer.plot_attention_grid(p, [[1.0], [1, 2]], ["a", "b"]), "several"),
    (lambda p: AttentionVisualizer.plot_attention_grid(p, 3, ["a"]), "a sequence"),
    (lambda p: SaliencyConfig(method="gradd"), "did you mean"),
    (lambda p: SaliencyConfig(num_samples=3), "num_samples=3 is too few"),
    (lambda p: SaliencyConfig(num_steps=2.5), "is not a whole number"),
    (lambda p: lines.ctc().get_attention(p), "has no attention"),
    (lambda p: SaliencyGenerator(lambda rows: rows), "does not look at pictures"),
])  # fmt: skip
def test_what_cannot_be_done_is_one_line(call: Callable[[Any], Any], words: str) -> None:
    with pytest.raises((InputError, OptionError, RefusedError), match=words) as caught:
        call(lines.line(60))
    assert "\n" not in str(caught.value)


def test_attention_lies_over_the_pixels_of_the_picture() -> None:
    model, picture = lines.line_network(), lines.line(120)
    each = model.get_attention(picture, per_character=True)
    assert each.shape[1:] == picture.shape
    np.testing.assert_allclose(model.get_attention(picture), each.mean(0))
    cross = saliscope.attention(model.with_head("decoder"), picture, reduce="mean", kind="cross")
    wanted = cross.values.mean("layer").to_numpy()
    assert len(each) == len(wanted)
    cells = wanted.shape[1]
    middles = ((np.arange(cells) + 0.5) * picture.shape[1] / cells).astype(int)
    np.testing.assert_allclose(each[:, 0, middles], wanted)
