"""What the page says beside the effects: linkage in the panel, and the control of saliency."""

from __future__ import annotations

from saliscope.variants.effects.linkage import LinkedPair, PanelLinkage
from saliscope.variants.effects.record import Interpretation
from saliscope.variants.report.parts import Table, capital
from saliscope.variants.report.wording import minus, shift_text
from saliscope.variants.statistics.common import said
from saliscope.variants.statistics.linkage import Linkage

__all__ = ["control_text", "linkage_table", "linkage_text"]

MOST_LINKED = 12
_WHO = {
    "one copy": "both on one copy", "two copies": "one on each copy",
    "background": "with a background of carriers",
}  # fmt: skip


def linkage_table(interpretation: Interpretation) -> Table | None:
    """Return linkage of the pairs that this person has to do with; None where there is none."""
    found = interpretation.linkage
    listed = _listed(found)
    if found is None or not listed:
        return None
    groups = list(listed[0].groups)
    rows = []
    for pair in listed[:MOST_LINKED]:
        whole = pair.whole
        d_prime = "–" if whole.d_prime is None else shift_text(whole.d_prime)
        related = "–" if pair.correlation is None else shift_text(pair.correlation)
        cells = [
            f"{pair.first} and {pair.second} ({_WHO[pair.who]})",
            *(f"{n:,}" for n in (whole.first, whole.second, whole.both)), _r2(whole), d_prime,
            *(_r2(pair.groups[g]) for g in groups), related,
        ]  # fmt: skip
        rows.append((cells, "own" if pair.who == "one copy" else ""))
    head = ["Pair", "With first", "With second", "With both", "r²", "D′",
            *(f"r² in {g}" for g in groups), "Correlation of shifts"]  # fmt: skip
    total = listed[0].whole.haplotypes
    caption = f"Linkage in the panel ({total:,} haplotypes, this person left out)"
    return Table(caption, head, rows)


def _listed(found: PanelLinkage | None) -> list[LinkedPair]:
    return [] if found is None else [pair for pair in found.pairs if pair.who]


def _r2(found: Linkage) -> str:
    return "–" if found.r2 is None else said(found.r2)


def linkage_text(interpretation: Interpretation) -> list[str]:
    """Return what is said of all pairs of the panel, and what was correlated."""
    found = interpretation.linkage
    if found is None:
        return []
    told = []
    left = len(_listed(found)) - MOST_LINKED
    if left > 0:
        told.append(f"{left} further pairs of this person are in the table of all pairs.")
    if not _listed(found):
        told.append("No change of this person stands beside another, on a copy or in the panel.")
    many = f"all {len(found.pairs):,} pairs of coding variants of the panel"
    told.append(f"{capital(minus(found.text))}. These are {many}, not of this person alone.")
    told.append(
        "The attribution of a variant is its shift on each of the panel's "
        f"{found.proteins:,} distinct proteins: the score with it minus without it, taken out "
        "where it is carried and put in where it is not. Two variants' shifts are correlated over "
        "these proteins, each weighted by its haplotypes. Groups that differ in frequency make "
        "linkage by themselves, so r² is given in each group too."
    )
    return told


def control_text(interpretation: Interpretation) -> str:
    """Return how gradients agree with ablation, and how those of randomized weights do."""
    found = interpretation.control
    return "" if found is None else f"{capital(minus(found.text))}."
