"""Tables from files: skops and joblib, CSV in parts, the command line, real data."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import saliscope
from saliscope import InputError, ModelError, OptionError
from saliscope.api import rows as rows_module
from saliscope.api.rows import read_rows, row_numbers
from saliscope.cli.main import main

skops = pytest.importorskip("skops.io", reason="skops is an extra")
GERMAN = (
    Path(os.environ.get("SALISCOPE_DATA", Path(__file__).parents[3] / "shared" / "data"))
    / "tabular" / "german_credit_named_columns.csv"
)  # fmt: skip


def loans(rows: int = 30) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "amount": rng.integers(1, 90, rows), "purpose": rng.choice(["car", "home"], rows),
            "approved": np.tile(["no", "yes"], rows // 2),
        }
    )  # fmt: skip


def mixed() -> Any:
    numbers, words = (
        make_column_selector(**{k: np.number}) for k in ("dtype_include", "dtype_exclude")
    )
    return make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), words), (StandardScaler(), numbers)
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a table and models of it."""
    folder, table = tmp_path_factory.mktemp("tables"), loans()
    table.to_csv(folder / "loans.csv", index=False)
    columns = table[["amount", "purpose"]]
    model = make_pipeline(mixed(), LogisticRegression()).fit(columns, table["approved"])
    skops.dump(model, folder / "loans.skops")
    odd = make_pipeline(FunctionTransformer(os.path.basename), LogisticRegression())
    skops.dump(odd, folder / "odd.skops")
    (folder / "loans.joblib").write_bytes(b"\x80\x04K\x01.")
    return folder


def test_a_skops_file_is_loaded_and_says_the_same(files: Path) -> None:
    model = saliscope.load(str(files / "loans.skops"))
    found = saliscope.explain(model, loans(), method="masking", target="yes")
    plain = skops.load(files / "loans.skops", trusted=["numpy.number", *_selector()])
    expected = plain.predict_proba(loans()[["amount", "purpose"]])[:, 1]
    np.testing.assert_allclose(found.score.values, expected, atol=1e-14)


def _selector() -> list[str]:
    return ["sklearn.compose._column_transformer.make_column_selector"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("odd.skops", r"odd.skops: holds .*basename, which is not of scikit-learn.*factory"),
        ("none.skops", r"none.skops: there is no such file"),
        ("loans.csv.skops", r"is not a skops file; write one with skops.io.dump"),
        ("loans.joblib", r"pickled file, which could run code.*skops.io.dump\(\)"),
    ],
)
def test_files_that_are_not_trusted_are_refused(files: Path, name: str, message: str) -> None:
    if name == "loans.csv.skops":
        (files / name).write_bytes((files / "loans.csv").read_bytes())
    with pytest.raises(ModelError, match=message) as caught:
        saliscope.load(str(files / name))
    assert "\n" not in str(caught.value)


def test_rows_are_read_in_parts(
    files: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rows_module, "_PART", 7)
    model = saliscope.table_model(lambda t: t["amount"] * 1.0)
    inputs = read_rows(files / "loans.csv", model, "2,9-10,30")
    assert [one.name for one in inputs] == ["row 2", "row 9", "row 10", "row 30"]
    assert inputs[3].raw["amount"].item() == loans()["amount"].iloc[29]
    assert model.rows is not None
    assert len(model.rows) == 30  # all of it, as it has fewer than 100
    pd.DataFrame({"amount": range(5000)}).to_csv(tmp_path / "long.csv", index=False)
    again = saliscope.table_model(lambda t: t["amount"] * 1.0)
    monkeypatch.setattr(rows_module, "_PART", 999)
    read_rows(tmp_path / "long.csv", again, "1")
    assert again.rows is not None
    drawn = again.rows[:, 0]
    assert len(drawn) == len(set(drawn)) == 100
    assert 2000 < drawn.mean() < 3000


