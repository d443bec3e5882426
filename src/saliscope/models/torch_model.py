"""What every torch adapter shares: one forward, targets read off it, one summed backward each."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from saliscope.core.ask import Fold, Layer
from saliscope.core.batching import ACCELERATOR, PROCESSOR, Grain
from saliscope.core.errors import OptionError, nearest
from saliscope.core.health import Finding, finding
from saliscope.core.model import Pass, Piece, Reader, Said, Sample
from saliscope.core.perturbation import Baseline, Perturbation
from saliscope.core.units import FloatArray
from saliscope.models.identity import parts_of, tensors_of, weights_of
from saliscope.models.memory import PeakBytes, keep_heap
from saliscope.models.quiet import lock, quiet
from saliscope.models.readout import ReadOff, accumulating, as_arrays, plain, read_each, slopes
from saliscope.models.rules import find_rule

__all__ = [
    "Batch", "Folding", "TorchModel", "as_device", "as_dtype", "fill_value", "fills_of",
]  # fmt: skip


def as_device(device: str | torch.device | None) -> torch.device:
    """Return a device; "auto" is CUDA where there is one, else the CPU."""
    if device is None or device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        msg = f"device {str(device)!r} cannot be used here; use 'auto' or 'cpu'"
        raise OptionError(msg) from error
    return found


def as_dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    """Return a floating type by its name, or None to keep the model's own."""
    if dtype is None or isinstance(dtype, torch.dtype):
        return dtype
    known: dict[str, torch.dtype] = {
        n: getattr(torch, n) for n in ("float64", "float32", "bfloat16", "float16")
    }
    if dtype not in known:
        msg = f"dtype {dtype!r} does not exist: {nearest(dtype, known)}"
        raise OptionError(msg)
    return known[dtype]


Folding = Callable[[torch.Tensor], list[FloatArray]]
"""Takes gradients at the leaf of a batch, and gives each reader's part, reduced as it asked."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows ready for a forward pass.

    Parameters
    ----------
    arguments : dict
        Keyword arguments of the module ("" holds the positional input).
    leaf : torch.Tensor or None
        The differentiable input; None where the model makes it itself.
    starts : list of int
        First row of each piece, and the number of rows at the end.
    """

    arguments: dict[str, Any]
    leaf: torch.Tensor | None
    starts: list[int]


