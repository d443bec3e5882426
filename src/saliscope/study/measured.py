"""Measured scores and accessibilities from tables, by change and by residue."""

from __future__ import annotations

import re
from statistics import mean

import numpy as np

from saliscope.core.errors import InputError
from saliscope.core.textfile import Path_
from saliscope.core.units import FloatArray
from saliscope.variants.coding.codons import ONE_LETTER
from saliscope.variants.tables.rows import number, read_rows

__all__ = ["read_area", "read_scores"]

_ONE = re.compile(r"(?:p\.)?\(?([A-Z])(\d+)([A-Z])\)?")
_THREE = re.compile(r"(?:.*:)?p\.\(?([A-Z][a-z]{2})(\d+)([A-Z][a-z]{2})\)?")

_PERCENT = 2.0
"""A share of the largest accessibility is seldom above 1, and never above this."""


def read_scores(path: Path_, protein: str) -> dict[str, float]:
    r"""Read one score per change of a residue, of rows that name one.

    Parameters
    ----------
    path : path
        A table with ``hgvs_pro``, ``variant`` or ``mutant``, and ``score`` or ``DMS_score``.
    protein : str

    Returns
    -------
    dict of str to float
        By the change in one letter; the mean where a change stands several times.

    Raises
    ------
    InputError
        A column is missing, a score is no number, or most changes do not fit the protein.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "a.csv"
    ...     _ = file.write_text("hgvs_pro,score\np.Lys2Arg,0.5\np.Lys2Ter,NA\n")
    ...     read_scores(file, "MK")
    {'K2R': 0.5}
    """
    table = read_rows(path)
    change = table.need("hgvs_pro", "variant", "mutant", "hgvs", "protein")
    score = table.need("score", "DMS_score", "value")
    found: dict[str, list[float]] = {}
    wrong, first = 0, ""
    for line, (name, cell) in table.cells(change, score):
        read = _change(name)
        value = number(table.path, line, table.columns[score], cell)
        if read is None or value is None:
            continue
        ref, at, alt = read
        if not (1 <= at <= len(protein) and protein[at - 1] == ref):
            wrong += 1
            first = first or f"row {line}: has {ref} at {at}"
            continue
        found.setdefault(f"{ref}{at}{alt}", []).append(value)
    if wrong > sum(map(len, found.values())):
        msg = f"{path}, {first}, which is not in this protein; give the table of this protein"
        raise InputError(msg)
    if not found:
        msg = f"{path}: has no score of a single change such as p.Arg175His or R175H"
        raise InputError(msg)
    return {change: mean(values) for change, values in found.items()}


def _change(name: str) -> tuple[str, int, str] | None:
    if one := _ONE.fullmatch(name):
        return one[1], int(one[2]), one[3]
    three = _THREE.fullmatch(name)
    if three is None or three[1] not in ONE_LETTER or ONE_LETTER.get(three[3], "*") == "*":
        return None
    return ONE_LETTER[three[1]], int(three[2]), ONE_LETTER[three[3]]


def read_area(path: Path_, protein: str) -> FloatArray:
    r"""Read relative accessibilities along a protein, where there is no structure.

    Parameters
    ----------
    path : path
        A table with ``position`` and ``rsa``; residues without a value are blank or NA.
    protein : str

    Returns
    -------
    numpy.ndarray, shape (residues,)
        NaN where nothing is known. Percent, which is what a column with a value above 2 holds,
        become shares.

    Raises
    ------
    InputError
        A column is missing, or a position lies beyond the protein.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "a.csv"
    ...     _ = file.write_text("position,rsa\n2,0.25\n")
    ...     read_area(file, "MK").tolist()
    [nan, 0.25]
    """
    table = read_rows(path)
    places = table.need("position", "pos"), table.need("rsa", "relative_accessibility")
    area = np.full(len(protein), np.nan)
    for line, (position, cell) in table.cells(*places):
        at = number(table.path, line, "position", position)
        value = number(table.path, line, "rsa", cell)
        if at is None or value is None:
            continue
        if at != int(at) or not 1 <= at <= len(protein):
            msg = (
                f"{path}, row {line}: position {position} is not within the {len(protein):,} "
                "residues; give the table of this protein"
            )
            raise InputError(msg)
        area[int(at) - 1] = value
    return area / 100 if np.nanmax(area, initial=0.0) > _PERCENT else area
