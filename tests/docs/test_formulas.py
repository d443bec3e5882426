"""Formulas of the documentation are set without a network."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from saliscope.core.registry import methods

DOCS = Path(__file__).resolve().parents[2] / "docs"
svg: Callable[..., str] = runpy.run_path(str(DOCS / "_math.py"))["svg"]
FENCE, INLINE = (
    re.compile(r"```.*?```", re.DOTALL),
    re.compile(r"(?<![\\$\w])\$([^$\n`]+?)\$(?!\w)"),
)


@pytest.mark.parametrize("name", methods())
def test_the_equation_of_each_method_can_be_set(name: str) -> None:
    equation = methods()[name].equation
    made = ET.fromstring(svg(equation, display=True))
    assert made.get("aria-label") == equation
    assert len(made[0].get("d", "")) > 500


def test_formulas_within_pages_can_be_set() -> None:
    found = [
        formula
        for page in DOCS.glob("*.md")
        for formula in INLINE.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    ]
    assert len(found) > 10
    assert all(svg(formula).startswith("<svg") for formula in found)


def test_outlines_stand_on_the_line_of_the_text() -> None:
    made = ET.fromstring(svg("x < y"))
    assert made.get("aria-label") == "x < y"
    x, y, wide, tall = map(float, (made.get("viewBox") or "").split())
    path = made[0].get("d", "")
    numbers = re.findall(r"-?\d+\.\d+", path)
    points = [(float(a), float(b)) for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
    assert all(x <= a <= x + wide and y <= b <= y + tall for a, b in points)
    assert y < 0 < y + tall  # the letter y reaches below the line
    assert set(re.findall(r"[A-Za-z]", path)) <= set("MLQCZ")


def test_fractions_on_a_line_of_their_own_are_of_full_size() -> None:
    small, large = (
        float((ET.fromstring(svg(r"\frac1H", display=own)).get("viewBox") or "").split()[3])
        for own in (False, True)
    )
    assert large > 1.2 * small
    assert svg(r"\tfrac{1}{H}", display=True).count("path") == 1


def test_what_cannot_be_set_is_an_error() -> None:
    with pytest.raises(ValueError, match="Unknown symbol"):
        svg(r"\unheardof{x}")
