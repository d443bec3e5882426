"""The command line on pictures of lines and of pages."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import saliscope
from helpers import lines

Runner = Callable[..., Any]
MODEL = "helpers.lines:ctc"
WRITER = "helpers.lines:small_trocr"
ALTO = (
    '<alto><Layout><Page WIDTH="900" HEIGHT="700">'
    '<TextLine ID="first" HPOS="50" VPOS="100" WIDTH="200" HEIGHT="32"/>'
    '<TextLine ID="second" HPOS="50" VPOS="300" WIDTH="200" HEIGHT="32"/></Page></Layout></alto>'
)


@pytest.fixture
def pictures(work: Path) -> Path:
    """Return a folder with a line and a page of two."""
    page = np.full((700, 900), 220, dtype=np.uint8)
    for top, seed in ((100, 1), (300, 2)):
        page[top : top + 32, 50:250] = lines.line(200, seed=seed)
    Image.fromarray(page).save(work / "page.png")
    Image.fromarray(lines.line(120)).save(work / "line.png")
    (work / "page.xml").write_text(ALTO)
    return work


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_map_for_each_character(run: Runner, pictures: Path) -> None:
    done = run("explain", "line.png", "-m", MODEL, "--method", "gradient", "--per-character",
               "-o", "out")  # fmt: skip
    assert done.code == 0, done.err
    table = rows(pictures / "out" / "attributions.csv")
    wanted = saliscope.explain(lines.ctc(), pictures / "line.png", "gradient", "characters")
    assert list(dict.fromkeys(r["target"] for r in table)) == wanted.meta["target"]
    assert list(table[0]) == [
        "record", "method", "target", "number", "character", "confidence", "x", "value"
    ]  # fmt: skip
    # 120 x 32 pixels, which the model sees at half the size: columns are 2 pixels wide.
    wide = 60
    assert [float(r["x"]) for r in table[:3]] == [1.0, 3.0, 5.0]
    assert len(table) == len(wanted.meta["target"]) * wide
    sums = wanted.to_numpy().sum(1).ravel()
    np.testing.assert_allclose([float(r["value"]) for r in table], sums, atol=1e-12)
    read = lines.ctc().read(pictures / "line.png")
    assert [r["character"] for r in table[::wide]] == list(read.text)
    assert [float(r["confidence"]) for r in table[::wide]] == [
        pytest.approx(c.confidence) for c in read.characters
    ]
    done = run("explain", "line.png", "-m", MODEL, "--method", "gradient", "--per-character",
               "--pixels", "-o", "pixels")  # fmt: skip
    assert done.code == 0, done.err
    assert len(rows(pictures / "pixels" / "attributions.csv")) == wanted.values.size
    given = run("explain", "line.png", "-m", MODEL, "--method", "gradient", "--per-character",
                "-t", "ba", "-o", "given")  # fmt: skip
    assert given.code == 0, given.err
    names = {r["target"] for r in rows(pictures / "given" / "attributions.csv")}
    assert names == {"b at 1", "a at 2"}


def test_the_contrast_of_two_strings(run: Runner, pictures: Path) -> None:
    done = run("explain", "line.png", "-m", MODEL, "--method", "gradient", "-t", "bab vs bad",
               "-o", "out")  # fmt: skip
    assert done.code == 0, done.err
    table = rows(pictures / "out" / "attributions.csv")
    assert {r["target"] for r in table} == {"'bab' vs 'bad'"}


@pytest.mark.parametrize(
    "flags", [("--alto", "page.xml"), ("--box", "50,100,200,32", "--box", "50,300,200,32")]
)
def test_lines_of_a_page(flags: tuple[str, ...], run: Runner, pictures: Path) -> None:
    done = run("explain", "page.png", "-m", MODEL, "--method", "gradient", *flags, "-o", "out")
    assert done.code == 0, done.err
    table = rows(pictures / "out" / "attributions.csv")
    names = ["first", "second"] if flags[0] == "--alto" else ["1", "2"]
    assert list(dict.fromkeys(r["record"] for r in table)) == [
        f"page.png, line {name}" for name in names
    ]
    one = saliscope.explain(lines.ctc(), lines.line(200, seed=1), "gradient")
    first = [float(r["value"]) for r in table if r["record"].endswith(names[0])]
    np.testing.assert_allclose(first, one.to_numpy().ravel(), rtol=1e-6, atol=1e-12)
    again = run("explain", "page.png", "-m", MODEL, "--method", "gradient", *flags, "-o", "out")
    assert again.code == 0, again.err
    assert rows(pictures / "out" / "attributions.csv") == table


def test_attention_of_each_word_that_is_written(run: Runner, pictures: Path) -> None:
    done = run("attention", "line.png", "-m", WRITER, "--reduce", "mean", "-o", "out")
    assert done.code == 0, done.err
    table = rows(pictures / "out" / "attention.csv")
    assert {"query_character", "key_x", "key_y", "layer", "value"} <= table[0].keys()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("page.png",), "700 pixels, which is a page"),
        (("page.png", "--alto", "none.xml"), "none.xml: cannot be read"),
        (("page.png", "--alto", "page.png"), "is not well-formed XML"),
        (("page.png", "--box", "1,2,3"), "--box '1,2,3': write x,y,width,height in pixels"),
        (("page.png", "--box", "1,2,3,x"), "--box '1,2,3,x': write x,y,width,height"),
        (("page.png", "--box", "2000,1,30,30"), "lies outside of the page"),
        (("page.png", "--box", "1,2,30,30", "--alto", "page.xml"), "one of them"),
        (("page.png", "line.png", "--alto", "page.xml"), "--alto is for one page"),
        (("line.png", "-t", "abz"), "which the model's alphabet of 4 symbols does not have"),
        (("line.png", "-t", "abcdabcdabcdabcdabcd"), "CTC cannot emit 'abcdabcdabcdabcdabcd'"),
        (("line.png", "--per-character", "-t", "a", "-t", "b"), "explains the characters of one"),
        (("line.png", "--per-character", "-t", "a vs b"), "explains the characters of one"),
        (("line.png", "--pixels"), "--pixels says how --per-character writes its table"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line(
    words: tuple[str, ...], line: str, run: Runner, pictures: Path
) -> None:
    done = run("explain", *words, "-m", MODEL, "--method", "gradient", "-o", "out")
    assert done.code == 2
    assert line in done.line


def test_flags_of_lines_are_refused_by_other_models(run: Runner, pictures: Path) -> None:
    for flags in (("--per-character",), ("--alto", "page.xml"), ("--box", "1,1,9,9")):
        done = run("explain", "texts.txt", "-m", "bert", *flags, "-o", "out")
        assert done.code == 2
        assert "of text, and bert does not" in done.line or "bert does not read" in done.line
