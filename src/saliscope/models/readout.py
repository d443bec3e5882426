"""Reading a bound target off the outputs of a torch model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from saliscope.core.errors import OptionError
from saliscope.core.model import Reader
from saliscope.core.target import POSITIONED, BoundTarget

__all__ = ["ReadOff", "accumulating", "log_odds", "read", "read_each", "scaled"]

ReadOff = tuple[torch.Tensor, torch.Tensor | None]
"""Values and probabilities of some rows."""


def accumulating(dtype: torch.dtype) -> torch.dtype:
    """Return the type in which sums over values of `dtype` are taken: at least float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def scaled(output: torch.Tensor, scale: str) -> torch.Tensor:
    """Transform the last axis of an output to the scale raw, logit, prob or log_prob."""
    if scale in {"raw", "logit"}:
        return output
    if scale == "prob":
        return output.softmax(-1)
    return output.log_softmax(-1)


def log_odds(output: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return log(p / (1 - p)) of one output (last axis) each.

    It is taken from the other outputs, because log(1 - p) loses all digits where p is near 1.

    Examples
    --------
    >>> log_odds(torch.tensor([[40.0, 0.0, 0.0]]), torch.tensor([0]))
    tensor([39.3069])
    """
    at = index[..., None]
    others = output.scatter(-1, at, -torch.inf).logsumexp(-1)
    return output.gather(-1, at)[..., 0] - others


def _pick(
    output: torch.Tensor, target: BoundTarget, terms: torch.Tensor, scale: str
) -> torch.Tensor:
    """Return the scaled output at `terms`, shape (rows, terms)."""
    index = torch.from_numpy(target.index).to(output.device)[terms]
    if target.head == "strings":  # log-probabilities already; there is no axis to normalize along
        return output[:, index].exp() if scale == "prob" else output[:, index]
    if target.head in POSITIONED:
        position = torch.from_numpy(target.position).to(output.device)[terms]
        if scale == "log_odds":
            return log_odds(output[:, position], index.expand(len(output), -1))
        places, back = torch.unique(position, return_inverse=True)
        return scaled(output[:, places], scale)[:, back, index]
    if scale == "log_odds":
        each = output[:, None].expand(-1, len(index), -1)
        return log_odds(each, index.expand(len(output), -1))
    return scaled(output, scale)[:, index]


def read(
    outputs: dict[str, torch.Tensor], target: BoundTarget, view: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Read a target off the rows of an output.

    Parameters
    ----------
    outputs : dict of str to torch.Tensor
        Heads; each with rows first. "call" holds the model's own output object.
    target : BoundTarget
    view : int
        Only terms of this view are read.

    Returns
    -------
    values : torch.Tensor, shape (rows, targets)
        In at least float32.
    probabilities : torch.Tensor or None
        Same shape; None where the target has none.
    """
    if target.call is not None:
        values = target.call(outputs["call"])
        if not isinstance(values, torch.Tensor) or values.ndim not in {1, 2}:
            msg = (
                f"the target function returned {type(values).__name__}"
                f"{tuple(getattr(values, 'shape', ()))}; return a tensor (rows,) or (rows, targets)"
            )
            raise OptionError(msg)
        values = values if values.ndim == 2 else values[:, None]
        if values.shape[1] != target.count:
            msg = (
                f"the target function returned {values.shape[1]} numbers a row, and "
                f"{target.count} name(s) were given; use Call(function, names=(...))"
            )
            raise OptionError(msg)
        return values.to(accumulating(values.dtype)), None
    if target.parts:
        read_off = [read(outputs, part, view) for part in target.parts]
        return torch.cat([v for v, _ in read_off], 1), None
    output = outputs[target.head]
    output = output.to(accumulating(output.dtype))
    terms = torch.from_numpy(target.view == view).to(output.device).nonzero()[:, 0]
    picked = _pick(output, target, terms, target.scale)
    weight = torch.from_numpy(target.weight).to(picked)[terms]
    owner = torch.from_numpy(target.owner).to(output.device)[terms]
    values = picked.new_zeros(len(picked), target.count).index_add(1, owner, picked * weight)
    if not target.has_probability:
        return values, None
    with torch.no_grad():
        return values, _pick(output.detach(), target, terms, "prob")


def read_each(
    outputs: dict[str, torch.Tensor], readers: Sequence[Reader], total: int
) -> list[ReadOff]:
    """Read off what each reader wants of a batch of `total` rows; see `read`."""
    if _read_alike(readers, total):
        whole = read(outputs, readers[0].target, readers[0].view)
        return _cut(whole, [len(reader.rows) for reader in readers])
    found = []
    for reader in readers:
        own = {head: outputs[head] for head in reader.target.reads}
        found.append(read(_rows_of(own, reader.rows, total), reader.target, reader.view))
    return found


def _read_alike(readers: Sequence[Reader], total: int) -> bool:
    """Whether all readers read the same off rows that follow each other, so that one may."""
    first = readers[0]
    if first.target.key is None or "call" in first.target.reads:
        return False
    if any(r.target.key != first.target.key or r.view != first.view for r in readers[1:]):
        return False
    return np.array_equal(np.concatenate([r.rows for r in readers]), np.arange(total))


def _cut(whole: ReadOff, sizes: list[int]) -> list[ReadOff]:
    """Give each reader its rows; going back, one cut costs what one reader's rows would."""
    values, probabilities = whole
    parts = values.split(sizes)
    if probabilities is None:
        return [(part, None) for part in parts]
    return list(zip(parts, probabilities.split(sizes), strict=True))


def _rows_of(outputs: dict[str, Any], rows: npt.NDArray[np.int64], total: int) -> dict[str, Any]:
    """Return the outputs at `rows`; the whole batch is passed on without a copy."""
    if np.array_equal(rows, np.arange(total)):
        return outputs
    return {head: _index(value, torch.from_numpy(rows), total) for head, value in outputs.items()}


def _index(value: Any, rows: torch.Tensor, total: int) -> Any:
    if isinstance(value, torch.Tensor):
        return value[rows.to(value.device)] if value.ndim and len(value) == total else value
    if isinstance(value, Mapping):
        picked = {k: _index(v, rows, total) for k, v in value.items()}
        try:
            return type(value)(**picked)  # a ModelOutput stays one
        except TypeError:
            return picked
    if isinstance(value, (tuple, list)):
        parts = [_index(v, rows, total) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value
