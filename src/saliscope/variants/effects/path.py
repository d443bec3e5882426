"""Gradients of the sequence score, at a protein and along the way from one protein to another.

The score of a protein that is written as one-hot rows X is

    s(X) = sum_i sum_a X_ia log p(a | i; X E),

so its residues stand in it twice: as what the model sees (X E, the embedding) and as what is asked
for (the label). Both move together. On the straight way from a reference to a subject of the same
length the attributions of the residues then sum to s(subject) - s(reference), and a residue that
does not change gets exactly 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from saliscope.core.adaptive import Evaluation, integrate
from saliscope.core.ask import Ask, Estimate, Fold, Question, Steps
from saliscope.core.engine import Job, drive
from saliscope.core.errors import InputError
from saliscope.core.health import Finding
from saliscope.core.perturbation import Perturbation
from saliscope.core.target import BoundTarget, bound
from saliscope.core.units import FloatArray

__all__ = ["LETTERS", "SequencePath", "sequence_path", "substitution_gradients"]

LETTERS = "ACDEFGHIKLMNPQRSTVWY"
TOLERANCE = 0.01
LIMIT = 513


@dataclass(frozen=True, eq=False)
class SequencePath:
    """Integrated gradients from one protein to another of the same length.

    Parameters
    ----------
    values : numpy.ndarray, shape (residues,)
        Attribution of every residue; they sum to the score difference.
    score, reference_score : float
        Likelihood of subject and reference in one unmasked pass each.
    error : float
        Estimated L1 error, relative to max(|score difference|, sum of |values|).
    evaluations : int
        Forward and backward passes.
    findings : tuple of Finding
    """

    values: FloatArray
    score: float
    reference_score: float
    error: float
    evaluations: int
    findings: tuple[Finding, ...]

    @property
    def gap(self) -> float:
        """What the attributions sum to, minus the score difference."""
        return float(self.values.sum() - (self.score - self.reference_score))


def sequence_path(
    model: Any, reference: str, subject: str, *, tolerance: float = TOLERANCE, limit: int = LIMIT,
    budget: int | None = None, seed: int = 0,
) -> SequencePath:  # fmt: skip
    """Return integrated gradients of the score along the way from `reference` to `subject`.

    Parameters
    ----------
    model : ProteinModel
        As `saliscope.load` returns it.
    reference, subject : str
        Proteins of the same length.
    tolerance : float
        Relative L1 error to reach.
    limit : int
        Evaluations after which refinement stops, with a finding.
    budget : int, optional
    seed : int

    Raises
    ------
    InputError
        The proteins differ in length: there is no straight way between them.

    Notes
    -----
    Sundararajan, Taly & Yan 2017, arXiv:1703.01365, equation 1, with the label as part of the
    input.

    Examples
    --------
    >>> import saliscope
    >>> model = saliscope.load("zoo:protein")
    >>> path = sequence_path(model, "MVHLTPEEKS", "MVHLTPVEKS")
    >>> share = abs(path.gap) / abs(path.values).sum()
    >>> np.flatnonzero(path.values).tolist(), round(float(share), 1)
    ([6], 0.0)
    """
    if len(reference) != len(subject):
        msg = (
            f"the proteins have {len(reference)} and {len(subject)} residues; a path runs between "
            "proteins of one length"
        )
        raise InputError(msg)
    (sample,) = model.prepare(subject)
    (start,) = model.prepare(reference)
    places = sample.units.kept
    new, old = sample.context["ids"][places], start.context["ids"][places]
    changed = np.flatnonzero(new != old)
    # Targets: the subject's score, the reference's, and the log-ratio at every changed residue.
    terms = [(0, int(p), int(i), 1.0) for p, i in zip(places, new, strict=True)]
    terms += [(1, int(p), int(i), 1.0) for p, i in zip(places, old, strict=True)]
    for owner, at in enumerate(changed, 2):
        place = int(places[at])
        terms += [(owner, place, int(new[at]), 1.0), (owner, place, int(old[at]), -1.0)]
    names = ["subject", "reference", *(f"ratio at {at + 1}" for at in changed)]
    target = bound(names, "log_prob", "tokens", terms)
    baseline = model.baseline(sample, reference)

    def evaluate(nodes: Sequence[float]) -> Evaluation:
        alphas = np.asarray(nodes)
        mix = np.zeros((len(nodes), target.count))
        mix[:, 0], mix[:, 1] = alphas, 1 - alphas
        answer = yield Ask(
            Perturbation.path(sample.units, nodes, baseline), Fold("difference", mix=mix)
        )
        assert answer.gradients is not None
        slopes = answer.gradients.copy()
        slopes[:, 0, places[changed]] += answer.values[:, 2:]
        score = alphas * answer.values[:, 0] + (1 - alphas) * answer.values[:, 1]
        return slopes, score[:, None]

    def steps(_: Question) -> Steps:
        found = yield from integrate(evaluate, tolerance, limit)
        return Estimate(
            found.values, found.high, found.low, error=found.error, additive=True,
            findings=found.findings,
        )  # fmt: skip

    (estimate,), evaluations = _run(model, [(sample, target, baseline, steps)], budget, seed)
    assert estimate.baseline_score is not None
    assert estimate.error is not None
    return SequencePath(
        estimate.values[0, places], float(estimate.score[0]), float(estimate.baseline_score[0]),
        float(estimate.error[0]), evaluations, estimate.findings,
    )  # fmt: skip


def substitution_gradients(
    model: Any, protein: str, *, budget: int | None = None, seed: int = 0
) -> FloatArray:
    """Return the first-order change of the score for every substitution of a protein.

    Entry (i, a) is the slope of the score, at the protein itself, in the direction that puts
    residue `a` in place of residue i: what the gradient predicts for that substitution.

    Parameters
    ----------
    model : ProteinModel
    protein : str
    budget : int, optional
    seed : int

    Returns
    -------
    numpy.ndarray, shape (residues, 20)
        In the order of `LETTERS`; 0 where the residue is that letter already.

    Examples
    --------
    >>> import saliscope
    >>> g = substitution_gradients(saliscope.load("zoo:protein"), "MVHLTPEEKS")
    >>> g.shape, float(g[0, LETTERS.index("M")])
    ((10, 20), 0.0)
    """
    (sample,) = model.prepare(protein)
    places = sample.units.kept
    own = sample.context["ids"][places]
    score = bound(
        ["score"], "log_prob", "tokens",
        [(0, int(p), int(i), 1.0) for p, i in zip(places, own, strict=True)],
    )  # fmt: skip
    jobs = []
    for letter in LETTERS:
        baseline = model.baseline(sample, letter)

        def steps(question: Question, fill: Any = baseline) -> Steps:
            here = Perturbation.path(question.units, [1.0], fill)
            answer = yield Ask(here, Fold("difference"))
            assert answer.gradients is not None
            return Estimate(answer.gradients[0], answer.values[0])

        jobs.append((sample, score, baseline, steps))
    # The label's part: log p(a | i) - log p(x_i | i), for all letters at once.
    letters = [model.token_id(letter) for letter in LETTERS]
    every = bound(
        [f"{a} at {i + 1}" for i in range(len(places)) for a in LETTERS], "log_prob", "tokens",
        [(20 * i + a, int(p), index, 1.0)
         for i, p in enumerate(places) for a, index in enumerate(letters)],
    )  # fmt: skip

    def look(question: Question) -> Steps:
        answer = yield Ask(Perturbation.identity(question.units))
        return Estimate(answer.values[0][:, None], answer.values[0])

    seen, _ = _run(model, [(sample, every, model.baseline(sample, None), look)], budget, seed)
    labels = seen[0].score.reshape(len(places), len(LETTERS))
    estimates, _ = _run(model, jobs, budget, seed)
    # "difference" is own minus letter; a substitution goes the other way.
    moved = np.stack([-e.values[0, places] for e in estimates], axis=1)
    at = np.array([letters.index(int(i)) if int(i) in letters else -1 for i in own])
    present = np.where(at >= 0, labels[np.arange(len(own)), at], 0.0)
    gradients: FloatArray = moved + labels - present[:, None]
    gradients[np.arange(len(own))[at >= 0], at[at >= 0]] = 0.0
    return gradients


_Work = tuple[Any, BoundTarget, Any, Callable[[Question], Steps]]


def _run(
    model: Any, work: Sequence[_Work], budget: int | None, seed: int
) -> tuple[list[Estimate], int]:
    jobs = [
        Job(
            sample, target,
            Question(sample.units, target.count, baseline, None, None, np.random.default_rng(seed)),
            steps,
        )
        for sample, target, baseline, steps in work
    ]  # fmt: skip
    estimates: list[Estimate] = []
    evaluations = 0
    with model.quiet(seed):
        for outcome in drive(model, jobs, budget=budget, steady=True):
            if outcome.error is not None:
                raise outcome.error
            assert outcome.estimate is not None
            estimates.append(outcome.estimate)
            evaluations += outcome.evaluations
    return estimates, evaluations
