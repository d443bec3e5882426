"""What class activation methods share: their options, and the way from a layer's grid to a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from saliscope.core.ask import Answer, Estimate, Layer, Options, Question
from saliscope.core.errors import OptionError
from saliscope.core.grids import resized
from saliscope.core.health import Finding, finding
from saliscope.core.registry import option
from saliscope.core.units import FloatArray, Units

__all__ = ["ClassActivation", "mapped", "spatial_axes"]


@dataclass(frozen=True)
class ClassActivation(Options):
    """Options of the class activation methods."""

    layer: str | None = option(
        None,
        "name of the module whose output is looked at, as named_modules says; unset: the last one "
        "with a grid of positions on which the output depends",
    )
    absolute: bool | None = option(
        None,
        "unset: what is negative becomes zero, as published (ReLU); false keeps the sign, true "
        "gives the size",
    )
    upsample: bool = option(
        True,
        "interpolate the map to the units of the input; false gives one value per cell of the "
        "layer's grid",
    )

    def __post_init__(self) -> None:
        if self.layer is not None and not isinstance(self.layer, str):
            msg = (
                f"layer= is a {type(self.layer).__name__}; give the name of a module, as "
                "named_modules says"
            )
            raise OptionError(msg)


def spatial_axes(question: Question, layer: Layer) -> tuple[int, ...]:
    """Return the axes of the input that the grid of a layer lies along.

    Raises
    ------
    OptionError
        The grid lies along none: the model has made an image of something else.
    """
    dims = question.units.dims
    if not set(layer.units.dims) <= set(dims):
        grid = " x ".join(map(str, layer.units.shape))
        msg = (
            f"the grid of layer {layer.name!r} ({grid}) lies along no axes of the input, whose "
            f"shape is {question.units.shape}; grad_cam with upsample=False gives it as it is"
        )
        raise OptionError(msg)
    return tuple(dims.index(dim) for dim in layer.units.dims)


def mapped(
    question: Question, options: ClassActivation, answer: Answer, total: FloatArray,
    findings: Sequence[Finding] = (), **extra: Any,
) -> Estimate:  # fmt: skip
    """Return weighted sums on the grid, shape (targets, *grid), as a map of the input."""
    layer = question.layer
    assert layer is not None
    found = list(findings)
    units = layer.units
    if layer.skipped:
        found.append(finding("tokens_left_out", count=layer.skipped, layer=layer.name))
    if options.absolute is None:
        if total.any() and not (total > 0).any():
            found.append(finding("nothing_positive"))
        total = np.maximum(total, 0)
    elif options.absolute:
        total = np.abs(total)
    if options.upsample:
        whole, axes = question.units, spatial_axes(question, layer)
        shape = tuple(whole.shape[axis] for axis in axes)
        if any(cells < n for cells, n in zip(units.shape, shape, strict=True)):
            found.append(_coarse(layer, shape))
        coords = {name: c for name, c in whole.coords.items() if c[0] in units.dims}
        total, units = resized(total, shape), Units(units.dims, shape, whole.kind, coords)
    return Estimate(
        total, answer.values[0], units=units, signed=options.absolute is False,
        findings=tuple(found), **extra,
    )  # fmt: skip


def _coarse(layer: Layer, shape: Sequence[int]) -> Finding:
    grid = " x ".join(map(str, layer.units.shape))
    cell = " x ".join(f"{n / c:.3g}" for n, c in zip(shape, layer.units.shape, strict=True))
    return finding("coarse_grid", layer=layer.name, grid=grid, cell=cell)
