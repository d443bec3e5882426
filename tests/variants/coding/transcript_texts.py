"""Transcripts as text: every style of annotation, FASTA and GenBank, on both strands."""

from __future__ import annotations

from pathlib import Path

from variants.coding.coding_data import CDS, exons

FASTA = f">NM_000001.2\n{CDS}\n"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
PHASES = ("0", "2", "0")


def rows(strand: int, kind: str, attributes: str, contig: str, parts: list) -> list[str]:
    sign = "+" if strand > 0 else "-"
    return [
        f"{contig}\tx\t{kind}\t{a}\t{b}\t.\t{sign}\t{phase}\t{attributes}"
        for (a, b), phase in zip(parts, PHASES, strict=False)
    ]


def one(strand: int, kind: str, attributes: str, contig: str) -> str:
    parts = exons(strand)
    low, high = min(a for a, _ in parts), max(b for _, b in parts)
    sign = "+" if strand > 0 else "-"
    return f"{contig}\tx\t{kind}\t{low}\t{high}\t.\t{sign}\t.\t{attributes}"


def refseq(strand: int) -> str:
    c = "NC_000006.12"
    lines = [
        "##gff-version 3",
        "#!genome-build GRCh38.p14",
        one(strand, "gene", "ID=gene-TOY;Name=TOY", c),
        one(strand, "mRNA", "ID=rna-NM_000001.2;Parent=gene-TOY;Name=NM_000001.2;gene=TOY;"
            "tag=MANE Select;transcript_id=NM_000001.2", c),
        *rows(strand, "CDS", "ID=cds-1;Parent=rna-NM_000001.2;gene=TOY;protein_id=NP_000001.1",
              c, exons(strand)),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def ensembl(strand: int) -> str:
    lines = [
        "##gff-version 3",
        "#!genome-build  GRCh38.p13",
        one(strand, "gene", "ID=gene:ENSG01;Name=TOY;gene_id=ENSG01;version=7", "6"),
        one(strand, "mRNA", "ID=transcript:ENST00000000001;Parent=gene:ENSG01;Name=TOY-201;"
            "tag=basic,MANE_Select;transcript_id=ENST00000000001;version=2", "6"),
        *rows(strand, "CDS", "ID=CDS:ENSP1;Parent=transcript:ENST00000000001;protein_id=ENSP1",
              "6", exons(strand)),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def gencode(strand: int) -> str:
    about = "gene_name=TOY;transcript_id=ENST00000000001.2;tag=basic,MANE_Select,CCDS"
    lines = [
        "##gff-version 3",
        "#description: evidence-based annotation",
        "##description: evidence-based annotation of the human genome (GRCh38), version 44",
        one(strand, "gene", "ID=ENSG01.7;gene_name=TOY", "chr6"),
        one(strand, "transcript", f"ID=ENST00000000001.2;Parent=ENSG01.7;{about}", "chr6"),
        *rows(strand, "CDS", f"ID=CDS:ENST00000000001.2;Parent=ENST00000000001.2;{about}",
              "chr6", exons(strand)),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def gtf(strand: int) -> str:
    about = (
        'gene_id "ENSG01"; transcript_id "ENST00000000001"; transcript_version "2"; '
        'gene_name "TOY"; tag "basic"; tag "MANE_Select";'
    )
    parts = exons(strand)
    a, b = parts[2]
    last = (a, b - 3) if strand > 0 else (a + 3, b)
    stop = (b - 2, b) if strand > 0 else (a, a + 2)
    lines = [
        "#!genome-build GRCh38.p14",
        one(strand, "transcript", about, "6"),
        *rows(strand, "CDS", about, "6", [*parts[:2], last]),
        *rows(strand, "stop_codon", about, "6", [stop]),
    ]
    return "\n".join(lines) + "\n"


STYLES = {"refseq": refseq, "ensembl": ensembl, "gencode": gencode, "gtf": gtf}


def write(folder: Path, **texts: str) -> list[Path]:
    paths = []
    for name, text in texts.items():
        path = folder / name.replace("_", ".")
        path.write_text(text)
        paths.append(path)
    return paths


def genbank(
    coding: str, bases: str, qualifiers: str = "", version: str = "NM_000001.2", head: str = ""
) -> str:
    blocks = [bases[i : i + 60] for i in range(0, len(bases), 60)]
    origin = "\n".join(
        f"{60 * i + 1:>9} {' '.join(block[j : j + 10] for j in range(0, len(block), 10))}"
        for i, block in enumerate(blocks)
    )
    extra = "".join(f"                     {line}\n" for line in qualifiers.splitlines())
    return (
        f"LOCUS       TOY {len(bases):>20} bp    DNA     linear   PRI 01-JAN-2020\n"
        "DEFINITION  toy.\n"
        f"ACCESSION   {version.partition('.')[0]}{head}\n"
        f"VERSION     {version}\n"
        "KEYWORDS    RefSeq; MANE Select.\n"
        "FEATURES             Location/Qualifiers\n"
        f"     CDS             {coding}\n"
        '                     /gene="TOY"\n'
        '                     /protein_id="NP_000001.1"\n'
        f"{extra}"
        f"ORIGIN\n{origin}\n//\n"
    )


TRANSLATION = '/codon_start=1\n/transl_table=1\n/translation="MKRGGC"'
