"""ClinVar's exports with the review status: synthetic records below the true headers.

The header of the VCF is ClinVar's of 2023-07-10, that of the table `variant_summary.txt`'s; all
records are made up, on a made-up gene of ten codons.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from saliscope.core.errors import InputError, OptionError
from saliscope.study import choose_variants, read_clinvar, read_clinvar_vcf, read_given
from saliscope.variants.coding.files import read_transcript

# M V H L T P E E K *, on the minus strand of a made-up chromosome 9, places 101 to 130.
CODING = "ATGGTGCATCTGACTCCTGAGGAGAAGTAA"
PROTEIN = "MVHLTPEEK"
PAIR = {"A": "T", "C": "G", "G": "C", "T": "A"}
GFF = (
    "##gff-version 3\n#!genome-build GRCh37\n"
    "9\t.\tCDS\t101\t130\t.\t-\t0\tID=c;Parent=SYN_1.1;transcript_id=SYN_1.1;gene=SYN\n"
)
VCF = """##fileformat=VCFv4.1
##fileDate=2023-07-10
##source=ClinVar
##reference=GRCh37
##note=<Description="Synthetic records below the header of a true export">
##ID=<Description="ClinVar Variation ID">
##INFO=<ID=ALLELEID,Number=1,Type=Integer,Description="the ClinVar Allele ID">
##INFO=<ID=CLNHGVS,Number=.,Type=String,Description="Top-level HGVS expression.">
##INFO=<ID=CLNREVSTAT,Number=.,Type=String,Description="ClinVar review status">
##INFO=<ID=CLNSIG,Number=.,Type=String,Description="Clinical significance for this single variant">
##INFO=<ID=GENEINFO,Number=1,Type=String,Description="Gene(s) for the variant">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
"""
SUMMARY = (
    "#AlleleID\tType\tName\tGeneID\tGeneSymbol\tHGNC_ID\tClinicalSignificance\tClinSigSimple\t"
    "LastEvaluated\tRS# (dbSNP)\tnsv/esv (dbVar)\tRCVaccession\tPhenotypeIDS\tPhenotypeList\t"
    "Origin\tOriginSimple\tAssembly\tChromosomeAccession\tChromosome\tStart\tStop\t"
    "ReferenceAllele\tAlternateAllele\tCytogenetic\tReviewStatus\tNumberSubmitters\tGuidelines\t"
    "TestedInGTR\tOtherIDs\tSubmitterCategories\tVariationID\tPositionVCF\tReferenceAlleleVCF\t"
    "AlternateAlleleVCF\n"
)
TWO = "criteria provided, multiple submitters, no conflicts"
ONE = "criteria provided, single submitter"
# c. position, new letter, what it is, significance, review status
ROWS = [
    (5, "C", "Val2Ala", "Pathogenic", TWO),
    (8, "G", "His3Arg", "Benign", TWO),
    (14, "T", "Thr5Ile", "Pathogenic", ONE),
    (19, "A", "Glu7Lys", "Benign", "reviewed by expert panel"),
    (12, "A", "Leu4=", "Benign", TWO),
    (22, "A", "Glu8Lys", "Pathogenic/Likely pathogenic", "practice guideline"),
]


def vcf(rows: list[tuple[int, str, str, str, str]]) -> str:
    lines = []
    for at, new, _, told, status in sorted(rows, reverse=True):
        spelled = told.replace(" ", "_"), status.replace(" ", "_")
        lines.append(
            f"9\t{131 - at}\t{at}\t{PAIR[CODING[at - 1]]}\t{PAIR[new]}\t.\t.\tALLELEID={at};"
            f"CLNREVSTAT={spelled[1]};CLNSIG={spelled[0]};GENEINFO=SYN:1"
        )
    return VCF + "\n".join(lines) + "\n"


def summary(rows: list[tuple[int, str, str, str, str]]) -> str:
    columns = SUMMARY.strip("#\n").split("\t")
    lines = []
    for at, new, name, told, status in rows:
        for gene, assembly in (("SYN", "GRCh37"), ("SYN", "GRCh38"), ("OTHER", "GRCh38")):
            cells = dict.fromkeys(columns, "-") | {
                "Name": f"NM_1.1({gene}):c.{at}{CODING[at - 1]}>{new} (p.{name})",
                "GeneSymbol": gene, "ClinicalSignificance": told, "Assembly": assembly,
                "ReviewStatus": status,
            }  # fmt: skip
            lines.append("\t".join(cells.values()))
    return SUMMARY + "\n".join(lines) + "\n"


@pytest.fixture
def gene(tmp_path: Path) -> tuple[Path, Path]:
    annotation, fasta = tmp_path / "syn.gff3", tmp_path / "syn.fa"
    annotation.write_text(GFF)
    fasta.write_text(f">SYN_1.1\n{CODING}\n")
    return annotation, fasta


FOUND = {
    ("V2A", "c.5T>C", "Pathogenic", 2), ("H3R", "c.8A>G", "Benign", 2),
    ("T5I", "c.14C>T", "Pathogenic", 1), ("E7K", "c.19G>A", "Benign", 3),
    ("E8K", "c.22G>A", "Pathogenic/Likely pathogenic", 4),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
def test_a_vcf_is_read_by_the_places_of_the_transcript(
    tmp_path: Path, gene: tuple[Path, Path], packed: bool
) -> None:
    file = tmp_path / "clinvar.vcf.gz"
    file.write_bytes(gzip.compress(vcf(ROWS).encode()) if packed else vcf(ROWS).encode())
    table = read_clinvar_vcf(file, read_transcript(gene[0], sequence=gene[1]))
    assert table.with_stars
    assert {(v.name, v.coding, v.significance, v.stars) for v in table.variants} == FOUND
    assert table.notes[0].startswith("5 missense variants, by their places in SYN_1.1; 1 other")


def test_the_summary_of_variants_is_read_and_each_counts_once(tmp_path: Path) -> None:
    file = tmp_path / "variant_summary.txt.gz"
    file.write_bytes(gzip.compress(summary(ROWS).encode()))
    table = read_clinvar(file, PROTEIN, gene="SYN")
    assert {(v.name, v.coding, v.significance, v.stars) for v in table.variants} == FOUND
    assert len(table.variants) == 5
    assert "5 rows repeat another, as for a second assembly" in table.notes
    with pytest.raises(InputError, match="no row of the gene 'SYM'; did you mean 'SYN'"):
        read_clinvar(file, PROTEIN, gene="SYM")


def test_two_stars_are_asked_for(tmp_path: Path, gene: tuple[Path, Path]) -> None:
    (tmp_path / "c.vcf").write_text(vcf(ROWS))
    (tmp_path / "rsa.csv").write_text(
        "position,rsa\n" + "".join(f"{i},{i / 10}\n" for i in range(1, 10))
    )
    given = read_given(
        tmp_path / "c.vcf", transcript=gene[0], genome=gene[1], area=tmp_path / "rsa.csv",
        sites={"active": [4]}, name="SYN", pathogenic=["Pathogenic"],
    )  # fmt: skip
    assert given.sequence == PROTEIN
    assert [v.name for v in given.choice.variants] == ["V2A", "H3R"]  # T5I has one star
    assert "at least 2 stars" in given.choice.rule
    table = read_clinvar_vcf(tmp_path / "c.vcf", read_transcript(gene[0], sequence=gene[1]))
    wide = choose_variants(
        table, np.linspace(0, 1, 9), within=(1, 9),
        pathogenic=["Pathogenic", "Pathogenic/Likely pathogenic"],
    )  # fmt: skip
    assert [v.name for v in wide.variants] == ["V2A", "E8K", "H3R", "E7K"]


def test_a_vcf_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, gene: tuple[Path, Path]
) -> None:
    own = read_transcript(gene[0], sequence=gene[1])
    file = tmp_path / "c.vcf"
    for text, words in (
        (vcf(ROWS).replace("reference=GRCh37", "reference=GRCh38"), "is on GRCh38 by its header"),
        (vcf(ROWS).replace("\n9\t", "\n8\t"), "holds no missense variant of SYN_1.1"),
        (vcf(ROWS).replace("ID=CLNSIG,", "ID=CLNSIC,"), "no CLNSIG"),
        (vcf(ROWS).replace("practice_guideline", "very_sure"), "'very sure' is none of ClinVar's"),
        (vcf(ROWS).replace("\tA\tG\t", "\tC\tG\t"), "the reference base is"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=words) as caught:
            read_clinvar_vcf(file, own)
        assert "\n" not in str(caught.value)
    bare = read_transcript(gene[1])
    with pytest.raises(InputError, match=r"SYN_1\.1 has none"):
        read_clinvar_vcf(file, bare)
    file.write_text(vcf(ROWS))
    area = tmp_path / "rsa.csv"
    area.write_text("position,rsa\n1,0.5\n2,0.5\n")
    (tmp_path / "p.fa").write_text(">p\nMVHLTPEEKK\n")
    more = {"protein": tmp_path / "p.fa", "area": area, "sites": {"a": [1]}}
    with pytest.raises(OptionError, match="give the transcript"):
        read_given(file, **more)
    with pytest.raises(InputError, match="codes for 9 residues"):
        read_given(file, transcript=gene[0], genome=gene[1], **more)
