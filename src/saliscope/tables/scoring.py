"""Scores of a model on many copies of a table, from a few calls that take them all at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from saliscope.core.errors import InputError, ModelError, OptionError
from saliscope.core.units import FloatArray
from saliscope.models.table.model import EstimatorModel, TableModel

__all__ = ["Scores", "outputs_of", "truth_of"]

_Rows = npt.NDArray[np.int64]
Scoring = str | Callable[..., float] | None


class Scores:
    """Scores a model on copies of one table in which some columns are reordered.

    Parameters
    ----------
    model : TableModel
    table : pandas.DataFrame
        With the model's columns, in its order.
    truth : numpy.ndarray, shape (rows,)
    scoring : str or callable or None
        As scikit-learn has it: None is accuracy or R², a name such as "roc_auc", or a scorer, a
        function of (estimator, table, truth).
    rows : int
        How many rows a call takes at most; one copy at least.

    Notes
    -----
    A scorer asks an estimator for what it needs (predictions, probabilities, decisions). It is
    given a stand-in that knows the answers for all copies of a batch already.
    """

    def __init__(
        self, model: TableModel, table: pd.DataFrame, truth: npt.NDArray[Any], scoring: Scoring,
        rows: int,
    ) -> None:  # fmt: skip
        try:
            base, metrics = import_module("sklearn.base"), import_module("sklearn.metrics")
        except ImportError as error:
            msg = "importance needs scikit-learn; install it: pip install scikit-learn"
            raise ModelError(msg) from error
        self.model, self.table, self.truth = model, table, truth
        self.copies = max(1, rows // len(table))
        self.calls = self.evaluations = 0
        self._answers: dict[str, npt.NDArray[Any]] = {}
        self._batch = table
        self._at = 0
        self._standin = self._made(base)
        try:
            self._scorer = metrics.check_scoring(self._standin, scoring=scoring)
        except (ValueError, TypeError) as error:
            line = str(error).splitlines()[0]
            msg = f"scoring={scoring!r}: {line}; sklearn.metrics.get_scorer_names() lists all"
            raise OptionError(msg) from error

    def plain(self) -> float:
        """Return the score of the table as it is."""
        return float(self._scored([{}])[0])

    def of(self, moves: Sequence[Mapping[int, _Rows]]) -> FloatArray:
        """Return the score of each copy.

        Parameters
        ----------
        moves : sequence of mapping of int to numpy.ndarray
            Per copy, from the number of a column to the rows that its cells come from.
        """
        parts = range(0, len(moves), self.copies)
        return np.concatenate([self._scored(moves[i : i + self.copies]) for i in parts])

    def _scored(self, moves: Sequence[Mapping[int, _Rows]]) -> FloatArray:
        same = np.arange(len(self.table))
        self._batch = pd.DataFrame(
            {
                name: self.table.iloc[:, j]
                .take(np.concatenate([move.get(j, same) for move in moves]))
                .reset_index(drop=True)
                for j, name in enumerate(self.table.columns)
            }
        )
        self._answers = {}
        found = []
        for self._at in range(len(moves)):
            try:
                found.append(float(self._scorer(self._standin, self.table, self.truth)))
            except (ValueError, TypeError) as error:
                msg = f"{self.model.name}: cannot be scored ({str(error).splitlines()[0]})"
                raise ModelError(msg) from error
        return np.array(found)

    def _answer(self, name: str) -> npt.NDArray[Any]:
        """Return what the model answers for the copy that is scored now."""
        if name not in self._answers:
            self._answers[name] = np.asarray(self._respond(name))
            self.calls += 1
            self.evaluations += len(self._batch)
        rows = len(self.table)
        return self._answers[name][self._at * rows : (self._at + 1) * rows]

    def _respond(self, name: str) -> Any:
        model = self.model
        if isinstance(model, EstimatorModel) and model.predictor.source is not None:
            return getattr(model.predictor.source, name)(model.predictor.given(self._batch))
        outputs = outputs_of(model, self._batch, shares=self._classifies)
        if not self._classifies:
            return outputs
        if name == "predict_proba":
            return outputs
        return self._classes[outputs.argmax(1)]

    @property
    def _classifies(self) -> bool:
        source = getattr(getattr(self.model, "predictor", None), "source", None)
        if source is not None:
            return hasattr(source, "classes_")
        return len(self.model.labels or ()) > 1

    @property
    def _classes(self) -> npt.NDArray[Any]:
        source = getattr(getattr(self.model, "predictor", None), "source", None)
        if source is not None:
            return np.asarray(source.classes_)
        labels = self.model.labels or ()
        return np.array(labels) if self.truth.dtype.kind in "UOT" else np.arange(len(labels))

    def _made(self, base: Any) -> Any:
        """Return an estimator that gives the answers of the copy that is scored now."""
        source = getattr(getattr(self.model, "predictor", None), "source", None)
        answers: dict[str, Any] = {
            "fit": lambda own, *_: own, "predict": _asking(self._answer, "predict"),
        }  # fmt: skip
        if self._classifies:
            answers["classes_"] = self._classes
        for name in ("predict_proba", "decision_function"):
            function = source is None and self._classifies and name == "predict_proba"
            if hasattr(source, name) or function:
                answers[name] = _asking(self._answer, name)
        mixin = base.ClassifierMixin if self._classifies else base.RegressorMixin
        return type("Answers", (mixin, base.BaseEstimator), answers)()


def _asking(answer: Callable[[str], npt.NDArray[Any]], name: str) -> Callable[..., Any]:
    """Return a method of an estimator; a scorer tells methods apart by their names."""

    def method(*_: object) -> npt.NDArray[Any]:
        return answer(name)

    method.__name__ = name
    return method


def outputs_of(
    model: TableModel, rows: pd.DataFrame, *, shares: bool | None = None
) -> npt.NDArray[np.float64]:
    """Return what a model says of rows, in one call: shape (rows,) or (rows, outputs).

    Parameters
    ----------
    model : TableModel
    rows : pandas.DataFrame
        With the model's columns, in its order.
    shares : bool, optional
        Whether the outputs of a torch module are made probabilities (softmax); by default where it
        has several.
    """
    if isinstance(model, EstimatorModel):
        return model.predictor(rows)
    cells = torch.from_numpy(model.columns.encode(rows, "table"))
    with model.quiet(0), torch.no_grad():
        said = model.read_output(model.module(cells.to(model.device, model.dtype)))
    assert said is not None
    said = said.double()
    if len(model.labels or ()) > 1 if shares is None else shares:
        return np.asarray(said.softmax(-1).cpu())
    return np.asarray(said.reshape(len(said), -1).squeeze(-1).cpu())


def truth_of(truth: object, table: object, rows: int) -> npt.NDArray[Any]:
    """Return the true outcomes of the rows of a table: given, or the name of one of its columns.

    Raises
    ------
    InputError
        Another number of them, some missing, or all the same.
    """
    if isinstance(truth, str):
        if not isinstance(table, pd.DataFrame) or truth not in table.columns:
            msg = f"truth={truth!r}: the table has no such column; give its name, or the outcomes"
            raise InputError(msg)
        truth = table[truth]
    made = pd.Series(np.asarray(truth) if not isinstance(truth, pd.Series) else truth)
    if len(made) != rows:
        msg = f"truth has {len(made)} outcomes for {rows} rows; give one for each"
        raise InputError(msg)
    if made.isna().any():
        msg = f"truth is missing in {int(made.isna().sum())} rows; leave these rows out"
        raise InputError(msg)
    if made.nunique() < 2:
        msg = (
            f"truth is {made.iloc[0]!r} in every row, so no column can tell rows apart; give rows "
            "with different outcomes"
        )
        raise InputError(msg)
    return np.asarray(made.to_numpy())
