"""DeepLIFT: literal multipliers, a slow reference, conservation, and where it misleads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers import tokens, toys
from saliscope import Class, explain

FLOATS = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
GAP = {torch.float64: 1e-10, torch.float32: 1e-6}

RELUS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "nn.ReLU": nn.ReLU(),
    "F.relu": F.relu,
    "torch.relu": torch.relu,
    "Tensor.relu": lambda x: x.relu(),
    "clamp": lambda x: x.clamp(min=0),
    "relu_": lambda x: x.relu_(),
    "nn.ReLU in place": nn.ReLU(inplace=True),
    "where": lambda x: torch.where(x > 0, x, 0.0),
    "maximum": lambda x: torch.maximum(x, torch.zeros_like(x)),
    "masked_fill": lambda x: x.masked_fill(x < 0, 0.0),
    "times a mask": lambda x: x * (x > 0),
    "threshold": lambda x: F.threshold(x, 0.0, 0.0),
    "through abs": lambda x: (x + x.abs()) / 2,
}


class Between(nn.Module):
    """A function between linear layers, used twice."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor], seed: int = 0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(toys.random_net(seed, (5, 8, 8, 3), nn.Identity, 3.0)[::2])
        self.function = function

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return three outputs."""
        first, second, third = self.layers
        out: torch.Tensor = third(self.function(second(self.function(first(rows)))))
        return out


class Only(nn.Module):
    """A function and nothing else."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return what the function gives."""
        return self.function(rows)


