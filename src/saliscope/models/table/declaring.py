"""`table_model`: a model on columns, with the rows that stand in for others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from saliscope.core.errors import ModelError, OptionError
from saliscope.models.table.columns import Columns
from saliscope.models.table.estimators import Predictor, is_estimator, predictor_of
from saliscope.models.table.model import BACKGROUND, EstimatorModel, ModuleModel, TableModel

__all__ = ["table_model"]


def table_model(
    source: Any, background: Any = None, *, columns: Sequence[str] | None = None,
    labels: Sequence[str] | None = None, groups: Mapping[str, Sequence[str]] | None = None,
    rows: int = BACKGROUND, name: str | None = None,
) -> TableModel:  # fmt: skip
    """Return a model on the columns of a table.

    Parameters
    ----------
    source : object
        A fitted scikit-learn estimator or pipeline; a function from a `pandas.DataFrame` to
        numbers, shape (rows,) or (rows, outputs); or a `torch.nn.Module` on rows of numbers.
    background : table, optional
        Rows like those that the model is used on: a column that is taken away takes its values
        from them. Without one, the rows of the table that is explained are used.
    columns : sequence of str, optional
        Names and order of the columns that the model takes. A pipeline that was fitted on a
        DataFrame knows them; otherwise they are those of the background or the first table.
    labels : sequence of str, optional
        Names of the outputs.
    groups : mapping of str to sequence of str, optional
        Columns that belong together: ``explain(..., groups="group")`` moves them as one.
    rows : int
        How many rows of the background are used at most, drawn evenly.
    name : str, optional
        What results call the model.

    Returns
    -------
    TableModel

    Raises
    ------
    ModelError
        Not a model, or one that was not fitted.
    InputError
        A background that does not have the model's columns.

    Examples
    --------
    >>> import pandas as pd, saliscope
    >>> def price(house):
    ...     return 2.0 * house["area"] + (house["city"] == "Rome") * 50.0
    >>> houses = pd.DataFrame({"area": [50, 70, 90], "city": ["Rome", "Bari", "Bari"]})
    >>> model = table_model(price, houses)
    >>> a = saliscope.explain(model, {"area": 100, "city": "Rome"}, method="shapley")
    >>> a.values.dims, a.to_numpy().round(2).tolist(), round(a.baseline_score, 2)
    (('column',), [60.0, 33.33], 156.67)
    """
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 2:
        msg = f"rows={rows!r} must be a whole number of at least 2"
        raise OptionError(msg)
    names = None if columns is None else [str(column) for column in columns]
    if isinstance(source, nn.Module):
        model: TableModel = ModuleModel(
            source, name or type(source).__name__, Columns(names), groups
        )
        model.labels = None if labels is None else tuple(map(str, labels))
    else:
        predictor = _predictor(source, name)
        if labels is not None:
            predictor = replace(predictor, labels=tuple(map(str, labels)))
        model = EstimatorModel(
            predictor, Columns(predictor.names or names, predictor.width), groups
        )
    if background is not None:
        model.learn(background, rows)
    return model


def _predictor(source: Any, name: str | None) -> Predictor:
    if is_estimator(source):
        return predictor_of(source, name)
    if callable(source):
        return Predictor(source, name or str(getattr(source, "__name__", "function")))
    msg = (
        f"{type(source).__name__} is no model on tables; give a fitted estimator, a function that "
        "takes a DataFrame, or a torch module"
    )
    raise ModelError(msg)
