"""Linkage of the variants of a panel, beside the correlation of what a model says of them.

Variants that are inherited together are met together, in people and in training data. Whether the
model's attributions of linked variants go together too is asked over the panel's own proteins: what
a variant is worth on each of them, the score with it minus the score without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from saliscope.core.errors import InputError
from saliscope.core.units import FloatArray
from saliscope.variants.calls.panel import Panel
from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.haplotype import Change, Haplotype, haplotype
from saliscope.variants.effects.reference import comparable
from saliscope.variants.effects.scoring import Scorer
from saliscope.variants.statistics.linkage import (
    Linkage,
    LinkageCorrelation,
    attribution_correlation,
    correlate_with_linkage,
    pairwise_linkage,
)
from saliscope.variants.statistics.noise import TIMES_NOISE

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LinkedPair", "PanelLinkage", "panel_linkage"]

LEAST_CHROMOSOMES = 2
"""Copies of a variant in the panel; linkage of a variant seen once says nothing."""
MOST_VARIANTS = 30
MOST_PROTEINS = 50
"""Variants, and distinct proteins of the panel, the most frequent first: at most 1,500 scores."""

_Key = tuple[Edit, ...]


@dataclass(frozen=True)
class LinkedPair:
    """Two coding variants of a panel.

    Parameters
    ----------
    first, second : str
        Short names, in the order of the sequence.
    who : {"one copy", "two copies", "background", ""}
        The person has both on one copy, or has both on different copies only; the person has one,
        and carriers of it in the panel have the other; or neither.
    whole : Linkage
        In all groups together.
    groups : mapping of str to Linkage
        In each group; empty where the pair is not one of the person's.
    correlation : float, optional
        Of what the two are worth on the proteins of the panel.
    """

    first: str
    second: str
    who: str
    whole: Linkage
    groups: Mapping[str, Linkage] = field(default_factory=dict)
    correlation: float | None = None


@dataclass(frozen=True)
class PanelLinkage:
    """Linkage of all pairs of a panel's coding variants; made by `panel_linkage`.

    Parameters
    ----------
    pairs : tuple of LinkedPair
        Those of the person first, then by r squared.
    proteins : int
        Distinct proteins on which variants were put.
    correlation : LinkageCorrelation
    text : str
        What is said of all pairs: the correlation with its test, or why there is none.
    """

    pairs: tuple[LinkedPair, ...]
    proteins: int
    correlation: LinkageCorrelation
    text: str

    def to_frame(self) -> pd.DataFrame:
        """Return one row per pair and group; "all" is all groups together."""
        import pandas as pd

        rows = [
            {
                "first": pair.first, "second": pair.second, "person": pair.who, "group": group,
                "haplotypes": found.haplotypes, "with_first": found.first,
                "with_second": found.second, "with_both": found.both, "r2": found.r2,
                "d_prime": found.d_prime,
                "correlation_of_shifts": pair.correlation if group == "all" else None,
            }
            for pair in self.pairs
            for group, found in {"all": pair.whole, **pair.groups}.items()
        ]  # fmt: skip
        columns = [
            "first", "second", "person", "group", "haplotypes", "with_first", "with_second",
            "with_both", "r2", "d_prime", "correlation_of_shifts",
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=columns)


def panel_linkage(
    panel: Panel, scorer: Scorer, copies: Sequence[Haplotype], noise: float, *, seed: int = 0
) -> PanelLinkage:
    """Return the linkage of a panel's coding variants, and the correlation of their shifts.

    What a variant is worth on a protein of the panel is its shift there: the protein as it is minus
    without the variant where it is carried, with the variant put in minus as it is where it is not.
    Shifts of two variants are correlated over the distinct proteins, each weighted by its number
    of chromosomes.

    Parameters
    ----------
    panel : Panel
        Without the person.
    scorer : Scorer
        Remembers what it has scored; at most one further protein per variant and panel protein.
    copies : sequence of Haplotype
        The person's.
    noise : float
        Shifts that vary by less than ten times this are taken as constant.
    seed : int
        Of the permutations.

    Notes
    -----
    Kept are variants on at least two chromosomes, the person's own, and those that carriers of
    these have, at most 30, on the 50 most frequent proteins.

    Examples
    --------
    >>> from importlib import resources
    >>> from saliscope.variants.session import Gene, read_panel
    >>> tpmt = resources.files("saliscope") / "samples" / "tpmt"
    >>> gene = Gene(tpmt / "TPMT.GRCh37.gff3", tpmt / "TPMT.cds.fa")
    >>> panel = read_panel(gene.read(), tpmt / "panel.vcf.gz", tpmt / "samples.tsv.gz", None)
    >>> mine, rest = panel.pair("HG01183"), panel.without("HG01183")
    >>> found = panel_linkage(rest, Scorer("zoo:protein"), mine, 1e-6)
    >>> pair = found.pairs[0]
    >>> pair.first, pair.second, pair.who, pair.whole.both, round(pair.groups["EUR"].r2, 2)
    ('A154T', 'Y240C', 'one copy', 63, 0.96)
    """
    changes, own, near = _variants(panel, copies)
    kept = list(changes.values())
    has = np.array(
        [[c.edits in {x.edits for x in h.changes} for c in kept] for h in panel.haplotypes],
        dtype=bool,
    ).reshape(len(panel.haplotypes), len(kept))
    worth, weights = _worth(panel, scorer, kept)
    flat = np.array([_flat(column, TIMES_NOISE * noise) for column in worth.T], dtype=bool)
    worth[:, flat] = 0.0  # rounding is no variation
    related = attribution_correlation(worth, weights)
    r2 = np.full(related.shape, np.nan)
    pairs = []
    groups = {
        name: list(pairwise_linkage(has, panel.counts[:, g]))
        if panel.counts[:, g].any() else []
        for g, name in enumerate(panel.groups)
    }  # fmt: skip
    for number, (i, j, whole) in enumerate(pairwise_linkage(has, panel.counts.sum(axis=1))):
        r2[i, j] = r2[j, i] = np.nan if whole.r2 is None else whole.r2
        who = _who(kept[i].edits, kept[j].edits, own, near)
        pairs.append(
            LinkedPair(
                kept[i].short, kept[j].short, who, whole,
                {name: rows[number][2] for name, rows in groups.items() if rows} if who else {},
                None if np.isnan(related[i, j]) else float(related[i, j]),
            )
        )  # fmt: skip
    found = correlate_with_linkage(r2, related, seed=seed)
    return PanelLinkage(
        tuple(sorted(pairs, key=_order)), len(weights), found, _text(found, len(weights))
    )


_RANK = {"one copy": 0, "two copies": 1, "background": 2, "": 3}


def _order(pair: LinkedPair) -> tuple[int, float]:
    return _RANK[pair.who], -(pair.whole.r2 or 0.0)


def _acting(copy: Haplotype) -> Iterator[Change]:
    return (c for c in copy.changes if c.kind != "synonymous" and not c.silenced)


def _variants(
    panel: Panel, copies: Sequence[Haplotype]
) -> tuple[dict[_Key, Change], list[set[_Key]], dict[_Key, set[_Key]]]:
    """Return what is kept, what each of the person's copies has, and what carriers of it have."""
    own = [{c.edits for c in _acting(copy)} for copy in copies]
    mine = set().union(*own)
    changes = {c.edits: c for copy in copies for c in _acting(copy)}
    total: dict[_Key, int] = {}
    near: dict[_Key, set[_Key]] = {key: set() for key in mine}
    for each, count in zip(panel.haplotypes, panel.counts.sum(axis=1), strict=True):
        here = {c.edits: c for c in _acting(each)} if count else {}
        for key, change in here.items():
            changes.setdefault(key, change)
            total[key] = total.get(key, 0) + int(count)
        for key in mine & set(here):
            near[key] |= set(here) - {key}
    first = mine.union(*near.values())
    ranked = sorted(changes, key=lambda key: (key not in first, -total.get(key, 0), key))
    kept = [k for k in ranked if k in first or total[k] >= LEAST_CHROMOSOMES][:MOST_VARIANTS]
    return {key: changes[key] for key in sorted(kept)}, own, near


