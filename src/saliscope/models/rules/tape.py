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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

import torch
from torch.autograd.graph import get_gradient_edge

from saliscope.core.errors import RefusedError
from saliscope.models.watching import Watch

__all__ = ["Back", "Grads", "Held", "Shares", "Step", "Tape", "kind", "respond", "told"]

Grads = tuple[torch.Tensor | None, ...]
Back = Callable[[Grads], Grads]
Shares = tuple[float, ...]
Held = dict[int, list[tuple[Any, Any]]]

# Nodes that are named otherwise than their operation.
_NAMED = {"logsigmoidforward": "logsigmoid"}
_COPY_SLICES = "torch::autograd::CopySlices"
_LEAF = "torch::autograd::AccumulateGrad"


class _Facts:
    """What a kind of operation is called, and what it changes; looked up once."""

    name: str
    kind: str
    mutable: bool
    defaults: dict[str, Any]
    names: tuple[str, ...]
    written: list[str]

    def __init__(self, func: Any) -> None:
        if isinstance(func, type):  # an autograd function of the package's own
            self._is(func.__name__.lower())
            return
        schema = func._schema  # noqa: SLF001 - the only way to an operation's arguments
        name = schema.name.removeprefix("aten::")
        self._is(name.removesuffix("_") if schema.is_mutable else name, mutable=schema.is_mutable)
        self.defaults = {a.name: a.default_value for a in schema.arguments}
        self.names = tuple(self.defaults)
        self.written = [
            a.name for a in schema.arguments if a.alias_info is not None and a.alias_info.is_write
        ]

    def _is(self, name: str, *, mutable: bool = False) -> None:
        squashed = name.replace("_", "").lower()
        self.name, self.kind, self.mutable = name, _NAMED.get(squashed, squashed), mutable
        self.defaults, self.names, self.written = {}, (), []


_facts = functools.cache(_Facts)


