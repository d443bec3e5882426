"""From a map and its input to the groups, the jobs and the numbers of a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import stats

from saliscope.core.coalitions import Grouped
from saliscope.core.errors import InputError
from saliscope.core.grids import resized
from saliscope.core.units import FloatArray, Grouping, Units
from saliscope.trust.comparing import Localization
from saliscope.trust.curves import Curves, mean_height
from saliscope.trust.measures import predicted_falls
from saliscope.trust.record import COLUMNS, DRAWS, FEWEST, LEVEL

__all__ = ["Table", "as_groups", "kept_shape", "obstacle", "parts_of"]

_FEW = 50  # patches that are too few for a map of a picture
_MANY = 4096  # numbers that are too many to go one by one
_ALONG = 14  # blocks along the shorter side


def kept_shape(units: Units) -> tuple[int, ...]:
    """Return the shape of a map per unit, without special tokens."""
    return (len(units.kept),) if units.keep is not None else units.shape


def parts_of(units: Units, groups: str | Sequence[int] | None) -> Grouped:
    """Return what is taken away together: as asked, or what is usual for the input.

    Where nothing is asked, a picture of few patches, and an array of thousands of numbers, are cut
    into blocks instead, about 14 along the shorter of the last two axes; leading axes (channels)
    stay together.

    Examples
    --------
    >>> color = Units(("c", "y", "x"), (3, 70, 70), "element")
    >>> parts_of(color, None).count, parts_of(Units(("x",), (8,), "element"), None).count
    (196, 8)
    """
    grouped = Grouped.by(units, groups)
    grouping = grouped.grouping
    few = grouping.kind == "patch" and bool(grouping.grid) and grouped.count < _FEW
    many = grouped.own and grouped.count > _MANY
    if groups is not None or units.keep is not None or not (few or many):
        return grouped
    near = units.shape[-2:] if len(units.shape) > 1 else units.shape
    edge = max(1, round(min(near) / _ALONG)) if len(near) > 1 else -(-near[0] // _MANY)
    edges = [*units.shape[: -len(near)], *([edge] * len(near))]
    starts = tuple(tuple(range(0, n, e)) for n, e in zip(units.shape, edges, strict=True))
    places = [np.arange(n) // e for n, e in zip(units.shape, edges, strict=True)]
    labels = np.ravel_multi_index(np.meshgrid(*places, indexing="ij"), tuple(map(len, starts)))
    return Grouped(units, Grouping("block", labels=labels.astype(np.int64), grid=starts))


def as_groups(
    values: npt.ArrayLike, units: Units, grouped: Grouped, *, signed: bool, name: str
) -> FloatArray:
    """Return a map with one value per group, on the grid of the groups.

    Values per unit are summed, their sizes where signs mean nothing. A coarser map of an image is
    spread over its pixels first.

    Raises
    ------
    InputError
        The map fits neither the units nor the groups, or is not finite.

    Examples
    --------
    >>> units = Units(("position",), (3,), "element")
    >>> pairs = Grouped.by(units, [0, 0, 1])
    >>> as_groups([1.0, -3.0, 5.0], units, pairs, signed=True, name="map").tolist()
    [-2.0, 5.0]
    >>> as_groups([1.0, -3.0, 5.0], units, pairs, signed=False, name="map").tolist()
    [4.0, 5.0]
    """
    array = np.asarray(values, dtype=np.float64)
    grouping, shape = grouped.grouping, kept_shape(units)
    assert grouping.labels is not None
    grid = tuple(map(len, grouping.grid)) or (shape if grouped.own else (grouped.count,))
    if not np.isfinite(array).all():
        msg = f"{name}: {int((~np.isfinite(array)).sum())} values of the map are not finite"
        raise InputError(msg)
    if array.shape == (1, *shape):
        array = array[0]
    if array.shape == shape:
        labels = grouping.labels if units.keep is None else grouping.labels[units.kept]
        used = labels >= 0
        weights = (array if signed else np.abs(array))[used]
        summed = np.bincount(labels[used], weights, grouped.count)
        return summed.astype(np.float64).reshape(grid)
    if array.shape == grid:
        return array if signed else np.abs(array)
    if array.ndim == len(shape) == 2 and all(
        cells <= pixels for cells, pixels in zip(array.shape, shape, strict=True)
    ):
        fine = resized(array, shape)
        return as_groups(fine, units, grouped, signed=signed, name=name)
    msg = (
        f"{name}: the map has shape {array.shape}; give one value per {units.kind}, shape "
        f"{shape}, or per {grouping.kind}, shape {grid}"
    )
    raise InputError(msg)


def obstacle(curves: Curves, groups: int, *, constant: bool) -> str:
    """Return why there is no verdict on an order, in words; empty where there is one.

    A constant map gives no order, so it is not better than chance: that is a verdict.
    """
    if curves.flat:
        return "the target does not change when parts of the input are taken away"
    if curves.lost:
        return f"the target is not finite at {curves.lost:,} of {curves.rows:,} perturbed inputs"
    if groups < FEWEST:
        return (
            f"the input has {groups} parts, and fewer than {FEWEST} have too few orders to tell "
            "one from chance"
        )
    beaten = bool((curves.p <= LEVEL).all())
    if len(curves.null) < DRAWS and (beaten or not len(curves.null)) and not constant:
        return f"a verdict needs {DRAWS} shuffled copies, and {len(curves.null)} were drawn"
    return ""


@dataclass(eq=False)
class Table:
    """The measures of a test, row by row."""

    rows: dict[str, dict[str, float]]

    def add(self, measure: str, value: float, **columns: float) -> None:
        """Add a row; columns that are not given are NaN."""
        self.rows[measure] = {**dict.fromkeys(COLUMNS, float("nan")), "value": value, **columns}

    def add_curves(self, curves: Curves, rng: np.random.Generator, *, additive: bool) -> None:
        """Add what was read off coalitions."""
        own = mean_height(curves.share, curves.own)
        null = mean_height(curves.share, curves.null)
        for i, name in enumerate(("deletion", "insertion")):
            beside = {}
            if len(null):
                low, high = np.percentile(null[:, i], (2.5, 97.5))
                beside = {"null": float(null[:, i].mean()), "null_low": float(low),
                          "null_high": float(high), "p": float(curves.p[i])}  # fmt: skip
            self.add(name, float(own[i]), **beside)
        self.add("comprehensiveness", curves.comprehensiveness)
        self.add("sufficiency", curves.sufficiency)
        if not additive or not len(curves.null) or curves.lost:
            return
        found = predicted_falls(curves.predicted, curves.falls, rng)
        self.add("infidelity", found.infidelity)
        low, high = found.relative_interval
        self.add("relative infidelity", found.relative, low=low, high=high)
        low, high = found.correlation_interval
        self.add("correlation", found.correlation, low=low, high=high)

    def add_randomized(self, similarities: Sequence[float]) -> None:
        """Add the mean similarity to maps of random weights, with Student's interval."""
        array = np.asarray(similarities, dtype=np.float64)
        low = high = float("nan")
        if len(array) > 1 and np.isfinite(array).all():
            half = float(stats.t.ppf(0.975, len(array) - 1) * stats.sem(array))
            low, high = max(-1.0, array.mean() - half), min(1.0, array.mean() + half)
        self.add("randomized", float(array.mean()), low=low, high=high)

    def add_sensitivity(self, changes: Sequence[float]) -> None:
        """Add how much the map changes when the input trembles."""
        self.add("sensitivity", float(np.mean(changes)))
        self.add("largest sensitivity", float(np.max(changes)))

    def add_localization(self, found: Localization) -> None:
        """Add how the map falls on a region."""
        self.add("pointing game", float(found.pointing))
        self.add("mass in mask", found.mass, null=found.area)
        self.add("auroc of mask", found.auroc, null=0.5, p=found.p)

    def dataset(
        self, curves: Curves, stages: Sequence[tuple[str, float]], against: Mapping[str, float]
    ) -> xr.Dataset:
        """Return everything that is kept."""
        names = list(self.rows)
        columns: dict[str, Any] = {
            "values" if c == "value" else c: (
                "measure",
                np.array([r[c] for r in self.rows.values()]),
            )
            for c in COLUMNS
        }
        bands = np.full((3, *curves.own.shape), np.nan)
        if len(curves.null):
            bands = np.percentile(curves.null, (2.5, 50.0, 97.5), axis=0)
        for i, name in enumerate(("deletion", "insertion")):
            columns[f"{name}_curve"] = ("share", curves.own[i])
            columns[f"{name}_null"] = (("band", "share"), bands[:, i])
        coords: dict[str, Any] = {
            "measure": names,
            "share": curves.share,
            "band": ["2.5 %", "median", "97.5 %"],
        }
        if stages:
            columns["similarity"] = ("stage", np.array([s for _, s in stages]))
            coords["stage"] = [name for name, _ in stages]
        if against:
            columns["agreement"] = ("against", np.array(list(against.values())))
            coords["against"] = list(against)
        return xr.Dataset(columns, coords)
