"""Targets, bound and read off, against direct torch computation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import saliscope
from helpers import tokens, toys
from saliscope import OptionError, explain
from saliscope.core.target_spec import as_target
from saliscope.models.readout import log_odds
from saliscope.models.tensor import TensorModel
from saliscope.models.text import TextModel

SEQUENCE = "MVHLT"


def logits(model: Any, ids: Any) -> torch.Tensor:
    """Return the module's own logits for some ids."""
    tensor = torch.as_tensor(np.array(ids))[None]
    with torch.no_grad():
        return model.module(input_ids=tensor, attention_mask=torch.ones_like(tensor)).logits[0]


def ids_of(model: Any, raw: str) -> list[int]:
    """Return the ids of an input."""
    (sample,) = model.prepare(raw)
    return [int(i) for i in sample.context["ids"]]


def score(model: Any, raw: Any, target: object) -> Any:
    """Return the score that the library reads."""
    return explain(model, raw, "masking", target).score


def test_likelihood_is_the_sum_of_log_probabilities(protein: Any) -> None:
    ids = ids_of(protein, SEQUENCE)
    wanted = float(logits(protein, ids).log_softmax(-1)[range(1, 6), ids[1:6]].sum())
    for target in (None, "likelihood", saliscope.Likelihood()):
        assert score(protein, SEQUENCE, target) == pytest.approx(wanted, abs=1e-12)


def test_unknown_residues_do_not_count_in_a_likelihood(protein: Any) -> None:
    ids = ids_of(protein, "MXV")
    table = logits(protein, ids).log_softmax(-1)
    assert score(protein, "MXV", None) == pytest.approx(float(table[1, ids[1]] + table[3, ids[3]]))
    with pytest.raises(OptionError, match="no unit"):
        score(protein, "XX", None)


def test_likelihood_in_context_masks_each_position(protein: Any) -> None:
    ids, total = ids_of(protein, SEQUENCE), 0.0
    for at in range(1, 6):
        seen = list(ids)
        seen[at] = protein.mask_id
        total += float(logits(protein, seen).log_softmax(-1)[at, ids[at]])
    assert score(protein, SEQUENCE, "likelihood:context") == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize("context", [False, True])
def test_substitutions_and_tokens(protein: Any, context: bool) -> None:
    ids = ids_of(protein, SEQUENCE)
    seen = list(ids)
    if context:
        seen[2] = protein.mask_id
    table = logits(protein, seen).log_softmax(-1)[2]
    v, e = protein.vocabulary["V"], protein.vocabulary["E"]
    tail = ":context" if context else ""
    ratio = float(table[e] - table[v])
    for target in (f"V2E{tail}", f"2E{tail}", saliscope.Substitution(2, "E", context=context)):
        assert score(protein, SEQUENCE, target) == pytest.approx(ratio, abs=1e-12)
    for target in (f"2{tail}", saliscope.Token(2, context=context)):
        assert score(protein, SEQUENCE, target) == pytest.approx(float(table[v]), abs=1e-12)
    other = saliscope.Token(2, "E", context=context, scale="prob")
    assert score(protein, SEQUENCE, other) == pytest.approx(float(table[e].exp()), abs=1e-12)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("A2E", "has V at position 2"), ("V9E", "positions 1 to 5"), ("0", "positions 1 to 5"),
        ("V2J", "'J' is not a residue"), ("likelyhood", "did you mean 'likelihood'"),
        ("v2e", "not known"), ("-3", "not known"), ("", "not known"), (2.5, "not a target"),
        (True, "not a target"), ([], "empty"), (["V2E", "V2E:context"], "share"),
        (["likelihood", "1"], None), (3, "needs a model"), ("positive", "not known"),
        (("V", "E"), "not a target"), (np.ones(7), "embedding has (16,)"),
        (np.full(16, np.nan), "not finite"),
    ],
    ids=str,
)  # fmt: skip
def test_what_a_protein_cannot_be_asked(protein: Any, target: object, words: str | None) -> None:
    if words is None:
        assert len(score(protein, SEQUENCE, target)) == 2
        return
    with pytest.raises(OptionError) as caught:
        explain(protein, SEQUENCE, "masking", target)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["protein", "text"])
