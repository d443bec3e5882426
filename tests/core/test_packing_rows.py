"""The first batch of rows of different lengths: that of the cheapest way to cut all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from saliscope.core.packing import first_batch


def ways(count: int, room: int) -> Iterator[list[int]]:
    """Yield all ways to cut rows into batches."""
    if count == 0:
        yield []
    for first in range(1, min(room, count) + 1):
        for rest in ways(count - first, room):
            yield [first, *rest]


def cost(lengths: Sequence[int], sizes: Sequence[int], alone: float) -> float:
    """Return what the batches cost, each padded to its longest row."""
    starts = np.cumsum([0, *sizes[:-1]])
    return sum(
        alone + size * lengths[start] for size, start in zip(sizes, starts.tolist(), strict=True)
    )


@pytest.mark.parametrize("seed", range(30))
def test_all_batches_together_cost_the_least_there_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = sorted(rng.integers(1, 60, size=9).tolist(), reverse=True)
    room, alone = int(rng.integers(1, 10)), float(rng.integers(0, 150))
    sizes, left = [], lengths
    while left:
        sizes.append(first_batch(left, room, alone))
        left = left[sizes[-1] :]
    assert max(sizes) <= room
    least = min(cost(lengths, way, alone) for way in ways(len(lengths), room))
    assert cost(lengths, sizes, alone) == least


def test_many_rows_are_cut_in_few_steps() -> None:
    lengths = [90] * 3000 + [10] * 3000
    # All of the long ones and none of the short: 80 units of padding each are more than a pass.
    assert first_batch(lengths, 4000, pass_units=100) == pytest.approx(3000, abs=2 * 6000 / 64)
    assert first_batch(lengths, 6000, pass_units=1e9) == 6000


def test_rows_of_one_length_fill_the_room() -> None:
    assert first_batch([7] * 1000, 300, pass_units=1) == 300
    assert first_batch(iter([7, 7, 7]), 300, pass_units=1) == 3
