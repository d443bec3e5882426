"""What was read from a VCF for one gene: rows, and every sample's alleles at them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError, nearest
from saliscope.variants.calls.genotypes import ABSENT, MISSING
from saliscope.variants.coding.edit import Allele, Edit
from saliscope.variants.coding.transcript import Transcript

__all__ = ["Alternative", "Calls", "Row", "brief"]


def brief(bases: str) -> str:
    """Return bases, the middle of a long stretch told by its length.

    Examples
    --------
    >>> brief("ACG"), brief("A" * 10000)
    ('ACG', 'AAAAAAAA...(10,000 bases)')
    """
    return bases if len(bases) <= 24 else f"{bases[:8]}...({len(bases):,} bases)"


@dataclass(frozen=True)
class Alternative:
    """One alternative allele of a row.

    Parameters
    ----------
    text : str
        As in the file.
    allele : Allele, optional
        None for symbolic alleles and "*".
    edit : Edit, optional
        What it does to the coding sequence, relative to the genome; None where it does nothing
        there ("*", a change beside the exon), or is not assessed.
    reason : str
        Why it is not assessed; empty where it is.
    """

    text: str
    allele: Allele | None = None
    edit: Edit | None = None
    reason: str = ""


@dataclass(frozen=True)
class Row:
    """One row of the file that touches the coding sequence.

    Parameters
    ----------
    number : int
        Of the row behind the header, from 1; 0 where an index was used.
    chrom : str
        Without "chr".
    position : int
        From 1.
    ref : str
    alternatives : tuple of Alternative
        Genotype codes count them from 1.
    ids : tuple of str
        The ID column, as data.
    filters : tuple of str
        Filters that the row did not pass.
    start, end : int
        Part of the coding sequence under the row, from 0, half open.
    """

    number: int
    chrom: str
    position: int
    ref: str
    alternatives: tuple[Alternative, ...]
    ids: tuple[str, ...]
    filters: tuple[str, ...]
    start: int
    end: int

    @property
    def where(self) -> str:
        """The row in a message: "row 17 (6:18130918)"."""
        place = f"{self.chrom}:{self.position}"
        return f"row {self.number} ({place})" if self.number else f"row at {place}"

    @property
    def coding(self) -> str:
        """The bases under it in HGVS numbering: "c.719"."""
        last = max(self.end, self.start + 1)
        return f"c.{self.start + 1}" + (f"_{last}" if last - self.start > 1 else "")

    def label(self, code: int) -> str:
        """Return an alternative in one short line, with the row's ids."""
        ids = f" ({', '.join(self.ids)})" if self.ids else ""
        alt = brief(self.alternatives[code - 1].text)
        return f"{self.chrom}-{self.position}-{brief(self.ref)}-{alt}{ids}"


