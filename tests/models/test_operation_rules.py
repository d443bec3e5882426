"""Rules by operation: fused against taken apart, chords, views that are changed in place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from helpers.operations import Function, conserves, lift, rows
from saliscope import explain

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
