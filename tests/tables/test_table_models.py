"""Models on tables: what is explained, against values computed by hand; bad tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import saliscope
from saliscope import InputError, ModelError, OptionError, RefusedError
from saliscope.models.table.columns import Columns

CITIES = ("Bari", "Rome", "Turin")


def people(rows: int = 40, seed: int = 0) -> pd.DataFrame:
    """Return a small table of mixed types."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, rows),
            "income": rng.normal(30, 8, rows).round(2),
            "city": rng.choice(CITIES, rows),
        }
    )


def outcome(table: pd.DataFrame) -> pd.Series[Any]:
    return pd.Series(np.where(table["income"] + 5 * (table["city"] == "Rome") > 31, "yes", "no"))


def pipeline(table: pd.DataFrame) -> Any:
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city"]), (StandardScaler(), ["age", "income"])
    )
    return make_pipeline(encode, LogisticRegression()).fit(table, outcome(table))


def price(table: pd.DataFrame) -> Any:
    return 2.0 * table["age"] + 3.0 * table["income"] + 7.0 * (table["city"] == "Rome")


# -- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["shapley", "permutation", "masking", "lime"])
def test_twenty_columns_of_a_linear_model_are_exact(method: str) -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.normal(size=(30, 20)), columns=[f"c{i}" for i in range(20)])
    model = LinearRegression().fit(table, table @ rng.normal(size=20) + 3)
    found = saliscope.explain(saliscope.table_model(model, table), table.iloc[[4]], method=method)
    expected = model.coef_ * (table.iloc[4] - table.mean()).to_numpy()
    np.testing.assert_allclose(found.to_numpy(), expected, rtol=0, atol=1e-9)
    assert found.values.dims == ("column",)
    assert found.values["column"].values.tolist() == list(table.columns)


def test_masking_moves_a_column_to_every_row_of_the_background() -> None:
    table = people(6)
    model = saliscope.table_model(price, table)
    row = {"age": 50, "income": 20.0, "city": "Rome"}
    found = saliscope.explain(model, row, method="masking")
    rome = (table["city"] == "Rome").mean()
    expected = [2 * (50 - table["age"].mean()), 3 * (20 - table["income"].mean()), 7 * (1 - rome)]
    np.testing.assert_allclose(found.to_numpy(), expected, atol=1e-9)
    spread = 3 * table["income"].std(ddof=1) / np.sqrt(6)
    assert found.data["stderr"].values[1] == pytest.approx(spread)
    assert found.values["cell"].values.tolist() == ["50", "20", "Rome"]
    typical = saliscope.explain(model, row, method="masking", fill="typical")
    low = np.quantile(table["income"], 0.5, method="lower")
    assert typical.to_numpy()[1] == pytest.approx(3 * (20 - low))


def test_shapley_of_log_odds_is_the_linear_predictor() -> None:
    table = people()
    model = LogisticRegression().fit(table[["age", "income"]], outcome(table))
    row = table.loc[[2], ["age", "income"]]
    found = saliscope.explain(
        saliscope.table_model(model, table[["age", "income"]]), row, method="shapley",
        target=saliscope.Class("yes", scale="log_odds"),
    )  # fmt: skip
    away = (row.iloc[0] - table[["age", "income"]].mean()).to_numpy()
    np.testing.assert_allclose(found.to_numpy(), model.coef_[0] * away, atol=1e-8)


def test_probabilities_are_those_of_the_pipeline() -> None:
    table = people()
    model = pipeline(table)
    found = saliscope.explain(model, table, method="masking", target="yes")
    assert found.values.dims == ("example", "column")
    np.testing.assert_allclose(found.score.values, model.predict_proba(table)[:, 1], atol=1e-14)
    assert "own_background" in {item.code for item in found.health}
    assert found.meta["scale"] == "prob"


