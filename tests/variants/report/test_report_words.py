"""The words that a report may not use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.variants.report.words import check_words, page_text

REFUSED = [
    "The variant is likely real.", "This proves it.", "It causes the disease.", "LIKELY  REAL",
    "a pathogenic effect", "two pathogenic effects", "Epistasis of two changes.",
    "The model is small. Epistasis was found.", "A novel variant.", "NOVEL: an absent change",
    "p.Ala154=: 0.0 sigma", "p.Ala154=: +0.0 sigma", "−0.0 sigma", "0 sigma", "0.00 σ",
]  # fmt: skip
ALLOWED = [
    "It improves; because of this, no cause is named.", "an effect of the model", "10.0 sigma",
    "0.05 sigma", "−20 sigma", "model interaction, not biological epistasis",
    "novel among 152,000 chromosomes (AN 152000)", "not assessed", "at the median", "approves",
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_each_refused_word_is_one_fault(text: str) -> None:
    assert len(check_words(text)) == 1


@pytest.mark.parametrize("text", ALLOWED)
def test_words_near_them_pass(text: str) -> None:
    assert check_words(text) == []


def test_a_fault_shows_its_sentence_and_what_to_do() -> None:
    (fault,) = check_words("All is well. This proves it. The end.")
    assert fault.startswith("'This proves it.': holds 'proves';")


@given(st.text(), st.sampled_from(["likely real", "pathogenic effect", "causes"]))
def test_nothing_around_a_refused_word_hides_it(text: str, word: str) -> None:
    assert check_words(f"{text} {word} {text}")


def test_tags_do_not_hide_words_and_styles_are_no_words() -> None:
    page = (
        "<style>p { causes: x }</style><script>proves</script><p>likely\n<b>re</b>al</p>"
        "<td>no</td><td>vel</td><svg aria-label='a pathogenic effect'><text>novel</text></svg>"
    )
    text = page_text(page)
    assert text == "likely real\nno\nvel\na pathogenic effect\nnovel"
    assert [f.split("holds ")[1].split(";")[0] for f in check_words(text)] == [
        "'likely real'", "'pathogenic effect'", "'novel' without 'AN'",
    ]  # fmt: skip
