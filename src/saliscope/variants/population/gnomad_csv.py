"""Exports of the gnomAD browser ("Export variants to CSV"), in every form they have had since 2018.

Columns are found by name, never by place: their order has changed with almost every release. Only
columns that are named here are read. The scores of other projects that exports of v4 carry (CADD,
REVEL, SpliceAI, Pangolin, phyloP, SIFT, PolyPhen) have terms of their own and are never kept.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from saliscope.core.errors import InputError
from saliscope.core.textfile import text_of
from saliscope.variants.population.checks import check_sums
from saliscope.variants.population.gnomad_header import (
    KINDS,
    PLACE,
    Columns,
    columns_of,
    is_gnomad_header,
)
from saliscope.variants.population.reading import (
    allele_of,
    by_allele,
    counts_of,
    names_in,
    rows_of,
)
from saliscope.variants.population.record import Counts, Population, PopulationVariant

__all__ = ["read_gnomad_csv"]

_QUOTES = "a known fault of the browser's export: correct the row in a text editor, or export again"
_NAMED = re.compile(
    r"(?:gnomad_v|^v(?=.*ens[gt]\d))(?P<major>\d)(?P<minor>(?:\.\d+)*)_(?:\((?P<subset>[^)]+)\))?",
    re.IGNORECASE,
)
"""The browser's own names: gnomAD_v2.1.1_(controls)_ENSG00000067182_2019_04_09_15_57_03.csv."""
_MAX_V2 = 2 * 141_456
"""Chromosomes of the 141,456 people of v2.1, exomes and genomes together."""
_BUILDS = {"2": "GRCh37", "3": "GRCh38", "4": "GRCh38"}
_PAR = {
    "GRCh37": ((60_001, 2_699_520), (154_931_044, 155_260_560)),
    "GRCh38": ((10_001, 2_781_479), (155_701_383, 156_030_895)),
}
"""Pseudoautosomal regions of X (Genome Reference Consortium), from 1, both ends included."""


@dataclass
class _Tally:
    """What is noticed from row to row and said once."""

    hemizygotes: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    consequences: Counter[str] = field(default_factory=Counter)
    blank: Counter[str] = field(default_factory=Counter)
    filtered: int = 0
    an: int = 0


