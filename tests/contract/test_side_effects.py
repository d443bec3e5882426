"""Every method on every adapter: nothing is left behind (design rule 5.1)."""

from __future__ import annotations

import os
import random
import threading
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from helpers import state, tokens, toys
from helpers.cases import ABLE, CASES, Case, known, names
from saliscope import SaliscopeError, explain
from saliscope.models.function import FunctionModel
from saliscope.models.tensor import TensorModel

pairs = pytest.mark.parametrize(("method", "case"), ABLE, ids=names)
MOST_CALLS = 60


@pairs
def test_success_leaves_everything_as_it_was(method: str, case: Case) -> None:
    model = case.make(torch.float32)
    state.disturb(model.module)
    with state.unchanged(model.module):
        a = explain(model, list(case.inputs), method, case.targets[0], **case.options(method))
    assert all(("training_mode" in r.health) == any(_training(model.module)) for r in a)


def _training(module: nn.Module) -> list[bool]:
    return [part.training for part in module.modules()]


@pairs
def test_a_failure_at_any_call_leaves_everything_as_it_was(method: str, case: Case) -> None:
    """Calls fail and are interrupted by turns; the first one by turns among methods."""
    kinds = (RuntimeError("broken on purpose"), SaliscopeError), (KeyboardInterrupt(), None)
    for k in range(1, MOST_CALLS):
        error, told = kinds[(k + ABLE.index((method, case))) % 2]
        model = case.make(torch.float32)  # a new one: what was learned of the last is not known
        state.disturb(model.module)
        broken = toys.Calls(model.module, fail_at=k, error=lambda error=error: error)
        with state.unchanged(model.module), broken as calls:
            if calls_needed(model, calls, method, case, told or KeyboardInterrupt):
                break
    else:
        pytest.fail(f"more than {MOST_CALLS} calls")
    assert k > 1  # it did fail at least once


def calls_needed(
    model: Any, calls: toys.Calls, method: str, case: Case, expected: type[BaseException]
) -> bool:
    """Explain one input; return whether the broken call was never reached."""
    options = case.options(method, 9)
    try:
        explain(model, case.inputs[0], method, case.targets[0], **options)
    except expected as error:
        told = str(error)
        assert "\n" not in told
        return False
    return calls.calls < (calls.fail_at or 0)


@pairs
def test_refused_inputs_leave_everything_as_it_was(method: str, case: Case) -> None:
    model = case.make(torch.float32)
    state.disturb(model.module)
    bad: Any = "" if case.name in {"protein", "text"} else torch.full((1, 4, 3), float("nan"))
    for raw, options in ((bad, {}), (case.inputs[0], {"target": 99}), (None, {})):
        with state.unchanged(model.module), pytest.raises(SaliscopeError):
            explain(model, raw, method, **({"target": case.targets[0]} | options))


class Rude(nn.Module):
    """A model that changes the process while it runs, and its own mode."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = toys.two_layer(torch.float32)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Change what should not be changed."""
        torch.manual_seed(random.randrange(100))
        np.random.rand()  # noqa: NPY002
        self.inner.train()
        warnings.simplefilter("error")
        torch.set_default_dtype(torch.float64)
        out: torch.Tensor = self.inner(rows) + 0 * torch.rand(1, dtype=rows.dtype)
        return out


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_what_a_rude_model_changes_is_put_back(method: str) -> None:
    net = Rude().eval()
    state.disturb(net)
    with state.unchanged(net):
        explain(net, torch.tensor([toys.TWO_LAYER_INPUT]), method, 0)


@pairs
@pytest.mark.parametrize("outer", [torch.no_grad, torch.inference_mode])
def test_it_works_inside_the_users_own_grad_mode(method: str, case: Case, outer: Any) -> None:
    model, plain = case.shared(torch.float64), known(method, case)[0]
    with outer():
        raw = case.inputs[0]
        own = raw.clone() if isinstance(raw, torch.Tensor) else raw  # an inference tensor
        mode = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        inside = explain(model, own, method, case.targets[0], **case.options(method))
        assert mode == (torch.is_grad_enabled(), torch.is_inference_mode_enabled())
    np.testing.assert_allclose(inside.to_numpy(), plain.to_numpy(), atol=1e-12)


