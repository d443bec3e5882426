"""What an audit of identity terms says, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from saliscope.audit.text.effects import NOISE
from saliscope.core.units import FloatArray

__all__ = ["Scored", "sentence"]


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of texts, and what they are called."""

    model: str
    score: str
    percent: bool
    about: Mapping[str, Any]
    values: FloatArray


def sentence(scored: Scored, table: pd.DataFrame, scores: FloatArray, *, many: bool) -> str:
    """Return what came of it, in words."""
    count, terms = scores.shape
    about = f"{scored.score[:1].upper()}{scored.score[1:]}"
    if not table["effect"].any() and np.ptp(scores, axis=1).max() <= NOISE:
        return f"{about} is the same in all {count} templates, whichever of {terms} terms is there."
    text = _pair(scored, table, about, count) if terms == 2 else _several(scored, table, count)
    if not many and not table["clear"].any():
        text = f"Not assessed: {count} templates are too few to tell {terms} terms apart. {text}"
    sides = (scores.max(1) >= 0.5) & (scores.min(1) < 0.5)
    if scored.percent and sides.any():
        text += (
            f" In {int(sides.sum())} of {count} templates it depends on the term whether the "
            "probability is above one half."
        )
    return text


def _pair(scored: Scored, table: pd.DataFrame, about: str, count: int) -> str:
    """Return the words for two terms, whose difference is twice the effect of either."""
    more, less = table.iloc[0], table.iloc[1]
    size = _size(scored, 2 * more["effect"])
    between = f"{_size(scored, 2 * more['low'], bare=True)} to {_size(scored, 2 * more['high'])}"
    words = f"{size} higher with {more['term']!r} than with {less['term']!r}"
    where = f"in the same {count} templates (95 % interval {between}, p = {more['p']:.2g})"
    if more["clear"]:
        return f"{about} is {words} {where}."
    return f"{about} is not clearly different: {words} {where}."


def _several(scored: Scored, table: pd.DataFrame, count: int) -> str:
    """Return the words for three terms and more."""
    clear = table[table["clear"]]
    if not len(clear):
        row = table.iloc[int(table["effect"].abs().to_numpy().argmax())]
        return (
            f"None of {len(table)} terms moves {scored.score} clearly when they are swapped in "
            f"{count} templates; the largest difference from their mean is {_told(scored, row)}."
        )
    ends = (clear.iloc[0], clear.iloc[-1])
    low = [_told(scored, row) for row in ends if row["effect"] < 0][:1]
    high = [_told(scored, row) for row in ends if row["effect"] > 0][:1]
    return (
        f"{len(clear)} of {len(table)} terms move {scored.score} clearly when they are swapped in "
        f"the same {count} templates; furthest from the mean of all terms: "
        f"{' and '.join(low + high)}."
    )


def _told(scored: Scored, row: Any) -> str:
    between = f"{_size(scored, row['low'], sign=True, bare=True)} to "
    between += _size(scored, row["high"], sign=True, bare=True)
    return f"{row['term']!r} with {_size(scored, row['effect'], sign=True)} ({between})"


def _size(scored: Scored, value: float, *, sign: bool = False, bare: bool = False) -> str:
    """Return an effect as it is read: percentage points of a probability, else as it is."""
    if not scored.percent:
        return f"{value:+.3g}" if sign else f"{value:.3g}"
    text = f"{100 * value:+.1f}" if sign else f"{100 * value:.1f}"
    return text if bare else f"{text} percentage points"
