"""The 1000 Genomes panels: haplotypes that are known, in both builds."""

from __future__ import annotations

import gzip
import time

import pytest

from saliscope.variants.calls.panel import Panel
from saliscope.variants.calls.person import person, weighted
from saliscope.variants.calls.vcf import read_calls
from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.haplotype import Change
from variants.calls.calls_data import KG, gene, kg, kg_panel, needs_data

pytestmark = needs_data
GROUPS = ("EUR", "EAS", "AMR", "SAS", "AFR")
A3 = "p.[Ala154Thr;Tyr240Cys]"

# Counts of chromosomes by protein, EUR EAS AMR SAS AFR, from the manifest of the data.
HAPLOTYPES = [
    ("GRCh37", "TPMT", "p.Tyr240Cys", (1, 22, 12, 13, 84)),
    ("GRCh37", "TPMT", A3, (28, 0, 28, 4, 4)),
    ("GRCh37", "TPMT", "p.Gln179His", (0, 0, 2, 0, 35)),
    ("GRCh37", "NAT2", "p.[Arg197Gln;Arg268Lys]", (284, 258, 118, 348, 253)),
    ("GRCh37", "NAT2", "p.[Arg64Gln;Arg268Lys]", (1, 0, 2, 0, 126)),
    ("GRCh37", "NUDT15", "p.Arg139Cys", (2, 96, 31, 68, 1)),
    ("GRCh37", "CYP2C9", "p.Arg144Cys", (125, 1, 69, 34, 11)),
    ("GRCh38", "TPMT", "p.Tyr240Cys", (1, 22, 12, 13, 84)),
    ("GRCh38", "TPMT", A3, (28, 0, 28, 4, 4)),
    ("GRCh38", "TPMT", "p.Gln179His", (0, 0, 2, 0, 35)),
    ("GRCh38", "NAT2", "p.[Arg197Gln;Arg268Lys]", (284, 257, 118, 350, 248)),
    ("GRCh38", "NAT2", "p.[Arg64Gln;Arg268Lys]", (1, 0, 2, 0, 135)),
    ("GRCh38", "CYP2C9", "p.Arg144Cys", (123, 1, 66, 34, 11)),
]


def change(panel: Panel, short: str) -> Change:
    return next(c for h in panel.haplotypes for c in h.changes if c.short == short)


def by_group(counts) -> tuple[int, ...]:
    return tuple(counts[group] for group in GROUPS)


@pytest.mark.parametrize(("build", "name", "label", "counts"), HAPLOTYPES)
def test_haplotype_counts(build, name, label, counts):
    panel = kg_panel(name, build)
    found = [p for p in panel.proteins if p.haplotype.label == label]
    assert [by_group(p.counts) for p in found] == [counts]
    assert by_group(panel.chromosomes) == (1006, 1008, 694, 978, 1322)
    assert panel.counts.sum() == 5008
    assert panel.count(found[0].haplotype, "AFR") == counts[-1]


def test_nudt15_on_grch38_counts_the_change_on_all_backgrounds():
    """An insertion that the older release lacks splits R139C into two backgrounds."""
    panel = kg_panel("NUDT15", "GRCh38")
    r139c = change(panel, "R139C")
    assert by_group(panel.carriers(r139c).haplotypes) == (2, 96, 31, 68, 1)
    first, second = panel.backgrounds(r139c)
    assert (first.without.label, by_group(first.counts)) == ("reference", (2, 59, 0, 68, 1))
    assert second.without.label == "p.Gly17_Val18dup"
    assert by_group(second.counts) == (0, 37, 31, 0, 0)


def test_few_haplotypes_stand_for_all_chromosomes():
    panel = kg_panel("TPMT", "GRCh37")
    assert len(panel.haplotypes) == 9
    assert len(panel.proteins) == 6
    assert panel.most_frequent("AFR").haplotype.label == "reference"
    nat2 = kg_panel("NAT2", "GRCh37")
    reference = next(p for p in nat2.proteins if p.haplotype.label == "reference")
    assert by_group(reference.counts) == (5, 2, 10, 16, 99)
    assert reference.total / 5008 == pytest.approx(0.026, abs=0.001)
    assert nat2.most_frequent("EAS").haplotype.label == "p.Arg268Lys"


def test_backgrounds_of_y240c_with_the_subject_left_out():
    panel = kg_panel("TPMT", "GRCh37").without("HG00108")
    y240c = change(panel, "Y240C")
    backgrounds = {b.without.label: by_group(b.counts) for b in panel.backgrounds(y240c)}
    assert backgrounds == {"p.Ala154Thr": (27, 0, 28, 4, 4), "reference": (1, 22, 12, 13, 84)}
    carriers = panel.carriers(y240c)
    assert by_group(carriers.people) == (28, 22, 38, 17, 82)
    assert by_group(carriers.haplotypes) == (28, 22, 40, 17, 88)
    assert by_group(carriers.called) == (502, 504, 347, 489, 661)
    assert by_group(carriers.chromosomes) == (1004, 1008, 694, 978, 1322)
    assert "HG01183" in carriers.names
    assert "HG00108" not in carriers.names
    assert panel.notes[-1].startswith("HG00108 is left out of every count")


