"""Lines of handwriting in which it is known where each character stands.

Copiste has no boxes of characters, and where a model says that a character is, is no truth. Two
kinds of lines have one: words cut out of lines at wide gaps of ink and pasted together, whose seams
are known, and glyphs of MNIST and Omniglot written side by side.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import unicodedata
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from saliscope.reading.measures import ink

__all__ = ["Composed", "Word", "digits", "letters", "pasted", "real", "words_of"]

Gray = npt.NDArray[np.uint8]
HEIGHT, INK, PAPER = 48, 40, 235


@dataclass(frozen=True, eq=False)
class Composed:
    """A line and where its characters stand.

    Parameters
    ----------
    image : np.ndarray of uint8, shape (48, width)
    text : str
    places : list of (float, float)
        From where to where the part stands that a character belongs to, in pixels.
    writer : str
    """

    image: Gray
    text: str
    places: list[tuple[float, float]]
    writer: str


@dataclass(frozen=True, eq=False)
class Word:
    """A word that was cut out of a line."""

    image: Gray
    text: str
    writer: str


def real(data: Path, split: str = "test") -> list[Composed]:
    """Return the lines of a split of Copiste as they are; their characters have no places."""
    folder = data / "handwriting"
    lines = []
    with (
        zipfile.ZipFile(folder / "copiste_fr.zip") as archive,
        (folder / "copiste_fr_lines.tsv").open(encoding="utf-8", newline="") as handle,
    ):
        for row in csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["split"] != split:
                continue
            with Image.open(io.BytesIO(archive.read(row["file"]))) as image:
                pixels = np.asarray(image.convert("L"))
            lines.append(
                Composed(pixels, unicodedata.normalize("NFC", row["text"]), [], row["writer"])
            )
    return lines


def words_of(line: Composed, ratio: float = 1.5, least: int = 6) -> list[Word]:
    """Cut a line into its words where that is beyond doubt, else return nothing.

    The gaps between columns with ink are sorted by width. There must be one wide gap for each
    space of the text, each at least `least` pixels wide and `ratio` times as wide as the widest
    of the others: then which word is which follows from their order. As a check each word must have
    half to twice the width that its number of characters would have in this line.
    """
    texts = line.text.split()
    with_ink = np.flatnonzero(ink(line.image).sum(0) >= 1)
    if len(texts) < 2 or len(with_ink) < 2:
        return []
    gaps = np.diff(with_ink) - 1
    order = np.argsort(-gaps, kind="stable")
    wide, others = order[: len(texts) - 1], order[len(texts) - 1 :]
    narrowest = gaps[wide].min()
    if narrowest < least or (len(others) and narrowest < ratio * gaps[others].max()):
        return []
    cuts = [(with_ink[g] + with_ink[g + 1] + 1) // 2 for g in np.sort(wide)]
    edges = [0, *cuts, line.image.shape[1]]
    letters_of = np.array([len(text) for text in texts]) / sum(map(len, texts))
    inked = np.array([
        np.ptp(with_ink[(with_ink >= left) & (with_ink < right)]) + 1
        for left, right in itertools.pairwise(edges)
    ])  # fmt: skip
    expected = letters_of * inked.sum()
    if ((inked < expected / 2) | (inked > expected * 2)).any():
        return []
    return [
        Word(line.image[:, left:right], text, line.writer)
        for text, left, right in zip(texts, edges[:-1], edges[1:], strict=True)
    ]


def pasted(lines: Sequence[Composed], count: int, parts: int = 3, seed: int = 0) -> list[Composed]:
    """Return lines of words of one writer, from different lines, in an order that nobody wrote.

    A word's paper is brought to the tone of the first one's, so that the seams do not show. Between
    words stands paper of random width (in each row the median of the word's own columns without
    ink), so that where a word stands does not follow from its number. The place of a character is
    its word as it was cut out; a space has none (NaN).
    """
    draw = np.random.default_rng(seed)
    by_writer: dict[str, list[Word]] = defaultdict(list)
    for line in lines:
        for word in words_of(line):
            if len(word.text) >= 2:
                by_writer[word.writer].append(word)
    writers = sorted(w for w, words in by_writer.items() if len(words) >= 2 * parts)
    made = []
    for number in range(count):
        writer = writers[number % len(writers)]
        chosen = draw.choice(len(by_writer[writer]), parts, replace=False)
        words = [by_writer[writer][i] for i in chosen]
        tone = float(np.median(words[0].image))
        images, places, edge = [], [], 0
        for n, word in enumerate(words):
            moved = word.image + (tone - float(np.median(word.image)))
            before, after = (int(x) for x in draw.integers(0, 32, 2))
            wide = _extended(np.clip(moved, 0, 255).round().astype(np.uint8), before, after)
            images.append(wide)
            begin = edge + before
            places += [(np.nan, np.nan)] if n else []
            places += [(begin, begin + moved.shape[1])] * len(word.text)
            edge += wide.shape[1]
        text = " ".join(word.text for word in words)
        made.append(Composed(np.concatenate(images, 1), text, places, writer))
    return made


def _extended(word: Gray, before: int, after: int) -> Gray:
    """Return a word with more paper on both sides, like its first and last columns without ink."""
    inked = np.flatnonzero(ink(word).any(0))
    left, right = max(1, int(inked[0])), max(1, word.shape[1] - 1 - int(inked[-1]))

    def paper(edge: Gray, width: int) -> Gray:
        return np.repeat(np.median(edge, axis=1)[:, None], width, 1).round().astype(np.uint8)

    return np.concatenate([paper(word[:, :left], before), word, paper(word[:, -right:], after)], 1)


def digits(data: Path, count: int, length: int = 6, seed: int = 0) -> list[Composed]:
    """Return lines of MNIST digits, dark on paper, each in a box of its own."""
    folder = data / "images" / "mnist"
    pixels = np.frombuffer(
        gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16
    ).reshape(-1, 28, 28)
    labels = np.frombuffer(
        gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8
    )
    draw = np.random.default_rng(seed)
    made = []
    for number in range(count):
        chosen = draw.choice(len(pixels), length, replace=False)
        glyphs = [(str(labels[i]), pixels[i][2:26] / 255.0) for i in chosen]
        made.append(_side_by_side(glyphs, draw, f"line {number}"))
    return made


def letters(data: Path, count: int, length: int = 8, seed: int = 0) -> list[Composed]:
    """Return lines of Omniglot's Latin letters, each line by one of its 20 drawers."""
    path = data / "images" / "omniglot" / "images_background_small1.zip"
    by_drawer: dict[str, list[tuple[str, bytes]]] = defaultdict(list)
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if "/Latin/character" in name and name.endswith(".png"):
                letter = chr(ord("a") + int(Path(name).parent.name[-2:]) - 1)
                by_drawer[Path(name).stem[-2:]].append((letter, archive.read(name)))
    draw = np.random.default_rng(seed)
    made = []
    for number in range(count):
        drawer = sorted(by_drawer)[number % len(by_drawer)]
        chosen = draw.choice(len(by_drawer[drawer]), length, replace=False)
        glyphs = []
        for i in chosen:
            letter, data_of = by_drawer[drawer][i]
            with Image.open(io.BytesIO(data_of)) as image:
                small = image.convert("L").resize((36, 36), Image.Resampling.BOX)
            strength = np.clip((255.0 - np.asarray(small)) / 255.0 * 2.0, 0, 1)
            glyphs.append((letter, strength))
        made.append(_side_by_side(glyphs, draw, f"drawer {drawer}"))
    return made


