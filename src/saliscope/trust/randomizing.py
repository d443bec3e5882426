"""Weights that know nothing: put in place of a model's own, and taken out again bit by bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

import numpy as np
import torch
from torch import nn

from saliscope.models.quiet import lock

__all__ = ["hash_of", "module_of", "randomized", "stages_of"]


def module_of(identity: object) -> nn.Module | None:
    """Return a module whose weights can be set, or None where there is none."""
    if isinstance(identity, nn.Module) and any(True for _ in identity.parameters()):
        return identity
    return None


def stages_of(module: nn.Module, count: int) -> list[tuple[str, list[nn.Parameter]]]:
    """Return the parameters in at most `count` stages, from the output back to the input.

    Parts of the module stand in the order in which they were registered; each has the parameters
    that are its own. Parameters that are shared belong to the first part that has them.

    Returns
    -------
    list of (str, list of torch.nn.Parameter)
        A stage is called by its last part, the one nearest to the input.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> [(name, len(own)) for name, own in stages_of(net, 5)]
    [('2', 2), ('0', 2)]
    """
    seen: set[int] = set()
    parts: list[tuple[str, list[nn.Parameter]]] = []
    for name, part in module.named_modules():
        own = [p for p in part.parameters(recurse=False) if id(p) not in seen]
        own = [p for p in own if p.is_floating_point() and p.numel()]
        seen |= {id(p) for p in own}
        if own:
            parts.append((name or type(module).__name__, own))
    cuts = np.array_split(np.arange(len(parts))[::-1], min(count, len(parts)) or 1)
    return [
        (parts[int(cut[-1])][0], list(chain.from_iterable(parts[int(i)][1] for i in cut)))
        for cut in cuts
        if len(cut)
    ]


@contextmanager
def randomized(module: nn.Module, parameters: Sequence[nn.Parameter], seed: int) -> Iterator[None]:
    """Give parameters random values for the time of the context.

    Matrices and kernels get normal noise of their own root mean square; vectors (biases, scales of
    norms) get their own numbers in another order, so that a scale stays one. Every parameter has a
    seed of its own: a stage more changes nothing in the others.

    The tensors themselves are set aside and put back, so that every bit is as before, also after
    an exception. Whoever runs the module in another thread waits.

    Examples
    --------
    >>> net = nn.Linear(3, 2)
    >>> before = net.weight.detach().clone()
    >>> with randomized(net, list(net.parameters()), seed=0):
    ...     bool(torch.equal(net.weight, before))
    False
    >>> bool(torch.equal(net.weight, before))
    True
    """
    with lock(module):
        places = {id(p): i for i, p in enumerate(module.parameters())}
        own = [(p, p.data) for p in parameters]
        try:
            for parameter, data in own:
                parameter.data = _random(data, hash_of(seed, places[id(parameter)]))
            yield
        finally:
            for parameter, data in own:
                parameter.data = data


def hash_of(seed: int, place: int) -> int:
    """Return a seed for one of many."""
    return int(np.random.SeedSequence([seed, place]).generate_state(1)[0])


def _random(data: torch.Tensor, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    if data.ndim < 2:
        order = torch.randperm(data.numel(), generator=generator).to(data.device)
        return data.reshape(-1)[order].reshape(data.shape).clone()
    size = data.float().pow(2).mean().sqrt()
    noise = torch.randn(data.shape, generator=generator, dtype=torch.float32)
    return (noise * size.cpu()).to(data)
