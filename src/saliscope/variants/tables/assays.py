"""Measured values of single changes: from a table of an assay to what stands on the page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from saliscope.core.errors import InputError
from saliscope.core.textfile import Path_
from saliscope.variants.coding.codons import ONE_LETTER, THREE_LETTERS
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.tables.rows import Rows, blank, number, own_protein, read_rows

__all__ = ["AssayTable", "read_assays"]

_VARIANT = ("hgvs_pro", "hgvs", "variant", "mutant", "protein")
_SCORE = ("score", "DMS_score", "value")
_ONE = re.compile(r"([A-Z])(\d+)([A-Z*=])")
_THREE = re.compile(r"([A-Z][a-z]{2})(\d+)([A-Z][a-z]{2}|=|\*)")


@dataclass(frozen=True)
class _Value:
    """A row: its value, and what is told beside it."""

    score: float
    interval: str = ""
    label: str = ""


@dataclass(frozen=True, eq=False)
class AssayTable:
    """Values of an assay by change; made by `read_assays`.

    Parameters
    ----------
    file, column : str
        Where the values are from, in words.
    values : mapping of str to list
        By short name ("Y240C"); several where the table has several rows of one change.
    medians : mapping of str to (float, int)
        Median and number of the synonymous changes and of the stops, where the table has them.
    other : int
        Rows that name another residue than the transcript has there, and were left out.
    """

    file: str
    column: str
    values: Mapping[str, list[_Value]] = field(repr=False)
    medians: Mapping[str, tuple[float, int]]
    other: int

    def of(self, changes: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Return what was measured of changes, by short name, with its source.

        Examples
        --------
        >>> low = {"Y240C": [_Value(0.6, label="low")]}
        >>> table = AssayTable("a.csv", "column score", low, {}, 0)
        >>> table.of(["Y240C", "A154T"])["Y240C"]
        ('0.600, low', 'a.csv, column score')
        >>> table.of(["A154T"])["A154T"][0]
        'not measured'
        """
        source = f"{self.file}, {self.column}"
        if self.medians:
            known = (f"{value:.3g} for {n:,} {what}" for what, (value, n) in self.medians.items())
            source += f"; medians of the same table: {', '.join(known)}"
        return {short: (self._told(short), source) for short in changes}

    def _told(self, short: str) -> str:
        found = self.values.get(short, [])
        if not found:
            return "not measured"
        if len(found) == 1:
            one = found[0]
            return f"{one.score:.3f}{one.interval}{f', {one.label}' if one.label else ''}"
        scores = [value.score for value in found]
        return f"{min(scores):.3f} to {max(scores):.3f} in {len(scores)} rows"

    @property
    def note(self) -> str:
        """What a reader must know of the values."""
        text = f"measured values from {self.file}: they are of the change alone, on one background"
        if self.other:
            text += f"; {self.other:,} of its rows name another residue and are left out"
        return text


def read_assays(path: Path_, transcript: Transcript) -> AssayTable:
    r"""Read measured values of single changes.

    Known are the tables of MaveDB, of ProteinGym and of VAMP-seq, and any other with

    ``hgvs_pro``, ``hgvs``, ``variant``, ``mutant`` or ``protein``
        The change: "p.Tyr240Cys", "Tyr240Cys" or "Y240C"; "=" is synonymous, "Ter", "*" or (in one
        letter) "X" a stop. Rows of several changes, or of none, are left out.
    ``score``, ``DMS_score`` or ``value``
        The value; blank or NA where there is none.
    ``lower_ci`` and ``upper_ci``, ``abundance_class`` or ``classification`` (optional)
        Shown beside it.

    Parameters
    ----------
    path : path
        CSV or TSV.
    transcript : Transcript

    Raises
    ------
    InputError
        One line: a column is missing; with its row, a value that is not a number; most rows name
        residues that the protein does not have.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "a.csv"
    ...     _ = file.write_text("hgvs_pro,score\np.Lys2Arg,0.5\n")
    ...     table = read_assays(file, Transcript("T.1", "T", "ATGAAACGTTAA"))
    >>> table.of(["K2R"])
    {'K2R': ('0.500', 'a.csv, column score')}
    """
    table = read_rows(path)
    variant, score = table.need(*_VARIANT), table.need(*_SCORE)
    places = (
        variant, score, table.find("lower_ci"), table.find("upper_ci"),
        table.find("abundance_class", "classification"),
    )  # fmt: skip
    rows = [
        (line, read, cells)
        for line, (name, *cells) in table.cells(*places)
        if (read := _single(name)) is not None
    ]
    if not rows:
        msg = f"{path}: names no single change of a residue, such as p.Tyr240Cys or Y240C"
        raise InputError(msg)
    wrong = own_protein(table, transcript, ((line, read[0], read[1]) for line, read, _ in rows))
    values: dict[str, list[_Value]] = {}
    kinds: dict[str, list[float]] = {"synonymous changes": [], "stops": []}
    for line, (ref, position, alt), cells in rows:
        value = _value(table, line, table.columns[score], cells)
        if line in wrong or value is None:
            continue
        if alt in {ref, "*"}:
            kinds["stops" if alt == "*" else "synonymous changes"].append(value.score)
        values.setdefault(_short(ref, position, alt), []).append(value)
    medians = {what: (median(found), len(found)) for what, found in kinds.items() if found}
    with_interval = places[2] is not None and places[3] is not None
    column = f"column {table.columns[score]}{' [lower_ci, upper_ci]' if with_interval else ''}"
    return AssayTable(table.name, column, values, medians, len(wrong))


def _value(table: Rows, line: int, column: str, cells: Sequence[str]) -> _Value | None:
    score, low, high = (
        number(table.path, line, name, cell)
        for name, cell in zip((column, "lower_ci", "upper_ci"), cells[:3], strict=True)
    )
    if score is None:
        return None
    between = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return _Value(score, between, "" if blank(cells[3]) else cells[3].replace("_", " "))


def _single(name: str) -> tuple[str, int, str] | None:
    """Return residue, position and new residue of a single change; None for anything else.

    Examples
    --------
    >>> _single("p.(Tyr240Cys)"), _single("Y240C"), _single("p.Gly3="), _single("D2X")
    (('Y', 240, 'C'), ('Y', 240, 'C'), ('G', 3, 'G'), ('D', 2, '*'))
    >>> _single("p.[Ala1Gly;Tyr2Cys]"), _single("A1G:Y2C"), _single("WT")
    (None, None, None)
    """
    body = name.rpartition(":")[2] if ":p." in name else name
    body = body.removeprefix("p.").strip("()")
    if one := _ONE.fullmatch(body):
        ref, alt = one[1], {"X": "*"}.get(one[3], one[3])
        known = ref in THREE_LETTERS and (alt in THREE_LETTERS or alt in "*=")
        return (ref, int(one[2]), ref if alt == "=" else alt) if known else None
    three = _THREE.fullmatch(body)
    if three is None or three[1] not in ONE_LETTER:
        return None
    ref = ONE_LETTER[three[1]]
    found = {"=": ref, "*": "*"}.get(three[3], ONE_LETTER.get(three[3], ""))
    return (ref, int(three[2]), found) if found else None


def _short(ref: str, position: int, alt: str) -> str:
    """Return the short name that a change of the coding sequence has (see `Change`)."""
    if alt == ref:
        return f"{THREE_LETTERS[ref]}{position}="
    if alt == "*":
        return f"{THREE_LETTERS[ref]}{position}Ter"
    return f"{ref}{position}{alt}"
