"""What all parts of the page are made of: tables, pictures, and how names and ranks are set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from saliscope.variants.effects.record import Effect, Interpretation
from saliscope.variants.report.wording import minus

__all__ = ["Assays", "Picture", "Stars", "Table", "anchor", "capital", "listing", "standing_text"]

Stars = Mapping[str, tuple[str, str]]
"""Label of a haplotype ("p.Tyr240Cys", "reference"): star-allele name, catalogued function."""
Assays = Mapping[str, tuple[float | str, str]]
"""Short name of a change ("Y240C"): measured value, and where it was measured."""


@dataclass(frozen=True)
class Table:
    """Head and rows; a row may be marked. Cells from `numeric` on are numbers."""

    caption: str
    head: list[str]
    rows: list[tuple[list[str], str]]
    """Cells, and "own", "sum" or ""."""
    numeric: int = 1


@dataclass(frozen=True)
class Picture:
    """An SVG element, and the words above it."""

    svg: str
    caption: str


def anchor(interpretation: Interpretation, effect: Effect) -> str:
    """Return the id of the section of one change on one copy."""
    return f"variant-{interpretation.effects.index(effect) + 1}"


def listing(names: Sequence[str]) -> str:
    """Return names as a sentence lists them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def standing_text(effect: Effect) -> str:
    """Return the quantile with its interval, then sigma as a unit."""
    if effect.standing is None:
        return "nothing to compare with"
    return minus(f"{effect.standing.text()}; {effect.standing.sigma_text()}")


def capital(text: str) -> str:
    """Return `text` with its first letter as at the start of a sentence."""
    return text[:1].upper() + text[1:]