BAD: dict[str, tuple[bytes, str | None, str]] = {
    "empty": (b"", None, "bad.csv.*holds no table"),
    "no row": (b"amount,purpose\n", None, "bad.csv: names columns and holds no row"),
    "twice": (b"a,b,a\n1,2,3\n", None, "bad.csv, line 1: the column 'a' is there twice"),
    "ragged": (b"a,b\n1,2\n1,2,3\n", None, "bad.csv: is not a table.*line 3"),
    "UTF-16": ("amount\n1\n".encode("utf-16"), None, "bad.csv.*UTF-16.*UTF-8"),
    "infinite": (b"amount\n1\ninf\n", None, "bad.csv: row 1, column 'amount': is inf"),
    "too few": (b"amount\n1\n2\n", "3", "has 2 rows, and --rows asks for row 3"),
    "long": (b"amount\n" + b"1\n" * 1001, None, "1,001 rows; choose with --rows"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, case: str) -> None:
    content, rows, message = BAD[case]
    (tmp_path / "bad.csv").write_bytes(content)
    model = saliscope.table_model(lambda t: t["amount"] * 1.0)
    with pytest.raises(InputError, match=message) as caught:
        read_rows(tmp_path / "bad.csv", model, rows)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["0", "5-1", "a", "1,,2", ""])
def test_row_numbers_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"write numbers of rows from 1"):
        row_numbers(text)


def test_the_command_line_explains_rows(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["explain", str(files / "loans.csv"), "--model", str(files / "loans.skops")]
    own = ["--rows", "1-3", "--method", "shapley", "--target", "yes", "-o", str(out), "-q"]
    main([*words, *own])
    table = pd.read_csv(out / "attributions.csv")
    assert table["record"].unique().tolist() == ["row 1", "row 2", "row 3"]
    assert table["column"].tolist() == ["amount", "purpose"] * 3
    assert table["cell"].iloc[:2].tolist() == [str(v) for v in loans().iloc[0, :2]]
    page = (out / "report.html").read_text()
    assert "Baseline score" in page
    assert "amount = " in page
    main([*words, *own])  # taken from what is kept
    assert capsys.readouterr().err == ""
    for more, line in (
        (["--workers", "2"], "tables are explained in one process"),
        (["--rows", "99"], "has 30 rows, and --rows asks for row 99"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main([*words, *own, *more])
        assert line in capsys.readouterr().err


def test_rows_are_for_tables_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["explain", "good", "-m", "zoo:sentiment", "--rows", "1", "-o", str(tmp_path / "o")]
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "--rows chooses rows of a table" in capsys.readouterr().err


# -- other tools, real data --------------------------------------------------------------------


def test_shapley_values_of_trees_are_those_of_shap() -> None:
    shap = pytest.importorskip("shap", reason="shap comes with the extra of tables")
    rng = np.random.default_rng(2)
    table = pd.DataFrame(rng.normal(size=(60, 6)), columns=list("abcdef"))
    truth = table["a"] * table["b"] + np.sin(table["c"])
    forest = RandomForestRegressor(5, max_depth=4, random_state=0).fit(table, truth)
    background = table.iloc[:20]
    theirs = shap.TreeExplainer(forest, background, feature_perturbation="interventional")
    ours = saliscope.explain(
        saliscope.table_model(forest, background), table.iloc[[30]], method="shapley"
    )
    np.testing.assert_allclose(ours.to_numpy(), theirs.shap_values(table.iloc[[30]])[0], atol=1e-10)


def _credit() -> tuple[pd.DataFrame, Any]:
    table = pd.read_csv(GERMAN)
    good = np.where(table.pop("credit_risk") == 1, "good", "bad")
    return table, good


@pytest.mark.skipif(not GERMAN.is_file(), reason="the German credit table is not here")
def test_of_german_credit_one_is_good() -> None:
    table, good = _credit()
    assert (good == "good").mean() == 0.7  # 700 of 1,000 loans were paid back
    model = make_pipeline(mixed(), LogisticRegression(max_iter=500)).fit(table, good)
    adapter: Callable[..., Any] = saliscope.table_model
    row = table.iloc[[1]]  # 48 months, 22 years old; it went bad
    found = saliscope.explain(adapter(model, table, rows=40), row, method="masking", target="good")
    by_name = dict(zip(found.values["column"].values, found.to_numpy(), strict=True))
    assert found.score < 0.5
    assert by_name["duration_in_month"] < -0.05  # a long loan lowers the chance of good
    other = saliscope.explain(adapter(model, table, rows=40), row, method="masking", target="bad")
    np.testing.assert_allclose(other.to_numpy(), -found.to_numpy(), atol=1e-12)
