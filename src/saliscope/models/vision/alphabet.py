"""From text to the outputs of a recognizer and back: Unicode, accents, and the order of writing."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal

from saliscope.core.errors import InputError, OptionError

__all__ = ["Alphabet", "Direction"]

Direction = Literal["ltr", "rtl"]
Ids = tuple[int, ...]
_SHOWN = 6


class Alphabet:
    """The symbols of a recognizer, by output number.

    Text is compared in the composed form (NFC), whatever form the caller or the alphabet has. A
    character that is no symbol of its own is spelled with its parts where these are symbols: a
    letter, then its combining accents. A symbol may have several characters; the longest that fits
    is taken.

    Parameters
    ----------
    symbols : str or sequence of str
        In the order of the outputs, the blank left out.
    blank : int
        Number of the output that is no symbol (of a decoder: the end); -1 is the last.
    direction : {"ltr", "rtl"}
        "rtl": outputs follow each other from left to right in the picture (visual order), and
        text is written from right to left. Texts that are given and returned are in logical order,
        as they are read aloud; all of a line is turned around, numbers within it included.

    Examples
    --------
    >>> letters = Alphabet("ae\u0301\u00e9")
    >>> letters.encode("e\u0301a"), letters.decode([4, 1])
    ((4, 1), '\u00e9a')
    >>> Alphabet("ab", direction="rtl").encode("ab")
    (2, 1)
    """

    def __init__(
        self, symbols: str | Sequence[str], blank: int = 0, direction: Direction = "ltr"
    ) -> None:
        given = [unicodedata.normalize("NFC", symbol) for symbol in symbols]
        empty = [i for i, symbol in enumerate(given) if not symbol]
        if not given or empty:
            msg = "the alphabet holds no symbol; give all characters in the order of the outputs"
            if empty:
                msg = f"symbol {empty[0]} of the alphabet is empty; leave the blank out of it"
            raise OptionError(msg)
        twice = sorted({symbol for symbol in given if given.count(symbol) > 1})
        if twice:
            msg = f"the alphabet holds {_listed(twice)} twice; each output has one symbol"
            raise OptionError(msg)
        outputs = len(given) + 1
        whole = isinstance(blank, int) and not isinstance(blank, bool)
        if not whole or not -outputs <= blank < outputs:
            msg = (
                f"blank={blank!r} is out of range; {len(given)} symbols and the blank are outputs "
                f"0 to {outputs - 1}"
            )
            raise OptionError(msg)
        if direction not in {"ltr", "rtl"}:
            msg = f"direction={direction!r} does not exist; use 'ltr' or 'rtl'"
            raise OptionError(msg)
        self.blank = blank % outputs
        self.direction = direction
        self.symbols = (*given[: self.blank], "", *given[self.blank :])
        self._numbers = {symbol: i for i, symbol in enumerate(self.symbols) if symbol}
        self._longest = max(map(len, self._numbers))

    def __len__(self) -> int:
        """Return the number of outputs, the blank included."""
        return len(self.symbols)

    def encode(self, text: str) -> Ids:
        """Return the outputs that spell a text, in the order in which the model says them.

        Raises
        ------
        InputError
            Characters that the alphabet does not have; they are named.
        """
        ids: list[int] = []
        unknown: list[str] = []
        rest = unicodedata.normalize("NFC", text)
        while rest:
            symbol = self._first(rest)
            if symbol is None:
                apart = unicodedata.normalize("NFD", rest[0])
                parts = [self._numbers.get(part) for part in apart]
                if None in parts:
                    unknown.append(rest[0])
                ids += [part for part in parts if part is not None]
                rest = rest[1:]
            else:
                ids.append(self._numbers[symbol])
                rest = rest[len(symbol) :]
        if unknown:
            msg = (
                f"{text!r} has {_listed(dict.fromkeys(unknown))}, which the model's alphabet of "
                f"{len(self) - 1} symbols does not have; write it with others"
            )
            raise InputError(msg)
        return tuple(ids if self.direction == "ltr" else ids[::-1])

    def _first(self, text: str) -> str | None:
        """Return the longest symbol that a text begins with."""
        lengths = range(min(self._longest, len(text)), 0, -1)
        return next((text[:n] for n in lengths if text[:n] in self._numbers), None)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text, in the composed form, that outputs spell."""
        parts = [self.symbols[i] for i in ids]
        text = "".join(parts if self.direction == "ltr" else parts[::-1])
        return unicodedata.normalize("NFC", text)

    def logical(self, count: int) -> range:
        """Return the places of `count` symbols as said, in the order in which they are read."""
        return range(count) if self.direction == "ltr" else range(count - 1, -1, -1)


def _listed(symbols: Iterable[str]) -> str:
    """Return symbols with their code points, the first few."""
    shown = [
        f"{symbol!r} (U+{' U+'.join(f'{ord(c):04X}' for c in symbol)})" for symbol in symbols
    ]  # fmt: skip
    return ", ".join(shown[:_SHOWN]) + (", ..." if len(shown) > _SHOWN else "")
