"""The noise of the numbers themselves, and when backgrounds may be said to matter.

A model in evaluation mode is deterministic, but its sums are not associative: the same sequence in
another batch differs in the last digits. What is smaller than that is not an effect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError
from saliscope.variants.statistics.common import finite, said

__all__ = [
    "FALSE_DISCOVERY",
    "TIMES_NOISE",
    "BackgroundReading",
    "below_noise",
    "noise_floor",
    "read_backgrounds",
]

TIMES_NOISE, FALSE_DISCOVERY = 10, 0.05
"""Background dependence needs a range above so many noise floors, and a q below this."""


def noise_floor(repeats: npt.ArrayLike) -> float:
    """Return the largest spread of repeated scores of the same sequence.

    Parameters
    ----------
    repeats : array of float, shape (repeats, sequences) or (repeats,)
        Scores of the same sequences in batches that were composed differently; at least two rows.

    Returns
    -------
    float
        Largest over sequences of maximum minus minimum, in units of the score.

    Raises
    ------
    InputError
        With fewer than two repeats, or a score that is not finite.

    Examples
    --------
    >>> noise_floor([[1.0, 5.0], [1.5, 5.0], [1.25, 5.25]])
    0.5
    """
    array = np.asarray(repeats, dtype=np.float64)
    scores = finite(array[:, None] if array.ndim == 1 else array, "repeated scores", ndim=2)
    if len(scores) < 2 or not scores.shape[1]:
        msg = "repeated scores: need at least two repeats of one sequence; score it again"
        raise InputError(msg)
    return float(np.ptp(scores, axis=0).max())


def below_noise(shift: float, floor: float) -> bool:
    """Return whether a shift is below numeric noise; zero always is.

    Examples
    --------
    >>> below_noise(-0.01, 0.02), below_noise(0.5, 0.02), below_noise(0.0, 0.0)
    (True, False, True)
    """
    return shift == 0 or abs(shift) < floor


@dataclass(frozen=True)
class BackgroundReading:
    """Whether the effect of a variant depends on its background, in this model.

    Parameters
    ----------
    dependent : bool
    range : float
        Largest minus smallest shift over the backgrounds.
    sentence : str
        What a report may say.
    """

    dependent: bool
    range: float
    sentence: str


def read_backgrounds(shifts: npt.ArrayLike, floor: float, q: float | None) -> BackgroundReading:
    """Return the reading of one variant's shifts on its backgrounds.

    Parameters
    ----------
    shifts : array of float, shape (backgrounds,)
        One value per distinct background.
    floor : float
        From `noise_floor`.
    q : float, optional
        Corrected q of the pair of this variant and the one that tells the backgrounds apart,
        against the matched null; the smallest where there are several. None: not tested.

    Examples
    --------
    >>> read_backgrounds([-1.26, -0.88], 1e-5, 0.3).sentence
    "no background dependence beyond this model's usual (q 0.30)"
    >>> read_backgrounds([-1.26, 0.9], 1e-5, 0.004).dependent
    True
    """
    values = finite(shifts, "shifts")
    if not np.isfinite(floor) or floor < 0:
        msg = f"noise floor {floor}: must be a number of at least 0; measure it with noise_floor"
        raise InputError(msg)
    span = float(np.ptp(values)) if len(values) else 0.0
    dependent = False
    if len(values) < 2:
        what = "one background" if len(values) else "no background"
        sentence = f"{what}: background dependence cannot be assessed"
    elif span <= TIMES_NOISE * floor:
        sentence = (
            f"backgrounds differ by {span:.2g}, not more than {TIMES_NOISE} times the numeric "
            f"noise of {floor:.2g}: no background dependence"
        )
    elif q is None:
        sentence = f"backgrounds differ by {span:.2g}; not tested: too few matched pairs"
    elif q < FALSE_DISCOVERY:
        dependent = True
        sentence = (
            f"background-dependent in this model: backgrounds differ by {span:.2g}, "
            f"unusual for this model (q {said(q)})"
        )
    else:
        sentence = f"no background dependence beyond this model's usual (q {said(q)})"
    return BackgroundReading(dependent, span, sentence)
