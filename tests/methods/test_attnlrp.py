"""AttnLRP: literal relevance, a surrogate whose gradient is the rule, conservation, its limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers import state, tokens, toys
from saliscope import RefusedError, explain
from saliscope.core.registry import get_method

Function = Callable[[torch.Tensor], torch.Tensor]


class Plain(nn.Module):
    """A function and nothing else."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return what the function gives."""
        return self.function(rows)


def relevance(function: Function, *row: float, dtype: torch.dtype = torch.float64) -> list[float]:
    """Return the map of one row."""
    x = torch.tensor([row], dtype=dtype)
    values: list[float] = explain(Plain(function), x, "attnlrp", 0).to_numpy()[0].tolist()
    return values


def test_small_functions_by_hand() -> None:
    assert relevance(lambda x: x @ torch.tensor([2.0, -1.0]).double(), 3, 4) == [6, -4]
    assert relevance(lambda x: x[:, 0] * x[:, 1], 3, 4) == [6, 6]  # half of 12 each
    assert relevance(lambda x: x[:, 0] / x[:, 1], 6, 3) == [2, 0]
    assert relevance(lambda x: x.relu().sum(1), 3, -4) == [3, 0]
    assert relevance(lambda x: x.tanh()[:, 0], 0.5, 1)[0] == pytest.approx(np.tanh(0.5))
    assert relevance(lambda x: x.sigmoid()[:, 0], 1, 1)[0] == pytest.approx(
        1 / (1 + 1 / np.e) - 0.5
    )
    assert relevance(lambda x: F.gelu(x)[:, 0], 0, 2) == [0, 0]
    # Layer norm with a known scale: (x - mean) / s, s = 1 for (1, -1) up to its epsilon.
    assert relevance(lambda x: F.layer_norm(x, (2,), eps=0)[:, 0], 1, -1) == [0.5, 0.5]
    # Softmax sends its gradient: x_i s_0 ((i == 0) - s_i).
    np.testing.assert_allclose(
        relevance(lambda x: x.softmax(1)[:, 0], np.log(3), 1e-300), [np.log(3) * 3 / 16, 0],
        atol=1e-12,
    )  # fmt: skip


class Block(nn.Module):
    """A gated pre-norm transformer block without biases; `kind` says how attention is written."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.project = nn.Linear(8, 24, bias=False)
        self.out, self.up, self.gate = (nn.Linear(8, 8, bias=False) for _ in range(3))
        self.head = nn.Linear(8, 2, bias=False)
        tokens.spread(self, 7, 2.0)

    def normed(self, x: torch.Tensor) -> torch.Tensor:
        """Return the root mean square norm, fused or written out."""
        if self.kind == "fused":
            return F.rms_norm(x, (8,), eps=1e-6)
        scale = (x.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt()
        return x * (scale.detach() if self.kind == "surrogate" else scale)

    def product(self, function: Any, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Return a product, whose gradient the surrogate halves."""
        if self.kind != "surrogate":
            return function(a, b)
        return (function(a.detach(), b) + function(a, b.detach())) / 2

    def activated(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activation; the surrogate's slope is value over input."""
        return x * (F.silu(x) / x).detach() if self.kind == "surrogate" else F.silu(x)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return two outputs."""
        q, k, v = (
            t.reshape(*rows.shape[:2], 2, 4).transpose(1, 2)
            for t in self.project(self.normed(rows)).chunk(3, -1)
        )
        if self.kind == "fused":
            mixed = F.scaled_dot_product_attention(q, k, v)
        else:
            scores = self.product(torch.matmul, q, k.transpose(-1, -2)) / 2
            mixed = self.product(torch.matmul, scores.softmax(-1), v)
        rows = rows + self.out(mixed.transpose(1, 2).reshape(rows.shape))
        normed = self.normed(rows)
        inner = self.product(torch.mul, self.activated(self.gate(normed)), self.up(normed))
        pooled: torch.Tensor = self.head((rows + inner).mean(1))
        return pooled


@pytest.mark.parametrize("kind", ["eager", "fused"])
def test_a_block_equals_input_times_gradient_of_its_surrogate(kind: str) -> None:
    x = torch.randn((3, 5, 8), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    got = explain(Block(kind).double().eval(), x, "attnlrp", [0, 1])
    wanted = explain(Block("surrogate").double().eval(), x, "input_x_gradient", [0, 1])
    np.testing.assert_allclose(got.score, wanted.score, rtol=0, atol=1e-12)
    np.testing.assert_allclose(got.to_numpy(), wanted.to_numpy(), rtol=0, atol=1e-12)
    assert got.evaluations == 3


def test_relevance_is_kept_where_there_is_no_bias_and_no_softmax() -> None:
    first, second = (toys.linear(np.random.default_rng(s).normal(size=(6, 6))) for s in (1, 2))

    def run(x: torch.Tensor) -> torch.Tensor:
        inner = F.gelu(first(F.rms_norm(x, (6,)))) * second(x)
        return (F.layer_norm(x + inner, (6,)) + (x / x.norm(dim=1, keepdim=True)).tanh()).cumsum(1)

    x = torch.randn((4, 6), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    a = explain(Plain(run), x, "attnlrp", [0, 3])
    np.testing.assert_allclose(a.to_numpy().sum(-1), a.score.values, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        a.provenance["notes"]["relevance_sum"], a.to_numpy()[:, 0].sum(-1), atol=1e-12
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_bert_fused_and_eager_agree_in_every_type(dtype: torch.dtype) -> None:
    maps = []
    for attention in ("sdpa", "eager"):
        model = tokens.bert(dtype)
        model.set_attn_implementation(attention)
        with state.unchanged(model):
            a = explain(model, "a very fine film", "attnlrp", 0, tokenizer=tokens.word_tokenizer())
        maps.append(a.to_numpy())
        assert np.isfinite(a.to_numpy()).all()
    close = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 0.02, torch.bfloat16: 0.1}
    atol = close[dtype] * np.abs(maps[0]).max()
    np.testing.assert_allclose(maps[0], maps[1], rtol=0, atol=atol)


def test_zeros_give_no_nan_in_half_precision() -> None:
    def run(x: torch.Tensor) -> torch.Tensor:
        return (F.silu(x) * F.gelu(x) + F.layer_norm(x, (3,)) + x.relu() + x.abs()).sum(1)

    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        assert relevance(run, 0, 0, 0, dtype=dtype) == [0, 0, 0]


def test_an_offset_that_the_model_takes_away_gets_relevance() -> None:
    # x - 100 has no relevance for 100, which is a bias: the map is that of x, not of its change,
    # and misses the score. DeepLIFT against the offset says what is meant.
    def run(x: torch.Tensor) -> torch.Tensor:
        return (x - 100).sum(1)

    assert relevance(run, 101, 100) == [101, 100]
    x = torch.tensor([[101.0, 100.0]])
    assert explain(Plain(run), x, "deeplift", 0, baseline=100).to_numpy().tolist() == [[1, 0]]


def test_what_has_no_rule_is_refused_and_the_note_on_patents_stands_everywhere() -> None:
    with pytest.raises(RefusedError, match=r"cumprod has no rule.*use input_x_gradient"):
        relevance(lambda x: x.cumprod(-1), 1, 2)
    spec = get_method("lrp")
    assert spec.name == "attnlrp"
    assert spec.summary.startswith("Optional extra")
    assert "patent" in spec.use
