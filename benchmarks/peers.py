"""Peers that need help to be imported."""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

__all__ = ["grad_cam"]

_STAND_INS = {
    "torchvision": (),
    "torchvision.transforms": ("Compose", "Normalize", "ToTensor"),
    "torchvision.transforms.functional": ("resize",),
}


def grad_cam() -> Any:
    """Import pytorch-grad-cam, which wants torchvision but uses nothing of it for a map.

    The torchvision of a package index need not fit a CPU build of torch, so names stand in for it
    while the package is imported, and are taken away again.
    """
    added = [name for name in _STAND_INS if name not in sys.modules]
    try:
        for name in added:
            module = types.ModuleType(name)
            for member in _STAND_INS[name]:
                setattr(module, member, None)
            sys.modules[name] = module
        importlib.import_module("pytorch_grad_cam.utils.model_targets")
        return importlib.import_module("pytorch_grad_cam")
    finally:
        for name in added:
            del sys.modules[name]
