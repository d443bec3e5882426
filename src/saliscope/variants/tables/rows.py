"""Rows of a table by the names of its columns, and refusals that say what is there instead."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from saliscope.core.errors import InputError, nearest
from saliscope.core.textfile import Path_, text_of
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.population.reading import rows_of

__all__ = ["NOTHING", "Rows", "blank", "number", "own_protein", "read_rows"]

LEAST_SHARE = 0.5
"""Of the rows, that must name the residue that the protein has; by chance one in 17 does."""
NOTHING = frozenset({"", "na", "n/a", "nan", "none", "."})
"""Cells, in lower case, that hold no value."""


@dataclass(frozen=True, eq=False)
class Rows:
    """A table with a header.

    Parameters
    ----------
    path : str
    columns : tuple of str
        As the file has them.
    rows : list of (int, list of str)
        Line of the file, and cells.
    """

    path: str
    columns: tuple[str, ...]
    rows: list[tuple[int, list[str]]]

    @property
    def name(self) -> str:
        """The file without its folder."""
        return Path(self.path).name

    def find(self, *names: str) -> int | None:
        """Return the place of the first of these columns that there is, whatever its case."""
        known = {column.casefold(): i for i, column in reversed(list(enumerate(self.columns)))}
        return next((known[n.casefold()] for n in names if n.casefold() in known), None)

    def need(self, *names: str) -> int:
        """Return the place of one of these columns.

        Raises
        ------
        InputError
            There is none of them: names the nearest that there is.
        """
        place = self.find(*names)
        if place is None:
            wanted = " or ".join(filter(None, (", ".join(map(repr, names[:-1])), repr(names[-1]))))
            msg = f"{self.path}: has no column {wanted}; {nearest(names[0], self.columns)}"
            raise InputError(msg)
        return place

    def cells(self, *places: int | None) -> Iterator[tuple[int, list[str]]]:
        """Yield the line and these cells of every row; blank for a column that there is not."""
        for line, cells in self.rows:
            yield line, ["" if at is None else cells[at].strip() for at in places]


def read_rows(path: Path_) -> Rows:
    r"""Read a table with a header: commas, tabs or semicolons, plain or gzip, UTF-8.

    Lines that begin with "#" before the header are left out. A header may begin with "#" itself,
    as that of ClinVar's ``variant_summary.txt``: where the last of these lines has as many tabs as
    the line below it.

    Raises
    ------
    InputError
        As `text_of` and `rows_of`; JSON; no rows.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "a.csv"
    ...     _ = file.write_text("# scores\nHGVS_pro,score\np.Tyr240Cys,0.6\n")
    ...     table = read_rows(file)
    >>> table.need("hgvs_pro"), table.rows
    (0, [(3, ['p.Tyr240Cys', '0.6'])])
    """
    text = text_of(path, unit="row")
    if text.lstrip()[:1] in {"{", "["}:
        msg = f"{path}: is JSON, not a table; give CSV or TSV (of features also GFF)"
        raise InputError(msg)
    lines = text.split("\n")
    comments = next((i for i, line in enumerate(lines) if not line.startswith("#")), 0)
    if comments and 0 < lines[comments].count("\t") == lines[comments - 1].count("\t"):
        comments -= 1
        lines[comments] = lines[comments].lstrip("#")
    header = lines[comments]
    separator = next((s for s in "\t,;" if s in header), ",")
    found = list(rows_of(path, "\n".join(lines[comments:]), separator))
    if len(found) < 2:
        msg = f"{path}: has no rows below its header; give a table with rows"
        raise InputError(msg)
    columns = tuple(cell.strip() for cell in found[0][1])
    return Rows(str(path), columns, [(line + comments, cells) for line, cells in found[1:]])


def blank(cell: str) -> bool:
    """Whether a cell holds no value."""
    return cell.casefold() in NOTHING


def own_protein(
    table: Rows, transcript: Transcript, named: Iterable[tuple[int, str, int]]
) -> set[int]:
    """Return the rows that name a residue which the protein does not have there.

    Some do in good tables, where the assay was done on another allele than the reference.

    Parameters
    ----------
    table : Rows
    transcript : Transcript
    named : iterable of (int, str, int)
        Line, residue in one letter, and its position.

    Raises
    ------
    InputError
        Most rows do: it is another protein, or numbered in another way.
    """
    rows = list(named)
    protein = transcript.protein
    wrong = [
        row for row in rows
        if not 1 <= row[2] <= len(protein) or protein[row[2] - 1] != row[1]
    ]  # fmt: skip
    if len(rows) - len(wrong) < LEAST_SHARE * len(rows):
        line, residue, at = wrong[0]
        has = protein[at - 1] if 1 <= at <= len(protein) else "no residue"
        msg = (
            f"{table.path}, row {line}: has {residue} at {at}, {transcript.name} has {has}, and so "
            f"in {len(wrong):,} of {len(rows):,} rows; give the table of this protein, numbered as "
            "the transcript"
        )
        raise InputError(msg)
    return {row[0] for row in wrong}


def number(path: str, line: int, column: str, cell: str) -> float | None:
    """Return a number; None for a cell that holds no value.

    Raises
    ------
    InputError
        It holds something else.
    """
    if blank(cell):
        return None
    try:
        value = float(cell)
    except ValueError as error:
        msg = f"{path}, row {line}: {column} {cell!r} is not a number; correct it, or leave it out"
        raise InputError(msg) from error
    if not math.isfinite(value):
        msg = f"{path}, row {line}: {column} {cell!r} is not finite; correct it, or leave it out"
        raise InputError(msg)
    return value
