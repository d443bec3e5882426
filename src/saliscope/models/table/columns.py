"""Columns: what a table holds, as rows of numbers and back.

A row is a vector of float64: a number stands for itself, anything else (text, categories, dates)
for its place among the values of its column, and NaN is a missing cell. So rows can be mixed,
compared and kept apart by plain arithmetic, and what a model gets is the table that it knows: the
names, the order and the types of its columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types

from saliscope.core.errors import InputError, OptionError, nearest
from saliscope.core.units import FloatArray

__all__ = ["Column", "Columns"]

_EXACT = 2**53  # whole numbers beyond it have no float64 of their own
_LISTED = 5


class Column:
    """One column: its type, and the values that are not numbers.

    Parameters
    ----------
    series : pandas.Series
        From which the type is learned.
    where : str
        What messages call its table.

    Examples
    --------
    >>> color = Column(pd.Series(["red", None, "blue"], name="color"))
    >>> color.encode(pd.Series(["blue", "red", None]), "t").tolist()
    [1.0, 0.0, nan]
    >>> color.decode(np.array([1.0, np.nan])).tolist()
    ['blue', nan]
    """

    def __init__(self, series: pd.Series[Any], where: str = "table") -> None:
        self.name = str(series.name)
        self.dtype: Any = series.dtype
        self.numeric = _is_number(series)
        self._places: dict[Any, int] = {}
        self._pool: pd.Series[Any] | None = None
        self._settled: int | None = None
        if isinstance(self.dtype, pd.CategoricalDtype):
            self._learn(self.dtype.categories)
        self.encode(series, where)

    @property
    def values(self) -> list[Any]:
        """The values seen so far, of a column that does not hold numbers."""
        return list(self._places)

    def settle(self) -> None:
        """Take the values seen so far as all that are usual."""
        self._settled = len(self._places)

    def unseen(self, series: pd.Series[Any]) -> list[Any]:
        """Return values that are not usual, of a column that does not hold numbers."""
        if self.numeric or self._settled is None:
            return []
        most = self._settled
        return [v for v in series.dropna().unique() if self._places.get(v, most) >= most]

    def encode(self, series: pd.Series[Any], where: str) -> FloatArray:
        """Return cells as numbers, shape (rows,).

        Raises
        ------
        InputError
            A cell that does not fit the column: text among numbers, an infinite number.
        """
        if self.numeric:
            return self._numbers(series, where)
        if types.is_datetime64_any_dtype(self.dtype):
            series = _converted(pd.to_datetime, series, where, "date")
        try:
            codes, found = pd.factorize(series, use_na_sentinel=True)
        except TypeError as error:
            msg = f"{where}, column {self.name!r}: holds {error}; give numbers, text or dates"
            raise InputError(msg) from error
        self._learn(found)
        places = np.array([self._places[value] for value in found] + [np.nan])
        return np.asarray(places[codes], dtype=np.float64)

    def _learn(self, found: Any) -> None:
        for value in found:
            if value not in self._places:
                self._places[value] = len(self._places)
                self._pool = None

    def _numbers(self, series: pd.Series[Any], where: str) -> FloatArray:
        if not types.is_numeric_dtype(series.dtype):
            series = _converted(pd.to_numeric, series, where, "number")
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
        bad = np.flatnonzero(np.isinf(numbers))
        if len(bad):
            msg = (
                f"{_cell(where, series.index[bad[0]], self.name)}: is "
                f"{numbers[bad[0]]} ({len(bad)} such cells); replace or remove infinite numbers"
            )
            raise InputError(msg)
        return numbers

    def decode(self, cells: FloatArray) -> pd.Series[Any]:
        """Return numbers as the cells that they stand for, in the type of the column."""
        if not self.numeric:
            places = np.where(np.isnan(cells), len(self._places), cells).astype(np.int64)
            made = self._cells().take(places).reset_index(drop=True)
            fits = types.is_integer_dtype(self.dtype) and not made.isna().any()
            return made.astype(self.dtype) if fits else made
        missing = np.isnan(cells)
        if types.is_extension_array_dtype(self.dtype):  # has a missing value of its own
            own = [None if lost else cell for cell, lost in zip(cells, missing, strict=True)]
            return pd.Series(own, dtype="Float64").astype(self.dtype)
        whole = types.is_integer_dtype(self.dtype) or types.is_bool_dtype(self.dtype)
        fits = not whole or not (missing.any() or (cells != np.round(cells)).any())
        return pd.Series(cells.astype(self.dtype) if fits else cells)

    def _cells(self) -> pd.Series[Any]:
        """Return the known values and a missing one, in the type of the column."""
        if self._pool is None:
            kind = object if types.is_integer_dtype(self.dtype) else self.dtype
            if isinstance(kind, pd.CategoricalDtype):
                kind = pd.CategoricalDtype(self.values, ordered=kind.ordered)
            missing = pd.NaT if types.is_datetime64_any_dtype(kind) else np.nan
            self._pool = pd.Series([*self.values, missing], dtype=kind)
        return self._pool

    def typical(self, cells: FloatArray) -> float:
        """Return the median of numbers (one of them), or the most frequent value of others."""
        known = cells[~np.isnan(cells)]
        if not len(known):
            return float("nan")
        if self.numeric:
            return float(np.quantile(known, 0.5, method="lower"))
        values, counts = np.unique(known, return_counts=True)
        return float(values[counts.argmax()])

    def text(self, cell: float) -> str:
        """Return a cell as a person reads it."""
        if np.isnan(cell):
            return "missing"
        if not self.numeric:
            value = self.values[int(cell)]
            return value.date().isoformat() if _is_day(value) else str(value)
        if types.is_bool_dtype(self.dtype) and cell in {0.0, 1.0}:
            return str(bool(cell))
        return str(int(cell)) if cell == round(cell) and abs(cell) < _EXACT else f"{cell:.6g}"


class Columns:
    """The columns of a model, in its order.

    Parameters
    ----------
    names : sequence of str, optional
        Where the model knows them; otherwise those of the first table are taken.
    width : int, optional
        Number of columns, where the model knows nothing but that.

    Examples
    --------
    >>> columns = Columns(["age", "city"])
    >>> table = columns.frame({"city": "Rome", "age": 30, "name": "Ann"}, "person")
    >>> columns.encode(table, "person").tolist(), columns.texts(columns.encode(table, "person")[0])
    ([[30.0, 0.0]], ['30', 'Rome'])
    >>> columns.frame({"age": 30}, "person")
    Traceback (most recent call last):
        ...
    saliscope.core.errors.InputError: person: the column 'city' is missing; it has: age
    """

    def __init__(self, names: Sequence[str] | None = None, width: int | None = None) -> None:
        self.names = None if names is None else [str(n) for n in names]
        self.width = len(self.names) if self.names is not None else width
        self.known: list[Column] = []

    def frame(self, raw: object, where: str) -> pd.DataFrame:
        """Return rows as a table with the columns of the model, in its order.

        Parameters
        ----------
        raw : object
            A table (pandas, or an array of two axes), or a row (a mapping, a pandas series, an
            array of one axis).
        where : str
            What messages call it.

        Raises
        ------
        InputError
            Not a table, no rows, a column missing or there twice, another number of columns.
        """
        table = _as_frame(raw, where, self.names)
        if not len(table):
            msg = f"{where}: holds no row; give at least one"
            raise InputError(msg)
        twice = table.columns[table.columns.duplicated()]
        if len(twice):
            msg = f"{where}: the column {twice[0]!r} is there twice; rename or remove one"
            raise InputError(msg)
        if self.names is None:
            if self.width is not None and table.shape[1] != self.width:
                msg = (
                    f"{where}: has {table.shape[1]} columns ({_listed(table.columns)}), and the "
                    f"model takes {self.width}, whose names it does not know; give those only"
                )
                raise InputError(msg)
            self.names, self.width = list(table.columns), table.shape[1]
        missing = [name for name in self.names if name not in table.columns]
        if missing:
            hint = nearest(missing[0], list(table.columns))
            hint = f"; {hint}" if "did you mean" in hint else ""
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            msg = (
                f"{where}: the column {missing[0]!r} is missing{more}; it has: "
                f"{_listed(table.columns)}{hint}"
            )
            raise InputError(msg)
        return table[self.names]

    def encode(self, table: pd.DataFrame, where: str) -> FloatArray:
        """Return the rows of a table as numbers, shape (rows, columns), learning new values."""
        if not self.known:
            self.known = [Column(table[name], where) for name in table.columns]
        each = [own.encode(table[own.name], where) for own in self.known]
        return np.stack(each, axis=1)

    def unseen(self, table: pd.DataFrame) -> list[tuple[str, str]]:
        """Return (column, value) of values that the background did not have."""
        return [
            (own.name, str(value)) for own in self.known for value in own.unseen(table[own.name])
        ]

    def decode(self, rows: FloatArray) -> pd.DataFrame:
        """Return rows of numbers as the table that the model takes."""
        return pd.DataFrame({own.name: own.decode(rows[:, j]) for j, own in enumerate(self.known)})

    def typical(self, rows: FloatArray) -> FloatArray:
        """Return the row of medians and most frequent values."""
        return np.array([own.typical(rows[:, j]) for j, own in enumerate(self.known)])

    def texts(self, row: FloatArray) -> list[str]:
        """Return the cells of a row as a person reads them."""
        return [own.text(float(cell)) for own, cell in zip(self.known, row, strict=True)]

    def place(self, name: str) -> int:
        """Return where a column stands.

        Raises
        ------
        OptionError
            If there is none of that name; the nearest is named.
        """
        names = self.names or []
        if name not in names:
            msg = f"there is no column {name!r}: {nearest(name, names)}"
            raise OptionError(msg)
        return names.index(name)


def _as_frame(raw: object, where: str, names: Sequence[str] | None) -> pd.DataFrame:
    if isinstance(raw, pd.DataFrame):
        table = raw
    elif isinstance(raw, pd.Series):
        table = raw.to_frame().T.infer_objects()
    elif isinstance(raw, Mapping):
        table = pd.DataFrame([dict(raw)])
    elif not isinstance(raw, (str, bytes)) and hasattr(raw, "__array__"):
        array: npt.NDArray[Any] = np.asarray(raw)
        array = array[None] if array.ndim == 1 else array
        if array.ndim != 2:
            msg = f"{where}: has {array.ndim} axes; a table has rows and columns"
            raise InputError(msg)
        labels = [f"x{j}" for j in range(array.shape[1])]
        if names is not None and len(names) == array.shape[1]:
            labels = list(names)
        table = pd.DataFrame(array, columns=pd.Index(labels))
    else:
        msg = (
            f"{where}: is {type(raw).__name__}, not a table; give a pandas DataFrame or Series, a "
            "dict of one row, or an array"
        )
        raise InputError(msg)
    if isinstance(table.columns, pd.MultiIndex):
        msg = f"{where}: has column names in several levels; flatten them to one name each"
        raise InputError(msg)
    return table.set_axis(table.columns.map(str), axis=1)


def _is_number(series: pd.Series[Any]) -> bool:
    if not types.is_numeric_dtype(series.dtype) or types.is_complex_dtype(series.dtype):
        return False
    if types.is_integer_dtype(series.dtype) and series.notna().any():
        return bool(series.abs().max() <= _EXACT)
    return True


def _converted(read: Any, series: pd.Series[Any], where: str, kind: str) -> pd.Series[Any]:
    """Return cells as numbers or dates, or name the first that is none."""
    made: pd.Series[Any] = pd.Series(read(series, errors="coerce"), index=series.index)
    bad = series.index[made.isna() & series.notna()]
    if len(bad):
        msg = (
            f"{_cell(where, bad[0], str(series.name))}: {series[bad[0]]!r} is not a "
            f"{kind}, as the other cells of this column are; correct or remove it"
        )
        raise InputError(msg)
    return made


def _cell(where: str, row: object, column: str) -> str:
    """Return what a message calls a cell; a row that stands alone may be called so already."""
    place = where if where == f"row {row}" else f"{where}, row {row}"
    return f"{place}, column {column!r}"


def _is_day(value: object) -> bool:
    return isinstance(value, pd.Timestamp) and value == value.normalize()


def _listed(names: Any) -> str:
    shown = ", ".join(map(str, list(names)[:_LISTED]))
    return shown + (", ..." if len(names) > _LISTED else "")
