"""Another way of running a module is taken only where it gives the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import saliscope
from saliscope.models.trial import channels_last, same_given, slides

PICTURE = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Convolutions, and a note of how what it is given lies in memory."""

    def __init__(self, how: str = "flatten") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(8, 8, 3, 2)
        self.last, self.how = nn.Linear(8 * 81, 5), how
        self.strides: list[bool] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Flatten in one way or another."""
        self.strides.append(x.is_contiguous(memory_format=torch.channels_last))
        x = F.relu(self.two(F.relu(self.one(x))))
        if self.how == "view":
            return self.last(x.view(len(x), -1))  # fails where channels go last
        if self.how == "strides":
            x = x.as_strided((len(x), 8 * 81), (8 * 81, 1))  # gives something else there
        return self.last(x.reshape(len(x), -1))


@pytest.mark.parametrize("method", ["gradient", "integrated_gradients", "grad_cam", "deeplift"])
def test_channels_go_last_where_that_gives_the_same(method: str) -> None:
    net = Net()
    got = saliscope.explain(net, PICTURE, method, 1)
    assert net.strides[-1]
    net.double()
    wanted = saliscope.explain(net, PICTURE.double(), method, 1)
    assert not net.strides[-1]  # no gain in double precision
    scale = np.abs(wanted.to_numpy()).max()
    np.testing.assert_allclose(got.to_numpy(), wanted.to_numpy(), rtol=0, atol=2e-5 * scale)


@pytest.mark.parametrize("how", ["view", "strides"])
def test_a_module_that_needs_its_order_keeps_it(how: str) -> None:
    net, usual = Net(how), Net()
    got = saliscope.explain(net, PICTURE, "gradient", 1)
    assert not net.strides[-1]
    wanted = saliscope.explain(usual, PICTURE, "gradient", 1)
    np.testing.assert_allclose(got.to_numpy(), wanted.to_numpy(), rtol=0, atol=1e-6)


def test_it_is_tried_once_for_each_shape() -> None:
    net = Net()
    for _ in range(2):
        assert channels_last(net, PICTURE, "as built")
    assert net.strides == [True, False]
    assert not channels_last(net, PICTURE[:, :, :20, :20], "as built")  # so small that it is equal
    assert not channels_last(net.double(), PICTURE.double(), "as built")
    assert not channels_last(nn.Sequential(nn.Flatten(), nn.Linear(4800, 2)), PICTURE, "as built")
    assert len(net.strides) == 2


def test_modules_that_are_compiled_are_left_alone() -> None:
    net = Net()
    assert slides(net)
    assert not slides(torch.jit.script(nn.Sequential(nn.Conv2d(3, 2, 3))))
    assert not slides(nn.Linear(2, 2))


class Picky(Net):
    """Fails on dark pictures, whatever their order."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Refuse."""
        if bool((x.mean((1, 2, 3)) < -1).any()):
            msg = "too dark"
            raise ValueError(msg)
        return super().forward(x)


def test_an_input_that_fails_either_way_changes_nothing() -> None:
    net = Picky()
    inputs = [PICTURE, torch.cat([PICTURE, PICTURE - 5]), PICTURE * 0.5]
    got = saliscope.explain(net, inputs, "gradient", 1, errors="collect")
    assert isinstance(got[1], saliscope.ModelError)
    assert net.strides[-1]
    saliscope.explain(net, PICTURE, "gradient", 1)
    assert net.strides[-1]


class Later(Net):
    """Needs its order only where gradients are wanted."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """View the rows, which fails where channels go last."""
        if x.requires_grad:
            x.view(len(x), -1)
        return super().forward(x)


def test_an_order_that_fails_later_is_given_up() -> None:
    net = Later()
    got = saliscope.explain(net, PICTURE, "gradient", 1)
    assert not net.strides[-1]
    wanted = saliscope.explain(Net(), PICTURE, "gradient", 1)
    np.testing.assert_allclose(got.to_numpy(), wanted.to_numpy(), rtol=0, atol=1e-6)


def fails() -> Any:
    raise RuntimeError


def test_the_same_is_given_up_to_rounding() -> None:
    x = torch.tensor([1.0, 2.0, float("nan")])
    assert same_given(lambda: (x, 3), lambda: (x + 1e-6, 3))
    assert not same_given(lambda: (x, 3), lambda: (x + 1e-2, 3))
    assert not same_given(lambda: [x], lambda: [x.double()])
    assert not same_given(lambda: [x], lambda: [x, x])
    assert not same_given(lambda: [torch.tensor(1)], lambda: [torch.tensor(2)])
    assert not same_given(fails, lambda: x)
    assert not same_given(lambda: x, object)
    state = torch.get_rng_state()
    assert not same_given(lambda: torch.rand(9), lambda: torch.rand(9))
    assert torch.equal(torch.get_rng_state(), state)