def test_a_projection_is_the_mean_embedding_times_the_vector(
    kind: str, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(kind)
    raw = SEQUENCE if kind == "protein" else "a good film"
    ids = torch.as_tensor(ids_of(model, raw))[None]
    with torch.no_grad():
        out = model.base(input_ids=ids, attention_mask=torch.ones_like(ids))
    mean = out.last_hidden_state[0, 1:-1].mean(0).numpy()
    vector = np.linspace(-1, 1, 16)
    for given_as in (vector, torch.from_numpy(vector), saliscope.Projection(vector.tolist())):
        assert score(model, raw, given_as) == pytest.approx(float(mean @ vector), abs=1e-12)


@pytest.mark.parametrize("scale", ["logit", "log_prob", "prob", "log_odds", "raw"])
def test_scales_of_a_class(text: Any, scale: str) -> None:
    row = logits(text, ids_of(text, "a good film"))
    p = row.double().softmax(-1)[1]
    wanted = {"logit": row[1], "raw": row[1], "log_prob": p.log(), "prob": p,
              "log_odds": (p / (1 - p)).log()}[scale]  # fmt: skip
    target = saliscope.Class("neutral", scale=scale)
    assert score(text, "a good film", target) == pytest.approx(float(wanted), abs=1e-10)
    contrast = saliscope.Contrast("neutral", "negative", scale="log_prob")
    assert score(text, "a good film", contrast) == pytest.approx(float(row[1] - row[0]), abs=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("far", [1.0, 10.0, 20.0, 60.0])
def test_log_odds_of_a_certain_model_keep_their_size_and_slope(
    dtype: torch.dtype, far: float
) -> None:
    row = torch.tensor([[far, 0.0, -1.0]], dtype=dtype, requires_grad=True)
    values = log_odds(row.expand(3, 3), torch.arange(3))
    exact = torch.tensor([far, 0.0, -1.0], dtype=torch.float64)
    for i in range(3):
        others = exact[[j for j in range(3) if j != i]].logsumexp(0)
        assert values[i].item() == pytest.approx(float(exact[i] - others), rel=1e-5)
        (slope,) = torch.autograd.grad(values[i], row, retain_graph=True)
        assert float(slope[0, i]) == pytest.approx(1.0, rel=1e-5)


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=6))
def test_log_odds_equal_their_definition(numbers: list[float]) -> None:
    row = torch.tensor([numbers], dtype=torch.float64)
    count = len(numbers)
    got = log_odds(row.expand(count, count), torch.arange(count))
    for i in range(len(numbers)):
        others = torch.cat([row[0, :i], row[0, i + 1 :]]).logsumexp(0)
        assert float(got[i]) == pytest.approx(float(row[0, i] - others), abs=1e-8)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (0, "negative"), ("positive", "positive"), ("POSITIVE", "positive"), ("2", "positive"),
        (np.int64(1), "neutral"), (saliscope.Class("Neutral"), "neutral"),
        (("positive", "negative"), "positive vs negative"), ((2, 0), "positive vs negative"),
        ("positive vs neutral", "positive vs neutral"), ([0, 2], ["negative", "positive"]),
        (["negative", "positive"], ["negative", "positive"]),
    ],
    ids=str,
)  # fmt: skip
def test_classes_by_number_and_label(text: Any, target: object, name: str | list[str]) -> None:
    assert explain(text, "a good film", "masking", target).target == name


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (3, "out of range; the model has 3 outputs, 0 to 2"), (-1, "is negative"),
        ("positif", "did you mean 'positive'?"), ("9", "out of range"),
        (("positive", "positive"), "two different"), (("positive", "x"), "no class 'x'"),
        (True, "not a target"), (1.0, "not a target"), (None, None),
        (saliscope.Class(True), "not True"), (saliscope.Class(1.5), "not 1.5"),
    ],
    ids=str,
)  # fmt: skip
def test_classes_that_do_not_exist(text: Any, target: object, words: str | None) -> None:
    if words is None:
        assert explain(text, "a good film", "masking", target).target in text.labels
        return
    with pytest.raises(OptionError) as caught:
        explain(text, "a good film", "masking", target)
    assert words in str(caught.value)


