"""The registry, the findings, and one throwaway method that appears everywhere."""

from __future__ import annotations

import importlib
import re
import string
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import saliscope
from helpers import toys
from saliscope import OptionError, explain
from saliscope.core import registry
from saliscope.core.errors import SaliscopeError, nearest
from saliscope.core.health import CATALOG, Finding, Health, finding
from saliscope.core.registry import get_method, methods, options_from

WORDS = {
    "integrated_gradients": [
        "ig",
        "IG",
        "IntegratedGradients",
        "integrated",
        "Integrated Gradients",
    ],
    "gradient": ["saliency", "Saliency", "vanilla-gradient", "grad"],
    "input_x_gradient": ["InputXGradient", "gradient_x_input", "input-x-gradient"],
    "occlusion": ["Occlusion", "sliding_window"],
    "masking": ["FeatureAblation", "leave_one_out", "LOO", "erasure"],
}


@pytest.mark.parametrize(("name", "word"), [(n, w) for n, ws in WORDS.items() for w in (n, *ws)])
def test_words_of_others_are_understood(name: str, word: str) -> None:
    assert get_method(word).name == name


@pytest.mark.parametrize("word", ["integrated_gradient5", "gradeint", "maskng", "", "shap_values"])
def test_an_unknown_method_names_the_nearest(word: str) -> None:
    with pytest.raises(OptionError, match=r"does not exist: (did you mean|known)"):
        get_method(word)


def test_the_list_of_methods_is_read_only_and_public() -> None:
    importlib.import_module("saliscope.methods.gradient")
    for _ in range(2):  # the package of the same name must not take the function's place
        assert set(saliscope.methods()) == set(methods())
    with pytest.raises(TypeError):
        methods()["x"] = 1  # type: ignore[index]


def test_public_names_all_exist() -> None:
    for name in saliscope.__all__:
        if name not in {"attention", "AttentionMap", "methods"}:
            assert getattr(saliscope, name) is not None
    assert set(saliscope.__all__) <= set(dir(saliscope))
    with pytest.raises(AttributeError, match="no attribute 'explian'"):
        _ = saliscope.explian  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", sorted(methods()))
def test_every_method_says_what_it_is(name: str) -> None:
    spec = methods()[name]
    for text in (spec.summary, spec.cost, spec.use, spec.misuse, spec.source, spec.equation):
        assert text.strip()
        assert "\n" not in text
    assert spec.needs <= {"values", "gradients", "layers", "attention", "operations"}
    assert spec.takes <= {
        "background", "baseline", "examples", "fill", "layer", "max_evaluations", "tolerance",
    }  # fmt: skip
    options_from(spec, {})  # all options have defaults
    for field in spec.options.__dataclass_fields__.values():
        assert field.metadata["doc"]


def test_options_given_as_text_are_read_by_their_type() -> None:
    ig, occlusion = get_method("ig"), get_method("occlusion")
    chosen = options_from(ig, {"steps": "7", "rule": "midpoint"})
    assert (chosen.steps, chosen.rule) == (7, "midpoint")
    assert options_from(ig, {"steps": "none"}).steps is None
    assert options_from(occlusion, {"window": "3"}).window == 3
    assert options_from(occlusion, {"window": "3,4"}).window == (3, 4)
    assert options_from(get_method("gradient"), {"absolute": "yes"}).absolute is True
    assert options_from(get_method("gradient"), {"reduce": "norm"}).reduce == "norm"
    assert options_from(get_method("masking"), {"groups": "word"}).groups == "word"
    for method, wrong in (
        ("ig", {"steps": "many"}), ("ig", {"steps": "2.5"}), ("ig", {"rule": "simpson"}),
        ("occlusion", {"window": "a,b"}), ("gradient", {"absolute": "perhaps"}),
        ("ig", {"steps": 2.5}), ("ig", {"step": 3}),
    ):  # fmt: skip
        with pytest.raises(OptionError) as caught:
            options_from(get_method(method), wrong)
        assert "\n" not in str(caught.value)


