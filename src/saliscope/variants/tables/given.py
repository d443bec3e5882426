"""All tables that a user gave, and what of them a report of one person shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from saliscope.core.textfile import Path_
from saliscope.variants.coding.naming import parse_coding
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.effects.record import Interpretation
from saliscope.variants.tables.assays import AssayTable, read_assays
from saliscope.variants.tables.features import FeatureTable, read_features
from saliscope.variants.tables.stars import StarTable, read_stars

__all__ = ["Tables", "read_tables"]

_MEASURED = frozenset({"missense", "stop_gained"})
"""Kinds of change of which the page says that an assay has no value, where it has none."""


@dataclass(frozen=True)
class Tables:
    """Star alleles, measured values and features of one gene; made by `read_tables`.

    Parameters
    ----------
    transcript : Transcript
    stars : StarTable, optional
    assays : AssayTable, optional
    features : FeatureTable, optional
    """

    transcript: Transcript
    stars: StarTable | None = None
    assays: AssayTable | None = None
    features: FeatureTable | None = None

    def of(self, interpretation: Interpretation) -> dict[str, Any]:
        """Return the keywords of `report_html` for one person."""
        found: dict[str, Any] = {}
        if self.stars is not None:
            found["stars"] = dict(self._named(interpretation, self.stars))
        if self.assays is not None:
            found["assays"] = self.assays.of(
                e.short for e in interpretation.effects
                if e.kind in _MEASURED or e.short in self.assays.values
            )  # fmt: skip
        if self.features is not None:
            found |= {"domains": self.features.domains, "structure": self.features.structure}
        return found

    def noted(self, interpretation: Interpretation) -> Interpretation:
        """Return the interpretation with star names, measured values, and notes on the tables."""
        told = [t.note for t in (self.stars, self.assays, self.features) if t is not None]
        shown = self.of(interpretation)
        stars, assays = shown.get("stars", {}), shown.get("assays", {})
        none = ("", "")
        return replace(
            interpretation, notes=(*interpretation.notes, *told),
            copies=tuple(
                replace(c, star=star, function=function)
                for c in interpretation.copies
                for star, function in [stars.get(c.label, none)]
            ),
            effects=tuple(
                replace(e, assay=str(value), assay_source=source)
                for e in interpretation.effects
                for value, source in [assays.get(e.short, none)]
            ),
        )  # fmt: skip

    def _named(
        self, interpretation: Interpretation, stars: StarTable
    ) -> Iterator[tuple[str, tuple[str, str]]]:
        for number, copy in enumerate(interpretation.copies, 1):
            own = [e.coding for e in interpretation.effects if e.copy == number]
            edits = [e for name in own for e in parse_coding(name, self.transcript).haplotypes[0]]
            yield copy.label, stars.name(edits)


def read_tables(
    transcript: Transcript, *, stars: Path_ | None = None, assays: Path_ | None = None,
    features: Path_ | None = None,
) -> Tables:  # fmt: skip
    r"""Read the tables that a report can show beside a model's numbers.

    Parameters
    ----------
    transcript : Transcript
        As the genotypes were placed on it: `transcript` of `Calls`.
    stars, assays, features : path, optional
        See `read_stars`, `read_assays` and `read_features`.

    Raises
    ------
    InputError
        One line: file, row, reason, remedy.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> t = Transcript("T.1", "T", "ATGAAACGTTAA")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "stars.csv"
    ...     _ = file.write_text("allele,function,coding\n*1,Normal,c.=\n*2,None,c.5A>G\n")
    ...     tables = read_tables(t, stars=file)
    >>> [allele.name for allele in tables.stars.alleles]
    ['*1', '*2']
    """
    return Tables(
        transcript,
        None if stars is None else read_stars(stars, transcript),
        None if assays is None else read_assays(assays, transcript),
        None if features is None else read_features(features, transcript),
    )
