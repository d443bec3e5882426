"""Windows over a protein that is longer than a model's input, and what they agree on."""

from __future__ import annotations

from functools import cache

__all__ = ["central", "reach", "windowed"]


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


@cache
def central(length: int, windows: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    """Return, for every residue, the window in which it stands farthest from an inner edge.

    Examples
    --------
    >>> central(6, ((0, 4), (2, 6)))
    (0, 0, 0, 1, 1, 1)
    """
    return tuple(
        max(range(len(windows)), key=lambda w: (_room(windows[w], i, length), -w))
        for i in range(length)
    )


def reach(length: int, limit: int | None) -> int | None:
    """Return how far apart two residues may be so that each is read in sight of the other.

    That is the smallest distance of a residue to an inner edge of the window that it is read in;
    None for a protein that is seen at once.

    Examples
    --------
    >>> reach(25, 10), reach(10, 10), reach(10, None)
    (2, None, None)
    """
    windows = windowed(length, limit)
    if len(windows) == 1:
        return None
    chosen = enumerate(central(length, windows))
    return int(min(_room(windows[w], i, length) for i, w in chosen))


def _room(window: tuple[int, int], at: int, length: int) -> float:
    """Return the distance of a residue to the nearest inner edge of a window; -1 outside of it."""
    low, high = window
    left = float("inf") if low == 0 else at - low
    right = float("inf") if high == length else high - 1 - at
    return min(left, right) if low <= at < high else -1.0
