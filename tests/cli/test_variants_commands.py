"""`saliscope variants`: files in, files out; what is refused, in one line, with nothing left."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.conftest import Run, table
from saliscope.cli.main import main
from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.haplotype import haplotype
from saliscope.variants.coding.transcript import Transcript
from variants.effects.toy_people import missense_edit, transcript_of, write_people

PEOPLE = {
    "ann": ("11", "10"), "ben": ("10", "00"), "cat": ("11", "00"), "dan": ("00", "00"),
    "eva": ("10", "10"), "fay": ("00", "00"), "gus": ("11", "01"), "hal": ("00", "01"),
}  # fmt: skip
GROUPS = dict.fromkeys(("ann", "ben", "eva", "hal"), "A") | dict.fromkeys(
    ("cat", "dan", "fay", "gus"), "B"
)
GENE = ("--gene", "toy.gff3", "--cds", "toy.fa")
PANEL = ("--panel", "people.vcf", "--panel-samples", "people.tsv")
FEW = ("--pairs", "250", "-q")


def written(folder: Path) -> list[Edit]:
    """Write a gene and its people into a folder; return the two edits they have."""
    transcript = transcript_of(61)
    low, high = transcript.span
    row = f"1\ttoy\t{{}}\t{low}\t{high}\t.\t+\t{{}}\t{{}}\n"
    (folder / "toy.gff3").write_text(
        "##gff-version 3\n#!genome-build GRCh38\n"
        + row.format("mRNA", ".", "ID=t;transcript_id=T.1;gene=TOY")
        + row.format("CDS", "0", "ID=c;Parent=t;gene=TOY")
    )
    (folder / "toy.fa").write_text(f">T.1\n{transcript.cds}\n")
    chosen = [missense_edit(transcript, 40), missense_edit(transcript, 20)]
    write_people(folder, transcript, chosen, PEOPLE, GROUPS)
    return chosen


@pytest.fixture
def edits(work: Path) -> list[Edit]:
    """Write a gene and its people into the current folder; return the two edits they have."""
    return written(work)


def names(edits: list[Edit]) -> list[str]:
    transcript: Transcript = transcript_of(61)
    return [haplotype(transcript, [edit]).changes[0].coding for edit in edits]


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Edit]]:
    """Return the folder that one person is interpreted into, with tables, and the edits."""
    work = tmp_path_factory.mktemp("person")
    edits = written(work)
    one, other = names(edits)
    change = haplotype(transcript_of(61), edits[:1]).changes[0]
    both = ";".join(name.removeprefix("c.") for name in (other, one))
    (work / "stars.csv").write_text(
        f"allele,function,coding\n*1,Normal Function,c.=\n*7,Low Function,{one}\n"
        f"*8,No Function,c.[{both}]\n"
    )
    (work / "assay.tsv").write_text(f"hgvs_pro\tscore\n{change.protein}\t0.375\n")
    (work / "parts.tsv").write_text("start\tend\tname\ttype\n10\t30\tlid\tdomain\n")
    said = io.StringIO()
    with contextlib.chdir(work), contextlib.redirect_stderr(said):
        main([
            "variants", "interpret", "--vcf", "people.vcf", "--sample", "ann", *GENE, *PANEL,
            "--stars", "stars.csv", "--assays", "assay.tsv", "--features", "parts.tsv",
            "-o", "out", *FEW,
        ])  # fmt: skip
    assert said.getvalue() == ""
    return work / "out", edits


def test_a_person_is_interpreted(interpreted: tuple[Path, list[Edit]]) -> None:
    out, edits = interpreted
    assert sorted(file.name for file in out.rglob("*")) == [
        "interpretation.json", "linkage.csv", "report.html", "variants.csv",
    ]  # fmt: skip
    rows = table(out / "variants.csv")
    one, other = names(edits)
    assert sorted(row["coding"] for row in rows) == sorted([one, one, other])
    whole = json.loads((out / "interpretation.json").read_text())
    assert whole["sample"] == "ann"
    assert "left out of every count" in " ".join(whole["population"])
    carried = {row["coding"]: (row["carriers_A"], row["carriers_B"]) for row in rows}
    assert carried == {one: ("2", "2"), other: ("1", "2")}  # ann is left out
    assert "ann" in (out / "report.html").read_text()
    linked = table(out / "linkage.csv")
    assert [(row["person"], row["group"]) for row in linked] == [
        ("one copy", "all"), ("one copy", "A"), ("one copy", "B"),
    ]  # fmt: skip
    both = [(row["with_first"], row["with_second"], row["with_both"]) for row in linked]
    # At 20 (the first in the sequence): cat, gus twice, hal. At 40: ben, cat, eva twice, gus.
    assert both == [("4", "5", "2"), ("1", "3", "0"), ("3", "2", "2")]


def test_tables_stand_on_the_page(interpreted: tuple[Path, list[Edit]]) -> None:
    out, edits = interpreted
    one, other = names(edits)
    page = (out / "report.html").read_text()
    assert "(*8, catalogued function: No Function)" in page
    assert "(*7, catalogued function: Low Function)" in page
    assert "0.375 (assay.tsv, column score)" in page
    assert ">lid<" in page
    whole = json.loads((out / "interpretation.json").read_text())
    assert any(note.startswith("star alleles from stars.csv") for note in whole["notes"])
    assert {(c["star"], c["function"]) for c in whole["copies"]} == {
        ("*8", "No Function"), ("*7", "Low Function"),
    }  # fmt: skip
    measured = {e["coding"]: (e["assay"], e["assay_source"]) for e in whole["effects"]}
    assert measured[one] == ("0.375", "assay.tsv, column score")
    assert measured[other] == ("not measured", "assay.tsv, column score")


def test_a_summary_is_printed(run: Callable[..., Run], edits: list[Edit]) -> None:
    done = run("variants", "interpret", "--vcf", "people.vcf", "--sample", "ben", *GENE,
               "--no-panel", "-o", "out", "--pairs", "250")  # fmt: skip
    assert done.code == 0
    assert "ben, TOY (T.1, GRCh38), phased" in done.out
    assert "reference only" in done.out
    assert done.out.splitlines()[-1] == "out/report.html"


def test_a_pair_is_tested(run: Callable[..., Run], work: Path, edits: list[Edit]) -> None:
    named = ";".join(name.removeprefix("c.") for name in reversed(names(edits)))
    done = run("variants", "interactions", f"c.[{named}]", *GENE, "-o", "out", *FEW)
    assert (done.code, done.err) == (0, "")
    (row,) = table(work / "out" / "interactions.csv")
    sum_ = float(row["first_in"]) + float(row["second_in"])
    assert float(row["model_interaction"]) == pytest.approx(float(row["together"]) - sum_)


def test_a_catalog_is_built(run: Callable[..., Run], work: Path, edits: list[Edit]) -> None:
    done = run("variants", "catalog", *GENE, *PANEL, "--no-missense", "-o", "cat", "-q")
    assert (done.code, done.err) == (0, "")
    assert {"cat/entries.parquet", "cat/counts.parquet", "cat/proteins.parquet"} <= set(done.new)


STATUS = "sample,status,stratum\n" + "".join(
    f"{name},{'case' if name in {'ann', 'ben', 'cat', 'gus'} else 'control'},{GROUPS[name]}\n"
    for name in PEOPLE
)


def test_a_cohort_is_tested_within_strata(
    run: Callable[..., Run], work: Path, edits: list[Edit]
) -> None:
    (work / "status.csv").write_text(STATUS)
    done = run("variants", "cohort", "--vcf", "people.vcf", "--status", "status.csv", *GENE,
               "-o", "out", "-q")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    rows = {row["coding"]: row for row in table(work / "out" / "cohort.csv")}
    one, other = (rows[name] for name in names(edits))
    counted = ("cases_with", "cases_without", "controls_with", "controls_without", "strata")
    assert [one[k] for k in counted] == ["4", "0", "1", "3", "2"]
    assert [other[k] for k in counted] == ["3", "1", "1", "3", "2"]
    # Stratum A: 3 carriers of 4, 2 cases: both cases carry with 1/2, one with 1/2. Stratum B: 2 of
    # 4, 2 cases: both, one or none with 1/6, 4/6, 1/6. Four in all: 1/12; the other end: 1/12.
    assert float(one["p"]) == pytest.approx(1 / 6)


def test_a_missing_genotype_leaves_the_denominator(
    run: Callable[..., Run], work: Path, edits: list[Edit]
) -> None:
    (work / "status.csv").write_text(STATUS)
    vcf = work / "people.vcf"
    lines = vcf.read_text().splitlines()
    last = lines[-1].split("\t")  # the second edit by position is the one at residue 40
    last[9], last[12] = "./.", ".|0"  # ann (case), dan (control)
    vcf.write_text("\n".join([*lines[:-1], "\t".join(last)]) + "\n")
    run("variants", "cohort", "--vcf", "people.vcf", "--status", "status.csv", *GENE,
        "-o", "out", "-q")  # fmt: skip
    row = {r["coding"]: r for r in table(work / "out" / "cohort.csv")}[names(edits)[0]]
    assert (row["cases_with"], row["cases_without"], row["missing_cases"]) == ("3", "0", "1")
    assert (row["controls_with"], row["controls_without"]) == ("1", "2")
    assert row["missing_controls"] == "1"


INTERPRET = ("interpret", "--vcf", "people.vcf", "--sample", "ann", *GENE)
COHORT = ("cohort", "--vcf", "people.vcf", "--status", "status.csv", *GENE)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((*INTERPRET,), "nothing to compare with"),
        ((*INTERPRET, *PANEL, "--no-panel"), "exclude each other"),
        ((*INTERPRET, *PANEL[:2]), "needs its VCF and its table"),
        ((*INTERPRET[:4], "anne", *GENE, "--no-panel"), "'ann'"),
        ((*INTERPRET, "--no-panel", "--readout", "size"), "readout='size'"),
        ((*INTERPRET, "--no-panel", "-m", "zoo:sentiment"), "not a protein language model"),
        ((*INTERPRET, *PANEL, "--group", "EUR"), "it has: A, B"),
        ((*INTERPRET[:2], "none.vcf", *INTERPRET[3:], "--no-panel"), "none.vcf"),
        ((*INTERPRET[:2], "lfs.vcf", *INTERPRET[3:], "--no-panel"), "lfs.vcf"),
        ((*INTERPRET[:2], "wrong.vcf", *INTERPRET[3:], "--no-panel"), "wrong.vcf"),
        ((*INTERPRET, "--no-panel", "--stars", "twice.csv"), "twice.csv: has no column"),
        (
            (*INTERPRET, "--no-panel", "--assays", "status.csv"),
            "status.csv: has no column 'hgvs_pro'",
        ),
        ((*INTERPRET, "--no-panel", "--features", "none.tsv"), "there is no such file"),
        (("interactions", "c.1A>G", *GENE), "a pair needs two"),
        (("interactions", "c.[4A>C];[7A>C]", *GENE), "c."),
        (("cohort", "--vcf", "people.vcf", "--status", "none.csv", *GENE), "there is no such file"),
        ((*COHORT[:4], "twice.csv", *GENE), "row 3: the sample 'ann' stands twice"),
        ((*COHORT[:4], "sick.csv", *GENE), "row 2: status 'sick'"),
        ((*COHORT[:4], "bare.csv", *GENE), "has no column 'status'"),
        ((*COHORT[:4], "cases.csv", *GENE), "no control is a sample"),
        ((*COHORT, "--test", "dominant"), "model 'dominant' does not exist"),
        (("catalog", *GENE, "--engine", "spark"), "engine='spark' does not exist"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    run: Callable[..., Run], work: Path, edits: list[Edit], arguments: tuple[str, ...], part: str
) -> None:
    (work / "status.csv").write_text(STATUS)
    (work / "twice.csv").write_text("sample,status\nann,case\nann,control\n")
    (work / "sick.csv").write_text("sample,status\nann,sick\n")
    (work / "bare.csv").write_text("sample,group\nann,A\n")
    (work / "cases.csv").write_text("sample,status\nann,case\nben,1\n")
    (work / "lfs.vcf").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    text = (work / "people.vcf").read_text()
    (work / "wrong.vcf").write_text(text.replace("248956422", "249250621"))
    done = run("variants", *arguments, "-o", "out", "-q")
    assert done.code == 2
    assert part in done.line
    assert done.new == []
