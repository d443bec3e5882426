"""Rows of a population on a transcript: which are of it, and why the others are not."""

from __future__ import annotations

import functools

import pytest

from saliscope.core.errors import InputError
from saliscope.variants.coding.edit import Allele, Edit
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.population.consequence import fit
from saliscope.variants.population.load import load_population
from saliscope.variants.population.match import Matched, match
from saliscope.variants.population.record import Counts, Population, PopulationVariant
from variants.population.population_data import GNOMAD, brca1, needs_data, protein, vhl

loaded = functools.cache(load_population)
IAPP = "MGILKLQVFLIVLSVALNHLKATPIESHQVEKRKCNTATCATQRLANFLVHSSNNFGAILSSTNVGSNTYGKRNAVEVLKREPLNYLPL"
BRCA1_V4 = "v4.0.0_BRCA1_ENSG00000012048_2024_03_04.csv"
BRCA1_V2 = "v2.1.1_BRCA1_unnamed_export.csv"
VHL_V2 = "v2.1.1_VHL_ENSG00000134086_2019_10_04.csv"


@needs_data
@pytest.mark.parametrize(
    ("name", "of", "rows"),
    [
        ("v2.1.1_ACE2_ENSG00000130234_2020_11_05.csv", "ACE2_HUMAN", 241),
        ("v3.1_ACE2_ENSG00000130234_2021_02_07.csv", "ACE2_HUMAN", 181),
        ("v2.1.1_PRNP_ENSG00000171867_2020_05_25.csv", "NP_000302.1", 133),
    ],
)
def test_residues_of_the_source_fit_the_protein(name: str, of: str, rows: int) -> None:
    found = fit(loaded(GNOMAD / name), protein(of))
    assert (found.fitting, found.total, found.misfits) == (rows, rows, ())


@needs_data
def test_residues_on_the_right_transcript_only() -> None:
    iapp = loaded(GNOMAD / "v4.1.0_IAPP_ENSG00000121351.csv")
    own = fit(iapp, IAPP, transcripts=["ENST00000240652"])
    assert (own.fitting, own.total) == (123, 123)
    brca = loaded(GNOMAD / BRCA1_V4)
    found = fit(brca, brca1("GRCh38").protein)
    assert (found.fitting, found.total) == (3006, 3095)
    found = fit(brca, brca1("GRCh38").protein, transcripts=["ENST00000357654.9"])
    assert (found.fitting, found.total) == (2999, 2999)
    # 966 missense rows of the export on ENST00000471181, of which 753 fit (see the MANIFEST)
    old = loaded(GNOMAD / BRCA1_V2)
    missense = {a: v for a, v in old.variants.items() if v.consequence == "missense_variant"}
    part = Population(old.source, old.file, old.build, old.groups, missense)
    found = fit(part, brca1("GRCh37").protein)
    assert (found.fitting, found.total) == (753, 966)
    vhl_rows = fit(loaded(GNOMAD / VHL_V2), vhl(None).protein)
    assert (vhl_rows.fitting, vhl_rows.total) == (152, 152)


def _listed(found: Matched, reason: str) -> list[int]:
    return [one.row for one in found.unmatched if one.reason == reason]


@needs_data
def test_brca1_on_its_transcript() -> None:
    rows = loaded(GNOMAD / BRCA1_V4)
    transcript = brca1("GRCh38")
    assert len(transcript.protein) == 1863
    with pytest.raises(InputError) as caught:
        match(rows, transcript)
    told = str(caught.value)
    assert "no row is of NM_007294.4; the source names ENST00000357654.9 (5493 rows)" in told
    assert "say names={'NM_007294.4': ('ENST00000357654.9',)}" in told
    found = match(rows, transcript, names={"NM_007294": ("ENST00000357654",)})
    assert len(found.matched) + len(found.unmatched) == 5795
    assert found.reasons == {"outside": 2264, "transcript": 302}
    assert found.sentence == (
        "3229 of 5795 rows of gnomAD v4.0.0 browser export are changes of NM_007294.4; not used: "
        "2264 outside of the coding sequence; 302 the source's consequence is of another transcript"
    )
    kinds = {(one.variant.consequence, one.change.kind) for one in found.matched}
    for consequence, kind in (
        ("missense_variant", "missense"), ("synonymous_variant", "synonymous"),
        ("stop_gained", "stop_gained"), ("start_lost", "start_lost"),
        ("inframe_deletion", "inframe_deletion"),
    ):  # fmt: skip
        assert (consequence, kind) in kinds
    assert ("missense_variant", "synonymous") not in kinds
    # the names that the source gives are our names, but for how synonymous changes are written
    same = [one for one in found.matched if one.variant.protein == one.change.protein]
    assert (
        sum(one.variant.consequence == "missense_variant" for one in same) == 2127
    )  # all that the file has
    assert all(one.variant.coding == one.change.coding for one in same)


@needs_data
def test_rows_on_another_transcript_are_listed_with_what_they_say() -> None:
    rows = loaded(GNOMAD / BRCA1_V2)
    found = match(rows, brca1("GRCh37"), names={"NM_007294.4": ["ENST00000471181"]})
    assert found.reasons["transcript"] == 31
    first = next(one for one in found.unmatched if one.reason == "consequence")
    assert first.detail == (
        "17-41197698-G-A: the source says p.Tyr1884Tyr, on NM_007294.4 it is p.Tyr1863="
    )
    with pytest.raises(InputError, match=r"is on GRCh37, and NM_007294\.4 is placed on GRCh38"):
        match(rows, brca1("GRCh38"))


