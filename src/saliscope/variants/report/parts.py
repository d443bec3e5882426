"""What all parts of the page are made of: tables, pictures, and how names and ranks are set."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader

from saliscope.show.report import environment as base
from saliscope.show.report import source
from saliscope.show.style import visible
from saliscope.variants.effects.record import Effect, Interpretation
from saliscope.variants.report.wording import minus

__all__ = [
    "Assays", "Picture", "Stars", "Table", "anchor", "capital", "listing", "render",
    "standing_text",
]  # fmt: skip

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


@functools.cache
def _environment() -> Environment:
    """Return the templates of these reports, with the settings of all reports."""
    return base().overlay(loader=PackageLoader("saliscope.variants.report", "templates"))


def render(template: str, **values: Any) -> bytes:
    """Return a page: a template filled in, every value escaped, with the styles of all reports."""
    loader = _environment().loader
    assert loader is not None
    own = loader.get_source(_environment(), "interpretation.css")[0]
    page = (
        _environment().get_template(template).render(css=f"{source('report.css')}\n{own}", **values)
    )
    return (visible(page).strip() + "\n").encode()
