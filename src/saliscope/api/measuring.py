"""`measure`: the numbers of a target at many inputs, a forward pass per distinct input, no map."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import length_hint
from typing import Any, Literal

import numpy as np

from saliscope.api.inputs import Input
from saliscope.api.progress import Meter
from saliscope.core.ask import Ask, Estimate, Question, Steps
from saliscope.core.engine import Job, Progress, drive
from saliscope.core.errors import OptionError, SaliscopeError
from saliscope.core.model import Model, Sample
from saliscope.core.perturbation import DELETE, Perturbation
from saliscope.core.target import BoundTarget
from saliscope.core.target_spec import as_target
from saliscope.core.units import FloatArray
from saliscope.models.loading import load

__all__ = ["Measurement", "look", "measure"]

CHUNK = 256
"""Inputs of an iterator that are run together."""

_UNDRAWN = np.random.default_rng(0)  # a look at the input draws nothing


@dataclass(frozen=True, eq=False)
class Measurement:
    """The numbers of a target at one input.

    Parameters
    ----------
    name : str
        Of the input.
    targets : tuple of str
    values : numpy.ndarray, shape (targets,)
        In float64.
    """

    name: str
    targets: tuple[str, ...]
    values: FloatArray


def look(question: Question) -> Steps:
    """Ask for the target at the input itself, and nothing else."""
    answer = yield Ask(Perturbation.identity(question.units))
    return Estimate(
        answer.values[0][:, None], answer.values[0],
        extra={"probability": answer.probabilities[0][:, None]},
    )  # fmt: skip


def measure(
    model: object, inputs: Any, target: object = None, *, budget: int | None = None, seed: int = 0,
    steady: bool = False, errors: Literal["raise", "collect"] = "raise",
    progress: bool | Callable[[Progress], None] = False, tokenizer: Any = None,
) -> Any:  # fmt: skip
    """Return the numbers of a target at one input, or at many.

    Parameters
    ----------
    model, inputs, target, budget, seed, errors, progress, tokenizer
        As of `saliscope.explain`. `Together` reads several outputs off one pass.
    steady : bool
        Cut batches by a fixed rule instead of by measured speed: equal lists give equal bits.

    Returns
    -------
    Measurement, list of Measurement or iterator of Measurement
        A tensor of several examples gives one measurement per example, in a list.

    Examples
    --------
    >>> import saliscope
    >>> likelihood = saliscope.Likelihood(each=True)
    >>> m = measure("zoo:protein", ["MVHLTPEEK", "MVHLTPVEK"], likelihood)
    >>> m[0].targets[6], m[0].values.shape, bool(m[0].values.sum() > m[1].values.sum())
    ('log P(E at 7)', (9,), True)
    """
    if errors not in {"raise", "collect"}:
        msg = f"errors={errors!r} does not exist; use 'raise' or 'collect'"
        raise OptionError(msg)
    adapter = load(model, tokenizer=tokenizer)
    many = isinstance(inputs, (list, tuple)) and not isinstance(inputs, Input)
    stream = isinstance(inputs, Iterator)
    named = (
        (raw if isinstance(raw, Input) else Input("", raw) for raw in inputs)
        if (many or stream)
        else iter([inputs if isinstance(inputs, Input) else Input("", inputs)])
    )
    total = length_hint(inputs, 0) or None if many or stream else None

    def results() -> Iterator[Measurement | SaliscopeError]:
        with Meter(progress, total) as meter:
            while chunk := list(itertools.islice(named, CHUNK if stream else None)):
                with adapter.quiet(seed):
                    yield from _measured(
                        adapter, chunk, target, budget, steady=steady, progress=meter.tell
                    )
                meter.next()

    def checked() -> Iterator[Measurement | SaliscopeError]:
        for result in results():
            if isinstance(result, SaliscopeError) and errors == "raise":
                raise result
            yield result

    if stream:
        return checked()
    found = list(checked())
    return found if many or len(found) > 1 else found[0]


def _measured(
    model: Model, chunk: Sequence[Input], target: object, budget: int | None, *, steady: bool,
    progress: Callable[[Progress], None],
) -> list[Measurement | SaliscopeError]:  # fmt: skip
    """Measure some inputs together; an input that fails gives its error."""
    found: list[Measurement | SaliscopeError | None] = []
    places: list[int] = []
    jobs: list[Job] = []
    for named in chunk:
        try:
            samples = model.prepare(named.raw, name=named.name or None)
            wanted = [as_target(target, model) for _ in samples]
            samples = [w.on(model, s) for w, s in zip(wanted, samples, strict=True)]
            made = [job_of(s, w.bind(model, s)) for w, s in zip(wanted, samples, strict=True)]
        except SaliscopeError as error:
            found.append(error)
            continue
        places += range(len(found), len(found) + len(made))
        found += [None] * len(made)
        jobs += made
    outcomes = drive(model, jobs, budget=budget, progress=progress, steady=steady)
    for place, outcome in zip(places, outcomes, strict=True):
        job = outcome.job
        if outcome.error is not None or outcome.estimate is None:
            found[place] = outcome.error
        else:
            found[place] = Measurement(job.sample.name, job.target.names, outcome.estimate.score)
    return [result for result in found if result is not None]


def job_of(sample: Sample, target: BoundTarget, *, counted: bool = True) -> Job:
    """Return the job of looking at one input."""
    question = Question(sample.units, target.count, DELETE, None, None, _UNDRAWN)
    key = (sample.key, target.key, "look")
    return Job(sample, target, question, look, key, counted=counted)
