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

__all__ = ["quiet"]

_LOCKS: weakref.WeakKeyDictionary[nn.Module, threading.RLock] = weakref.WeakKeyDictionary()
_LOCKS_GUARD = threading.Lock()


def _lock(module: nn.Module) -> threading.RLock:
    with _LOCKS_GUARD:
        return _LOCKS.setdefault(module, threading.RLock())


@contextmanager
def _random_states(seed: int) -> Iterator[None]:
    """Seed every generator that a model might draw from, and put the old states back."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - saving, not drawing
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.random.default_generator.manual_seed(seed)
        for index in devices:
            torch.cuda.default_generators[index].manual_seed(seed)
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
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    with _lock(module), ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(_random_states(seed))
        training = [(part, part.training) for part in module.modules()]
        frozen = [p for p in module.parameters() if p.requires_grad]
        try:
            for part, _ in training:
                part.training = False
            for parameter in frozen:
                parameter.requires_grad_(False)
            with torch.inference_mode(False):
                yield
        finally:
            for part, flag in training:
                part.training = flag
            for parameter in frozen:
                parameter.requires_grad_(True)
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
            if torch.get_default_dtype() != dtype:
                torch.set_default_dtype(dtype)
