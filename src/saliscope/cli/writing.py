"""Writing results of many records: one tidy table, one report, and a table of failures."""

from __future__ import annotations

import csv
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from operator import methodcaller
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from saliscope.attention.map import AttentionMap
from saliscope.core.attribution import Attribution
from saliscope.core.errors import SaliscopeError
from saliscope.core.files import staged, write_beside
from saliscope.core.record import Record
from saliscope.core.render import renderer

__all__ = [
    "REPORTED", "Failure", "Verdict", "Written", "lost", "write_failures", "write_report",
    "write_verdicts",
]  # fmt: skip

REPORTED = 50
"""Records that the report shows; the table holds all."""

# The order of the columns that all methods share; others stand behind "value".
_ORDER = (
    "record", "method", "target", "layer", "module", "head", "query", "key", "position",
    "residue", "token", "word", "sentence", "codon", "window", "group", "start", "end", "first",
    "last", "coding_start", "coding_end", "units", "row", "column", "cell", "number", "character",
    "confidence", "y", "x", "value",
)  # fmt: skip
_HELD = 64
_SHARED = 10_000  # rows up to which a table is kept for other results of the same numbers
_NAMED = 200  # characters of a target's name in a table; the record has all of it


class Failure(NamedTuple):
    """A record that a method has no result for."""

    record: str
    method: str
    error: SaliscopeError

    @property
    def reason(self) -> str:
        """The message on one line, without the record's name in front."""
        return " ".join(str(self.error).split()).removeprefix(f"{self.record}: ")


class Verdict(NamedTuple):
    """What a test said of a map."""

    record: str
    method: str
    verdict: str
    sentence: str


class _Writer(Protocol):
    """What `csv.writer` returns."""

    def writerow(self, row: Iterable[Any], /) -> Any:
        """Write one row."""
        ...


class _Table(NamedTuple):
    """The rows of one result without its name and method."""

    owner: object
    columns: tuple[str, ...]
    rows: Iterable[tuple[Any, ...]]


class Written:
    """Streams results into a table and keeps the first ones for the report.

    Parameters
    ----------
    table : pathlib.Path
        Where the rows go; each row leads with record, method and target.
    source : str
        What the records come from, for messages.
    frame : callable
        From a result to its rows, a data frame.
    """

    def __init__(
        self, table: Path, source: str, frame: Callable[[Any], Any] = methodcaller("to_frame")
    ) -> None:
        self.table, self.source, self.frame = table, source, frame
        self.count = 0
        self.shown: list[Record] = []
        self.failures: list[Failure] = []
        self.verdicts: list[Verdict] = []
        self._names: set[str] = set()
        self._columns: list[str] = []
        self._grown = False
        self._tables: OrderedDict[int, _Table] = OrderedDict()

    def add(
        self, results: Iterable[tuple[str, str, Attribution | AttentionMap | SaliscopeError]]
    ) -> None:
        """Write (record, method, result or error) triples; the file appears when all went well.

        Methods differ in their columns, and all are kept: the table has the union of them, and a
        cell stays empty where a method has no such number.

        Raises
        ------
        SaliscopeError
            If nothing but failures came; no file is left then.
        """
        with staged(self.table) as beside:
            with beside.open("w", newline="", encoding="utf-8") as file:
                writer: _Writer = csv.writer(file, lineterminator="\n")
                for name, method, result in results:
                    if isinstance(result, SaliscopeError):
                        self.failures.append(Failure(name, method, result))
                    else:
                        self._write(writer, name, method, result)
            if not self.count and self.failures:
                raise self._nothing()
            if self._grown:
                _arrange(beside, self._columns)

    def _write(
        self, writer: _Writer, name: str, method: str, result: Attribution | AttentionMap
    ) -> None:
        table = self._table(result)
        if not self._columns:
            self._columns = _ordered(["record", "method", *table.columns])
            writer.writerow(self._columns)
        new = [c for c in table.columns if c not in self._columns]
        self._grown = self._grown or bool(new)
        self._columns += new
        place = [self._columns.index(c) for c in table.columns]
        straight = place == list(range(2, 2 + len(place)))
        blank: list[Any] = [""] * len(self._columns)
        blank[:2] = name, method
        for row in table.rows:
            if straight:
                writer.writerow((name, method, *row))
                continue
            cells = blank.copy()
            for where, value in zip(place, row, strict=True):
                cells[where] = value
            writer.writerow(cells)
        self.count += 1
        self.verdicts += [
            Verdict(name, method, said["verdict"], said["sentence"])
            for said in result.meta.get("trust", ())
        ]
        if name in self._names or len(self._names) < REPORTED:
            self._names.add(name)
            self.shown.append(result)

    def _table(self, result: Attribution | AttentionMap) -> _Table:
        """Return the rows of a result; results of equal inputs share their numbers and rows."""
        owner = result.data
        known = self._tables.get(id(owner))
        if known is not None:
            return known
        frame = self.frame(result)
        if "target" not in frame and result.meta.get("target"):
            named = str(result.meta["target"][0])  # can be a whole line of text, in every row
            short = named if len(named) <= _NAMED else f"{named[: _NAMED - 1]}…"
            frame.insert(0, "target", short)
        rows = frame.itertuples(index=False, name=None)
        columns = tuple(map(str, frame.columns))
        if len(frame) > _SHARED:
            return _Table(owner, columns, rows)
        made = _Table(owner, columns, list(rows))  # holds its owner: the id stays
        self._tables[id(owner)] = made
        if len(self._tables) > _HELD:
            self._tables.popitem(last=False)
        return made

    def _nothing(self) -> SaliscopeError:
        """Return the error of a run in which every record failed."""
        first = self.failures[0]
        records = {f.record for f in self.failures}
        if len(records) > 1 and len({f.reason for f in self.failures}) == 1:
            return type(first.error)(first.reason)  # it is not about a record
        more = f" (as all {len(records):,} records: nothing is written)" if len(records) > 1 else ""
        where = dict.fromkeys((self.source, first.record))  # of a literal input they are the same
        return type(first.error)(f"{', '.join(where)}: {first.reason}{more}")


