"""What a failing model raised, told as one of our errors."""

from __future__ import annotations

import sys

from saliscope.core.errors import ModelError, SaliscopeError

__all__ = ["as_model_error", "is_out_of_memory", "line"]


def line(error: BaseException) -> str:
    """Return an exception in one line."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on whatever device."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, MemoryError) or "can't allocate memory" in str(error)


def as_model_error(name: str, error: Exception) -> SaliscopeError:
    """Return an error that says which input the model failed on, and with what."""
    if isinstance(error, SaliscopeError):
        return error
    wrapped = ModelError(f"{name}: the model failed with {line(error)}")
    wrapped.__cause__ = error
    return wrapped
