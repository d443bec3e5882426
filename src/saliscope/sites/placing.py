"""Where the residues of a structure stand in a sequence."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError
from saliscope.core.units import FloatArray
from saliscope.sites.aligning import align_globally
from saliscope.sites.structure import CONTACT, Structure

__all__ = ["LEAST_IDENTITY", "Placed", "place"]

LEAST_IDENTITY = 0.9
"""Share of the structure's residues that the sequence must have."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A structure with the place of each of its residues in a sequence; made by `place`.

    Parameters
    ----------
    structure : Structure
    sequence : str
    rows : numpy.ndarray of int, shape (placed,)
        Residues of the structure that have a place.
    columns : numpy.ndarray of int, shape (placed,)
        Their places in the sequence, from 0, rising.
    how : {"numbers", "alignment"}
        By the file's own numbers, or by a global alignment.
    identity : float
        Share of the structure's residues that the sequence has.
    changed : tuple of str
        Residues that differ, such as "C182S": the sequence's, the place, the structure's.
    """

    structure: Structure
    sequence: str
    rows: npt.NDArray[np.int64] = field(repr=False)
    columns: npt.NDArray[np.int64] = field(repr=False)
    how: str
    identity: float
    changed: tuple[str, ...]

    @property
    def span(self) -> tuple[int, int]:
        """First and last residue of the sequence that is resolved, from 1."""
        return int(self.columns[0]) + 1, int(self.columns[-1]) + 1

    def along(self, values: npt.ArrayLike) -> FloatArray:
        """Return values of the structure's residues along the sequence; NaN where unresolved."""
        found = np.full(len(self.sequence), np.nan)
        found[self.columns] = np.asarray(values, dtype=np.float64)[self.rows]
        return found

    def flags(self, marked: npt.NDArray[np.bool_]) -> tuple[int, ...]:
        """Return the places in the sequence, from 1, of marked residues of the structure."""
        return tuple(int(c) + 1 for r, c in zip(self.rows, self.columns, strict=True) if marked[r])

    def contacts(self, cutoff: float = CONTACT) -> npt.NDArray[np.bool_]:
        """Return which residues are in contact, shape (placed, placed): beta carbons in reach."""
        return np.asarray(self.structure.distances()[np.ix_(self.rows, self.rows)] < cutoff)


def place(structure: Structure, sequence: str, *, name: str = "the sequence") -> Placed:
    """Find the residues of a structure in a sequence.

    By the file's own numbers where at least nine of ten agree (so that an engineered change stays
    where it is), else by a global alignment.

    Parameters
    ----------
    structure : Structure
    sequence : str
    name : str
        For messages.

    Raises
    ------
    InputError
        The sequence has less than nine tenths of the structure's residues: it is another protein
        or another chain.

    Examples
    --------
    >>> import numpy as np
    >>> from saliscope.sites.structure import Structure
    >>> points = np.zeros((3, 3))
    >>> chain = Structure("a.pdb", "A", "CHK", ((2, ""), (3, ""), (4, "")), points, points, points,
    ...                   np.arange(3), np.ones(3))
    >>> placed = place(chain, "MCHK")
    >>> placed.how, placed.columns.tolist()
    ('numbers', [1, 2, 3])
    """
    letters = sequence.upper()
    numbers = _by_number(structure, letters)
    pairs, how = (
        (numbers, "numbers") if numbers
        else (align_globally(structure.letters, letters), "alignment")
    )  # fmt: skip
    equal = [structure.letters[r] == letters[c] for r, c in pairs]
    known = sum(letter != "X" for letter in structure.letters) or 1
    identity = sum(equal) / known
    if identity < LEAST_IDENTITY:
        msg = (
            f"{structure.path}: chain {structure.chain} has {len(structure.letters):,} residues, "
            f"of which {name} ({len(letters):,} residues) has {identity:.0%}; give the chain of "
            "this protein"
        )
        raise InputError(msg)
    changed = tuple(
        f"{letters[c]}{c + 1}{structure.letters[r]}"
        for (r, c), same in zip(pairs, equal, strict=True)
        if not same and structure.letters[r] != "X"
    )
    rows, columns = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True))
    return Placed(structure, letters, rows, columns, how, min(identity, 1.0), changed)


def _by_number(structure: Structure, letters: str) -> list[tuple[int, int]]:
    """Return pairs by the file's numbers; nothing where too few agree or numbers are not plain."""
    numbers = [n for n, _ in structure.numbers]
    if any(code for _, code in structure.numbers) or sorted(set(numbers)) != numbers:
        return []
    pairs = [(r, n - 1) for r, n in enumerate(numbers) if 1 <= n <= len(letters)]
    equal = sum(structure.letters[r] == letters[c] for r, c in pairs)
    return pairs if equal >= LEAST_IDENTITY * len(numbers) else []
