"""Attention for the page: matrices quantized to one byte a cell, which a small script draws."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib import colormaps

from saliscope.core.record import Record
from saliscope.core.units import FloatArray
from saliscope.show.heatmaps import names_along, shrink
from saliscope.show.style import SEQUENTIAL, clip, largest

__all__ = ["MapData", "palette", "quantize", "views"]

MOST_VIEWS = 64
SMALLEST_SIDE = 24
MISSING = 255


@dataclass(frozen=True)
class MapData:
    """What the script on the page gets, and what the reader is told about it."""

    data: dict[str, Any]
    notes: tuple[str, ...]


def palette() -> str:
    """Return the colors of 0 to 254 (sequential) and of missing, three bytes each, as base64."""
    shades = colormaps[SEQUENTIAL](np.linspace(0, 1, MISSING))[:, :3]
    colors = np.vstack([np.rint(shades * 255), [[189, 189, 189]]]).astype(np.uint8)
    return base64.b64encode(colors.tobytes()).decode()


def quantize(values: FloatArray) -> tuple[str, float]:
    """Return one byte a cell as base64, and the largest value.

    A byte b means (b / 254)² of the largest value, so that small shares keep their digits; 255
    means missing.

    Examples
    --------
    >>> base64.b64decode(quantize(np.array([[0.0, 0.25, 1.0, np.nan]]))[0]).hex(" ")
    '00 7f fe ff'
    """
    top = largest(values)
    share = np.sqrt(np.clip(values / (top or 1.0), 0.0, 1.0))
    bytes_ = np.where(np.isfinite(share), np.rint(share * (MISSING - 1)), MISSING)
    return base64.b64encode(bytes_.astype(np.uint8).tobytes()).decode(), top


def views(record: Record, budget: int) -> MapData:
    """Return the matrices of a map of attention: an overview, then one for each layer.

    Parameters
    ----------
    record : Record
        Received, mean, full or rolled-out attention.
    budget : int
        Bytes to stay under, before base64: single layers are left out first, then cells become
        block means; the notes say so.
    """
    values = record.values
    if {"query", "key"} <= set(values.dims):
        return _matrices(record, budget)
    notes: list[str] = []
    columns = names_along(record.data, "position")
    layers = names_along(record.data, "layer") if "layer" in values.dims else ("1",)
    heads = values.sizes.get("head", 1)
    every = values.expand_dims([d for d in ("layer", "head") if d not in values.dims])
    full = np.asarray(every.transpose("layer", "head", "position").values, dtype=np.float64)
    most = max(SMALLEST_SIDE, budget // max(1, len(layers)))
    found = [_view(_mean(full, 1), f"All layers, mean of {heads} heads", "layer", layers, columns,
                   (600, min(600, most)))]  # fmt: skip
    if full.size + found[0]["cells"] <= budget and heads > 1 and len(layers) <= MOST_VIEWS:
        names = names_along(record.data, "head")
        found += [
            _view(full[k], f"Layer {name}, each head", "head", names, columns, (600, 600))
            for k, name in enumerate(layers)
        ]
    elif heads > 1:
        notes.append("Single heads are left out to keep the page small.")
    return _pack(found, columns, "position", notes, square=False)


def _matrices(record: Record, budget: int) -> MapData:
    values, notes = record.values, []
    columns, rows = names_along(record.data, "key"), names_along(record.data, "query")
    layers = names_along(record.data, "layer") if "layer" in values.dims else ()
    single = len(layers) if 1 < len(layers) <= MOST_VIEWS else 0
    if len(layers) > MOST_VIEWS:
        notes.append("Single layers are left out to keep the page small.")
    share = int((budget / (single + 2)) ** 0.5)
    # The overview has twice the cells of a single layer.
    wide, side = max(SMALLEST_SIDE, int(share * 2**0.5)), max(SMALLEST_SIDE, share)
    about = " and ".join(f"{values.sizes[d]} {d}s" for d in ("layer", "head") if d in values.dims)
    about = f"Mean of {about}" if about else "Rollout over all layers"
    rest = [d for d in values.dims if d not in {"query", "key"}]
    mean = np.asarray(values.mean(rest).transpose("query", "key").values, dtype=np.float64)
    found = [_view(mean, about, "query", rows, columns, (wide, wide))]
    for k in range(single):
        part = values.isel(layer=k)
        part = part.mean([d for d in part.dims if d not in {"query", "key"}])
        array = np.asarray(part.transpose("query", "key").values, dtype=np.float64)
        found.append(_view(array, f"Layer {layers[k]}", "query", rows, columns, (side, side)))
    return _pack(found, columns, "key", notes, square=True)


def _mean(values: FloatArray, axis: int) -> FloatArray:
    finite = np.isfinite(values)
    count = finite.sum(axis)
    total = np.where(finite, values, 0.0).sum(axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _view(
    values: FloatArray, name: str, row: str, rows: tuple[str, ...], columns: tuple[str, ...],
    most: tuple[int, int],
) -> dict[str, Any]:  # fmt: skip
    small = shrink(values, *most)
    data, top = quantize(small)
    return {
        "name": name, "row": row, "rows": _blocks(rows, small.shape[0]), "max": top, "data": data,
        "cols": _blocks(columns, small.shape[1]), "cells": int(small.size),
        "blocks": small.shape != values.shape,
    }  # fmt: skip


def _blocks(names: tuple[str, ...], count: int) -> list[str]:
    """Return the names of cells; of block means, the first and the last that they hold."""
    if count == len(names):
        return [clip(n, 24) for n in names]
    edges = np.linspace(0, len(names), count + 1).astype(int)
    return [f"{clip(names[a], 12)} to {clip(names[b - 1], 12)}" for a, b in pairwise(edges)]


def _pack(
    found: list[dict[str, Any]], columns: tuple[str, ...], column: str, notes: list[str],
    *, square: bool,
) -> MapData:  # fmt: skip
    if any(v["blocks"] for v in found):
        cells = " and ".join(sorted({f"{len(v['rows'])} × {len(v['cols'])}" for v in found}))
        notes.append(f"Shown as {cells} block means to keep the page small.")
    shared = [clip(n, 24) for n in columns]
    for view in found:
        # Names along the columns are mostly the same for all views: they are written once.
        if view["cols"] == shared:
            view["cols"] = None
        if square and view["rows"] == shared:
            view["rows"] = None
        del view["cells"], view["blocks"]
    return MapData({"column": column, "cols": shared, "square": square, "views": found},
                   tuple(notes))  # fmt: skip
