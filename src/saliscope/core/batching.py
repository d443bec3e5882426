"""How many rows a batch holds.

The byte budget is a ceiling, not a target: throughput on a CPU peaks at moderate batches. A `Sizer`
starts near the size that is usually best for what computes (its `Grain`), tries its neighbors on
the real work, and stays with the smallest size whose throughput is within 3 % of the best. What
waits goes at once where a batch of that size is known to be as quick. It never exceeds the rows
that the budget allows, nor the size at which memory ran out. Sizes are counted in units (rows times
length), so that what was learned on one length holds for another.
"""

from __future__ import annotations

import math
import weakref
from collections import Counter, deque
from collections.abc import Hashable
from dataclasses import dataclass, field, replace

__all__ = [
    "ACCELERATOR", "CALLS", "PROCESSOR", "Grain", "Remembered", "Sizer",
    "SteadySizer", "remembered",
]  # fmt: skip

_WITHIN = 1.03
_MOST_ROWS = 1 << 16
_LONG = 0.02  # seconds of a batch beside which what a pass costs by itself hardly counts
_KEPT = 5  # last times of each size that are looked at
_ASKED = 4  # times that a larger size is asked for
_SETTLED = 6  # batches after which a smaller size is tried, too
_NEAR, _RETRIED = 1.1, 1.3  # a size this much slower than the best may only have had bad luck
_LUCK = 2  # times that a smaller size is tried
_SHARING = 32  # rows from which on what they share hardly counts
_SHARED = 8  # of them show what each needs beside what they share
_PASS, _PASS_LEAST, _PASS_MOST = 1 / 16, 1 / 128, 1 / 2  # of a pass by itself, in grains