MODULE = '''
"""Twice the gradient: a method that a user adds by one module."""

from dataclasses import dataclass

from saliscope.core.ask import Ask, Estimate, Fold, Options, Question, Steps
from saliscope.core.perturbation import Perturbation
from saliscope.core.registry import method, option


@dataclass(frozen=True)
class Twice(Options):
    """Options of `twice_gradient`."""

    factor: int = option(2, "what the gradient is multiplied by")


@method(
    "twice_gradient", options=Twice, needs={"gradients"}, summary="Twice the slope.", cost="1 pass",
    use="tests", misuse="anything else", source="none", equation="2 g", aliases=("TwiceGrad",),
)
def twice_gradient(question: Question, options: Twice) -> Steps:
    answer = yield Ask(Perturbation.identity(question.units), Fold())
    return Estimate(options.factor * answer.gradients[0], answer.values[0])
'''


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register one throwaway method from one module, and take it out again."""
    (tmp_path / "throwaway_method.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("throwaway_method")
    yield
    registry.unregister("twice_gradient")
    del sys.modules["throwaway_method"]


def test_a_method_added_by_one_module_runs_and_is_listed(added: None) -> None:
    assert "twice_gradient" in methods()
    assert get_method("twice-grad").name == "twice_gradient"
    x = torch.tensor([toys.TWO_LAYER_INPUT]).double()
    a = explain(toys.two_layer(), x, "twice_gradient", 1)
    np.testing.assert_allclose(a.to_numpy()[0], [4, -8, -2])
    b = explain(toys.two_layer(), x, "TwiceGrad", 1, factor="3")
    np.testing.assert_allclose(b.to_numpy()[0], [6, -12, -3])
    assert b.provenance["options"] == {"factor": 3}
    with pytest.raises(OptionError, match="did you mean 'factor'"):
        explain(toys.two_layer(), x, "twice_gradient", 1, factr=3)


def test_a_method_that_was_taken_out_is_gone() -> None:
    assert "twice_gradient" not in methods()
    with pytest.raises(OptionError):
        get_method("TwiceGrad")


def fields(text: str) -> set[str]:
    """Return the names of the facts in a sentence."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("code", sorted(CATALOG))
def test_every_finding_can_be_made_and_kept(code: str) -> None:
    numeric = set(re.findall(r"{(\w+):[^}]+}", CATALOG[code][1]))
    facts = {n: 0.5 if n in numeric else "x" for n in fields(CATALOG[code][1])}
    facts |= {n: 3 for n in numeric if f"{{{n}:,}}" in CATALOG[code][1]}
    made = finding(code, **facts)
    assert "{" not in made.sentence + made.remedy
    assert made.severity in {"error", "warning", "note"}
    assert made.sentence.endswith(".")
    assert made.remedy.endswith(".")
    assert Finding.from_dict(made.to_dict()) == made


findings_ = st.lists(
    st.builds(
        lambda code, severity: Finding(code, severity, "s.", "r."),
        st.sampled_from("abcdef"),
        st.sampled_from(["error", "warning", "note"]),
    )
)


@given(findings_)
def test_health_keeps_each_code_once_the_worst_first(found: list[Finding]) -> None:
    health = Health(found)
    order = ["error", "warning", "note"]
    ranks = [order.index(f.severity) for f in health]
    assert ranks == sorted(ranks)
    assert len(health) == len({f.code for f in found})
    assert all(f.code in health for f in found)
    assert health.ok == (not health.errors)
    assert health.worst() == tuple(health)[:3]
    assert Health(health) == health
    assert hash(Health(health)) == hash(health)
    assert all(code in repr(health) for code in {f.code for f in found})


def test_errors_have_the_exit_codes_of_the_command_line() -> None:
    codes = {e.__name__: e.exit_code for e in SaliscopeError.__subclasses__()}
    assert codes.pop("ToleranceError") == 1
    assert set(codes.values()) == {2}


@given(st.text(max_size=10), st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5))
def test_hints_name_something_known(word: str, known: list[str]) -> None:
    hint = nearest(word, known)
    assert any(repr(k) in hint or k in hint for k in known)
