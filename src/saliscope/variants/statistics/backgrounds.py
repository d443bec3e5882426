"""One variant's shift over the backgrounds on which it occurs, and between groups of people.

A model gives one number per distinct protein, however many people carry it. So a spread is taken
over distinct backgrounds, weighted by how often each occurs, and is never divided by the root of a
number of carriers; and a test between groups permutes people, not haplotypes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.statistics.common import finite, permutation_p, said, signed

__all__ = [
    "LISTED",
    "Background",
    "GroupDifference",
    "Spread",
    "compare_groups",
    "spread",
    "spreads",
]

LISTED = 5
"""Up to so many backgrounds each is listed; more are summarized."""


@dataclass(frozen=True)
class Background:
    """The shift of a variant on one distinct protein background.

    Parameters
    ----------
    label : str
        "with p.Ala154Thr", "reference".
    shift : float
        Last-out on this background.
    counts : mapping of str to int
        Haplotypes with the variant on this background, by group.
    """

    label: str
    shift: float
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Spread:
    """One variant's shifts over distinct backgrounds, in one group or in all.

    Parameters
    ----------
    haplotypes : int
        Carrier haplotypes.
    backgrounds : tuple of (str, float, int)
        Label, shift and haplotypes, most frequent first; those that occur.
    mean : float, optional
        Weighted by haplotypes; None without any.
    sd : float, optional
        Between backgrounds, sqrt(sum w (d - mean)^2 / (1 - sum w^2)); None with up to five of
        them, which are listed instead.
    effective : float, optional
        Effective number of backgrounds, 1 / sum w^2.
    low, high : float, optional
    """

    haplotypes: int
    backgrounds: tuple[tuple[str, float, int], ...]
    mean: float | None
    sd: float | None
    effective: float | None
    low: float | None
    high: float | None

    @property
    def text(self) -> str:
        """What a report says of it."""
        if not self.backgrounds:
            return "no carriers"
        people = f"{self.haplotypes:,} haplotype{'s' if self.haplotypes > 1 else ''}"
        if len(self.backgrounds) == 1:
            return f"one background: {signed(self.backgrounds[0][1])} ({people})"
        if self.sd is None:
            each = ", ".join(f"{signed(d)} {label} ({n:,})" for label, d, n in self.backgrounds)
            return f"{people}, {len(self.backgrounds)} backgrounds: {each}"
        assert self.mean is not None
        assert self.low is not None
        assert self.high is not None
        return (
            f"{people}, {len(self.backgrounds)} backgrounds (effective {self.effective:.1f}): "
            f"mean {signed(self.mean)}, SD {self.sd:.2g} between backgrounds, "
            f"from {signed(self.low)} to {signed(self.high)}"
        )


def spread(backgrounds: Sequence[Background], group: str | None = None) -> Spread:
    """Return the shifts of a variant over the backgrounds of `group`, or of all groups.

    Parameters
    ----------
    backgrounds : sequence of Background
        Distinct ones.
    group : str, optional
        A name in their counts; all groups together where it is not given.

    Raises
    ------
    InputError
        For a background given twice, a negative count, or a shift that is not finite.

    Examples
    --------
    >>> bs = [Background("with p.Ala154Thr", -1.26, {"EUR": 27, "EAS": 0}),
    ...       Background("reference", -0.88, {"EUR": 1, "EAS": 22})]
    >>> spread(bs, "EUR").text
    '28 haplotypes, 2 backgrounds: -1.26 with p.Ala154Thr (27), -0.88 reference (1)'
    >>> spread(bs, "EAS").text, spread(bs, "AFR").text
    ('one background: -0.88 (22 haplotypes)', 'no carriers')
    """
    labels = [b.label for b in backgrounds]
    for label in labels:
        if labels.count(label) > 1:
            msg = f"background {label!r}: is given twice; merge its counts"
            raise InputError(msg)
    finite([b.shift for b in backgrounds], "shifts")
    rows = []
    for b in backgrounds:
        numbers = list(b.counts.values()) if group is None else [b.counts.get(group, 0)]
        if any(n < 0 or n != int(n) for n in numbers):
            msg = f"background {b.label!r}: has a count that is negative or not whole; correct it"
            raise InputError(msg)
        if sum(numbers):
            rows.append((b.label, float(b.shift), int(sum(numbers))))
    rows.sort(key=lambda row: (-row[2], row[1], row[0]))
    total = sum(n for _, _, n in rows)
    if not rows:
        return Spread(0, (), None, None, None, None, None)
    shifts = np.array([shift for _, shift, _ in rows])
    weights = np.array([n for _, _, n in rows]) / total
    mean, concentration = float(weights @ shifts), float(weights @ weights)
    variance = float(weights @ (shifts - mean) ** 2) / (1 - concentration) if rows[1:] else 0.0
    sd = math.sqrt(variance) if len(rows) > LISTED else None
    return Spread(
        total, tuple(rows), mean, sd, 1 / concentration, float(shifts.min()), float(shifts.max())
    )


def spreads(backgrounds: Sequence[Background]) -> dict[str, Spread]:
    """Return the spread of each group, in the order in which groups are first named.

    Examples
    --------
    >>> {g: s.haplotypes for g, s in spreads([Background("reference", 1.0, {"A": 2})]).items()}
    {'A': 2}
    """
    groups = dict.fromkeys(g for b in backgrounds for g in b.counts)
    return {group: spread(backgrounds, group) for group in groups}


@dataclass(frozen=True)
class GroupDifference:
    """Difference of the weighted mean shift between two groups, tested by permuting people.

    Parameters
    ----------
    groups : tuple of str
        First and second.
    difference : float
        Mean over carrier haplotypes of the first minus that of the second.
    p : float
        (1 + #{|null| >= |difference|}) / (draws + 1).
    draws : int
    people, haplotypes : tuple of int
        Carriers and carrier haplotypes in each group.
    """

    groups: tuple[str, str]
    difference: float
    p: float
    draws: int
    people: tuple[int, int]
    haplotypes: tuple[int, int]

    @property
    def text(self) -> str:
        """What a report says of it: composition, for no model score depends on a group."""
        first, second = self.groups
        return (
            f"mean shift of {first} minus {second} {signed(self.difference)} "
            f"({self.people[0]:,} and {self.people[1]:,} carriers; p {said(self.p)}, "
            f"people permuted); groups differ only in how often each background occurs"
        )


def compare_groups(
    shifts: npt.ArrayLike,
    people: Sequence[str],
    groups: Sequence[str],
    first: str,
    second: str,
    *,
    draws: int = 999,
    seed: int = 0,
) -> GroupDifference | None:
    """Return whether the mean shift of carriers differs between two groups.

    Parameters
    ----------
    shifts : array of float, shape (haplotypes,)
        Of every carrier haplotype, on its own background.
    people, groups : sequence of str, length (haplotypes,)
        Who has the haplotype, and that person's group. Both haplotypes of a person move together.
    first, second : str
        The groups to compare; others are left out.
    draws : int
        Permutations.
    seed : int

    Returns
    -------
    GroupDifference, optional
        None where a group has no carrier.

    Raises
    ------
    InputError
        For lengths that differ, a person in two groups or with more than two haplotypes.
    OptionError
        For equal groups, or fewer than one draw.

    Examples
    --------
    >>> d = compare_groups([-1, -1, -1, 0, 0, 0], list("abbcde"), list("XXXYYY"), "X", "Y")
    >>> d.difference, d.people, d.haplotypes
    (-1.0, (2, 3), (3, 3))
    """
    if first == second or draws < 1:
        msg = f"groups {first!r} and {second!r}, {draws} draws: give two groups and some draws"
        raise OptionError(msg)
    values = finite(shifts, "shifts")
    if not len(values) == len(people) == len(groups):
        msg = f"{len(values)} shifts, {len(people)} people, {len(groups)} groups: give one of each"
        raise InputError(msg)
    group_of: dict[str, str] = {}
    copies: dict[str, list[float]] = {}
    for value, person, group in zip(values.tolist(), people, groups, strict=True):
        if group_of.setdefault(person, group) != group:
            msg = f"{person}: is in groups {group_of[person]!r} and {group!r}; give one"
            raise InputError(msg)
        copies.setdefault(person, []).append(value)
        if len(copies[person]) > 2:
            msg = f"{person}: has more than two haplotypes; a person has at most two"
            raise InputError(msg)
    chosen = [person for person in copies if group_of[person] in {first, second}]
    member = np.array([group_of[person] == first for person in chosen], dtype=bool)
    size = int(member.sum())
    if not 0 < size < len(chosen):
        return None
    sums = np.array([sum(copies[person]) for person in chosen])
    number = np.array([len(copies[person]) for person in chosen], dtype=np.float64)

    keys = np.random.default_rng(seed).random((draws + 1, len(chosen)))
    labels = np.zeros(keys.shape)
    np.put_along_axis(labels, np.argpartition(keys, size - 1, axis=1)[:, :size], 1.0, axis=1)
    labels[0] = member
    inside, count = labels @ sums, labels @ number
    difference = inside / count - (sums.sum() - inside) / (number.sum() - count)
    return GroupDifference(
        groups=(first, second),
        difference=float(difference[0]),
        p=permutation_p(float(difference[0]), difference[1:], float(np.abs(values).max())),
        draws=draws,
        people=(size, len(chosen) - size),
        haplotypes=(int(count[0]), int(number.sum() - count[0])),
    )
