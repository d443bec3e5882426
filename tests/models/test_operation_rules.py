"""Rules by operation: fused against taken apart, chords, views changed in place, refusals."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from helpers import state, toys
from saliscope import RefusedError, explain
from saliscope.models.rules import find_rule
from saliscope.models.rules.deeplift import LINEAR, OPERATIONS
from saliscope.models.rules.tape import Tape

Function = Callable[[torch.Tensor], torch.Tensor]


class After(nn.Module):
    """A function after a layer that moves all of its inputs, with a weighted sum at the end."""

    def __init__(self, function: Function, width: int = 6) -> None:
        super().__init__()
        self.first = toys.random_net(0, (4, width), nn.Identity, 4.0)
        self.function = function

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return one number per row."""
        out = self.function(self.first(rows)).reshape(len(rows), -1)
        weights = torch.linspace(-1, 2, out.shape[1]).to(out) + 0.1
        return out @ weights


def rows(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Return three inputs and a baseline."""
    random = torch.Generator().manual_seed(8)
    x = torch.randn((3, 4), generator=random, dtype=torch.float64)
    b = torch.randn(4, generator=random, dtype=torch.float64)
    return x.to(dtype), b.to(dtype)


def lift(function: Function, width: int = 6, dtype: torch.dtype = torch.float64) -> Any:
    """Explain a function after a layer."""
    x, b = rows(dtype)
    return explain(After(function, width).to(dtype).eval(), x, "deeplift", 0, baseline=b)


def conserves(result: Any, least: float) -> bool:
    """Whether attributions sum to the score change."""
    size = np.abs(result.to_numpy()).sum(1) + np.abs(result.score).values
    return bool((np.abs(result.gap).values <= least * size).all())


WEIGHT = torch.linspace(0.5, 2.0, 6, dtype=torch.float64)
PAIRS: dict[str, tuple[Function, Function]] = {
    "layer_norm": (
        lambda x: F.layer_norm(x, (6,), WEIGHT, WEIGHT - 1),
        lambda x: (x - x.mean(-1, keepdim=True))
        * ((x - x.mean(-1, keepdim=True)).square().mean(-1, keepdim=True) + 1e-5).rsqrt()
        * WEIGHT + WEIGHT - 1,
    ),
    "rms_norm": (
        lambda x: F.rms_norm(x, (6,), WEIGHT, 1e-5),
        lambda x: x * (x.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * WEIGHT,
    ),
    "group_norm": (
        lambda x: F.group_norm(x[..., None], 2, WEIGHT)[..., 0],
        lambda x: F.layer_norm(x.reshape(-1, 2, 3), (3,)).reshape(-1, 6) * WEIGHT,
    ),
    "instance_norm": (
        lambda x: F.instance_norm(x.reshape(-1, 2, 3)),
        lambda x: F.layer_norm(x.reshape(-1, 2, 3), (3,)),
    ),
    "std": (
        lambda x: x / x.std(-1, keepdim=True),
        lambda x: x / x.var(-1, keepdim=True).sqrt(),
    ),
    "std_mean": (
        lambda x: torch.stack(torch.std_mean(x, -1), -1),
        lambda x: torch.stack([x.std(-1), x.mean(-1)], -1),
    ),
    "var": (
        lambda x: x.var(-1),
        lambda x: ((x - x.mean(-1, keepdim=True)) * (x - x.mean(-1, keepdim=True))).sum(-1) / 5,
    ),
    "normalize": (F.normalize, lambda x: x / (x * x).sum(-1, keepdim=True).sqrt()),
    "softmax": (
        lambda x: x.softmax(-1),
        lambda x: (x - x.logsumexp(-1, keepdim=True)).exp(),
    ),
    "log_softmax": (
        lambda x: x.log_softmax(-1),
        lambda x: x - x.logsumexp(-1, keepdim=True),
    ),
    "glu": (F.glu, lambda x: x[:, :3] * x[:, 3:].sigmoid()),
    "silu": (lambda x: F.glu(torch.cat([x, x], -1)), lambda x: x * x.sigmoid()),
    "square": (lambda x: x**2, lambda x: x * x),
    "baddbmm": (
        lambda x: torch.baddbmm(x[:, :, None], x[:, :, None], x[:, None, :], beta=0.5, alpha=2),
        lambda x: 0.5 * x[:, :, None] + 2 * x[:, :, None] * x[:, None, :],
    ),
    "einsum": (
        lambda x: torch.einsum("bi,bj->bij", x, x),
        lambda x: x[:, :, None] * x[:, None, :],
    ),
    "amax": (lambda x: x.amax(-1), lambda x: x.max(-1).values),
    "pool": (
        lambda x: F.max_pool1d(x[:, None], 2)[:, 0],
        lambda x: x.reshape(-1, 3, 2).amax(-1),
    ),
    "adaptive pool": (
        lambda x: F.adaptive_max_pool1d(x[:, None], 2)[:, 0],
        lambda x: x.reshape(-1, 2, 3).amax(-1),
    ),
    "pool 3d": (
        lambda x: F.max_pool3d(x.reshape(-1, 1, 1, 2, 3), (1, 2, 1)),
        lambda x: x.reshape(-1, 2, 3).amax(1),
    ),
    "minimum": (
        lambda x: torch.minimum(x[:, :3], x[:, 3:]),
        lambda x: -torch.maximum(-x[:, :3], -x[:, 3:]),
    ),
    "where": (
        lambda x: torch.where(x[:, :3] >= x[:, 3:], x[:, :3], x[:, 3:]),
        lambda x: torch.maximum(x[:, :3], x[:, 3:]),
    ),
    "leaky": (lambda x: F.leaky_relu(x, 0.2), lambda x: torch.where(x > 0, x, 0.2 * x)),
    "prelu": (
        lambda x: F.prelu(x, torch.tensor([0.2], dtype=x.dtype)),
        lambda x: F.leaky_relu(x, 0.2),
    ),
    "hardtanh": (F.hardtanh, lambda x: x.clamp(-1, 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_an_operation_equals_what_it_is_made_of(name: str) -> None:
    whole, parts = (lift(f) for f in PAIRS[name])
    np.testing.assert_allclose(whole.score, parts.score, rtol=0, atol=1e-12)
    np.testing.assert_allclose(whole.to_numpy(), parts.to_numpy(), rtol=0, atol=1e-11)
    assert conserves(whole, 1e-13)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("heads", [2, 1])
def test_fused_attention_equals_its_parts(heads: int, *, causal: bool) -> None:
    size = (3, 4, 2)  # positions, key heads times two, features
    mask = torch.tensor([[0.0, 1.0, -torch.inf]] * 3, dtype=torch.float64)
    kept = torch.ones(3, 3, dtype=torch.bool).tril()

    def split(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        q = x.reshape(-1, *size).transpose(1, 2)
        return q, (q * 0.7).sin()[:, :heads], (q + 1).tanh()[:, :heads]

    def whole(x: torch.Tensor) -> torch.Tensor:
        q, k, v = split(x)
        return F.scaled_dot_product_attention(
            q, k, v, None if causal else mask, is_causal=causal, enable_gqa=True
        )

    def parts(x: torch.Tensor) -> torch.Tensor:
        q, k, v = split(x)
        k, v = (t.repeat_interleave(4 // heads, 1) for t in (k, v))
        scores = q @ k.transpose(-1, -2) / np.sqrt(2)
        scores = scores.masked_fill(~kept, -torch.inf) if causal else scores + mask
        return scores.softmax(-1) @ v

    one, two = lift(whole, 24), lift(parts, 24)
    np.testing.assert_allclose(one.to_numpy(), two.to_numpy(), rtol=0, atol=1e-11)
    assert conserves(one, 1e-13)


SMOOTH: dict[str, Function] = {
    "gelu": F.gelu,
    "gelu, tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "softplus, sharp": lambda x: F.softplus(x, beta=50.0),
    "log_sigmoid": F.logsigmoid,
    "elu": lambda x: F.elu(x, alpha=2.0),
    "celu": lambda x: F.celu(x, alpha=0.5),
    "selu": F.selu,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "exp": torch.exp,
    "sin": torch.sin,
    "erf": torch.erf,
    "log": lambda x: (x.abs() + 1e-6).log(),
    "rsqrt": lambda x: (x.square() + 1e-6).rsqrt(),
    "pow": lambda x: (x.abs() + 1) ** 1.5,
    "reciprocal": lambda x: 1 / (x.square() + 0.1),
    "power of a number": lambda x: 2.0**x,
    "power by position": lambda x: (x.square() + 1) ** torch.arange(1.0, 7.0).to(x),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_functions_of_one_number_conserve_in_every_type(name: str) -> None:
    for dtype, least in ((torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.05)):
        assert conserves(lift(SMOOTH[name], dtype=dtype), least), dtype


class Plain(nn.Module):
    """A function and nothing else."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return what the function gives."""
        return self.function(rows)


@given(
    x=st.floats(-6, 6, width=16),
    apart=st.sampled_from([0.0, 1e-7, 1e-4, 1e-3, 0.01, 0.02, 0.1, 3.0]),
    name=st.sampled_from(sorted(set(SMOOTH) - {"power by position"})),
)  # fmt: skip
def test_chords_keep_their_digits_however_close_the_points(
    x: float, apart: float, name: str
) -> None:
    one = torch.tensor([[x]], dtype=torch.float32)
    two = one - apart
    a = explain(Plain(SMOOTH[name]), one, "deeplift", 0, baseline=two[0])
    high, low = one.double(), two.double()
    if high == low:
        assert float(a.values[0, 0]) == 0
        return
    function = SMOOTH[name]
    middle = ((high + low) / 2).requires_grad_()
    chord = float((function(high) - function(low)) / (high - low))
    (slope,) = torch.autograd.grad(function(middle).sum(), middle)
    exact = float(slope) if abs(float(high - low)) < 1e-6 else chord
    got = float(a.values[0, 0]) / float(high - low)
    # The scales of these functions near zero are about a thousandth; elsewhere about one.
    rounding = 2e-6 * max(1.0, abs(float(function(high)))) / max(abs(float(high - low)), 0.003)
    assert got == pytest.approx(exact, rel=2e-3, abs=rounding)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_exact_zeros_give_no_nan(dtype: torch.dtype) -> None:
    functions = {
        **SMOOTH,
        **{n: f for n, (f, _) in PAIRS.items() if "norm" not in n and n not in {"std", "prelu"}},
        "sqrt": torch.sqrt,
        "relu": torch.relu,
        "norm": lambda x: x.norm(dim=-1),
        "abs": torch.abs,
    }

    def every(x: torch.Tensor) -> torch.Tensor:
        return sum(f(x).reshape(len(x), -1).sum(1) for f in functions.values())

    zero = torch.zeros(1, 6, dtype=dtype)
    some = zero.clone()
    some[0, 1] = 0.5
    for x, b in ((zero, zero[0]), (some, zero[0]), (zero, some[0])):
        a = explain(Plain(every), x, "deeplift", 0, baseline=b)
        assert np.isfinite(a.to_numpy()).all()


def test_parts_that_are_changed_in_place_equal_parts_put_together() -> None:
    def changed(x: torch.Tensor) -> torch.Tensor:
        y = x * 1.0
        y[:, 1:4].relu_()
        y = y + 0
        y[:, 2:] *= x[:, :-2]
        flat = y.view(-1)
        flat.tanh_()
        y = y * 1.0
        y[:, 0] = x[:, 3].sigmoid()
        y = y.t().contiguous()
        y[1:3].clamp_(min=0.1)
        out = x * 2
        out += y.t()
        return out

    def put(x: torch.Tensor) -> torch.Tensor:
        y = torch.cat([x[:, :1], x[:, 1:4].relu(), x[:, 4:]], 1)
        y = torch.cat([y[:, :2], y[:, 2:] * x[:, :-2]], 1).tanh()
        y = torch.cat([x[:, 3:4].sigmoid(), y[:, 1:3].clamp(min=0.1), y[:, 3:]], 1)
        return x * 2 + y

    one, two = lift(changed), lift(put)
    np.testing.assert_allclose(one.score, two.score)
    np.testing.assert_allclose(one.to_numpy(), two.to_numpy(), rtol=0, atol=1e-14)


def test_linear_layers_on_three_axes_take_an_activation_in_place() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 1)).double()
    other = nn.Sequential(net[0], nn.ReLU(), net[2])
    x, b = rows()
    maps = [
        explain(n, x[:, None].expand(3, 2, 4).clone(), "deeplift", lambda out: out.sum((1, 2)),
                baseline=b.expand(2, 4)).to_numpy()
        for n in (net, other)
    ]  # fmt: skip
    np.testing.assert_array_equal(maps[0], maps[1])


