"""Lines of pages (ALTO and boxes), and alphabets: Unicode, order of writing, what is refused."""

from __future__ import annotations

import os
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saliscope import InputError, OptionError, read_lines
from saliscope.models.vision.alphabet import Alphabet
from saliscope.models.vision.alto import TextLine, read_alto
from saliscope.models.vision.images import Picture
from saliscope.models.vision.lines import LinePreparation, paper

DATA = Path(os.environ.get("SALISCOPE_DATA", Path(__file__).parents[3] / "shared" / "data"))
PAGE = np.full((120, 200), 230, dtype=np.uint8)
PAGE[20:36, 30:150] = 40
PAGE[60:76, 30:150] = 90
ALTO = """<?xml version="1.0"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Layout><Page WIDTH="{wide}" HEIGHT="{high}">
<TextLine ID="one" HPOS="30" VPOS="20" WIDTH="120" HEIGHT="16">
  <Shape><Polygon POINTS="{points}"/></Shape>
  <String CONTENT="caf&#233;"/><SP/><String CONTENT="noir"/><HYP CONTENT="-"/></TextLine>
<TextLine ID="two" HPOS="25" VPOS="56" WIDTH="130" HEIGHT="24"><String CONTENT="b"/></TextLine>
</Page></Layout></alto>
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "page.xml"
    path.write_text(text, encoding="utf-8")
    return path


def alto(folder: Path, wide: float = 200, high: float = 120, points: str = "") -> Path:
    points = points or "30 20 149 20 149 35 30 35"
    return written(folder, ALTO.format(wide=wide, high=high, points=points))


# -- pages -----------------------------------------------------------------------------------------


def test_lines_of_alto(tmp_path: Path) -> None:
    one, two = read_alto(alto(tmp_path))
    assert (one.name, one.text, one.page) == ("one", "caf\u00e9 noir-", (200.0, 120.0))
    assert one.outline == ((30, 20), (149, 20), (149, 35), (30, 35))
    assert two == TextLine("two", "b", ((25, 56), (155, 56), (155, 80), (25, 80)), (200.0, 120.0))


def test_lines_are_cut_along_their_outline_with_paper_around(tmp_path: Path) -> None:
    first, second = read_lines(PAGE, alto=alto(tmp_path, points="30,20 149,20 30,35"), name="page")
    assert (first.name, second.name) == ("page, line one", "page, line two")
    part: Picture = first.raw
    assert part.levels.shape == (15, 119, 1)
    assert part.levels[1, 2, 0] == 40  # inside of the triangle
    assert part.levels[-1, -1, 0] == paper_of(part)  # outside of it
    whole = read_lines(PAGE, boxes=[(25, 56, 130, 24)])[0].raw
    np.testing.assert_array_equal(second.raw.levels, whole.levels)
    np.testing.assert_array_equal(whole.levels[..., 0], PAGE[56:80, 25:155])


def paper_of(part: Picture) -> int:
    return int(paper(torch.from_numpy(part.levels.astype(np.float32)))[0])


def test_alto_in_other_units_is_scaled(tmp_path: Path) -> None:
    # The picture is half as large as the page that was measured.
    small = PAGE[::2, ::2].copy()
    lines = read_lines(small, alto=alto(tmp_path))
    assert lines[1].raw.levels.shape == (12, 66, 1)
    with pytest.raises(InputError, match=r"is of a page of 200 x 300, and .* 200 x 120 pixels"):
        read_lines(PAGE, alto=alto(tmp_path, high=300))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<alto><Layout><Page/></Layout></alto>", "has no line (TextLine)"),
        ("<alto><Layout>", "is not well-formed XML"),
        ("", "is not well-formed XML"),
        ("<PcGts/>", "is <PcGts>, not <alto>"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><alto>&b;</alto>', "has a document type (DOCTYPE)"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><alto/>', "has a document type (DOCTYPE)"),
        ('<alto><TextLine ID="x"/></alto>', "line 'x' has no place"),
        ('<alto><TextLine HPOS="a"/></alto>', "HPOS='a' is not a number"),
        ('<alto><TextLine HPOS="nan"/></alto>', "HPOS='nan' is not a number"),
        ('<alto><TextLine><Polygon POINTS="1 2 3"/></TextLine></alto>', "is not three corners"),
        ('<alto><TextLine><Polygon POINTS="1 b"/></TextLine></alto>', "is not three corners"),
    ],
)
def test_alto_that_is_none_is_one_clear_line(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_alto(written(tmp_path, text))
    assert words in str(caught.value)
    assert "page.xml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_billions_of_entities_are_never_made(tmp_path: Path) -> None:
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
    text = f'<!DOCTYPE a [<!ENTITY l0 "ha">{laughs}]><alto>&l11;</alto>'
    with pytest.raises(InputError, match="DOCTYPE"):
        read_alto(written(tmp_path, text))


def test_boxes_and_pages_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="by alto= or by boxes=, one of them"):
        read_lines(PAGE)
    with pytest.raises(OptionError, match="the list of boxes is empty"):
        read_lines(PAGE, boxes=[])
    with pytest.raises(OptionError, match="give x, y, width and height"):
        read_lines(PAGE, boxes=[(1, 2, 3)])
    with pytest.raises(OptionError, match="give x, y, width and height"):
        read_lines(PAGE, boxes=[(1, 2, 0, 4)])
    with pytest.raises(InputError, match="lies outside of the page, which has 200 x 120 pixels"):
        read_lines(PAGE, boxes=[(300, 10, 20, 20)])
    with pytest.raises(InputError, match="cannot be read"):
        read_lines(PAGE, alto=tmp_path / "none.xml")
    assert read_lines(PAGE, boxes=[(-5, -5, 30, 30)])[0].raw.levels.shape == (25, 25, 1)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(held: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.xml"
        path.write_bytes(held)
        with pytest.raises(InputError):
            read_alto(path)


@pytest.mark.skipif(not DATA.exists(), reason="needs the shared data")
def test_a_real_page() -> None:
    folder = DATA / "handwriting" / "pages"
    name = "copiste_imp_wikitexte_0024"
    lines = read_alto(folder / f"{name}.xml")
    parts = read_lines(folder / f"{name}.jpg", alto=folder / f"{name}.xml")
    assert len(parts) == len(lines) == 17
    assert lines[1].text.startswith("La California State Route")
    assert parts[1].raw.width == 1992


# -- lines -----------------------------------------------------------------------------------------


def test_a_line_is_brought_to_the_height_in_proportion() -> None:
    fit = LinePreparation(height=48, colors="L")
    picture, box = fit.fit(Picture("a", np.zeros((96, 300, 3), dtype=np.uint8)))
    assert picture.levels.shape == (48, 150, 1)
    assert box == (0, 0, 300, 96)
    narrow, _ = fit.fit(Picture("a", np.zeros((960, 3, 1), dtype=np.uint8)))
    assert narrow.levels.shape == (48, 1, 1)


@pytest.mark.parametrize("dark", [True, False])
def test_paper_is_the_tone_of_most_pixels(dark: bool) -> None:
    line = torch.full((10, 20, 3), 0.8)
    line[:, :, 2] = 0.7
    line[2:8, 3:9] = 0.1
    tone = torch.tensor([0.8, 0.8, 0.7])
    if not dark:
        line, tone = 1 - line, 1 - tone
    torch.testing.assert_close(paper(line), tone)


# -- alphabets -------------------------------------------------------------------------------------

LETTERS = "abc\u00e9 '\u0301e\u05d0\u05d1"


@given(st.text(alphabet=LETTERS.replace("\u0301", ""), max_size=12), st.sampled_from([0, 3, -1]))
def test_text_comes_back_composed(text: str, blank: int) -> None:
    alphabet = Alphabet(LETTERS, blank)
    for form in ("NFC", "NFD"):
        ids = alphabet.encode(unicodedata.normalize(form, text))
        assert alphabet.blank not in ids
        assert alphabet.decode(ids) == unicodedata.normalize("NFC", text)
        turned = Alphabet(LETTERS, blank, "rtl").encode(text)
        assert turned == tuple(reversed(ids))


def test_the_longest_symbol_is_taken() -> None:
    alphabet = Alphabet(["a", "b", "ab", "<unk>"])
    assert alphabet.encode("abba") == (3, 2, 1)
    assert alphabet.decode([4, 3]) == "<unk>ab"


def test_the_blank_may_stand_anywhere() -> None:
    assert Alphabet("ab", 1).symbols == ("a", "", "b")
    assert Alphabet("ab", -1).encode("ab") == (0, 1)
    assert len(Alphabet("ab")) == 3


def test_what_is_no_alphabet() -> None:
    with pytest.raises(OptionError, match="symbol 1 of the alphabet is empty"):
        Alphabet(["a", ""])
    # Composed, these are one symbol twice.
    with pytest.raises(OptionError, match="twice"):
        Alphabet(["\u00e9", "e\u0301"])
    wrong: Any = "x"
    with pytest.raises(OptionError, match="blank='x' is out of range"):
        Alphabet("ab", wrong)
    with pytest.raises(InputError, match=r"'z' \(U\+007A\), '\?' \(U\+003F\), which the model's"):
        Alphabet("ab").encode("az?z")
