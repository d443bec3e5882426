"""What a predictor says: scikit-learn estimators, files of them, and any function on tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from saliscope.core.errors import ModelError

__all__ = ["Predictor", "is_estimator", "load_skops", "predictor_of"]


@dataclass(frozen=True, eq=False)
class Predictor:
    """A function from a table to outputs, and what is known of it.

    Parameters
    ----------
    function : callable
        From a `pandas.DataFrame` (or, with `bare`, an array) to an array (rows,) or
        (rows, outputs).
    name : str
    labels : tuple of str, optional
        Names of the outputs.
    probabilities : bool
        Whether the outputs of a row are probabilities of classes.
    names : tuple of str, optional
        Columns, where the predictor knows them.
    width : int, optional
        Number of columns, likewise.
    bare : bool
        Whether it takes an array and no table.
    source : object
        The estimator itself, where it is one.
    """

    function: Callable[..., Any]
    name: str
    labels: tuple[str, ...] | None = None
    probabilities: bool = False
    names: tuple[str, ...] | None = None
    width: int | None = None
    bare: bool = False
    source: Any = None

    def given(self, table: pd.DataFrame) -> pd.DataFrame | npt.NDArray[Any]:
        """Return what the function takes."""
        return table.to_numpy() if self.bare else table

    def __call__(self, table: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return the outputs, shape (rows,) or (rows, outputs).

        Raises
        ------
        ModelError
            Other than one row of numbers per row of the table came back.
        """
        said = np.asarray(self.function(self.given(table)))
        if said.dtype.kind not in "fiub":
            kind = "text" if said.dtype.kind in "UOT" else str(said.dtype)
            msg = (
                f"{self.name} returned {kind} ({str(said.ravel()[:1].tolist())[1:-1]}, ...); give "
                "the function that returns numbers (predict_proba), and labels= for their names"
            )
            raise ModelError(msg)
        if said.ndim not in {1, 2} or len(said) != len(table):
            msg = (
                f"{self.name} returned shape {said.shape} for {len(table)} rows; it must return "
                "(rows,) or (rows, outputs)"
            )
            raise ModelError(msg)
        return said.astype(np.float64)


def is_estimator(source: object) -> bool:
    """Return whether something is a scikit-learn estimator, or behaves like one."""
    able = ("predict", "predict_proba", "decision_function")
    return hasattr(source, "get_params") and any(hasattr(source, name) for name in able)


def predictor_of(estimator: Any, name: str | None = None) -> Predictor:
    """Return what an estimator says, and about which columns.

    Probabilities come first, then decision values, then the prediction itself.

    Raises
    ------
    ModelError
        It was not fitted, or predicts several classes at once.
    """
    label = name or _name(estimator)
    classes = getattr(estimator, "classes_", None)
    width = getattr(estimator, "n_features_in_", None)
    if width is None and not _fitted(estimator):
        msg = f"{label} is not fitted; call fit() first"
        raise ModelError(msg)
    if isinstance(classes, list):
        msg = f"{label} predicts {len(classes)} things at once; explain one estimator for each"
        raise ModelError(msg)
    names = getattr(estimator, "feature_names_in_", None)
    known = None if names is None else tuple(map(str, names))
    labels = None if classes is None else tuple(_plain(c) for c in classes)
    common: dict[str, Any] = {
        "name": label, "names": known, "width": width, "bare": known is None, "source": estimator,
    }  # fmt: skip
    if labels is not None and hasattr(estimator, "predict_proba"):
        # Of one class there is nothing that its probability, always 1, could be set against.
        return Predictor(
            estimator.predict_proba, labels=labels, probabilities=len(labels) > 1, **common
        )
    if hasattr(estimator, "decision_function"):
        if labels is not None and len(labels) == 2:
            labels = (f"decision for {labels[1]}",)
        return Predictor(estimator.decision_function, labels=labels, **common)
    if labels is not None:  # says nothing but the class: 1 for it, 0 for the others
        own = np.asarray(classes)
        return Predictor(
            lambda rows: np.asarray(estimator.predict(rows))[:, None] == own,
            labels=labels, **common,
        )  # fmt: skip
    return Predictor(estimator.predict, **common)


def _plain(value: Any) -> str:
    return str(value.item() if isinstance(value, np.generic) else value)


def _name(estimator: Any) -> str:
    kind = type(estimator).__name__
    steps: Sequence[tuple[str, Any]] = getattr(estimator, "steps", ())
    return f"{kind} of {type(steps[-1][1]).__name__}" if steps else kind


def _fitted(estimator: Any) -> bool:
    try:
        validation = import_module("sklearn.utils.validation")
    except ImportError:  # not one of scikit-learn's, so its own predict() will tell
        return True
    try:
        validation.check_is_fitted(estimator)
    except (ValueError, AttributeError):  # its NotFittedError is both
        return False
    except TypeError:  # only behaves like an estimator
        return True
    return True


def load_skops(path: str | os.PathLike[str]) -> Any:
    """Return the estimator of a skops file that holds nothing which could run code of others.

    Raises
    ------
    ModelError
        There is no such file, it is not a skops file, or it holds types beyond those that skops
        trusts, classes of scikit-learn and numbers of numpy.
    """
    try:
        skops = import_module("skops.io")
    except ImportError as error:
        msg = f"{path}: a skops file needs skops and scikit-learn; install them: pip install skops"
        raise ModelError(msg) from error
    if not Path(path).is_file():
        msg = f"{path}: there is no such file"
        raise ModelError(msg)
    try:
        found = skops.get_untrusted_types(file=path)
    except Exception as error:  # a damaged archive or a wrong format raises many kinds
        msg = f"{path}: is not a skops file; write one with skops.io.dump(estimator, path)"
        raise ModelError(msg) from error
    strange = [kind for kind in found if not _is_harmless(kind)]
    if strange:
        msg = (
            f"{path}: holds {', '.join(sorted(strange)[:3])}, which is not of scikit-learn and "
            "could run code; give 'package.module:factory' instead, a function of yours that "
            "returns the model"
        )
        raise ModelError(msg)
    try:
        return skops.load(path, trusted=found)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        msg = f"{path}: cannot be loaded ({reason}); was it written by another scikit-learn?"
        raise ModelError(msg) from error


def _is_harmless(kind: str) -> bool:
    """Whether a type's name belongs to a class of scikit-learn itself, or to a numpy number.

    Looking it up imports a module of scikit-learn only. Functions are never harmless.
    """
    module, _, name = kind.rpartition(".")
    if module == "numpy":
        found = getattr(np, name, None)
        return isinstance(found, type) and issubclass(found, np.generic)
    if module != "sklearn" and not module.startswith("sklearn."):
        return False
    try:
        found = getattr(import_module(module), name, None)
    except ImportError:
        return False
    return isinstance(found, type) and found.__module__.startswith("sklearn.")
