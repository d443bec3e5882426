"""Expected gradients: the definition, what is exact, how honest the errors are, the background."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from helpers import reference, tokens, toys
from saliscope import OptionError, explain
from saliscope.core.ask import Ask
from saliscope.models.protein import ProteinModel

METHOD = "expected_gradients"


def setting(activation: Any = nn.GELU, count: int = 5) -> tuple[Any, ...]:
    """Return a network with two outputs, an input, a background, and a function of one input."""
    net = toys.random_net(3, (4, 9, 6, 2), activation, 4.0)
    generator = torch.Generator().manual_seed(12)
    background = torch.randn(count, 4, generator=generator, dtype=torch.float64)
    x = torch.tensor([1.0, -0.5, 0.0, 2.0]).double()
    return net, x, background, lambda one: net(one[None])[0]


def stderr(a: Any) -> np.ndarray:
    """Return the standard errors of a result."""
    return np.asarray(a.data["stderr"].values)


def dense(net: nn.Module, x: torch.Tensor, background: torch.Tensor, nodes: int) -> np.ndarray:
    """Return the expectation: the mean over all baselines of dense midpoint rules."""
    places = (torch.arange(nodes).double() + 0.5) / nodes
    away = (x - background)[:, None]
    points = (background[:, None] + places[:, None] * away).requires_grad_()
    out = net(points.reshape(-1, x.numel()))
    slopes = [torch.autograd.grad(o.sum(), points, retain_graph=True)[0] for o in out.T]
    return np.stack([(slope * away).mean((0, 1)).numpy() for slope in slopes])


# -- the definition ----------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [40, 37])
def test_values_are_the_mean_over_sequences_of_points(samples: int) -> None:
    net, x, background, f = setting()
    a = explain(net, x[None], METHOD, [0, 1], baseline=background, samples=samples, seed=4)
    random = np.random.default_rng(4)
    starts = random.random(8)
    orders = random.permuted(np.tile(np.arange(5), (8, 1)), axis=1)  # five steps: one round
    found: list[list[np.ndarray]] = [[] for _ in range(8)]
    for number in range(samples):
        which, step = number % 8, number // 8
        b = background[orders[which, step]]
        place = (starts[which] + step * (5**0.5 - 1) / 2) % 1
        slopes = reference.slopes(f, b + place * (x - b))
        found[which].append(np.stack([(g * (x - b)).numpy() for g in slopes]))
    means = np.stack([np.mean(each, axis=0) for each in found])
    np.testing.assert_allclose(a.to_numpy()[:, 0], means.mean(0), atol=1e-12)
    np.testing.assert_allclose(stderr(a)[:, 0], means.std(0, ddof=1) / 8**0.5, atol=1e-12)
    scores = np.stack([f(b).detach().numpy() for b in background])
    np.testing.assert_allclose(a.baseline_score.values[:, 0], scores.mean(0), atol=1e-12)
    np.testing.assert_allclose(a.score.values[:, 0], f(x).detach().numpy(), atol=1e-12)
    assert a.evaluations == samples + 1 + 5
    assert a.provenance["notes"] == {"rule": "drawn", "samples": samples, "baselines": 5}
    assert a.provenance["baseline"] == "background of 5"


@pytest.mark.parametrize(("count", "rule"), [(1, "integrated"), (4, "integrated"), (12, "drawn")])
def test_the_engine_equals_the_plain_driver(count: int, rule: str) -> None:
    net, x, background, f = setting(nn.ReLU, count)
    options: dict[str, Any] = {"tolerance": 0.1, "max_evaluations": 400}
    wanted = reference.reference_drive(METHOD, f, x, x, background=list(background), **options)
    a = explain(net, x[None], METHOD, [0, 1], baseline=background, **options)
    np.testing.assert_allclose(a.to_numpy()[:, 0], wanted.values, rtol=0, atol=1e-10)
    if rule == "drawn":
        np.testing.assert_allclose(stderr(a)[:, 0], wanted.extra["stderr"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(a.baseline_score.values[:, 0], wanted.baseline_score, atol=1e-10)
    np.testing.assert_allclose(a.error.values[:, 0], wanted.error, atol=1e-10)
    assert a.provenance["notes"] == wanted.notes
    assert wanted.notes["rule"] == rule


def test_points_are_uniform_and_spread_evenly() -> None:
    x, asked = torch.ones(2).double(), list[Ask]()
    reference.reference_drive(
        METHOD, lambda one: one[:1], x, x, background=[x * 0] * 10, samples=800, asked=asked
    )
    places = np.concatenate([ask.points.weights[:, 0] for ask in asked if ask.fold is not None])
    choice = np.concatenate([ask.points.choice for ask in asked if ask.fold is not None])
    assert (np.bincount(choice) == 80).all()
    for part in range(8):  # each sequence alone: 100 places, ten rounds of baselines
        own = np.sort(places[part::8])
        assert np.diff(own).max() < 0.02  # of the longest gap of chance, 0.05
        assert (np.sort(choice[part::8].reshape(10, 10), axis=1) == np.arange(10)).all()


# -- what is exact -----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"samples": 16}], ids=["integrated", "drawn"])
def test_a_linear_model_with_one_baseline_is_exact(options: dict[str, Any]) -> None:
    net = toys.linear([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]], [7.0, 0.0])
    x, b = torch.tensor([[1.0, 2.0, 4.0]]).double(), torch.tensor([0.5, 0.0, 0.0])
    a = explain(net, x, METHOD, [0, 1], baseline=b, **options)
    np.testing.assert_allclose(a.to_numpy()[:, 0], [[1, -2, 2], [0, 6, 4]], atol=1e-12)
    np.testing.assert_allclose(a.gap.values, 0, atol=1e-12)
    np.testing.assert_allclose(a.error.values, 0, atol=1e-12)
    if options:
        np.testing.assert_allclose(stderr(a), 0, atol=1e-12)
    assert a.evaluations == (18 if options else 9)


@pytest.mark.parametrize("options", [{}, {"samples": 24}], ids=["integrated", "drawn"])
def test_a_linear_model_with_a_small_background_is_exact(options: dict[str, Any]) -> None:
    net = toys.linear([[2.0, -1.0, 0.5]])
    x = torch.tensor([[1.0, 2.0, 4.0]]).double()
    background = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [2.0, 5.0, 6.0]])
    a = explain(net, x, METHOD, 0, baseline=background, **options)  # on average (1, 2, 2)
    np.testing.assert_allclose(a.to_numpy(), [[0, 0, 1]], atol=1e-12)
    # Nine places on each way; or each of eight sequences goes through the background once.
    assert a.evaluations == (24 + 1 + 3 if options else 27)
    assert a.baseline_score.item() == pytest.approx(1.0)


@pytest.mark.parametrize("options", [{"tolerance": 0.01}, {"samples": 600}], ids=str)
def test_a_product_shares_its_change_evenly(options: dict[str, Any]) -> None:
    class Product(nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return rows[:, 0] * rows[:, 1]

    a = explain(Product().eval(), torch.tensor([[3.0, 4.0]]).double(), METHOD, 0, **options)
    np.testing.assert_allclose(a.to_numpy()[0], [6, 6], atol=0.05)
    assert float(np.abs(a.gap.values).max()) <= 0.01 * 12


def test_one_baseline_gives_integrated_gradients() -> None:
    net, x, background, _ = setting(nn.ReLU)
    options: dict[str, Any] = {"baseline": background[0], "tolerance": 0.01}
    a = explain(net, x[None], METHOD, [0, 1], **options)
    b = explain(net, x[None], "integrated_gradients", [0, 1], **options)
    np.testing.assert_allclose(a.to_numpy(), b.to_numpy(), atol=1e-12)
    assert a.evaluations == b.evaluations
    assert "one_baseline" in a.health
    default = explain(net, x[None], METHOD, 0)
    assert default.provenance["baseline"] == "zero"
    assert "one_baseline" in default.health
    assert "one_baseline" not in explain(net, x[None], METHOD, 0, baseline=background).health


@pytest.mark.parametrize("count", [2, 8])
def test_few_baselines_are_integrated_to_the_tolerance(count: int) -> None:
    net, x, background, _ = setting(nn.ReLU, count)
    truth = dense(net, x, background, 20_000 // count)
    for tolerance in (0.1, 0.01):
        a = explain(net, x[None], METHOD, [0, 1], baseline=background, tolerance=tolerance)
        true = np.abs(a.to_numpy()[:, 0] - truth).sum(1) / np.abs(truth).sum(1)
        assert (true <= a.error.values[:, 0] + 1e-3).all()
        assert float(a.error.max()) <= tolerance


# -- how sure ----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 5, 200])
def test_standard_errors_cover_what_they_say(count: int) -> None:
    net, x, background, _ = setting(nn.ReLU, count)
    truth = dense(net, x, background, 30_000 // count)[0]
    found = [
        explain(net, x[None], METHOD, 0, baseline=background, samples=60, seed=seed)
        for seed in range(20)
    ]
    values, said = (
        np.stack([a.to_numpy()[0] for a in found]),
        np.stack([stderr(a)[0] for a in found]),
    )
    assert np.abs(values.mean(0) - truth).max() < 5 * said.mean() / 20**0.5 + 1e-3  # no bias
    assert np.mean(np.abs(values - truth) <= 2.4 * said) > 0.85  # 95 % for eight sequences
    assert 0.6 < values.std(0).sum() / said.mean(0).sum() < 1.3


def test_it_draws_until_the_tolerance_is_met() -> None:
    net, x, background, _ = setting(nn.ReLU, 40)
    truth = dense(net, x, background, 500)
    for tolerance in (0.2, 0.05):
        a = explain(net, x[None], METHOD, [0, 1], baseline=background, tolerance=tolerance)
        assert float(a.error.max()) <= tolerance
        assert not {"evaluation_cap", "sampling_error", "gap_over_tolerance"} & {
            f.code for f in a.health
        }
        true = np.abs(a.to_numpy()[:, 0] - truth).sum(1) / np.abs(truth).sum(1)
        assert (true <= 2 * tolerance).all()


@pytest.mark.parametrize("most", [5, 9, 30, 81])
@pytest.mark.parametrize("count", [1, 4, 60])
def test_it_stops_at_the_limit(most: int, count: int) -> None:
    net, x, background, _ = setting(nn.ReLU, count)
    options: dict[str, Any] = {"baseline": background, "tolerance": 1e-6}
    a = explain(net, x[None], METHOD, 0, max_evaluations=most, **options)
    assert most / 2 - 8 <= a.evaluations <= most
    assert "evaluation_cap" in a.health
    assert np.isfinite(a.to_numpy()).all()


def test_few_samples_are_a_warning_and_their_gap_is_none() -> None:
    net, x, background, _ = setting(nn.ReLU, 40)
    a = explain(net, x[None], METHOD, 0, baseline=background, samples=8)
    assert a.evaluations == 8 + 1 + 8  # no more baselines than points
    assert "sampling_error" in a.health
    assert "gap_over_tolerance" not in a.health
    assert a.health.ok


def test_a_gap_that_sampling_does_not_explain_is_an_error() -> None:
    class Steps(nn.Module):
        """Its slope knows nothing of its steps."""

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return rows.floor().sum(-1) * 10 + rows.sum(-1)

    a = explain(Steps().eval(), torch.tensor([[3.5, 2.5]]).double(), METHOD, 0)
    np.testing.assert_allclose(a.to_numpy(), [[3.5, 2.5]])
    assert float(a.error[0]) == pytest.approx(50 / 56)
    assert "evaluation_cap" in a.health
    few = explain(Steps().eval(), torch.tensor([[3.5, 2.5]]).double(), METHOD, 0, samples=8)
    assert "gap_over_tolerance" in few.health
    assert float(few.error[0]) == pytest.approx(50 / 56)


def test_a_seed_is_a_draw() -> None:
    net, x, background, _ = setting()
    options: dict[str, Any] = {"baseline": background, "samples": 24, "budget": 1}
    one, same, other = (explain(net, x[None], METHOD, 0, seed=s, **options) for s in (1, 1, 2))
    assert one.to_bytes() == same.to_bytes()
    assert not np.allclose(one.to_numpy(), other.to_numpy(), rtol=1e-3)


# -- tokens, types, options -----------------------------------------------------------------------


@pytest.mark.parametrize(("samples", "close"), [(None, 0.02), (1200, 0.08)])
def test_proteins_are_averaged_over_proteins(samples: int | None, close: float) -> None:
    model = ProteinModel(tokens.esm(torch.float64), tokens.esm_tokenizer(), "esm")
    background = ["GGGGG", "WYWYW", "ACDEF"]
    options: dict[str, Any] = {"target": "likelihood", "tolerance": 0.002}
    apart = [
        explain(model, "MVHLT", "integrated_gradients", baseline=b, **options) for b in background
    ]
    wanted = np.mean([a.to_numpy() for a in apart], axis=0)
    options = {"target": "likelihood", "tolerance": 0.02, "samples": samples}
    a = explain(model, "MVHLT", METHOD, baseline=background, **options)
    share = np.abs(a.to_numpy() - wanted).sum() / np.abs(wanted).sum()
    assert share < close
    assert a.baseline_score == pytest.approx(np.mean([p.baseline_score for p in apart]), abs=1e-9)
    assert a.score == pytest.approx(apart[0].score, abs=1e-12)
    assert abs(a.gap) < close * np.abs(wanted).sum()


def test_a_slope_that_draws_miss_is_seen_in_the_gap() -> None:
    # Below a layer norm a masked embedding, all zeros, is left by a step of next to no length.
    model = ProteinModel(tokens.esm(torch.float64), tokens.esm_tokenizer(), "esm")
    options: dict[str, Any] = {"baseline": "mask", "target": "likelihood"}
    gaps, said = [], []
    for seed in range(10):
        a = explain(model, "MVHLT", METHOD, samples=16, seed=seed, **options)
        scale = max(np.abs(a.to_numpy()).sum(), abs(a.score - a.baseline_score))
        gaps.append(abs(a.gap) / scale)
        said.append(stderr(a).sum() / scale)
        assert a.error == pytest.approx(max(gaps[-1], said[-1]))
        assert "sampling_error" in a.health
    assert any(gap > 2 * agreed for gap, agreed in zip(gaps, said, strict=True))
    integrated = explain(model, "MVHLT", METHOD, **options)
    assert integrated.error < 0.05
    assert abs(integrated.gap) < 0.05 * np.abs(integrated.to_numpy()).sum()


def test_ways_that_cancel_are_integrated_more_exactly() -> None:
    class Odd(nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            first, second = rows.T
            return torch.sin(3 * first) + 5 * first + 0.05 * second * torch.sin(first) ** 2

    # From -3 and 3 to 0: what the first number gains on one way it loses on the other.
    x = torch.tensor([[0.0, 1.0]]).double()
    ends = torch.tensor([[-3.0, 0.5], [3.0, -0.5]])
    a = explain(Odd().eval(), x, METHOD, 0, baseline=ends)
    alone = [explain(Odd().eval(), x, "ig", 0, baseline=b, tolerance=1e-7) for b in ends]
    wanted = np.mean([one.to_numpy()[0] for one in alone], axis=0)
    true = np.abs(a.to_numpy()[0] - wanted).sum() / np.abs(wanted).sum()
    assert true <= float(a.error[0]) + 1e-6
    assert float(a.error[0]) <= 0.05
    once = [explain(Odd().eval(), x, "ig", 0, baseline=b, tolerance=0.05) for b in ends]
    assert a.evaluations > 2 * sum(one.evaluations for one in once)


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str
)
def test_exact_zeros_give_numbers(dtype: torch.dtype) -> None:
    net = toys.random_net(5, (3, 6, 2), nn.ReLU, 2.0, dtype)
    zeros = torch.zeros(1, 3, dtype=dtype)
    a = explain(net, zeros, METHOD, [0, 1], baseline=torch.zeros(3, 3), max_evaluations=30)
    assert (a.to_numpy() == 0).all()
    assert "input_equals_baseline" in a.health
    b = explain(net, zeros, METHOD, [0, 1], baseline=torch.eye(3), max_evaluations=60)
    assert np.isfinite(b.to_numpy()).all()
    assert np.isfinite(b.error.values).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"samples": 3}, "at least 4"),
        ({"samples": 1.5}, "not a whole number"),
        ({"samples": 20, "max_evaluations": 20}, "evaluations"),
        ({"fill": 0.0}, "does not use fill="),
        ({"steps": 5}, "no option 'steps'"),
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    net, x, _, _ = setting()
    with pytest.raises(OptionError, match=said) as caught:
        explain(net, x[None], METHOD, 0, **options)
    assert "\n" not in str(caught.value)


def test_the_background_decides_what_the_values_say() -> None:
    # The model needs both inputs; the one in which input and background agree gets nothing.
    net = toys.linear([[1.0, 1.0]])
    x = torch.tensor([[2.0, 5.0]]).double()
    like = torch.tensor([[0.0, 5.0], [4.0, 5.0], [1.0, 5.0]])
    a = explain(net, x, METHOD, 0, baseline=like).to_numpy()[0]
    assert a[1] == 0
    assert explain(net, x, METHOD, 0).to_numpy()[0, 1] == pytest.approx(5.0)
