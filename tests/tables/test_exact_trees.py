"""Shapley values of trees by TreeExplainer: shap's numbers, exact ones, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import (
    AdaBoostClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)

import saliscope
from saliscope import Class, Contrast, OptionError, RefusedError

shap = pytest.importorskip("shap", reason="shap comes with the extra of tables")
_RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(_RNG.normal(size=(120, 6)), columns=list("abcdef"))
NUMBER = TABLE["a"] * TABLE["b"] + TABLE["d"]
TWO = (NUMBER > 0).astype(int)
THREE = np.digitize(NUMBER, [-0.5, 0.5])
BACK, ROWS = TABLE.iloc[:15], TABLE.iloc[[30, 31]]
FOREST = RandomForestRegressor(4, max_depth=4, random_state=0).fit(TABLE, NUMBER)


def explained(model: Any, target: object = None, **options: Any) -> saliscope.Attribution:
    return saliscope.explain(
        saliscope.table_model(model, BACK), ROWS, method="shapley", target=target, **options
    )


CASES = {
    "regression": (FOREST, None, lambda v: v),
    "forest": (
        RandomForestClassifier(4, max_depth=4, random_state=0).fit(TABLE, TWO), 1,
        lambda v: v[..., 1],
    ),
    "boosting": (
        GradientBoostingClassifier(n_estimators=4).fit(TABLE, TWO),
        Class(0, scale="log_odds"), lambda v: -v,
    ),
    "three classes": (
        HistGradientBoostingClassifier(max_iter=4).fit(TABLE, THREE),
        Contrast(0, 2, scale="log_prob"), lambda v: v[..., 0] - v[..., 2],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["interventional", "path"])
def test_values_are_those_of_shap(case: str, kind: str) -> None:
    model, target, read = CASES[case]
    found = explained(model, target, trees=kind)
    word = {"interventional": kind, "path": "tree_path_dependent"}[kind]
    theirs = shap.TreeExplainer(
        model, BACK if kind == "interventional" else None, feature_perturbation=word
    )
    expected = read(np.asarray(theirs.shap_values(ROWS)))
    np.testing.assert_allclose(found.to_numpy(), expected, rtol=0, atol=1e-12)
    gap = found.score.values - found.baseline_score.values - found.to_numpy().sum(1)
    assert np.abs(gap).max() < 1e-6
    assert f"trees, {kind}" in str(dict(found.provenance))
    if kind == "interventional":  # two ways to one number
        exact = explained(model, target).to_numpy()
        np.testing.assert_allclose(found.to_numpy(), exact, rtol=0, atol=1e-6)


def test_path_needs_no_background_of_its_own_and_starts_at_the_training_mean() -> None:
    found = explained(FOREST, trees="path")
    mean = np.mean([tree.tree_.value[0, 0, 0] for tree in FOREST.estimators_])
    np.testing.assert_allclose(found.baseline_score.values, mean, rtol=1e-12)


def test_many_columns_are_exact_where_sampling_would_not_be() -> None:
    wide = pd.DataFrame(_RNG.normal(size=(80, 20)), columns=[f"c{j}" for j in range(20)])
    model = RandomForestRegressor(3, max_depth=3, random_state=1).fit(wide, wide["c0"] * wide["c1"])
    adapter = saliscope.table_model(model, wide[:10])
    found = saliscope.explain(adapter, wide[40:41], method="shapley", trees="interventional")
    assert found.evaluations < 50
    assert (found.data["stderr"].values == 0).all()


REFUSED = {
    "no trees": (lambda t: t["a"], None, "trees= is for scikit-learn models of trees"),
    "unread": (
        AdaBoostClassifier(n_estimators=2).fit(TABLE, TWO), 1, "TreeExplainer cannot read it"
    ),
    "another scale": (CASES["boosting"][0], 1, r"add up on log-odds.*scale='log_odds'"),
    "more classes": (
        CASES["three classes"][0], Class(1, scale="log_odds"), r"Contrast\(a, b, scale='log_prob'\)"
    ),
    "another output": (IsolationForest(n_estimators=3).fit(TABLE), None, "not what it predicts"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_right_is_refused(case: str) -> None:
    model, target, message = REFUSED[case]
    with pytest.raises(RefusedError, match=message) as caught:
        explained(model, target, trees="interventional")
    assert "\n" not in str(caught.value)


def test_words_among_columns_and_wrong_options_are_refused() -> None:
    words = TABLE.assign(city=["Rome", "Bari"] * 60)
    model = saliscope.table_model(lambda t: t["a"], words)
    model.predictor = saliscope.table_model(FOREST, BACK).predictor
    with pytest.raises(RefusedError, match="'city' holds none"):
        saliscope.explain(model, words[:1], method="shapley", trees="path")
    for options, message in (
        ({"trees": "interventional", "groups": {"x": ["a", "b"]}}, "leave groups="),
        ({"trees": "sideways"}, "'sideways' does not exist"),
    ):
        with pytest.raises(OptionError, match=message):
            explained(FOREST, **options)
