"""Whether the gradient agrees with the ablation; of four ways not to, one is suspicious.

A small gradient does not make an effect spurious: it is a local quantity, and saturates just
where a residue is most conserved and taking the variant out changes most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError
from saliscope.variants.statistics.common import finite, said
from saliscope.variants.statistics.reference import stand

__all__ = ["CLASSES", "Concordance", "SaliencyCheck", "concordance", "saliency_check"]

CLASSES = {
    "agree": "gradient and ablation agree in sign and are both loud",
    "sign conflict": "gradient and ablation are both loud, with opposite signs: the response of "
    "the model is not linear here, and the ablation is the one to read",
    "saturated": "gradient silent, ablation loud: the slope says nothing of a step of this size, "
    "as where a response is saturated; the ablation is the one to read",
    "gradient-only": "gradient loud, ablation silent: the model is sensitive here, but not to "
    "this exchange",
    "silent in both": "silent in gradient and ablation: suspicious, the model may not see this "
    "variant at all",
}
"""The classes of the saliency check, and what a report says of each."""


@dataclass(frozen=True)
class SaliencyCheck:
    """The class of one variant.

    Parameters
    ----------
    kind : str
        One of `CLASSES`.
    gradient_quantile, ablation_quantile : float
        Of the magnitudes, each among its own reference set.
    sentence : str
    """

    kind: str
    gradient_quantile: float
    ablation_quantile: float
    sentence: str

    @property
    def suspicious(self) -> bool:
        """Only what is silent in both."""
        return self.kind == "silent in both"


def saliency_check(
    gradient: float,
    last_out: float,
    reference_gradients: npt.ArrayLike,
    reference_shifts: npt.ArrayLike,
) -> SaliencyCheck:
    """Return whether the gradient's prediction agrees with taking the variant out.

    Parameters
    ----------
    gradient : float
        sum_a (ref - alt)_a ds/dX_a at the subject's own haplotype: the predicted change of the
        score when the variant is taken out.
    last_out : float
        s(with) - s(without); its negative is what the gradient predicts.
    reference_gradients, reference_shifts : array of float
        The two measures for every missense change of the transcript. Loud is a magnitude above the
        median magnitude of its own set.

    Raises
    ------
    InputError
        For an empty set or a number that is not finite.

    Examples
    --------
    >>> sizes = [0.1, -0.2, 0.3, -0.4]
    >>> saliency_check(0.35, -0.5, sizes, sizes).kind, saliency_check(0.3, 0.5, sizes, sizes).kind
    ('agree', 'sign conflict')
    >>> saliency_check(0.1, -0.5, sizes, sizes).kind, saliency_check(0.0, 0.1, sizes, sizes).kind
    ('saturated', 'silent in both')
    """
    predicted, observed = float(gradient), -float(last_out)
    standing = [
        stand(abs(value), np.abs(finite(reference, name)), has_sign=False)
        for value, reference, name in (
            (predicted, reference_gradients, "gradients of the reference set"),
            (observed, reference_shifts, "shifts of the reference set"),
        )
    ]
    loud = (abs(predicted) > standing[0].median, abs(observed) > standing[1].median)
    if all(loud):
        kind = "agree" if predicted * observed > 0 else "sign conflict"
    else:
        kind = {
            (False, True): "saturated",
            (True, False): "gradient-only",
            (False, False): "silent in both",
        }[loud]
    sentence = (
        f"{CLASSES[kind]} (magnitude of the gradient: quantile {said(standing[0].quantile)}, "
        f"of the ablation: quantile {said(standing[1].quantile)})"
    )
    return SaliencyCheck(kind, standing[0].quantile, standing[1].quantile, sentence)


@dataclass(frozen=True)
class Concordance:
    """How well gradients predict ablations over many changes.

    Parameters
    ----------
    n : int
        Changes.
    spearman : float, optional
        None where one of the two does not vary.
    same_sign : float, optional
        Share of equal signs among changes loud in both; None without any.
    loud : int
        Changes loud in both.
    chance : float, optional
        Share of equal signs if the two were independent, from how often each is of which sign. It
        is one half only where one of the two is as often above zero as below.
    """

    n: int
    spearman: float | None
    same_sign: float | None
    loud: int
    chance: float | None


def concordance(gradients: Sequence[float] | npt.ArrayLike, shifts: npt.ArrayLike) -> Concordance:
    """Return the agreement of gradients with negated last-out shifts over many changes.

    For the control of the saliency check the gradients are those of a model with randomized
    weights, the shifts still those of the trained one: agreement falls to chance. (A randomized
    model's gradient goes on predicting that model's own ablations.)

    Parameters
    ----------
    gradients, shifts : array of float, shape (n,)
        As `gradient` and `last_out` of `saliency_check`.

    Raises
    ------
    InputError
        For lengths that differ, fewer than two changes, or a number that is not finite.

    Examples
    --------
    >>> c = concordance([1, 2, 3, 4], [-1, -2, -4, -3])
    >>> round(c.spearman, 6), c.same_sign, c.loud, c.chance
    (0.8, 1.0, 2, 1.0)
    """
    from scipy.stats import rankdata

    predicted, observed = finite(gradients, "gradients"), -finite(shifts, "shifts")
    if len(predicted) != len(observed) or len(predicted) < 2:
        msg = f"{len(predicted)} gradients, {len(observed)} shifts: give two or more of each"
        raise InputError(msg)
    varied = np.ptp(predicted) > 0 and np.ptp(observed) > 0
    rho = float(np.corrcoef(rankdata(predicted), rankdata(observed))[0, 1]) if varied else None
    size, other = np.abs(predicted), np.abs(observed)
    loud = (size > np.median(size)) & (other > np.median(other))
    if not loud.any():
        return Concordance(len(predicted), rho, None, 0, None)
    one, two = np.sign(predicted[loud]), np.sign(observed[loud])
    chance = sum(np.mean(one == sign) * np.mean(two == sign) for sign in (-1, 0, 1))
    return Concordance(
        len(predicted), rho, float(np.mean(one == two)), len(one), float(chance)
    )  # fmt: skip
