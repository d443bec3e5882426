"""`attention`, `rollout` and `attention_flow` as methods: what `saliscope.attention` gives."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import saliscope
from helpers import state, tokens
from helpers.cases import PROTEINS, TEXTS
from helpers.relevance import flow, mixed
from saliscope import RefusedError, explain
from saliscope.attention import flow as flows
from saliscope.attention.reducer import Reducer
from saliscope.models.protein import ProteinModel
from saliscope.models.text import TextModel

from .adapters import albert, bert, deberta, esm, gpt2, llama

MODELS: list[Any] = [bert, gpt2, albert, deberta]


@pytest.mark.parametrize("make", MODELS)
def test_attention_is_what_is_received_in_the_last_layer(make: Any) -> None:
    model = make()
    kind = "decoder" if make is gpt2 else "encoder"
    for raw, a in zip(TEXTS, explain(model, list(TEXTS), "attention", 0), strict=True):
        wanted = saliscope.attention(model, raw, kind=kind).received(-1)
        np.testing.assert_allclose(a.to_numpy(), wanted.to_numpy(), atol=1e-12)
        assert list(a.values["token"].values) == list(wanted.values["token"].values)
        assert a.score == pytest.approx(explain(model, raw, "gradient", 0).score, abs=1e-12)


@pytest.mark.parametrize("make", MODELS)
def test_rollout_of_a_class_is_the_row_at_which_it_is_read(make: Any) -> None:
    model = make()
    kind, at = ("decoder", -1) if make is gpt2 else ("encoder", 0)
    for raw, a in zip(TEXTS, explain(model, list(TEXTS), "rollout", 0), strict=True):
        (sample,) = model.prepare(raw)
        whole = saliscope.attention(model, raw, reduce="rollout", kind=kind, specials="keep")
        wanted = whole.to_numpy()[at, sample.units.kept]
        np.testing.assert_allclose(a.to_numpy(), wanted, atol=1e-12)


def test_rollout_of_positions_is_the_mean_of_their_rows() -> None:
    model = esm()
    whole = saliscope.attention(model, PROTEINS[0], reduce="rollout").to_numpy()
    for target, places in (("V2W", [1]), ("likelihood", slice(None)), (np.ones(16), slice(None))):
        a = explain(model, PROTEINS[0], "rollout", target)
        np.testing.assert_allclose(a.to_numpy(), whole[places].mean(0), atol=1e-12)
    causal = explain(llama(), "the film was very good", "rollout", saliscope.Token(3, "bad"))
    assert causal.to_numpy()[3:].tolist() == [0, 0]


def test_flow_is_the_largest_flow_of_the_weights() -> None:
    for model, raw, target in ((bert(), TEXTS[0], 0), (esm(), "MVHLT", "V2W")):
        (sample,) = model.prepare(raw)
        layers = mixed(model, sample.context["ids"])
        source = 0 if target == 0 else int(sample.units.kept[1])
        wanted = [flow(layers, source, int(k)) for k in sample.units.kept]
        got = explain(model, raw, "attention_flow", target).to_numpy()
        np.testing.assert_allclose(got, wanted, atol=1e-10)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(2, 5), st.floats(0.05, 3))
def test_flow_of_any_weights(seed: int, layers: int, count: int, spread: float) -> None:
    drawn = np.random.default_rng(seed).dirichlet(np.full(count, spread), (layers, count))
    got = flows.attention_flow(drawn, [0], range(count))[0]
    both = [torch.from_numpy((layer + np.eye(count)) / 2) for layer in drawn]
    wanted = [flow(both, 0, sink) for sink in range(count)]
    np.testing.assert_allclose(got, wanted, atol=1e-8)  # edges below 2^-31 are lost to the cut


def test_flow_through_two_layers_by_hand() -> None:
    # Token 1 sends all to token 0, which keeps its own. From 1 down: half stays, half goes over;
    # then half of what stayed goes over, and all that went over stays.
    over = np.array([[[1.0, 0.0], [1.0, 0.0]]] * 2)
    assert flows.attention_flow(over, [1], [0, 1]).tolist() == [[1.0, 0.5]]
    # Rollout multiplies: 1/4 of it would stay. The flow is limited by the narrowest edge only.


@pytest.mark.parametrize("method", ["attention", "rollout", "attention_flow"])
def test_the_target_does_not_enter_and_that_is_said(method: str) -> None:
    model = bert()
    maps = [explain(model, TEXTS[0], method, t) for t in (0, 2, ("positive", "negative"))]
    for a in maps[1:]:
        np.testing.assert_allclose(a.to_numpy(), maps[0].to_numpy(), atol=1e-12)
        assert a.score != maps[0].score
    both = explain(model, TEXTS[0], method, [0, 2])
    np.testing.assert_allclose(both.to_numpy(), [maps[0].to_numpy()] * 2, atol=1e-12)
    assert "same_for_every_target" in both.health
    (told,) = [f for f in both.health if f.code == "same_for_every_target"]
    assert ("positions" in told.sentence) == (method != "attention")
    assert not both.signed


@pytest.mark.parametrize("method", ["attention", "rollout", "attention_flow"])
def test_errors_leave_nothing(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    for model in (bert(), deberta()):
        state.disturb(model.module)
        for name in ("begin", "end", "finish"):
            monkeypatch.setattr(Reducer, name, fail)
            with state.unchanged(model.module), pytest.raises(KeyboardInterrupt):
                explain(model, TEXTS[0], method, 0)
            monkeypatch.undo()


def test_what_cannot_be_right_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[tuple[Any, str, str, Any, str]] = [
        (esm(), "MVH", "attention", "likelihood:context", "masks positions"),
        (esm(), "MVH", "rollout", "likelihood:context", "likelihood:context"),
    ]
    monkeypatch.setattr(flows, "MOST", 500)
    # One flow to each of 4 residues over 2 x 6 x 6 edges is affordable, four to each are not.
    refused.append((esm(), "MVHL", "attention_flow", "likelihood", "16 flows through 2 layers"))
    refused.append((esm(), "MVHLTPEEK", "attention_flow", "V2W", "9 flows.*use rollout"))
    assert explain(esm(), "MVHL", "attention_flow", "V2W").to_numpy().min() > 0
    for model, raw, method, target, word in refused:
        with pytest.raises(RefusedError, match=word) as caught:
            explain(model, raw, method, target)
        assert "\n" not in str(caught.value)


# -- inputs on which they mislead ----------------------------------------------------------------


def test_attention_misleads_where_nothing_is_read() -> None:
    model = bert()
    with torch.no_grad():
        last = model.module.bert.encoder.layer[-1].attention.self
        last.value.weight.zero_()
        last.value.bias.zero_()
        for layer in model.module.bert.encoder.layer[:-1]:
            layer.attention.output.dense.weight.zero_()
    shown = explain(model, TEXTS[0], "attention", 0).to_numpy()
    # Now no word reaches the class, and still attention points at some far more than at others.
    assert not np.any(explain(model, TEXTS[0], "masking", 0).to_numpy().round(12))
    assert shown.max() > 2 * shown.min() > 0
    assert not explain(model, TEXTS[0], "relevance", 0).to_numpy().round(12).any()


def test_rollout_misleads_where_a_head_is_ignored() -> None:
    model = bert()
    with torch.no_grad():  # nothing of the second head comes out of any layer
        for layer in model.module.bert.encoder.layer:
            layer.attention.output.dense.weight[:, 8:] = 0
    other = TextModel(copy.deepcopy(model.module), tokens.word_tokenizer(), "other")
    with torch.no_grad():  # so how that head attends cannot matter
        for layer in other.module.bert.encoder.layer:
            layer.attention.self.query.weight[8:] *= -3
    one, two = (explain(m, TEXTS[0], "rollout", 0) for m in (model, other))
    assert one.score == pytest.approx(two.score, abs=1e-12)
    assert np.abs(one.to_numpy() - two.to_numpy()).max() > 0.01
    related = [explain(m, TEXTS[0], "relevance", 0).to_numpy() for m in (model, other)]
    np.testing.assert_allclose(*related, atol=1e-12)


def test_flow_misleads_where_units_share_what_fits_through() -> None:
    # Even attention over eight tokens: one unit of flow leaves the top, and each token is said to
    # carry more than half of it.
    even = np.full((3, 8, 8), 1 / 8)
    found = flows.attention_flow(even, [0], range(8))[0]
    assert found.sum() > 4
    assert found[1:].min() == found[1:].max() > 0.5


def test_adapters_say_what_they_offer() -> None:
    assert "attention" in bert().offers
    assert "attention" in deberta().offers
    assert "attention" in ProteinModel(tokens.esm(), tokens.esm_tokenizer(), "esm").offers
    assert "attention" in saliscope.load("zoo:protein").offers
    with pytest.raises(RefusedError, match="relevance needs attention"):
        explain(torch.nn.Linear(2, 2), torch.ones(1, 2), "relevance", 0)
