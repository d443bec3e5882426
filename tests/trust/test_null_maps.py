"""Shuffled copies: the same values, as smooth, and what is compared with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from saliscope.core.errors import InputError, OptionError
from saliscope.core.units import Units
from saliscope.models.vision.pixels import pixel_units
from saliscope.trust import agreement, localization, rank_similarity
from saliscope.trust.curves import counts_of
from saliscope.trust.measures import predicted_falls
from saliscope.trust.nulls import Shuffler, alike, strata_of
from saliscope.trust.testing import as_groups, parts_of


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=3), st.integers(0, 2**31), st.booleans())
def test_a_copy_has_the_same_values(shape: list[int], seed: int, ordered: bool) -> None:
    rng = np.random.default_rng(seed)
    values = np.round(gaussian_filter(rng.normal(size=shape), 1.0), 2)
    copy = Shuffler(values, rng, ordered=ordered)()
    assert copy.shape == values.shape
    assert sorted(copy.ravel()) == sorted(values.ravel())


def test_copies_of_a_smooth_map_are_smooth() -> None:
    rng = np.random.default_rng(0)

    def neighbors(values: np.ndarray) -> float:
        return float(np.corrcoef(values[1:].ravel(), values[:-1].ravel())[0, 1])

    smooth = gaussian_filter(rng.normal(size=(40, 40)), 2.0, mode="wrap")
    draw, plain = Shuffler(smooth, rng), Shuffler(smooth, rng, ordered=False)
    assert min(draw.blocks) > 2
    assert plain.blocks == (1, 1)
    assert neighbors(smooth) > 0.9
    assert np.mean([neighbors(draw()) for _ in range(20)]) > 0.7
    assert abs(np.mean([neighbors(plain()) for _ in range(20)])) < 0.1


def test_values_stay_among_parts_of_like_change() -> None:
    rng = np.random.default_rng(0)
    change = np.zeros((6, 6))
    change[2:5, 1:4] = 1.0
    values = gaussian_filter(rng.normal(size=(6, 6)), 1.0) + change
    inside = change.astype(bool)
    draw = Shuffler(values, rng, strata=strata_of(change))
    copies = [draw() for _ in range(20)]
    for copy in copies:
        assert sorted(copy[inside]) == sorted(values[inside])
        assert sorted(copy[~inside]) == sorted(values[~inside])
    assert len({tuple(copy[inside]) for copy in copies}) > 10
    # A map of nothing but the change is its own copy.
    alone = Shuffler(change, rng, strata=strata_of(change))
    np.testing.assert_array_equal(alone(), change)


def test_noise_has_blocks_of_one() -> None:
    rng = np.random.default_rng(1)
    assert [alike(rng.normal(size=100), 0) for _ in range(20)].count(1) >= 18


def test_points_of_a_curve() -> None:
    assert counts_of(512, 512).tolist() == list(range(513))
    assert counts_of(1, 5).tolist() == [0, 1]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_rank_similarity_is_spearmans(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, two = rng.integers(0, 6, 20), rng.integers(0, 6, 20)
    assert rank_similarity(one, two) == pytest.approx(spearmanr(one, two).statistic)


def test_maps_that_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="2 and 3 values"):
        rank_similarity([1, 2], [1, 2, 3])
    with pytest.raises(OptionError, match="top=0"):
        agreement({"a": [1, 2]}, top=0)
    with pytest.raises(InputError, match="covers no unit"):
        localization([1.0, 2.0], [False, False])
    with pytest.raises(InputError, match=r"mask has shape \(3,\)"):
        localization([1.0, 2.0], [True, False, True])


def test_auroc_and_its_chance() -> None:
    rng = np.random.default_rng(3)
    values, mask = rng.integers(0, 5, 50).astype(float), rng.random(50) < 0.3
    found = localization(values, mask, draws=199)
    assert found.auroc == pytest.approx(roc_auc_score(mask, values))
    # of noise, p is as often under a half as above
    small = [localization(rng.normal(size=60), rng.random(60) < 0.3, draws=99).p for _ in range(60)]
    assert 0.3 < np.mean(small) < 0.7
    assert np.mean(np.array(small) <= 0.05) <= 0.15


def test_perfect_and_worst_maps_of_a_region_get_the_extreme_scores() -> None:
    mask = np.array([[True, True], [False, False], [False, False]])
    inside = np.array([[3.0, 2.0], [-1.0, 0.0], [-2.0, -3.0]])
    best, worst = (localization(sign * inside, mask, draws=99) for sign in (1.0, -1.0))
    assert (best.pointing, best.mass, best.auroc, best.area) == (True, 1.0, 1.0, 1 / 3)
    assert (worst.pointing, worst.mass, worst.auroc) == (False, 0.0, 0.0)
    assert best.p < 0.25  # one in 15 orders
    assert worst.p == 1.0


def test_intervals_hold_the_value() -> None:
    rng = np.random.default_rng(4)
    falls = rng.normal(size=(200, 6))
    found = predicted_falls(falls + rng.normal(size=falls.shape), falls, rng)
    low, high = found.correlation_interval
    assert low < found.correlation < high
    assert high - low < 0.15
    assert found.relative == pytest.approx(1.0, abs=0.15)
    assert np.isnan(predicted_falls(falls[:1], falls[:1], rng).correlation_interval[0])


def test_small_pictures_are_cut_finer_and_large_ones_by_patches() -> None:
    small, large = pixel_units(28, 28, 16), pixel_units(224, 224, 16)
    assert parts_of(small, None).shown is not None
    assert [parts_of(u, None).count for u in (small, large)] == [196, 196]
    assert [parts_of(u, None).grouping.kind for u in (small, large)] == ["block", "patch"]
    assert parts_of(small, "patch").count == 4
    assert parts_of(Units(("x",), (9000,), "element"), None).count == 3000


def test_values_of_blocks_are_sums_of_theirs() -> None:
    units = pixel_units(28, 28, 16)
    parts = parts_of(units, None)
    fine = np.arange(784.0).reshape(28, 28)
    found = as_groups(fine, units, parts, signed=True, name="map")
    assert found.shape == (14, 14)
    assert found[0, 0] == 0 + 1 + 28 + 29
    coarse = as_groups(np.array([[0.0, 4.0]]).repeat(2, 0), units, parts, signed=True, name="map")
    assert coarse[0, 0] == 0  # left of the centers
    assert coarse[3, 13] == 16
    assert (np.diff(coarse, axis=1) >= 0).all()
