"""What is known of each operation on patched rows.

Convolutions and pooling need a rim around a patch; what works number by number, along other axes
or on their order needs nothing else. Everything that is not here runs on whole rows, as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils._pytree import tree_map

from saliscope.models.patches.along import (
    below,
    cat,
    dense,
    layer_norm,
    reduce,
    same,
    softmax,
)
from saliscope.models.patches.convolving import ACTIVATIONS, activation, batch_norm, convolution
from saliscope.models.patches.ordering import part, permute, view
from saliscope.models.patches.pointwise import pointwise
from saliscope.models.patches.rows import PatchRows
from saliscope.models.patches.sliding import adaptive_pool, max_pool, max_pool_lines, mean_pool, pad

__all__ = ["call", "operate"]

_aten: Any = torch.ops.aten
_Rule = Callable[..., Any]


def call(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Call a function that is made of several operations, or let them be seen one by one."""
    known = _FUNCTIONS.get(func)
    return below(func, *args, **kwargs) if known is None else known(*args, **kwargs)


def operate(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Compute an operation on patches by its rule, or else on whole rows."""
    rule = _RULES.get(func)
    if rule is None and torch.Tag.pointwise in func.tags:
        rule = pointwise
    made = NotImplemented if rule is None else rule(func, *args, **kwargs)
    return _on_rows(func, args, kwargs) if made is NotImplemented else made


def _on_rows(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    settled: dict[int, PatchRows] = {}

    def settle(value: Any) -> Any:
        if not isinstance(value, PatchRows):
            return value
        rows = value.settle()
        settled[id(rows)] = value
        return rows

    made = func(*tree_map(settle, args), **tree_map(settle, kwargs))
    if func._schema.is_mutable:  # noqa: SLF001 - the only way to an operation's arguments
        for rows in settled.values():  # versions do not count what is changed from here
            rows.story.forget()
    # What is changed in place stays the tensor that the caller has.
    return tree_map(lambda out: settled.get(id(out), out), made)


_RULES: dict[Any, _Rule] = {
    **dict.fromkeys(ACTIVATIONS, activation),
    _aten.convolution.default: convolution,
    _aten.max_pool2d_with_indices.default: max_pool,
    _aten.avg_pool2d.default: mean_pool,
    _aten._adaptive_avg_pool2d.default: adaptive_pool,  # noqa: SLF001 - its name
    _aten.constant_pad_nd.default: pad,
    _aten.native_batch_norm.default: batch_norm,
    _aten.cudnn_batch_norm.default: batch_norm,
    _aten._native_batch_norm_legit_no_training.default: batch_norm,  # noqa: SLF001 - its name
    _aten.native_layer_norm.default: layer_norm,
    _aten._softmax.default: softmax,  # noqa: SLF001 - its name
    _aten._log_softmax.default: softmax,  # noqa: SLF001 - its name
    _aten.mean.dim: reduce,
    _aten.sum.dim_IntList: reduce,
    _aten.amax.default: reduce,
    _aten.cat.default: cat,
    _aten.permute.default: permute,
    _aten.transpose.int: permute,
    _aten.view.default: view,
    _aten._unsafe_view.default: view,  # noqa: SLF001 - its name
    _aten.unsqueeze.default: view,
    _aten.squeeze.dim: view,
    _aten.squeeze.dims: view,
    _aten.slice.Tensor: part,
    _aten.split.Tensor: part,
    _aten.detach.default: same,
    _aten.alias.default: same,
    _aten.clone.default: same,
    _aten._to_copy.default: same,  # noqa: SLF001 - its name
}

_FUNCTIONS: dict[Any, _Rule] = {
    torch.nn.functional.linear: dense,
    torch.nn.functional.max_pool1d: max_pool_lines,
}
