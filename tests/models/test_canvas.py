"""Rows that are kept between the batches of an occlusion are always what they should be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import saliscope
from saliscope.core.model import Piece, Sample
from saliscope.core.perturbation import Baseline, Perturbation
from saliscope.core.units import Units
from saliscope.models.patches.canvas import Canvas


def sample_of(value: torch.Tensor) -> Sample:
    dims = tuple(f"dim_{i + 1}" for i in range(value.ndim))
    units = Units(dims, tuple(value.shape), "element")
    return Sample("x", "", units, value, {"scalar": False})


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_every_batch_holds_the_input_with_its_own_boxes_covered(dtype: torch.dtype) -> None:
    value = torch.arange(1.0, 31.0).reshape(5, 6).to(dtype)
    sample = sample_of(value)
    fill = torch.full_like(value, -7.0)
    boxes = sample.units.boxes((2, 3), (1, 2))
    moved = Perturbation.leave_one_out(boxes, [Baseline("given", fill)])
    canvas = Canvas()
    for rows in ([0, 1, 2], [5], [3, 4], list(range(boxes.count + 1))):
        got = canvas.paint(Piece(sample, moved, np.array(rows)))
        assert boxes.boxes is not None
        for row, one in zip(rows, got, strict=True):
            expected = value.clone()
            if row < boxes.count:  # the last is the input itself
                expected[boxes.boxes[row]] = -7.0
            assert torch.equal(one, expected)


def test_rows_that_a_model_has_written_into_are_made_anew() -> None:
    sample = sample_of(torch.ones(4))
    moved = Perturbation.leave_one_out(
        sample.units.boxes((1,), (1,)), [Baseline("zero", torch.zeros(4))]
    )
    canvas = Canvas()
    canvas.paint(Piece(sample, moved, np.array([0, 1]))).mul_(9)
    assert canvas.paint(Piece(sample, moved, np.array([2, 3]))).tolist() == [
        [1, 1, 0, 1], [1, 1, 1, 0],
    ]  # fmt: skip


def test_a_first_operation_in_place_changes_no_number() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(40, 3)
    plain = nn.Sequential(nn.ReLU(), linear)
    in_place = nn.Sequential(nn.ReLU(inplace=True), linear)
    x = torch.randn(2, 40)
    settings = {"method": "occlusion", "target": 1, "window": 3, "stride": 1}
    one, other = (saliscope.explain(net, x, **settings) for net in (plain, in_place))
    np.testing.assert_array_equal(one.to_numpy(), other.to_numpy())


def test_a_model_that_returns_its_input_is_read_before_the_rows_change() -> None:
    x = torch.arange(1.0, 21.0, dtype=torch.float64)[None]
    fourth = saliscope.Call(lambda out: out[:, 3])
    a = saliscope.explain(nn.Identity(), x, method="occlusion", window=1, target=fourth, budget=1)
    expected = np.zeros(20)
    expected[3] = 4.0
    np.testing.assert_array_equal(a.to_numpy()[0], expected)
