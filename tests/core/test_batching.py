"""The batch size: within the budget always, near the best throughput in the end."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.batching import Sizer, SteadySizer, remembered

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


@pytest.mark.parametrize("length", [1, 7, 100, 5000])
@pytest.mark.parametrize("best", [1, 4, 32, 256])
def test_it_settles_at_the_smallest_size_near_the_best(best: int, length: int) -> None:
    def seconds(rows: int) -> float:
        # Below the best size a batch costs the same whatever it holds; above it a row gets dearer.
        return float(max(rows, best)) * max(1.0, rows / best) ** 0.5

    sizes = run(Sizer(), 10**9, seconds, 60, length)
    assert sizes[0] == 1
    # Sizes are powers of two of units, so rows can be off by one step.
    assert all(best / 2 <= size <= 2 * best + 1 for size in sizes[-20:])


@given(st.floats(0, 1000), st.integers(1, 600))
def test_a_pass_of_its_own_hardly_counts_in_the_end(overhead: float, length: int) -> None:
    def seconds(rows: int) -> float:
        return 1e-3 * (overhead + rows * length)

    sizes = run(Sizer(), 10**12, seconds, 80, length)
    units = sizes[-1] * length
    assert overhead / units < 0.07
    assert units <= max(4096, 4 * length, 80 * overhead)


def test_what_a_pass_costs_is_measured() -> None:
    sizer = Sizer(bytes_per_row=1.0)
    assert sizer.pass_units == 128  # a guess
    for rows in (8, 64):
        sizer.saw(rows, 1e-3 * (50 + rows), length=1)
    assert sizer.pass_units == pytest.approx(50)
    sizer = Sizer(bytes_per_row=1.0)
    for rows in (8, 64):  # the larger batch took no longer
        sizer.saw(rows, 1.0, length=1)
    assert sizer.pass_units == 1024


def test_what_waits_goes_at_once_where_that_is_known_to_be_as_quick() -> None:
    sizer = Sizer(bytes_per_row=1.0)
    assert not sizer.at_once(10**6, 1, 16)  # nothing is known
    sizer.saw(8, 8.0)
    assert not sizer.at_once(10**6, 1, 16)  # nor of this size
    sizer.saw(16, 16.4)  # within 3 %
    sizer.saw(32, 34.0)  # beyond
    assert sizer.at_once(10**6, 1, 16)
    assert not sizer.at_once(10**6, 1, 32)
    assert not sizer.at_once(15, 1, 16)  # beyond the budget
    steady = SteadySizer(bytes_per_row=1.0, length=512)
    assert steady.at_once(10**6, 512, 4)
    assert not steady.at_once(10**6, 512, 5)


def test_a_slow_time_is_not_held_against_a_size() -> None:
    sizer = Sizer(bytes_per_row=1.0)
    sizer.saw(2, 10.0)
    sizer.saw(2, 0.2)
    assert sizer.speeds == {2: 0.1}
    for _ in range(5):  # and a quick one is forgotten when it is not seen again
        sizer.saw(2, 0.4)
    assert sizer.speeds == {2: 0.2}


def test_quick_rows_start_with_more_of_them() -> None:
    slow, quick = Sizer(), Sizer()
    slow.saw(1, 0.5, 10.0, length=150_000)
    quick.saw(1, 0.001, 10.0, length=150_000)
    assert slow.rows(10**9, 150_000) == 1
    assert 10 <= quick.rows(10**9, 150_000) <= 40


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
