"""Genotypes as arrays: which allele each copy of each sample has at each row."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError

__all__ = ["ABSENT", "MISSING", "Cell", "cells_of", "read_cell", "settled"]

MISSING, ABSENT = -1, -2
_LONE = -3  # "." alone: missing, with a number of copies that other rows must tell

Cell = tuple[int, int, str | None]
"""Alleles of both copies, and the phase set: None unphased, "" phased without a set."""


@lru_cache(maxsize=1 << 16)
def read_cell(genotype: str, phase_set: str = "") -> Cell:
    """Return the alleles of a GT cell and its phase set.

    Raises
    ------
    ValueError
        More than two copies, or an allele that is not a number from 0 to 127.

    Examples
    --------
    >>> [read_cell(text) for text in ("0|1", "1/2", ".|1", "1", "./.")]
    [(0, 1, ''), (1, 2, None), (-1, 1, ''), (1, -2, ''), (-1, -1, None)]
    >>> read_cell("0|1", "17")
    (0, 1, '17')
    """
    text = genotype.strip()
    phased = "/" not in text
    alleles = text.replace("/", "|").removeprefix("|").split("|")
    if len(alleles) > 2:
        msg = f"GT {text[:40]!r} has {len(alleles)} copies; one or two can be read"
        raise ValueError(msg)
    if text in {".", ""}:
        return MISSING, _LONE, None
    codes = [MISSING if a == "." else int(a) if a.isdigit() else ABSENT for a in alleles]
    if ABSENT in codes or max(codes) > 127:
        msg = f"GT {text[:40]!r} is not made of allele numbers (0 to 127 can be read)"
        raise ValueError(msg)
    if len(codes) == 1:
        return codes[0], ABSENT, ""
    return codes[0], codes[1], ("" if phase_set in {"", "."} else phase_set) if phased else None


def cells_of(
    keys: Sequence[str], columns: Sequence[str], samples: Sequence[str], alleles: int, where: str
) -> tuple[npt.NDArray[np.int8], list[str | None], npt.NDArray[np.intp]]:
    """Return the genotypes of one row.

    Parameters
    ----------
    keys : sequence of str
        The row's FORMAT.
    columns, samples : sequence of str
        One cell per sample, and their names.
    alleles : int
        How many alleles the row has, the reference included.
    where : str
        File and row, for messages.

    Returns
    -------
    genotypes : array, shape (samples, 2)
    sets : list of str or None
        Distinct phase sets.
    of : array, shape (samples,)
        Which of them each sample has.

    Raises
    ------
    InputError
        No GT, more than two copies, an allele that the row does not have.
    """
    if "GT" not in keys:
        msg = f"{where}: its FORMAT has no GT, so nobody's alleles are known; give called genotypes"
        raise InputError(msg)
    gt = keys.index("GT")
    ps = keys.index("PS") if "PS" in keys else None
    number: dict[tuple[str, str], int] = {}
    codes = np.empty(len(columns), dtype=np.intp)
    for i, column in enumerate(columns):
        parts = column.split(":")
        genotype = parts[gt] if gt < len(parts) else "."
        phase_set = parts[ps] if ps is not None and ps < len(parts) else ""
        codes[i] = number.setdefault((genotype, phase_set), len(number))
    known: list[Cell] = []
    for code, key in enumerate(number):
        try:
            cell = read_cell(*key)
        except ValueError as error:
            msg = f"{where}, sample {samples[_first(codes, code)]!r}: {error}"
            raise InputError(msg) from error
        if max(cell[:2]) >= alleles:
            sample = samples[_first(codes, code)]
            msg = f"{where}, sample {sample!r}: GT {key[0]!r} names an allele that the row lacks"
            raise InputError(msg)
        known.append(cell)
    values = np.array([cell[:2] for cell in known], dtype=np.int8).reshape(-1, 2)
    sets = list(dict.fromkeys(cell[2] for cell in known))
    of = np.array([sets.index(cell[2]) for cell in known], dtype=np.intp)
    return values[codes], sets, of[codes]


def _first(codes: npt.NDArray[np.intp], code: int) -> int:
    return int(np.flatnonzero(codes == code)[0])


def settled(
    genotypes: npt.NDArray[np.int8],
    same_place: Sequence[tuple[int, str]],
    samples: Sequence[str],
    where: Sequence[str],
    *,
    autosome: bool,
) -> npt.NDArray[np.int8]:
    """Return genotypes with one number of copies per sample, and with split rows joined.

    A "." alone gets the sample's number of copies. Of rows that were split from one ("1/." and
    "./1"), a copy that is called in one is not missing in the others. On X, Y and MT a sample with
    haploid and homozygous diploid calls has one copy.

    Parameters
    ----------
    genotypes : array, shape (samples, rows, 2)
    same_place : sequence of (int, str)
        Position and reference of each row.
    samples, where : sequence of str
        Names of samples and rows, for messages.
    autosome : bool

    Raises
    ------
    InputError
        A sample with one copy in one row, and two in another.
    """
    result = genotypes.copy()
    first, second = result[..., 0], result[..., 1]
    haploid = second == ABSENT
    diploid = second >= MISSING
    single = haploid.any(axis=1)
    mixed = single & diploid.any(axis=1)
    if not autosome:
        differ = diploid & (first != second)
        mixed &= differ.any(axis=1)
    if mixed.any():
        i = int(np.flatnonzero(mixed)[0])
        one, two = int(np.flatnonzero(haploid[i])[0]), int(np.flatnonzero(diploid[i])[-1])
        msg = (
            f"{where[one]}: sample {samples[i]!r} has one copy here and two in {where[two]}; "
            "a gene has the same number of copies in all rows"
        )
        raise InputError(msg)
    second[single] = ABSENT
    second[second == _LONE] = MISSING
    for place in {p for p in same_place if same_place.count(p) > 1}:
        rows = [i for i, p in enumerate(same_place) if p == place]
        part = result[:, rows]
        called = (part > 0).any(axis=1, keepdims=True)
        result[:, rows] = np.where((part == MISSING) & called, 0, part)
    return result
