"""Bad tables on the command line and in audits: handled, or one line with file, row and reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

import saliscope
from helpers.credit import loans, model
from saliscope import InputError
from saliscope.audit import proxies
from saliscope.cli.main import main
from saliscope.tables import importance

HEAD = "zip,income,age\n"
HANDLED = {
    "unseen category": (HEAD + "C9,3.0,40\nB2,2,50\n", "helpers.credit:model"),
    "a category that looks like a number": (HEAD + "A1,3.0,40\n7,2,50\n", "helpers.credit:model"),
    "missing cells": (HEAD + ",3.0,40\nB2,2,\n", "helpers.credit:model"),
    "all missing": (HEAD + ",2,40\n,2,50\n", "helpers.credit:model"),
    "one row": (HEAD + "A1,2,40\n", "helpers.credit:model"),
    "extra column": ("zip,income,age,name\nA1,2,40,Ann\n", "helpers.credit:model"),
    "reordered": ("age,income,zip\n40,2,A1\n", "helpers.credit:model"),
    "dates": ("day\n2024-01-05\n2024-02-01\n", "helpers.credit:dated"),
    "constant output": (HEAD + "A1,2,40\nB2,1,50\n", "helpers.credit:constant"),
}
REFUSED = {
    "mixed types": (HEAD + "A1,3.0,40\nB2,x,50\n", "model", "row 2, column 'income': 'x' is not a"),
    "duplicate names": ("zip,income,income\nA1,2,4\n", "model", "line 1: the column 'income' is"),
    "column missing": ("zip,age\nA1,40\n", "model", "t.csv: the column 'income' is missing"),
    "infinity": (HEAD + "A1,2,40\nB2,inf,3\n", "model", "row 2, column 'income': is inf"),
    "no date": ("day\n2024-01-05\nsoon\n", "dated", "row 2, column 'day': 'soon' is not a date"),
    "wrong shape": (HEAD + "A1,2,40\n", "wrong", "wrong returned shape (3,) for 1 rows"),
}


@pytest.mark.parametrize("case", HANDLED)
def test_a_table_that_can_be_explained_is(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    content, source = HANDLED[case]
    (tmp_path / "t.csv").write_text(content)
    words = ["explain", str(tmp_path / "t.csv"), "-m", source, "--method", "masking", "-q"]
    main([*words, "-o", str(tmp_path / "out")])
    found = pd.read_csv(tmp_path / "out" / "attributions.csv")
    assert found["record"].nunique() == content.count("\n") - 1
    assert np.isfinite(found["value"]).all()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("case", REFUSED)
def test_a_table_that_cannot_be_is_one_line(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    content, source, message = REFUSED[case]
    (tmp_path / "t.csv").write_text(content)
    words = ["explain", str(tmp_path / "t.csv"), "-m", f"helpers.credit:{source}"]
    with pytest.raises(SystemExit, match="2"):
        main([*words, "--method", "masking", "-q", "-o", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert said.count("row 2,") <= 1


def test_a_missing_output_is_a_finding_of_severity_error() -> None:
    row = {"zip": "A1", "income": np.nan, "age": 40}
    found = saliscope.explain(model(), row, method="masking", target="good")
    assert [item.code for item in found.health.errors] == ["non_finite"]


def test_a_model_that_was_trained_on_one_class_says_the_same_of_all() -> None:
    table = loans()[["income", "age"]]
    constant = DummyClassifier().fit(table, ["good"] * len(table))
    found = saliscope.explain(saliscope.table_model(constant, table), table[:2], method="masking")
    assert (found.to_numpy() == 0).all()
    assert "flat" in {item.code for item in found.health}
    with pytest.raises(InputError, match="truth is 'good' in every row"):
        importance(constant, table, ["good"] * len(table))


def test_mixed_objects_in_one_column_are_categories() -> None:
    table = pd.DataFrame({"code": pd.Series(["a", 1, 2.5, None] * 6, dtype=object)})
    asked = saliscope.table_model(lambda t: (t["code"] == 1) * 1.0, table)
    found = saliscope.explain(asked, table.iloc[[1]], method="masking")
    assert found.to_numpy().tolist() == [0.75]


def test_audits_name_the_row_of_the_file() -> None:
    table = loans(40).set_axis(range(1, 41), axis=0)
    table.loc[7, "income"] = np.inf
    with pytest.raises(InputError, match=r"table, row 7, column 'income': is inf"):
        proxies(model(), table, "side")
    with pytest.raises(InputError, match="table: has 3 rows, too few to compare; give at least 20"):
        proxies(model(), loans(40)[:3], "side")


def test_a_stream_of_tables_gives_a_stream_of_results() -> None:
    table = loans(30)
    parts = (table[start : start + 10] for start in range(0, 30, 10))
    results = saliscope.explain(model(), parts, method="masking", target="good")
    assert [one.values.shape for one in results] == [(10, 3)] * 3
