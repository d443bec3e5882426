"""What all VCF files of sites share: their build, and their records in a region."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.calls.builds import declared_build
from saliscope.variants.calls.opening import Source
from saliscope.variants.coding.builds import accession_build, build_name, chromosome

if TYPE_CHECKING:
    import pysam

__all__ = ["Region", "records_of", "settled_build"]

Region = tuple[str, int, int]
"""Chromosome, first and last position, from 1, both included."""


def settled_build(
    path: str | os.PathLike[str], file: pysam.VariantFile, given: str | None
) -> str | None:
    """Return the build of a VCF: as its header says, else as given; None where neither says.

    Raises
    ------
    InputError
        Header and user disagree.
    OptionError
        The given build is not known.
    """
    if given is not None and build_name(given) is None:
        msg = f"build {given!r} is not known; give 'GRCh37' or 'GRCh38'"
        raise OptionError(msg)
    given = build_name(given) if given is not None else None
    contigs = {str(name): contig.length for name, contig in file.header.contigs.items()}
    says = declared_build(contigs, str(file.header).splitlines())
    named = {build for build in map(accession_build, contigs) if build}
    found = says[0] if says else named.pop() if len(named) == 1 else None
    if found and given and found != given:
        msg = f"{path}: is on {found} by its header, but the build given is {given}"
        raise InputError(msg)
    return found or given


def records_of(source: Source, region: Region | None) -> Iterator[tuple[int, pysam.VariantRecord]]:
    """Yield the records of a region with their number (0 where an index was used), or all."""
    if region is None:
        yield from source.records(None, (1, 1))
        return
    chrom, low, high = chromosome(region[0]), region[1], region[2]
    names = [str(name) for name in source.file.header.contigs]
    contig = next((name for name in names if chromosome(name) == chrom), None)
    for number, record in source.records(contig, (low, high)):
        last = record.pos + len(record.ref or "") - 1
        if chromosome(record.chrom) == chrom and record.pos <= high and last >= low:
            yield number, record
