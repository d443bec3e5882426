"""A run that is killed, by the clock and inside renames, ends in the same bytes as another."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import tokens

_PROGRAM = Path(__file__).parents[1] / "helpers" / "killed.py"
_DATA = Path(os.environ.get("SALISCOPE_DATA", Path(__file__).parents[3] / "shared" / "data"))
_REVIEWS = _DATA / "text" / "uci_sentiment"
_WORDS = ["the", "film", "was", "good", "not", "bad", "and", "very", "fine", "unbelievable", "!"]


def killed(base: Path, **settings: object) -> str:
    """Kill runs, and return what the program says of it."""
    given = {"seed": 0, "clock": 1, "renames": 2, "every": False, "workers": False, "shards": False,
             "code": 0, "letters": 4096, "reported": 1, "method": "gradient",
             **settings}  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(_PROGRAM), str(base), json.dumps(given)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_some_sentences_and_a_few_kills(tmp_path: Path) -> None:
    tokens.bert().save_pretrained(tmp_path / "bert")
    tokens.word_tokenizer().save_pretrained(tmp_path / "bert")
    draw = random.Random(1)
    texts = [" ".join(draw.choices(_WORDS, k=draw.randint(3, 12))) for _ in range(16)]
    texts[12:12] = [texts[3], "good " * 60, texts[4], texts[11]]  # twice, and too long
    texts.append("good " * 60)  # and again, in a later chunk
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    said = killed(
        tmp_path, source=str(tmp_path / "texts.txt"), model=str(tmp_path / "bert"), code=2,
        letters=160,
    )  # fmt: skip
    assert said.startswith("16 records and 3 other files, ")


slow = pytest.mark.skipif(
    "SALISCOPE_SLOW" not in os.environ, reason="some minutes of kills; SALISCOPE_SLOW=1 runs it"
)


def reviews(folder: Path, most: int | None = None) -> Path:
    """Write real reviews to a file, and return it."""
    if not _REVIEWS.is_dir():
        pytest.skip(f"{_REVIEWS} is not there")
    lines = [
        line.rpartition("\t")[0].strip()
        for name in ("imdb", "yelp")
        for line in (_REVIEWS / f"{name}_labelled.txt").read_text(encoding="utf-8").split("\n")
    ]
    kept = [line for line in lines if line][:most]
    (folder / "reviews.txt").write_text("\n".join(kept))
    return folder / "reviews.txt"


@slow
def test_two_thousand_sentences(tmp_path: Path) -> None:
    """By the clock, at renames of records, and of what is written in the end; with workers too."""
    said = killed(
        tmp_path, source=str(reviews(tmp_path)), model="zoo:sentiment", workers=True, shards=True,
        clock=3, renames=4, reported=50, method="integrated_gradients",
    )  # fmt: skip
    print(said)
    assert int(said.split()[0]) > 1900


@slow
def test_every_rename_of_what_is_written_in_the_end(tmp_path: Path) -> None:
    said = killed(
        tmp_path, source=str(reviews(tmp_path, 60)), model="zoo:sentiment", workers=True,
        every=True, reported=10, method="integrated_gradients",
    )  # fmt: skip
    print(said)
    assert int(said.split()[0]) > 50
