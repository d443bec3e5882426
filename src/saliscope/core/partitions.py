"""Which units of a finished map belong together, read off the saved result itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from saliscope.core.errors import OptionError, nearest
from saliscope.core.units import Grouping
from saliscope.core.words import over_text, parted, sentences_of, words_of

__all__ = ["LEAD", "REST", "Axes", "By", "Groups"]

By = str | int | tuple[int, ...] | Mapping[str, Iterable[Any]] | Sequence[Any] | npt.NDArray[Any]
"""What groups can be given as; see `saliscope.Attribution.group`."""

LEAD = ("target", "example")
"""Axes of a map that are not axes of units."""
REST = "rest"
"""Name of the group of all units that belong to no other."""

_CODON = 3
_NUCLEOTIDES = frozenset("ACGTUN")
_SPANS = {"word": words_of, "sentence": sentences_of}
_PLACES = frozenset({"start", "end", "first", "last", "units"})
_Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Groups:
    """A partition of all units.

    Parameters
    ----------
    kind : str
        What a group is: "word", "span", "patch".
    labels : numpy.ndarray of int
        Group of every unit, in the order of the flattened axes; no number is left out.
    names : tuple of str
    grid : tuple of numpy.ndarray of int, optional
        For blocks along several axes: where the blocks begin along each. The groups are then the
        cells of that grid, and have no names.
    """

    kind: str
    labels: _Whole
    names: tuple[str, ...] = ()
    grid: tuple[_Whole, ...] = ()

    @classmethod
    def of(cls, grouping: Grouping) -> Groups:
        """Make a partition of a grouping; units in no group become the group "rest"."""
        assert grouping.labels is not None
        labels, names = grouping.labels.copy(), grouping.names
        if not names:
            msg = f"no unit of this result belongs to a {grouping.kind}; give other groups"
            raise OptionError(msg)
        if (labels < 0).any():
            labels[labels < 0] = len(names)
            names = (*names, REST)
        return cls(grouping.kind, labels.ravel(), names)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape that values per group are given in."""
        return tuple(map(len, self.grid)) or (len(self.names),)


