"""Every method on every adapter: the same numbers however the work is cut (design rule 7)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from helpers.cases import ABLE, CASES, UNABLE, Case, known, names
from saliscope import RefusedError, explain
from saliscope.core.registry import methods

pairs = pytest.mark.parametrize(("method", "case"), ABLE, ids=names)
WIDE = {"function", "estimator", "black box"}
"""Cases that compute in float64 whatever is asked for."""
CLOSE = {torch.float32: 1e-5, torch.float64: 1e-12}


def maps(results: Any) -> list[np.ndarray]:
    """Return bare values of one result or of many."""
    return [r.to_numpy() for r in (results if isinstance(results, list) else [results])]


def same(got: list[np.ndarray], wanted: list[np.ndarray], share: float) -> None:
    """Equal to `share` of the largest value."""
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=share * max(np.abs(b).max(), 1e-12))


def test_every_registered_method_runs_on_some_adapter() -> None:
    assert {method for method, _ in ABLE} == set(methods())
    assert len(ABLE) + len(UNABLE) == len(methods()) * len(CASES)


@pytest.mark.parametrize(("method", "case"), UNABLE, ids=names)
def test_what_a_model_does_not_offer_is_refused_by_name(method: str, case: Case) -> None:
    with pytest.raises(RefusedError) as caught:
        explain(case.make(torch.float64), case.inputs[0], method, case.targets[0])
    missing = methods()[method].needs - case.offers
    assert all(word in str(caught.value) for word in (method, *missing, "masking"))
    assert "\n" not in str(caught.value)


@pairs
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_packing_changes_nothing(method: str, case: Case, dtype: torch.dtype) -> None:
    share = 1e-12 if case.name in WIDE else CLOSE[dtype]
    options = {"method": method, **case.options(method, 9)}
    (one, two), inputs = case.targets, list(case.inputs)
    model = case.shared(dtype)
    alone = [explain(model, raw, target=one, **options) for raw in inputs]
    wanted = maps(alone)
    if dtype == torch.float32:
        together = explain(case.make(dtype), inputs, target=one, **options)
    else:  # in the other order, and only here what needs a pass per row
        together = explain(case.make(dtype), inputs[::-1], target=one, **options)[::-1]
        single = explain(model, inputs, target=one, budget=1, **options)
        same(maps(single), wanted, share)
        several = explain(model, inputs, target=two, **options)
        apart = explain(model, inputs[1], target=two, budget=1, **options)
        same(maps(several[1]), maps(apart), share)
    same(maps(together), wanted, share)
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_allclose(a.score, b.score, rtol=share * 10, atol=share * 10)


@pairs
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
def test_reduced_precision_is_near_double_and_accumulates_wide(
    method: str, case: Case, dtype: torch.dtype
) -> None:
    options = {"method": method, "target": case.targets[0], **case.options(method)}
    a = explain(case.make(dtype), case.inputs[0], **options)
    exact = known(method, case)[0].to_numpy()
    assert a.to_numpy().dtype == np.float64
    assert np.isfinite(a.to_numpy()).all()
    reduced = case.name not in WIDE and dtype != torch.float32
    assert ("reduced_precision" in a.health) == reduced
    # Differences of scores lose digits, so the bound is on the angle between the maps.
    x, y = a.to_numpy().ravel(), exact.ravel()
    cosine = float(x @ y / np.sqrt((x @ x) * (y @ y)))
    assert cosine >= (0.9 if reduced else 0.99999)


@pairs
def test_one_seed_gives_the_same_bytes(method: str, case: Case) -> None:
    options = {
        "method": method,
        "target": case.targets[0],
        "seed": 7,
        "budget": 1,
        **case.options(method, 9),
    }
    model = case.make(torch.float32)
    torch.manual_seed(1)  # the user's own random state does not reach the numbers
    one = explain(model, case.inputs[1], **options)
    torch.manual_seed(2)
    two = explain(model, case.inputs[1], **options)
    fresh = explain(case.make(torch.float32), case.inputs[1], **options)
    assert one.to_bytes() == two.to_bytes() == fresh.to_bytes()
    assert one.equals(two)


@pairs
def test_a_list_and_an_iterator_give_the_same_and_spare_the_inputs(method: str, case: Case) -> None:
    before = [i.clone() if isinstance(i, torch.Tensor) else i for i in case.inputs]
    model, options = case.shared(torch.float64), case.options(method)
    many = explain(model, list(case.inputs), method, case.targets[0], **options)
    assert isinstance(many, list)
    same(maps(many), maps(list(known(method, case))), 1e-12)
    stream = explain(model, iter(case.inputs), method, case.targets[0], **options)
    assert not isinstance(stream, list)
    same(maps(list(stream)), maps(many), 1e-12)
    assert explain(model, [], method, case.targets[0], **options) == []
    for one, two in zip(case.inputs, before, strict=True):
        assert torch.equal(one, two) if isinstance(one, torch.Tensor) else one == two


@pairs
def test_labels_and_provenance_are_complete(method: str, case: Case) -> None:
    a = known(method, case)[0]
    assert a.method == method
    assert a.evaluations > 0
    assert set(a.values.dims) <= set(a.data.coords) | {"dim_1", "dim_2", "dim_3"}
    assert a.provenance["model"]["weights"]
    assert a.provenance["seed"] == 0
    assert a.provenance["versions"]["torch"] == torch.__version__
    if case.name in {"protein", "text"}:
        assert a.text == case.inputs[0]
        assert len(a.to_frame()) == a.values.size
    both = explain(
        case.shared(torch.float64), case.inputs[0], method, case.targets[1], **case.options(method)
    )
    assert both.values.dims[0] == "target"
    assert len(both.target) == 2
    same([both.select(1).to_numpy()], [both.to_numpy()[1]], 0)
