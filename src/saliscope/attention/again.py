"""Descent through models on route "hooks": each attention module runs again on the way back.

In the forward pass a module is given states that need no gradients, so that it keeps nothing. When
the backward pass comes to it, it runs once more, now asked for its weights, and is differentiated
by itself; then its weights go. So one layer of them exists at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.utils._pytree import tree_flatten, tree_map_only

from saliscope.attention.descent import Descent
from saliscope.attention.hooks import asking, probabilities, refusal, weights_in
from saliscope.attention.kernels import accumulation
from saliscope.attention.layers import Layer
from saliscope.core.errors import RefusedError

__all__ = ["running_again"]

_SAME = ("ViewBackward", "ReshapeAliasBackward", "UnsafeViewBackward", "AliasBackward")


class _Call:
    """One call of a module, to be done again.

    Parameters
    ----------
    layer : Layer
    args, kwargs
        What the module was given.
    """

    def __init__(self, layer: Layer, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.layer, self._given = layer, (args, dict(kwargs))
        moving = {id(t): t for t in tree_flatten(self._given)[0] if _moves(t)}
        self.states = list(moving.values())

    def still(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return what was given without its history."""
        return self._with([state.detach() for state in self.states])

    def _with(self, states: Sequence[torch.Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return what was given, with other states in the place of those that move."""
        known = dict(zip(map(id, self.states), states, strict=True))
        args, kwargs = tree_map_only(torch.Tensor, lambda t: known.get(id(t), t), self._given)
        return args, kwargs

    def again(self, slope: torch.Tensor, descent: Descent) -> Sequence[torch.Tensor | None]:
        """Run once more, let the weights take part in the descent, return the gradients."""
        states = [state.detach().requires_grad_() for state in self.states]
        module = self.layer.module
        args, kwargs = asking(module)(module, *self._with(states))
        with torch.enable_grad():
            result = module.forward(*args, **kwargs)  # the user's hooks have seen this call
        place = weights_in(result)
        if place is None:
            raise refusal(self.layer)
        weights = result[place]
        *gradients, inner = torch.autograd.grad(
            result[0], [*states, _source(weights)], slope, allow_unused=True
        )
        descent.check(self.layer.name, *weights.shape[2:])
        total = weights.detach().sum(-1, dtype=torch.float32)
        # Windows in the place of keys (sparse attention) are no matrix over all keys.
        wrong = (~probabilities(total)).any(1)[descent.real]
        if inner is None or bool(wrong.any()):
            raise refusal(self.layer)
        dtype = accumulation(weights.dtype)
        flow = weights.detach().to(dtype) * inner.reshape(weights.shape).to(dtype)
        rows = descent.rows(slope)
        descent.add(torch.einsum("bq,bhqk->bk", rows, flow.clamp(min=0)) / flow.shape[1])
        return gradients


def _moves(given: Any) -> bool:
    return isinstance(given, torch.Tensor) and given.requires_grad


def _source(weights: torch.Tensor) -> GradientEdge:
    """Return where in the graph weights were made: a module may return another view of them."""
    edge = get_gradient_edge(weights)
    while edge.node.name().startswith(_SAME):
        node, number = edge.node.next_functions[0]
        assert node is not None
        edge = GradientEdge(node, number)
    return edge


class _Again(torch.autograd.Function):
    """Stands for one call of a module in the graph."""

    @staticmethod
    def forward(
        ctx: Any, call: _Call, descent: Descent, output: torch.Tensor, *_states: torch.Tensor
    ) -> torch.Tensor:
        """Return the output that the module gave without a graph."""
        ctx.call, ctx.descent = call, descent
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        """Run the module once more and go back through it."""
        return None, None, None, *ctx.call.again(slopes[0], ctx.descent)


def _hooks(layer: Layer, descent: Descent) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return hooks for before and after a module: it runs still, its output moves again."""
    calls: list[_Call] = []

    def before(
        _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        calls.append(_Call(layer, args, kwargs))
        return calls[-1].still()

    def after(
        _module: nn.Module, _args: tuple[Any, ...], _kwargs: Mapping[str, Any], output: Any
    ) -> Any:
        call = calls.pop()
        whole = output if isinstance(output, tuple) else (output,)
        rest = [t for t in tree_flatten(whole[1:])[0] if isinstance(t, torch.Tensor)]
        if not isinstance(whole[0], torch.Tensor) or any(t.is_floating_point() for t in rest):
            raise refusal(layer)
        descent.calls += 1
        if call.states:
            stand_in: Callable[..., torch.Tensor] = _Again.apply
            whole = (stand_in(call, descent, whole[0], *call.states), *whole[1:])
        return whole if isinstance(output, tuple) else whole[0]

    return before, after


@contextmanager
def running_again(layers: Sequence[Layer], descent: Descent) -> Iterator[None]:
    """Let the layers take part in a descent, for passes inside the context.

    Raises
    ------
    RefusedError
        If the layers are those of a decoder: running them again could change their cache.
    """
    with ExitStack() as stack:
        for layer in layers:
            if layer.kind != "encoder":
                msg = (
                    f"{type(layer.module).__name__} would have to run twice, and may keep what it "
                    "was given; use a gradient or masking method instead"
                )
                raise RefusedError(msg)
            before, after = _hooks(layer, descent)
            stack.callback(
                layer.module.register_forward_pre_hook(before, with_kwargs=True).remove
            )  # fmt: skip
            # First of all hooks: the user's own hooks see what they always see.
            stack.callback(
                layer.module.register_forward_hook(after, with_kwargs=True, prepend=True).remove
            )
        yield
