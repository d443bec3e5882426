"""A toy image of three pixels and a layer of two features, whose maps are computed by hand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from helpers import toys

__all__ = ["FIRST", "METHODS", "SECOND", "X", "toy"]

X = torch.tensor([[[[0.0, 1.0, 2.0]]]], dtype=torch.float64)
METHODS = ("grad_cam", "grad_cam_plus_plus", "layer_cam", "score_cam")


def toy(*heads: Sequence[float], features: Sequence[tuple[float, float]] = ((1, 0), (-1, 2)),
        width: int = 3) -> nn.Sequential:  # fmt: skip
    """Return relu(w x + b) per feature, then a head per output over (features, positions)."""
    conv = nn.Conv2d(1, len(features), 1).double()
    head = toys.linear(heads)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([w for w, _ in features]).reshape(-1, 1, 1, 1))
        conv.bias.copy_(torch.tensor([b for _, b in features]))
    return nn.Sequential(conv, nn.ReLU(), nn.Flatten(), head).eval()


FIRST = (3, 0, 0, 1, 1, -5)
SECOND = (0, -1, -1, 0, 0, -3)
