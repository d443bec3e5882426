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

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import OptionError, nearest
from saliscope.core.units import FloatArray

if TYPE_CHECKING:
    from saliscope.core.model import Model, Sample

__all__ = [
    "POSITIONED", "BoundTarget", "Call", "Many", "Scale", "Target", "Together", "bound", "needs",
]  # fmt: skip

Scale = Literal["logit", "log_prob", "prob", "log_odds", "raw"]
POSITIONED = frozenset({"tokens", "next", "tags", "hidden", "steps"})
"""Outputs that have an axis of positions."""
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
    head : {"classes", "tokens", "next", "tags", "strings", "steps", "embedding", "hidden", "raw", \
"call", "several"}
        Which output is read: "tokens" says what stands at a position, "next" what follows it,
        "tags" how it is labeled. "strings" holds log-probabilities of the strings that a sample
        brings along, "steps" what a recognizer says at each of its frames or steps.
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
    reach : numpy.ndarray of bool, shape (targets, units), optional
        Units that can change each target at all; None is every one. A token that a causal model
        writes does not depend on what stands behind it.
    parts : tuple of BoundTarget
        For head "several": bound targets of other heads, whose targets follow each other.
    width : int
        Where it is not 0, a term reads a whole vector of so many numbers, on the raw scale: its
        index is 0, and its owner is a vector, which is as many targets.
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
    reach: npt.NDArray[np.bool_] | None = None
    parts: tuple[BoundTarget, ...] = ()
    width: int = 0

    @property
    def owners(self) -> int:
        """Number of owners of terms: targets, or vectors of targets."""
        return self.count // (self.width or 1)

    @property
    def count(self) -> int:
        """Number of targets."""
        return len(self.names)

    @property
    def reads(self) -> frozenset[str]:
        """The outputs of the model that it is read off."""
        if self.parts:
            return frozenset().union(*(part.reads for part in self.parts))
        return frozenset({self.head if self.call is None else "call"})

    @property
    def has_probability(self) -> bool:
        """Whether each target is one class or token, which has a probability of its own."""
        return (
            self.head in {"classes", "tokens", "next", "tags", "strings", "steps"}
            and self.scale != "raw"
            and len(self.views) == 1
            and len(self.owner) == self.count
            and bool((self.weight == 1).all())
        )


def bound(
    names: Sequence[str], scale: str, head: str,
    terms: Sequence[tuple[int, int, int, float]] | npt.NDArray[Any], *,
    views: tuple[tuple[int, ...], ...] = ((),), view: Sequence[int] | None = None, width: int = 0,
) -> BoundTarget:  # fmt: skip
    """Return the bound target of some terms: (owner, position, index, weight) each."""
    if view is None and len(terms) <= _FEW and not isinstance(terms, np.ndarray):
        return _known(tuple(names), scale, head, tuple(terms), views, None, width)
    return _bound(tuple(names), scale, head, terms, views, view, width)


def _bound(
    names: tuple[str, ...], scale: str, head: str, terms: Any,
    views: tuple[tuple[int, ...], ...], view: Sequence[int] | None, width: int,
) -> BoundTarget:  # fmt: skip
    table = np.asarray(terms, dtype=np.float64)
    owner, position, index, weight = table.T
    seen = np.asarray(view if view is not None else np.zeros(len(table)), dtype=np.int64)
    return BoundTarget(
        names, scale, head, owner.astype(np.int64), position.astype(np.int64),
        index.astype(np.int64), weight.copy(), views, seen, None,
        (names, scale, head, table.tobytes(), views, width), width=width,
    )  # fmt: skip


# A class of a hundred inputs is bound once; what has many terms is hardly asked for again.
_FEW = 8
_known = lru_cache(maxsize=256)(_bound)


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

    def on(self, model: Model, sample: Sample) -> Sample:
        """Return what the model is given: the sample, or more that this target is read on."""
        return sample

    def asks(self, model: Model, sample: Sample) -> BoundTarget | None:
        """Return what must be read off the model before this target is known, if anything."""
        return None

    def known(self, scores: FloatArray, model: Model) -> Target:
        """Return this target once the scores that it asks for are there."""
        return self

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return the terms of this target for one sample."""
        msg = f"{type(self).__name__} cannot be bound by itself"
        raise OptionError(msg)


def needs(model: Model, head: str, what: str) -> None:
    """Refuse a target that reads an output which the model does not have."""
    if head not in model.heads:
        has = ", ".join(sorted(model.heads))
        msg = f"{what} needs a model with an output of {head}; {model.name} has: {has}"
        raise OptionError(msg)


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

    def on(self, model: Model, sample: Sample) -> Sample:
        """Return the one sample that all are read on."""
        first, *others = self.targets
        found = [first.on(model, sample)]
        if "strings" in found[0].context:  # named one after the other
            for target in others:
                found[0] = target.on(model, found[0])
            return found[0]
        found += [target.on(model, sample) for target in others]
        if len({each.key for each in found}) > 1:
            msg = "several continuations are inputs of their own; explain them apart"
            raise OptionError(msg)
        return found[0]

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return the terms of all, each owned by its target."""
        parts = tuple(target.bind(model, sample) for target in self.targets)
        short = all(len(part.owner) <= _FEW for part in parts)
        return _known_join(parts) if short else _joined(parts)


def _joined(parts: tuple[BoundTarget, ...]) -> BoundTarget:
    """Return several bound targets as one."""
    first = parts[0]
    alike = {(p.head, p.scale, p.views, p.width) for p in parts}
    if len(alike) > 1 or first.head == "call":
        msg = "several targets must share output, scale and masking; explain them apart"
        raise OptionError(msg)
    before = accumulate((p.owners for p in parts), initial=0)
    owner = np.concatenate([p.owner + number for number, p in zip(before, parts, strict=False)])
    return replace(
        first,
        names=tuple(name for p in parts for name in p.names),
        owner=owner.astype(np.int64),
        position=np.concatenate([p.position for p in parts]),
        index=np.concatenate([p.index for p in parts]),
        weight=np.concatenate([p.weight for p in parts]),
        view=np.concatenate([p.view for p in parts]),
        reach=_reaches([p.reach for p in parts]),
        key=tuple(p.key for p in parts),
    )


_known_join = lru_cache(maxsize=64)(_joined)


def _reaches(
    parts: Sequence[npt.NDArray[np.bool_] | None],
) -> npt.NDArray[np.bool_] | None:
    """Return the reach of several targets together; None where one of them says nothing."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None


@dataclass(frozen=True)
class Together(Target):
    """Targets of different outputs and scales, read off one pass.

    For numbers to be measured (`saliscope.measure`); a map has one scale, so it takes `Many`.
    """

    targets: tuple[Target, ...]

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return the bound targets as parts."""
        parts = tuple(target.bind(model, sample) for target in self.targets)
        if any(p.views != ((),) for p in parts):
            msg = "targets that mask positions cannot be read together with others; measure apart"
            raise OptionError(msg)
        empty = np.zeros(0, dtype=np.int64)
        return BoundTarget(
            tuple(name for p in parts for name in p.names), "raw", "several",
            empty, empty, empty, np.zeros(0), key=tuple(p.key for p in parts), parts=parts,
        )  # fmt: skip
