"""Occlusion: how the target falls when a window of the input is covered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saliscope.core.ask import Ask, Estimate, Options, Question, Steps
from saliscope.core.errors import OptionError
from saliscope.core.health import finding
from saliscope.core.perturbation import Perturbation
from saliscope.core.registry import method, option
from saliscope.core.units import Units

__all__ = ["Occlusion", "occlusion"]


@dataclass(frozen=True)
class Occlusion(Options):
    """Options of `occlusion`."""

    window: int | tuple[int, ...] | None = option(
        None,
        "units per window along each axis (one number, or one per axis); unset: a patch of an "
        "image, else 1",
    )
    stride: int | tuple[int, ...] | None = option(
        None, "units between windows; unset: half the window, at least 1"
    )


def _extents(units: Units) -> tuple[int, ...]:
    return (len(units.kept),) if units.keep is not None else units.shape


def _per_axis(value: int | Sequence[int], name: str, axes: int) -> tuple[int, ...]:
    numbers = tuple(value) if isinstance(value, Sequence) else (value,) * axes
    if len(numbers) != axes:
        msg = f"{name}={value!r} has {len(numbers)} numbers; the input has {axes} axes"
        raise OptionError(msg)
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 1:
            msg = f"{name}={value!r}: give whole numbers of at least 1"
            raise OptionError(msg)
    return tuple(int(n) for n in numbers)


@method(
    "occlusion",
    options=Occlusion,
    needs={"values"},
    summary="Fall of the target when a sliding window is covered, averaged over windows.",
    cost="1 forward pass per window, and 1; of convolutions only the part that the window reaches",
    use="any model, differentiable or not; faithful to what really happens when a part is hidden",
    misuse="where the fill itself means something to the model, and where parts stand in for each "
    "other (covering one of two redundant parts shows nothing)",
    source="Zeiler & Fergus 2014, arXiv:1311.2901, section 4.2",
    equation=r"a_i = \frac{1}{|W_i|} \sum_{w \in W_i} "
    r"\bigl(f(x) - f(x_{w \leftarrow \text{fill}})\bigr)",
    takes={"fill"},
    aliases=("sliding_window", "feature_occlusion"),
)
def occlusion(question: Question, options: Occlusion) -> Steps:
    """Ask for the target with each window covered."""
    units = question.units
    extents = _extents(units)
    window = units.window or (1,) * len(extents)
    if options.window is not None:
        window = _per_axis(options.window, "window", len(extents))
    stride = (
        tuple(max(1, w // 2) for w in window)
        if options.stride is None
        else _per_axis(options.stride, "stride", len(extents))
    )
    for size, step, extent in zip(window, stride, extents, strict=True):
        if size > extent:
            msg = f"window={size} is longer than the input, which has {extent} units"
            raise OptionError(msg)
        if step > size:
            msg = f"stride={step} is longer than the window of {size}, so units would be skipped"
            raise OptionError(msg)
    boxes = units.boxes(window, stride)
    asked = yield Ask(Perturbation.leave_one_out(boxes, [question.baseline]))
    whole = asked.values[-1]
    drop = whole[:, None] - asked.values[:-1].T
    share = math.prod(window) / max(1, math.prod(extents))
    return Estimate(
        boxes.spread(drop, units.shape), whole,
        findings=(finding("wide_occlusion", share=share),) if share > 0.25 else (),
        notes={"windows": boxes.count, "window": window, "stride": stride,
               "fill": question.baseline.name},
    )  # fmt: skip
