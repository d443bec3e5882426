"""What a panel counts: proteins, carriers of a change, and its backgrounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from saliscope.variants.coding.haplotype import Haplotype

__all__ = ["Background", "Carriers", "ProteinHaplotype"]


@dataclass(frozen=True, eq=False)
class ProteinHaplotype:
    """All haplotypes of a panel that give one protein.

    Parameters
    ----------
    haplotype : Haplotype
        The most frequent of them.
    members : tuple of int
        Places of all in `Panel.haplotypes`.
    counts : mapping of str to int
        Chromosomes by group.
    """

    haplotype: Haplotype
    members: tuple[int, ...]
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """Chromosomes of all groups."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Carriers:
    """How many carry a change, and of how many that is known; each by group.

    Parameters
    ----------
    people, haplotypes : mapping of str to int
        Who carry it, and on how many chromosomes.
    called, chromosomes : mapping of str to int
        People and chromosomes of whom it is known whether they do.
    names : tuple of str
        The people.
    """

    people: Mapping[str, int]
    haplotypes: Mapping[str, int]
    called: Mapping[str, int]
    chromosomes: Mapping[str, int]
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Background:
    """A protein background on which a panel carries a change.

    Parameters
    ----------
    haplotype : Haplotype
        With the change.
    without : Haplotype
        The same with the change taken out.
    counts : mapping of str to int
        Chromosomes by group.
    """

    haplotype: Haplotype
    without: Haplotype
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """Chromosomes of all groups."""
        return sum(self.counts.values())
