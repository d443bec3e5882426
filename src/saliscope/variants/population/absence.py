"""What may be said of an allele in a population, seen or not: never more than the source allows."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Literal

from saliscope.core.errors import InputError, OptionError, nearest
from saliscope.core.textfile import text_of
from saliscope.variants.coding.builds import chromosome
from saliscope.variants.coding.edit import Allele
from saliscope.variants.population.reading import rows_of, whole
from saliscope.variants.population.record import Counts, Population, PopulationVariant

__all__ = [
    "NEAR",
    "AlleleNumbers",
    "Presence",
    "panel_numbers",
    "presence",
    "read_allele_numbers",
    "upper_bound",
]

NEAR = 50
"""Within how many bases listed sites lend their allele numbers to one that is not listed."""

AlleleNumbers = Callable[[str, int], int | None]
"""Chromosomes with a call at a place (chromosome without "chr", position from 1); None: unknown."""


def upper_bound(an: int, level: float = 0.95) -> float:
    """Return the frequency that an allele unseen among `an` chromosomes stays below.

    The one-sided Clopper-Pearson limit for no success in `an` trials, 1 - (1 - level)^(1/an); about
    3/an at 95 % (the "rule of three").

    Raises
    ------
    OptionError
        `an` is below 1, or `level` not between 0 and 1.

    Examples
    --------
    >>> round(upper_bound(1), 12), round(upper_bound(5008) * 5008, 3)
    (0.95, 2.995)
    """
    from math import expm1, log

    if an < 1 or not 0 < level < 1:
        msg = f"upper_bound: {an} chromosomes, level {level}; give at least 1, and 0 < level < 1"
        raise OptionError(msg)
    return -expm1(log(1 - level) / an)


@dataclass(frozen=True)
class Presence:
    """What a population says of one allele.

    Parameters
    ----------
    allele : Allele
    state : {"observed", "absent", "unknown", "not callable"}
        Observed; not seen where `an` chromosomes were called; nothing can be said; the source has
        the place and could not call it, or does not trust its call.
    source : str
        What was asked, with the group.
    counts : Counts
        Of the source's row; empty without one.
    an : int, optional
        Chromosomes that the statement rests on.
    upper : float, optional
        95 % upper bound of the frequency, where absent; see `upper_bound`.
    basis : {"row", "all sites", "interpolated", "frequency", ""}
        Where `an` is from: the allele's own row; allele numbers of all sites, or a panel's region;
        the median of listed sites within 50 bases; or a frequency without counts.
    reason : str
        Why nothing can be said, or why not callable.
    frequency : float, optional
        Where observed.
    """

    allele: Allele
    state: Literal["observed", "absent", "unknown", "not callable"]
    source: str
    counts: Counts = Counts(None, None)
    an: int | None = None
    upper: float | None = None
    basis: str = ""
    reason: str = ""
    frequency: float | None = None

    @property
    def sentence(self) -> str:
        """The statement in plain words."""
        if self.state == "observed" and self.counts.ac is None:
            return f"listed in {self.source} at {_short(self.frequency)}; carriers are not known"
        if self.state == "observed":
            people = self.counts.carriers
            who = "" if people is None else f", carried by {people:,} people"
            return (
                f"seen in {self.source}: {self.counts.ac:,} of {self.an:,} chromosomes "
                f"({_short(self.frequency)}){who}"
            )
        if self.state == "absent":
            how = {
                "interpolated": f" (interpolated: median of the sites listed within {NEAR} bases)",
                "all sites": "",
            }.get(self.basis, "")
            return (
                f"not seen in {self.source} among {self.an:,} chromosomes{how}: its frequency is "
                f"below {_short(self.upper)} (95 % upper bound)"
            )
        if self.state == "not callable":
            return f"cannot be called in {self.source}: {self.reason}"
        return f"not known for {self.source}: {self.reason}"


def _short(value: float | None) -> str:
    return "an unknown frequency" if value is None else f"{value:.2g}"


def presence(
    population: Population,
    allele: Allele,
    *,
    group: str | None = None,
    called: AlleleNumbers | None = None,
) -> Presence:
    """Return what a population says of an allele, in one of four states.

    Parameters
    ----------
    population : Population
    allele : Allele
    group : str, optional
        One of the population's groups; all people by default.
    called : callable, optional
        Allele numbers of places that the population does not list, for the same people:
        `read_allele_numbers` or `panel_numbers`. Without it the median of the sites listed within
        50 bases stands in, and is said to.

    Raises
    ------
    OptionError
        The population has no such group.

    Examples
    --------
    >>> one = Allele("6", 100, "A", "G")
    >>> row = PopulationVariant(one, 2, Counts(3, 5000, 0))
    >>> p = Population("a table", "x.csv", None, (), {one: row})
    >>> presence(p, one).sentence
    'seen in a table: 3 of 5,000 chromosomes (0.0006), carried by 3 people'
    >>> presence(p, Allele("6", 120, "C", "T")).sentence
    'not seen in a table among 5,000 chromosomes (interpolated: median of the sites listed within \
50 bases): its frequency is below 0.0006 (95 % upper bound)'
    >>> presence(p, Allele("6", 900, "C", "T")).state
    'unknown'
    """
    if group is not None and group not in population.groups:
        msg = f"group {group!r} is not in {population.source}; {nearest(group, population.groups)}"
        raise OptionError(msg)
    source = population.source
    if group is not None:
        source += f", {population.label(group)}"
    row = population.variants.get(allele)
    if row is not None:
        return _listed(row, source, group)
    twin = _shifted(population, allele)
    if twin is not None:
        reason = (
            f"{twin.label} is listed, which may be the same change written at another place; "
            "left-align both files"
        )
        return Presence(allele, "unknown", source, reason=reason)
    if population.variants and not population.counted:
        reason = "it has frequencies without counts, so that what it does not list is not absent"
        return Presence(allele, "unknown", source, reason=reason)
    if called is not None:
        places = range(allele.position, allele.position + max(len(allele.ref), 1))
        numbers = [called(allele.chrom, place) for place in places]
        known = [number for number in numbers if number is not None]
        if known and len(known) == len(numbers):
            return _unseen(allele, source, min(known), "all sites")
    sites = population.near(allele.chrom, allele.position, NEAR)
    near = [an for site in sites if (an := _of(site, group).an) is not None]
    if near:
        return _unseen(allele, source, int(median(near)), "interpolated")
    reason = f"it lists no site within {NEAR} bases, so that calls there may be missing"
    return Presence(allele, "unknown", source, reason=reason)


def _of(variant: PopulationVariant, group: str | None) -> Counts:
    return variant.total if group is None else variant.groups.get(group, Counts(None, None))


def _unseen(allele: Allele, source: str, an: int, basis: str) -> Presence:
    if an < 1:
        reason = "nobody has a call at this place"
        return Presence(allele, "not callable", source, an=0, basis=basis, reason=reason)
    return Presence(allele, "absent", source, an=an, upper=upper_bound(an), basis=basis)


def _listed(row: PopulationVariant, source: str, group: str | None) -> Presence:
    """Return what the allele's own row says."""
    counts = _of(row, group)
    if row.filters:
        seen = f" ({counts.ac:,} copies were counted)" if counts.ac else ""
        reason = f"its call did not pass {', '.join(row.filters)}{seen}"
        return Presence(row.allele, "not callable", source, counts, counts.an, None, "row", reason)
    if counts.an == 0:
        reason = "nobody has a call at this place"
        return Presence(row.allele, "not callable", source, counts, 0, None, "row", reason)
    if counts.ac is None or counts.an is None:
        return _uncounted(row, source, counts, group)
    if counts.ac == 0:
        bound = upper_bound(counts.an)
        return Presence(row.allele, "absent", source, counts, counts.an, bound, "row")
    return Presence(
        row.allele, "observed", source, counts, counts.an, basis="row", frequency=counts.frequency
    )


