"""Ten variants by the stated rule, and a study whose numbers can be found again."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from matplotlib.figure import Figure

import saliscope
from saliscope.core.errors import InputError, OptionError
from saliscope.sites import place, read_structure
from saliscope.study import (
    AttentionStudy,
    Given,
    choose_variants,
    figures_of,
    read_area,
    read_clinvar,
    read_given,
    read_scores,
    study_attention,
    study_html,
    tp53,
)
from saliscope.study.clinvar import ClinVarTable, Missense, rebuild_codons
from saliscope.study.figures import contact_heads
from saliscope.variants.coding.codons import code

SAMPLES = Path(saliscope.__file__).parent / "samples"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
SEQUENCE = json.loads((SAMPLES / "tp53_features.json").read_text())["sequence"]["value"]
PATHOGENIC = ["H193N", "V147G", "V173L", "E285K", "R181H"]
BENIGN = ["V274I", "Y107H", "N235S", "S269C", "A129D"]


@pytest.fixture(scope="module")
def given() -> Given:
    return tp53()


@pytest.fixture(scope="module")
def study(given: Given) -> AttentionStudy:
    return given.study("zoo:protein")


# -- which variants --------------------------------------------------------------------------------


def test_the_ten_variants_of_p53(given: Given) -> None:
    assert [v.name for v in given.choice.variants] == PATHOGENIC + BENIGN
    assert {v.variant.significance for v in given.choice.variants[:5]} == {
        "Pathogenic/Likely pathogenic"
    }
    assert {v.variant.significance for v in given.choice.variants[5:]} == {"Benign"}
    assert "stars: not in this export" in given.choice.notes
    assert given.groups == {
        "zinc": (176, 179, 238, 242),
        "DNA contacts": (119, 120, 239, 241, 243, 248, 273, 275, 276, 277, 280, 283),
    }


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared data")
def test_the_whole_export_gives_the_same_ten() -> None:
    table = read_clinvar(SHARED / "variants" / "clinvar" / "archcode_clinvar_TP53.csv", SEQUENCE)
    chain = read_structure(SHARED / "proteins" / "pdb" / "1tsr_B_TP53_core.pdb", "B")
    placed = place(chain, SEQUENCE)
    found = choose_variants(table, placed.along(chain.area), within=placed.span)
    assert [v.name for v in found.variants] == PATHOGENIC + BENIGN


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared data")
def test_pten_by_its_protein_names_and_two_stars() -> None:
    reference = pd.read_csv(SHARED / "dms" / "proteingym_DMS_substitutions_reference.csv")
    pten = reference.loc[reference["DMS_id"].str.startswith("PTEN"), "target_seq"].iloc[0]
    table = read_clinvar(SHARED / "variants" / "clinvar" / "archcode_clinvar_PTEN.csv", pten)
    assert table.with_stars
    area = read_area(SHARED / "dms" / "PTEN_VAMPseq_Matreyek2018_positions.tsv", pten)
    with pytest.raises(InputError, match="0 exactly 'Benign'"):
        choose_variants(table, area, within=(14, 351))
    found = choose_variants(
        table, area, within=(14, 351), benign=["Likely benign"], pathogenic=["Pathogenic"]
    )
    assert all((v.variant.stars or 0) >= 2 for v in found.variants)
    assert 0 < float(np.nanmax(area)) < 1.5  # the file has percent


def test_codons_from_letters_and_the_protein() -> None:
    # Position 4 is C: of arginine's six codons four begin with C, and 6 = G leaves CGG.
    codons, clash = rebuild_codons({(4, "C"): 1, (6, "G"): 1}, "MR")
    assert codons[1] == {"CGG"}
    assert not clash
    assert len(rebuild_codons({}, "R")[0][0]) == 6


@for_all(st.lists(st.sampled_from(sorted(code(1))), min_size=1, max_size=8), st.data())
def test_the_true_codon_is_always_among_those_rebuilt(
    codons: list[str], data: st.DataObject
) -> None:
    coding = [c for c in codons if code(1)[c] != "*"]
    text = "".join(coding)
    shown = data.draw(st.sets(st.integers(1, max(1, len(text)))))
    letters = {(i, text[i - 1]): 1 for i in shown if i <= len(text)}
    found, clash = rebuild_codons(letters, "".join(code(1)[c] for c in coding))
    assert not clash
    assert all(c in f for c, f in zip(coding, found, strict=True))


def test_rows_of_another_gene_and_doubtful_codons_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(
        "ref,hgvs_c,clinical_significance\n"
        "T,c.4A>G,Benign\nT,c.5A>C,Benign\nC,c.6G>T,Benign\n"  # minus strand: AAG, K2
        "C,c.7C>G,Benign\n"  # the plus strand: another gene
        "C,X:c.9G>A,Benign\n"  # L3: TTG or CTG, both stay L
        "C,c.12+1G>A,Benign\nT,c.10del,Benign\n"
    )
    table = read_clinvar(file, "MKLW")
    assert [(v.name, v.coding) for v in table.variants] == [
        ("K2E", "c.4A>G"), ("K2T", "c.5A>C"), ("K2N", "c.6G>T"),
    ]  # fmt: skip
    assert any(note.startswith("1 rows on the other strand") for note in table.notes)


@pytest.mark.parametrize(
    ("status", "stars"),
    [
        ("reviewed by expert panel", 3),
        ("criteria provided, multiple submitters, no conflicts", 2),
        ("criteria_provided,_single_submitter", 1),
        ("no assertion criteria provided", 0),
    ],
)
def test_the_review_status_gives_stars(tmp_path: Path, status: str, stars: int) -> None:
    file = tmp_path / "a.tsv"
    file.write_text(
        "Name\tGermline classification\tGermline review status\n"
        f"NM_1.1(G):c.4A>G (p.Lys2Glu)\tPathogenic\t{status}\n"
        "NM_1.1(G):c.6G>A (p.Lys2=)\tBenign\tx\n"
    )
    table = read_clinvar(file, "MK")
    assert [(v.name, v.stars, v.coding) for v in table.variants] == [("K2E", stars, "c.4A>G")]


def variant(at: int, told: str, stars: int | None = None, alt: str = "V") -> Missense:
    return Missense(at, "A", alt, f"c.{3 * at - 1}C>{'T' if alt == 'V' else 'A'}", told, stars, at)


@for_all(
    st.lists(st.integers(0, 20), min_size=8, max_size=8),
    st.integers(1, 4),
)
def test_pairs_are_the_nearest_first(areas: list[int], count: int) -> None:
    area = np.array(areas) / 20
    words = ["Benign"] * 4 + ["Pathogenic/Likely pathogenic"] * 4
    table = ClinVarTable("a", tuple(variant(i, w) for i, w in enumerate(words, 1)), False, ())
    found = choose_variants(table, area, within=(1, 8), count=count).variants
    chosen = list(zip(found[:count], found[count:], strict=True))
    left = {v.position for v in table.variants}
    for bad, good in chosen:  # a slow search for the nearest pair of those that are left
        best = min(
            abs(area[a - 1] - area[b - 1])
            for a, b in itertools.product(left & {5, 6, 7, 8}, left & {1, 2, 3, 4})
        )
        assert abs(bad.area - good.area) == best
        left -= {bad.variant.position, good.variant.position}


def test_stars_are_asked_for_where_they_are_known() -> None:
    told = (
        variant(1, "Benign", 1), variant(2, "Benign", 2),
        variant(3, "Pathogenic/Likely pathogenic", 3),
        variant(3, "Pathogenic/Likely pathogenic", 3, "D"),
    )  # fmt: skip
    table = ClinVarTable("a", told, True, ())
    found = choose_variants(table, np.full(3, 0.5), within=(1, 3), count=2)
    assert [v.name for v in found.variants] == ["A3D", "A2V"]  # c.8C>A before c.8C>T
    assert "1 pairs, 2 were wanted: there are no more" in found.notes
    with pytest.raises(InputError, match="no pair to compare"):
        choose_variants(table, np.full(3, 0.5), within=(1, 2))


# -- what is computed ------------------------------------------------------------------------------


def test_numbers_equal_those_from_attention_itself(study: AttentionStudy) -> None:
    letters = study.sequence
    changed = letters[:192] + "N" + letters[193:]
    maps = [
        saliscope.attention("zoo:protein", s, reduce="mean").values.to_numpy()
        for s in (letters, changed)
    ]
    assert study.received[0] == pytest.approx(maps[0].mean(1), abs=1e-6)
    assert study.received[1] == pytest.approx(maps[1].mean(1), abs=1e-6)
    assert study.received.sum(-1) == pytest.approx(1, abs=1e-4)
    moved = np.abs(maps[1] - maps[0]).sum(-1).mean(-1) / 2
    assert study.moved[0] == pytest.approx(moved, rel=1e-4)
    zinc = [p - 1 for p in (176, 179, 238, 242)]
    assert study.toward[1, 0, :, 0] == pytest.approx(maps[1][:, 192][:, zinc].sum(-1), rel=1e-4)
    window = slice(95, 289)
    assert study.change[0] == pytest.approx(
        (maps[1] - maps[0])[:, window, window].mean(0), abs=1e-6
    )
    ratio = saliscope.measure(
        "zoo:protein", letters, saliscope.Substitution(193, "N", context=True)
    ).values[0]
    assert study.ratio[0] == pytest.approx(float(ratio))


def test_measured_scores_stand_beside(study: AttentionStudy) -> None:
    frame = study.variant_frame().set_index("variant")
    assert frame.loc["R181H", "measured score"] == pytest.approx(0.1083, abs=1e-4)
    assert frame.loc["V274I", "measured score"] == pytest.approx(-0.4858, abs=1e-4)
    assert frame.loc["V274I", "stars"] == "not in this export"
    assert len(study.received_frame()) == 11 * 4 * 393
    assert len(study.moved_frame()) == 40
    assert set(study.head_frame()["sites"]) == {"zinc", "DNA contacts"}


def test_distances_are_those_of_the_structure(study: AttentionStudy) -> None:
    away = study.apart(PATHOGENIC.index("H193N"))
    assert away is not None
    assert away[192] == 0
    assert np.isnan(away[:95]).all()


@pytest.fixture(scope="module")
def figures(study: AttentionStudy) -> dict[str, tuple[Figure, str]]:
    return figures_of(study)


def test_twelve_figures_with_captions(figures: dict[str, tuple[Figure, str]]) -> None:
    found = figures
    assert len(found) == 12
    assert all(caption.endswith(".") and figure.axes for figure, caption in found.values())
    texts = [
        t.get_text() for f, _ in found.values() for t in f.findobj(lambda a: hasattr(a, "get_text"))
    ]
    assert not any("$" in t for t in texts)


def test_the_page_is_whole_offline_and_says_what_it_is(
    study: AttentionStudy, figures: dict[str, tuple[Figure, str]], tmp_path: Path
) -> None:
    few = {name: figures[name] for name in ("01_variants", "12_scores")}
    path = study_html(study, tmp_path / "a.html", figures=few)
    page = path.read_text()
    assert "zoo:protein is a small demonstration model" in page
    assert "they do not test: no p-value compares the two classes" in page
    assert "exactly Pathogenic/Likely pathogenic" in page
    assert page.count('<figure class="molecule">') == 2
    assert not re.search(r"https?://|//cdn|@import|src=", page)
    table = study.variant_frame()
    for value in table["measured score"]:
        assert f"{value:.3g}".replace("-", "−") in page
    for value in table["attention moved"]:
        assert f"{value:.2%}" in page
    assert study_html(study, tmp_path / "b.html", figures=few).read_bytes() == path.read_bytes()


def test_without_a_structure_there_is_one_figure_less(given: Given) -> None:
    found = study_attention(
        "zoo:protein", SEQUENCE, given.choice, {"zinc": [176, 179, 238, 242]}, name="TP53",
        area=given.area, window=(96, 289),
    )  # fmt: skip
    assert found.contacts is None
    with pytest.raises(OptionError, match="no structure"):
        contact_heads(found)
    assert found.measured == (None,) * 10


# -- bad input -------------------------------------------------------------------------------------


def test_bad_tables_are_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"

    def refused(text: str, reason: str, read: object = read_clinvar) -> None:
        file.write_text(text)
        with pytest.raises(InputError) as error:
            read(file, "MKLW")  # type: ignore[operator]
        assert reason in str(error.value)
        assert "\n" not in str(error.value)

    refused("hgvs_c\nc.4A>G\n", "has no column 'clinical_significance'")
    refused("clinical_significance,x\nBenign,1\n", "has no column 'hgvs_c'")
    refused("hgvs_c,clinical_significance\nc.4C>G\n", "row 2: 1 cells")
    refused("hgvs_c,clinical_significance\nc.4C>G,Benign\nc.5C>G,Benign\n", "do not code for this")
    refused("hgvs_c,clinical_significance\nc.6G>A,Benign\n", "no missense variant")
    refused(
        "title,clinical_significance,review_status\nG:c.4A>G (p.Lys2Glu),Benign,nice\n",
        "row 2: review status 'nice' is none of ClinVar's",
    )
    refused(
        "title,clinical_significance\nG:c.4A>G (p.Arg2Glu),Benign\n", "row 2: R2E is not in this"
    )
    refused("hgvs_pro,score\np.Arg2Glu,1\n", "row 2: has R at 2, which is not in", read_scores)
    refused("hgvs_pro,score\np.Lys2Glu,x\n", "row 2: score 'x' is not a number", read_scores)
    refused("hgvs_pro,score\n_wt,1\n", "has no score of a single change", read_scores)
    refused("position,rsa\n9,0.1\n", "row 2: position 9 is not within the 4", read_area)


def test_a_study_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    clinvar = SAMPLES / "tp53_clinvar.csv.gz"
    features = SAMPLES / "tp53_features.json"
    with pytest.raises(OptionError, match="matched by accessibility"):
        read_given(clinvar, features=features)
    with pytest.raises(OptionError, match="need a structure"):
        read_given(clinvar, features=features, touching=["E"])
    with pytest.raises(InputError, match="no sequence; give the protein in FASTA"):
        read_given(clinvar, structure=SAMPLES / "tp53_1tsr_B.pdb.gz")
    dna = tmp_path / "a.fasta"
    dna.write_text(">x\n" + "ACGT" * 20 + "\n")
    with pytest.raises(InputError, match="nucleotide sequence; translate it"):
        read_given(clinvar, protein=dna, structure=SAMPLES / "tp53_1tsr_B.pdb.gz")
    fasta = tmp_path / "p.fasta"
    fasta.write_text(f">p53\n{SEQUENCE}\n")
    with pytest.raises(OptionError, match="no sites"):
        read_given(clinvar, protein=fasta, structure=SAMPLES / "tp53_1tsr_B.pdb.gz")
