"""Real genes: pharmacogenes on both builds and their star alleles, BRCA1 and VHL."""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path

import pysam
import pytest

from saliscope.core.errors import InputError
from saliscope.variants.coding.codons import ONE_LETTER
from saliscope.variants.coding.edit import Allele, Edit
from saliscope.variants.coding.files import read_transcript, with_genome
from saliscope.variants.coding.haplotype import Change, haplotype, missense_changes
from saliscope.variants.coding.naming import parse_coding, parse_protein
from saliscope.variants.coding.transcript import Transcript
from variants.coding.coding_data import DATA, GENES, fasta, needs_data

pytestmark = needs_data
BUILDS = ("GRCh37", "GRCh38")


@cache
def gene(name: str, build: str = "GRCh38") -> Transcript:
    folder = DATA / "variants" / "genes" / name
    return read_transcript(folder / f"{name}.{build}.gff3", sequence=folder / f"{name}.cds.fa")


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("name", GENES)
def test_genes(name: str, build: str) -> None:
    found = gene(name, build)
    folder = DATA / "variants" / "genes" / name
    assert (found.gene, found.build, found.tags) == (name, build, ("MANE Select",))
    assert [found.protein] == list(fasta(folder / f"{name}.protein.fa").values())


def test_tpmt_lies_on_the_minus_strand() -> None:
    for build, first, last in (("GRCh37", 18149358, 18130899), ("GRCh38", 18149127, 18130668)):
        tpmt = gene("TPMT", build)
        assert (tpmt.strand, tpmt.to_genome(0), tpmt.to_genome(737)) == (-1, first, last)
        assert tpmt.span == (last, first)
    assert gene("TPMT").to_genome(473) == 18138983
    y240c = Allele.of("chr6", 18130687, "T", "C")
    edit = gene("TPMT").edit(y240c)
    assert edit == Edit(718, 719, "G")
    assert gene("TPMT").allele(edit) == y240c
    [change] = haplotype(gene("TPMT"), [edit]).changes
    assert (change.coding, change.protein, change.short) == ("c.719A>G", "p.Tyr240Cys", "Y240C")


@pytest.mark.parametrize(
    ("name", "edits", "residues"),
    [("TPMT", 1624, 1435), ("NAT2", 1912, 1708), ("NUDT15", 1064, 942)],
)
def test_missense_changes(name: str, edits: int, residues: int) -> None:
    """Counted apart: with Biopython's translation of every substitution, the start codon's out."""
    found = missense_changes(gene(name))
    assert len(found) == edits
    assert len({change.short for change in found}) == residues


def _panel(build: str) -> list[Allele]:
    path = DATA / "variants" / "1000g" / f"pypgx_1kgp_{build}_TPMT.vcf.gz"
    verbosity = pysam.set_verbosity(0)
    try:
        with pysam.VariantFile(str(path)) as file:
            return [
                Allele.of(row.chrom, row.pos, row.ref, alt)
                for row in file
                for alt in row.alts or ()
                if set(alt) <= set("ACGT")
            ]
    finally:
        pysam.set_verbosity(verbosity)


@pytest.mark.parametrize(("build", "place"), [("GRCh37", 18139214), ("GRCh38", 18138983)])
def test_tpmt_differs_from_the_genome_in_one_base(build: str, place: int) -> None:
    tpmt = gene("TPMT", build)
    called = Allele.of("6", place, "G", "A")
    with pytest.raises(InputError, match=f"6-{place}-G-A: the reference base is A"):
        tpmt.edit(called)
    placed = with_genome(tpmt, _panel(build))
    assert placed.genome == {473: "C"}
    edit = placed.edit(called)  # away from the genome's base: to the transcript's own
    assert edit == Edit(473, 474, "T")
    assert haplotype(placed, [edit]).edits == ()
    # the genome's base itself, which people without a row carry
    [change] = haplotype(placed, [Edit(473, 474, "C")]).changes
    assert (change.kind, change.coding, change.protein) == (
        "synonymous", "c.474T>C", "p.Ile158=",
    )  # fmt: skip


