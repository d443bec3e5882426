"""LIME through `explain`: its normal equations, its fit, its errors, and what it does not say."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from helpers import games, reference, toys
from saliscope import OptionError, explain
from saliscope.core.ask import Answer, Estimate, Question
from saliscope.core.games import all_coalitions
from saliscope.core.perturbation import Baseline
from saliscope.core.units import Units
from saliscope.methods.lime import Lime, lime


def weight(present: int, n: int, width: float) -> float:
    """Ribeiro et al. 2016, section 3.3, with the cosine distance; sizes are equally likely."""
    distance = 1 - math.sqrt(present / n)
    return math.exp(-(distance**2) / (2 * width**2)) / math.comb(n, present)


def solved(scores: np.ndarray, n: int, width: float) -> tuple[np.ndarray, float, np.ndarray]:
    """Return coefficients and intercept of all coalitions by the normal equations, row by row.

    Also return what the fit without each row misses that row by.
    """
    masks = all_coalitions(n).astype(float)

    def fitted(left_out: int) -> np.ndarray:
        normal, right = np.zeros((n + 1, n + 1)), np.zeros(n + 1)
        for number, (mask, score) in enumerate(zip(masks, scores, strict=True)):
            if number != left_out:
                row = np.array([1.0, *mask])
                normal += weight(int(mask.sum()), n, width) * np.outer(row, row)
                right += weight(int(mask.sum()), n, width) * row * score
        return np.linalg.solve(normal, right)

    whole = fitted(-1)
    missed = [
        s - np.array([1.0, *m]) @ fitted(i)
        for i, (m, s) in enumerate(zip(masks, scores, strict=True))
    ]
    return whole[1:], whole[0], np.array(missed)


@pytest.mark.parametrize("width", [0.1, 0.25, 2.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_all_coalitions_give_the_solution_of_the_normal_equations(seed: int, width: float) -> None:
    n = 5
    net = toys.random_net(seed, (n, 6, 2), nn.Tanh, 4.0)
    x, b = torch.randn(2, n, generator=torch.Generator().manual_seed(seed)).double()
    masks = torch.from_numpy(all_coalitions(n))
    with torch.no_grad():
        scores = net(torch.where(masks, x, b)).numpy()
    options = {"fill": b, "kernel_width": width, "samples": 32}
    a = explain(net, x[None], "lime", [0, 1], **options)
    assert a.evaluations == 32
    for target in range(2):
        values, intercept, missed = solved(scores[:, target], n, width)
        np.testing.assert_allclose(a.to_numpy()[target, 0], values, atol=1e-10)
        assert float(a.data["intercept"][target, 0]) == pytest.approx(intercept, abs=1e-10)
        weights = np.array([weight(int(m.sum()), n, width) for m in masks])
        mean = np.average(scores[:, target], weights=weights)
        rest = (weights * missed**2).sum() / (weights * (scores[:, target] - mean) ** 2).sum()
        assert float(a.data["r_squared"][target, 0]) == pytest.approx(1 - rest, abs=1e-9)
    assert (a.data["stderr"].values == 0).all()
    np.testing.assert_allclose(a.score.values[:, 0], scores[-1], atol=1e-12)


def test_the_engine_equals_the_plain_driver() -> None:
    net = toys.random_net(4, (13, 8, 2), nn.Tanh, 4.0)
    x, b = torch.randn(2, 13, generator=torch.Generator().manual_seed(1)).double()
    options = {"max_evaluations": 300, "tolerance": 0.1}
    wanted = reference.reference_drive("lime", lambda one: net(one[None])[0], x, b, **options)
    a = explain(net, x[None], "lime", [0, 1], fill=b, **options)
    np.testing.assert_allclose(a.to_numpy()[:, 0], wanted.values, atol=1e-10)
    for name in ("r_squared", "intercept"):
        np.testing.assert_allclose(a.data[name].values[:, 0], wanted.numbers[name], atol=1e-9)


def test_a_linear_model_gets_its_coefficients_and_fits_fully() -> None:
    weights = np.linspace(-2, 3, 20)
    a = explain(toys.linear([weights.tolist()], [4.0]), torch.ones(1, 20).double(), "lime", 0)
    np.testing.assert_allclose(a.to_numpy()[0], weights, atol=1e-9)
    assert float(a.data["r_squared"][0]) == pytest.approx(1, abs=1e-9)
    assert float(a.data["intercept"][0]) == pytest.approx(4, abs=1e-9)
    assert float(a.error[0]) < 1e-9
    assert a.evaluations <= 60
    assert a.health.ok


def test_groups_words_and_backgrounds(text: Any) -> None:
    grouped = explain(
        toys.linear([[1, 2, 3, 4]]), torch.ones(1, 4).double(), "lime", 0, groups=[5, 1, 5, 1]
    )
    np.testing.assert_allclose(grouped.to_numpy()[0], [2 + 4, 1 + 3])
    words = explain(text, "The film was unbelievably good!", "lime", "positive")
    assert words.data["word"].values.tolist()[3] == "unbelievably"
    assert words.data["r_squared"].ndim == 0
    net = toys.random_net(5, (4, 6, 1), nn.Tanh, 4.0)
    x = torch.randn(1, 4, generator=torch.Generator().manual_seed(2)).double()
    background = torch.randn(3, 4, generator=torch.Generator().manual_seed(3)).double()
    a = explain(net, x, "lime", 0, baseline=background, samples=16)
    apart = [explain(net, x, "lime", 0, fill=b, samples=16).to_numpy() for b in background]
    np.testing.assert_allclose(a.to_numpy(), np.mean(apart, axis=0), atol=1e-12)
    assert a.evaluations <= 48


def played(scores: np.ndarray, n: int, seed: int, **given: Any) -> Estimate:
    """Drive the method on a table of scores."""
    units = Units(("dim_1",), (n,), "element")
    most = given.pop("most", None)
    rng = np.random.default_rng(seed)
    question = Question(units, 1, Baseline("zero"), given.pop("tolerance", None), most, rng)
    steps = lime(question, Lime(**given))
    ask = next(steps)
    try:
        while True:
            values = scores[ask.points.weights.astype(int) @ (1 << np.arange(n))][:, None]
            ask = steps.send(Answer(values, values))
    except StopIteration as stop:
        return stop.value


def curved(n: int) -> np.ndarray:
    """Return the table of a game with interactions of all orders."""
    rng = np.random.default_rng(8)
    inner = all_coalitions(n) @ rng.normal(size=(n, 6)) * 2 / n**0.5 + rng.normal(size=6)
    return np.asarray(np.tanh(inner) @ rng.normal(size=6))


@pytest.mark.parametrize("samples", [60, 200])
def test_standard_errors_hold_in_200_runs(samples: int) -> None:
    n = 10
    scores = curved(n)
    wanted = played(scores, n, 0, samples=1 << n)
    assert (wanted.extra["stderr"] == 0).all()
    runs = [played(scores, n, seed, samples=samples) for seed in range(200)]
    miss = np.array([run.values[0] - wanted.values[0] for run in runs])
    stderr = np.array([run.extra["stderr"][0] for run in runs])
    assert 0.9 <= (np.abs(miss) <= 2 * stderr).mean() <= 0.99
    true = np.sqrt((miss**2).mean(0))
    assert (np.abs(miss.mean(0)) < 0.6 * true).all()
    # The fit's quality is about that of the fit to all coalitions.
    quality = np.mean([run.numbers["r_squared"][0] for run in runs])
    assert quality == pytest.approx(wanted.numbers["r_squared"][0], abs=0.15)


def test_it_draws_until_the_tolerance_is_met_or_stops_and_says_so() -> None:
    scores = curved(12)
    costs = []
    for tolerance in (0.3, 0.1):
        found = played(scores, 12, 0, tolerance=tolerance)
        assert found.error is not None
        assert found.error[0] <= tolerance
        assert not [f for f in found.findings if f.severity == "error"]
        costs.append(found.notes["samples"])
    assert costs[0] < costs[1] < 2048
    capped = played(scores, 12, 0, tolerance=0.001, most=200)
    assert 180 < capped.notes["samples"] <= 200
    assert [f.code for f in capped.findings if f.severity == "error"] == ["evaluation_cap"]
    fixed = played(scores, 12, 0, samples=100)
    assert 90 < fixed.notes["samples"] <= 100
    assert [f.code for f in fixed.findings] == ["sampling_error"]


@pytest.mark.parametrize("score", ["parity", "all"])
def test_a_target_that_is_not_linear_is_told(score: str) -> None:
    # A checkerboard over six units has no linear part; the coefficients say nothing of it.
    parity: Any = {"parity": lambda z: z.sum(1) % 2 * 1.0, "all": lambda z: z.all(1)}[score]
    x = torch.ones(1, 8 if score == "all" else 6).double()
    a = explain(games.Game(parity).eval(), x, "lime", 0)
    assert "poor_surrogate" in a.health
    assert float(a.data["r_squared"][0]) < 0.5
    assert a.health.findings[0].facts["r_squared"] >= 0
    # Another kernel gives another map of the same model and input.
    narrow = explain(games.Game(parity).eval(), x, "lime", 0, kernel_width=0.03)
    assert np.abs(narrow.to_numpy()).max() > 2 * np.abs(a.to_numpy()).max()


def test_a_constant_target_is_flat_and_fits() -> None:
    a = explain(toys.linear([[0.0, 0.0, 0.0]], [2.0]), torch.ones(1, 3).double(), "lime", 0)
    np.testing.assert_array_equal(a.to_numpy(), [[0, 0, 0]])
    assert float(a.data["r_squared"][0]) == 1
    assert "flat" in a.health
    assert "poor_surrogate" not in a.health


def test_one_group_is_the_difference_of_two_scores() -> None:
    a = explain(
        toys.linear([[3.0, 4.0]], [1.0]), torch.ones(1, 2).double(), "lime", 0, groups=[0, 0]
    )
    np.testing.assert_allclose(a.to_numpy(), [[7.0]])
    assert float(a.data["intercept"][0]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"samples": 0}, "at least 2"),
        ({"samples": 2.5}, "whole number"),
        ({"samples": True}, "whole number"),
        ({"kernel_width": 0}, "above 0"),
        ({"kernel_width": -1.0}, "above 0"),
        ({"kernel_width": float("nan")}, "above 0"),
        ({"kernel_width": "wide"}, "above 0|takes"),
        ({"kernel_width": 1e-3}, "leaves no weight"),
        ({"samples": 10}, "at least 19 evaluations, and samples is 10"),
        ({"max_evaluations": 18}, "at least 19 evaluations, and max_evaluations is 18"),
        ({"groups": "word"}, "word"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], words: str) -> None:
    net = toys.random_net(0, (7, 4, 1), nn.Tanh)
    with pytest.raises(OptionError, match=words) as caught:
        explain(net, torch.ones(1, 7).double(), "lime", 0, **options)
    assert "\n" not in str(caught.value)


def test_the_least_that_is_told_suffices() -> None:
    for n, width in itertools.product((1, 2, 3, 5, 8, 13), (0.25, 5.0)):
        net = toys.random_net(0, (n, 4, 1), nn.Tanh)
        x = torch.ones(1, n).double()
        least = max(2, 3 * n - 2)
        a = explain(net, x, "lime", 0, samples=least, kernel_width=width)
        assert np.isfinite(a.to_numpy()).all()
        assert a.evaluations <= least
        if n > 1:
            with pytest.raises(OptionError, match=f"at least {least} "):
                explain(net, x, "lime", 0, samples=least - 1)