def test_columns_that_belong_together_move_together() -> None:
    table = people(5)
    model = saliscope.table_model(price, table, groups={"money": ["age", "income"]})
    by_name = saliscope.explain(model, table.iloc[[0]], method="masking", groups="group")
    by_hand = saliscope.explain(
        model, table.iloc[[0]], method="masking", groups={"money": ["age", "income"]}
    )
    assert by_name.values["column"].values.tolist() == ["money", "city"]
    each = saliscope.explain(model, table.iloc[[0]], method="masking").to_numpy()
    np.testing.assert_allclose(by_name.to_numpy(), [each[0] + each[1], each[2]], atol=1e-9)
    np.testing.assert_array_equal(by_name.to_numpy(), by_hand.to_numpy())
    written = saliscope.explain(model, table.iloc[[0]], method="masking", groups="money=age+income")
    np.testing.assert_array_equal(by_name.to_numpy(), written.to_numpy())
    with pytest.raises(OptionError, match=r"'incme'.*did you mean 'income'"):
        saliscope.explain(model, table.iloc[[0]], method="masking", groups={"m": ["incme"]})


def test_a_torch_module_has_gradients_per_column() -> None:
    net = torch.nn.Linear(2, 1)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[2.0, -3.0]]))
    table = people(4)[["age", "income"]]
    model = saliscope.table_model(net, table)
    slope = saliscope.explain(model, table.iloc[[1]], method="gradient", target=0)
    assert slope.to_numpy().tolist() == [2.0, -3.0]
    along = saliscope.explain(model, table.iloc[[1]], method="expected_gradients", target=0)
    expected = np.array([2.0, -3.0]) * (table.iloc[1] - table.mean()).to_numpy()
    np.testing.assert_allclose(along.to_numpy(), expected, rtol=1e-4)
    with pytest.raises(InputError, match="'city' holds no numbers"):
        saliscope.table_model(net, people(4)[["age", "city"]])


def test_an_estimator_has_no_gradients_and_says_so() -> None:
    with pytest.raises(RefusedError, match=r"gradients.*use one of: .*shapley"):
        saliscope.explain(pipeline(people()), people(), method="gradient")


def test_decision_values_are_explained_where_there_are_no_probabilities() -> None:
    table = people()[["age", "income"]]
    model = RidgeClassifier().fit(table, outcome(people()))
    found = saliscope.explain(model, table, method="masking")
    assert found.meta["target"] == ["decision for yes"]
    np.testing.assert_allclose(found.score.values, model.decision_function(table))


def test_few_calls_take_many_rows() -> None:
    table, calls = people(100), list[int]()

    def counted(rows: pd.DataFrame) -> Any:
        calls.append(len(rows))
        return price(rows)

    model = saliscope.table_model(counted, table)
    saliscope.explain(model, table.iloc[:10], method="masking")
    assert len(calls) <= 6  # of which all but one are for types, outputs and predictions
    assert sum(calls) < 10 * 3 * 100  # equal rows are predicted once


# -- what stays as it is -----------------------------------------------------------------------


def test_a_model_gets_the_types_that_it_knows() -> None:
    table = pd.DataFrame(
        {
            "whole": [1, 2, 3], "flag": [True, False, True],
            "kind": pd.Categorical(["a", "b", "a"], categories=["b", "a", "c"]),
            "day": pd.to_datetime(["2024-01-02", "2024-03-04", None]),
            "nullable": pd.array([1, None, 3], dtype="Int64"), "word": ["x", None, "y"],
        }
    )  # fmt: skip
    seen: list[pd.DataFrame] = []

    def look(rows: pd.DataFrame) -> Any:
        seen.append(rows)
        return np.arange(len(rows), dtype=float)

    model = saliscope.table_model(look, table)
    found = saliscope.explain(model, table, method="masking")
    for rows in seen:
        assert rows.dtypes.astype(str).tolist() == table.dtypes.astype(str).tolist()
    np.testing.assert_array_equal(seen[-1].isna().any(), table.isna().any())
    assert found.values["cell"].values[0].tolist() == ["1", "True", "a", "2024-01-02", "1", "x"]
    assert found.values["cell"].values[2, 3] == "missing"


