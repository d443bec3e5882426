"""Batches are as large as what computes wants: the same numbers, in fewer passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import saliscope
from saliscope.core.batching import (
    ACCELERATOR,
    CALLS,
    PROCESSOR,
    Grain,
    Sizer,
    SteadySizer,
    remembered,
)
from saliscope.models.torch_model import TorchModel


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of every pass."""
    found: list[int] = []
    run = TorchModel.run

    def counted(self: TorchModel, pieces: Any, readers: Any, **how: Any) -> Any:
        found.append(sum(len(piece.rows) for piece in pieces))
        return run(self, pieces, readers, **how)

    monkeypatch.setattr(TorchModel, "run", counted)
    return found


def net() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))


@pytest.mark.parametrize("steady", [False, True])
def test_an_accelerator_gets_all_that_waits_at_once(
    sizes: list[int], monkeypatch: pytest.MonkeyPatch, steady: bool
) -> None:
    module, inputs = net(), torch.randn(700, 6)
    small = saliscope.measure(module, inputs, 0, steady=True)
    assert max(sizes) == PROCESSOR.rows
    assert len(sizes) > 10
    sizes.clear()
    # What was learned on the processor says nothing of it.
    monkeypatch.setattr(TorchModel, "grain", ACCELERATOR)
    large = saliscope.measure(module, inputs, 0, steady=steady)
    # One row by itself: for its bytes (counted in, or beside), then all others; one for company.
    assert max(sizes) in {699, 700}
    assert len(sizes) <= 4
    np.testing.assert_allclose([m.values for m in large], [m.values for m in small], atol=1e-6)


def test_a_grain_has_its_own_budget(sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    assert ACCELERATOR.of_memory(80 << 30) == Grain(ACCELERATOR.units, 1024, 10 << 30)
    assert ACCELERATOR.of_memory(1 << 30).budget == ACCELERATOR.budget
    module, inputs = net(), torch.randn(50, 6)
    monkeypatch.setattr(TorchModel, "grain", Grain(1 << 20, 64, budget=1))
    found = saliscope.measure(module, inputs, 0)
    assert set(sizes) == {1}
    sizes.clear()
    remembered(module).sizers.clear()  # batches of one row were learned
    again = saliscope.measure(module, inputs, 0, budget=1 << 30)
    assert max(sizes) >= 49
    np.testing.assert_allclose([m.values for m in again], [m.values for m in found], atol=1e-6)


def test_what_is_never_timed_is_cut_by_its_rows() -> None:
    sizer = SteadySizer(bytes_per_row=10, length=10_000, grain=CALLS)
    assert sizer.rows(1 << 30, 10_000) == 8192
    assert sizer.rows(100, 10_000) == 10
    assert Sizer(bytes_per_row=10, grain=ACCELERATOR).rows(1 << 40, 1 << 10) == 1 << 12
    assert Sizer(bytes_per_row=10).pass_units == PROCESSOR.units / 16
