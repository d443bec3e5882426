"""Prefix beam search: the most probable strings of a CTC model, free or of given words.

Alignments of one string are added up while the search goes along the frames (Hannun et al. 2014),
so that the score of a string is exact as long as none of its prefixes was dropped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from saliscope.core.units import FloatArray

__all__ = ["Words", "beam"]

Prefix = tuple[int, ...]
_LEAST = -18.0  # log-probability below which a symbol is not followed at a frame
_END = -1  # key in the tree of words: one ends here


class Words:
    """The words that a search may say, as a tree of their symbols.

    Parameters
    ----------
    words : iterable of sequence of int
    between : int, optional
        The symbol that separates words (a space); None where a line is one entry of a lexicon.

    Examples
    --------
    >>> words = Words([(1, 2), (2,)], between=3)
    >>> words.allows((1,), 2), words.allows((1,), 3), words.allows((1, 2), 3)
    (True, False, True)
    >>> words.ends((1, 2)), words.ends((1,))
    (True, False)
    """

    def __init__(self, words: Iterable[Sequence[int]], between: int | None = None) -> None:
        self.tree: dict[int, Any] = {}
        self.between = between
        for word in words:
            node = self.tree
            for symbol in word:
                node = node.setdefault(int(symbol), {})
            node[_END] = {}
        self._places: dict[Prefix, dict[int, Any] | None] = {(): self.tree}

    def _place(self, prefix: Prefix) -> dict[int, Any] | None:
        """Return where in the tree a prefix stands; None where no word goes on like that."""
        if prefix not in self._places:
            before, symbol = self._place(prefix[:-1]), prefix[-1]
            here = None if before is None else before.get(symbol)
            if here is None and before is not None and symbol == self.between and _END in before:
                here = self.tree
            self._places[prefix] = here
        return self._places[prefix]

    def allows(self, prefix: Prefix, symbol: int) -> bool:
        """Return whether a symbol may follow a prefix."""
        return self._place((*prefix, symbol)) is not None

    def ends(self, prefix: Prefix) -> bool:
        """Return whether a prefix is whole words."""
        place = self._place(prefix)
        return place is not None and _END in place


def beam(
    frames: FloatArray, blank: int = 0, *, width: int = 16, words: Words | None = None,
    count: int = 1,
) -> list[tuple[float, Prefix]]:  # fmt: skip
    """Return the most probable strings with their log-probabilities, the best first.

    Parameters
    ----------
    frames : numpy.ndarray, shape (frames, symbols)
        Log-probabilities.
    blank : int
    width : int
        Prefixes that are kept from frame to frame. Scores are exact where nothing was dropped,
        else a lower bound.
    words : Words, optional
        Only strings of these words.
    count : int
        How many strings; fewer where fewer are possible.

    Examples
    --------
    >>> frames = np.log([[0.6, 0.4], [0.6, 0.4]])
    >>> [(string, round(float(np.exp(score)), 6)) for score, string in beam(frames, count=2)]
    [((1,), 0.64), ((), 0.36)]
    """
    # Per prefix: log-probability of ways that end in a blank, and of those that do not.
    kept: dict[Prefix, tuple[float, float]] = {(): (0.0, -np.inf)}
    for frame in frames:
        found: dict[Prefix, list[float]] = defaultdict(lambda: [-np.inf, -np.inf])
        symbols = [int(s) for s in np.flatnonzero(frame > frame.max() + _LEAST) if s != blank]
        for prefix, (pausing, speaking) in kept.items():
            both = float(np.logaddexp(pausing, speaking))
            _add(found[prefix], 0, both + frame[blank])
            if prefix:
                _add(found[prefix], 1, speaking + frame[prefix[-1]])
            for symbol in symbols:
                if words is not None and not words.allows(prefix, symbol):
                    continue
                before = pausing if prefix and prefix[-1] == symbol else both
                _add(found[(*prefix, symbol)], 1, before + frame[symbol])
        best = sorted(
            found.items(), key=lambda item: (-np.logaddexp(item[1][0], item[1][1]), item[0])
        )[:width]
        kept = {prefix: (ways[0], ways[1]) for prefix, ways in best}
    whole = [
        (float(np.logaddexp(ways[0], ways[1])), prefix)
        for prefix, ways in kept.items()
        if words is None or words.ends(prefix)
    ]
    return [item for item in sorted(whole, key=lambda item: (-item[0], item[1]))[:count]
            if np.isfinite(item[0])]  # fmt: skip


def _add(ways: list[float], place: int, more: float) -> None:
    ways[place] = float(np.logaddexp(ways[place], more))
