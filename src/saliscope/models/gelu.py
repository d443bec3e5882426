"""The GELU of ESM in one operation: it is spelled out in five, a tenth of a pass and more.

What is spelled out also keeps four tensors for each gradient, and rules that send relevance back
would see products where the papers speak of one function.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from saliscope.models.identity import parts_of

__all__ = ["whole_gelu"]

_HOME = "transformers.models.esm.modeling_esm"


def _intermediate(part: Any, hidden_states: torch.Tensor) -> torch.Tensor:
    return functional.gelu(part.dense(hidden_states))


def _head(part: Any, features: torch.Tensor, **_: Any) -> torch.Tensor:
    hidden = part.layer_norm(functional.gelu(part.dense(features)))
    logits: torch.Tensor = part.decoder(hidden) + part.bias
    return logits


# What a forward pass uses, in order, says that it does just this in an installed version.
_WAYS: dict[tuple[str, ...], Callable[..., torch.Tensor]] = {
    ("dense", "gelu"): _intermediate,
    ("dense", "gelu", "layer_norm", "decoder", "bias"): _head,
}


@contextmanager
def whole_gelu(module: nn.Module) -> Iterator[None]:
    """Let an ESM compute its GELU in one operation for the time of the context.

    It is the same function: results differ in the last bits, because it is rounded once and not at
    each step. Other models and parts with a forward pass of their own are left alone.

    Examples
    --------
    >>> from transformers import EsmConfig, EsmForMaskedLM
    >>> sizes = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, vocab_size=33)
    >>> esm = EsmForMaskedLM(EsmConfig(intermediate_size=16, pad_token_id=1, **sizes))
    >>> part = esm.esm.encoder.layer[0].intermediate
    >>> with whole_gelu(esm):
    ...     type(part(torch.zeros(1, 8)).grad_fn).__name__
    'GeluBackward0'
    >>> type(part(torch.zeros(1, 8)).grad_fn).__name__
    'MulBackward0'
    """
    ways = [(part, way) for part in parts_of(module) if (way := _way(part)) is not None]
    try:
        for part, way in ways:
            vars(part)["forward"] = MethodType(way, part)
        yield
    finally:
        for part, _ in ways:
            vars(part).pop("forward", None)


def _way(part: nn.Module) -> Callable[..., torch.Tensor] | None:
    """Return how a part is run otherwise, if it is one that spells a GELU out."""
    kind = type(part)
    if kind.__module__ != _HOME or "forward" in vars(part):
        return None
    code = getattr(kind.forward, "__code__", None)
    way = _WAYS.get(code.co_names) if code is not None else None
    spelled = getattr(sys.modules[_HOME], "gelu", None)
    known = getattr(spelled, "__module__", None) == _HOME
    return way if known else None
