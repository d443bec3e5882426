"""`saliscope trust`: files out, one clear line on bad input."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from saliscope.cli.main import main


def test_tables_and_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reviews = tmp_path / "reviews.txt"
    reviews.write_text("A wonderful cast and a dull, empty story.\nGood.\n", encoding="utf-8")
    out = tmp_path / "out"
    flags = ["--method", "masking", "--method", "gradient", "--reduce", "norm"]
    cost = ["--draws", "99", "--repeats", "1"]
    main(["trust", str(reviews), "-m", "zoo:sentiment", *flags, *cost, "-o", str(out)])
    assert {p.name for p in out.iterdir()} == {"trust.csv", "summary.csv", "report.html"}
    table = pd.read_csv(out / "trust.csv")
    assert set(table["name"]) == {"line 1", "line 2"}
    assert set(table["method"]) == {"masking", "gradient"}
    assert {"deletion", "insertion", "randomized"} <= set(table["measure"])
    assert pd.read_csv(out / "summary.csv")["inputs"].tolist() == [2, 2]
    page = (out / "report.html").read_text("utf-8")
    assert "the input has 2 parts" in page
    assert "line 1, masking: " in capsys.readouterr().out


def test_one_bad_record_does_not_lose_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proteins = tmp_path / "two.fasta"
    proteins.write_text(">good\nMVHLTPEEK\n>bad\nMV1\n", encoding="utf-8")
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stop:
        main(["trust", str(proteins), "-m", "zoo:protein", "--method", "masking", "--draws", "9",
              "-o", str(out), "-q"])  # fmt: skip
    assert stop.value.code == 2
    assert "1 of 2 records failed, the first: bad (masking)" in capsys.readouterr().err
    assert pd.read_csv(out / "failures.csv")["record"].tolist() == ["bad"]
    assert set(pd.read_csv(out / "trust.csv")["name"]) == {"good"}


def test_maps_are_tested_as_they_are_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reviews = tmp_path / "reviews.txt"
    reviews.write_text("A dull story.\nGood.\n", encoding="utf-8")
    words = ["explain", str(reviews), "-m", "zoo:sentiment", "--method", "masking"]
    main([*words, "--trust", "-o", str(tmp_path / "out")])
    table = pd.read_csv(tmp_path / "out" / "verdicts.csv")
    assert table["record"].tolist() == ["line 1", "line 2"]
    assert table["verdict"].tolist() == ["not assessed"] * 2  # too few parts
    assert "verdicts on masking: not assessed 2" in capsys.readouterr().out
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert page.count("Not assessed: the input has") == 2
    main([*words, "-o", str(tmp_path / "out"), "-q"])
    assert not (tmp_path / "out" / "verdicts.csv").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--draws", "-1"], "draws=-1"),
        (["--method", "gradeint"], "method 'gradeint' does not exist"),
        (["--target", "happy"], "no class 'happy'"),
        (["--steps", "3", "--method", "masking"], "no option 'steps'"),
    ],
)
def test_bad_flags_are_one_line(
    flags: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["trust", "Good film", "-m", "zoo:sentiment", "-o", str(tmp_path / "o"), *flags])
    assert stop.value.code == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert words in said[-1]
    assert not (tmp_path / "o").exists()
