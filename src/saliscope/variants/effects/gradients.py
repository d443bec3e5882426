"""What gradients say of one copy: the saliency of residues, and of taking changes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saliscope.core.units import FloatArray
from saliscope.variants.coding.haplotype import Change
from saliscope.variants.effects.path import (
    LETTERS,
    SequencePath,
    sequence_path,
    substitution_gradients,
)
from saliscope.variants.effects.scoring import Scorer

__all__ = ["Gradients", "gradients_of"]


@dataclass(frozen=True, eq=False)
class Gradients:
    """First-order predictions at one copy, and the path that leads to it from the reference.

    Parameters
    ----------
    table : numpy.ndarray, shape (residues, 20)
        See `substitution_gradients`.
    path : SequencePath, optional
        None where the copy is the reference protein.
    """

    table: FloatArray
    path: SequencePath | None

    @property
    def saliency(self) -> FloatArray:
        """Mean size over the substitutions of a residue, shape (residues,)."""
        mean: FloatArray = np.abs(self.table).sum(1) / (len(LETTERS) - 1)
        return mean

    def _sum(self, position: int, residues: str) -> float:
        return float(
            sum(self.table[position - 1 + i, LETTERS.index(a)] for i, a in enumerate(residues))
        )

    def taken_out(self, change: Change) -> float:
        """Return the predicted change of the score when a change is taken out."""
        return self._sum(change.position, change.ref)

    def of_all(self, changes: Sequence[Change]) -> FloatArray:
        """Return the predicted change of the score for putting each change in."""
        return np.array([self._sum(change.position, change.alt) for change in changes])

    def along_path(self, change: Change) -> float | None:
        """Return the integrated gradients of a change's residues."""
        if self.path is None:
            return None
        at = change.position - 1
        return float(self.path.values[at : at + len(change.ref)].sum())


def gradients_of(scorer: Scorer, reference: str, protein: str) -> Gradients | None:
    """Return the gradients of a copy; None where its length differs or the model cannot hold it."""
    if len(protein) != len(reference) or protein == reference:
        return None
    if scorer.limit is not None and len(protein) > scorer.limit:
        return None
    table = substitution_gradients(scorer.model, protein, budget=scorer.budget)
    path = sequence_path(scorer.model, reference, protein, budget=scorer.budget)
    return Gradients(table, path)
