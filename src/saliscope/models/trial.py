"""Trying another way of running a module: taken only where it gives the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.utils._pytree import SUPPORTED_NODES, tree_flatten, tree_leaves

from saliscope.models.identity import parts_of
from saliscope.models.quiet import quiet
from saliscope.models.watching import Watch, plain_tensors

__all__ = ["Work", "channels_last", "same_given", "slides", "usual_order"]

_ROUNDED = 1e3  # times the last bit of the largest number: what sums in another order may differ
_SLIDING = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_SMALL = 1 << 12  # numbers of an input up to which a way of running it makes no difference
_QUICK = 16  # products in the time in which one number is written
_LAST: WeakKeyDictionary[nn.Module, dict[Hashable, bool]] = WeakKeyDictionary()


def slides(module: nn.Module) -> bool:
    """Return whether a module has convolutions, and runs as Python says."""
    parts = parts_of(module)
    compiled = any(isinstance(p, torch.jit.ScriptModule) or hasattr(p, "_orig_mod") for p in parts)
    return not compiled and any(isinstance(part, _SLIDING) for part in parts)


class Work(Watch):
    """Counts what operations cost: the numbers that they make, and a share of their products.

    Examples
    --------
    >>> with Work() as work:
    ...     _ = torch.ones(3) + 1
    >>> work.cost
    6.0
    """

    def __init__(self) -> None:
        Watch.__init__(self)
        self.cost = 0.0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation and count; of tensors made of others, what theirs cost."""
        if not plain_tensors(types):
            return NotImplemented
        made = func(*args, **(kwargs or {}))
        if not func.is_view:  # which makes none
            numbers = sum(v.numel() for v in tree_leaves(made) if isinstance(v, torch.Tensor))
            self.cost += numbers * (1 + _products(func, args) / _QUICK)
        return made


def _products(func: Any, args: Sequence[Any]) -> int:
    """Return the products that one number of a result is the sum of."""
    if func is torch.ops.aten.convolution.default:
        return int(args[1][0].numel())
    if func in {torch.ops.aten.mm.default, torch.ops.aten.bmm.default}:
        return int(args[0].shape[-1])
    return int(args[1].shape[-1]) if func is torch.ops.aten.addmm.default else 0


def same_given(one: Callable[[], Any], other: Callable[[], Any]) -> bool:
    """Return whether two ways give the same up to rounding; one that fails does not.

    Examples
    --------
    >>> same_given(lambda: torch.ones(2), lambda: {"logits": torch.ones(2)})
    False
    >>> same_given(lambda: [torch.ones(2)], lambda: [torch.ones(2) + 1e-7])
    True
    """
    with torch.random.fork_rng(devices=[]):
        try:
            found, wanted = one(), other()
        except Exception:  # noqa: BLE001 - what fails here is said by the pass as it always is
            return False
    if not isinstance(wanted, torch.Tensor) and type(wanted) not in SUPPORTED_NODES:
        return False
    (one_by_one, shape), (others, wanted_shape) = tree_flatten(found), tree_flatten(wanted)
    return bool(shape == wanted_shape) and all(map(_alike, one_by_one, others))


def _alike(one: object, other: object) -> bool:
    if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor):
        return type(one) is type(other)
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if not one.is_floating_point() or not one.numel():
        return torch.equal(one, other)
    apart = _ROUNDED * torch.finfo(one.dtype).eps * float(other.abs().nan_to_num(0.0, 0.0).max())
    return torch.allclose(one, other, rtol=0.0, atol=apart, equal_nan=True)


def channels_last(module: nn.Module, one: torch.Tensor, built: Hashable) -> bool:
    """Return whether a module takes pictures whose channels lie beside each other in memory.

    Convolutions on a processor are quicker by up to half then. It is tried once for each shape.

    Parameters
    ----------
    module : torch.nn.Module
    one : torch.Tensor, shape (1, channels, ...)
    built : hashable
        What is equal for as long as the module has the same parts.
    """
    if one.device.type != "cpu" or one.dtype != torch.float32:
        return False
    if one.ndim != 4 or one.numel() < _SMALL:
        return False
    known = _LAST.setdefault(module, {})
    key = (tuple(one.shape[1:]), built)
    if key not in known:
        usual = torch.cat([one, one.flip(-1)])  # two: of one alone more views are possible
        other = usual.contiguous(memory_format=torch.channels_last)
        with quiet(module, 0), torch.no_grad():
            known[key] = slides(module) and same_given(
                lambda: module(other.clone()), lambda: module(usual.clone())
            )
    return known[key]


def usual_order(module: nn.Module) -> Callable[[], None]:
    """Give a module its pictures as they are from now on; return what takes that back."""
    before = _LAST.get(module, {})
    _LAST[module] = dict.fromkeys(before, False)
    return lambda: _LAST.update({module: before})
