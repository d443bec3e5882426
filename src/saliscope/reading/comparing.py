"""A reading beside the truth: its mistakes, where they are, and what would put each right."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from saliscope.core.string_target import String, visible
from saliscope.models.vision.reading import Reading
from saliscope.reading.alignment import Pair, align, characters_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Comparison", "Kind", "Mistake", "compare"]

Kind = Literal["substituted", "inserted", "missed"]


@dataclass(frozen=True)
class Mistake:
    """A character that was read as another, read where none is, or not read.

    Parameters
    ----------
    kind : {"substituted", "inserted", "missed"}
    read, truth : str
        The character that was read, and the one that was written; "" where there is none.
    number : int
        Of the character that was read, from 1; of a missed one, of that before it (0: none).
    confidence : float or None
        Of what was read; None where a character was missed.
    left, right : float or None
        Where it was read, or between which characters it is missing, in pixels of the picture;
        None of a decoder, whose steps have no place.
    repaired : str
        The text as it was read, with this mistake alone put right.
    """

    kind: Kind
    read: str
    truth: str
    number: int
    confidence: float | None
    left: float | None
    right: float | None
    repaired: str

    def __str__(self) -> str:
        if self.kind == "substituted":
            return f"{visible(self.read)} read for {visible(self.truth)}"
        if self.kind == "inserted":
            return f"{visible(self.read)} inserted"
        return f"{visible(self.truth)} missed"


@dataclass(frozen=True)
class Comparison:
    """What was read in a line beside what is written there.

    Parameters
    ----------
    reading : Reading
    truth : str
        In the composed form (NFC).
    pairs : tuple of Pair
        Both texts, aligned.
    mistakes : tuple of Mistake
        In the order of the text.

    Examples
    --------
    >>> from saliscope.models.vision.reading import Character
    >>> read = (Character("a", 1, 0.9, 0, 1, 2.0, 10.0), Character("u", 2, 0.6, 3, 3, 14.0, 18.0))
    >>> found = compare(Reading("a.png", "au", read, -0.7, "ctc", 40, 48, "ltr", 10), "ans")
    >>> [str(mistake) for mistake in found.mistakes], round(found.error_rate, 3)
    (['u read for n', 's missed'], 0.667)
    >>> [mistake.repaired for mistake in found.mistakes]
    ['an', 'aus']
    >>> found.contrast(found.mistakes[0])
    String(scale=None, text='au', instead_of='an')
    """

    reading: Reading
    truth: str
    pairs: tuple[Pair, ...]
    mistakes: tuple[Mistake, ...]

    @cached_property
    def written(self) -> int:
        """How many characters are written, spaces included."""
        return sum(pair.truth != "" for pair in self.pairs)

    @property
    def error_rate(self) -> float:
        """Mistakes per written character (character error rate); infinite where none is written."""
        if self.written:
            return len(self.mistakes) / self.written
        return float("inf") if self.mistakes else 0.0

    def contrast(self, mistake: Mistake) -> String:
        """Return the target "why this, and not the truth": of the two whole texts, exactly."""
        return String(self.reading.text, instead_of=mistake.repaired)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per mistake."""
        import pandas as pd

        columns = ["record", "kind", "read", "truth", "number", "confidence", "left", "right",
                   "text", "repaired"]  # fmt: skip
        rows = [
            [self.reading.name, m.kind, m.read, m.truth, m.number, m.confidence, m.left, m.right,
             self.reading.text, m.repaired]
            for m in self.mistakes
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=columns)


def compare(reading: Reading, truth: str) -> Comparison:
    """Align what was read with the truth, and say where the mistakes are.

    Parameters
    ----------
    reading : Reading
        Of `Recognizer.read`.
    truth : str

    Returns
    -------
    Comparison
    """
    truth = unicodedata.normalize("NFC", truth)
    read = characters_of(reading.text)
    pairs = align(read, truth)
    owners = _owners(reading, read)
    found = []
    for pair in pairs:
        if pair.right:
            continue
        kept, rest = read[: pair.at], read[pair.at :]
        confidence = None
        if pair.read:
            kept = kept[:-1]
            piece = owners[pair.at - 1]
            at = reading.characters[piece] if piece is not None else None
            place = (None, None) if at is None else (at.left, at.right)
            confidence = None if at is None else at.confidence
        else:
            place = _between(reading, owners, pair.at)
        kind: Kind = "missed" if not pair.read else "substituted" if pair.truth else "inserted"
        found.append(
            Mistake(kind, pair.read, pair.truth, pair.at, confidence, *place,
                    "".join([*kept, pair.truth, *rest]))
        )  # fmt: skip
    return Comparison(reading, truth, tuple(pairs), tuple(found))


def _owners(reading: Reading, read: list[str]) -> list[int | None]:
    """Return which piece of a reading each of its characters begins in.

    A piece may be a part of a character (an accent) or several (of a model of word pieces); where
    pieces do not spell the text, no character has one.
    """
    pieces = [unicodedata.normalize("NFD", c.text) for c in reading.characters]
    whole = [i for i, piece in enumerate(pieces) for _ in piece]
    lengths = [len(unicodedata.normalize("NFD", c)) for c in read]
    if sum(lengths) != len(whole):
        return [None] * len(read)
    return [whole[sum(lengths[:k])] for k in range(len(read))]


def _between(
    reading: Reading, owners: list[int | None], after: int
) -> tuple[float | None, float | None]:
    """Return the gap behind the character of a number, in the picture, from left to right."""
    before = owners[after - 1] if after else None
    behind = owners[after] if after < len(owners) else None
    rightward = reading.direction == "ltr"
    first = None if before is None else reading.characters[before]
    last = None if behind is None else reading.characters[behind]
    if not rightward:
        first, last = last, first
    if any(c is not None and c.left is None for c in (first, last)) or reading.head != "ctc":
        return None, None
    left = 0.0 if first is None or first.right is None else first.right
    right = float(reading.width) if last is None or last.left is None else last.left
    return min(left, right), max(left, right)
