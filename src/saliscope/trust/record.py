"""Trust: what a test of a map found, in numbers and in words."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from saliscope.core.files import write_beside
from saliscope.core.record import Record

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["ALIKE", "COLUMNS", "DRAWS", "FEWEST", "LEVEL", "Trust", "Verdict", "verdict_of"]

Verdict = Literal["passes", "weak", "fails", "not assessed"]

DRAWS = 999
"""Shuffled copies without which there is no verdict."""
FEWEST = 6
"""Groups without which only the very best order is one in a hundred, or none."""
LEVEL = 0.01
"""A map beats its shuffled copies where p is at most this."""
ALIKE = 0.5
"""A map that is more alike than this to that of random weights does not show the model."""
COLUMNS = ("value", "low", "high", "null", "null_low", "null_high", "p")

_WORDS = {
    "passes": "Passes",
    "weak": "Weak",
    "fails": "Fails",
    "not assessed": "Not assessed",
}


def verdict_of(*, faithful: bool | None, own: bool | None) -> Verdict:
    """Return the verdict.

    Parameters
    ----------
    faithful : bool or None
        Whether deletion and insertion both beat the shuffled copies; None where that could not be
        tested.
    own : bool or None
        Whether the map is another one with random weights; None where the method uses none.

    Examples
    --------
    >>> verdict_of(faithful=True, own=True), verdict_of(faithful=True, own=None)
    ('passes', 'passes')
    >>> verdict_of(faithful=True, own=False), verdict_of(faithful=False, own=False)
    ('weak', 'fails')
    >>> verdict_of(faithful=None, own=True)
    'not assessed'
    """
    if faithful is None:
        return "not assessed"
    held = [faithful, *([] if own is None else [own])]
    return "passes" if all(held) else "weak" if any(held) else "fails"


class Trust(Record):
    """How far one map of one input can be trusted.

    A table of measures (`to_frame`), the curves of deletion and insertion with the band of
    shuffled copies (`data`), and a verdict (`verdict`, `sentence`).

    Columns of the table: `value`; `low` and `high` of its 95 % interval; `null`, `null_low` and
    `null_high`, the mean and the middle 95 % of shuffled copies; `p`, the share of copies that are
    as good, the map among them.
    """

    kind: ClassVar[str] = "trust"

    @property
    def verdict(self) -> Verdict:
        """One of "passes", "weak", "fails" and "not assessed"."""
        found: Verdict = self._meta["verdict"]
        return found

    @property
    def reason(self) -> str:
        """Why it was not assessed (else empty)."""
        return str(self._meta.get("reason", ""))

    @property
    def method(self) -> str:
        """Name of the method of the map; "given" for an array."""
        return str(self._meta["method"])

    @property
    def target(self) -> str:
        """Name of the target."""
        return str(self._meta["target"][0])

    @property
    def faithful(self) -> bool | None:
        """Whether deletion and insertion beat the shuffled copies (or None)."""
        found: bool | None = self._meta["faithful"]
        return found

    @property
    def own(self) -> bool | None:
        """Whether random weights give another map (None where the method uses none)."""
        found: bool | None = self._meta["own"]
        return found

    @property
    def evaluations(self) -> int:
        """Model rows that were run for the test."""
        return int(self.provenance["evaluations"])

    def __getitem__(self, measure: str) -> Mapping[str, float]:
        """Return the row of a measure, as a mapping of columns; KeyError where there is none."""
        row = self._data.sel(measure=measure)
        return {
            "value": float(row["values"]),
            **{c: float(row[c]) for c in COLUMNS if c != "value"},
        }

    def to_frame(self) -> pd.DataFrame:
        """Return the table of measures."""
        names = ["values", *(c for c in COLUMNS if c != "value")]
        frame = self._data[names].to_dataframe().reset_index()
        return frame[["measure", *names]].rename(columns={"values": "value"})

    @property
    def sentence(self) -> str:
        """The verdict and what it rests on, in words."""
        word = _WORDS[self.verdict]
        if self.verdict == "not assessed":
            return f"{word}: {self.reason}"
        return f"{word}: {self._order()}{self._weights()}."

    def _order(self) -> str:
        deletion, insertion = self["deletion"]["p"], self["insertion"]["p"]
        draws = int(self._meta["draws"])
        what = f"{self._meta['unit_kind']}s"
        if self.faithful:
            return (
                f"taking away and putting back {what} in the order of this map moves the target "
                f"more than in the order of {draws:,} shuffled copies (p = {deletion:.3f} and "
                f"{insertion:.3f})"
            )
        bad = [
            f"{name} (p = {p:.3g})"
            for name, p in (("deletion", deletion), ("insertion", insertion))
            if p > LEVEL
        ]
        return (
            f"in {' and '.join(bad)} the order of this map is not clearly better than chance "
            f"(p at most {LEVEL}): too many of {draws:,} shuffled copies move the target as much"
        )

    def _weights(self) -> str:
        if self.own is None:
            why = self._meta["unweighted"]
            return f"; {why}, so random weights say nothing here" if why else ""
        value = self["randomized"]["value"]
        if self.own:
            return f"; with random weights the map is another one (rank similarity {value:.2f})"
        return (
            f"; with random weights the map stays much the same (rank similarity {value:.2f}), so "
            "it shows the input rather than the model"
        )

    def plot(self, **options: Any) -> Figure:
        """Draw the curves beside shuffled copies, and the map's fate under random weights."""
        from saliscope.trust.figure import trust_figure

        return trust_figure(self, **options)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return (and with `path` write) a page: verdict, curves, table; readable offline."""
        from saliscope.trust.page import trust_html

        text = trust_html([self])
        if path is not None:
            write_beside(path, text.encode())
        return text

    def _repr_html_(self) -> str:
        from saliscope.trust.page import trust_section

        return trust_section(self)

    def __repr__(self) -> str:
        lines = [f"Trust in the map of {self.name or 'input'} by {self.method}"]
        lines += [f"  target       {self.target}", f"  verdict      {self.sentence}"]
        for _, row in self.to_frame().iterrows():
            text = f"  {row['measure']:<26} {row['value']:.4g}"
            if row["low"] == row["low"]:
                text += f"  ({row['low']:.4g} to {row['high']:.4g})"
            if row["null"] == row["null"]:
                text += f"  shuffled {row['null']:.4g}"
            if row["p"] == row["p"]:
                text += f"  p {row['p']:.3g}"
            lines.append(text)
        lines.append(f"  cost         {self.evaluations:,} evaluations")
        return "\n".join(lines)
