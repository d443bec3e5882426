"""SmoothGrad and VarGrad: their definitions, what noise cancels, and how honest the errors are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from helpers import reference, tokens, toys
from helpers.cases import general
from saliscope import OptionError, explain
from saliscope.core.ask import Answer, Question
from saliscope.core.perturbation import Baseline
from saliscope.core.registry import get_method, options_from
from saliscope.core.sampling import Moments, rows_at_once
from saliscope.core.units import Units
from saliscope.models.protein import ProteinModel
from saliscope.models.text import TextModel
from saliscope.show.style import number

BOTH = pytest.mark.parametrize("method", ["smoothgrad", "vargrad"])


class Of(nn.Module):
    """A function of single inputs as a module."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return its values."""
        return self.function(rows)


def net_and_input(activation: Any = nn.GELU) -> tuple[nn.Module, torch.Tensor]:
    """Return a network with two outputs and an input of four numbers."""
    net = toys.random_net(3, (4, 9, 6, 2), activation, 4.0)
    return net, torch.tensor([[1.0, -0.5, 0.0, 2.0]]).double()


def stderr(a: Any) -> np.ndarray:
    """Return the standard errors of a result."""
    return np.asarray(a.data["stderr"].values)


def gradients(net: nn.Module, x: torch.Tensor, noise: float, seeds: Any) -> list[np.ndarray]:
    """Return gradients of both outputs at noisy copies, a row at a time."""
    deviation = noise * (x.max() - x.min())
    copies = [x[0] + deviation * reference.normal(int(s), x[0].shape) for s in seeds]
    return [np.stack([g.numpy() for g in reference.slopes(lambda i: net(i[None])[0], c)])
            for c in copies]  # fmt: skip


# -- definitions -------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [nn.GELU, nn.ReLU])
def test_smoothgrad_is_the_mean_gradient_over_mirrored_noise(activation: Any) -> None:
    net, x = net_and_input(activation)
    a = explain(net, x, "smoothgrad", [0, 1], samples=20, noise=0.3, seed=5)
    seeds = np.random.default_rng(5).integers(2**32, size=10, dtype=np.int64)
    pairs = [(p + m) / 2 for p, m in zip(gradients(net, x, 0.3, seeds),
                                         gradients(net, x, -0.3, seeds), strict=True)]  # fmt: skip
    np.testing.assert_allclose(a.to_numpy()[:, 0], np.mean(pairs, axis=0), atol=1e-12)
    wanted = np.std(pairs, axis=0, ddof=1) / np.sqrt(10)
    np.testing.assert_allclose(stderr(a)[:, 0], wanted, atol=1e-12)
    np.testing.assert_allclose(
        a.error.values[:, 0], wanted.sum(1) / np.abs(np.mean(pairs, axis=0)).sum(1), atol=1e-12
    )
    assert a.evaluations == 21
    assert a.provenance["notes"] == {"reduce": "sum", "samples": 20}


@pytest.mark.parametrize("samples", [4, 7, 16, 18])
def test_vargrad_is_the_variance_over_independent_noise(samples: int) -> None:
    net, x = net_and_input()
    a = explain(net, x, "vargrad", [0, 1], samples=samples, noise=0.2, seed=9)
    seeds = np.random.default_rng(9).integers(2**32, size=samples, dtype=np.int64)
    found = np.stack(gradients(net, x, 0.2, seeds))
    np.testing.assert_allclose(a.to_numpy()[:, 0], found.var(0, ddof=1), rtol=1e-10)
    group = 4 if samples >= 16 else 2
    parts = [found[i : i + group].var(0, ddof=1) for i in range(0, samples - group + 1, group)]
    wanted = np.std(parts, axis=0, ddof=1) / np.sqrt(len(parts))
    np.testing.assert_allclose(stderr(a)[:, 0], wanted, rtol=1e-10)


@BOTH
def test_the_engine_equals_the_plain_driver(method: str) -> None:
    net, x = net_and_input(nn.ReLU)
    f = lambda one: net(one[None])[0]  # noqa: E731 - one input
    options: dict[str, Any] = {"tolerance": 0.3, "max_evaluations": 150}
    for extra in ({}, {"reduce": "norm"}):
        wanted = reference.reference_drive(method, f, x[0], x[0], **options, **extra)
        a = explain(net, x, method, [0, 1], **options, **extra)
        np.testing.assert_allclose(a.to_numpy()[:, 0], wanted.values, rtol=0, atol=1e-10)
        np.testing.assert_allclose(stderr(a)[:, 0], wanted.extra["stderr"], rtol=0, atol=1e-10)
        np.testing.assert_allclose(a.error.values[:, 0], wanted.error, atol=1e-10)
        assert a.provenance["notes"]["samples"] == wanted.notes["samples"]


