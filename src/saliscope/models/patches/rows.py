"""Rows that differ from an input in one patch each, kept as the input and the patches.

What a covered window changes in the output of a convolution is the window and a rim around it. A
`PatchRows` is a tensor of many rows to whoever looks at its shape, and holds the rows' inputs once
and a patch per row; operations (`saliscope.models.patches.operations`) compute the patches alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch

from saliscope.models.patches.places import (
    Ints,
    as_index,
    boxes,
    extended,
    inside_of,
    order_of,
    places_of,
    table_of,
)
from saliscope.models.patches.story import Story

__all__ = ["Later", "PatchRows", "aligned", "windows"]

Later = Callable[[], tuple[torch.Tensor, torch.Tensor]]


class PatchRows(torch.Tensor):
    """Rows that equal a whole outside of a patch.

    Parameters
    ----------
    whole : torch.Tensor, shape (inputs, ...)
        What the rows are outside of their patches.
    patch : torch.Tensor, shape (rows, ...)
        Shorter than `whole` along `axes` only.
    axes : tuple of int
        Axes along which a patch is a part; without any, patches are the rows themselves and
        `whole` says nothing.
    at : numpy.ndarray of int, shape (rows, axes)
        Where the patch of each row begins.
    of : numpy.ndarray of int, shape (rows,)
        Which input each row belongs to.
    story : Story, optional
        Keeps what becomes of `whole` for the next batch of the same inputs.

    Attributes
    ----------
    rim : float or None
        The one number that is everywhere outside of the patches, where that is known.
    later : callable or None
        What makes whole and patches once they are looked at; until then only their shapes are true.
    lent : bool
        Whether the patches will be looked at later as they are now: then a copy is written into.
    shared : bool
        Whether other rows see the same patches: then nothing is written into them.

    Examples
    --------
    >>> whole = torch.zeros(1, 1, 6)
    >>> patch = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])
    >>> rows = PatchRows(whole, patch, (2,), np.array([[0], [3]]), np.array([0, 0]))
    >>> rows.shape, (rows * 2).patch.tolist()
    (torch.Size([2, 1, 6]), [[[2.0, 4.0]], [[6.0, 8.0]]])
    >>> rows.settle().tolist()
    [[[1.0, 2.0, 0.0, 0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0, 3.0, 4.0, 0.0]]]
    """

    axes: tuple[int, ...]
    at: Ints
    of: Ints
    rim: float | None
    later: Later | None
    lent: bool
    shared: bool
    story: Story

    @staticmethod
    def __new__(
        cls, whole: torch.Tensor, patch: torch.Tensor, axes: tuple[int, ...], at: Ints, of: Ints,
        story: Story | None = None,
    ) -> Self:  # fmt: skip
        """Make a tensor of the shape of all rows, which holds no numbers itself."""
        make: Any = torch.Tensor._make_wrapper_subclass  # noqa: SLF001 - the documented way
        shape = [
            whole.shape[axis] if axis in axes else size for axis, size in enumerate(patch.shape)
        ]
        made: Self = make(cls, shape, dtype=patch.dtype, device=patch.device)
        return made

    def __init__(
        self, whole: torch.Tensor, patch: torch.Tensor, axes: tuple[int, ...], at: Ints, of: Ints,
        story: Story | None = None,
    ) -> None:  # fmt: skip
        self.become(whole, patch, axes, at)
        self.of, self.story, self.shared = of, story or Story(), False

    @property
    def whole(self) -> torch.Tensor:
        """What the rows are outside of their patches."""
        self._now()
        return self._whole

    @property
    def patch(self) -> torch.Tensor:
        """What the rows are inside."""
        self._now()
        return self._patch

    def _now(self) -> None:
        if self.later is not None:
            (self._whole, self._patch), self.later = self.later(), None

    def become(
        self, whole: torch.Tensor, patch: torch.Tensor, axes: tuple[int, ...], at: Ints
    ) -> None:
        """Take other patches; axes that they fill count no more."""
        kept = [n for n, axis in enumerate(axes) if patch.shape[axis] < whole.shape[axis]]
        self._whole, self._patch, self.rim, self.later = whole, patch, None, None
        self.lent = False
        self.axes, self.at = tuple(axes[n] for n in kept), at[:, kept]

    def like(
        self, whole: torch.Tensor, patch: torch.Tensor, axes: tuple[int, ...], at: Ints
    ) -> PatchRows:
        """Return other patches of the same rows."""
        return PatchRows(whole, patch, axes, at, self.of, self.story)

    def after(self, later: Later) -> PatchRows:
        """Return rows of the same shape that are made later."""
        made = self.like(self._whole, self._patch, self.axes, self.at)
        made.later = later
        return made

    def seen_as(self, other: PatchRows) -> PatchRows:
        """Return rows that see the same patches."""
        self.shared = other.shared = True
        return other

    def written(self) -> None:
        """Make ready for a change in place.

        Raises
        ------
        RuntimeError
            Other rows see the same: what becomes of them is not followed.
        """
        if self.shared:
            msg = "rows that others see are changed in place"
            raise RuntimeError(msg)  # seen when the module is tried, which then runs whole rows
        if self.lent:
            self._patch, self.lent = self.patch.clone(), False

    @property
    def inputs(self) -> int:
        """Number of inputs that the rows belong to."""
        return int(self.of.max()) + 1

    @property
    def extents(self) -> tuple[int, ...]:
        """Sizes of a patch along its axes."""
        return tuple(self._patch.shape[axis] for axis in self.axes)

    @property
    def spans(self) -> tuple[int, ...]:
        """Sizes of the whole along the same axes."""
        return tuple(self._whole.shape[axis] for axis in self.axes)

    def fill(self, axes: Sequence[int]) -> PatchRows:
        """Return the same rows with patches that fill some axes."""
        if not set(axes) & set(self.axes):
            return self
        filled = np.array([axis in axes for axis in self.axes])
        begin = np.where(filled, 0, self.at)
        sizes = np.where(filled, self.spans, self.extents)
        return self.like(self.whole, windows(self, begin, sizes.tolist()), self.axes, begin)

    def settle(self) -> torch.Tensor:
        """Return the rows as an ordinary tensor; from now on they are kept as that.

        Whatever looks at a part of them, or writes into it, then does so in one place.
        """
        patch = self.fill(self.axes).patch.contiguous()
        patch = patch.clone() if self.lent and patch is self._patch else patch
        self.become(self.whole, patch, (), self.at[:, :0])
        return patch

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Take functions that are made of several operations at once where that helps."""
        from saliscope.models.patches.operations import call

        return call(func, args, kwargs or {})

    @classmethod
    def _operate(
        cls, func: Any, _types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Compute an operation on the patches, or on whole rows where there is no rule for it."""
        from saliscope.models.patches.operations import operate

        return operate(func, args, kwargs or {})

    __torch_dispatch__: Any = _operate


def windows(x: PatchRows, begin: Ints, sizes: Sequence[int], outside: float = 0.0) -> torch.Tensor:
    """Return a box of each row, in which its patch is.

    Parameters
    ----------
    x : PatchRows
    begin : numpy.ndarray of int, shape (rows, axes)
        Where the boxes begin along the axes of patches; it may be negative.
    sizes : sequence of int
        Of the boxes.
    outside : float
        What stands where a box is outside of the rows.

    Examples
    --------
    >>> x = PatchRows(torch.zeros(1, 5), torch.ones(2, 2), (1,), np.array([[0], [3]]),
    ...               np.array([0, 0]))
    >>> windows(x, np.array([[-1], [2]]), [4], -5.0).tolist()
    [[-5.0, 1.0, 1.0, 0.0], [0.0, 1.0, 1.0, -5.0]]
    """
    made = boxes(x.whole, x.axes, x.of, begin, sizes)
    lead, rest = order_of(x.whole, x.axes)
    table = table_of(made, lead, rest)  # a view: boxes lie in this order
    own = table_of(x.patch, lead, rest)
    offset, extents = extended(lead, x.axes, x.whole, x.at - begin, x.extents)
    begin, sizes = extended(lead, x.axes, x.whole, begin, sizes)
    target = places_of(offset, extents, sizes, np.arange(len(begin)))
    within = inside_of(offset, extents, sizes)
    if within is not None:
        own = own.index_select(0, as_index(np.flatnonzero(within), own))
        target = target[within]
    table.index_copy_(0, as_index(target, table), own)
    inside = inside_of(begin, sizes, [x.whole.shape[axis] for axis in lead])
    if inside is not None:
        table.index_fill_(0, as_index(np.flatnonzero(~inside), table), outside)
    return made


def aligned(each: Sequence[PatchRows]) -> list[PatchRows]:
    """Return rows whose patches lie in the same places, by making them larger.

    Examples
    --------
    >>> of, whole = np.array([0]), torch.zeros(1, 6)
    >>> a, b = (PatchRows(whole, torch.ones(1, 1), (1,), np.array([[at]]), of) for at in (1, 3))
    >>> [(x.at.tolist(), x.patch.tolist()) for x in aligned([a, b])]
    [([[1]], [[1.0, 0.0, 0.0]]), ([[1]], [[0.0, 0.0, 1.0]])]
    """
    axes = set.intersection(*(set(x.axes) for x in each))
    each = [x.fill([axis for axis in x.axes if axis not in axes]) for x in each]
    first = each[0]
    if all(x.extents == first.extents and (x.at == first.at).all() for x in each[1:]):
        return list(each)
    low = np.minimum.reduce([x.at for x in each])
    high = np.maximum.reduce([x.at + np.asarray(x.extents) for x in each])
    sizes = (high - low).max(axis=0)
    begin = np.minimum(low, np.asarray(first.spans) - sizes)
    return [x.like(x.whole, windows(x, begin, sizes.tolist()), x.axes, begin) for x in each]
