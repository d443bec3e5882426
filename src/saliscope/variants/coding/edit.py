"""Alleles on a genome and edits of a coding sequence: two views of one change."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COMPLEMENT", "Allele", "Edit", "reverse_complement"]

COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


def reverse_complement(bases: str) -> str:
    """Return the other strand, read in its own direction.

    Examples
    --------
    >>> reverse_complement("AACG")
    'CGTT'
    """
    return bases.translate(COMPLEMENT)[::-1]


@dataclass(frozen=True, order=True)
class Allele:
    """An allele as a VCF row calls it, trimmed to its shortest form.

    The key of a variant everywhere (with the build): never an rs number, of which one can stand
    for several alleles.

    Parameters
    ----------
    chrom : str
        Without "chr".
    position : int
        From 1, of the first base of `ref`.
    ref, alt : str
        Upper case, on the genome's plus strand; either may be empty after trimming.

    Examples
    --------
    >>> Allele.of("chr6", 10, "CAG", "CG")
    Allele(chrom='6', position=11, ref='A', alt='')
    """

    chrom: str
    position: int
    ref: str
    alt: str

    @classmethod
    def of(cls, chrom: str, position: int, ref: str, alt: str) -> Allele:
        """Return an allele without its padding bases: first the shared end, then the start."""
        ref, alt = ref.upper(), alt.upper()
        while ref and alt and ref[-1] == alt[-1]:
            ref, alt = ref[:-1], alt[:-1]
        shared = 0
        while shared < min(len(ref), len(alt)) and ref[shared] == alt[shared]:
            shared += 1
        name = chrom.removeprefix("chr")
        return cls("MT" if name == "M" else name, position + shared, ref[shared:], alt[shared:])

    @property
    def label(self) -> str:
        """The allele in one word: ``6-18130918-T-C`` ("-" for an empty side)."""
        return f"{self.chrom}-{self.position}-{self.ref or '-'}-{self.alt or '-'}"


@dataclass(frozen=True, order=True)
class Edit:
    """A change of a coding sequence: its bases `start` to `end` become `alt`.

    Parameters
    ----------
    start, end : int
        From 0, half open, on the coding strand; equal for an insertion before `start`.
    alt : str

    Examples
    --------
    >>> Edit(4, 5, "G").apply("ATGAAATAA")
    'ATGAGATAA'
    """

    start: int
    end: int
    alt: str

    @property
    def growth(self) -> int:
        """How many bases the sequence gains."""
        return len(self.alt) - (self.end - self.start)

    def apply(self, cds: str) -> str:
        """Return the edited sequence."""
        return cds[: self.start] + self.alt + cds[self.end :]

    def touches(self, other: Edit) -> bool:
        """Whether both cannot stand on one haplotype: they overlap, or insert at one place."""
        first, second = sorted((self, other))
        if second.start == second.end == first.start == first.end:
            return True
        return second.start < first.end