def test_rows_as_frames_series_and_mappings_are_the_same() -> None:
    table = people(8)
    model = saliscope.table_model(price, table)
    given = (table.iloc[[3]], table.iloc[3], table.iloc[3].to_dict(), table.iloc[3][::-1])
    maps = [saliscope.explain(model, row, method="shapley").to_numpy() for row in given]
    for one in maps[1:]:
        np.testing.assert_array_equal(one, maps[0])


def test_a_table_survives_being_saved(tmp_path: Any) -> None:
    found = saliscope.explain(pipeline(people()), people().iloc[:5], method="masking", target="yes")
    found.save(tmp_path / "a.nc")
    again = saliscope.Attribution.load(tmp_path / "a.nc")
    assert again.equals(found)
    assert len(again.plot().axes) == 2


# -- bad tables --------------------------------------------------------------------------------

Change = Callable[[pd.DataFrame], Any]


def _with(name: str, value: Any) -> Change:
    return lambda table: table.assign(**{name: value})


BAD: dict[str, tuple[Change, str]] = {
    "column missing": (lambda t: t.drop(columns="city"), "column 'city' is missing.*age, income"),
    "near miss": (lambda t: t.rename(columns={"income": "Income"}), "did you mean 'Income'"),
    "duplicate names": (
        lambda t: t.set_axis(["age", "age", "city"], axis=1), "column 'age' is there twice"
    ),
    "infinity": (_with("income", np.inf), "row 0, column 'income': is inf.*infinite"),
    "text among numbers": (
        _with("age", ["young", *[1] * 39]), "row 0, column 'age': 'young' is not a number"
    ),
    "no row": (lambda t: t.iloc[:0], "holds no row"),
    "not a table": (lambda t: "people.csv", "is str, not a table"),
    "three axes": (lambda t: np.zeros((2, 2, 2)), "has 3 axes"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_table_is_one_clear_line(case: str) -> None:
    change, message = BAD[case]
    model = saliscope.table_model(pipeline(people()), people())
    with pytest.raises(InputError, match=message) as caught:
        saliscope.explain(model, change(people()), method="masking")
    assert "\n" not in str(caught.value)


def test_reordered_and_extra_columns_change_nothing() -> None:
    table = people()
    model = saliscope.table_model(pipeline(table), table)
    plain = saliscope.explain(model, table.iloc[[1]], method="masking", target="yes")
    other = table[["city", "income", "age"]].assign(extra=1.0).iloc[[1]]
    found = saliscope.explain(model, other, method="masking", target="yes")
    np.testing.assert_array_equal(found.to_numpy(), plain.to_numpy())


def test_a_value_that_the_background_does_not_have_is_a_finding() -> None:
    model = saliscope.table_model(pipeline(people()), people())
    row = {"age": 30, "income": 31.0, "city": "Rmoe"}
    for _ in range(2):  # it does not become usual by being seen
        found = saliscope.explain(model, row, method="masking")
        assert "The value Rmoe of the column city" in found.health.worst()[0].sentence


def test_one_row_without_a_background_says_what_is_missing() -> None:
    for given in ({}, {"fill": "typical"}):
        with pytest.raises(OptionError, match="table_model\\(model, background=rows\\)"):
            saliscope.explain(pipeline(people()), people().iloc[[0]], method="masking", **given)
    found = saliscope.explain(
        pipeline(people()), people().iloc[[0]], method="shapley", baseline=people()
    )
    assert found.to_numpy().shape == (3,)


def test_an_all_missing_column_is_kept() -> None:
    table = people(6).assign(empty=np.nan)
    model = saliscope.table_model(lambda t: price(t) + t["empty"].isna(), table)
    found = saliscope.explain(model, table.iloc[[0]], method="masking")
    assert found.to_numpy()[3] == 0
    assert found.values["cell"].values[3] == "missing"


def test_missing_cells_stand_in_for_columns() -> None:
    table = people(6)
    model = saliscope.table_model(lambda t: price(t.fillna({"age": 0, "income": 0})), table)
    found = saliscope.explain(model, table.iloc[[0]], method="masking", fill="missing")
    assert found.to_numpy()[0] == 2 * table["age"].iloc[0]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda t: np.array(["yes"] * len(t)), "returned text .*'yes'.*predict_proba"),
        (lambda t: np.zeros((len(t), 2, 2)), r"returned shape \(1, 2, 2\) for 1 rows"),
        (lambda t: 1.0, r"returned shape \(\) for 1 rows"),
        (lambda t: t["nothing"], "does not take .*nothing"),
    ],
)
def test_a_function_that_returns_no_row_per_row_is_refused(function: Any, message: str) -> None:
    model = saliscope.table_model(function, people(), name="f")
    with pytest.raises((ModelError, InputError), match=message):
        saliscope.explain(model, people(3), method="masking")


