"""`explain`: the one verb. Binds inputs and targets, drives the engine, labels the results."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, Literal, overload

from saliscope.api.inputs import Input
from saliscope.api.planning import Plan, plan
from saliscope.api.progress import Meter
from saliscope.api.running import Result, compute
from saliscope.api.sharing import stored, team
from saliscope.api.store import Store
from saliscope.api.workers import Crew, Engine, check_workers, threads_each
from saliscope.core.attribution import Attribution
from saliscope.core.engine import Progress
from saliscope.core.errors import OptionError, SaliscopeError, ToleranceError

__all__ = ["Plan", "explain", "explain_each", "plan"]

CHUNK = 256
"""Inputs that share the engine at once: enough to fill batches, little enough to hold."""


@overload
def explain(
    model: object,
    inputs: list[Any] | tuple[Any, ...],
    method: str = ...,
    target: object = ...,
    **options: Any,
) -> list[Attribution]: ...
@overload
def explain(
    model: object, inputs: Iterator[Any], method: str = ..., target: object = ..., **options: Any
) -> Iterator[Attribution]: ...
@overload
def explain(
    model: object, inputs: Any, method: str = ..., target: object = ..., **options: Any
) -> Attribution: ...
def explain(
    model: object, inputs: Any, method: str = "integrated_gradients", target: object = None, *,
    baseline: object = None, fill: object = None, tolerance: float | None = None,
    max_evaluations: int | None = None, budget: int | None = None, seed: int = 0,
    strict: bool = False, errors: Literal["raise", "collect"] = "raise",
    progress: bool | Callable[[Progress], None] = False, resume: str | None = None,
    workers: int | None = None, engine: Engine = "local", trust: bool = False,
    tokenizer: Any = None, **options: Any,
) -> Any:  # fmt: skip
    """Say what a model looked at in one input, or in many.

    Parameters
    ----------
    model : object
        Anything that `load` takes.
    inputs : object
        A protein, a text, a picture (a file, a Pillow image, an array), or a tensor with a
        leading example axis; `Input` gives it a name. A list gives a list of results, an iterator
        an iterator, packed together.
    method : str
        A name from `saliscope.methods()`, or a word that captum or shap use for it.
    target : object, optional
        What is explained: a class number or label, ``("a", "b")`` for a contrast, ``"V6E"``,
        ``"likelihood"``, a vector, a function of the output, or a list of several. None is the
        modality's default (see ``saliscope models --defaults``); the result names it.
    baseline : object, optional
        Where a path starts: "mask", "zero", "pad", a token, an input of the same length; for
        pictures a color, "blur", "noise" or a picture; for tensors a number or a tensor. Methods
        that average over a background take several: a list of them, or a tensor with a leading
        axis.
    fill : object, optional
        What stands in place of a part that is taken away: as baseline, or "delete".
    tolerance : float, optional
        Relative error to reach (paths: 1 %; what is sampled: a standard error of 5 %).
    max_evaluations : int, optional
        Model rows after which an adaptive method stops, with a finding.
    budget : int, optional
        Bytes that a batch may need beside the weights: a ceiling (default 1 GiB; on a GPU an eighth
        of its memory, if that is more).
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
        them from there, and ends in the same bytes as one that was not cut off.
    workers : int, optional
        Explain in so many processes, which load the model themselves and share the threads of
        this one: for models given by name, and texts, proteins or files of pictures. The bits are
        those of one process with as many threads as each of them has.
    engine : {"local", "ray"}
        Where workers run: on this machine, or on Ray (a cluster that is connected already, else
        one of this machine).
    trust : bool
        Test every map (`saliscope.trust`, with its defaults): the verdict stands in
        ``result.meta["trust"]`` and in its report. It costs far more than most maps.
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
    source, again = itertools.tee(source) if trust and stream else (source, source)
    check_workers(engine, workers)
    store, crew = None, None
    shared = workers is not None or engine == "ray"
    if resume is not None or shared:
        store = Store(resume, threads_each(wanted.model.threads, engine, workers))
    if store is not None and shared:
        crew = team([wanted], store, workers, engine)

    def results() -> Iterator[Any]:
        with store or nullcontext(), crew or nullcontext():
            each = explain_each(
                wanted, source, strict=strict, collect=errors == "collect", progress=progress,
                store=store, workers=crew,
            )  # fmt: skip
            yield from _tested(wanted, again, each) if trust else each

    if stream:
        return results()
    if many:
        return list(results())
    (one,) = results()
    return one


def explain_each(
    wanted: Plan, inputs: Iterable[Any], *, strict: bool = False, collect: bool = False,
    progress: bool | Callable[[Progress], None] = False, store: Store | None = None,
    workers: Crew[Any, Any] | None = None, number: int = 0,
) -> Iterator[Any]:  # fmt: skip
    """Yield a result per input, in order; errors are yielded too with `collect`.

    With a `store` results are kept there; `workers` then compute them (see
    `saliscope.api.sharing.stored`).
    """
    total = len(inputs) if isinstance(inputs, Sequence) else None
    named = (raw if isinstance(raw, Input) else Input("", raw) for raw in inputs)
    with Meter(progress, total) as meter:
        if store is not None:
            results = stored(wanted, named, store, meter, workers, number)
        else:
            results = _together(wanted, named, meter)
        for result in results:
            yield _checked(result, strict=strict, collect=collect)


def _together(wanted: Plan, inputs: Iterator[Input], meter: Meter) -> Iterator[Result]:
    """Explain inputs in this process, at the best speed, and keep nothing."""
    while chunk := list(itertools.islice(inputs, CHUNK)):
        results = compute(wanted, chunk, progress=meter.tell)
        meter.next(len(chunk))
        yield from results


def _tested(wanted: Plan, inputs: Iterable[Any], results: Iterator[Any]) -> Iterator[Any]:
    """Yield results with their verdicts."""
    from saliscope.api.trusting import with_verdict

    for raw, result in zip(inputs, results, strict=False):
        named = raw if isinstance(raw, Input) else Input("", raw)
        yield with_verdict(wanted, named, result)


def _checked(result: Result, *, strict: bool, collect: bool) -> Result:
    """Return a result or its error, raising errors unless they are collected."""
    if strict and isinstance(result, Attribution) and not result.health.ok:
        text = "; ".join(f.sentence for f in result.health.errors)
        result = ToleranceError(f"{result.name}: {text}")
    if isinstance(result, SaliscopeError) and not collect:
        raise result
    return result
