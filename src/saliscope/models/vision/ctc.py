"""Connectionist temporal classification: exact probabilities of strings, and who says them when.

A CTC model says at each frame one symbol or the blank; a string is what is left when repeats are
merged and blanks are dropped. Its probability is a sum over all alignments, taken by the forward
algorithm of Graves et al. 2006 (eq. 5 to 8) in logarithms and float64, so that long lines do not
underflow. Its slope is the posterior of the alignments (their eq. 14 and 15), so that one pass in
both directions gives value, gradient and occupancies. All strings of all rows go together.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from saliscope.core.units import FloatArray
from saliscope.models.rules.tape import told

__all__ = [
    "Run", "States", "aligned", "best_path", "frames_needed", "log_probs", "occupancies",
    "posteriors", "summed",
]  # fmt: skip

Ids = Sequence[int]


@dataclass(frozen=True, eq=False)
class States:
    """The states that strings pass through: symbols with blanks between, padded to the longest.

    Parameters
    ----------
    symbols : torch.Tensor of int, shape (strings, states)
    real : torch.Tensor of bool, shape (strings, states)
        Which states are no padding.
    skips : torch.Tensor of bool, shape (strings, states)
        Which states may be entered from two before: symbols that differ from the one before.
    """

    symbols: torch.Tensor
    real: torch.Tensor
    skips: torch.Tensor

    @classmethod
    def of(cls, strings: Sequence[Ids], blank: int, device: torch.device) -> States:
        """Return the states of some strings."""
        width = 2 * max(map(len, strings), default=0) + 1
        symbols = np.full((len(strings), width), blank, dtype=np.int64)
        real = np.zeros(symbols.shape, dtype=bool)
        for row, string in enumerate(strings):
            symbols[row, 1 : 2 * len(string) : 2] = string
            real[row, : 2 * len(string) + 1] = True
        skips = np.zeros(symbols.shape, dtype=bool)
        skips[:, 2:] = (symbols[:, 2:] != blank) & (symbols[:, 2:] != symbols[:, :-2])
        return cls(*(torch.from_numpy(array).to(device) for array in (symbols, real, skips)))

    @property
    def lengths(self) -> torch.Tensor:
        """Number of states of each string."""
        return self.real.sum(1)

    def turned(self, along: torch.Tensor) -> torch.Tensor:
        """Return what stands along states, (..., strings, states), the last of a string first."""
        width = along.shape[-1]
        places = (self.lengths[:, None] - 1 - torch.arange(width, device=along.device)).clamp(0)
        return along.gather(-1, places.expand(along.shape))

    def emitted(self, frames: torch.Tensor) -> torch.Tensor:
        """Return what frames give to each state, shape (frames, rows, strings, states)."""
        picked = frames.double()[:, :, self.symbols].movedim(1, 0)
        return picked.masked_fill(~self.real, -torch.inf)


def _forward(emitted: torch.Tensor, skips: torch.Tensor) -> torch.Tensor:
    """Return the log-probability of all ways into each state at each frame (eq. 6).

    Shapes are those of `States.emitted`; `skips` broadcasts along them.
    """
    # Two states that cannot be stand before the first one, so that all are entered alike.
    padded = emitted.new_full((*emitted.shape[:-1], emitted.shape[-1] + 2), -torch.inf)
    alpha = padded[..., 2:]
    alpha[0, ..., :2] = emitted[0, ..., :2]
    closed = torch.zeros_like(emitted[0]).masked_fill_(~skips, -torch.inf)
    for at in range(1, len(emitted)):
        before = padded[at - 1]
        near = torch.logaddexp(before[..., 2:], before[..., 1:-1])
        ways = torch.logaddexp(near, before[..., :-2] + closed)
        alpha[at] = ways.add_(emitted[at])
    return alpha


def _total(alpha: torch.Tensor, states: States) -> torch.Tensor:
    """Return the log-probability of each string (eq. 8), shape (rows, strings)."""
    last = (states.lengths - 1).expand(alpha.shape[1:-1])[..., None]
    ends = alpha[-1].gather(-1, torch.cat([last, (last - 1).clamp(0)], -1))
    one_state = last[..., 0] == 0  # an empty string ends in its blank only
    return torch.where(one_state, ends[..., 0], ends.logsumexp(-1))


def posteriors(frames: torch.Tensor, states: States) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the log-probability of strings, and the posterior of their states at each frame.

    Shapes (rows, strings) and (frames, rows, strings, states). A string that cannot be has a
    posterior of zero.
    """
    emitted = states.emitted(frames)
    # Backwards is forwards on what is turned around; both go in one loop.
    both = torch.stack([emitted, states.turned(emitted.flip(0))], 1)
    turned = states.turned(states.real & _turned_skips(states))
    skips = torch.stack([states.skips, turned])[:, None]
    alpha, beta = _forward(both, skips).unbind(1)
    del both  # of a very long line each of these is hundreds of megabytes
    total = _total(alpha, states)
    joint = states.turned(beta).flip(0).add_(alpha).sub_(emitted).sub_(total[..., None]).exp_()
    possible = states.real & torch.isfinite(total)[..., None]
    return total, joint.masked_fill_(~(possible & torch.isfinite(emitted)), 0.0)


