"""Plain tables of counts, for every population that is not gnomAD."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from saliscope.core.errors import InputError, OptionError
from saliscope.core.textfile import text_of
from saliscope.variants.coding.builds import build_name
from saliscope.variants.population.reading import (
    allele_of,
    by_allele,
    counts_of,
    names_in,
    rows_of,
)
from saliscope.variants.population.record import Population, PopulationVariant

__all__ = ["is_table_header", "read_table"]

_PLACE = ("chrom", "pos", "ref", "alt")
_FIELDS = ("ac", "an", "hom", "hemi")
_OTHER = ("id", "transcript", "consequence", "protein", "coding", "filter")


def is_table_header(names: Sequence[str]) -> bool:
    """Whether a header has the columns of a plain table.

    Examples
    --------
    >>> is_table_header(["chrom", "pos", "ref", "alt", "ac", "an"])
    True
    """
    return {"chrom", "pos", "ref", "alt"} <= {name.strip().lower() for name in names}


def read_table(path: str | os.PathLike[str], *, build: str | None = None) -> Population:
    """Return the alleles of a plain table of counts, CSV or TSV.

    The first row names the columns, in any order and case:

    ``chrom``, ``pos``, ``ref``, ``alt``
        As in a VCF: position from 1 of the first base of ``ref``.
    ``ac``, ``an``
        Copies of the allele, and chromosomes called.
    ``hom``, ``hemi`` (optional)
        Homozygous and hemizygous people; without ``hom`` carriers are not known.
    ``ac_GROUP``, ``an_GROUP``, ``hom_GROUP``, ``hemi_GROUP`` (optional)
        The same by group, under any name; groups may overlap. A cell may be blank: not measured.
    ``id``, ``transcript``, ``consequence``, ``protein``, ``coding``, ``filter`` (optional)
        rs number, transcript of the names, consequence, HGVS p. and c., filter not passed.

    Parameters
    ----------
    path : path
        UTF-8, plain or gzip.
    build : str, optional
        "GRCh37" or "GRCh38"; None leaves it open, and REF alone is compared with the transcript.

    Raises
    ------
    InputError
        One line: file, row, reason, remedy; other columns are refused so that a misspelled
        group is not lost.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "cohort.csv"
    ...     _ = file.write_text("chrom,pos,ref,alt,ac,an,hom,ac_EUR,an_EUR" + chr(10)
    ...                         + "6,18130918,T,C,40,1000,1,30,800" + chr(10))
    ...     p = read_table(file, build="GRCh37")
    >>> [(a.label, v.groups["EUR"].frequency) for a, v in p.variants.items()]
    [('6-18130918-T-C', 0.0375)]
    """
    if build is not None and build_name(build) is None:
        msg = f"build {build!r} is not known; give 'GRCh37' or 'GRCh38'"
        raise OptionError(msg)
    text = text_of(path, unit="row")
    first = text.split("\n", 1)[0]
    if ";" in first and is_table_header(first.split(";")):
        msg = f"{path}, row 1: cells are separated by semicolons; save with commas or tabs"
        raise InputError(msg)
    rows = list(rows_of(path, text, "\t" if "\t" in first else ","))
    if not rows or not is_table_header(rows[0][1]):
        msg = f"{path}, row 1: has no columns chrom, pos, ref, alt; name them so"
        raise InputError(msg)
    if len(rows) == 1:
        msg = f"{path}: has a header and no rows"
        raise InputError(msg)
    total, groups, place = _columns(path, rows[0][1])
    variants = by_allele(
        path, [_row(path, line, cells, total, groups, place) for line, cells in rows[1:]]
    )
    notes = () if "hom" in total else ("no column hom: carriers are not known",)
    return Population(
        "table of counts", str(path), build_name(build) if build else None, tuple(groups),
        variants, notes,
    )  # fmt: skip


_At = Mapping[str, int]


def _columns(
    path: str | os.PathLike[str], header: Sequence[str]
) -> tuple[_At, Mapping[str, _At], _At]:
    """Return where totals, groups and the rest stand."""
    total: dict[str, int] = {}
    groups: dict[str, dict[str, int]] = {}
    place: dict[str, int] = {}
    seen: set[str] = set()
    for index, name in enumerate(header):
        field, under, group = name.strip().partition("_")
        field = field.lower()
        if name.strip().lower() in seen:
            msg = f"{path}, row 1: the column {name.strip()!r} stands there twice; remove one"
            raise InputError(msg)
        seen.add(name.strip().lower())
        if field in _FIELDS and under and group:
            groups.setdefault(group, {})[field] = index
        elif field in _FIELDS and not under:
            total[field] = index
        elif not under and field in (*_PLACE, *_OTHER):
            place[field] = index
        else:
            msg = (
                f"{path}, row 1: the column {name.strip()!r} is not known; remove it, or name it "
                "ac_GROUP, an_GROUP or hom_GROUP"
            )
            raise InputError(msg)
    for label, own in (("", total), *((f"_{group}", at) for group, at in groups.items())):
        for field in ("ac", "an"):
            if field not in own:
                msg = f"{path}, row 1: the column {field}{label} is missing; add it"
                raise InputError(msg)
    return total, groups, place


def _row(
    path: str | os.PathLike[str],
    line: int,
    cells: Sequence[str],
    total: _At,
    groups: Mapping[str, _At],
    place: _At,
) -> PopulationVariant:
    where = f"{path}, row {line}"
    own = {name: cells[at].strip() for name, at in place.items()}
    allele = allele_of(where, own["chrom"], own["pos"], own["ref"], own["alt"])
    all_ = counts_of(where, "total", cells, total, _FIELDS)
    parts = {g: counts_of(where, g, cells, at, _FIELDS) for g, at in groups.items()}
    if all_.ac is None or all_.an is None:
        msg = f"{where}: ac or an is blank; fill it in, or leave the row out"
        raise InputError(msg)
    for group, part in parts.items():
        if (part.ac or 0) > all_.ac or (part.an or 0) > all_.an:
            msg = f"{where}: group {group} has more than the total; correct the row"
            raise InputError(msg)
    return PopulationVariant(
        allele,
        line,
        all_,
        parts,
        ids=names_in(own.get("id", "")),
        filters=tuple(
            part for part in re.split(r"[;,]", own.get("filter", "")) if part not in {"", "PASS"}
        ),
        transcript=own.get("transcript", ""),
        consequence=own.get("consequence", ""),
        protein=own.get("protein", ""),
        coding=own.get("coding", ""),
    )
