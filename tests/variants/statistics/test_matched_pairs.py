"""The matched null of interactions: deciles, distances, draws, p and q."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.statistics.matched_null import (
    Match,
    Pairs,
    deciles_of,
    distance_class,
    draw_pairs,
    match_of,
    plan_pairs,
    rank_pairs,
)

RNG = np.random.default_rng(1)
EFFECTS = RNG.normal(-1, 1, 1441)
POSITIONS = np.sort(RNG.integers(1, 246, 1441))
EDGES = deciles_of(EFFECTS)


def _pairs(first, second, distance, interaction) -> Pairs:
    return Pairs(
        np.asarray(first, dtype=float), np.asarray(second, dtype=float),
        np.asarray(distance), np.asarray(interaction, dtype=float),
    )  # fmt: skip


def test_distance_classes():
    assert distance_class([1, 5, 6, 23, 24, 25, 400, -30]).tolist() == [0, 0, 1, 1, 1, 2, 2, 2]


def test_match_does_not_depend_on_order():
    edges = deciles_of(np.arange(101))
    assert match_of(95.0, 13.0, 6, edges) == match_of(13.0, 95.0, -6, edges) == Match(1, 9, 1)
    assert match_of(-1e9, 1e9, 1, edges) == Match(0, 9, 0)
    with pytest.raises(InputError, match="one residue"):
        match_of(1.0, 2.0, 0, edges)


MATCHES = st.builds(
    lambda a, b, d: Match(min(a, b), max(a, b), d),
    st.integers(0, 9), st.integers(0, 9), st.integers(0, 2),
)  # fmt: skip


@given(MATCHES, st.integers(0, 5), st.sampled_from([1, 50, 1000]))
def test_every_drawn_pair_matches(match, seed, count):
    drawn = draw_pairs(seed, EFFECTS, POSITIONS, match, count)
    assert len(drawn) <= count
    assert len(np.unique(drawn, axis=0)) == len(drawn)
    assert np.all(drawn[:, 0] < drawn[:, 1])
    assert np.all(POSITIONS[drawn[:, 0]] != POSITIONS[drawn[:, 1]])
    for i, j in drawn[:20]:
        apart = int(POSITIONS[i] - POSITIONS[j])
        assert match_of(EFFECTS[i], EFFECTS[j], apart, EDGES) == match
    assert drawn.tolist() == draw_pairs(seed, EFFECTS, POSITIONS, match, count).tolist()


def test_a_thousand_where_they_exist_and_all_where_not():
    decile = np.searchsorted(EDGES, EFFECTS, side="right")
    for match in (Match(2, 7, 0), Match(4, 4, 0), Match(2, 7, 2), Match(0, 0, 1)):
        there = 0
        for i in np.flatnonzero(decile == match.low):
            others = np.flatnonzero(decile == match.high)
            if match.low == match.high:
                others = others[others > i]
            apart = np.abs(POSITIONS[others] - POSITIONS[i])
            there += int(((distance_class(apart) == match.distance) & (apart > 0)).sum())
        drawn = draw_pairs(0, EFFECTS, POSITIONS, match)
        assert len(drawn) == min(1000, there)
        assert len(draw_pairs(0, EFFECTS, POSITIONS, match, 10**9)) == there


def test_seeds_differ_and_kinds_do_not_disturb_each_other():
    one = Match(2, 7, 2)
    assert (
        draw_pairs(0, EFFECTS, POSITIONS, one).tolist()
        != draw_pairs(1, EFFECTS, POSITIONS, one).tolist()
    )
    alone = {tuple(p) for p in draw_pairs(0, EFFECTS, POSITIONS, one).tolist()}
    both = {tuple(p) for p in plan_pairs(0, EFFECTS, POSITIONS, [Match(0, 1, 1), one]).tolist()}
    assert alone < both
    assert plan_pairs(0, EFFECTS, POSITIONS, []).shape == (0, 2)


def test_the_tested_pair_is_not_in_its_own_null():
    one = Match(2, 7, 2)
    everything = draw_pairs(0, EFFECTS, POSITIONS, one, 10**9)
    i, j = everything[5].tolist()
    without = draw_pairs(0, EFFECTS, POSITIONS, one, 10**9, exclude=[(j, i)])
    assert len(without) == len(everything) - 1
    assert [i, j] not in without.tolist()


def test_very_many_candidates_stay_bounded():
    n = 60_000
    effects = np.random.default_rng(2).normal(size=n)
    drawn = draw_pairs(0, effects, np.arange(n) // 6 + 1, Match(3, 8, 0), 1000)
    assert len(drawn) == 1000
    decile = np.searchsorted(deciles_of(effects), effects, side="right")
    assert {tuple(sorted(decile[pair])) for pair in drawn} == {(3, 8)}


def test_p_by_hand_and_only_matching_pairs_count():
    edges = deciles_of(np.arange(101))
    like = np.linspace(-1, 1, 249)
    null = _pairs(
        np.r_[np.full(249, 13.0), np.full(500, 55.0), np.full(500, 13.0)],
        np.r_[np.full(249, 95.0), np.full(500, 95.0), np.full(500, 95.0)],
        np.r_[np.full(249, 10), np.full(500, 10), np.full(500, 3)],
        np.r_[like, np.full(1000, 99.0)],
    )
    test = rank_pairs(_pairs([95.0], [13.0], [-12], [0.9]), null, edges)[0]
    assert test.n == 249
    assert test.p == (1 + np.count_nonzero(np.abs(like) >= 0.9)) / 250
    assert test.q == test.p
    assert test.match == Match(1, 9, 1)
    assert not test.unusual
    assert test.text == (
        f"model interaction +0.90, rank {test.p:.2f} among 249 matched pairs "
        f"(q {test.p:.2f}): not unusual for this model"
    )


def test_too_few_matched_pairs_give_no_p_and_do_not_weigh_on_others():
    edges = deciles_of(np.arange(101))
    rng = np.random.default_rng(0)
    null = _pairs(
        np.r_[np.full(199, 13.0), np.full(200, 55.0)], np.full(399, 95.0), np.full(399, 30),
        rng.normal(size=399),
    )  # fmt: skip
    few, enough = rank_pairs(_pairs([13.0, 55.0], [95.0, 95.0], [40, 40], [9.0, 9.0]), null, edges)
    assert (few.p, few.q, few.n) == (None, None, 199)
    assert few.text == "model interaction +9.00, no p: 199 matched pairs where 200 are needed"
    assert enough.p == enough.q == 1 / 201
    assert enough.text.endswith("unusual for this model")


def test_q_is_over_all_pairs_tested():
    edges = deciles_of(np.arange(101))
    rng = np.random.default_rng(0)
    null = _pairs(np.full(999, 50.0), np.full(999, 50.0), np.full(999, 30), rng.normal(size=999))
    tested = _pairs(np.full(10, 50.0), np.full(10, 50.0), np.full(10, 30), [9.0] + [0.0] * 9)
    tests = rank_pairs(tested, null, edges)
    assert tests[0].p == 0.001
    assert tests[0].q == pytest.approx(0.01)
    assert {t.q for t in tests[1:]} == {1.0}


def test_uniform_under_the_null_and_found_when_planted():
    rng = np.random.default_rng(4)
    null = _pairs(np.zeros(1000), np.zeros(1000), np.full(1000, 9), rng.standard_t(3, 1000))
    many = _pairs(np.zeros(4000), np.zeros(4000), np.full(4000, 9), rng.standard_t(3, 4000))
    p = np.array([t.p for t in rank_pairs(many, null, EDGES)])
    for alpha in (0.05, 0.2, 0.5):
        assert np.mean(p <= alpha) == pytest.approx(alpha, abs=0.04)


def test_refusals():
    with pytest.raises(InputError, match="one residue"):
        rank_pairs(_pairs([0], [0], [0], [1]), _pairs([0], [0], [1], [1]), EDGES)
    with pytest.raises(InputError, match="differ in length"):
        _pairs([0, 1], [0], [0], [1])
    with pytest.raises(InputError, match="interactions: value 1"):
        _pairs([0], [0], [1], [np.nan])
    with pytest.raises(InputError, match="one of each per change"):
        draw_pairs(0, [1.0, 2.0], [1], Match(0, 9, 0))
    with pytest.raises(OptionError, match="count=0"):
        draw_pairs(0, EFFECTS, POSITIONS, Match(0, 9, 0), 0)
    with pytest.raises(InputError, match="deciles need"):
        deciles_of([])
