"""Score-CAM: features of a late layer, weighted by how well the input does when they mask it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np

from saliscope.core.activation import ClassActivation, mapped, spatial_axes
from saliscope.core.ask import Ask, Question, Steps
from saliscope.core.grids import resized
from saliscope.core.perturbation import Perturbation
from saliscope.core.registry import method
from saliscope.core.units import FloatArray, Grouping

__all__ = ["Masks", "score_cam"]


class Masks(Sequence[FloatArray]):
    """Maps on a grid as weights of places in [0, 1], each made when it is asked for.

    Parameters
    ----------
    maps : numpy.ndarray, shape (maps, *grid)
        Each of more than one value.
    shape : tuple of int
        Of the places that they are interpolated to.

    Examples
    --------
    >>> masks = Masks(np.array([[2.0, 6.0]]), (4,))
    >>> len(masks), masks[0].tolist()
    (1, [0.0, 0.25, 0.75, 1.0])
    """

    def __init__(self, maps: FloatArray, shape: tuple[int, ...]) -> None:
        self._maps, self._shape = maps, shape

    def __len__(self) -> int:
        return len(self._maps)

    @overload
    def __getitem__(self, which: int) -> FloatArray: ...
    @overload
    def __getitem__(self, which: slice) -> list[FloatArray]: ...
    def __getitem__(self, which: int | slice) -> FloatArray | list[FloatArray]:
        if isinstance(which, slice):
            return [self[i] for i in range(*which.indices(len(self)))]
        mask = resized(self._maps[which], self._shape).ravel()
        mask -= mask.min()
        high = mask.max()
        return mask / high if high > 0 else mask


@method(
    "score_cam",
    options=ClassActivation,
    needs={"layers"},
    summary="Features of a late layer, each weighted by the score of the input that it masks.",
    cost="2 forward passes, and 1 per feature of the layer that differs between positions",
    use="models whose slopes are noisy or saturated; it uses no gradient",
    misuse="where scores of the masked inputs lie close together: the softmax then gives every "
    "feature nearly one weight, and maps of all targets look alike",
    source="Wang et al. 2020, arXiv:1910.01279, algorithm 1; the score of the baseline cancels in "
    "the softmax, and features that are equal everywhere, which mask nothing, are left out",
    equation=r"a_p = \max\Bigl(0, \sum_k w_k A_{kp}\Bigr), \quad "
    r"w = \mathrm{softmax}_k \, f\bigl(b + m_k \odot (x - b)\bigr), \quad "
    r"m_k = \frac{U(A_k) - \min U(A_k)}{\max U(A_k) - \min U(A_k)}",
    takes={"fill", "layer"},
    unit="activation",
    aliases=("scorecam",),
)
def score_cam(question: Question, options: ClassActivation) -> Steps:
    """Put each feature over the input as a mask, and weight it by the softmax of the scores."""
    layer, units = question.layer, question.units
    assert layer is not None
    axes = spatial_axes(question, layer)
    answer = yield Ask(Perturbation.identity(units), layer=layer)
    assert answer.activations is not None
    features = answer.activations[0]
    flat = features.reshape(len(features), -1)
    features = features[flat.max(1) > flat.min(1)]
    total = np.zeros((question.targets, *layer.units.shape))
    if len(features):
        shape = tuple(units.shape[axis] for axis in axes)
        masked = Perturbation(
            _places(units.shape, axes), weights=Masks(features, shape), fill=question.baseline
        )
        scores = (yield Ask(masked)).values.T
        weights = np.exp(scores - scores.max(1, keepdims=True))
        total = np.tensordot(weights / weights.sum(1, keepdims=True), features, 1)
    notes = {"masks": len(features), "fill": question.baseline.name}
    return mapped(question, options, answer, total, notes=notes)


def _places(shape: tuple[int, ...], axes: tuple[int, ...]) -> Grouping:
    """Return the grouping of units by their place along some axes: all channels of a pixel."""
    inner = tuple(shape[axis] for axis in axes)
    wide = tuple(n if axis in axes else 1 for axis, n in enumerate(shape))
    labels = np.arange(int(np.prod(inner)), dtype=np.int64).reshape(wide)
    return Grouping("place", labels=np.broadcast_to(labels, shape))
