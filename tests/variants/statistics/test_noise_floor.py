"""The numeric noise floor, what is below it, and the reading of backgrounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.errors import InputError
from saliscope.variants.statistics.noise import below_noise, noise_floor, read_backgrounds


def test_largest_spread_of_any_sequence():
    assert noise_floor([[1.0, 5.0, -2.0], [1.0, 5.5, -2.0], [1.25, 5.25, -2.0]]) == 0.5
    assert noise_floor([3.0, 3.0, 3.125]) == 0.125
    assert noise_floor([[1.0], [1.0]]) == 0.0


@given(st.lists(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3), min_size=2, max_size=8))
def test_more_repeats_never_lower_the_floor(rows):
    assert noise_floor(rows) >= noise_floor(rows[:2])


def test_below_noise():
    assert below_noise(-1e-7, 2e-7)
    assert not below_noise(2e-7, 2e-7)
    assert below_noise(0.0, 0.0)
    assert not below_noise(1e-12, 0.0)


@pytest.mark.parametrize(
    ("shifts", "floor", "q", "dependent", "words"),
    [
        ([-1.26, -0.88], 1e-3, 0.049, True, "unusual for this model (q 0.05)"),
        ([-1.26, -0.88], 1e-3, 0.05, False, "no background dependence beyond this model's usual"),
        ([-1.26, -0.88], 0.1, 0.001, False, "not more than 10 times the numeric noise of 0.1"),
        ([1.0, 1.0], 0.0, 0.001, False, "no background dependence"),
        ([-1.26, -0.88], 1e-3, None, False, "not tested: too few matched pairs"),
        ([-1.26], 1e-3, 0.001, False, "one background: background dependence cannot be assessed"),
        ([], 1e-3, None, False, "no background: background dependence cannot be assessed"),
    ],
)
def test_both_conditions_are_needed(shifts, floor, q, dependent, words):
    reading = read_backgrounds(shifts, floor, q)
    assert reading.dependent == dependent
    assert words in reading.sentence
    assert ("background-dependent" in reading.sentence) == dependent


def test_range_is_named():
    assert read_backgrounds([-1.0, 2.0, 0.5], 1e-6, 0.5).range == 3.0


@pytest.mark.parametrize("bad", [[[1.0, 2.0]], [1.0], [[], []], [[1.0], [np.nan]]])
def test_too_few_or_broken_repeats_are_refused(bad):
    with pytest.raises(InputError, match="repeated scores"):
        noise_floor(bad)


def test_a_broken_floor_is_refused():
    with pytest.raises(InputError, match="noise floor -1"):
        read_backgrounds([1.0, 2.0], -1.0, None)
