"""`explain`: the one verb. Binds inputs and targets, drives the engine, labels the results."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np

from saliscope.api.inputs import Input
from saliscope.api.results import assemble
from saliscope.api.store import Store
from saliscope.core.ask import Ask, Estimate, Options, Question, Steps
from saliscope.core.attribution import Attribution
from saliscope.core.engine import drive
from saliscope.core.errors import OptionError, RefusedError, SaliscopeError, ToleranceError
from saliscope.core.model import Model, Sample
from saliscope.core.perturbation import Perturbation
from saliscope.core.registry import MethodSpec, get_method, methods, options_from
from saliscope.core.target import BoundTarget, Class, Many, Predicted, Target
from saliscope.core.target_spec import as_target
from saliscope.core.tasks import Job, Outcome, Progress
from saliscope.models.loading import load

__all__ = ["Plan", "explain", "explain_each", "plan"]

CHUNK = 256
"""Inputs that share the engine at once: enough to fill batches, little enough to hold."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that is wanted of a run, checked."""

    model: Model
    method: MethodSpec
    options: Options
    target: Target
    baseline: object
    fill: object
    tolerance: float | None
    max_evaluations: int | None
    budget: int | None
    seed: int


def plan(
    model: object, method: str, target: object, *, baseline: object = None, fill: object = None,
    tolerance: float | None = None, max_evaluations: int | None = None, budget: int | None = None,
    seed: int = 0, tokenizer: Any = None, options: dict[str, Any] | None = None,
) -> Plan:  # fmt: skip
    """Check what is asked, before any input is read.

    Raises
    ------
    OptionError
        A value that is out of range, an option that the method does not have, an unknown name.
    RefusedError
        The method needs something that the model does not offer.
    """
    spec = get_method(method)
    _check_numbers(tolerance, max_evaluations, budget, seed)
    given = {
        "baseline": baseline, "fill": fill, "tolerance": tolerance,
        "max_evaluations": max_evaluations,
    }  # fmt: skip
    for name, value in given.items():
        if value is not None and name not in spec.takes:
            takes = ", ".join(sorted(spec.takes)) or "none of baseline, fill and tolerance"
            msg = f"{spec.name} does not use {name}=; it takes {takes}"
            raise OptionError(msg)
    chosen = options_from(spec, options or {})
    adapter = load(model, tokenizer=tokenizer)
    missing = spec.needs - adapter.offers
    if missing:
        able = [m.name for m in methods().values() if m.needs <= adapter.offers]
        msg = (
            f"{spec.name} needs {', '.join(sorted(missing))}, and {adapter.name} offers "
            f"{', '.join(sorted(adapter.offers))} only; use one of: {', '.join(able)}"
        )
        raise RefusedError(msg)
    wanted = as_target(target, adapter) if adapter.heads else _Later(target)
    return Plan(
        adapter, spec, chosen, wanted, baseline, fill, tolerance, max_evaluations, budget, seed
    )


def _check_numbers(
    tolerance: float | None, max_evaluations: int | None, budget: int | None, seed: int
) -> None:
    if tolerance is not None and not 0 < tolerance < 1:
        msg = f"tolerance={tolerance} must lie between 0 and 1, e.g. 0.01 for one percent"
        raise OptionError(msg)
    if max_evaluations is not None and max_evaluations < 5:
        msg = f"max_evaluations={max_evaluations} is too few; give at least 5"
        raise OptionError(msg)
    if budget is not None and (isinstance(budget, bool) or budget < 1):
        msg = f"budget={budget} must be a positive number of bytes, e.g. 2 * 2**30"
        raise OptionError(msg)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        msg = f"seed={seed} must be a whole number of at least 0"
        raise OptionError(msg)


