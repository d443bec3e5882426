"""Numbers per protein and map, and their combination over proteins."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from saliscope.core.units import FloatArray
from saliscope.sites.features import Sites
from saliscope.sites.nulls import auroc, enrichment, matched_p, shift_p

__all__ = ["Rows", "Tally"]

_NUMBERS = ("enrichment", "auroc", "p_shift", "p_matched")

Rows = tuple[pd.DataFrame, FloatArray]
"""Names of maps, and their values, shape (maps, residues that take part)."""


class Tally:
    """Numbers per protein and map, and their combination."""

    def __init__(self, draws: int, seed: int) -> None:
        self._draws, self._seed = draws, seed
        self._parts: list[pd.DataFrame] = []

    def add(self, number: int, one: Sites, rows: Rows) -> None:
        """Take the maps of one protein; the n-th protein draws the same for every caller."""
        names, values = rows
        mask, letters = one.mask[one.part], one.sequence[one.part]
        rng = np.random.default_rng([self._seed, number])
        found = names.assign(
            protein=one.name or f"protein {number + 1}", residues=mask.size, sites=int(mask.sum()),
            enrichment=enrichment(values, mask), auroc=auroc(values, mask),
            p_shift=shift_p(values, mask),
            p_matched=matched_p(values, mask, letters, draws=self._draws, rng=rng),
        )  # fmt: skip
        self._parts.append(found)

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the combined table and the one per protein."""
        every = pd.concat(self._parts, ignore_index=True)
        keys = [c for c in every if c in {"layer", "head", "map", "rival"}]
        rows = []
        for name, group in every.groupby(keys, sort=False):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                size = float(np.exp(np.nanmean(np.log(group["enrichment"].to_numpy()))))
            rows.append({
                **dict(zip(keys, name, strict=True)), "proteins": len(group), "enrichment": size,
                "auroc": float(group["auroc"].mean()),
                **{p: _stouffer(group[p].to_numpy()) for p in ("p_shift", "p_matched")},
            })  # fmt: skip
        table = pd.DataFrame(rows)
        for p in ("p_shift", "p_matched"):
            table[p.replace("p_", "q_")] = _false_discovery(table[p].to_numpy())
        order = [*keys, "proteins", "enrichment", "auroc", "p_shift", "q_shift", "p_matched",
                 "q_matched"]  # fmt: skip
        first = ["protein", "residues", "sites", *keys]
        return table[order], every[[*first, *_NUMBERS]]


def _stouffer(p: FloatArray) -> float:
    """Return the p of the sum of z over proteins (Stouffer 1949), those without a p left out."""
    from scipy.stats import combine_pvalues

    known = p[np.isfinite(p)]
    if not len(known):
        return float("nan")
    return float(known[0]) if len(known) == 1 else float(combine_pvalues(known, "stouffer").pvalue)


def _false_discovery(p: FloatArray) -> FloatArray:
    from scipy.stats import false_discovery_control

    q = np.full(p.shape, np.nan)
    known = np.isfinite(p)
    if known.any():
        q[known] = false_discovery_control(p[known])
    return q
