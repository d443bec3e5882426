"""What a frame of a connectionist recognizer stands for, and how far it sees: measured.

Two lines of noise, one twice as long as the other, say how many pixels a frame is; slopes of some
frames in the middle say where a frame looks and how far (its receptive field).
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from saliscope.core.errors import RefusedError, SaliscopeError
from saliscope.core.units import FloatArray
from saliscope.models.torch_model import Batch, TorchModel

if TYPE_CHECKING:
    from saliscope.core.ask import Layer
    from saliscope.core.model import Piece, Sample
    from saliscope.models.vision.recognizer import Recognizer

__all__ = ["Sight", "last_layer", "measured"]

_FRAMES = 5  # whose slopes are taken
_SEEN = 1e-6  # share of the largest slope from which on a column is seen
_MOST = 0.95  # of the slope lies within the effective field


@dataclass(frozen=True)
class Sight:
    """Frames in pixels of the line, at the model's height.

    Parameters
    ----------
    stride : float
        Pixels from one frame to the next; negative where frames run from right to left. 0 where
        the number of frames does not grow with the line: then frames share its width evenly.
    center : float
        Pixels from the left edge to the middle of frame 0 (of the last one, if it is the leftmost).
    field : int
        Width in pixels that a frame sees at all (receptive field): at most the whole line.
    effective : int
        Width that holds 95 % of its slope.
    near : int
        The distance of `beyond`: the height of the line.
    beyond : float
        Share of its slope that lies farther away than that.
    whole : bool
        Whether a frame sees the whole line, as recurrent layers and attention let it.
    """

    stride: float
    center: float
    field: int
    effective: int
    near: int
    beyond: float
    whole: bool

    def columns(self, first: int, last: int, width: int, frames: int) -> tuple[float, float]:
        """Return the pixels that frames stand for, from the left edge: each its own stride.

        Parameters
        ----------
        first, last : int
        width : int
            Of the line, in the model's pixels.
        frames : int
            Of the line.

        Examples
        --------
        >>> Sight(4.0, 0.5, 32, 20, 48, 0.0, False).columns(2, 3, 40, 10)
        (6.5, 14.5)
        """
        step = abs(self.stride) or width / frames
        middle = self.center if self.stride else step / 2
        if self.stride < 0:
            first, last = frames - 1 - last, frames - 1 - first
        left = middle + (first - 0.5) * step
        right = middle + (last + 0.5) * step
        return max(0.0, min(left, width)), max(0.0, min(right, width))

    def describe(self) -> dict[str, Any]:
        """Return the numbers for a record."""
        return {
            name: round(v, 3) if isinstance(v, float) else v for name, v in asdict(self).items()
        }


def measured(model: Recognizer) -> Sight:
    """Measure the sight of a recognizer.

    Raises
    ------
    ModelError
        The module takes no line of noise.
    """
    fixed = model.preparation.size
    high = getattr(model.preparation, "height", None) or (fixed or (48,))[0]
    wide = fixed[1] if fixed else 12 * high
    profile, at, frames = _slopes(model, high, wide)
    stride = 0.0
    if fixed is None:
        try:
            more = _count(model, high, 2 * wide) - frames
        except SaliscopeError:
            more = 0
        stride = wide / more if more > 0 else 0.0
    step = stride or wide / frames
    total = profile.sum(1, keepdims=True)
    share = np.divide(profile, total, out=np.zeros_like(profile), where=total > 0)
    seen = [np.flatnonzero(row > _SEEN * row.max()) for row in profile]
    if any(len(columns) == 0 for columns in seen):  # nothing is seen: no layer looks at pixels
        return Sight(stride, step / 2, 0, 0, high, 0.0, whole=False)
    fields = [int(columns[-1] - columns[0] + 1) for columns in seen]
    field = int(np.median(fields))
    whole = field > 0.98 * wide
    # Middles of what is seen; of what is seen everywhere only the bulk has a middle.
    if whole:
        middles = np.array([np.interp(0.5, row.cumsum(), np.arange(wide) + 0.5) for row in share])
    else:
        middles = np.array([(columns[0] + columns[-1] + 1) / 2 for columns in seen])
    turned = len(at) > 1 and middles[-1] < middles[0]
    order = frames - 1 - at if turned else at
    center = float(np.median(middles - order * step))
    if abs(center - step / 2) > max(2 * step, high / 4):  # too far to be a matter of padding
        center = step / 2
    ends = np.array(
        [np.interp([0.025, 0.975], row.cumsum(), np.arange(wide) + 0.5) for row in share]
    )
    far = np.abs(np.arange(wide) + 0.5 - middles[:, None]) > high
    beyond = float((share * far).sum(1).mean())
    if turned:
        stride = -stride
    effective = int(np.ceil(np.median(ends[:, 1] - ends[:, 0])))
    return Sight(stride, center, min(field, wide), effective, high, beyond, whole)


def _noise(model: Recognizer, high: int, wide: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.rand(1, high, wide, model.preparation.channels, generator=generator)
    return drawn.to(model.device, model.kind)


def _count(model: Recognizer, high: int, wide: int) -> int:
    with model.quiet(0), torch.no_grad():
        return int(model.alone(_noise(model, high, wide)).shape[1])


def _slopes(
    model: Recognizer, high: int, wide: int
) -> tuple[FloatArray, np.ndarray[Any, Any], int]:
    """Return the size of the slopes of some frames along columns, which, and of how many."""
    pixels = _noise(model, high, wide).requires_grad_()
    with model.quiet(0), torch.enable_grad():
        frames = model.alone(pixels)
        count = int(frames.shape[1])
        at = np.unique(
            np.linspace(count * 0.4, count * 0.6, _FRAMES).astype(int).clip(0, count - 1)
        )
        weights = torch.arange(1, frames.shape[2] + 1, device=frames.device).cos().to(frames)
        rows = []
        for frame in at.tolist():
            (slope,) = torch.autograd.grad((frames[0, frame] * weights).sum(), pixels,
                                           retain_graph=True, allow_unused=True)  # fmt: skip
            row = torch.zeros(wide) if slope is None else slope[0].double().abs().sum((0, 2))
            rows.append(row.cpu().double().numpy())
    return np.stack(rows), at, count


class _Eye(TorchModel):
    """The part of a recognizer that looks at the picture, as a model of its own."""

    heads = frozenset({"raw"})

    def __init__(self, model: Recognizer) -> None:
        assert model.eye is not None
        super().__init__(model.module.get_submodule(model.eye), model.name)
        self.whole = model

    def realize(self, pieces: Sequence[Piece]) -> Batch:
        """Make rows of lines."""
        return self.whole.realize(pieces)

    def forward(
        self, batch: Batch, heads: Set[str], *, gradients: bool
    ) -> tuple[dict[str, Any], torch.Tensor | None]:
        """Return what it gives to the head."""
        assert batch.leaf is not None
        leaf = batch.leaf.requires_grad_(gradients)
        return {"raw": self.whole.alone(leaf.clone())}, leaf


def last_layer(model: Recognizer, sample: Sample) -> Layer:
    """Return the last layer of the part that looks, whose output is a grid over the picture.

    What follows the picture as a sequence (recurrent layers, a decoder) is no grid of it, and its
    length may look like one by chance.
    """
    from saliscope.models.survey import find

    if model.layer_name is not None:
        return find(model, sample, model.layer_name)
    if model.eye is not None:
        prefix = f"{model.eye}."
        inner = find(_Eye(model), sample, None)
        return replace(inner, name=f"{prefix}{inner.name}")
    grids = [
        name for name, part in model.module.named_modules()
        if isinstance(part, (nn.Conv2d, nn.BatchNorm2d, nn.GroupNorm))
    ]  # fmt: skip
    try:
        found = find(model, sample, None)
        if not found.last or not grids:
            return found
    except RefusedError:
        if not grids:
            raise
    return find(model, sample, grids[-1])
