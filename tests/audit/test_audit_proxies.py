"""Proxies: what columns tell, what hangs on them, and planted ones in Adult."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import saliscope
from saliscope import InputError, ModelError, OptionError
from saliscope.audit import Audit, proxies
from saliscope.audit.examples import logistic, planted_zip
from saliscope.audit.tables.shared import one_hot
from saliscope.audit.tables.telling import auc_of, folds_of, levels_of, told
from saliscope.datasets import adult

ADULT = (
    Path(os.environ.get("SALISCOPE_DATA", Path(__file__).parents[3] / "shared" / "data"))
    / "tabular" / "fairness_adult.csv"
)  # fmt: skip
FEW = {"draws": 30, "repeats": 2}


def people(rows: int = 3000) -> pd.DataFrame:
    """Return columns of known parts: height tells sex, `copy` says what `skill` does."""
    rng = np.random.default_rng(4)
    sex = rng.choice(["f", "m"], rows)
    skill = rng.normal(size=rows)
    return pd.DataFrame(
        {
            "sex": sex, "skill": skill, "luck": rng.normal(size=rows),
            "height": rng.normal(size=rows) + 2 * (sex == "m"), "copy": skill,
        }
    )  # fmt: skip


def frame_of(audit: Audit) -> pd.DataFrame:
    return audit["columns"].set_index("column")


# -- what a column tells -----------------------------------------------------------------------


def test_the_area_is_that_of_scikit_learn_with_weights_within_folds() -> None:
    rng = np.random.default_rng(1)
    scores, truth = rng.integers(0, 6, 90) / 6, rng.random(90) < 0.4
    weights = rng.integers(0, 3, (3, 90)).astype(float)
    folds = np.zeros(90, dtype=np.int64)
    expected = [roc_auc_score(truth, scores, sample_weight=w) for w in weights]
    np.testing.assert_allclose(auc_of(scores, truth, folds, weights), expected, atol=1e-12)
    # Two folds: pairs within each count, so shifting the scores of one changes nothing.
    halves = (np.arange(90) % 2).astype(np.int64)
    moved = auc_of(scores + 10 * halves, truth, halves, weights)
    np.testing.assert_allclose(moved, auc_of(scores, truth, halves, weights), atol=1e-12)


def test_a_column_without_information_tells_nothing_on_average() -> None:
    rng, found = np.random.default_rng(2), []
    for _ in range(60):
        levels, truth = rng.integers(0, 40, 300), rng.random(300) < 0.3
        folds = folds_of(300, rng)
        found.append(auc_of(told(levels, truth, folds), truth, folds, np.ones((1, 300)))[0])
    assert abs(np.mean(found) - 0.5) < 4 * np.std(found) / np.sqrt(60)


def test_levels_keep_missing_cells_and_join_columns() -> None:
    numbers = pd.DataFrame({"x": [*np.arange(39.0), np.nan]})
    levels = levels_of(numbers)
    assert levels[-1] == 0
    assert sorted(np.bincount(levels).tolist()) == [1, 1] + [2] * 19
    both = pd.DataFrame({"a": [0, 0, 1, 1], "b": ["x", "y", "x", "x"]})
    joint = levels_of(both)
    assert joint[2] == joint[3]
    assert len(set(joint.tolist())) == 3


# -- what hangs on it --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain() -> Audit:
    table = people()
    model = saliscope.table_model(
        lambda t: t["skill"] + 2 * t["luck"] + t["height"], table, columns=list(table.columns[1:])
    )
    return proxies(model, table, "sex", outcome=(table["luck"] > 0), **FEW)


def test_the_share_of_independent_columns_is_that_of_their_variance(plain: Audit) -> None:
    found, table = frame_of(plain), people()
    parts = {"luck": 4 * table["luck"].var(), "height": table["height"].var()}
    total = (table["skill"] + 2 * table["luck"] + table["height"]).var()
    for name, part in parts.items():
        assert found.loc[name, "share"] == pytest.approx(part / total, abs=0.02)
    assert found.loc["copy", "share"] == 0  # the model ignores it
    assert found.loc["skill", "share"] < 0.01  # what it says, copy says too
    # height splits sex as two normal distributions two standard deviations apart
    assert found.loc["height", "auc"] == pytest.approx(0.921, abs=0.015)
    assert found.loc["luck", "outcome_auc"] > 0.98


def test_the_product_ranks_and_words_name_the_first(plain: Audit) -> None:
    found = plain["columns"]
    excess = np.maximum(found["auc"] - 0.5, 0)
    np.testing.assert_allclose(found["proxy"], excess * found["share"], atol=1e-15)
    assert found["column"].iloc[0] == "height"
    assert found["column"].iloc[-1] == "copy"
    assert found["proxy"].is_monotonic_decreasing
    for name in ("proxy", "auc", "share"):
        assert (found[f"{name}_low"] <= found[name] + 1e-9).all()
        assert (found[f"{name}_high"] >= found[name] - 1e-9).all()
    assert found.loc[found["stands"], "column"].tolist() == ["height"]
    assert plain.verdict == "found"
    assert plain.sentence.startswith("height stands for sex: alone, height tells sex")
    assert len(plain.figures()) == 1
    assert "height stands for sex" in plain.to_html()


def test_what_an_attribute_shares_with_a_column_counts_for_the_column() -> None:
    table = people().assign(badge=lambda t: (t["sex"] == "m").astype(int))
    model = saliscope.table_model(
        lambda t: t["badge"] + (t["sex"] == "m") + 0.1 * t["luck"], table[["sex", "badge", "luck"]]
    )
    audit = proxies(model, table, "sex", **FEW)
    found = frame_of(audit)
    assert "sex" not in found.index
    assert found.loc["badge", "share"] > 0.2  # given sex it could not move at all
    assert audit.sentence.startswith("The model takes sex itself. badge stands for sex")


def test_one_hot_columns_and_groups_are_one() -> None:
    table = people(1500)
    table = table.assign(side_m=(table["sex"] == "m") * 1, side_f=(table["sex"] == "f") * 1)
    assert one_hot(table) == {"side": ["side_m", "side_f"]}
    own = table[["skill", "copy", "side_m", "side_f"]]
    model = saliscope.table_model(lambda t: t["side_m"] - t["side_f"] + t["skill"] + t["copy"], own)
    found = frame_of(proxies(model, table, "sex", groups={"can": ["skill", "copy"]}, **FEW))
    assert set(found.index) == {"side", "can"}
    assert found.loc["side", "auc"] == 1
    assert found.loc["can", "share"] > 0.7  # apart, each would hide the other


def test_numbers_are_split_at_the_median_and_it_is_said() -> None:
    table = people(600)
    model = saliscope.table_model(lambda t: t["height"], table[["height", "luck"]])
    audit = proxies(model, table, table["skill"].rename("age"), **FEW)
    assert [finding.code for finding in audit.health] == ["split_at_median"]
    assert audit.verdict == "none found"
    assert "No column stands for age" in audit.sentence


def test_equal_seeds_give_equal_numbers() -> None:
    table = people(300)
    model = saliscope.table_model(lambda t: t["height"] + t["luck"], table[["height", "luck"]])
    one, two = (proxies(model, table, "sex", seed=3, **FEW) for _ in range(2))
    pd.testing.assert_frame_equal(one["columns"], two["columns"])


BAD = {
    "unknown": ({"protected": "sxe"}, OptionError, r"protected='sxe'.*did you mean 'sex'"),
    "one group": ({"protected": "all"}, InputError, "all: is 'a' in every row"),
    "length": ({"protected": [1, 2]}, InputError, "protected has 2 values for 60 rows"),
    "outcome": ({"protected": "sex", "outcome": "no"}, OptionError, "outcome='no'"),
    "rows": ({"protected": "sex", "rows": 3}, OptionError, "rows=3 must be a whole number of at"),
    "groups": ({"protected": "sex", "groups": {"x": ["hight"]}}, OptionError, "mean 'height'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_questions_are_one_clear_line(case: str) -> None:
    options, kind, message = BAD[case]
    table = people(60).assign(all="a")
    model = saliscope.table_model(lambda t: t["height"], table[["height", "luck"]])
    with pytest.raises(kind, match=message) as caught:
        proxies(model, table, **options)
    assert "\n" not in str(caught.value)


def test_a_flat_model_and_no_model_are_refused() -> None:
    table = people(60)
    flat = saliscope.table_model(lambda t: np.ones(len(t)), table[["height"]])
    with pytest.raises(InputError, match="returned 1 for every row"):
        proxies(flat, table, "sex")
    with pytest.raises(ModelError, match="no model on tables"):
        proxies(lambda x: x, table, "sex")
    only = saliscope.table_model(lambda t: t["sex"] == "m", table[["sex"]])
    with pytest.raises(InputError, match="takes sex and no other column"):
        proxies(only, table, "sex")


# -- Adult -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def census() -> pd.DataFrame:
    if not ADULT.is_file():
        pytest.skip("the Adult table is not here")
    table = adult(ADULT).drop(columns="fnlwgt")
    return table.sample(3000, random_state=0).reset_index(drop=True)


def test_a_planted_zip_is_first_where_it_is_used_and_last_where_not(census: pd.DataFrame) -> None:
    table = planted_zip(census)
    outcome = table.pop("income").astype(str)
    used = proxies(logistic(table, outcome), table, "race", **FEW)["columns"]
    assert used["column"].iloc[0] == "zip"
    assert used["auc"].iloc[0] >= 0.85
    fitted = logistic(table.drop(columns="zip"), outcome)
    blind = saliscope.table_model(
        lambda t: fitted.predict_proba(t.drop(columns="zip"))[:, 1], table
    )
    ignored = proxies(blind, table, "race", **FEW)["columns"]
    assert ignored["column"].iloc[-1] == "zip"
    assert ignored["share"].iloc[-1] == 0


def test_for_sex_relationship_is_named(census: pd.DataFrame) -> None:
    table = census.copy()
    outcome = table.pop("income").astype(str)
    model = logistic(table, outcome)
    audit = proxies(model, table, "sex", **FEW)
    assert frame_of(audit).loc["relationship", "stands"]
    assert frame_of(audit)["auc"].idxmax() == "relationship"
    assert "relationship" in audit["columns"]["column"].tolist()[:2]  # occupation comes close
    assert "relationship tells" in audit.sentence
    family = {"family": ["relationship", "marital_status"]}  # each hides what the other does
    together = proxies(model, table, "sex", groups=family, **FEW)
    assert together["columns"]["column"].iloc[0] == "family"
