"""Sigma and the quantile of one value in a reference set."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from saliscope.core.errors import InputError
from saliscope.variants.statistics.common import benjamini_hochberg, permutation_p, said, signed
from saliscope.variants.statistics.reference import stand, stand_observed, standing_sentence

number = st.floats(-1e6, 1e6)


def test_literal_values():
    s = stand(7.0, [1.0, 2.0, 3.0, 4.0, 10.0])
    assert (s.median, s.mad, s.n) == (3.0, 1.0, 5)
    assert s.sigma == pytest.approx(4 / 1.4826, rel=1e-15)
    assert s.quantile == 5 / 6
    # 4 of 5 below: the published Clopper-Pearson limits.
    assert (s.low, s.high) == pytest.approx((0.28358206, 0.99494924), abs=1e-8)


def test_ties_count_by_half():
    assert stand(2.0, [1.0, 2.0, 2.0, 3.0]).quantile == (2 + 1) / 5
    assert stand(2.0, [1.0, 2.0, 3.0]).quantile == (1.5 + 1) / 4


@pytest.mark.parametrize(("rank", "n"), [(0, 7), (3, 7), (7, 7), (302, 1441), (1441, 1441)])
def test_interval_is_clopper_pearson(rank, n):
    s = stand(rank - 0.5, np.arange(n))
    whole = binomtest(rank, n).proportion_ci(method="exact")
    assert (s.low, s.high) == pytest.approx((whole.low, whole.high), rel=1e-9)
    if rank > 0:
        assert binom.sf(rank - 1, n, s.low) == pytest.approx(0.025, rel=1e-9)
    if rank < n:
        assert binom.cdf(rank, n, s.high) == pytest.approx(0.025, rel=1e-9)


def test_sentence_of_a_real_size():
    s = stand(301.5, np.arange(1441))
    assert s.text() == "quantile 0.21 [0.19, 0.23] of 1,441 missense changes"
    assert standing_sentence(s, stand_observed(3.0, range(8))).endswith(
        "of 8 observed missense changes"
    )


@given(number, st.lists(number, min_size=1, max_size=60))
def test_bounds(value, members):
    s = stand(value, members)
    assert 1 / (len(members) + 1) <= s.quantile <= 1
    assert 0 <= s.low <= s.quantile <= s.high <= 1


@given(number, number, st.lists(number, min_size=1, max_size=60))
def test_quantile_and_sigma_grow_with_the_value(one, other, members):
    small, large = stand(min(one, other), members), stand(max(one, other), members)
    assert small.quantile <= large.quantile
    if small.sigma is not None:
        assert small.sigma <= large.sigma


@given(st.lists(st.integers(-50, 50), min_size=5, max_size=60), st.integers(-50, 50))
def test_sigma_has_no_unit(members, value):
    plain = stand(value, members)
    moved = stand(8.0 * value + 64.0, 8.0 * np.array(members) + 64.0)
    assert moved.quantile == plain.quantile
    assert moved.sigma == (None if plain.sigma is None else pytest.approx(plain.sigma, abs=1e-12))


def test_no_spread_no_sigma():
    s = stand(1.0, [0.0, 0.0, 0.0, 5.0])
    assert s.sigma is None
    assert s.mad == 0
    assert s.sigma_text() == "no sigma: the set has no spread"


def test_a_norm_has_no_sigma():
    s = stand(1.0, np.arange(50), has_sign=False)
    assert s.sigma is None
    assert s.sigma_text() == "no sigma"
    assert s.quantile == (1.5 + 1) / 51


@pytest.mark.parametrize(
    ("n", "quantile", "sigma"),
    [(0, False, False), (4, False, False), (5, True, False), (29, True, False), (30, True, True)],
)
def test_observed_set_rules(n, quantile, sigma):
    s = stand_observed(2.5, np.arange(n))
    assert (s is not None) == quantile
    assert (s is not None and s.sigma is not None) == sigma


@pytest.mark.parametrize(
    ("value", "members", "reason"),
    [
        (1.0, [], "no members"),
        (float("nan"), [1.0], "shift: value 1 is not a finite number"),
        (1.0, [1.0, float("inf")], "value 2 is not a finite number"),
        (1.0, [[1.0]], "2 dimensions"),
        (1.0, ["x"], "not a number"),
    ],
)
def test_refusals(value, members, reason):
    with pytest.raises(InputError, match=reason):
        stand(value, members)


def test_sigma_never_says_zero():
    assert stand(25.0, np.arange(51)).sigma_text() == "at the median"
    assert stand(0.0, [-100, -1, 0.001, 1, 100]).sigma_text() == "at the median"


def test_numbers_said():
    assert [said(x) for x in (0.5, 0.009, 0.00005, 0.99999, 1.0)] == [
        "0.50", "0.0090", "5e-05", ">0.9999", "1",
    ]  # fmt: skip
    assert [signed(x) for x in (1.0, -0.004, 1e-7, 0.0)] == ["+1.00", "-0.004", "+1e-07", "0"]


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=30))
def test_benjamini_hochberg_is_monotone_and_never_below_p(values):
    q = benjamini_hochberg(values)
    assert [x is None for x in q] == [x is None for x in values]
    pairs = sorted((p, adjusted) for p, adjusted in zip(values, q, strict=True) if p is not None)
    assert all(adjusted >= p - 1e-15 for p, adjusted in pairs)
    assert all(a[1] <= b[1] + 1e-15 for a, b in pairwise(pairs))
    n = len(pairs)
    for i, (_, adjusted) in enumerate(pairs):
        by_hand = min([1.0, *(pairs[j][0] * n / (j + 1) for j in range(i, n))])
        assert adjusted == pytest.approx(by_hand, abs=1e-12)


def test_benjamini_hochberg_refuses_what_is_no_probability():
    with pytest.raises(InputError, match="outside 0 to 1"):
        benjamini_hochberg([0.5, 1.5])


def test_permutation_p_counts_ties():
    assert permutation_p(0.3, [0.1 + 0.2, -0.3, 0.29]) == 3 / 4
    assert permutation_p(1e-17, [0.0, 0.0, 0.0]) == 1 / 4
    assert permutation_p(1e-17, [0.0, 0.0, 0.0], scale=1.0) == 1.0
