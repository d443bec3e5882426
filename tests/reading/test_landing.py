"""Maps land on their character: the benchmark in small, and its own arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.composed import Composed, digits, letters, pasted, real, words_of
from benchmarks.landing import (
    CONTROLS,
    WAYS,
    ask,
    by_number,
    drops,
    landed,
    profiles,
    right_ones,
    score,
    table,
)

import saliscope
from helpers import lines
from saliscope.models.vision.recognizer import Recognizer

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
with_data = pytest.mark.skipif(not DATA.exists(), reason="needs the shared data")


@pytest.fixture(scope="module")
def handwriting() -> Recognizer:
    model = saliscope.load("zoo:handwriting")
    assert isinstance(model, Recognizer)
    return model


def two_words(gap: int = 20) -> Composed:
    """Return a line with strokes of "ab" and "cde", and a gap between them."""
    image = np.full((48, 100), 230, dtype=np.uint8)
    left = 6
    for number in range(5):
        left += gap - 4 if number == 2 else 0
        image[15:35, left : left + 4] = 30
        left += 8
    return Composed(image, "ab cde", [], "w")


def test_words_are_cut_in_the_middle_of_a_wide_gap() -> None:
    # Strokes at 6, 14, then 38 (22 + 16), 46, 54: gaps of 4, 20, 4, 4.
    found = words_of(two_words())
    assert [(word.text, word.image.shape[1]) for word in found] == [("ab", 28), ("cde", 72)]
    assert found[0].writer == "w"


def test_lines_in_doubt_are_not_cut() -> None:
    assert words_of(two_words(gap=5)) == []  # narrower than 6 pixels
    line = two_words()
    assert words_of(Composed(line.image, "abcde", [], "w")) == []  # no space
    assert words_of(Composed(line.image, "ab c de", [], "w")) == []  # no second wide gap
    assert words_of(Composed(line.image, "a bcdefghijkl", [], "w")) == []  # widths do not fit


def test_places_of_pasted_words_hold_their_ink() -> None:
    (line,) = pasted([two_words()] * 4, 1, parts=2)
    assert len(line.places) == len(line.text)
    assert all(np.isnan(line.places[i][0]) == (c == " ") for i, c in enumerate(line.text))
    held = np.zeros(line.image.shape[1], dtype=bool)
    for left, right in {p for p in line.places if p[0] == p[0]}:
        held[int(left) : int(right)] = True
    assert (line.image[:, ~held] > 200).all()
    assert (line.image < 100).any(0).sum() == 4 * line.text.replace(" ", "").__len__()


def test_right_ones_by_hand() -> None:
    line = Composed(np.zeros((1, 1), dtype=np.uint8), "ab cd", [], "")
    assert right_ones("axb d", line) == [(1, 0), (3, 1), (5, 4)]


def test_a_number_alone_is_an_even_share_of_the_line() -> None:
    assert by_number(4, 2, 12).tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]


def test_landing_by_hand() -> None:
    line = Composed(np.zeros((1, 10), dtype=np.uint8), "a", [(2.0, 6.0)], "")
    inside, most, half, outside = (np.zeros(10) for _ in range(4))
    inside[2:6] = 1
    most[2:6], most[9] = 9, 4  # 90 %
    half[1], half[5] = 1, 1
    outside[9] = 1
    model = lines.ctc()
    every = [inside, most, half, outside]
    assert landed("a", model, line, [(1, 0)] * 4, every) == [True, True, False, False]
    assert landed("b digits", model, line, [(1, 0)] * 4, every) == [True, True, True, False]


def test_falls_are_those_of_painted_lines_one_by_one() -> None:
    model = lines.ctc()
    draw = np.random.default_rng(0)
    image = draw.integers(190, 256, (16, 60), dtype=np.uint8)
    image[4:12, 6::9] = 20
    (sample,) = model.prepare(image)
    sample = model.continued(sample, [None])
    text = sample.context["texts"][None]
    assert text
    maps = [draw.random(60) for _ in range(2)]
    fell = drops(model, image, maps)
    said = model.said(sample, text)
    light = sample.value[sample.value >= (sample.value.min() + sample.value.max()) / 2]
    tone = np.sort(light)[(len(light) - 1) // 2]
    for row, profile in zip(fell, maps, strict=True):
        painted = sample.value.clone()
        painted[:, np.argsort(-profile)[:6]] = float(tone)
        logs = [
            model.head.memory(model.given(v[None]))[0].log_softmax(-1).detach()
            for v in (sample.value, painted)
        ]
        slow = [
            sum(w * float(logs[0][t, o] - logs[1][t, o]) for t, o, w in one.terms) for one in said
        ]
        assert row == pytest.approx(slow)


def test_scores_by_hand() -> None:
    # Writer a: map 2 of 2, writer b: 1 of 2; random weights were asked of one character only.
    rows = [
        {"writer": w, "map": bool(m), "another character's map": False, "number alone": bool(n)}
        for w, m, n in (("a", 1, 0), ("a", 1, 1), ("b", 1, 0), ("b", 0, 0))
    ]  # fmt: skip
    rows[0]["random weights"] = False
    found = score(rows)
    assert (found["n"], found["writers"], found["share"]) == (4, 2, 0.75)
    assert found["controls"] == dict(zip(CONTROLS, (0.0, 0.0, 0.25), strict=True))
    assert (found["best"], found["above"]) == ("number alone", 0.5)
    assert (found["low"], found["high"]) == (0.5, 1.0)
    assert "+50 points" in table({"x": rows})


def test_cross_attention_is_that_of_the_public_call() -> None:
    model = lines.line_network(torch.float32, head="decoder")
    image = np.random.default_rng(1).integers(0, 256, (16, 48), dtype=np.uint8)
    text = model.read(image).text
    assert text
    public = saliscope.attention(model, image, kind="cross", reduce="mean").values
    ours = profiles(model, WAYS["decoder: cross-attention"], image, text, [1, len(text)])
    for row, query in zip(ours, (0, len(text) - 1), strict=True):
        expected = public.values.mean(0)[query]
        assert row == pytest.approx(np.repeat(expected, 4)[:48], abs=1e-6)


@with_data
@pytest.mark.parametrize("question", ["a", "b", "c"])
def test_maps_of_the_zoo_land_on_their_character(handwriting: Recognizer, question: str) -> None:
    if question == "a":
        some, way = pasted(real(DATA), 4, parts=2), "occlusion by columns"
    elif question == "b":
        some, way = [*digits(DATA, 3), *letters(DATA, 3)], "gradient x input"
    else:
        whole = [x for x in real(DATA) if 150 < x.image.shape[1] < 300]
        some, way = whole[:6], "gradient x input"
    asked = "b digits" if question == "b" else question
    rows = list(ask(asked, some, WAYS[way], handwriting, random=0))
    found = score(rows)
    assert found["n"] >= 6
    assert found["share"] >= 0.8
    assert found["share"] - found["controls"]["another character's map"] >= 0.2
