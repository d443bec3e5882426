"""A made-up gene of 61 residues, and people with known haplotypes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from saliscope.variants.calls.panel import Panel, panel
from saliscope.variants.calls.record import Calls
from saliscope.variants.calls.samples import read_samples
from saliscope.variants.calls.vcf import read_calls
from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.haplotype import haplotype
from saliscope.variants.coding.transcript import Transcript

CODONS = ["GCT", "TGC", "GAT", "GAA", "TTC", "GGT", "CAC", "ATC", "AAA", "CTG", "AAC", "CCA",
          "CAG", "CGT", "TCT", "ACT", "GTC", "TAC"]  # fmt: skip
START = 1000


def transcript_of(residues: int, seed: int = 0) -> Transcript:
    rng = np.random.default_rng(seed)
    body = "".join(CODONS[i] for i in rng.integers(len(CODONS), size=residues - 1))
    cds = "ATG" + body + "TAA"
    return Transcript("T.1", "TOY", cds, "GRCh38", "1", 1, ((START, START + len(cds)),))


def missense_edit(transcript: Transcript, position: int) -> Edit:
    """Return the first single-base missense edit of a residue."""
    for base in range(3 * position - 3, 3 * position):
        for alt in "ACGT":
            edit = Edit(base, base + 1, alt)
            if alt != transcript.cds[base]:
                (change,) = haplotype(transcript, [edit]).changes
                if change.kind == "missense":
                    return edit
    raise AssertionError(position)


def write_people(
    folder: Path, transcript: Transcript, edits: list[Edit], people: dict[str, tuple[str, str]],
    groups: dict[str, str], separator: str = "|",
) -> tuple[Calls, Panel]:  # fmt: skip
    """Write a VCF and a table; each copy of a person is a word of 0 and 1, one sign per edit."""
    names = list(people)
    rows = []
    for i, edit in sorted(enumerate(edits), key=lambda pair: pair[1].start):
        allele = transcript.allele(edit)
        cells = [f"{people[n][0][i]}{separator}{people[n][1][i]}" for n in names]
        rows.append(
            "\t".join(["1", str(allele.position), f"rs{i + 1}", allele.ref, allele.alt, ".",
                       "PASS", ".", "GT", *cells])
        )  # fmt: skip
    head = "##fileformat=VCFv4.2\n##contig=<ID=1,length=248956422>\n"
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *names]
    vcf, table = folder / "people.vcf", folder / "people.tsv"
    vcf.write_text(head + "\t".join(columns) + "\n" + "\n".join(rows) + "\n")
    table.write_text("sample\tgroup\n" + "".join(f"{n}\t{groups[n]}\n" for n in names))
    calls = read_calls(vcf, transcript)
    return calls, panel(calls, read_samples(table))
