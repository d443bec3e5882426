"""Quadrature on [0, 1]: fixed rules, and panels that know how wrong they are.

A panel carries five equally spaced nodes. Cutting it in two reuses its nodes and adds four, so a
path is refined where it bends at little cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saliscope.core.units import FloatArray

__all__ = ["Panel", "fixed_rule", "panel", "quarters", "to_cut"]


def fixed_rule(rule: str, steps: int) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights on [0, 1]; the weights sum to 1.

    Examples
    --------
    >>> nodes, weights = fixed_rule("trapezoid", 3)
    >>> nodes.tolist(), weights.tolist()
    ([0.0, 0.5, 1.0], [0.25, 0.5, 0.25])
    """
    if rule == "gauss_legendre":
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        return (nodes + 1) / 2, weights / weights.sum()
    if rule == "midpoint":
        return (np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps)
    weights = np.full(steps, 1.0)
    weights[[0, -1]] = 0.5
    return np.linspace(0, 1, steps), weights / weights.sum()


KINKED, SMOOTH = 0.5, 0.15
"""Share of the Simpson difference that is reported as error.

On a smooth integrand the error of Simpson on halves is 1/15 of the difference, and the
extrapolated value is better still; at a kink it can be most of the difference. A panel counts as
smooth where its difference fell to a sixteenth of its parent's (smooth: 1/32; a kink: 1/4).
`python -m benchmarks.calibration` prints the coverage that these values give.
"""

ENOUGH = 0.75
"""Share of what is allowed that panels which are not cut may fill; the rest is for the new ones.

New panels are at best a sixteenth as wrong as the one that was cut. With less, panels are cut that
need not be; with more, another round is needed to cut them.
"""


@dataclass(eq=False)
class Panel:
    """A part of the path with five equally spaced nodes, its integral and its error.

    The integral is Boole's rule (Simpson on halves, extrapolated). Two signs of error are known:
    the L1 distance between Simpson on the whole and on the halves, and the panel's own gap: what
    its attributions sum to, against the score difference of its ends, which is exact.
    """

    nodes: tuple[float, ...]
    integral: FloatArray  # (targets, *units)
    spread: FloatArray  # (targets,) L1 distance between the two Simpson rules
    gap: FloatArray  # (targets,)
    bends: tuple[FloatArray, FloatArray]  # (targets,) each, L1 second differences of both halves
    parent: FloatArray | None = None  # spread of the panel that this is a half of

    @property
    def doubt(self) -> FloatArray:
        """Estimated L1 error of the integral, shape (targets,)."""
        share: FloatArray | float = KINKED
        if self.parent is not None:
            share = np.where(self.spread <= self.parent / 16, SMOOTH, KINKED)
        return np.maximum(share * self.spread, np.abs(self.gap))

    @property
    def doubts(self) -> tuple[FloatArray, FloatArray]:
        """The doubt of each half: that of the panel, shared out by how much the slopes bend."""
        left, right = self.bends
        both = left + right
        part = np.divide(left, both, out=np.full_like(both, 0.5), where=both > 0)
        return self.doubt * part, self.doubt * (1 - part)


def panel(
    nodes: tuple[float, ...],
    slopes: Sequence[FloatArray],
    scores: Sequence[FloatArray],
    parent: FloatArray | None = None,
) -> Panel:
    """Make a panel of five nodes, with the slope (targets, *units) and score at each."""
    width = nodes[-1] - nodes[0]
    a, b, c, d, e = slopes
    whole = (a + 4 * c + e) * (width / 6)
    halves = (a + 4 * b + 2 * c + 4 * d + e) * (width / 12)
    integral = halves + (halves - whole) / 15
    units = tuple(range(1, integral.ndim))
    spread = np.abs(halves - whole).sum(units)
    with np.errstate(invalid="ignore"):  # a score may be infinite; who integrates sees to it
        gap = integral.sum(units) - (scores[-1] - scores[0])
    bends = np.abs(a - 2 * b + c).sum(units), np.abs(c - 2 * d + e).sum(units)
    return Panel(nodes, integral, spread, gap, bends, parent)


def quarters(low: float, high: float) -> tuple[float, ...]:
    """Return the five nodes of a panel from `low` to `high`."""
    return tuple(low + (high - low) * i / 4 for i in range(5))


def to_cut(panels: Sequence[Panel], allowed: FloatArray) -> list[int]:
    """Return the fewest panels whose cutting leaves the others within `allowed`, worst first."""
    doubts = np.array([p.doubt for p in panels]) * (allowed > 0)  # (panels, targets)
    allowed = np.maximum(allowed, np.finfo(float).tiny)
    order = np.argsort(-(doubts / allowed).max(1), kind="stable")
    left = (doubts / allowed).sum(0)
    chosen: list[int] = []
    for index in order:
        if (left <= ENOUGH).all():
            break
        chosen.append(int(index))
        left = left - doubts[index] / allowed
    return chosen