def test_labels_that_look_alike_are_told_apart_by_case() -> None:
    module = tokens.bert(torch.float64, ("LOW", "low", "high"))
    model = TextModel(module, tokens.word_tokenizer(), "bert")
    assert explain(model, "good", "masking", "LOW").target == "LOW"
    assert explain(model, "good", "masking", "low").target == "low"
    with pytest.raises(OptionError, match="no class 'Low'"):
        explain(model, "good", "masking", "Low")


def test_scales_that_do_not_exist_are_refused() -> None:
    with pytest.raises(OptionError, match="did you mean 'log_odds'"):
        saliscope.Class(0, scale="logodds")
    one = toys.linear([[1.0, 2.0]])
    with pytest.raises(OptionError, match="scale='raw'"):
        explain(one, torch.ones(1, 2), "masking", saliscope.Class(0, scale="prob"))


def test_a_single_output_is_explained_as_it_is() -> None:
    a = explain(toys.linear([[1.0, 2.0]]), torch.ones(1, 2), "masking")
    assert a.target == "output"
    np.testing.assert_allclose(a.to_numpy(), [[1, 2]])


class Grid(torch.nn.Module):
    """Returns an output of two axes."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the outer product of a row with (1, 2, 3)."""
        return rows[:, :, None] * torch.tensor([1.0, 2.0, 3.0], dtype=rows.dtype)


def test_an_output_of_several_axes_is_read_by_index() -> None:
    x = torch.tensor([[4.0, 5.0]])
    for target in ((1, 2), saliscope.Output((1, 2))):
        a = explain(Grid(), x, "gradient", target)
        assert a.target == "output[1, 2]"
        np.testing.assert_allclose(a.to_numpy(), [[0, 3]])
        assert float(a.score[0]) == 15
    for bad in ((2, 0), (0, 3), (-1, 0), (0,), (0, 0, 0)):
        with pytest.raises(OptionError):
            explain(Grid(), x, "gradient", bad)
    with pytest.raises(OptionError, match="tuple of numbers"):
        explain(Grid(), x, "gradient")


def test_functions_as_targets() -> None:
    net, x = toys.two_layer(), torch.tensor([toys.TWO_LAYER_INPUT]).double()

    def product(out: torch.Tensor) -> torch.Tensor:
        return out[:, 0] * out[:, 1]

    a = explain(net, x, "gradient", product)
    assert a.target == "product"
    np.testing.assert_allclose(a.to_numpy()[0], np.array([2, -4, -1]) * 3.5)
    both = explain(net, x, "gradient", saliscope.Call(lambda out: out, names=("a", "b")))
    assert both.target == ["a", "b"]
    np.testing.assert_allclose(both.to_numpy()[:, 0], [[1, 1, 1], [2, -4, -1]])
    for wrong in (lambda out: out, lambda out: 1.0, lambda out: out[:, :, None], lambda out: "x"):
        with pytest.raises(OptionError, match="target function"):
            explain(net, x, "gradient", wrong)


def test_a_function_sees_the_output_object_of_a_transformer(text: Any) -> None:
    def margin(out: Any) -> torch.Tensor:
        difference: torch.Tensor = out.logits[:, 2] - out.logits[:, 0]
        return difference

    raws = ["a good film", "dull", "it was very bad"]
    got = explain(text, raws, "masking", margin)
    wanted = explain(text, raws, "masking", ("positive", "negative"))
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a.to_numpy(), b.to_numpy(), atol=1e-12)


def test_equal_targets_have_equal_keys() -> None:
    model = TensorModel(toys.two_layer(), "net")
    (sample,) = model.prepare(torch.ones(1, 3))
    keys = [
        as_target(t, model).bind(model, sample).key for t in (0, "0", 1, (0, 1), [0, 1], [1, 0])
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 5