@dataclass(frozen=True, eq=False)
class Axes:
    """The axes of a map: targets and examples lead, units are along its own."""

    data: xr.Dataset
    lead: tuple[str, ...]
    own: tuple[str, ...]

    @classmethod
    def of(cls, data: xr.Dataset) -> Axes:
        """Tell the axes of a map apart."""
        dims = [str(d) for d in data["values"].dims]
        own = tuple(d for d in dims if d not in LEAD)
        if not own:
            msg = "this result has one value per example; there is nothing to group"
            raise OptionError(msg)
        return cls(data, tuple(d for d in dims if d in LEAD), own)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of units along each axis."""
        return tuple(self.data.sizes[d] for d in self.own)

    @property
    def along(self) -> dict[str, npt.NDArray[Any]]:
        """Coordinates along the axis of units, where there is one only."""
        return {str(n): c.values for n, c in self.data.coords.items() if c.dims == self.own[:1]}

    @property
    def numbers(self) -> _Whole:
        """What units along the single axis are counted by: positions, or places from 0."""
        given = self.along.get(self.own[0], np.array(""))
        return given.astype(np.int64) if given.dtype.kind in "iu" else np.arange(self.shape[0])

    def groups(self, by: By, meta: Mapping[str, Any]) -> Groups:
        """Return the groups that somebody asks for; see `saliscope.Attribution.group`."""
        if isinstance(by, str):
            return self._named(by, meta)
        if isinstance(by, (int, np.integer)):
            return self._blocks((int(by),) * len(self.own))
        if isinstance(by, tuple) and by and all(map(_whole, by)):
            return self._blocks(by)
        if isinstance(by, Mapping):
            return self._members(by)
        if not isinstance(by, np.ndarray) and any(isinstance(item, tuple) for item in by):
            return self._spans(by)
        try:
            labels = np.asarray(by)
        except ValueError as error:
            msg = f"groups are a ragged list; give one label per unit, shape {self.shape}"
            raise OptionError(msg) from error
        if labels.dtype.kind == "O" and all(isinstance(label, str) for label in labels.ravel()):
            labels = labels.astype(str)
        return self._labelled("group", labels)

    def _named(self, by: str, meta: Mapping[str, Any]) -> Groups:
        along = self.along if len(self.own) == 1 else {}
        text = str(meta.get("text", "")) if {"start", "end"} <= set(along) else ""
        own = [n for n in along if n not in _PLACES and n not in self.own]
        if by in _SPANS and text:
            pieces = [(int(a), int(b)) for a, b in zip(along["start"], along["end"], strict=True)]
            spans = parted(text, _SPANS[by](text), self._borders(along))
            return Groups.of(over_text(by, text, pieces, spans))
        if by in own:
            return self._labelled(by, along[by])
        if by == "codon" and (found := self._codons(along, meta)):
            return found
        known = dict.fromkeys([*own, *(_SPANS if text else ())])
        msg = (
            f"groups by {by!r} do not exist for this result; it has: "
            f"{', '.join(known) or 'none by name'}"
        )
        raise OptionError(msg)

    def _borders(self, along: Mapping[str, npt.NDArray[Any]]) -> list[int]:
        """Return the characters at which a stream begins behind another one."""
        streams = along.get("stream", np.array([]))
        begins = np.flatnonzero(streams[1:] != streams[:-1]) + 1
        return sorted(int(along["start"][i]) for i in begins)

    def _codons(
        self, along: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any]
    ) -> Groups | None:
        """Return one codon per residue, or per three nucleotides."""
        if "residue" in along and meta.get("unit_kind") == "residue":
            names = [f"{a}{n}" for a, n in zip(along["residue"], self.numbers, strict=True)]
            return Groups("codon", np.arange(len(names)), tuple(names))
        letters = next((along[n] for n in ("token", "nucleotide") if n in along), np.array([]))
        found = [str(letter).upper() for letter in letters]
        if not found or not _NUCLEOTIDES.issuperset(found):
            return None
        if len(found) % _CODON:
            msg = f"{len(found)} nucleotides are no whole number of codons; cut them, or group by 3"
            raise OptionError(msg)
        names = ["".join(found[i : i + _CODON]) for i in range(0, len(found), _CODON)]
        return Groups("codon", np.arange(len(found)) // _CODON, tuple(names))

    def _labelled(self, kind: str, labels: npt.NDArray[Any]) -> Groups:
        if labels.shape != self.shape or labels.dtype.kind not in "iuU":
            msg = (
                f"groups have shape {labels.shape} of {labels.dtype}; give one whole number or "
                f"name per unit, shape {self.shape}"
            )
            raise OptionError(msg)
        none: object = "" if labels.dtype.kind == "U" else -1
        flat = labels.ravel().tolist()
        # Numbers have an order of their own, names the one in which they appear.
        used = [u for u in (dict.fromkeys(flat) if none == "" else sorted(set(flat))) if u != none]
        ranks = {label: rank for rank, label in enumerate(used)}
        ranked = np.array([ranks.get(label, -1) for label in flat], dtype=np.int64)
        return Groups.of(Grouping(kind, labels=ranked, names=tuple(map(str, used))))

    def _spans(self, spans: Iterable[Any]) -> Groups:
        """Return groups of ranges along the axis, both ends included."""
        self._need_one_axis("spans")
        at, places = self.numbers, []
        for span in spans:
            if len(span) != 3 or not all(map(_whole, span[:2])) or not isinstance(span[2], str):
                msg = f"{span!r} is not a span; write (start, end, name), both ends included"
                raise OptionError(msg)
            start, end, name = span
            if not at.min() <= start <= end <= at.max():
                msg = (
                    f"the span {name!r} from {start} to {end} does not lie within {at.min()} to "
                    f"{at.max()}; both ends are included"
                )
                raise OptionError(msg)
            places.append((name, np.flatnonzero((at >= start) & (at <= end)).tolist()))
        return self._filled("span", places)

    def _members(self, by: Mapping[str, Iterable[Any]]) -> Groups:
        """Return groups of which each lists its units: by position, or by name."""
        self._need_one_axis("names of units")
        known: dict[Any, int] = {int(n): i for i, n in enumerate(self.numbers)}
        for labels in self.along.values():
            if labels.dtype.kind in "UO" and len(set(labels.tolist())) == len(labels):
                known |= {str(label): i for i, label in enumerate(labels)}
        places = []
        for name, members in by.items():
            if isinstance(members, str):
                msg = f"group {name!r}: give a list of positions or names, not a string"
                raise OptionError(msg)
            units = list(members)
            for unit in units:
                if unit not in known:
                    named = [word for word in known if isinstance(word, str)]
                    hint = f"; {nearest(unit, named)}" if named and isinstance(unit, str) else ""
                    msg = f"group {name!r}: this result has no unit {unit!r}{hint}"
                    raise OptionError(msg)
            places.append((str(name), [known[unit] for unit in units]))
        return self._filled("group", places)

    def _filled(self, kind: str, places: Sequence[tuple[str, list[int]]]) -> Groups:
        names = list(dict.fromkeys(name for name, where in places if where))
        labels = np.full(self.shape, -1, dtype=np.int64)
        for name, where in places:
            own = names.index(name) if where else -1
            for i in where:
                if labels[i] not in {-1, own}:
                    msg = (
                        f"position {self.numbers[i]} lies in both {names[labels[i]]!r} and "
                        f"{name!r}; give a unit to one group, or a sum would count it twice"
                    )
                    raise OptionError(msg)
                labels[i] = own
        return Groups.of(Grouping(kind, labels=labels, names=tuple(names)))

    def _need_one_axis(self, what: str) -> None:
        if len(self.own) != 1:
            msg = (
                f"{what} need one axis, and this result has {', '.join(self.own)}; give the size "
                "of a patch, or an array of labels"
            )
            raise OptionError(msg)

    def _blocks(self, sizes: tuple[Any, ...]) -> Groups:
        """Return blocks of so many units along each axis; those at the far ends may be smaller."""
        if len(sizes) != len(self.own) or any(size < 1 for size in sizes):
            msg = (
                f"blocks of {' x '.join(map(str, sizes))} units do not fit; give a number of at "
                f"least 1, or one for each of {', '.join(self.own)}"
            )
            raise OptionError(msg)
        along = [np.arange(n) // size for n, size in zip(self.shape, sizes, strict=True)]
        grid = tuple(np.arange(0, n, size) for n, size in zip(self.shape, sizes, strict=True))
        cells = np.meshgrid(*along, indexing="ij")
        labels = np.ravel_multi_index(cells, tuple(map(len, grid))).ravel()
        if len(grid) > 1:
            return Groups("patch", labels, grid=grid)
        at, size = self.numbers, sizes[0]
        ends = [(at[i], at[min(i + size, len(at)) - 1]) for i in grid[0]]
        return Groups("window", labels, tuple(f"{a}" if a == b else f"{a}-{b}" for a, b in ends))

    def labels(self, groups: Groups) -> dict[str, Any]:
        """Return coordinates of groups: names, where each begins and ends, how many units."""
        if groups.grid:  # a block is called by where its first unit stands
            return {
                d: (d, self.data[d].values[at] if d in self.data.coords else at)
                for d, at in zip(self.own, groups.grid, strict=True)
            }
        sizes = np.bincount(groups.labels)
        found: dict[str, Any] = {
            "position": np.arange(1, len(sizes) + 1), groups.kind: np.array(groups.names, dtype=str)
        }  # fmt: skip
        if len(self.own) == 1:
            members = [np.flatnonzero(groups.labels == k) for k in range(len(sizes))]
            found |= self._places(members)
            if "stream" in self.along:
                streams = [dict.fromkeys(self.along["stream"][own].tolist()) for own in members]
                found.setdefault("stream", np.array([" and ".join(own) for own in streams]))
            if groups.kind == "codon" and (sizes == 1).all():
                found["coding_start"] = found["first"] * _CODON - 2
                found["coding_end"] = found["first"] * _CODON
        found["units"] = sizes
        return {name: ("position", values) for name, values in found.items()}

    def _places(self, members: Sequence[_Whole]) -> dict[str, _Whole]:
        """Return the characters that groups reach over, or else their first and last unit."""
        along, at = self.along, self.numbers
        if not {"start", "end"} <= set(along):
            ends = [(int(at[own].min()), int(at[own].max())) for own in members]
            names = ("first", "last")
        else:
            start, end = along["start"], along["end"]
            real = [own[end[own] > start[own]] for own in members]  # pieces of no characters
            ends = [(int(start[r].min()), int(end[r].max())) if len(r) else (0, 0) for r in real]
            names = ("start", "end")
        return dict(zip(names, np.array(ends, dtype=np.int64).T, strict=True))


def _whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
