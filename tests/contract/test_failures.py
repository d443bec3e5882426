"""What fails, and what it leaves of the rest: memory, single records, duplicates, counts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import saliscope
from helpers import state, tokens, toys
from helpers.cases import ABLE, KEYED, TABLES, Case, known, names
from saliscope import Attribution, ModelError, OutOfMemoryError, SaliscopeError, explain
from saliscope.core.registry import methods
from saliscope.models.text import TextModel

pairs = pytest.mark.parametrize(("method", "case"), ABLE, ids=names)


@pairs
def test_memory_that_runs_out_changes_nothing_but_a_finding(method: str, case: Case) -> None:
    options = {"method": method, "target": case.targets[0], **case.options(method)}
    model = case.make(torch.float64)
    with state.unchanged(model.module), toys.Calls(model.module, most=2) as calls:
        got = explain(model, list(case.inputs), **options)
    assert max(calls.sizes) <= 2
    failed = calls.calls > len(calls.sizes)
    for a, b in zip(got, known(method, case), strict=True):
        close = 1e-11 * max(1.0, np.abs(b.to_numpy()).max())
        np.testing.assert_allclose(a.to_numpy(), b.to_numpy(), rtol=0, atol=close)
        assert a.evaluations == b.evaluations
    assert failed == any("out_of_memory" in a.health for a in got)


@pairs
def test_memory_that_never_suffices_is_one_clear_error(method: str, case: Case) -> None:
    model = case.make(torch.float64)
    refused = pytest.raises(OutOfMemoryError, match="memory ran out on a single row")
    with (
        state.unchanged(model.module),
        toys.Calls(model.module, most=0) as calls,
        refused as caught,
    ):
        explain(model, case.inputs[0], method, case.targets[0], **case.options(method))
    assert "\n" not in str(caught.value)
    assert calls.sizes == []


def test_words_remembered_before_memory_ran_out_are_counted_once() -> None:
    # Masking with the fill "good" meets the input itself again: that row is remembered, and
    # stands in one batch with rows that fail.
    model = TextModel(tokens.bert(torch.float64), tokens.word_tokenizer(), "bert")
    sentence = "good good film good bad good film"
    wanted = explain(model, sentence, "masking", 0, fill="good")
    for most in (1, 2, 3):
        fresh = TextModel(tokens.bert(torch.float64), tokens.word_tokenizer(), "bert")
        with toys.Calls(fresh.module, most=most):
            got = explain(fresh, [sentence] * 2, "masking", 0, fill="good")
        for a in got:
            np.testing.assert_allclose(a.to_numpy(), wanted.to_numpy(), atol=1e-12)
    np.testing.assert_allclose(wanted.to_numpy()[[0, 1, 3, 5]], 0, atol=1e-12)


def bad_input(case: Case) -> Any:
    """Return an input that the adapter refuses."""
    return {"protein": "MV1L", "text": "   "}.get(case.name, torch.full((1, 4, 3), float("nan")))


@pairs
def test_one_bad_record_does_not_lose_the_others(method: str, case: Case) -> None:
    options = {"method": method, "target": case.targets[0], **case.options(method)}
    model = case.shared(torch.float64)
    inputs = [case.inputs[0], bad_input(case), case.inputs[1], None]
    got = explain(model, inputs, errors="collect", **options)
    assert isinstance(got[1], SaliscopeError)
    assert isinstance(got[3], SaliscopeError)
    for a, b in zip((got[0], got[2]), known(method, case)[:2], strict=True):
        close = 1e-11 * max(1.0, np.abs(b.to_numpy()).max())
        np.testing.assert_allclose(a.to_numpy(), b.to_numpy(), rtol=0, atol=close)
    with pytest.raises(type(got[1])):
        explain(model, inputs, **options)


class Picky(toys.Wrapped):
    """Fails on batches that hold a row with a large first number."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Fail on what it does not like."""
        if bool((rows[:, 0] > 50).any()):
            msg = "does not like\nthis row"
            raise ValueError(msg)
        out: torch.Tensor = self.inner(rows)
        return out


@pytest.mark.parametrize("method", ["gradient", "integrated_gradients", "masking", "occlusion"])
def test_a_model_that_fails_on_one_input_fails_on_that_one_only(method: str) -> None:
    net = Picky(toys.two_layer(), "tensor")
    good = torch.tensor([toys.TWO_LAYER_INPUT]).double()
    # The probe looks at the first example only, so the second one fails in the engine.
    broken = torch.cat([good, good + 100])
    inputs = [good, broken, good * 2, broken, good * 3]
    got = explain(net, inputs, method, 0, errors="collect")
    alone = [explain(toys.two_layer(), x, method, 0) for x in (good, good * 2, good * 3)]
    for a, b in zip((got[0], got[2], got[4]), alone, strict=True):
        np.testing.assert_allclose(a.to_numpy(), b.to_numpy(), atol=1e-12)
    for failed in (got[1], got[3]):
        assert isinstance(failed, ModelError)
        assert "does not like" in str(failed)
        assert "\n" not in str(failed)
        assert isinstance(failed.__cause__, ValueError)


def alone(calls: toys.Calls) -> int:
    """One row is run alone, once per model, to see whether rows depend on each other."""
    return int(any(size > 1 for size in calls.sizes))


def read_before(inputs: Sequence[Any], method: str) -> int:
    """Count rows that say what a frame sees (two), what each line says, and the layer per size."""
    sizes = len({raw.shape for raw in inputs})
    return 2 + len(inputs) + sizes * ("layer" in methods()[method].takes)