def _turned_skips(states: States) -> torch.Tensor:
    """Return which states may be left to two behind, at the state that is left."""
    left = torch.zeros_like(states.skips)
    left[:, :-2] = states.skips[:, 2:]
    return left


def summed(said: torch.Tensor, weight: torch.Tensor, states: States, symbols: int) -> torch.Tensor:
    """Add up what stands along states for each symbol, weighted by string.

    Parameters
    ----------
    said : torch.Tensor, shape (frames, rows, strings, states)
    weight : torch.Tensor, shape (rows, strings)
    states : States
    symbols : int

    Returns
    -------
    torch.Tensor, shape (rows, frames, symbols)
    """
    weighted = (said * weight[..., None]).flatten(2)
    out = weighted.new_zeros(*weighted.shape[:2], symbols)
    out.index_add_(2, states.symbols.flatten(), weighted)
    return out.movedim(0, 1)


class CTC(torch.autograd.Function):
    """The log-probability of strings, whose slope at a frame is who is there (eq. 15)."""

    @staticmethod
    def forward(ctx: Any, frames: torch.Tensor, symbols: torch.Tensor, *rest: Any) -> torch.Tensor:
        """Run both directions, and keep the posterior."""
        total, said = posteriors(frames, States(symbols, *rest))
        ctx.save_for_backward(said, symbols, *rest)
        ctx.shape, ctx.kind = frames.shape, frames.dtype
        return total

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> Any:
        """Add up the posterior of each symbol."""
        said, *states = ctx.saved_tensors
        return summed(said, slope, States(*states), ctx.shape[-1]).to(ctx.kind), None, None, None


def log_probs(frames: torch.Tensor, strings: Sequence[Ids], blank: int = 0) -> torch.Tensor:
    """Return the exact log-probability of strings, summed over all alignments.

    Parameters
    ----------
    frames : torch.Tensor, shape (rows, frames, symbols)
        Log-probabilities (normalized along the last axis) of the symbols at each frame.
    strings : sequence of sequence of int
        Symbols of each string, without blanks; an empty one is allowed.
    blank : int

    Returns
    -------
    torch.Tensor, shape (rows, strings)
        In float64; -inf where a string has no alignment. Differentiable once in `frames`.

    Examples
    --------
    With two frames and one symbol beside the blank, three alignments say it: "aa", "-a", "a-".

    >>> frames = torch.tensor([[[0.4, 0.6], [0.7, 0.3]]]).log()
    >>> log_probs(frames, [[1], []]).exp().numpy().round(6).tolist()
    [[0.72, 0.28]]
    """
    states = States.of(strings, blank, frames.device)
    if torch.is_grad_enabled() and frames.requires_grad:
        apply: Any = CTC.apply
        graded: torch.Tensor = apply(frames, states.symbols, states.real, states.skips)
        told(CTC, frames=frames, symbols=states.symbols, real=states.real, skips=states.skips)
        return graded
    return _total(_forward(states.emitted(frames.detach()), states.skips), states)


