"""The batch size: within the budget always, near the best throughput in the end."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.batching import Sizer, remembered

costs = st.floats(1, 1e9)
budgets = st.integers(1, 10**12)


def run(sizer: Sizer, budget: int, seconds: object, batches: int, length: int = 1) -> list[int]:
    """Run batches; `seconds` says how long one of n rows takes."""
    sizes = []
    for _ in range(batches):
        rows = sizer.rows(budget, length)
        sizes.append(rows)
        first = sizer.bytes_per_row is None
        sizer.saw(rows, seconds(rows), 100.0 if first else None, length)  # type: ignore[operator]
    return sizes


@given(costs, budgets, st.lists(st.floats(1e-6, 10), max_size=20), st.integers(1, 4000))
def test_the_budget_is_a_ceiling(cost: float, budget: int, times: list[float], length: int) -> None:
    sizer = Sizer()
    assert sizer.rows(budget, length) == 1
    sizer.saw(1, 1.0, cost, 8)
    for seconds in times:
        rows = sizer.rows(budget, length)
        assert rows == 1 or rows * cost <= budget
        assert 1 <= rows <= sizer.limit
        sizer.saw(rows, seconds)


@given(st.integers(1, 4096), budgets)
def test_longer_inputs_never_get_more_rows(length: int, budget: int) -> None:
    sizer = Sizer(bytes_per_row=1000.0, length=16)
    assert sizer.allowed(budget, length * 2) <= sizer.allowed(budget, length)
    assert sizer.allowed(budget, 16) == max(1, min(sizer.limit, budget // 1000))


@given(st.integers(2, 5000), st.integers(1, 12))
def test_memory_that_runs_out_halves_the_limit_for_good(rows: int, times: int) -> None:
    sizer = Sizer(bytes_per_row=1.0)
    for size in (1, 2, 4, 8, 4096):
        sizer.saw(size, 1e-9 * size)
    limit = rows
    for _ in range(times):
        halved = sizer.ran_out(limit)
        assert halved == max(1, limit // 2)
        limit = halved
        assert sizer.rows(10**12) <= limit
        assert all(size <= limit for size in sizer.seconds)


@pytest.mark.parametrize("best", [1, 4, 32, 256])
def test_it_settles_at_the_smallest_size_near_the_best(best: int) -> None:
    def seconds(rows: int) -> float:
        # Below the best size a batch costs the same whatever it holds; above it a row gets dearer.
        return float(max(rows, best)) * max(1.0, rows / best) ** 0.3

    sizes = run(Sizer(), 10**9, seconds, 40)
    assert sizes[0] == 1
    assert set(sizes[-10:]) <= {best, max(2, best)}
    assert max(sizes) <= 8 * best


def test_it_climbs_while_it_pays() -> None:
    sizes = run(Sizer(), 10**9, lambda rows: 1.0, 12)
    assert sizes == sorted(sizes)
    assert sizes[-1] >= 1024


def test_a_slow_start_is_not_held_against_a_size() -> None:
    sizer = Sizer(bytes_per_row=1.0)
    sizer.saw(2, 10.0)
    sizer.saw(2, 0.2)
    assert sizer.seconds[2] == 0.1


def test_what_is_known_of_a_model_goes_with_it() -> None:
    class Owner:
        pass

    owner = Owner()
    remembered(owner).sizers["a"] = Sizer(bytes_per_row=5.0)
    assert remembered(owner).sizers["a"].bytes_per_row == 5.0
    other = Owner()
    assert remembered(other).sizers == {}
    del owner
    gc.collect()
    assert remembered(3).sizers == {}  # not weakly referable: nothing is remembered
