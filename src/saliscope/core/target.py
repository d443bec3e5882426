"""Targets: which numbers are explained.

Every target is one idea: a sparse linear readout of a model's scaled output, a list of terms
``weight x output[position, index]``. A class is one term, a contrast two, a sequence's likelihood
one term per residue, a projection one term per embedding dimension. Several targets are several
owners of terms, not a loop. Bound to a model and a sample, a target becomes plain arrays that any
framework can read in a few lines.

A target may also need its input seen in several *views*, with some positions masked: the
likelihood in context masks each residue in turn, and each view contributes its own terms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import OptionError, nearest
from saliscope.core.units import FloatArray

if TYPE_CHECKING:
    from saliscope.core.model import Model, Sample

__all__ = [
    "BoundTarget", "Call", "Class", "Contrast", "Likelihood", "Many", "Output", "Predicted",
    "Projection", "Scale", "Substitution", "Target", "Token",
]  # fmt: skip

Scale = Literal["logit", "log_prob", "prob", "log_odds", "raw"]
SCALES: tuple[str, ...] = ("logit", "log_prob", "prob", "log_odds", "raw")
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class BoundTarget:
    """A target for one sample: terms to read off an output.

    Parameters
    ----------
    names : tuple of str
        One per target.
    scale : str
        Transformation of the output's last axis before terms are read.
    head : {"classes", "tokens", "embedding", "raw", "call"}
        Which output is read.
    owner, position, index : numpy.ndarray of int, shape (terms,)
        The target that a term belongs to; where it stands on the model's token axis (0 for heads
        without one); which class, token or dimension it reads.
    weight : numpy.ndarray, shape (terms,)
    views : tuple of tuple of int
        Positions to mask in each view.
    view : numpy.ndarray of int, shape (terms,)
        The view in which a term is read.
    call : callable, optional
        For head "call": maps the model's output to (rows,) or (rows, targets).
    key : hashable
        Equal for targets that read the same.
    """

    names: tuple[str, ...]
    scale: str
    head: str
    owner: IntArray
    position: IntArray
    index: IntArray
    weight: FloatArray
    views: tuple[tuple[int, ...], ...] = ((),)
    view: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    call: Callable[..., Any] | None = None
    key: Hashable = None

    @property
    def count(self) -> int:
        """Number of targets."""
        return len(self.names)

    @property
    def has_probability(self) -> bool:
        """Whether each target is one class or token, which has a probability of its own."""
        return (
            self.head in {"classes", "tokens"}
            and self.scale != "raw"
            and len(self.views) == 1
            and len(self.owner) == self.count
            and bool((self.weight == 1).all())
        )


def _bound(
    names: Sequence[str], scale: str, head: str,
    terms: Sequence[tuple[int, int, int, float]], *,
    views: tuple[tuple[int, ...], ...] = ((),), view: Sequence[int] | None = None,
) -> BoundTarget:  # fmt: skip
    owner, position, index, weight = (np.array(column) for column in zip(*terms, strict=True))
    seen = np.asarray(view if view is not None else np.zeros(len(terms)), dtype=np.int64)
    key = (tuple(names), scale, head, owner.tobytes(), position.tobytes(), index.tobytes(),
           weight.tobytes(), views)  # fmt: skip
    return BoundTarget(
        tuple(names), scale, head, owner.astype(np.int64), position.astype(np.int64),
        index.astype(np.int64), weight.astype(np.float64), views, seen, None, key,
    )  # fmt: skip


@dataclass(frozen=True)
class Target:
    """Base of all targets.

    Parameters
    ----------
    scale : {"logit", "log_prob", "prob", "log_odds", "raw"}, optional
        Scale on which the target is read; None is the target's own default.
    """

    scale: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.scale is not None and self.scale not in SCALES:
            msg = f"scale {self.scale!r} does not exist: {nearest(self.scale, SCALES)}"
            raise OptionError(msg)

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return the terms of this target for one sample."""
        msg = f"{type(self).__name__} cannot be bound by itself"
        raise OptionError(msg)


@dataclass(frozen=True)
class Predicted(Target):
    """The class that the model predicts; resolved before binding."""


