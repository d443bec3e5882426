"""Pieces of all kinds in one batch: each gets what it gets alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from helpers import tokens, toys
from saliscope.core.ask import Fold
from saliscope.core.model import Piece, Reader
from saliscope.core.perturbation import Baseline, Noise, Perturbation
from saliscope.core.target import Many, bound
from saliscope.core.target_spec import as_target
from saliscope.core.units import FloatArray
from saliscope.models.protein import ProteinModel
from saliscope.models.tensor import TensorModel
from saliscope.models.torch_model import fills_of


def protein(dtype: torch.dtype = torch.float64) -> ProteinModel:
    return ProteinModel(tokens.esm(dtype), tokens.esm_tokenizer(), "esm")


def pieces_of(model: ProteinModel) -> list[Piece]:
    """Return pieces of proteins of several lengths, moved in every way that embeddings can be."""
    made = []

    def add(text: str, moved: Any, rows: Sequence[int], view: tuple[int, ...] = ()) -> None:
        (sample,) = model.prepare(text)
        made.append(Piece(sample, moved(sample), np.array(rows), view))

    def path(name: str) -> Any:
        return lambda s: Perturbation.path(s.units, [0.0, 0.25, 1.0], model.baseline(s, name))

    def several(sample: Any) -> Perturbation:
        fills = [model.baseline(sample, name) for name in ("A", "zero", "W")]
        return Perturbation(
            sample.units.whole(), weights=np.array([[0.5], [0.0], [0.75], [1.0]]), fills=fills,
            choice=np.array([2, 1, 0, 1]),
        )  # fmt: skip

    def noisy(sample: Any) -> Perturbation:
        noise = Noise(0.5, np.array([1, 2, 3]))
        return Perturbation(sample.units.whole(), weights=np.ones((3, 1)), noise=noise)

    def left_out(sample: Any) -> Perturbation:
        return Perturbation.leave_one_out(sample.units.each(), [model.baseline(sample, "zero")])

    add("MVHLTPEEKS", path("mask"), [0, 1, 2])
    add("MKV", path("zero"), [2, 0])
    add("MVHLT", several, [3, 1, 0, 2])
    add("MVHLTP", noisy, [2, 0])
    add("MKVL", left_out, [0, 4, 2])
    add("MVHL", path("G"), [1, 2], (2,))
    return made


def alone(piece: Piece, model: ProteinModel) -> torch.Tensor:
    """Return the embedding of a piece's rows by the definition, one number after the other."""
    sample, moved = piece.sample, piece.perturbation
    here = model.embed(sample.context["ids"])
    rows = []
    for number in piece.rows:
        weights = np.ones(sample.length)
        fill, low = moved.fill_of(int(number)), here
        if fill is not None:
            low = model.embed(np.asarray(fill.ids)) if fill.value is None else fill.value
            labels = moved.grouping.labels
            assert labels is not None
            groups = moved.row(int(number))
            weights = np.array([1.0 if k < 0 else groups[k] for k in labels])
        alpha = torch.from_numpy(weights).to(here)[:, None]
        row = low * (1 - alpha) + here * alpha
        for place in piece.view:
            assert model.mask_id is not None
            row[place] = model.embed(np.array([model.mask_id]))[0]
        rows.append(row)
    return torch.stack(rows)


def test_embeddings_of_a_mixed_batch_are_those_of_each_piece() -> None:
    model = protein()
    pieces = pieces_of(model)
    batch = model.realize(pieces)
    assert batch.leaf is not None
    pad = model.embed(np.array([model.pad_id]))[0]
    for piece, start in zip(pieces, batch.starts, strict=False):
        own = batch.leaf[start : start + len(piece.rows)]
        single = model.realize([piece]).leaf
        assert single is not None
        assert torch.equal(own[:, : piece.sample.length], single)
        assert torch.equal(own[:, piece.sample.length :], pad.expand_as(own[:, len(single[0]) :]))
        if piece.perturbation.noise is None:
            torch.testing.assert_close(single, alone(piece, model), atol=1e-14, rtol=0)


WAYS = ["difference", "input", "one", "input", "difference", "difference"]


