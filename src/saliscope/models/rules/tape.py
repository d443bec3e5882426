"""What a model does, operation by operation, and where each operation stands in autograd's graph.

A `Tape` is switched on around a forward pass. It sees every operation below autograd, however it
was called (module, function, method, operator, in place, inside a fused layer), changes none, and
notes those that something which moves with the input goes through. `respond` then walks the graph
from the outputs and lets a rule replace what a node sends back, with hooks that live and die with
the graph. Nothing is patched, and an operation cannot be missed: what has a node was called.
"""

from __future__ import annotations

import functools
import itertools
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from saliscope.core.errors import RefusedError

__all__ = ["Back", "Grads", "Held", "Step", "Tape", "respond"]

Grads = tuple[torch.Tensor | None, ...]
Back = Callable[[Grads], Grads]
Held = dict[int, list[tuple[Any, Any]]]

# Nodes that are named otherwise than their operation.
_NAMED = {"logsigmoidforward": "logsigmoid"}
_COPY_SLICES = "torch::autograd::CopySlices"
_LEAF = "torch::autograd::AccumulateGrad"


class Step:
    """One operation of a forward pass that something moving went through.

    Parameters
    ----------
    func : torch._ops.OpOverload
    sequence : int
        Number of the last node that autograd had made when it ran: its own, or one it needed.
    args : list
    kwargs : dict
        As it was called; tensors without their graph. Moving tensors that no rule wants are None.
    movers : frozenset of str
        Its arguments that are tensors which move with the input.
    """

    def __init__(self, func: Any, sequence: int) -> None:
        self.func, self.sequence = func, sequence
        self.args: list[Any] = []
        self.kwargs: dict[str, Any] = {}
        self.movers: frozenset[str] = frozenset()
        self.place: tuple[Any, ...] | None = None  # of a view within its base, changed in place

    @property
    def name(self) -> str:
        """The operation, without namespace and without the mark of working in place."""
        return operation(self.func)

    @property
    def kind(self) -> str:
        """The name of its node, as `kind` of the node gives it."""
        squashed = self.name.replace("_", "").lower()
        return _NAMED.get(squashed, squashed)

    @cached_property
    def bound(self) -> dict[str, Any]:
        """Arguments by name, with defaults."""
        arguments = self.func._schema.arguments  # noqa: SLF001 - the only way to their names
        defaults = {a.name: a.default_value for a in arguments}
        return defaults | dict(zip(defaults, self.args, strict=False)) | self.kwargs

    def __getitem__(self, name: str) -> Any:
        return self.bound[name]

    def call(self, *replaced: torch.Tensor) -> Any:
        """Run it again out of place, its first tensors replaced and all others as wide as they."""
        func, own = self.func, list(replaced)
        if func._schema.is_mutable:  # noqa: SLF001
            func = getattr(getattr(torch.ops.aten, self.name), func._overloadname)  # noqa: SLF001

        def take(value: Any) -> Any:
            if not isinstance(value, torch.Tensor):
                return value
            if own:
                return own.pop(0)
            return value.to(replaced[0]) if value.is_floating_point() else value

        return func(*map(take, self.args), **{k: take(v) for k, v in self.kwargs.items()})


def operation(func: Any) -> str:
    """Return the plain name of an operation: "relu" for ``aten::relu_.default``.

    Examples
    --------
    >>> operation(torch.ops.aten.relu_.default), operation(torch.ops.aten._softmax.default)
    ('relu', '_softmax')
    """
    name: str = func._schema.name.removeprefix("aten::")  # noqa: SLF001
    return name.removesuffix("_") if func._schema.is_mutable else name  # noqa: SLF001


