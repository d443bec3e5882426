"""Attention flow: the most that can flow from one token to another through all layers.

The layers are a graph: a node per token and layer, from each query an edge to every key of the
layer below, whose capacity is the attention. Source: Abnar & Zuidema 2020, arXiv:2005.00928,
section 3.

The solver counts in whole numbers, so capacities are rounded to ``2^-30``. What it finds is used
for its cut only: the flow is as large as the smallest cut (Ford & Fulkerson 1956), and the
capacities of that cut are summed in float64 as they are. The result is too large by at most the
rounding of the edges of another cut, and exact where the cut is the smallest one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import RefusedError
from saliscope.core.units import FloatArray

__all__ = ["MOST", "attention_flow", "check_size"]

MOST = 150_000_000
"""Edges that all flows of one input may go over: about half a minute."""

_ONE = 2**30


def check_size(name: str, sources: int, sinks: int, layers: int, tokens: int) -> None:
    """Refuse what would take long.

    Raises
    ------
    RefusedError
        If flows times edges are more than `MOST`.
    """
    work = sources * sinks * layers * tokens**2
    if work > MOST:
        msg = (
            f"{name}: {sources * sinks:,} flows through {layers} layers of {tokens} tokens go over "
            f"{work:,} edges, more than {MOST:,}; use rollout, shorten the input, or read the "
            "target at one position"
        )
        raise RefusedError(msg)


def attention_flow(weights: FloatArray, sources: npt.ArrayLike, sinks: npt.ArrayLike) -> FloatArray:
    """Return the largest flow from tokens of the last layer to tokens of the input.

    Parameters
    ----------
    weights : numpy.ndarray, shape (layers, tokens, tokens)
        Attention of each query (rows) to each key, the first layer first; rows sum to 1. Half of
        each token's capacity goes to itself in the layer below, as in rollout.
    sources, sinks : array-like of int
        Tokens of the last layer's output, and of the first layer's input.

    Returns
    -------
    numpy.ndarray, shape (sources, sinks)

    Examples
    --------
    >>> half = np.array([[[0.5, 0.5], [0.0, 1.0]]])  # one layer: capacities (W + I) / 2
    >>> attention_flow(half, [0], [0, 1]).tolist()
    [[0.75, 0.25]]
    """
    try:
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import breadth_first_order, maximum_flow
    except ImportError as error:
        msg = "scipy is not installed, and attention_flow needs it; run: pip install scipy"
        raise RefusedError(msg) from error
    layers, tokens, _ = weights.shape
    tops = layers * tokens + np.asarray(sources, dtype=np.int64)
    ends = np.asarray(sinks, dtype=np.int64)
    mixed = (np.asarray(weights, dtype=np.float64) + np.eye(tokens)) / 2
    mixed /= mixed.sum(-1, keepdims=True)
    above = np.arange(1, layers + 1)[:, None, None] * tokens
    queries = (above + np.arange(tokens)[None, :, None]) + np.zeros_like(mixed, dtype=np.int64)
    keys = (above - tokens + np.arange(tokens)[None, None]) + np.zeros_like(queries)
    start, end, capacity = queries.ravel(), keys.ravel(), mixed.ravel()
    size = (layers + 1) * tokens
    whole = np.rint(capacity * _ONE).astype(np.int32)
    graph = csr_array((whole, (start, end)), shape=(size, size))
    found = np.zeros((len(tops), len(ends)))
    for row, top in enumerate(tops):
        for column, sink in enumerate(ends):
            left = graph - maximum_flow(graph, int(top), int(sink)).flow
            left.eliminate_zeros()
            reached = np.zeros(size, dtype=bool)
            reached[breadth_first_order(left, int(top))[0]] = True
            found[row, column] = capacity[reached[start] & ~reached[end]].sum()
    return found
