"""Panels: the distinct haplotypes of many people, and how often each group has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError, nearest
from saliscope.variants.calls.copies import CONFLICT, distinct, phase_known
from saliscope.variants.calls.counted import Background, Carriers, ProteinHaplotype
from saliscope.variants.calls.genotypes import ABSENT
from saliscope.variants.calls.record import Calls
from saliscope.variants.calls.samples import SampleTable
from saliscope.variants.coding.haplotype import Change, Haplotype

__all__ = ["Background", "Carriers", "Panel", "ProteinHaplotype", "panel"]


@dataclass(frozen=True, eq=False)
class Panel:
    """Haplotypes of people with groups; made by `panel`.

    A haplotype is counted if it is known as a whole: no genotype missing, none that is not
    assessed, and its phase known or of no consequence.

    Parameters
    ----------
    calls : Calls
    table : SampleTable
    people : tuple of str
    groups : tuple of str
    members : array of int, shape (people,)
        Each person's group.
    haplotypes : tuple of Haplotype
        Distinct by their edits, the most frequent first.
    pairs : array of int, shape (people, 2)
        Which haplotype each copy is; -1 where calls contradict each other, -2 no second copy.
    known : array of bool, shape (people, 2)
        Whether the copy is known as a whole, and so is counted.
    phased : array of bool, shape (people,)
        Whether the person's phase is known, or of no consequence.
    notes : tuple of str
        Who was left out, and why.
    """

    calls: Calls
    table: SampleTable
    people: tuple[str, ...]
    groups: tuple[str, ...]
    members: npt.NDArray[np.intp]
    haplotypes: tuple[Haplotype, ...]
    pairs: npt.NDArray[np.int64]
    known: npt.NDArray[np.bool_]
    phased: npt.NDArray[np.bool_]
    notes: tuple[str, ...] = ()

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """Chromosomes by haplotype and group, shape (haplotypes, groups)."""
        result = np.zeros((len(self.haplotypes), len(self.groups)), dtype=np.int64)
        person, copy = np.nonzero(self.known)
        np.add.at(result, (self.pairs[person, copy], self.members[person]), 1)
        return result

    @property
    def chromosomes(self) -> Mapping[str, int]:
        """Chromosomes counted, by group: the denominator of frequencies."""
        return self._by_group(self.known.sum(axis=1))

    @property
    def frequencies(self) -> npt.NDArray[np.float64]:
        """Shares by haplotype and group, shape (haplotypes, groups); NaN for an empty group."""
        sizes = self.counts.sum(axis=0)
        result = np.full(self.counts.shape, np.nan)
        np.divide(self.counts, sizes, out=result, where=sizes > 0)
        return result

    @cached_property
    def proteins(self) -> tuple[ProteinHaplotype, ...]:
        """Distinct proteins, the most frequent first."""
        found: dict[str, list[int]] = {}
        for index, each in enumerate(self.haplotypes):
            found.setdefault(each.protein, []).append(index)
        proteins = [
            ProteinHaplotype(
                self.haplotypes[places[0]], tuple(places), self._named(self.counts[places])
            )
            for places in found.values()
        ]
        return tuple(sorted(proteins, key=lambda protein: -protein.total))

    def count(self, haplotype: Haplotype, group: str | None = None) -> int:
        """Return how many chromosomes have a haplotype's protein; synonymous edits are ignored."""
        for each in self.proteins:
            if each.haplotype.protein == haplotype.protein:
                return each.total if group is None else each.counts[self._group(group)]
        return 0

    def most_frequent(self, group: str | None = None) -> ProteinHaplotype:
        """Return the most frequent protein, of all or of one group.

        Raises
        ------
        InputError
            No such group, or nothing counted in it.
        """
        name = None if group is None else self._group(group)
        best = max(self.proteins, key=lambda p: p.total if name is None else p.counts[name])
        if not (best.total if name is None else best.counts[name]):
            msg = f"{self.calls.file}: no chromosome of {name or 'the panel'} could be counted"
            raise InputError(msg)
        return best

    def pair(self, sample: str) -> tuple[Haplotype, ...] | None:
        """Return a person's haplotypes; None where one of them is not known.

        Raises
        ------
        InputError
            The panel has no such person.
        """
        if sample not in self.people:
            msg = f"{self.calls.file}: the panel has no {sample!r}; {nearest(sample, self.people)}"
            raise InputError(msg)
        place = self.people.index(sample)
        present = self.pairs[place] != ABSENT
        if not self.known[place][present].all():
            return None
        return tuple(self.haplotypes[index] for index in self.pairs[place][present])

    def having(self, protein: ProteinHaplotype) -> tuple[str, ...]:
        """Return the people of whom a copy is known to have a protein."""
        has = (np.isin(self.pairs, protein.members) & self.known).any(axis=1)
        return tuple(self.people[i] for i in np.flatnonzero(has))

    def carriers(self, change: Change) -> Carriers:
        """Return who carry a change, by group.

        Of a copy this is known if all genotypes at the codons of the change are, so that more
        people count here than for whole haplotypes.
        """
        called = self._called(change)
        carry = self._carrying(change) & called
        present = self.pairs != ABSENT
        complete = np.all(called | ~present, axis=1)
        people = np.any(carry, axis=1)
        return Carriers(
            self._by_group(people),
            self._by_group(carry.sum(axis=1)),
            self._by_group(np.logical_or(complete, people)),
            self._by_group(called.sum(axis=1)),
            tuple(self.people[i] for i in np.flatnonzero(people)),
        )

    def backgrounds(self, change: Change) -> tuple[Background, ...]:
        """Return the distinct protein backgrounds that carry a change, the most frequent first."""
        found: dict[tuple[str, str], tuple[int, Haplotype]] = {}
        counts: dict[tuple[str, str], npt.NDArray[np.int64]] = {}
        for index, each in enumerate(self.haplotypes):
            own = next((c for c in each.changes if c.edits == change.edits), None)
            if own is None or not self.counts[index].any():
                continue
            without = each.without(own)
            key = each.protein, without.protein
            found.setdefault(key, (index, without))
            counts[key] = counts.get(key, 0) + self.counts[index]
        result = [
            Background(self.haplotypes[index], without, self._named(counts[key][None]))
            for key, (index, without) in found.items()
        ]
        return tuple(sorted(result, key=lambda background: -background.total))

    def without(self, sample: str, relatives: Iterable[str] | None = None) -> Panel:
        """Return the panel without a person, and without relatives.

        Parameters
        ----------
        sample : str
            Need not be in the panel: then only relatives leave.
        relatives : iterable of str, optional
            Those that the sample table links to the person, by default.
        """
        kin = self.table.relatives(sample) if relatives is None else relatives
        out = {sample, *kin}
        gone = [name for name in self.people if name in out]
        others = ", ".join(name for name in gone if name != sample)
        if sample in gone:
            note = f"{sample} is left out of every count"
            note += f", and so are relatives: {others}" if others else ""
        else:
            note = f"{sample} is not in the panel"
            note += f"; relatives are left out of every count: {others}" if others else ""
        if not self.table.kinship and relatives is None:
            note += "; the sample table does not tell relatives"
        keep = np.array([name not in out for name in self.people], dtype=bool)
        return _sorted(
            replace(
                self,
                people=tuple(name for name in self.people if name not in out),
                members=self.members[keep],
                pairs=self.pairs[keep],
                known=self.known[keep],
                phased=self.phased[keep],
                notes=(*self.notes, note),
            )
        )

    def _carrying(self, change: Change) -> npt.NDArray[np.bool_]:
        with_it = [
            index
            for index, each in enumerate(self.haplotypes)
            if any(c.edits == change.edits for c in each.changes)
        ]
        carrying: npt.NDArray[np.bool_] = np.isin(self.pairs, with_it)
        return carrying

    def _called(self, change: Change) -> npt.NDArray[np.bool_]:
        """Whether a copy is called at the codons of a change, shape (people, 2)."""
        low = 3 * (change.edits[0].start // 3)
        high = -(-max(change.edits[-1].end, change.edits[-1].start + 1) // 3) * 3
        rows = [
            i
            for i, row in enumerate(self.calls.rows)
            if row.start < high and low < max(row.end, row.start + 1)
        ]
        places = self.calls.places(self.people)
        unknown = self.calls.unknown[places][:, rows].any(axis=1)
        called: npt.NDArray[np.bool_] = (self.pairs >= 0) & ~unknown & self.phased[:, None]
        return called

    def _group(self, group: str) -> str:
        if group not in self.groups:
            msg = f"{self.table.file}: has no group {group!r}; {nearest(group, self.groups)}"
            raise InputError(msg)
        return group

    def _by_group(self, values: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> dict[str, int]:
        sums = np.bincount(self.members, weights=values, minlength=len(self.groups))
        return {name: int(n) for name, n in zip(self.groups, sums, strict=True)}

    def _named(self, counts: npt.NDArray[np.int64]) -> dict[str, int]:
        return {n: int(c) for n, c in zip(self.groups, counts.sum(axis=0), strict=True)}


def panel(calls: Calls, samples: SampleTable, *, related: bool = False) -> Panel:
    """Return the panel of those people of a VCF whom a table puts into groups.

    Each distinct haplotype is made once, however many people have it.

    Parameters
    ----------
    calls : Calls
    samples : SampleTable
    related : bool
        Keep children beside their parents; by default they are left out.

    Raises
    ------
    InputError
        Table and VCF share no person, or none who has a group.

    Examples
    --------
    >>> import numpy as np
    >>> from saliscope.variants.calls.record import Alternative, Row
    >>> from saliscope.variants.calls.samples import Sample
    >>> from saliscope.variants.coding.edit import Edit
    >>> from saliscope.variants.coding.transcript import Transcript
    >>> t = Transcript("T.1", "T", "ATGAAATAA", "GRCh38", "1", 1, ((100, 109),))
    >>> row = Row(1, "1", 105, "A", (Alternative("G", None, Edit(4, 5, "G")),), (), (), 4, 5)
    >>> calls = Calls("a.vcf", t, "GRCh38", "given", ("ann", "ben"), (row,),
    ...               np.array([[[0, 1]], [[0, 0]]], dtype=np.int8),
    ...               np.ones((2, 1), dtype=np.int32), 0)
    >>> p = panel(calls, SampleTable("t.tsv", {n: Sample(n, "EUR") for n in ("ann", "ben")}))
    >>> [(h.haplotype.label, h.counts) for h in p.proteins]
    [('reference', {'EUR': 3}), ('p.Lys2Arg', {'EUR': 1})]
    >>> p.without("ann").chromosomes
    {'EUR': 2}
    """
    match = samples.match(calls.samples)
    notes = [match.note] if match.note else []
    people = [name for name in match.both if samples.samples[name].group]
    if not people:
        msg = f"{samples.file}: none of the samples of {calls.file} has a group; fill the column"
        raise InputError(msg)
    if len(people) < len(match.both):
        notes.append(f"{len(match.both) - len(people):,} samples have no group and are left out")
    children = set() if related else set(samples.children(people))
    if children:
        notes.append(f"{len(children):,} children of people in the panel are left out")
        people = [name for name in people if name not in children]
    places = calls.places(people)
    groups = tuple(sorted({samples.samples[name].group for name in people}))
    members = np.array([groups.index(samples.samples[n].group) for n in people], dtype=np.intp)
    haplotypes, pairs = distinct(calls, places)
    absent = pairs == ABSENT
    unknown = calls.unknown[places].any(axis=1) & ~absent
    phased = phase_known(calls, places)
    conflict = pairs == CONFLICT
    for which, why in (
        (unknown, "have a genotype that is missing or not assessed"),
        (conflict, "have calls that contradict each other"),
        (~phased[:, None] & ~absent, "are of unknown phase"),
    ):
        if which.any():
            notes.append(f"{int(which.sum()):,} chromosomes {why}, and are not counted")
    known = ~(absent | unknown | conflict) & phased[:, None]
    return _sorted(
        Panel(
            calls, samples, tuple(people), groups, members, haplotypes, pairs, known, phased,
            tuple(notes),
        )
    )  # fmt: skip


def _sorted(panel: Panel) -> Panel:
    """Return a panel with the haplotypes that somebody has, the most frequent first."""
    totals = np.zeros(len(panel.haplotypes), dtype=np.int64)
    np.add.at(totals, panel.pairs[panel.known], 1)
    used = set(panel.pairs[panel.pairs >= 0].tolist())
    order = sorted(used, key=lambda i: (-totals[i], panel.haplotypes[i].edits))
    new = np.full(len(panel.haplotypes), CONFLICT, dtype=np.int64)
    new[order] = np.arange(len(order))
    pairs = np.where(panel.pairs >= 0, new[np.maximum(panel.pairs, 0)], panel.pairs)
    return replace(panel, haplotypes=tuple(panel.haplotypes[i] for i in order), pairs=pairs)