def read_gnomad_csv(path: str | os.PathLike[str], *, build: str | None = None) -> Population:
    """Return the alleles of a CSV file exported from the gnomAD browser.

    Groups carry gnomAD's codes ("nfe", ...). A blank is "not measured". The groups of each row must
    add up to its totals. On X outside of the pseudoautosomal regions the copies of XY people are
    the hemizygotes, so that `sexes` tells XX and XY apart.

    Parameters
    ----------
    path : path
        UTF-8, plain or gzip.
    build : str, optional
        "GRCh37" or "GRCh38"; needed only where neither file name nor header tell.

    Raises
    ------
    InputError
        One line: file, row, reason, remedy. Named are the known bad exports: African columns twice
        and no Admixed American (November 2023 to February 2024, gnomad-browser issue 1393), and
        badly escaped quotes.

    Notes
    -----
    Known faults that leave the rest usable are read and told of in `Population.notes`: the blank
    group "Remaining" of v2 (until December 2024), hemizygotes on autosomes (January 2021,
    gnomad-browser issue 683; not kept), and headings rewritten by R.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> head = "Chromosome,Position,rsID,Reference,Alternate,Source,Filters - exomes,"
    >>> head += "Filters - genomes,Allele Count,Allele Number,Homozygote Count,Hemizygote Count,"
    >>> kinds = ("Allele Count", "Allele Number", "Homozygote Count", "Hemizygote Count")
    >>> head += ",".join(f"{kind} African" for kind in kinds)
    >>> row = "12,6438488,rs750836105,A,G,gnomAD Exomes,PASS,NA,1,8166,0,0,1,8166,0,0"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "gnomAD_v2.1.1_ENSG00000067182_2019_04_09.csv"
    ...     _ = file.write_text(head + chr(10) + row)
    ...     p = read_gnomad_csv(file)
    >>> p.source, p.build, [v.groups["afr"].ac for v in p.variants.values()]
    ('gnomAD v2.1.1 browser export', 'GRCh37', [1])
    """
    text = text_of(path, unit="row")
    first = text.split("\n", 1)[0]
    for separator, called in ((";", "semicolons"), ("\t", "tabs")):
        if separator in first and is_gnomad_header(first.replace('"', "").split(separator)):
            msg = f"{path}, row 1: cells are separated by {called}; save the file with commas"
            raise InputError(msg)
    rows = list(rows_of(path, text, ",", fault=_QUOTES))
    if not rows or not is_gnomad_header(rows[0][1]):
        msg = (
            f"{path}, row 1: is not an export of the gnomAD browser (no columns Chromosome, "
            "Position, Source, Filters - exomes); use 'Export variants to CSV' on its gene page"
        )
        raise InputError(msg)
    columns = columns_of(path, rows[0][1])
    if len(rows) == 1:
        msg = f"{path}: has a header and no rows; export it again with variants shown"
        raise InputError(msg)
    tally = _Tally()
    lost = _lost(columns, [cells for _, cells in rows[1:]])
    read = [_row(path, line, cells, columns, tally, lost) for line, cells in rows[1:]]
    version, found = _version(path, columns, tally)
    if build is not None and found is not None and build != found:
        what = f"gnomAD v{version}" if version else "ExAC"
        msg = f"{path}: is {what}, which is on {found}, not {build}; leave build= out"
        raise InputError(msg)
    build = build or found
    if build is None:
        msg = f"{path}: neither file name nor header tell the genome build; give build='GRCh38'"
        raise InputError(msg)
    variants = by_allele(path, [_sexed(variant, build, tally) for variant in read])
    project = "ExAC" if set(tally.sources) == {"ExAC"} else "gnomAD"
    source = f"{project} v{version} browser export" if version else f"{project} browser export"
    notes = _notes(columns, tally, lost, len(variants), project)
    groups = tuple(columns.groups)
    return Population(source, str(path), build, groups, variants, notes, name=project)


