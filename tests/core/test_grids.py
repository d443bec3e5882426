"""Interpolation of a grid to units, against torch and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from saliscope.core.grids import centers, resized

SIZES = st.integers(1, 9)


@given(st.tuples(SIZES, SIZES), st.tuples(st.integers(1, 23), st.integers(1, 23)))
def test_it_is_what_torch_calls_bilinear(grid: tuple[int, int], shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).normal(size=(3, *grid))
    wanted = interpolate(torch.from_numpy(values)[None], size=shape, mode="bilinear")[0]
    np.testing.assert_allclose(resized(values, shape), wanted.numpy(), rtol=0, atol=1e-12)


def test_lines_and_volumes() -> None:
    rng = np.random.default_rng(1)
    line, volume = rng.normal(size=(2, 3)), rng.normal(size=(2, 2, 3, 2))
    wanted = interpolate(torch.from_numpy(line)[None], size=8, mode="linear")[0]
    np.testing.assert_allclose(resized(line, (8,)), wanted.numpy(), rtol=0, atol=1e-12)
    wanted = interpolate(torch.from_numpy(volume)[None], size=(5, 4, 7), mode="trilinear")[0]
    np.testing.assert_allclose(resized(volume, (5, 4, 7)), wanted.numpy(), rtol=0, atol=1e-12)


def test_by_hand() -> None:
    # Two cells over six units: centers at 1 and 4, flat beyond them.
    np.testing.assert_allclose(resized(np.array([0.0, 3.0]), (6,)), [0, 0, 1, 2, 3, 3])
    assert centers(2, 6) == [1.0, 4.0]
    np.testing.assert_array_equal(resized(np.array([[7.0]]), (2, 2)), [[7, 7], [7, 7]])
    np.testing.assert_array_equal(resized(np.arange(6.0).reshape(2, 3), (2, 3)),
                                  np.arange(6.0).reshape(2, 3))  # fmt: skip


@pytest.mark.parametrize("cells", [1, 2, 7])
def test_a_constant_stays_constant(cells: int) -> None:
    np.testing.assert_allclose(resized(np.full((cells, cells), 2.5), (31, 10)), 2.5, rtol=1e-14)
