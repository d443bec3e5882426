"""Finding a layer: one pass in which every module of a model is looked at.

Outputs are read as grids by what the modules are: convolutions put features first, linear layers
and layer norms put them last, and tokens may be led by class or register tokens. Without a name
the last grid is taken whose positions the output still depends on: the last convolutional stage,
or in a vision transformer with a class token the first norm of the last block.
"""

from __future__ import annotations

import itertools
import math
import weakref
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from saliscope.core.errors import (
    OptionError,
    OutOfMemoryError,
    RefusedError,
    SaliscopeError,
    nearest,
)
from saliscope.core.failures import as_model_error, is_out_of_memory
from saliscope.core.grids import centers
from saliscope.core.model import Piece, Sample
from saliscope.core.perturbation import Perturbation
from saliscope.core.units import Units
from saliscope.models.identity import structure
from saliscope.models.layers import Place, main_tensor

if TYPE_CHECKING:
    from saliscope.models.torch_model import TorchModel

__all__ = ["find"]

_SPECIAL = 16  # class and register tokens that may lead the tokens of a grid
_UNEVEN = 1.5  # how much the steps of a grid may differ between axes where features stand last

Shape = tuple[int, ...]


def _kinds(*names: str) -> tuple[type[nn.Module], ...]:
    return tuple(getattr(nn, f"{name}{axes}d") for name in names for axes in (1, 2, 3))


