"""Shapley values through `explain`: exact, sampled, with errors that hold, and interactions."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers import games, reference, toys
from saliscope import Attribution, OptionError, explain
from saliscope.core.ask import Answer, Estimate, Question
from saliscope.core.games import shapley_interactions, shapley_values
from saliscope.core.perturbation import Baseline
from saliscope.core.units import Units
from saliscope.methods.shapley import MAX_COALITIONS, Shapley, shapley

ONES = torch.ones(1, 20, dtype=torch.float64)


def play(
    score: Callable[[torch.Tensor], torch.Tensor], players: int, **options: Any
) -> Attribution:
    """Explain a game: all players are there, and absent ones are zero."""
    return explain(games.Game(score).eval(), ONES[:, :players], "shapley", 0, **options)


def table(score: Callable[[torch.Tensor], torch.Tensor], players: int) -> np.ndarray:
    """Return the score of every coalition, as `saliscope.core.games` orders them."""
    rows = (torch.arange(1 << players)[:, None] >> torch.arange(players) & 1).bool()
    return score(rows).double().numpy().reshape(len(rows), -1)


# -- exact ----------------------------------------------------------------------------------------

GAMES: list[tuple[str, Any, list[float], list[float]]] = [
    # name, score, values, interactions of (1, 2), (1, 3), (2, 3)
    ("gloves", lambda z: torch.minimum(z[:, 0] * 1 + z[:, 1] * 1, z[:, 2] * 1),
     [1 / 6, 1 / 6, 2 / 3], [-1 / 2, 1 / 2, 1 / 2]),
    ("and", lambda z: z.all(1), [1 / 3] * 3, [1 / 2] * 3),
    ("or", lambda z: z.any(1), [1 / 3] * 3, [-1 / 2] * 3),
    ("majority", lambda z: z.sum(1) >= 2, [1 / 3] * 3, [0, 0, 0]),
    ("dictator", lambda z: z[:, 1] * 5 + 2, [0, 5, 0], [0, 0, 0]),
    ("pair", lambda z: z[:, 0] & z[:, 2], [1 / 2, 0, 1 / 2], [0, 1, 0]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "score", "values", "pairs"), GAMES, ids=lambda v: str(v)[:8])
def test_games_worked_out_by_hand(name: str, score: Any, values: Any, pairs: Any) -> None:
    a = play(score, 3, interactions=True)
    np.testing.assert_allclose(a.to_numpy()[0], values, atol=1e-14)
    np.testing.assert_allclose(a.interaction.values[0][np.triu_indices(3, 1)], pairs, atol=1e-14)
    np.testing.assert_array_equal(a.interaction.values[0], a.interaction.values[0].T)
    assert (np.diagonal(a.interaction.values[0]) == 0).all()
    assert a.evaluations == 8
    assert float(a.error[0]) == 0
    assert (a.data["stderr"].values == 0).all()
    assert a.provenance["notes"]["rule"] == "exact"


@pytest.mark.parametrize(("activation", "seed"), [(nn.ReLU, 0), (nn.GELU, 1), (nn.Tanh, 2)])
@pytest.mark.parametrize("shape", [(5,), (2, 3)], ids=str)
def test_networks_equal_the_sum_over_all_orders(
    activation: Any, seed: int, shape: tuple[int, ...]
) -> None:
    size = int(np.prod(shape))
    net = nn.Sequential(nn.Flatten(), toys.random_net(seed, (size, 7, 3), activation, 3.0)).eval()
    x, b = torch.randn(2, *shape, generator=torch.Generator().manual_seed(seed)).double()
    a = explain(net, x[None], "shapley", [0, 1, 2], fill=b, interactions=True)
    flat = [(f"{i}", (x.reshape(-1), b.reshape(-1))) for i in range(3)]
    for target, (_, (here, there)) in enumerate(flat):
        game = games.of_function(
            lambda rows, t=target: net(rows.reshape(-1, *shape))[:, t], here, there
        )
        wanted = games.by_permutations(game, size) if size < 6 else games.by_subsets(game, size)
        np.testing.assert_allclose(a.to_numpy()[target, 0].ravel(), wanted, atol=1e-10)
        pairs = games.interactions(game, size)
        np.testing.assert_allclose(a.interaction.values[target, 0], pairs, atol=1e-10)
    names = [str(i) for i in range(5)] if len(shape) == 1 else ["0, 0", "0, 1", "0, 2", "1, 0"]
    assert a.data["first"].values.tolist()[: len(names)] == names
    assert (np.abs(a.gap.values) < 1e-12).all()


def test_the_engine_equals_the_plain_driver() -> None:
    net = toys.random_net(4, (13, 8, 2), nn.Tanh, 4.0)
    x, b = torch.randn(2, 13, generator=torch.Generator().manual_seed(1)).double()
    options = {"max_evaluations": 300, "tolerance": 0.02}
    wanted = reference.reference_drive("shapley", lambda one: net(one[None])[0], x, b, **options)
    a = explain(net, x[None], "shapley", [0, 1], fill=b, **options)
    np.testing.assert_allclose(a.to_numpy()[:, 0], wanted.values, atol=1e-10)
    np.testing.assert_allclose(a.data["stderr"].values[:, 0], wanted.extra["stderr"], atol=1e-10)
    assert wanted.notes == a.provenance["notes"]


def test_groups_are_players() -> None:
    a = explain(
        toys.linear([[1, 2, 3, 4, 5]]), torch.ones(1, 5).double(), "shapley", 0,
        groups=[7, 3, 7, -1, 3], interactions=True,
    )  # fmt: skip
    np.testing.assert_allclose(a.to_numpy()[0], [2 + 5, 1 + 3])
    assert a.data["group"].values.tolist() == ["3", "7"]
    assert float(a.baseline_score[0]) == 4  # the untouched one stays
    assert a.data["first"].values.tolist() == ["3 1", "7 2"]


def test_words_and_residues_are_players(text: Any, protein: Any) -> None:
    a = explain(text, "The film was unbelievably good!", "shapley", "positive", interactions=True)
    assert a.data["word"].values.tolist() == ["The", "film", "was", "unbelievably", "good", "!"]
    assert a.data["first"].values.tolist()[3] == "unbelievably 4"
    assert a.gap == pytest.approx(0, abs=1e-12)
    whole = explain(text, "The film was unbelievably good!", "masking", "positive")
    assert a.score == pytest.approx(whole.score, abs=1e-12)
    b = explain(protein, "MVHLT", "shapley", "V2E", interactions=True)
    assert b.data["second"].values.tolist() == ["M1", "V2", "H3", "L4", "T5"]
    assert b.evaluations <= 32
    deleted = explain(text, "a good film", "shapley", 0, fill="delete")
    assert "deletion_shifts" in deleted.health
    assert deleted.gap == pytest.approx(0, abs=1e-12)


def test_a_background_is_averaged_over() -> None:
    net = toys.random_net(5, (4, 6, 1), nn.Tanh, 4.0)
    x = torch.randn(1, 4, generator=torch.Generator().manual_seed(2)).double()
    background = torch.randn(3, 4, generator=torch.Generator().manual_seed(3)).double()
    a = explain(net, x, "shapley", 0, baseline=background, interactions=True)
    apart = [explain(net, x, "shapley", 0, fill=b, interactions=True) for b in background]
    for name in ("values", "interaction", "baseline_score"):
        mean = np.mean([one.data[name].values for one in apart], axis=0)
        np.testing.assert_allclose(a.data[name].values, mean, atol=1e-12)
    assert a.provenance["baseline"] == "background of 3"
    many = explain(net, x, "shapley", 0, baseline=background, max_evaluations=42)
    assert many.evaluations <= 42
    with pytest.raises(OptionError, match=r"at least 42 evaluations.*is 39"):
        explain(net, x, "shapley", 0, baseline=background, max_evaluations=41)


# -- sampled --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_linear_model_of_20_features_gets_its_coefficients(dtype: torch.dtype) -> None:
    weights = torch.linspace(-2, 3, 20).to(dtype)
    net = nn.Linear(20, 1).to(dtype).eval()
    with torch.no_grad():
        net.weight.copy_(weights[None])
    a = explain(net, torch.ones(1, 20, dtype=dtype), "shapley", 0)
    np.testing.assert_allclose(a.to_numpy()[0], weights.double().numpy(), rtol=0, atol=1e-6)
    assert a.evaluations < 100
    assert a.health.ok
    assert float(a.error[0]) < 1e-6


def curved(seed: int, players: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a game with interactions of all orders."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(players, 6, generator=generator).double() * 3 / players**0.5
    offset, out = torch.randn(2, 6, generator=generator).double()
    return lambda z: torch.tanh(z.double() @ weights + offset) @ out


def played(table: np.ndarray, players: int, seed: int, most: int, *, pairs: bool) -> Estimate:
    """Drive the method on a table of scores: 200 runs by the engine would take long."""
    units = Units(("dim_1",), (players,), "element")
    rng = np.random.default_rng(seed)
    question = Question(units, 1, Baseline("zero"), 1e-6, most, rng)
    steps = shapley(question, Shapley(interactions=pairs))
    ask = next(steps)
    try:
        while True:
            values = table[ask.points.weights.astype(int) @ (1 << np.arange(players))]
            ask = steps.send(Answer(values, values))
    except StopIteration as stop:
        return stop.value


@pytest.mark.parametrize(("most", "pairs"), [(50, False), (120, False), (300, True)])
def test_standard_errors_hold_in_200_runs(most: int, pairs: bool) -> None:
    scores, above = table(curved(1, 12), 12), np.triu_indices(12, 1)
    exact, both = shapley_values(scores)[0], shapley_interactions(scores)[0][above]
    misses, errors, second, second_errors = [], [], [], []
    for seed in range(200):
        found = played(scores, 12, seed, most, pairs=pairs)
        misses.append(found.values[0] - exact)
        errors.append(found.extra["stderr"][0])
        assert found.values.sum() == pytest.approx(scores[-1, 0] - scores[0, 0], abs=1e-10)
        if pairs:
            second.append(found.pairs["interaction"][0][above] - both)
            second_errors.append(found.pairs["interaction_stderr"][0][above])
    for miss, stderr in (
        ((misses, errors), (second, second_errors)) if pairs else ((misses, errors),)
    ):
        inside = np.abs(miss) <= 2 * np.array(stderr)
        assert 0.9 <= inside.mean() <= 0.99
        claimed, true = np.sqrt(np.mean(np.square(stderr), 0)), np.sqrt(np.mean(np.square(miss), 0))
        assert 0.85 < np.linalg.norm(claimed) / np.linalg.norm(true) < 1.4
        # A regression on few rows is biased, but little beside its standard error.
        assert (np.abs(np.mean(miss, 0)) < 0.6 * true).all()


@pytest.mark.parametrize("tolerance", [0.2, 0.05, 0.02])
def test_it_stops_where_the_tolerance_is_met(tolerance: float) -> None:
    score = curved(3, 14)
    exact = shapley_values(table(score, 14))[0]
    scale = np.abs(exact).sum()
    true, cost = [], []
    for seed in range(8):
        a = play(score, 14, seed=seed, tolerance=tolerance, max_evaluations=8000)
        assert float(a.error[0]) <= tolerance
        true.append(np.abs(a.to_numpy()[0] - exact).sum() / scale)
        cost.append(a.evaluations)
    assert np.mean(true) <= tolerance
    assert max(true) <= 1.5 * tolerance
    assert max(cost) < {0.2: 400, 0.05: 2500, 0.02: 6000}[tolerance]


def test_the_cap_is_never_passed_and_is_told() -> None:
    for most in (50, 51, 77, 200, 1000):
        a = play(curved(2, 13), 13, max_evaluations=most, tolerance=1e-6)
        assert a.evaluations <= most
        (found,) = [f for f in a.health if f.code == "evaluation_cap"]
        assert found.facts["evaluations"] == a.evaluations
        assert found.facts["error"] == pytest.approx(float(a.error[0]))
    default = play(curved(2, 13), 13, tolerance=1e-6)
    assert MAX_COALITIONS - 60 < default.evaluations <= MAX_COALITIONS


def test_eleven_groups_are_enumerated_and_twelve_are_not() -> None:
    assert play(curved(4, 11), 11).evaluations == 2048
    assert play(curved(4, 12), 12).evaluations < 2048
    assert play(curved(4, 12), 12, max_evaluations=4096).provenance["notes"]["rule"] == "exact"


@pytest.mark.parametrize("players", range(2, 21))
@pytest.mark.parametrize("interactions", [False, True])
def test_too_few_evaluations_are_refused_with_the_least(players: int, interactions: bool) -> None:
    score = curved(5, players)
    for most in itertools.count(5):
        try:
            a = play(score, players, max_evaluations=most, interactions=interactions)
        except OptionError as error:
            told = str(error)
            assert "\n" not in told
            assert f"is {most}" in told
            least = int(told.split("at least ")[1].split(maxsplit=1)[0])
            assert least > most
            with pytest.raises(OptionError):
                play(score, players, max_evaluations=least - 1, interactions=interactions)
            a = play(score, players, max_evaluations=least, interactions=interactions)
        assert np.isfinite(a.to_numpy()).all()
        assert abs(float(a.gap[0])) < 1e-12
        break


@given(st.integers(8, 20), st.integers(0, 10_000))
@settings(max_examples=15)
def test_the_axioms_hold_while_sampling(players: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rest = curved(seed, players - 3)
    twin = float(torch.randn(1, generator=generator))

    def score(z: torch.Tensor) -> torch.Tensor:
        # The first does nothing; the second and third may be exchanged, and interact.
        return rest(z[:, 3:]) + twin * (z[:, 1] * 1.0 + z[:, 2] * 1.0) + 2.0 * (z[:, 1] & z[:, 2])

    a = play(score, players, seed=seed, max_evaluations=200, tolerance=1e-6)
    values, stderr = a.to_numpy()[0], a.data["stderr"].values[0]
    assert values.sum() == pytest.approx(float((a.score - a.baseline_score)[0]), abs=1e-10)
    assert abs(values[0]) <= 5 * stderr[0] + 1e-9
    apart = float(np.hypot(stderr[1], stderr[2]))
    assert abs(values[1] - values[2]) <= 5 * apart + 1e-9


def test_one_seed_gives_one_result_and_another_another() -> None:
    one, two, other = (
        play(curved(6, 15), 15, seed=seed, max_evaluations=100, interactions=False)
        for seed in (3, 3, 4)
    )
    assert one.equals(two)
    assert not np.array_equal(one.to_numpy(), other.to_numpy())


# -- what it does not say -------------------------------------------------------------------------


def test_of_two_units_that_undo_each_other_both_get_zero() -> None:
    # Exclusive or: each alone makes the target 1, together it is 0 again, as without them.
    a = play(lambda z: z[:, 0] ^ z[:, 1], 2, interactions=True)
    np.testing.assert_allclose(a.to_numpy()[0], [0, 0], atol=1e-15)
    np.testing.assert_allclose(a.interaction.values[0, 0, 1], -2)
    assert a.top_pairs(1)["value"].tolist() == [-2.0]
    with pytest.raises(OptionError, match="interactions=True"):
        play(lambda z: z.any(1), 2).top_pairs()


def test_a_saved_result_keeps_its_pairs(tmp_path: Any) -> None:
    a = play(curved(7, 4), 4, interactions=True)
    b = Attribution.load(a.save(tmp_path / "a.nc"))
    assert b.equals(a)
    np.testing.assert_array_equal(b.interaction.values, a.interaction.values)
    assert len(b.top_pairs()) == 6
    assert "interaction" not in b.to_frame()


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("shapley", {"interactions": True}),
        ("shapley", {"interactions": True, "groups": [0] * 6 + [1] * 7}),
        ("lime", {}),
        ("permutation", {"baseline": [0.0, 2.0, 3.0]}),
    ],
    ids=["sampled", "exact", "lime", "permutation"],
)
def test_what_is_not_finite_is_found_at_little_cost(
    method: str, options: dict[str, Any], number: float
) -> None:
    net = toys.Broken(toys.random_net(0, (13, 6, 2), nn.ReLU, 4.0), number)
    a = explain(net, ONES[:, :13], method, 0, **options)
    assert "non_finite" in a.health
    assert a.evaluations <= 200