def pair(shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> tuple[Any, Any]:
    """Return rows of inputs and one baseline."""
    random = torch.Generator().manual_seed(5)
    rows = torch.randn(shape, generator=random, dtype=torch.float64)
    baseline = torch.randn(shape[1:], generator=random, dtype=torch.float64)
    return rows.to(dtype), baseline.to(dtype)


def gap(result: Any) -> float:
    """Return the gap as a share of the scores and of what was attributed."""
    missing, high, low = (
        np.abs(np.ravel(v)) for v in (result.gap, result.score, result.baseline_score)
    )
    values = np.abs(result.to_numpy()).reshape(len(missing), -1).sum(1)
    return float((missing / np.maximum(values, np.maximum(high, low))).max())


def drawn(module: nn.Module, seed: int, scale: float = 2.0) -> nn.Module:
    """Draw every parameter from one seed."""
    tokens.spread(module, seed, scale)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 1:
                parameter.uniform_(0.2, 1.0, generator=random)
    return module


# -- literal values --------------------------------------------------------------------------


def test_two_layers_by_hand() -> None:
    # At the input h = (1, 2) before and after the ReLU; at zero (0, -1) before and (0, 0) after.
    # So the multipliers of the ReLUs are 1 and (2 - 0) / (2 + 1).
    a = explain(toys.two_layer(), torch.tensor([toys.TWO_LAYER_INPUT]).double(), "deeplift", [0, 1])
    wanted = [[2.0, -1.0 + 4 / 3, 2 / 3], [4.0, -2.0 - 4 / 3, -2 / 3]]
    np.testing.assert_allclose(a.to_numpy()[:, 0], wanted, atol=1e-15)
    np.testing.assert_allclose(a.score.values[:, 0], [3.5, 0.0])
    np.testing.assert_allclose(a.baseline_score.values[:, 0], [0.5, 0.0])
    assert a.evaluations == 2


@pytest.mark.parametrize(
    ("function", "row", "baseline", "wanted"),
    [
        (lambda x: x[:, 0] * x[:, 1], (3, 2), (1, 4), (2 * 3, -2 * 2)),
        (lambda x: x[:, 0] / x[:, 1], (3, 2), (1, 4), (2 * 3 / 8, -2 * 2 * -1 / 8)),
        (lambda x: x.exp()[:, 0] + 0 * x[:, 1], (2, 1), (0, 0), (np.exp(2) - 1, 0)),
        (lambda x: x.square()[:, 0], (3, 5), (-1, 5), (8, 0)),
        (lambda x: x.amax(1), (5, 4), (1, 3), (2, 0)),  # the first wins by 5 over what was 3
        (lambda x: x.amax(1), (1, 3), (5, 4), (-2, 0)),
        (lambda x: x.amin(1), (5, 4), (1, 3), (3, 0)),  # outcome 1, of the first
        (lambda x: torch.maximum(x[:, 0], x[:, 1]), (5, 4), (1, 3), (4 / 3, 2 / 3)),
        (lambda x: x.softmax(1)[:, 0], (np.log(3), 0), (0, 0), (0.25, 0)),
        (lambda x: x.log_softmax(1)[:, 1], (np.log(3), 0), (0, 0), (np.log(1 / 2), 0)),
        (lambda x: x.norm(dim=1), (3, 4), (0, 0), (9 / 5, 16 / 5)),
        (lambda x: x.var(1, correction=0), (3, 1), (0, 0), (1.5, -0.5)),
        (lambda x: (x @ x.mT.contiguous())[:, 0], (3, 2), (1, 2), (8, 0)),
    ],
)  # fmt: skip
def test_small_functions_by_hand(
    function: Any, row: tuple[float, ...], baseline: tuple[float, ...], wanted: tuple[float, ...]
) -> None:
    x, b = (torch.tensor([v], dtype=torch.float64) for v in (row, baseline))
    a = explain(Only(function), x, "deeplift", 0, baseline=b[0])
    np.testing.assert_allclose(a.to_numpy()[0], wanted, atol=1e-14)


def multipliers(
    net: Between, phi: Callable[[float], float], x: list[float], b: list[float], target: int
) -> list[float]:
    """Shrikumar et al. 2017, equations 1 to 3, a neuron at a time."""
    layers = [(p.weight.tolist(), p.bias.tolist()) for p in net.layers]
    before: list[tuple[list[float], list[float]]] = []
    now, then = x, b
    for weight, bias in layers[:-1]:
        now, then = (
            [c + sum(w * v for w, v in zip(row, values, strict=True))
             for row, c in zip(weight, bias, strict=True)]
            for values in (now, then)
        )  # fmt: skip
        before.append((now, then))
        now, then = [phi(v) for v in now], [phi(v) for v in then]
    m = layers[-1][0][target]
    for (weight, _), (high, low) in zip(layers[-2::-1], before[::-1], strict=True):
        m = [k * (phi(h) - phi(v)) / (h - v) for k, h, v in zip(m, high, low, strict=True)]
        m = [sum(k * row[i] for k, row in zip(m, weight, strict=True))
             for i in range(len(weight[0]))]  # fmt: skip
    return [k * (p - q) for k, p, q in zip(m, x, b, strict=True)]


@pytest.mark.parametrize(
    ("function", "phi"),
    [
        (F.relu, lambda v: max(v, 0.0)),
        (torch.tanh, np.tanh),
        (torch.sigmoid, lambda v: 1 / (1 + np.exp(-v))),
        (F.silu, lambda v: v / (1 + np.exp(-v))),
        (F.leaky_relu, lambda v: max(v, 0.01 * v)),
        (F.elu, lambda v: v if v > 0 else np.expm1(v)),
        (F.softplus, lambda v: np.log1p(np.exp(v))),
    ],
)
def test_it_equals_a_loop_over_neurons(function: Any, phi: Any) -> None:
    net = Between(function).double().eval()
    x, b = pair((2, 5))
    for target in range(3):
        got = explain(net, x, "deeplift", target, baseline=b).to_numpy()
        wanted = [multipliers(net, phi, row, b.tolist(), target) for row in x.tolist()]
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12)


# -- what it must equal ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_every_spelling_of_a_relu_gives_the_same(dtype: torch.dtype) -> None:
    x, b = pair((3, 5), dtype)
    maps = {
        name: explain(Between(f).to(dtype).eval(), x, "deeplift", 0, baseline=b)
        for name, f in RELUS.items()
    }
    wanted = maps["nn.ReLU"].to_numpy()
    for name, a in maps.items():
        exact = 0 if name != "through abs" else 4 * torch.finfo(dtype).eps
        np.testing.assert_allclose(a.to_numpy(), wanted, rtol=0, atol=exact, err_msg=name)
        assert gap(a) < GAP[dtype]