def _uncounted(row: PopulationVariant, source: str, counts: Counts, group: str | None) -> Presence:
    top = max(row.frequencies.items(), key=lambda item: item[1], default=None)
    if group is None and top is not None and top[1] > 0:
        named = f"{source} ({top[0]})"
        return Presence(row.allele, "observed", named, counts, basis="frequency", frequency=top[1])
    reason = "the group was not measured" if group is not None else "it gives no count"
    return Presence(row.allele, "unknown", source, counts, basis="row", reason=reason)


def _shifted(population: Population, allele: Allele) -> Allele | None:
    """Return a listed insertion or deletion nearby that may be the same one, written elsewhere.

    In a repeat the same bases can be taken out, or put in, at several places; what is written then
    is a rotation of one another.
    """
    if bool(allele.ref) == bool(allele.alt):
        return None
    bases = allele.ref or allele.alt
    for site in population.near(allele.chrom, allele.position, NEAR):
        other = site.allele
        own = other.ref if allele.ref else other.alt
        lone = not (other.alt if allele.ref else other.ref)
        if lone and len(own) == len(bases) and own in bases + bases:
            return other
    return None


def panel_numbers(chrom: str, low: int, high: int, an: int) -> AlleleNumbers:
    """Return the allele numbers of a panel: everybody has a call in its region, nobody outside.

    Parameters
    ----------
    chrom : str
    low, high : int
        First and last position of the region (from 1).
    an : int
        Chromosomes of the panel, or of one group of it: twice the people.

    Examples
    --------
    >>> called = panel_numbers("chr6", 100, 200, 5008)
    >>> called("6", 150), called("6", 201)
    (5008, None)
    """
    plain = chromosome(chrom)

    def called(where: str, position: int) -> int | None:
        return an if where == plain and low <= position <= high else None

    return called


