"""Tables about people that audits are tried on: Adult, COMPAS, Ricci; read from the user's file."""

from __future__ import annotations

import numpy as np
import pandas as pd

from saliscope.core.errors import InputError
from saliscope.core.textfile import Path_
from saliscope.datasets.cards import labeled
from saliscope.datasets.reading import checked, read_table, whole, wrong_file

__all__ = ["adult", "compas", "ricci"]

_ADULT = "Adult (UCI census income)"
_ADULT_COLUMNS = (
    "age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation",
    "relationship", "race", "sex", "capital_gain", "capital_loss", "hours_per_week",
    "native_country", "income",
)  # fmt: skip
_ADULT_NUMBERS = (
    "age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week",
)  # fmt: skip
_INCOMES = ("<=50K", ">50K")

_COMPAS = "COMPAS (ProPublica's compas-scores-two-years.csv)"
_COMPAS_NUMBERS = (
    "age", "juv_fel_count", "juv_misd_count", "juv_other_count", "priors_count", "decile_score",
    "is_recid", "two_year_recid",
)  # fmt: skip
_COMPAS_WORDS = ("sex", "age_cat", "race", "c_charge_degree", "c_charge_desc", "score_text")
_COMPAS_ORDER = (
    "sex", "age", "age_cat", "race", "juv_fel_count", "juv_misd_count", "juv_other_count",
    "priors_count", "c_charge_degree", "c_charge_desc", "days_b_screening_arrest", "decile_score",
    "score_text", "is_recid", "two_year_recid",
)  # fmt: skip

_RICCI = "Ricci v. DeStefano (118 firefighters)"


def _categories(table: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    return table.assign(**{column: table[column].astype("category") for column in columns})


def adult(path: Path_) -> pd.DataFrame:
    """Read people of the US census of 1994, with `income`: "<=50K" or ">50K".

    Parameters
    ----------
    path : path
        UCI's ``adult.data`` or ``adult.test``, or a CSV with names in its first line; gzip too.

    Returns
    -------
    pandas.DataFrame
        15 columns, named with underscores. Text is categories, "?" is missing; `fnlwgt` is a
        weight of the census, not something about the person. About a quarter is ">50K".

    Raises
    ------
    InputError
        The file is another one, or income runs the other way.
    """
    table = read_table(path, _ADULT, header=None, comment="|")  # "|1x3 Cross validator"
    if table.shape[1] != len(_ADULT_COLUMNS):
        msg = f"it has {table.shape[1]} columns and not {len(_ADULT_COLUMNS)}"
        raise wrong_file(path, _ADULT, msg)
    table.columns = pd.Index(_ADULT_COLUMNS)
    if table["age"].iloc[0] == "age":
        table = table.iloc[1:].reset_index(drop=True)
    table["income"] = table["income"].str.removesuffix(".")
    checked(path, _ADULT, table, "income", _INCOMES)
    checked(path, _ADULT, table, "sex", ("Male", "Female"))
    table = whole(path, _ADULT, table, _ADULT_NUMBERS)
    if table["income"].isna().any():
        raise wrong_file(path, _ADULT, "income has empty cells")
    words = tuple(c for c in _ADULT_COLUMNS if c not in _ADULT_NUMBERS)
    table = _categories(table.replace("?", np.nan), words)
    table["income"] = table["income"].cat.set_categories(_INCOMES)
    rich = (table["income"] == ">50K").mean()
    if len(table) > 100 and rich > 0.5:
        msg = (
            f"{path}: income is '>50K' in {rich:.0%} of rows; a quarter is expected: is it swapped?"
        )
        raise InputError(msg)
    return labeled(table, "adult")


def compas(path: Path_, *, filtered: bool = True) -> pd.DataFrame:
    """Read defendants of Broward County, Florida, 2013 and 2014, with their COMPAS scores.

    Parameters
    ----------
    path : path
        ProPublica's ``compas-scores-two-years.csv``.
    filtered : bool
        Keep the rows that ProPublica's analysis keeps (6,172 of 7,214): charged within 30 days of
        the score, a known outcome, no ordinary traffic offense, a score.

    Returns
    -------
    pandas.DataFrame
        `decile_score` (1 to 10, high is "high risk"), `two_year_recid` (1: charged again within two
        years, which is not the same as having done it again), and 13 columns more. Names, birth
        dates and case numbers are not returned.

    Raises
    ------
    InputError
        The file is another one.
    """
    table = read_table(path, _COMPAS)
    missing = [column for column in _COMPAS_ORDER if column not in table]
    if missing:
        raise wrong_file(path, _COMPAS, f"it has no column {missing[0]!r}")
    for column in ("decile_score", "priors_count"):  # stand twice in the original
        twin = f"{column}.1"
        if twin in table and not table[column].equals(table[twin]):
            raise wrong_file(path, _COMPAS, f"its two columns {column!r} differ")
    table = table[[*_COMPAS_ORDER]]
    checked(path, _COMPAS, table, "two_year_recid", ("0", "1"))
    table = whole(path, _COMPAS, table, _COMPAS_NUMBERS)
    days = pd.to_numeric(table["days_b_screening_arrest"], errors="coerce")
    table = _categories(table.assign(days_b_screening_arrest=days), _COMPAS_WORDS)
    if filtered:
        kept = (
            days.between(-30, 30) & (table["is_recid"] != -1)
            & (table["c_charge_degree"] != "O")
            & table["score_text"].isin(["Low", "Medium", "High"])
        )  # fmt: skip
        table = table[kept].reset_index(drop=True)
    return labeled(table, "compas")


def ricci(path: Path_) -> pd.DataFrame:
    """Read the firefighters of Ricci v. DeStefano (557 U.S. 557, 2009).

    Parameters
    ----------
    path : path
        A CSV with Position, Oral, Written, Race and Combine.

    Returns
    -------
    pandas.DataFrame
        `position` and `race` (W, B, H) as categories, `oral`, `written` and `combined` (0.6 written
        + 0.4 oral) in points, and `passed`, 1 from 70 points on.

    Raises
    ------
    InputError
        The file is another one; its combined scores are not those of its exams.
    """
    table = (
        read_table(path, _RICCI).rename(columns=str.lower).rename(columns={"combine": "combined"})
    )
    missing = [c for c in ("position", "oral", "written", "race", "combined") if c not in table]
    if missing:
        raise wrong_file(path, _RICCI, f"it has no column {missing[0]!r}")
    checked(path, _RICCI, table, "race", ("W", "B", "H"))
    points = table[["oral", "written", "combined"]].apply(pd.to_numeric, errors="coerce")
    off = (0.6 * points["written"] + 0.4 * points["oral"] - points["combined"]).abs()
    wrong = ~(off < 0.01)
    if wrong.any():
        row = int(wrong.to_numpy().argmax()) + 1
        msg = f"the combined score in row {row} of the data is not 0.6 written + 0.4 oral"
        raise wrong_file(path, _RICCI, msg)
    table = _categories(table.assign(**points), ("position", "race"))
    table = table[["position", "race", "oral", "written", "combined"]]
    return labeled(table.assign(passed=(points["combined"] >= 70).astype("int64")), "ricci")
