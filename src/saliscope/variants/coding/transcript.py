"""A transcript: a coding sequence, and where its bases lie on the genome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError
from saliscope.variants.coding.codons import translate
from saliscope.variants.coding.edit import Allele, Edit, reverse_complement

__all__ = ["Transcript"]


@dataclass(frozen=True, eq=False)
class Transcript:
    """A complete coding sequence from start to stop, with its place on a genome.

    Parameters
    ----------
    name : str
        With version: "NM_000367.5".
    gene : str
    cds : str
        Upper case, start codon to stop codon, a multiple of three, no inner stop.
    build : str, optional
        "GRCh37", "GRCh38" or another name; None where the transcript has no place on a genome.
    chrom : str, optional
        Without "chr".
    strand : {1, -1}
    blocks : tuple of (int, int)
        Genomic intervals of the coding sequence in its own order (5' to 3'); from 0, half open;
        stop codon included. Empty without a place on a genome.
    table : int
        NCBI translation table.
    protein_name : str
    tags : tuple of str
        "MANE Select", ...
    genome : mapping of int to str
        Positions of the coding sequence (from 0) at which the genome has another base than the
        transcript, with that base on the coding strand.

    Examples
    --------
    >>> t = Transcript("T.1", "T", "ATGAAATAA", "GRCh38", "1", -1, ((106, 110), (95, 100)))
    >>> t.to_genome(0), t.to_cds(110), t.to_cds(101), t.to_genome(4)
    (110, 0, None, 100)
    >>> t.edit(Allele.of("1", 100, "T", "C")), t.allele(Edit(4, 5, "G"))
    (Edit(start=4, end=5, alt='G'), Allele(chrom='1', position=100, ref='T', alt='C'))
    """

    name: str
    gene: str
    cds: str
    build: str | None = None
    chrom: str | None = None
    strand: int = 1
    blocks: tuple[tuple[int, int], ...] = ()
    table: int = 1
    protein_name: str = ""
    tags: tuple[str, ...] = ()
    genome: Mapping[int, str] = field(default_factory=dict)

    @cached_property
    def places(self) -> npt.NDArray[np.int64]:
        """Genomic position (from 1) of every base of the coding sequence; empty without a place."""
        parts = [
            np.arange(low + 1, high + 1) if self.strand > 0 else np.arange(high, low, -1)
            for low, high in self.blocks
        ]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    @cached_property
    def protein(self) -> str:
        """The residues, from methionine to the last one before the stop."""
        return "M" + translate(self.cds[3:-3], self.table)

    @cached_property
    def _index(self) -> dict[int, int]:
        return {int(place): i for i, place in enumerate(self.places)}

    @property
    def span(self) -> tuple[int, int]:
        """First and last genomic position of the coding sequence (from 1, both included)."""
        return min(low for low, _ in self.blocks) + 1, max(high for _, high in self.blocks)

    def to_cds(self, position: int) -> int | None:
        """Return the index in the coding sequence of a genomic position; None outside of it."""
        return self._index.get(position)

    def to_genome(self, index: int) -> int:
        """Return the genomic position (from 1) of a base of the coding sequence."""
        return int(self.places[index])

    def genome_base(self, index: int) -> str:
        """Return the genome's base at an index of the coding sequence, on the coding strand."""
        return self.genome.get(index, self.cds[index])

    def edit(self, allele: Allele) -> Edit | None:
        """Return what an allele does to the coding sequence; None where it lies outside.

        The reference bases are compared with the genome's (see `genome`).

        Raises
        ------
        InputError
            The allele's reference disagrees with the genome, or the allele reaches over the edge of
            the coding part.
        """
        if self.chrom is None or allele.chrom != self.chrom:
            return None
        size = len(allele.ref)
        if size:
            inside = [self.to_cds(allele.position + i) for i in range(size)]
        else:  # an insertion lies inside where both neighbors do, side by side
            inside = [self.to_cds(allele.position - 1), self.to_cds(allele.position)]
        known = [i for i in inside if i is not None]
        if not known or (not size and len(known) < 2):
            return None
        low, high = min(known), max(known)
        if len(known) < len(inside) or high - low + 1 != len(inside):
            msg = (
                f"{allele.label}: reaches over the edge of a coding exon of {self.name}; "
                "what it does to the protein is not known"
            )
            raise InputError(msg)
        ref, alt = allele.ref, allele.alt
        if self.strand < 0:
            ref, alt = reverse_complement(ref), reverse_complement(alt)
        if not size:
            return Edit(high, high, alt)
        here = "".join(self.genome_base(i) for i in range(low, high + 1))
        if ref != here:
            found = here if self.strand > 0 else reverse_complement(here)
            msg = (
                f"{allele.label}: the reference base is {found} in {self.build or 'the genome'} "
                f"({self.name}), not {allele.ref}; check the genome build"
            )
            raise InputError(msg)
        return Edit(low, high + 1, alt)

    def allele(self, edit: Edit) -> Allele:
        """Return the genomic allele of an edit that lies within one exon.

        Raises
        ------
        InputError
            The transcript has no place on a genome, or the edit spans an intron.
        """
        if self.chrom is None:
            msg = f"{self.name}: has no place on a genome"
            raise InputError(msg)
        if edit.start == edit.end:
            before = self.to_genome(edit.start - 1)
            position = before + 1 if self.strand > 0 else before
            ref = ""
        else:
            ends = self.to_genome(edit.start), self.to_genome(edit.end - 1)
            position = min(ends)
            if max(ends) - position + 1 != edit.end - edit.start:
                msg = f"{self.name}: bases {edit.start + 1} to {edit.end} lie in several exons"
                raise InputError(msg)
            ref = "".join(self.genome_base(i) for i in range(edit.start, edit.end))
        alt = edit.alt
        if self.strand < 0:
            ref, alt = reverse_complement(ref), reverse_complement(alt)
        return Allele.of(self.chrom, position, ref, alt)
