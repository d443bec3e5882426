"""Where a shift stands in a declared reference set: the quantile, and sigma as a unit beside it.

The quantile is the statement; sigma is a unit of display without normal meaning, for reference
sets are skewed. Both compare like with like: a first-in shift with first-in shifts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError
from saliscope.variants.statistics.common import finite, said

__all__ = [
    "LEAST_QUANTILE",
    "LEAST_SIGMA",
    "MAD_TO_SD",
    "Standing",
    "stand",
    "stand_observed",
    "standing_sentence",
]

MAD_TO_SD = 1.4826
"""Factor that makes the median absolute deviation of a normal distribution its SD."""

LEAST_QUANTILE, LEAST_SIGMA = 5, 30
"""Members that an observed reference set needs for a quantile, and for sigma."""

_NEAR_MEDIAN = 0.05


@dataclass(frozen=True)
class Standing:
    """Where one value stands in a reference set.

    Parameters
    ----------
    sigma : float, optional
        (value - median) / (1.4826 MAD); None where the MAD is 0, the set too small, or the value
        has no sign.
    quantile : float
        (rank + 1) / (n + 1); rank counts the smaller members, and ties by half.
    low, high : float
        Clopper-Pearson 95 % interval of the share of such changes below the value.
    n : int
        Members of the set.
    median, mad : float
        Of the set, in units of the score.
    """

    sigma: float | None
    quantile: float
    low: float
    high: float
    n: int
    median: float
    mad: float

    def text(self, of: str = "missense changes") -> str:
        """Return the quantile as a report says it.

        Examples
        --------
        >>> stand(-1.0, [-3, -2, 0, 1, 2]).text()
        'quantile 0.50 [0.05, 0.85] of 5 missense changes'
        """
        interval = f"[{said(self.low)}, {said(self.high)}]"
        return f"quantile {said(self.quantile)} {interval} of {self.n:,} {of}"

    def sigma_text(self) -> str:
        """Return sigma as a report says it; a value at the median is said in words.

        Examples
        --------
        >>> stand(-1.0, [-3, -2, 0, 1, 2]).sigma_text()
        '-0.3 sigma'
        >>> stand(0.0, [-3, -2, 0, 1, 2]).sigma_text(), stand(1.0, [0, 0, 0, 9]).sigma_text()
        ('at the median', 'no sigma: the set has no spread')
        """
        if self.sigma is None:
            return "no sigma: the set has no spread" if self.mad == 0 else "no sigma"
        if abs(self.sigma) < _NEAR_MEDIAN:
            return "at the median"
        return f"{self.sigma:+.1f} sigma"


def stand(value: float, reference: npt.ArrayLike, *, has_sign: bool = True) -> Standing:
    """Return where `value` stands in `reference`.

    Parameters
    ----------
    value : float
        A shift.
    reference : array of float, shape (n,)
        Shifts of the same kind, such as the first-in shift of every missense change.
    has_sign : bool
        False for a norm or a distance, which has a quantile but no sigma.

    Returns
    -------
    Standing

    Raises
    ------
    InputError
        For an empty set or a number that is not finite.

    Notes
    -----
    The interval is that of Clopper and Pearson (1934), Biometrika 26:404; a tie gives half a rank,
    for which it is read from the same beta distributions.

    Examples
    --------
    >>> s = stand(2.0, [-1.0, 0.0, 1.0, 2.0, 3.0])
    >>> round(s.sigma, 4), s.quantile, s.n, s.median, s.mad
    (0.6745, 0.75, 5, 1.0, 1.0)
    """
    from scipy.special import betaincinv

    members = finite(reference, "reference set")
    score = float(finite(value, "shift", ndim=0))
    n = len(members)
    if not n:
        msg = "reference set: has no members; nothing can be compared with it"
        raise InputError(msg)
    rank = float(np.count_nonzero(members < score) + np.count_nonzero(members == score) / 2)
    median = float(np.median(members))
    mad = float(np.median(np.abs(members - median)))
    return Standing(
        sigma=(score - median) / (MAD_TO_SD * mad) if has_sign and mad > 0 else None,
        quantile=(rank + 1) / (n + 1),
        low=float(betaincinv(rank, n - rank + 1, 0.025)) if rank > 0 else 0.0,
        high=float(betaincinv(rank + 1, n - rank, 0.975)) if rank < n else 1.0,
        n=n,
        median=median,
        mad=mad,
    )


def stand_observed(
    value: float, reference: npt.ArrayLike, *, has_sign: bool = True
) -> Standing | None:
    """Return where `value` stands among changes seen in a population, if there are enough.

    At least 30 members: quantile and sigma; 5 to 29: the quantile alone; fewer: None.

    Examples
    --------
    >>> stand_observed(0.5, [0, 1, 2, 3]) is None
    True
    >>> stand_observed(0.5, range(10)).sigma is None, stand_observed(0.5, range(30)).sigma is None
    (True, False)
    """
    members = finite(reference, "reference set")
    if len(members) < LEAST_QUANTILE:
        return None
    return stand(value, members, has_sign=has_sign and len(members) >= LEAST_SIGMA)


def standing_sentence(primary: Standing, observed: Standing | None) -> str:
    """Return both standings as one clause of a report.

    Examples
    --------
    >>> s = stand(-1.0, [-3, -2, 0, 1, 2])
    >>> standing_sentence(s, None)
    '-0.3 sigma, quantile 0.50 [0.05, 0.85] of 5 missense changes'
    """
    first = f"{primary.sigma_text()}, {primary.text()}"
    return first if observed is None else f"{first}; {observed.text('observed missense changes')}"
