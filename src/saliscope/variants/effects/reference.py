"""What a change is compared with: every residue change that one nucleotide can make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from saliscope.core.units import FloatArray
from saliscope.variants.coding.haplotype import Change, haplotype, missense_changes
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.effects.scoring import Scorer

__all__ = ["ReferenceSet", "comparable", "reference_set"]


@dataclass(frozen=True, eq=False)
class ReferenceSet:
    """The reference protein, and every residue change that one nucleotide can make in it.

    Parameters
    ----------
    protein : str
    missense : list of Change
        One per residue change; codons that say the same residue are one.
    proteins : list of str
        The protein that each gives.
    shifts : numpy.ndarray, shape (missense,)
        First-in shifts.

    All but the protein are empty where the set was not scored.
    """

    protein: str
    missense: list[Change]
    proteins: list[str]
    shifts: FloatArray


def reference_set(
    transcript: Transcript, scorer: Scorer, also: Iterable[str] = (), *, whole: bool = True
) -> ReferenceSet:
    """Score every missense change of a transcript, and other proteins on the way.

    Parameters
    ----------
    transcript : Transcript
    scorer : Scorer
    also : iterable of str
        Proteins that are wanted too, so that all share batches.
    whole : bool
        False: nothing will be compared with the changes; score the reference alone.
    """
    reference = haplotype(transcript, []).protein
    missense = list({c.short: c for c in reversed(missense_changes(transcript))}.values())[::-1]
    missense = missense if whole else []
    proteins = [haplotype(transcript, change.edits).protein for change in missense]
    scorer.add(p for p in (reference, *proteins, *also) if p)
    shifts = np.array([scorer.shift(p, reference) for p in proteins])
    return ReferenceSet(reference, missense, proteins, shifts)


def comparable(change: Change) -> bool:
    """Whether a change leaves the length of the protein, and changes it."""
    return change.kind in {"missense", "inframe_delins"} and len(change.ref) == len(change.alt)
