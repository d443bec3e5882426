"""Normal noise on rows: the same numbers for a row in whichever batch, and whatever its type."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from saliscope.core.perturbation import Noise
from saliscope.models.readout import accumulating

__all__ = ["add_noise"]


def add_noise(
    rows: torch.Tensor, noise: Noise, which: npt.NDArray[np.int64], value: torch.Tensor,
    kept: npt.NDArray[np.int64] | None = None,
) -> None:  # fmt: skip
    """Add normal noise to some rows of a perturbation, in place.

    Every row has a generator of its own, on the CPU and in float32, so that neither the batch nor
    the device nor the floating type of the model changes what is drawn.

    Parameters
    ----------
    rows : torch.Tensor, shape (rows, *units)
    noise : Noise
    which : numpy.ndarray of int, shape (rows,)
        Numbers of the rows in the perturbation.
    value : torch.Tensor, shape (units)
        The input, whose range the noise is a share of.
    kept : numpy.ndarray of int, optional
        The units along the first axis that get noise, and whose range counts (default: all).

    Examples
    --------
    >>> x = torch.tensor([0.0, 4.0])
    >>> rows, noise = torch.zeros(2, 2), Noise(0.25, np.array([5, 5]), np.array([1.0, -1.0]))
    >>> add_noise(rows, noise, np.array([0, 1]), x)
    >>> torch.equal(rows[0], -rows[1]), bool(rows.any())
    (True, True)
    """
    kind = accumulating(value.dtype)
    places = ... if kept is None else torch.from_numpy(kept).to(value.device)
    own = value[places].to(kind)
    deviation = noise.scale * (own.max() - own.min())
    for row, number in zip(rows, which, strict=True):
        generator = torch.Generator().manual_seed(int(noise.seeds[number]))
        drawn = torch.randn(own.shape, generator=generator, dtype=torch.float32)
        sign = 1.0 if noise.signs is None else float(noise.signs[number])
        moved = row[places].to(kind) + sign * deviation * drawn.to(own)
        row[places] = moved.to(row.dtype)
