"""German credit: 1,000 loans, in words that are right.

The code table that goes around with the Statlog file is wrong in most columns; which ones, and what
the codes mean, was found out from the German originals (Groemping 2019, South German Credit Data:
Correcting a Widely Used Data Set, Beuth University of Applied Sciences Berlin, report 4/2019).
"""

from __future__ import annotations

import pandas as pd

from saliscope.core.errors import InputError
from saliscope.core.textfile import Path_, lines
from saliscope.datasets.cards import labeled, sample_file
from saliscope.datasets.reading import checked, read_table, whole, wrong_file

__all__ = ["german_credit"]

_EXPECTED = "German credit (UCI Statlog, 20 columns and a label)"

_WORDS: dict[str, dict[str, str] | None] = {
    "status": {
        "A11": "no account", "A12": "below 0 DM", "A13": "0 to 200 DM",
        "A14": "200 DM or more, or salary for a year",
    },
    "duration": None,
    "credit_history": {
        "A30": "delays in the past", "A31": "critical account or credits elsewhere",
        "A32": "no credits, or all paid back", "A33": "existing credits paid so far",
        "A34": "all credits at this bank paid back",
    },
    "purpose": {
        "A40": "others", "A41": "new car", "A42": "used car", "A43": "furniture",
        "A44": "radio or television", "A45": "appliances", "A46": "repairs", "A47": "education",
        "A48": "vacation", "A49": "retraining", "A410": "business",
    },
    "amount": None,
    "savings": {
        "A61": "unknown or none", "A62": "below 100 DM", "A63": "100 to 500 DM",
        "A64": "500 to 1000 DM", "A65": "1000 DM or more",
    },
    "employment_duration": {
        "A71": "unemployed", "A72": "below 1 year", "A73": "1 to 4 years", "A74": "4 to 7 years",
        "A75": "7 years or more",
    },
    "installment_rate": {
        "1": "35 % or more", "2": "25 to 35 %", "3": "20 to 25 %", "4": "below 20 %",
    },
    "personal_status_sex": {
        "A91": "man, divorced or separated", "A92": "woman, not single, or man, single",
        "A93": "man, married or widowed", "A94": "woman, single",
    },
    "other_debtors": {"A101": "none", "A102": "co-applicant", "A103": "guarantor"},
    "present_residence": {
        "1": "below 1 year", "2": "1 to 4 years", "3": "4 to 7 years", "4": "7 years or more",
    },
    "property": {
        "A121": "unknown or none", "A122": "car or other", "A123": "savings contract or insurance",
        "A124": "real estate",
    },
    "age": None,
    "other_installment_plans": {"A141": "bank", "A142": "stores", "A143": "none"},
    "housing": {"A151": "for free", "A152": "rent", "A153": "own"},
    "number_credits": {"1": "1", "2": "2 to 3", "3": "4 to 5", "4": "6 or more"},
    "job": {
        "A171": "unemployed or unskilled, not resident", "A172": "unskilled, resident",
        "A173": "skilled", "A174": "manager or highly qualified",
    },
    "people_liable": {"1": "0 to 2", "2": "3 or more"},
    "telephone": {"A191": "no", "A192": "yes"},
    "foreign_worker": {"A201": "no", "A202": "yes"},
}  # fmt: skip
_ORDERED = (
    "savings", "employment_duration", "installment_rate", "present_residence", "number_credits",
    "people_liable",
)  # fmt: skip
_COLUMNS = (*_WORDS, "credit_risk")


def german_credit(path: Path_ | None = None, *, codes: bool = False) -> pd.DataFrame:
    """Return 1,000 loans with 20 columns and `credit_risk`: 1 is good, 0 is bad.

    All were granted, from 1973 to 1975; 700 were paid back as agreed. Bad ones are drawn far more
    often than they occurred.

    Words come from the corrected table of codes: in the one that most copies come with,
    `foreign_worker` stands the wrong way round (37 of 1,000 were foreign workers, not 963), an
    account with 200 DM or more is "no account", and `personal_status_sex` calls A92 female, which
    is women who are not single *and men who are*. So sex cannot be read off this table.

    Parameters
    ----------
    path : path, optional
        An own copy in place of the one in the package: UCI's ``german.data``, or a CSV with names
        of columns and the same codes, whose label is 1 and 2 (1 is good, as UCI has it) or 1 and 0.
    codes : bool
        Leave codes (A11, A12, ...) as they are in the file, and numbers of classes as numbers.

    Returns
    -------
    pandas.DataFrame
        `duration` in months, `amount` in an unknown unit (a monotonic function of DM) and `age` in
        years are whole numbers; the rest are categories, ordered where they are ranges.

    Raises
    ------
    InputError
        The file is another one, or its label runs the other way.

    Examples
    --------
    >>> loans = german_credit()
    >>> loans.shape, int(loans["credit_risk"].sum()), int((loans["foreign_worker"] == "yes").sum())
    ((1000, 21), 700, 37)
    >>> loans["housing"].value_counts().to_dict()
    {'rent': 713, 'for free': 179, 'own': 108}
    """
    source = sample_file("german_credit.csv.gz") if path is None else path
    table = _read(source)
    for column, words in _WORDS.items():
        if words is not None:
            checked(source, _EXPECTED, table, column, words)
    counted = [c for c, words in _WORDS.items() if words is None or "1" in words]
    table = whole(source, _EXPECTED, table, [*counted, "credit_risk"])
    table["credit_risk"] = _good(source, table["credit_risk"])
    if not codes:
        for column, words in _WORDS.items():
            if words is not None:
                kind = pd.CategoricalDtype(list(words.values()), ordered=column in _ORDERED)
                table[column] = table[column].astype(str).map(words).astype(kind)
    return labeled(table, "german_credit")


def _read(path: Path_) -> pd.DataFrame:
    _, head = next(iter(lines(path, unit="row")))
    if head.split()[:1] == ["A11"] or (" " in head.strip() and "," not in head):
        table = read_table(path, _EXPECTED, sep=r"\s+", header=None)
    else:
        table = read_table(path, _EXPECTED)
    if table.shape[1] != len(_COLUMNS):
        msg = f"it has {table.shape[1]} columns and not {len(_COLUMNS)}"
        raise wrong_file(path, _EXPECTED, msg)
    table.columns = pd.Index(_COLUMNS)
    missing = table.columns[table.isna().any()]
    if len(missing):
        raise wrong_file(path, _EXPECTED, f"{missing[0]} has empty cells")
    return table


def _good(path: Path_, label: pd.Series) -> pd.Series:
    """Return 1 for good and 0 for bad, whichever way the file writes it."""
    found = set(label)
    if not found <= {0, 1} and not found <= {1, 2}:
        strange = sorted(found - {0, 1, 2})
        shown = strange[0] if strange else "0, 1 and 2"
        raise wrong_file(path, _EXPECTED, f"its label is {shown}, not 1 and 2, or 1 and 0")
    good = (label == 1).astype("int64")
    if len(good) > 100 and good.mean() < 0.5:
        msg = (
            f"{path}: its label is 1 in {int(good.sum())} of {len(good)} rows, so 1 seems to be "
            "bad; it must be good (700 of 1,000): write 1 for good and 0 for bad"
        )
        raise InputError(msg)
    return good
