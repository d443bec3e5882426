"""Pictures on the command line: one, a folder, broken ones, and what they leave behind."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli.conftest import Run, table

Runner = Callable[..., Run]
CODE = """
import torch
from helpers import cases

def made():
    return cases.classifier(torch.float32)
"""


@pytest.fixture
def pictures(work: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of three files, one of which is none, and a model as a factory."""
    (work / "own_model_of_pictures.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(work))
    monkeypatch.delitem(sys.modules, "own_model_of_pictures", raising=False)
    folder = work / "set"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for name in ("b.png", "a.JPG"):
        Image.fromarray(draw.integers(0, 255, (20, 30, 3), np.uint8)).save(folder / name)
    (folder / "c.tif").write_text("dear reader")
    (folder / "notes.txt").write_text("passed over")
    return work


MODEL = ("-m", "own_model_of_pictures:made")


def test_one_picture(run: Runner, pictures: Path) -> None:
    done = run("explain", "set/b.png", *MODEL, "--method", "grad_cam", "-t", "fox", "-o", "out")
    assert (done.code, done.err) == (0, "")
    rows = table(pictures / "out/attributions.csv")
    assert len(rows) == 30
    assert {(r["record"], r["target"]) for r in rows} == {("b.png", "fox")}
    assert "<image " in (pictures / "out/report.html").read_text()


def test_a_folder_keeps_what_could_be_read(run: Runner, pictures: Path) -> None:
    done = run("explain", "set", *MODEL, "--method", "masking", "--method", "gradient", "-o", "out")
    assert done.code == 2
    assert "1 of 3 records failed" in done.line
    failures = table(pictures / "out/failures.csv")
    assert {(f["record"], f["error"]) for f in failures} == {("c.tif", "InputError")}
    assert failures[0]["reason"].startswith("is not a picture (text, whatever its name says)")
    found = {(r["record"], r["method"]) for r in table(pictures / "out/attributions.csv")}
    assert found == {(n, m) for n in ("a.JPG", "b.png") for m in ("masking", "gradient")}


@pytest.mark.parametrize(("words", "line"), [
    (("set/c.tif",), "c.tif: is not a picture .text, whatever its name says."),
    (("set/none.png",), "set/none.png: there is no such file"),
    (("none.jpeg",), "none.jpeg: there is no such file"),
    (("set/b.png", "--fill", "delete", "--method", "masking"), "pixels cannot be deleted"),
])  # fmt: skip
def test_what_cannot_be_read_is_one_line(
    run: Runner, pictures: Path, words: tuple[str, ...], line: str
) -> None:
    done = run("explain", *words, *MODEL, "-o", "out")
    assert done.code == 2
    assert re.search(line, done.line), done.line
    assert not (pictures / "out").exists()


def test_models_and_pictures_that_do_not_go_together(run: Runner, pictures: Path) -> None:
    done = run("explain", "set/b.png", "-m", "bert", "-o", "out")
    assert (done.code, done.line.partition(";")[0]) == (
        2, "set/b.png: is a picture, and this model does not take one"
    )  # fmt: skip
    (pictures / "none").mkdir()
    done = run("explain", "none", *MODEL, "-o", "out")
    assert "none: holds no image file (.bmp, .gif, .jpeg" in done.line
