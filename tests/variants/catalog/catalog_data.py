"""A short gene with a population and a panel, and how a folder of a catalog is compared."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from saliscope.variants.calls.panel import Panel, panel
from saliscope.variants.calls.record import Alternative, Calls, Row
from saliscope.variants.calls.samples import Sample, SampleTable
from saliscope.variants.coding.edit import Allele, Edit
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.population.record import Counts, Population, PopulationVariant

# M K R W G L D E S T C *: eleven residues.
CDS = "ATGAAACGTTGGGGTCTGGACGAATCTACTTGCTAA"
TOY = Transcript("T.1", "T", CDS, "GRCh38", "1", 1, ((100, 100 + len(CDS)),))

# K2R (c.5A>G), R3= (c.9T>A), W4R (c.10T>C)
EDITS = (Edit(4, 5, "G"), Edit(8, 9, "A"), Edit(9, 10, "C"))


def longer(residues: int = 36) -> Transcript:
    """Return a gene of more than two batches of missense changes."""
    cds = CDS[:33] * (residues // 11 + 1)
    return Transcript("L.1", "L", cds[: 3 * residues] + "TAA")


def population(copies: int = 7, name: str = "table.csv") -> Population:
    """Return K2R, R3=, a lost start, a gained stop and a deleted residue, with counts."""
    rows = {
        Allele("1", 105, "A", "G"): Counts(copies, 100, 1),
        Allele("1", 109, "T", "A"): Counts(30, 90, None),
        Allele("1", 101, "A", "G"): Counts(1, 100, 0),
        Allele("1", 112, "G", "A"): Counts(2, 100, 0),
        Allele("1", 104, "AAA", ""): Counts(3, 100, 0),
        Allele("1", 900, "A", "C"): Counts(3, 100, 0),
    }
    variants = {
        allele: PopulationVariant(
            allele, i, counts, {"EUR": Counts(counts.ac, 60, counts.homozygotes)}, ids=(f"rs{i}",)
        )
        for i, (allele, counts) in enumerate(rows.items(), 2)
    }  # fmt: skip
    return Population("table of counts", f"/data/{name}", "GRCh38", ("EUR",), variants, name="t")


def people(genotypes: list[list[list[int]]] | None = None) -> Panel:
    """Return three people: K2R with R3= on one copy; K2R+W4R and W4R; the reference twice."""
    rows = tuple(
        Row(
            i, "1", 101 + e.start, CDS[e.start], (Alternative(e.alt, None, e),), (), (),
            e.start, e.end,
        )
        for i, e in enumerate(EDITS, 1)
    )  # fmt: skip
    called = genotypes or [
        [[1, 0], [1, 0], [0, 0]],
        [[1, 0], [0, 0], [1, 1]],
        [[0, 0], [0, 0], [0, 0]],
    ]
    names = ("ann", "ben", "cem")
    calls = Calls(
        "/data/panel.vcf.gz", TOY, "GRCh38", "given", names, rows,
        np.array(called, dtype=np.int8), np.ones((3, 3), dtype=np.int32), 0,
    )  # fmt: skip
    groups = dict(zip(names, ("EUR", "AFR", "EUR"), strict=True))
    return panel(calls, SampleTable("t.tsv", {n: Sample(n, groups[n]) for n in names}))


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a folder, by its name."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
