"""Rows that are kept as patches give what whole rows give, whatever a module does with them."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from saliscope.models.memory import PeakBytes
from saliscope.models.patches.covered import settled
from saliscope.models.patches.rows import PatchRows

C = 4


def rows_of(
    shape: tuple[int, ...],
    extents: tuple[int, ...],
    inputs: int = 2,
    dtype: torch.dtype = torch.float64,
) -> PatchRows:
    """Return rows of two inputs with patches in corners, along edges and between."""
    generator = torch.Generator().manual_seed(1)
    whole = torch.rand(inputs, C, *shape, generator=generator, dtype=dtype) - 0.3
    corners = [sorted({0, 1, (n - e) // 2, n - e}) for n, e in zip(shape, extents, strict=True)]
    at = np.array(list(itertools.product(*corners)))
    of = np.arange(len(at)) % inputs
    patch = torch.rand(len(at), C, *extents, generator=generator, dtype=dtype) - 0.3
    return PatchRows(whole, patch, tuple(range(2, 2 + len(shape))), at, of)


def whole_of(rows: PatchRows) -> torch.Tensor:
    """Return the rows written out one by one."""
    made = []
    for patch, at, of in zip(rows.patch, rows.at.tolist(), rows.of.tolist(), strict=True):
        row = rows.whole[of].clone()
        box = [slice(None)] * patch.ndim
        for axis, begin, extent in zip(rows.axes, at, rows.extents, strict=True):
            box[axis - 1] = slice(begin, begin + extent)
        row[tuple(box)] = patch
        made.append(row)
    return torch.stack(made)


def conv(*args: int, **given: object) -> nn.Conv2d:
    return nn.Conv2d(*args, **given)  # type: ignore[arg-type]


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(C, 8, 1, 2, bias=False), nn.BatchNorm2d(8))
        self.one = nn.Sequential(nn.Conv2d(C, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.two = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.two(self.one(x))
        y += self.down(x)
        y = F.relu_(y)
        return F.adaptive_avg_pool2d(y, 1).flatten(1)


class Squeezed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.deep = nn.Conv2d(C, C, 3, padding=1, groups=C)
        self.gate = nn.Conv2d(C, C, 1)
        self.last = nn.Conv2d(C, 6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.hardswish(self.deep(x))
        x = x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))
        return self.last(x).amax((2, 3))


class Next(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.deep, self.norm = nn.Conv2d(C, C, 7, padding=3, groups=C), nn.LayerNorm(C)
        self.wide, self.narrow = nn.Linear(C, 3 * C), nn.Linear(3 * C, C)
        self.scale = nn.Parameter(torch.rand(C))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.deep(x).permute(0, 2, 3, 1))
        y = self.scale * self.narrow(F.gelu(self.wide(y)))
        return (x + y.permute(0, 3, 1, 2)).mean((-2, -1))


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(C, 3, 3, padding=1), nn.Conv2d(C + 3, 2, 5, padding=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([x, F.silu(self.a(x))], 1)
        x = torch.cat([x, self.b(x)], 1)
        first, rest = x[:, :2], x[:, 2:]
        one, other, *_ = rest.split(2, 1)
        return F.avg_pool2d(first + one - other, 2).flatten(1)


class Mapped(nn.Module):
    """A weight of each place, a mask of each row, and a table over the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(24, 20))
        self.conv = nn.Conv2d(C, C, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        widths = torch.full((len(x), 1), 17)
        inside = torch.arange(x.shape[-1]) < widths
        x = self.conv(x * self.weight) * inside[:, None, None, :]
        return F.softmax(x, 1).sum((2, 3))


class Uneven(nn.Module):
    """A mask that differs from row to row: then nothing is common to the rows."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inside = torch.arange(x.shape[-1]) < torch.arange(len(x))[:, None]
        return F.max_pool2d(x * inside[:, None, None, :], 3, 2, 1, ceil_mode=True).sum((1, 2, 3))


class Writes(nn.Module):
    """Writes into parts of what it has, as whoever saves memory does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(C, C, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x).relu_()
        x[:, 0] = 0.5
        x[..., 3].mul_(2.0)
        y = self.conv(x)  # which is done later: what it is given stays as it is
        x.mul_(0.5)
        z = self.conv(x.clone()).relu()
        return y.add_(x).sub_(z).mean((2, 3))


class Columns(nn.Module):
    """A line reader: channels and height become features once patches are as high as the line."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(C, 3, 3, (2, 1), 1)
        self.flat, self.along = nn.Linear(36, 5), nn.Conv1d(5, 5, 5, padding=2, groups=5)
        self.norm = nn.LayerNorm(5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.flat(self.conv(x).flatten(1, 2).transpose(1, 2)).transpose(1, 2)
        return self.norm((x + self.along(x)).transpose(1, 2))


class Odd(nn.Module):
    """What has no rule: it runs on whole rows."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.norm = nn.ConvTranspose2d(C, C, 2, 2), nn.GroupNorm(2, C)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.interpolate(x, scale_factor=2.0, mode="bilinear")[:, :, 1:, ::2]
        x = self.norm(F.pad(x, (1, 2, 0, 1), mode="reflect"))
        x = torch.where(x > x.mean(), x, self.up(x)[:, :, : x.shape[2], : x.shape[3]])
        return F.local_response_norm(x, 2).std((2, 3))


NETS: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: nn.Sequential(
        conv(C, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU6(), nn.MaxPool2d(2),
        conv(6, 6, 3, padding="same", dilation=2), nn.PReLU(6), nn.AvgPool2d(3, 2, 1), nn.Flatten(),
        nn.LazyLinear(3),
    ),
    "padded": lambda: nn.Sequential(
        nn.ZeroPad2d((0, 1, 0, 1)), conv(C, 6, 3, 2), nn.ZeroPad2d(2), conv(6, 6, 5), nn.Tanh(),
        nn.ZeroPad2d(3), nn.Sigmoid(), nn.MaxPool2d(3, 2, 1), nn.ConstantPad2d(1, 2.0),
        nn.AvgPool2d(3), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
    ),
    "ends padded": lambda: nn.Sequential(
        nn.MaxPool2d(8), *[nn.Sequential(nn.ZeroPad2d(1), conv(C, C, 3)) for _ in range(3)],
        nn.ZeroPad2d(1), nn.MaxPool2d(3, 1), nn.ZeroPad2d((1, 0, 1, 0)), conv(C, C, 3, padding=1),
    ),
    "circular": lambda: nn.Sequential(conv(C, C, 3, padding=1, padding_mode="circular"), nn.ELU()),
    "fixed sizes": lambda: nn.Sequential(
        nn.AvgPool2d(2, ceil_mode=True), nn.AvgPool2d(3, 1, 1, count_include_pad=False),
        nn.MaxPool2d(3, 2, 1, dilation=2), nn.InstanceNorm2d(C),
    ),
    "residual": Residual, "squeezed": Squeezed, "next": Next, "dense": Dense, "mapped": Mapped,
    "uneven": Uneven, "writes": Writes, "columns": Columns, "odd": Odd,
}  # fmt: skip


@pytest.mark.parametrize("extents", [(3, 4), (1, 1), (24, 3), (7, 20)], ids=str)
@pytest.mark.parametrize("name", NETS)
def test_patches_give_what_whole_rows_give(name: str, extents: tuple[int, int]) -> None:
    torch.manual_seed(0)
    net = NETS[name]().double()
    with torch.no_grad():
        net(torch.rand(5, C, 24, 20).double())  # numbers of the batch norms, shapes of lazy layers
        net.eval()
        rows = rows_of((24, 20), extents)
        before, whole = rows.whole.clone(), whole_of(rows)
        wanted = net(whole)
        got = settled(net(rows))
    assert type(got) is torch.Tensor
    torch.testing.assert_close(got, wanted, rtol=1e-11, atol=1e-11)
    assert name == "writes" or torch.equal(rows.whole, before)


def test_lines_and_volumes() -> None:
    torch.manual_seed(0)
    line = nn.Sequential(
        nn.Conv1d(C, 5, 7, padding=3), nn.ReLU(), nn.MaxPool1d(4), nn.BatchNorm1d(5),
        nn.Conv1d(5, 5, 3, padding=1), nn.AvgPool1d(2), nn.Flatten(), nn.LazyLinear(2),
    ).double()  # fmt: skip
    volume = nn.Sequential(nn.Conv3d(C, 3, 3, padding=1), nn.ReLU(), nn.Conv3d(3, 2, 3, 2)).double()
    for net, shape, extents in ((line, (64,), (5,)), (volume, (9, 8, 10), (2, 3, 2))):
        with torch.no_grad():
            net.eval()(torch.rand(2, C, *shape).double())
            rows = rows_of(shape, extents)
            wanted = net(whole_of(rows))
            torch.testing.assert_close(settled(net(rows)), wanted, rtol=1e-11, atol=1e-11)


@given(
    span=st.integers(5, 19), extent=st.integers(1, 5), kernel=st.integers(1, 5),
    stride=st.integers(1, 4), padding=st.integers(0, 3), dilation=st.integers(1, 2),
    pooled=st.booleans(),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_any_sliding_kernel(
    span: int, extent: int, kernel: int, stride: int, padding: int, dilation: int, pooled: bool
) -> None:
    if dilation * (kernel - 1) + 1 > span + 2 * padding or (pooled and 2 * padding > kernel):
        return
    rows = rows_of((span, 6), (extent, 2))
    size = ((kernel, 2), (stride, 1), (padding, 0), (dilation, 1))
    with torch.no_grad():
        if pooled:
            got, wanted = (F.max_pool2d(x, *size) for x in (rows, whole_of(rows)))
        else:
            weight = torch.rand(3, C, kernel, 2).double()
            got, wanted = (F.conv2d(x, weight, None, *size[1:]) for x in (rows, whole_of(rows)))
    assert got.shape == wanted.shape
    torch.testing.assert_close(settled(got), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("parts", [(4, 3), (1, 1), (7, 24), (24, 20), (30, 5)], ids=str)
@pytest.mark.parametrize("extents", [(3, 4), (24, 2), (11, 20), (20, 1)], ids=str)
def test_any_number_of_parts(parts: tuple[int, int], extents: tuple[int, int]) -> None:
    rows = rows_of((24, 20), extents)
    with torch.no_grad():
        got, wanted = (F.adaptive_avg_pool2d(x, parts) for x in (rows, whole_of(rows)))
    torch.testing.assert_close(settled(got), wanted, rtol=1e-12, atol=1e-12)


class Work(TorchDispatchMode):
    """Counts the numbers that convolutions make."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        """Count, and run."""
        if any(issubclass(kind, PatchRows) for kind in types):
            return NotImplemented
        made = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.convolution.default:
            self.numbers += made.numel()
        return made


def test_only_what_changes_is_computed() -> None:
    net = nn.Sequential(*[nn.Conv2d(C, C, 3, padding=1) for _ in range(3)]).double().eval()
    rows = rows_of((40, 40), (4, 4), inputs=1)
    with torch.no_grad(), Work() as patches:
        settled(net(rows))
    # The input once, and of each row its patch with a rim that grows by one on each side.
    wanted = 3 * 40 * 40 + len(rows) * (6 * 6 + 8 * 8 + 10 * 10)
    assert patches.numbers == C * wanted
    assert patches.numbers < 0.2 * len(rows) * C * 3 * 40 * 40


def test_what_is_filled_needs_no_input() -> None:
    rows = rows_of((6, 6), (5, 5), inputs=1)
    weight = torch.rand(C, C, 3, 3).double()
    with torch.no_grad():
        once = F.conv2d(rows, weight, padding=1)
        assert isinstance(once, PatchRows)
        assert once.axes == ()
        assert once.patch.shape == once.shape
        with Work() as counted:
            settled(F.conv2d(once, weight, padding=1))
    assert counted.numbers == len(rows) * C * 36


def test_settling_is_seen_by_all_who_hold_the_rows() -> None:
    rows = rows_of((6, 6), (2, 2), inputs=1)
    wanted = whole_of(rows)
    with torch.no_grad():
        rows[:, 1, 2] = 9.0
        wanted[:, 1, 2] = 9.0
        assert torch.equal(rows.settle(), wanted)
        rows += 1.0
        assert torch.equal(rows.settle(), wanted + 1.0)


def test_bytes_of_patches_are_counted() -> None:
    rows = rows_of((40, 40), (4, 4), inputs=1)
    with torch.no_grad(), PeakBytes(torch.device("cpu")) as counted:
        F.conv2d(rows, torch.rand(C, C, 3, 3).double(), padding=1)
    least = 8 * C * (40 * 40 + len(rows) * 6 * 6)
    assert least < counted.peak < 4 * least


def views(x: torch.Tensor) -> list[torch.Tensor]:
    """Return rows that see those of `x`."""
    return [x.permute(0, 2, 3, 1), x[:, 1:], x.flatten(1, 1), x.detach(), *x.split(2, 1)]


def test_rows_that_others_see_are_not_written_into() -> None:
    with torch.no_grad():
        for number in range(6):
            rows = rows_of((9, 8), (2, 2))
            with pytest.raises(RuntimeError, match="others see"):
                views(rows)[number].add_(1.0)
            with pytest.raises(RuntimeError, match="others see"):
                rows.relu_()
        rows = rows_of((9, 8), (2, 2))
        for copy in (rows.clone(), rows.float()):
            copy.mul_(2.0)
        assert torch.equal(rows.settle(), whole_of(rows_of((9, 8), (2, 2))))


@pytest.mark.parametrize("extents", [(2, 2), (9, 8)], ids=str)
def test_padded_rows_and_their_own_are_two(extents: tuple[int, int]) -> None:
    for written in range(2):
        rows, wanted = (f(rows_of((9, 8), extents)) for f in (lambda x: x, whole_of))
        with torch.no_grad():
            if extents == (9, 8):
                rows.settle()
            pairs = [(x, F.pad(x, (1, 1, 1, 1))) for x in (rows, wanted)]
            for pair in pairs:
                pair[written].mul_(2.0)
            for one, other in zip(*pairs, strict=True):
                torch.testing.assert_close(settled(one), other, rtol=0, atol=0)


def test_counts_are_numbers() -> None:
    rows = rows_of((9, 8), (2, 2))
    with torch.no_grad():
        assert torch.equal(settled((rows > 0).sum((2, 3))), (whole_of(rows) > 0).sum((2, 3)))


def test_weights_that_change_before_a_convolution_is_done() -> None:
    weight = torch.rand(C, C, 3, 3).double()
    with torch.no_grad():
        made = F.conv2d(rows_of((9, 8), (2, 2)), weight)
        weight.mul_(2.0)
        with pytest.raises(RuntimeError, match="weights of a convolution have changed"):
            settled(made)


@pytest.mark.parametrize("axes", [(2, 3), (-1,), (1, 2, 3), (1,)], ids=str)
@pytest.mark.parametrize("keep", [True, False])
def test_totals_keep_what_is_small_beside_a_peak(axes: tuple[int, ...], keep: bool) -> None:
    rows = rows_of((12, 11), (3, 4), inputs=1)
    rows.whole.abs_().mul_(1e-6)
    rows.patch.abs_().mul_(1e-6)
    rows.whole[..., 1:4, 1:4] = 1e12
    wanted = whole_of(rows)
    with torch.no_grad():
        for func in (torch.sum, torch.mean, torch.amax):
            got = settled(func(rows, axes, keepdim=keep))
            torch.testing.assert_close(got, func(wanted, axes, keepdim=keep), rtol=1e-12, atol=0)
