"""A snapshot of everything that a call must leave as it was (design rule 5.1)."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import random
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

HOOKS = (
    "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks",
    "_forward_hooks_with_kwargs", "_forward_pre_hooks_with_kwargs", "_forward_hooks_always_called",
    "_state_dict_hooks", "_load_state_dict_pre_hooks",
)  # fmt: skip


def _bits(tensor: torch.Tensor | None) -> Any:
    if tensor is None:
        return None
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return str(tensor.dtype), tuple(tensor.shape), bytes(flat.view(torch.uint8).numpy())


def snapshot(module: nn.Module) -> dict[str, Any]:
    """Return the state of a module and of the process, as plain comparable data."""
    parts = dict(module.named_modules())
    named = dict(module.named_parameters())
    config = getattr(module, "config", None)
    hooks = torch.nn.modules.module
    return {
        "parameters": {n: _bits(p) for n, p in named.items()},
        "buffers": {n: _bits(b) for n, b in module.named_buffers()},
        "grad": {n: _bits(p.grad) for n, p in named.items()},
        "requires_grad": {n: p.requires_grad for n, p in named.items()},
        "identity": {n: id(p) for n, p in named.items()},
        "training": {n: m.training for n, m in parts.items()},
        "hooks": {(n, h): list(getattr(m, h)) for n, m in parts.items() for h in HOOKS},
        "tensor hooks": {n: list(p._backward_hooks or ()) for n, p in named.items()},
        "global hooks": [len(getattr(hooks, n)) for n in dir(hooks)
                         if n.startswith("_global_") and n.endswith("_hooks")],
        "config": None if config is None else json.dumps(config.to_dict(), sort_keys=True),
        "attributes": {n: sorted(vars(m)) for n, m in parts.items()},
        "torch random": _bits(torch.get_rng_state()),
        "numpy random": copy.deepcopy(np.random.get_state(legacy=False)),  # noqa: NPY002
        "python random": random.getstate(),
        "default dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "grad mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "environment": dict(os.environ),
        "warning filters": list(warnings.filters),
    }  # fmt: skip


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return what differs, by name."""
    found = []
    for name, old in before.items():
        new = after[name]
        if name == "numpy random":
            same = old["bit_generator"] == new["bit_generator"] and all(
                np.array_equal(old["state"][k], new["state"][k]) for k in old["state"]
            )
        else:
            same = old == new
        if not same:
            found.append(name)
    return found


@contextlib.contextmanager
def unchanged(module: nn.Module) -> Iterator[None]:
    """Fail where anything is different after the block than before it."""
    before = snapshot(module)
    try:
        yield
    finally:
        assert changes(before, snapshot(module)) == []


def disturb(module: nn.Module) -> None:
    """Give a module and the process a state that no default would restore by chance."""
    parts = list(module.modules())
    for i, part in enumerate(parts):
        part.training = i % 2 == 0
    for i, parameter in enumerate(module.parameters()):
        parameter.requires_grad_(i % 3 != 0)
        if i % 4 == 1:
            parameter.grad = torch.full_like(parameter, 0.25)
    parts[-1].register_forward_hook(_look)
    torch.manual_seed(11)
    np.random.seed(12)  # noqa: NPY002
    random.seed(13)
    torch.rand(3)
    random.random()


def _look(_module: nn.Module, _args: Any, _output: Any) -> None:
    """Do nothing: a user's own hook, that must stay."""
