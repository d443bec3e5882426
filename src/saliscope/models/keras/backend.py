"""Keras itself: which backend it runs on, and how tensors and gradients cross to torch.

Who chooses the backend: the environment variable ``KERAS_BACKEND``, set before Keras is imported.
Only where it is not set and Keras is not imported yet, Saliscope chooses torch. (The file
``keras.json`` is not asked: Keras writes it by itself.)
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch

from saliscope.core.errors import ModelError

__all__ = ["Differentiator", "differentiator", "import_keras", "is_keras", "to_torch"]

_VARIABLE = "KERAS_BACKEND"


def is_keras(value: object) -> bool:
    """Return whether something is a Keras layer or model, without importing Keras.

    Examples
    --------
    >>> is_keras(torch.nn.Linear(2, 1))
    False
    """
    layer = getattr(sys.modules.get("keras"), "Layer", None)
    return layer is not None and isinstance(value, layer)


def import_keras() -> Any:
    """Return Keras 3, on torch where nobody has chosen a backend.

    Raises
    ------
    ModelError
        It is not installed, is older than 3, or its backend cannot be imported.
    """
    if "keras" in sys.modules:
        return _checked(sys.modules["keras"])
    chosen = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = chosen or "torch"
    try:
        keras: Any = importlib.import_module("keras")
    except (ImportError, ValueError) as error:
        if getattr(error, "name", "") == "keras" and not chosen:
            msg = "Keras models need Keras 3: pip install 'keras>=3.5'"
        else:
            msg = (
                f"Keras cannot be imported with {_VARIABLE}={chosen or 'torch'} ({error}); install "
                f"what is missing, or set {_VARIABLE}=torch before Keras is imported"
            )
        raise ModelError(msg) from error
    finally:
        if chosen is None:
            del os.environ[_VARIABLE]
    return _checked(keras)


def _checked(keras: Any) -> Any:
    version = str(getattr(keras, "__version__", "0"))
    if int(version.split(".", maxsplit=1)[0]) < 3:
        msg = f"Keras {version} is too old; Saliscope reads models of Keras 3"
        raise ModelError(msg)
    return keras


def to_torch(value: Any) -> torch.Tensor:
    """Return a tensor of any backend as one of torch (on torch: itself)."""
    if isinstance(value, torch.Tensor):
        return value
    array = np.asarray(import_keras().ops.convert_to_numpy(value))
    return torch.from_numpy(np.array(array))  # a copy: torch may write, which others forbid


class Differentiator(Protocol):
    """How one backend runs a function of one tensor so that torch can go back through it."""

    def __call__(self, function: Callable[[Any], Any], given: torch.Tensor) -> torch.Tensor:
        """Return what `function`, on tensors of the backend, gives for a tensor of torch."""
        ...


def differentiator() -> Differentiator:
    """Return the differentiator of the backend that Keras runs on.

    Raises
    ------
    ModelError
        The backend has no gradients (numpy, OpenVINO).
    """
    name = str(import_keras().backend.backend())
    known: dict[str, Differentiator] = {
        "torch": lambda function, given: function(given),
        "tensorflow": lambda function, given: _across(_tensorflow, function, given),
        "jax": lambda function, given: _across(_jax, function, given),
    }
    if name not in known:
        msg = (
            f"Keras runs on {name}, which has no gradients; set {_VARIABLE} to torch, tensorflow "
            "or jax before Keras is imported"
        )
        raise ModelError(msg)
    return known[name]


Pullback = Callable[[Any], Any]
Pulling = Callable[[Callable[[Any], Any], Any], tuple[Any, Pullback]]


def _tensorflow(function: Callable[[Any], Any], given: Any) -> tuple[Any, Pullback]:
    tf: Any = importlib.import_module("tensorflow")
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(given)
        output = function(given)
    return output, lambda slope: tape.gradient(output, given, output_gradients=slope)


def _jax(function: Callable[[Any], Any], given: Any) -> tuple[Any, Pullback]:
    jax: Any = importlib.import_module("jax")
    output, pull = jax.vjp(function, given)
    return output, lambda slope: pull(slope)[0]


def _across(pulling: Pulling, function: Callable[[Any], Any], given: torch.Tensor) -> torch.Tensor:
    backend = import_keras().ops.convert_to_tensor(given.detach().cpu().numpy())
    if not (torch.is_grad_enabled() and given.requires_grad):
        return to_torch(function(backend))
    crossing: Callable[..., torch.Tensor] = _Crossing.apply
    return crossing(given, pulling, function, backend)


class _Crossing(torch.autograd.Function):
    """A pass of another backend as one operation of torch."""

    @staticmethod
    def forward(
        ctx: Any, given: torch.Tensor, pulling: Pulling, function: Callable[[Any], Any],
        backend: Any,
    ) -> torch.Tensor:  # fmt: skip
        """Run, and keep the way back."""
        output, ctx.pull = pulling(function, backend)
        ctx.like = given
        return to_torch(output).to(given.device)

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        """Give the slope to the backend, and its answer to torch."""
        slope = import_keras().ops.convert_to_tensor(slopes[0].detach().cpu().numpy())
        found = ctx.pull(slope)
        if found is None:  # the output does not depend on what was given
            return torch.zeros_like(ctx.like), None, None, None
        return to_torch(found).to(ctx.like), None, None, None
