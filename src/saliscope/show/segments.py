"""A text cut at its units: what stands between them is kept, letter for letter."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np

from saliscope.show.reading import Track, unsure
from saliscope.show.style import number, visible

__all__ = ["FAINT", "Segment", "right_to_left", "segments", "sign_of", "strength"]

FAINT = 0.05
"""Share of the largest magnitude below which a unit carries no sign mark."""


@dataclass(frozen=True)
class Segment:
    """A stretch of text: of one or more units with their summed value, or of none.

    It is not sure of its sign where the value lies within two standard errors of zero.
    """

    text: str
    units: tuple[int, ...] = ()
    value: float | None = None
    note: str = ""
    unsure: bool = False


def segments(track: Track) -> list[Segment]:
    """Return the text of a track as segments that join to the text itself.

    Pieces that share letters (the bytes of one emoji) make one segment with their sum. Without
    character offsets the labels are joined by spaces.

    Examples
    --------
    >>> import numpy as np
    >>> track = Track(np.array([0.5, -1.0]), (1, 2), ("un", "##likely"), "token",
    ...               spans=((0, 2), (2, 8)), text="unlikely!")
    >>> [(s.text, s.value) for s in segments(track)]
    [('un', 0.5), ('likely', -1.0), ('!', None)]
    """
    if not (track.text and track.spans):
        joined: list[Segment] = []
        for i in range(len(track.values)):
            joined += [Segment(" ")] if i else []
            joined.append(_segment(track, track.name(i), (i,)))
        return joined
    order = sorted(range(len(track.spans)), key=lambda i: track.spans[i])
    cursor, found = 0, []
    groups: list[tuple[int, int, list[int]]] = []
    for i in order:
        start, end = track.spans[i]
        if end <= start:
            continue
        if groups and start < groups[-1][1]:
            before = groups[-1]
            groups[-1] = (before[0], max(before[1], end), [*before[2], i])
        else:
            groups.append((start, end, [i]))
    for start, end, members in groups:
        if start > cursor:
            found.append(Segment(visible(track.text[cursor:start])))
        found.append(_segment(track, visible(track.text[start:end]), tuple(members)))
        cursor = end
    if cursor < len(track.text):
        found.append(Segment(visible(track.text[cursor:])))
    return found


def _segment(track: Track, text: str, units: tuple[int, ...]) -> Segment:
    value = float(sum(track.values[i] for i in units))
    kind = track.kind if track.kind != "unit" else "position"
    numbers = ", ".join(str(track.positions[i]) for i in units)
    note = f"{kind} {numbers}: {number(value, sign=track.signed)}"
    # Of a sum, the standard deviation is at most the sum of the standard deviations.
    error = None if track.stderr is None else float(sum(track.stderr[i] for i in units))
    if error:
        note += f" ± {number(float(f'{error:.2g}'))}"
    if len(units) > 1:
        note += " (sum)"
    if track.drop is not None:
        note += f"; probability drop {number(sum(track.drop[i] for i in units), sign=True)}"
    doubtful = error is not None and bool(unsure(np.array(value), np.array(error)))
    return Segment(text, units, value, note, doubtful)


def strength(value: float | None, most: float) -> float:
    """Return |value| as a share of the largest magnitude, between 0 and 1 (missing: 0)."""
    if value is None or value != value or not most:
        return 0.0
    return min(1.0, abs(value) / most)


def sign_of(value: float | None, most: float, *, signed: bool) -> str:
    """Return "+" or "−" for a value that is strong enough to matter, else "".

    Examples
    --------
    >>> sign_of(-1.0, 2.0, signed=True), sign_of(0.01, 2.0, signed=True)
    ('−', '')
    """
    if not signed or value is None or strength(value, most) < FAINT:
        return ""
    return "+" if value > 0 else "−"


def right_to_left(text: str) -> bool:
    """Whether the first letter with a direction runs from right to left."""
    for letter in text:
        kind = unicodedata.bidirectional(letter)
        if kind in {"L", "R", "AL"}:
            return kind != "L"
    return False
