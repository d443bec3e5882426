"""One way in for every population file: its kind is told from its first lines."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from saliscope.core.errors import InputError, OptionError
from saliscope.core.textfile import head_of
from saliscope.variants.population.gnomad_csv import read_gnomad_csv
from saliscope.variants.population.gnomad_header import is_gnomad_header
from saliscope.variants.population.groups import regroup
from saliscope.variants.population.record import Population
from saliscope.variants.population.sites import Region
from saliscope.variants.population.table import is_table_header, read_table

__all__ = ["load_population"]


def load_population(
    path: str | os.PathLike[str],
    *,
    build: str | None = None,
    region: Region | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
) -> Population:
    """Return the alleles of a population from any file that Saliscope reads.

    These are exports of the gnomAD browser (`read_gnomad_csv`), sites VCF of gnomAD
    (`read_gnomad_vcf`), VCF of dbSNP (`read_dbsnp`) and plain tables (`read_table`).

    Parameters
    ----------
    path : path
    build : str, optional
        "GRCh37" or "GRCh38", where the file does not tell.
    region : (str, int, int), optional
        Chromosome, first and last position (from 1): all that is kept of the file.
    groups : mapping of str to sequence of str, optional
        Groups put together under names of your own: ``{"EUR": ("nfe", "fin")}``; see `regroup`.
        Without it groups keep the source's own names.

    Raises
    ------
    InputError
        One line: file, row, reason, remedy.
    OptionError
        A build or a group that is not known.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "cohort.tsv"
    ...     text = "chrom pos ref alt ac an".replace(" ", chr(9)) + chr(10)
    ...     _ = file.write_text(text + "6 18130918 T C 40 1000".replace(" ", chr(9)))
    ...     load_population(file).source
    'table of counts'
    """
    head = head_of(path)
    if head.startswith((b"##fileformat=VCF", b"BCF")):
        population = _vcf(path, build, region)
    else:
        text = head[3:] if head.startswith(b"\xef\xbb\xbf") else head
        first = text.split(b"\n", 1)[0].decode("utf-8", "replace").replace('"', "").strip()
        split = next((s for s in ("\t", ";", ",") if s in first), ",")
        names = first.split(split)
        if is_table_header(names) and not is_gnomad_header(names):
            population = read_table(path, build=build)
        else:  # says what is wrong with anything else, and what it could have been
            population = read_gnomad_csv(path, build=build)
        population = _within(population, region)
    return regroup(population, groups) if groups else population


def _vcf(path: str | os.PathLike[str], build: str | None, region: Region | None) -> Population:
    from saliscope.variants.calls.opening import opened
    from saliscope.variants.population.dbsnp import is_dbsnp_vcf, read_dbsnp
    from saliscope.variants.population.gnomad_vcf import is_gnomad_vcf, read_gnomad_vcf

    with opened(path) as source:
        info = list(source.file.header.info)
        people = len(source.file.header.samples)
    if is_gnomad_vcf(info):
        return read_gnomad_vcf(path, build=build, region=region)
    if is_dbsnp_vcf(info):
        return read_dbsnp(path, build=build, region=region)
    why = f"holds {people} people: give it as a panel" if people else "has no counts by group"
    msg = f"{path}: is a VCF neither of gnomAD nor of dbSNP, and {why}"
    raise InputError(msg)


def _within(population: Population, region: Region | None) -> Population:
    from dataclasses import replace

    if region is None:
        return population
    chrom, low, high = region[0].removeprefix("chr"), region[1], region[2]
    if low > high:
        msg = f"region: {low} is behind {high}; give first and last position"
        raise OptionError(msg)
    kept = {
        allele: variant
        for allele, variant in population.variants.items()
        if allele.chrom == chrom
        and allele.position <= high
        and allele.position + max(len(allele.ref), 1) - 1 >= low
    }
    left = len(population.variants) - len(kept)
    note = f"{left:,} further rows lie outside of {chrom}:{low}-{high} and are not looked at"
    return replace(
        population, variants=kept, notes=(*population.notes, note) if left else population.notes
    )
