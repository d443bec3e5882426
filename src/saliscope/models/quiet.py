"""Quiet: run somebody's module without leaving a trace.

Inside the context the module is in evaluation mode and its parameters are frozen (autograd then
saves nothing for weight gradients); on leaving, also by an exception, everything is as before:
training flags, ``requires_grad``, random states, thread count, default dtype, warning filters.
A re-entrant lock per module keeps two threads from restoring each other's state.
"""

from __future__ import annotations

import random
import threading
import warnings
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import nn

from saliscope.models.identity import parts_of, tensors_of

__all__ = ["lock", "quiet", "threads"]

_LOCKS: weakref.WeakKeyDictionary[nn.Module, threading.RLock] = weakref.WeakKeyDictionary()
_GUARD = threading.Lock()
_PROCESS = ExitStack()
_INSIDE: list[int] = []  # one entry per context that is open, in any thread


def lock(module: nn.Module) -> threading.RLock:
    """Return the lock of a module: who holds it may change the module, or look at its state."""
    with _GUARD:
        return _LOCKS.setdefault(module, threading.RLock())


@contextmanager
def _process(seed: int) -> Iterator[None]:
    """Seed every generator that a model might draw from, and put the process back afterwards.

    Random states, the default dtype and warning filters belong to the process, not to a module:
    of contexts that overlap in threads the first one saves them and the last one puts them back.
    """
    with _GUARD:
        if not _INSIDE:
            _PROCESS.enter_context(warnings.catch_warnings())
            _PROCESS.enter_context(_random_states())
            _PROCESS.callback(torch.set_default_dtype, torch.get_default_dtype())
        _INSIDE.append(seed)
        _seed(seed)
    try:
        yield
    finally:
        with _GUARD:
            _INSIDE.remove(seed)
            if not _INSIDE:
                _PROCESS.close()


def _cuda_devices() -> list[int]:
    return list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []


def _seed(seed: int) -> None:
    torch.default_generator.manual_seed(seed % 2**63)
    for index in _cuda_devices():
        torch.cuda.default_generators[index].manual_seed(seed % 2**63)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - for functions that draw from it


@contextmanager
def _random_states() -> Iterator[None]:
    """Put all random states back on leaving."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - saving, not drawing
    with torch.random.fork_rng(devices=_cuda_devices()):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002 - restoring


@contextmanager
def quiet(module: nn.Module, seed: int = 0) -> Iterator[None]:
    """Freeze `module` and put it in evaluation mode for the time of the context.

    Parameters
    ----------
    module : torch.nn.Module
    seed : int
        For models that draw random numbers even in evaluation mode: they draw the same ones in
        every call, and the caller's random states are not moved.

    Examples
    --------
    >>> net = nn.Linear(2, 1).train()
    >>> with quiet(net):
    ...     net.training, net.weight.requires_grad
    (False, False)
    >>> net.training, net.weight.requires_grad
    (True, True)
    """
    threads = torch.get_num_threads()
    with lock(module), _process(seed):
        parts = parts_of(module)
        training = [(part, part.training) for part in parts]
        frozen = [p for p in tensors_of(parts, buffers=False) if p.requires_grad]
        try:
            for part, flag in training:
                if flag:  # setting an attribute of a module costs much more than reading it
                    part.training = False
            for parameter in frozen:
                parameter.requires_grad_(False)
            with torch.inference_mode(False):
                yield
        finally:
            for part, flag in training:
                if part.training != flag:
                    part.training = flag
            for parameter in frozen:
                parameter.requires_grad_(True)
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use so many threads for the time of the context: bits may depend on them.

    Examples
    --------
    >>> before = torch.get_num_threads()
    >>> with threads(1):
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
    before = torch.get_num_threads()
    if count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
