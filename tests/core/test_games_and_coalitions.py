"""Exact values of games, coalitions drawn level by level, and regressions on them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import games as slow
from saliscope.core.ask import Answer, Question
from saliscope.core.coalitions import Grouped, Level, Sampler, scores_of
from saliscope.core.errors import OptionError
from saliscope.core.games import all_coalitions, shapley_interactions, shapley_values
from saliscope.core.paired import PairedRegression, square
from saliscope.core.perturbation import Baseline
from saliscope.core.surrogate import Strata, fit
from saliscope.core.units import Units

tables = st.integers(1, 5).flatmap(
    lambda n: st.lists(st.floats(-100, 100), min_size=1 << n, max_size=1 << n)
)


def score_of(table: list[float]) -> slow.Score:
    return lambda present: table[sum(1 << i for i in present)]


@given(tables)
@settings(max_examples=30)
def test_exact_values_equal_the_definitions(table: list[float]) -> None:
    n = len(table).bit_length() - 1
    column = np.array(table)[:, None]
    score = score_of(table)
    values = shapley_values(column)[0]
    np.testing.assert_allclose(values, slow.by_permutations(score, n), atol=1e-10)
    np.testing.assert_allclose(values, slow.by_subsets(score, n), atol=1e-10)
    pairs = shapley_interactions(column)[0]
    np.testing.assert_allclose(pairs, slow.interactions(score, n), atol=1e-10)


@given(tables, st.data())
@settings(max_examples=30)
def test_the_axioms_hold(table: list[float], data: st.DataObject) -> None:
    n = len(table).bit_length() - 1
    who = all_coalitions(n)
    column = np.array(table)[:, None]
    values = shapley_values(column)[0]
    # Efficiency.
    assert values.sum() == pytest.approx(table[-1] - table[0], abs=1e-9)
    # Dummy: a player who only ever adds a constant gets it, and interacts with nobody.
    i = data.draw(st.integers(0, n - 1))
    without = np.arange(len(table)) & ~(1 << i)
    dummy = column[without] + 3.0 * who[:, [i]]
    assert shapley_values(dummy)[0, i] == pytest.approx(3.0, abs=1e-9)
    np.testing.assert_allclose(shapley_interactions(dummy)[0, i], 0, atol=1e-9)
    # Symmetry: players who may be exchanged get the same.
    j = data.draw(st.integers(0, n - 1))
    swapped = who.copy()
    swapped[:, [i, j]] = who[:, [j, i]]
    other = swapped @ (1 << np.arange(n))
    even = column + column[other]
    assert shapley_values(even)[0, i] == pytest.approx(shapley_values(even)[0, j], abs=1e-9)
    # Linearity, and two targets at once.
    two = np.hstack([column, column**2])
    both = shapley_values(two)
    np.testing.assert_allclose(both[0], values, atol=1e-9)
    np.testing.assert_allclose(shapley_values(two.sum(1, keepdims=True))[0], both.sum(0), atol=1e-7)


def test_the_glove_game_and_the_gates() -> None:
    who = all_coalitions(3)
    glove = (np.minimum(who[:, :2].sum(1), who[:, 2]))[:, None].astype(float)
    # Two left gloves, one right: the right one is worth 2/3, each left one 1/6.
    np.testing.assert_allclose(shapley_values(glove), [[1 / 6, 1 / 6, 2 / 3]], atol=1e-15)
    # The left gloves stand in for each other, and each makes a pair with the right one.
    np.testing.assert_allclose(
        shapley_interactions(glove), [[[0, -0.5, 0.5], [-0.5, 0, 0.5], [0.5, 0.5, 0]]], atol=1e-15
    )
    pair = all_coalitions(2)
    gates = np.stack([pair.all(1), pair.any(1), pair[:, 0] ^ pair[:, 1]], axis=1).astype(float)
    np.testing.assert_allclose(shapley_values(gates), [[0.5, 0.5], [0.5, 0.5], [0, 0]])
    np.testing.assert_allclose(shapley_interactions(gates)[:, 0, 1], [1, -1, -2])


@pytest.mark.parametrize(("players", "size", "paired"), [
    (5, 2, False), (6, 3, True), (6, 3, False), (16, 6, False), (16, 8, True), (1, 0, False),
    (1, 1, False), (40, 20, True), (300, 7, True),
])  # fmt: skip
def test_a_level_gives_each_coalition_once_at_most(players: int, size: int, paired: bool) -> None:
    level = Level(players, size, np.random.default_rng(1), paired=paired)
    half = paired and 2 * size == players
    assert level.count == math.comb(players, size) // (2 if half else 1)
    wanted = min(level.count, 9000)
    masks = np.concatenate([level.draw(1), level.draw(wanted // 2), level.draw(wanted)])
    assert len(masks) == min(level.count, 1 + wanted // 2 + wanted)
    assert (masks.sum(1) == size).all()
    names = {mask.tobytes() for mask in masks}
    if half:
        names |= {(~mask).tobytes() for mask in masks}
    assert len(names) == len(masks) * (2 if half else 1)
    if len(masks) == level.count:
        assert len(level.draw(3)) == 0


@pytest.mark.parametrize("size", [2, 5, 8])
def test_every_member_is_drawn_alike(size: int) -> None:
    times = np.zeros(16)
    for seed in range(60):
        times += Level(16, size, np.random.default_rng(seed), paired=True).draw(20).sum(0)
    if size == 8:  # the first is left out, for complements stand for its coalitions
        assert times[0] == 0
        times = times[1:]
    share = size / len(times)
    deviation = np.abs(times - 1200 * share) / math.sqrt(1200 * share * (1 - share))
    assert deviation.max() < 4


@given(st.integers(2, 12), st.integers(0, 4000), st.data())
def test_a_sampler_never_takes_back_and_never_takes_more(
    players: int, total: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(0)
    levels = [Level(players, size, rng) for size in range(players + 1)]
    shares = data.draw(st.lists(st.floats(1e-300, 1e3), min_size=players + 1, max_size=players + 1))
    sampler = Sampler(levels, shares, whole=(players - 1,))
    assert sampler.least == sum(
        level.count if level.size == players - 1 else min(2, level.count) for level in levels
    )
    before = np.zeros(players + 1)
    for wanted in sorted({0, total // 3, total}):
        masks, level = sampler.draw(wanted)
        assert (masks.sum(1) == level).all()
        before += np.bincount(level, minlength=players + 1)
        assert before.sum() <= max(wanted, sampler.least)
        assert before.sum() >= min(wanted - players - 1, 1 << players)
        assert (before <= sampler.counts).all()
    assert sampler.exhausted == (before.sum() == 1 << players)


def play(players: int, score: np.ndarray, pairs: int, seed: int) -> PairedRegression:
    """Return a regression on `pairs` pairs of a table."""
    bits = 1 << np.arange(players)
    game = PairedRegression(players, np.random.default_rng(seed), interactions=True)
    masks = game.draw(pairs)
    game.add(masks, score[-1], score[0], score[masks @ bits], score[~masks @ bits])
    return game


@pytest.mark.parametrize("players", [5, 6, 7, 8])
def test_regression_on_all_pairs_is_exact(players: int) -> None:
    table = np.random.default_rng(players).normal(size=(1 << players, 3))
    game = play(players, table, 1 << players, 0)
    assert game.pairs == (1 << players - 1) - 1
    found, pairs = game.values(), game.interactions()
    np.testing.assert_allclose(found.coefficients, shapley_values(table), atol=1e-12)
    np.testing.assert_allclose(
        square(pairs.coefficients, players), shapley_interactions(table), atol=1e-11
    )
    assert (found.stderr == 0).all()
    assert (pairs.stderr == 0).all()


@given(st.integers(6, 14), st.integers(0, 1000))
@settings(max_examples=20)
def test_regression_on_few_pairs_is_exact_for_interactions_of_pairs(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    main, cross = rng.normal(size=n), np.triu(rng.normal(size=(n, n)), 1)

    def score(masks: np.ndarray) -> np.ndarray:
        return (masks @ main + np.einsum("ri,ij,rj->r", masks * 1.0, cross, masks * 1.0))[:, None]

    game = PairedRegression(n, rng, interactions=True)
    ends = score(np.array([[True] * n, [False] * n]))
    masks = game.draw(game.least)
    assert len(masks) == game.least < 1 << n - 1
    game.add(masks, ends[0], ends[1], score(masks), score(~masks))
    both = cross + cross.T
    np.testing.assert_allclose(game.values().coefficients[0], main + both.sum(0) / 2, atol=1e-9)
    np.testing.assert_allclose(square(game.interactions().coefficients, n)[0], both, atol=1e-9)
    assert game.values().stderr.max() < 1e-9


def test_a_fit_is_weighted_least_squares_by_the_normal_equations() -> None:
    rng = np.random.default_rng(3)
    design, values = rng.normal(size=(30, 4)), rng.normal(size=(30, 2))
    level = np.repeat([0, 1, 2], [5, 10, 15])
    strata = Strata(level, np.array([3.0, 1.0, 0.5]), np.array([5.0, 40.0, 1e9]))
    weights = np.array([3 / 5, 1 / 10, 0.5 / 15])[level]
    found = fit(design, values, strata)
    normal = design.T @ (weights[:, None] * design)
    wanted = np.linalg.solve(normal, design.T @ (weights[:, None] * values))
    np.testing.assert_allclose(found.coefficients.T, wanted, atol=1e-12)
    for row in (0, 7, 29):  # what the fit without a row misses it by
        rest = np.delete(np.arange(30), row)
        part = design[rest].T * weights[rest]
        without = np.linalg.solve(part @ design[rest], part @ values[rest])
        np.testing.assert_allclose(found.held_out[row], values[row] - design[row] @ without)
    # The variance, level by level and number by number.
    inverse = np.linalg.inv(normal)
    total = np.zeros((2, 4))
    for number, (mass, count) in enumerate(((3.0, 5), (1.0, 40), (0.5, 1e9))):
        rows = np.flatnonzero(level == number)
        for target, coefficient in itertools.product(range(2), range(4)):
            terms = [
                mass * (inverse @ design[r])[coefficient] * found.held_out[r, target] for r in rows
            ]
            spread = sum((t - np.mean(terms)) ** 2 for t in terms) / (len(rows) - 1)
            total[target, coefficient] += spread / len(rows) * (1 - len(rows) / count)
    np.testing.assert_allclose(found.stderr, np.sqrt(total), rtol=1e-9)


def test_scores_are_averaged_over_the_background_and_asked_for_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    units = Units(("dim_1",), (3,), "element")
    fills = tuple(Baseline(str(i), float(i)) for i in range(4))
    question = Question(units, 1, fills[0], None, None, np.random.default_rng(0), fills)
    masks = all_coalitions(3)
    monkeypatch.setattr("saliscope.core.coalitions._AT_ONCE", 25)
    steps = scores_of(question, units.each(), masks)
    rows, ask = [], next(steps)
    try:
        while True:
            points = ask.points
            rows.append(points.rows)
            kept = np.array([points.row(r).sum() for r in range(points.rows)])
            fill = np.array([points.fill_of(r).value for r in range(points.rows)])
            values = (10 * kept + fill)[:, None]
            ask = steps.send(Answer(values, values))
    except StopIteration as stop:
        np.testing.assert_allclose(stop.value[:, 0], 10 * masks.sum(1) + 1.5)
    assert rows == [8, 8, 8, 8]


def test_groups_are_words_where_there_are_any_and_units_else() -> None:
    units = Units(("position",), (4,), "token", keep=np.array([False, True, True, True]))
    assert Grouped.by(units, None).own
    labels = Units.group(units, [0, 0, 1])
    words = Units(("position",), (4,), "token", keep=units.keep, groupings={"word": labels})
    assert Grouped.by(words, None).count == 2
    assert Grouped.by(words, "token").count == 3
    assert not Grouped.by(words, None).own
    none = Units(
        ("position",), (2,), "token",
        groupings={"word": type(labels)("word", labels=np.array([-1, -1]))},
    )  # fmt: skip
    with pytest.raises(OptionError, match="no word"):
        Grouped.by(none, None)
