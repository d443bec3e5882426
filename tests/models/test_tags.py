"""Models that label every token, against passes of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from helpers import tokens, toys
from helpers.reference import slopes
from saliscope import OptionError, RefusedError, Tag, explain, measure
from saliscope.core.model import Piece
from saliscope.core.perturbation import Perturbation
from saliscope.core.target_spec import as_target
from saliscope.models.text import TextModel

TEXT = "The film was unbelievably good"


@pytest.fixture(scope="module")
def model() -> TextModel:
    """Return an adapter."""
    return TextModel(tokens.tagger(), tokens.word_tokenizer(), "tagger")


def logits(model: TextModel, raw: str) -> torch.Tensor:
    """Return the labels' logits of the tokens, special ones left out."""
    ids = torch.tensor([model.tokenizer(raw)["input_ids"]])
    with torch.no_grad():
        found: torch.Tensor = model.module(input_ids=ids).logits[0, 1:-1]
    return found


def test_all_predicted_labels_come_from_one_forward_pass(model: TextModel) -> None:
    own = logits(model, "The film was good")
    with toys.Calls(model.module) as calls:
        a = explain(model, "The film was good", "input_x_gradient", seed=1)
    assert calls.sizes == [1, 1]  # what is predicted, and the one pass of all four
    best = own.argmax(1)
    assert a.target == [f"{model.labels[int(k)]} at {i + 1}" for i, k in enumerate(best)]
    np.testing.assert_allclose(a.score, own.max(1).values, rtol=0, atol=1e-12)
    ids = torch.tensor(model.tokenizer("The film was good")["input_ids"])
    x = model.embedding(ids).detach()

    def f(embedded: torch.Tensor) -> torch.Tensor:
        out = model.module(inputs_embeds=embedded[None]).logits[0, 1:-1]
        return out.gather(1, best[:, None])[:, 0]

    wanted = torch.stack([(s * x).sum(-1) for s in slopes(f, x)])[:, 1:-1]
    np.testing.assert_allclose(a.to_numpy(), wanted, rtol=0, atol=1e-10)
    assert a.prediction == []


def test_labels_positions_words_and_scales(model: TextModel) -> None:
    own = logits(model, "The film was good")
    for target, wanted, name in [
        (Tag(2, "B-LOC"), own[1, 1], "B-LOC at 2"),
        (Tag("film", 1), own[1, 1], "B-LOC at 2"),
        (Tag(2, "B-LOC", scale="log_prob"), own[1].log_softmax(0)[1], "B-LOC at 2"),
        (Tag(4, "B-LOC", instead_of="O"), own[3, 1] - own[3, 0], "B-LOC vs O at 4"),
        (2, own[1].max(), f"{model.labels[int(own[1].argmax())]} at 2"),
    ]:
        a = explain(model, "The film was good", "masking", target)
        assert a.target == name
        assert a.score == pytest.approx(float(wanted), abs=1e-12)
    read = measure(model, "The film was good", Tag(None, "O"))
    np.testing.assert_allclose(read.values, own[:, 0], rtol=0, atol=1e-12)


def test_a_word_is_read_at_its_first_token(model: TextModel) -> None:
    a = explain(model, "an unbelievable film", "gradient", Tag("unbelievable", "O"))
    assert a.target == "O at 2"
    assert a.values.sizes == {"position": 5}


def test_masking_equals_passes_of_its_own(model: TextModel) -> None:
    a = explain(model, "The film was good", "masking", Tag(None, "I-LOC"), groups="token")
    ids = model.tokenizer("The film was good")["input_ids"]
    for place in range(4):
        seen = list(ids)
        seen[place + 1] = model.mask_id
        with torch.no_grad():
            out = model.module(input_ids=torch.tensor([seen])).logits[0, 1:-1, 2]
        drop = logits(model, "The film was good")[:, 2] - out
        np.testing.assert_allclose(a.to_numpy()[:, place], drop, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_the_unchanged_embedding_gives_the_models_own_output(dtype: torch.dtype) -> None:
    model = TextModel(tokens.tagger(dtype), tokens.word_tokenizer(), "tagger")
    (sample,) = model.prepare(TEXT)
    path = Perturbation.path(sample.units, [1.0], model.baseline(sample, "mask"))
    ids = torch.from_numpy(sample.context["ids"])[None]
    with torch.no_grad():
        wanted = model.module(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        for moved in (path, Perturbation.identity(sample.units)):
            batch = model.realize([Piece(sample, moved, np.array([0]))])
            heads, _ = model.forward(batch, {"tags"}, gradients=False)
            assert torch.equal(heads["tags"], wanted)


@pytest.mark.parametrize(
    ("words", "same"),
    [
        ("tags", Tag()), ("3", Tag(3)), ("film", Tag("film")), ("3:B-LOC", Tag(3, "B-LOC")),
        ("film: B-LOC vs O", Tag("film", "B-LOC", "O")),
    ],
)  # fmt: skip
def test_spellings(model: TextModel, words: str, same: Tag) -> None:
    assert as_target(words, model) == same


@pytest.mark.parametrize(
    ("target", "error", "match"),
    [
        (Tag("flim"), OptionError, "did you mean 'film'"),
        (Tag("the"), RefusedError, r"several positions \(1, 3\)"),
        (Tag(9, "O"), OptionError, "positions 1 to 4"),
        (Tag(1, "B-PER"), OptionError, "no class 'B-PER': known: B-LOC"),
        (Tag(1, 7), OptionError, "out of range"),
        ("likelihood", OptionError, "no word 'likelihood'"),
    ],
)
def test_what_does_not_exist_is_refused(
    model: TextModel, target: Any, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        explain(model, "the film the plot", "gradient", target)
