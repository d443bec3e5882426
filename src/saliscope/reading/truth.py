"""What is written in pictures of lines: a table of files and texts."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from saliscope.core.errors import InputError, nearest
from saliscope.core.textfile import Path_, lines

__all__ = ["Truth", "read_truth"]


@dataclass(frozen=True)
class Truth:
    """The text of each picture.

    Parameters
    ----------
    path : str
        Of the table.
    texts : dict of str to str
        File as the table has it, and text.
    rows : dict of str to int
        In which line of the table it stands.
    """

    path: str
    texts: dict[str, str]
    rows: dict[str, int]

    def of(self, pictures: Sequence[Path_], *, whole: bool = False) -> list[str]:
        """Return the text of each picture.

        A picture is found by its path beside the table, or as given, or else by its name alone
        where no other row has the same.

        Parameters
        ----------
        pictures : sequence of path
        whole : bool
            Whether every row must have a picture, as where a whole folder is read.

        Raises
        ------
        InputError
            A picture without a row; with `whole` a row without a picture.
        """
        by_name: dict[str, list[str]] = {}
        for file in self.texts:
            by_name.setdefault(Path(file).name, []).append(file)
        home = Path(self.path).absolute().parent
        found: list[str] = []
        lost: list[str] = []
        for picture in pictures:
            place = Path(os.path.relpath(Path(picture).absolute(), home)).as_posix()
            names = by_name.get(Path(picture).name, [])
            exact = next((f for f in (place, os.fspath(picture)) if f in self.texts), None)
            if exact is None and len(names) == 1:
                exact = names[0]
            if exact is None:
                lost.append(os.fspath(picture))
            else:
                found.append(exact)
        if lost:
            msg = f"{self.path}: has no row for {_few(lost)}; add it, or leave the picture out"
            raise InputError(msg)
        left = [file for file in self.texts if file not in set(found)] if whole else []
        if left:
            msg = (
                f"{self.path}, row {self.rows[left[0]]}: there is no picture {_few(left)} among "
                f"the {len(pictures):,} that are read; add it, or take the row out"
            )
            raise InputError(msg)
        return [self.texts[file] for file in found]


def _few(names: Sequence[str]) -> str:
    more = f" (nor for {len(names) - 1:,} more)" if len(names) > 1 else ""
    return f"{names[0]}{more}"


def read_truth(path: Path_, column: str = "text") -> Truth:
    r"""Read a table with the columns "file" and "text", between tabs, with a header.

    Quotation marks are part of a text, and other columns are passed over. Texts are brought to the
    composed form (NFC).

    Parameters
    ----------
    path : path
    column : str
        What the second column is called ("label" for classes).

    Raises
    ------
    InputError
        No such file or column, a row with fewer cells, an empty cell, a file that stands twice.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = Path(folder) / "lines.tsv"
    ...     _ = table.write_text('file\twriter\ttext\na.png\t7\tone "line"\n')
    ...     truth = read_truth(table)
    ...     truth.of([Path(folder) / "a.png"])
    ['one "line"']
    """
    texts: dict[str, str] = {}
    rows: dict[str, int] = {}
    columns: list[str] = []
    where: list[int] = []
    for number, line in lines(path, unit="row"):
        cells = line.split("\t")
        if not columns:
            columns = [cell.strip().casefold() for cell in cells]
            where = [_column(path, columns, name, column) for name in ("file", column)]
            continue
        if not line.strip():
            continue
        if len(cells) <= max(where):
            msg = (
                f"{path}, row {number}: has {len(cells)} cells, and the header {len(columns)}; "
                "part cells by tabs"
            )
            raise InputError(msg)
        file, text = (cells[at].strip() for at in where)
        _check(path, number, file, text, rows, column)
        texts[file], rows[file] = unicodedata.normalize("NFC", text), number
    if not texts:
        msg = f"{path}: has a header and no row; write one row per picture"
        raise InputError(msg)
    return Truth(os.fspath(path), texts, rows)


def _column(path: Path_, columns: Iterable[str], name: str, second: str) -> int:
    found = list(columns)
    if name in found:
        return found.index(name)
    msg = (
        f"{path}: has no column {name!r} ({nearest(name, found)}); the first row names the columns "
        f"'file' and {second!r}, parted by a tab"
    )
    raise InputError(msg)


def _check(
    path: Path_, number: int, file: str, text: str, rows: dict[str, int], column: str
) -> None:
    if not file or not text:
        msg = f"{path}, row {number}: the {column if file else 'file'} is empty; fill it in"
        raise InputError(msg)
    if file in rows:
        msg = f"{path}, row {number}: {file} stands already in row {rows[file]}; keep one of them"
        raise InputError(msg)
