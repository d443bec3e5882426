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
from saliscope.variants.population.expected import Expected, ExpectedHaplotypes
from saliscope.variants.population.groups import parts_of
from saliscope.variants.population.match import Matched, MatchedVariant

__all__ = ["Backdrop"]

MOST_IMPLANTED = 50
"""Distinct proteins of a panel, or of those to expect, on which a change is implanted."""


@dataclass(frozen=True, eq=False)
class Backdrop:
    """A phased panel, or allele counts, or neither.

    Parameters
    ----------
    panel : Panel, optional
        Without the person.
    population : Matched, optional
    group : str, optional
        The person's group in the panel, or one of the population's.
    notes : tuple of str
        What a reader must know of the population.
    expected : ExpectedHaplotypes, optional
        Without a panel: haplotypes that the counts of the population let expect.
    """

    panel: Panel | None
    population: Matched | None
    group: str | None
    notes: tuple[str, ...]
    expected: ExpectedHaplotypes | None = None

    @classmethod
    def of(
        cls, sample: str, panel: Panel | None, population: Matched | None,
        group: str | None,
    ) -> Backdrop:  # fmt: skip
        """Leave the person out of the panel, and find the person's group.

        Raises
        ------
        InputError
            The group is not one of the panel, or without a panel not one of the population.
        """
        heads: list[str] = []
        notes: list[str] = []
        expected = None
        if panel is not None:
            known = panel.table.samples.get(sample)
            if group is None and known is not None and known.group in panel.groups:
                group = known.group
            _check_group(group, panel.groups, "the panel")
            panel = panel.without(sample)
            *told, left_out = panel.notes
            people = f"{len(panel.people):,} people in {len(panel.groups)} groups"
            heads.append(f"phased panel of {people}; {left_out}")
            notes += told
        if population is not None:
            source = population.population
            many = f"{len(population.matched):,} variants of {population.transcript.name}"
            heads.append(f"{source.source}, {many}")
            notes += [population.sentence, *source.notes]
            if source.counted:
                notes.append(f"whether {sample} was counted among its people is not known")
            if panel is None:
                found = ExpectedHaplotypes(population)
                expected = found if found.of() else None
                _check_group(group, tuple(found.chromosomes), source.source)
            if expected is not None:
                notes.append(expected.sentence)
        if panel is None and population is None:
            _check_group(group, (), "the population: none was given")
            heads.append("no population was given: nothing is compared with carriers")
        return cls(panel, population, group, ("; ".join(heads), *notes), expected)

    # -- haplotypes ----------------------------------------------------------------------------

    @property
    def frequent(self) -> Haplotype | None:
        """The most frequent haplotype of the person's group, or of all: seen, or to expect."""
        if self.panel is not None:
            return self.panel.most_frequent(self.group).haplotype
        return None if self.expected is None else self._expected_most(self.expected).haplotype

    def _expected_most(self, expected: ExpectedHaplotypes) -> Expected:
        group = self.group
        return max(expected.of(), key=lambda e: sum(e.counts.values()) if group is None
                   else e.shares[group])  # fmt: skip

    @property
    def frequent_text(self) -> str:
        """The most frequent haplotype with its count, in words."""
        group = self.group
        if self.panel is not None:
            seen = self.panel.most_frequent(group)
            label, counts, sizes = seen.haplotype.label, seen.counts, self.panel.chromosomes
            how, whom = "", "the panel"
        elif self.expected is not None:
            most = self._expected_most(self.expected)
            label, counts, sizes = most.haplotype.label, most.counts, self.expected.chromosomes
            how, whom = "to expect on ", "all groups"
        else:
            return ""
        count, total = (sum(n.values()) if group is None else n[group] for n in (counts, sizes))
        return f"{label} ({how}{count:,} of {total:,} haplotypes of {group or whom})"

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
        if change.kind == "synonymous":
            return
        carried = () if self.panel is None else self.panel.backgrounds(change)
        if carried:
            for found in carried:
                yield found.haplotype, found.without, found.counts
            return
        for host, counts in self._hosts(change):
            try:
                with_it = haplotype(host.transcript, [*host.edits, *change.edits])
            except InputError:  # another change stands at the place
                continue
            acts = any(c.edits == change.edits and not c.silenced for c in with_it.changes)
            if acts and host.protein and with_it.protein:  # a lost start has no score
                yield with_it, host, counts

    def _hosts(self, change: Change) -> Iterator[tuple[Haplotype, Mapping[str, int]]]:
        """Yield the haplotypes that a change is put on, the most frequent first."""
        if self.panel is not None:
            for seen in self.panel.proteins[:MOST_IMPLANTED]:
                yield seen.haplotype, seen.counts
        elif self.expected is not None:
            for one in self.expected.of(change)[:MOST_IMPLANTED]:
                yield one.haplotype, one.counts

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

    def in_sight(self, change: Change, reading: str, far: int | None) -> str:
        """Return a reading of backgrounds with what the model does not see beside a change.

        Parameters
        ----------
        change : Change
        reading : str
        far : int, optional
            How far apart changes may be to be seen together; None: however far.
        """
        partners = {p.protein: p.position for p in self.partners(change)}
        unseen = [
            n for n, at in partners.items() if far is not None and abs(at - change.position) > far
        ]
        if not unseen:
            return reading
        few = f"{len(unseen)} of the {len(partners)} variants that tell the backgrounds apart"
        what = ", ".join(unseen) if len(unseen) <= 3 else few
        blind = f"the model does not see it together with {what}"
        if len(unseen) == len(partners):
            return f"background dependence cannot be assessed, for {blind}"
        return f"{reading}; {blind}"

    def source(self, change: Change) -> str:
        """Return where the backgrounds of a change are from."""
        if self.panel is None:
            return "reference only" if self.expected is None else "expected from frequencies"
        if self.panel.backgrounds(change):
            return "carriers observed"
        return "implanted on the panel"

    # -- counts --------------------------------------------------------------------------------

    def _listed(self, change: Change) -> MatchedVariant | None:
        """Return the row of the population that makes a change by itself."""
        if self.population is None or len(change.edits) != 1:
            return None
        return self.population.by_coding.get(change.coding)

    def carriers(self, change: Change) -> dict[str, Any]:
        """Return people who carry a change and of whom it is known, by group.

        Of a panel, else of the counts of a population; on X and Y these do not tell of how many
        people it is known.
        """
        if self.panel is not None:
            found = self.panel.carriers(change)
            return {"carriers": dict(found.people), "called": dict(found.called)}
        row = self._listed(change)
        if row is None or row.variant.filters:
            return {}
        parts = parts_of(row.variant)
        people = {g: n for g, c in parts.items() if (n := c.carriers) is not None}
        diploid = row.variant.allele.chrom not in {"X", "Y", "MT"}
        called = {g: (parts[g].an or 0) // 2 for g in people} if diploid else {}
        return {"carriers": people, "called": called}

    def presence(self, change: Change) -> str:
        """Return what the population says of a change, in one sentence."""
        row = self._listed(change)
        if row is not None and self.population is not None:
            return presence(self.population.population, row.variant.allele).sentence
        if self.population is not None and len(change.edits) == 1:
            transcript = self.population.transcript
            if transcript.chrom is not None:
                allele = transcript.allele(change.edits[0])
                return presence(self.population.population, allele).sentence
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


def _check_group(group: str | None, groups: Sequence[str], where: str) -> None:
    if group is not None and group not in groups:
        has = f"it has: {', '.join(groups)}" if groups else "there are no groups; leave it out"
        msg = f"group {group!r} is not in {where}; {has}"
        raise InputError(msg)


def _cosine(one: FloatArray, other: FloatArray) -> float | None:
    sizes = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / sizes if sizes > 0 else None


def _ratio(one: FloatArray, other: FloatArray) -> float | None:
    size = float(np.linalg.norm(other))
    return float(np.linalg.norm(one)) / size if size > 0 else None
