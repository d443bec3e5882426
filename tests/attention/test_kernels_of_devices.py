"""Column sums by the kernels of CUDA devices: on one, and on a stand-in that asks for the same.

The stand-ins compute in float64 and refuse what the kernels refuse: widths, strides and types.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from saliscope.attention import stream, sums
from saliscope.attention.sums import Places, column_sums

from . import zoo

CUDA = pytest.param(
    "cuda",
    marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
)


def exact(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: Any, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    scores = query.double() @ key.double().mT * scale + (0 if bias is None else bias.double())
    return (scores.softmax(-1) @ value.double()).to(query), scores.logsumexp(-1).float()


def efficient(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: Any, normal: bool,
    *, scale: float,
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    assert normal
    for states in (query, key, value):
        assert states.dtype == torch.float32
        assert states.shape[-1] % 4 == 0
        assert states.stride(-1) == 1
    if bias is not None:
        assert bias.dtype == torch.float32
        assert bias.shape == (*query.shape[:3], key.shape[2])
        assert bias.stride(-1) == 1
        assert all(stride % 4 == 0 for stride in bias.stride()[:-1])
        # The kernel works to base 2.
        assert torch.isfinite(bias * 1.4427).all()
    output, found = exact(query, key, value, bias, scale)
    empty = found.new_full((*found.shape[:2], -found.shape[2] % 32), torch.inf)
    return output, torch.cat([found, empty], -1), torch.empty(0), torch.empty(0)


def flash(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, scale: float
) -> tuple[torch.Tensor, ...]:
    for states in (query, key, value):
        assert states.dtype in {torch.float16, torch.bfloat16}
        assert states.shape[-1] % 8 == 0
        assert states.shape[-1] <= 256
        assert states.stride(-1) == 1
    output, found = exact(query, key, value, None, scale)
    return output, found, *[torch.empty(0)] * 7


@pytest.fixture(params=["cpu", CUDA])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where to compute: a CUDA device, or the processor as if it were one."""
    name: str = request.param
    if name == "cpu":
        aten = torch.ops.aten
        monkeypatch.setattr(aten, "_scaled_dot_product_efficient_attention", efficient)
        monkeypatch.setattr(aten, "_scaled_dot_product_flash_attention", flash)
        real = sums._kernel_for

        def pretend(query: torch.Tensor, added: torch.Tensor | None) -> Any:
            class Elsewhere:
                device = torch.device("cuda")
                dtype, shape = query.dtype, query.shape

            return real(Elsewhere(), added)  # type: ignore[arg-type]

        monkeypatch.setattr(sums, "_kernel_for", pretend)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    return name


@pytest.mark.parametrize("specials", [True, False])
@pytest.mark.parametrize("heads", [[0, 1, 2], [2, 0]])
@pytest.mark.parametrize("masked", ["", "keys", "causal"])
@pytest.mark.parametrize(("width", "length"), [(16, 36), (20, 37), (64, 37)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_sums_of_columns(
    device: str, dtype: torch.dtype, width: int, length: int, masked: str, heads: list[int],
    specials: bool,
) -> None:  # fmt: skip
    made = torch.Generator().manual_seed(width)
    states = [torch.randn(2, 3, length, width, generator=made).to(dtype) * 2 for _ in range(3)]
    query, key, value = states
    added = None
    if masked:
        seen = torch.ones(length, length, dtype=torch.bool)
        seen = seen.tril() if masked == "causal" else seen.index_fill(1, torch.tensor([30]), False)
        added = torch.where(seen, 0.0, torch.finfo(torch.float32).min / 4)[None, None]
    units = torch.ones(length, dtype=torch.bool)
    units[[0, -1]] = not specials
    scores = query.double() @ key.double().mT * width**-0.5
    weights = (scores if added is None else scores + added).softmax(-1)
    kept = weights[..., units][..., units, :]
    total = kept.sum(-1, keepdim=True)
    wanted = torch.where(total > 0, kept / total, 0).sum(-2)[:, heads]
    lost = weights[..., ~units][..., units, :].sum(-1).mean(-1)[:, heads]
    on = torch.device(device)
    output, found, removed = column_sums(
        *(s.to(on) for s in states), None if added is None else added.to(on), width**-0.5,
        rows=Places.of(units, on), columns=Places.of(units, on), others=Places.of(~units, on),
        heads=heads,
    )  # fmt: skip
    torch.testing.assert_close(found.cpu().double(), wanted, atol=1e-5, rtol=1e-5)
    assert (removed is None) != specials
    if removed is not None:
        torch.testing.assert_close(removed.cpu().double(), lost, atol=1e-6, rtol=0)
    loose = {torch.float32: 1e-5, torch.float16: 5e-3, torch.bfloat16: 4e-2}[dtype]
    torch.testing.assert_close(
        output.cpu().double(), weights @ value.double(), atol=loose, rtol=loose
    )


def test_rows_that_see_no_unit_give_nothing(device: str) -> None:
    made = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(1, 2, 6, 8, generator=made).to(device) for _ in range(3))
    seen = torch.ones(6, 6, dtype=torch.bool)
    seen[3] = False
    seen[4, 1:] = False  # sees the special token alone
    added = torch.where(seen, 0.0, torch.finfo(torch.float32).min / 4)[None, None].to(device)
    units, on = torch.arange(6) > 0, torch.device(device)
    _, found, removed = column_sums(
        query, key, value, added, 0.3, rows=Places.of(units, on), columns=Places.of(units, on),
        others=Places.of(~units, on), heads=[0, 1],
    )  # fmt: skip
    rows = units & seen[:, 1:].any(1)
    scores = (query.double() @ key.double().mT * 0.3)[..., rows.to(on), :][..., 1:]
    torch.testing.assert_close(found.double(), scores.softmax(-1).sum(-2), atol=1e-5, rtol=0)
    assert removed is not None
    assert removed.isfinite().all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["esm", "bert", "llama", "t5", "vit", "bart"])
def test_maps_on_a_device_are_those_of_the_processor(name: str, dtype: torch.dtype) -> None:
    kind = next(iter(zoo.FAMILIES[name].outputs))
    model, arguments = zoo.build(name, dtype), zoo.feed(name, dtype)
    here = stream(model, arguments, kind=kind)
    there = stream(model.cuda(), {w: v.cuda() for w, v in arguments.items()}, kind=kind)
    close = 2e-5 if dtype == torch.float32 else 5e-2  # states before it are rounded otherwise
    torch.testing.assert_close(there.values.cpu(), here.values, atol=close, rtol=0)
    torch.testing.assert_close(there.removed.cpu(), here.removed, atol=close, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [1.0, 33.0, 80.0])
def test_large_scores_stay_numbers_in_half_precision(
    device: str, dtype: torch.dtype, size: float
) -> None:
    made = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(1, 2, 9, 64, generator=made).to(dtype) for _ in range(3))
    query, key = query * size, key * size
    scores = query.double() @ key.double().mT / 8
    on, units = torch.device(device), torch.ones(9, dtype=torch.bool)
    _, found, _ = column_sums(
        query.to(on), key.to(on), value.to(on), None, 0.125, rows=Places.of(units, on),
        columns=Places.of(units, on), others=Places.of(~units, on), heads=[0, 1],
    )  # fmt: skip
    # Scores of 50,000 have a rounding of their own in float32.
    loose = max(1e-5, 4 * float(scores.abs().max()) * torch.finfo(torch.float32).eps)
    torch.testing.assert_close(
        found.cpu().double(), scores.softmax(-1).sum(-2), atol=loose, rtol=loose
    )
