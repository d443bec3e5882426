"""Reading bound targets off the outputs of a torch model: values, slopes, and both as arrays."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from saliscope.core.errors import OptionError
from saliscope.core.model import Reader
from saliscope.core.target import POSITIONED, BoundTarget
from saliscope.core.units import FloatArray

__all__ = [
    "ReadOff", "accumulating", "as_arrays", "as_numpy", "log_odds", "main_output", "plain",
    "read_each", "scaled", "slopes",
]  # fmt: skip

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


def main_output(whole: object) -> torch.Tensor | None:
    """Return the tensor that targets are read off: the output, its first, or its logits."""
    if isinstance(whole, torch.Tensor):
        return whole
    if isinstance(whole, Mapping) and isinstance(whole.get("logits"), torch.Tensor):
        logits: torch.Tensor = whole["logits"]
        return logits
    if isinstance(whole, (tuple, list)) and whole and isinstance(whole[0], torch.Tensor):
        return whole[0]
    named = getattr(whole, "logits", None)
    return named if isinstance(named, torch.Tensor) else None


def read_each(
    outputs: dict[str, torch.Tensor], readers: Sequence[Reader], total: int
) -> list[ReadOff]:
    """Read off what each reader wants of a batch.

    Readers whose targets differ at most in which class or token they read are served at once: a
    hundred inputs are read as fast as a hundred rows of one.

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
    made = [list(_parts(reader.target)) for reader in readers]
    wanted = [(i, part, len(parts) == 1) for i, parts in enumerate(made) for part in parts]
    found: list[list[ReadOff]] = [[] for _ in readers]
    read: dict[int, ReadOff] = {}
    for alike in _alike(wanted, readers):
        own = [readers[wanted[n][0]] for n in alike]
        targets = [wanted[n][1] for n in alike]
        rows = np.concatenate([reader.rows for reader in own])
        output = _rows_of(outputs[next(iter(targets[0].reads))], rows, total)
        if targets[0].call is not None:
            whole: ReadOff = _called(output, targets[0]), None
        else:
            # Of several outputs together, no probability is told.
            probable = wanted[alike[0]][2] and targets[0].has_probability
            sizes = [len(r.rows) for r in own]
            whole = _linear(output, targets, sizes, own[0].view, probable=probable)
        read.update(zip(alike, _cut(whole, [len(r.rows) for r in own]), strict=True))
    for n, (i, *_) in enumerate(wanted):
        found[i].append(read[n])
    return [
        (torch.cat([values for values, _ in parts], 1), None) if len(parts) > 1 else parts[0]
        for parts in found
    ]


def _parts(target: BoundTarget) -> Iterator[BoundTarget]:
    """Yield the targets of one output each that a target is made of."""
    if not target.parts:
        yield target
    for part in target.parts:
        yield from _parts(part)


def _alike(
    wanted: Sequence[tuple[int, BoundTarget, bool]], readers: Sequence[Reader]
) -> list[list[int]]:
    """Group what is wanted by all that a target says, except which class or token it reads.

    On the raw scale, where nothing is normalized, the positions may differ, too.
    """
    if len(wanted) == 1:
        return [[0]]
    groups: dict[Hashable, list[int]] = {}
    bits: dict[int, bytes] = {}  # of arrays, which targets may share

    def same(array: npt.NDArray[Any]) -> bytes:
        if id(array) not in bits:
            bits[id(array)] = array.tobytes()
        return bits[id(array)]

    for n, (i, target, alone) in enumerate(wanted):
        shape: Hashable = n
        if target.call is None:
            terms = (target.owner, target.weight, target.view)
            words = (
                alone, target.head, target.scale, target.count, target.width, len(target.views),
                readers[i].view,
            )  # fmt: skip
            shape = (*words, *(same(array) for array in terms))
            if target.scale != "raw":
                shape = (*shape, same(target.position))
        groups.setdefault(shape, []).append(n)
    return list(groups.values())


def _cut(whole: ReadOff, sizes: list[int]) -> list[ReadOff]:
    """Give each reader its rows; going back, one cut costs what one reader's rows would."""
    values, probabilities = whole
    parts = values.split(sizes)
    if probabilities is None:
        return [(part, None) for part in parts]
    return list(zip(parts, probabilities.split(sizes), strict=True))


def _linear(
    output: torch.Tensor, targets: Sequence[BoundTarget], sizes: Sequence[int], view: int, *,
    probable: bool,
) -> ReadOff:  # fmt: skip
    """Read targets that are alike; each has some of the rows, in order."""
    first = targets[0]
    terms = slice(None) if len(first.views) == 1 else np.flatnonzero(first.view == view)
    position = _lines([t.position for t in targets], terms, sizes)
    index = _lines([t.index for t in targets], terms, sizes)
    owner, weight = first.owner[terms], first.weight[terms]
    if first.width:
        values = _vectors(output, first.head, position)
    else:
        values = _pick(output, first.head, first.scale, position, index)
    if (weight != 1).any():
        weights = torch.from_numpy(weight).to(values)
        values = values * (weights[:, None] if first.width else weights)
    if not np.array_equal(owner, np.arange(first.owners)):  # else a term is a target, or a vector
        start = values.new_zeros(len(values), first.owners, *values.shape[2:])
        values = start.index_add(1, _there(owner, values), values)
    values = values.flatten(1)
    if not probable:
        return values, None
    with torch.no_grad():
        return values, _pick(output.detach(), first.head, "prob", position, index)


