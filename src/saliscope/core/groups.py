"""Values of a finished map taken together: tokens to words, residues to domains, pixels to patches.

What belongs together stands in the saved result (`saliscope.core.partitions`), so no model is
needed. A sum over groups keeps what holds for the map; other reducers are flagged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from saliscope.core.errors import OptionError, nearest
from saliscope.core.health import Finding, finding
from saliscope.core.partitions import LEAD, Axes, By, Groups
from saliscope.core.units import FloatArray

__all__ = ["NAMED", "REDUCERS", "check", "regroup"]

NAMED = {"text": ("token", "word", "sentence"), "protein": ("residue", "codon")}
"""Groupings that all results of a modality know by name."""

_Runs = npt.NDArray[np.int64]
_Reduce = Callable[[FloatArray, _Runs], FloatArray]


def _sum(values: FloatArray, starts: _Runs) -> FloatArray:
    return np.asarray(np.add.reduceat(values, starts, axis=-1))


def _largest(values: FloatArray, starts: _Runs) -> FloatArray:
    return np.asarray(np.maximum.reduceat(values, starts, axis=-1))


def _mean(values: FloatArray, starts: _Runs) -> FloatArray:
    return _sum(values, starts) / np.diff(starts, append=values.shape[-1])


def _norm(values: FloatArray, starts: _Runs) -> FloatArray:
    return np.sqrt(_sum(values * values, starts))


def _absmax(values: FloatArray, starts: _Runs) -> FloatArray:
    high, low = _largest(values, starts), -_largest(-values, starts)
    return np.where(high >= -low, high, low)


REDUCERS: dict[str, tuple[str, _Reduce]] = {
    "sum": ("sum", _sum),
    "mean": ("mean", _mean),
    "max": ("largest value", _largest),
    "norm": ("L2 norm", _norm),
    "absmax": ("value of largest size", _absmax),
}
"""How the values of a group become one: in words, and of sorted values, cut where groups begin."""


def check(by: str, modality: str) -> None:
    """Refuse, before anything is computed, the name of a grouping that results will not have.

    Raises
    ------
    OptionError
        One line that lists the names there are.

    Examples
    --------
    >>> check("word", "text")
    >>> check("word", "protein")
    Traceback (most recent call last):
        ...
    saliscope.core.errors.OptionError: results of a protein model cannot be grouped by 'word'; \
give residue, codon, or a number of units
    """
    known = NAMED.get(modality, ())
    if by not in known:
        msg = (
            f"results of a {modality} model cannot be grouped by {by!r}; give "
            f"{', '.join([*known, 'or a number of units'])}"
        )
        raise OptionError(msg)


def regroup(
    data: xr.Dataset, meta: Mapping[str, Any], by: By, reduce: str
) -> tuple[xr.Dataset, dict[str, Any], list[Finding]]:
    """Return the numbers of a map per group, their metadata, and what a reader should know.

    Parameters
    ----------
    data : xarray.Dataset
    meta : mapping
        Of an `Attribution`.
    by, reduce
        As of `saliscope.Attribution.group`.

    Raises
    ------
    OptionError
        There is no such grouping or reducer, groups overlap, or a span lies outside.
    """
    if reduce not in REDUCERS:
        msg = f"reduce={reduce!r} does not exist: {nearest(str(reduce), REDUCERS)}"
        raise OptionError(msg)
    axes = Axes.of(data)
    if isinstance(by, str) and by == meta.get("unit_kind"):
        return data, dict(meta), []
    groups = axes.groups(by, meta)
    order = np.argsort(groups.labels, kind="stable")
    sizes = np.bincount(groups.labels)
    starts = np.cumsum(sizes) - sizes
    alone, summed = bool((sizes == 1).all()), reduce == "sum"
    dims = (*axes.lead, *(axes.own if groups.grid else ("position",)))

    def reduced(array: xr.DataArray, how: str) -> tuple[tuple[str, ...], FloatArray]:
        values = np.asarray(array.transpose(*axes.lead, *axes.own), dtype=np.float64)
        lead = values.shape[: len(axes.lead)]
        made = REDUCERS[how][1](values.reshape(*lead, -1)[..., order], starts)
        return dims, made.reshape(*lead, *groups.shape)

    found = {"values": reduced(data["values"], reduce)}
    whole = {"values"} if summed else {"values", "gap", "error"}  # of which no part is kept
    # Whatever else is known per unit, only its method could say of several units together; but the
    # standard deviation of a sum is at most the sum of the standard deviations.
    bounded = {"stderr"} if reduce in {"sum", "mean"} else set()
    for name, variable in ((str(n), v) for n, v in data.data_vars.items() if n not in whole):
        if set(variable.dims) <= set(axes.lead):
            found[name] = (tuple(map(str, variable.dims)), variable.values)
        elif set(variable.dims) == set(data["values"].dims) and (alone or name in bounded):
            found[name] = reduced(variable, "sum" if alone else reduce)
    lead = {n: c for n, c in data.coords.items() if set(c.dims) <= set(axes.lead)}
    made = xr.Dataset(found, {**lead, **axes.labels(groups)})
    if "error" in made:
        made["error"] = made["error"] * _growth(data, made)
    findings = []
    if not summed:
        words = REDUCERS[reduce][0]
        findings.append(finding("groups_not_summed", reduce=words, kind=groups.kind))
    elif "gap" not in data and not alone:
        method = str(meta.get("method", "this method"))
        findings.append(finding("groups_not_additive", kind=groups.kind, method=method))
    if "stderr" in made and not alone:
        findings.append(finding("stderr_bound", kind=groups.kind))
    return made, _described(meta, groups, reduce), findings


def _growth(before: xr.Dataset, after: xr.Dataset) -> FloatArray:
    """Return how much larger the same error is, relative to a map in which values cancel."""

    def scale(data: xr.Dataset) -> FloatArray:
        own = [d for d in data["values"].dims if d not in LEAD]
        size = abs(data["values"]).sum(own).to_numpy()
        if "baseline_score" not in data:
            return np.asarray(size)
        change = abs(data["score"] - data["baseline_score"]).to_numpy()
        return np.asarray(np.maximum(size, change))

    old, new = scale(before), scale(after)
    return np.divide(old, new, out=np.ones_like(new), where=new > 0)


def _described(meta: Mapping[str, Any], groups: Groups, reduce: str) -> dict[str, Any]:
    """Return the metadata of a map whose units are groups."""
    provenance = dict(meta.get("provenance", {}))
    step = {"by": groups.kind, "reduce": reduce, "groups": int(np.prod(groups.shape))}
    provenance["grouped"] = [*provenance.get("grouped", ()), step]
    how = (
        f"Each {groups.kind} has the {REDUCERS[reduce][0]} of its {meta.get('unit_kind', 'unit')}s."
    )
    return {
        **meta, "unit_kind": groups.kind, "provenance": provenance,
        "signed": bool(meta.get("signed", True)) and reduce != "norm",
        "how": f"{meta.get('how', '')} {how}".strip(),
    }  # fmt: skip