def test_a_linear_model_gets_its_slope_times_the_difference() -> None:
    net = nn.Sequential(
        nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.AvgPool1d(2), nn.Dropout(), nn.Flatten(),
        nn.Linear(9, 2),
    ).double().eval()  # fmt: skip
    with torch.no_grad():
        net[1].running_mean.add_(0.3)
        net[1].running_var.mul_(2.0)
    x, b = pair((3, 2, 8))
    slope = explain(net, x, "gradient", [0, 1]).to_numpy()
    got = explain(net, x, "deeplift", [0, 1], baseline=b).to_numpy()
    np.testing.assert_allclose(got, slope * (x - b).numpy(), rtol=0, atol=1e-14)


def test_an_additive_model_gets_what_integrated_gradients_gives() -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x.exp().sum(1), F.gelu(x).sum(1), (x.square() + 1).log().sum(1)], 1)

    x, b = pair((2, 4))
    got = explain(Only(function), x, "deeplift", [0, 1, 2], baseline=b).to_numpy()
    path = explain(Only(function), x, "ig", [0, 1, 2], baseline=b, steps=40).to_numpy()
    np.testing.assert_allclose(got, path, rtol=0, atol=1e-12)


def test_several_baselines_are_averaged() -> None:
    net = Between(F.gelu).double().eval()
    x, _ = pair((2, 5))
    several, _ = pair((3, 5))
    apart = [explain(net, x, "deeplift", [0, 1], baseline=b) for b in several]
    together = explain(net, x, "deep_shap", [0, 1], baseline=several)
    mean = np.mean([a.to_numpy() for a in apart], axis=0)
    np.testing.assert_allclose(together.to_numpy(), mean, rtol=0, atol=1e-13)
    scores = np.mean([a.baseline_score.values for a in apart], axis=0)
    np.testing.assert_allclose(together.baseline_score.values, scores, rtol=0, atol=1e-13)
    assert gap(together) < 1e-13
    assert together.evaluations == 2 * 2 * 3


# -- conservation ----------------------------------------------------------------------------


