"""Every method in every floating type where numbers are exactly zero: nothing divides by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from helpers.cases import ABLE, Case, names
from saliscope import RefusedError, explain

CLOSE = {torch.float64: 1e-12, torch.float32: 1e-4, torch.bfloat16: 0.25, torch.float16: 0.1}
pairs = pytest.mark.parametrize(
    ("method", "case"), [p for p in ABLE if p[1].name in {"tensor", "conv", "text"}], ids=names
)
NO_TARGET = {"attention", "rollout", "attention_flow"}  # even where the target says nothing
LAYERS = {"grad_cam", "grad_cam_plus_plus", "layer_cam", "score_cam"}


def linear(module: nn.Module) -> list[nn.Linear | nn.Conv2d]:
    """Return the layers that multiply by weights."""
    return [part for part in module.modules() if isinstance(part, nn.Linear | nn.Conv2d)]


def finite(a: Any) -> None:
    assert all(np.isfinite(a.data[name]).all() for name in a.data.data_vars)
    assert "non_finite" not in a.health


@pairs
def test_a_model_without_weights_has_a_map_of_zeros(method: str, case: Case) -> None:
    for dtype in CLOSE:
        model = case.make(dtype)
        with torch.no_grad():
            for part in linear(model.module):
                for parameter in part.parameters():
                    parameter.zero_()
        options = {"method": method, "target": case.targets[0], **case.options(method)}
        if method in LAYERS:  # a layer is not inferred where none counts
            with pytest.raises(RefusedError, match="layer="):
                explain(model, case.inputs[0], **options)
            continue
        a = explain(model, case.inputs[0], **options)
        finite(a)
        assert method in NO_TARGET or not a.to_numpy().any()


@pairs
def test_dead_units_and_inputs_of_zeros_divide_by_nothing(method: str, case: Case) -> None:
    """Half of all units are dead, and an input of numbers is zero, like its baseline."""
    raw, maps = case.inputs[0], {}
    raw = raw if isinstance(raw, str) else torch.zeros_like(raw)
    for dtype in CLOSE:
        model = case.make(dtype)
        with torch.no_grad():
            for part in linear(model.module):
                half = part.weight.shape[0] // 2
                part.weight[:half] = 0
                if part.bias is not None:
                    part.bias[:half] = 0
        a = explain(model, raw, method, case.targets[0], **case.options(method))
        finite(a)
        maps[dtype] = a.to_numpy()
    wide = maps[torch.float64]
    for dtype, close in CLOSE.items():
        most = max(np.abs(wide).max(), 0.01)
        np.testing.assert_allclose(maps[dtype], wide, rtol=0, atol=close * most, err_msg=str(dtype))
