"""A planted site head is found, and what is reported is what a slow reading gives."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import combine_pvalues, false_discovery_control

import saliscope
from helpers import planted
from saliscope.core.errors import InputError, OptionError
from saliscope.models.protein import ProteinModel
from saliscope.sites import Sites, compare_maps, scan_sites
from saliscope.sites.rivals import certainty, residue_identity


@pytest.fixture(scope="module")
def model() -> ProteinModel:
    return planted.model()


@pytest.fixture(scope="module")
def sites() -> list[Sites]:
    found = []
    for seed in range(4):
        letters = planted.protein(seed)
        places = [i + 1 for i, a in enumerate(letters) if a == "W"]
        found.append(Sites.at(letters, places, name=f"P{seed}"))
    return found


def test_the_planted_site_head_is_first(model: ProteinModel, sites: list[Sites]) -> None:
    scan = scan_sites(model, sites, draws=99)
    best = scan.top(1).iloc[0]
    assert (best["layer"], best["head"]) == planted.SITE_HEAD
    assert best["p_shift"] < 0.01
    assert best["q_shift"] < 0.01
    assert best["auroc"] == 1.0
    # All tryptophans are sites: nothing can be said among equal residues, and the page says so.
    assert scan.maps["p_matched"].isna().all()
    assert any("all residues of the sites' types are sites" in note for note in scan.notes)


def test_one_protein_is_enough_to_find_it(model: ProteinModel, sites: list[Sites]) -> None:
    best = scan_sites(model, sites[0], draws=99).top(1).iloc[0]
    assert (best["layer"], best["head"]) == planted.SITE_HEAD
    assert best["p_shift"] < 0.01


def test_numbers_equal_those_from_attention_itself(model: ProteinModel, sites: list[Sites]) -> None:
    scan = scan_sites(model, sites, draws=49, seed=3)
    p = []
    for one in sites:
        m = saliscope.attention(model, one.sequence, specials="drop")
        values = m.values.sel(layer=0, head=1).to_numpy()
        inside, outside = values[one.mask].mean(), values[~one.mask].mean()
        row = scan.proteins.query("layer == 0 and head == 1 and protein == @one.name").iloc[0]
        assert row["enrichment"] == pytest.approx(inside / outside, rel=1e-6)
        assert (row["residues"], row["sites"]) == (120, int(one.mask.sum()))
        p.append(row["p_shift"])
    own = scan.maps.query("layer == 0 and head == 1").iloc[0]
    assert own["p_shift"] == pytest.approx(combine_pvalues(p, "stouffer").pvalue)
    q = false_discovery_control(scan.maps["p_shift"])
    assert scan.maps["q_shift"].to_numpy() == pytest.approx(q)


def test_special_tokens_take_no_part(model: ProteinModel, sites: list[Sites]) -> None:
    letters = sites[0].sequence
    kept = saliscope.attention(model, letters, specials="keep")
    dropped = saliscope.attention(model, letters)
    assert kept.values.sizes["position"] == len(letters) + 2
    first = scan_sites(model, sites[0], draws=9).proteins
    second = compare_maps([dropped], sites[0], draws=9).proteins
    assert first["p_shift"].tolist() == second["p_shift"].tolist()
    with pytest.raises(InputError, match="its map 122"):
        compare_maps([kept], sites[0])


def test_what_lies_outside_of_the_window_takes_no_part() -> None:
    sites = Sites.at("MCHKAAWEDL", [2, 3], within=(1, 8), name="P")
    values = np.array([0, 5.0, 4, 0, 1, 0, 0, 0, 99, 99])
    row = compare_maps([values], sites, draws=9).maps.iloc[0]
    assert (row["auroc"], row["p_shift"]) == (1.0, 1 / 16)


def test_an_attribution_counts_by_size_each_target_for_itself() -> None:
    letters = "MVHLTPEEKSAVTALWGK"
    a = saliscope.explain("zoo:protein", letters, "gradient")
    sites = Sites.at(letters, [3, 7])
    found = compare_maps([a], sites, draws=19)
    expected = np.abs(a.to_numpy())
    assert found.maps["enrichment"].iloc[0] == pytest.approx(
        expected[sites.mask].mean() / expected[~sites.mask].mean()
    )
    assert found.maps["map"].iloc[0].startswith("gradient: ")


def test_rivals_by_hand() -> None:
    one, two = Sites.at("CCA", [1]), Sites.at("CAA", [1])
    first, _ = residue_identity([one, two])
    # In the other protein one of one C is a site, none of two A, one of three in all.
    assert first.tolist() == pytest.approx([(1 + 1 / 3) / 2, (1 + 1 / 3) / 2, (1 / 3) / 3])


def test_certainty_is_minus_the_entropy_of_the_output(protein: ProteinModel) -> None:
    import torch

    letters = "MVHLTPEEK"
    found = certainty(protein, letters)
    (sample,) = protein.prepare(letters)
    with torch.no_grad():
        logits = protein.module(**protein.arguments([sample.context["ids"]])).logits[0, 1:-1]
    ids = [protein.vocabulary[a] for a in "ACDEFGHIKLMNPQRSTVWY"]
    p = logits[:, ids].double().softmax(-1)
    assert found == pytest.approx((p * p.log()).sum(-1).numpy(), abs=1e-12)


def test_a_further_rival_is_judged_like_the_others(model: ProteinModel) -> None:
    letters = planted.protein(0)
    sites = Sites.at(letters, [3, 9, 20], name="P")
    scores = np.zeros(120)
    scores[[2, 8, 19]] = 1
    scores[50] = np.nan
    found = scan_sites(model, sites, rivals={"conservation": [scores]}, draws=9).rivals
    row = found[found["rival"] == "conservation"].iloc[0]
    assert row["auroc"] == pytest.approx(1.0, abs=0.01)
    with pytest.raises(InputError, match="conservation has 3 values for 120 residues"):
        scan_sites(model, sites, rivals={"conservation": [scores[:3]]}, draws=9)


def test_equal_seeds_give_equal_tables(protein: ProteinModel) -> None:
    one = Sites.at(planted.protein(0)[:60], [3, 9, 20], name="P")
    tables = [scan_sites(protein, one, draws=99, seed=s).maps for s in (1, 1, 2)]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert tables[0]["p_matched"].tolist() != tables[2]["p_matched"].tolist()


def test_refusals(sites: list[Sites]) -> None:
    with pytest.raises(InputError, match="no proteins"):
        scan_sites("zoo:protein", [])
    with pytest.raises(InputError, match="P0: stands twice"):
        scan_sites("zoo:protein", [sites[0], sites[0]])
    with pytest.raises(OptionError, match="draws=0"):
        scan_sites("zoo:protein", sites, draws=0)
    with pytest.raises(InputError, match="1 maps, 4 proteins"):
        compare_maps([np.ones(120)], sites)
    with pytest.raises(InputError, match="nucleotide sequence"):
        scan_sites("zoo:protein", Sites.at("ACGT" * 10, [3]))
