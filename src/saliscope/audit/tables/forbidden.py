"""Words by which a column names a ground on which laws forbid or limit decisions on credit."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd
from pandas.api import types

__all__ = ["named"]

_GROUNDS: dict[str, str] = {
    "sex": "sex gender male males female females man men woman women husband wife",
    "age": "age ages aged birth birthday birthdate birthyear dob",
    "marital status": "marital married marriage unmarried divorced widowed spouse husband wife",
    "foreign worker": "foreign foreigner foreigners immigrant immigration citizenship nationality",
    "race": "race races ethnicity ethnic",
    "religion": "religion religious",
}
"""The grounds of the German credit table, and of 15 U.S.C. 1691(a) (Equal Credit Opportunity Act);
income from public assistance has no word of its own."""

_PHRASES: dict[str, str] = {
    "personal status": "marital status", "civil status": "marital status",
    "national origin": "foreign worker", "country of birth": "foreign worker",
    "native country": "foreign worker",
}  # fmt: skip

_MOST_VALUES = 50


def named(names: Iterable[str], table: pd.DataFrame) -> str:
    """Return the grounds that columns name: in their names, or in the words of their values.

    Parameters
    ----------
    names : iterable of str
        Of the factor and of its columns.
    table : pandas.DataFrame
        The columns themselves; values of those with many are taken as free text and not looked at.

    Returns
    -------
    str
        "sex and marital status", or nothing.

    Examples
    --------
    >>> named(["statusSex"], pd.DataFrame()), named(["percentage"], pd.DataFrame())
    ('sex', '')
    >>> named(["family"], pd.DataFrame({"family": ["Wife", "Own-child"]}))
    'sex and marital status'
    """
    texts = list(names)
    for name in table.columns:
        column = table[name]
        if types.is_numeric_dtype(column.dtype) or types.is_datetime64_any_dtype(column.dtype):
            continue
        values = column.dropna().unique()
        if len(values) <= _MOST_VALUES:
            texts += [str(value) for value in values]
    found: dict[str, None] = {}
    for text in texts:
        words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower())
        line = " ".join(words)
        for phrase, ground in _PHRASES.items():
            if phrase in line:
                found[ground] = None
        for ground, known in _GROUNDS.items():
            if set(words) & set(known.split()):
                found[ground] = None
    order = [ground for ground in _GROUNDS if ground in found]
    return " and ".join(order)
