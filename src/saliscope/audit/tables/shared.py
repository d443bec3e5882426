"""What audits of tables share: the model's output on rows, attributes, columns that go together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types

from saliscope.core.class_target import class_index
from saliscope.core.errors import InputError, ModelError, OptionError, nearest
from saliscope.core.units import FloatArray, Units
from saliscope.models.loading import load
from saliscope.models.table.model import TableModel, drawn_rows
from saliscope.tables.scoring import outputs_of

__all__ = ["Asked", "Attribute", "asked", "attribute", "one_hot", "whole"]

MOST_LEVELS = 10
"""Numbers with more values than these are split at their median where groups are wanted."""


@dataclass(frozen=True, eq=False)
class Asked:
    """A model, the rows it is audited on, and the one output that is looked at.

    Parameters
    ----------
    model : TableModel
    raw : pandas.DataFrame
        The rows as given, with columns that the model does not take.
    rows : pandas.DataFrame
        The model's columns, in its order.
    place : int or None
        The output; None where there is one only.
    label : str
        What it is called.
    """

    model: TableModel
    raw: pd.DataFrame
    rows: pd.DataFrame
    place: int | None
    label: str

    def scores(self, rows: pd.DataFrame) -> FloatArray:
        """Return the output of each row, from one call of the model."""
        said = outputs_of(self.model, rows)
        found = said.reshape(len(said), -1)[:, self.place or 0]
        if not np.isfinite(found).all():
            place = int(np.flatnonzero(~np.isfinite(found))[0])
            where = f"{self.model.name} returned {found[place]} for row {place + 1}"
            msg = f"{where}; it must be finite"
            raise ModelError(msg)
        return np.asarray(found, dtype=np.float64)

    def probabilities(self, rows: pd.DataFrame) -> FloatArray:
        """Return the output of each row as a probability.

        Raises
        ------
        InputError
            A row whose output is none.
        """
        found = self.scores(rows)
        bad = np.flatnonzero((found < 0) | (found > 1))
        if len(bad):
            msg = (
                f"{self.model.name} returned {found[bad[0]]:.6g} for row {bad[0] + 1}, and a "
                "probability from 0 to 1 is wanted; give a model that returns probabilities "
                "(predict_proba)"
            )
            raise InputError(msg)
        return found

    def units(self, groups: Mapping[str, Sequence[str]] | None) -> dict[str, list[str]]:
        """Return what is moved together, by name: single columns, groups, one-hot columns."""
        names = list(self.rows.columns)
        own: dict[str, Sequence[str]] = dict(groups if groups is not None else self.model.groups)
        taken = {column for part in own.values() for column in part}
        free = [name for name in names if name not in taken]
        own |= one_hot(self.rows[free])
        units = Units(("column",), (len(names),), "column", {"column": ("column", tuple(names))})
        grouping = units.group(own or None)
        parts = grouping.names or tuple(names)
        return {
            part: [names[j] for j in np.flatnonzero(grouping.members(i))]
            for i, part in enumerate(parts)
        }


def asked(
    model: object, table: object, target: int | str | None = None, *, rows: int | None = None,
    least: int = 2,
) -> Asked:  # fmt: skip
    """Return what is asked of a model about the rows of a table.

    Parameters
    ----------
    model : object
        As of `saliscope.load`, on tables.
    table : pandas.DataFrame
    target : int or str, optional
        The class whose probability is looked at. None: the only output, or the second of two
        classes.
    rows : int, optional
        Most rows that are used, drawn evenly.
    least : int
        Rows without which there is nothing to compare.

    Raises
    ------
    ModelError
        No model on tables.
    InputError
        No table, a column missing, too few rows.
    OptionError
        An unknown class, or none given where there are three.
    """
    adapter = load(model)
    if not isinstance(adapter, TableModel):
        msg = f"{adapter.name} is no model on tables; make one with saliscope.table_model()"
        raise ModelError(msg)
    if not isinstance(table, pd.DataFrame):
        msg = f"table: is {type(table).__name__}; an audit takes a pandas DataFrame"
        raise InputError(msg)
    raw = table.set_axis(table.columns.map(str), axis=1)
    own = adapter.columns.frame(raw, "table")
    if len(own) < least:
        found = f"{len(own)} row{'s' * (len(own) > 1)}"
        msg = f"table: has {found}, too few to compare; give at least {least}"
        raise InputError(msg)
    adapter.prepare(own.iloc[:1], name="table")  # outputs and types are known from here on
    adapter.columns.encode(own, "table")  # with the names of rows as they were given
    chosen = drawn_rows(len(own), rows or len(own))
    raw, own = raw.iloc[chosen].reset_index(drop=True), own.iloc[chosen].reset_index(drop=True)
    labels = adapter.labels or ()
    if len(labels) < 2:
        if target is not None:
            class_index(target, adapter)  # refuses a class that is none of its outputs
        return Asked(adapter, raw, own, None, labels[0] if labels else "output")
    if target is None and len(labels) > 2:
        msg = f"an audit looks at one output; give target=, one of: {', '.join(labels)}"
        raise OptionError(msg)
    place = 1 if target is None else class_index(target, adapter)
    return Asked(adapter, raw, own, place, labels[place])


@dataclass(frozen=True, eq=False)
class Attribute:
    """An attribute of people: a group for each row.

    Parameters
    ----------
    name : str
    values : numpy.ndarray of str, shape (rows,)
    groups : tuple of str
        The largest first.
    median : float or None
        Where numbers were split.
    """

    name: str
    values: npt.NDArray[np.str_]
    groups: tuple[str, ...]
    median: float | None = None


def attribute(given: object, table: pd.DataFrame, what: str = "protected") -> Attribute:
    """Return the groups of an attribute: of a column of a table, or given per row.

    Numbers with more than ten values are split at their median; a missing value is a group.

    Raises
    ------
    OptionError
        No such column; the nearest is named.
    InputError
        Another number of values than rows; all rows in one group.
    """
    if isinstance(given, str):
        if given not in table.columns:
            msg = f"{what}={given!r}: the table has no such column; {nearest(given, table.columns)}"
            raise OptionError(msg)
        if list(table.columns).count(given) > 1:
            msg = f"table: the column {given!r} is there twice; rename or remove one"
            raise InputError(msg)
        column = table[given]
    else:
        column = given if isinstance(given, pd.Series) else pd.Series(np.asarray(given))
        if len(column) != len(table):
            msg = f"{what} has {len(column):,} values for {len(table):,} rows; give one for each"
            raise InputError(msg)
    name = str(column.name) if column.name is not None else what
    column = column.reset_index(drop=True)
    median = None
    lost = column.isna().to_numpy()
    if types.is_numeric_dtype(column.dtype) and column.nunique() > MOST_LEVELS:
        median = float(column.median())
        words = np.where(column > median, f"over {median:g}", f"{median:g} or less")
    else:
        words = np.array([str(_plain(v)) for v in column])
    values = np.where(lost, "missing", words)
    groups = pd.Series(values).value_counts().index.tolist()
    if len(groups) < 2:
        msg = f"{name}: is {groups[0]!r} in every row; an audit compares groups, so give two"
        raise InputError(msg)
    return Attribute(name, values, tuple(groups), median)


def one_hot(table: pd.DataFrame) -> dict[str, list[str]]:
    """Return columns that are one-hot codes of one thing, by the part of their names they share.

    Two or more columns of 0 and 1 (or False and True) whose names agree up to the last ``_`` or
    ``=`` and of which at most one is 1 in each row.

    Examples
    --------
    >>> one_hot(pd.DataFrame({"city_Rome": [1, 0], "city_Bari": [0, 1], "is_old": [1, 1]}))
    {'city': ['city_Rome', 'city_Bari']}
    """
    parts: dict[str, list[str]] = {}
    for name in table.columns:
        found = re.fullmatch(r"(.+?)(?:_|=)([^_=]*)", name)
        if found and table[name].isin([0, 1]).all():
            parts.setdefault(found[1], []).append(name)
    return {
        stem: names
        for stem, names in parts.items()
        if len(names) > 1 and stem not in table.columns and int(table[names].sum(axis=1).max()) == 1
    }


def whole(value: object, name: str, least: int) -> int:
    """Return an option that is a whole number, of at least so much."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        msg = f"{name}={value!r} must be a whole number of at least {least}"
        raise OptionError(msg)
    return int(value)


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value
