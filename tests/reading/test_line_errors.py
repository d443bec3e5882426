"""Readings beside the truth: alignment, mistakes, tables of texts, maps and the gallery."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import saliscope
from helpers import lines
from saliscope.core.errors import InputError, OptionError
from saliscope.models.vision.reading import Character, Reading
from saliscope.reading import (
    align,
    characters_of,
    compare,
    confusions,
    explain_characters,
    explain_mistakes,
    gallery,
    read_truth,
)

LETTERS = st.text(alphabet="abc ", max_size=7)


def reading(text: str, *, pieces: list[str] | None = None, direction: str = "ltr") -> Reading:
    """Return a reading whose characters are ten pixels wide, parted by two."""
    parts = list(text) if pieces is None else pieces
    order = range(len(parts)) if direction == "ltr" else range(len(parts) - 1, -1, -1)
    characters = tuple(
        Character(part, n, 0.5 + n / 100, n, n, 12.0 * k, 12.0 * k + 10)
        for n, (part, k) in enumerate(zip(parts, order, strict=True), 1)
    )
    return Reading("a.png", text, characters, -1.0, "ctc", 12 * len(parts), 48, direction, 99)


@functools.cache
def cost(a: str, b: str) -> int:
    """Return the Levenshtein distance by its definition."""
    if not a or not b:
        return len(a) + len(b)
    return min(
        cost(a[1:], b[1:]) + (a[0] != b[0]), cost(a[1:], b) + 1, cost(a, b[1:]) + 1
    )  # fmt: skip


@given(LETTERS, LETTERS)
def test_an_alignment_spells_both_texts_at_the_least_cost(a: str, b: str) -> None:
    pairs = align(a, b)
    assert "".join(pair.read for pair in pairs) == a
    assert "".join(pair.truth for pair in pairs) == b
    assert sum(not pair.right for pair in pairs) == cost(a, b)
    assert all(pair.read or pair.truth for pair in pairs)
    numbers = [pair.at for pair in pairs if pair.read]
    assert numbers == list(range(1, len(a) + 1))


def test_of_equal_costs_the_one_with_most_characters_right() -> None:
    # Two substitutions, or one omission and one insertion around an "a" that is right.
    assert [(p.read, p.truth) for p in align("ab", "ca")] == [("", "c"), ("a", "a"), ("b", "")]


def test_accents_belong_to_their_letters() -> None:
    assert characters_of("e\u0301te\u0323\u0301") == ["\u00e9", "t", "\u1eb9\u0301"]
    assert characters_of("\u0301a") == ["\u0301", "a"]
    assert [p.right for p in align("e\u0301", "\u00e9")] == [True]


def test_mistakes_are_where_they_were_read() -> None:
    found = compare(reading("auxs"), "ansy")
    assert [str(m) for m in found.mistakes] == [
        "u read for n",
        "x inserted",
        "y missed",
    ]
    assert [m.repaired for m in found.mistakes] == ["anxs", "aus", "auxsy"]
    assert [(m.left, m.right) for m in found.mistakes] == [(12, 22), (24, 34), (46, 48)]
    assert [m.number for m in found.mistakes] == [2, 3, 4]
    assert found.mistakes[0].confidence == 0.52
    assert found.mistakes[2].confidence is None
    assert found.error_rate == 3 / 4
    assert found.to_frame()["kind"].tolist() == ["substituted", "inserted", "missed"]
    assert compare(reading("ab"), "ab").to_frame().empty


def test_a_missed_character_lies_between_its_neighbors_whatever_the_direction() -> None:
    (one,) = compare(reading("ab"), "axb").mistakes
    assert (one.left, one.right, one.number) == (10, 12, 1)
    (first,) = compare(reading("ab"), "xab").mistakes
    assert (first.left, first.right, first.number, first.repaired) == (0, 0, 0, "xab")
    (turned,) = compare(reading("ab", direction="rtl"), "axb").mistakes
    assert (turned.left, turned.right) == (10, 12)
    (last,) = compare(reading("ab", direction="rtl"), "abx").mistakes
    assert (last.left, last.right) == (0, 0)


def test_pieces_that_are_no_characters() -> None:
    words = compare(reading("an u", pieces=["an", " ", "u"]), "au n")
    assert [(m.read, m.left) for m in words.mistakes] == [("n", 0), ("u", 24)]
    accents = compare(reading("\u00e9x", pieces=["e", "\u0301", "x"]), "\u00e9y")
    assert [(m.read, m.left) for m in accents.mistakes] == [("x", 24)]
    unknown = compare(reading("ab", pieces=["\ufffd"]), "cb")
    assert [(m.left, m.confidence) for m in unknown.mistakes] == [(None, None)]


def test_nothing_written_or_read() -> None:
    assert compare(reading(""), "ab").error_rate == 1
    assert compare(reading(""), "").error_rate == 0
    assert math.isinf(compare(reading("a"), "").error_rate)


# -- the table -----------------------------------------------------------------------------------


def test_a_table_of_texts(tmp_path: Path) -> None:
    table = tmp_path / "lines.tsv"
    table.write_bytes(
        b'\xef\xbb\xbfText\tid\tFILE\r\nsay "e\xcc\x81"\t1\tin/a.png\r\n\r\nb\t2\tin/b.png\r\n'
    )
    truth = read_truth(table)
    assert truth.texts == {"in/a.png": 'say "\u00e9"', "in/b.png": "b"}
    assert truth.rows == {"in/a.png": 2, "in/b.png": 4}
    paths = [tmp_path / "in" / "b.png", Path("elsewhere/a.png")]
    assert truth.of(paths, whole=True) == ["b", 'say "\u00e9"']


@pytest.mark.parametrize(("text", "words"), [
    ("name\ttext\na\tb\n", "lines.tsv: has no column 'file'"),
    ("file,text\na,b\n", "has no column 'file'"),
    ("file\ttext\na\n", "row 2: has 1 cells, and the header 2"),
    ("file\ttext\na\t \n", "row 2: the text is empty"),
    ("file\ttext\n\tb\n", "row 2: the file is empty"),
    ("file\ttext\na\tb\na\tc\n", "row 3: a stands already in row 2"),
    ("file\ttext\n", "has a header and no row"),
    ("", "is empty"),
])  # fmt: skip
def test_a_broken_table_is_one_line(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "lines.tsv").write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_truth(tmp_path / "lines.tsv")
    assert "\n" not in str(caught.value)


def test_pictures_without_a_row_and_rows_without_a_picture(tmp_path: Path) -> None:
    (tmp_path / "lines.tsv").write_text("file\ttext\nx/a.png\tb\ny/a.png\tc\nz.png\td\n")
    truth = read_truth(tmp_path / "lines.tsv")
    with pytest.raises(InputError, match=r"has no row for a\.png; add it"):
        truth.of(["a.png"])  # two rows have this name
    with pytest.raises(InputError, match=r"no row for q\.png \(nor for 1 more\)"):
        truth.of(["q.png", "r.png"])
    assert truth.of([tmp_path / "x" / "a.png"]) == ["b"]
    with pytest.raises(InputError, match=r"row 3: there is no picture y/a\.png \(nor for 1 more\)"):
        truth.of([tmp_path / "x" / "a.png"], whole=True)


# -- maps ----------------------------------------------------------------------------------------


def wrong_line() -> tuple[Any, str, str]:
    """Return a picture, what the small model reads in it, and a truth that differs from it."""
    picture = lines.line(160, seed=3)
    text = lines.ctc().read(picture).text
    other = next(c for c in "abcd" if c not in text[1:3])
    return picture, text, text[:1] + other + text[2:-1] + "aa"


def test_the_map_of_a_mistake_is_that_of_the_two_whole_texts() -> None:
    model, (picture, text, truth) = lines.ctc(), wrong_line()
    found, maps = explain_mistakes(model, picture, truth, "gradient")
    assert found.mistakes
    assert maps is not None
    for k, mistake in enumerate(found.mistakes):
        target = saliscope.String(text, instead_of=mistake.repaired)
        alone = saliscope.explain(model, picture, "gradient", target)
        np.testing.assert_allclose(
            maps.to_numpy().reshape(-1, *alone.values.shape)[k], alone.to_numpy(),
            rtol=1e-9, atol=1e-12,
        )  # fmt: skip
    assert maps.meta["target"] == [f"{m} at {m.number}" for m in found.mistakes]
    assert maps.meta["compared"]["explained"] == list(range(len(found.mistakes)))
    few, some = explain_mistakes(model, picture, truth, "gradient", most=1)
    surest = max(range(len(few.mistakes)), key=lambda k: few.mistakes[k].confidence or 0)
    assert some is not None
    assert some.meta["compared"]["explained"] == [surest]


def test_what_cannot_be_read_is_not_explained_and_nothing_wrong_has_no_map() -> None:
    model, (picture, text, _) = lines.ctc(), wrong_line()
    found, maps = explain_mistakes(model, picture, "z" + text[1:], "gradient")
    assert (len(found.mistakes), maps) == (1, None)
    other = next(c for c in "abcd" if c != text[2])
    both, partly = explain_mistakes(model, picture, "z" + text[1] + other + text[3:], "gradient")
    assert len(both.mistakes) == 2
    assert partly is not None
    assert partly.meta["compared"]["explained"] == [1]
    assert explain_mistakes(model, picture, text, "gradient")[1] is None


def test_maps_of_characters_know_what_is_wrong(tmp_path: Path) -> None:
    model, (picture, _, truth) = lines.ctc(), wrong_line()
    noted = explain_characters(model, picture, truth, "gradient")
    plain = saliscope.explain(model, picture, "gradient", "characters")
    np.testing.assert_array_equal(noted.to_numpy(), plain.to_numpy())
    again = saliscope.Attribution.load(noted.save(tmp_path / "a.nc"))
    assert again.meta["compared"]["truth"] == truth
    assert len(again.meta["compared"]["mistakes"]) == len(
        compare(model.read(picture), truth).mistakes
    )
    assert explain_characters(model, picture, method="gradient").meta.get("compared") is None
    with pytest.raises(OptionError, match="does not read lines of text"):
        explain_characters(lambda x: x, picture)


# -- the gallery ---------------------------------------------------------------------------------


def test_confusions_are_counted() -> None:
    texts = (("auu", "ann"), ("anu", "ann"), ("ax", "a"), ("a", "ab"), ("ann", "ann"))
    compared = [compare(reading(text), truth) for text, truth in texts]
    frame = confusions(compared)
    assert frame[["kind", "read", "truth", "count", "lines"]].to_numpy().tolist() == [
        ["substituted", "u", "n", 3, 2], ["inserted", "x", "", 1, 1], ["missed", "", "b", 1, 1],
    ]  # fmt: skip
    assert frame["confidence"][0] == pytest.approx((0.52 + 0.53 + 0.53) / 3)
    assert confusions([]).empty


def test_the_gallery_shows_each_mistake_and_escapes_names() -> None:
    model, (picture, _, truth) = lines.ctc(), wrong_line()
    named = saliscope.Input("<b>x</b>", picture)
    found, maps = explain_mistakes(model, named, truth, "occlusion")
    page = gallery([(found, maps), (found, None)], title="<i>")
    assert page.count("<img ") == len(found.mistakes)
    assert page.count("data:image/webp;base64,") == len(found.mistakes)
    assert "<b>x" not in page
    assert "&lt;b&gt;x" in page
    assert "<i>" not in page
    assert f"{2 * len(found.mistakes)} mistakes in {2 * found.written} characters" in page
    assert "http" not in page.replace("http-equiv", "")


def test_rare_confusions_are_folded_away() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    compared = [compare(reading(letter * 2), "11") for letter in letters[:20]]
    compared += [compare(reading(letter), "1") for letter in letters[20:]]
    page = gallery((one, None) for one in compared)
    assert "6 more kinds, each 1 time</summary>" in page
    assert page.index("t read for 1") < page.index("<details>") < page.index(">u read for 1<")
