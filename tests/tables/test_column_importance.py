"""Importance against scikit-learn's own, dependence against curves computed by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeRegressor

import saliscope
from saliscope import InputError, ModelError, OptionError
from saliscope.tables import dependence, importance


def table(rows: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, rows).astype(float),
            "income": rng.normal(30, 8, rows),
            "city": rng.choice(["Bari", "Rome", "Turin"], rows),
        }
    )


def truth(rows: pd.DataFrame) -> Any:
    noisy = rows["income"] + 6 * (rows["city"] == "Rome") + np.sin(rows["age"] * 9)
    return np.where(noisy > 32, "yes", "no")


@pytest.fixture(scope="module")
def fitted() -> Any:
    encode = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough")
    return make_pipeline(encode, LogisticRegression(max_iter=2000)).fit(table(), truth(table()))


@pytest.mark.parametrize("scoring", [None, "roc_auc", "neg_log_loss", "f1_macro"])
def test_equal_to_scikit_learn_with_equal_shuffles(fitted: Any, scoring: str | None) -> None:
    theirs = permutation_importance(
        fitted, table(), truth(table()), scoring=scoring, n_repeats=4, random_state=7
    )
    ours = importance(fitted, table(), truth(table()), scoring=scoring, repeats=4, seed=7)
    np.testing.assert_allclose(ours.to_numpy(), theirs.importances_mean, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.data["repeats"], theirs.importances, rtol=0, atol=1e-12)
    spread = theirs.importances.std(1, ddof=1) / 2
    np.testing.assert_allclose(ours.data["stderr"], spread, rtol=0, atol=1e-12)


def test_other_shuffles_agree_within_three_standard_errors(fitted: Any) -> None:
    theirs = permutation_importance(
        fitted, table(), truth(table()), n_repeats=30, random_state=1, scoring="roc_auc"
    )
    ours = importance(fitted, table(), truth(table()), repeats=30, seed=2, scoring="roc_auc")
    both = np.hypot(ours.data["stderr"], theirs.importances_std / np.sqrt(29))
    assert (np.abs(ours.to_numpy() - theirs.importances_mean) <= 3 * both + 1e-12).all()


def test_all_copies_go_to_the_model_in_few_calls(
    fitted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = {"n": 0}
    plain = type(fitted).predict

    @functools.wraps(plain)
    def counted(self: Any, rows: Any) -> Any:
        calls["n"] += 1
        return plain(self, rows)

    monkeypatch.setattr(type(fitted), "predict", counted)
    permutation_importance(
        fitted, table(), truth(table()), scoring="accuracy", n_repeats=10, random_state=0
    )
    theirs, calls["n"] = calls["n"], 0
    found = importance(fitted, table(), truth(table()), scoring="accuracy", repeats=10)
    assert theirs == 31
    assert calls["n"] == found.provenance["calls"] == 2
    parts = importance(
        fitted, table(), truth(table()), scoring="accuracy", repeats=10, rows_at_once=400
    )
    assert parts.provenance["calls"] == 7  # 30 copies, 5 in a call, and the table itself
    np.testing.assert_array_equal(parts.to_numpy(), found.to_numpy())


def test_given_shuffles_are_used_for_every_column() -> None:
    rows = pd.DataFrame({"x": [1.0, 2.0, 3.0], "z": [0.0, 0.0, 1.0]})
    model = saliscope.table_model(lambda t: t["x"] + 10 * t["z"], rows)

    def off(estimator: Any, given: Any, outcome: Any) -> float:
        return -float(np.abs(estimator.predict(given) - outcome).mean())

    found = importance(
        model, rows, [1.0, 2.0, 13.0], permutations=[[1, 0, 2], [2, 1, 0]], scoring=off
    )
    # Swapping the first two rows moves x by 1 twice; swapping the outer ones by 2 twice.
    np.testing.assert_allclose(found.data["repeats"].sel(column="x"), [2 / 3, 4 / 3])
    np.testing.assert_allclose(found.data["repeats"].sel(column="z"), [0, 20 / 3])
    assert found.provenance["scoring"] == "off"


def test_columns_shuffled_together_keep_to_each_other() -> None:
    rows = pd.DataFrame({"x": np.arange(20.0), "z": -np.arange(20.0), "w": np.zeros(20)})
    model = saliscope.table_model(lambda t: t["x"] + t["z"], rows)
    apart = importance(model, rows, np.arange(20.0), scoring="neg_mean_squared_error")
    both = importance(
        model, rows, np.arange(20.0), scoring="neg_mean_squared_error", groups={"xz": ["x", "z"]}
    )
    assert apart.to_numpy()[0] > 1
    assert both.values["column"].values.tolist() == ["xz", "w"]
    assert both.to_numpy().tolist() == [0.0, 0.0]


def test_a_torch_module_and_a_function_are_scored_too() -> None:
    rows = table()[["age", "income"]]
    net = torch.nn.Linear(2, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[0.0, -1.0], [0.0, 1.0]]))
        net.bias.copy_(torch.tensor([30.0, -30.0]))
    outcome = (rows["income"] > 30).astype(int)
    found = importance(saliscope.table_model(net, rows), rows, outcome, scoring="roc_auc")
    assert found.score == 1.0
    assert found.to_numpy()[0] == 0
    named = saliscope.table_model(
        lambda t: np.column_stack([t["income"] <= 30, t["income"] > 30]), rows, labels=["no", "yes"]
    )
    again = importance(named, rows, np.where(outcome, "yes", "no"))
    assert again.score == 1.0
    assert again.to_numpy()[1] > 0.2


def test_the_outcome_may_be_a_column_of_the_table(fitted: Any) -> None:
    whole = table().assign(approved=truth(table()))
    found = importance(fitted, whole, "approved", repeats=2)
    assert found.values["column"].values.tolist() == ["age", "income", "city"]
    np.testing.assert_array_equal(
        found.to_numpy(), importance(fitted, table(), truth(table()), repeats=2).to_numpy()
    )
    assert len(found.plot().axes) == 1
    assert "95 % intervals" in found.to_html()


BAD: dict[str, tuple[Callable[[pd.DataFrame], tuple[Any, Any]], dict[str, Any], str]] = {
    "one row": (lambda t: (t.iloc[:1], ["yes"]), {}, "has one row, which cannot be shuffled"),
    "constant": (lambda t: (t, ["yes"] * len(t)), {}, "truth is 'yes' in every row"),
    "short": (lambda t: (t, ["yes"]), {}, "truth has 1 outcomes for 80 rows"),
    "missing": (lambda t: (t, [None, *truth(t)[1:]]), {}, "truth is missing in 1 rows"),
    "no column": (lambda t: (t, "aproved"), {}, "the table has no such column"),
    "scoring": (lambda t: (t, truth(t)), {"scoring": "auc"}, "scoring='auc': "),
    "repeats": (lambda t: (t, truth(t)), {"repeats": 0}, "repeats=0 must be a whole number"),
    "permutations": (
        lambda t: (t, truth(t)), {"permutations": [[0, 0]]}, r"must have shape \(repeats, 80\)"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line(fitted: Any, case: str) -> None:
    make, options, message = BAD[case]
    with pytest.raises((InputError, OptionError), match=message) as caught:
        importance(fitted, *make(table()), **options)
    assert "\n" not in str(caught.value)


def test_only_tables_have_importance() -> None:
    with pytest.raises(ModelError, match="no model on tables; make one with"):
        importance(torch.nn.Linear(2, 1), table(), truth(table()))


# -- dependence --------------------------------------------------------------------------------


def test_curves_are_those_of_scikit_learn() -> None:
    rows = table()[["age", "income"]]
    tree = DecisionTreeRegressor(max_depth=4, random_state=0).fit(rows, rows["age"] % 17)
    grid = [20.0, 33.0, 50.0, 71.0]
    found = dependence(tree, rows, "age", at=grid)
    theirs = partial_dependence(tree, rows, ["age"], custom_values={"age": grid}, kind="both")
    np.testing.assert_allclose(found.mean, theirs["average"][0], atol=1e-12)
    np.testing.assert_allclose(found.values, theirs["individual"][0], atol=1e-12)
    assert found.values.dims == ("row", "at")


def test_words_are_tried_the_most_frequent_first(fitted: Any) -> None:
    rows = table()
    found = dependence(fitted, rows, "city", target="yes", points=2)
    assert found.values["at"].values.tolist() == rows["city"].value_counts().index[:2].tolist()
    moved = rows.assign(city=found.values["at"].values[0])
    np.testing.assert_allclose(found.values[:, 0], fitted.predict_proba(moved)[:, 1])
    assert len(found.plot().axes) == 1
    assert "partial dependence" in found.to_html()


def test_a_dependence_survives_being_saved(fitted: Any, tmp_path: Any) -> None:
    from saliscope.tables import Dependence

    found = dependence(fitted, table(), "age", target="yes", rows=5)
    found.save(tmp_path / "d.nc")
    assert Dependence.load(tmp_path / "d.nc").equals(found)
    assert found.to_frame().shape[0] == found.values.size


def test_dependence_refuses_what_it_cannot_draw(fitted: Any) -> None:
    with pytest.raises(OptionError, match="give target=, one of: no, yes"):
        dependence(fitted, table(), "age")
    with pytest.raises(OptionError, match="no column 'agee': did you mean 'age'"):
        dependence(fitted, table(), "agee", target="yes")
    with pytest.raises(OptionError, match="one value only"):
        dependence(fitted, table().assign(age=1.0), "age", target="yes")
