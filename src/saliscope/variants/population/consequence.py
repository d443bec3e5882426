"""What a source says of a protein, against what the transcript gives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from saliscope.variants.coding.haplotype import Change
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.population.record import Population, PopulationVariant

__all__ = ["Fit", "differs", "fit"]

_ELSEWHERE = (
    "intron_variant",
    "5_prime_UTR_variant",
    "3_prime_UTR_variant",
    "upstream_gene_variant",
    "downstream_gene_variant",
    "intergenic_variant",
    "non_coding_transcript_exon_variant",
)
"""Sequence Ontology terms of what lies outside of a coding sequence."""


@cache
def _letters() -> dict[str, str]:
    from Bio.Data.IUPACData import protein_letters_3to1_extended as three

    return {**three, "Ter": "*", "Sec": "U"}


def _letter(word: str) -> str:
    return _letters().get(word, "?")


@dataclass(frozen=True)
class Fit:
    """How many rows that name a substitution name the residue that the protein has there.

    Parameters
    ----------
    fitting : int
    total : int
    misfits : tuple of PopulationVariant
    """

    fitting: int
    total: int
    misfits: tuple[PopulationVariant, ...]


def fit(population: Population, protein: str, *, transcripts: Iterable[str] = ()) -> Fit:
    """Compare the residues that a source names with a protein, to see whether both are the same.

    Of all rows with a substitution ("p.Ser53Gly", "p.Arg225Ter") the first residue is looked up.

    Parameters
    ----------
    population : Population
    protein : str
        One-letter residues, without stop.
    transcripts : iterable of str, optional
        Take only rows of these transcripts (versions apart).

    Examples
    --------
    >>> from saliscope.variants.coding.edit import Allele
    >>> from saliscope.variants.population.record import Counts
    >>> a = Allele("1", 5, "A", "G")
    >>> row = PopulationVariant(a, 2, Counts(1, 10), protein="p.Lys2Arg")
    >>> found = fit(Population("x", "x", None, (), {a: row}), "MKW")
    >>> found.fitting, found.total
    (1, 1)
    """
    wanted = {name.partition(".")[0] for name in transcripts}
    misfits: list[PopulationVariant] = []
    total = 0
    for variant in population.variants.values():
        if wanted and variant.transcript.partition(".")[0] not in wanted:
            continue
        found = re.fullmatch(r"p\.([A-Z][a-z]{2})(\d+)([A-Z][a-z]{2})", variant.protein)
        if found is None:
            continue
        total += 1
        if _at(protein, int(found[2])) != _letter(found[1]):
            misfits.append(variant)
    return Fit(total - len(misfits), total, tuple(misfits))


def _at(protein: str, position: int) -> str:
    return f"{protein}*"[position - 1] if 1 <= position <= len(protein) + 1 else ""


def _named(text: str) -> Iterator[tuple[str, int]]:
    """Yield the residues of the reference that a p. name speaks of."""
    # what follows is of the new protein: LeufsTer11, LeuextTer25, delinsSer, dup is of the old one
    text = re.split(r"fs|ext|ins", text)[0]
    for word, number in re.findall(r"([A-Z][a-z]{2})(\d+)", text):
        yield _letter(word), int(number)


def differs(variant: PopulationVariant, transcript: Transcript, change: Change) -> str:
    """Return how the source's consequence contradicts ours, in one sentence; empty where not.

    Residues that the source names must stand where it says, and a substitution must lead to the
    same residue. Names of insertions, deletions and frameshifts are compared by their residues
    only, because programs place them differently in repeats.
    """
    where = f"{variant.allele.label}: the source says"
    text = variant.protein.replace("(", "").replace(")", "")
    if variant.consequence in _ELSEWHERE and not text:
        return f"{where} {variant.consequence}, on {transcript.name} it is {change.protein}"
    if not text:
        return ""
    said = f"{where} {variant.protein}, on {transcript.name} it is {change.protein}"
    if any(_at(transcript.protein, number) != residue for residue, number in _named(text)):
        return said
    if text.endswith("="):
        return "" if change.kind == "synonymous" else said
    single = re.fullmatch(r"p\.([A-Z][a-z]{2})(\d+)([A-Z][a-z]{2})", text)
    if single is None:
        return ""
    if single[1] == single[3]:
        return "" if change.kind == "synonymous" else said
    same = change.position == int(single[2]) and change.alt[:1] == _letter(single[3])
    return "" if same else said
