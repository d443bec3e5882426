"""Slow float64 references: a driver without an engine, and methods straight from their papers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from saliscope.core.ask import Answer, Ask, Estimate, Question
from saliscope.core.perturbation import Baseline, Perturbation
from saliscope.core.registry import get_method, options_from
from saliscope.core.units import Units

Function = Callable[[torch.Tensor], torch.Tensor]  # one input (*units) to (targets,)


def realized(points: Perturbation, row: int, x: torch.Tensor) -> torch.Tensor:
    """Return one perturbed input, group by group and number by number."""
    out = x.clone()
    grouping, fill = points.grouping, points.fill_of(row)
    for group, weight in enumerate(points.row(row)):
        where = torch.zeros(x.shape, dtype=torch.bool)
        if grouping.boxes is not None:
            where[grouping.boxes[group]] = True
        else:
            where = torch.from_numpy(grouping.labels == group)
        if weight != 1:
            out[where] = (fill.value + weight * (x - fill.value))[where]
    if points.noise is not None:
        drawn = normal(int(points.noise.seeds[row]), x.shape)
        if points.noise.signs is not None:
            drawn = drawn * float(points.noise.signs[row])
        out = out + points.noise.scale * (x.max() - x.min()) * drawn
    return out


def normal(seed: int, shape: Sequence[int]) -> torch.Tensor:
    """Return what a seed draws."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def reference_drive(
    method: str, f: Function, x: torch.Tensor, baseline: torch.Tensor, *,
    tolerance: float | None = None, max_evaluations: int | None = None,
    background: Sequence[torch.Tensor] = (), asked: list[Ask] | None = None, **options: Any,
) -> Estimate:  # fmt: skip
    """Drive a method against a plain function: values by calls, gradients a row at a time.

    What it asks is added to `asked`.
    """
    spec = get_method(method)
    units = Units(tuple(f"dim_{i + 1}" for i in range(x.ndim)), tuple(x.shape), "element")
    count = len(f(x))
    question = Question(
        units, count, Baseline("given", baseline), tolerance, max_evaluations,
        np.random.default_rng(0), tuple(Baseline("given", b) for b in background),
    )  # fmt: skip
    steps = spec.run(question, options_from(spec, options))
    try:
        ask = next(steps)
        while True:
            if asked is not None:
                asked.append(ask)
            ask = steps.send(_answer(ask, f, x))
    except StopIteration as stop:
        return stop.value


def _answer(ask: Ask, f: Function, x: torch.Tensor) -> Answer:
    points = ask.points
    inputs = [realized(points, row, x) for row in range(points.rows)]
    values = np.stack([f(i).detach().numpy() for i in inputs])
    nothing = np.full_like(values, np.nan)
    if ask.fold is None:
        return Answer(values, nothing)
    rows = np.stack(
        [[(g * _times(ask, row, x)).numpy() for g in slopes(f, i)] for row, i in enumerate(inputs)]
    )
    if ask.fold.rows is not None:
        rows = np.tensordot(ask.fold.rows, rows, axes=1)
    shaped = {"sum": rows, "norm": np.abs(rows), "each": rows[..., None]}
    return Answer(values, nothing, shaped[ask.fold.features])


def _times(ask: Ask, row: int, x: torch.Tensor) -> torch.Tensor:
    assert ask.fold is not None
    if ask.fold.times == "difference":
        return x - ask.points.fill_of(row).value
    return x if ask.fold.times == "input" else torch.ones_like(x)


def slopes(f: Function, x: torch.Tensor) -> list[torch.Tensor]:
    """Return the gradient of each target at one input."""
    found = []
    for target in range(len(f(x))):
        leaf = x.clone().requires_grad_()
        value = f(leaf)[target]
        if not value.requires_grad:
            found.append(torch.zeros_like(x))
            continue
        (gradient,) = torch.autograd.grad(value, leaf, allow_unused=True)
        found.append(torch.zeros_like(x) if gradient is None else gradient)
    return found


def integrated(
    f: Function, x: torch.Tensor, b: torch.Tensor, nodes: Sequence[float], weights: Sequence[float]
) -> np.ndarray:
    """Sundararajan et al. 2017, equation 1, its integral replaced by a rule."""
    total = np.zeros((len(f(x)), *x.shape))
    for node, weight in zip(nodes, weights, strict=True):
        for target, gradient in enumerate(slopes(f, b + node * (x - b))):
            total[target] += weight * gradient.numpy()
    return total * (x - b).numpy()


def occluded(
    f: Function, x: torch.Tensor, b: torch.Tensor, window: Sequence[int], stride: Sequence[int]
) -> np.ndarray:
    """Zeiler & Fergus 2014, section 4.2: cover every window, average where windows overlap."""
    whole = f(x).detach().numpy()
    total, count = np.zeros((len(whole), *x.shape)), np.zeros(x.shape)
    places = []
    for extent, size, step in zip(x.shape, window, stride, strict=True):
        starts = list(range(0, extent - size + 1, step))
        places.append(starts if starts[-1] == extent - size else [*starts, extent - size])
    for corner in itertools.product(*places):
        mask = torch.ones_like(x)
        for unit in itertools.product(*(range(n) for n in x.shape)):
            if all(c <= u < c + s for u, c, s in zip(unit, corner, window, strict=True)):
                mask[unit] = 0
        drop = whole - f(mask * x + (1 - mask) * b).detach().numpy()
        inside = (mask == 0).numpy()
        count += inside
        for target, number in enumerate(drop):
            total[target] += number * inside
    return total / count


def masked(f: Function, x: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    """Li et al. 2016, equation 1: the fall of the target without each unit."""
    whole = f(x).detach().numpy()
    out = np.zeros((len(whole), *x.shape))
    for unit in itertools.product(*(range(n) for n in x.shape)):
        without = x.clone()
        without[unit] = b[unit]
        out[(slice(None), *unit)] = whole - f(without).detach().numpy()
    return out
