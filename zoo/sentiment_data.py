"""Sentences for `zoo:sentiment`: read, label, remove repeats, split.

Two collections, five sources:

* the ground truth of VADER (Hutto and Gilbert 2014): tweets, Amazon review sentences and movie
  review snippets, each rated by people from -4 (most negative) to 4 (most positive);
* the sentiment labelled sentences of UCI (Kotzias et al. 2015): Amazon, Yelp and IMDb, 0 or 1.

A mean rating m is read as P(positive) = 1 / (1 + exp(-SLOPE m)). Training uses this number, so a
lukewarm sentence teaches a lukewarm answer. Accuracy needs a yes or no: there the cut is at zero,
and the neutral zone |m| < NEUTRAL is left out, because the raters' own spread makes its sign a
matter of chance. UCI Yelp and IMDb never train: they are the held-out sources.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SLOPE = 1.5
NEUTRAL = 0.5
UCI_CONFIDENCE = 0.95
VADER = {
    "tweets": "text/vader/tweets_GroundTruth.txt",
    "amazon": "text/vader/amazonReviewSnippets_GroundTruth.txt",
    "movies": "text/vader/movieReviewSnippets_GroundTruth.txt",
}
UCI = {
    "uci-amazon": "text/uci_sentiment/amazon_cells_labelled.txt",
    "uci-yelp": "text/uci_sentiment/yelp_labelled.txt",
    "uci-imdb": "text/uci_sentiment/imdb_labelled.txt",
}
HELD_OUT = ("uci-yelp", "uci-imdb")


@dataclass(frozen=True)
class Sentences:
    """Texts with a soft label, a hard label (-1 in the neutral zone), source and split each."""

    texts: list[str]
    soft: np.ndarray  # (n,) float64, P(positive)
    hard: np.ndarray  # (n,) int64, 0 negative, 1 positive, -1 neutral
    source: np.ndarray  # (n,) str
    split: np.ndarray  # (n,) str: train, inner (chooses the epoch and settings), test
    dropped: dict[str, int]  # how many repeats were removed, by source
    shared: int  # sentences of UCI Amazon that also stand in VADER's Amazon file

    def where(self, split: str, source: str | None = None, neutral: bool = True) -> np.ndarray:
        """Return the row numbers of a split (and source), with or without the neutral zone."""
        chosen = self.split == split
        if source is not None:
            chosen &= self.source == source
        if not neutral:
            chosen &= self.hard >= 0
        return np.flatnonzero(chosen)


def normalized(text: str) -> str:
    """Return the letters and digits of a text, lower-cased: equal for repeats of one sentence.

    A text without a word of its own keeps everything: ":)" and ":(" are not repeats, nor are two
    tweets that hold a name and an emoticon.
    """
    plain = re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()
    own = re.sub(r"anonymous|http url removed", "", plain).strip()
    return plain if own else text.lower()


def clean(text: str) -> str:
    """Put control characters (IMDb holds C1 ones, such as NEL) and runs of blanks to one blank."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip()


def _lines(path: Path) -> list[str]:
    # Not splitlines(): that also cuts at the NEL characters inside IMDb sentences.
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def read(data: Path) -> list[tuple[str, str, str, float, int]]:
    """Return (source, group, text, soft label, hard label); a group stays on one side of a split.

    Amazon sentences of VADER are grouped by review (the number before the underscore of the ID).
    """
    rows = []
    for source, file in VADER.items():
        for line in _lines(data / file):
            number, rating, text = line.split("\t", 2)
            mean = float(rating)
            soft = float(1 / (1 + np.exp(-SLOPE * mean)))
            hard = -1 if abs(mean) < NEUTRAL else int(mean > 0)
            rows.append((source, f"{source}-{number.split('_')[0]}", clean(text), soft, hard))
    for source, file in UCI.items():
        for number, line in enumerate(_lines(data / file)):
            text, label = line.rsplit("\t", 1)
            hard = int(label)
            soft = UCI_CONFIDENCE if hard else 1 - UCI_CONFIDENCE
            rows.append((source, f"{source}-{number}", clean(text), soft, hard))
    return rows


def build(data: Path, *, test: float = 0.1, inner: float = 0.08, seed: int = 0) -> Sentences:
    """Read, remove repeats, and split.

    Of equal sentences (letters and digits only) one stays: that of a held-out source if there is
    one, otherwise the first. So no test sentence of a held-out source was trained on, and the
    sentences of UCI Amazon that also stand in VADER's Amazon file are dropped from UCI.
    """
    rows = read(data)
    order = sorted(range(len(rows)), key=lambda i: rows[i][0] not in HELD_OUT)
    kept: dict[str, int] = {}
    dropped: dict[str, int] = dict.fromkeys((*VADER, *UCI), 0)
    for i in order:
        key = normalized(rows[i][2])
        if not key or key in kept:
            dropped[rows[i][0]] += 1
        else:
            kept[key] = i
    vader = {normalized(row[2]) for row in rows if row[0] == "amazon"}
    shared = sum(normalized(row[2]) in vader for row in rows if row[0] == "uci-amazon")
    groups = sorted({row[1] for row in rows})
    drawn = np.random.default_rng(seed).random(len(groups))
    draw = dict(zip(groups, drawn, strict=True))
    rows = [rows[i] for i in sorted(kept.values())]
    split = []
    for source, group, *_ in rows:
        if source in HELD_OUT or (source in VADER and draw[group] < test):
            split.append("test")
        elif draw[group] >= 1 - inner:
            split.append("inner")
        else:
            split.append("train")
    return Sentences(
        texts=[row[2] for row in rows],
        soft=np.array([row[3] for row in rows]),
        hard=np.array([row[4] for row in rows]),
        source=np.array([row[0] for row in rows]),
        split=np.array(split),
        dropped=dropped,
        shared=shared,
    )