class TorchModel:
    """Base of the torch adapters; a subclass says how inputs are prepared and realized."""

    modality = "tensor"
    offers = frozenset({"values", "gradients", "operations"})
    labels: tuple[str, ...] | None = None
    heads: frozenset[str] = frozenset()
    class_scale = "raw"

    def __init__(self, module: nn.Module, name: str) -> None:
        self.module = module
        self.name = name
        parts = parts_of(module)
        first = next(tensors_of(parts), None)
        self.device = first.device if first is not None else torch.device("cpu")
        each = tensors_of(parts, buffers=False)
        floating = next((p for p in each if p.is_floating_point()), None)
        self.dtype = floating.dtype if floating is not None else None
        self.noticed: tuple[Finding, ...] = ()
        keep_heap()

    # -- what subclasses provide ---------------------------------------------------------------

    def _lacks(self, what: str) -> OptionError:
        return OptionError(f"{type(self).__name__} {what}")

    def prepare(self, raw: object, *, name: str | None = None) -> Sequence[Sample]:
        """Turn one raw input into samples."""
        raise self._lacks("prepares no input")  # noqa: EM101

    def realize(self, pieces: Sequence[Piece]) -> Batch:
        """Turn rows of perturbations into one batch."""
        raise self._lacks("realizes no input")  # noqa: EM101

    def forward(
        self, batch: Batch, heads: Set[str], *, gradients: bool
    ) -> tuple[dict[str, Any], torch.Tensor | None]:
        """Run the module; return those heads, and the tensor that gradients are taken at."""
        raise self._lacks("has no forward pass")  # noqa: EM101

    def away(
        self, pieces: Sequence[Piece], times: Sequence[str]
    ) -> torch.Tensor | list[torch.Tensor] | None:
        """Return what gradients at the leaf are multiplied by; None is one.

        One tensor for all rows, or one for each piece, without rows where they are alike.

        Parameters
        ----------
        pieces : sequence of Piece
        times : sequence of {"one", "input", "difference"}
        """
        raise self._lacks("has no input space")  # noqa: EM101

    # -- what they share -----------------------------------------------------------------------

    @property
    def identity(self) -> object:
        """The module: what is remembered of batch sizes lives as long as it does."""
        return self.module

    @property
    def grain(self) -> Grain:
        """What batches hold where it computes."""
        if self.device.type != "cuda":
            return PROCESSOR if self.device.type == "cpu" else ACCELERATOR
        return ACCELERATOR.of_memory(torch.cuda.get_device_properties(self.device).total_memory)

    @property
    def threads(self) -> int:
        """Threads of a pass."""
        return torch.get_num_threads()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Training mode, reduced precision, and what loading noticed."""
        found = list(self.noticed)
        with lock(self.module):  # while another thread runs the module, its mode is not its own
            training = any(part.training for part in parts_of(self.module))
        if training:
            found.append(finding("training_mode"))
        if self.dtype in {torch.float16, torch.bfloat16}:
            found.append(finding("reduced_precision", dtype=str(self.dtype).removeprefix("torch.")))
        return tuple(found)

    def quiet(self, seed: int) -> AbstractContextManager[None]:
        """Run without side effects; see `saliscope.models.quiet`."""
        return quiet(self.module, seed)

    def continued(
        self, sample: Sample, outputs: Sequence[str | Sequence[int] | None], tokens: int
    ) -> Sample:
        """Return an input with outputs behind it; this model writes none."""
        raise self._lacks("writes no output")  # noqa: EM101

    def said(self, sample: Sample, text: str) -> Sequence[Said]:
        """Return where the characters of a string are said; this model reads no lines."""
        raise self._lacks("reads no lines of text")  # noqa: EM101

    def baseline(self, sample: Sample, given: object) -> Baseline:
        """Return what stands in place of units."""
        raise self._lacks("has no baseline")  # noqa: EM101

    def background(self, sample: Sample, given: object) -> Sequence[Baseline]:
        """Return several baselines: of the items of a list, of the rows of a tensor, or of one."""
        each: Sequence[Any] = [given]
        if isinstance(given, (list, tuple)):
            each = given
            if not each:
                msg = "baseline=[] is an empty background; give at least one baseline"
                raise OptionError(msg)
        elif sample.value is not None and getattr(given, "ndim", 0) == sample.value.ndim + 1:
            rows: Any = given
            each = list(rows)
            if not each:
                msg = f"the background has shape {tuple(rows.shape)}; give at least one baseline"
                raise OptionError(msg)
        return [self.baseline(sample, one) for one in each]

    def fill(self, sample: Sample, given: object) -> Baseline:
        """Return what stands in place of masked units."""
        return self.baseline(sample, given)

    def token_id(self, text: str) -> int:
        """Return the output index of a token; this model has none."""
        msg = f"{self.name} has no output over tokens"
        raise OptionError(msg)

    def row_key(
        self, sample: Sample, perturbation: Perturbation, row: int, view: tuple[int, ...]
    ) -> Hashable | None:
        """Return a key for the unperturbed input; other rows are taken as unique."""
        return (sample.key, "input", view) if perturbation.is_identity else None

    def pack_key(self, sample: Sample, perturbation: Perturbation) -> Hashable:
        """Return the shape: inputs of one shape share a batch."""
        return (sample.units.shape, self.shares(sample, perturbation))

    def shares(self, sample: Sample, perturbation: Perturbation) -> bool:
        """Return whether rows share most of what is computed for them: they do not."""
        return False

    def layer(self, sample: Sample, name: str | None = None) -> Layer:
        """Return the layer of a name, or the last whose positions the output depends on."""
        from saliscope.models.survey import find

        return find(self, sample, name)

    def describe(self) -> Mapping[str, Any]:
        """Return what provenance says of the model."""
        count, weights = weights_of(self.module)
        return {
            "name": self.name,
            "class": type(self.module).__name__,
            "modality": self.modality,
            "parameters": count,
            "dtype": str(self.dtype).removeprefix("torch."),
            "device": str(self.device),
            "weights": weights,
        }

    def run(
        self, pieces: Sequence[Piece], readers: Sequence[Reader], *, account: bool = False
    ) -> tuple[list[Pass], int]:
        """Run one batch; see `saliscope.core.model.Model.run`."""
        counter = PeakBytes(self.device) if account else None
        with counter if counter is not None else nullcontext():
            passes = self._run(pieces, readers)
        return passes, counter.peak if counter is not None else 0

    def _run(self, pieces: Sequence[Piece], readers: Sequence[Reader]) -> list[Pass]:
        rules = {reader.fold.rule for reader in readers if reader.fold is not None}
        if rules - {"gradient"}:  # the engine keeps rules in batches of their own
            return find_rule(rules.pop(), pieces).run(self, pieces, readers)
        if readers[0].layer is not None:  # and layers, too
            from saliscope.models.layers import run_cut

            return run_cut(self, readers[0].layer, pieces, readers)
        batch = self.realize(pieces)
        read_off, leaf = self.evaluate(batch, readers, gradients=bool(rules))
        folded: list[FloatArray | None] = [None] * len(readers)
        if rules:
            assert leaf is not None
            folded = self.backward(pieces, readers, batch, leaf, [v for v, _ in read_off])
        return [
            Pass(*both, gradients) for both, gradients in zip(plain(read_off), folded, strict=True)
        ]

    def evaluate(
        self, batch: Batch, readers: Sequence[Reader], *, gradients: bool, graph: bool = False
    ) -> tuple[list[ReadOff], torch.Tensor | None]:
        """Run a realized batch; return what each reader reads off it, and the tensor it starts at.

        Values and probabilities have the shape (rows, targets). With `graph`, operations on what
        needs gradients are kept although the input needs none.
        """
        heads = {head for reader in readers for head in reader.target.reads}
        with torch.set_grad_enabled(gradients or graph):
            outputs, leaf = self.forward(batch, heads, gradients=gradients)
            return read_each(outputs, readers, batch.starts[-1]), leaf

    def backward(
        self, pieces: Sequence[Piece], readers: Sequence[Reader], batch: Batch,
        leaf: torch.Tensor, values: Sequence[torch.Tensor],
    ) -> list[FloatArray | None]:  # fmt: skip
        """One backward pass per target, of the sum over all rows; each piece folds its part."""
        parts: list[list[FloatArray]] = [[] for _ in readers]
        wanted = [_mixed(v, reader.fold) for v, reader in zip(values, readers, strict=True)]
        fold = self.folding(pieces, readers, batch, leaf)
        for gradient in slopes(wanted, leaf):
            for part, own in zip(parts, fold(gradient), strict=True):
                part.append(own)
        return [np.stack(p, axis=1) for p in parts]

    def folding(
        self, pieces: Sequence[Piece], readers: Sequence[Reader], batch: Batch, leaf: torch.Tensor
    ) -> Folding:
        """Return what reduces gradients at the leaf to what each reader asks for.

        What can be done for all rows is done at once: a hundred short inputs cost a few operations,
        not a few each.
        """
        kind = accumulating(leaf.dtype)
        folds = [reader.fold for reader in readers if reader.fold is not None]
        words = {reader.piece: reader.fold.times for reader in readers if reader.fold is not None}
        away = self.away(pieces, [words.get(number, "one") for number in range(len(pieces))])
        whole = away.to(kind) if isinstance(away, torch.Tensor) else None
        parts = [part.to(kind) for part in away] if isinstance(away, list) else None
        weights = [
            None if fold.rows is None else torch.from_numpy(fold.rows).to(kind).to(self.device)
            for fold in folds
        ]
        axes = len(pieces[0].sample.units.shape)
        features = tuple(range(1 + axes, leaf.ndim))
        summed = bool(features) and all(fold.features == "sum" for fold in folds)

        def fold(gradient: torch.Tensor) -> list[FloatArray]:
            gradient = gradient.to(kind)
            gradient = gradient if whole is None else gradient * whole
            gradient = gradient.sum(features) if summed and parts is None else gradient
            found = []
            for reader, wanted, rows in zip(readers, folds, weights, strict=True):
                units = pieces[reader.piece].sample.units.shape
                start, count = batch.starts[reader.piece], len(pieces[reader.piece].rows)
                own = gradient[(slice(start, start + count), *map(slice, units))]
                own = own if parts is None else own * parts[reader.piece]
                found.append(_folded(own, wanted.features, rows, axes))
            return as_arrays(found)

        return fold


def _folded(
    gradient: torch.Tensor, wanted: str, rows: torch.Tensor | None, axes: int
) -> torch.Tensor:
    """Reduce the gradients of one piece over rows, then over features, as its reader asked."""
    features = tuple(range(1 + axes, gradient.ndim))
    if wanted == "sum" and features:
        gradient, features = gradient.sum(features), ()
    if rows is not None:
        total = rows @ gradient.reshape(len(gradient), -1)
        gradient = total.reshape(len(rows), *gradient.shape[1:])
    if wanted == "each":
        return gradient.reshape(*gradient.shape[: 1 + axes], -1)
    if wanted == "norm":
        return gradient.pow(2).sum(features).sqrt() if features else gradient.abs()
    return gradient


def fill_value(fill: Baseline | None) -> torch.Tensor:
    """Return a fill in the differentiable space."""
    assert fill is not None
    assert isinstance(fill.value, torch.Tensor)
    return fill.value


def fills_of(pieces: Sequence[Piece]) -> list[torch.Tensor | None]:
    """Return the fill of all rows of each piece, or one per row where they differ; None is none.

    Pieces with one background share the copy of what they use of it.
    """
    found: list[torch.Tensor | None] = []
    shared: dict[int, list[tuple[int, npt.NDArray[np.int64]]]] = {}
    for number, piece in enumerate(pieces):
        moved = piece.perturbation
        if moved.choice is None:
            found.append(None if moved.fill is None else fill_value(moved.fill))
        else:
            found.append(None)
            shared.setdefault(id(moved.fills), []).append((number, moved.choice[piece.rows]))
    for alike in shared.values():
        fills = pieces[alike[0][0]].perturbation.fills
        used, which = np.unique(np.concatenate([own for _, own in alike]), return_inverse=True)
        every = torch.stack([fill_value(fills[k]) for k in used.tolist()])
        rows = every[torch.from_numpy(which).to(every.device)]
        for (number, _), part in zip(
            alike, rows.split([len(own) for _, own in alike]), strict=True
        ):
            found[number] = part
    return found


def _mixed(values: torch.Tensor, fold: Fold | None) -> torch.Tensor:
    """Return what is differentiated: the targets, or the weighted sum that a fold asks for."""
    if fold is None or fold.mix is None:
        return values
    return (values * torch.from_numpy(fold.mix).to(values)).sum(1, keepdim=True)
