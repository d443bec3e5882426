"""Where the shared data lies, and the transcripts that its files allow to put together."""

from __future__ import annotations

import csv
import os
from functools import cache
from pathlib import Path

import pytest

from saliscope.variants.coding.edit import reverse_complement
from saliscope.variants.coding.transcript import Transcript

_PARENTS = Path(__file__).resolve().parents
DATA = Path(os.environ.get("SALISCOPE_DATA", _PARENTS[4] / "shared" / "data"))
GNOMAD = DATA / "variants" / "gnomad"
needs_data = pytest.mark.skipif(not GNOMAD.is_dir(), reason="shared data not here")


def fasta(path: Path) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if line.startswith(">"):
            own = found.setdefault(line[1:], [])
        else:
            own.append(line.strip().upper())
    return {name: "".join(parts) for name, parts in found.items()}


def model(name: str, build: str) -> tuple[str, int, tuple[tuple[int, int], ...]]:
    """Return chromosome, strand and coding blocks (5' to 3') of a gene model."""
    genome = {"GRCh37": "hg19", "GRCh38": "hg38"}[build]
    path = DATA / "proteins" / "gene_models" / f"{genome}_refseq_genepred_subset.tsv"
    with path.open() as lines:
        row = next(r for r in csv.reader(lines, delimiter="\t") if r[1].split(".")[0] == name)
    low, high = int(row[6]), int(row[7])
    ends = zip(row[9].strip(",").split(","), row[10].strip(",").split(","), strict=True)
    blocks = [
        (max(int(a), low), min(int(b), high)) for a, b in ends if int(a) < high and int(b) > low
    ]
    strand = 1 if row[3] == "+" else -1
    return row[2].removeprefix("chr"), strand, tuple(blocks[::strand])


@cache
def brca1(build: str) -> Transcript:
    """BRCA1: the coding sequence is cut from the genomic span by the GRCh37 gene model."""
    span = fasta(DATA / "proteins" / "cds" / "counsyl_hgvs_test_refseqs.fa")["NM_007294.3"]
    _, _, old = model("NM_007294", "GRCh37")
    start = 41196311  # of the span on GRCh37, from 0
    cds = "".join(reverse_complement(span[a - start : b - start]) for a, b in old)
    chrom, strand, blocks = model("NM_007294", build)
    return Transcript("NM_007294.4", "BRCA1", cds, build, chrom, strand, blocks)


@cache
def vhl(build: str | None) -> Transcript:
    """VHL-201, from Ensembl's FASTA of exons."""
    records = fasta(DATA / "proteins" / "cds" / "Homo_sapiens_VHL_201_ensembl_GRCh38.fa")
    exons = "".join(seq for name, seq in records.items() if " exon:" in name)
    first = next(seq for name, seq in records.items() if "utr5" in name)
    last = next(seq for name, seq in records.items() if "utr3" in name)
    cds = exons[len(first) : len(exons) - len(last)]
    if build is None:
        return Transcript("ENST00000256474.2", "VHL", cds)
    chrom, strand, blocks = model("NM_000551", build)
    return Transcript("ENST00000256474.2", "VHL", cds, build, chrom, strand, blocks)


@cache
def protein(name: str) -> str:
    """A protein by UniProt name or RefSeq accession."""
    assays = DATA / "dms" / "proteingym_DMS_substitutions_reference.csv"
    with assays.open() as lines:
        for row in csv.DictReader(lines):
            if row["UniProt_ID"] == name:
                return row["target_seq"]
    clinical = DATA / "proteins" / "proteingym_clinical_reference_2525_human_proteins.csv"
    with clinical.open() as lines:
        return next(r["target_seq"] for r in csv.DictReader(lines) if r["DMS_id"] == name)
