"""Identity terms: effects by hand, planted and absent ones, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import permutation_test

import saliscope
from helpers import tokens
from saliscope import InputError, ModelError, OptionError
from saliscope.audit import Audit, identity_terms, swapped
from saliscope.audit.text.effects import effects_of
from saliscope.audit.text.figure import term_figures
from saliscope.cli.audit_terms_run import read_cases
from saliscope.cli.main import main
from saliscope.models.text import TextModel

TERMS = ["young", "old", "tall", "short"]
TEMPLATES = [
    f"the {{term}} {who} was {how}" for who in ("cook", "guard", "judge") for how in
    ("kind", "rude", "late", "paid")
]  # fmt: skip
WORTH = {"kind": 2.0, "rude": -2.0, "late": -0.5, "paid": 0.25}


def bag(texts: Sequence[str], **planted: float) -> list[float]:
    """Return the sum of what words are worth."""
    worth = {**WORTH, **planted}
    return [sum(worth.get(word, 0.0) for word in text.split()) for text in texts]


def test_effects_in_a_bag_of_words_are_what_words_are_worth() -> None:
    def model(texts: list[str]) -> list[float]:
        return bag(texts, old=-0.8, tall=0.4)  # the mean over terms is -0.1

    found = identity_terms(model, TEMPLATES, TERMS)
    table = found["terms"].set_index("term")
    exact = {"young": 0.1, "old": -0.7, "tall": 0.5, "short": 0.1}
    for term, effect in exact.items():
        row = table.loc[term]
        assert row[["effect", "low", "high"]].tolist() == pytest.approx([effect] * 3)
        assert row["clear"]
    assert next(iter(table.index)) == "tall"
    assert found["templates"]["range"].tolist() == pytest.approx([1.2] * 12)
    assert set(found["templates"]["lowest"]) == {"old"}
    assert found.verdict == "differences"
    assert found.sentence == (
        "4 of 4 terms move the score clearly when they are swapped in the same 12 templates; "
        "furthest from the mean of all terms: 'old' with -0.7 (-0.7 to -0.7) and 'tall' with +0.5 "
        "(+0.5 to +0.5)."
    )


def test_a_planted_term_is_found_and_a_blind_model_shows_none() -> None:
    rng = np.random.default_rng(3)
    noise = {text: rng.normal() for text in swapped(TEMPLATES, TERMS)["text"]}

    def planted(texts: list[str]) -> list[float]:
        return [
            score + 0.2 * noise[text]
            for score, text in zip(bag(texts, old=-1.5), texts, strict=True)
        ]

    table = identity_terms(planted, TEMPLATES, TERMS)["terms"].set_index("term")
    assert table.loc["old", "clear"]
    assert table.loc["old", "effect"] == pytest.approx(-1.125, abs=0.15)
    assert table.loc["old", "low"] < table.loc["old", "effect"] < table.loc["old", "high"]
    tiny = {text: 1e-7 * value for text, value in noise.items()}  # as rounding in a batch
    blind = identity_terms(
        lambda texts: [b + tiny[t] for b, t in zip(bag(texts), texts, strict=True)],
        TEMPLATES,
        TERMS,
    )
    assert blind.verdict == "no clear one"
    assert blind.sentence == (
        "The score is the same in all 12 templates, whichever of 4 terms is there."
    )
    assert (blind["terms"]["p"] == 1).all()


def test_noise_alone_is_rarely_called_a_difference() -> None:
    rng = np.random.default_rng(0)
    wrong = sum(
        effects_of(rng.normal(size=(20, 6)), draws=499, seed=i).clear.any() for i in range(200)
    )
    assert wrong <= 20  # 5 % of 200 are expected at most; 20 has a chance of one in a thousand


def test_p_values_are_those_of_a_sign_flip_test() -> None:
    scores = np.random.default_rng(1).normal((0.0, 0.6, 0.0), size=(9, 3))
    found = effects_of(scores, draws=20_000, seed=0)
    away = scores - scores.mean(1, keepdims=True)
    for term in range(3):  # all 512 flips
        exact = permutation_test(
            (away[:, term],), np.mean, permutation_type="samples", n_resamples=np.inf
        ).pvalue  # fmt: skip
        assert found.p[term] == pytest.approx(exact, abs=0.01)
    order = np.argsort(found.p)
    low, middle, high = found.p[order]
    holm = [min(1, 3 * low), min(1, max(3 * low, 2 * middle)), max(3 * low, 2 * middle, high)]
    assert found.corrected[order].tolist() == pytest.approx([min(1, p) for p in holm])


def test_two_terms_are_one_comparison_and_too_few_templates_are_said() -> None:
    def model(texts: list[str]) -> list[float]:
        return bag(texts, old=-0.3)

    found = identity_terms(model, TEMPLATES, ["old", "young"])
    assert found.sentence.startswith(
        "The score is 0.3 higher with 'young' than with 'old' in the same 12 templates"
    )
    assert (found["terms"]["corrected p"] == found["terms"]["p"]).all()
    few = identity_terms(model, TEMPLATES[:4], ["old", "young"])
    assert few.verdict == "not assessed"
    assert few.sentence.startswith("Not assessed: 4 templates are too few to tell 2 terms apart.")


def test_a_text_model_is_asked_once_per_text_and_compares_a_probability() -> None:
    text = TextModel(tokens.bert(torch.float64), tokens.word_tokenizer(), "tiny-bert")
    known = [w for w in text.tokenizer.get_vocab() if w.isalpha()][:8]
    templates = [f"{{term}} {one} {two}" for one in known[:3] for two in known[3:6]]
    found = identity_terms(
        text, templates, [known[6], known[7], "xqzunknown", "zzqunknown"], target=1
    )
    label = text.labels[1]
    assert found.facts["score"] == f"the probability of {label}"
    scores = saliscope.measure(
        text, [t.replace("{term}", known[6]) for t in templates],
        saliscope.Class(1, scale="prob"),
    )  # fmt: skip
    low = found["templates"].set_index("template").loc[templates]
    own = np.array([one.values[0] for one in scores])
    assert (own >= low["mean"] - low["range"] - 1e-9).all()
    assert "terms_alike" in found.health
    assert "xqzunknown, zzqunknown" in found.health.findings[0].sentence
    assert "not of hate" in " ".join(found.limits)
    with pytest.raises(OptionError, match=r"name the class .* has: negative, neutral, positive"):
        identity_terms(text, templates, known[6:8])
    with pytest.raises(OptionError, match="differs from text to text"):
        identity_terms(text, templates, known[6:8], target=saliscope.Predicted())


def test_an_audit_is_kept_drawn_and_read_again(tmp_path: Path) -> None:
    found = identity_terms(lambda texts: bag(texts, old=-0.8), TEMPLATES, TERMS)
    found.save(tmp_path / "a.nc")
    again = Audit.load(tmp_path / "a.nc")
    pd.testing.assert_frame_equal(again["terms"], found["terms"])
    figure, caption = term_figures(again)["effects"]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == list(again["terms"]["term"])
    assert "the score" in caption
    page = again.to_html()
    assert "effects sum to zero" in page


@pytest.mark.parametrize(
    ("templates", "terms", "reason"),
    [
        (["no place"], TERMS, "has no place for a term; write {term} there"),
        (TEMPLATES, ["old"], "there is 1 term"),
        (TEMPLATES, None, "give templates as a list of texts"),
        ("the {term}", TERMS, "give templates as a list of texts"),
        (TEMPLATES, ["old", "old"], "the term 'old' is there twice in the template"),
        (TEMPLATES[:1], TERMS, "1 of 1 templates have each of the 4 terms; two or more must"),
        (pd.DataFrame({"template": ["a"], "term": ["b"]}), None, "has no column 'text'"),
        (
            pd.DataFrame({"template": ["a"], "term": [None], "text": ["b"]}),
            None,
            "row 1 .* no term",
        ),
        (swapped(TEMPLATES, TERMS), TERMS, "has its terms in it; leave out terms="),
    ],
)
def test_what_cannot_be_swapped_is_refused_in_one_line(
    templates: object, terms: list[str] | None, reason: str
) -> None:
    with pytest.raises((InputError, OptionError), match=reason) as caught:
        identity_terms(bag, templates, terms)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_function_must_return_finite_scores_one_per_text() -> None:
    with pytest.raises(ModelError, match="of shape \\(3,\\) for 48 texts"):
        identity_terms(lambda texts: [1.0, 2.0, 3.0], TEMPLATES, TERMS)
    with pytest.raises(ModelError, match="the score of 'the young cook was kind' is not finite"):
        identity_terms(lambda texts: [np.nan] * len(texts), TEMPLATES, TERMS)
    two = lambda texts: [[0.5, value] for value in bag(texts, old=1.0)]  # noqa: E731
    with pytest.raises(OptionError, match="returns 2 numbers per text; target= picks one"):
        identity_terms(two, TEMPLATES, TERMS)
    assert identity_terms(two, TEMPLATES, TERMS, target=1)["terms"]["term"][0] == "old"


def test_cases_of_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("\n".join(TEMPLATES[:7]) + "\n", encoding="utf-8")
    assert len(read_cases([str(lines)], "women, men")) == 14
    table = tmp_path / "cases.csv"
    swapped(TEMPLATES[:2], TERMS).to_csv(table, index=False)
    assert read_cases([str(table)])["term"].tolist() == TERMS * 2
    assert len(read_cases([])) == 3774
    out = tmp_path / "out"
    main(["audit", "terms", str(lines), "--terms", "women,men", "-m", "zoo:sentiment",
          "-o", str(out), "-q"])  # fmt: skip
    assert capsys.readouterr().out.strip() == str(out / "report.html")
    assert {p.name for p in out.iterdir()} == {
        "terms.csv", "templates.csv", "audit.nc", "audit.json", "report.html"
    }  # fmt: skip
    for words in (["-o", str(out)], ["--terms", "a,,b", "-o", str(out)]):
        with pytest.raises(SystemExit) as left:
            main(["audit", "terms", str(lines), "-m", "zoo:sentiment", *words])
        assert left.value.code == 2
        assert capsys.readouterr().err.count("\n") == 1
