"""Conservation from an alignment: a rival of attention that needs no model."""

from __future__ import annotations

import numpy as np

from saliscope.core.errors import InputError
from saliscope.core.textfile import Path_, lines
from saliscope.core.units import FloatArray

__all__ = ["conservation", "read_aligned"]

_LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def conservation(path: Path_, sequence: str) -> FloatArray:
    r"""Return minus the entropy (nats) of every column of an alignment, along a protein.

    Sequences count by their position-based weights [1]_; gaps and unknown letters are left out.

    Parameters
    ----------
    path : path
        Aligned FASTA, A2M or A3M (lower-case letters and dots are insertions, and left out),
        plain or gzip, with the protein itself among the sequences.
    sequence : str

    Returns
    -------
    numpy.ndarray, shape (residues,)
        NaN where no sequence has a letter, or the protein's residue is an insertion.

    Raises
    ------
    InputError
        One line: sequences of unequal lengths, the protein is not among them, only one sequence.

    References
    ----------
    .. [1] Henikoff and Henikoff (1994), Position-based sequence weights, J. Mol. Biol. 243: 574.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "a.fasta"
    ...     _ = file.write_text(">own\nM-K\n>b\nMAK\n>c\nMAR\n")
    ...     conservation(file, "MK").round(2).tolist()
    [0.0, -0.69]
    """
    names, rows = read_aligned(path)
    letters = sequence.upper()
    own = next((i for i, row in enumerate(rows) if _residues(row) == letters), None)
    if own is None:
        msg = (
            f"{path}: the protein of {len(letters):,} residues is not among the {len(rows):,} "
            "sequences; add it to the alignment"
        )
        raise InputError(msg)
    columns = [[c for c in row if c.isupper() or c == "-"] for row in rows]
    width = len(columns[own])
    for number, row in enumerate(columns):
        if len(row) != width:
            msg = (
                f"{path}, record {number + 1} ({names[number]}): has {len(row):,} aligned columns, "
                f"{names[own]} has {width:,}; all sequences of an alignment are equally long"
            )
            raise InputError(msg)
    if len(rows) < 2:
        msg = f"{path}: has one sequence; conservation needs several"
        raise InputError(msg)
    known = np.array([[_LETTERS.find(c) for c in row] for row in columns], dtype=np.int64)
    scores = _minus_entropy(known)
    found = np.full(len(letters), np.nan)
    place, column = 0, 0
    for sign in rows[own]:
        if sign == ".":
            continue
        if sign.isalpha():
            if sign.isupper():
                found[place] = scores[column]
            place += 1
        column += sign.isupper() or sign == "-"
    return found


def _residues(row: str) -> str:
    return row.replace("-", "").replace(".", "").upper()


def read_aligned(path: Path_) -> tuple[list[str], list[str]]:
    r"""Return the names and the rows of a FASTA file, plain or gzip, gaps as they are.

    Raises
    ------
    InputError
        It has no records.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "a.fasta"
    ...     _ = file.write_text(">own human\nM-\nK\n>b\nMAK\n")
    ...     read_aligned(file)
    (['own', 'b'], ['M-K', 'MAK'])
    """
    names: list[str] = []
    parts: list[list[str]] = []
    for number, line in lines(path, empty="has no sequences"):
        text = line.strip()
        if text.startswith(">"):
            names.append(text[1:].split()[0] if text[1:].split() else f"record {len(names) + 1}")
            parts.append([])
        elif text:
            if not parts:
                msg = f"{path}, line {number}: is not FASTA; an alignment starts with '>name'"
                raise InputError(msg)
            parts[-1].append(text)
    return names, ["".join(part) for part in parts]


def _minus_entropy(known: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> FloatArray:
    """Return minus the weighted entropy of columns of letters (-1: none), shape (columns,)."""
    sequences, width = known.shape
    weights = np.zeros(sequences)
    counts = np.zeros((width, len(_LETTERS)))
    for column in range(width):
        there = known[:, column] >= 0
        own = known[there, column]
        counts[column] = np.bincount(own, minlength=len(_LETTERS))
        kinds = np.count_nonzero(counts[column])
        if kinds:
            weights[there] += 1 / (kinds * counts[column][own])
    found = np.full(width, np.nan)
    for column in range(width):
        there = known[:, column] >= 0
        share = np.bincount(known[there, column], weights[there], minlength=len(_LETTERS))
        if share.sum() > 0:
            p = share[share > 0] / share.sum()
            found[column] = float((p * np.log(p)).sum())
    return found
