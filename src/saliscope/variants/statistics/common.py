"""What every statistic here shares: checked arrays, p-values, and how numbers are said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError

__all__ = [
    "BoolArray",
    "FloatArray",
    "IntArray",
    "benjamini_hochberg",
    "finite",
    "permutation_p",
    "said",
    "signed",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def finite(values: npt.ArrayLike, name: str, ndim: int = 1) -> FloatArray:
    """Return `values` as float64 of `ndim` dims, or refuse what is not a finite number.

    Raises
    ------
    InputError
        With the name, and the place of the first value that is not finite.

    Examples
    --------
    >>> finite([1, 2], "scores")
    array([1., 2.])
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = f"{name}: holds something that is not a number; give numbers only"
        raise InputError(msg) from error
    if array.ndim != ndim:
        msg = f"{name}: has {array.ndim} dimensions where {ndim} are needed; reshape it"
        raise InputError(msg)
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        place = ", ".join(str(int(i) + 1) for i in bad[0]) or "1"
        msg = f"{name}: value {place} is not a finite number; score it again or leave it out"
        raise InputError(msg)
    return array


def permutation_p(observed: float, null: npt.ArrayLike, scale: float = 0.0) -> float:
    """Return (1 + #{|null| >= |observed|}) / (N + 1), two-sided (Phipson and Smyth 2010).

    Values that differ by rounding alone (1e-12 of the largest, or of `scale`, the size of the
    numbers that were summed) count as equal, so that a tie is never lost to the order of a sum.

    Examples
    --------
    >>> permutation_p(2.0, [0.5, -2.0, 3.0])
    0.75
    """
    sizes = np.abs(np.asarray(null, dtype=np.float64))
    slack = 1e-12 * max(abs(observed), float(sizes.max(initial=0.0)), scale)
    return (1 + int(np.count_nonzero(sizes >= abs(observed) - slack))) / (len(sizes) + 1)


def benjamini_hochberg(p: Sequence[float | None]) -> tuple[float | None, ...]:
    """Return the q of each p (Benjamini and Hochberg 1995); what was not tested stays None.

    Examples
    --------
    >>> benjamini_hochberg([0.01, None, 0.04, 0.03])
    (0.03, None, 0.04, 0.04)
    """
    from scipy.stats import false_discovery_control

    tested = finite([value for value in p if value is not None], "p-values")
    if np.any((tested < 0) | (tested > 1)):
        msg = "p-values: hold a number outside 0 to 1; give probabilities"
        raise InputError(msg)
    adjusted = iter(false_discovery_control(tested) if len(tested) else ())
    return tuple(None if value is None else float(next(adjusted)) for value in p)


def said(share: float) -> str:
    """Return a share between 0 and 1 in words of a report: two decimals, more near the ends.

    Examples
    --------
    >>> said(0.2134), said(0.0007), said(0.9993), said(0.0), said(1.0), said(1e-9)
    ('0.21', '0.0007', '0.9993', '0', '1', '1e-09')
    """
    if share in {0, 1}:
        return str(int(share))
    edge = min(share, 1 - share)
    if edge >= 0.01:
        return f"{share:.2f}"
    if edge >= 0.0001:
        return f"{share:.4f}"
    return f"{share:.1g}" if share < edge * 2 else ">0.9999"


def signed(value: float) -> str:
    """Return an effect with its sign: two decimals, or two digits where that would show zero.

    Examples
    --------
    >>> signed(-1.264), signed(0.0004), signed(0.0)
    ('-1.26', '+0.0004', '0')
    """
    if value == 0:
        return "0"
    return f"{value:+.2f}" if abs(value) >= 0.005 else f"{value:+.2g}"
