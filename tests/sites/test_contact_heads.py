"""A planted contact head is found at rank 1; precision and correction equal slow references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import saliscope
from helpers import planted
from saliscope.attention import stream
from saliscope.core.errors import InputError, OptionError
from saliscope.models.protein import ProteinModel
from saliscope.sites import apc, fit_contacts, place, precision_at, read_structure, scan_contacts
from saliscope.sites.contacts import average_precision, pairs_in
from saliscope.sites.heads import each_head

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "proteins" / "pdb"


@pytest.fixture(scope="module")
def model() -> ProteinModel:
    return planted.model()


def test_the_planted_contact_head_is_first_in_every_range(model: ProteinModel) -> None:
    placed = [planted.fitted(planted.protein(s), f"made{s}.pdb") for s in range(3)]
    scan = scan_contacts(model, placed)
    for band in ("short", "medium", "long"):
        best = scan.top(2, by=f"{band} P@L/5")
        assert (best["layer"][0], best["head"][0]) == planted.CONTACT_HEAD
        assert best[f"{band} P@L/5"][0] == 1.0
        assert best[f"{band} P@L/5"][1] < 0.9
    assert float(scan.chance["long"].iloc[0]) == pytest.approx(0.05, abs=0.02)


def test_regression_on_held_out_proteins_finds_the_planted_head(model: ProteinModel) -> None:
    placed = [planted.fitted(planted.protein(s), f"made{s}.pdb") for s in range(3)]
    fit = fit_contacts(model, placed)
    assert (fit.proteins["average precision"] > 0.99).all()
    assert (fit.proteins["chance"] < 0.1).all()
    assert set(fit.proteins["best head"]) == {"L1 H2"}
    largest = fit.weights.loc[fit.weights["weight"].idxmax()]
    assert (largest["layer"], largest["head"]) == planted.CONTACT_HEAD
    assert fit.predicted["made0.pdb chain A"].shape == (120, 120)


def test_heads_come_one_layer_at_a_time_and_equal_the_full_attention(
    protein: ProteinModel,
) -> None:
    letters = "MVHLTPEEKSAVTALWGK"
    full = saliscope.attention(protein, letters, reduce="full").values.to_numpy()
    seen = {}
    each_head(protein, letters, lambda la, h, m: seen.__setitem__((la, h), m))
    assert list(seen) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for (layer, head), matrix in seen.items():
        own = full[layer, head] + full[layer, head].T
        slow = own - np.outer(own.sum(1), own.sum(0)) / own.sum()
        assert matrix == pytest.approx(slow, abs=1e-12)
        assert matrix.sum(0) == pytest.approx(0, abs=1e-12)


def test_a_layer_that_is_handed_over_is_overwritten(protein: ProteinModel) -> None:
    (sample,) = protein.prepare("MVHLTPEEK")
    arguments = protein.arguments([sample.context["ids"]])
    kept: list[torch.Tensor] = []
    found = stream(
        protein.module, arguments, reduce="full",
        each=lambda _n, _p, values: kept.append(values.clone()),
    )  # fmt: skip
    whole = stream(protein.module, arguments, reduce="full").values
    assert found.values.shape[1] == 1
    assert torch.equal(torch.stack(kept, 1), whole)


def test_precision_by_hand_with_ties() -> None:
    scores = np.array([5.0, 4.0, 4.0, 4.0, 1.0])
    contacts = np.array([True, True, False, False, True])
    assert precision_at(scores, contacts, 1) == 1.0
    # One of the three that tie for the second place, each as likely.
    assert precision_at(scores, contacts, 2) == pytest.approx((1 + 1 / 3) / 2)
    assert precision_at(scores, contacts, 10, part=5) == pytest.approx((1 + 1 / 3) / 2)
    assert precision_at(scores, contacts, 99) == 0.6
    assert np.isnan(precision_at(np.zeros(0), np.zeros(0, dtype=bool), 5))
    assert np.isnan(average_precision(scores, np.zeros(5, dtype=bool)))


def test_pairs_are_counted_along_the_sequence_not_the_resolved_residues() -> None:
    columns = np.array([0, 5, 6, 30])
    first, second = pairs_in(columns, (6, 12))
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 2)]
    first, second = pairs_in(columns, (24, None))
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 3), (1, 3), (2, 3)]


def test_apc_of_zeros_is_zero() -> None:
    assert not apc(np.zeros((3, 3))).any()


def test_refusals(model: ProteinModel) -> None:
    one = planted.fitted(planted.protein(0))
    with pytest.raises(InputError, match="is alone, and must be held out"):
        fit_contacts(model, [one])
    with pytest.raises(OptionError, match="stands twice"):
        fit_contacts(model, [one, one])
    with pytest.raises(InputError, match="no structures"):
        scan_contacts(model, [])
    with pytest.raises(OptionError, match="cutoff=0"):
        scan_contacts(model, one, cutoff=0)
    with pytest.raises(OptionError, match="use one of short P@L, "):
        scan_contacts(model, one).top(by="P@L")
    with pytest.raises(OptionError, match="give a protein model"):
        scan_contacts("zoo:sentiment", one)
    with pytest.raises(InputError, match="residues at least 6 apart"):
        scan_contacts(model, planted.fitted("MVHLT"))


@pytest.mark.skipif(not DATA.exists(), reason="needs the shared data")
def test_real_structures_are_read_and_scanned() -> None:
    found = [
        read_structure(DATA / file, chain)
        for file, chain in (("1crn_crambin.pdb", None), ("1jm7_BRCA1_RING_BARD1.pdb.gz", "A"))
    ]
    assert [(len(s.letters), s.models) for s in found] == [(46, 1), (103, 14)]
    scan = scan_contacts("zoo:protein", [place(s, s.letters) for s in found])
    assert scan.proteins["protein"].nunique() == 2
    crambin = scan.proteins[scan.proteins["residues"] == 46].iloc[0]
    distances = found[0].distances()
    i, j = np.triu_indices(46, 24)
    assert crambin["long contacts"] == int((distances[i, j] < 8).sum())
