"""What a recognizer reads in a line: text, and character by character where and how surely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saliscope.core.errors import OptionError
from saliscope.core.string_target import String, visible

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Character", "Reading"]


@dataclass(frozen=True)
class Character:
    """A character that was read (of a model that writes word pieces: a piece).

    Parameters
    ----------
    text : str
    number : int
        From 1, in the order of the text.
    confidence : float
        Of a CTC model the largest probability of the character among its frames; of a decoder the
        probability of its step, given what was written before.
    first, last : int
        The frames of a CTC model that say it, or the step of a decoder (twice the same).
    left, right : float or None
        What these frames stand for, in pixels of the picture from its left edge; None of a
        decoder, whose steps have no place. A frame sees more than that: see `Recognizer.sight`.
    """

    text: str
    number: int
    confidence: float
    first: int
    last: int
    left: float | None = None
    right: float | None = None


@dataclass(frozen=True)
class Reading:
    """The line of text that a recognizer reads in a picture.

    Parameters
    ----------
    name : str
        Of the picture.
    text : str
        In Unicode's composed form (NFC) and in logical order.
    characters : tuple of Character
    log_prob : float
        Exact log-probability of the whole text.
    head : {"ctc", "decoder"}
        What read it.
    width, height : int
        Of the picture, in pixels.
    direction : {"ltr", "rtl"}
    steps : int
        Frames of the line (CTC), or steps that were taken.
    alternatives : tuple of (str, float)
        Other texts and their log-probabilities, where a beam was asked for.

    Examples
    --------
    >>> read = (Character("a", 1, 0.9, 0, 1), Character("n", 2, 0.6, 3, 3))
    >>> reading = Reading("a.png", "an", read, -0.7, "ctc", 40, 48, "ltr", 10)
    >>> reading.instead(2, "u") == String("an", instead_of="au")
    True
    >>> print(reading)
    an
    """

    name: str
    text: str
    characters: tuple[Character, ...]
    log_prob: float
    head: str
    width: int
    height: int
    direction: str
    steps: int
    alternatives: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        return self.text

    def instead(self, number: int, text: str) -> String:
        """Return the target "why this character and not another": of the whole strings, exactly.

        Parameters
        ----------
        number : int
            Of the character, from 1.
        text : str
            What stands in its place; "" asks why there is a character at all.
        """
        if not 1 <= number <= len(self.characters):
            msg = (
                f"character {number} does not exist; {self.text!r} has 1 to {len(self.characters)}"
            )
            raise OptionError(msg)
        parts = [character.text for character in self.characters]
        parts[number - 1] = text
        return String(self.text, instead_of="".join(parts))

    def to_frame(self) -> pd.DataFrame:
        """Return one row per character."""
        import pandas as pd

        columns = ["number", "character", "confidence", "first", "last", "left", "right"]
        rows: list[list[Any]] = [
            [c.number, c.text, c.confidence, c.first, c.last, c.left, c.right]
            for c in self.characters
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=columns)

    def __repr__(self) -> str:
        sure = " ".join(f"{visible(c.text)}:{c.confidence:.2f}" for c in self.characters[:40])
        more = " ..." if len(self.characters) > 40 else ""
        return f"Reading({self.text!r}, log P {self.log_prob:.2f}, {self.head}: {sure}{more})"
