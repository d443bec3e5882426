"""Token models: the substituted embedding, padding, and what the model itself would say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from helpers import tokens
from helpers.cases import PROTEINS, TEXTS
from saliscope import explain
from saliscope.core.model import Piece
from saliscope.core.perturbation import Perturbation
from saliscope.models.protein import ProteinModel
from saliscope.models.text import TextModel

FLOATS = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
HEADS = {"call", "hidden", "embedding"}
KINDS = ["esm", "esm without dropout", "bert", "roberta"]


def made(kind: str, dtype: torch.dtype) -> tuple[Any, tuple[str, ...]]:
    """Return an adapter and inputs for it."""
    if kind.startswith("esm"):
        module = tokens.esm(dtype, token_dropout=kind == "esm")
        return ProteinModel(module, tokens.esm_tokenizer(), kind), PROTEINS
    module = tokens.bert(dtype) if kind == "bert" else tokens.roberta(dtype)
    return TextModel(module, tokens.word_tokenizer(), kind), TEXTS


def own(model: Any, ids: np.ndarray) -> torch.Tensor:
    """Return what the module gives without any of this library."""
    tensor = torch.from_numpy(ids)[None]
    with torch.no_grad():
        out = model.module(input_ids=tensor, attention_mask=torch.ones_like(tensor))
    logits: torch.Tensor = out.logits
    return logits


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("baseline", ["mask", "zero"])
def test_the_unchanged_embedding_gives_the_models_own_output(
    kind: str, dtype: torch.dtype, baseline: str
) -> None:
    model, inputs = made(kind, dtype)
    for raw in inputs:
        (sample,) = model.prepare(raw)
        path = Perturbation.path(sample.units, [1.0], model.baseline(sample, baseline))
        for moved in (path, Perturbation.identity(sample.units)):
            batch = model.realize([Piece(sample, moved, np.array([0]))])
            for gradients in (False, True):
                with torch.set_grad_enabled(gradients):
                    heads, leaf = model.forward(batch, HEADS, gradients=gradients)
                assert torch.equal(heads["call"].logits, own(model, sample.context["ids"]))
                assert leaf is not None


@pytest.mark.parametrize("kind", KINDS)
def test_the_other_end_of_the_path_is_the_baseline_itself(kind: str) -> None:
    model, inputs = made(kind, torch.float64)
    token = "A" if kind.startswith("esm") else "film"
    (sample,) = model.prepare(inputs[0])
    baseline = model.baseline(sample, token)
    path = Perturbation.path(sample.units, [0.0], baseline)
    batch = model.realize([Piece(sample, path, np.array([0]))])
    with torch.no_grad():
        heads, _ = model.forward(batch, HEADS, gradients=False)
    torch.testing.assert_close(heads["call"].logits, own(model, baseline.ids), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by", ["ids", "embedding"])
def test_padding_changes_nothing(kind: str, by: str) -> None:
    model, inputs = made(kind, torch.float64)
    samples = [model.prepare(raw)[0] for raw in inputs]
    pieces = [
        Piece(
            s,
            Perturbation.identity(s.units) if by == "ids"
            else Perturbation.path(s.units, [1.0], model.baseline(s, None)),
            np.array([0]),
        )
        for s in samples
    ]  # fmt: skip
    with torch.no_grad():
        heads, _ = model.forward(model.realize(pieces), HEADS, gradients=False)
    for row, sample in enumerate(samples):
        alone = own(model, sample.context["ids"])[0]
        got = heads["call"].logits[row]
        if kind.startswith("esm"):
            got = got[: len(alone)]
        torch.testing.assert_close(got, alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_score_is_what_the_model_says(kind: str) -> None:
    model, inputs = made(kind, torch.float64)
    raw = inputs[0]
    (sample,) = model.prepare(raw)
    logits = own(model, sample.context["ids"])[0]
    if kind.startswith("esm"):
        kept = torch.from_numpy(sample.units.kept)
        picked = logits.log_softmax(-1)[kept, torch.from_numpy(sample.context["ids"])[kept]]
        assert explain(model, raw, "gradient").score == pytest.approx(
            float(picked.sum()), abs=1e-12
        )
        return
    a = explain(model, raw, "gradient", 0)
    assert a.score == pytest.approx(float(logits[0]), abs=1e-12)
    assert a.prediction[0]["label"] == model.labels[int(logits.argmax())]
    probability = float(logits.softmax(-1).max())
    assert a.prediction[0]["probability"] == pytest.approx(probability, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_masked_unit_is_the_mask_token_given_to_the_model(kind: str) -> None:
    model, inputs = made(kind, torch.float64)
    (sample,) = model.prepare(inputs[0])
    moved = Perturbation.leave_one_out(sample.units.each(), [model.fill(sample, None)])
    rows = np.arange(moved.rows)
    with torch.no_grad():
        heads, _ = model.forward(
            model.realize([Piece(sample, moved, rows)]), HEADS, gradients=False
        )
    for row, place in enumerate(sample.units.kept):
        ids = sample.context["ids"].copy()
        ids[place] = model.mask_id
        got = heads["call"].logits[row]
        torch.testing.assert_close(got, own(model, ids)[0], rtol=0, atol=1e-12)
    whole = own(model, sample.context["ids"])[0]
    torch.testing.assert_close(heads["call"].logits[-1], whole, rtol=0, atol=1e-12)


def test_deletion_is_the_shorter_text() -> None:
    model, _ = made("bert", torch.float64)
    a = explain(model, "a good film", "masking", 0, fill="delete")
    score = {t: explain(model, t, "gradient", 0).score for t in
             ("a good film", "good film", "a film", "a good")}  # fmt: skip
    wanted = [score["a good film"] - score[t] for t in ("good film", "a film", "a good")]
    np.testing.assert_allclose(a.to_numpy(), wanted, atol=1e-12)
    assert "deletion_shifts" in a.health


def test_a_model_that_calls_its_embedding_twice_is_refused() -> None:
    model, inputs = made("bert", torch.float32)
    inner = model.module.forward

    def twice(**arguments: Any) -> Any:
        model.embedding(arguments["input_ids"])
        return inner(**arguments)

    model.module.forward = twice
    with pytest.raises(Exception, match="more than once"):
        explain(model, inputs[0], "gradient", 0)
    assert not model.embedding._forward_hooks
