"""Streaming attention: what each token looked at, reduced layer by layer.

Nothing here is imported before it is used: a saved `AttentionMap` opens without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saliscope.core.lazy import lazily

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

__getattr__, __dir__ = lazily(__name__, _HOME)
