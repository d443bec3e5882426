"""`zoo:digits` loads by its name, names digits, and its maps lie on what was drawn."""

from __future__ import annotations

import numpy as np
import pytest

import saliscope
from saliscope.models.vision.classifier import ImageModel
from saliscope.models.zoo import zoo_card, zoo_folder


def drawn(digit: int) -> np.ndarray:
    """Return a one, a seven or a zero in strokes of two pixels, light on black."""
    picture = np.zeros((28, 28), dtype=np.uint8)
    if digit == 1:
        picture[5:23, 13:15] = 255
    elif digit == 7:
        picture[5:7, 8:20] = 255
        for row in range(7, 23):
            column = 19 - (row - 7) * 8 // 16
            picture[row, column - 1 : column + 1] = 255
    else:
        y, x = np.mgrid[:28, :28]
        away = np.hypot((y - 13.5) / 9, (x - 13.5) / 6)
        picture[(away > 0.8) & (away < 1.1)] = 255
    return picture


@pytest.fixture(scope="module")
def digits() -> ImageModel:
    model = saliscope.load("zoo:digits")
    assert isinstance(model, ImageModel)
    return model


@pytest.mark.parametrize("digit", [0, 1, 7])
def test_a_drawn_digit_is_named(digits: ImageModel, digit: int) -> None:
    a = saliscope.explain(digits, drawn(digit), "input_x_gradient")
    assert a.meta["target"] == [str(digit)]
    assert a.values.shape == (28, 28)


@pytest.mark.parametrize("digit", [0, 1, 7])
def test_its_map_lies_on_what_was_drawn(digits: ImageModel, digit: int) -> None:
    picture = drawn(digit)
    a = saliscope.explain(digits, picture, "integrated_gradients", baseline="black")
    mass = np.abs(a.to_numpy())
    assert mass[picture > 0].sum() > 0.999 * mass.sum()  # black pixels are on no path from black
    assert a.to_numpy().sum() > 0


def test_it_is_small_and_has_a_card(digits: ImageModel) -> None:
    assert digits.labels == tuple("0123456789")
    assert sum(f.stat().st_size for f in zoo_folder("digits").iterdir()) < 300_000
    assert "light on black" in zoo_card("digits")
    assert any(f.code == "demonstration_model" for f in digits.findings)
