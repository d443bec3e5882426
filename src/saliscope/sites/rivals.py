"""What also knows sites, without attention: the kind of residue, and the model's certainty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from saliscope.api.measuring import measure
from saliscope.core.target import Call
from saliscope.core.units import FloatArray
from saliscope.models.protein import AMINO_ACIDS, ProteinModel
from saliscope.sites.features import Sites

__all__ = ["certainty", "residue_identity"]

_WEIGHT = 1.0
"""Residues that the overall share of sites counts for, where a type has few."""


def residue_identity(sites: Sequence[Sites]) -> list[FloatArray]:
    """Return for every residue how often its type is a site elsewhere.

    With several proteins, elsewhere is all other proteins; with one, its other residues. So a
    residue's own annotation is never used.

    Parameters
    ----------
    sites : sequence of Sites

    Returns
    -------
    list of numpy.ndarray, each of shape (residues,)

    Examples
    --------
    >>> residue_identity([Sites.at("CCAA", [1, 2])])[0].round(2).tolist()
    [0.67, 0.67, 0.33, 0.33]
    """
    letters = [np.array(list(s.sequence[s.part])) for s in sites]
    masks = [s.mask[s.part] for s in sites]
    alone = len(sites) == 1
    found = []
    for own, (mine, mask) in enumerate(zip(letters, masks, strict=True)):
        others = [i for i in range(len(sites)) if alone or i != own]
        all_letters = np.concatenate([letters[i] for i in others])
        all_sites = np.concatenate([masks[i] for i in others]).astype(float)
        sum_all, size_all = all_sites.sum(), float(all_sites.size)
        score = np.zeros(len(mine))
        for letter in np.unique(mine):
            here = mine == letter
            there = all_letters == letter
            hits, count = all_sites[there].sum(), float(there.sum())
            self_hit = mask[here].astype(float) if alone else np.zeros(int(here.sum()))
            less = 1.0 if alone else 0.0
            share = (sum_all - self_hit) / (size_all - less)
            score[here] = (hits - self_hit + _WEIGHT * share) / (count - less + _WEIGHT)
        found.append(score)
    return found


def certainty(model: Any, sequence: str) -> FloatArray | None:
    """Return minus the entropy (nats) of the model's residue distribution, nothing masked.

    Parameters
    ----------
    model : ProteinModel
        Or another adapter.
    sequence : str

    Returns
    -------
    numpy.ndarray, shape (residues,), or None
        None for a model that says no residues.

    Examples
    --------
    >>> import saliscope
    >>> found = certainty(saliscope.load("zoo:protein"), "MVHLTPEEK")
    >>> found.shape, bool((found <= 0).all())
    ((9,), True)
    """
    if not isinstance(model, ProteinModel) or "tokens" not in model.heads:
        return None
    (sample,) = model.prepare(sequence)
    kept = sample.units.kept
    ids = [model.vocabulary[a] for a in AMINO_ACIDS]

    def minus_entropy(output: Any) -> Any:
        logits = output.logits[:, kept][..., ids].double().log_softmax(-1)
        return (logits.exp() * logits).sum(-1)

    names = tuple(map(str, range(len(kept))))
    return np.asarray(measure(model, sequence, Call(minus_entropy, names)).values)
