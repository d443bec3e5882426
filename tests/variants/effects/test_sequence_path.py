"""The path between two proteins: exact sums, zeros where nothing changes, finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import saliscope
from saliscope.core.errors import InputError
from saliscope.variants.effects.path import LETTERS, sequence_path, substitution_gradients

REFERENCE = "MVHLTPEEKSAVTALWGKVNVDEVGGEALGR"
SUBJECT = "MVHLTPVEKSAVTALWGKVNVDKVGGEALGR"


@pytest.fixture(scope="module")
def model() -> Any:
    return saliscope.load("zoo:protein", dtype="float64")


def soft_score(model: Any, rows: torch.Tensor) -> torch.Tensor:
    """Return s(X) for soft one-hot rows (..., residues, 20), written from the equation alone."""
    module, ids = model.module, [model.token_id(a) for a in LETTERS]
    rows = rows.reshape(-1, *rows.shape[-2:])
    inner = rows @ module.get_input_embeddings().weight[ids]
    (sample,) = model.prepare("A" * rows.shape[1])
    tokens = torch.from_numpy(sample.context["ids"]).expand(len(rows), -1)

    def put(_m: object, _a: object, out: torch.Tensor) -> torch.Tensor:
        out = out.clone()
        out[:, sample.units.kept] = inner
        return out

    handle = module.get_input_embeddings().register_forward_hook(put)
    logits = module(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits
    handle.remove()
    log_p = logits[:, sample.units.kept].log_softmax(-1)[..., ids]
    return (rows * log_p).sum()


def one_hot(protein: str) -> torch.Tensor:
    rows = torch.zeros(len(protein), 20, dtype=torch.float64)
    for i, letter in enumerate(protein):
        rows[i, LETTERS.index(letter)] = 1.0
    return rows


def test_the_attributions_sum_to_the_ratio_and_unchanged_residues_get_zero(model: Any) -> None:
    path = sequence_path(model, REFERENCE, SUBJECT)
    scores = [m.values[0] for m in saliscope.measure(model, [SUBJECT, REFERENCE])]
    assert path.score == pytest.approx(scores[0], rel=1e-9)
    assert path.reference_score == pytest.approx(scores[1], rel=1e-9)
    assert np.flatnonzero(path.values).tolist() == [6, 22]
    assert abs(path.gap) <= 0.01 * np.abs(path.values).sum()
    assert path.error <= 0.01


def test_the_path_equals_a_slow_sum_over_many_nodes(model: Any) -> None:
    reference, subject = "MVHLTPEEKSAV", "MVHLTPVEKSKV"
    nodes, weights = np.polynomial.legendre.leggauss(200)
    low, high = one_hot(reference), one_hot(subject)
    steps = torch.from_numpy((nodes + 1) / 2)[:, None, None]
    rows = (low + steps * (high - low)).requires_grad_()
    (slopes,) = torch.autograd.grad(soft_score(model, rows), rows)
    total = torch.from_numpy(weights / 2) @ (slopes * (high - low)).sum(-1)
    path = sequence_path(model, reference, subject, tolerance=1e-4)
    np.testing.assert_allclose(path.values, total.numpy(), atol=2e-3 * np.abs(total).sum())


def test_substitution_gradients_equal_autograd_on_one_hot_rows(model: Any) -> None:
    rows = one_hot(SUBJECT).requires_grad_()
    (slope,) = torch.autograd.grad(soft_score(model, rows), rows)
    expected = slope - (slope * rows).sum(1, keepdim=True)
    got = substitution_gradients(model, SUBJECT)
    np.testing.assert_allclose(got, expected.detach().numpy(), atol=1e-9 * float(slope.abs().max()))


def test_equal_proteins_have_a_path_of_zeros(model: Any) -> None:
    path = sequence_path(model, REFERENCE, REFERENCE)
    assert not path.values.any()
    assert path.gap == 0


def test_proteins_of_two_lengths_are_refused(model: Any) -> None:
    with pytest.raises(InputError, match="31 and 30 residues"):
        sequence_path(model, REFERENCE, SUBJECT[:-1])
