"""How many rows go first, where rows of different lengths wait."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np

__all__ = ["first_batch"]

_SEEN = 128  # rows that are looked at, or two batches: those behind hardly matter to the first
_PLACES = 64  # at most, at which is cut


def first_batch(lengths: Iterable[int], room: int, pass_units: float) -> int:
    """Return how many rows the first batch holds, so that all of them together take least.

    A batch costs its rows, each padded to the longest, and what a pass costs by itself. What is
    best for the rest is found first (dynamic programming over the places at which to cut).

    Parameters
    ----------
    lengths : iterable of int
        Of the rows that wait, the longest first.
    room : int
        Rows that a batch may hold.
    pass_units : float
        What a pass costs by itself, in units of length.

    Examples
    --------
    >>> first_batch([40, 40, 10, 10], 4, pass_units=100)  # one batch: 100 + 4 x 40
    4
    >>> first_batch([40, 40, 10, 10], 4, pass_units=50)  # two: 50 + 2 x 40 + 50 + 2 x 10
    2
    """
    seen = list(itertools.islice(lengths, max(2 * room, _SEEN)))
    if len(seen) <= room and len(seen) * seen[0] - sum(seen) <= pass_units:
        return len(seen)  # no cut saves more padding than a pass costs
    step = math.ceil(len(seen) / _PLACES)  # many short rows are cut by several at once
    longest = seen[::step]
    count, most = len(longest), math.ceil(room / step)
    rest = np.zeros(count + 1)  # what rows from this one on cost
    taken = 1
    for place in range(count - 1, -1, -1):
        blocks = np.arange(1, min(most, count - place) + 1)
        costs = pass_units + blocks * (step * longest[place]) + rest[place + blocks]
        taken = len(costs) - int(np.argmin(costs[::-1]))  # of equal ones the larger batch
        rest[place] = costs[taken - 1]
    return min(taken * step, room, len(seen))
