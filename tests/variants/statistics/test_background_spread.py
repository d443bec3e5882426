"""Shifts over backgrounds, and the permutation of people between groups."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.statistics.backgrounds import (
    Background,
    compare_groups,
    spread,
    spreads,
)

TPMT = [
    Background("with p.Ala154Thr", -1.26, {"EUR": 27, "EAS": 0, "AMR": 28, "SAS": 4, "AFR": 4}),
    Background("reference", -0.88, {"EUR": 1, "EAS": 22, "AMR": 12, "SAS": 13, "AFR": 84}),
]


def test_few_backgrounds_are_listed():
    s = spread(TPMT, "AFR")
    assert s.backgrounds == (("reference", -0.88, 84), ("with p.Ala154Thr", -1.26, 4))
    assert s.sd is None
    assert s.mean == pytest.approx((84 * -0.88 + 4 * -1.26) / 88)
    assert s.effective == pytest.approx(88**2 / (84**2 + 4**2))
    assert (
        s.text == "88 haplotypes, 2 backgrounds: -0.88 reference (84), -1.26 with p.Ala154Thr (4)"
    )


def test_one_background_has_no_spread():
    s = spread(TPMT, "EAS")
    assert s.sd is None
    assert s.text == "one background: -0.88 (22 haplotypes)"
    assert spread(TPMT, "nowhere").text == "no carriers"
    assert spread(TPMT, "nowhere").mean is None


def test_groups_in_order_and_all_together():
    each = spreads(TPMT)
    assert list(each) == ["EUR", "EAS", "AMR", "SAS", "AFR"]
    assert spread(TPMT).haplotypes == sum(s.haplotypes for s in each.values()) == 195


def test_many_backgrounds_have_a_weighted_sd():
    many = [Background(str(i), float(i), {"A": n}) for i, n in enumerate([10, 5, 3, 1, 1, 1])]
    s = spread(many, "A")
    w = np.array([10, 5, 3, 1, 1, 1]) / 21
    mean = float(w @ np.arange(6))
    assert s.mean == pytest.approx(mean)
    assert s.sd == pytest.approx(
        math.sqrt(sum(w * (np.arange(6) - mean) ** 2) / (1 - sum(w**2))), rel=1e-14
    )
    assert s.text == (
        "21 haplotypes, 6 backgrounds (effective 3.2): mean +1.10, SD 1.7 between backgrounds, "
        "from 0 to +5.00"
    )


def test_equal_weights_give_the_ordinary_sample_sd():
    shifts = [0.1, -0.4, 2.0, 1.1, 0.3, -1.0, 0.8]
    s = spread([Background(str(i), d, {"A": 4}) for i, d in enumerate(shifts)])
    assert s.sd == pytest.approx(np.std(shifts, ddof=1), rel=1e-12)


@given(
    st.lists(st.tuples(st.floats(-10, 10), st.integers(1, 50)), min_size=6, max_size=12),
    st.integers(2, 20),
)
def test_more_carriers_on_the_same_backgrounds_change_nothing(rows, times):
    once = spread([Background(str(i), d, {"A": n}) for i, (d, n) in enumerate(rows)])
    often = spread([Background(str(i), d, {"A": n * times}) for i, (d, n) in enumerate(rows)])
    assert often.sd == pytest.approx(once.sd, rel=1e-9, abs=1e-12)
    assert often.mean == pytest.approx(once.mean, rel=1e-9, abs=1e-12)
    assert often.effective == pytest.approx(once.effective)
    assert 1 <= once.effective <= len(rows) + 1e-9


@pytest.mark.parametrize(
    ("backgrounds", "reason"),
    [
        ([Background("a", 1.0, {"A": 1}), Background("a", 2.0, {"A": 1})], "given twice"),
        ([Background("a", 1.0, {"A": -1})], "negative or not whole"),
        ([Background("a", float("nan"), {"A": 1})], "not a finite number"),
    ],
)
def test_bad_backgrounds_are_refused(backgrounds, reason):
    with pytest.raises(InputError, match=reason):
        spread(backgrounds)


def test_people_are_permuted_exactly():
    # 2 + 2 people, all on different shifts: 6 ways to divide them, of which 2 are as extreme.
    d = compare_groups([0, 1, 8, 9], list("abcd"), list("XXYY"), "X", "Y", draws=30_000)
    assert d.difference == -8.0
    assert d.p == pytest.approx(2 / 6, abs=0.01)


def test_both_haplotypes_of_a_person_move_together():
    # Person a carries twice: 3 people, one in X. Permuting people gives 3 ways, all of them
    # |difference| 3, 3 and 0; permuting the four haplotypes would give more.
    d = compare_groups(
        [3, 3, 0, 0], ["a", "a", "b", "c"], ["X", "X", "Y", "Y"], "X", "Y", draws=30_000
    )
    assert d.people == (1, 2)
    assert d.haplotypes == (2, 2)
    assert d.difference == 3.0
    # Ways: X = {a}: 3 - 0; X = {b}: 0 - 6/3 = -2; X = {c}: -2.
    assert d.p == pytest.approx(1 / 3, abs=0.01)


def test_equal_shifts_give_p_one():
    d = compare_groups([-0.88] * 7, list("abcdefg"), list("XXXYYYY"), "X", "Y")
    assert d.p == 1.0
    assert abs(d.difference) < 1e-12


def test_other_groups_are_left_out_and_an_empty_group_gives_nothing():
    rows = ([1, 2, 3, 50], list("abcd"), list("XXYZ"))
    assert compare_groups(*rows, "X", "Y").people == (2, 1)
    assert compare_groups(*rows, "X", "nowhere") is None


def test_the_seed_decides():
    rng = np.random.default_rng(5)
    rows = (rng.normal(size=40), [str(i) for i in range(40)], ["X"] * 15 + ["Y"] * 25)
    same = [compare_groups(*rows, "X", "Y", seed=s).p for s in (1, 1, 2)]
    assert same[0] == same[1] != same[2]


@pytest.mark.parametrize(
    ("people", "groups", "reason"),
    [
        (["a", "a", "b"], ["X", "Y", "Y"], "a: is in groups 'X' and 'Y'"),
        (["a", "a", "a"], ["X", "X", "X"], "more than two haplotypes"),
        (["a", "b"], ["X", "Y"], "give one of each"),
    ],
)
def test_bad_people_are_refused(people, groups, reason):
    with pytest.raises(InputError, match=reason):
        compare_groups([1.0, 2.0, 3.0], people, groups, "X", "Y")


def test_options_are_refused():
    with pytest.raises(OptionError, match="two groups"):
        compare_groups([1.0], ["a"], ["X"], "X", "X")


def test_null_data_sets_keep_their_level():
    """1,000 data sets without a difference: two groups of unequal size, carriers with one or two
    copies, few distinct backgrounds, and the two copies of a person alike."""
    start, ps = time.perf_counter(), []
    rng = np.random.default_rng(20)
    for i in range(1000):
        size = (12, 25)
        copies = rng.integers(1, 3, sum(size))
        person = np.repeat(np.arange(sum(size)), copies)
        kind = rng.integers(0, 3, sum(size))
        kinds = np.where(
            rng.random(len(person)) < 0.7, kind[person], rng.integers(0, 3, len(person))
        )
        shifts = np.array([-1.26, -0.88, -0.3])[kinds]
        groups = np.where(person < size[0], "X", "Y").tolist()
        d = compare_groups(shifts, [str(p) for p in person], groups, "X", "Y", seed=i)
        ps.append(d.p)
    for alpha in (0.01, 0.05, 0.1):
        share = float(np.mean(np.array(ps) <= alpha))
        error = math.sqrt(alpha * (1 - alpha) / len(ps))
        assert share <= alpha + 2 * error, (alpha, share)
        assert share >= alpha / 3, (alpha, share)  # and it is not merely conservative
    assert time.perf_counter() - start < 30


def test_a_difference_is_found():
    rng = np.random.default_rng(3)
    shifts = np.r_[rng.normal(0, 1, 30), rng.normal(2, 1, 30)]
    d = compare_groups(shifts, [str(i) for i in range(60)], ["X"] * 30 + ["Y"] * 30, "X", "Y")
    assert d.p == 1 / 1000
    assert d.text.startswith("mean shift of X minus Y -")
    assert d.text.endswith("groups differ only in how often each background occurs")