def _ordered(columns: Sequence[str]) -> list[str]:
    known = [c for c in _ORDER if c in columns]
    return [*known, *(c for c in columns if c not in _ORDER)]


def _arrange(path: Path, columns: Sequence[str]) -> None:
    """Give all rows of a table all columns, in their order."""
    take = [columns.index(c) for c in _ordered(columns)]
    with (
        staged(path) as beside,
        path.open(newline="", encoding="utf-8") as source,
        beside.open("w", newline="", encoding="utf-8") as file,
    ):
        writer: _Writer = csv.writer(file, lineterminator="\n")
        rows = csv.reader(source)
        next(rows)
        writer.writerow(_ordered(columns))
        for row in rows:
            writer.writerow([row[i] if i < len(row) else "" for i in take])


def write_report(path: Path, records: list[Record], title: str) -> None:
    """Write the self-contained HTML report."""
    write_beside(path, str(renderer("html")(records, title=title)).encode())


def write_failures(folder: Path, failures: Sequence[Failure]) -> None:
    """Write failures.csv, or remove an old one where nothing failed."""
    rows = [(f.record, f.method, type(f.error).__name__, f.reason) for f in failures]
    _write_rows(folder / "failures.csv", ("record", "method", "error", "reason"), rows)


def lost(failures: Sequence[Failure], inputs: int, table: Path) -> str:
    """Return one line about failures, naming the first."""
    first = failures[0]
    count = len({f.record for f in failures})
    return (
        f"{count:,} of {inputs:,} records failed, the first: {first.record} ({first.method}): "
        f"{first.reason}; see {table}"
    )


def write_verdicts(folder: Path, verdicts: Sequence[Verdict]) -> None:
    """Write verdicts.csv, or remove an old one where nothing was tested."""
    _write_rows(folder / "verdicts.csv", Verdict._fields, verdicts)


def _write_rows(path: Path, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        path.unlink(missing_ok=True)
        return
    with staged(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer: _Writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        for row in rows:
            writer.writerow(row)
