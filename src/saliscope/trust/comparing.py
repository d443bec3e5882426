"""How alike two maps are, and how well a map falls on a region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from saliscope.core.errors import InputError, OptionError
from saliscope.core.units import FloatArray
from saliscope.trust.nulls import Shuffler

__all__ = ["Localization", "agreement", "localization", "rank_similarity"]


def rank_similarity(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Return Spearman's rank correlation of two maps; 0 where one of them is constant.

    Examples
    --------
    >>> round(rank_similarity([1, 2, 3, 4], [10, 20, 30, 50]), 6), rank_similarity([1, 2], [7, 7])
    (1.0, 0.0)
    """
    one, two = (np.asarray(each, dtype=np.float64).ravel() for each in (first, second))
    if one.shape != two.shape:
        msg = f"maps of {one.size} and {two.size} values cannot be compared; give equal units"
        raise InputError(msg)
    if not (np.isfinite(one).all() and np.isfinite(two).all()):
        return float("nan")
    first_ranks, second_ranks = rankdata(one), rankdata(two)
    if np.ptp(first_ranks) == 0 or np.ptp(second_ranks) == 0:
        return 0.0
    return float(np.corrcoef(first_ranks, second_ranks)[0, 1])


def agreement(maps: Mapping[str, npt.ArrayLike], top: float = 0.2) -> pd.DataFrame:
    """Return how far maps of one input agree, a row per pair.

    Parameters
    ----------
    maps : mapping of str to array
        By name; of equal shape.
    top : float
        Share of the units whose overlap is counted.

    Returns
    -------
    pandas.DataFrame
        `rank` is Spearman's correlation; `top` the share of the largest values of the one that are
        among the largest of the other (Krishna et al. 2022, arXiv:2202.01602, feature agreement).

    Raises
    ------
    InputError
        Maps of different sizes.
    OptionError
        A share outside (0, 1].

    Examples
    --------
    >>> agreement({"a": [3, 2, 1, 0, 0], "b": [4, 2, 1, 0, 0], "c": [0, 0, 1, 2, 3]}).round(2)
      first second  rank  top
    0     a      b  1.00  1.0
    1     a      c -0.95  0.0
    2     b      c -0.95  0.0
    """
    if not 0 < top <= 1:
        msg = f"top={top} is a share of the units, above 0 and at most 1"
        raise OptionError(msg)
    names = list(maps)
    arrays = {name: np.asarray(maps[name], dtype=np.float64).ravel() for name in names}
    rows = []
    for i, one in enumerate(names):
        for two in names[i + 1 :]:
            rank = rank_similarity(arrays[one], arrays[two])
            count = max(1, round(top * arrays[one].size))
            best = [set(np.argsort(-arrays[n], kind="stable")[:count].tolist()) for n in (one, two)]
            rows.append((one, two, rank, len(best[0] & best[1]) / count))
    return pd.DataFrame(rows, columns=["first", "second", "rank", "top"])


@dataclass(frozen=True)
class Localization:
    """How a map falls on a region.

    Parameters
    ----------
    pointing : bool
        Whether the largest value lies inside (Zhang et al. 2016, the pointing game).
    mass, area : float
        Share of the (positive) values inside, beside the share of units inside.
    auroc : float
        Probability that a unit inside has a larger value than one outside.
    p : float
        Share of shuffled copies of the map whose AUROC is at least as large.
    draws : int
    """

    pointing: bool
    mass: float
    area: float
    auroc: float
    p: float
    draws: int


def localization(
    values: npt.ArrayLike, mask: npt.ArrayLike, *, signed: bool = True, draws: int = 999,
    ordered: bool = True, seed: int = 0,
) -> Localization:  # fmt: skip
    """Say how a map falls on a region, beside copies whose values stand elsewhere.

    Parameters
    ----------
    values : array
        A map of one input.
    mask : array of bool
        The region, in the shape of the map.
    signed : bool
        Whether negative values speak against the target; they have no mass. Else sizes count.
    draws : int
        Shuffled copies: blocks, as long as neighbors are alike.
    ordered : bool
        False where neighbors mean nothing, as among columns of a table.
    seed : int

    Raises
    ------
    InputError
        The region has another shape, or is empty, or everything.

    Examples
    --------
    >>> found = localization([0.1, 3.0, 0.2, -1.0], [False, True, False, False])
    >>> found.pointing, round(found.mass, 3), found.area, found.auroc
    (True, 0.909, 0.25, 1.0)
    """
    array = np.asarray(values, dtype=np.float64)
    region = np.asarray(mask).astype(bool)
    if region.shape != array.shape:
        msg = f"the mask has shape {region.shape} and the map {array.shape}; give one per unit"
        raise InputError(msg)
    if region.all() or not region.any():
        msg = f"the mask covers {'every unit' if region.all() else 'no unit'}; give a part"
        raise InputError(msg)
    if not signed:
        array = np.abs(array)
    positive = np.maximum(array, 0.0)
    total = float(positive.sum())
    inside = int(region.sum())
    share = inside / region.size

    def area(ranks: FloatArray) -> float:
        above = float(ranks[region].sum()) - inside * (inside + 1) / 2
        return above / (inside * (region.size - inside))

    ranks = rankdata(array).reshape(array.shape)
    own = area(ranks)
    draw = Shuffler(ranks, np.random.default_rng(seed), ordered=ordered)
    as_good = sum(area(draw()) >= own - 1e-12 for _ in range(draws))
    return Localization(
        pointing=bool(region.ravel()[int(array.argmax())]),
        mass=float(positive[region].sum()) / total if total else share,
        area=share, auroc=own, p=(1 + as_good) / (1 + draws) if draws else float("nan"),
        draws=draws,
    )  # fmt: skip
