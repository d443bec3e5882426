"""A molecule on a page: what the viewer draws, as plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_hex

from saliscope.core.errors import OptionError
from saliscope.core.units import FloatArray
from saliscope.show.style import DIVERGING, clip, largest, number, visible

__all__ = ["Scene", "Trace", "scene_data"]

_MOST = 20_000
_GRAY = "#8f99a3"
# The upper arm of the diverging colors: from light up, so that gray stays what is not measured.
RISING = LinearSegmentedColormap.from_list("saliscope_rising", DIVERGING(np.linspace(0.5, 1, 129)))


@dataclass(frozen=True, eq=False)
class Trace:
    """A chain beside the colored one, or single atoms.

    Parameters
    ----------
    name : str
    points : numpy.ndarray, shape (points, 3)
        In angstrom.
    joined : bool
        Whether consecutive points are a chain.
    """

    name: str
    points: FloatArray = field(repr=False)
    joined: bool = True


@dataclass(frozen=True, eq=False)
class Scene:
    """A chain whose residues have values.

    Parameters
    ----------
    title : str
        What the values are.
    points : numpy.ndarray, shape (residues, 3)
        Alpha carbons, in angstrom.
    names : sequence of str
        Of the residues: "R248".
    values : numpy.ndarray, shape (residues,)
        NaN is gray.
    breaks : sequence of int
        Residues, from 0, that do not follow the one before them in the chain.
    marked : mapping of str to sequence of int
        Names of groups of residues, from 0, that get a ring: sites, variants.
    signed : bool
        Whether colors diverge about zero.
    unit : str
    top : float, optional
        The value at which colors end; by default the largest.
    others : sequence of Trace
    caption : str
    """

    title: str
    points: FloatArray = field(repr=False)
    names: Sequence[str] = field(repr=False)
    values: FloatArray = field(repr=False)
    breaks: Sequence[int] = ()
    marked: dict[str, Sequence[int]] = field(default_factory=dict)
    signed: bool = False
    unit: str = "value"
    top: float | None = None
    others: Sequence[Trace] = ()
    caption: str = ""

    def __post_init__(self) -> None:
        size = len(self.points)
        if not (size == len(self.names) == len(self.values)) or not size:
            msg = (
                f"a scene has {size} points, {len(self.names)} names, {len(self.values)} values; "
                "give one of each per residue, and at least one"
            )
            raise OptionError(msg)
        if size + sum(len(o.points) for o in self.others) > _MOST:
            msg = f"a scene of more than {_MOST:,} points is too large for a page; leave chains out"
            raise OptionError(msg)


def scene_data(scene: Scene) -> dict[str, Any]:
    """Return what the viewer's script reads: numbers rounded, colors by value, names made safe.

    Examples
    --------
    >>> one = Scene("demo", np.zeros((2, 3)), ["M1", "V2"], np.array([1.0, np.nan]))
    >>> data = scene_data(one)
    >>> data["names"], data["told"], len(data["colors"])
    (['M1', 'V2'], ['1', 'not measured'], 2)
    """
    values = np.asarray(scene.values, dtype=np.float64)
    most = largest(values) or 1.0
    top = scene.top or most
    low = -top if scene.signed else min(0.0, float(np.nanmin(values, initial=0.0)))
    norm, colors = Normalize(low, top), DIVERGING if scene.signed else RISING
    shades = [_GRAY if not math.isfinite(v) else to_hex(colors(norm(v))) for v in values]
    whole = np.concatenate([scene.points, *(o.points for o in scene.others)])
    turned = _front(whole)
    center = (whole @ turned.T).min(0) / 2 + (whole @ turned.T).max(0) / 2
    reach = float(np.linalg.norm(whole @ turned.T - center, axis=1).max()) or 1.0
    ramp = np.linspace(low, top, 9)

    def flat(points: FloatArray) -> list[list[float]]:
        placed: list[list[float]] = np.round(points @ turned.T - center, 2).tolist()
        return placed

    return {
        "title": visible(scene.title), "points": flat(scene.points), "colors": shades,
        "names": [visible(n) for n in scene.names], "breaks": sorted({0, *map(int, scene.breaks)}),
        "told": [
            number(v, sign=scene.signed) if math.isfinite(v) else "not measured" for v in values
        ],
        "unit": visible(scene.unit),
        "marked": [
            {"name": visible(name), "at": [int(i) for i in at]} for name, at in scene.marked.items()
        ],
        "others": [
            {"name": visible(o.name), "points": flat(o.points), "joined": o.joined}
            for o in scene.others
        ],
        "reach": round(reach, 2),
        "ramp": [to_hex(colors(norm(v))) for v in ramp],
        "low": ("≤ " if top < most and scene.signed else "") + number(low),
        "high": ("≥ " if top < most else "") + number(top, sign=scene.signed),
        "caption": clip(scene.caption, 400),
    }  # fmt: skip


def _front(points: FloatArray) -> FloatArray:
    """Return the rotation that shows the widest side of a molecule, the longest axis across."""
    _, _, axes = np.linalg.svd(points - points.mean(0), full_matrices=True)
    if np.linalg.det(axes) < 0:  # a mirror image is another molecule
        axes[2] *= -1
    return np.asarray(axes, dtype=np.float64)
