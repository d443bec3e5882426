"""Windows over a protein that is longer than a model's input, and what they agree on."""

from __future__ import annotations

__all__ = ["central", "windowed"]


def windowed(length: int, limit: int | None) -> tuple[tuple[int, int], ...]:
    """Return windows (from 0, half open) that cover a protein, each overlapping the next by half.

    The rule depends on the length alone, so that two alleles of one length are seen in the same
    windows, and a shift is not an artifact of where they were cut.

    Parameters
    ----------
    length : int
        Residues of the protein.
    limit : int, optional
        Residues that the model takes at once; None is no limit.

    Examples
    --------
    >>> windowed(10, None), windowed(10, 10), windowed(25, 10)
    (((0, 10),), ((0, 10),), ((0, 10), (5, 15), (10, 20), (15, 25)))
    """
    if limit is None or length <= limit:
        return ((0, length),)
    step = max(1, limit // 2)
    starts = [*range(0, length - limit, step), length - limit]
    return tuple((start, start + limit) for start in starts)


def central(length: int, windows: tuple[tuple[int, int], ...]) -> list[int]:
    """Return, for every residue, the window in which it stands farthest from an inner edge.

    Examples
    --------
    >>> central(6, ((0, 4), (2, 6)))
    [0, 0, 0, 1, 1, 1]
    """

    def room(window: tuple[int, int], at: int) -> float:
        low, high = window
        left = float("inf") if low == 0 else at - low
        right = float("inf") if high == length else high - 1 - at
        return min(left, right) if low <= at < high else -1.0

    return [
        max(range(len(windows)), key=lambda w: (room(windows[w], i), -w)) for i in range(length)
    ]
