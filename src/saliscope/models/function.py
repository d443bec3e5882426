"""A black box: any function from an array of inputs to an array of outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from saliscope.core.errors import InputError, ModelError
from saliscope.models.tensor import TensorModel

__all__ = ["FunctionModel"]


class _Called(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        given = np.asarray(self.function(rows.detach().numpy()))
        if given.dtype.kind not in "fiub":
            msg = f"the function returned {given.dtype}; it must return numbers, a row per input"
            raise ModelError(msg)
        return torch.from_numpy(np.ascontiguousarray(given, dtype=np.float64))


class FunctionModel(TensorModel):
    """A function on numpy arrays (rows, ...) that returns (rows,) or (rows, classes).

    It offers values only; methods that need gradients refuse it by name.
    """

    offers = frozenset({"values"})

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        super().__init__(_Called(function), name)
        self.dtype = torch.float64

    def _checked(self, raw: object, name: str) -> torch.Tensor:
        array = np.asarray(raw)
        if array.dtype.kind not in "fiub":
            msg = (
                f"{name}: holds {array.dtype}; a function on arrays takes numbers, and one on "
                "tables is declared with saliscope.table_model(function, background)"
            )
            raise InputError(msg)
        return super()._checked(torch.from_numpy(array.astype(np.float64)), name)
