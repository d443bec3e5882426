"""Route "hooks": modules that return their weights when asked, one layer at a time.

Each attention module is asked for its weights just before it runs and the weights are taken out
of its result just after, so never more than one layer of them exists, and nothing around the
module sees them. The model itself is never asked (it would keep all layers, and its hooks).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from saliscope.attention.kernels import visible
from saliscope.attention.layers import Layer, tap_of
from saliscope.attention.reducer import Reducer
from saliscope.core.errors import RefusedError

__all__ = ["asking", "hooked", "probabilities", "refusal", "weights_in"]

_TOLERANCE = 1e-2


def _request(module: nn.Module) -> dict[str, bool]:
    """Return the arguments that make a module return one matrix per head."""
    if isinstance(module, nn.MultiheadAttention):
        return {"need_weights": True, "average_attn_weights": False}
    return {"output_attentions": True}


def asking(
    module: nn.Module,
) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]:
    """Return a hook that adds the request to the arguments, by position or by name."""
    signature = inspect.signature(module.forward)
    request = _request(module)

    def ask(
        _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        bound = signature.bind(*args, **kwargs)
        bound.arguments.update(request)
        return bound.args, bound.kwargs

    return ask


def weights_in(output: Any) -> int | None:
    """Return where in a result the weights are: the only matrix per head and example.

    Their third axis has the length of the output: sparse attention has other layouts.
    """
    if not isinstance(output, tuple) or not isinstance(output[0], torch.Tensor):
        return None
    places = [
        i for i, part in enumerate(output)
        if i and isinstance(part, torch.Tensor) and part.ndim == 4 and part.is_floating_point()
        and part.shape[2] in output[0].shape[:2]
    ]  # fmt: skip
    return places[0] if len(places) == 1 else None


def refusal(layer: Layer) -> RefusedError:
    """Return the error for a module whose weights cannot be taken."""
    return RefusedError(
        f"{type(layer.module).__name__} returns no attention matrix of the usual form; "
        "use a gradient or masking method instead"
    )


def probabilities(total: torch.Tensor) -> torch.Tensor:
    """Return which rows of weights, by their sums, are probabilities, or of a query that sees none.

    Examples
    --------
    >>> probabilities(torch.tensor([1.0, 0.0, 0.5])).tolist()
    [True, True, False]
    """
    return ((total - 1).abs() < _TOLERANCE) | (total == 0)


def _reduce(layer: Layer, reducer: Reducer, weights: torch.Tensor) -> None:
    """Reduce one layer's weights, shape (batch, heads, queries, keys)."""
    batch, heads, queries, keys = weights.shape
    place = reducer.begin(layer.name, (batch, heads, queries, keys), weights)
    if place is None:
        return
    causal = layer.kind == "decoder" and queries == keys and queries > 1
    for example in range(batch):
        real = reducer.real_queries[example]
        for number, head in enumerate(reducer.heads):
            matrix = weights[example, head]
            total = matrix[real].sum(-1, dtype=reducer.dtype)
            # Sparse attention returns windows in the place of keys: those are no matrix of
            # probabilities over all keys and must not be taken for one.
            if not bool(probabilities(total).all()) and bool(total.isfinite().all()):
                raise refusal(layer)
            causal = causal and not bool(matrix.triu(1)[real].any())
            reducer.take(place, example, slice(number, number + 1), slice(0, queries), matrix[None])
    # No mask is known here; what a later token gets from an earlier query is exactly zero in
    # every head and example of a causal layer, and in no other. Rows of padding may hold anything.
    reducer.end(place, None, visible(None, causal, queries, keys, weights.device))


def _taking(
    layer: Layer, reducer: Reducer
) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Any], Any]:
    """Return a hook that reduces the weights and takes them out of the result."""

    def take(
        _module: nn.Module, _args: tuple[Any, ...], _kwargs: Mapping[str, Any], output: Any
    ) -> Any:
        place = weights_in(output)
        if place is None:
            raise refusal(layer)
        _reduce(layer, reducer, output[place])
        return (*output[:place], None, *output[place + 1 :])

    return take


def _tapping(layer: Layer, reducer: Reducer) -> Callable[[nn.Module, Any, torch.Tensor], None]:
    """Return a hook that reduces the weights which pass through a tap."""

    def take(_module: nn.Module, _args: Any, weights: torch.Tensor) -> None:
        _reduce(layer, reducer, weights)

    return take


@contextmanager
def hooked(layers: Sequence[Layer], reducer: Reducer) -> Iterator[None]:
    """Put hooks on the layers for the time of the context.

    Parameters
    ----------
    layers : sequence of Layer
        Of route "hooks".
    reducer : Reducer
    """
    with ExitStack() as stack:
        for layer in layers:
            tap = tap_of(layer.module)
            if tap is not None:
                stack.callback(tap.register_forward_hook(_tapping(layer, reducer)).remove)
                continue
            before = layer.module.register_forward_pre_hook(
                asking(layer.module), with_kwargs=True
            )  # fmt: skip
            stack.callback(before.remove)
            # First of all hooks: the user's own hooks see what they always see.
            after = layer.module.register_forward_hook(
                _taking(layer, reducer), with_kwargs=True, prepend=True
            )
            stack.callback(after.remove)
        yield