def _class_index(which: int | str, model: Model) -> int:
    labels = model.labels
    if labels is None:
        msg = "this model's number of classes is unknown; give the target as a number"
        raise OptionError(msg)
    if isinstance(which, str):
        if which in labels:
            return labels.index(which)
        folded = [label.casefold() for label in labels]
        if folded.count(which.casefold()) == 1:
            return folded.index(which.casefold())
        if re.fullmatch(r"-?\d+", which):
            return _class_index(int(which), model)
        msg = f"the model has no class {which!r}: {nearest(which, labels)}"
        raise OptionError(msg)
    if isinstance(which, bool) or not isinstance(which, (int, np.integer)):
        msg = f"a class is a number or a label, not {which!r}"
        raise OptionError(msg)
    if which < 0:
        msg = f"target {which} is negative; classes are counted from 0 to {len(labels) - 1}"
        raise OptionError(msg)
    if which >= len(labels):
        msg = (
            f"target {which} is out of range; the model has {len(labels)} outputs, "
            f"0 to {len(labels) - 1}"
        )
        raise OptionError(msg)
    return int(which)


def _needs(model: Model, head: str, what: str) -> None:
    if head not in model.heads:
        has = ", ".join(sorted(model.heads))
        msg = f"{what} needs a model with an output of {head}; {model.name} has: {has}"
        raise OptionError(msg)


@dataclass(frozen=True)
class Class(Target):
    """One class, by index or label (default scale: logit).

    Examples
    --------
    >>> Class("positive").which
    'positive'
    """

    which: int | str

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return one term."""
        _needs(model, "classes", "a class target")
        index = _class_index(self.which, model)
        assert model.labels is not None
        scale = self.scale or model.class_scale
        if len(model.labels) == 1 and scale in {"log_prob", "prob", "log_odds"}:
            msg = f"the model has one output, so it has no {scale}; use scale='raw'"
            raise OptionError(msg)
        return _bound([model.labels[index]], scale, "classes", [(0, 0, index, 1)])


@dataclass(frozen=True)
class Contrast(Target):
    """Why `a` and not `b`: the difference of two classes (default: of logits, the log-odds)."""

    a: int | str
    b: int | str

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return two terms."""
        _needs(model, "classes", "a contrast")
        a, b = _class_index(self.a, model), _class_index(self.b, model)
        if a == b:
            msg = f"a contrast needs two different classes, got {self.a!r} twice"
            raise OptionError(msg)
        assert model.labels is not None
        name = f"{model.labels[a]} vs {model.labels[b]}"
        scale = self.scale or model.class_scale
        return _bound([name], scale, "classes", [(0, 0, a, 1), (0, 0, b, -1)])


@dataclass(frozen=True)
class Output(Target):
    """One number of a raw output, by its index without the batch axis."""

    index: tuple[int, ...]

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return one term, the index flattened."""
        _needs(model, "raw", "an output index")
        shape: tuple[int, ...] = sample.context["output_shape"]
        if len(self.index) != len(shape):
            msg = f"target {self.index} has {len(self.index)} numbers; the output has shape {shape}"
            raise OptionError(msg)
        for number, extent in zip(self.index, shape, strict=True):
            if not 0 <= number < extent:
                msg = f"target {self.index} is out of range for an output of shape {shape}"
                raise OptionError(msg)
        flat = int(np.ravel_multi_index(self.index, shape)) if shape else 0
        name = f"output[{', '.join(map(str, self.index))}]" if shape else "output"
        return _bound([name], self.scale or "raw", "raw", [(0, 0, flat, 1)])


def _where(sample: Sample, position: int) -> int:
    """Return the place on the model's axis of the unit numbered `position`."""
    numbers = list(sample.units.coords["position"][1])
    kept = sample.units.kept
    try:
        return int(kept[[numbers[i] for i in kept].index(position)])
    except ValueError:
        msg = f"position {position} does not exist; the input has positions 1 to {len(kept)}"
        raise OptionError(msg) from None


def _letter(sample: Sample, where: int) -> str:
    return str(sample.units.coords[sample.units.kind][1][where])