@dataclass(frozen=True)
class _Later(Target):
    """A target of a model whose outputs are known only once it has seen an input."""

    spec: object

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Interpret the target now."""
        return as_target(self.spec, model).bind(model, sample)


@overload
def explain(model: object, inputs: list[Any] | tuple[Any, ...], method: str = ..., target: object = ..., **options: Any) -> list[Attribution]: ...  # noqa: E501
@overload
def explain(model: object, inputs: Iterator[Any], method: str = ..., target: object = ..., **options: Any) -> Iterator[Attribution]: ...  # noqa: E501
@overload
def explain(model: object, inputs: Any, method: str = ..., target: object = ..., **options: Any) -> Attribution: ...  # noqa: E501
def explain(
    model: object, inputs: Any, method: str = "integrated_gradients", target: object = None, *,
    baseline: object = None, fill: object = None, tolerance: float | None = None,
    max_evaluations: int | None = None, budget: int | None = None, seed: int = 0,
    strict: bool = False, errors: Literal["raise", "collect"] = "raise",
    progress: bool | Callable[[Progress], None] = False, resume: str | None = None,
    tokenizer: Any = None, **options: Any,
) -> Any:  # fmt: skip
    """Say what a model looked at in one input, or in many.

    Parameters
    ----------
    model : object
        Anything that `load` takes.
    inputs : object
        A protein, a text, or a tensor with a leading example axis; `Input` gives it a name. A
        list gives a list of results, an iterator an iterator, packed together.
    method : str
        A name from `saliscope.methods()`, or a word that captum or shap use for it.
    target : object, optional
        What is explained: a class number or label, ``("a", "b")`` for a contrast, ``"V6E"``,
        ``"likelihood"``, a vector, a function of the output, or a list of several. None is the
        modality's default (see ``saliscope models --defaults``); the result names it.
    baseline : object, optional
        Where a path starts: "mask", "zero", "pad", a token, an input of the same length, or for
        tensors a number or a tensor.
    fill : object, optional
        What stands in place of a part that is taken away: as baseline, or "delete".
    tolerance : float, optional
        Relative error to reach (paths: 1 %).
    max_evaluations : int, optional
        Model rows after which an adaptive method stops, with a finding.
    budget : int, optional
        Bytes that a batch may need beside the weights: a ceiling (default 1 GiB).
    seed : int
        Of the one random generator.
    strict : bool
        Raise `ToleranceError` where a result's health has errors.
    errors : {"raise", "collect"}
        "collect" puts the error in place of a result that failed, and goes on.
    progress : bool or callable
        Show a bar, or call the function with a `Progress` after each batch.
    resume : str, optional
        A folder in which finished results are kept; a later call with the same settings takes
        them from there.
    tokenizer : transformers.PreTrainedTokenizerBase, optional
        For a `PreTrainedModel`.
    **options
        The method's own options (``saliscope methods NAME``).

    Returns
    -------
    Attribution, list of Attribution or iterator of Attribution

    Raises
    ------
    SaliscopeError
        `InputError`, `OptionError`, `ModelError`, `RefusedError`, `ToleranceError`.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Linear(3, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = net.weight.copy_(torch.tensor([[1.0, -2.0, 3.0], [0.0, 0.0, 0.0]]))
    >>> a = explain(net, torch.ones(1, 3), method="integrated_gradients", target=0)
    >>> a.to_numpy().round(6).tolist(), round(a.score.item(), 6)
    ([[1.0, -2.0, 3.0]], 2.0)
    """
    wanted = plan(
        model, method, target, baseline=baseline, fill=fill, tolerance=tolerance,
        max_evaluations=max_evaluations, budget=budget, seed=seed, tokenizer=tokenizer,
        options=options,
    )  # fmt: skip
    if errors not in {"raise", "collect"}:
        msg = f"errors={errors!r} does not exist; use 'raise' or 'collect'"
        raise OptionError(msg)
    many = isinstance(inputs, (list, tuple)) and not isinstance(inputs, Input)
    stream = isinstance(inputs, Iterator)
    source: Iterable[Any] = inputs if many or stream else [inputs]
    results = explain_each(
        wanted, source, strict=strict, collect=errors == "collect", progress=progress,
        store=Store(resume) if resume is not None else None,
    )  # fmt: skip
    if stream:
        return results
    if many:
        return list(results)
    return next(iter(results))


def explain_each(
    wanted: Plan, inputs: Iterable[Any], *, strict: bool = False, collect: bool = False,
    progress: bool | Callable[[Progress], None] = False, store: Store | None = None,
) -> Iterator[Any]:  # fmt: skip
    """Yield a result per input, in order; errors are yielded too with `collect`."""
    with _Bar(progress) as tell:
        for chunk in itertools.batched(inputs, CHUNK) if hasattr(itertools, "batched") else _batched(inputs):
            for result in _chunk(wanted, chunk, store, tell):
                if isinstance(result, SaliscopeError):
                    if not collect:
                        raise result
                elif strict and not result.health.ok:
                    text = "; ".join(f.sentence for f in result.health.errors)
                    failure = ToleranceError(f"{result.name}: {text}")
                    if not collect:
                        raise failure
                    result = failure
                yield result


def _batched(inputs: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    source = iter(inputs)
    while chunk := tuple(itertools.islice(source, CHUNK)):
        yield chunk


def _chunk(
    wanted: Plan, chunk: Sequence[Any], store: Store | None, tell: Callable[[Progress], None] | None
) -> list[Any]:
    """Explain some inputs together."""
    results: list[Any] = [None] * len(chunk)
    prepared: list[tuple[int, list[Sample]]] = []
    findings = wanted.model.findings
    for place, raw in enumerate(chunk):
        named = raw if isinstance(raw, Input) else Input("", raw)
        if store is not None:
            results[place] = store.find(wanted, named)
            if results[place] is not None:
                continue
        try:
            prepared.append((place, list(wanted.model.prepare(named.raw, name=named.name or None))))
        except SaliscopeError as error:
            results[place] = error
    with wanted.model.quiet(wanted.seed):
        samples = [(place, sample) for place, group in prepared for sample in group]
        predicted = _predict(wanted, [s for _, s in samples], tell)
        jobs: list[Job] = []
        owners: list[tuple[int, int]] = []
        for number, (place, sample) in enumerate(samples):
            if isinstance(results[place], SaliscopeError):
                continue
            try:
                jobs.append(_job(wanted, sample, predicted[number]))
                owners.append((place, number))
            except SaliscopeError as error:
                results[place] = error
        outcomes: dict[int, list[Outcome]] = {}
        predictions: dict[int, list[Outcome | None]] = {}
        waiting = {place: len(group) for place, group in prepared}
        stream = drive(wanted.model, jobs, budget=wanted.budget, progress=tell)
        for (place, number), outcome in zip(owners, stream, strict=False):
            outcomes.setdefault(place, []).append(outcome)
            predictions.setdefault(place, []).append(predicted[number])
            if len(outcomes[place]) < waiting[place] or isinstance(results[place], SaliscopeError):
                continue
            failed = [o.error for o in outcomes[place] if o.error is not None]
            if failed:
                results[place] = failed[0]
                continue
            results[place] = assemble(wanted, outcomes[place], predictions[place], findings)
            if store is not None:
                raw = chunk[place]
                named = raw if isinstance(raw, Input) else Input("", raw)
                store.keep(wanted, named, results[place])
    return results


def _predict(
    wanted: Plan, samples: Sequence[Sample], tell: Callable[[Progress], None] | None
) -> list[Outcome | None]:
    """Ask for all classes of every sample, where the prediction is needed or shown."""
    model = wanted.model
    spec = wanted.target.spec if isinstance(wanted.target, _Later) else wanted.target
    unknown = spec is None or isinstance(spec, Predicted)
    if "classes" not in model.heads or not (unknown or model.modality != "tensor"):
        return [None] * len(samples)
    assert model.labels is not None
    every = Many(tuple(Class(i) for i in range(len(model.labels))))

    def look(question: Question) -> Steps:
        answer = yield Ask(Perturbation.identity(question.units))
        return Estimate(
            answer.values[0][:, None], answer.values[0],
            extra={"probability": answer.probabilities[0][:, None]},
        )  # fmt: skip

    jobs = [_make(wanted, sample, every.bind(model, sample), look) for sample in samples]
    return list(drive(model, jobs, budget=wanted.budget, progress=tell))


def _job(wanted: Plan, sample: Sample, predicted: Outcome | None) -> Job:
    target = wanted.target
    if isinstance(target, _Later):
        target = as_target(target.spec, wanted.model)
    if isinstance(target, Predicted):
        assert predicted is not None
        if predicted.error is not None:
            raise predicted.error
        assert predicted.estimate is not None
        target = Class(int(np.argmax(predicted.estimate.score)), scale=target.scale)
    bound = target.bind(wanted.model, sample)
    run, options = wanted.method.run, wanted.options
    return _make(wanted, sample, bound, lambda question: run(question, options))


def _make(
    wanted: Plan, sample: Sample, bound: BoundTarget, start: Callable[[Question], Steps]
) -> Job:
    removes = "fill" in wanted.method.takes
    given = wanted.fill if removes else wanted.baseline
    baseline = (
        wanted.model.fill(sample, given) if removes else wanted.model.baseline(sample, given)
    )
    if baseline.deletes and bound.head == "tokens":
        msg = (
            f"{sample.name}: deletion would change what {bound.names[0]} is taken over; "
            "use fill='mask', or a target that does not stand at positions"
        )
        raise RefusedError(msg)
    question = Question(
        sample.units, bound.count, baseline, wanted.tolerance, wanted.max_evaluations,
        np.random.default_rng(wanted.seed),
    )  # fmt: skip
    return Job(sample, bound, question, start, key=(sample.key, bound.key, id(start.__code__)))


class _Bar:
    """A progress bar on standard error, or the caller's own function, or nothing."""

    def __init__(self, progress: bool | Callable[[Progress], None]) -> None:
        self.progress = progress
        self.bar: Any = None

    def __enter__(self) -> Callable[[Progress], None] | None:
        if callable(self.progress):
            return self.progress
        if not self.progress:
            return None
        from rich.console import Console
        from rich.progress import Progress as Rich

        self.bar = Rich(console=Console(stderr=True), transient=True)
        task = self.bar.add_task("explaining", total=None)
        self.bar.start()

        def tell(state: Progress) -> None:
            self.bar.update(
                task, completed=state.done, total=state.started,
                description=f"explaining ({state.rows:,} evaluations)",
            )  # fmt: skip

        return tell

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()
