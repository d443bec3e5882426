"""The classes of the saliency check."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.errors import InputError
from saliscope.variants.statistics.agreement import CLASSES, concordance, saliency_check

GRADIENTS = np.linspace(-1, 1, 21)  # median magnitude 0.5
SHIFTS = np.linspace(-10, 10, 21)  # median magnitude 5


@pytest.mark.parametrize(
    ("gradient", "last_out", "kind"),
    [
        (0.9, -9.0, "agree"),
        (-0.9, 9.0, "agree"),
        (0.9, 9.0, "sign conflict"),
        (-0.9, -9.0, "sign conflict"),
        (0.1, -9.0, "saturated"),
        (0.1, 9.0, "saturated"),
        (0.9, -1.0, "gradient-only"),
        (0.1, 1.0, "silent in both"),
        (0.0, 0.0, "silent in both"),
        (0.5, -5.0, "silent in both"),  # at the median is not above it
        (0.51, -5.01, "agree"),
        (-0.51, 0.0, "gradient-only"),
    ],
)
def test_classes(gradient, last_out, kind):
    c = saliency_check(gradient, last_out, GRADIENTS, SHIFTS)
    assert c.kind == kind
    assert c.suspicious == (kind == "silent in both")
    assert ("suspicious" in c.sentence) == c.suspicious
    assert c.sentence.startswith(CLASSES[kind])


def test_each_measure_has_its_own_quantile():
    c = saliency_check(0.95, -5.5, GRADIENTS, SHIFTS)
    # Magnitudes below 0.95: 19 of 21; below 5.5: 11 of 21.
    assert c.gradient_quantile == 20 / 22
    assert c.ablation_quantile == 12 / 22
    assert c.sentence.endswith(
        "(magnitude of the gradient: quantile 0.91, of the ablation: quantile 0.55)"
    )


number = st.floats(-1e3, 1e3)


@given(number, number, st.lists(number, min_size=1, max_size=20), st.sampled_from([1, 2, 64]))
def test_scale_and_sign_of_both_measures_do_not_matter(gradient, last_out, members, scale):
    one = saliency_check(gradient, last_out, members, members)
    bigger = [m * scale for m in members]
    other = saliency_check(-gradient * scale, -last_out, bigger, members)
    assert (one.kind, one.gradient_quantile) == (other.kind, other.gradient_quantile)


def test_refusals():
    with pytest.raises(InputError, match="no members"):
        saliency_check(1.0, 1.0, [], [1.0])
    with pytest.raises(InputError, match="shifts of the reference set: value 1"):
        saliency_check(1.0, 1.0, [1.0], [float("nan")])
    with pytest.raises(InputError, match="two or more of each"):
        concordance([1.0], [1.0])


def test_concordance_of_a_linear_model_and_of_chance():
    rng = np.random.default_rng(0)
    effect = rng.normal(size=2000)
    c = concordance(effect, -effect)
    assert (c.spearman, c.same_sign, c.n) == (pytest.approx(1.0), 1.0, 2000)
    assert c.loud == 1000
    chance = concordance(rng.normal(size=2000), effect)
    assert abs(chance.spearman) < 0.06
    assert chance.same_sign == pytest.approx(0.5, abs=0.06)
    flat = concordance([1.0, 1.0], [1.0, 2.0])
    assert (flat.spearman, flat.same_sign, flat.loud, flat.chance) == (None, None, 0, None)


def test_chance_of_equal_signs_is_from_how_often_each_sign_is():
    # Loud in both: the last four; gradients all below zero, ablations predict +, -, -, -.
    gradients = [0.1, 0.1, 0.1, 0.1, -2.0, -2.0, -2.0, -2.0]
    shifts = [0.1, 0.1, 0.1, 0.1, -3.0, 3.0, 3.0, 3.0]
    c = concordance(gradients, shifts)
    assert (c.loud, c.same_sign, c.chance) == (4, 0.75, 0.75)
    mixed = concordance([*gradients[:4], -2.0, -2.0, 2.0, 2.0], shifts)
    assert (mixed.same_sign, mixed.chance) == (0.25, 0.5 * 0.75 + 0.5 * 0.25)