class Tape(TorchDispatchMode):
    """Notes the operations of a forward pass that something moving goes through.

    Parameters
    ----------
    keeps : callable
        ``keeps(name, tensors)``: whether the moving tensors of an operation are kept.
    held : dict
        What is kept, by storage; shared by tapes of runs that are compared. Before a storage is
        changed in place, what is held of it is copied.
    """

    def __init__(
        self, keeps: Callable[[str, Sequence[torch.Tensor]], bool], held: Held | None = None
    ) -> None:
        TorchDispatchMode.__init__(self)
        self.keeps, self.held = keeps, {} if held is None else held
        self.steps: list[Step] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Note the operation and run it as it is."""
        kwargs = kwargs or {}
        if torch.is_grad_enabled() and func is not torch.ops.aten.detach.default:
            tensors = list(_tensors([*args, *kwargs.values()]))
            if any(tensor.requires_grad for tensor in tensors):
                self._note(func, args, kwargs, tensors)
        if func._schema.is_mutable:  # noqa: SLF001 - the only way to know
            self._spare(func, args, kwargs)
        return func(*args, **kwargs)

    def _note(
        self, func: Any, args: Sequence[Any], kwargs: dict[str, Any],
        tensors: Sequence[torch.Tensor],
    ) -> None:  # fmt: skip
        step = Step(func, torch._C._autograd._get_sequence_nr() - 1)  # noqa: SLF001 - as tracers do
        keep = self.keeps(step.name, tensors)
        names = dict(zip(_arguments(func), args, strict=False)) | kwargs
        step.movers = frozenset(
            n for n, v in names.items() if isinstance(v, torch.Tensor) and v.requires_grad
        )
        step.args = [self._kept(value, keep=keep) for value in args]
        step.kwargs = {name: self._kept(value, keep=keep) for name, value in kwargs.items()}
        self._hold(step.args, range(len(args)))
        self._hold(step.kwargs, kwargs)
        changed = tensors[0]
        if func._schema.is_mutable and changed._is_view():  # noqa: SLF001
            base = changed._base  # noqa: SLF001 - autograd's own account of views
            assert base is not None
            step.place = (
                base.shape, base.stride(), changed.shape, changed.stride(),
                changed.storage_offset() - base.storage_offset(),
            )  # fmt: skip
        self.steps.append(step)

    def _kept(self, value: Any, *, keep: bool) -> Any:
        if isinstance(value, torch.Tensor):
            return None if value.requires_grad and not keep else value.detach()
        if isinstance(value, (list, tuple)):
            parts = [self._kept(part, keep=keep) for part in value]
            self._hold(parts, range(len(parts)))
            return parts
        return value

    def _hold(self, container: Any, keys: Any) -> None:
        for key in keys:
            value = container[key]
            if isinstance(value, torch.Tensor):
                place = value.untyped_storage().data_ptr()
                self.held.setdefault(place, []).append((container, key))

    def _spare(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """Copy what is held of storages that an operation is about to change."""
        given = dict(zip(_arguments(func), args, strict=False)) | kwargs
        for argument in func._schema.arguments:  # noqa: SLF001
            if argument.alias_info is None or not argument.alias_info.is_write:
                continue
            for tensor in _tensors([given.get(argument.name)]):
                for container, key in self.held.pop(tensor.untyped_storage().data_ptr(), ()):
                    container[key] = container[key].clone()


@functools.cache
def _arguments(func: Any) -> tuple[str, ...]:
    return tuple(a.name for a in func._schema.arguments)  # noqa: SLF001


def _tensors(values: Sequence[Any]) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


# -- the graph -----------------------------------------------------------------------------------


def kind(node: Any) -> str:
    """Return what a node stands for: "addmm" for ``AddmmBackward0``."""
    name = node.name().removeprefix("torch::autograd::")
    return re.sub(r"Backward\d*$", "", name).lower()


def _nodes(outputs: Sequence[torch.Tensor]) -> Iterator[Any]:
    waiting = [out.grad_fn for out in outputs if out.grad_fn is not None]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        yield node
        for before, _ in node.next_functions:
            if before is not None and before not in seen:
                seen.add(before)
                waiting.append(before)


def respond(
    outputs: Sequence[torch.Tensor], tape: Tape,
    rule: Callable[[str, tuple[bool, ...], int | None], Back | None],
) -> None:  # fmt: skip
    """Let a rule replace what the nodes behind `outputs` send back.

    Parameters
    ----------
    outputs : sequence of torch.Tensor
    tape : Tape
        Of the pass that made them.
    rule : callable
        ``rule(kind, edges, number)`` is asked once per node: what it stands for, which of its
        inputs move, and the number of its step on the tape (None where there is none). It returns
        the function from incoming to outgoing gradients, None to leave the node as it is, or
        raises `RefusedError`.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for number, step in enumerate(tape.steps):
        places[step.kind].append(number)
    every = range(len(tape.steps))

    def sequence(number: int) -> int:
        return tape.steps[number].sequence

    for node in _nodes(outputs):
        if node.name() == _LEAF:
            continue
        own = node._sequence_nr()  # noqa: SLF001 - as tracers do
        edges = tuple(before is not None for before, _ in node.next_functions)
        if node.name() == _COPY_SLICES:
            # Part of a tensor was changed in place: by the last operation before this node.
            at = bisect_left(every, own, key=sequence) - 1
            place = tape.steps[at].place if at >= 0 else None
            if place is None:
                msg = "a part of a tensor is changed in place by an operation that was not seen"
                raise RefusedError(msg)
            back = rule(tape.steps[at].kind, edges, at)
            if back is not None:
                back = _within(place, back)
        else:
            # Operations run right after their node is made, so it is the first of its kind since.
            same = places[kind(node)]
            at = bisect_left(same, own, key=sequence)
            back = rule(kind(node), edges, same[at] if at < len(same) else None)
        if back is not None:
            node.register_hook(_hook(kind(node), back))


def _hook(name: str, back: Back) -> Callable[[Grads, Grads], Grads]:
    def replaced(own: Grads, incoming: Grads) -> Grads:
        if all(gradient is None for gradient in incoming):
            return own
        with torch.no_grad():
            sent = back(incoming)
        new: list[torch.Tensor | None] = []
        for old, other in itertools.zip_longest(own, sent[: len(own)]):
            if old is not None and other is None:
                msg = f"an input of {name} moves that its rule does not know"
                raise RefusedError(msg)
            new.append(None if old is None or other is None else _as(other, old.dtype))
        return tuple(new)

    return replaced


def _as(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a gradient in the type of the graph, at its ends where it would be infinite."""
    if torch.finfo(dtype).max < torch.finfo(tensor.dtype).max:
        most = torch.finfo(dtype).max
        tensor = tensor.clamp(-most, most)
    return tensor.to(dtype)


def _within(place: tuple[Any, ...], back: Back) -> Back:
    """Apply a rule to the part of a tensor that was changed in place."""
    whole, strides, shape, steps, offset = place

    def sent(incoming: Grads) -> Grads:
        (gradient,) = incoming
        assert gradient is not None
        result = gradient.new_empty_strided(whole, strides).copy_(gradient)
        part = result.as_strided(shape, steps, offset)
        first, *others = back((part.clone(),))
        assert first is not None
        part.copy_(first)
        return (result, *others)

    return sent
