"""Units: what an attribution is given to, and how units are grouped.

`Units` names the axes of an input (one value per unit): residues, tokens, pixels, columns or the
plain elements of a tensor. A `Grouping` says which units move together: a partition (words over
tokens, residues over windows of a protein) or boxes that may overlap (occlusion).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import overload

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import OptionError, nearest

__all__ = ["Box", "Boxes", "FloatArray", "Grouping", "Units"]

FloatArray = npt.NDArray[np.float64]
Box = tuple[slice, ...]


@dataclass(frozen=True)
class Boxes(Sequence[Box]):
    """Boxes of one size at the crossings of a grid, which may overlap: sliding windows.

    Parameters
    ----------
    starts : tuple of tuple of int
        Where boxes begin along each axis.
    extent : tuple of int
        Size of a box along each axis.

    Examples
    --------
    >>> boxes = Boxes(((0, 2), (1,)), (3, 2))
    >>> len(boxes), boxes[1]
    (2, (slice(2, 5, None), slice(1, 3, None)))
    """

    starts: tuple[tuple[int, ...], ...]
    extent: tuple[int, ...]

    def __len__(self) -> int:
        return math.prod(map(len, self.starts))

    @cached_property
    def _corners(self) -> list[tuple[int, ...]]:
        return list(itertools.product(*self.starts))

    @overload
    def __getitem__(self, which: int) -> Box: ...
    @overload
    def __getitem__(self, which: slice) -> list[Box]: ...
    def __getitem__(self, which: int | slice) -> Box | list[Box]:
        if isinstance(which, slice):
            return [self[i] for i in range(*which.indices(len(self)))]
        corner = self._corners[which]
        return tuple(slice(s, s + size) for s, size in zip(corner, self.extent, strict=True))

    def sides(
        self, chosen: npt.NDArray[np.int64], shape: tuple[int, ...]
    ) -> list[npt.NDArray[np.bool_]]:
        """Return where along each axis some boxes are, shapes (chosen, n); -1 is no box.

        Examples
        --------
        >>> one, other = Boxes(((0, 2), (1,)), (2, 1)).sides(np.array([1, -1]), (4, 3))
        >>> one.astype(int).tolist(), other.astype(int).tolist()
        ([[0, 0, 1, 1], [0, 0, 0, 0]], [[0, 1, 0], [0, 0, 0]])
        """
        crossings = np.unravel_index(np.maximum(chosen, 0), tuple(map(len, self.starts)))
        found = []
        for starts, size, units, at in zip(self.starts, self.extent, shape, crossings, strict=True):
            begin, along = np.array(starts)[at][:, None], np.arange(units)
            within = (along >= begin) & (along < begin + size)
            found.append(within & (chosen >= 0)[:, None])
        return found

    def mean(self, values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
        """Return the mean over the boxes that cover each unit; units in none get zero.

        Axis by axis, so that the cost is that of a few sums of the whole, not one per box.

        Parameters
        ----------
        values : numpy.ndarray, shape (targets, boxes)
        shape : tuple of int
            Shape of the units.

        Returns
        -------
        numpy.ndarray, shape (targets, *shape)
        """
        total = values.reshape(len(values), *map(len, self.starts))
        covered = np.ones(())
        for axis, (starts, size, units) in enumerate(
            zip(self.starts, self.extent, shape, strict=True), 1
        ):
            along = np.moveaxis(total, axis, 0)
            spread = np.zeros((units, *along.shape[1:]))
            times = np.zeros(units)
            for i, start in enumerate(starts):
                spread[start : start + size] += along[i]
                times[start : start + size] += 1
            total = np.moveaxis(spread, 0, axis)
            covered = np.multiply.outer(covered, times)
        return total / np.maximum(covered, 1)


@dataclass(frozen=True, eq=False)
class Grouping:
    """Units that are moved together.

    Exactly one of `labels` and `boxes` is given.

    Parameters
    ----------
    kind : str
        What a group is: "word", "token", "residue", "window", "all", ...
    labels : numpy.ndarray of int, optional
        Group number of every unit, in the shape of the units; -1 means never touched.
    boxes : Boxes, optional
        One box per group; boxes may overlap.
    names : sequence of str, optional
        One name per group.
    grid : tuple of tuple of int, optional
        For labels that are blocks in rows and columns: where blocks begin along each axis.

    Examples
    --------
    >>> words = Grouping("word", labels=np.array([-1, 0, 0, 1]), names=("good", "film"))
    >>> words.count, words.members(0).tolist()
    (2, [False, True, True, False])
    """

    kind: str
    labels: npt.NDArray[np.int64] | None = None
    boxes: Boxes | None = None
    names: tuple[str, ...] = ()
    grid: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        if (self.labels is None) == (self.boxes is None):
            msg = "a grouping has either labels or boxes"
            raise OptionError(msg)
        if self.names and len(self.names) != self.count:
            msg = f"{len(self.names)} names were given for {self.count} groups; give one per group"
            raise OptionError(msg)

    @cached_property
    def count(self) -> int:
        """Number of groups."""
        if self.boxes is not None:
            return len(self.boxes)
        assert self.labels is not None
        return int(self.labels.max(initial=-1)) + 1

    @cached_property
    def bounds(self) -> tuple[npt.NDArray[np.int64], tuple[int, ...]]:
        """Where each group begins along each axis, shape (groups, axes), and the largest extents.

        Examples
        --------
        >>> begin, sizes = Grouping("part", labels=np.array([-1, 0, 0, 1, 0])).bounds
        >>> begin.tolist(), sizes
        ([[1], [3]], (4,))
        """
        if self.boxes is not None:
            return np.array(list(itertools.product(*self.boxes.starts))), self.boxes.extent
        assert self.labels is not None
        within = self.labels >= 0
        groups, places = self.labels[within], np.argwhere(within)
        begin = np.full((self.count, self.labels.ndim), max(self.labels.shape, default=0))
        end = np.zeros_like(begin)
        np.minimum.at(begin, groups, places)
        np.maximum.at(end, groups, places + 1)
        return begin, tuple((end - begin).max(axis=0, initial=0).tolist())

    def members(self, group: int) -> npt.NDArray[np.bool_]:
        """Return the mask of the units in `group` (for a partition)."""
        assert self.labels is not None
        return np.asarray(self.labels == group)

    def spread(self, values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
        """Return the mean over the groups that cover each unit; units in none get zero.

        Parameters
        ----------
        values : numpy.ndarray, shape (targets, groups)
        shape : tuple of int
            Shape of the units.

        Returns
        -------
        numpy.ndarray, shape (targets, *shape)
        """
        if self.labels is not None:
            padded = np.concatenate([values, np.zeros((len(values), 1))], axis=1)
            return padded[:, self.labels]
        assert self.boxes is not None
        return self.boxes.mean(values, shape)


@dataclass(frozen=True, eq=False)
class Units:
    """The axes of an input: one attribution value per unit.

    Parameters
    ----------
    dims : tuple of str
        Names of the axes: ("position",) or ("y", "x").
    shape : tuple of int
        Number of units along each axis, specials included.
    kind : str
        What a unit is: "residue", "token", "word", "pixel", "column" or "element".
    coords : mapping of str to (dim, values)
        Labels along an axis: residue letters, token texts, character offsets.
    keep : numpy.ndarray of bool, optional
        False for special tokens and padding along a single axis: they are never perturbed, and
        they do not appear in results.
    groupings : mapping of str to Grouping
        The groupings that an adapter knows: "word" over tokens, ...
    members : numpy.ndarray of int, optional
        For units that are groups: which one each of the smaller units belongs to, or -1.
    window : tuple of int, optional
        How many units along each axis say something together (a patch of an image); one where
        nothing is given.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    kind: str
    coords: Mapping[str, tuple[str, Sequence[object]]] = field(default_factory=dict)
    keep: npt.NDArray[np.bool_] | None = None
    groupings: Mapping[str, Grouping] = field(default_factory=dict)
    members: npt.NDArray[np.int64] | None = None
    window: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Number of units, specials included."""
        return math.prod(self.shape)

    @cached_property
    def kept(self) -> npt.NDArray[np.int64]:
        """Indices along the single axis of the units that results show."""
        if self.keep is None:
            return np.arange(self.shape[0], dtype=np.int64)
        return np.flatnonzero(self.keep)

    def whole(self) -> Grouping:
        """Return the grouping that moves every kept unit together."""
        if self.keep is None:  # one zero, seen everywhere
            return Grouping("all", labels=np.broadcast_to(np.int64(0), self.shape))
        return Grouping("all", labels=np.where(self.keep, 0, -1))

    def each(self) -> Grouping:
        """Return the grouping in which every kept unit is its own group."""
        labels = np.full(self.shape, -1, dtype=np.int64)
        if self.keep is None:
            labels = np.arange(self.size, dtype=np.int64).reshape(self.shape)
        else:
            labels[self.kept] = np.arange(len(self.kept))
        return Grouping(self.kind, labels=labels)

    def group(
        self, by: str | Sequence[int] | npt.NDArray[np.int64] | Mapping[str, Sequence[str]] | None
    ) -> Grouping:
        """Return a grouping by its name, or made of one label per kept unit.

        Parameters
        ----------
        by : str or sequence of int or mapping or None
            A name ("word"), the kind of the units themselves, None for the same, or one group
            number per kept unit (-1: never touched). Of the columns of a table also a mapping of
            names to columns, or the same as text, ``"home=zip+city,money=income+debt"``; other
            columns stay groups of their own.
        """
        if self.kind == "column" and isinstance(by, str) and "=" in by:
            parts = (part.partition("=") for part in by.split(","))
            by = {name.strip(): [c.strip() for c in own.split("+")] for name, _, own in parts}
        if isinstance(by, Mapping):
            return self._named(by)
        if by is None or (isinstance(by, str) and by == self.kind):
            return self.each()
        if isinstance(by, str):
            found = self.groupings.get(by)
            if found is None:
                known = ", ".join([self.kind, *self.groupings])
                msg = f"groups={by!r} does not exist for this input; it has: {known}"
                raise OptionError(msg)
            return found
        labels = np.asarray(by)
        expected = (len(self.kept),) if self.keep is not None else self.shape
        if labels.shape != expected or not np.issubdtype(labels.dtype, np.integer):
            msg = (
                f"groups has shape {labels.shape} of {labels.dtype}; "
                f"give one whole number per unit, shape {expected}"
            )
            raise OptionError(msg)
        used = np.unique(labels[labels >= 0])
        if labels.min(initial=0) < -1 or not len(used):
            msg = "groups: use -1 for units that are never touched and 0, 1, ... for groups"
            raise OptionError(msg)
        ranked = np.where(labels >= 0, np.searchsorted(used, labels), -1).astype(np.int64)
        if self.keep is not None:
            full = np.full(self.shape, -1, dtype=np.int64)
            full[self.kept] = ranked
            ranked = full
        return Grouping("group", labels=ranked, names=tuple(str(u) for u in used))

    def _named(self, by: Mapping[str, Sequence[str]]) -> Grouping:
        """Return the grouping that puts units of these names together."""
        names = [str(name) for name in self.coords.get(self.kind, ("", ()))[1]]
        owner: dict[str, str] = {}
        for name, members in by.items():
            for unit in [members] if isinstance(members, str) else members:
                if unit not in names:
                    msg = f"groups: {name!r} has {unit!r}: {nearest(str(unit), names)}"
                    raise OptionError(msg)
                if owner.setdefault(str(unit), name) != name:
                    msg = f"groups: {unit!r} is in both {owner[unit]!r} and {name!r}"
                    raise OptionError(msg)
        own = [owner.get(name, name) for name in names]
        order = list(dict.fromkeys(own))
        labels = np.array([order.index(name) for name in own], dtype=np.int64)
        return Grouping("group", labels=labels, names=tuple(order))

    def boxes(self, window: Sequence[int], stride: Sequence[int]) -> Grouping:
        """Return sliding boxes over the kept units; the last box is flush with the end.

        Parameters
        ----------
        window, stride : sequence of int
            Extent and step along each axis.
        """
        first = int(self.kept[0]) if self.keep is not None and len(self.kept) else 0
        extents = (len(self.kept),) if self.keep is not None else self.shape
        starts: list[tuple[int, ...]] = []
        for extent, size, step in zip(extents, window, stride, strict=True):
            last = extent - size
            axis = [*range(0, last, step), last]
            starts.append(tuple(first + s for s in axis))
        return Grouping("window", boxes=Boxes(tuple(starts), tuple(window)))

    def grouped(self, grouping: Grouping) -> Units:
        """Return units with one unit per group, for results that are given per group.

        Blocks in rows and columns stay a grid; a block is called by where it begins.
        """
        assert grouping.labels is not None
        if grouping.grid:
            begin = {d: (d, starts) for d, starts in zip(self.dims, grouping.grid, strict=True)}
            shape = tuple(map(len, grouping.grid))
            return Units(self.dims, shape, grouping.kind, begin, members=grouping.labels)
        names = grouping.names or tuple(str(i) for i in range(grouping.count))
        if self.kind == "column":
            columns = {"column": ("column", names)}
            return Units(("column",), (grouping.count,), "column", columns, members=grouping.labels)
        coords: dict[str, tuple[str, Sequence[object]]] = {grouping.kind: ("position", names)}
        for name, pick in (("start", 0), ("end", -1), ("stream", 0)):
            if name in self.coords:
                along = np.asarray(self.coords[name][1])
                ends = [np.flatnonzero(grouping.members(g))[pick] for g in range(grouping.count)]
                coords[name] = ("position", along[ends].tolist())
        coords["position"] = ("position", list(range(1, grouping.count + 1)))
        return Units(
            ("position",), (grouping.count,), grouping.kind, coords, members=grouping.labels
        )