def test_inputs_that_need_gradients_get_none() -> None:
    x = torch.tensor([toys.TWO_LAYER_INPUT]).double().requires_grad_()
    y = x * 1.0
    explain(toys.two_layer(), y, "integrated_gradients", 0)
    assert x.grad is None
    assert x.requires_grad
    assert y.grad_fn is not None


@pytest.mark.parametrize("method", ["gradient", "integrated_gradients", "occlusion", "masking"])
def test_a_first_layer_that_works_in_place_runs_and_spares_the_input(method: str) -> None:
    net = nn.Sequential(nn.ReLU(inplace=True), toys.linear([[1.0, 2.0, 3.0]]))
    x = torch.tensor([[-1.0, 2.0, -3.0]]).double()
    options = {"steps": 4} if method == "integrated_gradients" else {}
    a = explain(net, x, method, 0, **options)
    wanted = [0, 2, 0] if method == "gradient" else [0, 4, 0]
    np.testing.assert_allclose(a.to_numpy()[0], wanted, atol=1e-12)
    assert x.tolist() == [[-1.0, 2.0, -3.0]]


@pytest.mark.parametrize("kinds", [("text", "text"), ("text", "protein"), ("tensor", "tensor")])
def test_threads_at_once_leave_everything_as_it_was(kinds: tuple[str, str]) -> None:
    made = {c.name: c for c in CASES}
    cases = [made[k] for k in kinds]
    models = [c.make(torch.float32) for c in cases]
    if kinds == ("text", "text"):
        models[1] = models[0]  # one model in both threads
    for model in models:
        state.disturb(model.module)
    wanted = [
        explain(m, c.inputs[0], "integrated_gradients", c.targets[0], steps=3)
        for m, c in zip(models, cases, strict=True)
    ]
    before = [state.snapshot(m.module) for m in models]
    failures: list[BaseException] = []

    def work(number: int) -> None:
        model, case = models[number], cases[number]
        try:
            for _ in range(4):
                a = explain(model, case.inputs[0], "integrated_gradients", case.targets[0], steps=3)
                close = 1e-5 * np.abs(wanted[number].to_numpy()).max()
                np.testing.assert_allclose(a.to_numpy(), wanted[number].to_numpy(), atol=close)
                assert "training_mode" in a.health
        except BaseException as error:  # noqa: BLE001 - told in the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in (0, 1, 0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for model, old in zip(models, before, strict=True):
        assert state.changes(old, state.snapshot(model.module)) == []


def test_a_model_that_draws_numbers_draws_the_same_ones() -> None:
    def noisy(rows: np.ndarray) -> np.ndarray:
        drawn = np.random.standard_normal(len(rows)) + random.random()  # noqa: NPY002
        return rows.sum(1) + drawn

    model = FunctionModel(noisy, "noisy")
    x = np.ones((1, 3))
    one, two = (explain(model, x, "masking", 0, seed=3, budget=1) for _ in range(2))
    np.testing.assert_array_equal(one.to_numpy(), two.to_numpy())
    other = explain(model, x, "masking", 0, seed=4, budget=1)
    assert not np.array_equal(one.to_numpy(), other.to_numpy())


def test_a_very_large_seed_works() -> None:
    a = explain(toys.two_layer(), torch.ones(1, 3), "masking", 0, seed=2**80)
    assert a.provenance["seed"] == 2**80


def test_dropout_in_training_mode_is_off_and_told() -> None:
    net = nn.Sequential(nn.Dropout(0.9), toys.linear([[1.0, 1.0]]))
    net.train()
    x = torch.ones(1, 2).double()
    a = explain(net, x, "masking", 0)
    np.testing.assert_array_equal(a.to_numpy(), [[1, 1]])
    assert "training_mode" in a.health
    assert net[0].training


def test_the_environment_of_a_token_model_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    before = dict(os.environ)
    module, tokenizer = tokens.bert(), tokens.word_tokenizer()
    explain(module, "a good film", "masking", 0, tokenizer=tokenizer)
    assert dict(os.environ) == before


def test_a_tensor_adapter_keeps_no_trace_on_the_module() -> None:
    net = toys.two_layer()
    before = state.snapshot(net)
    TensorModel(net, "net").prepare(torch.ones(1, 3).double())
    assert state.changes(before, state.snapshot(net)) == []
