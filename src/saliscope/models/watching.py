"""Seeing the operations of a pass below autograd, without importing torch's compiler for it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import MethodType, TracebackType
from typing import Self

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["Watch", "plain_tensors"]


def plain_tensors(types: Iterable[type]) -> bool:
    """Return whether types of arguments are no tensors made of others, whose operations follow."""
    return all(kind is torch.Tensor or issubclass(kind, nn.Parameter) for kind in types)


class Watch(TorchDispatchMode):
    """Base of the modes that watch operations; a subclass has `__torch_dispatch__`.

    Torch keeps its compiler out of every such method by a wrapper whose first call imports the
    compiler, which takes seconds. Where nothing has imported the compiler there is nothing to keep
    out, so the method is used as it is.
    """

    def __init__(self) -> None:
        TorchDispatchMode.__init__(self)

    def __enter__(self) -> Self:
        plain = getattr(type(self).__torch_dispatch__, "__wrapped__", None)
        if plain is not None and "torch._dynamo" not in sys.modules:
            vars(self)["__torch_dispatch__"] = MethodType(plain, self)
        TorchDispatchMode.__enter__(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        TorchDispatchMode.__exit__(self, kind, error, trace)
        vars(self).pop("__torch_dispatch__", None)