@dataclass(frozen=True)
class Token(Target):
    """Log-probability of a token or residue at a position (default: the one that is there).

    With `context=True` the position is masked first, so the model sees its context only.
    """

    position: int
    token: str | None = None
    context: bool = False

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return one term."""
        _needs(model, "tokens", "a token target")
        where = _where(sample, self.position)
        token = self.token or _letter(sample, where)
        name = f"log P({token} at {self.position}{' | context' if self.context else ''})"
        views = ((where,),) if self.context else ((),)
        term = (0, where, model.token_id(token), 1.0)
        return _bound([name], self.scale or "log_prob", "tokens", [term], views=views)


@dataclass(frozen=True)
class Substitution(Target):
    """Log-probability ratio of a substitution, log P(to) - log P(wild type), at a position.

    The wild-type marginal of Meier et al. 2021 (eq. 2); with `context=True` the masked marginal.
    """

    position: int
    to: str
    wild_type: str | None = None
    context: bool = False

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return two terms."""
        _needs(model, "tokens", "a substitution")
        where = _where(sample, self.position)
        here = _letter(sample, where)
        if self.wild_type is not None and self.wild_type != here:
            msg = (
                f"{self.wild_type}{self.position}{self.to}: the input has {here} at position "
                f"{self.position}, not {self.wild_type}; check numbering and isoform"
            )
            raise OptionError(msg)
        suffix = " | context" if self.context else ""
        name = f"{here}{self.position}{self.to}{suffix}"
        terms = [(0, where, model.token_id(self.to), 1.0), (0, where, model.token_id(here), -1.0)]
        views = ((where,),) if self.context else ((),)
        return _bound([name], self.scale or "log_prob", "tokens", terms, views=views)


@dataclass(frozen=True)
class Likelihood(Target):
    """Log-likelihood of the whole sequence, summed over positions.

    By default in one unmasked pass; with `context=True` every position is masked in turn (the
    pseudo-log-likelihood of Salazar et al. 2020, one pass per position).
    """

    context: bool = False

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return one term per known unit."""
        _needs(model, "tokens", "a likelihood")
        ids = sample.context["ids"]
        unknown = sample.context.get("unknown", frozenset())
        places = [int(i) for i in sample.units.kept if int(i) not in unknown]
        if not places:
            msg = "no unit of this input is known to the model, so it has no likelihood"
            raise OptionError(msg)
        terms = [(0, place, int(ids[place]), 1.0) for place in places]
        name = "log-likelihood in context" if self.context else "log-likelihood"
        if not self.context:
            return _bound([name], self.scale or "log_prob", "tokens", terms)
        views = tuple((place,) for place in places)
        return _bound(
            [name], self.scale or "log_prob", "tokens", terms, views=views, view=range(len(places))
        )


@dataclass(frozen=True, eq=False)
class Projection(Target):
    """Projection of the embedding, averaged over units, on a vector."""

    vector: Any

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return one term per dimension."""
        _needs(model, "embedding", "a projection")
        vector = np.asarray(self.vector, dtype=np.float64)
        width = sample.context["width"]
        if vector.shape != (width,):
            msg = f"the projection vector has shape {vector.shape}; the embedding has ({width},)"
            raise OptionError(msg)
        if not np.isfinite(vector).all():
            msg = "the projection vector has numbers that are not finite"
            raise OptionError(msg)
        terms = [(0, 0, i, float(w)) for i, w in enumerate(vector)]
        return _bound(["projection"], "raw", "embedding", terms)


@dataclass(frozen=True, eq=False)
class Call(Target):
    """Anything: a function of the model's output that returns (rows,) or (rows, targets)."""

    function: Callable[..., Any]
    names: tuple[str, ...] = ()

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return the function itself as the readout."""
        names = self.names or (getattr(self.function, "__name__", "target"),)
        empty = np.zeros(0, dtype=np.int64)
        return BoundTarget(
            names, "raw", "call", empty, empty, empty, np.zeros(0), call=self.function,
            key=("call", id(self.function)),
        )  # fmt: skip


@dataclass(frozen=True)
class Many(Target):
    """Several targets at once, read off the same passes."""

    targets: tuple[Target, ...]

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return the terms of all, each owned by its target."""
        parts = [target.bind(model, sample) for target in self.targets]
        first = parts[0]
        alike = {(p.head, p.scale, p.views) for p in parts}
        if len(alike) > 1 or first.head == "call":
            msg = "several targets must share output, scale and masking; explain them apart"
            raise OptionError(msg)
        owner = np.concatenate([np.full(len(p.owner), i) for i, p in enumerate(parts)])
        return replace(
            first,
            names=tuple(name for p in parts for name in p.names),
            owner=owner.astype(np.int64),
            position=np.concatenate([p.position for p in parts]),
            index=np.concatenate([p.index for p in parts]),
            weight=np.concatenate([p.weight for p in parts]),
            view=np.concatenate([p.view for p in parts]),
            key=tuple(p.key for p in parts),
        )
