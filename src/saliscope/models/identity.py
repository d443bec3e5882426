"""What a module is: of which parts it is built, and which weights it has.

What was found of weights is remembered for as long as the module lives and they do not change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Sequence
from weakref import WeakKeyDictionary

import torch
from torch import nn

__all__ = ["fingerprint", "named_parts_of", "parts_of", "structure", "tensors_of", "weights_of"]


def parts_of(module: nn.Module) -> list[nn.Module]:
    """Return a module and all modules inside it, each once.

    What `nn.Module.modules` gives, in another order and without a generator inside a generator for
    each level: every call of `explain` looks at all parts several times.
    """
    found, seen = [module], {id(module)}
    for part in found:  # which grows
        for child in part._modules.values():  # noqa: SLF001 - see above
            if child is not None and id(child) not in seen:
                seen.add(id(child))
                found.append(child)
    return found


def named_parts_of(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return a module and all modules inside it, each once, with its path, in the tree's order.

    Examples
    --------
    >>> [name for name, _ in named_parts_of(nn.Sequential(nn.Sequential(nn.Tanh()), nn.Tanh()))]
    ['', '0', '0.0', '1']
    """
    found: list[tuple[str, nn.Module]] = []
    seen: set[int] = set()
    stack = [("", module)]
    while stack:
        name, part = stack.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        found.append((name, part))
        inside = f"{name}." if name else ""
        for child, below in reversed(part._modules.items()):  # noqa: SLF001 - as in `parts_of`
            if below is not None:
                stack.append((inside + child, below))
    return found


def tensors_of(
    module: nn.Module | Sequence[nn.Module], *, buffers: bool = True
) -> Iterator[torch.Tensor]:
    """Yield the parameters, and the buffers, of all parts; shared ones as often as they are held.

    Of a module, or of its parts where they are known.

    Every call of `explain` looks at all of them. `nn.Module.parameters` hashes each tensor to leave
    out what it gave before, and `state_dict` makes a copy of each, which costs ten times as much.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    >>> len(list(tensors_of(net))), len(list(tensors_of(net, buffers=False)))
    (7, 4)
    """
    for part in parts_of(module) if isinstance(module, nn.Module) else module:
        for parameter in part._parameters.values():  # noqa: SLF001 - see above
            if parameter is not None:
                yield parameter
        if buffers:
            for buffer in part._buffers.values():  # noqa: SLF001
                if buffer is not None:
                    yield buffer


def structure(module: nn.Module) -> Hashable:
    """Return what is equal for as long as no part of a module is replaced by one of another kind.

    Training does not change it.
    """
    parts = parts_of(module)
    shapes = tuple(tensor.shape for tensor in tensors_of(parts, buffers=False))
    return tuple(map(type, parts)), shapes


def fingerprint(module: nn.Module) -> str:
    """Return a short hash of a module's parameters and buffers.

    At most 4,096 evenly spaced numbers of each tensor are read, so that it is quick on large
    models and changes with any retraining.
    """
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        if not isinstance(tensor, torch.Tensor):
            continue
        flat = tensor.detach().reshape(-1)
        step = max(1, flat.numel() // 4096)
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        part = flat[::step][:4097]
        part = part.double() if part.is_floating_point() else part.long()
        digest.update(part.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _version(module: nn.Module) -> tuple[tuple[int, int], ...]:
    """Return something that changes when weights are changed in place or replaced."""
    return tuple(
        (tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version)  # noqa: SLF001 - counts changes in place
        for tensor in tensors_of(module)
    )


_KNOWN: WeakKeyDictionary[nn.Module, tuple[Hashable, int, str]] = WeakKeyDictionary()


def weights_of(module: nn.Module) -> tuple[int, str]:
    """Return the number of a module's parameters, and its fingerprint.

    Examples
    --------
    >>> net = nn.Linear(2, 1)
    >>> count, before = weights_of(net)
    >>> with torch.no_grad():
    ...     _ = net.bias.add_(1)
    >>> count, weights_of(net)[1] == before
    (3, False)
    """
    version, known = _version(module), _KNOWN.get(module)
    if known is None or known[0] != version:
        count = sum(parameter.numel() for parameter in module.parameters())
        known = _KNOWN[module] = version, count, fingerprint(module)
    return known[1:]
