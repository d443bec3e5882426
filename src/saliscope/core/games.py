"""Exact values of cooperative games, from the score of every coalition.

A *coalition table* holds the score of every subset of n players: row m is the score where player i
takes part if, and only if, bit i of m is set.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt

from saliscope.core.units import FloatArray

__all__ = ["all_coalitions", "shapley_interactions", "shapley_values"]


def all_coalitions(players: int) -> npt.NDArray[np.bool_]:
    """Return who is in each coalition, shape (2^players, players), in the order of a table.

    Examples
    --------
    >>> all_coalitions(2).astype(int).tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    return (np.arange(1 << players)[:, None] >> np.arange(players) & 1).astype(bool)


def _weights(others: int) -> FloatArray:
    """Return the weight of each subset of the other players: sizes are equally likely."""
    by_size = np.array([1 / ((others + 1) * math.comb(others, size)) for size in range(others + 1)])
    return by_size[np.bitwise_count(np.arange(1 << others))]


def shapley_values(table: FloatArray) -> FloatArray:
    """Return the Shapley value of each player.

    Shapley (1953): phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S)).

    Parameters
    ----------
    table : numpy.ndarray, shape (2^n, targets)

    Returns
    -------
    numpy.ndarray, shape (targets, n)
        Each row sums to the score of all players together minus that of none.

    Examples
    --------
    >>> shapley_values(np.array([[0.0], [1.0], [2.0], [4.0]])).tolist()  # 1, 2 alone, 4 together
    [[1.5, 2.5]]
    """
    count, targets = table.shape
    players = count.bit_length() - 1
    weights = _weights(players - 1) if players else np.empty(0)
    values = np.empty((targets, players))
    for i in range(players):
        # (higher bits, bit i, lower bits): one step along the middle axis adds player i.
        step = np.diff(table.reshape(-1, 2, 1 << i, targets), axis=1).reshape(-1, targets)
        values[:, i] = weights @ step
    return values


def shapley_interactions(table: FloatArray) -> FloatArray:
    """Return the Shapley interaction index of each pair of players.

    Grabisch & Roubens (1999), equation 8: I_ij = sum over S without i and j of
    |S|! (n - |S| - 2)! / (n - 1)! (v(S + ij) - v(S + i) - v(S + j) + v(S)).

    Parameters
    ----------
    table : numpy.ndarray, shape (2^n, targets)

    Returns
    -------
    numpy.ndarray, shape (targets, n, n)
        Symmetric, with a diagonal of zeros.

    Examples
    --------
    >>> shapley_interactions(np.array([[0.0], [1.0], [2.0], [4.0]])).tolist()
    [[[0.0, 1.0], [1.0, 0.0]]]
    """
    count, targets = table.shape
    players = count.bit_length() - 1
    weights = _weights(players - 2) if players > 1 else np.empty(0)
    found = np.zeros((targets, players, players))
    for i, j in itertools.combinations(range(players), 2):
        # (higher bits, bit j, bits between, bit i, lower bits)
        parts = table.reshape(-1, 2, 1 << (j - i - 1), 2, 1 << i, targets)
        both = np.diff(np.diff(parts, axis=1), axis=3).reshape(-1, targets)
        found[:, i, j] = found[:, j, i] = weights @ both
    return found
