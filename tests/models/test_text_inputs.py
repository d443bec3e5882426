"""Texts: tokens with character offsets, words over them, and what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import tokens
from saliscope import InputError, ModelError, OptionError, explain
from saliscope.core.model import Sample
from saliscope.core.words import words_of
from saliscope.models.text import TextModel


def words(sample: Sample) -> list[str]:
    """Return the names of a sample's words."""
    return list(sample.units.groupings["word"].names)


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("It isn't bad!", ["It", "isn't", "bad", "!"]),
        ("It isn\u2019t bad", ["It", "isn\u2019t", "bad"]),
        ("unbelievable film", ["unbelievable", "film"]),
        ("the film , the plot ...", ["the", "film", ",", "the", "plot", "..."]),
        ("  the   film\n\twas good ", ["the", "film", "was", "good"]),
        ("\u00e9t\u00e9 good", ["\u00e9t\u00e9", "good"]),
        ("good \U0001f600\U0001f600 film", ["good", "\U0001f600\U0001f600", "film"]),
        ("a-b good/bad", ["a", "-", "b", "good", "/", "bad"]),
        ("\u4e2d\u6587 good", ["\u4e2d\u6587", "good"]),
    ],
)
def test_words_come_from_character_offsets(text: TextModel, raw: str, wanted: list[str]) -> None:
    (sample,) = text.prepare(raw)
    assert words(sample) == wanted
    a = explain(text, raw, "masking", 0)
    assert a.values.sizes == {"position": len(wanted)}
    assert a.data["word"].values.tolist() == wanted
    for word, start, end in zip(wanted, a.data["start"], a.data["end"], strict=True):
        assert raw[int(start) : int(end)] == word


def test_pieces_of_a_word_are_tokens_of_their_own(text: TextModel) -> None:
    a = explain(text, "Unbelievable film", "gradient", 0)
    assert a.data["token"].values.tolist() == ["Un", "believ", "able", "film"]
    assert a.data["start"].values.tolist() == [0, 2, 8, 13]
    assert a.data["position"].values.tolist() == [1, 2, 3, 4]


def test_masking_by_token_and_by_word(text: TextModel) -> None:
    by_token = explain(text, "Unbelievable film", "masking", 0, groups="token")
    assert by_token.values.sizes == {"position": 4}
    by_word = explain(text, "Unbelievable film", "masking", 0)
    joined = explain(text, "Unbelievable film", "masking", 0, groups=[0, 0, 0, 1])
    np.testing.assert_allclose(by_word.to_numpy(), joined.to_numpy(), atol=1e-12)
    assert not np.allclose(by_word.to_numpy()[0], by_token.to_numpy()[0])


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=25))
def test_any_text_is_read_or_refused_in_one_line(text: TextModel, raw: str) -> None:
    try:
        (sample,) = text.prepare(raw, name="it")
    except InputError as error:
        told = str(error)
        assert len(told.splitlines()) == 1
        return
    units = sample.units
    assert units.keep is not None
    starts, ends = (np.array(units.coords[n][1]) for n in ("start", "end"))
    assert (starts <= ends).all()
    assert (np.diff(starts[units.kept]) >= 0).all()
    shown = [units.coords["token"][1][i] for i in units.kept]
    assert shown == [raw[starts[i] : ends[i]] for i in units.kept]
    labels = units.groupings["word"].labels
    assert labels is not None
    assert (labels[~units.keep] == -1).all()
    assert (np.diff(labels[labels >= 0]) >= 0).all()
    for group, name in enumerate(words(sample)):
        assert name in raw
        assert (labels == group).any()


@given(st.text(max_size=40))
def test_words_are_in_order_and_hold_everything_but_space(raw: str) -> None:
    spans = words_of(raw)
    assert all(a < b for a, b in spans)
    assert all(b <= c for (_, b), (c, _) in itertools.pairwise(spans))
    outside = [raw[i] for i in range(len(raw)) if not any(a <= i < b for a, b in spans)]
    assert all(c.isspace() for c in outside)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("", "the text is empty"), (" \n\t ", "the text is empty"), (None, "not NoneType"),
        (b"good", "not bytes"), (["good"], "not list"), ("\u200b", "finds no token"),
        ("good " * 60, "has 62 tokens; tiny-bert takes at most 48"),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_text_is_refused(text: TextModel, raw: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        text.prepare(raw)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_longest_text_that_fits_is_taken(text: TextModel) -> None:
    assert explain(text, "good " * 46, "gradient", 0).values.sizes == {"position": 46}
    with pytest.raises(InputError):
        explain(text, "good " * 47, "gradient", 0)


def test_unknown_words_are_a_finding(text: TextModel) -> None:
    a = explain(text, "good xylophone film", "gradient", 0)
    (found,) = [f for f in a.health if f.code == "unknown_units"]
    assert "'xylophone'" in found.sentence
    assert a.data["token"].values.tolist() == ["good", "xylophone", "film"]


def test_names_of_special_tokens_in_a_text_are_harmless(text: TextModel) -> None:
    a = explain(text, "good [SEP] film [MASK]", "masking", 0)
    assert np.isfinite(a.to_numpy()).all()
    assert a.values.size >= 2


@pytest.mark.parametrize(
    ("fill", "name"), [(None, "mask"), ("mask", "mask"), ("pad", "pad"), ("film", "film"),
                       ("delete", "delete"), ("zero", "zero")],
)  # fmt: skip
def test_fills_by_name(text: TextModel, fill: Any, name: str) -> None:
    for method in ("masking", "occlusion"):
        a = explain(text, "a good film", method, 0, fill=fill)
        assert a.provenance["fill"] == name
        assert np.isfinite(a.to_numpy()).all()


@pytest.mark.parametrize("fill", ["xylophone good", 3, ["a"], "mas"])
def test_fills_that_do_not_fit_are_refused(text: TextModel, fill: Any) -> None:
    with pytest.raises(OptionError):
        explain(text, "a good film", "masking", 0, fill=fill)


def test_a_text_as_baseline_has_the_same_number_of_tokens(text: TextModel) -> None:
    a = explain(text, "a good film", "ig", 0, baseline="a bad film")
    values = a.to_numpy()
    assert values[0] == values[2] == 0
    assert abs(values[1]) > 0
    assert values.sum() == pytest.approx(a.score - a.baseline_score, abs=0.02 * abs(values).sum())


def test_a_slow_tokenizer_is_refused() -> None:
    tokenizer = tokens.word_tokenizer()

    class Slow:
        is_fast = False

        def __getattr__(self, name: str) -> Any:
            return getattr(tokenizer, name)

    with pytest.raises(ModelError, match="fast tokenizer"):
        TextModel(tokens.bert(), Slow(), "bert")
