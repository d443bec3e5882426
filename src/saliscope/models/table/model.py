"""Tables as inputs: every column is a unit, and what stands in its place comes from other rows."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Hashable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from saliscope.core.batching import CALLS
from saliscope.core.errors import InputError, ModelError, OptionError
from saliscope.core.health import Finding, finding
from saliscope.core.model import Pass, Piece, Reader, Sample
from saliscope.core.perturbation import Baseline, Perturbation
from saliscope.core.units import FloatArray, Grouping, Units
from saliscope.models.identity import structure
from saliscope.models.table.columns import Columns
from saliscope.models.table.estimators import Predictor
from saliscope.models.tensor import TensorModel
from saliscope.models.torch_model import Batch, fill_value, fills_of

__all__ = ["BACKGROUND", "EstimatorModel", "ModuleModel", "TableModel", "drawn_rows"]

BACKGROUND = 100
"""Rows of a background that are used, drawn evenly where it has more."""
_MOST_ROWS = 20_000
_CELL_BYTES = 256  # a cell, its copies in a pipeline, and what it is encoded to


class TableModel(TensorModel):
    """A model on the columns of a table: what its two kinds share.

    Parameters
    ----------
    module : torch.nn.Module
    name : str
    columns : Columns
    groups : mapping of str to sequence of str
        Columns that belong together, for ``groups="group"``.
    """

    modality = "table"
    hint = "check the columns"

    def __init__(
        self, module: nn.Module, name: str, columns: Columns,
        groups: Mapping[str, Sequence[str]] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(module, name)
        self.columns = columns
        self.groups = dict(groups or {})
        self.rows: FloatArray | None = None
        self._backdrop: tuple[Baseline, ...] = ()

    # -- the background ------------------------------------------------------------------------

    def learn(self, background: object, count: int = BACKGROUND) -> None:
        """Take a table as the background: its types, and rows that stand in for others.

        Parameters
        ----------
        background : object
            A table with the model's columns.
        count : int
            Rows that are kept, drawn evenly from all.
        """
        table = self.columns.frame(background, "background")
        table = table.reset_index(drop=True)
        # Values of all rows are known from here on, also of rows that are not kept.
        rows = self._checked_rows(self.columns.encode(table, "background"), table, "background")
        for column in self.columns.known:
            column.settle()
        self.rows = rows[drawn_rows(len(rows), count)]
        self._backdrop = self._baselines(self.rows)

    def _baselines(self, rows: FloatArray) -> tuple[Baseline, ...]:
        return tuple(Baseline("row", self._tensor(row)) for row in rows)

    def _tensor(self, rows: FloatArray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(rows)).to(self.device, self.dtype)

    def _checked_rows(self, rows: FloatArray, table: pd.DataFrame, where: str) -> FloatArray:
        return rows

    # -- inputs --------------------------------------------------------------------------------

    def prepare(self, raw: object, *, name: str | None = None) -> Sequence[Sample]:
        """Turn a table, or one row, into a sample per row.

        Raises
        ------
        InputError
            Not a table, a column missing, cells that do not fit their column, too many rows.
        """
        label = name or "table"
        table = self.columns.frame(raw, label)
        if len(table) > _MOST_ROWS:
            msg = (
                f"{label}: has {len(table):,} rows, and results of one table are held together; "
                f"give at most {_MOST_ROWS:,}, or an iterator of parts of it"
            )
            raise InputError(msg)
        unseen = self.columns.unseen(table)
        rows = self._checked_rows(self.columns.encode(table, label), table, label)
        self._look_at(self._tensor(rows[:1]), structure(self.module))
        noticed: tuple[Finding, ...] = tuple(
            finding("unseen_category", column=column, value=value) for column, value in unseen
        )
        background = self._backdrop
        if not background and len(rows) > 1:
            background = self._baselines(rows[drawn_rows(len(rows), BACKGROUND)])
            noticed = (*noticed, finding("own_background", rows=len(rows)))
        behind = hash(tuple(_numbers(b).tobytes() for b in background))
        about = {
            "output_shape": self._shape, "scalar": False, "structure": structure(self.module),
            "background": background, "others": background,
        }  # fmt: skip
        labels = [_plain(index) for index in table.index]
        several = len(rows) > 1
        made = []
        for i, (index, row) in enumerate(zip(labels, rows, strict=True)):
            cells = self.columns.texts(row)
            units = self._units(cells)
            made.append(
                Sample(
                    f"{name or f'{len(rows):,} rows'} {i}" if several else name or f"row {index}",
                    "" if several else _sentence(self.columns.names or (), cells),
                    units, self._tensor(row), {**about, "label": index, "cells": cells},
                    ("table", row.tobytes(), behind), noticed,
                )
            )  # fmt: skip
        return made

    def _units(self, cells: Sequence[str]) -> Units:
        names = tuple(self.columns.names or ())
        coords = {"column": ("column", names), "cell": ("column", tuple(cells))}
        groupings: dict[str, Grouping] = {}
        units = Units(("column",), (len(names),), "column", coords)
        if self.groups:
            groupings["group"] = units.group(self.groups)
        return Units(("column",), (len(names),), "column", coords, groupings=groupings)

    # -- what stands in place of columns -------------------------------------------------------

    def baseline(self, sample: Sample, given: object) -> Baseline:
        """Return the typical row of the background by default, or a row, or missing cells.

        Parameters
        ----------
        sample : Sample
        given : object
            None or "typical" (medians and most frequent values), "missing", or a row.
        """
        value: torch.Tensor = sample.value
        if given is None or (isinstance(given, str) and given == "typical"):
            background = sample.context["background"]
            if not background:
                raise self._no_background()
            rows = np.stack([_numbers(b) for b in background])
            return Baseline("typical", self._tensor(self.columns.typical(rows)))
        if isinstance(given, str) and given == "missing":
            return Baseline("missing", torch.full_like(value, torch.nan))
        if isinstance(given, str):
            msg = f"{given!r} is not a row of a table: give 'typical', 'missing', or a row"
            raise OptionError(msg)
        made = self.background(sample, [given])
        if len(made) != 1:
            msg = f"{len(made)} rows were given where one is wanted; give one row"
            raise OptionError(msg)
        return made[0]

    def background(self, sample: Sample, given: object) -> Sequence[Baseline]:
        """Return the rows of tables, or single rows, or what a name stands for."""
        if given is None or isinstance(given, str):
            return super().background(sample, given)
        parts = given if isinstance(given, (list, tuple)) else [given]
        rows: list[FloatArray] = []
        for part in parts:
            table = self.columns.frame(part, "baseline")
            encoded = self.columns.encode(table, "baseline")
            rows.append(self._checked_rows(encoded, table, "baseline"))
        if not rows:
            msg = "baseline=[] is an empty background; give at least one row"
            raise OptionError(msg)
        return [Baseline("given", self._tensor(row)) for row in np.concatenate(rows)]

    def _no_background(self) -> OptionError:
        return OptionError(
            f"{self.name}: what stands in place of a column comes from other rows, and there are "
            "none; make the model with table_model(model, background=rows), or explain a table of "
            "several rows, or give baseline=rows"
        )

    def describe(self) -> Mapping[str, Any]:
        """Return what provenance says of the model, its columns and its background."""
        found = dict(super().describe())
        found["columns"] = len(self.columns.names or ())
        if self.rows is not None:
            content = hashlib.sha256(self.columns.decode(self.rows).to_csv().encode()).hexdigest()
            found["background"] = {"rows": len(self.rows), "content": content[:16]}
        return found


class _Calling(nn.Module):
    """A predictor on rows of numbers that stand for cells."""

    def __init__(self, predictor: Predictor, columns: Columns) -> None:
        super().__init__()
        self.predictor, self.columns = predictor, columns
        self.eval()

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        said = self.predictor(self.columns.decode(rows.detach().numpy()))
        if self.predictor.probabilities:
            with np.errstate(divide="ignore"):
                said = np.log(said)  # of which every scale is read off
        return torch.from_numpy(np.ascontiguousarray(said))


class EstimatorModel(TableModel):
    """A predictor as a black box on tables of any types: it offers values only.

    Columns are the row's own or those of another row, never between.
    """

    offers = frozenset({"values"})
    grain = CALLS

    def __init__(
        self, predictor: Predictor, columns: Columns,
        groups: Mapping[str, Sequence[str]] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(_Calling(predictor, columns), predictor.name, columns, groups)
        self.predictor = predictor
        self.dtype = torch.float64
        self.class_scale = "prob" if predictor.probabilities else "raw"

    def _look_at(self, one: torch.Tensor, built: Hashable) -> None:
        super()._look_at(one, built)
        outputs = self._shape[0] if self._shape else 1
        named = self.predictor.labels
        if named is not None and len(named) != outputs:
            msg = (
                f"{self.name} returns {outputs} outputs, and there are {len(named)} labels "
                f"({', '.join(named)}); give one for each"
            )
            raise ModelError(msg)
        self.labels = named or self.labels

    def realize(self, pieces: Sequence[Piece]) -> Batch:
        """Take each column from the row itself or from its fill."""
        starts = [0, *itertools.accumulate(len(piece.rows) for piece in pieces)]
        rows = np.concatenate([_mixed(p.sample, p.perturbation, p.rows) for p in pieces])
        return Batch({}, torch.from_numpy(rows), starts)

    def row_key(
        self, sample: Sample, perturbation: Perturbation, row: int, view: tuple[int, ...]
    ) -> Hashable | None:
        """Return the row's content: equal rows are predicted once."""
        return _mixed(sample, perturbation, np.array([row])).tobytes()

    def pack_key(self, sample: Sample, perturbation: Perturbation) -> Hashable:
        """Rows of all tables share a batch."""
        return "table"

    def run(
        self, pieces: Sequence[Piece], readers: Sequence[Reader], *, account: bool = False
    ) -> tuple[list[Pass], int]:
        """Run one batch; its memory is counted by cells, as that of one call is mostly its own."""
        passes, _ = super().run(pieces, readers)
        cells = sum(len(piece.rows) for piece in pieces) * (self.columns.width or 1)
        return passes, cells * _CELL_BYTES if account else 0

    def describe(self) -> Mapping[str, Any]:
        """Return what provenance says of the predictor."""
        found = dict(super().describe())
        source = self.predictor.source
        found["class"] = type(source).__name__ if source is not None else "function"
        found["weights"] = _content(source) or found["weights"]
        return found


