"""Scores of terms in the same templates: effects, intervals over templates, and p-values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saliscope.audit.tables.telling import interval, resampled
from saliscope.core.units import FloatArray

__all__ = ["LEVEL", "NOISE", "Effects", "effects_of", "in_reach"]

LEVEL = 0.05
"""An effect is clear where its corrected p-value is at most this."""
NOISE = 1e-5
"""Differences below this share of the largest score (or of 1) are arithmetic, not effects."""
_AT_ONCE = 1 << 23  # numbers of draws that are held


@dataclass(frozen=True, eq=False)
class Effects:
    """What swapping does, one number per term.

    Parameters
    ----------
    effect, low, high : numpy.ndarray, shape (terms,)
        Mean over templates of a term's score minus the template's mean; 95 % percentile interval
        over bootstrap samples of templates.
    p, corrected : numpy.ndarray, shape (terms,)
        Of a two-sided sign-flip test over templates; corrected by Holm for all terms.
    above : numpy.ndarray, shape (terms,)
        Share of templates in which the term is above the mean.
    """

    effect: FloatArray
    low: FloatArray
    high: FloatArray
    p: FloatArray
    corrected: FloatArray
    above: FloatArray

    @property
    def clear(self) -> npt.NDArray[np.bool_]:
        """Whether the corrected p-value is at most `LEVEL`."""
        return np.asarray(self.corrected <= LEVEL)


def effects_of(scores: FloatArray, *, draws: int, seed: int) -> Effects:
    """Return effects of terms from their scores in the same templates.

    A template is one observation: its scores share everything but the term. Under the null a
    term's deviation from the template's mean is as likely up as down, so that signs may be
    flipped, template by template (Fisher 1935, The Design of Experiments, section 21).

    Parameters
    ----------
    scores : numpy.ndarray, shape (templates, terms)
    draws : int
        Bootstrap samples, and random flips.
    seed : int

    Examples
    --------
    >>> scores = np.array([[0.2, 0.4], [0.5, 0.7], [0.1, 0.3]] * 4)
    >>> found = effects_of(scores, draws=999, seed=0)
    >>> found.effect.round(3).tolist(), found.low.round(3).tolist(), found.clear.tolist()
    ([-0.1, 0.1], [-0.1, 0.1], [True, True])
    """
    rng = np.random.default_rng(seed)
    templates, terms = scores.shape
    away = scores - scores.mean(1, keepdims=True)
    away[np.abs(away) <= NOISE * max(1.0, float(np.abs(scores).max()))] = 0.0
    effect = away.mean(0)
    samples = np.concatenate(
        [resampled(templates, n, rng)[1:] @ away / templates for n in _parts(draws, templates)]
    )
    ends = np.array([interval(column) for column in samples.T])
    beaten = np.zeros(terms)
    least = np.abs(effect) * (1 - 1e-12)  # a flip of all signs is as large, but for rounding
    for n in _parts(draws, templates):
        signs = rng.integers(0, 2, (n, templates)) * 2.0 - 1.0
        beaten += (np.abs(signs @ away / templates) >= least).sum(0)
    p = (beaten + 1) / (draws + 1)
    return Effects(effect, ends[:, 0], ends[:, 1], p, _holm(p), (away > 0).mean(0))


def in_reach(templates: int, terms: int, draws: int) -> bool:
    """Return whether so few templates could show a clear effect at all.

    Examples
    --------
    >>> in_reach(6, 2, 9999), in_reach(5, 2, 9999), in_reach(8, 51, 9999)
    (True, False, False)
    """
    smallest = max(2.0 ** (1 - templates), 1 / (draws + 1))
    return smallest * (terms if terms > 2 else 1) <= LEVEL


def _holm(p: FloatArray) -> FloatArray:
    """Return p-values corrected for all terms; two terms are one comparison from two sides."""
    if len(p) == 2:
        return p.copy()
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    found = np.empty_like(p)
    found[order] = np.minimum(stepped, 1.0)
    return found


def _parts(draws: int, templates: int) -> Iterator[int]:
    """Yield how many draws are made at once."""
    size = max(1, _AT_ONCE // templates)
    for start in range(0, draws, size):
        yield min(size, draws - start)
