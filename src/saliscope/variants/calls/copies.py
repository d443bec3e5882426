"""From genotypes to copies: which haplotype each is, made once however many people have it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError
from saliscope.variants.calls.genotypes import ABSENT
from saliscope.variants.calls.record import Calls
from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.haplotype import Haplotype, haplotype

__all__ = ["CONFLICT", "distinct", "phase_known"]

CONFLICT = -1
"""In place of a haplotype: calls on one copy that exclude each other."""


def distinct(
    calls: Calls, places: npt.NDArray[np.intp]
) -> tuple[tuple[Haplotype, ...], npt.NDArray[np.int64]]:
    """Return the distinct haplotypes of some samples, and which each copy is."""
    genotypes = calls.genotypes[places]
    copies = np.swapaxes(genotypes, 1, 2).reshape(2 * len(places), len(calls.rows))
    if not calls.rows:
        plain = haplotype(calls.transcript, calls.edits(()))
        return (plain,), np.zeros((len(places), 2), dtype=np.int64)
    patterns, of = np.unique(copies, axis=0, return_inverse=True)
    number: dict[tuple[Edit, ...], int] = {}
    made: list[Haplotype] = []
    codes = np.empty(len(patterns), dtype=np.int64)
    for i, pattern in enumerate(patterns):
        if pattern[0] == ABSENT:
            codes[i] = ABSENT
            continue
        try:
            edits = calls.edits(pattern)
            if edits not in number:
                made.append(haplotype(calls.transcript, edits))
                number[edits] = len(number)
            codes[i] = number[edits]
        except InputError:
            codes[i] = CONFLICT
    return tuple(made), codes[of.reshape(-1)].reshape(len(places), 2)


def phase_known(calls: Calls, places: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Whether at most one unit of each sample could be turned without changing its haplotypes."""
    differs, sets = calls.heterozygous[places], calls.sets[places]
    single = (differs & (sets == 0)).sum(axis=1)
    low = np.where(differs & (sets > 0), sets, np.iinfo(np.int32).max).min(
        axis=1, initial=2**31 - 1
    )
    high = np.where(differs & (sets > 0), sets, 0).max(axis=1, initial=0)
    units = single + (high > 0) + (high > low)
    known: npt.NDArray[np.bool_] = units <= 1
    return known