class ModuleModel(TableModel):
    """A torch module on columns that are all numbers: values, gradients and layers."""

    def _checked_rows(self, rows: FloatArray, table: pd.DataFrame, where: str) -> FloatArray:
        words = [column.name for column in self.columns.known if not column.numeric]
        if words:
            msg = (
                f"{where}: the column {words[0]!r} holds no numbers, and a torch module takes "
                "numbers only; encode it, or give table_model() a function that does"
            )
            raise InputError(msg)
        bad = np.argwhere(np.isnan(rows))
        if len(bad):
            row, column = bad[0]
            msg = (
                f"{where}, row {table.index[row]}, column {table.columns[column]!r}: is missing, "
                "and a torch module takes numbers only; fill it in"
            )
            raise InputError(msg)
        return rows

    def baseline(self, sample: Sample, given: object) -> Baseline:
        """Return the typical row where there is a background, else zeros; or what is given."""
        none = given is None and not sample.context["background"]
        if none or (isinstance(given, str) and given in {"zero", "zeros"}):
            return Baseline("zero", torch.zeros_like(sample.value))
        if isinstance(given, str) and given == "missing":
            msg = "a torch module takes no missing cells; give 'typical', 'zero', or a row"
            raise OptionError(msg)
        return super().baseline(sample, given)


