"""Reason codes: exact on linear models, only what lowered the score, ties, stability, grounds."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import saliscope
from saliscope import InputError, OptionError
from saliscope.audit import reason_codes
from saliscope.audit.tables.forbidden import named

NAMES = ("income", "debts", "years", "loans", "cards", "moves")
WEIGHTS = np.array([1.0, -2.0, 0.5, -1.0, -0.7, 0.3])


def people(rows: int = 120, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.normal(size=(rows, len(NAMES))), columns=list(NAMES))


def linear(table: pd.DataFrame) -> Any:
    return saliscope.table_model(lambda t: t[list(NAMES)] @ WEIGHTS, table, name="score")


RAW = {"scale": "raw", "threshold": 0.0}


def test_contributions_of_a_linear_model_are_weight_times_distance_from_the_mean() -> None:
    table = people()
    outcome = (table @ WEIGHTS + np.random.default_rng(1).normal(size=120) > 0).map(
        {True: "good", False: "bad"}
    )
    model = LogisticRegression().fit(table, outcome)
    audit = reason_codes(model, table, target="good", references=1000)
    chance = model.predict_proba(table)[:, list(model.classes_).index("good")]
    mean = table[chance >= 0.5].mean()
    expected = model.coef_[0] * (table - mean)
    codes = audit["codes"]
    assert len(codes) > 100
    for row in codes.itertuples():
        assert row.contribution == pytest.approx(expected[row.code][int(row.applicant)], abs=1e-9)
    for applicant, own in codes.groupby("applicant"):
        values = expected.loc[int(str(applicant))]
        lowest = values[values < 0].sort_values().index[:4].tolist()
        assert own.sort_values("rank")["code"].tolist() == lowest
    declined = {str(i) for i in np.flatnonzero(chance < 0.5)}
    assert set(codes["applicant"]) <= declined
    assert audit.facts["applicants"].startswith(f"120, of whom {len(declined)} are declined")


def test_contributions_of_any_model_are_shapley_values_and_add_up() -> None:
    table = people(40)[["income", "debts", "years"]]

    def score(rows: pd.DataFrame) -> Any:
        return rows["income"] * rows["debts"] + np.tanh(rows["years"] * rows["income"]) - 3

    model = saliscope.table_model(score, table)
    back = table.iloc[:1]
    many = pd.concat([back] * 600, ignore_index=True)  # so many orders of three factors
    audit = reason_codes(model, table.iloc[5:7], reference=many, references=600, **RAW)
    row, other = table.iloc[5], back.iloc[0]

    def at(present: tuple[str, ...]) -> float:
        mixed = {name: (row if name in present else other)[name] for name in table}
        return float(score(pd.DataFrame([mixed])).iloc[0])

    exact = {}
    for name in table:
        rest = [n for n in table if n != name]
        exact[name] = sum(
            math.factorial(k) * math.factorial(2 - k) / 6 * (at((*s, name)) - at(s))
            for k in range(3) for s in itertools.combinations(rest, k)
        )  # fmt: skip
    found = audit["codes"][audit["codes"]["applicant"] == "5"].set_index("code")["contribution"]
    assert set(found.index) == {name for name, value in exact.items() if value < 0}
    for name, value in found.items():
        assert value == pytest.approx(exact[str(name)], abs=0.05)


def test_at_most_four_codes_and_ties_are_stated() -> None:
    table = pd.DataFrame(0.0, index=[0, 1], columns=list(NAMES))
    table.loc[0, ["debts", "loans", "cards", "moves", "years"]] = [5.0, 4.0, 3.0, 2.0, 2.0]
    model = saliscope.table_model(
        lambda t: 1 - t["debts"] - t["loans"] - t["cards"] - t["moves"] - t["years"], table
    )
    audit = reason_codes(model, table, **RAW)  # against row 1, which is approved
    codes = audit["codes"]
    assert codes["contribution"].tolist() == [-5, -4, -3, -2]
    assert codes["tied"].isna().tolist() == [True, True, True, False]
    assert {codes["code"].iloc[3], codes["tied"].iloc[3]} == {"moves", "years"}
    assert (codes["stability"] == 1).all()  # there is one reference row only
    assert audit.sentence.endswith("all 4 codes are stable; 1 are tied with another factor.")


def test_codes_that_hang_on_the_draw_of_the_reference_are_unstable() -> None:
    rng = np.random.default_rng(5)
    back = pd.DataFrame({name: rng.normal(size=40) for name in NAMES})
    one = pd.DataFrame([dict.fromkeys(NAMES, 0.0)] * 2)
    one.loc[0, "debts"] = 9.0  # one clear reason, five that are noise about zero
    model = saliscope.table_model(lambda t: t.sum(axis=1) - 2 * t["debts"] - 3, back)
    audit = reason_codes(model, one, reference=back, **RAW)
    codes = audit["codes"][audit["codes"]["applicant"] == "0"]
    assert codes["code"].iloc[0] == "debts"
    assert codes["stability"].iloc[0] == 1
    assert codes["unstable"].iloc[1:].any()
    assert (codes["unstable"] == (codes["stability"] < 0.8)).all()
    assert audit.verdict == "unstable"
    assert "unstable_reasons" in {found.code for found in audit.health}
    assert f"{int(audit['codes']['unstable'].sum())} of {len(audit['codes'])} codes are" in (
        audit.sentence
    )


def test_one_hot_columns_are_one_factor() -> None:
    rng = np.random.default_rng(0)
    city = rng.choice(["Rome", "Bari", "Turin"], 60)
    table = pd.get_dummies(pd.DataFrame({"city": city}), dtype=int).assign(
        income=rng.normal(size=60)
    )
    worth = {"city_Rome": -2.0, "city_Bari": 1.0, "city_Turin": 0.0, "income": 1.0}
    model = saliscope.table_model(lambda t: t[list(worth)] @ np.array(list(worth.values())), table)
    audit = reason_codes(model, table, references=100, applicants=60, **RAW)
    codes = audit["codes"]
    assert set(codes["code"]) <= {"city", "income"}
    score = table[list(worth)] @ np.array(list(worth.values()))
    good = table[score >= 0]
    mean = (good[["city_Rome", "city_Bari"]] @ np.array([-2.0, 1.0])).mean()
    row = codes[codes["code"] == "city"].sort_values("contribution").iloc[0]
    assert city[int(row["applicant"])] == "Rome"
    assert row["contribution"] == pytest.approx(-2 - mean)
    assert row["columns"] == "city_Bari, city_Rome, city_Turin"


def test_references_are_declared_and_change_the_codes() -> None:
    table = people()
    score = table @ WEIGHTS
    good = score[score >= 0].sort_values()
    near = table.loc[good.index[: round(len(good) / 4)]]
    rows = {"approved": table[score >= 0], "all": table, "near": near}
    for reference, own in rows.items():
        audit = reason_codes(linear(table), table, reference=reference, references=500, **RAW)
        first = audit["codes"].iloc[0]
        j = NAMES.index(first["code"])
        away = table.loc[int(first["applicant"]), first["code"]] - own[first["code"]].mean()
        assert first["contribution"] == pytest.approx(WEIGHTS[j] * away, abs=1e-9)
        assert f": {len(own)} rows" in audit.facts["reference"]


def test_a_code_that_names_a_forbidden_ground_is_an_audit_error() -> None:
    table = people().rename(columns={"debts": "age_in_years"})
    model = saliscope.table_model(lambda t: t["income"] - 2 * t["age_in_years"], table)
    audit = reason_codes(model, table, **RAW)
    assert audit.verdict == "audit error"
    assert [found.code for found in audit.errors] == ["forbidden_reason"]
    assert "Audit error: age_in_years names age." in audit.sentence
    assert set(audit["codes"].loc[audit["codes"]["code"] == "age_in_years", "names"]) == {"age"}
    fine = reason_codes(model, table, allowed=["age_in_years"], **RAW)
    assert not fine.errors
    assert "Audit error" in audit.to_html()


@pytest.mark.parametrize(
    ("name", "values", "ground"),
    [
        ("statussex", [], ""), ("personal_status_and_sex", [], "sex and marital status"),
        ("foreign_worker", [], "foreign worker"), ("maritalStatus", [], "marital status"),
        ("mortgage", [], ""), ("percentage", [], ""), ("household", [], ""),
        ("relationship", ["Husband", "Own-child"], "sex and marital status"),
        ("family", ["divorced", "single"], "marital status"), ("gender", [], "sex"),
        ("job", ["management", "unskilled"], ""), ("month_of_birth", [], "age"),
    ],
)  # fmt: skip
def test_grounds_are_found_by_words(name: str, values: list[str], ground: str) -> None:
    assert named([name], pd.DataFrame({name: values})) == ground


BAD = {
    "nobody declined": ({"threshold": -99.0, "scale": "raw"}, InputError, "no applicant is decl"),
    "nobody approved": ({"threshold": 99.0, "scale": "raw"}, InputError, "no applicant is approv"),
    "no probability": ({}, InputError, r"score returned .* a probability from 0 to 1 is wanted"),
    "scale": ({"scale": "logodds"}, OptionError, "did you mean 'log_odds'"),
    "reference": ({"reference": "aproved", **RAW}, OptionError, "did you mean 'approved'"),
    "threshold": ({"threshold": 3}, OptionError, "must be a probability between 0 and 1"),
    "words": ({"threshold": "half"}, OptionError, "threshold='half' must be a number"),
    "column": ({"reference": people()[["income"]], **RAW}, InputError, "reference: the column"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_questions_are_one_clear_line(case: str) -> None:
    options, kind, message = BAD[case]
    table = people(20)
    with pytest.raises(kind, match=message) as caught:
        reason_codes(linear(table), table, **options)
    assert "\n" not in str(caught.value)


def test_probabilities_without_log_odds_name_the_remedy() -> None:
    table = people(30)
    model = saliscope.table_model(lambda t: (t["income"] > 0) * 1.0, table)
    with pytest.raises(
        OptionError, match=r"probability of [01], which has no log-odds; give scale="
    ):
        reason_codes(model, table)
    audit = reason_codes(model, table, scale="prob")
    assert audit["codes"]["code"].unique().tolist() == ["income"]
    assert audit["codes"]["contribution"].unique().tolist() == [-1.0]
