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
_EAGER = 9  # nodes of the first ask

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


_Wanted = tuple[tuple[float, ...], FloatArray | None]  # nodes of a panel, spread of its parent


def _nodes(wanted: Sequence[_Wanted]) -> list[float]:
    return sorted({node for nodes, _ in wanted for node in nodes})


def _panels(
    wanted: Sequence[_Wanted],
    slopes: Mapping[float, FloatArray],
    scores: Mapping[float, FloatArray],
) -> list[Panel]:
    return [
        panel(nodes, [slopes[n] for n in nodes], [scores[n] for n in nodes], spread)
        for nodes, spread in wanted
    ]


def integrate(
    evaluate: Callable[[Sequence[float]], Evaluation], tolerance: float, limit: int
) -> Generator[Ask, Answer, Integral]:
    """Refine the integral until its error is below `tolerance`, or `limit` nodes were used."""
    slopes: dict[float, FloatArray] = {}
    scores: dict[float, FloatArray] = {}
    panels: list[Panel] = []
    findings: list[Finding] = []
    end: FloatArray | None = None
    # Few paths are done with five nodes, so the nine of both halves are asked for together.
    halves = [quarters(0.0, 0.5), quarters(0.5, 1.0)]
    wanted: list[_Wanted] = [(quarters(0.0, 1.0), None)]
    fresh = _nodes([(nodes, None) for nodes in halves] if limit >= _EAGER else wanted)
    while True:
        gradients, values_at = yield from evaluate(fresh)
        slopes |= dict(zip(fresh, gradients, strict=True))
        scores |= dict(zip(fresh, values_at, strict=True))
        made = _panels(wanted, slopes, scores)
        if end is None:
            end = slopes[1.0]
            if limit >= _EAGER:
                made = _panels([(nodes, made[0].spread) for nodes in halves], slopes, scores)
        panels += made
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
        chosen = to_cut(panels, tolerance * scale)
        if len(scores) + 4 * len(chosen) > limit:
            chosen = chosen[: max(0, (limit - len(scores)) // 4)]
        widths = [panels[i].nodes[1] - panels[i].nodes[0] for i in chosen]
        if not widths or min(widths) < _NARROWEST:
            worst = float(relative.max())
            findings.append(
                finding("evaluation_cap", evaluations=len(scores), error=worst, tolerance=tolerance)
            )
            break
        wanted = []
        for index in chosen:
            low, _, middle, _, high = panels[index].nodes
            spread = panels[index].spread
            wanted += [(quarters(low, middle), spread), (quarters(middle, high), spread)]
        panels = [p for i, p in enumerate(panels) if i not in set(chosen)]
        needed = {n for p in panels for n in p.nodes} | set(_nodes(wanted))
        slopes = {n: s for n, s in slopes.items() if n in needed}
        fresh = [node for node in _nodes(wanted) if node not in scores]
    return Integral(
        values, scores[0.0], scores[1.0], relative, end, len(scores), len(panels), tuple(findings)
    )
