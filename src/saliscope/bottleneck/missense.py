"""Does a missense variant survive the bottleneck, and which slots carry it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from saliscope.api.inputs import Input
from saliscope.bottleneck.cut import Cut, Pressed
from saliscope.bottleneck.tasks import AMINO
from saliscope.core.errors import InputError, OptionError
from saliscope.core.units import FloatArray

__all__ = ["Variant", "drawn_variants", "follow", "noise_of", "read_variants"]

_TRACED = 4  # slots of the largest change that are put in one at a time
_NAME = re.compile(r"(?:(.+):)?([A-Z])(\d+)([A-Z])")


class Variant(NamedTuple):
    """A missense variant of one of the proteins.

    Parameters
    ----------
    protein : int
        Number of the protein.
    position : int
        From 1.
    ref, alt : str
    """

    protein: int
    position: int
    ref: str
    alt: str

    @property
    def name(self) -> str:
        """As one writes it: "E7V"."""
        return f"{self.ref}{self.position}{self.alt}"

    def of(self, sequence: str) -> str:
        """Return the protein with the variant."""
        return sequence[: self.position - 1] + self.alt + sequence[self.position :]


def read_variants(names: Sequence[str], proteins: Sequence[Input]) -> list[Variant]:
    """Return variants by name: "E7V" of the only protein, or "HBB:E7V".

    Raises
    ------
    OptionError
        What is no missense variant, or of no protein that is given.
    InputError
        Another residue stands there.

    Examples
    --------
    >>> read_variants(["E7V"], [Input("HBB", "MVHLTPEEK")])[0].position
    7
    """
    where = {p.name: i for i, p in enumerate(proteins)}
    found = []
    for name in names:
        parts = _NAME.fullmatch(name.strip())
        if parts is None:
            msg = f"variant {name!r} is not understood; write E7V, or HBB:E7V of several proteins"
            raise OptionError(msg)
        protein, ref, position, alt = parts.groups()
        if protein is None and len(proteins) > 1:
            msg = f"variant {name!r}: say of which protein, e.g. {proteins[0].name}:{name}"
            raise OptionError(msg)
        if protein is not None and protein not in where:
            msg = f"variant {name!r}: there is no protein {protein!r}; known: {', '.join(where)}"
            raise OptionError(msg)
        number = 0 if protein is None else where[protein]
        letters = str(proteins[number].raw).upper()
        place = int(position)
        there = letters[place - 1] if 0 < place <= len(letters) else None
        if there != ref:
            stands = f"has {there} there" if there else f"has {len(letters)} residues"
            msg = f"variant {name!r}: {proteins[number].name} {stands}; check numbering and isoform"
            raise InputError(msg)
        if alt == ref or alt not in AMINO:
            msg = f"variant {name!r} is no missense variant; write two different residues"
            raise OptionError(msg)
        found.append(Variant(number, place, ref, alt))
    return found


def drawn_variants(sequences: Sequence[str], count: int, seed: int = 0) -> list[Variant]:
    """Return so many missense variants, spread over the proteins, place and residue by chance."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(sequences)).tolist()
    found = []
    for number in range(count):
        protein = order[number % len(order)]
        letters = sequences[protein].upper()
        place = int(rng.integers(len(letters)))
        others = [a for a in AMINO if a != letters[place]]
        alt = others[int(rng.integers(len(others)))]
        found.append(Variant(protein, place + 1, letters[place], alt))
    return found


def distance(one: FloatArray, other: FloatArray) -> float:
    """Return how far numbers are from others, relative to the size of the others."""
    size = float(np.linalg.norm(other))
    return float(np.linalg.norm(one - other)) / size if size else float("nan")


def noise_of(cut: Cut, raws: Sequence[Any], pressed: Sequence[Pressed]) -> float:
    """Return the relative error of the bottleneck: against the same pass in double precision.

    The largest of the first few inputs, and no less than the precision of doubles.
    """
    exact = cut.double()
    few = list(zip(raws, pressed, strict=True))[:5]
    found = [distance(own.numbers, exact.press(raw).numbers) for raw, own in few]
    return max(float(np.finfo(np.float64).eps), *found)


def follow(
    cut: Cut, proteins: Sequence[Input], pressed: Sequence[Pressed], variants: Sequence[Variant],
    families: Sequence[int], noise: float,
) -> pd.DataFrame:  # fmt: skip
    """Follow variants through the bottleneck.

    Returns
    -------
    pandas.DataFrame
        A row per variant: what is written at its place ("variant", "reference" or another
        residue), its probability there, how far the bottleneck moved (relative) and how many times
        numeric noise, how many other places are written otherwise; after a swap, the probability
        of the variant's residue in a pass of the reference with the variant's bottleneck, and the
        reverse; how many slots hold 90 % of the change, the slot that carries most, and the share
        of the change in log odds that this slot brings when it alone is swapped.
    """
    rows: list[dict[str, Any]] = []
    for one in variants:
        raw = str(proteins[one.protein].raw).upper()
        changed = one.of(raw)
        fed, own = cut.feed(changed), pressed[one.protein]
        moved = cut.press(changed)
        assert fed.said is not None
        assert own.written is not None
        assert moved.written is not None
        reference = cut.feed(raw).said
        assert reference is not None
        place = one.position - 1
        alt, ref = int(fed.said[place]), int(reference[place])
        same = moved.numbers.shape == own.numbers.shape
        said = int(moved.written[place].argmax())
        away = distance(moved.numbers, own.numbers) if same else float("nan")
        others = np.arange(len(fed.said)) != place
        wrote = moved.written.argmax(-1)[: len(others)] != own.written.argmax(-1)[: len(others)]
        row: dict[str, Any] = {
            "protein": proteins[one.protein].name, "variant": one.name,
            "position": one.position, "residues": len(raw),
            "family": families[one.protein],
            "written": "variant" if said == alt else "reference" if said == ref else "another",
            "survives": float(said == alt),
            "probability": float(np.exp(moved.written[place, alt])),
            "distance": away, "times noise": away / noise, "other places": int(wrote[others].sum()),
        }  # fmt: skip
        rows.append({**row, **(_swapped(cut, raw, changed, own, moved, place, alt, ref) if same
                               else {})})  # fmt: skip
    return pd.DataFrame(rows)


def _swapped(
    cut: Cut, raw: str, changed: str, own: Pressed, moved: Pressed, place: int, alt: int, ref: int
) -> dict[str, float]:
    def odds(written: FloatArray) -> float:
        return float(written[place, alt] - written[place, ref])

    forth = cut.write(raw, moved.numbers)
    back = cut.write(changed, own.numbers)
    squares = ((moved.numbers - own.numbers) ** 2).sum(-1)
    order = np.argsort(-squares, kind="stable")
    total = squares.sum()
    held = int(np.searchsorted(np.cumsum(squares[order]) / total, 0.9) + 1) if total else 0
    assert own.written is not None
    before, whole = odds(own.written), odds(forth)
    best, most = int(order[0]), -np.inf
    for slot in order[:_TRACED].tolist():
        mixed = own.numbers.copy()
        mixed[slot] = moved.numbers[slot]
        gained = odds(cut.write(raw, mixed)) - before
        if gained > most:
            best, most = slot, gained
    return {
        "swapped forth": float(np.exp(forth[place, alt])),
        "swapped back": float(np.exp(back[place, ref])),
        "slots": held, "slot": best + 1,
        "share of slot": most / (whole - before) if whole != before else float("nan"),
    }  # fmt: skip
