"""Every kind of population file, from the file to the report and the catalog, without a panel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from saliscope.core.errors import InputError
from saliscope.models.protein import ProteinModel
from saliscope.variants.calls.record import Calls
from saliscope.variants.calls.vcf import read_calls
from saliscope.variants.catalog.build import build_catalog
from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.haplotype import haplotype
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.effects.interpret import interpret
from saliscope.variants.effects.record import Effect, Interpretation
from saliscope.variants.population.match import Matched
from saliscope.variants.report.page import report_html
from saliscope.variants.report.words import check_words, page_text
from saliscope.variants.session import read_population
from variants.effects.toy_encoder import Toy
from variants.effects.toy_people import missense_edit, transcript_of
from variants.effects.toy_sources import (
    Copies,
    write_dbsnp,
    write_export,
    write_person,
    write_sites,
    write_table,
)

RESIDUES = 61
GENE = transcript_of(RESIDUES)
A, B, RARE = (missense_edit(GENE, position) for position in (20, 40, 30))
COPIES: Copies = {
    A: lambda _group, an: an // 4,
    B: lambda group, an: an // 2 if group == "afr" else 0,
    RARE: lambda group, _an: 2 if group == "nfe" else 0,
}
SOURCES: dict[str, tuple[str, Callable[..., Path]]] = {
    "gnomAD v2.1.1 browser export": ("GRCh37", partial(write_export, era="A_v2")),
    "gnomAD v3.1.2 browser export": ("GRCh38", partial(write_export, era="E_v3.1.2")),
    "gnomAD v4.1.0 browser export": ("GRCh38", partial(write_export, era="I_v4.1")),
    "gnomAD v4.1 exomes sites VCF": ("GRCh38", write_sites),
    "table of counts": ("GRCh38", write_table),
}
CODED = {haplotype(GENE, [edit]).changes[0].coding: edit for edit in COPIES}


@pytest.fixture(scope="module")
def toy() -> Toy:
    """The residue of B at 40 gains from that of the rare change at 30."""
    one, other = (haplotype(GENE, [edit]).changes[0] for edit in (B, RARE))
    return Toy(RESIDUES, 0, (one.position, one.alt, other.position, other.alt, 3.0))


def given(folder: Path, source: str) -> tuple[Calls, Matched, Transcript]:
    build, write = SOURCES.get(source, ("GRCh38", write_dbsnp))
    transcript = replace(GENE, build=build)
    file = write(folder, transcript=transcript, copies=COPIES)
    calls = read_calls(
        write_person(folder, transcript, {A: "0|1", RARE: "0|1"}), transcript, build=build
    )
    return calls, read_population(calls.transcript, file, (), None), transcript


def effect_of(found: Interpretation, edit: Edit) -> Effect:
    return next(e for e in found.effects if CODED[e.coding] == edit)


def words(found: Interpretation, folder: Path) -> str:
    text = page_text(report_html(found, folder / "report.html").read_text())
    assert check_words(text) == []
    return text


@pytest.fixture(scope="module", params=SOURCES)
def told(
    request: pytest.FixtureRequest, toy: Toy, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Interpretation, Path]:
    folder = tmp_path_factory.mktemp("source")
    calls, population, _ = given(folder, request.param)
    return (
        request.param,
        interpret(calls, "me", toy.model, population=population, pairs=50),
        folder,
    )


def test_backgrounds_are_expected_from_frequencies(
    told: tuple[str, Interpretation, Path], toy: Toy
) -> None:
    _, found, _ = told
    effect = effect_of(found, RARE)
    assert effect.source == "expected from frequencies"
    seen = {}
    for edits in ((), (A,), (B,), (A, B)):
        host = haplotype(GENE, edits)
        label = "reference" if not edits else f"with {host.label}"
        background = next(b for b in effect.backgrounds if b.label == label)
        shift = toy.score(haplotype(GENE, [*edits, RARE]).protein) - toy.score(host.protein)
        assert background.shift == pytest.approx(shift, abs=1e-6)
        seen[edits] = background.counts["afr"], background.counts["nfe"]
        assert background.own == (edits == (A,))
    # 800 chromosomes, a quarter with A and half with B; 5,000, a quarter with A
    assert seen == {(): (300, 3750), (A,): (100, 1250), (B,): (300, 0), (A, B): (100, 0)}
    assert len(effect.backgrounds) == 4
    other = effect_of(found, A)  # two of 5,000 have the rare one
    labels = {b.label: (b.counts["afr"], b.counts["nfe"]) for b in other.backgrounds}
    assert labels == {"reference": (400, 4998), f"with {haplotype(GENE, [B]).label}": (400, 0)}


def test_carriers_and_presence_are_those_of_the_source(
    told: tuple[str, Interpretation, Path],
) -> None:
    source, found, _ = told
    effect = effect_of(found, RARE)
    people = dict(effect.carriers)
    assert (people["afr"], people["nfe"], sum(people.values())) == (0, 2, 2)
    assert (effect.called["afr"], effect.called["nfe"]) == (400, 2500)
    assert effect.presence.startswith(f"seen in {source}: 2 of ")
    assert effect_of(found, A).carriers["afr"] == 200
    row = found.to_frame().set_index("coding").loc[effect.coding]
    assert row["carriers_nfe"] == 2
    assert row["background_source"] == "expected from frequencies"


def test_the_most_frequent_haplotype_is_to_expect(told: tuple[str, Interpretation, Path]) -> None:
    _, found, _ = told
    assert found.frequent.startswith("reference (to expect on ")
    assert found.frequent.endswith(" haplotypes of all groups)")
    for copy in found.copies:
        assert copy.shift_frequent == copy.shift


def test_the_page_says_where_backgrounds_are_from(told: tuple[str, Interpretation, Path]) -> None:
    source, found, folder = told
    text = words(found, folder)
    assert f"Population: {source}, 3 variants of T.1." in text
    assert "Source: expected from frequencies." in text
    assert "linkage is not known" in text
    assert "whether me was counted among its people is not known" in text
    assert "3 of 3 rows" in text
    assert "2 people carry it" in text
    assert "not carriers" in text


def test_the_catalog_has_the_counts_of_the_source(
    told: tuple[str, Interpretation, Path], protein: ProteinModel, tmp_path: Path
) -> None:
    source, _, folder = told
    build, write = SOURCES[source]
    transcript = replace(GENE, build=build)
    file = write(folder, transcript=transcript, copies=COPIES)
    population = read_population(transcript, file, (), None)
    catalog = build_catalog(
        transcript, protein, tmp_path / "c", population=population, missense=False
    )
    assert dict(catalog.entries()["what"].value_counts()) == {"variant": 3, "reference": 1}
    rows = catalog.counts()
    assert set(rows["source"]) == {f"{source}: {file.name}"}
    coding = haplotype(GENE, [RARE]).changes[0].coding
    own = rows[(rows["entry"] == f"variant {coding}") & (rows["by"] == "group")]
    counts = own.set_index("group_name")
    assert (counts.loc["nfe", "ac"], counts.loc["nfe", "an"]) == (2, 5000)
    assert counts.loc["afr", "ac"] == 0
    assert counts["ac"].sum() == 2


def test_a_group_of_the_source_can_be_chosen(toy: Toy, tmp_path: Path) -> None:
    calls, population, _ = given(tmp_path, "table of counts")
    found = interpret(calls, "me", toy.model, population=population, pairs=50, group="nfe")
    assert found.frequent == "reference (to expect on 3,748 of 5,000 haplotypes of nfe)"
    with pytest.raises(InputError, match="'EUR' is not in table of counts; it has: afr, nfe"):
        interpret(calls, "me", toy.model, population=population, group="EUR")
    with pytest.raises(InputError, match="none was given; there are no groups; leave it out"):
        interpret(calls, "me", toy.model, group="EUR")


def test_dbsnp_has_neither_ancestry_nor_people(
    toy: Toy, protein: ProteinModel, tmp_path: Path
) -> None:
    calls, population, transcript = given(tmp_path, "dbSNP")
    found = interpret(calls, "me", toy.model, population=population, pairs=50)
    effect = effect_of(found, A)
    assert (effect.source, effect.backgrounds) == ("reference only", ())
    assert (effect.carriers, effect.called) == ({}, {})
    said = "listed in dbSNP build 155 (TOPMED) at 0.25; carriers are not known"
    assert effect.presence == said
    assert found.frequent == ""
    text = words(found, tmp_path)
    assert "Population: dbSNP build 155, 3 variants of T.1." in text
    assert "dbSNP has no ancestry groups" in text
    assert "Source: reference only." in text
    assert "whether me was counted" not in text
    catalog = build_catalog(
        transcript, protein, tmp_path / "c", population=population, missense=False
    )
    rows = catalog.counts()
    assert set(rows["by"]) == {"total", "study"}
    assert rows["ac"].isna().all()
    assert sorted(rows[rows["by"] == "study"]["frequency"]) == [0.0, 0.0004, 0.25]


def test_a_file_of_another_gene_is_refused(tmp_path: Path) -> None:
    file = write_table(tmp_path, GENE, COPIES)
    elsewhere = replace(GENE, blocks=((900_000, 900_000 + len(GENE.cds)),))
    with pytest.raises(InputError, match=r"cohort\.csv: holds no variant of T\.1; is it the file"):
        read_population(elsewhere, file, (), None)