def read_allele_numbers(
    path: str | os.PathLike[str], *, column: str = "AN", keep: Iterable[Allele] | None = None
) -> AlleleNumbers:
    """Return the allele numbers of all sites from a table such as gnomAD's (v4.1).

    Parameters
    ----------
    path : path
        TSV or CSV, plain, gzip or bgzip: columns ``locus`` ("chr1:12345"), or ``chrom`` and
        ``pos``, and `column`. The file of the whole exome is large: cut out the gene first
        (``tabix`` or ``grep``).
    column : str
        Which column holds the numbers, for one group of people for instance.
    keep : iterable of Allele, optional
        Keep the places of these alleles only.

    Raises
    ------
    InputError
        One line: file, row, reason, remedy.
    """
    text = text_of(path, unit="row")
    rows = rows_of(path, text, "\t" if "\t" in text.split("\n", 1)[0] else ",")
    _, header = next(rows, (0, list[str]()))
    names = [name.strip().lower().lstrip("#") for name in header]
    if column.lower() not in names or not ({"locus"} <= {*names} or {"chrom", "pos"} <= {*names}):
        msg = (
            f"{path}, row 1: needs the columns locus (or chrom and pos) and {column}; name them so"
        )
        raise InputError(msg)
    wanted = None
    if keep is not None:
        wanted = {(a.chrom, a.position + i) for a in keep for i in range(max(len(a.ref), 1))}
    found: dict[tuple[str, int], int] = {}
    for line, cells in rows:
        cell = dict(zip(names, cells, strict=True))
        place = cell["locus"] if "locus" in cell else f"{cell['chrom']}:{cell['pos']}"
        match = re.fullmatch(r"\s*([^:\s]+):(\d+)\s*", place)
        try:
            number = whole(cell[column.lower()])
        except (ValueError, OverflowError):
            number = -1
        if match is None or (number is not None and number < 0):
            msg = f"{path}, row {line}: place or {column} cannot be read; correct the row"
            raise InputError(msg)
        key = chromosome(match[1]), int(match[2])
        if number is not None and (wanted is None or key in wanted):
            found[key] = number
    return _Table(found)


class _Table:
    """Allele numbers by place."""

    def __init__(self, numbers: Mapping[tuple[str, int], int]) -> None:
        self.numbers = numbers

    def __call__(self, chrom: str, position: int) -> int | None:
        """Return the number at a place; None where the table has none."""
        return self.numbers.get((chrom, position))
