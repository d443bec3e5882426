"""What the inputs of patched rows become, kept from one batch to the next."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import torch

from saliscope.models.patches.places import laid

__all__ = ["Story"]

_KEPT = 64 << 20  # bytes of inputs that are kept from batch to batch


class Story:
    """What inputs become, operation by operation, kept from one batch of their rows to the next.

    An operation is done again unless it stands at the same place and is given the very same.

    Examples
    --------
    >>> story, whole, made = Story(), torch.ones(1, 2), []
    >>> for batch in range(2):
    ...     story.begin()
    ...     double = story.once(["double", whole], lambda: made.append(1) or whole * 2)
    >>> double.tolist(), len(made)
    ([[2.0, 2.0]], 1)
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[list[tuple[object, int]], torch.Tensor]] = {}
        self._whole: torch.Tensor | None = None
        self.clear()

    def clear(self) -> None:
        """Let go of all."""
        self._inputs: list[torch.Tensor] = []
        self._whole = None
        self.forget()
        self._place = self._bytes = 0

    def forget(self) -> None:
        """Make everything anew: something was changed that may have been given."""
        self._known.clear()

    def begin(self) -> None:
        """Start a batch."""
        self._place = 0

    def inputs(self, values: Sequence[torch.Tensor], axes: Sequence[int]) -> torch.Tensor:
        """Return the inputs of a batch that starts, stacked; others than before begin anew."""
        same = len(values) == len(self._inputs) and all(map(operator.is_, values, self._inputs))
        if not same or self._whole is None:
            self.clear()
            self._inputs = list(values)
            self._whole = laid(torch.stack(list(values)), axes)
        self.begin()
        return self._whole

    def once(self, given: Sequence[object], make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Return what an operation makes of inputs.

        Parameters
        ----------
        given : sequence
            The operation and all that it is given: tensors count as the same if they are the same
            object and were not changed, everything else if it is equal.
        make : callable
        """
        self._place += 1
        known = self._known.get(self._place)
        now = [(v, v._version if isinstance(v, torch.Tensor) else 0) for v in given]  # noqa: SLF001 - counts changes in place
        if known is not None and len(known[0]) == len(now) and all(map(_same, known[0], now)):
            return known[1]
        made = make()
        size = made.numel() * made.element_size()
        if known is None:
            self._bytes += size
        if self._bytes <= _KEPT:
            self._known[self._place] = (now, made)
        return made


def _same(one: tuple[object, int], other: tuple[object, int]) -> bool:
    if isinstance(one[0], torch.Tensor) or isinstance(other[0], torch.Tensor):
        return one[0] is other[0] and one[1] == other[1]
    return bool(one[0] == other[0])