def occupancies(frames: torch.Tensor, string: Ids, blank: int = 0) -> FloatArray:
    """Return how probable it is that a frame says a character, given the whole string.

    Parameters
    ----------
    frames : torch.Tensor, shape (frames, symbols)
        Log-probabilities.
    string : sequence of int
    blank : int

    Returns
    -------
    numpy.ndarray, shape (frames, characters)
        In float64. What a row lacks to 1 is the posterior of a blank there. All zero where the
        string has no alignment.

    Examples
    --------
    >>> frames = torch.tensor([[0.4, 0.6], [0.7, 0.3]]).log()
    >>> occupancies(frames, [1]).round(4).tolist()
    [[0.8333], [0.4167]]
    """
    states = States.of([string], blank, frames.device)
    with torch.no_grad():
        _, posterior = posteriors(frames[None], states)
    found: FloatArray = posterior[:, 0, 0, 1::2].cpu().numpy()
    return found


def frames_needed(string: Ids) -> int:
    """Return the fewest frames that can say a string: its length, and a blank in each repeat.

    Examples
    --------
    >>> frames_needed([3, 4, 4, 5])
    5
    """
    return len(string) + sum(a == b for a, b in itertools.pairwise(string))


@dataclass(frozen=True)
class Run:
    """A symbol that a path says, and the frames at which it does: `first` to `last`."""

    symbol: int
    first: int
    last: int


def best_path(frames: FloatArray, blank: int = 0) -> list[Run]:
    """Return what the most probable symbols of all frames say, blanks left out.

    Parameters
    ----------
    frames : numpy.ndarray, shape (frames, symbols)
        Any scores that rank symbols.
    blank : int

    Examples
    --------
    >>> scores = np.eye(3)[[1, 1, 0, 1, 2, 2]]
    >>> [(run.symbol, run.first, run.last) for run in best_path(scores)]
    [(1, 0, 1), (1, 3, 3), (2, 4, 5)]
    """
    path = frames.argmax(1)
    starts = np.flatnonzero(np.diff(path, prepend=-1))
    ends = np.append(starts[1:], len(path)) - 1
    return [
        Run(int(path[a]), int(a), int(b))
        for a, b in zip(starts, ends, strict=True)
        if path[a] != blank
    ]  # fmt: skip


def aligned(frames: FloatArray, string: Ids, blank: int = 0) -> list[Run]:
    """Return the frames of each character on the most probable alignment of a string.

    Parameters
    ----------
    frames : numpy.ndarray, shape (frames, symbols)
        Log-probabilities.
    string : sequence of int
        One that has an alignment.
    blank : int

    Examples
    --------
    >>> frames = np.log([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.3, 0.2, 0.5]])
    >>> aligned(frames, [1, 2])
    [Run(symbol=1, first=1, last=1), Run(symbol=2, first=2, last=2)]
    """
    states = States.of([string], blank, torch.device("cpu"))
    symbols, skips = states.symbols[0].numpy(), states.skips[0].numpy()
    emitted = frames[:, symbols]
    best = np.full(len(symbols), -np.inf)
    best[:2] = emitted[0, :2]
    came = np.zeros(emitted.shape, dtype=np.int8)
    for at in range(1, len(frames)):
        ways = np.full((3, len(symbols)), -np.inf)
        ways[0] = best
        ways[1, 1:] = best[:-1]
        ways[2, 2:] = np.where(skips[2:], best[:-2], -np.inf)
        came[at] = ways.argmax(0)
        best = ways.max(0) + emitted[at]
    state = len(symbols) - 1
    if state and best[state - 1] > best[state]:
        state -= 1
    path = np.empty(len(frames), dtype=np.int64)
    for at in range(len(frames) - 1, -1, -1):
        path[at] = state
        state -= int(came[at, state])
    found = []
    for place, symbol in enumerate(string):
        own = np.flatnonzero(path == 2 * place + 1)
        found.append(Run(int(symbol), int(own[0]), int(own[-1])))
    return found