@dataclass(frozen=True)
class Grain:
    """The size at which what a batch costs by itself hardly counts beside its rows.

    Parameters
    ----------
    units : int
        Rows times length.
    rows : int
        At most; so many are waited for.
    budget : int
        Bytes that one batch may need beside the model's weights, unless the caller says otherwise.
    timed : bool
        Whether the clock may find a better size.
    enough : float
        Seconds of a batch from which on larger ones are not tried.
    first : int
        Rows of the batch that shows what a row needs.
    """

    units: int
    rows: int
    budget: int = 1 << 30
    timed: bool = True
    enough: float = math.inf
    first: int = 1

    def of_memory(self, total: int) -> Grain:
        """Return it with an eighth of a device's memory as the budget, if that is more."""
        return replace(self, budget=max(self.budget, total // 8))

    def sharing(self, length: int) -> Grain:
        """Return it for rows of `length` units that share much of what is computed for them."""
        units = max(self.units, min(self.rows, _SHARING) * length)
        return replace(self, units=units, enough=_LONG, first=_SHARED)


PROCESSOR = Grain(2048, 64)
ACCELERATOR = Grain(1 << 22, 1024)
CALLS = Grain(1 << 62, 8192, timed=False)
"""Of a predictor, of which a call costs more than its rows."""


@dataclass
class Sizer:
    """The batch size for one model, mode and range of lengths.

    Examples
    --------
    >>> sizer = Sizer()
    >>> sizer.rows(budget=1000)           # the first batch is one row, to see what it costs
    1
    >>> sizer.saw(1, seconds=1.0, bytes_per_row=10, length=512)
    >>> sizer.rows(budget=1000), sizer.rows(budget=25)
    (4, 2)
    """

    bytes_per_row: float | None = None
    length: int = 1
    limit: int = _MOST_ROWS
    most: int = 1
    start: int = 0
    grain: Grain = PROCESSOR
    times: dict[int, deque[float]] = field(default_factory=dict)
    asked: Counter[int] = field(default_factory=Counter)

    def allowed(self, budget: int, length: int | None = None) -> int:
        """Return the rows of `length` units that the budget holds, at least one."""
        if self.bytes_per_row is None:
            return self.grain.first
        growth = max(1.0, (length or self.length) / self.length)
        return max(1, min(self.limit, int(budget // max(1.0, self.bytes_per_row * growth**2))))

    def rows(self, budget: int, length: int | None = None) -> int:
        """Return the rows of the next batch."""
        length = length or self.length
        ceiling = self.allowed(budget, length)
        if ceiling == 1 or self.bytes_per_row is None:
            return ceiling
        # Rounded up, so that a batch of twice the size is never the same again.
        return min(max(1, math.ceil(self._units(ceiling * length) / length)), ceiling)

    def at_once(self, budget: int, length: int, rows: int) -> bool:
        """Whether all rows that wait may go together: as quick as the best, as far as is known."""
        if rows > self.allowed(budget, length) or not self.times:
            return False
        speeds = self.speeds
        own = speeds.get(_power(rows * length))
        return own is not None and own <= min(speeds.values()) * _WITHIN

    def _units(self, ceiling: int) -> int:
        """Return the units of the next batch: the best size, or one that is still to be tried."""
        if not self.times:
            return self.start or self.grain.units
        speeds = self.speeds
        best = min(speeds.values())
        good = min(size for size, each in speeds.items() if each <= best * _WITHIN)
        smaller = max((size for size in speeds if size < good), default=0)
        largest = max(speeds)
        near = speeds[largest] <= best * _NEAR and largest <= 4 * good
        # One time alone may have had bad luck, and behind a plateau it can go up again.
        if good < largest and len(self.times[largest]) < 2:
            return min(largest, ceiling)
        up = (good == largest or near) and 2 * largest <= ceiling
        up = up and speeds[largest] * largest < self.grain.enough
        if up and self.asked[2 * largest] < _ASKED:  # so much work may never wait at once
            self.asked[2 * largest] += 1
            return 2 * largest
        if sum(map(len, self.times.values())) < _SETTLED:
            return good
        if not smaller:
            return good // 2
        again = len(self.times[smaller]) < _LUCK and speeds[smaller] <= best * _RETRIED
        return smaller if again else good

    @property
    def speeds(self) -> dict[int, float]:
        """Seconds per unit by size: the least of the last, since what disturbs only slows down."""
        return {size: min(times) for size, times in self.times.items()}

    @property
    def pass_units(self) -> float:
        """How many units cost as much as a pass does by itself, whatever it holds."""
        speeds = self.speeds
        small, large = min(speeds, default=0), max(speeds, default=0)
        if large < 2 * small or small == large:
            return _PASS * self.grain.units
        per_unit = (speeds[large] * large - speeds[small] * small) / (large - small)
        alone = speeds[small] * small - per_unit * small
        low, high = _PASS_LEAST * self.grain.units, _PASS_MOST * self.grain.units
        return min(max(alone / per_unit, low), high) if per_unit > 0 else high

    def saw(
        self, rows: int, seconds: float, bytes_per_row: float | None = None, length: int = 1
    ) -> None:
        """Record one batch; one that was measured for memory is not counted for speed."""
        self.most = max(self.most, rows)
        if bytes_per_row is not None:
            self.bytes_per_row, self.length = bytes_per_row, length
            # A batch of quick rows is begun with more of them.
            quick = min(_LONG / max(seconds / rows, 1e-9), self.grain.rows)
            self.start = _power(max(self.grain.units, quick * length))
            return
        units = rows * length
        self.times.setdefault(_power(units), deque(maxlen=_KEPT)).append(seconds / units)

    def ran_out(self, rows: int) -> int:
        """Halve after memory ran out at `rows`; return the new limit."""
        self.limit = max(1, rows // 2)
        self.most = min(self.most, self.limit)
        return self.limit


def _power(units: float) -> int:
    """Return the nearest power of two."""
    return 1 << max(0, round(math.log2(max(1.0, units))))


class SteadySizer(Sizer):
    """The batch size by a fixed rule: equal work is cut equally, whatever a clock says.

    Examples
    --------
    >>> sizer = SteadySizer(bytes_per_row=100, length=8)
    >>> sizer.rows(budget=1 << 30, length=512), sizer.rows(budget=1000, length=8)
    (4, 10)
    >>> SteadySizer(bytes_per_row=1000, grain=CALLS).rows(budget=1 << 30)
    8192
    """

    def rows(self, budget: int, length: int | None = None) -> int:
        """Return the rows of the next batch."""
        steady = max(1, self.grain.units // max(1, length or self.length))
        return min(self.allowed(budget, length), steady, self.grain.rows)

    def at_once(self, budget: int, length: int, rows: int) -> bool:
        """Whether all rows that wait are a batch."""
        return rows <= self.rows(budget, length)

    @property
    def pass_units(self) -> float:
        """A fixed number, too."""
        return _PASS * self.grain.units


@dataclass
class Remembered:
    """What is remembered of a model: its batch sizes, and whether rows depend on each other.

    `dependence` is the relative change of a row's value between a batch and being alone; None
    until it was measured. `weighed` is what a row of a kind and length needs, in bytes.
    """

    sizers: dict[Hashable, Sizer] = field(default_factory=dict)
    dependence: float | None = None
    weighed: dict[Hashable, int] = field(default_factory=dict)

    def for_steady(self, most: float) -> Remembered:
        """Return what a run may know that gives equal bits whatever ran before.

        What a row needs is the same at any time. A dependence above `most` is told as measured on
        the run's own rows, so it is measured again.
        """
        found = self.dependence if self.dependence is not None and self.dependence <= most else None
        return Remembered(dependence=found, weighed=self.weighed)


_KNOWN: weakref.WeakKeyDictionary[object, Remembered] = weakref.WeakKeyDictionary()


def remembered(owner: object) -> Remembered:
    """Return what is remembered of `owner`, for as long as it lives."""
    try:
        return _KNOWN.setdefault(owner, Remembered())
    except TypeError:  # not weakly referable: nothing is remembered
        return Remembered()
