"""What a record says along one axis: one `Track` per target (and example)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import xarray as xr

from saliscope.core.attribution import Attribution
from saliscope.core.errors import OptionError
from saliscope.core.record import Record
from saliscope.core.units import FloatArray
from saliscope.show.style import clip, largest, visible

__all__ = [
    "ATTENTION",
    "LABELS",
    "RING",
    "Track",
    "about",
    "each_map",
    "has_positions",
    "heading",
    "is_text",
    "label_of",
    "method_of",
    "stderr_of",
    "tracks",
    "unsure",
]

LABELS = ("residue", "word", "token", "sentence", "codon", "group")
ATTENTION = "attention_map"
RING = "ring: within two standard errors of zero"


def unsure(values: FloatArray, stderr: FloatArray) -> npt.NDArray[np.bool_]:
    """Return which values lie within two standard errors of zero, so that their sign is not sure.

    Examples
    --------
    >>> unsure(np.array([1.0, 0.1, 0.0]), np.array([0.1, 0.1, 0.0])).tolist()
    [False, True, False]
    """
    with np.errstate(invalid="ignore"):
        found: npt.NDArray[np.bool_] = np.abs(values) < 2 * np.abs(stderr)
    return found


def stderr_of(record: Record, name: str = "stderr", like: str = "values") -> xr.DataArray | None:
    """Return the standard error of each value; None where nothing was drawn (all are zero)."""
    data = record.data
    if name not in data or data[name].dims != data[like].dims or not data[name].values.any():
        return None
    return data[name].astype(np.float64)


@dataclass(frozen=True)
class Track:
    """One value per unit along one axis, with what a reader calls the units.

    Examples
    --------
    >>> track = Track(np.array([0.5, -2.0]), (1, 2), ("M", "V"), "residue")
    >>> track.name(1), track.top(1), track.most
    ('V2', [1], 2.0)
    """

    values: FloatArray
    positions: tuple[int, ...]
    labels: tuple[str, ...] = ()
    kind: str = "unit"
    target: str = ""
    unit: str = ""
    signed: bool = True
    stderr: FloatArray | None = None
    drop: FloatArray | None = None
    spans: tuple[tuple[int, int], ...] = ()
    text: str = ""
    missing: int = field(init=False)

    def __post_init__(self) -> None:
        """Count what is missing."""
        object.__setattr__(self, "missing", int((~np.isfinite(self.values)).sum()))

    @property
    def most(self) -> float:
        """The largest magnitude: the end of the color scale."""
        return largest(self.values)

    def name(self, index: int) -> str:
        """Return what a reader calls a unit: "W15" for a residue, the word itself for a word."""
        if not self.labels:
            return str(self.positions[index])
        label = self.labels[index]
        return f"{label}{self.positions[index]}" if self.kind == "residue" else label

    def top(self, count: int) -> list[int]:
        """Return the indices of the largest magnitudes that are not zero, the largest first."""
        size = np.where(np.isfinite(self.values), np.abs(self.values), 0.0)
        order = np.argsort(-size, kind="stable")[:count]
        return [int(i) for i in order if size[i] > 0]


def method_of(record: Record) -> str:
    """Return the name of the method, in words for attention."""
    if record.kind == ATTENTION:
        return f"attention, {visible(record.meta.get('reduce', 'map'))}"
    return visible(record.meta.get("method", record.kind)).replace("_", " ")


def heading(record: Record, title: str | None, length: int) -> str:
    """Return what stands above a picture: `title`, or else the record's name."""
    return clip(title if title is not None else record.name or "input", length)


def about(record: Record, track: Track, shown: int, found: int, length: int) -> str:
    """Return the line under it: the method, the target, and whether targets are left out."""
    more = f" · {shown} of {found} targets shown" if found > shown else ""
    return clip(f"{method_of(record)} · target: {track.target}{more}", length)


def is_text(record: Record) -> bool:
    """Whether the units are pieces of a text."""
    named = {"word", "token"} & set(record.data.coords)
    return record.meta.get("modality") == "text" or bool(named)


def has_positions(record: Record) -> bool:
    """Whether the map runs along one sequence."""
    return set(map(str, record.values.dims)) <= {"target", "example", "position"} and (
        "position" in record.values.dims
    )


def label_of(data: xr.Dataset, dim: str = "position") -> tuple[str, tuple[str, ...]]:
    """Return the kind of the units along `dim` and their labels (none: ("unit", ()))."""
    own = [str(n) for n, c in data.coords.items() if c.dims == (dim,) and c.dtype.kind in "UOT"]
    own.sort(key=lambda n: LABELS.index(n) if n in LABELS else len(LABELS))
    for name in own:
        return name, tuple(visible(v) for v in data[name].values)
    return "unit", ()


def tracks(record: Record, target: int | str | None = None) -> list[Track]:
    """Return one track per target and example; of received attention, the mean over all heads.

    Parameters
    ----------
    record : Record
        A record along positions.
    target : int or str, optional
        Only this target.

    Raises
    ------
    OptionError
        If the record does not run along positions, or has no such target.
    """
    if record.kind == ATTENTION and "position" in record.values.dims:
        others = [d for d in record.values.dims if d != "position"]
        mean = record.data["values"].mean(others)
        return [_track(record, mean, "mean over layers and heads", {})]
    if not has_positions(record):
        msg = (
            f"this map has the axes {', '.join(map(str, record.values.dims))}, not one sequence "
            "of positions; leave kind unset"
        )
        raise OptionError(msg)
    if target is not None and isinstance(record, Attribution):
        if isinstance(target, int) and not 0 <= target < len(record.meta["target"]):
            msg = f"target {target} is out of range; there are {len(record.meta['target'])}"
            raise OptionError(msg)
        record = record.select(target)
    return [
        _track(record, record.values.isel(where), name, where) for where, name in each_map(record)
    ]


def each_map(record: Record) -> Iterator[tuple[dict[str, int], str]]:
    """Yield where the map of each target and example stands in a record, and what it is called."""
    names = [str(n) for n in record.meta.get("target", [""])]
    for t in range(record.values.sizes.get("target", 1)):
        for e in range(record.values.sizes.get("example", 1)):
            where = {}
            name = names[t] if t < len(names) else ""
            if "target" in record.values.dims:
                where["target"] = t
            if "example" in record.values.dims:
                where["example"] = e
                own = f"example {record.data['example'].values[e]}"
                name = f"{name}, {own}" if name else own
            yield where, name


def _track(record: Record, values: xr.DataArray, target: str, where: dict[str, int]) -> Track:
    data = record.data
    kind, labels = label_of(data)
    size = values.sizes["position"]
    known = data["position"].values if "position" in data.coords else np.arange(1, size + 1)
    spans: tuple[tuple[int, int], ...] = ()
    if "start" in data.coords and "end" in data.coords:
        ends = zip(data["start"].values, data["end"].values, strict=True)
        spans = tuple((int(s), int(e)) for s, e in ends)

    drops = data.get("probability_drop")
    if drops is not None and drops.dims != record.values.dims:
        drops = None
    stderr, drop = (
        None if each is None else np.asarray(each.isel(where), dtype=np.float64)
        for each in (stderr_of(record), drops)
    )
    unit = "share" if record.kind == ATTENTION else record.meta.get("unit", "value")
    return Track(
        np.asarray(values.values, dtype=np.float64), tuple(int(p) for p in known), labels, kind,
        clip(target, 120), clip(unit, 60),
        bool(record.meta.get("signed", record.kind != ATTENTION)),
        stderr, drop, spans, str(record.meta.get("text", "")),
    )  # fmt: skip
