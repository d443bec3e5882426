"""Targets of a batch, read together: each gets what it would read alone, and its own gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saliscope.core.errors import OptionError
from saliscope.core.model import Reader
from saliscope.core.target import BoundTarget, bound
from saliscope.models.readout import read_each

VALUES = np.arange(4 * 3 * 2, dtype=np.float64).reshape(4, 3, 2) ** 2 / 50


def outputs() -> dict[str, torch.Tensor]:
    whole = torch.from_numpy(VALUES).clone().requires_grad_()
    return {"tokens": whole, "hidden": whole, "classes": whole[:, 0], "call": whole}


def reader(target: BoundTarget, *rows: int, view: int = 0) -> Reader:
    return Reader(target, view, np.array(rows), 0)


def several(*parts: BoundTarget) -> BoundTarget:
    names = tuple(name for part in parts for name in part.names)
    none = np.zeros(0, dtype=np.int64)
    return BoundTarget(names, "raw", "several", none, none, none, np.zeros(0), parts=parts)


def call(factor: float) -> BoundTarget:
    none = np.zeros(0, dtype=np.int64)
    return BoundTarget(
        ("f",), "raw", "call", none, none, none, np.zeros(0),
        call=lambda whole: factor * whole.sum((1, 2)),
    )  # fmt: skip


def test_literal_values() -> None:
    given = outputs()
    tokens = bound(["a", "b"], "raw", "hidden", [(0, 2, 1, 1.0), (1, 0, 0, 2.0), (1, 1, 1, -1.0)])
    ((values, chances),) = read_each(given, [reader(tokens, 1)], 4)
    # row 1 holds the squares of 6 to 11, over 50
    assert values.tolist() == [pytest.approx([121 / 50, (2 * 36 - 81) / 50])]
    assert chances is None
    likely = bound(["c"], "log_prob", "classes", [(0, 0, 1, 1.0)])
    ((values, chances),) = read_each(given, [reader(likely, 0)], 4)
    expected = 1 / (1 + np.exp(0 - 1 / 50))
    assert chances is not None
    assert float(chances.detach()) == pytest.approx(expected)
    assert float(values.detach()) == pytest.approx(np.log(expected))


MIXED = {
    "another token": [
        bound(["t"], scale, "tokens", [(0, at, index, 1.0)])
        for scale in ("logit", "prob", "log_prob", "log_odds")
        for at, index in ((1, 0), (1, 1), (2, 0))
    ],
    "another place, not normalized": [
        bound(["h"], "raw", "hidden", [(0, 0, i, 0.5), (0, at, i, 0.5)])
        for at, i in ((1, 0), (2, 1), (2, 0))
    ],
    "another class": [bound(["k"], "log_prob", "classes", [(0, 0, i, 1.0)]) for i in (1, 0, 1)],
    "weights and owners": [
        bound(["k", "l"], "logit", "classes", [(o, 0, 1, w), (1 - o, 0, 0, 1.0)])
        for o, w in ((0, 1.0), (1, 1.0), (0, 2.0))
    ],
    "parts": [
        several(
            bound(["t"], "log_prob", "tokens", [(0, 1, i, 1.0)]),
            bound(["h", "g"], "raw", "hidden", [(0, at, 0, 1.0), (1, at, 1, 1.0)]),
        )
        for i, at in ((0, 1), (1, 2))
    ],
    "vectors, and means of two": [
        bound(
            ["x"] * 4, "raw", "hidden", [(0, at, 0, 1.0), (1, 0, 0, 0.5), (1, at, 0, 0.5)], width=2
        )
        for at in (1, 2, 1)
    ],
    "functions": [call(1.0), call(-2.0)],
    "all of them": [],
}
MIXED["all of them"] = [target for targets in MIXED.values() for target in targets[:2]]


@pytest.mark.parametrize("name", MIXED)
def test_together_as_alone(name: str) -> None:
    targets = MIXED[name]
    # Rows that follow each other, that do not, that two readers share, and all of them.
    rows = [(0, 1), (3,), (2, 0), (3, 1), (0, 1, 2, 3)]
    readers = [reader(t, *rows[i % len(rows)]) for i, t in enumerate(targets)]
    given = outputs()
    for own, (values, chances) in zip(readers, read_each(given, readers, 4), strict=True):
        apart = outputs()
        ((expected, likely),) = read_each(apart, [own], 4)
        assert values.shape == (len(own.rows), own.target.count)
        assert torch.equal(values, expected)
        assert (chances is None) == (likely is None) == (not own.target.has_probability)
        if chances is not None and likely is not None:
            assert torch.equal(chances, likely)
        (slope,) = torch.autograd.grad(values.sum(), given["hidden"], retain_graph=True)
        (alone,) = torch.autograd.grad(expected.sum(), apart["hidden"])
        assert torch.equal(slope, alone)


def test_a_term_with_a_width_reads_what_terms_of_single_numbers_do() -> None:
    given = outputs()
    given["embedding"] = given["hidden"].mean(1)
    whole = bound(["x", "y"] * 2, "raw", "hidden", [(1, 2, 0, 1.0), (0, 0, 0, 3.0)], width=2)
    single = bound(
        ["x", "y"] * 2, "raw", "hidden",
        [(0, 0, 0, 3.0), (1, 0, 1, 3.0), (2, 2, 0, 1.0), (3, 2, 1, 1.0)],
    )  # fmt: skip
    mean = bound(["x", "y"], "raw", "embedding", [(0, 0, 0, 1.0)], width=2)
    assert (whole.count, whole.owners, single.owners) == (4, 2, 4)
    found = [v for v, _ in read_each(given, [reader(t, 3, 1) for t in (whole, single, mean)], 4)]
    assert torch.equal(found[0], found[1])
    # row 1 holds the squares of 6 to 11, over 50
    assert found[0][1].tolist() == pytest.approx([3 * 36 / 50, 3 * 49 / 50, 100 / 50, 121 / 50])
    assert found[2][1].tolist() == pytest.approx([200 / 150, 251 / 150])


def test_only_terms_of_the_view_count() -> None:
    target = bound(
        ["t"], "logit", "tokens", [(0, 0, 0, 1.0), (0, 1, 0, 1.0)], views=((0,), (1,)), view=[0, 1]
    )
    given = outputs()
    found = read_each(given, [reader(target, 2, view=1), reader(target, 2, view=0)], 4)
    assert [float(v.detach()) for v, _ in found] == pytest.approx([14**2 / 50, 12**2 / 50])


def test_a_function_that_returns_something_else_is_told() -> None:
    none = np.zeros(0, dtype=np.int64)
    target = BoundTarget(
        ("f", "g"), "raw", "call", none, none, none, np.zeros(0), call=lambda whole: whole[:, 0, 0]
    )
    with pytest.raises(OptionError, match="returned 1 numbers a row, and 2 name"):
        read_each(outputs(), [reader(target, 0)], 4)
