"""The layers of a Keras model as parts of a torch module, called as Keras calls its layers.

Calls of Keras layers do not pass torch's hooks, and on other backends layers are no torch modules
at all. So every layer gets a `Part`, and during a pass the layer's ``call`` is rebound on its
instance to that part: hooks on parts see every call. Afterwards the layers are as they were, also
after exceptions.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn

from saliscope.models.keras.backend import to_torch

__all__ = ["Embeds", "KerasAttention", "Part", "grow", "rebound"]

_ASKED = ("return_attention_scores", "return_attention")
_MISSING = object()


@contextmanager
def rebound(owner: object, name: str, value: object) -> Iterator[None]:
    """Give one instance another attribute for the time of the context.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> thing = SimpleNamespace(call=1)
    >>> with rebound(thing, "call", 2):
    ...     thing.call
    2
    >>> thing.call
    1
    """
    # Not by setattr, which Keras watches to track layers and variables.
    there = owner.__dict__
    before = there.get(name, _MISSING)
    there[name] = value
    try:
        yield
    finally:
        if before is _MISSING:
            del there[name]
        else:
            there[name] = before


def _variables(layer: Any) -> list[Any]:
    """Return the variables of a layer without those of the layers inside it."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]  # noqa: SLF001 - the public lists hold both


class Part(nn.Module):
    """One layer of a Keras model.

    Parameters
    ----------
    layer : keras.Layer
    """

    layer: Any
    inner: Callable[..., Any]

    def __init__(self, layer: Any) -> None:
        super().__init__()
        # On torch a layer is a module itself, and must not be registered as one of this module.
        self.__dict__["layer"] = layer
        self.__dict__["inner"] = layer.call
        self.training = False  # Keras is told in each call
        for variable in _variables(layer):
            value, name = variable.value, str(variable.name).replace(".", "_")
            if isinstance(value, nn.Parameter):
                self._parameters[name] = value
            else:
                self._buffers[name] = to_torch(value)

    def refresh(self) -> None:
        """Copy the variables of another backend as they are now."""
        for variable, buffer in zip(_variables(self.layer), self._buffers.values(), strict=False):
            if not isinstance(variable.value, torch.Tensor) and buffer is not None:
                now = to_torch(variable.value)
                if not torch.equal(now, buffer):
                    buffer.copy_(now)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the layer."""
        return self.inner(*args, **kwargs)

    def called(self, *args: Any, **kwargs: Any) -> Any:
        """Stand in for the layer's own ``call``."""
        return self(*args, **kwargs)

    @contextmanager
    def standing_in(self) -> Iterator[None]:
        """Be what the layer calls, for the time of the context."""
        self.__dict__["inner"] = self.layer.call
        with rebound(self.layer, "call", self.called):
            yield


class _Own(NamedTuple):
    """What the caller of an attention layer gets, where it asked for the scores itself."""

    value: Any


class KerasAttention(Part):
    """A layer that returns its attention scores when asked: route "hooks" reads it.

    Built-in layers compute in one fused step unless they are asked; asked, they give the same
    output to the last bits.
    """

    word: str
    is_causal = False
    is_cross_attention = False

    def __init__(self, layer: Any, word: str) -> None:
        super().__init__(layer)
        self.word = word

    def forward(self, *args: Any, output_attentions: bool = False, **kwargs: Any) -> Any:
        """Call the layer; asked, return its output, its weights, and what its caller wanted."""
        self._look(args, kwargs)
        if not output_attentions:
            return self.inner(*args, **kwargs)
        wanted = bool(kwargs.get(self.word, False))
        with rebound(self.layer, "_flash_attention", False):
            result = self.inner(*args, **{**kwargs, self.word: True})
        if not isinstance(result, tuple):
            return result
        weights = to_torch(result[1])
        if weights.ndim == 3:  # single-headed layers leave the axis of heads out
            weights = weights[:, None]
        return to_torch(result[0]), weights, _Own(result if wanted else result[0])

    def called(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the caller wanted."""
        result = self(*args, **kwargs)
        if not (isinstance(result, tuple) and result and isinstance(result[-1], _Own)):
            return result
        return result[-1].value

    def _look(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note what the structure does not say, and give back masks that copies have lost."""
        names = list(inspect.signature(self.inner).parameters)
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        self.is_causal = self.is_causal or given.get("use_causal_mask") is True
        query, value = given.get("query"), given.get("value")
        if query is not None and value is not None:
            self.is_cross_attention = query is not value and query.shape != value.shape
        mask = kwargs.get("query_mask")
        if mask is not None and isinstance(query, torch.Tensor):
            query.__dict__["_keras_mask"] = mask


class Embeds(nn.Module):
    """The embedding of token ids: where the input space of a token model begins."""

    layer: Any

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.__dict__["layer"] = layer
        self.training = False

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Look ids up."""
        given = ids if isinstance(self.layer.embeddings.value, torch.Tensor) else ids.cpu().numpy()
        return to_torch(type(self.layer).call(self.layer, given))


def _children(layer: Any) -> list[Any]:
    """Return the layers right inside a layer."""
    known = getattr(layer, "layers", None)
    if isinstance(known, list):
        return known
    return list(layer._flatten_layers(include_self=False, recursive=False))  # noqa: SLF001 - only models list theirs


def grow(owner: nn.Module, layer: Any, found: list[Part], known: set[int]) -> None:
    """Give a module the parts of the layers inside a layer, each once, in their order."""
    for inner in _children(layer):
        if id(inner) in known:
            continue
        known.add(id(inner))
        words = [w for w in _ASKED if w in inspect.signature(inner.call).parameters]
        part = KerasAttention(inner, words[0]) if words else Part(inner)
        name = str(inner.name).replace(".", "_")
        while hasattr(owner, name):
            name += "_"
        owner.add_module(name, part)
        found.append(part)
        grow(part, inner, found, known)