def drawn_rows(total: int, count: int) -> npt.NDArray[np.int64]:
    """Return the numbers of at most `count` rows of `total`, drawn without replacement, sorted.

    Examples
    --------
    >>> drawn_rows(3, 5).tolist(), len(drawn_rows(1000, 5))
    ([0, 1, 2], 5)
    """
    if total <= count:
        return np.arange(total)
    return np.sort(np.random.default_rng(0).choice(total, count, replace=False))


def _mixed(sample: Sample, moved: Perturbation, rows: npt.NDArray[np.int64]) -> FloatArray:
    """Return rows of a perturbation: each column of the sample, or of the fill of its row."""
    own: FloatArray = sample.value.numpy()
    if not moved.every_fill:
        return np.repeat(own[None], len(rows), axis=0)
    grouping = moved.grouping
    if grouping.boxes is not None:
        assert moved.removed is not None
        keep = np.ones((len(rows), len(own)), dtype=bool)
        for place, group in enumerate(moved.removed[rows].tolist()):
            if group >= 0:
                keep[place][grouping.boxes[group]] = False
    else:
        weights = moved.matrix(rows) == 1
        keep = np.concatenate([weights, np.ones((len(rows), 1), dtype=bool)], axis=1)
        keep = keep[:, grouping.labels]
    (fills,) = fills_of([Piece(sample, moved, rows)])
    assert fills is not None
    return np.where(keep, own, fills.numpy())


def _numbers(baseline: Baseline) -> FloatArray:
    """Return the row of a baseline in float64: numpy has no bfloat16."""
    row: FloatArray = fill_value(baseline).to("cpu", torch.float64).numpy()
    return row


def _content(source: Any) -> str:
    """Return a short hash of an estimator, or nothing where it cannot be read."""
    if source is None:
        return ""
    try:
        return str(import_module("joblib").hash(source))[:16]
    except Exception:  # noqa: BLE001 - parts of a user's own may refuse in any way
        return ""


def _plain(index: Any) -> Any:
    value = index.item() if isinstance(index, np.generic) else index
    return value if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _sentence(names: Sequence[str], cells: Sequence[str]) -> str:
    return ", ".join(f"{name} {cell}" for name, cell in zip(names, cells, strict=True))
