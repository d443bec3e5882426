"""`saliscope read`: texts, tables, mistakes first, and what is refused."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from helpers import lines

Runner = Callable[..., Any]
MODEL = "helpers.lines:ctc"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def folder(work: Path) -> list[str]:
    """Return what is read in two pictures of a folder, of which the table knows the first right."""
    (work / "lines").mkdir()
    texts = []
    for k, name in enumerate(("a.png", "b.png")):
        picture = lines.line(160, seed=3 + k)
        Image.fromarray(picture).save(work / "lines" / name)
        texts.append(lines.ctc().read(picture).text)
    wrong = texts[1][:-1] + next(c for c in "abcd" if c != texts[1][-1])
    (work / "lines.tsv").write_text(f"file\ttext\na.png\t{texts[0]}\nb.png\t{wrong}\n")
    return texts


def test_reading_alone(run: Runner, folder: list[str], work: Path) -> None:
    done = run("read", "lines", "-m", MODEL, "-o", "out")
    assert done.code == 0, done.err
    assert all(text in done.out for text in folder)
    assert done.new == ["out", "out/characters.csv", "out/lines.csv"]
    table = rows(work / "out" / "lines.csv")
    assert [r["text"] for r in table] == folder
    letters = rows(work / "out" / "characters.csv")
    assert "".join(r["character"] for r in letters if r["record"] == "a.png") == folder[0]
    assert all(0 < float(r["confidence"]) <= 1 for r in letters)


def test_mistakes_come_first(run: Runner, folder: list[str], work: Path) -> None:
    done = run("read", "lines", "-m", MODEL, "--truth", "lines.tsv", "-o", "out")
    assert done.code == 0, done.err
    written = sum(map(len, folder))
    assert f"character error rate {1 / written:.2%}: 1 mistakes in {written} characters" in done.out
    (error,) = rows(work / "out" / "errors.csv")
    assert (error["record"], error["kind"], error["read"]) == (
        "b.png",
        "substituted",
        folder[1][-1],
    )
    assert [r["errors"] for r in rows(work / "out" / "lines.csv")] == ["0", "1"]
    page = (work / "out" / "report.html").read_text(encoding="utf-8")
    assert page.index("One mistake at a time") < page.index("One character at a time")
    assert (work / "out" / "gallery.html").read_text(encoding="utf-8").count("<img ") == 1
    bare = run(
        "read", "lines", "-m", MODEL, "--truth", "lines.tsv", "--maps", "0", "-o", "out", "-q"
    )
    assert bare.code == 0, bare.err
    assert bare.out == ""
    assert not (work / "out" / "report.html").exists()
    one = run("read", "lines/b.png", "-m", MODEL, "--truth", "lines.tsv", "--method", "gradient",
              "-o", "one")  # fmt: skip
    assert one.code == 0, one.err


def test_a_damaged_picture_does_not_stop_the_others(
    run: Runner, folder: list[str], work: Path
) -> None:
    (work / "lines" / "c.png").write_text("no picture")
    done = run("read", "lines", "-m", MODEL, "-o", "out")
    assert done.code == 2
    assert "1 of 3 records failed, the first: c.png" in done.line
    assert [r["record"] for r in rows(work / "out" / "failures.csv")] == ["c.png"]
    assert len(rows(work / "out" / "lines.csv")) == 2


@pytest.mark.parametrize(("words", "line"), [
    (("lines", "--truth", "none.tsv"), "none.tsv: there is no such file"),
    (("lines", "--truth", "short.tsv"), "short.tsv: has no row for "),
    (("lines", "--truth", "long.tsv"), "long.tsv, row 4: there is no picture q.png among the 2"),
    (("lines/a.png", "--truth", "lines.tsv", "--box", "1,1,9,9"), "give one of them"),
    (("lines", "--method", "gradd"), "did you mean"),
    (("lines", "--maps", "-1"), "must not be negative"),
    (("lines", "--colour", "red"), "has no option 'colour'"),
    (("nothing.png",), "there is no such file"),
])  # fmt: skip
def test_bad_input_is_one_clear_line(
    words: tuple[str, ...], line: str, run: Runner, folder: list[str], work: Path
) -> None:
    full = (work / "lines.tsv").read_text()
    (work / "long.tsv").write_text(f"{full}q.png\tabc\n")
    (work / "short.tsv").write_text("file\ttext\na.png\tabc\n")
    done = run("read", *words, "-m", MODEL, "-o", "out")
    assert done.code == 2
    assert line in done.line
    assert not done.new


def test_models_that_do_not_read(run: Runner, folder: list[str]) -> None:
    done = run("read", "lines", "-m", "bert", "-o", "out")
    assert done.code == 2
    assert "bert does not read lines of text; give a recognizer" in done.line
