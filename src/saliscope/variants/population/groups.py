"""Ancestry groups: gnomAD's codes under their many headings, and groups of a user's own making."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from saliscope.core.errors import OptionError, nearest
from saliscope.variants.population.record import Counts, Population, PopulationVariant

__all__ = ["CODES", "EVERYONE", "OTHERS", "code_of", "parts_of", "pooled", "regroup"]

EVERYONE, OTHERS = "everyone", "others"
"""What all people are called where a source has no groups, and those who are in none of them."""

CODES = {
    "afr": ("African", "African/African American", "African/African-American"),
    "ami": ("Amish",),
    "amr": ("Latino", "Latino/Admixed American", "Admixed American"),
    "asj": ("Ashkenazi Jewish",),
    "eas": ("East Asian",),
    "fin": ("European (Finnish)",),
    "mid": ("Middle Eastern",),
    "nfe": ("European (non-Finnish)",),
    "oth": ("Other", "Remaining individuals"),
    "remaining": ("Remaining",),
    "sas": ("South Asian",),
}
"""gnomAD's own group codes, with every heading the browser has had for them."""


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", ".", text.lower())


_BY_HEADING = {_plain(heading): code for code, names in CODES.items() for heading in names}


def code_of(heading: str) -> str:
    """Return gnomAD's code for a heading of its browser; an unknown heading comes back as it is.

    Examples
    --------
    >>> code_of("European (non-Finnish)"), code_of("European..non.Finnish."), code_of("Martian")
    ('nfe', 'nfe', 'Martian')
    """
    return _BY_HEADING.get(_plain(heading), heading)


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def pooled(parts: Sequence[Counts]) -> Counts:
    """Return the counts of several groups of people together.

    A group that was not measured adds nobody; a number that only some of the measured groups have
    is unknown for all.

    Examples
    --------
    >>> pooled([Counts(5, 100, 1), Counts(2, 50, 0), Counts(None, None)])
    Counts(ac=7, an=150, homozygotes=1, hemizygotes=None)
    """
    measured = [part for part in parts if part.ac is not None and part.an is not None]
    return Counts(
        _sum([part.ac for part in measured]),
        _sum([part.an for part in measured]),
        _sum([part.homozygotes for part in measured]),
        _sum([part.hemizygotes for part in measured]),
    )


def parts_of(variant: PopulationVariant) -> dict[str, Counts]:
    """Return the counts of a variant by group, so that nobody of the total is lost.

    People of the total who are in no group are "others"; without groups all are "everyone".

    Examples
    --------
    >>> from saliscope.variants.coding.edit import Allele
    >>> allele, eur = Allele("1", 5, "A", "G"), {"EUR": Counts(5, 100, 1)}
    >>> parts_of(PopulationVariant(allele, 2, Counts(7, 160, 1), eur))["others"]
    Counts(ac=2, an=60, homozygotes=0, hemizygotes=None)
    >>> parts_of(PopulationVariant(allele, 2, Counts(7, 160, 1)))
    {'everyone': Counts(ac=7, an=160, homozygotes=1, hemizygotes=None)}
    """
    if not variant.groups:
        return {EVERYONE: variant.total}
    known = pooled(list(variant.groups.values()))
    pairs = (
        (variant.total.ac, known.ac),
        (variant.total.an, known.an),
        (variant.total.homozygotes, known.homozygotes),
        (variant.total.hemizygotes, known.hemizygotes),
    )
    ac, an, *rest = (None if a is None or b is None else a - b for a, b in pairs)
    if ac is None or an is None or ac < 0 or an <= 0:
        return dict(variant.groups)
    return {**variant.groups, OTHERS: Counts(ac, an, *rest)}


def regroup(population: Population, groups: Mapping[str, Sequence[str]]) -> Population:
    """Return the population with its groups put together under other names, and nothing else.

    No group is renamed by default: gnomAD's "nfe" leaves out Finns and the 1000 Genomes' "EUR" does
    not, so that "EUR" is a decision, which the result carries in its labels and notes.

    Parameters
    ----------
    population : Population
    groups : mapping of str to sequence of str
        New name to the source's own groups: ``{"EUR": ("nfe", "fin")}``.

    Raises
    ------
    OptionError
        A group that the source does not have, an empty one, or one used twice.

    Examples
    --------
    >>> from saliscope.variants.coding.edit import Allele
    >>> from saliscope.variants.population.record import PopulationVariant
    >>> allele = Allele("1", 5, "A", "G")
    >>> groups = {"nfe": Counts(5, 100, 0), "fin": Counts(1, 20, 0)}
    >>> variant = PopulationVariant(allele, 2, Counts(6, 120, 0), groups)
    >>> own = Population("gnomAD", "x", None, ("nfe", "fin"), {allele: variant}, name="gnomAD")
    >>> new = regroup(own, {"EUR": ("nfe", "fin")})
    >>> new.variants[allele].groups["EUR"].ac, new.label("EUR")
    (6, 'EUR (gnomAD nfe + fin)')
    """
    used: dict[str, str] = {}
    for name, own in groups.items():
        if isinstance(own, str) or not own:
            msg = f"groups: {name!r} needs a list of groups, such as ('nfe',)"
            raise OptionError(msg)
        for member in own:
            if member not in population.groups:
                hint = nearest(member, population.groups)
                msg = f"groups: {population.source} has no group {member!r}; {hint}"
                raise OptionError(msg)
            if member in used:
                msg = f"groups: {member!r} is in {used[member]!r} and in {name!r}; use it once"
                raise OptionError(msg)
            used[member] = name
    members = {name: tuple(own) for name, own in groups.items()}
    variants = {
        allele: replace(
            variant,
            groups={
                name: pooled([variant.groups.get(one, Counts(None, None)) for one in own])
                for name, own in members.items()
            },
        )
        for allele, variant in population.variants.items()
    }
    made = "; ".join(f"{name} = {' + '.join(own)}" for name, own in members.items())
    left = [group for group in population.groups if group not in used]
    note = f"groups as asked for: {made}"
    if left:
        note += f"; in none of them: {', '.join(left)}"
    return replace(
        population,
        groups=tuple(members),
        variants=variants,
        members=members,
        notes=(*population.notes, note),
    )
