"""Functions behind a layer, explained by rules for their operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from helpers import toys
from saliscope import explain

__all__ = ["After", "Function", "conserves", "lift", "rows"]

Function = Callable[[torch.Tensor], torch.Tensor]


class After(nn.Module):
    """A function after a layer that moves all of its inputs, with a weighted sum at the end."""

    def __init__(self, function: Function, width: int = 6) -> None:
        super().__init__()
        self.first = toys.random_net(0, (4, width), nn.Identity, 4.0)
        self.function = function

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return one number per row."""
        out = self.function(self.first(rows)).reshape(len(rows), -1)
        weights = torch.linspace(-1, 2, out.shape[1]).to(out) + 0.1
        return out @ weights


def rows(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Return three inputs and a baseline."""
    random = torch.Generator().manual_seed(8)
    x = torch.randn((3, 4), generator=random, dtype=torch.float64)
    b = torch.randn(4, generator=random, dtype=torch.float64)
    return x.to(dtype), b.to(dtype)


def lift(function: Function, width: int = 6, dtype: torch.dtype = torch.float64) -> Any:
    """Explain a function after a layer."""
    x, b = rows(dtype)
    return explain(After(function, width).to(dtype).eval(), x, "deeplift", 0, baseline=b)


def conserves(result: Any, least: float) -> bool:
    """Whether attributions sum to the score change."""
    size = np.abs(result.to_numpy()).sum(1) + np.abs(result.score).values
    return bool((np.abs(result.gap).values <= least * size).all())
