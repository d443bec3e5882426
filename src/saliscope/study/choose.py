"""Which variants are compared: pathogenic and benign ones, matched by how buried they are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from saliscope.core.errors import InputError, OptionError
from saliscope.core.units import FloatArray
from saliscope.study.clinvar import ClinVarTable, Missense

__all__ = ["BENIGN", "LEAST_STARS", "PATHOGENIC", "Choice", "Chosen", "choose_variants"]

PATHOGENIC, BENIGN = ("Pathogenic/Likely pathogenic",), ("Benign",)
"""Significance that counts, word for word."""

LEAST_STARS = 2
"""Of the review status, where the file has it."""


@dataclass(frozen=True)
class Chosen:
    """A chosen variant.

    Parameters
    ----------
    variant : Missense
    label : {"pathogenic", "benign"}
    pair : int
        Which pair it belongs to, from 1.
    area : float
        Relative solvent accessibility of its residue.
    """

    variant: Missense
    label: str
    pair: int
    area: float

    @property
    def name(self) -> str:
        """The change in one letter."""
        return self.variant.name


@dataclass(frozen=True, eq=False)
class Choice:
    """The chosen variants and the rule in words; made by `choose_variants`.

    Parameters
    ----------
    variants : tuple of Chosen
        Pathogenic ones first, each in the order of the pairs.
    rule : str
    notes : tuple of str
    """

    variants: tuple[Chosen, ...]
    rule: str
    notes: tuple[str, ...]


def choose_variants(
    table: ClinVarTable, area: FloatArray, *, within: tuple[int, int], count: int = 5,
    pathogenic: Collection[str] = PATHOGENIC, benign: Collection[str] = BENIGN,
) -> Choice:  # fmt: skip
    """Choose pairs of a pathogenic and a benign variant, nearest in accessibility first.

    Of all pairs of a benign and a pathogenic residue the one whose relative accessibility differs
    least is taken, then the next among the residues that are left, and so on; equal differences by
    residue number. A residue gives one variant, the first of its coding names. Where the file has
    the review status, two stars or more are asked for.

    Parameters
    ----------
    table : ClinVarTable
    area : numpy.ndarray, shape (residues,)
        Relative solvent accessibility along the protein; NaN where unknown.
    within : (int, int)
        First and last residue that count.
    count : int
        Pairs wanted.
    pathogenic, benign : collection of str
        Significance, word for word.

    Raises
    ------
    InputError
        There is no pair.
    OptionError
        A count below 1.

    Examples
    --------
    >>> def one(at, told):
    ...     return Missense(at, "A", "V", f"c.{3 * at}C>T", told, None, at)
    >>> told = [one(1, "Benign"), one(2, "Pathogenic/Likely pathogenic"),
    ...         one(3, "Pathogenic/Likely pathogenic")]
    >>> table = ClinVarTable("a.csv", tuple(told), False, ())
    >>> found = choose_variants(table, np.array([0.5, 0.1, 0.4]), within=(1, 3), count=1)
    >>> [(v.name, v.label) for v in found.variants]
    [('A3V', 'pathogenic'), ('A1V', 'benign')]
    """
    if count < 1:
        msg = f"count={count}: at least one pair is needed"
        raise OptionError(msg)
    sides = [
        _candidates(table, area, within, words) for words in (tuple(pathogenic), tuple(benign))
    ]
    pairs = sorted(
        (abs(area[b - 1] - area[p - 1]), b, p) for b in sides[1] for p in sides[0] if b != p
    )
    chosen: list[tuple[int, int]] = []
    taken: set[int] = set()
    for _, b, p in pairs:
        if len(chosen) < count and not taken & {b, p}:
            chosen.append((p, b))
            taken |= {p, b}
    told = (
        f"of {table.path}: {len(sides[0]):,} residues with a variant that is exactly "
        f"{' or '.join(map(repr, pathogenic))}, {len(sides[1]):,} exactly "
        f"{' or '.join(map(repr, benign))}, within residues {within[0]} to {within[1]}"
    )
    if not chosen:
        msg = f"{told}: no pair to compare; widen the residues or name other significances"
        raise InputError(msg)
    found = [
        Chosen(sides[side][pair[side]], label, number, float(area[pair[side] - 1]))
        for side, label in enumerate(("pathogenic", "benign"))
        for number, pair in enumerate(chosen, 1)
    ]
    stars = f"at least {LEAST_STARS} stars" if table.with_stars else "stars are not in this export"
    rule = (
        f"Pathogenic: significance exactly {' or '.join(pathogenic)}; benign: exactly "
        f"{' or '.join(benign)}; {stars}; both within residues {within[0]} to {within[1]}, one per "
        f"residue, pairs of the nearest relative accessibility first ({len(sides[0]):,} "
        f"pathogenic and {len(sides[1]):,} benign residues to choose from)."
    )
    notes = list(table.notes)
    if len(chosen) < count:
        notes.append(f"{len(chosen)} pairs, {count} were wanted: there are no more")
    return Choice(tuple(found), rule, tuple(notes))


def _candidates(
    table: ClinVarTable, area: FloatArray, within: tuple[int, int], words: tuple[str, ...]
) -> dict[int, Missense]:
    """Return the variant of each residue that may be chosen."""
    found: dict[int, Missense] = {}
    ranked = sorted(table.variants, key=lambda v: (v.position, v.coding, v.alt))
    for variant in ranked:
        at = variant.position
        if variant.significance not in words or not within[0] <= at <= within[1]:
            continue
        if table.with_stars and (variant.stars is None or variant.stars < LEAST_STARS):
            continue
        if at <= len(area) and np.isfinite(area[at - 1]):
            found.setdefault(at, variant)
    return found