def test_rows_of_the_other_build_are_refused() -> None:
    """Of the GRCh38 rows, 19 bases fall into the coding sequence as it lies on GRCh37."""
    with pytest.raises(InputError, match=r"14 of 19 coding bases differ\); check the genome build"):
        with_genome(gene("TPMT", "GRCh37"), _panel("GRCh38"))


def _table(name: str) -> list[dict[str, str]]:
    with (DATA / "variants" / "1000g" / name).open() as file:
        return [row for row in csv.DictReader(file) if row["Gene"] in GENES]


def _as_pypgx(change: Change) -> str:
    """Write a change as the table does: Y240C, C216X, K118fs, G17_V18del."""
    if change.kind == "start_lost":
        return "M1?"
    short = re.sub(r"[A-Z][a-z]{2}", lambda m: ONE_LETTER[m[0]], change.protein[2:])
    return re.sub(r"[A-Z*]fs.*", "fs", short).replace("*", "X")


# The table writes the frameshift at the codon of the insertion (c.98dup leaves Lys32 as it is),
# names a residue that its own allele does not give (CTC to TTC is Phe), and takes NAT2's
# haplotype with Lys268 for the reference, where the transcript has Arg268.
OTHERWISE = {"K32fs": "W33fs", "L30V": "L30F", "K268R": "R268K"}
NOT_ASSESSED = {
    ("CYP2C9", "Splice Defect"): 1,
    ("TPMT", "Splice Defect"): 2,
    ("VKORC1", "Promoter Defect"): 1,
    ("NAT2", "N/A"): 3,
}


@pytest.mark.parametrize("build", BUILDS)
def test_cores_of_star_alleles(build: str) -> None:
    impact = {
        (row["Gene"], row[f"{build}Name"]): row["Impact"]
        for row in _table("pypgx_variant_table.csv")
    }
    left_out: dict[tuple[str, str], int] = {}
    seen = 0
    for row in _table("pypgx_allele_table.csv"):
        if row[f"{build}Core"] in {"N/A", ""}:
            continue
        name, edits, expected = row["Gene"], [], []
        for label in row[f"{build}Core"].split(","):
            chrom, position, ref, alt = label.split("-")
            edit = gene(name, build).edit(Allele.of(chrom, int(position), ref, alt))
            said = impact[name, label]
            if not re.match(r"[A-Z]\d", said):
                left_out[name, said] = left_out.get((name, said), 0) + 1
            else:
                expected.append("M1?" if said.startswith("M1") else OTHERWISE.get(said, said))
            if edit is not None:
                edits.append(edit)
        changes = haplotype(gene(name, build), edits).changes
        found = [_as_pypgx(c) for c in changes if c.kind != "synonymous"]
        assert sorted(found) == sorted(expected), row["StarAllele"]
        seen += 1
    assert seen == 152
    assert left_out == NOT_ASSESSED


def test_star_3a_in_names() -> None:
    tpmt = gene("TPMT")
    named = parse_coding("NM_000367.5:c.[460G>A;719A>G];[719A>G]", tpmt)
    assert [haplotype(tpmt, edits).label for edits in named] == [
        "p.[Ala154Thr;Tyr240Cys]", "p.Tyr240Cys",
    ]  # fmt: skip
    assert parse_protein("Y240C", tpmt) == [Edit(718, 719, "G")]
    with pytest.raises(InputError, match=r"NM_000367\.4 is not NM_000367\.5"):
        parse_coding("NM_000367.4:c.719A>G", tpmt)


