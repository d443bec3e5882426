"""Cooperative games, and their values straight from the definitions, one player at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn

Score = Callable[[frozenset[int]], float]


def subsets(players: Iterable[int]) -> list[frozenset[int]]:
    """Return every subset."""
    members = list(players)
    return [
        frozenset(chosen)
        for size in range(len(members) + 1)
        for chosen in itertools.combinations(members, size)
    ]


def by_permutations(score: Score, players: int) -> np.ndarray:
    """Shapley 1953: the mean marginal contribution over all orders of joining."""
    total = np.zeros(players)
    for order in itertools.permutations(range(players)):
        present: frozenset[int] = frozenset()
        for player in order:
            total[player] += score(present | {player}) - score(present)
            present |= {player}
    return total / math.factorial(players)


def by_subsets(score: Score, players: int) -> np.ndarray:
    """Shapley 1953: the weighted sum over all coalitions that a player may join."""
    values = np.zeros(players)
    for i in range(players):
        for s in subsets(set(range(players)) - {i}):
            weight = math.factorial(len(s)) * math.factorial(players - len(s) - 1)
            values[i] += weight / math.factorial(players) * (score(s | {i}) - score(s))
    return values


def interactions(score: Score, players: int) -> np.ndarray:
    """Grabisch & Roubens 1999: the weighted sum of second differences over all coalitions."""
    values = np.zeros((players, players))
    for i, j in itertools.permutations(range(players), 2):
        for s in subsets(set(range(players)) - {i, j}):
            weight = math.factorial(len(s)) * math.factorial(players - len(s) - 2)
            both = score(s | {i, j}) - score(s | {i}) - score(s | {j}) + score(s)
            values[i, j] += weight / math.factorial(players - 1) * both
    return values


class Game(nn.Module):
    """A game as a module: a player is present where the input is 1, and absent where it is 0.

    Parameters
    ----------
    score : callable
        Of a boolean tensor (rows, players); returns (rows,) or (rows, targets).
    """

    def __init__(self, score: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.score = score

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the scores as a column (or columns)."""
        found = self.score(rows > 0.5).to(rows.dtype)
        return found if found.ndim == 2 else found[:, None]


def of_function(
    f: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, b: torch.Tensor
) -> Score:
    """Return the game of one target: players keep the input, absent ones have the baseline."""

    def score(present: frozenset[int]) -> float:
        mask = torch.tensor([i in present for i in range(x.numel())]).reshape(x.shape)
        with torch.no_grad():
            return float(f(torch.where(mask, x, b)[None])[0])

    return score