def _lost(columns: Columns, rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Name the groups that are blank in every row although their people are in the totals."""
    return tuple(
        group
        for group in ("oth", "remaining")
        if group in columns.groups
        and not any(row[at].strip() for row in rows for at in columns.groups[group].values())
    )


def _row(
    path: str | os.PathLike[str],
    line: int,
    cells: Sequence[str],
    columns: Columns,
    tally: _Tally,
    lost: Sequence[str],
) -> PopulationVariant:
    where = f"{path}, row {line}"
    total = counts_of(where, "total", cells, columns.total, KINDS)
    if total.ac is None or total.an is None:
        msg = f"{where}: 'Allele Count' or 'Allele Number' is blank; export the file again"
        raise InputError(msg)
    groups = {
        group: counts_of(where, group, cells, at, KINDS) for group, at in columns.groups.items()
    }
    check_sums(where, total, groups, lost)
    allele = allele_of(where, *(cells[columns.place[name]].strip() for name in PLACE))
    other = {key: cells[at].strip() for key, at in columns.other.items()}
    failed, flags = _filters(other)
    tally.an = max(tally.an, total.an)
    tally.filtered += bool(failed)
    tally.sources.update(part.strip() for part in other.get("source", "").split(","))
    tally.consequences[other.get("consequence", "")] += 1
    tally.blank.update(group for group, counts in groups.items() if counts.an is None)
    return PopulationVariant(
        allele,
        line,
        total,
        groups,
        ids=names_in(other.get("rsids", "")),
        filters=failed,
        transcript=_named(other, "transcript"),
        consequence=_named(other, "consequence"),
        protein=_named(other, "protein"),
        coding=_named(other, "coding"),
        flags=flags,
    )


def _named(other: Mapping[str, str], key: str) -> str:
    text = other.get(key, "")
    return "" if text == "NA" else text


def _filters(other: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the filters of a call that passed in no data type, and flags.

    A call that passed in the exomes or in the genomes counts as passed; what it failed in the other
    one becomes a flag.
    """
    failed: list[str] = []
    passed = False
    for kind in ("exomes", "genomes", "joint"):
        text = other.get(kind, "NA")
        if text in {"", "NA", "PASS"}:
            passed = passed or text == "PASS"
            continue
        failed += [f"{kind}: {part.strip()}" for part in text.split(",")]
    flags = tuple(
        f.strip() for f in other.get("flags", "").split(",") if f.strip() not in {"", "NA"}
    )
    return ((), (*flags, *failed)) if passed else (tuple(failed), flags)


def _version(
    path: str | os.PathLike[str], columns: Columns, tally: _Tally
) -> tuple[str, str | None]:
    """Return version and build, from the browser's file name and from signs in the header."""
    if set(tally.sources) == {"ExAC"}:
        return "", "GRCh37"
    only_v4 = {"groupmax.faf.group", "cadd", "filters...joint", "filters...exome"}
    if only_v4 & set(columns.names):
        signs = "4"
    elif {"ami", "mid"} & set(columns.groups):
        signs = "4" if "gnomAD Exomes" in tally.sources else "34"
    else:
        signs = "2" if tally.an <= _MAX_V2 else ""
    named = _NAMED.search(Path(path).name)
    if named is None:
        return " or v".join(signs), _BUILDS[signs[0]] if signs else None
    if signs and named["major"] not in signs:
        msg = (
            f"{path}: is called gnomAD v{named['major']} and has the columns of v{signs}; "
            "give the file its own name back"
        )
        raise InputError(msg)
    subset = f" ({named['subset']})" if named["subset"] else ""
    return named["major"] + named["minor"] + subset, _BUILDS.get(named["major"])


def _sexed(variant: PopulationVariant, build: str, tally: _Tally) -> PopulationVariant:
    """Tell XX and XY apart on X; drop hemizygotes where there can be none."""
    chrom, position, total = variant.allele.chrom, variant.allele.position, variant.total
    diploid = chrom not in {"X", "Y"} or any(
        low <= position <= high for low, high in _PAR.get(build, ())
    )
    every = [total, *variant.groups.values()]
    if diploid and any(counts.hemizygotes for counts in every):
        tally.hemizygotes += 1
        return replace(
            variant,
            total=replace(total, hemizygotes=None),
            groups={g: replace(c, hemizygotes=None) for g, c in variant.groups.items()},
        )
    if chrom != "X" or diploid or total.ac is None or total.hemizygotes is None:
        return variant
    copies = total.hemizygotes
    sexes = {
        "XX": Counts(total.ac - copies, None, total.homozygotes),
        "XY": Counts(copies, None, 0, copies),
    }
    return replace(variant, sexes=sexes)


def _notes(
    columns: Columns, tally: _Tally, lost: Sequence[str], rows: int, project: str
) -> tuple[str, ...]:
    notes = [
        "a browser export holds the rows that its filters showed: what is not in it may still be "
        f"in {project}"
    ]
    if tally.consequences and not any("synonymous" in c for c in tally.consequences):
        notes.append("no synonymous rows: the table was filtered by consequence before the export")
    notes += [
        f"the group {group} is blank in every row (a known fault of exports of v2 until December "
        "2024): not measured, and sums can only be checked as upper limits"
        for group in lost
    ]
    notes += [
        f"{group}: not measured in {count} of {rows} rows; not zero"
        for group, count in sorted(tally.blank.items())
        if group not in lost
    ]
    if columns.resaved:
        notes.append("the headings were rewritten by R (Filters...exomes); read by their meaning")
    if tally.hemizygotes:
        notes.append(
            f"hemizygotes on diploid chromosomes in {tally.hemizygotes} rows (a known fault of "
            "exports of January 2021): not kept"
        )
    if tally.filtered:
        notes.append(f"{tally.filtered} rows did not pass gnomAD's filters")
    return tuple(notes)
