"""Attention against contacts: correction, ranges, precision."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import RefusedError
from saliscope.core.units import FloatArray

__all__ = ["LEAST_APART", "RANGES", "apc", "average_precision", "precision_at", "symmetric"]

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

LEAST_APART = 6
"""Residues along the chain that a pair must be apart to count."""

RANGES: Mapping[str, tuple[int, int | None]] = {
    "short": (6, 12), "medium": (12, 24), "long": (24, None),
}  # fmt: skip
"""Residues apart, from the first to before the second, as in CASP."""


def symmetric(attention: FloatArray) -> FloatArray:
    """Return a matrix plus its transpose, in float64."""
    return np.asarray(np.add(attention, attention.swapaxes(-1, -2), dtype=np.float64))


def apc(matrix: FloatArray) -> FloatArray:
    """Return a matrix less its average product: row mean times column mean over the mean [1]_.

    Parameters
    ----------
    matrix : numpy.ndarray, shape (..., positions, positions)
        Symmetric.

    References
    ----------
    .. [1] Dunn, Wahl and Gloor (2008), Mutual information without the influence of phylogeny or
       entropy dramatically improves residue contact prediction, Bioinformatics 24: 333.

    Examples
    --------
    >>> apc(np.outer([1.0, 2.0], [1.0, 2.0])).tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    rows = matrix.sum(-1, keepdims=True)
    whole = matrix.sum((-1, -2), keepdims=True)
    share = np.divide(rows, whole, out=np.zeros_like(rows), where=whole != 0)
    product = share * matrix.sum(-2, keepdims=True)
    return np.asarray(np.subtract(matrix, product, out=product))


def within(columns: Ints, band: tuple[int, int | None]) -> Bools:
    """Return which pairs of placed residues are so far apart, shape (placed, placed).

    Parameters
    ----------
    columns : numpy.ndarray of int, shape (placed,)
        Places in the sequence.
    band : (int, int or None)
    """
    low, high = band
    near = columns[:, None]  # no matrix of distances: an eighth of the memory
    found = columns >= near + low
    return found if high is None else found & (columns < near + high)


def pairs_in(columns: Ints, band: tuple[int, int | None]) -> tuple[Ints, Ints]:
    """Return the pairs of placed residues whose places in the sequence are so far apart.

    Parameters
    ----------
    columns : numpy.ndarray of int, shape (placed,)
        Places in the sequence.
    band : (int, int or None)

    Returns
    -------
    tuple of numpy.ndarray of int, shape (pairs,)
        Numbers of the first and of the second of each pair among the placed.
    """
    first, second = np.nonzero(within(columns, band))
    return first, second


def precision_at(scores: FloatArray, contacts: Bools, length: int, part: int = 1) -> float:
    """Return the share of contacts among the length / part pairs of the largest scores.

    Parameters
    ----------
    scores : numpy.ndarray, shape (pairs,)
    contacts : numpy.ndarray of bool, shape (pairs,)
    length : int
        Residues of the protein.
    part : int
        1, 2 or 5: P@L, P@L/2, P@L/5.

    Returns
    -------
    float
        Over all pairs where there are fewer than asked for; NaN without pairs. Where several
        pairs tie for the last places, their mean is taken, so that order does not matter.

    Examples
    --------
    >>> scores, contacts = np.array([3.0, 2.0, 1.0, 1.0]), np.array([True, False, True, False])
    >>> precision_at(scores, contacts, 2), precision_at(scores, contacts, 3)
    (0.5, 0.5)
    """
    count = min(max(1, length // part), len(scores))
    if not len(scores):
        return float("nan")
    edge = np.partition(scores, len(scores) - count)[len(scores) - count]
    above, tied = scores > edge, scores == edge
    inside = contacts[above].sum() + contacts[tied].mean() * (count - above.sum())
    return float(inside / count)


def learning(part: str) -> Any:
    """Return a module of scikit-learn.

    Raises
    ------
    RefusedError
        It is not installed.
    """
    try:
        return import_module(f"sklearn.{part}")
    except ImportError as error:
        msg = "scikit-learn is not installed, and contacts need it; run: pip install scikit-learn"
        raise RefusedError(msg) from error


def average_precision(scores: FloatArray, contacts: Bools) -> float:
    """Return the area under the curve of precision against recall; NaN without contacts.

    Examples
    --------
    >>> average_precision(np.array([3.0, 2.0, 1.0]), np.array([True, False, True])).__round__(3)
    0.833
    """
    if not contacts.any():
        return float("nan")
    return float(learning("metrics").average_precision_score(contacts, scores))
