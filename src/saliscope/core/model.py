"""What the engine needs of a model, and nothing more.

An adapter turns something that a user has (a module, a checkpoint, a function) into a `Model`.
It says what it `offers`; a method says what it `needs`; the difference is the text of a refusal.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from saliscope.core.ask import Fold, Layer
from saliscope.core.batching import Grain
from saliscope.core.health import Finding
from saliscope.core.perturbation import Baseline, Perturbation
from saliscope.core.target import BoundTarget
from saliscope.core.units import FloatArray, Units

__all__ = ["Model", "Pass", "Piece", "Reader", "Said", "Sample"]

_COUNTER = itertools.count()


@dataclass(frozen=True, eq=False)
class Sample:
    """An input, ready for a model.

    Parameters
    ----------
    name : str
        What results call it: the record's name, or the start of the input.
    text : str
        The input as a person reads it; empty for tensors.
    units : Units
    value : object
        The input in its differentiable space without the batch axis; None where the model makes
        it itself (the output of an embedding).
    context : mapping
        What else the adapter needs: token ids, positions of units on the model's axis.
    key : hashable
        Equal for inputs with equal content. Inputs without a natural key get a unique one.
    findings : tuple of Finding
        What was noticed while preparing it.
    """

    name: str
    text: str
    units: Units
    value: Any = None
    context: Mapping[str, Any] = field(default_factory=dict)
    key: Hashable = field(default_factory=lambda: ("unique", next(_COUNTER)))
    findings: tuple[Finding, ...] = ()

    @property
    def length(self) -> int:
        """Number of units, by which inputs are sorted into batches."""
        return self.units.size


@dataclass(frozen=True, eq=False)
class Piece:
    """Rows of one perturbation of one sample, seen in one view, as part of a batch.

    `view` holds the positions that the target wants masked (usually none).
    """

    sample: Sample
    perturbation: Perturbation
    rows: npt.NDArray[np.int64]
    view: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Reader:
    """Somebody who wants a target read off some rows of a batch.

    Parameters
    ----------
    target : BoundTarget
    view : int
        Number of the view that these rows show; only its terms are read.
    rows : numpy.ndarray of int
        Rows of the batch.
    piece : int
        The piece that the rows belong to (always, when gradients are wanted).
    fold : Fold, optional
        Wanted reduction of the gradients; `fold.rows` already cut to these rows.
    layer : Layer, optional
        Where activations and gradients are wanted as they are.
    """

    target: BoundTarget
    view: int
    rows: npt.NDArray[np.int64]
    piece: int
    fold: Fold | None = None
    layer: Layer | None = None


@dataclass(frozen=True, eq=False)
class Pass:
    """What one reader gets.

    Parameters
    ----------
    values, probabilities : numpy.ndarray, shape (rows, targets)
        Probabilities are NaN where the target has none.
    gradients : numpy.ndarray, shape (rows or sums, targets, *units), optional
    activations, slopes : numpy.ndarray, optional
        Of a layer; see `Answer`.
    reference : numpy.ndarray, shape (2, rows, targets), optional
        Values and probabilities at the fill of each row; see `Answer`.
    """

    values: FloatArray
    probabilities: FloatArray
    gradients: FloatArray | None = None
    activations: FloatArray | None = None
    slopes: FloatArray | None = None
    reference: FloatArray | None = None


@dataclass(frozen=True)
class Said:
    """A character that a recognizer says.

    Parameters
    ----------
    text : str
    terms : tuple of (int, int, float)
        Step, output and weight: one of a decoder, several frames of a CTC model.
    """

    text: str
    terms: tuple[tuple[int, int, float], ...]


class Model(Protocol):
    """A model behind an adapter."""

    name: str
    modality: str
    offers: frozenset[str]
    labels: tuple[str, ...] | None
    heads: frozenset[str]
    class_scale: str

    @property
    def grain(self) -> Grain:
        """What a batch should hold where the model computes."""
        ...

    @property
    def identity(self) -> object:
        """The object whose life bounds what is remembered about the model's speed."""
        ...

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was noticed when the model was loaded."""
        ...

    @property
    def threads(self) -> int:
        """Threads that a pass uses."""
        ...

    def prepare(self, raw: object, *, name: str | None = None) -> Sequence[Sample]:
        """Turn one raw input into samples (several only for a tensor with an example axis)."""
        ...

    def continued(
        self, sample: Sample, outputs: Sequence[str | Sequence[int] | None], tokens: int
    ) -> Sample:
        """Return an input with outputs behind it: texts, ids, or what the model writes (None)."""
        ...

    def said(self, sample: Sample, text: str) -> Sequence[Said]:
        """Return at which steps, and as which outputs, the characters of a string are said."""
        ...

    def baseline(self, sample: Sample, given: object) -> Baseline:
        """Return what stands in place of units; `given` None is the modality's default."""
        ...

    def background(self, sample: Sample, given: object) -> Sequence[Baseline]:
        """Return the several baselines that a user gives at once."""
        ...

    def fill(self, sample: Sample, given: object) -> Baseline:
        """Return what stands in place of a masked unit; `given` None is the default."""
        ...

    def token_id(self, text: str) -> int:
        """Return the output index of a token or residue."""
        ...

    def row_key(
        self, sample: Sample, perturbation: Perturbation, row: int, view: tuple[int, ...]
    ) -> Hashable | None:
        """Return a key equal for rows that give the model equal inputs, or None if unknown."""
        ...

    def pack_key(self, sample: Sample, perturbation: Perturbation) -> Hashable:
        """Return a key equal for rows that can share a batch."""
        ...

    def shares(self, sample: Sample, perturbation: Perturbation) -> bool:
        """Return whether rows share most of what is computed for them, so that many go together."""
        ...

    def layer(self, sample: Sample, name: str | None = None) -> Layer:
        """Return the layer of a name, or the last whose positions the output depends on."""
        ...

    def quiet(self, seed: int) -> AbstractContextManager[None]:
        """Enter evaluation mode without side effects, and restore everything on leaving."""
        ...

    def run(
        self, pieces: Sequence[Piece], readers: Sequence[Reader], *, account: bool = False
    ) -> tuple[list[Pass], int]:
        """Run one batch; return what each reader gets, and with `account` the peak bytes."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Return what provenance should say of the model."""
        ...
