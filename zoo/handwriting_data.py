"""Line images and their texts for `zoo:handwriting`, and how far a reading is from the truth."""

from __future__ import annotations

import csv
import io
import unicodedata
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Line:
    """One line of handwriting."""

    image: np.ndarray  # (48, width) uint8, 0 black
    text: str  # Unicode NFC
    split: str
    writer: str
    file: str
    page: str = ""


def read_lines(folder: Path, name: str = "copiste_fr") -> list[Line]:
    """Read all lines of a data set: `name`_lines.tsv beside `name`.zip."""
    lines = []
    with (
        zipfile.ZipFile(folder / f"{name}.zip") as archive,
        (folder / f"{name}_lines.tsv").open(encoding="utf-8", newline="") as handle,
    ):
        for row in csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE):
            with Image.open(io.BytesIO(archive.read(row["file"]))) as image:
                pixels = np.asarray(image.convert("L"))
            text = unicodedata.normalize("NFC", row["text"])
            writer, page = row.get("writer", ""), row["page"]
            lines.append(Line(pixels, text, row["split"], writer, row["file"], page))
    return lines


def alphabet_of(lines: Sequence[Line]) -> tuple[str, ...]:
    """Return the characters of the training lines, in the order of their code points."""
    return tuple(sorted({c for line in lines if line.split == "train" for c in line.text}))


def edits(found: Sequence[str], true: Sequence[str]) -> int:
    """Return the fewest substitutions, insertions and deletions between two sequences.

    >>> edits("maison", "raisin"), edits("", "abc"), edits("le chat".split(), ["le", "chien"])
    (2, 3, 1)
    """
    before = np.arange(len(true) + 1)
    codes = {c: i for i, c in enumerate(dict.fromkeys(true))}
    target = np.array([codes[c] for c in true], dtype=np.int64)
    for i, c in enumerate(found, start=1):
        cost = np.minimum(before[1:] + 1, before[:-1] + (target != codes.get(c, -1)))
        # A run of insertions: the running minimum of cost minus place.
        row = np.concatenate([[i], cost]) - np.arange(len(true) + 1)
        before = np.minimum.accumulate(row) + np.arange(len(true) + 1)
    return int(before[-1])


def best_path(logits: np.ndarray, alphabet: Sequence[str]) -> str:
    """Return the text of the best path through (frames, outputs): repeats joined, blanks out."""
    path = logits.argmax(-1)
    changed = np.concatenate([[True], path[1:] != path[:-1]])
    return "".join(alphabet[i - 1] for i in path[changed] if i)
