"""Permutation importance of columns: what a model's score loses when one is shuffled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from saliscope.api.results import versions
from saliscope.core.attribution import Attribution
from saliscope.core.errors import InputError, ModelError, OptionError
from saliscope.core.units import Units
from saliscope.models.loading import load
from saliscope.models.table.model import TableModel
from saliscope.tables.scoring import Scores, Scoring, truth_of

__all__ = ["importance"]

_ROWS = 1 << 16
_SOURCE = "Breiman 2001, section 10; Fisher, Rudin & Dominici 2019, JMLR 20(177)"
_HOW = "Mean fall of the model's score when a column is shuffled among the rows."
_MISUSE = (
    "where columns say the same (each hides the other), and where shuffling makes rows that do "
    "not exist; it is worth to this model and its score, not to the world"
)


def importance(
    model: object, table: Any, truth: Any, *, scoring: Scoring = None, repeats: int = 5,
    groups: Mapping[str, Sequence[str]] | str | None = None, seed: int = 0,
    permutations: Any = None, rows_at_once: int = _ROWS,
) -> Attribution:  # fmt: skip
    """Return what each column is worth to a model: the fall of its score when it is shuffled.

    The numbers are those of `sklearn.inspection.permutation_importance` with ``random_state=seed``,
    but all shuffled copies of the table go to the model in few calls.

    Parameters
    ----------
    model : object
        A fitted estimator, or what `saliscope.table_model` returns.
    table : pandas.DataFrame or array
        Rows that the model was not trained on.
    truth : array or str
        The true outcome of each row, or the name of the column that holds it.
    scoring : str or callable, optional
        As in scikit-learn: a name (``"roc_auc"``), or a function of (estimator, table, truth).
        None: accuracy, or R² of a regression.
    repeats : int
        How often each column is shuffled.
    groups : mapping of str to sequence of str, optional
        Columns that are shuffled together; the others stay apart.
    seed : int
        As `random_state` of scikit-learn.
    permutations : array of int, shape (repeats, rows), optional
        The shuffles themselves, in place of `seed` and `repeats`; each is used for every column.
    rows_at_once : int
        Rows of one call of the model, at least one copy of the table.

    Returns
    -------
    Attribution
        With dim ``column``. `stderr` is the standard error over the shuffles (not over rows), NaN
        where there is one only; ``data["repeats"]`` holds each fall; `score` is the score of the
        table as it is; `provenance` has the calls and rows that it took.

    Raises
    ------
    InputError
        Fewer than two rows, an outcome missing or the same in all rows, columns that do not fit.
    OptionError
        Options out of range, an unknown score.

    References
    ----------
    Breiman 2001, Random Forests, section 10; Fisher, Rudin & Dominici 2019, JMLR 20(177).

    Examples
    --------
    >>> import pandas as pd, saliscope
    >>> from saliscope.tables import importance
    >>> table = pd.DataFrame({"area": [50.0, 70.0, 90.0, 60.0], "color": ["a", "b", "a", "b"]})
    >>> model = saliscope.table_model(lambda t: 2 * t["area"], table)
    >>> found = importance(model, table, [100.0, 140.0, 180.0, 120.0], repeats=3)
    >>> found.score, found.values.sel(column="color").item(), found.provenance["calls"]
    (1.0, 0.0, 2)
    >>> found.values.sel(column="area").item() > 0
    True
    """
    adapter = load(model)
    if not isinstance(adapter, TableModel):
        msg = f"{adapter.name} is no model on tables; make one with saliscope.table_model()"
        raise ModelError(msg)
    rows = adapter.columns.frame(table, "table")
    if len(rows) < 2:
        msg = "table: has one row, which cannot be shuffled; give at least two"
        raise InputError(msg)
    adapter.prepare(rows.iloc[:1], name="table")  # outputs and types are known from here on
    adapter.columns.encode(rows, "table")
    outcome = truth_of(truth, table, len(rows))
    orders = _orders(permutations, len(rows), repeats, seed)
    units = Units(
        ("column",), (rows.shape[1],), "column",
        {"column": ("column", tuple(rows.columns))},
    )  # fmt: skip
    grouping = units.group(groups if groups is not None else adapter.groups or None)
    names = grouping.names or tuple(rows.columns)
    scores = Scores(adapter, rows, outcome, scoring, max(1, int(rows_at_once)))
    whole = scores.plain()
    moves = [
        {int(j): order for j in np.flatnonzero(grouping.members(group))}
        for group in range(grouping.count)
        for order in orders
    ]
    falls = whole - scores.of(moves).reshape(grouping.count, len(orders))
    count = len(orders)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = falls.std(1, ddof=1) if count > 1 else np.full(grouping.count, np.nan)
    data = xr.Dataset(
        {
            "values": ("column", falls.mean(1)),
            "stderr": ("column", spread / np.sqrt(count)),
            "repeats": (("column", "repeat"), falls),
            "score": ((), whole),
        },
        {"column": list(names), "repeat": np.arange(1, count + 1)},
    )
    word = scoring if isinstance(scoring, str) else getattr(scoring, "__name__", "default score")
    return Attribution(data, _meta(adapter, scores, str(word), len(rows), count, seed))


def _orders(given: Any, rows: int, repeats: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the shuffles, shape (repeats, rows): given, or those that scikit-learn would draw."""
    if given is not None:
        orders = np.asarray(given)
        fits = orders.ndim == 2 and orders.shape[1] == rows and orders.dtype.kind in "iu"
        if not fits or not (np.sort(orders, axis=1) == np.arange(rows)).all():
            msg = (
                f"permutations must have shape (repeats, {rows}), each row holding 0 to {rows - 1}"
            )
            raise OptionError(msg)
        return orders.astype(np.int64)
    if isinstance(repeats, bool) or not isinstance(repeats, (int, np.integer)) or repeats < 1:
        msg = f"repeats={repeats!r} must be a whole number of at least 1"
        raise OptionError(msg)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        msg = f"seed={seed!r} must be a whole number of at least 0"
        raise OptionError(msg)
    # The generator of scikit-learn, so that equal seeds give equal numbers. It shuffles an order
    # again and again, and with it a column that was shuffled already.
    outer = np.random.RandomState(seed)
    inner = np.random.RandomState(outer.randint(np.iinfo(np.int32).max + 1))
    order, found = np.arange(rows), [np.arange(rows)]
    for _ in range(repeats):
        inner.shuffle(order)
        found.append(found[-1][order])
    found = found[1:]
    return np.array(found, dtype=np.int64)


def _meta(
    model: TableModel, scores: Scores, scoring: str, rows: int, repeats: int, seed: int
) -> dict[str, Any]:
    return {
        "name": f"{rows:,} rows", "text": "", "modality": "table", "unit_kind": "column",
        "method": "permutation", "target": [scoring], "scale": "score of the model",
        "signed": True, "unit": f"fall of the {scoring}", "how": _HOW, "misuse": _MISUSE,
        "prediction": [], "health": [],
        "provenance": {
            "evaluations": scores.evaluations, "calls": scores.calls, "model": model.describe(),
            "method": "permutation", "source": _SOURCE, "scoring": scoring, "repeats": repeats,
            "rows": rows, "seed": seed, "versions": versions(),
        },
    }  # fmt: skip
