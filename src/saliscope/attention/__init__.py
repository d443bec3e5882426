"""Streaming attention: what each token looked at, reduced layer by layer.

Nothing here is imported before it is used: a saved `AttentionMap` opens without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saliscope.attention.capture import Stream, stream
    from saliscope.attention.layers import Layer, find_layers
    from saliscope.attention.make import attention_map, attention_maps
    from saliscope.attention.map import AttentionMap

__all__ = [
    "AttentionMap",
    "Layer",
    "Stream",
    "attention_map",
    "attention_maps",
    "find_layers",
    "stream",
]

_HOME = {
    "AttentionMap": "map",
    "Layer": "layers",
    "Stream": "capture",
    "attention_map": "make",
    "attention_maps": "make",
    "find_layers": "layers",
    "stream": "capture",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
