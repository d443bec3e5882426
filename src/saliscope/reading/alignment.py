"""What was read beside what was written, character by character."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Pair", "align", "characters_of"]


class Pair(NamedTuple):
    """A character that was read and the one that was written; "" where there is none."""

    read: str
    truth: str
    at: int
    """Number of the read character, from 1; where none was read, of the one before (0: none)."""

    @property
    def right(self) -> bool:
        """Whether it was read as it was written."""
        return self.read == self.truth


def characters_of(text: str) -> list[str]:
    r"""Return the characters of a text in the composed form, each with its combining accents.

    Examples
    --------
    >>> characters_of("e\u0301a\u0323x") == ["\u00e9", "\u1ea1", "x"]
    True
    >>> len(characters_of("x\u0302\u0323"))
    1
    """
    found: list[str] = []
    for character in unicodedata.normalize("NFC", text):
        if unicodedata.combining(character) and found:
            found[-1] += character
        else:
            found.append(character)
    return found


def align(read: str | Sequence[str], truth: str | Sequence[str]) -> list[Pair]:
    """Align two texts with the fewest substitutions, insertions and omissions (Levenshtein 1966).

    Among alignments of equal cost the one is taken that has most characters right, and of these
    the one that meets them first.

    Parameters
    ----------
    read, truth : str or sequence of str
        Texts, or texts cut into characters.

    Returns
    -------
    list of Pair
        In the order of the texts.

    Examples
    --------
    >>> [(pair.read, pair.truth) for pair in align("hans", "hands")]
    [('h', 'h'), ('a', 'a'), ('n', 'n'), ('', 'd'), ('s', 's')]
    >>> [pair.at for pair in align("ab", "xab")]
    [0, 1, 2]
    """
    a = characters_of(read) if isinstance(read, str) else list(read)
    b = characters_of(truth) if isinstance(truth, str) else list(truth)
    edit = len(a) + len(b) + 1  # dearer than any number of characters that are right
    # best[i][j]: the least cost of what follows i characters of a and j of b.
    best = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    best[-1] = [edit * (len(b) - j) for j in range(len(b) + 1)]
    for i in range(len(a) - 1, -1, -1):
        row, below = best[i], best[i + 1]
        row[-1] = edit * (len(a) - i)
        for j in range(len(b) - 1, -1, -1):
            step = -1 if a[i] == b[j] else edit
            row[j] = min(below[j + 1] + step, below[j] + edit, row[j + 1] + edit)
    pairs: list[Pair] = []
    i = j = 0
    while i < len(a) or j < len(b):
        both = i < len(a) and j < len(b)
        down, along = 1, 1
        if not both or best[i][j] != best[i + 1][j + 1] + (-1 if a[i] == b[j] else edit):
            down = int(i < len(a) and best[i][j] == best[i + 1][j] + edit)
            along = 1 - down
        pairs.append(Pair(a[i] if down else "", b[j] if along else "", i + down))
        i, j = i + down, j + along
    return pairs
