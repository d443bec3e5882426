"""The control of the saliency check: its agreement must need what the model has learned."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from saliscope.models.protein import ProteinModel
from saliscope.variants.effects.gradients import Gradients
from saliscope.variants.effects.path import substitution_gradients
from saliscope.variants.effects.reference import ReferenceSet
from saliscope.variants.effects.scoring import Scorer
from saliscope.variants.statistics.agreement import Concordance, concordance
from saliscope.variants.statistics.common import signed

__all__ = ["COPIES", "SaliencyControl", "randomized", "saliency_control"]

COPIES = 5
"""Randomized copies: the agreement of one alone may stray from chance by accident."""


@dataclass(frozen=True)
class SaliencyControl:
    """How gradients agree with ablation over all missense changes, trained and randomized.

    Parameters
    ----------
    trained : Concordance
        Gradients of the model at the reference protein, against its own first-in shifts.
    randomized : tuple of Concordance
        Gradients of each randomized copy, against the shifts of the trained model.
    text : str
    """

    trained: Concordance
    randomized: tuple[Concordance, ...]
    text: str


def saliency_control(
    scorer: Scorer, base: ReferenceSet, *, copies: int = COPIES, seed: int = 0
) -> SaliencyControl | None:
    """Return how well gradients predict all missense changes, with and without trained weights.

    A gradient is the first-order approximation of its own model's ablation, whatever the weights.
    So a randomized copy is not compared with itself: its gradients are compared with the ablation
    of the trained model. Agreement that stays as high cannot come from training.

    Parameters
    ----------
    scorer : Scorer
    base : ReferenceSet
    copies : int
        Randomized copies. One at a time is held in memory, beside the model.
    seed : int

    Returns
    -------
    SaliencyControl or None
        None where there is no gradient of the score to compare (another readout than the
        likelihood, or a protein longer than the model's input).

    Notes
    -----
    After Adebayo et al. 2018, arXiv:1810.03292 (randomization of the model's parameters). Cost: 21
    forward and 20 backward passes for the model and for each copy.

    Examples
    --------
    >>> from saliscope.variants.coding.transcript import Transcript
    >>> from saliscope.variants.effects.reference import reference_set
    >>> scorer = Scorer("zoo:protein")
    >>> base = reference_set(Transcript("T.1", "T", "ATGAAACGTGGTTAA"), scorer)
    >>> control = saliency_control(scorer, base, copies=2)
    >>> control.trained.n == len(base.missense), len(control.randomized)
    (True, 2)
    """
    too_long = scorer.limit is not None and len(base.protein) > scorer.limit
    if scorer.kind != "likelihood" or too_long or len(base.missense) < 2:
        return None
    trained = _agreement(scorer.model, scorer, base)
    try:
        found = tuple(_agreement(m, scorer, base) for m in _copies(scorer.model, copies, seed))
    except (MemoryError, torch.OutOfMemoryError):
        return SaliencyControl(trained, (), f"{_trained(trained)}. {_NO_MEMORY}")
    return SaliencyControl(trained, found, _text(trained, found))


def _agreement(model: ProteinModel, scorer: Scorer, base: ReferenceSet) -> Concordance:
    table = substitution_gradients(model, base.protein, budget=scorer.budget)
    # Taking a change out is the opposite of putting it in, in the prediction and in the shift.
    return concordance(-Gradients(table, None).of_all(base.missense), base.shifts)


def _copies(model: ProteinModel, copies: int, seed: int) -> Iterator[ProteinModel]:
    for number in range(copies):
        yield randomized(model, seed + number)


def randomized(model: ProteinModel, seed: int) -> ProteinModel:
    """Return a copy of a model whose weights carry nothing of what was learned.

    Every parameter is drawn anew, from a normal distribution with that parameter's own mean and
    standard deviation, so that signals keep their size. Tied weights stay tied. The model itself,
    and all random states, are left as they are.

    Parameters
    ----------
    model : ProteinModel
    seed : int

    Examples
    --------
    >>> import saliscope
    >>> model = saliscope.load("zoo:protein")
    >>> one, again, other = (randomized(model, seed) for seed in (0, 0, 1))
    >>> weights = [next(m.module.parameters()) for m in (one, again, other)]
    >>> bool((weights[0] == weights[1]).all()), bool((weights[0] == weights[2]).all())
    (True, False)
    """
    with model.quiet(seed):
        module = copy.deepcopy(model.module)
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        if parameter.is_floating_point():
            old = parameter.detach().to("cpu", torch.float64)
            drawn = torch.randn(old.shape, generator=generator, dtype=torch.float64)
            parameter.data = (drawn * old.std(correction=0) + old.mean()).to(parameter)
    return ProteinModel(module, model.tokenizer, f"{model.name}, weights randomized")


_NO_MEMORY = "Not compared with randomized weights: there was no memory for a second copy of them"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _trained(found: Concordance) -> str:
    text = f"over {found.n:,} missense changes, each put into the reference, gradient and ablation "
    if found.spearman is None or found.same_sign is None or found.chance is None:
        return f"{text}cannot be compared: one of the two does not vary"
    text += (
        f"have a rank correlation of {signed(found.spearman)}; of the {found.loud:,} that are loud "
        f"in both, {_share(found.same_sign)} agree in sign, where {_share(found.chance)} would by "
        "chance"
    )
    # Two standard errors: where nearly all gradients point one way, so do their agreements.
    spread = 2 * math.sqrt(found.chance * (1 - found.chance) / found.loud)
    little = found.same_sign <= found.chance + spread
    return f"{text}, so that an equal sign alone says little" if little else text


def _text(trained: Concordance, found: tuple[Concordance, ...]) -> str:
    rho = [c.spearman for c in found if c.spearman is not None]
    signs = [c.same_sign for c in found if c.same_sign is not None]
    chance = [c.chance for c in found if c.chance is not None]
    if trained.spearman is None or not rho or not signs:
        return _trained(trained)
    control = (
        f"Control: gradients of {len(found)} copies of the model with randomized weights, against "
        f"the ablation of the trained model, have {signed(min(rho))} to {signed(max(rho))} (mean "
        f"{signed(float(np.mean(rho)))}; chance is 0), and {_share(min(signs))} to "
        f"{_share(max(signs))} agree in sign (chance is {_share(float(np.mean(chance)))})"
    )
    if trained.spearman > max(rho):
        verdict = "No randomized copy ranks the changes as well: that comes from trained weights"
    else:
        verdict = (
            "A randomized copy ranks the changes as well: here agreement says nothing of what the "
            "model has learned"
        )
    return f"{_trained(trained)}. {control}. {verdict}"
