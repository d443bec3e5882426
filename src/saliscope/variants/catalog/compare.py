"""Two catalogs beside each other: entries, scores, counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saliscope.core.errors import InputError
from saliscope.variants.catalog.catalog import Catalog

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What two catalogs of one gene share, and where they differ.

    Parameters
    ----------
    only_a, only_b : tuple of str
        Entries of one alone.
    entries : pandas.DataFrame
        Entries of both: `entry`, `score_a`, `score_b`, `score_difference`, `shift_a`, `shift_b`,
        `shift_difference` (b - a).
    counts : pandas.DataFrame
        `entry`, `by`, `group_name`, and of each side `source`, `ac`, `an`, `frequency`, with
        `ac_difference` and `frequency_difference` (b - a); missing where a side has no such row.
    same_model : bool
        Whether scores are of the same weights; shifts of two models have no common scale.
    """

    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    entries: pd.DataFrame
    counts: pd.DataFrame
    same_model: bool


def compare(a: Catalog, b: Catalog, *, sources: Mapping[str, str] | None = None) -> Comparison:
    """Compare two catalogs of one coding sequence.

    Parameters
    ----------
    a, b : Catalog
    sources : mapping of str to str, optional
        Which source of `a` stands beside which of `b`. By default those of one name, and then,
        of each kind (panel, population), the one that is left on both sides.

    Raises
    ------
    InputError
        They are of different coding sequences, or have no such source.
    """
    if a.meta["identity"]["cds"] != b.meta["identity"]["cds"]:
        names = " and ".join(c.meta["transcript"]["name"] for c in (a, b))
        msg = f"{a.folder}, {b.folder}: are of different coding sequences ({names})"
        raise InputError(msg)
    pairs = _pairs(a, b) if sources is None else dict(sources)
    for side, chosen in ((a, list(pairs)), (b, list(pairs.values()))):
        for source in chosen:
            if source not in side.meta["sources"]:
                msg = f"{side.folder}: has no source {source!r}; it has: {_listed(side)}"
                raise InputError(msg)
    one, other = a.entries().set_index("entry"), b.entries().set_index("entry")
    both = one[["score", "shift"]].join(
        other[["score", "shift"]], how="inner", lsuffix="_a", rsuffix="_b"
    )
    for name in ("score", "shift"):
        both[f"{name}_difference"] = both[f"{name}_b"] - both[f"{name}_a"]
    return Comparison(
        tuple(sorted(set(one.index) - set(other.index))),
        tuple(sorted(set(other.index) - set(one.index))),
        both.sort_index().reset_index(),
        _counts(a, b, pairs),
        a.meta["identity"]["model"] == b.meta["identity"]["model"],
    )


def _listed(catalog: Catalog) -> str:
    return ", ".join(sorted(catalog.meta["sources"])) or "none"


def _pairs(a: Catalog, b: Catalog) -> dict[str, str]:
    """Return which sources stand beside each other."""
    of_a, of_b = a.meta["sources"], b.meta["sources"]
    pairs = {name: name for name in of_a if name in of_b}
    for kind in ("panel", "population"):
        left = [n for n, s in of_a.items() if s["kind"] == kind and n not in pairs]
        right = [n for n, s in of_b.items() if s["kind"] == kind and n not in pairs]
        if len(left) == len(right) == 1:
            pairs[left[0]] = right[0]
    return pairs


def _counts(a: Catalog, b: Catalog, pairs: Mapping[str, str]) -> pd.DataFrame:
    columns = ["source", "ac", "an", "frequency"]
    keys = ["pair", "entry", "by", "group_name"]
    one, other = a.counts(), b.counts()
    one = one[one["source"].isin(list(pairs))].assign(pair=lambda f: f["source"].map(dict(pairs)))
    other = other[other["source"].isin(list(pairs.values()))].assign(pair=lambda f: f["source"])
    both = one.set_index(keys)[columns].join(
        other.set_index(keys)[columns], how="outer", lsuffix="_a", rsuffix="_b"
    )
    for name in ("ac", "frequency"):
        both[f"{name}_difference"] = both[f"{name}_b"] - both[f"{name}_a"]
    return both.sort_index().reset_index().drop(columns="pair")
