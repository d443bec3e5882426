"""LIME: a weighted linear surrogate around the input, with how well it fits and how sure it is.

Differences from the authors' package: coalitions are drawn level by level without replacement, so
that each size has its share and few groups are enumerated; the fit is plain weighted least squares,
without a penalty and without a selection of features, so that no coefficient is set to zero in
silence; and the fit's quality and the coefficients' standard errors are part of the result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saliscope.core.ask import Estimate, Options, Question, Steps
from saliscope.core.coalitions import Grouped, Level, Masks, Sampler, scores_of
from saliscope.core.errors import OptionError
from saliscope.core.health import Finding, finding
from saliscope.core.registry import method, option
from saliscope.core.sampling import TOLERANCE, checked_samples
from saliscope.core.surrogate import Strata, fit, missed, relative_error
from saliscope.core.units import FloatArray

__all__ = ["Lime", "lime"]

MAX_SAMPLES = 2048
GROWTH = 1.5
POOR = 0.5
_NOTHING = 1e-12


@dataclass(frozen=True)
class Lime(Options):
    """Options of `lime`."""

    groups: str | Sequence[int] | None = option(
        None,
        "what is present or absent together: 'word', 'token', 'residue', or one group number per "
        "unit (default: words of a text, single residues of a protein, patches of an image, "
        "single elements of a tensor)",
    )
    samples: int | None = option(
        None, "number of perturbed inputs; unset: draw until the tolerance is met"
    )
    kernel_width: float = option(
        0.25,
        "how fast the weight of a perturbed input falls with its cosine distance from the input; "
        "smaller is more local",
    )

    def __post_init__(self) -> None:
        checked_samples(self.samples, least=2)
        if not (isinstance(self.kernel_width, (int, float)) and 0 < self.kernel_width < math.inf):
            msg = f"kernel_width={self.kernel_width!r}: give a number above 0, e.g. 0.25"
            raise OptionError(msg)


@method(
    "lime",
    options=Lime,
    needs={"values"},
    summary="Coefficients of a linear model of the target, fitted to inputs with absent groups.",
    cost="from 3 forward passes per group to 2,048, until the standard errors sum to 5 % of the "
    "values; times the size of a background",
    use="a quick linear picture of the neighborhood, where its fit (r_squared) is good",
    misuse="where the target is not near linear in what is absent: the coefficients then describe "
    "neither the input nor anything else (r_squared says so), and change with the kernel",
    source="Ribeiro, Singh & Guestrin 2016, arXiv:1602.04938, equations 1 and 2, section 3.3",
    equation=r"a = \arg\min_{a} \min_{c} \sum_{z \in \{0,1\}^n} \frac{\pi(z)}{\binom{n}{|z|}} "
    r"\bigl(f(x_z) - c - a \cdot z\bigr)^2, \quad "
    r"\pi(z) = e^{-D(z)^2 / 2 \sigma^2}, \; D(z) = 1 - \sqrt{|z| / n}",
    takes={"fill", "background", "tolerance", "max_evaluations"},
    aliases=("lime_text", "lime_image", "lime_base", "local_surrogate"),
)
def lime(question: Question, options: Lime) -> Steps:
    """Draw coalitions of all sizes alike, weigh them by the kernel, and fit a linear model.

    `stderr` holds the standard error of each coefficient, `r_squared` the share of the target's
    weighted variance that the fit explains in inputs that were left out of it, one at a time, and
    `intercept` what it predicts where all groups are absent.
    """
    grouped = Grouped.by(question.units, options.groups)
    n, times = grouped.count, max(1, len(question.background))
    mass = _kernel(n, options.kernel_width)
    levels = [Level(n, size, question.rng) for size in range(n + 1)]
    # The input itself, and all inputs that lack one group: without them a group could be missing.
    sampler = Sampler(levels, mass, whole=(n - 1, n))
    tolerance = TOLERANCE if question.tolerance is None else question.tolerance
    wanted, limit = _sizes(question, options, sampler.least, n)
    masks: Masks = np.empty((0, n), dtype=bool)
    level = np.empty(0, dtype=np.int64)
    scores = np.empty((0, question.targets))
    while True:
        fresh, numbers = sampler.draw(wanted)
        got = yield from scores_of(question, grouped.grouping, fresh)
        masks, level = np.concatenate([masks, fresh]), np.concatenate([level, numbers])
        scores = np.concatenate([scores, got])
        strata = Strata(level, mass, sampler.counts)
        # The input itself is the origin of the fit, so that few digits are lost, and none where
        # nothing changes.
        score = scores[masks.all(1)][0]
        changes = scores - score
        design = np.column_stack([np.ones(len(masks)), ~masks])
        found = fit(design, changes, strata, np.diag([1.0] + [-1.0] * n))
        values, stderr = found.coefficients[:, 1:], found.stderr[:, 1:]
        error = relative_error(values, stderr)
        if wanted >= limit or sampler.exhausted or not (error > tolerance).any():
            break
        wanted = min(math.ceil(wanted * GROWTH), limit)
    quality = _r_squared(changes, found.held_out, strata.weights)
    findings: list[Finding] = []
    if options.samples is None:
        findings += missed(error, tolerance, len(masks) * times)
    elif (error > tolerance).any():
        facts = {"samples": len(masks), "error": float(error.max()), "tolerance": tolerance}
        findings.append(finding("sampling_error", **facts))
    if quality.min() < POOR:
        findings.append(finding("poor_surrogate", r_squared=max(0.0, float(quality.min()))))
    if question.baseline.deletes and not question.background:
        findings.append(finding("deletion_shifts"))
    return Estimate(
        grouped.lay(values), score, error=error,
        extra={"stderr": grouped.lay(stderr)},
        numbers={
            "r_squared": quality, "intercept": score + found.coefficients[:, 0] - values.sum(1),
        },
        units=grouped.shown, findings=tuple(findings),
        notes={"samples": len(masks), "groups": n, "by": grouped.grouping.kind},
    )  # fmt: skip


def _kernel(n: int, width: float) -> FloatArray:
    """Return the weight of a coalition of each size, 0 to n."""
    distance = 1 - np.sqrt(np.arange(n + 1) / n)
    mass = np.exp(-0.5 * (distance / width) ** 2)
    if mass[n - 1] < _NOTHING:
        msg = (
            f"kernel_width={width} leaves no weight to inputs that lack one of {n} groups; "
            f"give at least {distance[n - 1] / 7:.2g}"
        )
        raise OptionError(msg)
    return np.asarray(np.maximum(mass, np.finfo(np.float64).tiny))


def _sizes(question: Question, options: Lime, least: int, n: int) -> tuple[int, int]:
    """Return how many inputs are drawn first, and at most."""
    times = max(1, len(question.background))
    limit = MAX_SAMPLES
    if question.max_evaluations is not None:
        limit = question.max_evaluations // times
    if options.samples is not None:
        limit = int(options.samples)
    if limit < least:
        name = "samples" if options.samples is not None else "max_evaluations"
        given, needed = (limit, least) if name == "samples" else (limit * times, least * times)
        msg = (
            f"a linear fit of {n:,} groups needs at least {needed:,} evaluations, and {name} is "
            f"{given:,}; raise it, or make fewer groups (groups=)"
        )
        raise OptionError(msg)
    return (limit if options.samples is not None else least), limit


def _r_squared(
    changes: FloatArray, held_out: FloatArray, weights: npt.NDArray[np.float64]
) -> FloatArray:
    """Return the explained share of the weighted variance; 1 where nothing varies."""
    spread = changes - np.average(changes, axis=0, weights=weights)
    total, rest = weights @ spread**2, weights @ held_out**2
    return np.asarray(1 - np.divide(rest, total, out=np.zeros_like(rest), where=total != 0))
