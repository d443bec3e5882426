"""Models for audits, trained on the spot: German credit (comes with the package) and Adult.

Logistic regressions on one-hot and scaled columns: good enough to be worth auditing, and simple
enough that what an audit says can be checked by hand. None of them is fit for use on people.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd

from saliscope.core.errors import InputError, ModelError
from saliscope.core.textfile import Path_
from saliscope.models.table.declaring import table_model
from saliscope.models.table.model import TableModel

__all__ = [
    "adult", "german_credit", "german_credit_blind", "held_out", "logistic", "planted_zip",
]  # fmt: skip

PLACE = "SALISCOPE_ADULT"
"""Environment variable with the path of the user's copy of Adult, for the command line."""

_BARRED = ("personal_status_sex", "age", "foreign_worker")
_HELD_OUT = 3  # every third row


def held_out(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows that the examples are trained on, and those that they have not seen.

    Examples
    --------
    >>> seen, new = held_out(pd.DataFrame({"row": [0, 1, 2, 3, 4, 5]}))
    >>> new["row"].tolist()
    [2, 5]
    """
    new = np.arange(len(table)) % _HELD_OUT == _HELD_OUT - 1
    return table[~new], table[new]


def logistic(table: pd.DataFrame, outcome: Sequence[Any] | pd.Series[Any]) -> Any:
    """Return a logistic regression fitted to a table of mixed types: a scikit-learn pipeline.

    Text and categories are one-hot (unknown ones are zeros), numbers are scaled.

    Raises
    ------
    ModelError
        scikit-learn is not installed.
    """
    try:
        compose, linear = import_module("sklearn.compose"), import_module("sklearn.linear_model")
        pipeline, made = import_module("sklearn.pipeline"), import_module("sklearn.preprocessing")
    except ImportError as error:
        msg = "the examples need scikit-learn; install it: pip install scikit-learn"
        raise ModelError(msg) from error
    choose = compose.make_column_selector
    encode = compose.make_column_transformer(
        (made.OneHotEncoder(handle_unknown="ignore"), choose(dtype_exclude=np.number)),
        (made.StandardScaler(), choose(dtype_include=np.number)),
    )
    return pipeline.make_pipeline(encode, linear.LogisticRegression(max_iter=1000)).fit(
        table, outcome
    )


def german_credit() -> TableModel:
    """Return a model of German credit that uses all 20 columns; it says "good" or "bad".

    Trained on two thirds of `saliscope.datasets.german_credit`; `held_out` gives the others.

    Examples
    --------
    >>> model = german_credit()
    >>> model.predictor.labels
    ('bad', 'good')
    """
    return _german(())


def german_credit_blind() -> TableModel:
    """Return the same without sex and marital status, age, and foreign worker."""
    return _german(_BARRED)


def _german(left_out: Sequence[str]) -> TableModel:
    from saliscope.datasets import german_credit as loans

    table = held_out(loans())[0].drop(columns=list(left_out))
    # In this table 1 is good, whatever a label of 1 stands for elsewhere.
    outcome = table.pop("credit_risk").map({1: "good", 0: "bad"})
    name = "german credit, blind" if left_out else "german credit"
    return table_model(logistic(table, outcome), table, name=name)


def adult(path: Path_ | None = None) -> TableModel:
    """Return a model of Adult, which says "<=50K" or ">50K".

    Trained on two thirds of the rows; the census weight (`fnlwgt`) is left out.

    Parameters
    ----------
    path : path, optional
        The user's copy (see `saliscope.datasets.adult`); else the environment variable
        ``SALISCOPE_ADULT`` names it, as on the command line.

    Raises
    ------
    InputError
        No path, or another file.
    """
    from saliscope.datasets import adult as people

    place = path if path is not None else os.environ.get(PLACE)
    if not place:
        msg = f"Adult is not in the package; give its path, or set {PLACE} to it"
        raise InputError(msg)
    table = held_out(people(place))[0].drop(columns="fnlwgt")
    outcome = table.pop("income").astype(str)
    return table_model(logistic(table, outcome), table, name="adult")


def planted_zip(people: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Return Adult with a made-up `zip` that stands for race, and incomes that go with it.

    Twenty codes, ten of them where most people are white; one person in ten lives anywhere. In
    each of the other ten, most high incomes are made low: in the first a third of them, in the
    last nearly all. So a model has a reason to use the code, and who uses it treats people by race.

    Examples
    --------
    >>> people = pd.DataFrame({"race": ["White", "Black"] * 50, "income": [">50K"] * 100})
    >>> found = planted_zip(people)
    >>> found["zip"].nunique() <= 20, bool((found["income"] == "<=50K").any())
    (True, True)
    """
    rng = np.random.default_rng(seed)
    count = len(people)
    code = rng.integers(0, 10, count) + 10 * (people["race"] != "White").to_numpy()
    code = np.where(rng.random(count) < 0.1, rng.integers(0, 20, count), code)
    lost = rng.random(count) < np.where(code < 10, 0.0, 1 / 3 + (code - 10) / 9 * 0.6)
    income = np.where(lost, "<=50K", people["income"].astype(str))
    zips = pd.Categorical([f"{10001 + number}" for number in code])
    return people.assign(zip=zips, income=pd.Categorical(income, ["<=50K", ">50K"]))