@cache
def _brca1(folder: Path) -> Transcript:
    """Read BRCA1 from its genomic span, as a contig of its own, and the hg19 gene model."""
    span = fasta(DATA / "proteins" / "cds" / "counsyl_hgvs_test_refseqs.fa")["NM_007294.3"]
    start = 41196311  # of the span on chromosome 17, from 0
    models = DATA / "proteins" / "gene_models" / "hg19_refseq_genepred_subset.tsv"
    with models.open() as file:
        row = next(r for r in csv.reader(file, delimiter="\t") if r[1] == "NM_007294.4")
    low, high = int(row[6]), int(row[7])
    columns = (row[i].strip(",").split(",") for i in (9, 10, 15))
    about = 'gene_id "BRCA1"; transcript_id "NM_007294.4";'
    lines = []
    for a, b, frame in zip(*columns, strict=True):
        first, last = max(int(a), low) - start, min(int(b), high) - start
        if frame != "-1":
            phase = -int(frame) % 3
            lines.append(f"span\tx\tCDS\t{first + 1}\t{last}\t.\t{row[3]}\t{phase}\t{about}\n")
    (folder / "brca1.gtf").write_text("".join(lines))
    (folder / "span.fa").write_text(f">span\n{span}\n")
    return read_transcript(folder / "brca1.gtf", sequence=folder / "span.fa", build="hg19 span")


@pytest.mark.parametrize(
    ("coding", "protein"),
    [
        ("c.68_69del", "p.Glu23ValfsTer17"),
        ("c.181T>G", "p.Cys61Gly"),
        ("c.5266dup", "p.Gln1756ProfsTer74"),
        ("c.4327C>T", "p.Arg1443Ter"),
        ("c.5503C>T", "p.Arg1835Ter"),
        ("c.1961del", "p.Lys654SerfsTer47"),
        ("c.3756_3759del", "p.Ser1253ArgfsTer10"),
        ("c.5123C>A", "p.Ala1708Glu"),
    ],
)
def test_brca1_variants_of_clinical_name(
    coding: str, protein: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    brca1 = _brca1(tmp_path_factory.getbasetemp())
    assert (len(brca1.cds), len(brca1.blocks), brca1.strand) == (5592, 22, -1)
    assert brca1.protein.startswith(
        "MDLSALRVEEVQNVINAMQKILECPICLELIKEPVSTKCDHIFCKFCMLKLLNQKKGPSQCPL"
    )
    [[edit]] = parse_coding(f"NM_007294.4:{coding}", brca1)
    [change] = haplotype(brca1, [edit]).changes
    assert (change.coding, change.protein) == (coding, protein)


def test_vhl_from_the_exons_of_ensembl(tmp_path: Path) -> None:
    records = fasta(DATA / "proteins" / "cds" / "Homo_sapiens_VHL_201_ensembl_GRCh38.fa")
    exons = "".join(bases for name, bases in records.items() if " exon:" in name)
    five, three = (
        next(bases for name, bases in records.items() if f" {utr}:" in name)
        for utr in ("utr5", "utr3")
    )
    cds = exons[len(five) : len(exons) - len(three)]
    (tmp_path / "vhl.fa").write_text(f">ENST00000256474.3\n{cds}\n")
    vhl = read_transcript(tmp_path / "vhl.fa", gene="VHL")
    assert len(vhl.protein) == 213
    for coding, protein in (
        ("c.499C>T", "p.Arg167Trp"),
        ("c.227_229del", "p.Phe76del"),
        ("c.583C>T", "p.Gln195Ter"),
        ("c.642A>C", "p.Ter214CysextTer?"),
        ("c.1A>G", "p.Met1?"),
    ):
        [edits] = parse_coding(coding, vhl)
        [change] = haplotype(vhl, edits).changes
        assert (change.coding, change.protein) == (coding, protein)
    (tmp_path / "whole.fa").write_text(f">ENST00000256474.3\n{exons}\n")
    with pytest.raises(InputError, match=r"whole\.fa, ENST00000256474"):
        read_transcript(tmp_path / "whole.fa")
