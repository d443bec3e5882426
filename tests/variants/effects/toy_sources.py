"""One population of a made-up gene, as every kind of file that Saliscope reads says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.haplotype import haplotype
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.population.groups import code_of
from variants.population.synthetic_exports import COUNTS, ERAS, KINDS, names_of, row_of, text_of

Copies = Mapping[Edit, Callable[[str, int], int]]
"""Copies of each allele in a group, of its code and its chromosomes."""

INFO = '##INFO=<ID={},Number={},Type={},Description="x">'
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
GROUPS = {"afr": 800, "nfe": 5000}
"""Chromosomes of the groups of the plain table and of the sites VCF."""


def written(transcript: Transcript, edit: Edit) -> tuple[int, str, str]:
    """Return position, REF and ALT of an edit, with the base before it where one is empty."""
    allele = transcript.allele(edit)
    if allele.ref and allele.alt:
        return allele.position, allele.ref, allele.alt
    before = transcript.cds[edit.start - 1]
    return allele.position - 1, before + allele.ref, before + allele.alt


def write_person(folder: Path, transcript: Transcript, genotypes: Mapping[Edit, str]) -> Path:
    """Write a VCF of one person, "me", that does not say on which build it is."""
    rows = []
    for edit in sorted(genotypes):
        a = transcript.allele(edit)
        rows.append(f"1\t{a.position}\t.\t{a.ref}\t{a.alt}\t.\tPASS\t.\tGT\t{genotypes[edit]}")
    path = folder / "me.vcf"
    head = f"##fileformat=VCFv4.2\n{COLUMNS}\tFORMAT\tme\n"
    path.write_text(head + "\n".join(rows) + "\n")
    return path


def write_export(folder: Path, era: str, transcript: Transcript, copies: Copies) -> Path:
    """Write an export of the gnomAD browser under the header of its time."""
    own = ERAS[era]
    headings = list(dict.fromkeys(own[2].split("|")))
    rows = []
    for edit, of in sorted(copies.items()):
        allele = transcript.allele(edit)
        change = haplotype(transcript, [edit]).changes[0]
        row = row_of(own) | {
            "Chromosome": "1", "Position": str(allele.position), "Reference": allele.ref,
            "Alternate": allele.alt, "Protein Consequence": change.protein,
            "Transcript Consequence": change.coding,
        }  # fmt: skip
        if "Transcript" in row:
            row["Transcript"] = transcript.name
        total = [0, 0, 0, 0]
        for heading in headings:
            an = next(c[1] for start, c in COUNTS.items() if heading.startswith(start))
            cells = [of(code_of(heading), an), an, 0, 0]
            total = [a + b for a, b in zip(total, cells, strict=True)]
            row |= {f"{k} {heading}": str(c) for k, c in zip(KINDS, cells, strict=True)}
        rows.append(row | dict(zip(KINDS, map(str, total), strict=True)))
    path = folder / f"gnomAD_v{own[0]}_ENSG0_2025_01_01.csv"
    path.write_text(text_of(names_of(own), rows), newline="")
    return path


def write_sites(folder: Path, transcript: Transcript, copies: Copies) -> Path:
    """Write a sites VCF of gnomAD v4, whose groups are afr and nfe."""
    heads = [INFO.format(f"AC{g}", "A", "Integer") for g in ("", "_afr", "_nfe", "_grpmax")]
    heads += [INFO.format(f"AN{g}", "1", "Integer") for g in ("", "_afr", "_nfe")]
    heads += [INFO.format(f"nhomalt{g}", "A", "Integer") for g in ("", "_afr", "_nfe")]
    rows = []
    for edit, of in sorted(copies.items()):
        a = transcript.allele(edit)
        ac = {group: of(group, an) for group, an in GROUPS.items()}
        cells = [f"AC={sum(ac.values())}", f"AN={sum(GROUPS.values())}", "nhomalt=0"]
        for group, an in GROUPS.items():
            cells += [f"AC_{group}={ac[group]}", f"AN_{group}={an}", f"nhomalt_{group}=0"]
        rows.append(f"chr1\t{a.position}\trs1\t{a.ref}\t{a.alt}\t.\tPASS\t{';'.join(cells)}")
    path = folder / "gnomad.exomes.v4.1.sites.chr1.vcf"
    path.write_text("\n".join(["##fileformat=VCFv4.2", *heads, COLUMNS, *rows]) + "\n")
    return path


def write_table(folder: Path, transcript: Transcript, copies: Copies) -> Path:
    """Write a plain table of the same."""
    lines = ["chrom,pos,ref,alt,ac,an,hom," + ",".join(f"ac_{g},an_{g},hom_{g}" for g in GROUPS)]
    for edit, of in sorted(copies.items()):
        ac = {group: of(group, an) for group, an in GROUPS.items()}
        cells = [1, *written(transcript, edit), sum(ac.values()), sum(GROUPS.values()), 0]
        for group, an in GROUPS.items():
            cells += [ac[group], an, 0]
        lines.append(",".join(map(str, cells)))
    path = folder / "cohort.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def write_dbsnp(folder: Path, transcript: Transcript, copies: Copies) -> Path:
    """Write a VCF of dbSNP: frequencies by study alone."""
    heads = [INFO.format("RS", "1", "Integer"), INFO.format("FREQ", ".", "String")]
    rows = []
    for edit, of in sorted(copies.items()):
        a = transcript.allele(edit)
        share = of("nfe", 5000) / 5000
        info = f"RS=1;FREQ=TOPMED:{1 - share},{share}"
        rows.append(f"NC_000001.11\t{a.position}\trs1\t{a.ref}\t{a.alt}\t.\t.\t{info}")
    path = folder / "dbsnp.vcf"
    head = ["##fileformat=VCFv4.0", "##dbSNP_BUILD_ID=155", *heads, COLUMNS]
    path.write_text("\n".join([*head, *rows]) + "\n")
    return path
