"""Model interactions of pairs of changes, against pairs that match them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from saliscope.core.units import FloatArray
from saliscope.variants.coding.haplotype import Change, haplotype
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.effects.scoring import Scorer
from saliscope.variants.statistics.interactions import RankTransform, second_difference
from saliscope.variants.statistics.matched_null import (
    Pairs,
    PairTest,
    deciles_of,
    match_of,
    plan_pairs,
    rank_pairs,
)

__all__ = ["Key", "PairResult", "compare_pairs", "pair_key"]

Key = frozenset[tuple[object, ...]]


@dataclass(frozen=True, eq=False)
class PairResult:
    """The second difference of a pair on the reference, and what it is compared with.

    Parameters
    ----------
    test : PairTest
    ranked : PairTest
        After a rank transform of the score.
    null : numpy.ndarray, shape (matches,)
        Second differences of the pairs that match it.
    firsts : tuple of float
        First-in shifts, of the pair as it was first given.
    together : float
        Shift of both.
    """

    test: PairTest
    ranked: PairTest
    null: FloatArray
    firsts: tuple[float, float]
    together: float


def pair_key(one: Change, other: Change) -> Key:
    """Return the key of a pair, whichever comes first."""
    return frozenset((tuple(one.edits), tuple(other.edits)))


def compare_pairs(
    transcript: Transcript, scorer: Scorer, pairs: Iterable[tuple[Change, Change]],
    missense: Sequence[Change], proteins: Sequence[str], firsts: FloatArray, *,
    count: int = 1000, seed: int = 0,
) -> Mapping[Key, PairResult]:  # fmt: skip
    """Return every distinct pair of changes against its matched null.

    Parameters
    ----------
    transcript : Transcript
    scorer : Scorer
        With a signed readout.
    pairs : iterable of (Change, Change)
        Of equal length, at two residues.
    missense : sequence of Change
        All single-nucleotide missense changes; the null is drawn from them.
    proteins : sequence of str
        The protein that each of them gives.
    firsts : numpy.ndarray, shape (missense,)
        Their first-in shifts.
    count : int
        Null pairs drawn per kind of match.
    seed : int

    Returns
    -------
    mapping of key to PairResult
        By `pair_key`. Pairs are left out that are so far apart in a protein longer than the
        model's input that it does not see both at once.
    """
    reference = transcript_protein(transcript)
    far = scorer.reach(reference)
    distinct = {
        pair_key(a, b): (a, b) for a, b in pairs
        if far is None or abs(a.position - b.position) <= far
    }  # fmt: skip
    if not distinct:
        return {}
    edges = deciles_of(firsts)
    positions = np.array([change.position for change in missense])
    tested = []
    for a, b in distinct.values():
        alone = [haplotype(transcript, c.edits).protein for c in (a, b)]
        both = haplotype(transcript, [*a.edits, *b.edits]).protein
        tested.append((*alone, both))
    scorer.add(p for three in tested for p in three)
    shifts = np.array([[scorer.shift(p, reference) for p in three] for three in tested])
    distance = np.array([abs(a.position - b.position) for a, b in distinct.values()])
    matches = [
        match_of(s[0], s[1], int(d), edges) for s, d in zip(shifts, distance, strict=True)
    ]  # fmt: skip
    index = {change.edits: i for i, change in enumerate(missense)}
    own = [
        (index[a.edits], index[b.edits])
        for a, b in distinct.values()
        if a.edits in index and b.edits in index
    ]
    drawn = plan_pairs(seed, firsts, positions, matches, count, exclude=own, farthest=far)
    doubles = [_both(reference, proteins[i], proteins[j]) for i, j in drawn.tolist()]
    scorer.add(doubles)
    joint = np.array([scorer.shift(p, reference) for p in doubles])
    apart = np.abs(positions[drawn[:, 0]] - positions[drawn[:, 1]]) if len(drawn) else np.zeros(0)
    singles = firsts[drawn] if len(drawn) else np.zeros((0, 2))
    results = _ranked(shifts, distance, singles, apart.astype(np.int64), joint, edges)
    transform = RankTransform.of(np.concatenate([firsts, joint]))
    zero = float(transform(0.0))
    ranked = _ranked(
        transform(shifts) - zero, distance, transform(singles) - zero, apart.astype(np.int64),
        transform(joint) - zero, deciles_of(transform(firsts) - zero),
    )  # fmt: skip
    null = second_difference(joint, singles[:, 0], singles[:, 1], 0.0)
    kinds = [
        match_of(s[0], s[1], int(d), edges) for s, d in zip(singles, apart, strict=True)
    ]  # fmt: skip
    return {
        key: PairResult(
            test, other, null[[kind == match for kind in kinds]],
            (float(s[0]), float(s[1])), float(s[2]),
        )
        for key, test, other, s, match in zip(
            distinct, results, ranked, shifts, matches, strict=True
        )
    }  # fmt: skip


def _ranked(
    shifts: FloatArray, distance: np.ndarray, singles: FloatArray, apart: np.ndarray,
    joint: FloatArray, edges: FloatArray,
) -> tuple[PairTest, ...]:  # fmt: skip
    interaction = second_difference(shifts[:, 2], shifts[:, 0], shifts[:, 1], 0.0)
    null = second_difference(joint, singles[:, 0], singles[:, 1], 0.0)
    return rank_pairs(
        Pairs(shifts[:, 0], shifts[:, 1], distance, interaction),
        Pairs(singles[:, 0], singles[:, 1], apart, null),
        edges,
    )


def transcript_protein(transcript: Transcript) -> str:
    """Return the protein of the transcript without any edit."""
    return haplotype(transcript, []).protein


def _both(reference: str, one: str, other: str) -> str:
    """Return the protein with the substitutions of both."""
    return "".join(
        b if b != r else a for r, a, b in zip(reference, one, other, strict=True)
    )  # fmt: skip