# -- literal values ----------------------------------------------------------------------------

PARABOLAS = Of(lambda rows: rows[:, 0] ** 2 + 3 * rows[:, 1] ** 2 + rows[:, 0] * rows[:, 1])
AT = torch.tensor([[1.0, -1.0]]).double()


def test_mirrored_noise_leaves_a_parabola_its_slope() -> None:
    a = explain(PARABOLAS, AT, "smoothgrad", 0, noise=0.5)
    np.testing.assert_allclose(a.to_numpy(), [[1.0, -5.0]], atol=1e-12)
    np.testing.assert_allclose(stderr(a), 0, atol=1e-12)
    assert a.evaluations == 17  # no more than it takes to know that
    assert float(a.error[0]) < 1e-12


def test_the_variance_of_a_parabolas_slope_is_known() -> None:
    # slope (2 x + y, 6 y + x) with noise of deviation 0.5 * 2: variances 4 + 1 and 36 + 1
    a = explain(PARABOLAS, AT, "vargrad", noise=0.5, tolerance=0.02, max_evaluations=8000)
    assert (np.abs(a.to_numpy()[0] - [5, 37]) < 4 * stderr(a)[0]).all()
    assert float(a.error[0]) <= 0.02
    assert not a.signed


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_a_linear_model_has_its_weights_and_no_variance(dtype: torch.dtype) -> None:
    weights = [[100.1, -2.3, 0.0, 0.7], [1e-3, 5.0, -1e4, 0.1]]
    net = toys.linear(weights, [1e6, 0.0]).to(dtype)
    x = torch.tensor([[1.0, 2.0, -3.0, 0.1]], dtype=dtype)
    a = explain(net, x, "smoothgrad", [0, 1])
    np.testing.assert_allclose(a.to_numpy()[:, 0], weights, rtol=1e-6)
    v = explain(net, x, "vargrad", [0, 1])
    assert (v.to_numpy() >= 0).all()
    assert v.to_numpy().max() <= (1e-20 if dtype == torch.float64 else 1e-6)
    assert a.evaluations == v.evaluations == 17


def test_variances_are_never_negative() -> None:
    net = toys.random_net(8, (6, 12, 2), nn.ReLU, 1000.0, torch.float32)
    x = torch.tensor([[1.0, 1.001, 1.0005, 1.0, 1.0, 1.0]])  # next to no noise
    a = explain(net, x, "vargrad", [0, 1], samples=40)
    assert (a.to_numpy() >= 0).all()
    assert (stderr(a) >= 0).all()


# -- vectors of tokens -------------------------------------------------------------------------


