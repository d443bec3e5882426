"""How a model's output runs along one column: for each row, and on average."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import xarray as xr

from saliscope.api.results import versions
from saliscope.core.ask import Ask, Estimate, Question, Steps
from saliscope.core.engine import Job, drive
from saliscope.core.errors import ModelError, OptionError
from saliscope.core.model import Sample
from saliscope.core.perturbation import Baseline, Perturbation
from saliscope.core.record import Record
from saliscope.core.target_spec import as_target
from saliscope.core.units import FloatArray, Grouping
from saliscope.models.loading import load
from saliscope.models.table.columns import Column
from saliscope.models.table.model import TableModel, drawn_rows
from saliscope.models.torch_model import fill_value

__all__ = ["Dependence", "dependence"]


class Dependence(Record):
    """Curves of a target along one column: values with dims ``("row", "at")``.

    Each row keeps its other cells (individual conditional expectation, Goldstein et al. 2015); the
    mean over rows is the partial dependence (Friedman 2001, section 8.2).
    """

    kind: ClassVar[str] = "dependence"

    @property
    def column(self) -> str:
        """The column that is moved."""
        return str(self.meta["column"])

    @property
    def mean(self) -> xr.DataArray:
        """Partial dependence: the mean curve, dim ``at``."""
        return self.data["mean"]


def dependence(
    model: object, table: Any, column: str, *, target: object = None, points: int = 20,
    rows: int = 200, at: Sequence[Any] | None = None,
) -> Dependence:  # fmt: skip
    """Return how the output of a model runs when one column is set to other values.

    Parameters
    ----------
    model : object
        A fitted estimator, or what `saliscope.table_model` returns.
    table : pandas.DataFrame or array
        The rows whose curves are drawn.
    column : str
    target : object, optional
        As of `saliscope.explain`; needed where the model has several classes.
    points : int
        How many values are tried: quantiles of the numbers, or the most frequent values.
    rows : int
        How many rows get a curve, drawn evenly.
    at : sequence, optional
        The values themselves, in place of `points`.

    Returns
    -------
    Dependence

    Raises
    ------
    OptionError
        There is no such column; several classes and no target; fewer than two values.

    References
    ----------
    Friedman 2001, Annals of Statistics 29(5), section 8.2; Goldstein, Kapelner, Bleich & Pitkin
    2015, arXiv:1309.6392. A curve through rows that do not exist (a column moves, those that go
    with it do not) says what the model does there and nothing else.

    Examples
    --------
    >>> import pandas as pd, saliscope
    >>> from saliscope.tables import dependence
    >>> houses = pd.DataFrame({"area": [50.0, 70.0, 90.0], "rooms": [2, 3, 3]})
    >>> model = saliscope.table_model(lambda t: t["area"] * t["rooms"], houses)
    >>> found = dependence(model, houses, "area")
    >>> found.values.shape, found.mean.values.round(2).tolist()
    ((3, 3), [133.33, 186.67, 240.0])
    """
    adapter = load(model)
    if not isinstance(adapter, TableModel):
        msg = f"{adapter.name} is no model on tables; make one with saliscope.table_model()"
        raise ModelError(msg)
    for name, number, least in (("points", points, 2), ("rows", rows, 1)):
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < least:
            msg = f"{name}={number!r} must be a whole number of at least {least}"
            raise OptionError(msg)
    frame = adapter.columns.frame(table, "table")
    place = adapter.columns.place(column)
    all_rows = adapter.columns.encode(frame, "table")
    own = adapter.columns.known[place]
    grid = _grid(own, all_rows[:, place], points, at)
    chosen = drawn_rows(len(frame), rows)
    samples = list(adapter.prepare(frame.iloc[chosen], name="table"))
    if target is None and len(adapter.labels or ()) > 1:
        names = ", ".join(adapter.labels or ())
        msg = f"dependence follows one output; give target=, one of: {names}"
        raise OptionError(msg)
    curves, aim, scale = _curves(adapter, samples, target, place, grid)
    texts = [own.text(float(value)) for value in grid]
    data = xr.Dataset(
        {"values": (("row", "at"), curves), "mean": ("at", curves.mean(0))},
        {
            "row": [str(sample.context["label"]) for sample in samples],
            "at": grid if own.numeric else texts,
            "own": ("row", [sample.context["cells"][place] for sample in samples]),
        },
    )
    meta = {
        "name": column, "text": "", "column": column, "modality": "table", "method": "dependence",
        "target": [aim], "scale": scale, "unit": "score", "signed": True,
        "how": "Each thin line is a row whose column is set to other values while its other cells "
        "stay; the thick line is their mean (partial dependence).",
        "misuse": "where columns go together, because a curve then runs through rows that do not "
        "exist; crossing lines mean that the mean hides how rows differ",
        "health": [],
        "provenance": {
            "evaluations": int(curves.size), "model": adapter.describe(), "rows": len(samples),
            "source": "Friedman 2001, section 8.2; Goldstein et al. 2015, arXiv:1309.6392",
            "versions": versions(),
        },
    }  # fmt: skip
    return Dependence(data, meta)


def _grid(own: Column, cells: FloatArray, points: int, at: Sequence[Any] | None) -> FloatArray:
    """Return the values that a column is set to, as numbers."""
    if at is not None:
        import pandas as pd

        grid = own.encode(pd.Series(list(at), name=own.name), "at")
    else:
        values, counts = np.unique(cells[~np.isnan(cells)], return_counts=True)
        if len(values) <= points:
            grid = values
        elif own.numeric:
            shares = np.linspace(0, 1, points)
            grid = np.unique(np.quantile(cells[~np.isnan(cells)], shares, method="nearest"))
        else:
            grid = values[np.argsort(-counts, kind="stable")[:points]]
    if len(grid) < 2:
        msg = f"the column {own.name!r} has one value only in this table; give several with at="
        raise OptionError(msg)
    return grid


def _curves(
    model: TableModel, samples: Sequence[Sample], target: object, place: int, grid: FloatArray
) -> tuple[FloatArray, str, str]:
    """Return the curve of each row, and what it is a curve of."""
    labels: npt.NDArray[np.int64] = np.full(len(model.columns.names or ()), -1, dtype=np.int64)
    labels[place] = 0
    moved = Grouping("column", labels=labels)
    removed, choice = np.zeros(len(grid), dtype=np.int64), np.arange(len(grid))
    fills = []
    for value in grid.tolist():
        row = fill_value(Baseline("row", samples[0].value)).clone()
        row[place] = value
        fills.append(Baseline("value", row))

    def along(_: Question) -> Steps:
        points = Perturbation(moved, removed=removed, fills=fills, choice=choice)
        answer = yield Ask(points)
        return Estimate(answer.values.T, answer.values[0])

    jobs = []
    for sample in samples:
        bound = as_target(0 if target is None else target, model).bind(model, sample)
        if bound.count > 1:
            msg = "dependence follows one output; give one target"
            raise OptionError(msg)
        question = Question(sample.units, 1, fills[0], None, None, np.random.default_rng(0))
        jobs.append(Job(sample, bound, question, along))
    with model.quiet(0):
        outcomes = list(drive(model, jobs))
    found = []
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
        assert outcome.estimate is not None
        found.append(outcome.estimate.values[0])
    return np.array(found), jobs[0].target.names[0], jobs[0].target.scale