class Halved(torch.autograd.Function):
    """Somebody's own function with a backward pass of its own."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """Return half."""
        return x / 2

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        """Return half."""
        return gradient / 2


REFUSED: dict[str, tuple[Function, str]] = {
    "cumprod": (lambda x: x.cumprod(-1), "cumprod has no rule"),
    "prod": (lambda x: x.prod(-1), "prod has no rule"),
    "sort": (lambda x: x.sort(-1).values, "sort has no rule"),
    "topk": (lambda x: x.topk(2).values, "topk has no rule"),
    "median": (lambda x: x.median(-1).values, "median has no rule"),
    "round": (torch.round, "round has no rule"),
    "atan2": (lambda x: torch.atan2(x, x + 1), "atan2 has no rule"),
    "logcumsumexp": (lambda x: x.logcumsumexp(-1), "logcumsumexp has no rule"),
    "own function": (Halved.apply, "halved has no rule"),
    "cumprod in place": (lambda x: (x * 1)[:, 1:].cumprod_(-1), "cumprod has no rule"),
    "norm of order 1": (lambda x: x / x.norm(1, -1, keepdim=True), "vector norm of order 1"),
    "rounding": (lambda x: torch.div(x, x.flip(-1), rounding_mode="floor"), "no rule|rounding"),
    "gate of another": (lambda x: x * (x.flip(-1) > 0), "mul by a mask"),
    "where by another": (lambda x: torch.where(x.flip(-1) > 0, x, 2 * x), "where by a mask"),
    "fill by another": (lambda x: x.masked_fill(x.flip(-1) > 0, 0.5), "masked_fill by a mask"),
    "detached": (lambda x: x * x.detach().exp(), "mul by a mask or factor"),
    "detached, added": (lambda x: x + x.detach(), "add uses something"),
    "chosen by argmax": (
        lambda x: x.gather(-1, x.argmin(-1, keepdim=True)), "gather uses something .index."
    ),
    "two moving inputs": (lambda x: F.conv1d(x[None], x[:, None, :3], groups=len(x)),
                          "convolution with two inputs that move"),
    "both powers": (lambda x: (x.abs() + 1) ** x, "an input of pow moves"),
    "course": (lambda x: x.relu() if x.sum() > -8 else x.tanh(), "does tanh on the input"),
    "length": (lambda x: x.relu() if x.sum() > -8 else x.relu().relu(), "does relu on the input"),
    "complex": (lambda x: (torch.fft.rfft(x) * torch.fft.rfft(x)).real, "complex numbers"),
    "dropout": (lambda x: F.dropout(x, 0.5, training=True), "mul by a mask or factor"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_rule_is_refused_by_name_in_one_line(name: str) -> None:
    function, words = REFUSED[name]
    net = After(function)
    x, b = rows()
    with state.unchanged(net), pytest.raises(RefusedError, match=words) as caught:
        explain(net, x[:1], "deeplift", 0, baseline=-b)
    assert "\n" not in str(caught.value)
    assert "After" in str(caught.value)
    assert "integrated_gradients" in str(caught.value)
    explain(net, x[:1], "gradient", 0)  # everything else works as before


def test_batch_statistics_over_examples_are_refused_and_over_one_are_not() -> None:
    def normed(x: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(x.reshape(len(x), 2, 3), None, None, training=True)

    x, b = rows()
    net = After(normed)
    alone = explain(net, x[:1], "deeplift", 0, baseline=b)
    assert conserves(alone, 1e-13)
    with pytest.raises(RefusedError, match="batch_norm takes its statistics from the batch"):
        explain(net, x, "deeplift", 0, baseline=torch.stack([b, -b]))


def test_a_constant_that_is_made_anew_is_not_taken_for_one_that_changes() -> None:
    scale = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    a = lift(lambda x: (x * scale.to(x).square() + torch.arange(6.0).to(x)).relu())
    assert conserves(a, 1e-14)


def test_a_buffer_that_is_changed_in_place_between_the_runs_is_noticed() -> None:
    class Counting(After):
        def __init__(self) -> None:
            super().__init__(torch.relu)
            self.register_buffer("count", torch.zeros(1, dtype=torch.float64))

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            out = super().forward(rows) * (1 + self.count)
            self.count += 1
            return out

    x, b = rows()
    with pytest.raises(RefusedError, match="mul by a mask or factor"):
        explain(Counting(), x, "deeplift", 0, baseline=b)


def test_a_target_that_does_not_depend_on_the_input_is_flat() -> None:
    a = lift(torch.ones_like)
    assert not a.to_numpy().any()
    assert "flat" in a.health


def test_the_tape_notes_what_moves_and_keeps_what_is_wanted() -> None:
    x = torch.ones(3, requires_grad=True)
    other = torch.full((3,), 2.0)
    with Tape(lambda name, _: name == "relu") as tape:
        y = (x * other).relu()
        other.relu()
        with torch.no_grad():
            x.relu()
        other.add_(5.0)
        y.mul_(3.0)
    assert [step.name for step in tape.steps] == ["mul", "relu", "mul"]
    product, relu, _ = tape.steps
    assert product["self"] is None
    assert product["other"].tolist() == [2, 2, 2]  # as it was, although it changed
    assert relu["self"].tolist() == [2, 2, 2]
    assert not relu["self"].requires_grad
    assert relu.movers == {"self"}
    assert y.tolist() == [6, 6, 6]


def test_names_of_operations_exist() -> None:
    for name in OPERATIONS:
        assert getattr(torch.ops.aten, name).overloads()
        assert name.replace("_", "") not in LINEAR
    assert find_rule("deeplift", []).run


def test_watching_operations_does_not_import_the_compiler() -> None:
    program = (
        "import sys, torch, saliscope\n"
        "net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))\n"
        "for method in ('gradient', 'deeplift'):\n"
        "    saliscope.explain(net, torch.ones(1, 3), method, 0)\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
