"""Several baselines at once: what a method gets, what is refused, what the result says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from helpers import tokens
from saliscope import OptionError, explain
from saliscope.core import registry
from saliscope.core.ask import Ask, Estimate, Options, Question, Steps
from saliscope.core.perturbation import Perturbation
from saliscope.models.protein import ProteinModel

TEXTS = {
    "summary": "s", "cost": "c", "use": "u", "misuse": "m", "source": "s", "equation": "e",
}  # fmt: skip
asked: list[Question] = []


def look(question: Question, _options: Options) -> Steps:
    """Remember the question."""
    asked.append(question)
    answer = yield Ask(Perturbation.identity(question.units))
    return Estimate(np.ones((question.targets, *question.units.shape)), answer.values[0])


@pytest.fixture(autouse=True)
def probes() -> Iterator[None]:
    """Register a method that takes a background, and one that takes a fill too."""
    takes: Any = {"averaging": {"background"}, "coalitions": {"background", "fill"}}
    registry.methods()
    for name, taken in takes.items():
        registry.method(name, needs={"values"}, takes=taken, **TEXTS)(look)
    yield
    asked.clear()
    for name in takes:
        registry.unregister(name)


def backgrounds() -> list[list[Any]]:
    """Return the values of the backgrounds that were asked with, as lists."""
    return [[b.value.tolist() for b in q.background] for q in asked]


NET = torch.nn.Linear(2, 2)
X = torch.tensor([[1.0, 2.0]])


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (None, [[0, 0]]),
        (3.0, [[3, 3]]),
        (torch.tensor([4.0, 5.0]), [[4, 5]]),
        (np.array([[4.0, 5.0]]), [[4, 5]]),
        (torch.tensor([[4.0, 5.0], [6.0, 7.0], [8.0, 9.0]]), [[4, 5], [6, 7], [8, 9]]),
        ([0.0, torch.tensor([4.0, 5.0]), "zero"], [[0, 0], [4, 5], [0, 0]]),
    ],
    ids=["default", "number", "one", "one row", "rows", "list"],
)
def test_a_background_is_given_as_baseline(given: Any, wanted: Any) -> None:
    a = explain(NET, X, "averaging", 0, baseline=given)
    assert backgrounds() == [wanted]
    assert asked[0].baseline is asked[0].background[0]
    said = a.provenance["baseline"]
    assert said == (f"background of {len(wanted)}" if len(wanted) > 1 else said)
    assert "fill" not in a.provenance


def test_every_input_has_the_background_in_its_own_shape() -> None:
    given = torch.tensor([[4.0, 5.0], [6.0, 7.0]])
    explain(NET, torch.cat([X, X + 1]), "averaging", 0, baseline=given)
    assert backgrounds() == [[[4, 5], [6, 7]]] * 2
    asked.clear()
    explain(torch.nn.Identity(), torch.tensor([3.0, 4.0]), "averaging", 0, baseline=given[0])
    assert backgrounds() == [[4, 5], [4, 5]]


def test_a_method_that_takes_a_fill_too_has_a_background_only_where_one_is_given() -> None:
    a = explain(NET, X, "coalitions", 0)
    assert asked[0].background == ()
    assert a.provenance["fill"] == "zero"
    assert "baseline" not in a.provenance
    b = explain(NET, X, "coalitions", 0, baseline=[1.0, 2.0, "zero"])
    assert len(asked[1].background) == 3
    assert b.provenance["baseline"] == "background of 3"
    assert b.provenance["background"] == ["given", "zero"]
    assert "fill" not in b.provenance
    with pytest.raises(OptionError, match="takes one of them"):
        explain(NET, X, "coalitions", 0, baseline=1.0, fill=0.0)


def test_proteins_are_a_background_of_proteins_and_letters() -> None:
    model = ProteinModel(tokens.esm(), tokens.esm_tokenizer(), "esm")
    a = explain(model, "MVHL", "averaging", baseline=["A", "mask", "GGGG", "ACDE"])
    letters = {index: letter for letter, index in model.vocabulary.items()}
    read = ["".join(letters[i] for i in b.ids[1:-1]) for b in asked[0].background]
    assert read == ["AAAA", "<mask>" * 4, "GGGG", "ACDE"]
    assert a.provenance["background"] == ["A", "ACDE", "GGGG", "mask"]
    with pytest.raises(OptionError, match="has 3 units and the input has 4"):
        explain(model, "MVHL", "averaging", baseline=["A", "ACD"])
    with pytest.raises(OptionError, match="ndarray is not one of protein"):
        explain(model, "MVHL", "averaging", baseline=np.zeros((2, 4)))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "empty background"),
        (torch.zeros(0, 2), "at least one baseline"),
        (torch.zeros(3, 5), "shape"),
        ([1.0, "mask"], "'mask'"),
        (torch.tensor([[0.0, float("nan")], [0.0, 0.0]]), "not finite"),
    ],
)
def test_a_background_that_cannot_be_used_is_refused(given: Any, said: str) -> None:
    with pytest.raises(OptionError, match=said) as caught:
        explain(NET, X, "averaging", 0, baseline=given)
    assert "\n" not in str(caught.value)


def test_one_path_cannot_start_at_several_baselines() -> None:
    with pytest.raises(OptionError, match="starts at one baseline; to average over several use"):
        explain(NET, X, "integrated_gradients", 0, baseline=["zero", "zero"])
    with pytest.raises(OptionError):
        explain(NET, X, "integrated_gradients", 0, baseline=torch.zeros(3, 2))


def test_an_input_that_is_all_of_its_background_is_noticed() -> None:
    assert "input_equals_baseline" in explain(NET, X, "averaging", 0, baseline=[X, X]).health
    assert "input_equals_baseline" not in explain(NET, X, "averaging", 0, baseline=[X, 0]).health
