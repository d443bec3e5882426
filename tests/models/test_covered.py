"""Occlusion by patches: when it is done, that it changes no number, and what it costs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import saliscope
from saliscope.core.model import Piece
from saliscope.core.perturbation import Perturbation
from saliscope.core.units import Grouping
from saliscope.models.patches import covered
from saliscope.models.patches.rows import PatchRows
from saliscope.models.patches.story import Story
from saliscope.models.tensor import TensorModel

SIZE = (3, 48, 40)


class Seen(nn.Module):
    """A network that notes what it is given."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.kinds: list[type] = []
        self.rows: list[int] = []

    def forward(self, x: torch.Tensor) -> Any:
        """Note kind and rows."""
        self.kinds.append(type(x))
        self.rows.append(len(x))
        return self.net(x)


def network() -> Seen:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(inplace=True),
        nn.Conv2d(6, 6, 3, 1, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU(inplace=True),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 12 * 10, 4),
    ).double()  # fmt: skip
    net(torch.rand(9, *SIZE).double())
    return Seen(net.eval())


def pictures(count: int = 1) -> torch.Tensor:
    return torch.rand(count, *SIZE, generator=torch.Generator().manual_seed(3)).double()


@contextmanager
def whole_rows(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run everything on whole rows."""
    with monkeypatch.context() as patch:
        patch.setattr("saliscope.models.tensor.fits", lambda *_: False)
        yield


def both(monkeypatch: pytest.MonkeyPatch, module: Seen, *args: Any, **given: Any) -> list[Any]:
    """Explain by patches and by whole rows; return the maps."""
    fast = saliscope.explain(module, *args, **given)
    assert module.kinds.count(PatchRows) > 2  # as often as it is tried
    module.kinds.clear()
    with whole_rows(monkeypatch):
        slow = saliscope.explain(module, *args, **given)
    assert set(module.kinds) == {torch.Tensor}
    pairs = zip(fast, slow, strict=True) if isinstance(fast, list) else [(fast, slow)]
    for a, b in pairs:
        np.testing.assert_allclose(a.to_numpy(), b.to_numpy(), rtol=0, atol=1e-12)
        assert a.evaluations == b.evaluations
        np.testing.assert_allclose(a.score, b.score, rtol=0, atol=1e-12)
    return [fast, slow]


WAYS: dict[str, dict[str, Any]] = {
    "occlusion": {"method": "occlusion", "window": (3, 8, 8), "stride": (3, 4, 4)},
    "of one channel": {"method": "occlusion", "window": (1, 8, 8), "stride": (1, 4, 8)},
    "columns": {"method": "occlusion", "window": (3, 48, 2), "stride": (3, 48, 1)},
    "with a number": {"method": "occlusion", "window": (3, 7, 5), "stride": (3, 7, 5), "fill": 0.5},
    "with a tensor": {
        "method": "occlusion", "window": (3, 8, 8), "stride": (3, 8, 4),
        "fill": pictures(2)[1],
    },
    "tight": {
        "method": "occlusion", "window": (3, 8, 8), "stride": (3, 4, 4), "budget": 200_000,
    },
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_maps_are_those_of_whole_rows(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    both(monkeypatch, network(), pictures(), target=1, **WAYS[way])


def test_pictures_share_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    both(monkeypatch, network(), pictures(3), target=[1, 2], **WAYS["occlusion"])
    model = TensorModel(network(), "net")
    pieces = []
    for number, sample in enumerate(model.prepare(pictures(3))):
        boxes = sample.units.boxes((3, 8, 8), (3, 4, 4))
        moved = Perturbation.leave_one_out(boxes, [model.baseline(sample, float(number))])
        pieces.append(Piece(sample, moved, np.array([3 * number, 99])))
    rows = covered.as_patches(pieces, Story())
    assert rows.inputs == 3
    with torch.no_grad():
        wanted = model.module(rows.settle())
        got = covered.settled(model.module(covered.as_patches(pieces, Story())))
    torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(wanted[1::2], model.module(pictures(3)))


def test_several_fills(monkeypatch: pytest.MonkeyPatch) -> None:
    both(
        monkeypatch, network(), pictures(), method="masking", target=0,
        groups=np.arange(3 * 48 * 40).reshape(SIZE) % 1920 // 40 // 4 * 10
        + np.arange(40) // 4, baseline=pictures(3)[1:],
    )  # fmt: skip


def test_groups_of_any_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a picture that are no boxes, apart from each other, and units in no part."""
    y, x = np.mgrid[:48, :40]
    labels = np.where((x + y) % 7 == 0, -1, y // 6 * 8 + (x + y // 2) % 40 // 5)
    labels = np.unique(labels, return_inverse=True)[1].reshape(48, 40) - 1
    model = TensorModel(network(), "net")
    (sample,) = model.prepare(pictures())
    grouping = Grouping("part", labels=np.broadcast_to(labels, SIZE).copy())
    moved = Perturbation.leave_one_out(grouping, [model.baseline(sample, 0.25)])
    pieces = [Piece(sample, moved, np.arange(moved.rows))]
    got = covered.as_patches(pieces, Story()).settle()
    for row, label in enumerate([*range(grouping.count), -9]):
        wanted = torch.where(torch.from_numpy(labels == label), 0.25, sample.value)
        assert torch.equal(got[row], wanted)


def test_lines_are_read_by_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    model = saliscope.load("zoo:handwriting")
    line = torch.rand(1, 48, 560, generator=torch.Generator().manual_seed(0)) ** 0.2
    seen: list[type] = []
    see = type(model).see
    monkeypatch.setattr(type(model), "see", lambda *a: seen.append(type(a[1])) or see(*a))
    given: dict[str, Any] = {"method": "occlusion", "target": "text:no", "fill": "paper"}
    given |= {"window": (48, 8), "stride": (48, 4)}
    fast = saliscope.explain(model, line, **given)
    assert seen.count(PatchRows) > 2  # as often as it is tried
    with whole_rows(monkeypatch):
        slow = saliscope.explain(model, line, **given)
    np.testing.assert_allclose(fast.to_numpy(), slow.to_numpy(), rtol=0, atol=2e-4)
    assert np.abs(slow.to_numpy()).max() > 0.1


def refused(module: nn.Module, **given: Any) -> None:
    """Explain, and see that every row went through whole."""
    module = Seen(module)
    saliscope.explain(module, pictures(), "occlusion", 0, **{"window": (3, 8, 8)} | given)
    assert module.kinds[-1] is torch.Tensor


class Random(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3).double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Draw numbers, as a network does that keeps its dropout."""
        return F.dropout(self.conv(x), 0.5, training=True).mean((2, 3))


class Together(nn.Module):
    """Rows that depend on each other, and on how many they are."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3).double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return numbers that numpy made."""
        return torch.from_numpy(self.conv(x).numpy().mean((2, 3)))


@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_run_on_patches_runs_on_whole_rows() -> None:
    refused(Random())
    refused(Together())
    refused(nn.Sequential(nn.Flatten(), nn.Linear(5760, 3)).double())  # slides over nothing
    conv = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()
    refused(conv, window=(3, 40, 40))  # covers most
    refused(conv, window=(3, 8, 40), stride=(3, 8, 40))  # few rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refused(torch.jit.trace(conv, pictures()))


class Fails(nn.Module):
    """Fails on patches, or once memory runs out."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.conv, self.most = nn.Conv2d(3, 4, 3).double(), most

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run out of memory on many rows."""
        if len(x) > self.most:
            raise torch.OutOfMemoryError
        return self.conv(x).mean((2, 3))


def test_memory_that_runs_out_is_no_reason_against_patches() -> None:
    found = saliscope.explain(Fails(8), pictures(), "occlusion", 0, window=(3, 8, 8))
    wanted = saliscope.explain(Fails(10**9), pictures(), "occlusion", 0, window=(3, 8, 8))
    assert np.ptp(found.to_numpy()) > 0
    assert found.to_numpy().shape == wanted.to_numpy().shape


class Later(nn.Module):
    """Fails on patches from some batch on."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.batches = nn.Conv2d(3, 4, 3).double(), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Ask for numbers of the fourth batch."""
        self.batches += isinstance(x, PatchRows)
        if self.batches > 3:
            x.numpy()
        return self.conv(x.sub_(0.5)).mean((2, 3))


def test_patches_that_fail_later_are_given_up() -> None:
    net = Later()
    got = saliscope.explain(net, pictures(), "occlusion", 0, window=(3, 8, 8), stride=(3, 2, 2))
    assert net.batches == 4
    wanted = saliscope.explain(net, pictures(), "occlusion", 0, window=(3, 8, 8), stride=(3, 2, 2))
    assert net.batches == 4  # never again
    np.testing.assert_allclose(got.to_numpy(), wanted.to_numpy(), rtol=0, atol=1e-12)


def test_what_becomes_of_the_input_is_made_once() -> None:
    module = network()
    story, model = Story(), TensorModel(module, "net")
    (sample,) = model.prepare(pictures())
    boxes = sample.units.boxes((3, 8, 8), (3, 4, 4))
    moved = Perturbation.leave_one_out(boxes, [model.baseline(sample, None)])
    numbers = []
    with torch.no_grad():
        for rows in (np.arange(20, 30), np.arange(30, 40)):
            count = Rows()
            with count:
                module(covered.as_patches([Piece(sample, moved, rows)], story))
            numbers.append(count.ones)
    assert numbers[0] > 0
    assert numbers[1] == 0  # the second batch met nothing that was not known


class Rows(torch.utils._python_dispatch.TorchDispatchMode):
    """Counts the operations on one row."""

    ones = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        """Count convolutions of the input alone."""
        if any(issubclass(kind, PatchRows) for kind in types):
            return NotImplemented
        made = func(*args, **(kwargs or {}))
        self.ones += func is torch.ops.aten.convolution.default and len(made) == 1
        return made


def test_the_input_is_not_written_into() -> None:
    class First(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3).double()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x.sub_(0.5).mul_(2.0)).mean((2, 3))

    picture = pictures()
    before = picture.clone()
    got = saliscope.explain(First(), picture, "occlusion", 0, window=(3, 8, 8))
    assert torch.equal(picture, before)
    again = saliscope.explain(First(), picture, "occlusion", 0, window=(3, 8, 8))
    assert got.to_numpy().shape == again.to_numpy().shape
