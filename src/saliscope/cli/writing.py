"""Writing results of many records: one tidy table, one report, and a table of failures."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from saliscope.cli.common import staged
from saliscope.core.errors import SaliscopeError
from saliscope.core.record import Record, write_beside
from saliscope.core.render import renderer

__all__ = ["REPORTED", "Written", "write_failures", "write_report"]

REPORTED = 50
"""Records that the report shows; the table holds all."""


class Written:
    """Streams results into a table and keeps the first ones for the report.

    Parameters
    ----------
    table : pathlib.Path
        Where the rows go; each row leads with record, method and target.
    """

    def __init__(self, table: Path) -> None:
        self.table = table
        self.count = 0
        self.shown: list[Record] = []
        self.failures: list[tuple[str, str, SaliscopeError]] = []
        self._columns: list[str] | None = None

    def add(self, results: Iterable[tuple[str, str, object]]) -> None:
        """Write (record, method, result or error) triples; the file appears when all went well."""
        with staged(self.table) as beside, beside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            for name, method, result in results:
                if isinstance(result, SaliscopeError):
                    self.failures.append((name, method, result))
                    continue
                assert isinstance(result, Record)
                self._rows(writer, name, method, result)
            if not self.count and self.failures:
                raise self.failures[0][2]

    def _rows(self, writer: object, name: str, method: str, result: Record) -> None:
        frame = result.to_frame()  # type: ignore[attr-defined]
        if "target" not in frame and result.meta.get("target"):
            frame.insert(0, "target", result.meta["target"][0])
        frame.insert(0, "method", method)
        frame.insert(0, "record", name)
        if self._columns is None:
            self._columns = list(frame.columns)
            writer.writerow(self._columns)  # type: ignore[attr-defined]
        frame = frame.reindex(columns=self._columns)
        writer.writerows(frame.itertuples(index=False, name=None))  # type: ignore[attr-defined]
        self.count += 1
        if len({r.name for r in self.shown} | {result.name}) <= REPORTED:
            self.shown.append(result)


def write_report(path: Path, records: list[Record], title: str) -> None:
    """Write the self-contained HTML report."""
    write_beside(path, str(renderer("html")(records, title=title)).encode())


def write_failures(folder: Path, failures: list[tuple[str, str, SaliscopeError]]) -> None:
    """Write failures.csv, or remove an old one where nothing failed."""
    path = folder / "failures.csv"
    if not failures:
        path.unlink(missing_ok=True)
        return
    with staged(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["record", "method", "error", "reason"])
        for name, method, error in failures:
            writer.writerow([name, method, type(error).__name__, " ".join(str(error).split())])
