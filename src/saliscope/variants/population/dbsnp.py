"""dbSNP's VCF: frequencies by study, and neither ancestry groups nor people."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from saliscope.core.errors import InputError
from saliscope.variants.calls.opening import opened
from saliscope.variants.coding.builds import accession_build, chromosome
from saliscope.variants.coding.edit import Allele
from saliscope.variants.population.record import Counts, Population, PopulationVariant
from saliscope.variants.population.sites import (
    Region,
    records_of,
    settled_build,
)

if TYPE_CHECKING:
    import pysam

__all__ = ["is_dbsnp_vcf", "read_dbsnp"]


def is_dbsnp_vcf(keys: Iterable[str]) -> bool:
    """Whether INFO keys are those of dbSNP, old (CAF) or new (FREQ).

    Examples
    --------
    >>> is_dbsnp_vcf(["RS", "dbSNPBuildID", "FREQ"]), is_dbsnp_vcf(["AC", "AN"])
    (True, False)
    """
    known = set(keys)
    return bool(known & {"RS", "dbSNPBuildID"}) and bool(known & {"FREQ", "CAF", "dbSNPBuildID"})


def read_dbsnp(
    path: str | os.PathLike[str], *, build: str | None = None, region: Region | None = None
) -> Population:
    """Return the alleles of a VCF of dbSNP with their frequencies by study.

    There are no counts, so `Counts` stay empty: nothing can be said of carriers, nor of absence.
    Alleles are keyed by place and bases; an rs number can stand for several.

    Parameters
    ----------
    path : path
        Contigs by number or by RefSeq accession ("NC_000001.10"), which tells the build.
    build : str, optional
    region : (str, int, int), optional
        Chromosome, first and last position (from 1).

    Raises
    ------
    InputError
        One line: file, row, reason, remedy.
    """
    with opened(path) as source:
        if not is_dbsnp_vcf(source.file.header.info):
            msg = f"{path}: is not a VCF of dbSNP (no RS, FREQ or CAF in its header)"
            raise InputError(msg)
        found = settled_build(path, source.file, build)
        version = re.search(r"##dbSNP_BUILD_ID=(\d+)", str(source.file.header))
        variants: dict[Allele, PopulationVariant] = {}
        for row, record in records_of(source, region):
            own = accession_build(record.chrom)
            if found is not None and own is not None and own != found:
                msg = f"{path}, row {row}: {record.chrom} is on {own}, the file on {found}"
                raise InputError(msg)
            found = found or own
            for index, alt in enumerate(record.alts or ()):
                if not re.fullmatch("[ACGTNacgtn]+", alt):
                    continue
                allele = Allele.of(chromosome(record.chrom), record.pos, record.ref or "", alt)
                ids = (record.id,) if record.id else ()
                before = variants.get(allele)
                if before is not None:  # one allele under several rs numbers
                    variants[allele] = replace(before, ids=(*before.ids, *ids))
                    continue
                frequencies = _frequencies(path, row, record, index)
                variants[allele] = PopulationVariant(
                    allele, row, Counts(None, None), ids=ids, frequencies=frequencies
                )
    if found is None:
        msg = f"{path}: its header names no genome build; give build='GRCh37' or 'GRCh38'"
        raise InputError(msg)
    notes = (
        "dbSNP has no ancestry groups",
        "dbSNP has frequencies by study and no counts: carriers are not known, and an allele that "
        "is not in it cannot be called absent",
    )
    source_name = f"dbSNP build {version[1]}" if version else "dbSNP"
    return Population(source_name, str(path), found, (), variants, notes, name="dbSNP")


def _frequencies(
    path: str | os.PathLike[str], row: int, record: pysam.VariantRecord, index: int
) -> dict[str, float]:
    """Return the frequency of one alternative allele by study; the reference comes first."""
    texts: dict[str, str] = {}
    # commas separate both the values of INFO and the alleles of a study
    if "FREQ" in record.info:
        for part in _joined(record.info["FREQ"]).split("|"):
            study, _, values = part.partition(":")
            texts[study] = values
    for key, study in (("CAF", "1000Genomes"), ("TOPMED", "TOPMED")):
        if key in record.info:
            texts.setdefault(study, _joined(record.info[key]).strip("[]"))
    found: dict[str, float] = {}
    for study, values in texts.items():
        cells = values.split(",")
        text = cells[index + 1] if index + 1 < len(cells) else "."
        if text in {".", ""}:
            continue
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            msg = f"{path}, row {row}: the frequency of {study} is {text[:20]!r}, not from 0 to 1"
            raise InputError(msg)
        found[study] = value
    return found


def _joined(value: object) -> str:
    parts = value if isinstance(value, tuple) else (value,)
    return ",".join("." if part is None else str(part) for part in parts)
