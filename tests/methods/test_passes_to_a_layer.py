"""What runs for maps at a layer: one pass, cut there, whatever comes out of the layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from helpers import toys
from helpers.features import FIRST, METHODS, SECOND, X, toy
from saliscope import explain, load


class _NoWayBack(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(_ctx: Any, _gradient: torch.Tensor) -> torch.Tensor:
        msg = "the backward pass went beyond the layer"
        raise AssertionError(msg)


class Watched(nn.Module):
    """A net whose part before the layer must not be differentiated."""

    def __init__(self) -> None:
        super().__init__()
        self.late = toy(FIRST, SECOND)
        self.graphs: list[bool] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Note whether there is a graph before the layer."""
        before = _NoWayBack.apply(x)
        self.graphs.append(before.requires_grad)
        logits: torch.Tensor = self.late(before)
        return logits


@pytest.mark.parametrize("method", METHODS)
def test_the_way_back_stops_at_the_layer(method: str) -> None:
    net = Watched()
    parameters = list(net.parameters())
    parameters[0].grad = torch.full_like(parameters[0], 7.0)
    a = explain(net, X, method, [0, 1], layer="late.1")
    assert a.to_numpy().any()
    # The first pass looks for layers, and has a graph to know on which ones the output depends.
    assert net.graphs[0] is False
    assert not any(net.graphs[2:])
    assert [p.grad is not None for p in parameters] == [True, False, False]
    assert bool((parameters[0].grad == 7).all())
    assert all(p.requires_grad for p in parameters)


def test_all_targets_and_examples_come_from_one_forward_pass() -> None:
    net, model = toy(FIRST, SECOND), load(toy(FIRST, SECOND))
    explain(model, X.repeat(4, 1, 1, 1), "grad_cam", [0, 1])
    with toys.Calls(model.module) as calls:
        a = explain(model, X.repeat(4, 1, 1, 1), "grad_cam", [0, 1])
    assert calls.sizes == [4]
    assert a.evaluations == 4
    alone = explain(net, X, "grad_cam", [0, 1])
    np.testing.assert_allclose(a.to_numpy(), np.repeat(alone.to_numpy(), 4, axis=1), atol=1e-14)


class InPlace(nn.Module):
    """Changes what the layer gave, after it gave it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = toy(FIRST)[:1], toy(FIRST)[3]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Double in place."""
        inner = self.layer(x)
        inner.mul_(2)
        logits: torch.Tensor = self.head(inner.flatten(1))
        return logits


def test_what_is_changed_in_place_afterwards_is_seen_before() -> None:
    a = explain(InPlace(), X, "grad_cam", 0, layer="layer")
    np.testing.assert_allclose(a.to_numpy()[0, 0], [0, 0, 4])  # twice the slopes
    assert explain(InPlace(), X, "layer_cam", 0).provenance["layer"]["name"] == "layer"


@pytest.mark.parametrize("kind", ["tuple", "list", "dict", "named"])
def test_a_layer_may_give_a_container(kind: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = toys.Wrapped(toy(FIRST)[:2], kind), toy(FIRST)[3]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = self.layer(x)
            inner = out["logits"] if kind == "dict" else out[0]
            logits: torch.Tensor = self.head(inner.flatten(1))
            return logits

    for method in METHODS:
        a = explain(Net(), X, method, 0, layer="layer")
        plain = explain(toy(FIRST), X, method, 0)
        np.testing.assert_allclose(a.to_numpy(), plain.to_numpy(), atol=1e-12)
