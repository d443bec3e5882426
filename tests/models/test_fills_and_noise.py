"""What adapters make of several fills and of noise, row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from helpers import tokens, toys
from saliscope.core.model import Piece, Sample
from saliscope.core.perturbation import Baseline, Noise, Perturbation
from saliscope.models.protein import ProteinModel
from saliscope.models.tensor import TensorModel

CHOICE = np.array([1, 0, 2, 1])
WEIGHTS = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


def tensor(dtype: torch.dtype = torch.float64) -> tuple[Any, Sample]:
    """Return a model on tensors and an input of 2 x 3 numbers."""
    model = TensorModel(toys.PoolNet(dtype).eval(), "pool")
    x = torch.arange(6, dtype=dtype).reshape(1, 2, 3) - 1
    return model, model.prepare(x)[0]


def protein(dtype: torch.dtype = torch.float64) -> tuple[Any, Sample]:
    """Return a protein model and a protein of four residues."""
    model = ProteinModel(tokens.esm(dtype), tokens.esm_tokenizer(), "esm")
    return model, model.prepare("MVHL")[0]


def rows_of(model: Any, sample: Sample, moved: Perturbation, **options: Any) -> Any:
    """Return the realized batch of all rows."""
    return model.realize([Piece(sample, moved, np.arange(moved.rows), **options)])


def apart(model: Any, sample: Sample, moved: Perturbation) -> torch.Tensor:
    """Return all rows, each from a batch of its own, the last one first."""
    pieces = [Piece(sample, moved, np.array([row])) for row in range(moved.rows)]
    return torch.cat([model.realize([piece]).leaf for piece in pieces])


def three_fills(model: Any, sample: Sample) -> tuple[Baseline, ...]:
    """Return three baselines of a tensor."""
    return tuple(model.baseline(sample, number) for number in (10.0, 20.0, 30.0))


def test_each_row_of_a_path_starts_at_its_own_fill() -> None:
    model, sample = tensor()
    moved = Perturbation(
        sample.units.whole(), weights=np.array([[0.0], [0.5], [0.25], [1.0]]),
        fills=three_fills(model, sample), choice=CHOICE,
    )  # fmt: skip
    x = sample.value
    got = rows_of(model, sample, moved).leaf
    wanted = torch.stack([torch.full_like(x, 20), 5 + x / 2, 22.5 + x / 4, x])
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-14)
    away = model.away([Piece(sample, moved, np.array([2, 0]))], ["difference"])
    torch.testing.assert_close(away, torch.stack([x - 30, x - 20]))
    assert not moved.is_identity
    assert moved.fill_of(2) is moved.fills[2]


def test_each_coalition_of_a_tensor_takes_its_own_fill() -> None:
    model, sample = tensor()
    grouping = sample.units.group(np.array([[0, 0, 1], [1, -1, 1]]))
    moved = Perturbation(grouping, weights=WEIGHTS, fills=three_fills(model, sample), choice=CHOICE)
    got = rows_of(model, sample, moved).leaf.tolist()
    assert got[0] == [[-1, 0, 20], [20, 3, 20]]
    assert got[1] == [[10, 10, 10], [10, 3, 10]]
    assert got[2] == [[30, 30, 1], [2, 3, 4]]
    assert got[3] == sample.value.tolist()


def test_boxes_may_have_a_fill_per_row() -> None:
    model, sample = tensor()
    moved = Perturbation(
        sample.units.boxes((1, 2), (1, 1)), removed=np.array([0, -1, 3]),
        fills=three_fills(model, sample), choice=np.array([2, 0, 1]),
    )  # fmt: skip
    got = rows_of(model, sample, moved).leaf.tolist()
    assert got == [[[30, 30, 1], [2, 3, 4]], sample.value.tolist(), [[-1, 0, 1], [2, 20, 20]]]


def test_each_coalition_of_a_protein_takes_its_own_ids() -> None:
    model, sample = protein()
    fills = tuple(model.baseline(sample, letter) for letter in "AGW")
    moved = Perturbation(
        sample.units.group([0, 0, 1, -1]), weights=WEIGHTS, fills=fills, choice=CHOICE
    )
    ids = rows_of(model, sample, moved).arguments["input_ids"]
    letters = {index: letter for letter, index in model.vocabulary.items()}
    read = ["".join(letters[int(i)] for i in row[1:-1]) for row in ids]
    assert read == ["MVGL", "AAAL", "WWHL", "MVHL"]
    assert model.pack_key(sample, moved) is True
    keys = [model.row_key(sample, moved, row, ()) for row in range(4)]
    assert len(set(keys)) == 4
    assert keys[3] == model.row_key(sample, Perturbation.identity(sample.units), 0, ())
    view = (1, 3)
    masked = rows_of(model, sample, moved, view=view).arguments["input_ids"][:, list(view)]
    assert (masked == model.mask_id).all()


def test_one_fill_without_ids_moves_all_rows_to_the_embedding() -> None:
    model, sample = protein()
    fills = (model.baseline(sample, "A"), model.baseline(sample, "zero"))
    moved = Perturbation(
        sample.units.group([0, 0, 1, -1]), weights=WEIGHTS[:2], fills=fills,
        choice=np.array([1, 0]),
    )  # fmt: skip
    assert model.pack_key(sample, moved) is False
    assert model.row_key(sample, moved, 0, ()) is None
    leaf = rows_of(model, sample, moved).leaf
    here, alanine = model.embed(sample.context["ids"]), model.embed(fills[0].ids)
    assert torch.equal(leaf[0, 1:3], here[1:3])
    assert (leaf[0, 3] == 0).all()
    assert torch.equal(leaf[1, 1:4], alanine[1:4])
    assert torch.equal(leaf[:, [0, 4, 5]], here[[0, 4, 5]].expand(2, 3, -1))


def test_each_row_of_a_path_of_embeddings_starts_at_its_own_fill() -> None:
    model, sample = protein()
    fills = tuple(model.baseline(sample, letter) for letter in "AG")
    moved = Perturbation(
        sample.units.whole(), weights=np.array([[0.0], [0.5]]), fills=fills,
        choice=np.array([1, 0]),
    )  # fmt: skip
    here = model.embed(sample.context["ids"])
    leaf = rows_of(model, sample, moved).leaf
    alanine, glycine = (model.embed(fill.ids) for fill in fills)
    assert torch.equal(leaf[0], glycine)
    torch.testing.assert_close(leaf[1], (alanine + here) / 2)
    piece = Piece(sample, moved, np.arange(2), view=(2,))
    away = model.away([piece], ["difference"])
    assert (away[:, 2] == 0).all()
    torch.testing.assert_close(away[0, 1], here[1] - glycine[1])
    torch.testing.assert_close(away[1, 3], here[3] - alanine[3])


SEEDS = np.array([3, 4, 3])


@pytest.mark.parametrize("make", [tensor, protein])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_noise_depends_on_the_seed_of_the_row_alone(make: Any, dtype: torch.dtype) -> None:
    model, sample = make(dtype)
    moved = Perturbation(sample.units.whole(), weights=np.ones((3, 1)), noise=Noise(0.5, SEEDS))
    together = rows_of(model, sample, moved).leaf
    assert together.dtype == dtype
    assert torch.equal(together, apart(model, sample, moved))
    assert torch.equal(together[0], together[2])
    assert not torch.equal(together[0], together[1])
    assert not moved.is_identity
    assert model.row_key(sample, moved, 0, ()) is None
    # The same numbers in every floating type, up to its rounding.
    exact, other = make(torch.float64)
    double = rows_of(exact, other, moved).leaf
    if make is tensor:
        close = 0.05 if dtype == torch.bfloat16 else 1e-5
        torch.testing.assert_close(together.double(), double, rtol=close, atol=close)


def test_noise_has_the_share_of_the_range_as_its_deviation() -> None:
    model, sample = tensor()
    count = 4000
    moved = Perturbation(
        sample.units.whole(), weights=np.ones((count, 1)), noise=Noise(0.2, np.arange(count))
    )
    noise = rows_of(model, sample, moved).leaf - sample.value
    # The input goes from -1 to 4; a mean has the standard error 1 / sqrt(24000).
    assert float(noise.mean()) == pytest.approx(0, abs=4 / np.sqrt(6 * count))
    assert float(noise.std()) == pytest.approx(0.2 * 5, rel=4 / np.sqrt(12 * count))
    between = np.corrcoef(noise.reshape(count, 6).numpy().T) - np.eye(6)
    assert np.abs(between).max() < 5 / np.sqrt(count)


def test_specials_and_masked_positions_get_no_noise() -> None:
    model, sample = protein()
    moved = Perturbation(
        sample.units.whole(), weights=np.ones((2, 1)), noise=Noise(1.0, np.array([1, 2]))
    )
    here = model.embed(sample.context["ids"])
    leaf = rows_of(model, sample, moved, view=(2,)).leaf
    assert torch.equal(leaf[:, [0, 5]], here[[0, 5]].expand(2, 2, -1))
    assert (leaf[:, [1, 3, 4]] != here[[1, 3, 4]]).all()
    assert torch.equal(leaf[0, 2], model.embed(np.array([model.mask_id]))[0])
    kept = here[1:5]
    noise = (leaf - here)[:, [1, 3, 4]]
    deviation = float(kept.max() - kept.min())
    assert float(noise.std()) == pytest.approx(deviation, rel=0.35)


def test_noise_comes_on_top_of_a_path() -> None:
    model, sample = tensor()
    fill = model.baseline(sample, 10.0)
    seeds = np.array([8, 9])
    path = np.array([[0.0], [0.5]])
    plain = Perturbation(sample.units.whole(), weights=path, fill=fill)
    moved = Perturbation(sample.units.whole(), weights=path, fill=fill, noise=Noise(0.1, seeds))
    alone = Perturbation(sample.units.whole(), weights=np.ones((2, 1)), noise=Noise(0.1, seeds))
    noise = rows_of(model, sample, alone).leaf - sample.value
    got = rows_of(model, sample, moved).leaf - rows_of(model, sample, plain).leaf
    torch.testing.assert_close(got, noise)


def test_an_input_that_is_one_number_takes_noise_of_no_size() -> None:
    model = TensorModel(torch.nn.Identity(), "same")
    (sample,) = model.prepare(torch.tensor([3.0]))
    moved = Perturbation(
        sample.units.whole(), weights=np.ones((2, 1)), noise=Noise(0.5, np.array([1, 2]))
    )
    assert rows_of(model, sample, moved).leaf.tolist() == [3.0, 3.0]
