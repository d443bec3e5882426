"""Tables that a user gives: real formats, and broken ones in one line each."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.errors import InputError
from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.haplotype import haplotype, missense_changes
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.tables.assays import read_assays
from saliscope.variants.tables.features import read_features
from saliscope.variants.tables.given import read_tables
from saliscope.variants.tables.stars import read_stars
from variants.calls.calls_data import DATA, KG, gene, kg, needs_data
from variants.report.report_examples import HG01183

DMS = DATA.parent / "dms"
# M K R G W *, on the plus strand of two exons
CDS = "ATGAAACGTGGTTGGTAA"
TOY = Transcript("T.1", "TOY", CDS, "GRCh38", "1", 1, ((100, 107), (200, 211)))
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def one(text: str) -> Path:
        path = tmp_path / "table.txt"
        path.write_text(text)
        return path

    return one


# -- star alleles ------------------------------------------------------------------------------

PYPGX = (
    "Gene,StarAllele,ActivityScore,Function,GRCh38Core,SV\n"
    "TOY,*1,1,Normal Function,N/A,FALSE\n"
    "TOY,*2,N/A,No Function,1-105-A-G,FALSE\n"
    'TOY,*3,0.5,Decreased Function,"1-105-A-G,1-201-G-A",FALSE\n'
    "TOY,*4,N/A,No Function,1-108-G-A,FALSE\n"
    "TOY,*5,0,No Function,N/A,TRUE\n"
    "TOY,*6,N/A,N/A,1-202-T-C,FALSE\n"
    "ELSE,*1,N/A,Normal Function,N/A,FALSE\n"
)
K2R, R3H, R3R, G4E = Edit(4, 5, "G"), Edit(7, 8, "A"), Edit(8, 9, "C"), Edit(10, 11, "A")


@pytest.mark.parametrize(
    ("edits", "name"),
    [
        ([], ("*1", "Normal Function, activity score 1")),
        ([K2R], ("*2", "No Function")),
        ([R3H, K2R], ("*3", "Decreased Function, activity score 0.5")),
        ([R3R], ("*6", "not given")),
        ([R3R, K2R], ("*2", "No Function")),
        ([R3H], ("not in the catalog", "not given")),
        ([K2R, G4E], ("*2 with more, not catalogued as a whole", "No Function for *2 alone")),
    ],
)
def test_a_haplotype_has_the_name_of_its_protein(
    write: Write, edits: list[Edit], name: tuple[str, str]
) -> None:
    table = read_stars(write(PYPGX), TOY)
    assert table.name(edits) == name


def test_alleles_that_the_coding_sequence_does_not_tell_are_listed(write: Write) -> None:
    table = read_stars(write(PYPGX), TOY)
    assert table.untold == ("*4", "*5")
    assert table.note.endswith("not told, as they are defined outside of it: *4, *5")


def test_a_plain_table_of_coding_names(write: Write) -> None:
    text = "allele\tfunction\tcoding\n*1\tNormal\tc.=\n*3\tLow\tc.[5A>G;8G>A]\n"
    table = read_stars(write(text), TOY)
    assert table.name([K2R, R3H]) == ("*3", "Low")


@needs_data
@pytest.mark.parametrize("build", ["GRCh37", "GRCh38"])
def test_real_haplotypes_of_tpmt_have_their_stars(build: str) -> None:
    transcript = kg("TPMT", build).transcript
    table = read_stars(KG / "pypgx_allele_table.csv", transcript)
    y240c, a154t = (
        next(c.edits[0] for c in missense_changes(transcript) if c.short == short)
        for short in ("Y240C", "A154T")
    )
    assert table.name([y240c]) == ("*3C", "No Function")
    assert table.name([a154t, y240c]) == ("*3A", "No Function")
    assert table.name([a154t]) == ("*3B", "No Function")
    assert table.untold == ("*4", "*15")


@needs_data
def test_a_deletion_is_found_wherever_it_is_written() -> None:
    transcript = gene("CYP2C9", "GRCh38")
    table = read_stars(KG / "pypgx_allele_table.csv", transcript)
    run = haplotype(transcript, [Edit(817, 818, "")])
    assert run.label == "p.Lys273ArgfsTer34"
    assert table.name(run.edits)[0] == "*6"


# -- assays ------------------------------------------------------------------------------------


def test_values_of_three_ways_to_name_a_change(write: Write) -> None:
    text = (
        "# a comment\nvariant,score,lower_ci,upper_ci,abundance_class\n"
        "K2R,0.5,0.25,0.75,possibly_low\nR3=,1.0,NA,NA,\nW5X,0.125,,,low\nR3C,NA,,,NA\n"
        "p.Gly4Ala,0.9,,,\nWT,1,,,\nK2R:R3C,0.2,,,\n"
    )
    table = read_assays(write(text), TOY)
    found = table.of(["K2R", "R3C", "Trp5Ter", "G4A", "Arg3="])
    assert {short: value for short, (value, _) in found.items()} == {
        "K2R": "0.500 [0.250, 0.750], possibly low", "R3C": "not measured",
        "Trp5Ter": "0.125, low", "G4A": "0.900", "Arg3=": "1.000",
    }  # fmt: skip
    (source,) = {source for _, source in found.values()}
    assert source == (
        "table.txt, column score [lower_ci, upper_ci]; medians of the same table: 1 for 1 "
        "synonymous changes, 0.125 for 1 stops"
    )


def test_several_rows_of_one_change_give_a_range(write: Write) -> None:
    table = read_assays(write("hgvs_pro,score\np.Lys2Arg,0.25\np.(Lys2Arg),0.75\n"), TOY)
    assert table.of(["K2R"])["K2R"][0] == "0.250 to 0.750 in 2 rows"


def test_a_few_rows_of_another_allele_are_left_out_and_said(write: Write) -> None:
    table = read_assays(write("mutant,DMS_score\nK2R,1\nK2E,2\nG3R,3\n"), TOY)
    assert table.other == 1
    assert "1 of its rows name another residue and are left out" in table.note


@needs_data
def test_real_abundance_of_tpmt() -> None:
    table = read_assays(DMS / "TPMT_VAMPseq_Matreyek2018_variants.tsv", gene("TPMT", "GRCh37"))
    assert sum(map(len, table.values.values())) == 4027  # 4,028 scores, one of them of "WT"
    assert table.other == 0
    assert table.of(["Y240C"])["Y240C"][0] == "0.600 [0.282, 0.918], possibly low"
    assert table.of(["Q179H"])["Q179H"][0] == "not measured"


@given(st.integers(1, 5), st.sampled_from("ACDEFGHIKLMNPQRSTVWY"), st.floats(-9, 9))
def test_any_change_of_the_protein_is_found_by_its_name(
    tmp_path_factory: pytest.TempPathFactory, position: int, alt: str, value: float
) -> None:
    ref = TOY.protein[position - 1]
    path = tmp_path_factory.mktemp("assay") / "a.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write(f"variant,score\n{ref}{position}{alt},{value}\n")
    (found,) = read_assays(path, TOY).values.values()
    assert found[0].score == value


# -- features ----------------------------------------------------------------------------------

GFF = (
    "##gff-version 3\n##sequence-region P1 1 5\n"
    "P1\tUniProtKB\tChain\t1\t5\t.\t.\t.\tID=c\t\n"
    "P1\tUniProtKB\tDomain\t1\t3\t.\t.\t.\tNote=Binds%3B S-adenosyl;Ontology=x\t\n"
    "P1\tUniProtKB\tHelix\t2\t4\t.\t.\t.\tOntology=x\t\n"
    "P1\tUniProtKB\tBeta strand\t5\t5\t.\t.\t.\t.\t\n"
    "P1\tUniProtKB\tNatural variant\t2\t2\t.\t.\t.\tNote=K->R\t\n"
)


@pytest.mark.parametrize("end", ["\t\n", "\n"])
def test_a_gff_of_uniprot(write: Write, end: str) -> None:
    table = read_features(write(GFF.replace("\t\n", end)), TOY)
    assert table.domains == ((1, 3, "Binds; S-adenosyl"),)
    assert table.structure == ((2, 4, "helix"), (5, 5, "strand"))


def test_a_table_of_spans(write: Write) -> None:
    text = "name,start,end,type\nactive site,3,3,site\n,1,2,Helix\ncore,2,5,\n"
    table = read_features(write(text), TOY)
    assert table.domains == ((3, 3, "active site"), (2, 5, "core"))
    assert table.structure == ((1, 2, "helix"),)


def test_a_table_with_a_row_per_residue(write: Write) -> None:
    text = "position\tstart\thelix\tsheet\n" + "".join(
        f"{i}\t{a}\t{h}\t{s}\n"
        for i, a, h, s in zip((1, 2, 3, 4, "NA"), "MKRGX", "01100", "00001", strict=True)
    ) + "5\tW\tNA\t1\n"  # fmt: skip
    table = read_features(write(text), TOY)
    assert table.structure == ((2, 3, "helix"), (5, 5, "strand"))


@needs_data
@pytest.mark.parametrize("which", ["positions", "variants"])
def test_real_structure_of_tpmt(which: str) -> None:
    path = DMS / f"TPMT_VAMPseq_Matreyek2018_{which}.tsv"
    table = read_features(path, gene("TPMT", "GRCh37"))
    assert len(table.structure) == 15
    assert table.structure[0] == (26, 35, "helix")
    assert sum(b - a + 1 for a, b, kind in table.structure if kind == "strand") == 62


# -- together ------------------------------------------------------------------------------------


@needs_data
def test_the_report_of_hg01183_gets_its_stars_values_and_structure() -> None:
    tables = read_tables(
        kg("TPMT", "GRCh37").transcript, stars=KG / "pypgx_allele_table.csv",
        assays=DMS / "TPMT_VAMPseq_Matreyek2018_variants.tsv",
        features=DMS / "TPMT_VAMPseq_Matreyek2018_positions.tsv",
    )  # fmt: skip
    found = tables.of(HG01183)
    assert found["stars"] == {
        "p.[Ala154Thr;Tyr240Cys]": ("*3A", "No Function"), "p.Tyr240Cys": ("*3C", "No Function"),
    }  # fmt: skip
    assert {short: value for short, (value, _) in found["assays"].items()} == {
        "A154T": "0.286 [0.150, 0.423], low", "Y240C": "0.600 [0.282, 0.918], possibly low",
    }  # fmt: skip
    assert (found["domains"], len(found["structure"])) == ((), 15)
    notes = tables.noted(HG01183).notes
    assert notes[: len(HG01183.notes)] == HG01183.notes
    assert [note.partition(" from")[0] for note in notes[len(HG01183.notes) :]] == [
        "star alleles", "measured values", "domains and secondary structure",
    ]  # fmt: skip


def test_without_tables_the_report_gets_nothing() -> None:
    tables = read_tables(TOY)
    assert tables.of(HG01183) == {}
    assert tables.noted(HG01183).notes == HG01183.notes


# -- what is refused ---------------------------------------------------------------------------

HEAD = "Gene,StarAllele,Function,GRCh38Core\n"
BROKEN = [
    (read_stars, "Gene,Star,Function,GRCh38Core\nTOY,*1,x,N/A\n", "'StarAllele', 'allele' or"),
    (read_stars, "Gene,StarAllele,Funktion,GRCh38Core\nTOY,*1,x,y\n", "did you mean 'Funktion'"),
    (read_stars, "Gene,StarAllele,Function,GRCh37Core\nTOY,*1,x,N/A\n", "'GRCh38Core'"),
    (read_stars, f"{HEAD}TOI,*1,x,N/A\n", "no row of the gene 'TOY'; did you mean 'TOI'?"),
    (read_stars, f"{HEAD}TOY,*2,x,chr1:105A>G\n", "row 2: variant 'chr1:105A>G' is not written"),
    (read_stars, f"{HEAD}TOY,*2,x,1-105-C-G\n", "row 2: 1-105-C-G: the reference base is A"),
    (read_stars, "allele,function,coding\n*2,x,c.5A>G(;)8G>A\n", "row 2: c.5A>G(;)8G>A: is not"),
    (read_stars, "allele,function,coding\n*2,x,c.5C>G\n", "row 2: c.5C>G: T.1 has A"),
    (read_stars, f"{HEAD}TOY,*1,x\n", "row 2: 3 cells, the header has 4"),
    (read_stars, HEAD, "has no rows"),
    (read_assays, "change,score\nK2R,1\n", "has no column 'hgvs_pro', 'hgvs', 'variant'"),
    (read_assays, "variant,scores\nK2R,1\n", "did you mean 'scores'"),
    (read_assays, "variant,score\nK2R,high\n", "row 2: score 'high' is not a number"),
    (read_assays, "variant,score\nK2R,inf\n", "row 2: score 'inf' is not finite"),
    (read_assays, "variant,score\nA2R,1\nA3R,1\n", "row 2: has A at 2, T.1 has K, and so in 2 of"),
    (read_assays, "variant,score\nWT,1\n", "names no single change"),
    (read_features, "start,end,name\n2,9,a\n", "row 2: residues 2 to 9 are not within the 5 of"),
    (read_features, "start,end,name\n2,1,a\n", "row 2: residues 2 to 1"),
    (read_features, "start,end,name\n2,x,a\n", "row 2: 2 to x are not residue numbers"),
    (read_features, "start,end\n1,2\n", "has no column 'name' or 'label'"),
    (read_features, "position,start,helix\n1,A,1\n2,A,1\n", "row 2: has A at 1, T.1 has M"),
    (read_features, "position,helix\n1,0\n", "holds no domain and no secondary structure"),
    (read_features, GFF.replace("P1 1 5", "P1 1 6"), "a protein with 6 residues, T.1 has 5"),
    (read_features, GFF.replace("P1\tUniProtKB\tHelix", "P2\tUniProtKB\tHelix"), "P2 is a second"),
    (read_features, GFF.replace("\tDomain\t1\t3", "\tDomain\t1\t9"), "row 4: residues 1 to 9"),
    (read_features, '{"features": []}', "is JSON, not a table"),
    (read_features, "", "is empty"),
]  # fmt: skip


@pytest.mark.parametrize(("read", "text", "part"), BROKEN)
def test_what_is_wrong_is_said_in_one_line(
    write: Write, read: Callable[..., object], text: str, part: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(write(text), TOY)
    message = str(caught.value)
    assert part in message
    assert "\n" not in message
    assert "table.txt" in message


def test_positions_need_a_place_on_a_genome(write: Write) -> None:
    with pytest.raises(InputError, match="has no place on a genome; give the gene as GFF3"):
        read_stars(write(PYPGX), Transcript("T.1", "TOY", CDS))
