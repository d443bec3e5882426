"""Contacts from all heads together: a sparse logistic regression, judged on held-out proteins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from saliscope.core.errors import InputError, OptionError
from saliscope.core.units import FloatArray
from saliscope.models.tokens import TokenModel
from saliscope.sites.contacts import (
    LEAST_APART,
    RANGES,
    average_precision,
    learning,
    pairs_in,
    precision_at,
)
from saliscope.sites.heads import PARTS, check_placed, each_head, name_of, protein_model
from saliscope.sites.placing import Placed
from saliscope.sites.structure import CONTACT

__all__ = ["ContactRegression", "fit_contacts"]

_APART = 20
"""Pairs without a contact that are drawn for each pair with one."""
_PENALTY = 0.15
"""Inverse strength of the L1 penalty, of Rao et al. (2021)."""


@dataclass(frozen=True, eq=False)
class ContactRegression:
    """Precision on proteins that the regression has not seen; made by `fit_contacts`.

    Parameters
    ----------
    proteins : pandas.DataFrame
        A row per protein, predicted by the fit to all others: ``P@L``, ``P@L/2``, ``P@L/5`` per
        range, ``average precision``, ``chance`` (share of contacts), and of the single head that
        is best on the others ``best head`` with its ``best head long P@L``.
    weights : pandas.DataFrame
        Of the fit to all proteins: ``layer``, ``head``, ``weight``, per standard deviation.
    predicted : dict of str to numpy.ndarray
        Log-odds of contacts of each protein when held out, shape (placed, placed).
    cutoff : float
    model : str
    """

    proteins: pd.DataFrame
    weights: pd.DataFrame = field(repr=False)
    predicted: dict[str, FloatArray] = field(repr=False)
    cutoff: float
    model: str


@dataclass(frozen=True)
class _Sample:
    """Pairs of one protein: some with contacts, some without, and their attention by head."""

    heads: list[tuple[int, int]]
    values: FloatArray
    truth: npt.NDArray[np.bool_]


def fit_contacts(
    model: object, placed: Sequence[Placed], *, cutoff: float = CONTACT, seed: int = 0
) -> ContactRegression:
    """Predict contacts from all heads, each protein by a fit to the others.

    Parameters
    ----------
    model : object
        A protein model.
    placed : sequence of Placed
        At least two proteins. Close relatives are not held out from each other: leave them out.
    cutoff : float
        Angstrom between beta carbons.
    seed : int
        Of the pairs without contact that are drawn for the fit, 20 per contact.

    Returns
    -------
    ContactRegression

    Raises
    ------
    InputError
        Fewer than two proteins, or one without contacts.

    Notes
    -----
    Memory: one layer of attention, the drawn pairs, and one matrix per held-out protein. For the
    prediction each protein is run a second time and the weighted sum is taken head by head, so
    layers x heads x length² never exists.

    References
    ----------
    .. [1] Rao et al. (2021), Transformer protein language models are unsupervised structure
       learners, ICLR: L1 penalty with C = 0.15 on symmetrized, APC-corrected heads.
    """
    given, adapter = check_placed(placed), protein_model(model)
    names = [name_of(one) for one in given]
    if len(given) < 2:
        msg = f"{names[0]}: is alone, and must be held out; give two proteins or more"
        raise InputError(msg)
    if len(set(names)) < len(names):
        msg = "a structure stands twice among those given; each may count once"
        raise OptionError(msg)
    samples = [
        _sample(adapter, one, cutoff, np.random.default_rng([seed, i]))
        for i, one in enumerate(given)
    ]
    rows, predicted = [], {}
    for i, one in enumerate(given):
        others = [s for k, s in enumerate(samples) if k != i]
        weights, _ = _fit(others)
        best = _best_head(others)
        logits, alone = _predict(adapter, one, weights, best, seed)
        predicted[names[i]] = logits
        rows.append(_judged(one, names[i], logits, alone, best, cutoff))
    _, scaled = _fit(samples)
    table = pd.DataFrame(samples[0].heads, columns=["layer", "head"]).assign(weight=scaled)
    return ContactRegression(pd.DataFrame(rows), table, predicted, cutoff, str(adapter.name))


def _sample(adapter: TokenModel, one: Placed, cutoff: float, rng: np.random.Generator) -> _Sample:
    first, second = pairs_in(one.columns, (LEAST_APART, None))
    truth = one.contacts(cutoff)[first, second]
    hits = np.flatnonzero(truth)
    if not len(hits):
        msg = f"{name_of(one)}: has no contact of residues {LEAST_APART} apart; leave it out"
        raise InputError(msg)
    misses = np.flatnonzero(~truth)
    drawn = rng.choice(misses, min(len(misses), _APART * len(hits)), replace=False)
    chosen = np.sort(np.concatenate([hits, drawn]))
    rows, columns = one.columns[first[chosen]], one.columns[second[chosen]]
    heads: list[tuple[int, int]] = []
    values: list[FloatArray] = []

    def take(layer: int, head: int, matrix: FloatArray) -> None:
        heads.append((layer, head))
        values.append(matrix[rows, columns])

    each_head(adapter, one.sequence, take, name=name_of(one))
    return _Sample(heads, np.stack(values, 1), truth[chosen])


def _fit(samples: Sequence[_Sample]) -> tuple[FloatArray, FloatArray]:
    """Return the weights per unit of attention, and per standard deviation."""
    values = np.concatenate([s.values for s in samples])
    truth = np.concatenate([s.truth for s in samples])
    spread = values.std(0)
    spread[spread == 0] = 1.0
    fit = learning("linear_model").LogisticRegression(
        l1_ratio=1.0, C=_PENALTY, solver="liblinear", random_state=0, max_iter=1000
    )
    fit.fit(values / spread, truth)
    scaled = np.asarray(fit.coef_[0], dtype=np.float64)
    return scaled / spread, scaled


def _best_head(samples: Sequence[_Sample]) -> tuple[int, int]:
    """Return the head of the highest average precision over proteins."""
    found = [
        [average_precision(s.values[:, k], s.truth) for k in range(len(s.heads))] for s in samples
    ]
    return samples[0].heads[int(np.argmax(np.mean(found, axis=0)))]


def _predict(
    adapter: TokenModel, one: Placed, weights: FloatArray, best: tuple[int, int], seed: int
) -> tuple[FloatArray, FloatArray]:
    at = np.ix_(one.columns, one.columns)
    total = np.zeros((len(one.columns), len(one.columns)))
    alone = np.zeros_like(total)
    place = iter(weights)

    def take(layer: int, head: int, matrix: FloatArray) -> None:
        weight = float(next(place))
        if weight:
            np.add(total, weight * matrix[at], out=total)
        if (layer, head) == best:
            alone[:] = matrix[at]

    each_head(adapter, one.sequence, take, name=name_of(one), seed=seed)
    return total, alone


def _judged(
    one: Placed, name: str, logits: FloatArray, alone: FloatArray, best: tuple[int, int],
    cutoff: float,
) -> dict[str, Any]:  # fmt: skip
    truth, length = one.contacts(cutoff), len(one.columns)
    row: dict[str, Any] = {"protein": name, "residues": length}
    for word, band in RANGES.items():
        pairs = pairs_in(one.columns, band)
        for part in PARTS:
            column = f"{word} P@L{'' if part == 1 else f'/{part}'}"
            row[column] = precision_at(logits[pairs], truth[pairs], length, part)
    every = pairs_in(one.columns, (LEAST_APART, None))
    far = pairs_in(one.columns, RANGES["long"])
    return {
        **row,
        "average precision": average_precision(logits[every], truth[every]),
        "chance": float(truth[every].mean()),
        "best head": f"L{best[0]} H{best[1]}",
        "best head long P@L": precision_at(alone[far], truth[far], length),
    }
