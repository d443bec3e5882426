"""The population behind a person: backgrounds, carriers, and what was seen of an allele."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from saliscope.core.errors import InputError
from saliscope.core.units import FloatArray
from saliscope.variants.calls.panel import Panel
from saliscope.variants.calls.person import Configuration
from saliscope.variants.coding.haplotype import Change, Haplotype, haplotype
from saliscope.variants.effects.record import BackgroundShift
from saliscope.variants.effects.scoring import Scorer
from saliscope.variants.population.absence import presence, upper_bound
from saliscope.variants.population.match import Matched

__all__ = ["Backdrop"]

MOST_IMPLANTED = 50
"""Distinct proteins of the panel on which a change that nobody carries is implanted."""


@dataclass(frozen=True, eq=False)
class Backdrop:
    """A phased panel, or allele counts, or neither.

    Parameters
    ----------
    panel : Panel, optional
        Without the person.
    population : Matched, optional
    group : str, optional
        The person's group in the panel.
    notes : tuple of str
        What a reader must know of the population.
    """

    panel: Panel | None
    population: Matched | None
    group: str | None
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls, sample: str, panel: Panel | None, population: Matched | None,
        group: str | None,
    ) -> Backdrop:  # fmt: skip
        """Leave the person out of the panel, and find the person's group."""
        notes: list[str] = []
        if panel is not None:
            known = panel.table.samples.get(sample)
            if group is None and known is not None and known.group in panel.groups:
                group = known.group
            elif group is not None and group not in panel.groups:
                msg = f"group {group!r} is not in the panel; it has: {', '.join(panel.groups)}"
                raise InputError(msg)
            panel = panel.without(sample)
            people = f"{len(panel.people):,} people in {len(panel.groups)} groups"
            notes += [f"phased panel of {people}", *panel.notes]
        if population is not None:
            notes += [population.sentence, *population.population.notes]
        if panel is None and population is None:
            notes.append("no population was given: nothing is compared with carriers")
        return cls(panel, population, group, tuple(notes))

    # -- haplotypes ----------------------------------------------------------------------------

    @property
    def frequent(self) -> Haplotype | None:
        """The most frequent haplotype of the person's group, or of all."""
        return None if self.panel is None else self.panel.most_frequent(self.group).haplotype

    @property
    def frequent_text(self) -> str:
        """The most frequent haplotype with its count, in words."""
        if self.panel is None:
            return ""
        best = self.panel.most_frequent(self.group)
        count = best.total if self.group is None else best.counts[self.group]
        total = sum(self.panel.chromosomes.values())
        total = total if self.group is None else self.panel.chromosomes[self.group]
        where = self.group or "the panel"
        return f"{best.haplotype.label} ({count:,} of {total:,} haplotypes of {where})"

    def proteins(self, considered: Sequence[Configuration]) -> Iterator[str]:
        """Yield all proteins whose scores the backgrounds of a person's changes need."""
        if self.frequent is not None:
            yield self.frequent.protein
        for change in {
            c.edits: c for k in considered for h in k.haplotypes for c in h.changes
        }.values():  # fmt: skip
            for with_it, without, _ in self._pairs(change):
                yield from (with_it.protein, without.protein)

    def _pairs(
        self, change: Change
    ) -> Iterator[tuple[Haplotype, Haplotype, Mapping[str, int]]]:  # fmt: skip
        """Yield haplotypes with and without a change: its carriers', or those it is put on."""
        if self.panel is None or change.kind == "synonymous":
            return
        carried = self.panel.backgrounds(change)
        if carried:
            for found in carried:
                yield found.haplotype, found.without, found.counts
            return
        for protein in self.panel.proteins[:MOST_IMPLANTED]:
            host = protein.haplotype
            try:
                with_it = haplotype(host.transcript, [*host.edits, *change.edits])
            except InputError:  # another change stands at the place
                continue
            if any(c.edits == change.edits and not c.silenced for c in with_it.changes):
                yield with_it, host, protein.counts

    def shifts(
        self, scorer: Scorer, change: Change, own_without: Haplotype, own: Haplotype
    ) -> tuple[BackgroundShift, ...]:
        """Return what a change does on every distinct background, the most frequent first."""
        subject = scorer.move(own.protein, own_without.protein)
        merged: dict[tuple[str, str], BackgroundShift] = {}
        for with_it, without, counts in self._pairs(change):
            if len(with_it.protein) != len(without.protein):
                continue
            label = without.label if without.label == "reference" else f"with {without.label}"
            key = (with_it.protein, without.protein)
            moved = scorer.move(*key)
            before = merged[key].counts if key in merged else {}
            merged[key] = BackgroundShift(
                label,
                scorer.shift(*key),
                {group: n + before.get(group, 0) for group, n in counts.items()},
                own=without.protein == own_without.protein,
                cosine=_cosine(subject, moved),
                ratio=_ratio(subject, moved),
            )
        return tuple(sorted(merged.values(), key=lambda b: (-b.total, b.label)))

    def partners(self, change: Change) -> Iterator[Change]:
        """Yield the changes that tell the backgrounds of a change apart."""
        seen = set()
        for _, without, _ in self._pairs(change):
            for other in without.changes:
                if other.kind != "synonymous" and not other.silenced and other.edits not in seen:
                    seen.add(other.edits)
                    yield other

    def source(self, change: Change) -> str:
        """Return where the backgrounds of a change are from."""
        if self.panel is None:
            return "reference only"
        if self.panel.backgrounds(change):
            return "carriers observed"
        return "implanted on the panel"

    # -- counts --------------------------------------------------------------------------------

    def carriers(self, change: Change) -> dict[str, Any]:
        """Return people who carry a change and of whom it is known, by group."""
        if self.panel is None:
            return {}
        found = self.panel.carriers(change)
        return {"carriers": dict(found.people), "called": dict(found.called)}

    def presence(self, change: Change) -> str:
        """Return what the population says of a change, in one sentence."""
        if self.population is not None and len(change.edits) == 1:
            matched = self.population
            row = next(
                (m for m in matched.matched if m.change.coding == change.coding), None
            )  # fmt: skip
            if row is not None:
                return presence(matched.population, row.variant.allele).sentence
            if matched.transcript.chrom is not None:
                allele = matched.transcript.allele(change.edits[0])
                return presence(matched.population, allele).sentence
        if self.panel is None:
            return ""
        found = self.panel.carriers(change)
        seen, total = sum(found.haplotypes.values()), sum(found.chromosomes.values())
        if seen:
            return f"seen in the panel: {seen:,} of {total:,} chromosomes"
        if not total:
            return "cannot be called in the panel"
        return (
            f"not seen in the panel among {total:,} chromosomes: its frequency is below "
            f"{upper_bound(total):.2g} (95 % upper bound)"
        )

    def observed(self, missense: Sequence[Change], shifts: FloatArray) -> FloatArray:
        """Return the first-in shifts of missense changes seen at least twice."""
        names: set[str] = set()
        if self.population is not None:
            names = {
                m.change.short
                for m in self.population.matched
                if m.variant.total.ac is not None and m.variant.total.ac >= 2
            }
        elif self.panel is not None:
            seen: dict[str, int] = {}
            for each, counts in zip(self.panel.haplotypes, self.panel.counts, strict=True):
                for change in each.changes:
                    seen[change.short] = seen.get(change.short, 0) + int(counts.sum())
            names = {name for name, count in seen.items() if count >= 2}
        keep = np.array([change.short in names for change in missense], dtype=bool)
        seen_shifts: FloatArray = shifts[keep]
        return seen_shifts


def _cosine(one: FloatArray, other: FloatArray) -> float | None:
    sizes = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / sizes if sizes > 0 else None


def _ratio(one: FloatArray, other: FloatArray) -> float | None:
    size = float(np.linalg.norm(other))
    return float(np.linalg.norm(one)) / size if size > 0 else None
