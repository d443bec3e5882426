"""The integral along a path by bisection, asked for node by node until it is exact enough.

Who integrates says how slopes and scores at some nodes are had; which nodes are needed, and how
wrong the integral still is, is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from saliscope.core.ask import Answer, Ask
from saliscope.core.health import Finding, finding
from saliscope.core.quadrature import Panel, panel, quarters, to_cut
from saliscope.core.units import FloatArray

__all__ = ["Evaluation", "Integral", "integrate"]

_ROUNDING = 1e-5
_NARROWEST = 1e-9
_EAGER = 9  # nodes of the first ask: few paths are done with five
_DEEP = 32.0  # the error of Simpson's rule on a half is at best this much smaller

Evaluation = Generator[Ask, Answer, tuple[FloatArray, FloatArray]]
"""Asks, and returns slopes (nodes, targets, *units) and scores (nodes, targets)."""


@dataclass(frozen=True, eq=False)
class Integral:
    """An integral over [0, 1] and how good it is.

    Parameters
    ----------
    values : numpy.ndarray, shape (targets, *units)
    low, high : numpy.ndarray, shape (targets,)
        Scores at 0 and 1.
    error : numpy.ndarray, shape (targets,)
        Estimated L1 error relative to max(|high - low|, sum of |values|).
    end : numpy.ndarray, shape (targets, *units)
        Slopes at 1.
    nodes, panels : int
    findings : tuple of Finding
    """

    values: FloatArray
    low: FloatArray
    high: FloatArray
    error: FloatArray
    end: FloatArray
    nodes: int
    panels: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, eq=False)
class _Wanted:
    """A panel to be made, or `deep`, the halves of one that is surely not exact enough itself."""

    low: float
    high: float
    parent: FloatArray | None
    deep: bool

    @property
    def halves(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        middle = (self.low + self.high) / 2
        return quarters(self.low, middle), quarters(middle, self.high)

    @property
    def nodes(self) -> set[float]:
        """All nodes that it takes."""
        left, right = self.halves
        return {*left, *right} if self.deep else set(quarters(self.low, self.high))

    def made(
        self, slopes: Mapping[float, FloatArray], scores: Mapping[float, FloatArray]
    ) -> list[Panel]:
        """Return its panel, or those of its halves."""

        def one(nodes: tuple[float, ...], parent: FloatArray | None) -> Panel:
            return panel(nodes, [slopes[n] for n in nodes], [scores[n] for n in nodes], parent)

        whole = one(quarters(self.low, self.high), self.parent)
        return [one(half, whole.spread) for half in self.halves] if self.deep else [whole]


def integrate(
    evaluate: Callable[[Sequence[float]], Evaluation], tolerance: float, limit: int
) -> Generator[Ask, Answer, Integral]:
    """Refine the integral until its error is below `tolerance`, or `limit` nodes were used."""
    slopes: dict[float, FloatArray] = {}
    scores: dict[float, FloatArray] = {}
    panels: list[Panel] = []
    findings: list[Finding] = []
    end: FloatArray | None = None
    wanted = [_Wanted(0.0, 1.0, None, deep=limit >= _EAGER)]
    while True:
        fresh = sorted({node for one in wanted for node in one.nodes} - scores.keys())
        gradients, values_at = yield from evaluate(fresh)
        slopes |= dict(zip(fresh, gradients, strict=True))
        scores |= dict(zip(fresh, values_at, strict=True))
        if end is None:
            end = slopes[1.0]
        panels += [made for one in wanted for made in one.made(slopes, scores)]
        values = np.sum([p.integral for p in panels], axis=0)
        units = tuple(range(1, values.ndim))
        change = scores[1.0] - scores[0.0]
        # Without a slope anywhere, rounding alone moves the score.
        still = (np.abs(values).sum(units) + np.sum([p.spread for p in panels], axis=0)) == 0
        change[still & (np.abs(change) <= _ROUNDING * np.abs(scores[1.0]))] = 0.0
        scale = np.maximum(np.abs(change), np.abs(values).sum(units))
        error = np.sum([p.doubt for p in panels], axis=0)
        # Where everything is zero nothing is wrong; where a number is not finite, neither is this.
        with np.errstate(invalid="ignore"):
            relative = np.divide(error, scale, out=np.zeros_like(error), where=scale != 0)
        if not np.isfinite(relative).all() or (relative <= tolerance).all():
            break
        allowed = tolerance * scale
        chosen = to_cut(panels, allowed)
        beyond = np.where(allowed > 0, _DEEP * allowed, np.inf)
        deep = [[bool((d > beyond).any()) for d in panels[i].doubts] for i in chosen]
        room = max(0, (limit - len(scores)) // 4)
        if len(chosen) + sum(map(sum, deep)) > room:
            chosen = chosen[:room]
            deep = [[False, False]] * len(chosen)
        widths = [panels[i].nodes[1] - panels[i].nodes[0] for i in chosen]
        if not widths or min(widths) < _NARROWEST:
            worst = float(relative.max())
            findings.append(
                finding("evaluation_cap", evaluations=len(scores), error=worst, tolerance=tolerance)
            )
            break
        wanted = []
        for index, (left, right) in zip(chosen, deep, strict=True):
            low, _, middle, _, high = panels[index].nodes
            spread = panels[index].spread
            wanted.append(_Wanted(low, middle, spread, left))
            wanted.append(_Wanted(middle, high, spread, right))
        panels = [p for i, p in enumerate(panels) if i not in set(chosen)]
        needed = {n for p in panels for n in p.nodes} | {n for one in wanted for n in one.nodes}
        slopes = {n: s for n, s in slopes.items() if n in needed}
    return Integral(
        values, scores[0.0], scores[1.0], relative, end, len(scores), len(panels), tuple(findings)
    )