@needs_data
def test_vhl_by_place() -> None:
    rows = loaded(GNOMAD / VHL_V2)
    found = match(rows, vhl("GRCh37"))
    assert (len(found.matched), found.reasons) == (236, {"outside": 148, "edge": 1})
    assert _listed(found, "edge") == [359]


@needs_data
def test_vhl_by_name_gives_what_its_place_gives() -> None:
    rows = loaded(GNOMAD / VHL_V2)
    bare = vhl(None)
    named, placed = match(rows, bare), match(rows, vhl("GRCh37"))
    # c.*1_*3delAGA begins behind the stop codon, by its place it reaches over the edge
    assert (len(named.matched), named.reasons) == (236, {"outside": 149})
    for one, other in zip(named.matched, placed.matched, strict=True):
        assert one.variant is other.variant
        assert one.edit.apply(bare.cds) == other.edit.apply(bare.cds)
        assert one.change.protein == other.change.protein
    assert named.by_coding.keys() == placed.by_coding.keys()
    assert len(named.by_coding) == 236


def test_by_name_reasons() -> None:
    bare = Transcript("ENST01.2", "T", "ATGAAATGGTAA")
    names = ("c.5A>G", "", "c.-3A>G", "c.6+2T>C", "c.*2A>G", "c.7-1G>A", "c.5C>G", "c.4_6delAAA")
    rows = [_row(50 + i, "A", "G", 2 + i, coding=name) for i, name in enumerate(names)]
    found = match(_population(*rows, build=None), bare)
    assert [(one.variant.row, one.change.protein) for one in found.matched] == [
        (2, "p.Lys2Arg"), (9, "p.Lys2del"),
    ]  # fmt: skip
    assert {one.row: one.reason for one in found.unmatched} == {
        3: "unnamed", 4: "outside", 5: "outside", 6: "outside", 7: "outside", 8: "reference",
    }  # fmt: skip


T = Transcript("ENST01.2", "T", "ATGAAATGGTAA", "GRCh38", "1", -1, ((106, 110), (92, 100)))


def _population(*rows: PopulationVariant, build: str | None = "GRCh38") -> Population:
    return Population("a table", "x.csv", build, (), {row.allele: row for row in rows})


def _row(position: int, ref: str, alt: str, row: int = 2, **said: str) -> PopulationVariant:
    return PopulationVariant(Allele.of("1", position, ref, alt), row, Counts(1, 10), **said)


def test_reasons() -> None:
    # on the plus strand: 110 T A C T 107, intron 101 to 106, 100 T T A C C A T T 93
    found = match(
        _population(
            _row(100, "T", "C", 2),
            _row(99, "T", "C", 3, transcript="ENST01.9", protein="p.Lys2="),
            _row(98, "A", "G", 4, protein="p.Trp3Arg"),
            _row(103, "A", "C", 5),
            _row(106, "A", "AG", 6),
            _row(105, "AGT", "A", 7),
            _row(109, "C", "G", 8),
            _row(97, "C", "G", 9, transcript="ENST77.1"),
            _row(97, "C", "A", 10, protein="p.Trp4Leu"),
            _row(97, "C", "T", 11, protein="p.Trp3Arg"),
            _row(96, "C", "T", 12, consequence="intron_variant"),
            _row(96, "C", "A", 13, protein="c.9G>T(p.=)"),
        ),
        T,
    )
    assert [(one.variant.row, one.change.protein) for one in found.matched] == [
        (2, "p.Lys2Arg"), (3, "p.Lys2="), (4, "p.Trp3Arg"),
    ]  # fmt: skip
    assert found.by_edit[Edit(4, 5, "G")].variant.row == 2
    assert {one.row: one.reason for one in found.unmatched} == {
        5: "outside", 6: "outside", 7: "edge", 8: "reference", 9: "transcript", 10: "consequence",
        11: "consequence", 12: "consequence", 13: "consequence",
    }  # fmt: skip
    told = {one.row: one.detail for one in found.unmatched}
    assert told[8].startswith("1-109-C-G: the reference base is A in GRCh38 (ENST01.2), not C")
    assert told[10] == "1-97-C-A: the source says p.Trp4Leu, on ENST01.2 it is p.Trp3Leu"
    assert told[12] == "1-96-C-T: the source says intron_variant, on ENST01.2 it is p.Trp3Ter"
    assert told[9] == "the source's row is of ENST77.1"


def test_the_transcripts_own_base_is_no_change() -> None:
    # the transcript has G where the genome has A, as in TPMT c.474
    t = Transcript("T.1", "T", "ATGAAGTAA", "GRCh38", "1", 1, ((99, 108),), genome={5: "A"})
    found = match(_population(_row(105, "A", "G", 2), _row(105, "A", "C", 3)), t)
    assert [(one.edit, one.change.protein) for one in found.matched] == [
        (Edit(5, 6, "C"), "p.Lys2Asn")
    ]
    assert _listed(found, "same") == [2]


def test_many_wrong_references_are_a_wrong_build() -> None:
    rows = [_row(p, "G", "C", p) for p in (93, 94, 95, 98, 99, 100)]
    with pytest.raises(InputError, match="other rows: is the transcript of another genome build"):
        match(_population(*rows, build=None), T)
