"""Tables of counts: text to rows of cells, cells to counts and alleles, rows to a population."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from saliscope.core.errors import InputError
from saliscope.variants.coding.builds import chromosome
from saliscope.variants.coding.edit import Allele
from saliscope.variants.population.checks import check_counts
from saliscope.variants.population.record import Counts, PopulationVariant

__all__ = ["allele_of", "by_allele", "counts_of", "names_in", "rows_of", "whole"]


def rows_of(
    path: str | os.PathLike[str], text: str, separator: str, *, fault: str = ""
) -> Iterator[tuple[int, list[str]]]:
    r"""Yield the rows of a delimited text with the line each ends on; empty lines left out.

    Every row must have as many cells as the first.

    Parameters
    ----------
    path : path
        For messages.
    text, separator : str
    fault : str
        What a wrongly quoted cell most likely means in this kind of file.

    Raises
    ------
    InputError
        A quote that does not end where its cell ends, or a row of another length.

    Examples
    --------
    >>> list(rows_of("x.csv", 'a,b\n1,"2,3"\n', ","))
    [(1, ['a', 'b']), (2, ['1', '2,3'])]
    """
    hint = fault or "put the cell in quotes and double the quotes inside it"
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    width, last = 0, 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            msg = f"{path}, row {last + 1}: a quote inside of a cell is badly escaped; {hint}"
            raise InputError(msg) from error
        first, last = last + 1, reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        width = width or len(cells)
        if len(cells) != width:
            quoted = any('"' in cell for cell in cells) or last > first
            why = f"a quote is badly escaped; {hint}" if quoted else "the row is damaged"
            msg = f"{path}, row {first}: {len(cells)} cells, the header has {width}; {why}"
            raise InputError(msg)
        yield last, cells


def whole(text: str) -> int | None:
    """Return a count as written by a program or a spreadsheet; None for a blank.

    Raises
    ------
    ValueError
        Not a whole number.

    Examples
    --------
    >>> whole("912"), whole("912.0"), whole("1e+05"), whole(""), whole("NA")
    (912, 912, 100000, None, None)
    """
    text = text.strip()
    if text in {"", "NA", "."}:
        return None
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if not number.is_integer():
            raise ValueError(text) from None
        return int(number)


def counts_of(
    where: str, label: str, cells: Sequence[str], at: Mapping[str, int], kinds: Sequence[str]
) -> Counts:
    """Return the counts of one group from the cells of a row.

    Parameters
    ----------
    where, label : str
        File and row, and the group (or "total"), for messages.
    cells : sequence of str
    at : mapping of str to int
        Where each kind of count stands; a kind that is not there was not measured.
    kinds : sequence of str
        What the source calls copies, chromosomes, homozygous and hemizygous people.

    Raises
    ------
    InputError
        Not a whole number, negative, or more than there can be.

    Examples
    --------
    >>> counts_of("a.csv, row 2", "EUR", ["3", "90", ""], {"ac": 0, "an": 1}, ("ac", "an"))
    Counts(ac=3, an=90, homozygotes=None, hemizygotes=None)
    """
    values: list[int | None] = []
    for kind in kinds:
        text = cells[at[kind]] if kind in at else ""
        try:
            values.append(whole(text))
        except (ValueError, OverflowError) as error:
            msg = f"{where}: {kind!r} of {label} is {text[:20]!r}, not a whole number; correct it"
            raise InputError(msg) from error
    counts = Counts(*values)
    check_counts(where, label, counts)
    return counts


def allele_of(where: str, chrom: str, position: str, ref: str, alt: str) -> Allele:
    """Return the allele that four cells of a row name, as in a VCF.

    Raises
    ------
    InputError
        The position is not a number from 1, or the alleles are not bases.

    Examples
    --------
    >>> allele_of("a.csv, row 2", "chr6", "18130918", "TA", "CA").label
    '6-18130918-T-C'
    """
    if not position.isdecimal() or int(position) < 1:
        msg = f"{where}: the position is {position[:20]!r}, not a number from 1; correct the row"
        raise InputError(msg)
    for bases in (ref, alt):
        if not re.fullmatch("[ACGTNacgtn]+", bases):
            msg = (
                f"{where}: {bases[:20]!r} is not an allele; write bases A, C, G, T as in a VCF, or "
                "export the file again"
            )
            raise InputError(msg)
    return Allele.of(chromosome(chrom), int(position), ref, alt)


def names_in(text: str) -> tuple[str, ...]:
    """Return the names in a cell, such as rs numbers, whatever stands between them.

    Examples
    --------
    >>> names_in("rs1;rs2"), names_in("NA")
    (('rs1', 'rs2'), ())
    """
    return tuple(part for part in re.split(r"[;,|\s]+", text) if part not in {"", "NA"})


def by_allele(
    path: str | os.PathLike[str], variants: Iterable[PopulationVariant]
) -> dict[Allele, PopulationVariant]:
    """Return variants by their allele.

    Raises
    ------
    InputError
        An allele stands there twice.
    """
    found: dict[Allele, PopulationVariant] = {}
    for variant in variants:
        before = found.setdefault(variant.allele, variant)
        if before is not variant:
            msg = (
                f"{path}, row {variant.row}: {variant.allele.label} stands in row {before.row} "
                "already; remove one of both"
            )
            raise InputError(msg)
    return found
