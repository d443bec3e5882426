"""Gradients of noisy copies of the input: their mean, and their variance."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from saliscope.core.ask import Answer, Ask, Estimate, Options, Question, Steps
from saliscope.core.copies import Copies
from saliscope.core.errors import OptionError
from saliscope.core.registry import method, option
from saliscope.core.sampling import (
    FIRST,
    Lengths,
    Moments,
    Plan,
    checked_samples,
    draw,
)
from saliscope.core.surrogate import relative_error
from saliscope.core.units import FloatArray
from saliscope.methods.gradient import REDUCE, Gradient, takes_norm

__all__ = ["SmoothGrad", "VarGrad", "smoothgrad", "vargrad"]

_NOISE = option(
    0.15,
    "standard deviation of the noise, as a share of the input's range (largest minus smallest "
    "number; of a text or protein: of its embedding)",
)
_SAMPLES = option(
    None, "take that many noisy copies; unset: until the standard error is below the tolerance"
)
_GROUP = 4
"""Copies among which a variance is taken, to see how much variances differ."""


@dataclass(frozen=True)
class SmoothGrad(Gradient):
    """Options of `smoothgrad`."""

    noise: float = _NOISE
    samples: int | None = _SAMPLES

    def __post_init__(self) -> None:
        super().__post_init__()
        _checked_noise(self.noise)
        checked_samples(self.samples, 4, step=2)


@dataclass(frozen=True)
class VarGrad(Options):
    """Options of `vargrad`."""

    reduce: Literal["auto", "norm", "sum"] = option(
        "auto",
        "what varies for a unit with features: their vector (norm: variances are added up) or "
        "their sum (auto: the vector for token embeddings)",
    )
    noise: float = _NOISE
    samples: int | None = _SAMPLES

    def __post_init__(self) -> None:
        if self.reduce not in REDUCE:
            msg = f"reduce={self.reduce!r} does not exist; use 'auto', 'norm' or 'sum'"
            raise OptionError(msg)
        _checked_noise(self.noise)
        checked_samples(self.samples, 4)


def _checked_noise(noise: float) -> None:
    if isinstance(noise, bool) or not 0 < noise < np.inf:
        msg = f"noise={noise!r} must be above 0, e.g. 0.15; without noise use gradient"
        raise OptionError(msg)


@method(
    "smoothgrad",
    options=SmoothGrad,
    needs={"gradients"},
    summary="Mean slope over noisy copies of the input.",
    cost="17 to 2,049 forward and backward passes, until the summed standard error is 5 % of the "
    "summed slopes: 20 to 300 usually; or samples, and 1 forward pass",
    use="a calmer gradient map, where the slope flickers from pixel to pixel or token to token",
    misuse="as the slope at the input: it is that of the model blurred over the noise, so noise "
    "wider than a feature of the model puts slope where the model is flat",
    source="Smilkov et al. 2017, arXiv:1706.03825, section 3: gradients are averaged as they are, "
    "neither squared nor without sign, and reduced afterwards; noise is drawn in mirrored pairs "
    "(antithetic variates, Hammersley & Morton 1956)",
    equation=r"a_i = \mathbb{E}_{z \sim N(0, \sigma^2)} \, \partial_i f(x + z), \quad "
    r"\sigma = \text{noise} \cdot (\max x - \min x)",
    takes={"tolerance", "max_evaluations"},
    unit="score per unit of input",
    aliases=("smooth_grad", "noise_tunnel", "smoothed_gradient"),
)
def smoothgrad(question: Question, options: SmoothGrad) -> Steps:
    """Average gradients over mirrored pairs of noise until the mean is sure enough.

    For token models the gradient is a vector per token: the vectors are averaged, and the length
    of the mean is given (the mean of lengths would never let noise cancel). `stderr` holds the
    standard error of each value.
    """
    norm = takes_norm(question.units, options)
    copies = yield from Copies.of(question, options.noise, norm=norm)
    plan = Plan.of(question.tolerance, question.max_evaluations, options.samples, step=2)
    moments = Lengths() if norm else Moments()

    def ask(count: int) -> Generator[Ask, Answer, None]:
        seeds, signs = copies.seeds(count // 2).repeat(2), np.tile([1.0, -1.0], count // 2)
        found = yield from copies.gradients(seeds, signs)
        moments.add((found[::2] + found[1::2]) / 2)

    def values() -> tuple[FloatArray, FloatArray]:
        if isinstance(moments, Lengths):
            return moments.lengths()
        return moments.mean, moments.stderr

    reached, findings = yield from draw(
        plan, copies.at_once, ask, lambda: relative_error(*values())
    )
    mean, stderr = values()
    return Estimate(
        mean, copies.score, error=reached, extra={"stderr": stderr},
        findings=(*findings, *copies.findings(mean)), signed=not norm,
        notes={"reduce": "norm" if norm else "sum", "samples": 2 * moments.count},
    )  # fmt: skip


@method(
    "vargrad",
    options=VarGrad,
    needs={"gradients"},
    summary="Variance of the slope over noisy copies of the input.",
    cost="17 to 2,049 forward and backward passes, until the summed standard error is 5 % of the "
    "summed variances: several hundred usually; or samples, and 1 forward pass",
    use="where the model bends near the input: edges of what it reacts to, and how little a "
    "single gradient says there",
    misuse="as importance: a model that is linear in a unit has no variance there, however much "
    "the unit counts",
    source="Adebayo et al. 2018, arXiv:1810.03307, section 2; Hooker et al. 2019, arXiv:1806.10758",
    equation=r"a_i = \operatorname{Var}_{z \sim N(0, \sigma^2)} \, \partial_i f(x + z), \quad "
    r"\sigma = \text{noise} \cdot (\max x - \min x)",
    signed=False,
    takes={"tolerance", "max_evaluations"},
    unit="variance of the slope",
    aliases=("var_grad", "gradient_variance"),
)
def vargrad(question: Question, options: VarGrad) -> Steps:
    """Take the variance over independent noise until it is sure enough.

    For token models the variances of a token's features are added up: the mean squared distance
    of its gradient from the mean gradient. `stderr` holds the standard error of each value, from
    the variances within groups of four copies.
    """
    norm = takes_norm(question.units, options)
    copies = yield from Copies.of(question, options.noise, norm=norm)
    most = options.samples or (question.max_evaluations or FIRST + 1) - 1
    group = _GROUP if most >= FIRST else 2
    plan = Plan.of(question.tolerance, question.max_evaluations, options.samples, step=group)
    moments, variances = Moments(), Moments()

    def reduced(variance: FloatArray) -> FloatArray:
        return np.asarray(variance.sum(-1)) if norm else variance

    def ask(count: int) -> Generator[Ask, Answer, None]:
        found = yield from copies.gradients(copies.seeds(count))
        moments.add(found)
        whole = found[: count // group * group]
        if len(whole):
            parts = whole.reshape(-1, group, *whole.shape[1:])
            variances.add(reduced(parts.var(1, ddof=1)))

    def error() -> FloatArray:
        return relative_error(reduced(moments.variance), variances.stderr)

    reached, findings = yield from draw(plan, copies.at_once, ask, error)
    values = reduced(moments.variance)
    return Estimate(
        values, copies.score, error=reached, extra={"stderr": variances.stderr},
        findings=(*findings, *copies.findings(moments.mean)), signed=False,
        notes={"reduce": "norm" if norm else "sum", "samples": moments.count},
    )  # fmt: skip
