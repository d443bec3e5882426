"""Missense variants from ClinVar's VCF, whose records name places on a genome and no residues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saliscope.core.errors import InputError
from saliscope.core.textfile import Path_, head_of
from saliscope.study.clinvar import ClinVarTable, Missense, stars_of
from saliscope.variants.calls.opening import opened
from saliscope.variants.coding.edit import Allele
from saliscope.variants.coding.haplotype import haplotype
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.population.sites import records_of, settled_build

if TYPE_CHECKING:
    import pysam

__all__ = ["is_vcf", "read_clinvar_vcf"]


def is_vcf(path: Path_) -> bool:
    """Whether a file begins as a VCF or BCF does, plain or packed."""
    return head_of(path, 16).startswith((b"##fileformat=VCF", b"BCF\x02"))


def read_clinvar_vcf(path: Path_, transcript: Transcript) -> ClinVarTable:
    """Read the missense variants of a transcript from ClinVar's VCF.

    Significance is ``CLNSIG`` and stars are those of ``CLNREVSTAT``, with spaces for underscores.

    Parameters
    ----------
    path : path
        Plain, gzip or bgzip; with an index only the gene is read.
    transcript : Transcript
        On the genome, of the same build; see `saliscope.variants.coding.files.read_transcript`.

    Raises
    ------
    InputError
        One line: the file is no VCF of ClinVar, is of another build, or has no missense variant of
        the transcript.
    """
    if transcript.chrom is None:
        msg = (
            f"{path}: names variants by their place on the genome, and {transcript.name} has none; "
            "give the transcript as GFF3, GTF or GenBank with places"
        )
        raise InputError(msg)
    found: list[Missense] = []
    other = 0
    with opened(path) as source:
        if "CLNSIG" not in source.file.header.info:
            msg = f"{path}: is not a VCF of ClinVar, its header has no CLNSIG; give ClinVar's"
            raise InputError(msg)
        with_stars = "CLNREVSTAT" in source.file.header.info
        settled_build(path, source.file, transcript.build)
        for row, record in records_of(source, (transcript.chrom, *transcript.span)):
            for alt in record.alts or ():
                own = _missense(transcript, record, alt)
                if own is None:
                    other += 1
                    continue
                position, ref, new, coding = own
                status = _text(record, "CLNREVSTAT")
                stars = stars_of(f"{path}, row {row}", status) if with_stars else None
                told = _text(record, "CLNSIG")
                found.append(Missense(position, ref, new, coding, told, stars, row))
    if not found:
        msg = (
            f"{path}: holds no missense variant of {transcript.name} "
            f"({transcript.chrom}:{transcript.span[0]}-{transcript.span[1]} of "
            f"{transcript.build or 'an unnamed build'}); give the VCF of the same build"
        )
        raise InputError(msg)
    notes = [
        f"{len(found):,} missense variants, by their places in {transcript.name}; {other:,} other "
        "alleles of the region left out"
    ]
    if not with_stars:
        notes.append("stars: not in this export")
    return ClinVarTable(str(path), tuple(found), with_stars, tuple(notes))


def _missense(
    transcript: Transcript, record: pysam.VariantRecord, alt: str
) -> tuple[int, str, str, str] | None:
    """Return residue, its letter, the new one and the coding name; None for anything else."""
    if record.ref is None or len(record.ref) != len(alt) or not alt.isalpha():
        return None
    edit = transcript.edit(Allele.of(record.chrom, record.pos, record.ref, alt))
    if edit is None:
        return None
    changes = haplotype(transcript, [edit]).changes
    if len(changes) != 1 or changes[0].kind != "missense":
        return None
    own = changes[0]
    return own.position, own.ref, own.alt, own.coding.rpartition(":")[2]


def _text(record: pysam.VariantRecord, key: str) -> str:
    """Return a value as ClinVar's pages spell it; a VCF has no spaces, and commas divide it."""
    if key not in record.info:
        return ""
    value = record.info[key]
    parts = value if isinstance(value, tuple) else (value,)
    return ",".join(map(str, parts)).replace("_", " ").strip()
