"""How many rows a batch holds.

The byte budget is a ceiling, not a target: throughput on a CPU peaks at small batches. A `Sizer`
climbs a ladder of sizes on the real work, keeps the best time per row seen at each size, and then
stays with the smallest size whose throughput is within 3 % of the best. It never exceeds the rows
that the budget allows, nor the size at which memory ran out.
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable
from dataclasses import dataclass, field

__all__ = ["DEFAULT_BUDGET", "Remembered", "Sizer", "SteadySizer", "remembered"]

DEFAULT_BUDGET = 1 << 30
"""Bytes that one batch may need beside the model's weights, unless the caller says otherwise."""

_WITHIN = 1.03
_LONGEST_LADDER = 1 << 16
_STEADY_UNITS, _STEADY_ROWS = 2048, 64
_QUICK = 0.004  # seconds; below it a step of the ladder is fourfold


@dataclass
class Sizer:
    """The batch size for one model, mode and length of input.

    Examples
    --------
    >>> sizer = Sizer()
    >>> sizer.rows(budget=1000)           # the first batch is one row, to see what it costs
    1
    >>> sizer.saw(1, seconds=1.0, bytes_per_row=100, length=8)
    >>> sizer.rows(budget=1000), sizer.rows(budget=150)
    (2, 1)
    """

    bytes_per_row: float | None = None
    length: int = 1
    limit: int = _LONGEST_LADDER
    seconds: dict[int, float] = field(default_factory=dict)

    def allowed(self, budget: int, length: int | None = None) -> int:
        """Return the rows of `length` units that the budget holds, at least one."""
        if self.bytes_per_row is None:
            return 1
        growth = max(1.0, (length or self.length) / self.length)
        return max(1, min(self.limit, int(budget // max(1.0, self.bytes_per_row * growth**2))))

    @property
    def limit_seen(self) -> int:
        """The largest batch so far: how many rows it is worth to keep waiting."""
        return max(self.seconds, default=1)

    def rows(self, budget: int, length: int | None = None) -> int:
        """Return the rows of the next batch."""
        ceiling = self.allowed(budget, length)
        if not self.seconds:
            return min(1 if self.bytes_per_row is None else 2, ceiling)
        tried = sorted(self.seconds)
        best = min(self.seconds.values())
        largest = tried[-1]
        good = next(size for size in tried if self.seconds[size] <= best * _WITHIN)
        # Climb until two larger sizes were no better: one alone may have had bad luck.
        if sum(size > good for size in tried) < 2 and largest < ceiling:
            step = 4 if self.seconds[largest] * largest < _QUICK else 2
            return min(largest * step, ceiling)
        return min(good, ceiling)

    def saw(
        self, rows: int, seconds: float, bytes_per_row: float | None = None, length: int = 1
    ) -> None:
        """Record one batch; one that was measured for memory is not counted for speed."""
        if bytes_per_row is not None:
            self.bytes_per_row, self.length = bytes_per_row, length
            return
        per_row = seconds / rows
        self.seconds[rows] = min(per_row, self.seconds.get(rows, per_row))

    def ran_out(self, rows: int) -> int:
        """Halve after memory ran out at `rows`; return the new limit."""
        self.limit = max(1, rows // 2)
        self.seconds = {size: s for size, s in self.seconds.items() if size <= self.limit}
        return self.limit


class SteadySizer(Sizer):
    """The batch size by a fixed rule: equal work is cut equally, whatever a clock says.

    Examples
    --------
    >>> sizer = SteadySizer(bytes_per_row=100, length=8)
    >>> sizer.rows(budget=1 << 30, length=512), sizer.rows(budget=1000, length=8)
    (4, 10)
    """

    def rows(self, budget: int, length: int | None = None) -> int:
        """Return the rows of the next batch."""
        steady = max(1, _STEADY_UNITS // max(1, length or self.length))
        return min(self.allowed(budget, length), steady, _STEADY_ROWS)


@dataclass
class Remembered:
    """What is remembered of a model: its batch sizes, and whether rows depend on each other.

    `dependence` is the relative change of a row's value between a batch and being alone; None
    until it was measured.
    """

    sizers: dict[Hashable, Sizer] = field(default_factory=dict)
    dependence: float | None = None


_KNOWN: weakref.WeakKeyDictionary[object, Remembered] = weakref.WeakKeyDictionary()


def remembered(owner: object) -> Remembered:
    """Return what is remembered of `owner`, for as long as it lives."""
    try:
        return _KNOWN.setdefault(owner, Remembered())
    except TypeError:  # not weakly referable: nothing is remembered
        return Remembered()