_CONVOLUTIONS = {
    axes: (getattr(nn, f"Conv{axes}d"), getattr(nn, f"ConvTranspose{axes}d")) for axes in (1, 2, 3)
}
_POOLS = _kinds("MaxPool", "AvgPool", "AdaptiveMaxPool", "AdaptiveAvgPool", "LPPool")
_FIRST = (
    *_kinds("Conv", "ConvTranspose", "BatchNorm", "InstanceNorm"), nn.GroupNorm, *_POOLS,
)  # fmt: skip
_LAST = (nn.Linear, nn.LayerNorm, nn.RMSNorm)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What one module gave: its main tensor, how often that had been changed, how it is read."""

    name: str
    part: nn.Module
    tensor: torch.Tensor | None
    version: int
    bare: bool
    place: Place | None


class _Survey:
    """Looks at every module of a pass over one input, in the order in which they end."""

    def __init__(self, units: Units) -> None:
        self.units = units
        self.axes: Shape | None = None  # of the input, along which positions lie
        self.rank = 0
        self.grid: Shape = ()  # the last that was certain
        self.known: set[Shape] = set()
        self.seen: list[_Seen] = []
        self.times: Counter[str] = Counter()

    @contextmanager
    def watching(self, module: nn.Module) -> Iterator[None]:
        """Look at every module of `module` for the time of the context."""
        with ExitStack() as hooks:
            for name, part in module.named_modules():
                if part is not module:
                    hooks.callback(part.register_forward_hook(self._look(name)).remove)
            yield

    def _look(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def look(part: nn.Module, _given: Any, output: Any) -> None:
            tensor = main_tensor(output)
            place = None
            if tensor is not None and tensor.ndim > 1 and tensor.shape[0] == 1:
                place = self._read(name, part, tuple(tensor.shape[1:]))
            version = 0 if tensor is None else tensor._version  # noqa: SLF001 - counts changes in place
            self.times[name] += 1
            bare = isinstance(output, torch.Tensor)
            self.seen.append(_Seen(name, part, tensor, version, bare, place))

        return look

    def _orient(self, part: nn.Module) -> None:
        """See, by the first module that says its width, which axes of the input hold positions."""
        shape, width = self.units.shape, _width(part)
        whole = tuple(range(len(shape)))
        over = [axes for axes, kinds in _CONVOLUTIONS.items() if isinstance(part, kinds)]
        rank = over[0] if over else len(shape) - 1
        axes: Shape = ()
        if rank == len(shape):
            axes = whole  # the model itself puts an axis of one channel before them
        elif 0 < rank == len(shape) - 1:
            last = shape[-1] == width and (shape[0] != width or isinstance(part, _LAST))
            axes = whole[:-1] if last else whole[1:]
        self.axes, self.rank = axes, rank
        self.grid = tuple(shape[a] for a in axes)
        self.known = {self.grid}

    def _read(self, name: str, part: nn.Module, shape: Shape) -> Place | None:
        """Return how an output is a grid, or None."""
        if not self.rank and _width(part):
            self._orient(part)
        led = shape[1:], 0, shape[0], False
        certain = True
        if isinstance(part, _FIRST):
            found = led if len(shape) == self.rank + 1 else None
        elif isinstance(part, _LAST) and _width_out(part) == shape[-1]:
            found = self._followed(shape)
        else:  # what is no surprise after what was certain
            certain = False
            found = led if led[0] in self.known else self._followed(shape)
            if found is not None and not found[1] and found[0] not in self.known:
                found = None
        if found is None or math.prod(found[0]) < 2:
            return None
        if certain:
            self.grid = found[0]
            self.known.add(found[0])
        return self.placed(name, shape, *found)

    def _followed(self, shape: Shape) -> tuple[Shape, int, int, bool] | None:
        """Read an output whose features stand last."""
        if len(shape) == 2 and self.rank:
            tokens = self._tokens(shape[0])
            return None if tokens is None else (*tokens, shape[-1], True)
        if len(shape) != self.rank + 1:
            return None
        steps = [n / cells for n, cells in zip(self._extents, shape[:-1], strict=False)]
        if steps and (min(steps) < 1 or max(steps) > _UNEVEN * min(steps)):
            return None
        return shape[:-1], 0, shape[-1], True

    def _tokens(self, count: int) -> tuple[Shape, int] | None:
        """Return the grid that tokens stand for, and how many lead it."""
        more = count - math.prod(self.grid) if self.grid else -1
        if 0 <= more <= _SPECIAL:
            return self.grid, more
        if self.rank == 1:
            return (count,), 0
        extents = self._extents
        for size in range(1, min(extents, default=0) + 1):
            if all(n % size == 0 for n in extents):
                grid = tuple(n // size for n in extents)
                if 0 <= count - math.prod(grid) <= _SPECIAL:
                    return grid, count - math.prod(grid)
        return None

    @property
    def _extents(self) -> Shape:
        return tuple(self.units.shape[a] for a in self.axes or ())

    def placed(
        self, name: str, shape: Shape, grid: Shape, skipped: int, features: int, last: bool,
    ) -> Place:  # fmt: skip
        """Return a place whose grid is labelled with the axes of the input that it lies along."""
        dims = tuple(f"grid_{i}" for i in range(1, len(grid) + 1))
        coords: dict[str, tuple[str, Sequence[object]]] = {}
        if self.axes:
            dims = tuple(self.units.dims[a] for a in self.axes)
            for dim, cells, extent in zip(dims, grid, self._extents, strict=True):
                coords[dim] = dim, centers(cells, extent)
        units = Units(dims, grid, "cell", coords)
        return Place(name, units, features, skipped, shape, last)


def _width(part: nn.Module) -> int:
    """Return how many features a module takes; 0 where it does not say."""
    if not isinstance(part, (*_FIRST, *_LAST)):
        return 0
    for name in ("in_channels", "in_features", "num_features", "num_channels"):
        if isinstance(getattr(part, name, None), int):
            return int(getattr(part, name))
    return _width_out(part)


def _width_out(part: nn.Module) -> int:
    """Return how many features a module gives; 0 where it does not say."""
    if isinstance(part, nn.Linear):
        return part.out_features
    if isinstance(part, (nn.LayerNorm, nn.RMSNorm)):
        return int(part.normalized_shape[-1])
    return 0


def _candidates(survey: _Survey) -> list[tuple[_Seen, Place]]:
    """Return modules whose output is a grid, in order: of several that gave one, the outermost."""
    found = []
    for _, run in itertools.groupby(survey.seen, lambda seen: (id(seen.tensor), seen.version)):
        first, *others = run
        if isinstance(first.part, _POOLS):
            continue
        whole = first
        for seen in others:  # only what holds the first: others pass a tensor on, as dropout does
            if seen.bare and first.name.startswith(f"{seen.name}."):
                whole = seen
        place = whole.place or first.place
        if place is None or not whole.bare or survey.times[whole.name] > 1:
            continue
        # Where features stand last, a linear layer is part of a block, and a norm begins one.
        norm = "norm" in type(whole.part).__name__.lower()
        if not place.last or norm or any(True for _ in whole.part.children()):
            found.append((whole, replace(place, name=whole.name)))
    return found


def _inferred(survey: _Survey, outputs: Sequence[torch.Tensor]) -> Place | None:
    """Return the last grid on whose positions the outputs depend."""
    totals = []
    for output in outputs:
        if output.requires_grad:
            flat = output.flatten().float()
            totals.append((flat * torch.arange(1, len(flat) + 1).cos().to(flat)).sum())
    found = [each for each in _candidates(survey) if _differentiable(each[0])]
    if not totals or not found:
        return None
    tensors = [seen.tensor for seen, _ in found if seen.tensor is not None]
    slopes = torch.autograd.grad(torch.stack(totals).sum(), tensors, allow_unused=True)
    for (_, place), slope in zip(reversed(found), reversed(slopes), strict=True):
        if slope is not None and bool(place.arranged(slope).any()):
            return place
    return None


def _differentiable(seen: _Seen) -> bool:
    return seen.tensor is not None and seen.tensor.requires_grad


def _named(survey: _Survey, name: str) -> Place | str:
    """Return the place of a module that the user named, or say why it is none."""
    seen = [each for each in survey.seen if each.name == name]
    if len(seen) != 1:
        return f"runs {len(seen)} times in a pass" if seen else "does not run in a pass"
    if seen[0].place is not None:
        return seen[0].place
    if seen[0].tensor is None:
        return "gives no tensor"
    rows, *rest = seen[0].tensor.shape
    shape = tuple(rest)
    if rows == 1 and len(shape) == survey.rank + 1 > 1 and math.prod(shape[1:]) > 1:
        return survey.placed(name, shape, shape[1:], 0, shape[0], last=False)
    return f"gives {(rows, *shape)} for one input, which is no grid of positions with features"


_KNOWN: weakref.WeakKeyDictionary[nn.Module, dict[Hashable, Place]] = weakref.WeakKeyDictionary()


def find(model: TorchModel, sample: Sample, name: str | None) -> Place:
    """Return the layer of a name, or the last grid whose positions the output depends on.

    Found by running noise in the range of the sample, so that it depends on the model and on the
    shape of the input, not on what the input holds. What was found is remembered for as long as
    the module lives.

    Parameters
    ----------
    model : TorchModel
    sample : Sample
    name : str or None
        Of a module, as ``named_modules`` says; None to infer it.

    Raises
    ------
    OptionError
        The name is not one of a module that gives a grid.
    RefusedError
        The model has no such module.
    """
    if name is not None:
        try:
            model.module.get_submodule(name or " ")
        except AttributeError as error:
            parts = [inner for inner, _ in model.module.named_modules() if inner]
            msg = f"layer {name!r} does not exist in {model.name}: {nearest(name, parts)}"
            raise OptionError(msg) from error
    units = sample.units
    built = sample.context.get("structure") or structure(model.module)
    key = (name, units.dims, units.shape, built)
    known = _KNOWN.setdefault(model.module, {})
    if key not in known:
        survey = _Survey(units)
        try:
            with model.quiet(0), torch.enable_grad(), survey.watching(model.module):
                outputs = _run_noise(model, sample)
                known[key] = _chosen(survey, outputs, model.name, name)
        except SaliscopeError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                msg = (
                    f"{sample.name}: memory ran out on a single row, at which layers were looked "
                    "for; name one with layer=, or shorten the input"
                )
                raise OutOfMemoryError(msg) from error
            raise as_model_error(sample.name, error) from error
    return known[key]


def _run_noise(model: TorchModel, sample: Sample) -> list[torch.Tensor]:
    """Return the outputs for noise in the range of a sample."""
    value = sample.value
    if isinstance(value, torch.Tensor):
        noise = torch.rand(value.shape, generator=torch.Generator().manual_seed(0)).to(value)
        low, high = value.min(), value.max()
        sample = replace(sample, value=low + noise * (high - low if high > low else 1))
    piece = Piece(sample, Perturbation.identity(sample.units), np.zeros(1, dtype=np.int64))
    heads = model.heads or {"raw"}
    outputs, _ = model.forward(model.realize([piece]), heads, gradients=True)
    return [output for output in outputs.values() if isinstance(output, torch.Tensor)]


def _chosen(
    survey: _Survey, outputs: Sequence[torch.Tensor], label: str, name: str | None
) -> Place:
    if name is not None:
        found = _named(survey, name)
        if isinstance(found, Place):
            return found
        other = _inferred(survey, outputs)
        hint = "" if other is None else f", such as {other.name!r}"
        msg = f"layer {name!r} of {label} {found}; name one that gives a grid once{hint}"
        raise OptionError(msg)
    place = _inferred(survey, outputs)
    if place is None:
        msg = (
            f"{label} has no layers with a grid of positions, for an input of shape "
            f"{survey.units.shape}, that its output depends on; name one with layer=, or use "
            "gradient, occlusion or masking"
        )
        raise RefusedError(msg)
    return place
