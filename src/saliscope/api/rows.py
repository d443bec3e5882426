"""Rows of a table in a file: read in parts, so that a file of any length is no trouble."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from saliscope.api.inputs import Input
from saliscope.core.errors import InputError, OptionError
from saliscope.core.textfile import lines
from saliscope.models.table.model import BACKGROUND, TableModel

__all__ = ["read_rows", "read_table", "row_numbers"]

_PART = 100_000
_MOST = 1000
_EMPTY = "holds no table; the first line names the columns"


def row_numbers(text: str) -> list[tuple[int, int]]:
    """Return the ranges of rows that are asked for, counted from 1.

    Examples
    --------
    >>> row_numbers("1-5,9")
    [(1, 5), (9, 9)]
    """
    found = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        first = int(match[1]) if match else 0
        last = int(match[2] or match[1]) if match else 0
        if not 1 <= first <= last:
            msg = f"--rows {text!r}: write numbers of rows from 1, e.g. 3 or 1-5 or 1-5,9"
            raise OptionError(msg)
        found.append((first, last))
    return found


def read_rows(
    path: str | os.PathLike[str], model: TableModel, rows: str | None = None
) -> list[Input]:
    """Return rows of a CSV or TSV file as inputs, named "row 1", ...

    A model without a background takes one from the same file: rows drawn evenly from all of it.

    Parameters
    ----------
    path : path
        With names of columns in the first line. Read in parts of 100,000 rows.
    model : TableModel
    rows : str, optional
        Which: "1-5,9"; without it all, of a file of at most 1,000.

    Raises
    ------
    InputError
        With file and line: no table, names that occur twice, lines of unequal length, bytes that
        are no text, rows that are not there.
    """
    ranges = row_numbers(rows) if rows is not None else [(1, _MOST + 1)]
    chosen: list[pd.DataFrame] = []
    drawn = _Draw(BACKGROUND)
    total = 0
    for part in _parts(path):
        numbers = np.arange(total + 1, total + len(part) + 1)
        part = part.set_axis(numbers, axis=0)  # noqa: PLW2901 - the same rows, counted from 1
        total += len(part)
        wanted = np.zeros(len(part), dtype=bool)
        for first, last in ranges:
            wanted |= (numbers >= first) & (numbers <= last)
        if wanted.any():
            chosen.append(part[wanted])
        if model.rows is None:
            drawn.add(part)
    if not total:
        msg = f"{path}: names columns and holds no row; add at least one"
        raise InputError(msg)
    most = max(last for _, last in ranges)
    if rows is not None and most > total:
        msg = f"{path}: has {total:,} rows, and --rows asks for row {most:,}"
        raise InputError(msg)
    if rows is None and total > _MOST:
        msg = f"{path}: has {total:,} rows; choose with --rows, e.g. --rows 1-5"
        raise InputError(msg)
    table = pd.concat(chosen)
    if model.rows is None and total > 1:
        try:
            model.learn(drawn.rows())
        except InputError as error:
            msg = f"{path}: {str(error).removeprefix('background: ').removeprefix('background, ')}"
            raise InputError(msg) from error
    model.columns.frame(table, str(path))  # columns that do not fit do so in all rows
    return [Input(f"row {number}", table.loc[[number]]) for number in table.index]


def read_table(path: str | os.PathLike[str], most: int = _PART) -> tuple[pd.DataFrame, int]:
    """Return the rows of a CSV or TSV file, at most so many, drawn evenly; and how many it has.

    Parameters
    ----------
    path : path
        With names of columns in the first line. Read in parts of 100,000 rows.
    most : int

    Returns
    -------
    table : pandas.DataFrame
        Its index counts rows of the file from 1.
    total : int

    Raises
    ------
    InputError
        As of `read_rows`.
    """
    drawn, total = _Draw(most), 0
    for part in _parts(path):
        drawn.add(part.set_axis(np.arange(total + 1, total + len(part) + 1), axis=0))
        total += len(part)
    if not total:
        msg = f"{path}: names columns and holds no row; add at least one"
        raise InputError(msg)
    return drawn.rows(), total


class _Draw:
    """So many rows of a stream, each with the same chance: those of the smallest random keys."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._rng = np.random.default_rng(0)
        self._kept: list[pd.DataFrame] = []
        self._keys: list[Any] = []

    def add(self, part: pd.DataFrame) -> None:
        keys = self._rng.random(len(part))
        few = np.sort(np.argsort(keys)[: self._count])
        self._kept.append(part.iloc[few])
        self._keys.append(keys[few])

    def rows(self) -> pd.DataFrame:
        table, keys = pd.concat(self._kept), np.concatenate(self._keys)
        return table.iloc[np.sort(np.argsort(keys)[: self._count])]


def _parts(path: str | os.PathLike[str]) -> Iterator[pd.DataFrame]:
    between = "\t" if Path(path).suffix.lower() in {".tsv", ".tab"} else ","
    _, head = next(iter(lines(path, unpack=True, empty=_EMPTY)))
    names = [name.strip() for name in next(csv.reader([head], delimiter=between), [])]
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        msg = f"{path}, line 1: the column {twice[0]!r} is there twice; rename or remove one"
        raise InputError(msg)
    try:
        yield from pd.read_csv(
            path, sep=between, chunksize=_PART, low_memory=False, index_col=False
        )
    except pd.errors.EmptyDataError:
        return
    except (pd.errors.ParserError, UnicodeDecodeError, ValueError) as error:
        reason = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        msg = f"{path}: is not a table with a column for each name in line 1 ({reason}); correct it"
        raise InputError(msg) from error
