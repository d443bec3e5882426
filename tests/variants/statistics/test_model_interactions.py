"""Second differences, Shapley values, and the rank transform."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.statistics.interactions import (
    RankTransform,
    coalitions,
    pair_interactions,
    second_difference,
    shapley_values,
)

score = st.floats(-100, 100)


def tables(most: int = 6) -> st.SearchStrategy[list[float]]:
    return st.integers(1, most).flatmap(lambda n: st.lists(score, min_size=1 << n, max_size=1 << n))


def test_second_difference_of_arrays():
    assert second_difference([5.0, 2.0], [1.0, 1.0], [2.0, 1.0], 0.5).tolist() == [2.5, 0.5]


def _by_orders(table: list[float]) -> np.ndarray:
    n = len(table).bit_length() - 1
    values, orders = np.zeros(n), list(permutations(range(n)))
    for order in orders:
        mask = 0
        for i in order:
            values[i] += table[mask | 1 << i] - table[mask]
            mask |= 1 << i
    return values / len(orders)


@given(tables(5))
def test_shapley_equals_the_mean_over_orders(table):
    assert shapley_values(table) == pytest.approx(_by_orders(table), abs=1e-9)


def test_shapley_of_the_glove_game():
    # One left glove (player 0) and two right gloves: 2/3, 1/6, 1/6.
    table = [float(bool(m & 1) and bool(m & 6)) for m in range(8)]
    assert shapley_values(table) == pytest.approx([2 / 3, 1 / 6, 1 / 6], rel=1e-14)


@given(tables(8))
def test_shapley_is_efficient(table):
    assert shapley_values(table).sum() == pytest.approx(table[-1] - table[0], abs=1e-9)


@given(tables(5), st.data())
def test_shapley_is_symmetric_and_null_for_a_dummy(table, data):
    n = len(table).bit_length() - 1
    i, j = data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, n - 1))

    def swapped(mask: int) -> int:
        bits = [mask >> k & 1 for k in range(n)]
        bits[i], bits[j] = bits[j], bits[i]
        return sum(bit << k for k, bit in enumerate(bits))

    other = shapley_values([table[swapped(m)] for m in range(1 << n)])
    mine = shapley_values(table)
    mine[[i, j]] = mine[[j, i]]
    assert other == pytest.approx(mine, abs=1e-9)
    dummy = shapley_values([table[m & ~(1 << i)] for m in range(1 << n)])
    assert dummy[i] == 0.0


def test_twelve_players_and_no_more():
    rng = np.random.default_rng(0)
    table = rng.normal(size=1 << 12)
    assert shapley_values(table).sum() == pytest.approx(table[-1] - table[0], abs=1e-12)
    with pytest.raises(OptionError, match="1 to 12"):
        shapley_values(np.zeros(1 << 13))
    assert coalitions(12).sum(0).tolist() == [2048] * 12


def test_additive_table_has_no_interactions():
    effects = np.array([1.5, -2.0, 0.25, 3.0])
    table = coalitions(4) @ effects + 7.0
    assert shapley_values(table) == pytest.approx(effects, abs=1e-12)
    assert np.abs(pair_interactions(table)).max() < 1e-12
    assert np.abs(pair_interactions(table, on_subject=True)).max() < 1e-12


def test_interactions_on_the_reference_and_on_the_subject():
    who = coalitions(3).astype(float)
    # 0 and 1 interact by 2, and by 5 more where 2 is there.
    table = who @ [1.0, 1.0, 1.0] + 2 * who[:, 0] * who[:, 1] + 5 * who.prod(1)
    on_reference, on_subject = pair_interactions(table), pair_interactions(table, on_subject=True)
    assert on_reference.tolist() == [[0, 2, 0], [2, 0, 0], [0, 0, 0]]
    assert on_subject.tolist() == [[0, 7, 5], [7, 0, 5], [5, 5, 0]]


@pytest.mark.parametrize("bad", [[], [1.0], [1.0, 2.0, 3.0], [1.0, float("nan")]])
def test_bad_tables_are_refused(bad):
    with pytest.raises(InputError, match="coalition scores"):
        shapley_values(bad)


members = st.lists(st.integers(-100, 100), min_size=2, max_size=40).filter(
    lambda x: len(set(x)) > 1
)


@given(members, st.integers(-300, 300), st.integers(-300, 300))
def test_rank_transform_is_strictly_increasing(reference, one, other):
    t = RankTransform.of(reference)
    if one != other:
        low, high = t([min(one, other), max(one, other)])
        assert low < high


@given(members)
def test_rank_transform_is_the_mid_rank_at_members(reference):
    t, array = RankTransform.of(reference), np.array(reference)
    for x in reference:
        rank = np.count_nonzero(array < x) + np.count_nonzero(array == x) / 2
        assert float(t(x)) == pytest.approx(rank / len(array), abs=1e-12)


@given(members)
def test_rank_transform_forgets_a_monotone_scale(reference):
    array = np.array(reference, dtype=float)
    bent = np.exp(array / 50)
    assert RankTransform.of(array)(array) == pytest.approx(RankTransform.of(bent)(bent), abs=1e-9)


def test_rank_transform_literal_values():
    t = RankTransform.of([0.0, 0.0, 2.0, 4.0])
    assert t([[0.0, 1.0], [2.0, 3.0]]).tolist() == [[0.25, 0.4375], [0.625, 0.75]]
    # Beyond the members: the slope of the outer knots, 0.375 / 2 below and 0.25 / 2 above.
    assert t([-2.0, 6.0]) == pytest.approx([0.25 - 0.375, 0.875 + 0.25])
    with pytest.raises(InputError, match="fewer than two distinct"):
        RankTransform.of([1.0, 1.0])


def test_a_saturating_additive_score_loses_its_interaction_in_ranks():
    """A pair that interacts only because the score saturates does not after the transform."""
    latent = np.linspace(-6, 6, 1001)
    t = RankTransform.of(1 / (1 + np.exp(-latent)))

    def s(x: float) -> float:
        return 1 / (1 + np.exp(-x))

    raw = second_difference(s(-4), s(-2), s(-2), s(0))
    ranked = second_difference(t(s(-4)), t(s(-2)), t(s(-2)), t(s(0)))
    assert abs(raw) > 0.2
    assert abs(ranked) < 1e-3
