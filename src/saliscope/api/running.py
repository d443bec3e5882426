"""One chunk of inputs: prepared, predicted, put to the engine together, and labelled."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from saliscope.api.inputs import Input
from saliscope.api.measuring import job_of
from saliscope.api.planning import Later, Plan
from saliscope.api.results import assemble
from saliscope.core.ask import Layer, Question, Steps
from saliscope.core.attribution import Attribution
from saliscope.core.class_target import Predicted, every_class
from saliscope.core.engine import Job, Outcome, Progress, drive
from saliscope.core.errors import RefusedError, SaliscopeError
from saliscope.core.health import Finding
from saliscope.core.model import Sample
from saliscope.core.perturbation import Baseline
from saliscope.core.target import POSITIONED, BoundTarget
from saliscope.core.target_spec import as_target

__all__ = ["Result", "compute", "job_for"]

Result = Attribution | SaliscopeError
_Shared = dict[Hashable, Sequence[Baseline]]


@dataclass(eq=False)
class _Case:
    """One input on its way: its samples, and what has come of them."""

    named: Input
    samples: list[Sample] = field(default_factory=list)
    layers: list[Layer | None] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    predictions: list[Outcome | None] = field(default_factory=list)
    result: Result | None = None


def compute(
    wanted: Plan, chunk: Sequence[Input], *, steady: bool = False,
    progress: Callable[[Progress], None] | None = None,
    keep: Callable[[Input, Attribution], None] | None = None,
) -> list[Result]:  # fmt: skip
    """Explain some inputs together.

    Parameters
    ----------
    wanted : Plan
    chunk : sequence of Input
    steady : bool
        Cut batches by a fixed rule instead of by their speed, so that equal chunks give equal bits.
    progress : callable, optional
        Called after every batch.
    keep : callable, optional
        Called with every result as soon as it is finished.
    """
    cases = [_prepared(wanted, named) for named in chunk]
    findings = wanted.model.findings  # before quiet: training mode is one of them
    with wanted.model.quiet(wanted.seed):
        _run(wanted, cases, findings, steady=steady, progress=progress, keep=keep)
    assert all(case.result is not None for case in cases)
    return [case.result for case in cases if case.result is not None]


def _prepared(wanted: Plan, named: Input) -> _Case:
    case, model = _Case(named), wanted.model
    try:
        samples = list(model.prepare(named.raw, name=named.name or None))
        samples = [wanted.target.on(model, sample) for sample in samples]
        if "layer" in wanted.method.takes:
            name = getattr(wanted.options, "layer", None)
            case.layers = [model.layer(sample, name) for sample in samples]
        else:
            case.layers = [None] * len(samples)
        case.samples = samples
    except SaliscopeError as error:
        case.result = error
    return case


def _run(
    wanted: Plan, cases: Sequence[_Case], findings: Sequence[Finding], *, steady: bool,
    progress: Callable[[Progress], None] | None,
    keep: Callable[[Input, Attribution], None] | None,
) -> None:  # fmt: skip
    """Drive the engine and give every case its result."""
    about = wanted.model.describe()
    every = [
        (case, sample, layer)
        for case in cases
        for sample, layer in zip(case.samples, case.layers, strict=case.result is None)
    ]
    samples = [sample for _, sample, _ in every]
    needed = _predict(wanted, samples, steady=steady)
    jobs: list[Job] = []
    owners: list[tuple[_Case, Outcome | None, bool]] = []
    shared: _Shared = {}
    for (case, sample, layer), guess in zip(every, needed, strict=True):
        if case.result is not None:
            continue
        try:
            jobs.append(_job(wanted, sample, layer, guess, shared))
        except SaliscopeError as error:
            case.result = error
        else:
            shown = None
            if guess is None and wanted.model.modality != "tensor":
                shown = every_class(wanted.model, sample)
            owners.append((case, guess, shown is not None))
            if shown is not None:  # in the same run, where it shares passes with the others
                jobs.append(job_of(sample, shown, counted=False))
    # Closed here and not by the garbage collector, should one of the calls below raise.
    stream = drive(wanted.model, jobs, budget=wanted.budget, progress=progress, steady=steady)
    with contextlib.closing(stream):
        for case, guess, looks in owners:
            case.outcomes.append(next(stream))
            case.predictions.append(next(stream) if looks else guess)
            if len(case.outcomes) < len(case.samples) or case.result is not None:
                continue
            failed = [o.error for o in case.outcomes if o.error is not None]
            if failed:
                case.result = failed[0]
                continue
            made = assemble(wanted, case.outcomes, case.predictions, findings, about)
            case.result = made
            if keep is not None:
                keep(case.named, made)


def _predict(wanted: Plan, samples: Sequence[Sample], *, steady: bool) -> list[Outcome | None]:
    """Ask for all classes of every sample whose target is said by the prediction."""
    model, target = wanted.model, wanted.target
    if isinstance(target, Later):
        target = Predicted() if target.spec is None else target
    asked = [target.asks(model, s) for s in samples]
    jobs = [job_of(s, a) for s, a in zip(samples, asked, strict=True) if a is not None]
    found = drive(model, jobs, budget=wanted.budget, steady=steady)
    with contextlib.closing(found):
        return [None if a is None else next(found) for a in asked]


def job_for(wanted: Plan, sample: Sample) -> Job:
    """Return the job of explaining one sample, whose target is known without a look at it."""
    layer = None
    if "layer" in wanted.method.takes:
        layer = wanted.model.layer(sample, getattr(wanted.options, "layer", None))
    return _job(wanted, sample, layer, None, {})


def _job(
    wanted: Plan, sample: Sample, layer: Layer | None, predicted: Outcome | None, shared: _Shared
) -> Job:
    target = wanted.target
    if isinstance(target, Later):
        target = as_target(target.spec, wanted.model)
    if predicted is not None and target.asks(wanted.model, sample) is not None:
        if predicted.error is not None:
            raise predicted.error
        assert predicted.estimate is not None
        target = target.known(predicted.estimate.score, wanted.model)
    bound = target.bind(wanted.model, sample)
    run, options = wanted.method.run, wanted.options
    replacements = _replacements(wanted, sample, shared)
    return _make(
        wanted, sample, layer, bound, replacements, lambda question: run(question, options)
    )


def _make(
    wanted: Plan, sample: Sample, layer: Layer | None, bound: BoundTarget,
    replacements: tuple[Baseline, Sequence[Baseline]], start: Callable[[Question], Steps],
) -> Job:  # fmt: skip
    baseline, background = replacements
    if baseline.deletes and bound.head in POSITIONED:
        msg = (
            f"{sample.name}: deletion would change what {bound.names[0]} is taken over; "
            "use fill='mask', or a target that does not stand at positions"
        )
        raise RefusedError(msg)
    question = Question(
        sample.units, bound.count, baseline, wanted.tolerance, wanted.max_evaluations,
        np.random.default_rng(wanted.seed), background, layer, sample.context.get("width", 1),
    )  # fmt: skip
    return Job(sample, bound, question, start, key=(sample.key, bound.key, id(start.__code__)))


def _replacements(
    wanted: Plan, sample: Sample, shared: _Shared
) -> tuple[Baseline, Sequence[Baseline]]:
    """Return what stands in place of units, and the background where the method takes one.

    A method that takes both has a background where the user gives one, or where the input brings
    one (the rows of a table); one that takes examples has the others of a tensor.
    """
    takes, model = wanted.method.takes, wanted.model
    background: Sequence[Baseline] = ()
    given = wanted.baseline is not None or wanted.fill is not None
    if "background" in takes and sample.context.get("background") and not given:
        background = sample.context["background"]
    elif "examples" in takes and wanted.baseline is None:
        background = sample.context.get("others", ())
    elif takes & {"examples", "background"} and (
        wanted.baseline is not None or "fill" not in takes
    ):
        background = _background(wanted, sample, shared)
    if "fill" in takes and not (background and wanted.fill is None):
        return model.fill(sample, wanted.fill), background
    if background:
        return background[0], background
    if "baseline" in takes:
        return model.baseline(sample, wanted.baseline), background
    return Baseline("none"), background


def _background(wanted: Plan, sample: Sample, shared: _Shared) -> Sequence[Baseline]:
    """Return the given background; it is made once for all tensors of one shape."""
    value = sample.value
    # Of an image a baseline may be made of the image itself: blurred, or its average color.
    own = sample.key if wanted.model.modality == "image" else None
    kind = None if value is None else (tuple(value.shape), str(value.dtype), own)
    if kind in shared:
        return shared[kind]
    made = wanted.model.background(sample, wanted.baseline)
    if kind is not None:
        shared[kind] = made
    return made
