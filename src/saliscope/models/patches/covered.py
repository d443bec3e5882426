"""Rows in which one group of units is covered: as patches, where a model can be run on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.utils._pytree import tree_map

from saliscope.core.model import Piece, Sample
from saliscope.core.perturbation import Baseline, Perturbation
from saliscope.models.patches.places import Ints, boxes
from saliscope.models.patches.rows import PatchRows
from saliscope.models.patches.story import Story
from saliscope.models.torch_model import fill_value
from saliscope.models.trial import Work, same_given, slides

__all__ = ["as_patches", "fits", "refuse", "settled"]

_FEW = 32  # rows up to which a trial costs too much beside them
_SMALL = 1 << 12  # numbers of an input up to which a batch costs more than what is computed
_SHARE = 0.25  # of an input: larger patches save little
_GAIN = 0.7  # of what whole rows compute: above, patches cost more than they save


def settled(made: Any) -> Any:
    """Return what a module gave with ordinary tensors."""
    return tree_map(lambda out: out.settle() if isinstance(out, PatchRows) else out, made)


def as_patches(pieces: Sequence[Piece], story: Story) -> PatchRows:
    """Return the rows of pieces of one shape, each with at most one group of units covered."""
    value: torch.Tensor = pieces[0].sample.value
    of = np.repeat(np.arange(len(pieces)), [len(piece.rows) for piece in pieces])
    sizes = np.max([piece.perturbation.grouping.bounds[1] for piece in pieces], axis=0)
    spans = np.array(pieces[0].sample.units.shape)
    narrow = np.flatnonzero(sizes < spans)
    axes, sizes, spans = tuple((narrow + 1).tolist()), sizes[narrow], spans[narrow]
    whole = story.inputs([piece.sample.value for piece in pieces], axes)
    fills: dict[int, tuple[int, torch.Tensor]] = {}

    def number(fill: Baseline | None) -> int:
        return fills.setdefault(id(fill), (len(fills), _value(fill, value)))[0]

    begins, covered, which = [], [], []
    for piece in pieces:
        moved, rows = piece.perturbation, piece.rows
        assert moved.removed is not None
        groups = moved.removed[rows]
        begin = np.where(groups[:, None] < 0, 0, moved.grouping.bounds[0][groups])
        begins.append(np.minimum(begin[:, narrow], spans - sizes))
        covered.append(_covered(piece, groups, begins[-1], axes, sizes))
        if moved.choice is None:
            which.extend([number(moved.fill)] * len(rows))
        else:
            which.extend(number(moved.fill_of(row)) for row in rows.tolist())
    at, mask = np.concatenate(begins), torch.from_numpy(np.concatenate(covered))
    every = torch.stack([fill for _, fill in fills.values()])
    kept = boxes(whole, axes, of, at, sizes.tolist())
    filled = boxes(every, axes, np.array(which), at, sizes.tolist())
    mask = mask.to(kept.device).reshape(*mask.shape, *(1 for _ in range(kept.ndim - mask.ndim)))
    return PatchRows(whole, torch.where(mask, filled, kept), axes, at, of, story)


def _value(fill: Baseline | None, like: torch.Tensor) -> torch.Tensor:
    return fill_value(fill).to(like).expand(like.shape)


def _covered(
    piece: Piece, groups: Ints, at: Ints, axes: Sequence[int], sizes: Sequence[int]
) -> npt.NDArray[np.bool_]:
    """Return which units of its patch each row covers, shape (rows, ...)."""
    grouping, spans = piece.perturbation.grouping, piece.sample.units.shape
    along = []
    for axis, span in enumerate(spans):
        own = axes.index(axis + 1) if axis + 1 in axes else None
        place = np.arange(span)[None] if own is None else at[:, own, None] + np.arange(sizes[own])
        shape = [len(place), *(1 for _ in spans)]
        shape[axis + 1] = place.shape[1]
        along.append(place.reshape(shape))
    chosen = groups.reshape(-1, *(1 for _ in spans))
    if grouping.labels is not None:
        return np.asarray((grouping.labels[tuple(along)] == chosen) & (chosen >= 0))
    begin, extents = grouping.bounds
    inside = chosen >= 0
    for axis, (place, extent) in enumerate(zip(along, extents, strict=True)):
        own_begin = begin[groups, axis].reshape(chosen.shape)
        inside = inside & (place >= own_begin) & (place < own_begin + extent)
    return inside


# -- where a model can be run on them ------------------------------------------------------------

_FITS: WeakKeyDictionary[nn.Module, dict[Hashable, bool]] = WeakKeyDictionary()


def fits(
    module: nn.Module, sample: Sample, moved: Perturbation, see: Callable[[torch.Tensor], Any]
) -> bool:
    """Return whether rows go through a module as patches, and gain by it.

    A module of convolutions is tried once for each shape of input and of what is covered, on two
    rows: what it gives for patches must be what it gives for whole rows, and less be computed.

    Parameters
    ----------
    module : torch.nn.Module
    sample : Sample
    moved : Perturbation
    see : callable
        From rows to what the module gives for them.
    """
    if not _worth(sample, moved):
        return False
    known, key = _FITS.setdefault(module, {}), _key(sample, moved)
    if key not in known:
        known[key] = slides(module) and _tried(sample, moved, see)
    return known[key]


def refuse(module: nn.Module, sample: Sample, moved: Perturbation) -> Callable[[], None]:
    """Run whole rows from now on, instead of patches; return what takes that back."""
    known, key = _FITS.setdefault(module, {}), _key(sample, moved)
    known[key] = False
    return lambda: known.update({key: True})


def _key(sample: Sample, moved: Perturbation) -> Hashable:
    value: torch.Tensor = sample.value
    sizes = moved.grouping.bounds[1]
    return tuple(value.shape), value.dtype, sample.context.get("structure"), sizes


def _worth(sample: Sample, moved: Perturbation) -> bool:
    """Whether it pays: an accelerator runs whole rows faster than it is told about parts."""
    units = sample.units.shape
    if sample.value.device.type != "cpu":
        return False
    if moved.removed is None or not moved.every_fill or moved.noise is not None:
        return False
    if sample.context["scalar"] or moved.rows < _FEW or math.prod(units) < _SMALL:
        return False
    return math.prod(moved.grouping.bounds[1]) <= _SHARE * math.prod(units)


def _tried(sample: Sample, moved: Perturbation, see: Callable[[torch.Tensor], Any]) -> bool:
    some = Piece(sample, moved, np.array([0, moved.rows // 2]))
    patches, whole, story = Work(), Work(), Story()

    def seen(work: Work, rows: torch.Tensor) -> Any:
        with work:
            return see(rows)

    def by_patches() -> Any:
        see(as_patches([some], story))  # what becomes of the input, which all batches share
        return seen(patches, as_patches([some], story))

    alike = same_given(by_patches, lambda: seen(whole, as_patches([some], Story()).settle()))
    return alike and patches.cost <= _GAIN * whole.cost
