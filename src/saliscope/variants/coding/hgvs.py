"""HGVS names, written: the 3' rule for coding sequences and proteins lives here.

Source: HGVS Nomenclature 21, https://hgvs-nomenclature.org.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from saliscope.variants.coding.codons import long
from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.transcript import Transcript

__all__ = ["allele_name", "coding_name", "edits_name", "residues_name"]


def allele_name(names: Sequence[str]) -> str:
    """Return one name for changes of one haplotype.

    Examples
    --------
    >>> allele_name(["p.Ala154Thr"]), allele_name(["p.Ala154Thr", "p.Tyr240Cys"])
    ('p.Ala154Thr', 'p.[Ala154Thr;Tyr240Cys]')
    """
    if len(names) == 1:
        return names[0]
    return f"{names[0][:2]}[{';'.join(name[2:] for name in names)}]"


def edits_name(transcript: Transcript, edits: Iterable[Edit]) -> str:
    """Return the HGVS name of edits of one haplotype: "c.76A>C" or "c.[76A>C;78G>C]"."""
    return allele_name([coding_name(transcript, edit) for edit in edits])


def coding_name(transcript: Transcript, edit: Edit) -> str:
    """Return the HGVS name of one edit, in its place nearest to the 3' end.

    A deletion or insertion is not moved over a junction of exons, as HGVS rules for names on a
    transcript.

    Examples
    --------
    >>> t = Transcript("T.1", "T", "ATGAAACGTGGTTAA")
    >>> [coding_name(t, e) for e in (Edit(4, 5, "G"), Edit(3, 4, ""), Edit(3, 3, "A"))]
    ['c.5A>G', 'c.6del', 'c.6dup']
    >>> [coding_name(t, e) for e in (Edit(6, 6, "GC"), Edit(6, 8, "T"), Edit(9, 11, ""))]
    ['c.6_7insGC', 'c.7_8delinsT', 'c.10_11del']
    """
    cds, start, end, alt = transcript.cds, edit.start, edit.end, edit.alt
    if end > start and alt:
        if end - start == len(alt) == 1:
            return f"c.{start + 1}{cds[start]}>{alt}"
        return f"c.{_range(start, end)}delins{alt}"
    limit = _exon_end(transcript, end - 1)
    if end > start:
        while end < limit and cds[start] == cds[end]:
            start, end = start + 1, end + 1
        return f"c.{_range(start, end)}del"
    while start < limit and cds[start] == alt[0]:
        start, alt = start + 1, alt[1:] + alt[0]
    if start >= len(alt) and cds[start - len(alt) : start] == alt:
        return f"c.{_range(start - len(alt), start)}dup"
    if start == len(cds):  # the base behind it is not known here
        start, alt = start - 1, alt[-1] + alt[:-1]
    return f"c.{start}_{start + 1}ins{alt}"


def _range(start: int, end: int) -> str:
    return str(end) if end - start == 1 else f"{start + 1}_{end}"


def _exon_end(transcript: Transcript, index: int) -> int:
    """Return where the exon of a base ends, in the coding sequence."""
    ends = accumulate(high - low for low, high in transcript.blocks)
    return next((end for end in ends if end > index), len(transcript.cds))


def residues_name(protein: str, at: int, ref: str, alt: str) -> tuple[int, str, str, str]:
    """Return place, lost residues, new residues and HGVS name of an in-frame change.

    Parameters
    ----------
    protein : str
        The reference protein with "*" at its end.
    at : int
        From 0, of the first residue lost, or of the one that an insertion stands before.
    ref, alt : str
        Not both empty, and without shared ends.

    Returns
    -------
    tuple of (int, str, str, str)
        The place (from 1) and the residues are those of the name: nearest to the C terminus.

    Examples
    --------
    >>> residues_name("MKKGG*", 1, "K", "")
    (3, 'K', '', 'p.Lys3del')
    >>> residues_name("MKKGG*", 1, "", "K")[3], residues_name("MKKGG*", 3, "", "RV")[3]
    ('p.Lys3dup', 'p.Lys3_Gly4insArgVal')
    >>> residues_name("MKKGG*", 1, "K", "R")[3], residues_name("MKKGG*", 2, "KG", "R")[3]
    ('p.Lys2Arg', 'p.Lys3_Gly4delinsArg')
    """
    if not alt:
        while protein[at] == protein[at + len(ref)]:
            at += 1
        ref = protein[at : at + len(ref)]
        return at + 1, ref, alt, f"p.{_residues(protein, at, len(ref))}del"
    if ref:
        if len(ref) == len(alt) == 1:
            return at + 1, ref, alt, f"p.{long(ref)}{at + 1}{long(alt)}"
        return at + 1, ref, alt, f"p.{_residues(protein, at, len(ref))}delins{long(alt)}"
    while "*" not in alt and protein[at] == alt[0]:
        at, alt = at + 1, alt[1:] + alt[0]
    size = len(alt)
    if at >= size and protein[at - size : at] == alt:
        return at + 1, ref, alt, f"p.{_residues(protein, at - size, size)}dup"
    return at + 1, ref, alt, f"p.{_residues(protein, at - 1, 2)}ins{long(alt)}"


def _residues(protein: str, at: int, size: int) -> str:
    first = f"{long(protein[at])}{at + 1}"
    return first if size == 1 else f"{first}_{long(protein[at + size - 1])}{at + size}"
