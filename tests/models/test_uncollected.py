"""The garbage collector is left as it was found, whatever happens in between."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from saliscope.models.memory import uncollected


@pytest.fixture(params=[True, False])
def before(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether garbage is collected outside."""
    found = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if found else gc.disable)()


def test_it_is_left_as_it_was(before: bool) -> None:
    with uncollected(), uncollected():
        assert not gc.isenabled()
    assert gc.isenabled() == before


def test_also_when_a_batch_fails(before: bool) -> None:
    @uncollected()
    def fails() -> None:
        assert not gc.isenabled()
        raise ValueError

    for _ in range(2):
        with pytest.raises(ValueError):  # noqa: PT011
            fails()
        assert gc.isenabled() == before


def test_contexts_that_overlap_leave_it_to_the_last(before: bool) -> None:
    first, second = uncollected(), uncollected()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled() == before