def vectors(model: Any, sample: Any, noise: float, seeds: Any, signs: Any) -> np.ndarray:
    """Return likelihood gradients at noisy embeddings, shape (rows, residues, width)."""
    ids = torch.from_numpy(sample.context["ids"])[None]
    kept = torch.from_numpy(sample.units.kept)
    here = model.embed(sample.context["ids"])
    deviation = noise * (here[kept].max() - here[kept].min())
    rows = []
    for seed, sign in zip(seeds, signs, strict=True):
        leaf = here.clone()
        leaf[kept] += sign * deviation * reference.normal(int(seed), here[kept].shape)
        leaf.requires_grad_()
        handle = model.embedding.register_forward_hook(
            lambda _m, _a, _o, leaf=leaf: leaf[None].clone()
        )
        logits = model.module(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        handle.remove()
        score = logits[0].log_softmax(-1)[kept, ids[0, kept]].sum()
        rows.append(torch.autograd.grad(score, leaf)[0][kept].numpy())
    return np.stack(rows)


def test_vectors_are_averaged_before_their_length_is_taken() -> None:
    model = ProteinModel(tokens.esm(torch.float64), tokens.esm_tokenizer(), "esm")
    (sample,) = model.prepare("MVHLT")
    options: dict[str, Any] = {"target": "likelihood", "noise": 0.1, "samples": 12, "seed": 2}
    fresh = np.random.default_rng(2).integers(2**32, size=6, dtype=np.int64)
    found = vectors(model, sample, 0.1, fresh.repeat(2), [1, -1] * 6)
    mean = found.mean(0)
    a = explain(model, "MVHLT", "smoothgrad", **options)
    np.testing.assert_allclose(a.to_numpy(), np.linalg.norm(mean, axis=-1), rtol=1e-9)
    assert not a.signed
    summed = explain(model, "MVHLT", "smoothgrad", reduce="sum", **options)
    np.testing.assert_allclose(summed.to_numpy(), mean.sum(-1), rtol=1e-8, atol=1e-9)
    assert summed.signed
    # The error of a length: along the vector, and what noise adds to any length.
    pairs = (found[::2] + found[1::2]) / 2
    along = (pairs * mean / np.linalg.norm(mean, axis=-1, keepdims=True)).sum(-1)
    vector = pairs.var(0, ddof=1).sum(-1) / 6
    longer = vector / (2 * np.linalg.norm(mean, axis=-1))
    wanted = np.sqrt(np.minimum(vector, along.var(0, ddof=1) / 6 + longer**2))
    np.testing.assert_allclose(stderr(a), wanted, rtol=1e-8)


def test_variances_of_a_vector_are_added_up() -> None:
    model = ProteinModel(tokens.esm(torch.float64), tokens.esm_tokenizer(), "esm")
    (sample,) = model.prepare("MVHLT")
    options: dict[str, Any] = {"target": "likelihood", "noise": 0.1, "samples": 8, "seed": 2}
    seeds = np.random.default_rng(2).integers(2**32, size=8, dtype=np.int64)
    found = vectors(model, sample, 0.1, seeds, [1] * 8)
    a = explain(model, "MVHLT", "vargrad", **options)
    np.testing.assert_allclose(a.to_numpy(), found.var(0, ddof=1).sum(-1), rtol=1e-9)
    summed = explain(model, "MVHLT", "vargrad", reduce="sum", **options)
    wanted = found.sum(-1).var(0, ddof=1)  # nothing, behind a layer norm
    np.testing.assert_allclose(summed.to_numpy(), wanted, rtol=0, atol=1e-12)


# -- how sure ----------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("reduce", ["sum", "norm"])
def test_standard_errors_cover_what_they_say(method: str, reduce: str) -> None:
    net, x = net_and_input(nn.ReLU)
    options: dict[str, Any] = {"method": method, "target": 0, "noise": 0.2, "reduce": reduce}
    truth = explain(net, x, samples=6000, seed=1, **options).to_numpy()
    found = [explain(net, x, seed=seed, samples=64, **options) for seed in range(10, 60)]
    values, said = np.stack([a.to_numpy() for a in found]), np.stack([stderr(a) for a in found])
    assert np.mean(np.abs(values - truth) <= 2 * said) > 0.88  # 95 % of a normal error
    # Not from caution alone: what they say is what the values do.
    assert 0.7 < values.std(0).sum() / said.mean(0).sum() < 1.3


@BOTH
def test_it_draws_until_the_tolerance_is_met(method: str) -> None:
    net, x = net_and_input(nn.ReLU)
    taken = []
    for tolerance in (0.2, 0.05):
        a = explain(net, x, method, 0, tolerance=tolerance, max_evaluations=20_000)
        assert float(a.error[0]) <= tolerance
        assert not {"evaluation_cap", "sampling_error"} & {f.code for f in a.health}
        taken.append(a.evaluations)
    assert taken[0] * 3 < taken[1]
    capped = explain(net, x, method, 0, tolerance=0.01, max_evaluations=30)
    assert capped.evaluations <= 30
    assert "evaluation_cap" in capped.health
    few = explain(net, x, method, 0, samples=6)
    assert few.evaluations == 7
    assert "sampling_error" in few.health
    assert few.health.ok
    assert "sampling_error" not in explain(net, x, method, 0, samples=6, tolerance=0.9).health


@BOTH
def test_a_seed_is_a_draw(method: str) -> None:
    net, x = net_and_input()
    one, same, other = (explain(net, x, method, 0, samples=8, seed=s, budget=1) for s in (1, 1, 2))
    assert one.to_bytes() == same.to_bytes()
    assert not np.allclose(one.to_numpy(), other.to_numpy(), rtol=1e-3)


def test_a_page_says_how_sure_each_value_is() -> None:
    model = TextModel(tokens.bert(), tokens.word_tokenizer(), "bert")
    a = explain(model, "The film was good", "smoothgrad", 0, samples=8)
    place = int(np.argmax(a.to_numpy()))
    error = number(float(f"{stderr(a)[place]:.2g}"))
    page = a.to_html()
    assert f"{number(float(a.to_numpy()[place]))} ± {error}<" in page
    assert "± and thin bars (of lines, the gray band) are one standard error." in page


@BOTH
def test_rows_of_a_large_input_are_never_held_together(method: str) -> None:
    units = Units(("y", "x"), (700, 640), "element")
    question = Question(
        units, 2, Baseline("none"), None, None, np.random.default_rng(0), features=1
    )  # fmt: skip
    steps = get_method(method).run(question, options_from(get_method(method), {"samples": 12}))
    ask = next(steps)
    asked = []
    while len(asked) < 3:
        asked.append(ask.points.rows)
        nothing = np.zeros((ask.points.rows, 2))
        found = None if ask.fold is None else np.zeros((ask.points.rows, 2, *units.shape))
        ask = steps.send(Answer(nothing, nothing, found))
    assert asked == [1, 4, 4]
    assert rows_at_once(2 * 700 * 640) == 4


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4), min_size=1, max_size=5))
def test_moments_of_parts_are_those_of_the_whole(parts: list[list[float]]) -> None:
    moments, whole = Moments(), np.concatenate(parts)
    for part in parts:
        moments.add(np.array(part))
    assert moments.count == len(whole)
    np.testing.assert_allclose(moments.mean, whole.mean(), rtol=1e-9, atol=1e-6)
    if len(whole) > 1:
        assert moments.variance >= 0
        np.testing.assert_allclose(moments.variance, whole.var(ddof=1), rtol=1e-9, atol=1e-6)