def test_what_gradients_are_multiplied_by_is_that_of_each_piece() -> None:
    model = protein()
    pieces = pieces_of(model)
    away = model.away(pieces, WAYS)
    assert away is not None
    start = 0
    for piece, way in zip(pieces, WAYS, strict=True):
        own = away[start : start + len(piece.rows), : piece.sample.length]
        start += len(piece.rows)
        here = model.embed(piece.sample.context["ids"])
        if way == "one":
            assert (own == 1).all()
            continue
        wanted = here.expand(own.shape).clone()
        if way == "difference":
            for row, number in enumerate(piece.rows):
                fill = piece.perturbation.fill_of(int(number))
                assert fill is not None
                wanted[row] -= (
                    model.embed(np.asarray(fill.ids)) if fill.value is None else (fill.value)
                )
        wanted[:, list(piece.view)] = 0
        assert torch.equal(own, wanted)
    assert model.away(pieces, ["one"] * len(pieces)) is None


FOLDS = [
    Fold("difference"), Fold("input", "norm"), Fold("one", "each"), Fold("input", "sum"),
    Fold("difference", "norm"), Fold("difference", "sum"),
]  # fmt: skip


@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("folds", [FOLDS, [Fold("difference")] * 6, [Fold("one", "norm")] * 6])
def test_folded_gradients_of_a_mixed_batch_are_those_of_each_piece(
    folds: list[Fold], weighed: bool
) -> None:
    model = protein()
    pieces = [p for p in pieces_of(model) if not p.view]
    readers = []
    start = 0
    for number, (piece, fold) in enumerate(zip(pieces, folds, strict=False)):
        if piece.perturbation.noise is not None:
            fold = Fold("one", fold.features)  # noqa: PLW2901 - without a fill there is no distance
        count = len(piece.rows)
        rows = np.arange(2.0 * count).reshape(2, count) - 1 if weighed else None
        target = as_target("likelihood", model).bind(model, piece.sample)
        fold = Fold(fold.times, fold.features, rows)  # noqa: PLW2901
        readers.append(Reader(target, 0, np.arange(start, start + count), number, fold))
        start += count
    together, _ = model.run(pieces, readers)
    for piece, reader, got in zip(pieces, readers, together, strict=True):
        only = Reader(reader.target, 0, np.arange(len(piece.rows)), 0, reader.fold)
        (single,), _ = model.run([piece], [only])
        assert got.gradients is not None
        assert single.gradients is not None
        np.testing.assert_allclose(got.gradients, single.gradients, atol=1e-12)
        np.testing.assert_allclose(got.values, single.values, atol=1e-12)
        np.testing.assert_array_equal(got.probabilities, single.probabilities)
        assert got.gradients.shape[0] == (2 if weighed else len(piece.rows))


def tensor() -> tuple[TensorModel, list[Piece]]:
    """Return a model, and pieces with fills of their own, of a shared background, and without."""
    model = TensorModel(toys.PoolNet(torch.float64).eval(), "pool")
    samples = model.prepare(torch.arange(24, dtype=torch.float64).reshape(4, 2, 3) / 7 - 1)
    shared = [model.baseline(samples[0], number) for number in (10.0, 20.0, 30.0)]

    def drawn(sample: Any, choice: list[int], fills: Sequence[Baseline]) -> Perturbation:
        places = np.linspace(0, 1, len(choice))[:, None]
        return Perturbation(
            sample.units.whole(), weights=places, fills=fills, choice=np.array(choice)
        )

    moved = [
        drawn(samples[0], [2, 0, 1], shared),
        Perturbation.path(samples[1].units, [0.5, 0.0], model.baseline(samples[1], "zero")),
        drawn(samples[2], [1, 2], shared),
        drawn(samples[3], [0, 1], shared[::-1]),
    ]
    rows = [[2, 0], [0, 1], [0, 1], [1]]
    return model, [
        Piece(s, m, np.array(r)) for s, m, r in zip(samples, moved, rows, strict=True)
    ]  # fmt: skip


def test_pieces_share_what_they_use_of_a_background() -> None:
    model, pieces = tensor()
    fills = fills_of(pieces)
    numbers = [None if f is None else f.reshape(-1, 6)[:, 0].tolist() for f in fills]
    assert numbers == [[20.0, 30.0], [0.0], [20.0, 30.0], [20.0]]
    assert fills_of([Piece(pieces[0].sample, Perturbation.identity(pieces[0].sample.units),
                           np.array([0]))]) == [None]  # fmt: skip
    batch = model.realize(pieces)
    away = model.away(pieces, ["difference", "input", "one", "difference"])
    assert batch.leaf is not None
    assert away is not None
    for number, (piece, start) in enumerate(zip(pieces, batch.starts, strict=False)):
        stop = start + len(piece.rows)
        assert torch.equal(batch.leaf[start:stop], model.realize([piece]).leaf)
        way = ["difference", "input", "one", "difference"][number]
        single = model.away([piece], [way])
        expected = torch.ones(2, 3) if single is None else single
        assert torch.equal(away[start:stop], expected.expand(stop - start, 2, 3).double())


