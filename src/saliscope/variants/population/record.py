"""What a population source says of an allele: counts per group, and what it does not say."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from saliscope.variants.coding.edit import Allele

__all__ = ["Counts", "Population", "PopulationVariant"]


@dataclass(frozen=True)
class Counts:
    """Counts of one allele in one group; None is "not measured", never zero.

    Parameters
    ----------
    ac, an : int, optional
        Copies of the allele, and chromosomes with a call.
    homozygotes, hemizygotes : int, optional
        People.

    Examples
    --------
    >>> Counts(5, 100, 1).carriers, Counts(None, None).frequency, Counts(0, 0).frequency
    (4, None, None)
    """

    ac: int | None
    an: int | None
    homozygotes: int | None = None
    hemizygotes: int | None = None

    @property
    def frequency(self) -> float | None:
        """Share of the allele; None where nothing was called."""
        return None if self.ac is None or not self.an else self.ac / self.an

    @property
    def carriers(self) -> int | None:
        """People with the allele on an autosome: copies minus homozygotes."""
        if self.ac is None or self.homozygotes is None:
            return None
        return self.ac - self.homozygotes


@dataclass(frozen=True, eq=False)
class PopulationVariant:
    """One allele of a population source.

    Parameters
    ----------
    allele : Allele
    row : int
        Line of the file, for messages.
    total : Counts
    groups : mapping of str to Counts
        By the source's own group name.
    ids : tuple of str
        rs numbers.
    filters : tuple of str
        Filters that the call did not pass; empty where it passed.
    transcript, consequence, protein : str
        As the source says; empty where it does not.
    sexes : mapping of str to Counts
        "XX" and "XY", where the source has them apart.
    coding : str
        HGVS c. as the source says.
    flags : tuple of str
        What the source warns of without refusing the call: "mnv", "lcr", "exomes: AC0".
    frequencies : mapping of str to float
        By study, from a source that has frequencies and no counts.
    """

    allele: Allele
    row: int
    total: Counts
    groups: Mapping[str, Counts] = field(default_factory=dict)
    ids: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    transcript: str = ""
    consequence: str = ""
    protein: str = ""
    sexes: Mapping[str, Counts] = field(default_factory=dict)
    coding: str = ""
    flags: tuple[str, ...] = ()
    frequencies: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Population:
    """All alleles of a source, and how it is to be read.

    Parameters
    ----------
    source : str
        What a report calls it: "gnomAD v4.1.0 browser export".
    file : str
    build : str, optional
    groups : tuple of str
    variants : mapping of Allele to PopulationVariant
    notes : tuple of str
        What a reader must know of this file: a group that was not measured, a repaired fault.
    name : str
        Short, for labels of groups: "gnomAD".
    members : mapping of str to tuple of str
        Which of the source's own groups were put together under a name; see `regroup`.
    """

    source: str
    file: str
    build: str | None
    groups: tuple[str, ...]
    variants: Mapping[Allele, PopulationVariant]
    notes: tuple[str, ...] = ()
    name: str = ""
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def _places(self) -> dict[str, list[tuple[int, PopulationVariant]]]:
        found: dict[str, list[tuple[int, PopulationVariant]]] = {}
        for allele in sorted(self.variants):
            found.setdefault(allele.chrom, []).append((allele.position, self.variants[allele]))
        return found

    @cached_property
    def counted(self) -> bool:
        """Whether the source has counts; one of frequencies alone has none."""
        return any(variant.total.an is not None for variant in self.variants.values())

    def near(self, chrom: str, position: int, reach: int) -> list[PopulationVariant]:
        """Return the variants that start within `reach` bases of a position, in order."""
        places = self._places.get(chrom, [])
        low = bisect_left(places, position - reach, key=lambda place: place[0])
        high = bisect_right(places, position + reach, key=lambda place: place[0])
        return [variant for _, variant in places[low:high]]

    def label(self, group: str) -> str:
        """Return what a report calls a group: "gnomAD nfe", "EUR (gnomAD nfe)"."""
        own = self.members.get(group)
        shown = " + ".join(own) if own else group
        text = f"{self.name} {shown}".strip()
        return f"{group} ({text})" if own else text
