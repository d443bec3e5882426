"""The renderer registry: results know *that* they can be drawn, `saliscope.show` knows how.

A recognizer, too, knows only that its attention can be laid over a picture.

Renderers are named by import path and loaded on first use, so results open without matplotlib,
and no lower layer imports a higher one.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

__all__ = ["register", "renderer"]

_RENDERERS: dict[str, str] = {}


def register(kind: str, path: str) -> None:
    """Say that "package.module:function" renders `kind` ("plot", "html", "attention")."""
    _RENDERERS[kind] = path


def renderer(kind: str) -> Callable[..., Any]:
    """Return the function that renders `kind`."""
    module, _, name = _RENDERERS[kind].partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found