@pytest.mark.parametrize("channels", [False, True])
def test_boxes_of_several_inputs_are_covered_as_one_by_one(channels: bool) -> None:
    """Also where features stand behind the units, as the channels of a picture do."""
    from saliscope.core.model import Sample
    from saliscope.core.units import Units

    model = TensorModel(toys.PoolNet(torch.float64).eval(), "pool")
    units = Units(("row", "column"), (4, 5), "pixel")
    shape = (4, 5, 3) if channels else (4, 5)
    pieces = []
    for seed in range(3):
        value = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()
        sample = Sample(str(seed), "", units, value, {"scalar": False})
        fill = Baseline("given", torch.full(shape, -9.0, dtype=torch.float64))
        moved = Perturbation.leave_one_out(units.boxes((2, 3), (1, 2)), [fill])
        pieces.append(Piece(sample, moved, np.array([seed, moved.rows - 1, 3])))
    batch = model.realize(pieces)
    assert batch.leaf is not None
    for piece, start in zip(pieces, batch.starts, strict=False):
        moved = piece.perturbation
        assert moved.removed is not None
        assert moved.grouping.boxes is not None
        for place, row in enumerate(piece.rows, start):
            wanted = piece.sample.value.clone()
            if moved.removed[row] >= 0:
                wanted[moved.grouping.boxes[int(moved.removed[row])]] = -9.0
            assert torch.equal(batch.leaf[place], wanted)


def test_targets_of_many_inputs_are_bound_once() -> None:
    model = TensorModel(toys.PoolNet(torch.float64).eval(), "pool")
    one, other = model.prepare(torch.zeros(2, 2, 3, dtype=torch.float64))
    target = Many((as_target(0, model), as_target(1, model)))
    first, second = target.bind(model, one), target.bind(model, other)
    assert first is second
    values: FloatArray = first.weight
    assert values.tolist() == [1.0, 1.0]
    # What has many terms is bound for each, or all inputs of a run would be remembered.
    likelihood = as_target("likelihood", protein())
    (sample,) = protein().prepare("MVHLTPEEKS")
    assert likelihood.bind(protein(), sample) is not likelihood.bind(protein(), sample)
    many = bound(["a"], "raw", "raw", [(0, 0, i, 1.0) for i in range(500)])
    assert many is not bound(["a"], "raw", "raw", [(0, 0, i, 1.0) for i in range(500)])
    assert many.key == bound(["a"], "raw", "raw", [(0, 0, i, 1.0) for i in range(500)]).key


@pytest.mark.parametrize("wide", [5, 80])
def test_large_inputs_are_multiplied_one_by_one(wide: int) -> None:
    """Large ones need no copy per row; the numbers are the same."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(wide * wide, 3), torch.nn.Tanh())
    model = TensorModel(net.double().eval(), "net")
    samples = model.prepare(torch.randn(3, wide, wide, dtype=torch.float64))
    pieces, readers, start = [], [], 0
    for number, sample in enumerate(samples):
        moved = Perturbation.path(sample.units, [0.0, 0.5, 1.0], model.baseline(sample, number))
        pieces.append(Piece(sample, moved, np.arange(3)))
        rows = np.full((1, 3), 1 / 3) if number else None
        fold = Fold("difference" if number < 2 else "one", rows=rows)
        target = as_target(number, model).bind(model, sample)
        readers.append(Reader(target, 0, np.arange(start, start + 3), number, fold))
        start += 3
    away = model.away(pieces, ["difference"] * 3)
    assert isinstance(away, list if wide > 64 else torch.Tensor)
    together, _ = model.run(pieces, readers)
    for piece, reader, got in zip(pieces, readers, together, strict=True):
        only = Reader(reader.target, 0, np.arange(3), 0, reader.fold)
        (single,), _ = model.run([piece], [only])
        assert got.gradients is not None
        assert single.gradients is not None
        np.testing.assert_allclose(got.gradients, single.gradients, atol=1e-13)