def _lines(each: Sequence[Ints], terms: Ints | slice, sizes: Sequence[int]) -> Ints:
    """Return numbers of terms: one line for all rows, or a line for each where they differ."""
    first = each[0]
    if all(one is first or np.array_equal(one, first) for one in each[1:]):
        return first[terms][None]
    lines = np.stack([one[terms] for one in each])
    return lines if max(sizes) == 1 else np.repeat(lines, sizes, axis=0)


def _pick(output: torch.Tensor, head: str, scale: str, position: Ints, index: Ints) -> torch.Tensor:
    """Return the scaled output at some terms, shape (rows, terms), in at least float32."""
    if scale in {"raw", "logit"}:
        return _at(output, position, index).to(accumulating(output.dtype))
    if head in POSITIONED:  # only what is read is normalized; all rows read the same positions
        places, back = np.unique(position[0], return_inverse=True)
        if len(places) < output.shape[1]:
            output, position = output[:, _there(places, output)], back[None]
    output = output.to(accumulating(output.dtype))
    if scale == "log_odds":
        each = output[:, _there(position[0], output)] if head in POSITIONED else output[:, None]
        which = _there(index, output).expand(len(output), -1)
        return log_odds(each.expand(-1, index.shape[1], -1), which)
    if head != "strings":
        output = scaled(output, scale)
    elif scale == "prob":  # log-probabilities already; there is no axis to normalize along
        output = output.exp()
    return _at(output, position, index)


def _vectors(output: torch.Tensor, head: str, position: Ints) -> torch.Tensor:
    """Return whole vectors at some positions, shape (rows, terms, width), in at least float32."""
    if head not in POSITIONED:
        output = output[:, None]
    places = _there(position, output)
    rows = torch.arange(len(output), device=output.device)[:, None]
    picked = output[:, places[0]] if len(places) == 1 else output[rows, places]
    return picked.to(accumulating(picked.dtype))


def _at(output: torch.Tensor, position: Ints, index: Ints) -> torch.Tensor:
    """Return single numbers of an output, at terms that are the same for all rows or each its own.

    Numbers are counted along the whole row: one index takes less time than one for each axis.
    """
    flat = output.flatten(1)
    numbers = _there(position * output.shape[-1] + index, output)
    return flat[:, numbers[0]] if len(numbers) == 1 else flat.gather(1, numbers)


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
    """Return the output object at `rows`; without a copy where they follow each other."""
    if np.array_equal(rows, np.arange(total)):
        return output
    if np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return _index(output, slice(int(rows[0]), int(rows[-1]) + 1), total)
    return _index(output, torch.from_numpy(rows), total)


def _index(value: Any, rows: torch.Tensor | slice, total: int) -> Any:
    if isinstance(value, torch.Tensor):
        if not value.ndim or len(value) != total:
            return value
        return value[rows if isinstance(rows, slice) else rows.to(value.device)]
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


def as_arrays(tensors: Sequence[torch.Tensor]) -> list[FloatArray]:
    """Return float64 copies of several tensors; a device is asked once, not once for each."""
    where = tensors[0].device
    if len(tensors) == 1 or where.type == "cpu":
        return [as_numpy(one) for one in tensors]
    whole = as_numpy(torch.cat([one.detach().reshape(-1).to(where) for one in tensors]))
    parts = np.split(whole, np.cumsum([one.numel() for one in tensors[:-1]]))
    return [part.reshape(one.shape) for part, one in zip(parts, tensors, strict=True)]


def plain(read_off: Sequence[ReadOff]) -> list[tuple[FloatArray, FloatArray]]:
    """Return what was read off as arrays; probabilities that do not exist are NaN."""
    each = iter(as_arrays([one for both in read_off for one in both if one is not None]))
    found = []
    for _, probabilities in read_off:
        own = next(each)
        found.append((own, np.full_like(own, np.nan) if probabilities is None else next(each)))
    return found


def slopes(values: Sequence[torch.Tensor], leaf: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the gradient of each target, summed over rows, at a tensor."""
    targets = max(v.shape[1] for v in values)
    few = [v.shape[1] < targets for v in values]
    padded = [
        functional.pad(v, (0, targets - v.shape[1])) if short else v
        for v, short in zip(values, few, strict=True)
    ]
    totals = torch.cat(padded).sum(0)
    for number, total in enumerate(totals):
        gradient = None
        if total.requires_grad:
            (gradient,) = torch.autograd.grad(
                total, leaf, retain_graph=number + 1 < targets, allow_unused=True
            )
        # None where the target does not depend on the tensor.
        yield torch.zeros_like(leaf) if gradient is None else gradient


def as_numpy(tensor: torch.Tensor) -> FloatArray:
    """Return a float64 copy."""
    # A copy, because the tensor may lie in rows that the next batch writes into.
    array: FloatArray = tensor.detach().to("cpu", torch.float64, copy=True).numpy()
    return array