# -- where it misleads, and what is refused ------------------------------------------------------


def test_noise_wider_than_a_feature_puts_slope_where_the_model_is_flat() -> None:
    step = Of(lambda rows: torch.relu(rows[:, 0] - 1.3) + rows[:, 1])
    x = torch.tensor([[1.0, 0.0]]).double()
    assert explain(step, x, "gradient").to_numpy().tolist() == [[0.0, 1.0]]
    smooth = explain(step, x, "smoothgrad", noise=0.5).to_numpy()
    assert smooth[0, 0] == pytest.approx(0.274, abs=0.1)  # P(noise > 0.3), deviation 0.5


def test_a_unit_that_decides_may_have_no_variance() -> None:
    net = Of(lambda rows: 10 * rows[:, 0] + torch.relu(rows[:, 1]))
    x = torch.tensor([[1.0, 0.0]]).double()
    values = explain(net, x, "vargrad", tolerance=0.2).to_numpy()[0]
    assert values[0] <= 1e-25
    assert values[1] == pytest.approx(0.25, abs=0.06)  # a coin: on or off


@BOTH
def test_an_input_without_a_range_has_no_noise(method: str) -> None:
    net, _ = net_and_input()
    a = explain(net, torch.ones(1, 4).double(), method, 0)
    assert "no_noise" in a.health
    if method == "smoothgrad":
        np.testing.assert_allclose(
            a.to_numpy(), explain(net, torch.ones(1, 4).double(), "gradient", 0).to_numpy()
        )
    flat = explain(Of(lambda rows: rows[:, 0] * 0), AT, method)
    assert "no_noise" not in flat.health
    assert "flat" in flat.health


@BOTH
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"noise": 0}, "noise=0 must be above 0"),
        ({"noise": -0.1}, "above 0"),
        ({"noise": float("nan")}, "above 0"),
        ({"noise": True}, "above 0"),
        ({"samples": 2}, "at least 4"),
        ({"samples": 2.5}, "not a whole number"),
        ({"samples": True}, "not a whole number"),
        ({"samples": 100, "max_evaluations": 50}, "needs 101 evaluations"),
        ({"reduce": "mean"}, "reduce='mean' does not exist"),
        ({"baseline": 0.0}, "does not use baseline="),
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(
    method: str, options: dict[str, Any], said: str
) -> None:
    net, x = net_and_input()
    with pytest.raises(OptionError, match=said) as caught:
        explain(net, x, method, 0, **options)
    assert "\n" not in str(caught.value)


def test_mirrored_pairs_come_in_twos() -> None:
    net, x = net_and_input()
    with pytest.raises(OptionError, match="multiple of 2"):
        explain(net, x, "smoothgrad", 0, samples=5)


@BOTH
@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str
)
def test_exact_zeros_give_numbers(method: str, dtype: torch.dtype) -> None:
    net = toys.random_net(5, (3, 6, 2), nn.ReLU, 2.0, dtype)
    for raw in ([0.0, 0.0, 0.0], [0.0, 1.0, 0.0]):
        a = explain(net, torch.tensor([raw], dtype=dtype), method, [0, 1], **general(method))
        assert np.isfinite(a.to_numpy()).all()
        assert np.isfinite(stderr(a)).all()