@dataclass(frozen=True, eq=False)
class Calls:
    """All samples' genotypes within one coding sequence; made by `read_calls`.

    Parameters
    ----------
    file : str
    transcript : Transcript
        With what this file shows of bases in which the genome differs from the transcript.
    build : str, optional
    build_source : str
        What says so: "contig lengths", "##reference", "REF of 31 bases", "given", ...
    samples : tuple of str
    rows : tuple of Row
        Sorted by position.
    genotypes : array of int8, shape (samples, rows, 2)
        Number of the allele on each copy, 0 the reference; -1 missing, -2 no second copy.
    sets : array of int32, shape (samples, rows)
        Phase sets: 0 not phased, 1 phased without a set, further sets from 2.
    outside : int, optional
        Rows of the file that do not touch the coding sequence; None where an index was used.
    notes : tuple of str
        What a reader must know of this file.
    """

    file: str
    transcript: Transcript
    build: str | None
    build_source: str
    samples: tuple[str, ...]
    rows: tuple[Row, ...]
    genotypes: npt.NDArray[np.int8]
    sets: npt.NDArray[np.int32]
    outside: int | None
    notes: tuple[str, ...] = ()

    @property
    def phased(self) -> npt.NDArray[np.bool_]:
        """Whether the file phases each genotype, shape (samples, rows)."""
        return self.sets > 0

    def places(self, samples: Iterable[str]) -> npt.NDArray[np.intp]:
        """Return the places of several samples."""
        known = {name: i for i, name in enumerate(self.samples)}
        return np.array([known[name] for name in samples], dtype=np.intp)

    def index(self, sample: str) -> int:
        """Return a sample's place.

        Raises
        ------
        InputError
            The file has no such sample; the nearest name is told.
        """
        if sample not in self.samples:
            msg = f"{self.file}: has no sample {sample!r}; {nearest(sample, self.samples)}"
            raise InputError(msg)
        return self.samples.index(sample)

    def edits(self, codes: Sequence[int] | npt.NDArray[np.int8]) -> tuple[Edit, ...]:
        """Return the edits of one copy, relative to the transcript.

        The copy starts as the genome, with its differences from the transcript, and takes the
        alleles called. Where a genotype is missing, it stays the genome.

        Parameters
        ----------
        codes : sequence of int, shape (rows,)
            The allele of each row on this copy.

        Raises
        ------
        InputError
            Two alleles that cannot stand on one copy.
        """
        taken: dict[Edit, Row] = {}
        for row, code in zip(self.rows, codes, strict=True):
            if code <= 0 or row.alternatives[code - 1].edit is None:
                continue
            for part in self._parts[row.alternatives[code - 1]]:
                for other, its in taken.items():
                    if part != other and part.touches(other):
                        msg = (
                            f"{self.file}: {its.where} and {row.where} are called on one copy, and "
                            "change the same bases in different ways; mend one of the calls"
                        )
                        raise InputError(msg)
                taken[part] = row
        genome = [
            Edit(index, index + 1, base)
            for index, base in self.transcript.genome.items()
            if not any(edit.start <= index < edit.end for edit in taken)
        ]
        cds = self.transcript.cds
        return tuple(sorted(e for e in (*taken, *genome) if e.alt != cds[e.start : e.end]))

    @cached_property
    def _parts(self) -> dict[Alternative, tuple[Edit, ...]]:
        """Edits base by base where the length stays, so that equal haplotypes have equal edits."""
        return {
            alternative: tuple(self._split(alternative.edit))
            for row in self.rows
            for alternative in row.alternatives
            if alternative.edit is not None
        }

    def _split(self, edit: Edit) -> Iterable[Edit]:
        if edit.growth:
            return (edit,)
        base = self.transcript.genome_base
        parts = (Edit(edit.start + i, edit.start + i + 1, alt) for i, alt in enumerate(edit.alt))
        return (part for part in parts if part.alt != base(part.start))

    @cached_property
    def ids(self) -> dict[Allele | Edit, tuple[str, ...]]:
        """Ids of the file by allele and by edit; of a genome's base by the row at its place."""
        found: dict[Allele | Edit, tuple[str, ...]] = {}
        for row in self.rows:
            for number, alternative in enumerate(row.alternatives):
                if alternative.allele is None or not row.ids:
                    continue
                one_each = len(row.ids) == len(row.alternatives)
                ids = (row.ids[number],) if one_each else row.ids
                keys: list[Allele | Edit] = [alternative.allele]
                for key in (*keys, *self._parts.get(alternative, ())):
                    found[key] = tuple(dict.fromkeys((*found.get(key, ()), *ids)))
            for index in range(row.start, row.end):
                if row.ids and index in self.transcript.genome:
                    edit = Edit(index, index + 1, self.transcript.genome[index])
                    found.setdefault(edit, row.ids)
        return found

    @cached_property
    def unassessed(self) -> npt.NDArray[np.bool_]:
        """Whether a copy carries an allele that is not assessed, shape (samples, rows, 2)."""
        result = np.zeros(self.genotypes.shape, dtype=bool)
        for i, row in enumerate(self.rows):
            codes = [n for n, a in enumerate(row.alternatives, 1) if a.reason]
            if codes:
                result[:, i] = np.isin(self.genotypes[:, i], codes)
        return result

    @cached_property
    def unknown(self) -> npt.NDArray[np.bool_]:
        """Whether a copy is missing or not assessed at a row, shape (samples, rows, 2)."""
        missing: npt.NDArray[np.bool_] = self.genotypes == MISSING
        return missing | self.unassessed

    @cached_property
    def heterozygous(self) -> npt.NDArray[np.bool_]:
        """Whether the two copies differ in what is known of them, shape (samples, rows)."""
        codes = self.genotypes.copy()
        for i, row in enumerate(self.rows):
            idle = [n for n, a in enumerate(row.alternatives, 1) if a.edit is None and not a.reason]
            codes[:, i][np.isin(codes[:, i], idle)] = 0
        differ: npt.NDArray[np.bool_] = codes[..., 0] != codes[..., 1]
        differ &= codes[..., 1] != ABSENT
        return differ

    def copies(self, edits: Iterable[Edit]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return how many copies of each sample carry all edits, and how many are called there.

        Edits are relative to the genome. Of several edits the copies are compared as written, so
        unphased genotypes are for single edits only.

        Returns
        -------
        carried, called : arrays, shape (samples,)
        """
        wanted = set(edits)
        carried = np.ones((len(self.samples), 2), dtype=bool)
        called = np.ones((len(self.samples), 2), dtype=bool)
        if self.rows:
            called = self.genotypes[:, 0] != ABSENT
        for edit in wanted:
            carries = np.zeros_like(carried)
            for i, row in enumerate(self.rows):
                if row.start < max(edit.end, edit.start + 1) and edit.start < max(
                    row.end, row.start + 1
                ):
                    called &= ~self.unknown[:, i]
                codes = [
                    n
                    for n, alternative in enumerate(row.alternatives, 1)
                    if edit in self._parts.get(alternative, ())
                ]
                carries |= np.isin(self.genotypes[:, i], codes)
            carried &= carries
        return (carried & called).sum(axis=1), called.sum(axis=1)
