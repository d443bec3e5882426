"""Exact Shapley values of models that are sums of trees, by shap's TreeExplainer.

As a rule (`saliscope.core.ask.Fold.rule`) it stands where a backward pass stands for other models:
it answers what each column contributes to the difference between a row and its fills. What it
answers is compared with the model's own outputs, so that a model which TreeExplainer reads in
another way than it predicts is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from saliscope.core.errors import ModelError, RefusedError
from saliscope.core.model import Pass, Piece, Reader
from saliscope.core.target import BoundTarget
from saliscope.core.units import FloatArray
from saliscope.models.readout import plain
from saliscope.models.table.model import EstimatorModel
from saliscope.models.torch_model import Batch, fills_of

if TYPE_CHECKING:
    from saliscope.models.torch_model import TorchModel

__all__ = ["ByPath", "Interventional"]

_CLOSE = 1e-5  # of the output; sums over float32 thresholds are right to more than that
_LINEAR = {"raw", "logit", "log_prob"}  # scales on which outputs of a classifier are logarithms


class Interventional:
    """Absent columns take the values of a background row: the Shapley values of `shapley` itself.

    Lundberg et al. 2020, Nature Machine Intelligence 2, supplementary algorithm 3.
    """

    follows: ClassVar[tuple[int, int]] = (1, 1)
    kind: ClassVar[str] = "interventional"

    def run(
        self, model: TorchModel, pieces: Sequence[Piece], readers: Sequence[Reader]
    ) -> list[Pass]:
        """Answer readers, each of whom wants one weighted sum over the rows of its piece."""
        columns = _columns_of(model)
        batch = model.realize(pieces)
        fills = [
            fill.expand(len(piece.rows), -1)
            for piece, fill in zip(pieces, fills_of(pieces), strict=True)
            if fill is not None
        ]
        import torch

        behind = Batch({}, torch.cat(fills), batch.starts)
        here, _ = model.evaluate(batch, readers, gradients=False)
        there, _ = model.evaluate(behind, readers, gradients=False)
        known: dict[bytes, Any] = {}
        passes = []
        both = zip(plain(here), plain(there), strict=True)
        for reader, ((values, probabilities), (base, chances)) in zip(readers, both, strict=True):
            piece = pieces[reader.piece]
            background = fills[reader.piece].numpy()
            key = background.tobytes()
            if key not in known:
                known[key] = self._explainer(columns, background)
            row = piece.sample.value.numpy()[None]
            found = _contributions(known[key], row, columns, reader.target)
            base = self._checked(columns, known[key], found, values[0], base, reader.target)  # noqa: PLW2901
            assert reader.fold is not None
            weights = np.ones((1, len(values))) if reader.fold.rows is None else reader.fold.rows
            share = weights.sum(1)[:, None, None]  # rows of a fold weigh the same here
            passes.append(
                Pass(values, probabilities, share * found, reference=np.stack([base, chances]))
            )
        return passes

    def _explainer(self, model: EstimatorModel, background: FloatArray) -> Any:
        with _quietly():
            return _made(model, _cells(model, background), self.kind)

    def _checked(
        self, model: EstimatorModel, explainer: Any, found: FloatArray, value: FloatArray,
        base: FloatArray, target: BoundTarget,
    ) -> FloatArray:  # fmt: skip
        """Return the values at the fills, if contributions account for the difference to them."""
        _same(model, value - base.mean(0), found.sum(1), value)
        return base


class ByPath(Interventional):
    """Absent columns follow the training rows down the tree; no background is used.

    Lundberg et al. 2020, algorithm 2. What they sum to is counted from the mean over the training
    rows, as the trees keep it.
    """

    kind: ClassVar[str] = "tree_path_dependent"

    def _explainer(self, model: EstimatorModel, background: FloatArray) -> Any:
        with _quietly():
            return _made(model, None, self.kind)

    def _checked(
        self, model: EstimatorModel, explainer: Any, found: FloatArray, value: FloatArray,
        base: FloatArray, target: BoundTarget,
    ) -> FloatArray:  # fmt: skip
        expected = np.atleast_1d(np.asarray(explainer.expected_value, dtype=np.float64))
        own = _read(expected[None], explainer, model, target)[:, 0]
        _same(model, value - own, found.sum(1), value)
        return np.repeat(own[None], len(base), axis=0)


def _columns_of(model: TorchModel) -> EstimatorModel:
    """Return the model, if it is an estimator on columns of numbers."""
    if not isinstance(model, EstimatorModel) or model.predictor.source is None:
        msg = f"trees= is for scikit-learn models of trees, and {model.name} is none; leave it out"
        raise RefusedError(msg)
    words = [column.name for column in model.columns.known if not column.numeric]
    if words:
        msg = (
            f"trees=: TreeExplainer takes columns of numbers, and {words[0]!r} holds none; leave "
            "trees= out, or give a model on an encoded table"
        )
        raise RefusedError(msg)
    return model


def _cells(model: EstimatorModel, rows: FloatArray) -> FloatArray:
    return np.asarray(model.columns.decode(rows).to_numpy(), dtype=np.float64)


def _made(model: EstimatorModel, background: FloatArray | None, kind: str) -> Any:
    try:
        shap = import_module("shap")
    except ImportError as error:
        msg = "trees= needs shap; install it: pip install shap"
        raise ModelError(msg) from error
    source = model.predictor.source
    try:
        return shap.TreeExplainer(source, background, feature_perturbation=kind)
    except Exception as error:  # of many kinds, by the model that it cannot read
        line = (str(error).splitlines() or [type(error).__name__])[0]
        msg = f"{model.name}: TreeExplainer cannot read it ({line[:120]}); leave trees= out"
        raise RefusedError(msg) from error


def _contributions(
    explainer: Any, row: FloatArray, model: EstimatorModel, target: BoundTarget
) -> FloatArray:
    """Return contributions to each target, shape (targets, columns)."""
    with _quietly():
        found = explainer.shap_values(_cells(model, row), check_additivity=False)
    array = np.asarray(found, dtype=np.float64)[0]
    return _read(array.reshape(len(array), -1), explainer, model, target)


def _read(
    array: FloatArray, explainer: Any, model: EstimatorModel, target: BoundTarget
) -> FloatArray:
    """Return what targets read of contributions (columns, outputs), shape (targets, columns)."""
    made, outputs = str(explainer.model.tree_output), array.shape[1]
    scale, labels = target.scale, len(model.labels or ())
    weight = target.weight
    if made == "log_odds" and outputs == 1:  # of the second of two classes
        array = np.concatenate([np.zeros_like(array), array], axis=1)
        if scale == "log_odds":  # of the one class is less that of the other
            array = np.concatenate([-array[:, 1:], array[:, 1:]], axis=1)
    even = np.bincount(target.owner, weight, target.count)
    fits = {
        "raw_value": labels < 2,
        "probability": scale == "prob",
        "log_odds": (scale == "log_odds" and labels == 2)
        or (scale in _LINEAR and bool(np.allclose(even, 0))),
    }.get(made, False)
    if not fits or target.call is not None or target.parts:
        what, remedy = {
            "probability": ("probabilities", "explain a class on the scale 'prob'"),
            "log_odds": ("log-odds", "explain Class(label, scale='log_odds')")
            if outputs == 1
            else (
                "log-odds of one class against another",
                "explain Contrast(a, b, scale='log_prob')",
            ),
        }.get(made, ("what its trees say", "leave trees= out"))
        msg = (
            f"trees=: contributions to {model.name} add up on {what}, and this target is on the "
            f"scale {scale}; {remedy}"
        )
        raise RefusedError(msg)
    found = np.zeros((target.count, len(array)))
    np.add.at(found, target.owner, weight[:, None] * array[:, target.index].T)
    return found


def _same(model: EstimatorModel, wanted: FloatArray, found: FloatArray, value: FloatArray) -> None:
    size = np.maximum(1.0, np.abs(value))
    if not (np.abs(wanted - found) <= _CLOSE * size).all():
        msg = (
            f"{model.name}: what TreeExplainer reads off its trees is not what it predicts (the "
            f"sum is {found[0]:.6g}, and should be {wanted[0]:.6g}); leave trees= out"
        )
        raise RefusedError(msg)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep shap's remarks off the user's screen."""
    logger = logging.getLogger("shap")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
