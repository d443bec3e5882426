"""Any `torch.nn.Module` on tensors: every element of the input is a unit."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence, Set
from contextlib import contextmanager
from functools import partial
from typing import Any, overload
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn

from saliscope.core.errors import (
    InputError,
    ModelError,
    OptionError,
    OutOfMemoryError,
    SaliscopeError,
)
from saliscope.core.failures import is_out_of_memory
from saliscope.core.model import Pass, Piece, Reader, Sample
from saliscope.core.perturbation import Baseline, Perturbation
from saliscope.core.units import Units
from saliscope.models.identity import structure
from saliscope.models.noise import add_noise
from saliscope.models.patches.canvas import Canvas
from saliscope.models.patches.covered import as_patches, fits, refuse, settled
from saliscope.models.patches.rows import PatchRows
from saliscope.models.patches.story import Story
from saliscope.models.readout import main_output
from saliscope.models.torch_model import Batch, TorchModel, fill_value, fills_of
from saliscope.models.trial import channels_last, usual_order

__all__ = ["TensorModel"]

_MOST_CLASSES = 100_000
_SMALL = 1 << 12  # numbers of an input up to which one operation on all inputs costs less
_OUTPUTS: WeakKeyDictionary[nn.Module, dict[Hashable, tuple[int, ...]]] = WeakKeyDictionary()


class TensorModel(TorchModel):
    """A module that takes one tensor with a leading example axis.

    Parameters
    ----------
    module : torch.nn.Module
    name : str
    """

    modality = "tensor"
    offers = frozenset({"values", "gradients", "layers", "operations"})
    hint = "check the number of dimensions (the first is the example)"

    def __init__(self, module: nn.Module, name: str) -> None:
        super().__init__(module, name)
        self._shape: tuple[int, ...] = ()
        self._gave: dict[tuple[int, ...], tuple[int, ...]] = {}  # by the shape of the input
        self._last: dict[tuple[int, ...], bool] = {}  # by the same: whether channels go last
        self._canvas, self._story = Canvas(), Story()

    @contextmanager
    def quiet(self, seed: int) -> Iterator[None]:
        """Run without side effects; rows kept for occlusion are let go in the end."""
        with super().quiet(seed):
            try:
                yield
            finally:
                self._canvas.clear()
                self._story.clear()

    # -- inputs --------------------------------------------------------------------------------

    def prepare(self, raw: object, *, name: str | None = None) -> Sequence[Sample]:
        """Split a tensor along its example axis.

        Raises
        ------
        InputError
            Not a tensor, whole numbers, no example, numbers that are not finite.
        """
        tensor = self._checked(raw, name or "input")
        built = structure(self.module)
        self._look_at(tensor[:1], built)
        dims = tuple(f"dim_{i}" for i in range(1, tensor.ndim))
        shape = tuple(tensor.shape[1:])
        if not dims:
            dims, shape = ("element",), (1,)
        units = Units(dims, shape, "element")
        about = {"output_shape": self._shape, "scalar": tensor.ndim == 1, "structure": built}
        every = [Baseline("example", row) for row in tensor]
        return [
            Sample(
                f"{name or 'example'} {i}" if len(tensor) > 1 else name or "example 0",
                "", units, tensor[i], {**about, "others": _Others(every, i)},
            )
            for i in range(len(tensor))
        ]  # fmt: skip

    def _checked(self, raw: object, name: str) -> torch.Tensor:
        if isinstance(raw, np.ndarray) and raw.dtype.kind in "fiubc":
            raw = torch.from_numpy(raw)
        if not isinstance(raw, torch.Tensor):
            msg = f"{name}: a module on tensors takes a torch.Tensor, not {type(raw).__name__}"
            raise InputError(msg)
        if not raw.is_floating_point():
            msg = (
                f"{name}: is a tensor of {str(raw.dtype).removeprefix('torch.')}, which has no "
                "gradients; convert it with .float(), or load the model with its tokenizer"
            )
            raise InputError(msg)
        if raw.ndim == 0 or raw.numel() == 0:
            msg = f"{name}: has shape {tuple(raw.shape)}; give a leading example axis with examples"
            raise InputError(msg)
        if not torch.isfinite(raw.sum()):  # quicker than number by number, but it may overflow
            bad = (~torch.isfinite(raw)).nonzero()
            if len(bad):
                msg = (
                    f"{name}: {len(bad)} of {raw.numel()} numbers are not finite, the first at "
                    f"index {tuple(bad[0].tolist())}; remove or impute them"
                )
                raise InputError(msg)
        return raw.detach().to(self.device, self.dtype or raw.dtype)

    def _look_at(self, one: torch.Tensor, built: Hashable) -> None:
        """See what one example gives, once for inputs of one shape: the kind of the output."""
        known = _OUTPUTS.setdefault(self.module, {})
        key = (tuple(one.shape), one.dtype, built)
        if key not in known:
            known[key] = self._probe(one)
        shape = tuple(one.shape[1:])
        self._shape = self._gave[shape] = known[key]
        self._last[shape] = channels_last(self.module, one, built)
        width = self._shape[0] if len(self._shape) == 1 else 0
        if 1 < width <= _MOST_CLASSES:
            self.heads = frozenset({"classes", "raw"})
            self.labels = self.labels or tuple(str(i) for i in range(width))
        elif len(self._shape) == 0 or self._shape == (1,):
            self.heads = frozenset({"classes", "raw"})
            self.labels = ("output",)
        else:
            self.heads = frozenset({"raw"})

    def _probe(self, one: torch.Tensor) -> tuple[int, ...]:
        """Return the shape of what one example gives."""
        with self.quiet(0), torch.no_grad():
            try:
                output = self.read_output(self.module(one.clone()))
            except SaliscopeError:
                raise
            except (torch.OutOfMemoryError, MemoryError) as error:
                msg = "memory ran out on a single row; shorten the input or use a smaller model"
                raise OutOfMemoryError(msg) from error
            except Exception as error:  # whatever a user's module raises, told in one line
                reason = (str(error).splitlines() or [""])[0] or type(error).__name__
                msg = (
                    f"the model does not take an input of shape {tuple(one.shape)}: {reason}; "
                    f"{self.hint}"
                )
                raise InputError(msg) from error
        if output is None or output.ndim == 0 or len(output) != 1:
            shape = None if output is None else tuple(output.shape)
            msg = (
                f"the model returned {shape} for one example; its output must be a tensor that "
                "leads with the example axis (or an object with .logits)"
            )
            raise ModelError(msg)
        return tuple(output.shape[1:])

    def baseline(self, sample: Sample, given: object) -> Baseline:
        """Return zeros by default, or a number, or a tensor in the shape of the input."""
        value: torch.Tensor = sample.value
        if given is None or (isinstance(given, str) and given in {"zero", "zeros"}):
            return Baseline("zero", torch.zeros_like(value))
        if isinstance(given, str):
            msg = f"baseline {given!r} is not one of a tensor: 'zero', a number, or a tensor"
            raise OptionError(msg)
        try:
            array = torch.as_tensor(
                np.asarray(given) if not isinstance(given, torch.Tensor) else given
            )
            array = array.to(value)
        except (TypeError, ValueError, RuntimeError) as error:
            kind = type(given).__name__
            msg = f"a baseline of a tensor is 'zero', a number or a tensor, not {kind}"
            raise OptionError(msg) from error
        if array.ndim and array.shape != value.shape and tuple(array.shape) != (1, *value.shape):
            msg = (
                f"the baseline has shape {tuple(array.shape)}; give a number or a tensor of shape "
                f"{tuple(value.shape)}"
            )
            raise OptionError(msg)
        if not torch.isfinite(array).all():
            msg = "the baseline has numbers that are not finite"
            raise OptionError(msg)
        return Baseline(
            "given", array.expand(value.shape) if array.ndim < 1 else array.reshape(value.shape)
        )

    # -- rows ----------------------------------------------------------------------------------

    def shares(self, sample: Sample, perturbation: Perturbation) -> bool:
        """Return whether rows go through the module as the patches in which they differ."""
        return fits(self.module, sample, perturbation, self.see)

    def realize(self, pieces: Sequence[Piece]) -> Batch:
        """Move the rows of each piece: as patches, sliced in place, or interpolated."""
        starts = [0, *itertools.accumulate(len(piece.rows) for piece in pieces)]
        if all(self.shares(piece.sample, piece.perturbation) for piece in pieces):
            return Batch({}, as_patches(pieces, self._story), starts)
        boxed = [self.device.type == "cpu" and _has_boxes(piece) for piece in pieces]
        if boxed == [True] and pieces[0].perturbation.choice is None:
            return Batch({}, self._canvas.paint(pieces[0]), starts)
        first: torch.Tensor = pieces[0].sample.value
        rows = first.new_empty((starts[-1], *first.shape))
        rest = [piece for piece, alone in zip(pieces, boxed, strict=True) if not alone]
        fills = iter(fills_of(rest))
        for piece, start, alone in zip(pieces, starts, boxed, strict=False):
            out = rows[start : start + len(piece.rows)]
            if alone:
                _slice(piece, out)
            else:
                _realize(piece, next(fills), out)
        return Batch({}, rows, starts)

    def _run(self, pieces: Sequence[Piece], readers: Sequence[Reader]) -> list[Pass]:
        try:
            return super()._run(pieces, readers)
        except Exception as error:
            undo = [] if is_out_of_memory(error) else self._as_usual(pieces)
            if not undo:
                raise
        try:
            return super()._run(pieces, readers)
        except Exception:  # then it was not for the way in which it was run
            for step in undo:
                step()
            raise

    def _as_usual(self, pieces: Sequence[Piece]) -> list[Callable[[], None]]:
        """Give up other ways of running the module, if there are any; return what takes it back."""
        undo = [
            refuse(self.module, piece.sample, piece.perturbation)
            for piece in pieces if self.shares(piece.sample, piece.perturbation)
        ]  # fmt: skip
        if any(self._last.values()):
            undo += [usual_order(self.module), partial(self._last.update, dict(self._last))]
            self._last.clear()
        return undo

    def forward(
        self, batch: Batch, heads: Set[str], *, gradients: bool
    ) -> tuple[dict[str, Any], torch.Tensor | None]:
        """Run the module on the realized tensor."""
        leaf = settled(batch.leaf) if torch.is_grad_enabled() else batch.leaf
        assert leaf is not None
        leaf.requires_grad_(gradients)
        # A copy lets modules run whose first operation works in place, which a leaf forbids.
        given = self.given(leaf.clone() if gradients else leaf)
        if self._last.get(tuple(given.shape[1:])) and not isinstance(given, PatchRows):
            given = given.contiguous(memory_format=torch.channels_last)
        whole = settled(self.module(given))
        output = settled(self.read_output(whole))
        if output is None or len(output) != len(leaf):
            msg = f"the model returned no row per input ({len(leaf)} were given)"
            raise ModelError(msg)
        gave = tuple(output.shape[1:])
        if self._gave.get(tuple(given.shape[1:]), gave) != gave:  # the model has changed since
            _OUTPUTS.pop(self.module, None)
        flat = output.reshape(len(leaf), -1)
        return {head: whole if head == "call" else flat for head in heads}, leaf

    def see(self, rows: torch.Tensor) -> Any:
        """Return what the module gives for rows in the differentiable space."""
        return settled(self.module(self.given(rows)))

    def given(self, rows: torch.Tensor) -> torch.Tensor:
        """Return what the module is given for rows in the differentiable space."""
        return rows

    @staticmethod
    def read_output(whole: object) -> torch.Tensor | None:
        """Return the tensor that targets are read off: the output, its first, or its logits."""
        return main_output(whole)

    def away(
        self, pieces: Sequence[Piece], times: Sequence[str]
    ) -> torch.Tensor | list[torch.Tensor] | None:
        """Return ones, the inputs, or their distances from the fills."""
        if set(times) == {"one"}:
            return None
        each: list[torch.Tensor] = []
        for piece, word, fill in zip(pieces, times, fills_of(pieces), strict=True):
            by: torch.Tensor = piece.sample.value
            if word == "one":
                by = torch.ones_like(by)
            elif word == "difference":
                assert fill is not None
                by = by - fill
            each.append(by)
        value = pieces[0].sample.value
        if value.numel() > _SMALL:
            return each
        rows = [len(piece.rows) for piece in pieces]
        return torch.cat([b.expand(n, *value.shape) for b, n in zip(each, rows, strict=True)])


class _Others(Sequence[Baseline]):
    """All examples of a tensor but one, without a list of their own."""

    def __init__(self, every: Sequence[Baseline], left_out: int) -> None:
        self._every, self._left_out = every, left_out

    def __len__(self) -> int:
        return len(self._every) - 1

    @overload
    def __getitem__(self, which: int) -> Baseline: ...
    @overload
    def __getitem__(self, which: slice) -> list[Baseline]: ...
    def __getitem__(self, which: int | slice) -> Baseline | list[Baseline]:
        if isinstance(which, slice):
            return [self[i] for i in range(*which.indices(len(self)))]
        place = range(len(self))[which]
        return self._every[place + (place >= self._left_out)]


def _has_boxes(piece: Piece) -> bool:
    """Whether boxes of an input are covered, so that a slice of each row is all that changes."""
    moved = piece.perturbation
    boxes = moved.grouping.boxes is not None and not piece.sample.context["scalar"]
    return boxes and bool(moved.every_fill) and moved.noise is None


def _slice(piece: Piece, out: torch.Tensor) -> None:
    """Write the rows of a piece whose boxes are covered, box by box: few numbers of each row."""
    moved = piece.perturbation
    assert moved.grouping.boxes is not None
    assert moved.removed is not None
    out.copy_(piece.sample.value.expand_as(out))
    for place, row in enumerate(piece.rows.tolist()):
        group = int(moved.removed[row])
        if group >= 0:
            box = moved.grouping.boxes[group]
            out[place][box] = fill_value(moved.fill_of(row))[box]


def _realize(piece: Piece, fill: torch.Tensor | None, out: torch.Tensor) -> None:
    """Write the rows of a piece: moved towards their fills, then noise."""
    value: torch.Tensor = piece.sample.value
    moved = piece.perturbation
    if fill is None:
        out.copy_(value.expand_as(out))
    elif moved.grouping.boxes is not None:
        _cover(piece, fill, out)
    else:
        _blend(piece, fill, out)
    if moved.noise is not None:
        add_noise(out, moved.noise, piece.rows, value)


def _cover(piece: Piece, fill: torch.Tensor, out: torch.Tensor) -> None:
    value: torch.Tensor = piece.sample.value
    moved = piece.perturbation
    assert moved.grouping.boxes is not None
    assert moved.removed is not None
    chosen = moved.removed[piece.rows]
    if piece.sample.context["scalar"]:
        sides = [chosen >= 0]
    else:
        sides = moved.grouping.boxes.sides(chosen, piece.sample.units.shape)
    covered = torch.ones((), dtype=torch.bool, device=out.device)
    for axis, side in enumerate(sides, 1):
        shape = [1] * out.ndim
        shape[0], shape[axis if side.ndim > 1 else 0] = len(side), side.shape[-1]
        covered = covered & torch.from_numpy(side).to(out.device).reshape(shape)
    torch.where(covered, fill, value, out=out)


def _blend(piece: Piece, fill: torch.Tensor, out: torch.Tensor) -> None:
    value: torch.Tensor = piece.sample.value
    moved, grouping = piece.perturbation, piece.perturbation.grouping
    assert grouping.labels is not None
    weights = moved.matrix(piece.rows)
    if grouping.count == 1 and bool((grouping.labels == 0).all()):
        alpha = torch.from_numpy(weights[:, 0]).to(value).reshape(-1, *(1 for _ in value.shape))
    else:
        spread = np.concatenate([weights, np.ones((len(weights), 1))], axis=1)[:, grouping.labels]
        features = (1,) * (out.ndim - spread.ndim)
        shape = (*spread.shape, *features) if features else out.shape
        alpha = torch.from_numpy(spread).to(value).reshape(shape)
    # lerp is exact at both ends, which b + alpha * (x - b) is not.
    torch.lerp(fill.expand_as(out), value.expand_as(out), alpha.expand_as(out), out=out)
