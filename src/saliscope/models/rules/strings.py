"""A rule for the log-probability of a string over all alignments (CTC).

It is a function of many numbers that has no parts of one: the alignments are too many, and taken
apart along the frames, what a frame gets would depend on the end from which one starts. For
functions of one number the Rescale multiplier is the mean slope between the two runs; so here it
is the mean gradient on the straight line between the frames of both (Aumann & Shapley 1974;
Sundararajan, Taly & Yan 2017, equation 1, at this one operation). The gradient is the posterior
that a frame says a symbol (Graves et al. 2006), and along the line the log-probability is smooth
and convex.
"""

from __future__ import annotations

import numpy as np
import torch

from saliscope.core.errors import RefusedError
from saliscope.models.rules.rescale import given
from saliscope.models.rules.tape import Back, Grads, Step
from saliscope.models.vision.ctc import States, posteriors, summed

__all__ = ["alignments"]

_NODES = 16  # of each panel
_TOLERANCE = 1e-9  # of what a panel gives, by which it may differ from its two halves
_NARROWEST = 2.0**-20


def alignments(step: Step, twin: Step) -> Back:
    """Return the rule of the log-probability of strings."""
    one, two = (s["frames"].double() for s in (step, twin))
    if not bool(one.isfinite().all() and two.isfinite().all()):
        msg = "the log-probability of a string with a symbol that has a probability of zero"
        raise RefusedError(msg)
    states = States(step["symbols"], step["real"], step["skips"])
    mean = _mean(one, two, states)

    def back(incoming: Grads) -> Grads:
        return (summed(mean, given(incoming[0]), states, one.shape[-1]), None, None, None)

    return back


def _mean(one: torch.Tensor, two: torch.Tensor, states: States) -> torch.Tensor:
    """Return the mean posterior between two runs, shape (frames, rows, strings, states)."""
    nodes, weights = (torch.from_numpy(a) / 2 for a in np.polynomial.legendre.leggauss(_NODES))
    share = weights.to(one)[:, None, None, None]
    apart = (states.emitted(one) - states.emitted(two)).abs().nan_to_num(0.0)

    def part(low: float, high: float) -> torch.Tensor:
        at = (low + high) / 2 + (high - low) * nodes.to(one)
        lines = torch.lerp(two, one, at[:, None, None, None])
        _, found = posteriors(lines.flatten(0, 1), states)
        every: torch.Tensor = found.unflatten(1, (_NODES, len(one))) * share
        return (high - low) * every.sum(1)

    waiting = [(0.0, 1.0, part(0.0, 1.0))]
    total = torch.zeros_like(apart)
    while waiting:
        low, high, whole = waiting.pop()
        middle = (low + high) / 2
        left, right = part(low, middle), part(middle, high)
        both = left + right
        wrong, size = (((t * apart).sum((0, -1))) for t in ((both - whole).abs(), both))
        if high - low > _NARROWEST and bool((wrong > _TOLERANCE * size).any()):
            waiting += [(low, middle, left), (middle, high, right)]
        else:
            total += both
    return total
