"""The engine: order, failures, progress, and asks of every size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from helpers import toys
from saliscope.core.ask import Ask, Estimate, Fold, Question, Steps
from saliscope.core.engine import Job, Outcome, Progress, drive
from saliscope.core.errors import ModelError, OptionError
from saliscope.core.perturbation import Baseline, Perturbation
from saliscope.core.target_spec import as_target
from saliscope.models.tensor import TensorModel


def jobs(model: TensorModel, count: int, method: Any, key: object = None) -> list[Job]:
    """Return jobs on random inputs."""
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    made = []
    for sample in model.prepare(rows):
        bound = as_target([0, 1], model).bind(model, sample)
        question = Question(
            sample.units, 2, Baseline("zero", torch.zeros(3).double()), None, None,
            np.random.default_rng(0),
        )  # fmt: skip
        made.append(Job(sample, bound, question, method, key))
    return made


def run(model: TensorModel, work: Any, **options: Any) -> list[Outcome]:
    """Drive jobs to their end."""
    with model.quiet(0):
        return list(drive(model, work, **options))


def path(rows: int) -> Any:
    """Return a method that asks for `rows` points twice."""

    def steps(question: Question) -> Steps:
        alphas = np.linspace(0, 1, rows)
        points = Perturbation.path(question.units, alphas, question.baseline)
        first = yield Ask(points)
        second = yield Ask(points, Fold())
        assert second.gradients is not None
        np.testing.assert_allclose(first.values, second.values, atol=1e-12)
        return Estimate(second.gradients.sum(0), first.values.sum(0))

    return steps


@pytest.fixture
def model() -> TensorModel:
    """Return the two-layer network behind its adapter."""
    return TensorModel(toys.two_layer(), "net")


@pytest.mark.parametrize("budget", [1, 1000, None])
def test_outcomes_come_in_the_order_of_the_jobs(model: TensorModel, budget: int | None) -> None:
    work = jobs(model, 40, path(3))
    out = run(model, iter(work), budget=budget)
    assert [o.job for o in out] == work
    for outcome in out:
        x = outcome.job.sample.value
        points = torch.stack([x * a for a in (0.0, 0.5, 1.0)])
        assert outcome.estimate is not None
        wanted = model.module(points).sum(0).detach().numpy()
        np.testing.assert_allclose(outcome.estimate.score, wanted, atol=1e-12)
        assert outcome.evaluations == 6


@pytest.mark.parametrize("first", [True, False])
def test_an_ask_of_no_rows_is_answered(model: TensorModel, first: bool) -> None:
    def empty(question: Question) -> Steps:
        for rows in (0, 2) if first else (2, 0):
            alphas = np.ones(rows)
            answer = yield Ask(Perturbation.path(question.units, alphas, question.baseline))
            assert answer.values.shape == (rows, 2)
        return Estimate(np.zeros((2, 3)), np.zeros(2))

    out = run(model, jobs(model, 3, empty))
    assert [o.estimate is not None for o in out] == [True] * 3


def test_a_method_that_asks_nothing_ends_at_once(model: TensorModel) -> None:
    def silent(question: Question) -> Steps:
        return Estimate(np.zeros((2, 3)), np.zeros(2))
        yield

    out = run(model, jobs(model, 2, silent))
    assert [o.evaluations for o in out] == [0, 0]
    assert all(o.estimate is not None for o in out)


def test_a_method_that_refuses_is_one_outcome_among_others(model: TensorModel) -> None:
    seen = []

    def choosy(question: Question) -> Steps:
        seen.append(question)
        if len(seen) in {2, 3}:
            answer = yield Ask(Perturbation.identity(question.units))
            msg = f"no, {answer.values.shape}"
            raise OptionError(msg)
        answer = yield Ask(Perturbation.identity(question.units))
        return Estimate(np.zeros((2, 3)), answer.values[0])

    out = run(model, jobs(model, 5, choosy))
    assert [o.error is None for o in out] == [True, False, False, True, True]
    assert str(out[1].error) == "no, (1, 2)"


def test_equal_jobs_are_done_once_also_when_they_fail(model: TensorModel) -> None:
    out = run(model, jobs(model, 4, path(2), key="same"))
    assert [o.evaluations for o in out] == [4, 0, 0, 0]
    assert len({id(o.estimate) for o in out}) == 1
    with toys.Calls(model.module) as calls:
        work = jobs(model, 4, path(2), key="same")
        calls.error = lambda: ValueError("off")
        calls.fail_at = calls.calls + 1
        failed = run(model, work)
    assert all(isinstance(o.error, ModelError) for o in failed)


def test_progress_tells_rows_and_ends_with_everything_done(model: TensorModel) -> None:
    told: list[Progress] = []
    run(model, jobs(model, 7, path(4)), progress=told.append)
    assert told[-1].done == told[-1].started == 7
    assert told[-1].rows == 7 * 4 * 2
    assert [t.rows for t in told] == sorted(t.rows for t in told)
    assert [t.calls for t in told] == sorted(t.calls for t in told)


def test_jobs_are_taken_up_as_room_allows(model: TensorModel) -> None:
    work = jobs(model, 30, path(2))
    taken = 0

    def source() -> Iterator[Job]:
        nonlocal taken
        for _ in range(100):
            for job in work:
                taken += 1
                yield job

    with model.quiet(0):
        stream = drive(model, source())
        next(stream)
        assert taken < 3000
        stream.close()


def test_a_budget_below_one_row_runs_row_by_row_and_says_so(model: TensorModel) -> None:
    with toys.Calls(model.module) as calls:
        out = run(model, jobs(model, 2, path(3)), budget=1)
    assert set(calls.sizes) <= {1}
    for outcome in out:
        assert [f.code for f in outcome.findings] == ["over_budget"]


@pytest.mark.parametrize("most", [1, 2, 5])
def test_gradients_and_sums_survive_halving(most: int) -> None:
    def summed(question: Question) -> Steps:
        points = Perturbation.path(question.units, np.linspace(0, 1, 16), question.baseline)
        weights = np.arange(32.0).reshape(2, 16)
        answer = yield Ask(points, Fold("difference", rows=weights))
        assert answer.gradients is not None
        return Estimate(answer.gradients[1], answer.values[0])

    plain = TensorModel(toys.two_layer(), "net")
    wanted = run(plain, jobs(plain, 3, summed))
    tight = TensorModel(toys.two_layer(), "net")
    work = jobs(tight, 3, summed)
    with toys.Calls(tight.module, most=most):
        got = run(tight, work)
    for a, b in zip(got, wanted, strict=True):
        assert a.estimate is not None
        assert b.estimate is not None
        np.testing.assert_allclose(a.estimate.values, b.estimate.values, atol=1e-10)
        assert a.evaluations == b.evaluations == 16
    assert any(f.code == "out_of_memory" for o in got for f in o.findings)


def test_memory_errors_of_numpy_and_torch_are_both_known() -> None:
    for error in (MemoryError("full"), RuntimeError("DefaultCPUAllocator: can't allocate memory")):
        model = TensorModel(toys.two_layer(), "net")
        work = jobs(model, 4, path(4))
        with toys.Calls(model.module, error=lambda error=error: error) as calls:
            calls.fail_at = 3
            out = run(model, work)
        assert all(o.estimate is not None for o in out)
