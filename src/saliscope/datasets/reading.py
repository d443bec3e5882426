"""Tables in files, read as text first: what a file holds is checked before it is believed."""

from __future__ import annotations

import io
import warnings
from collections.abc import Collection, Sequence
from typing import Literal

import pandas as pd

from saliscope.core.errors import InputError
from saliscope.core.textfile import Path_, text_of

__all__ = ["checked", "read_table", "whole", "wrong_file"]


def wrong_file(path: Path_, expected: str, reason: str) -> InputError:
    """Return the error that a file is another one than it should be."""
    return InputError(f"{path}: is not {expected}: {reason}")


def read_table(
    path: Path_, expected: str, *, sep: str = ",", header: Literal["infer"] | None = "infer",
    comment: str | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return a table of stripped text, cells that are empty as missing.

    Raises
    ------
    InputError
        The file cannot be read, or its rows differ in length.
    """
    text = io.StringIO(text_of(path, unit="row"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # cells would be lost
            table = pd.read_csv(
                text, sep=sep, header=header, comment=comment, dtype=str, keep_default_na=False,
                na_values=[""], skipinitialspace=True, index_col=False,
            )  # fmt: skip
    except pd.errors.ParserWarning as error:
        raise wrong_file(path, expected, "a row has more cells than the first one") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        reason = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise wrong_file(path, expected, reason) from error
    table.columns = table.columns.map(lambda name: str(name).strip())
    return pd.DataFrame({name: column.str.strip() for name, column in table.items()})


def checked(
    path: Path_, expected: str, table: pd.DataFrame, column: str, known: Collection[str]
) -> None:
    """Refuse a table in which a column has a cell that the data set does not have.

    Raises
    ------
    InputError
        With column, row and cell.
    """
    strange = table[column].dropna()
    strange = strange[~strange.isin(list(known))]
    if len(strange):
        msg = f"{column} is {strange.iloc[0]!r} in row {int(str(strange.index[0])) + 1} of the data"
        raise wrong_file(path, expected, msg)


def whole(path: Path_, expected: str, table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return a table some columns of which are whole numbers.

    Raises
    ------
    InputError
        A cell is none.
    """
    for column in columns:
        numbers = pd.to_numeric(table[column], errors="coerce")
        wrong = numbers.isna() | (numbers % 1 != 0)
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            msg = f"{column} is {table[column].iloc[row]!r} in row {row + 1} of the data, "
            raise wrong_file(path, expected, f"{msg}not a whole number")
        table = table.assign(**{column: numbers.astype("int64")})
    return table
