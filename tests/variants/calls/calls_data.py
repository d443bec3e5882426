"""What the tests of calls share: the shared data, transcripts, and VCF files made on the spot."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from saliscope.variants.calls.panel import Panel, panel
from saliscope.variants.calls.record import Calls
from saliscope.variants.calls.samples import read_samples
from saliscope.variants.calls.vcf import read_calls
from saliscope.variants.coding.files import read_transcript
from saliscope.variants.coding.transcript import Transcript

_ROOT = Path(__file__).parents[4]
DATA = Path(os.environ.get("SALISCOPE_DATA", _ROOT / "shared" / "data")) / "variants"
KG = DATA / "1000g"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="shared data not here")

# ATG AAA CGT | GGT GAA TAA: two exons, plus strand.
TOY = Transcript(
    "T.1", "T", "ATGAAACGTGGTGAATAA", "GRCh38", "6", 1, ((100, 109), (200, 209))
)  # fmt: skip


@cache
def gene(name: str, build: str) -> Transcript:
    """Return a transcript of the shared gene packages."""
    folder = DATA / "genes" / name
    return read_transcript(folder / f"{name}.{build}.gff3", sequence=folder / f"{name}.cds.fa")


@cache
def kg(name: str, build: str) -> Calls:
    """Return the calls of a 1000 Genomes panel: the 2,504 people of phase 3."""
    people = kg(name, "GRCh37").samples if build == "GRCh38" else None
    file = KG / f"pypgx_1kgp_{build}_{name}.vcf.gz"
    return read_calls(file, gene(name, build), samples=people)


@cache
def kg_panel(name: str, build: str) -> Panel:
    """Return the panel of these people by super-population."""
    return panel(
        kg(name, build), read_samples(KG / "integrated_call_samples_v3.20130502.ALL.panel")
    )


def vcf(
    path: Path,
    rows: Iterable[str],
    samples: Iterable[str] = ("ann", "ben"),
    header: Iterable[str] = ("##contig=<ID=chr6,length=170805979>",),
    keys: str = "GT",
) -> Path:
    """Write a VCF; a row is "POS REF ALT GT GT ...", with ID, FILTER and contig after "#"."""
    lines = ["##fileformat=VCFv4.2", *header]
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples]
    lines.append("\t".join(columns))
    for row in rows:
        main, _, more = row.partition("#")
        position, ref, alt, *cells = main.split()
        extra = dict(pair.split("=", 1) for pair in more.split())
        lines.append("\t".join([
            extra.get("chrom", "chr6"), position, extra.get("id", "."), ref, alt, ".",
            extra.get("filter", "PASS"), extra.get("info", "."), extra.get("keys", keys), *cells,
        ]))  # fmt: skip
    path.write_text("\n".join(lines) + "\n")
    return path