class Step:
    """One operation of a forward pass that something moving went through.

    ``step["dim"]`` is an argument by its name; tensors come without their graph, and moving ones
    that no rule wants are None.

    Parameters
    ----------
    func : torch._ops.OpOverload
    values : dict
        Arguments as they were given, by name.
    movers : set of str
        Those that are tensors which move with the input.

    Attributes
    ----------
    name : str
        The operation, without namespace and without the mark of working in place.
    kind : str
        The name of its node, as `kind` gives it.
    sequence : int
        Number of the last node that autograd had made when it ran: its own, or one it needed.
    place : tuple or None
        Where a view that is changed in place lies within its base.
    """

    __slots__ = ("func", "kind", "movers", "name", "place", "sequence", "values")

    def __init__(self, func: Any, values: dict[str, Any], movers: set[str]) -> None:
        facts = _facts(func)
        self.func, self.values, self.movers = func, values, movers
        self.name, self.kind = facts.name, facts.kind
        self.sequence: int = torch._C._autograd._get_sequence_nr() - 1  # noqa: SLF001 - as tracers
        self.place: tuple[Any, ...] | None = None

    def __getitem__(self, name: str) -> Any:
        return self.values[name] if name in self.values else _facts(self.func).defaults[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return an argument, or something else where the operation has none of that name."""
        return self[name] if name in _facts(self.func).defaults else default

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """Arguments that are tensors."""
        return {n: v for n, v in self.values.items() if isinstance(v, torch.Tensor)}

    def call(self, first: torch.Tensor) -> Any:
        """Run it again out of place with another first tensor, and all others as wide."""
        func = self.func
        if _facts(func).mutable:
            func = getattr(getattr(torch.ops.aten, self.name), func._overloadname)  # noqa: SLF001
        wide = {
            n: v.to(first) if v.is_floating_point() else v
            for n, v in self.tensors.items()
        }  # fmt: skip
        return func(**self.values | wide | {next(iter(wide)): first})


class Tape(Watch):
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
        Watch.__init__(self)
        self.keeps, self.held = keeps, {} if held is None else held
        self.steps: list[Step] = []

    def __enter__(self) -> Self:
        self._outer = _HERE.set(self)
        return Watch.__enter__(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        Watch.__exit__(self, kind, error, trace)
        _HERE.reset(self._outer)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Note the operation and run it as it is."""
        kwargs = kwargs or {}
        facts = _facts(func)
        if torch.is_grad_enabled() and func is not torch.ops.aten.detach.default:
            tensors = list(_tensors([*args, *kwargs.values()]))
            if any(tensor.requires_grad for tensor in tensors):
                self.note(func, dict(zip(facts.names, args, strict=False)) | kwargs, tensors)
        if facts.mutable:
            given = dict(zip(facts.names, args, strict=False)) | kwargs
            self._spare(_tensors([given.get(name) for name in facts.written]))
        return func(*args, **kwargs)

    def note(self, func: Any, given: dict[str, Any], tensors: Sequence[torch.Tensor]) -> None:
        """Add a step with what is kept of its arguments."""
        movers = {n for n, v in given.items() if isinstance(v, torch.Tensor) and v.requires_grad}
        step = Step(func, given, movers)
        keep = self.keeps(step.name, tensors)
        for name, value in given.items():
            if isinstance(value, (torch.Tensor, list, tuple)):
                self._put(given, name, value, keep=keep)
        changed = tensors[0]
        if _facts(func).mutable and changed._is_view():  # noqa: SLF001 - autograd's own account
            base = changed._base  # noqa: SLF001
            assert base is not None
            step.place = (
                base.shape, base.stride(), changed.shape, changed.stride(),
                changed.storage_offset() - base.storage_offset(),
            )  # fmt: skip
        self.steps.append(step)

    def _put(self, container: Any, key: Any, value: Any, *, keep: bool) -> None:
        """Keep an argument in a container, or None in place of one that is not wanted."""
        if isinstance(value, torch.Tensor):
            if value.requires_grad and not keep:
                container[key] = None
                return
            container[key] = value.detach()
            place = value.untyped_storage().data_ptr()
            self.held.setdefault(place, []).append((container, key))
        elif isinstance(value, (list, tuple)):
            container[key] = list(value)
            for number, part in enumerate(value):
                self._put(container[key], number, part, keep=keep)

    def _spare(self, changing: Iterable[torch.Tensor]) -> None:
        """Copy what is held of tensors that are about to be changed."""
        for tensor in changing:
            for container, key in self.held.pop(tensor.untyped_storage().data_ptr(), ()):
                container[key] = container[key].clone()


_HERE: ContextVar[Tape | None] = ContextVar("tape", default=None)


def told(function: type[torch.autograd.Function], **given: Any) -> None:
    """Note an autograd function, right after it was applied, on the tape that is switched on.

    A tape sees operations that autograd knows; what such a function does inside is hidden from it.
    """
    tape = _HERE.get()
    if tape is not None:
        tape.note(function, given, list(_tensors(list(given.values()))))


def _tensors(values: Sequence[Any]) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


# -- the graph -----------------------------------------------------------------------------------


@functools.cache
def kind(name: str) -> str:
    """Return what a node of that name stands for.

    Examples
    --------
    >>> kind("AddmmBackward0"), kind("torch::autograd::CopySlices")
    ('addmm', 'copyslices')
    """
    name = name.removeprefix("torch::autograd::")
    return re.sub(r"Backward\d*$", "", name).lower()


def _moving(outputs: Sequence[torch.Tensor], leaf: torch.Tensor) -> dict[Any, None]:
    """Return the nodes between `outputs` and `leaf`, in a fixed order.

    Others require a gradient, too, and do not move: parameters that are not the model's own.
    """
    waiting = [out.grad_fn for out in outputs if out.grad_fn is not None]
    after: dict[Any, list[Any]] = {node: [] for node in waiting}
    while waiting:
        node = waiting.pop()
        for before, _ in node.next_functions:
            if before is None:
                continue
            if before not in after:
                after[before] = []
                waiting.append(before)
            after[before].append(node)
    found: dict[Any, None] = {}
    waiting = [node for node in [get_gradient_edge(leaf).node] if node in after]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found[node] = None
            waiting += after[node]
    return found


def respond(
    outputs: Sequence[torch.Tensor], leaf: torch.Tensor, tape: Tape,
    rule: Callable[[str, tuple[Any, ...], int | None], Back | Shares | None],
) -> None:  # fmt: skip
    """Let a rule replace what the nodes between `outputs` and `leaf` send back.

    Parameters
    ----------
    outputs : sequence of torch.Tensor
    leaf : torch.Tensor
    tape : Tape
        Of the pass that made them.
    rule : callable
        ``rule(kind, before, number)`` is asked once per node: what it stands for, the node of each
        of its inputs (None where that does not move), and the number of its step on the tape (None
        where there is none). It returns the function from incoming to outgoing gradients, or what
        each outgoing gradient is multiplied by, or None to leave the node as it is; or it raises
        `RefusedError`.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for number, step in enumerate(tape.steps):
        places[step.kind].append(number)
    every = range(len(tape.steps))

    def sequence(number: int) -> int:
        return tape.steps[number].sequence

    moving = _moving(outputs, leaf)
    for node in moving:
        name = node.name()
        if name == _LEAF:
            continue
        own = node._sequence_nr()  # noqa: SLF001 - as tracers do
        before = tuple(each if each in moving else None for each, _ in node.next_functions)
        if name == _COPY_SLICES:
            # Part of a tensor was changed in place: by the last operation before this node.
            at = bisect_left(every, own, key=sequence) - 1
            place = tape.steps[at].place if at >= 0 else None
            if place is None:
                msg = "a part of a tensor is changed in place by an operation that was not seen"
                raise RefusedError(msg)
            back = rule(tape.steps[at].kind, before, at)
            if isinstance(back, tuple):
                msg = f"{tape.steps[at].name} changes a part of a tensor in place"
                raise RefusedError(msg)
            if back is not None:
                back = _within(place, back)
        else:
            # Operations run right after their node is made, so it is the first of its kind since.
            same = places[kind(name)]
            at = bisect_left(same, own, key=sequence)
            back = rule(kind(name), before, same[at] if at < len(same) else None)
        if isinstance(back, tuple):
            node.register_hook(functools.partial(_shared, back))
        elif back is not None:
            node.register_hook(_hook(kind(name), back))


def _shared(shares: Shares, own: Grads, _incoming: Grads) -> Grads:
    return tuple(
        None if old is None else old * share for old, share in zip(own, shares, strict=True)
    )


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
