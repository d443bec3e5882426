"""One person's haplotypes: all pairs that the genotypes allow, and how likely each is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError
from saliscope.variants.calls.genotypes import ABSENT, MISSING
from saliscope.variants.calls.panel import Panel
from saliscope.variants.calls.record import Calls
from saliscope.variants.coding.edit import Allele, Edit
from saliscope.variants.coding.haplotype import Haplotype, haplotype
from saliscope.variants.coding.transcript import Transcript

__all__ = ["LIMIT", "Configuration", "Person", "person", "weighted"]

LIMIT = 10
"""Heterozygous units up to which all phasings are enumerated (512 of them)."""


@dataclass(frozen=True, eq=False)
class Configuration:
    """One pair of haplotypes that a person may have.

    Parameters
    ----------
    haplotypes : tuple of Haplotype
        Two; one of a hemizygous gene.
    weight : float
        Sums to one over a person's configurations.
    incomplete : tuple of bool
        For each haplotype, whether a genotype on it is missing (and taken as the genome's base),
        or not assessed.
    share : float
        The weight that it has without a panel: its part of all phasings.
    support : tuple of int, optional
        Chromosomes of the panel that have each haplotype's protein; None without a panel.
    """

    haplotypes: tuple[Haplotype, ...]
    weight: float
    incomplete: tuple[bool, ...]
    share: float = 1.0
    support: tuple[int, ...] | None = None

    @property
    def least(self) -> int | None:
        """The smaller count of the panel: 0 if it has never seen one of the haplotypes."""
        return None if self.support is None else min(self.support)


@dataclass(frozen=True, eq=False)
class Person:
    """What a VCF says of one person's copies of a gene; made by `person`.

    Parameters
    ----------
    sample : str
    transcript : Transcript
    configurations : tuple of Configuration
        The heaviest first.
    phase : str
        "homozygous", "hemizygous", "phased", "phase sets" (several, unknown to each other) or
        "unphased".
    units : int
        Heterozygous rows, or sets of rows, that can be turned against each other.
    missing : tuple of str
        Where a genotype was not called: "c.719", "c.719 (one copy)".
    not_assessed : tuple of str
        Alleles that the person carries, and why they could not be read in.
    filtered : tuple of str
        Alleles that the person carries, whose row did not pass filters.
    ids : mapping of Allele or Edit to tuple of str
    notes : tuple of str
        How phase was treated.
    """

    sample: str
    transcript: Transcript
    configurations: tuple[Configuration, ...]
    phase: str
    units: int
    missing: tuple[str, ...] = ()
    not_assessed: tuple[str, ...] = ()
    filtered: tuple[str, ...] = ()
    ids: Mapping[Allele | Edit, tuple[str, ...]] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()


def person(calls: Calls, sample: str, *, limit: int = LIMIT, seed: int | None = None) -> Person:
    """Return the pairs of haplotypes that a person may have.

    Unphased heterozygotes give 2^(m - 1) pairs, equally likely at first (see `weighted`); rows of
    one phase set turn together, and homozygous rows are phased in any case. Pairs with two alleles
    on one copy that exclude each other are left out.

    Parameters
    ----------
    calls : Calls
    sample : str
    limit : int
        Heterozygous units up to which all pairs are made.
    seed : int, optional
        Above the limit: draw 2^(limit - 1) different pairs at random, instead of refusing.

    Raises
    ------
    InputError
        No such sample, too many unphased heterozygotes, or calls that exclude each other.

    Examples
    --------
    >>> import numpy as np
    >>> from saliscope.variants.calls.record import Alternative, Row
    >>> t = Transcript("T.1", "T", "ATGAAACGTTAA", "GRCh38", "1", 1, ((100, 112),))
    >>> one = Row(1, "1", 105, "A", (Alternative("G", None, Edit(4, 5, "G")),), (), (), 4, 5)
    >>> two = Row(2, "1", 108, "G", (Alternative("A", None, Edit(7, 8, "A")),), (), (), 7, 8)
    >>> calls = Calls("a.vcf", t, "GRCh38", "given", ("ann",), (one, two),
    ...               np.array([[[0, 1], [0, 1]]], dtype=np.int8), np.zeros((1, 2), np.int32), 0)
    >>> for c in person(calls, "ann").configurations:
    ...     print(c.weight, [h.label for h in c.haplotypes])
    0.5 ['reference', 'p.[Lys2Arg;Arg3His]']
    0.5 ['p.Arg3His', 'p.Lys2Arg']
    """
    place = calls.index(sample)
    genotypes, unknown = calls.genotypes[place], calls.unknown[place]
    units, phase = _units(calls, place)
    notes: list[str] = []
    if len(units) > limit and seed is None:
        msg = (
            f"{calls.file}: sample {sample!r} has {len(units)} heterozygous rows or phase sets of "
            f"unknown phase in {calls.transcript.name}, more than {limit}; phase the VCF, or give "
            "a seed to draw phasings at random"
        )
        raise InputError(msg)
    made: dict[tuple[Edit, ...], Haplotype] = {}
    found: dict[frozenset[tuple[tuple[Edit, ...], bool]], list[Configuration]] = {}
    impossible: list[InputError] = []
    turns = list(_turns(len(units), limit, seed))
    if len(units) > limit:
        notes.append(
            f"{len(turns):,} of {2 ** (len(units) - 1):,} phasings drawn at random (seed {seed})"
        )
    for turn in turns:
        codes, dark = genotypes.copy(), unknown.copy()
        for unit, turned in zip(units, turn, strict=True):
            if turned:
                codes[unit], dark[unit] = codes[unit, ::-1], dark[unit, ::-1]
        copies = [i for i in (0, 1) if not len(codes) or codes[0, i] != ABSENT]
        try:
            edits = [calls.edits(codes[:, i]) for i in copies]
            for each in edits:
                if each not in made:
                    made[each] = haplotype(calls.transcript, each)
        except InputError as error:
            impossible.append(error)
            continue
        flags = tuple(bool(dark[:, i].any()) for i in copies)
        one = Configuration(tuple(made[each] for each in edits), 1.0, flags)
        found.setdefault(frozenset(zip(edits, flags, strict=True)), []).append(one)
    if not found:
        raise impossible[0]
    if impossible:
        notes.append(
            f"{len(impossible)} of {len(turns)} phasings are impossible: two alleles that exclude "
            "each other would stand on one copy"
        )
    share = 1 / (len(turns) - len(impossible))
    configurations = tuple(
        replace(same[0], weight=share * len(same), share=share * len(same))
        for same in found.values()
    )
    return Person(
        sample, calls.transcript, configurations, phase, len(units),
        tuple(_missing(calls, place)),
        tuple(_carried(calls, place, filtered=False)), tuple(_carried(calls, place, filtered=True)),
        calls.ids, tuple(notes),
    )  # fmt: skip


def weighted(person: Person, panel: Panel) -> Person:
    """Return a person with configurations weighted by a panel, the heaviest first.

    The weight of a pair is proportional to the product of the counts of both proteins (twice that
    of different haplotypes), as under random mating. A panel that holds the person counts the
    answer; take ``panel.without(person.sample)``.
    """
    supports = [tuple(panel.count(h) for h in c.haplotypes) for c in person.configurations]
    weights = np.array(
        [
            c.share * np.prod(support, dtype=float) * len({h.key for h in c.haplotypes})
            for c, support in zip(person.configurations, supports, strict=True)
        ]
    )
    notes = person.notes
    if weights.sum() > 0:
        weights /= weights.sum()
    else:
        weights = np.array([c.share for c in person.configurations])
        if len(weights) > 1:
            notes = (*notes, "no phasing is supported by the panel: all are weighted equally")
    configurations = [
        replace(c, weight=float(weight), support=support)
        for c, weight, support in zip(person.configurations, weights, supports, strict=True)
    ]
    configurations.sort(key=lambda c: -c.weight)
    return replace(person, configurations=tuple(configurations), notes=notes)


def _units(calls: Calls, place: int) -> tuple[list[npt.NDArray[np.intp]], str]:
    """Return the rows that can only be turned together, and what the phase is called."""
    genotypes, sets = calls.genotypes[place], calls.sets[place]
    differing = np.flatnonzero(calls.heterozygous[place])
    alone = [np.array([i]) for i in differing if sets[i] == 0]
    together = [
        differing[sets[differing] == number] for number in np.unique(sets[differing]) if number
    ]
    units = sorted([*alone, *together], key=lambda unit: int(unit[0]))
    if len(genotypes) and genotypes[0, 1] == ABSENT:
        return units, "hemizygous"
    if not units:
        return units, "homozygous"
    if len(units) == 1:
        return units, "phased"
    return units, "unphased" if alone else "phase sets"


def _turns(units: int, limit: int, seed: int | None) -> Iterator[tuple[bool, ...]]:
    """Yield which units are turned; the first never is, because a pair has no order."""
    free = max(units - 1, 0)
    head = (False,) * min(units, 1)
    if units <= limit:
        for turn in itertools.product((False, True), repeat=free):
            yield (*head, *turn)
        return
    random = np.random.default_rng(seed)
    drawn: set[tuple[bool, ...]] = set()
    while len(drawn) < 2 ** (limit - 1):
        turn = tuple(bool(bit) for bit in random.integers(0, 2, free))
        if turn not in drawn:
            drawn.add(turn)
            yield (*head, *turn)


def _missing(calls: Calls, place: int) -> Iterator[str]:
    for row, genotype in zip(calls.rows, calls.genotypes[place], strict=True):
        copies = int((genotype == MISSING).sum())
        if copies:
            half = copies == 1 and genotype[1] != ABSENT
            yield f"{row.coding} (one copy)" if half else row.coding


def _carried(calls: Calls, place: int, *, filtered: bool) -> Iterator[str]:
    """Yield the alleles of a person that are not assessed, or that did not pass filters."""
    for row, genotype in zip(calls.rows, calls.genotypes[place], strict=True):
        for code in sorted({int(c) for c in genotype if c > 0}):
            reason = row.alternatives[code - 1].reason
            if filtered and row.filters:
                yield f"{row.label(code)}: {', '.join(row.filters)}"
            elif not filtered and reason:
                yield f"{row.label(code)}: {reason}"
