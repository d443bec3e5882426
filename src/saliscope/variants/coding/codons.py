"""The genetic code: codons to residues, and residues to their three-letter names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from Bio.Data import CodonTable, IUPACData

from saliscope.core.errors import InputError

__all__ = [
    "ONE_LETTER",
    "THREE_LETTERS",
    "code",
    "is_start",
    "long",
    "table_number",
    "translate",
]

THREE_LETTERS: Mapping[str, str] = {**IUPACData.protein_letters_1to3, "*": "Ter"}
ONE_LETTER: Mapping[str, str] = {name: letter for letter, name in THREE_LETTERS.items()}


def long(residues: str) -> str:
    """Return residues in three letters.

    Examples
    --------
    >>> long("MK*")
    'MetLysTer'
    """
    return "".join(THREE_LETTERS[letter] for letter in residues)


@cache
def code(table: int) -> Mapping[str, str]:
    """Return an NCBI translation table: codon to residue, "*" for a stop.

    Raises
    ------
    InputError
        There is no such table.

    Examples
    --------
    >>> code(1)["TGA"], code(2)["TGA"]
    ('*', 'W')
    """
    found = CodonTable.unambiguous_dna_by_id.get(table)
    if found is None:
        known = ", ".join(str(number) for number in sorted(CodonTable.unambiguous_dna_by_id))
        msg = f"translation table {table}: there is no such NCBI table; known: {known}"
        raise InputError(msg)
    return {**found.forward_table, **dict.fromkeys(found.stop_codons, "*")}


def table_number(text: str, default: int = 1) -> int:
    """Return the translation table that a file names; `default` where it names none.

    Raises
    ------
    InputError
        Not a number.
    """
    if not text:
        return default
    if not text.isdecimal():
        msg = f"translation table {text[:20]!r}: is not a number of an NCBI table"
        raise InputError(msg)
    return int(text)


def is_start(codon: str, table: int = 1, reference: str = "ATG") -> bool:
    """Return whether translation starts at a codon in place of the transcript's own start codon.

    Its own, or one that the table lists as a start and reads as methionine anyway. Other start
    codons of a table are weak, and what happens at them is not known.

    Examples
    --------
    >>> is_start("ATG"), is_start("CTG"), is_start("ATA", table=2), is_start("CTG", 1, "CTG")
    (True, False, True, True)
    """
    if codon == reference:
        return True
    starts = CodonTable.unambiguous_dna_by_id[table].start_codons
    return codon in starts and code(table)[codon] == "M"


def translate(bases: str, table: int = 1) -> str:
    """Return the residues of all complete codons, stops included, read as inner codons.

    Examples
    --------
    >>> translate("ATGTGATA")
    'M*'
    """
    letters = iter(bases)
    return "".join(map(_triplets(table).__getitem__, zip(letters, letters, letters, strict=False)))


@cache
def _triplets(table: int) -> Mapping[tuple[str, ...], str]:
    """Return a translation table by the letters of a codon, which need not be cut out."""
    return {tuple(codon): residue for codon, residue in code(table).items()}
