"""`saliscope audit proxies|groups|reasons`: what is written, exit codes, one line for bad input."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from helpers.credit import loans
from saliscope.audit import Audit
from saliscope.cli.main import main

MODEL = ["-m", "helpers.credit:model"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("loans") / "loans.csv"
    loans().to_csv(path, index=False)
    return path


def test_proxies_are_written(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    own = ["--protected", "side", "--protected", "age", "--outcome", "paid", "--draws", "30"]
    main(["audit", "proxies", str(table), *MODEL, *own, "-o", str(tmp_path / "out")])
    found = pd.read_csv(tmp_path / "out" / "columns.csv")
    assert found["protected"].unique().tolist() == ["side", "age"]
    assert found.loc[0, "column"] == "zip"
    assert found.loc[0, "stands"]
    assert Audit.load(tmp_path / "out" / "audit.nc").verdict == "found"
    page = (tmp_path / "out" / "report.html").read_text()
    assert "zip stands for side" in page
    assert "<svg" in page
    said = capsys.readouterr()
    assert "zip stands for side" in said.out
    assert said.err == ""


def test_groups_are_written(table: Path, tmp_path: Path) -> None:
    pytest.importorskip("fairlearn", reason="fairlearn is an extra")
    own = ["--protected", "side", "--outcome", "paid", "--explained", "10", "--draws", "100", "-q"]
    main(["audit", "groups", str(table), *MODEL, *own, "-o", str(tmp_path / "out")])
    found = pd.read_csv(tmp_path / "out" / "metrics.csv")
    assert len(found) == 10
    maps = pd.read_csv(tmp_path / "out" / "attributions.csv")
    assert set(maps["column"]) == {"zip", "income", "age"}


def test_reasons_are_written_and_rows_counted_from_one(table: Path, tmp_path: Path) -> None:
    own = ["--references", "30", "--applicants", "5", "-q", "-o", str(tmp_path / "out")]
    main(["audit", "reasons", str(table), *MODEL, *own])
    codes = pd.read_csv(tmp_path / "out" / "codes.csv")
    assert set(codes["code"]) <= {"zip", "income"}
    first = codes.iloc[0]
    assert str(loans().iloc[first["applicant"] - 1][first["code"]]) == str(first["cell"])
    # a reference from a file, and a code that names what it must not
    main(["audit", "reasons", str(table), *MODEL, *own, "--reference", str(table)])
    named = ["--groups", "sex and zip=zip+age", "--strict"]
    with pytest.raises(SystemExit, match="1"):
        main(["audit", "reasons", str(table), *MODEL, *own, *named])
    assert "Audit error" in (tmp_path / "out" / "report.html").read_text()


BAD = {
    "no file": (["proxies", "none.csv", *MODEL, "--protected", "side"], "there is no such file"),
    "column": (["proxies", "{t}", *MODEL, "--protected", "sid"], "did you mean 'side'"),
    "groups": (["reasons", "{t}", *MODEL, "--groups", "zip"], "write name=column+column"),
    "declined": (
        ["reasons", "{t}", *MODEL, "--threshold", "0.0001"], "no applicant is declined"
    ),
    "reference": (["reasons", "{t}", *MODEL, "--reference", "aproved"], "did you mean 'approved'"),
    "missing": (["reasons", "{m}", *MODEL], "m.csv: the column 'zip' is missing"),
    "shape": (["proxies", "{t}", "-m", "helpers.credit:wrong", "--protected", "side"],
              "wrong returned shape (3,) for 1 rows"),
    "model": (["proxies", "{t}", "-m", "zoo:sentiment", "--protected", "side"],
              "no model on tables"),
    "method": (["groups", "{t}", *MODEL, "--protected", "side", "--outcome", "paid", "--method",
                "shapely"], "did you mean 'shapley'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(
    case: str, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words, message = BAD[case]
    pd.DataFrame({"income": [1.0, 2.0]}).to_csv(tmp_path / "m.csv", index=False)
    words = [w.format(t=table, m=tmp_path / "m.csv") for w in words]
    with pytest.raises(SystemExit, match="2"):
        main(["audit", *words, "-o", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()
