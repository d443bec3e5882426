"""Combinations of independent sites: how common each is where linkage is not known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saliscope.core.errors import OptionError
from saliscope.variants.statistics.common import FloatArray, finite

__all__ = ["Combination", "combinations"]

Combination = tuple[tuple[int, int], ...]
"""The sites that do not have their reference: site and alternative, both from 0, in order."""


def combinations(sites: Sequence[FloatArray], least: float) -> list[tuple[Combination, FloatArray]]:
    """Return the combinations of alternatives that are common in some group, with their shares.

    Under linkage equilibrium sites are independent, so that a combination has the product of the
    shares of its alternatives, and of 1 minus their sum at each site that has its reference.
    Combinations are counted out, not drawn, so that shares are exact. Those rarer than `least` in
    every group are left out: what the shares of a group lack to 1 is theirs.

    Parameters
    ----------
    sites : sequence of array of float, each of shape (alternatives, groups)
        Shares of the alternatives, which exclude each other.
    least : float
        Share that a combination must have in at least one group; above 0.

    Returns
    -------
    list of (Combination, array of float, shape (groups,))
        In the order of the sites, reference before alternatives.

    Raises
    ------
    OptionError
        `least` is not above 0 and at most 1.
    InputError
        A share is not a finite number.

    Notes
    -----
    A product only becomes smaller with each further site, so combinations are dropped as soon as
    they are too rare; not more than groups/least are ever held.

    Examples
    --------
    >>> two = [np.array([[0.25, 0.5]]), np.array([[0.5, 0.0]])]
    >>> for chosen, shares in combinations(two, least=0.25):
    ...     print(chosen, shares)
    () [0.375 0.5  ]
    ((1, 0),) [0.375 0.   ]
    ((0, 0),) [0.125 0.5  ]
    """
    if not 0 < least <= 1:
        msg = f"least={least} must be above 0 and at most 1"
        raise OptionError(msg)
    chosen: list[Combination] = [()]
    shares = np.ones((1, sites[0].shape[1] if sites else 1))
    for index, site in enumerate(sites):
        alternatives = finite(site, "shares", ndim=2)
        # Overlapping alleles, counted apart, may add up to more than all chromosomes.
        reference = np.maximum(0.0, 1.0 - alternatives.sum(axis=0, keepdims=True))
        options = np.concatenate([reference, alternatives])
        products = shares[:, None] * options[None]
        kept = np.argwhere(products.max(axis=2) >= least)
        chosen = [
            (*chosen[row], (index, int(option) - 1)) if option else chosen[row]
            for row, option in kept
        ]
        shares = products[kept[:, 0], kept[:, 1]]
    return list(zip(chosen, shares, strict=True))