def _side_by_side(
    glyphs: Sequence[tuple[str, npt.NDArray[np.float64]]], draw: np.random.Generator, writer: str
) -> Composed:
    """Return glyphs in a row, cut to their ink, with 4 to 40 pixels of paper between them.

    Uneven gaps and margins: where a glyph stands shall not follow from its number.
    """
    cut: list[tuple[str, npt.NDArray[np.float64]]] = []
    for text, strength in glyphs:
        seen = np.flatnonzero(strength.max(0) > 0.2)
        cut.append((text, strength[:, seen[0] : seen[-1] + 1]))
    gaps = draw.integers(4, 40, len(cut))
    margin = int(draw.integers(8, 80))
    width = margin + 8 + sum(part.shape[1] for _, part in cut) + int(gaps.sum())
    line = np.zeros((HEIGHT, width))
    places, left = [], margin
    for (_, part), gap in zip(cut, gaps, strict=True):
        top = (HEIGHT - part.shape[0]) // 2
        line[top : top + part.shape[0], left : left + part.shape[1]] = part
        places.append((float(left), float(left + part.shape[1])))
        left += part.shape[1] + int(gap)
    image = (PAPER - (PAPER - INK) * line).round().astype(np.uint8)
    return Composed(image, "".join(text for text, _ in cut), places, writer)
