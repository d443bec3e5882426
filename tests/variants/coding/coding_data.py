"""Where the shared data lies, a toy transcript on both strands, and random edits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import strategies as st

from saliscope.variants.coding.edit import Allele, Edit, reverse_complement
from saliscope.variants.coding.transcript import Transcript

_PARENTS = Path(__file__).resolve().parents
DATA = Path(os.environ.get("SALISCOPE_DATA", _PARENTS[4] / "shared" / "data"))
needs_data = pytest.mark.skipif(
    not (DATA / "variants" / "genes").is_dir(), reason="shared data not here"
)
GENES = ("TPMT", "NAT2", "NUDT15", "CYP2C9", "VKORC1")

CDS = "ATGAAACGTGGTGGTTGCTAA"  # M K R G G C *
TOY = Transcript("NM_000001.2", "TOY", CDS)
GENOME = f"{'C' * 10}ATGAAACGTAAGGTGGTGGTGTCAGTGCTAA{'C' * 10}"
EXONS = ((11, 17), (23, 30), (36, 41))  # from 1, both included


def genome(strand: int) -> str:
    return GENOME if strand > 0 else reverse_complement(GENOME)


def exons(strand: int) -> list[tuple[int, int]]:
    """Return the coding parts of exons in reading order."""
    size = len(GENOME) + 1
    return [(a, b) if strand > 0 else (size - b, size - a) for a, b in EXONS]


def fasta(path: Path) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if line.startswith(">"):
            own = found.setdefault(line[1:], [])
        else:
            own.append(line.strip().upper())
    return {name: "".join(parts) for name, parts in found.items()}


_CODONS = [a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT"]
_SENSE = [codon for codon in _CODONS if codon not in {"TAA", "TAG", "TGA"}]


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    inner = draw(st.lists(st.sampled_from(_SENSE), min_size=1, max_size=25))
    stop = draw(st.sampled_from(["TAA", "TAG", "TGA"]))
    cds = f"ATG{''.join(inner)}{stop}"
    cut = draw(st.integers(1, len(cds) - 1))
    return Transcript(
        "T.1", "T", cds, "GRCh38", "1", 1, ((100, 100 + cut), (500, 500 + len(cds) - cut))
    )


@st.composite
def edits_of(draw: st.DrawFn, transcript: Transcript, most: int = 6) -> list[Edit]:
    """Return edits in shortest form that do not touch each other."""
    size = len(transcript.cds)
    found: list[Edit] = []
    for _ in range(draw(st.integers(1, most))):
        start = draw(st.integers(0, size - 1))
        end = min(size, start + draw(st.integers(0, 4)))
        alt = draw(st.text("ACGT", max_size=4))
        short = Allele.of("1", start, transcript.cds[start:end], alt)
        new = Edit(short.position, short.position + len(short.ref), short.alt)
        if not short.ref and (not short.alt or short.position in {0, size}):
            continue
        if not any(new.touches(other) for other in found):
            found.append(new)
    return found
