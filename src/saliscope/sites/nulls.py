"""Whether numbers along a protein are higher at its sites than the same numbers elsewhere would be.

A protein is one observation. Its score is compared with what the same numbers give when the sites
lie elsewhere: shifted around the protein as a whole, which keeps how sites cluster and how the
numbers vary along the chain; or moved among residues of the same type, which keeps what a model
may have learned of cysteines in general.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from saliscope.core.units import FloatArray

__all__ = ["auroc", "enrichment", "matched_masks", "matched_p", "mid_rank_p", "shift_p"]

Bools = npt.NDArray[np.bool_]

_TIE = 1e-9
_BLOCK = 256


def enrichment(values: FloatArray, mask: Bools) -> FloatArray:
    """Return the mean at the sites over the mean elsewhere.

    Parameters
    ----------
    values : numpy.ndarray, shape (maps, positions)
        Not negative.
    mask : numpy.ndarray of bool, shape (positions,)

    Returns
    -------
    numpy.ndarray, shape (maps,)
        1 where a map is flat, NaN where it is zero elsewhere.

    Examples
    --------
    >>> enrichment(np.array([[4.0, 1.0, 3.0]]), np.array([True, False, False])).tolist()
    [2.0]
    """
    inside, outside = values[:, mask].mean(1), values[:, ~mask].mean(1)
    found: FloatArray = np.divide(
        inside, outside, out=np.full_like(inside, np.nan), where=outside > 0
    )
    return found


def auroc(values: FloatArray, mask: Bools) -> FloatArray:
    """Return the chance that a site has a larger value than another residue (ties count half).

    This is the area under the receiver operating characteristic, from the rank sum of Mann and
    Whitney (1947).

    Parameters
    ----------
    values : numpy.ndarray, shape (maps, positions)
    mask : numpy.ndarray of bool, shape (positions,)

    Returns
    -------
    numpy.ndarray, shape (maps,)

    Examples
    --------
    >>> auroc(np.array([[3.0, 1.0, 2.0, 2.0]]), np.array([True, False, True, False])).tolist()
    [0.875]
    """
    from scipy.stats import rankdata

    inside = int(mask.sum())
    ranks = np.asarray(rankdata(values, axis=1), dtype=np.float64)
    above = ranks[:, mask].sum(1) - inside * (inside + 1) / 2
    return np.asarray(above / (inside * (mask.size - inside)), dtype=np.float64)


def mid_rank_p(observed: FloatArray, null: Iterator[FloatArray], scale: FloatArray) -> FloatArray:
    """Return the one-sided mid-rank p of every map: (larger + half of the equal) / all.

    Parameters
    ----------
    observed : numpy.ndarray, shape (maps,)
    null : iterator of numpy.ndarray, shape (maps, some)
        All arrangements, the observed one among them, in blocks.
    scale : numpy.ndarray, shape (maps,)
        The size of the numbers that were summed: what differs by 1e-9 of it counts as equal.

    Notes
    -----
    Half of the ties (Lancaster 1961) makes p as often under 0.05 as it should be, where a rank
    that counts ties in full would be too careful.

    Examples
    --------
    >>> block = np.array([[3.0, 1.0, 3.0, 5.0]])
    >>> mid_rank_p(np.array([3.0]), iter([block]), np.array([5.0])).tolist()
    [0.5]
    """
    slack = (_TIE * scale)[:, None]
    larger, equal, count = np.zeros(len(observed)), np.zeros(len(observed)), 0
    for block in null:
        apart = block - observed[:, None]
        larger += (apart > slack).sum(1)
        equal += (np.abs(apart) <= slack).sum(1)
        count += block.shape[1]
    return np.asarray((larger + equal / 2) / count)


def shift_p(values: FloatArray, mask: Bools) -> FloatArray:
    """Return the p of the mean at the sites among all circular shifts of the sites.

    Parameters
    ----------
    values : numpy.ndarray, shape (maps, positions)
    mask : numpy.ndarray of bool, shape (positions,)

    Returns
    -------
    numpy.ndarray, shape (maps,)

    Notes
    -----
    All shifts are taken, so nothing is drawn. The memory is a few blocks of 256 shifts.

    Examples
    --------
    >>> shift_p(np.array([[9.0, 1.0, 2.0, 3.0]]), np.array([True, False, False, False])).tolist()
    [0.125]
    """
    size = mask.size
    places = np.flatnonzero(mask)

    def sums() -> Iterator[FloatArray]:
        for start in range(0, size, _BLOCK):
            shifts = np.arange(start, min(start + _BLOCK, size))
            moved = np.zeros((size, len(shifts)))
            moved[(places[:, None] + shifts) % size, np.arange(len(shifts))] = 1
            yield values @ moved

    return mid_rank_p(values[:, mask].sum(1), sums(), np.abs(values).sum(1))


def matched_masks(
    mask: Bools, residues: str, draws: int, rng: np.random.Generator
) -> npt.NDArray[np.float64] | None:
    """Return random sites with as many residues of every type as the sites have.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (positions,)
    residues : str
        Letters of the positions.
    draws : int
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray, shape (positions, draws), or None
        Zeros and ones; None where sites have nowhere else to go: all residues of their types are
        sites.

    Examples
    --------
    >>> found = matched_masks(np.array([True, False, False]), "CMC", 4, np.random.default_rng(0))
    >>> found.sum(0).tolist(), found[1].tolist()
    ([1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0])
    """
    letters = np.array(list(residues))
    made = np.zeros((mask.size, draws))
    free = False
    for letter in np.unique(letters[mask]):
        places = np.flatnonzero(letters == letter)
        count = int(mask[places].sum())
        free = free or count < len(places)
        order = rng.random((len(places), draws)).argsort(0)[:count]
        made[places[order], np.arange(draws)] = 1
    return made if free else None


def matched_p(
    values: FloatArray, mask: Bools, residues: str, *, draws: int, rng: np.random.Generator
) -> FloatArray:
    """Return the p of the mean at the sites among random sites of the same residue types.

    Parameters
    ----------
    values : numpy.ndarray, shape (maps, positions)
    mask, residues, rng
        As of `matched_masks`.
    draws : int
        Random arrangements beside the observed one.

    Returns
    -------
    numpy.ndarray, shape (maps,)
        NaN where all residues of the sites' types are sites, so that nothing can be compared.

    Examples
    --------
    >>> mask, rng = np.array([True, False, False, False]), np.random.default_rng(0)
    >>> low, high = matched_p(np.array([[0.0, 1, 9, 9], [5, 1, 9, 9]]), mask, "CCAA",
    ...                       draws=999, rng=rng)
    >>> round(float(low), 1), round(float(high), 1)
    (0.8, 0.2)
    """
    made = matched_masks(mask, residues, draws, rng)
    if made is None:
        return np.full(len(values), np.nan)
    observed = values[:, mask].sum(1)

    def sums() -> Iterator[FloatArray]:
        yield observed[:, None]
        for start in range(0, draws, _BLOCK):
            yield values @ made[:, start : start + _BLOCK]

    return mid_rank_p(observed, sums(), np.abs(values).sum(1))
