"""Colors and numbers."""

from __future__ import annotations

import numpy as np
import pytest

from saliscope.show.style import DIVERGING, clip, color_scale, number, visible


def lightness(colors: np.ndarray) -> np.ndarray:
    rgb = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    luminance = rgb @ [0.2126, 0.7152, 0.0722]
    return 116 * np.cbrt(luminance) - 16


def test_diverging_map_is_even_and_symmetric():
    found = lightness(DIVERGING(np.linspace(0, 1, 257))[:, :3])
    assert np.abs(found - found[::-1]).max() < 1.5
    steps = np.diff(found[:129])
    assert (steps > 0).all()
    assert steps.max() < 3 * steps.mean()


def test_signed_scale_is_centered_at_zero():
    norm, _ = color_scale(np.array([-1.0, 4.0, np.nan]), signed=True)
    assert norm(0.0) == 0.5
    assert (norm.vmin, norm.vmax) == (-4.0, 4.0)


@pytest.mark.parametrize("values", [np.zeros(3), np.full(3, np.nan), np.zeros(0)])
def test_scale_of_nothing(values):
    for signed in (True, False):
        norm, _ = color_scale(values, signed=signed)
        assert norm.vmax == 1.0


def test_words_and_numbers():
    assert number(1e-7) == "1e−7"
    assert number(-0.5, sign=True) == "−0.5"
    assert clip("a\n" + "b" * 50, 10) == "a bbbbbbb…"
    assert "\u202e" not in visible("x\u202ey")
    assert visible("\ud800").encode()