def _who(one: _Key, other: _Key, own: Sequence[set[_Key]], near: Mapping[_Key, set[_Key]]) -> str:
    if any({one, other} <= copy for copy in own):
        return "one copy"
    if one in near and other in near:
        return "two copies"
    if other in near.get(one, ()) or one in near.get(other, ()):
        return "background"
    return ""


def _worth(panel: Panel, scorer: Scorer, changes: Sequence[Change]) -> tuple[FloatArray, list[int]]:
    """Return what each variant is worth on each protein, and how often the protein occurs."""
    hosts = [p for p in panel.proteins if p.total and p.haplotype.protein][:MOST_PROTEINS]
    both = [[_with_and_without(p.haplotype, c) for c in changes] for p in hosts]
    scorer.add({protein for row in both for pair in row if pair for protein in pair})
    worth = [[np.nan if pair is None else scorer.shift(*pair) for pair in row] for row in both]
    shape = len(hosts), len(changes)
    return np.array(worth, dtype=np.float64).reshape(shape), [p.total for p in hosts]


def _with_and_without(host: Haplotype, change: Change) -> tuple[str, str] | None:
    """Return a protein with and without a variant; None where it cannot stand there."""
    if not comparable(change):
        return None
    carried = next((c for c in host.changes if c.edits == change.edits), None)
    if carried is not None:
        with_it, without = host, host.without(carried)
    else:
        try:
            with_it, without = haplotype(host.transcript, [*host.edits, *change.edits]), host
        except InputError:  # another change stands at the place
            return None
    stands = any(c.edits == change.edits and not c.silenced for c in with_it.changes)
    if not stands or len(with_it.protein) != len(without.protein):
        return None
    return with_it.protein, without.protein


def _flat(column: FloatArray, least: float) -> bool:
    known = column[np.isfinite(column)]
    return bool(len(known) and np.ptp(known) <= least)


def _text(found: LinkageCorrelation, proteins: int) -> str:
    if found.rho is not None:
        return found.text
    if proteins < 3:
        why = f"the panel has {proteins} distinct protein{'s' if proteins != 1 else ''}"
    elif found.pairs < 3:
        why = (
            f"{found.pairs} pair{'s have' if found.pairs != 1 else ' has'} both values: few "
            "variants occur, or their shifts differ between the proteins of the panel by no more "
            f"than {TIMES_NOISE} times the noise floor"
        )
    else:
        why = "the pairs do not differ in linkage, or not in correlation"
    return f"linkage and correlation of attributions: not tested, because {why}"