class Convolutions(nn.Module):
    """Convolutions, batch norm, in-place ReLUs, two kinds of max-pooling."""

    def __init__(self) -> None:
        super().__init__()
        relu = nn.ReLU(inplace=True)
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), relu, nn.MaxPool2d(2, stride=1),
            nn.Conv2d(4, 6, 3), relu, nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(24, 3),
        )  # fmt: skip
        drawn(self, 1)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return three outputs."""
        out: torch.Tensor = self.features(rows)
        return out


def encoder(*, first: bool, batch_first: bool) -> nn.Module:
    """Return a transformer layer whose batch may stand on the second axis."""
    layer = nn.TransformerEncoderLayer(
        8, 2, 16, batch_first=batch_first, norm_first=first, activation="gelu" if first else "relu"
    )
    drawn(layer, 2, 1.5)
    head = toys.random_net(3, (8, 3), nn.Identity, 3.0, torch.float32)

    def run(x: torch.Tensor) -> torch.Tensor:
        inner = layer(x if batch_first else x.transpose(0, 1))
        out: torch.Tensor = head(inner.mean(1 if batch_first else 0))
        return out

    net = Only(run)
    net.add_module("layer", layer)
    net.add_module("head", head)
    return net


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (lambda: toys.random_net(1, (6, 9, 9, 3), nn.ReLU, 3.0), (3, 6)),
    "gelu": (lambda: toys.random_net(1, (6, 9, 9, 3), nn.GELU, 3.0), (3, 6)),
    "silu": (lambda: toys.random_net(1, (6, 9, 9, 3), nn.SiLU, 3.0), (3, 6)),
    "pooling by attention": (toys.PoolNet, (3, 5, 3)),
    "convolutions": (Convolutions, (2, 1, 10, 10)),
    "encoder": (lambda: encoder(first=False, batch_first=True), (3, 5, 8)),
    "encoder, norm first": (lambda: encoder(first=True, batch_first=True), (3, 5, 8)),
    "encoder, batch second": (lambda: encoder(first=False, batch_first=False), (3, 5, 8)),
}


@pytest.mark.parametrize("name", NETS)
def test_attributions_sum_to_the_score_change(name: str) -> None:
    make, shape = NETS[name]
    maps = {}
    for dtype in FLOATS:
        x, b = pair(shape, torch.float16)  # the same numbers in every type
        net = make().to(dtype).eval()
        a = explain(net, x.to(dtype), "deeplift", [0, 2], baseline=b.to(dtype))
        plain = explain(net, x.to(dtype), "gradient", [0, 2])
        np.testing.assert_allclose(a.score, plain.score)  # the model's own numbers
        maps[dtype] = a.to_numpy()
        assert np.isfinite(maps[dtype]).all()
        assert gap(a) < GAP.get(dtype, 0.03)
    # In half precision the winner of a pool can change; the bound is on the angle between maps.
    exact = maps[torch.float64].ravel()
    for dtype, least in zip(FLOATS[1:], (1 - 1e-9, 0.98, 0.98), strict=True):
        other = maps[dtype].ravel()
        assert exact @ other >= least * np.sqrt((exact @ exact) * (other @ other))


def test_where_the_batch_stands_does_not_matter() -> None:
    x, b = pair((3, 5, 8))
    one, two = (
        explain(encoder(first=False, batch_first=f).double().eval(), x, "deeplift", 0, baseline=b)
        for f in (True, False)
    )
    np.testing.assert_allclose(one.to_numpy(), two.to_numpy(), rtol=0, atol=1e-13)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("scale", ["logit", "log_prob", "prob", "log_odds"])
def test_a_bert_block_conserves(attention: str, scale: str) -> None:
    sentence = "It isn't bad, it is a very fine story."
    for dtype, least in GAP.items():
        model = tokens.bert(dtype)
        model.set_attn_implementation(attention)
        for target in range(3):
            wanted = Class(target, scale=scale)
            a = explain(model, sentence, "deeplift", wanted, tokenizer=tokens.word_tokenizer())
            assert gap(a) < least
            assert not list(a.health.errors)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("target", ["likelihood", "E7V", "likelihood:context"])
def test_an_esm_block_conserves(attention: str, target: str) -> None:
    for dtype, least in GAP.items():
        model = tokens.esm(dtype, token_dropout=False)
        model.set_attn_implementation(attention)
        a = explain(
            model, "MVHLTPEEK", "deeplift", target, baseline="A", tokenizer=tokens.esm_tokenizer()
        )
        # Its rotary embedding computes in float32, whatever the type of the model.
        assert gap(a) < max(least, 1e-7)
        assert not list(a.health.errors)


def test_fused_attention_and_its_parts_give_the_same_map() -> None:
    maps = []
    for attention in ("sdpa", "eager"):
        model = tokens.bert(torch.float64)
        model.set_attn_implementation(attention)
        a = explain(model, "a very fine film", "deeplift", 0, tokenizer=tokens.word_tokenizer())
        maps.append(a.to_numpy())
    np.testing.assert_allclose(maps[0], maps[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_conserve(layer: type[nn.RNNBase]) -> None:
    inner = layer(4, 6, bidirectional=True, batch_first=True)
    drawn(inner, 4)
    net = Only(lambda x: inner(x)[0].mean(1))
    net.add_module("inner", inner)
    x, b = pair((3, 5, 4))
    assert gap(explain(net.double().eval(), x, "deeplift", 0, baseline=b)) < 1e-12


# -- where it misleads -----------------------------------------------------------------------


def test_two_ways_to_write_one_function_get_two_maps() -> None:
    # A product, and the same product through logarithms: the shares of the factors differ. A map
    # says how this model computes, not what the function is.
    product = Only(lambda x: x[:, 0] * x[:, 1])
    logs = Only(lambda x: (x[:, 0].log() + x[:, 1].log()).exp())
    x, b = torch.tensor([[4.0, 3.0]]).double(), torch.tensor([1.0, 2.0]).double()
    even = explain(product, x, "deeplift", 0, baseline=b).to_numpy()[0]
    other = explain(logs, x, "deeplift", 0, baseline=b).to_numpy()[0]
    assert even.sum() == pytest.approx(10)
    assert other.sum() == pytest.approx(10)
    np.testing.assert_allclose(even, [7.5, 2.5], atol=1e-12)
    np.testing.assert_allclose(other, 10 * np.log([4, 1.5]) / np.log(6), atol=1e-12)
