"""Saved models, an empty folder to work in, and the command run in this process."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from helpers import tokens
from saliscope.cli.main import main

PROTEINS = ">first one\nMVHLTPEEK\n>second\nMKTAYI\nAKQR\n>third\nMVHLTPEEV\n"
TEXTS = "the film was good\n\nnot bad, and very fine\nunbelievable!\n"


class Run(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str
    new: list[str]

    @property
    def line(self) -> str:
        """Return the one line on standard error."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("saliscope: "), lines
        return lines[0].removeprefix("saliscope: ")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a tiny protein model and a tiny text classifier, as saved by a user."""
    folder = tmp_path_factory.mktemp("models")
    tokens.esm().save_pretrained(folder / "esm")
    tokens.esm_tokenizer().save_pretrained(folder / "esm")
    tokens.bert().save_pretrained(folder / "bert")
    tokens.word_tokenizer().save_pretrained(folder / "bert")
    return folder


@pytest.fixture
def work(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder with some inputs, which is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "esm").symlink_to(models / "esm")
    (tmp_path / "bert").symlink_to(models / "bert")
    (tmp_path / "proteins.fasta").write_text(PROTEINS)
    (tmp_path / "texts.txt").write_text(TEXTS)
    return tmp_path


@pytest.fixture
def run(work: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """Return a function that runs a command line and tells all that it did."""

    def call(*arguments: object) -> Run:
        before = set(work.rglob("*"))
        capsys.readouterr()
        code = 0
        try:
            main([str(a) for a in arguments])
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
        out, err = capsys.readouterr()
        new = sorted(str(p.relative_to(work)) for p in set(work.rglob("*")) - before)
        return Run(code, out, err, new)

    return call


def table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
