"""Haplotypes that allele frequencies let expect, where no phased panel tells which there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

import numpy as np

from saliscope.core.units import FloatArray
from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.haplotype import Change, Haplotype, haplotype
from saliscope.variants.population.groups import parts_of
from saliscope.variants.population.match import Matched, MatchedVariant
from saliscope.variants.population.record import Counts
from saliscope.variants.statistics.equilibrium import combinations

__all__ = ["LEAST", "Expected", "ExpectedHaplotypes"]

LEAST = 0.01
"""Share of the chromosomes of some group that a haplotype must be expected on."""


@dataclass(frozen=True, eq=False)
class Expected:
    """A protein that frequencies let expect.

    Parameters
    ----------
    haplotype : Haplotype
        One that gives it.
    shares : mapping of str to float
        Share of chromosomes, by group.
    counts : mapping of str to int
        The same of the chromosomes that were called: expected, not seen.
    """

    haplotype: Haplotype
    shares: Mapping[str, float]
    counts: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class ExpectedHaplotypes:
    """Haplotypes put together from the allele frequencies of a source, under independence.

    How variants are linked is not known from frequencies, so they are taken to be in linkage
    equilibrium; variants that are linked are rarer, or more frequent, together than this says.
    Used are variants that passed the source's filters and change the protein.

    Parameters
    ----------
    matched : Matched
        Of a source that has counts.
    """

    matched: Matched

    @cached_property
    def _variants(self) -> tuple[MatchedVariant, ...]:
        """Variants that are used, in the order of the coding sequence."""
        return tuple(
            sorted(
                (
                    one
                    for one in self.matched.matched
                    if one.variant.total.ac
                    and one.variant.total.an
                    and not one.variant.filters
                    and one.change.kind != "synonymous"
                ),
                key=lambda one: one.edit,
            )
        )

    @cached_property
    def _parts(self) -> Mapping[Edit, Mapping[str, Counts]]:
        """Counts of each variant by group, those who are in no group included."""
        return {one.edit: parts_of(one.variant) for one in self._variants}

    def _counts(self, one: MatchedVariant, group: str) -> Counts:
        return self._parts[one.edit].get(group, Counts(None, None))

    @cached_property
    def _groups(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(g for parts in self._parts.values() for g in parts))

    @cached_property
    def _common(self) -> tuple[MatchedVariant, ...]:
        return tuple(
            one
            for one in self._variants
            if any((self._counts(one, group).frequency or 0) >= LEAST for group in self._groups)
        )

    @cached_property
    def unmeasured(self) -> tuple[str, ...]:
        """Groups that are left out: a variant which is common elsewhere was not measured there."""
        return tuple(
            group
            for group in self._groups
            if any(self._counts(one, group).frequency is None for one in self._common)
        )

    @cached_property
    def chromosomes(self) -> Mapping[str, int]:
        """Chromosomes called in each group (median over variants); groups without any left out."""
        numbers = {
            group: [an for one in self._variants if (an := self._counts(one, group).an)]
            for group in self._groups
            if group not in self.unmeasured
        }
        return {group: round(median(known)) for group, known in numbers.items() if known}

    @property
    def sentence(self) -> str:
        """How haplotypes were put together, what they hold, and what is not known."""
        text = (
            "no phased panel: backgrounds are put together from allele frequencies as if variants "
            "were independent, for their linkage is not known; counts are chromosomes to expect, "
            "not people seen"
        )
        held = {group: sum(one.shares[group] for one in self.of()) for group in self.chromosomes}
        if held:
            (least, low), (most, high) = (end(held.items(), key=_second) for end in (min, max))
            shown = f"{100 * low:.0f} % ({least})"
            shown += f" to {100 * high:.0f} % ({most})" if most != least else ""
            text += (
                f"; those of at least {100 * LEAST:.0f} % of some group hold {shown} of chromosomes"
            )
        if self.unmeasured:
            text += (
                f"; left out, for a common variant was not measured: {', '.join(self.unmeasured)}"
            )
        if self._overlapping:
            text += "; groups overlap, so that the sum over groups counts people twice"
        return text

    @property
    def _overlapping(self) -> bool:
        total = max((one.variant.total.an or 0 for one in self._variants), default=0)
        return sum(self.chromosomes.values()) > 1.01 * total

    def of(self, change: Change | None = None) -> tuple[Expected, ...]:
        """Return the distinct proteins to expect, the most frequent first.

        Parameters
        ----------
        change : Change, optional
            Variants within its codons are left aside, so that what is returned can carry it.

        Returns
        -------
        tuple of Expected
            Every one that at least 1 % of the chromosomes of some group are expected to have.
        """
        key = () if change is None else change.edits
        if key not in self._known:
            self._known[key] = self._made(key)
        return self._known[key]

    @cached_property
    def _known(self) -> dict[tuple[Edit, ...], tuple[Expected, ...]]:
        return {}

    def _made(self, change: Sequence[Edit]) -> tuple[Expected, ...]:
        groups = tuple(self.chromosomes)
        if not groups:
            return ()
        transcript = self.matched.transcript
        sites = list(_exclusive(self._variants, change))
        found: dict[str, tuple[Haplotype, FloatArray]] = {}
        # Without a site there is one combination, the reference, which everybody has.
        table = [self._frequencies(site, groups) for site in sites] or [np.zeros((0, len(groups)))]
        for chosen, shares in combinations(table, LEAST):
            edits = [sites[site][alternative].edit for site, alternative in chosen]
            genome = [
                Edit(index, index + 1, base)
                for index, base in transcript.genome.items()
                if not any(edit.start <= index < edit.end for edit in edits)
            ]
            made = haplotype(transcript, [*edits, *genome])
            if made.protein:  # what is translated after a lost start is not known
                first, before = found.get(made.protein, (made, np.zeros(len(groups))))
                found[made.protein] = (first, before + shares)
        result = [
            Expected(
                made,
                {group: float(share) for group, share in zip(groups, shares, strict=True)},
                {
                    group: round(float(share) * self.chromosomes[group])
                    for group, share in zip(groups, shares, strict=True)
                },
            )
            for made, shares in found.values()
        ]
        return tuple(sorted(result, key=lambda e: (-sum(e.counts.values()), e.haplotype.label)))

    def _frequencies(self, site: Sequence[MatchedVariant], groups: Sequence[str]) -> FloatArray:
        """Return the frequencies of a site's alleles, shape (alleles, groups).

        One that is rare wherever it was measured counts as not there where it was not.
        """
        return np.array(
            [[self._counts(one, group).frequency or 0.0 for group in groups] for one in site]
        )


def _second(pair: tuple[str, float]) -> float:
    return pair[1]


def _exclusive(
    variants: Sequence[MatchedVariant], change: Sequence[Edit]
) -> Iterator[list[MatchedVariant]]:
    """Yield sorted variants in lists that cannot share a chromosome, those of a change left out."""
    low = high = -1
    if change:
        low, high = 3 * (change[0].start // 3), 3 * (-(-max(e.end for e in change) // 3))
    site: list[MatchedVariant] = []
    for one in variants:
        if one.edit.start < high and low < max(one.edit.end, one.edit.start + 1):
            continue
        if site and not any(other.edit.touches(one.edit) for other in site):
            yield site
            site = []
        site.append(one)
    if site:
        yield site
