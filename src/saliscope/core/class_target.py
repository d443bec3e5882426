"""Targets among the outputs of a classifier, or of any tensor."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from saliscope.core.errors import OptionError, nearest
from saliscope.core.target import BoundTarget, Many, Target, bound, needs
from saliscope.core.units import FloatArray

if TYPE_CHECKING:
    from saliscope.core.model import Model, Sample

__all__ = ["Class", "Contrast", "Output", "Predicted", "class_index", "every_class"]


@dataclass(frozen=True)
class Predicted(Target):
    """The class that the model predicts; resolved before binding."""

    def asks(self, model: Model, sample: Sample) -> BoundTarget | None:
        """Return every class."""
        return every_class(model, sample)

    def known(self, scores: FloatArray, model: Model) -> Target:
        """Return the class of the largest output."""
        return Class(int(np.argmax(scores)), scale=self.scale)


def every_class(model: Model, sample: Sample) -> BoundTarget | None:
    """Return all classes as targets; None where there are none."""
    if "classes" not in model.heads:
        return None
    assert model.labels is not None
    return Many(tuple(Class(i) for i in range(len(model.labels)))).bind(model, sample)


def class_index(which: int | str, model: Model) -> int:
    """Return the index of a class that is given by its index or its label."""
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
            return class_index(int(which), model)
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
        needs(model, "classes", "a class target")
        index = class_index(self.which, model)
        assert model.labels is not None
        scale = self.scale or model.class_scale
        if len(model.labels) == 1 and scale in {"log_prob", "prob", "log_odds"}:
            msg = f"the model has one output, so it has no {scale}; use scale='raw'"
            raise OptionError(msg)
        return bound([model.labels[index]], scale, "classes", [(0, 0, index, 1)])


@dataclass(frozen=True)
class Contrast(Target):
    """Why `a` and not `b`: the difference of two classes (default: of logits, the log-odds)."""

    a: int | str
    b: int | str

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return two terms."""
        needs(model, "classes", "a contrast")
        a, b = class_index(self.a, model), class_index(self.b, model)
        if a == b:
            msg = f"a contrast needs two different classes, got {self.a!r} twice"
            raise OptionError(msg)
        assert model.labels is not None
        name = f"{model.labels[a]} vs {model.labels[b]}"
        scale = self.scale or model.class_scale
        return bound([name], scale, "classes", [(0, 0, a, 1), (0, 0, b, -1)])


@dataclass(frozen=True)
class Output(Target):
    """One number of a raw output, by its index without the batch axis."""

    index: tuple[int, ...]

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return one term, the index flattened."""
        needs(model, "raw", "an output index")
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
        return bound([name], self.scale or "raw", "raw", [(0, 0, flat, 1)])
