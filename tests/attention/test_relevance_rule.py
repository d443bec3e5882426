"""`relevance`: equal to the whole matrix of the paper, a layer at a time, and nothing is left."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    BartConfig,
    BartForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    LongformerConfig,
    LongformerForSequenceClassification,
)
from transformers.masking_utils import AttentionMaskInterface
from transformers.modeling_utils import AttentionInterface

import saliscope
from helpers import state, tokens
from helpers.cases import PROTEINS, TEXTS
from helpers.relevance import relevance
from saliscope import RefusedError, explain
from saliscope.attention import kernels
from saliscope.attention.descent import Descent, Related
from saliscope.attention.interface import Given
from saliscope.models.memory import PeakBytes
from saliscope.models.text import TextModel

from .adapters import SIZES, albert, bert, deberta, esm, gpt2, llama, text


def logit(which: int) -> Callable[[Any], torch.Tensor]:
    return lambda out: out.logits[0, which]


def near(a: saliscope.Attribution, wanted: torch.Tensor, share: float) -> None:
    got = a.to_numpy()
    np.testing.assert_allclose(got, wanted.detach().numpy(), rtol=0, atol=share * np.abs(got).max())
    assert got.max() > 0


# -- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("make", [bert, gpt2, albert, deberta])
def test_a_class_has_the_row_at_which_the_model_reads_it(
    make: Callable[..., TextModel], dtype: torch.dtype
) -> None:
    exact = make()
    model = exact
    if dtype == torch.float32:
        model = TextModel(copy.deepcopy(exact.module).float(), exact.tokenizer, "float32")
    # The last token is the one that a decoder reads; the others read the first.
    at = -1 if make is gpt2 else 0
    for raw in TEXTS:
        (sample,) = exact.prepare(raw)
        for which in (0, 2):
            whole = relevance(exact, sample.context["ids"], logit(which))
            wanted = (whole - torch.eye(len(whole)))[at][sample.units.kept]
            near(explain(model, raw, "relevance", which), wanted,
                 1e-10 if dtype == torch.float64 else 1e-5)  # fmt: skip


def rows(model: Any, sample: Any, whole: torch.Tensor, places: Any) -> torch.Tensor:
    return (whole - torch.eye(len(whole)))[places].mean(0)[sample.units.kept]


@pytest.mark.parametrize("raw", PROTEINS)
def test_targets_at_positions_have_the_mean_of_their_rows(raw: str) -> None:
    model = esm()
    (sample,) = model.prepare(raw)
    ids, kept = sample.context["ids"], sample.units.kept
    known = [i for i in kept if i not in sample.context["unknown"]]
    at = torch.tensor(known)

    def likelihood(out: Any) -> torch.Tensor:
        return out.logits[0].log_softmax(-1)[at, torch.from_numpy(ids)[at]].sum()

    whole = relevance(model, ids, likelihood)
    near(explain(model, raw, "relevance", "likelihood"), rows(model, sample, whole, known), 1e-10)
    to, here = model.token_id("W"), int(ids[kept[1]])
    whole = relevance(
        model, ids, lambda out: out.logits[0, kept[1], to] - out.logits[0, kept[1], here]
    )
    a = explain(model, raw, "relevance", f"{raw[1]}2W")
    near(a, rows(model, sample, whole, [kept[1]]), 1e-10)


def test_an_embedding_has_the_mean_row_of_its_units() -> None:
    model, vector = esm(), np.linspace(-1, 1, 16)
    (sample,) = model.prepare(PROTEINS[0])
    kept = torch.from_numpy(sample.units.kept)

    def projected(out: Any) -> torch.Tensor:
        return out.hidden_states[-1][0, kept].mean(0) @ torch.from_numpy(vector)

    inner = model.module.config
    inner.output_hidden_states = True
    try:
        whole = relevance(model, sample.context["ids"], projected)
    finally:
        inner.output_hidden_states = False
    near(explain(model, PROTEINS[0], "relevance", vector), rows(model, sample, whole, kept), 1e-10)


def test_a_causal_model_reads_a_token_where_it_is_predicted() -> None:
    model, raw = llama(), "the film was very good"
    (sample,) = model.prepare(raw)
    where, token = sample.units.kept[3] - 1, model.token_id("bad")

    def read(out: Any) -> torch.Tensor:
        return out.logits[0, where].log_softmax(-1)[token]

    whole = relevance(model, sample.context["ids"], read)
    a = explain(model, raw, "relevance", saliscope.Token(4, "bad"))
    # Llama's eager copy rounds every softmax to float32.
    near(a, rows(model, sample, whole, [where]), 1e-6)
    assert (a.to_numpy()[3:] == 0).all()  # neither itself nor a later token is seen


def test_masked_views_are_averaged_as_rows_are() -> None:
    model = esm()
    each = [explain(model, "MVHLT", "relevance", saliscope.Token(i, context=True)).to_numpy()
            for i in range(1, 6)]  # fmt: skip
    whole = explain(model, "MVHLT", "relevance", "likelihood:context")
    np.testing.assert_allclose(whole.to_numpy(), np.mean(each, 0), atol=1e-12)
    apart = explain(model, "MVHLT", "relevance", saliscope.Likelihood(context=True, each=True))
    np.testing.assert_allclose(apart.to_numpy(), each, atol=1e-12)


def test_one_layer_by_hand() -> None:
    # Two tokens, one head, even attention, values 3 and -5: dP = (3, -5), P * dP = (1.5, -2.5).
    # The second token takes away more than the first one gives, and yet it is nothing here.
    zero = torch.zeros(1, 1, 2, 1, dtype=torch.float64, requires_grad=True)
    value = torch.tensor([3.0, -5.0], dtype=torch.float64).reshape(1, 1, 2, 1).requires_grad_()
    descent = Descent(torch.ones(1, 2, dtype=torch.bool))
    module = nn.Identity()
    layer: Any = type("Here", (), {"module": module, "name": "here"})()
    output, _ = Related([layer], descent)(module, zero, zero, value, None, is_causal=False)
    target = output[0, 0, 0, 0]
    assert target.item() == -1.0
    descent.begin(torch.zeros(1, 2, dtype=torch.bool))
    gradients = torch.autograd.grad(target, [zero, value])
    assert descent.relevance().tolist() == [[1.5, 0.0]]
    assert gradients[1].flatten().tolist() == [0.5, 0.5]


@pytest.mark.parametrize("room", [1, 5, 40, 200, 10**6])
@pytest.mark.parametrize("mask", ["none", "causal", "bool", "bias"])
def test_blocks_of_any_size_give_the_true_gradients(
    room: int, mask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "room", lambda *_: room)
    made = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=made, dtype=torch.float64)

    query, key, value = (draw(3, h, 5, 2).requires_grad_() for h in (4, 2, 2))
    hidden = torch.ones(3, 1, 5, 5, dtype=torch.bool)
    hidden[1, ..., 3:] = False
    given = Given(
        hidden if mask == "bool" else None, draw(1, 4, 5, 5) if mask == "bias" else None, 0.7,
        mask == "causal",
    )  # fmt: skip

    def eager() -> tuple[torch.Tensor, torch.Tensor]:
        scores = query @ key.repeat_interleave(2, 1).mT * 0.7
        if given.bias is not None:
            scores = scores + given.bias
        seen = torch.ones(5, 5, dtype=torch.bool).tril() if given.causal else given.mask
        scores = scores if seen is None else scores.masked_fill(~seen, -torch.inf)
        weights = scores.softmax(-1)
        return (weights @ value.repeat_interleave(2, 1)).transpose(1, 2), weights

    slope = draw(3, 5, 4, 2)
    output, weights = eager()
    wanted = torch.autograd.grad(output, [query, key, value, weights], slope, retain_graph=True)
    descent = Descent(torch.ones(3, 5, dtype=torch.bool))
    module = nn.Identity()
    layer: Any = type("Here", (), {"module": module, "name": "here"})()
    attended = Related([layer], descent).attend(
        "here", given, (query, key, value), eager()[0].detach
    )
    descent.begin(torch.eye(3, 5).bool())
    got = torch.autograd.grad(attended, [query, key, value], slope)
    for one, two in zip(got, wanted, strict=False):
        torch.testing.assert_close(one, two, atol=1e-12, rtol=0)
    bar = (weights * wanted[3]).clamp(min=0).mean(1)
    exact = torch.stack([bar[i, i] for i in range(3)])
    torch.testing.assert_close(descent.relevance(), exact, atol=1e-12, rtol=0)


# -- behavior -----------------------------------------------------------------------------------


def test_the_map_turns_with_the_target() -> None:
    model = bert()
    one = explain(model, TEXTS[0], "relevance", ("positive", "negative"))
    two = explain(model, TEXTS[0], "relevance", ("negative", "positive"))
    both = explain(model, TEXTS[0], "relevance", [0, 2])
    assert one.score == pytest.approx(-two.score)
    assert np.corrcoef(one.to_numpy(), two.to_numpy())[0, 1] < 0.5
    assert not one.signed
    for place, which in enumerate((0, 2)):
        alone = explain(model, TEXTS[0], "relevance", which).to_numpy()
        np.testing.assert_allclose(both.to_numpy()[place], alone, atol=1e-12)


@pytest.mark.parametrize("make", [bert, deberta, gpt2, albert])
def test_padding_changes_nothing(make: Callable[[], TextModel]) -> None:
    model = make()
    together = explain(model, list(TEXTS), "relevance", 1)
    for raw, a in zip(TEXTS, together, strict=True):
        alone = explain(model, raw, "relevance", 1)
        np.testing.assert_allclose(a.to_numpy(), alone.to_numpy(), atol=1e-12)
        assert a.score == pytest.approx(explain(model, raw, "gradient", 1).score, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("make", [bert, esm, deberta])
def test_half_precision_is_finite_and_near(make: Callable[..., Any], dtype: torch.dtype) -> None:
    raw, target = (PROTEINS[0], "likelihood") if make is esm else (TEXTS[0], 0)
    half = explain(make(dtype), raw, "relevance", target).to_numpy()
    exact = explain(make(), raw, "relevance", target).to_numpy()
    assert np.isfinite(half).all()
    assert half @ exact / np.sqrt((half @ half) * (exact @ exact)) > 0.98


def test_a_target_that_reads_nothing_has_a_flat_map() -> None:
    a = explain(bert(), TEXTS[0], "relevance", saliscope.Call(lambda out: out.logits[:, 0] * 0))
    assert not a.to_numpy().any()
    assert "flat" in a.health


def _long(make: Callable[[int], nn.Module], layers: int) -> tuple[TextModel, str]:
    model = text(make(layers), torch.float32)
    model.limit = None
    return model, " ".join(["good film", "bad story"] * 30)


def _plain(layers: int) -> nn.Module:
    module = tokens.bert()
    config = copy.deepcopy(module.config)
    config.num_hidden_layers, config.max_position_embeddings = layers, 256
    config.num_attention_heads = 8
    return type(module)(config)


def _disentangled(layers: int) -> nn.Module:
    return DebertaV2ForSequenceClassification(DebertaV2Config(
        **{**SIZES, "num_hidden_layers": layers, "num_attention_heads": 8}, num_labels=3,
        relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=4,
        max_position_embeddings=256, type_vocab_size=0,
    ))  # fmt: skip


@pytest.mark.parametrize("make", [_plain, _disentangled])
def test_memory_holds_the_weights_of_one_layer(make: Callable[[int], nn.Module]) -> None:
    peaks = []
    for layers in (2, 6):
        model, raw = _long(make, layers)
        (sample,) = model.prepare(raw)
        explain(model, raw, "relevance", 0)  # the first pass is accounted by the engine itself
        with PeakBytes(torch.device("cpu")) as counted:
            explain(model, raw, "relevance", 0)
        peaks.append(counted.peak)
    layer = 8 * sample.length**2 * 4  # one layer's probabilities
    assert peaks[1] - peaks[0] < 1.5 * layer  # four more layers of them would be four times that
    assert peaks[1] < 14 * layer


# -- nothing is left, and what is refused ----------------------------------------------------------


@pytest.mark.parametrize("make", [bert, esm, deberta])
def test_nothing_is_left_by_an_error_on_the_way_back(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make()
    raw, target = (PROTEINS[0], "likelihood") if make is esm else (TEXTS[0], 0)
    state.disturb(model.module)
    before = _registries()

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    for name in ("check", "rows", "add"):
        monkeypatch.setattr(Descent, name, fail)
        with state.unchanged(model.module), pytest.raises(KeyboardInterrupt):
            explain(model, raw, "relevance", target)
        monkeypatch.undo()
        assert _registries() == before
    with state.unchanged(model.module):
        explain(model, raw, "relevance", target)
    assert _registries() == before


def _registries() -> list[list[str]]:
    return [sorted(i._global_mapping) for i in (AttentionInterface, AttentionMaskInterface)]


def test_hooks_of_the_user_are_called_as_always() -> None:
    model = deberta()
    seen: list[Any] = []
    layer = model.module.deberta.encoder.layer[0].attention.self
    layer.register_forward_hook(lambda _m, _a, out: seen.append((out[0].shape, out[1])))
    explain(model, TEXTS[1], "gradient", 0)
    usual = list(seen)
    explain(model, TEXTS[1], "relevance", 0)
    assert seen == 2 * usual
    assert usual[0][1] is None


def test_what_cannot_be_right_is_refused_in_one_line() -> None:
    both = text(BartForSequenceClassification(BartConfig(
        vocab_size=len(tokens.WORDS), d_model=16, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=24,
        decoder_ffn_dim=24, pad_token_id=0, eos_token_id=3, max_position_embeddings=40,
        decoder_start_token_id=2, num_labels=3,
    )))  # fmt: skip
    windows = text(LongformerForSequenceClassification(LongformerConfig(
        **SIZES, attention_window=4, num_labels=3, max_position_embeddings=64,
    )))  # fmt: skip
    for model, word in ((both, "offers"), (windows, "longformer")):
        with pytest.raises(RefusedError, match=word) as caught:
            explain(model, TEXTS[0], "relevance", 0)
        assert "\n" not in str(caught.value)
    assert "attention" not in both.offers