@pytest.mark.parametrize(
    ("sample", "phase", "labels"),
    [
        ("HG00108", "phased", [A3, "reference"]),
        ("HG01183", "phased", ["p.Tyr240Cys", A3]),
        ("HG01398", "homozygous", [A3, A3]),
    ],
)
@pytest.mark.parametrize("build", ["GRCh37", "GRCh38"])
def test_useful_people(build, sample, phase, labels):
    who = person(kg("TPMT", build), sample)
    (only,) = who.configurations
    assert sorted((h.label for h in only.haplotypes), key=len) == sorted(labels, key=len)
    assert (who.phase, only.weight, only.incomplete) == (phase, 1.0, (False, False))
    assert (who.missing, who.not_assessed, who.filtered) == ((), (), ())
    pair = kg_panel("TPMT", build).pair(sample)
    assert [h.key for h in pair] == [h.key for h in only.haplotypes]


def test_ids_of_the_file():
    who = person(kg("TPMT", "GRCh37"), "HG00108")
    ids = [who.ids[edit] for edit in who.configurations[0].haplotypes[0].edits]
    assert ids == [("rs1800460",), ("rs1142345",)]
    assert who.ids[Edit(473, 474, "C")] == ("rs2842934",)


@pytest.mark.parametrize("build", ["GRCh37", "GRCh38"])
def test_a_base_in_which_transcript_and_genome_differ(build):
    """TPMT c.474: the transcript has T, the genome C (on the minus strand: G)."""
    calls = kg("TPMT", build)
    assert dict(calls.transcript.genome) == {473: "C"}
    assert gene("TPMT", build).genome == {}
    assert calls.notes[0] == (
        f"transcript and genome differ at c.474 (T in the transcript, C in {build}): alleles are "
        "placed as called, a missing row means the genome's base"
    )
    row = next(i for i, r in enumerate(calls.rows) if r.start <= 473 < r.end)
    assert calls.rows[row].ref == "G"
    panel = kg_panel("TPMT", build)
    copies = calls.genotypes[:, row]
    with_c = sum(
        int(panel.counts[i].sum())
        for i, h in enumerate(panel.haplotypes)
        if Edit(473, 474, "C") in h.edits
    )
    assert with_c == int((copies == 0).sum()) > 100
    silent = change(panel, "Ile158=")
    assert silent.kind == "synonymous"
    assert sum(panel.carriers(silent).haplotypes.values()) == with_c


def _rewritten(target, source, keep, cell):
    """Write the rows of a panel for one sample, with its cell changed."""
    lines = gzip.decompress(source.read_bytes()).decode().splitlines()
    head = [line for line in lines if line.startswith("##")]
    columns = next(line for line in lines if line.startswith("#CHROM")).split("\t")
    place = columns.index(keep)
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    body = ["\t".join([*r[:9], cell(r, r[place])]) for r in rows if cell(r, r[place])]
    target.write_text("\n".join([*head, "\t".join([*columns[:9], keep]), *body]) + "\n")
    return target


def test_phase_removed(tmp_path):
    source = KG / "pypgx_1kgp_GRCh37_TPMT.vcf.gz"
    file = _rewritten(tmp_path / "a.vcf", source, "HG00108", lambda _, gt: gt.replace("|", "/"))
    who = person(read_calls(file, gene("TPMT", "GRCh37")), "HG00108")
    assert (who.phase, who.units, len(who.configurations)) == ("unphased", 2, 2)
    assert [c.weight for c in who.configurations] == [0.5, 0.5]
    panel = kg_panel("TPMT", "GRCh37")
    first, second = weighted(who, panel).configurations
    assert {h.label for h in first.haplotypes} == {A3, "reference"}
    assert {h.label for h in second.haplotypes} == {"p.Ala154Thr", "p.Tyr240Cys"}
    assert (first.least, second.least) == (64, 0)
    assert sorted(second.support) == [0, 132]
    assert (first.weight, second.weight) == (1.0, 0.0)
    alone = weighted(who, panel.without("HG00108")).configurations
    assert (alone[0].least, alone[1].least) == (63, 0)


def test_one_person_with_no_more_than_the_rows_that_differ(tmp_path):
    """A person's own file has few rows: the build is asked for; the base of c.474 is found."""
    source = KG / "pypgx_1kgp_GRCh37_TPMT.vcf.gz"
    file = _rewritten(
        tmp_path / "a.vcf", source, "HG01398", lambda r, gt: "" if gt == "0|0" else gt
    )
    calls = read_calls(file, gene("TPMT", "GRCh37"), build="hg19")
    assert [r.coding for r in calls.rows] == ["c.719", "c.474", "c.460"]
    assert dict(calls.transcript.genome) == {473: "C"}
    assert [h.label for h in person(calls, "HG01398").configurations[0].haplotypes] == [A3, A3]
    only_474 = _rewritten(
        tmp_path / "b.vcf", source, "HG01398", lambda r, gt: gt if r[1] == "18139214" else ""
    )
    calls = read_calls(only_474, gene("TPMT", "GRCh37"), build="GRCh37")
    assert dict(calls.transcript.genome) == {473: "C"}
    (only,) = person(calls, "HG01398").configurations
    assert [h.edits for h in only.haplotypes] == [(), ()]


def test_all_3202_people_read_quickly():
    start = time.perf_counter()
    calls = read_calls(KG / "pypgx_1kgp_GRCh38_TPMT.vcf.gz", gene("TPMT", "GRCh38"))
    assert time.perf_counter() - start < 5
    assert calls.genotypes.shape == (3202, 13, 2)
    assert (calls.build, calls.build_source) == ("GRCh38", "REF of 12 bases")
    assert len(calls.rows) + calls.outside == 820
    assert calls.phased.all()
