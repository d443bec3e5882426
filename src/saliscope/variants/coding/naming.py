"""HGVS names, read: coding names with alleles and phase, protein names as edits that give them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from mavehgvs.exceptions import MaveHgvsParseError
from mavehgvs.variant import Variant

from saliscope.core.errors import InputError
from saliscope.variants.coding.codons import ONE_LETTER, THREE_LETTERS, code
from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.hgvs import coding_name
from saliscope.variants.coding.transcript import Transcript

__all__ = ["Named", "parse_coding", "parse_protein"]


@dataclass(frozen=True)
class Named:
    """What a coding name says of one person, or of one haplotype; a sequence of its haplotypes.

    Parameters
    ----------
    haplotypes : tuple of tuple of Edit
        Edits by haplotype. Where the phase is not known: each variant by itself.
    phased : bool
        Whether the name says which variants stand together.
    """

    haplotypes: tuple[tuple[Edit, ...], ...]
    phased: bool

    def __iter__(self) -> Iterator[tuple[Edit, ...]]:
        return iter(self.haplotypes)

    def __len__(self) -> int:
        return len(self.haplotypes)

    def coding(self, transcript: Transcript) -> str:
        """Return the HGVS name.

        Examples
        --------
        >>> t = Transcript("T.1", "T", "ATGAAACGTTAA")
        >>> parse_coding("c.[4A>G];[=]", t).coding(t)
        'c.[4A>G];[=]'
        """
        parts = [
            ";".join(coding_name(transcript, edit)[2:] for edit in edits) or "="
            for edits in self.haplotypes
        ]
        if not self.phased and parts:
            return f"c.{'(;)'.join(f'[{part}]' if ';' in part else part for part in parts)}"
        if len(parts) < 2:
            only = parts[0] if parts else "="
            return f"c.[{only}]" if ";" in only else f"c.{only}"
        return f"c.{';'.join(f'[{part}]' for part in parts)}"


def parse_coding(text: str, transcript: Transcript) -> Named:
    """Read an HGVS name on the coding sequence, alleles included.

    Parameters
    ----------
    text : str
        "c.76A>C", "NM_000367.5:c.76_78del", "c.[76A>C;283G>C]" (one haplotype),
        "c.[76A>C];[283G>C]" (two), "c.76A>C(;)283G>C" (phase not known).
    transcript : Transcript

    Raises
    ------
    InputError
        Not a coding name, another transcript or version, a base that is not the transcript's,
        a position outside of the coding sequence.

    Examples
    --------
    >>> t = Transcript("T.1", "T", "ATGAAACGTTAA")
    >>> parse_coding("T.1:c.[4A>G];[5_6insT;7dup]", t).haplotypes[1]
    (Edit(start=5, end=5, alt='T'), Edit(start=7, end=7, alt='C'))
    >>> parse_coding("c.4A>G(;)8G>C", t).phased
    False
    """
    body = _own(text, transcript.name, "c.")
    if "(;)" in body:
        parts = [part.strip("[]") for part in body.split("(;)")]
        return Named(tuple(_edits(text, part, transcript) for part in parts), phased=False)
    if not body.startswith("["):
        return Named((_edits(text, body, transcript),), phased=True)
    if not re.fullmatch(r"\[[^\[\]]*\](;\[[^\[\]]*\])?", body):
        msg = (
            f"{text}: its brackets are not those of one or two haplotypes, c.[...] or c.[...];[...]"
        )
        raise InputError(msg)
    parts = body[1:-1].split("];[")
    return Named(tuple(_edits(text, part, transcript) for part in parts), phased=True)


def _own(text: str, name: str, prefix: str) -> str:
    """Return a name without reference and prefix, after comparing the reference."""
    # ClinVar adds the gene behind the reference, and the protein change at the end
    short = re.sub(r"\s+\(p\..*\)$", "", text.strip())
    reference, _, body = short.rpartition(":")
    reference = re.sub(r"\(.*\)$", "", reference)
    if reference and name and reference not in {name, name.partition(".")[0]}:
        msg = f"{text}: {reference} is not {name}"
        raise InputError(msg)
    if not body.startswith(prefix):
        msg = f"{text}: is not an HGVS name that starts with {prefix!r}"
        if body.startswith("p.") and prefix == "c.":
            msg += (
                "; several changes of the coding sequence can give one change of the protein, "
                "so name the one that is meant, such as c.719A>G"
            )
        raise InputError(msg)
    return body.removeprefix(prefix)


def _edits(text: str, body: str, transcript: Transcript) -> tuple[Edit, ...]:
    read = [_edit(text, part.strip(), transcript) for part in body.split(";")]
    return tuple(edit for edit in read if edit is not None)


def _variant(text: str, name: str) -> Any:
    try:
        return Variant(name)
    except MaveHgvsParseError as error:
        msg = f"{text}: {name!r} cannot be read as HGVS ({error})"
        raise InputError(msg) from error


def _edit(text: str, part: str, transcript: Transcript) -> Edit | None:
    """Read one variant; None for "=", which is no change."""
    cds = transcript.cds
    # names of former times repeat the bases, as in "76_78delAAA" and "76_78delAAAinsT"
    old = re.search(r"(?:del|dup)([ACGT]+)", part)
    bare = part.replace(old[1], "", 1) if old else part
    if re.search(r"[-+*]\d", part):
        msg = f"{text}: {part} lies outside of the coding sequence: not assessed"
        raise InputError(msg)
    variant = _variant(text, f"c.{bare}")
    if variant.positions is None:
        return None
    ends = variant.positions if isinstance(variant.positions, tuple) else (variant.positions,) * 2
    start, end = ends[0].position - 1, ends[1].position
    if end > len(cds):
        msg = f"{text}: {part} lies behind the end of {transcript.name} ({len(cds)} bases)"
        raise InputError(msg)
    kind, bases = variant.variant_type, variant.sequence
    named = old[1] if old else bases[0] if kind == "sub" else None
    if named is not None and named != cds[start:end]:
        msg = f"{text}: {transcript.name} has {cds[start:end]} at {part}, not {named}"
        raise InputError(msg)
    if kind == "equal":
        return None
    if kind == "dup":  # behind the end there is no place for an insertion; before the copy there is
        at = end if end < len(cds) else start
        return Edit(at, at, cds[start:end])
    if kind == "ins":
        return Edit(end - 1, end - 1, bases)
    return Edit(start, end, bases[-1] if kind == "sub" else bases or "")


def parse_protein(text: str, transcript: Transcript) -> list[Edit]:
    """Return the edits of the coding sequence that give a protein change.

    Parameters
    ----------
    text : str
        A substitution ("p.Tyr240Cys", "Y240C", "p.(Trp24Ter)", "W24*"), a deletion
        ("p.Lys23_Val25del") or a duplication ("p.Lys23dup").
    transcript : Transcript

    Returns
    -------
    list of Edit
        Alternatives. For a substitution: all that change one base, or, where there is none, all
        that change the fewest.

    Raises
    ------
    InputError
        Not such a name, another residue than the transcript's, a change that bases cannot be
        given for (frameshifts, insertions, the loss of the start codon).

    Examples
    --------
    >>> t = Transcript("T.1", "T", "ATGAAATGGTAA")
    >>> parse_protein("p.Trp3Cys", t)
    [Edit(start=8, end=9, alt='C'), Edit(start=8, end=9, alt='T')]
    >>> parse_protein("W3M", t), parse_protein("p.Lys2del", t)
    ([Edit(start=6, end=8, alt='AT')], [Edit(start=3, end=6, alt='')])
    """
    name = _long_name(text, transcript)
    variant = _variant(text, name)
    ends = variant.positions if isinstance(variant.positions, tuple) else (variant.positions,) * 2
    kind = variant.variant_type
    if kind not in {"sub", "equal", "del", "dup"} or variant.positions is None:
        msg = f"{text}: says nothing about the bases; give the coding name (c.)"
        raise InputError(msg)
    protein = f"{transcript.protein}*"
    for end in ends:
        place, residue = end.position, ONE_LETTER[end.amino_acid]
        if place > len(protein) or protein[place - 1] != residue:
            has = THREE_LETTERS[protein[place - 1]] if place <= len(protein) else "no residue"
            msg = f"{text}: {transcript.name} has {has} at {place}, not {end.amino_acid}"
            raise InputError(msg)
    first, last = ends[0].position, ends[1].position
    if first == 1:
        msg = f"{text}: what a change of the start codon gives is not known; give the name c."
        raise InputError(msg)
    start, end = 3 * first - 3, 3 * last
    if kind == "del":
        return [Edit(start, end, "")]
    if kind == "dup":
        return [Edit(end, end, transcript.cds[start:end])]
    new = protein[first - 1] if kind == "equal" else ONE_LETTER[variant.sequence[1]]
    return _nearest(text, transcript, start, new)


def _long_name(text: str, transcript: Transcript) -> str:
    """Return a protein name in three letters, without reference, parentheses and extension."""
    reference = text.partition(":")[0] if ":" in text else ""
    own = transcript.name if reference.startswith(transcript.name.partition(".")[0]) else ""
    body = text.strip() if ":" in text else f"p.{text.strip().removeprefix('p.')}"
    body = _own(body, own or transcript.protein_name, "p.").strip("()")
    body = re.sub(r"ext.*$", "", body.replace("*", "Ter"))
    one = re.fullmatch(r"([A-Z]|Ter)(\d+)([A-Z]|Ter|=)", body)
    if one:
        ref, alt = ({"Ter": "*", "X": "*"}.get(letter, letter) for letter in (one[1], one[3]))
        known = {**THREE_LETTERS, "=": "="}
        if ref in THREE_LETTERS and alt in known:
            body = f"{THREE_LETTERS[ref]}{one[2]}{known[alt]}"
    return f"p.{body}"


def _nearest(text: str, transcript: Transcript, start: int, new: str) -> list[Edit]:
    """Return the edits of one codon to a residue that change the fewest bases."""
    residues, old = code(transcript.table), transcript.cds[start : start + 3]
    codons = ["".join(bases) for bases in product("ACGT", repeat=3)]
    found = [codon for codon in codons if residues[codon] == new and codon != old]
    if not found:
        msg = f"{text}: no other codon gives {THREE_LETTERS[new]}"
        raise InputError(msg)
    places = {codon: [i for i in range(3) if codon[i] != old[i]] for codon in found}
    fewest = min(len(changed) for changed in places.values())
    return [
        Edit(start + changed[0], start + changed[-1] + 1, codon[changed[0] : changed[-1] + 1])
        for codon, changed in places.items()
        if len(changed) == fewest
    ]
