"""Reading bound targets off the outputs of a torch model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from saliscope.core.errors import OptionError
from saliscope.core.model import Reader
from saliscope.core.target import POSITIONED, BoundTarget

__all__ = ["ReadOff", "accumulating", "log_odds", "read_each", "scaled"]

ReadOff = tuple[torch.Tensor, torch.Tensor | None]
"""Values and probabilities of some rows."""
Ints = npt.NDArray[np.int64]


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


def read_each(
    outputs: dict[str, torch.Tensor], readers: Sequence[Reader], total: int
) -> list[ReadOff]:
    """Read off what each reader wants of a batch.

    Whatever the readers want of one output is taken at once, however their targets differ: a
    batch of a hundred inputs is read as fast as a hundred rows of one.

    Parameters
    ----------
    outputs : dict of str to torch.Tensor
        Heads; each with rows first. "call" holds the model's own output object.
    readers : sequence of Reader
        Only terms of a reader's view are read.
    total : int
        Rows of the batch.

    Returns
    -------
    list of (torch.Tensor, torch.Tensor or None)
        Of each reader: values, shape (rows, targets), in at least float32, and probabilities of
        the same shape, or None where a target has none.
    """
    found: dict[int, ReadOff] = {}
    for i, reader in enumerate(readers):
        if reader.target.call is not None:
            own = _rows_of(outputs["call"], reader.rows, total)
            found[i] = _called(own, reader.target), None
    linear = [i for i in range(len(readers)) if i not in found]
    values = _linear(outputs, [readers[i] for i in linear])
    found.update((i, (value, None)) for i, value in zip(linear, values, strict=True))
    likely = [i for i in linear if readers[i].target.has_probability]
    with torch.no_grad():
        chances = _linear(outputs, [readers[i] for i in likely], "prob")
    found.update((i, (found[i][0], p)) for i, p in zip(likely, chances, strict=True))
    return [found[i] for i in range(len(readers))]


@dataclass(frozen=True)
class _Terms:
    """Terms of one output and scale: of which row, where, times what, and added to which number."""

    row: Ints
    position: Ints
    index: Ints
    weight: npt.NDArray[np.float64]
    slot: Ints

    @classmethod
    def of(cls, target: BoundTarget, reader: Reader, slots: Ints) -> _Terms:
        """Return the terms of a target in each row; `slots`, shape (rows, targets)."""
        terms = np.flatnonzero(target.view == reader.view)
        many = len(reader.rows)
        return cls(
            np.repeat(reader.rows, len(terms)),
            np.tile(target.position[terms], many),
            np.tile(target.index[terms], many),
            np.tile(target.weight[terms], many),
            slots[:, target.owner[terms]].reshape(-1),
        )

    @classmethod
    def joined(cls, every: Sequence[_Terms]) -> _Terms:
        """Return the terms of several one after another."""
        if len(every) == 1:
            return every[0]
        return cls(*(np.concatenate([getattr(t, name) for t in every]) for name in _FIELDS))


_FIELDS = ("row", "position", "index", "weight", "slot")


def _linear(
    outputs: Mapping[str, torch.Tensor], readers: Sequence[Reader], scale: str | None = None
) -> list[torch.Tensor]:
    """Return the values of targets that are sums of terms, on their own scale or on `scale`."""
    if not readers:
        return []
    sizes = [len(reader.rows) * reader.target.count for reader in readers]
    ends = np.cumsum(sizes)
    sorted_terms: dict[tuple[str, str], list[_Terms]] = {}
    for reader, size, end in zip(readers, sizes, ends, strict=True):
        slots = np.arange(end - size, end).reshape(len(reader.rows), reader.target.count)
        first = 0
        for part in _parts(reader.target):
            own = slots[:, first : first + part.count]
            first += part.count
            kind = (part.head, scale or part.scale)
            sorted_terms.setdefault(kind, []).append(_Terms.of(part, reader, own))
    values: torch.Tensor | None = None
    for (head, on), every in sorted_terms.items():
        terms = _Terms.joined(every)
        picked = _pick(outputs[head], head, on, terms)
        weight, slot = torch.from_numpy(terms.weight).to(picked), _there(terms.slot, picked)
        start = picked.new_zeros(int(ends[-1])) if values is None else values
        values = start.index_add(0, slot, (picked * weight).to(start.dtype))
    assert values is not None
    cut = values.split(sizes)
    return [own.view(len(r.rows), r.target.count) for own, r in zip(cut, readers, strict=True)]


def _parts(target: BoundTarget) -> Iterator[BoundTarget]:
    """Yield the targets of one output each that a target is made of."""
    if not target.parts:
        yield target
    for part in target.parts:
        yield from _parts(part)


def _pick(output: torch.Tensor, head: str, scale: str, terms: _Terms) -> torch.Tensor:
    """Return the scaled output at each term, in at least float32."""
    line = terms.row
    if head in POSITIONED:
        line = line * output.shape[1] + terms.position
    lines = output.reshape(-1, output.shape[-1])
    if scale == "log_odds":
        own = lines.index_select(0, _there(line, lines))
        return log_odds(own.to(accumulating(own.dtype)), _there(terms.index, lines))
    if head == "strings":  # log-probabilities already; there is no axis to normalize along
        picked = _at(lines, line, terms.index)
        return picked.exp() if scale == "prob" else picked
    if scale in {"raw", "logit"}:
        return _at(lines, line, terms.index)
    used, line = np.unique(line, return_inverse=True)
    if len(used) < len(lines):
        lines = lines.index_select(0, _there(used, lines))
    return _at(scaled(lines.to(accumulating(lines.dtype)), scale), line, terms.index)


def _at(lines: torch.Tensor, line: Ints, index: Ints) -> torch.Tensor:
    """Return one number of a line each, in at least float32."""
    flat = lines.reshape(-1).index_select(0, _there(line * lines.shape[-1] + index, lines))
    return flat.to(accumulating(flat.dtype))


def _there(numbers: Ints, like: torch.Tensor) -> torch.Tensor:
    """Return indices where a tensor is."""
    return torch.from_numpy(numbers).to(like.device)


def _called(output: Any, target: BoundTarget) -> torch.Tensor:
    """Return what a target that is a function says of the model's output."""
    assert target.call is not None
    values = target.call(output)
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
    return values.to(accumulating(values.dtype))


def _rows_of(output: Any, rows: Ints, total: int) -> Any:
    """Return the output object at `rows`; the whole batch is passed on without a copy."""
    if np.array_equal(rows, np.arange(total)):
        return output
    return _index(output, torch.from_numpy(rows), total)


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