@pairs
def test_duplicates_are_computed_once(method: str, case: Case) -> None:
    if case.name not in KEYED:
        inputs = [case.inputs[0], case.inputs[0]]
        got = explain(
            case.make(torch.float64), inputs, method, case.targets[0], **case.options(method)
        )
        assert got[0].evaluations == got[1].evaluations > 0  # tensors have no natural key
        return
    inputs = [case.inputs[0], case.inputs[1], case.inputs[0]]
    model = case.make(torch.float64)
    with toys.Calls(model.module) as calls:
        got = explain(model, inputs, method, case.targets[0], **case.options(method))
    assert got[2].evaluations == 0
    np.testing.assert_array_equal(got[0].to_numpy(), got[2].to_numpy())
    assert got[0].score == got[2].score
    layer = "layer" in methods()[method].takes
    looks = int(case.name in TABLES) + (layer and case.name in {"image", "columns"})
    if case.name == "line":
        looks = read_before(inputs, method)
    assert sum(calls.sizes) - alone(calls) - looks == got[0].evaluations + got[1].evaluations


@pairs
def test_rows_are_counted_as_the_module_sees_them(method: str, case: Case) -> None:
    model = case.make(torch.float64)
    with toys.Calls(model.module) as calls:
        got = explain(model, list(case.inputs), method, case.targets[0], **case.options(method))
    # A module on tensors is looked at once per shape of input, and so are the layers of any.
    tensors = case.name not in KEYED
    shapes = len({raw.shape[1:] for raw in case.inputs}) if tensors else 1
    looked = tensors or case.name in TABLES
    probes = shapes * (looked + ("layer" in methods()[method].takes))
    if case.name == "line":
        probes = read_before(case.inputs, method)
    assert sum(a.evaluations for a in got) == sum(calls.sizes) - probes - alone(calls)


@pytest.mark.parametrize(("fill", "distinct"), [("A", 3), ("delete", 3), ("mask", 5)])
def test_equal_rows_are_run_once_and_counted_once(protein: Any, fill: str, distinct: int) -> None:
    # AAAV with A as fill: three rows are the input itself; with deletion they are all AAV.
    target = np.ones(16)
    explain(protein, "MVHL", "masking", target)  # looks once whether rows depend on each other
    with toys.Calls(protein.module) as calls:
        a = explain(protein, "AAAV", "masking", target, fill=fill)
    assert a.evaluations == sum(calls.sizes) == distinct - (fill == "A")


def test_a_saved_result_opens_without_torch(tmp_path: Path, protein: Any) -> None:
    a = explain(protein, saliscope.Input("h\u00e9mo", "MVHLT"), "integrated_gradients", steps=3)
    path = a.save(tmp_path / "a.nc")
    code = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'torch', 'transformers', 'matplotlib'}:\n"
        "            raise ImportError(name + ' is blocked')\n"
        "sys.meta_path.insert(0, Block())\n"
        "import saliscope\n"
        "a = saliscope.Attribution.load(sys.argv[1])\n"
        "assert a.score == float(sys.argv[2]), a.score\n"
        "assert a.top(2).shape[0] == 2 and a.name == 'h\\u00e9mo'\n"
        "a.to_csv(); a.to_json(); repr(a); list(a.health); a.select(0)\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
        "print('opened')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(path), repr(a.score)], capture_output=True, text=True,
        check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert run.stdout.strip() == "opened", run.stderr
    assert Attribution.load(path).equals(a)


def test_results_of_a_folder_are_taken_up_again(tmp_path: Path) -> None:
    module, tokenizer = tokens.bert(), tokens.word_tokenizer()
    options: dict[str, Any] = {"tokenizer": tokenizer, "resume": str(tmp_path / "kept")}
    first = explain(module, ["a good film", "dull"], "masking", 0, **options)
    with toys.Calls(module) as calls:
        again = explain(module, ["dull", "a good film"], "masking", 0, **options)
    assert calls.calls == 0
    assert again[1].equals(first[0])
    assert again[0].equals(first[1])
    with toys.Calls(module) as calls:
        explain(module, "dull", "masking", 1, **options)
    assert calls.calls > 0


def test_a_model_that_was_trained_on_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    module, tokenizer = tokens.bert(), tokens.word_tokenizer()
    model = saliscope.load(module, tokenizer=tokenizer)
    options: dict[str, Any] = {"method": "masking", "target": 0, "resume": str(tmp_path)}
    before = explain(model, "a good film", **options)
    with torch.no_grad():
        module.classifier.weight.mul_(2.0)
    after = explain(model, "a good film", **options)
    assert before.provenance["model"]["weights"] != after.provenance["model"]["weights"]
    assert not np.allclose(before.to_numpy(), after.to_numpy())


def test_strict_raises_on_errors_only() -> None:
    net, x = toys.two_layer(), torch.tensor([toys.TWO_LAYER_INPUT]).double()
    assert explain(net.train(), x, "ig", 0, strict=True).score.shape == (1,)  # a warning
    with pytest.raises(saliscope.ToleranceError, match="Stopped at"):
        explain(net, x, "ig", 0, strict=True, tolerance=1e-9, max_evaluations=5)
    got = explain(
        net, [x], "ig", 0, strict=True, tolerance=1e-9, max_evaluations=5, errors="collect"
    )
    assert isinstance(got[0], saliscope.ToleranceError)


class _Mixed(torch.nn.Module):
    """A model whose rows depend on each other: it takes the batch's mean away."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - x.mean(0)).cumsum(-1) + x[:, :1]


def test_rows_that_depend_on_each_other_are_an_error() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0]])
    assert "cross_example" in explain(_Mixed(), x, "occlusion", 2).health
    assert "cross_example" not in explain(torch.nn.Linear(3, 3), x, "occlusion", 2).health
