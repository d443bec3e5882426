"""What has no rule is refused by name; what the tape notes of a pass, and what it leaves alone."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from helpers import state
from helpers.operations import After, Function, conserves, lift, rows
from saliscope import RefusedError, explain
from saliscope.models.rules import find_rule
from saliscope.models.rules.deeplift import LINEAR, OPERATIONS
from saliscope.models.rules.tape import Tape


class Halved(torch.autograd.Function):
    """Somebody's own function with a backward pass of its own."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """Return half."""
        return x / 2

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        """Return half."""
        return gradient / 2


REFUSED: dict[str, tuple[Function, str]] = {
    "cumprod": (lambda x: x.cumprod(-1), "cumprod has no rule"),
    "prod": (lambda x: x.prod(-1), "prod has no rule"),
    "sort": (lambda x: x.sort(-1).values, "sort has no rule"),
    "topk": (lambda x: x.topk(2).values, "topk has no rule"),
    "median": (lambda x: x.median(-1).values, "median has no rule"),
    "round": (torch.round, "round has no rule"),
    "atan2": (lambda x: torch.atan2(x, x + 1), "atan2 has no rule"),
    "logcumsumexp": (lambda x: x.logcumsumexp(-1), "logcumsumexp has no rule"),
    "own function": (Halved.apply, "halved has no rule"),
    "cumprod in place": (lambda x: (x * 1)[:, 1:].cumprod_(-1), "cumprod has no rule"),
    "norm of order 1": (lambda x: x / x.norm(1, -1, keepdim=True), "vector norm of order 1"),
    "rounding": (lambda x: torch.div(x, x.flip(-1), rounding_mode="floor"), "no rule|rounding"),
    "gate of another": (lambda x: x * (x.flip(-1) > 0), "mul by a mask"),
    "where by another": (lambda x: torch.where(x.flip(-1) > 0, x, 2 * x), "where by a mask"),
    "fill by another": (lambda x: x.masked_fill(x.flip(-1) > 0, 0.5), "masked_fill by a mask"),
    "detached": (lambda x: x * x.detach().exp(), "mul by a mask or factor"),
    "detached, added": (lambda x: x + x.detach(), "add uses something"),
    "chosen by argmax": (
        lambda x: x.gather(-1, x.argmin(-1, keepdim=True)), "gather uses something .index."
    ),
    "two moving inputs": (lambda x: F.conv1d(x[None], x[:, None, :3], groups=len(x)),
                          "convolution with two inputs that move"),
    "both powers": (lambda x: (x.abs() + 1) ** x, "an input of pow moves"),
    "course": (lambda x: x.relu() if x.sum() > -8 else x.tanh(), "does tanh on the input"),
    "length": (lambda x: x.relu() if x.sum() > -8 else x.relu().relu(), "does relu on the input"),
    "complex": (lambda x: (torch.fft.rfft(x) * torch.fft.rfft(x)).real, "complex numbers"),
    "dropout": (lambda x: F.dropout(x, 0.5, training=True), "mul by a mask or factor"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_rule_is_refused_by_name_in_one_line(name: str) -> None:
    function, words = REFUSED[name]
    net = After(function)
    x, b = rows()
    with state.unchanged(net), pytest.raises(RefusedError, match=words) as caught:
        explain(net, x[:1], "deeplift", 0, baseline=-b)
    assert "\n" not in str(caught.value)
    assert "After" in str(caught.value)
    assert "integrated_gradients" in str(caught.value)
    explain(net, x[:1], "gradient", 0)  # everything else works as before


def test_batch_statistics_over_examples_are_refused_and_over_one_are_not() -> None:
    def normed(x: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(x.reshape(len(x), 2, 3), None, None, training=True)

    x, b = rows()
    net = After(normed)
    alone = explain(net, x[:1], "deeplift", 0, baseline=b)
    assert conserves(alone, 1e-13)
    with pytest.raises(RefusedError, match="batch_norm takes its statistics from the batch"):
        explain(net, x, "deeplift", 0, baseline=torch.stack([b, -b]))


def test_a_constant_that_is_made_anew_is_not_taken_for_one_that_changes() -> None:
    scale = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    a = lift(lambda x: (x * scale.to(x).square() + torch.arange(6.0).to(x)).relu())
    assert conserves(a, 1e-14)


def test_a_buffer_that_is_changed_in_place_between_the_runs_is_noticed() -> None:
    class Counting(After):
        def __init__(self) -> None:
            super().__init__(torch.relu)
            self.register_buffer("count", torch.zeros(1, dtype=torch.float64))

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            out = super().forward(rows) * (1 + self.count)
            self.count += 1
            return out

    x, b = rows()
    with pytest.raises(RefusedError, match="mul by a mask or factor"):
        explain(Counting(), x, "deeplift", 0, baseline=b)


def test_a_target_that_does_not_depend_on_the_input_is_flat() -> None:
    a = lift(torch.ones_like)
    assert not a.to_numpy().any()
    assert "flat" in a.health


def test_the_tape_notes_what_moves_and_keeps_what_is_wanted() -> None:
    x = torch.ones(3, requires_grad=True)
    other = torch.full((3,), 2.0)
    with Tape(lambda name, _: name == "relu") as tape:
        y = (x * other).relu()
        other.relu()
        with torch.no_grad():
            x.relu()
        other.add_(5.0)
        y.mul_(3.0)
    assert [step.name for step in tape.steps] == ["mul", "relu", "mul"]
    product, relu, _ = tape.steps
    assert product["self"] is None
    assert product["other"].tolist() == [2, 2, 2]  # as it was, although it changed
    assert relu["self"].tolist() == [2, 2, 2]
    assert not relu["self"].requires_grad
    assert relu.movers == {"self"}
    assert y.tolist() == [6, 6, 6]


def test_names_of_operations_exist() -> None:
    for name in OPERATIONS.keys() - {"ctc"}:  # an autograd function of the package's own
        assert getattr(torch.ops.aten, name).overloads()
        assert name.replace("_", "") not in LINEAR
    assert find_rule("deeplift", []).run


def test_watching_operations_does_not_import_the_compiler() -> None:
    program = (
        "import sys, torch, saliscope\n"
        "net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))\n"
        "for method in ('gradient', 'deeplift'):\n"
        "    saliscope.explain(net, torch.ones(1, 3), method, 0)\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