def test_a_mean_over_rows_is_noticed_once_several_are_given() -> None:
    model = saliscope.table_model(lambda t: np.array([t["age"].mean()]), people(), name="f")
    with pytest.raises(ModelError, match=r"returned shape \(1,\) for \d+ rows"):
        saliscope.explain(model, people(3), method="masking")


def test_models_that_cannot_be_explained_are_refused() -> None:
    with pytest.raises(ModelError, match="LogisticRegression is not fitted; call fit"):
        saliscope.load(LogisticRegression())
    with pytest.raises(ModelError, match="int is no model on tables"):
        saliscope.table_model(3)
    table = people()[["age", "income"]]
    both = np.column_stack([table["age"] > 40, table["income"] > 30])
    with pytest.raises(ModelError, match="predicts 2 things at once"):
        saliscope.load(RandomForestClassifier(2).fit(table, both))
    model = saliscope.table_model(price, people(), labels=["a", "b"])
    with pytest.raises(ModelError, match="returns 1 outputs, and there are 2 labels"):
        saliscope.explain(model, people(), method="masking")
    plain = LinearRegression().fit(table.to_numpy(), table["age"])
    with pytest.raises(InputError, match=r"has 3 columns .* and the model takes 2"):
        saliscope.explain(plain, people(), method="masking")


def test_too_many_rows_in_one_table_name_the_remedy() -> None:
    table = pd.DataFrame({"x": np.zeros(20_001)})
    with pytest.raises(InputError, match=r"20,001 rows.*iterator of parts"):
        saliscope.explain(saliscope.table_model(lambda t: t["x"]), table, method="masking")


def test_dates_are_cells_like_others() -> None:
    days = pd.DataFrame({"day": pd.to_datetime(["2024-01-01", "2024-01-03", "2024-01-05"])})
    model = saliscope.table_model(lambda t: t["day"].dt.day.astype(float), days)
    found = saliscope.explain(model, {"day": dt.datetime(2024, 1, 5)}, method="masking")  # noqa: DTZ001
    assert found.to_numpy().tolist() == [2.0]
    with pytest.raises(InputError, match="'soon' is not a date"):
        saliscope.explain(model, {"day": "soon"}, method="masking")


def test_whole_numbers_beyond_float64_stay_apart() -> None:
    table = pd.DataFrame({"id": [2**60, 2**60 + 1]})
    columns = Columns()
    cells = columns.encode(columns.frame(table, "t"), "t")
    assert columns.decode(cells)["id"].tolist() == [2**60, 2**60 + 1]


def test_an_explanation_leaves_nothing_behind() -> None:
    table = people()
    model, state = pipeline(table), np.random.get_state()[1].copy()  # noqa: NPY002 - looking
    before, rows = joblib.hash(model), table.copy()
    saliscope.explain(saliscope.table_model(model, table), table[:4], method="shapley")
    assert joblib.hash(model) == before
    pd.testing.assert_frame_equal(table, rows)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002 - looking


def test_numbers_do_not_depend_on_batches_or_company() -> None:
    table = people()
    model = saliscope.table_model(pipeline(table), table)
    together = saliscope.explain(model, table[:6], method="masking", target="yes").to_numpy()
    small = saliscope.explain(model, table[:6], method="masking", target="yes", budget=3000)
    alone = saliscope.explain(model, table[3:4], method="masking", target="yes").to_numpy()
    np.testing.assert_allclose(small.to_numpy(), together, rtol=0, atol=1e-13)
    np.testing.assert_allclose(alone, together[3], rtol=0, atol=1e-13)
