"""Memory of passes: what they allocate is counted, the heap keeps what they free, none is sought.

On CUDA the allocator knows the peak. Elsewhere every tensor storage that appears while the mode
is on is counted until it is freed, in the forward pass and in the backward pass (which runs in the
same thread on a CPU).
"""

from __future__ import annotations

import functools
import gc
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import torch
from torch.utils._pytree import tree_leaves

from saliscope.models.watching import Watch, plain_tensors

__all__ = ["PeakBytes", "keep_heap", "uncollected"]

_KEPT = (32 << 20) - (1 << 16)  # glibc learns from blocks of at most 32 MiB, its own few bytes in


@functools.cache
def keep_heap() -> None:
    """Let glibc keep the memory that a batch frees for the next batch, once per process.

    It gives the end of its heap back to the system above twice the largest block that it has seen
    freed, 128 KiB at first, and takes it again at the next batch, page by page. It learns from this
    block, which is never written to. Larger blocks are given back as before, and other allocators
    learn nothing.
    """
    torch.empty(_KEPT, dtype=torch.uint8)


_GUARD = threading.Lock()
_PAUSED: list[str] = []


@contextmanager
def uncollected() -> Iterator[None]:
    """Let no garbage be sought for the time of a batch.

    A batch of many inputs makes many objects and hardly a cycle among them, and a search looks at
    all objects of the process, of which the libraries have hundreds of thousands.

    Examples
    --------
    >>> with uncollected():
    ...     gc.isenabled()
    False
    >>> gc.isenabled()
    True
    """
    with _GUARD:  # of contexts that overlap in threads the last one puts it back
        if not _PAUSED and gc.isenabled():
            gc.disable()
            _PAUSED.append("enabled")
        _PAUSED.append("inside")
    try:
        yield
    finally:
        with _GUARD:
            _PAUSED.remove("inside")
            if _PAUSED == ["enabled"]:
                _PAUSED.clear()
                gc.enable()


class PeakBytes(Watch):
    """Count live bytes of storages made inside the context; `peak` is the largest sum.

    Examples
    --------
    >>> with PeakBytes(torch.device("cpu")) as bytes_:
    ...     x = torch.zeros(1000)
    ...     del x
    ...     y = torch.ones(500)
    >>> bytes_.peak
    4000
    """

    def __init__(self, device: torch.device) -> None:
        Watch.__init__(self)
        self.device = device
        self.live = self.peak = 0
        self._known: dict[int, weakref.ref[Any]] = {}

    def __enter__(self) -> Self:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
            self.live = torch.cuda.memory_allocated(self.device)
            return self
        Watch.__enter__(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            self.peak = torch.cuda.max_memory_allocated(self.device) - self.live
            return
        Watch.__exit__(self, kind, error, trace)

    def _track(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        size, place = storage.nbytes(), storage.data_ptr()
        if size == 0 or place in self._known:
            return

        def freed(_: object) -> None:
            self.live -= size
            self._known.pop(place, None)

        self._known[place] = weakref.ref(storage, freed)
        self.live += size
        self.peak = max(self.peak, self.live)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run the operation and count the storages of its results."""
        if not plain_tensors(types):
            return NotImplemented  # what they are made of is counted
        kwargs = kwargs or {}
        before = {
            leaf.untyped_storage().data_ptr()
            for leaf in tree_leaves((args, kwargs))
            if isinstance(leaf, torch.Tensor)
        }
        out = func(*args, **kwargs)
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor) and leaf.untyped_storage().data_ptr() not in before:
                self._track(leaf)
        return out
