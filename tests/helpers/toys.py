"""Small models whose attributions can be worked out by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn


def two_layer(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """Return relu(W1 x + b1) W2 + b2 with three inputs and two outputs, weights by hand.

    h1 = relu(x1 - x2), h2 = relu(2 x2 + x3 - 1); out0 = h1 + h2 + 1/2, out1 = 2 h1 - h2.
    """
    net = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2)).to(dtype)
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, -1.0, 0.0], [0.0, 2.0, 1.0]]))
        net[0].bias.copy_(torch.tensor([0.0, -1.0]))
        net[2].weight.copy_(torch.tensor([[1.0, 1.0], [2.0, -1.0]]))
        net[2].bias.copy_(torch.tensor([0.5, 0.0]))
    return net.eval()


TWO_LAYER_INPUT = (2.0, 1.0, 1.0)
"""At this input h = (1, 2), out = (3.5, 0)."""


def linear(weights: Sequence[Sequence[float]], bias: Sequence[float] | None = None) -> nn.Linear:
    """Return a float64 linear layer with the given rows."""
    matrix = torch.tensor(weights, dtype=torch.float64)
    layer = nn.Linear(matrix.shape[1], matrix.shape[0], bias=bias is not None).double()
    with torch.no_grad():
        layer.weight.copy_(matrix)
        if bias is not None:
            layer.bias.copy_(torch.tensor(bias, dtype=torch.float64))
    return layer.eval()


def random_net(
    seed: int, sizes: Sequence[int], activation: Callable[[], nn.Module], scale: float = 1.0,
    dtype: torch.dtype = torch.float64,
) -> nn.Sequential:  # fmt: skip
    """Return a fully connected network with weights from one seed, times `scale`."""
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for i, (inner, outer) in enumerate(itertools.pairwise(sizes)):
        layer = nn.Linear(inner, outer)
        with torch.no_grad():
            bound = scale / inner**0.5
            for parameter in layer.parameters():
                parameter.uniform_(-bound, bound, generator=generator)
        layers += [layer] if i == len(sizes) - 2 else [layer, activation()]
    return nn.Sequential(*layers).to(dtype).eval()


class PoolNet(nn.Module):
    """Rows of any number of three-number positions: attention-like pooling to four classes."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.lift = random_net(1, (3, 8, 6), nn.GELU, 3.0, dtype)
        self.drop = nn.Dropout(0.5)
        self.norm = nn.LayerNorm(6).to(dtype)
        self.head = random_net(2, (6, 4), nn.ReLU, 4.0, dtype)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (rows, 4)."""
        lifted = self.drop(self.lift(rows))
        share = lifted[..., :1].softmax(1)
        pooled: torch.Tensor = self.head(self.norm((share * lifted).sum(1)))
        return pooled


class ConvNet(nn.Module):
    """Images of any size, gray or color: two convolutions, the second with a stride of two.

    The mean over the last grid goes to four classes; what speaks for class 2 is positive.
    """

    def __init__(self, dtype: torch.dtype = torch.float32, channels: int = 1) -> None:
        super().__init__()
        self.early = nn.Conv2d(channels, 3, 3, padding=1)
        self.late = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.relu = nn.ReLU()
        self.head = nn.Linear(4, 4)
        generator = torch.Generator().manual_seed(8)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-0.6, 0.8, generator=generator)
            self.head.weight[2].abs_()
        self.to(dtype)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (rows, 4)."""
        inner = self.relu(self.early(images))
        logits: torch.Tensor = self.head(self.relu(self.late(inner)).mean((2, 3)))
        return logits


class Pair(NamedTuple):
    """A named pair of outputs."""

    logits: torch.Tensor
    hidden: torch.Tensor


class Wrapped(nn.Module):
    """A module that returns its output in some container."""

    def __init__(self, inner: nn.Module, kind: str) -> None:
        super().__init__()
        self.inner, self.kind = inner, kind

    def forward(self, rows: torch.Tensor) -> Any:
        """Return the output as `kind` says."""
        out = self.inner(rows)
        return {
            "tensor": lambda: out,
            "tuple": lambda: (out, rows.sum()),
            "list": lambda: [out, rows],
            "dict": lambda: {"logits": out, "other": rows},
            "named": lambda: Pair(out, rows),
            "object": lambda: SimpleNamespace(logits=out),
        }[self.kind]()


class Broken(nn.Module):
    """A module that puts something in place of its output's numbers."""

    def __init__(self, inner: nn.Module, number: float) -> None:
        super().__init__()
        self.inner, self.number = inner, number

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the inner output times `number` (NaN, infinity, zero)."""
        out: torch.Tensor = self.inner(rows) * self.number
        return out


class Calls:
    """Stands in for a module's forward: counts calls and rows, and may fail.

    Parameters
    ----------
    module : torch.nn.Module
    fail_at : int, optional
        Number of the call that raises `error`, counted from 1.
    most : int, optional
        Rows above which `torch.OutOfMemoryError` is raised.
    """

    def __init__(
        self, module: nn.Module, *, fail_at: int | None = None, most: int | None = None,
        error: Callable[[], BaseException] = lambda: RuntimeError("broken on purpose"),
    ) -> None:  # fmt: skip
        self.inner, self.fail_at, self.most, self.error = module.forward, fail_at, most, error
        self.calls, self.sizes = 0, list[int]()
        self.module = module

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the module's own forward."""
        rows = len(args[0] if args else kwargs["input_ids"])
        self.calls += 1
        if self.calls == self.fail_at:
            raise self.error()
        if self.most is not None and rows > self.most:
            msg = "no memory for that many rows"
            raise torch.OutOfMemoryError(msg)
        self.sizes.append(rows)
        return self.inner(*args, **kwargs)

    def __enter__(self) -> Calls:
        self.module.forward = self  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        del self.module.forward


def numpy_softplus(rows: np.ndarray) -> np.ndarray:
    """Return two outputs of a plain numpy function; a black box."""
    weights = np.linspace(-1.0, 1.5, rows[0].size)
    inner = rows.reshape(len(rows), -1) @ weights
    return np.stack([np.log1p(np.exp(inner)), inner**2], axis=1)
