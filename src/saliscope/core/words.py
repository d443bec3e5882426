"""Words and sentences of a text, by character offsets, and which pieces belong to them."""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np

from saliscope.core.units import Grouping

__all__ = ["TextGroupings", "over_text", "parted", "sentences_of", "words_of"]

Span = tuple[int, int]

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]+")
_CLOSING = "\"'’”»)\\]}"
_END = re.compile(rf"[.!?…]+[{_CLOSING}]*(?=\s|$)|[。！？｡]+[{_CLOSING}」』）]*|\n\s*\n")
_LETTER = re.compile(r"\S")
_ABBREVIATIONS = frozenset((
    "mr", "mrs", "ms", "mx", "dr", "prof", "st", "sr", "jr", "rev", "gen", "col", "capt", "lt",
    "sgt", "hon", "vs", "cf", "fig", "figs", "eq", "vol", "pp", "al", "ca", "approx", "dept",
    "e.g", "i.e", "ph.d", "u.s", "u.k",
))  # fmt: skip
_LONGEST = 16  # letters before a full stop that are looked at


def words_of(text: str) -> list[Span]:
    """Return the character spans of the words and punctuation of a text.

    Examples
    --------
    >>> [("It isn't bad!"[a:b]) for a, b in words_of("It isn't bad!")]
    ['It', "isn't", 'bad', '!']
    """
    return [m.span() for m in _WORD.finditer(text)]


def sentences_of(text: str) -> list[Span]:
    """Return the character spans of the sentences of a text, without the space between them.

    A sentence ends

    * behind ``.``, ``!``, ``?`` or ``…`` (several, and closing quotes and brackets, belong to it)
      before white space, unless the next letter is a small one,
    * behind ``。``, ``！`` or ``？``,
    * at an empty line.

    A single full stop does not end one behind a common abbreviation ("Dr.", "e.g.", "vs.", ...)
    or behind a single capital letter, as of a name ("J. Smith"). This needs no dictionary and no
    model, and errs where these rules do.

    Examples
    --------
    >>> text = 'Dr. No paid $3.50. "A bargain!" he said... Was it? Yes'
    >>> [text[a:b] for a, b in sentences_of(text)]
    ['Dr. No paid $3.50.', '"A bargain!" he said...', 'Was it?', 'Yes']
    """
    found: list[Span] = []
    start = 0
    for end in _END.finditer(text):
        if _ends(text, end):
            found.append((start, end.end()))
            start = end.end()
    found.append((start, len(text)))
    trimmed = ((a, b, text[a:b]) for a, b in found if text[a:b].strip())
    return [(b - len(part.lstrip()), a + len(part.rstrip())) for a, b, part in trimmed]


def _ends(text: str, end: re.Match[str]) -> bool:
    """Whether a match of `_END` ends a sentence."""
    sign = end[0]
    if sign.isspace() or sign[0] in "。！？｡":
        return True
    following = _LETTER.search(text, end.end())
    if following and following[0].islower():
        return False
    if sign != ".":
        return True
    before = text[max(0, end.start() - _LONGEST) : end.start()].split()
    word = before[-1].lstrip("\"'‘“«([{") if before else ""
    initial = len(word) == 1 and word.isupper() and word != "I"
    return not (initial or word.lower() in _ABBREVIATIONS)


def parted(text: str, spans: Sequence[Span], borders: Sequence[int]) -> list[Span]:
    """Cut spans at some characters, as where a model begins to write; space at a cut is left out.

    Examples
    --------
    >>> text = "It was not very good. Fine."
    >>> [text[a:b] for a, b in parted(text, sentences_of(text), [10])]
    ['It was not', 'very good.', 'Fine.']
    """
    found = []
    for start, end in spans:
        inner = [border for border in borders if start < border < end]
        for a, b in itertools.pairwise([start, *inner, end]):
            part = text[a:b]
            if part.strip():
                found.append((b - len(part.lstrip()), a + len(part.rstrip())))
    return found


def over_text(kind: str, text: str, pieces: Sequence[Span], spans: Sequence[Span]) -> Grouping:
    """Give every piece of a text the span that it overlaps most.

    Parameters
    ----------
    kind : str
        What a span is: "word", "sentence".
    text : str
    pieces : sequence of (int, int)
        Characters of each piece; pieces of no characters belong to no span.
    spans : sequence of (int, int)
        In their order, without overlap. Those that no piece belongs to are left out.

    Returns
    -------
    Grouping
        Named by the text of each span.

    Examples
    --------
    >>> words = over_text("word", "unlikely!", [(0, 2), (2, 8), (8, 9)], [(0, 8), (8, 9)])
    >>> words.names, words.labels.tolist()
    (('unlikely', '!'), [0, 0, 1])
    """
    ends = [b for _, b in spans]
    found = []
    for start, end in pieces:
        best, owner = 0, -1
        # Spans stand in order, so only those from the first that ends behind `start` can overlap.
        for k in range(bisect.bisect_right(ends, start), len(spans)):
            low, high = spans[k]
            if low >= end:
                break
            shared = min(end, high) - max(start, low)
            if shared > best:
                best, owner = shared, k
        found.append(owner)
    used = sorted(set(found) - {-1})
    rank = {k: i for i, k in enumerate(used)} | {-1: -1}
    labels = np.array([rank[k] for k in found], dtype=np.int64)
    return Grouping(kind, labels=labels, names=tuple(text[slice(*spans[k])] for k in used))


class TextGroupings(Mapping[str, Grouping]):
    """Words and sentences over the pieces of a text, found when they are asked for.

    Parameters
    ----------
    text : str
    pieces : sequence of (int, int)
        As for `over_text`.
    borders : sequence of int
        Characters at which spans end, as for `parted`.

    Examples
    --------
    >>> made = TextGroupings("Fine.", [(0, 2), (2, 4), (4, 5)])
    >>> list(made), made["word"].names
    (['word', 'sentence'], ('Fine', '.'))
    """

    _spans: ClassVar = {"word": words_of, "sentence": sentences_of}

    def __init__(self, text: str, pieces: Sequence[Span], borders: Sequence[int] = ()) -> None:
        self._text, self._pieces, self._borders = text, pieces, borders
        self._found: dict[str, Grouping] = {}

    def __getitem__(self, kind: str) -> Grouping:
        if kind not in self._found:
            spans = parted(self._text, self._spans[kind](self._text), self._borders)
            self._found[kind] = over_text(kind, self._text, self._pieces, spans)
        return self._found[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._spans)

    def __len__(self) -> int:
        return len(self._spans)
