"""What `saliscope explain` writes, and that a run which was cut off ends in the same bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import saliscope
from cli.conftest import Run, table
from saliscope.api.store import Store
from saliscope.core.attribution import Attribution
from saliscope.core.errors import ModelError
from saliscope.core.health import Health
from saliscope.models.torch_model import TorchModel

Runner = Callable[..., Run]


def test_what_is_written(run: Runner, work: Path) -> None:
    done = run("explain", "proteins.fasta", "-m", "esm", "-o", "out/deep", "--method", "gradient")
    assert (done.code, done.err) == (0, "")
    assert "out/deep/attributions.csv  (3 results)" in done.out
    assert "out/deep/report.html" in done.out
    names = [n for n in done.new if not n.startswith("out/deep/records/")]
    assert names == [
        "out", "out/deep", "out/deep/attributions.csv", "out/deep/records", "out/deep/report.html",
    ]  # fmt: skip
    rows = table(work / "out/deep/attributions.csv")
    assert list(rows[0]) == ["record", "method", "target", "position", "residue", "value"]
    assert [r["record"] for r in rows] == ["first"] * 9 + ["second"] * 10 + ["third"] * 9
    assert {r["method"] for r in rows} == {"gradient"}
    assert [r["residue"] for r in rows[:9]] == list("MVHLTPEEK")
    assert [r["position"] for r in rows[9:19]] == [str(i) for i in range(1, 11)]
    saved = [Attribution.load(p) for p in (work / "out/deep/records").glob("*.nc")]
    assert sorted(s.name for s in saved) == ["first", "second", "third"]
    direct = saliscope.explain(str(work / "esm"), "MVHLTPEEK", method="gradient")
    np.testing.assert_allclose([float(r["value"]) for r in rows[:9]], direct, rtol=1e-5)


def test_quiet(run: Runner) -> None:
    done = run("explain", "texts.txt", "-m", "bert", "-o", "out", "--method", "gradient", "-q")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_columns_of_several_methods_and_targets(run: Runner, work: Path) -> None:
    done = run(
        "explain", "texts.txt", "-m", "bert", "-o", "out", "--method", "masking", "--method", "ig",
        "-t", "positive", "-t", "negative", "--steps", "8",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    rows = table(work / "out/attributions.csv")
    assert list(rows[0]) == [
        "record", "method", "target", "position", "token", "word", "start", "end", "value",
        "probability_drop",
    ]  # fmt: skip
    masked = [r for r in rows if r["method"] == "masking"]
    paths = [r for r in rows if r["method"] == "integrated_gradients"]
    assert {r["target"] for r in masked} == {r["target"] for r in paths} == {"positive", "negative"}
    assert all(r["word"] and r["probability_drop"] and not r["token"] for r in masked)
    assert all(r["token"] and not r["word"] and not r["probability_drop"] for r in paths)
    one = [r for r in masked if (r["record"], r["target"]) == ("line 4", "positive")]
    assert [(r["word"], r["start"], r["end"]) for r in one] == [
        ("unbelievable", "0", "12"), ("!", "12", "13"),
    ]  # fmt: skip
    parts = [r for r in paths if (r["record"], r["target"]) == ("line 4", "positive")]
    assert [(r["token"], r["end"]) for r in parts] == [
        ("un", "2"), ("believ", "8"), ("able", "12"), ("!", "13"),
    ]  # fmt: skip
    direct = saliscope.explain(str(work / "bert"), "unbelievable!", "masking", ["positive"])
    np.testing.assert_allclose([float(r["value"]) for r in one], direct, rtol=1e-4)


def test_a_failing_record_does_not_lose_the_others(run: Runner, work: Path) -> None:
    (work / "mixed.fasta").write_text(">good\nMVHL\n>bad\nMV1L\n>gaps\n---\n>fine\nMKV\n")
    done = run("explain", "mixed.fasta", "-m", "esm", "-o", "out", "--method", "gradient")
    assert done.code == 2
    assert "2 of 4 records failed" in done.line
    assert "bad (gradient): position 3 is '1'" in done.line
    assert "out/failures.csv" in done.line
    rows = table(work / "out/failures.csv")
    assert [(r["record"], r["method"], r["error"]) for r in rows] == [
        ("bad", "gradient", "InputError"), ("gaps", "gradient", "InputError"),
    ]  # fmt: skip
    assert {r["record"] for r in table(work / "out/attributions.csv")} == {"good", "fine"}
    assert "(2 of 4 records failed)" in (work / "out/report.html").read_text()
    (work / "mixed.fasta").write_text(">good\nMVHL\n>fine\nMKV\n")
    assert run("explain", "mixed.fasta", "-m", "esm", "-o", "out", "--method", "gradient").code == 0
    assert not (work / "out/failures.csv").exists()


def test_strict(run: Runner, work: Path) -> None:
    command = ["explain", "proteins.fasta", "-m", "esm", "-o", "out", "--max-evaluations", "5"]
    command += ["--tolerance", "0.0000001"]
    assert run(*command).code == 0
    done = run(*command, "--strict")
    assert done.code == 1
    assert "proteins.fasta, first:" in done.line


def test_one_failed_tolerance_among_others(
    run: Runner, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_ever = Health.ok.fget
    assert as_ever is not None
    answers = iter([True, False, True])
    monkeypatch.setattr(Health, "ok", property(lambda health: next(answers) and as_ever(health)))
    done = run(
        "explain", "proteins.fasta", "-m", "esm", "-o", "out", "--method", "gradient", "--strict"
    )
    assert done.code == 1
    assert "1 of 3 records failed" in done.line
    (row,) = table(work / "out/failures.csv")
    assert (row["record"], row["error"]) == ("second", "ToleranceError")
    assert {r["record"] for r in table(work / "out/attributions.csv")} == {"first", "third"}


@pytest.mark.parametrize("how", [KeyboardInterrupt, ModelError])
def test_a_run_that_was_cut_off_ends_in_the_same_bytes(
    how: type[BaseException], run: Runner, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = np.random.default_rng(0).choice(list("ACDEFGHIKLMNPQRSTVWY"), (10, 24))
    sequences = ["".join(row)[: 24 - i] for i, row in enumerate(letters)]
    sequences[2] = sequences[1]  # twice in a chunk
    sequences[9] = sequences[0]  # and in a later one
    monkeypatch.setattr("saliscope.api.store._LETTERS", 80)
    monkeypatch.setattr("saliscope.cli.writing.REPORTED", 1)  # drawing takes longest
    fasta = "".join(f">p{i}\n{s}\n" for i, s in enumerate(sequences))
    (work / "many.fasta").write_text(fasta)
    command = ["explain", "many.fasta", "-m", "esm", "--method", "ig", "--method", "masking"]
    assert run(*command, "-o", "whole").code == 0
    expected = (work / "whole/attributions.csv").read_bytes()

    kept = Store.keep
    count = 0

    def cut_off(self: Store, key: str, result: Attribution) -> None:
        nonlocal count
        count += 1
        if count == 6:
            msg = "cut off"
            raise how(msg)
        kept(self, key, result)

    monkeypatch.setattr(Store, "keep", cut_off)
    done = run(*command, "-o", "cut")
    assert done.code == (130 if how is KeyboardInterrupt else 2)
    assert done.line
    assert not (work / "cut/attributions.csv").exists()
    assert len(list((work / "cut/records").glob("*.nc"))) == 5
    monkeypatch.setattr(Store, "keep", kept)

    rows = [0, 0]
    forward = TorchModel.run

    def counted(self: TorchModel, pieces: Any, *args: Any, **options: Any) -> Any:
        rows[0] += sum(len(p.rows) for p in pieces)
        return forward(self, pieces, *args, **options)

    monkeypatch.setattr(TorchModel, "run", counted)
    assert run(*command, "-o", "cut").code == 0
    assert (work / "cut/attributions.csv").read_bytes() == expected
    rows[1], rows[0] = rows[0], 0
    assert run(*command, "-o", "new").code == 0
    assert rows[1] < 0.9 * rows[0]  # what was finished was taken up
    assert (work / "new/attributions.csv").read_bytes() == expected
    rows[0] = 0
    assert run(*command, "-o", "whole").code == 0
    assert rows[0] == 0  # everything was there


def test_names_are_data(run: Runner, work: Path) -> None:
    name = "{{7*7}}<script>alert(1)</script>"
    (work / "names.fasta").write_text(f">{name}\nMVHL\n>=1+1\nMKV\n>../../up\nMKL\n")
    for command in ("explain", "attention"):
        done = run(command, "names.fasta", "-m", "esm", "-o", command, "-q")
        assert (done.code, done.err) == (0, "")
        page = (work / command / "report.html").read_text()
        assert "<script>alert" not in page
        assert "{{7*7}}&lt;script&gt;alert(1)&lt;/script&gt;" in page
    rows = table(work / "explain/attributions.csv")
    assert {r["record"] for r in rows} == {name, "=1+1", "../../up"}
    assert sorted(p.name for p in work.iterdir()) == [
        "attention", "bert", "esm", "explain", "names.fasta", "proteins.fasta", "texts.txt",
    ]  # fmt: skip


def test_many_records_of_one_letter(
    run: Runner, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / "many.fasta").write_text("".join(f">r{i}\nM\n" for i in range(1000)))
    rows = 0
    forward = TorchModel.run

    def counted(self: TorchModel, pieces: Any, *args: Any, **options: Any) -> Any:
        nonlocal rows
        rows += sum(len(p.rows) for p in pieces)
        return forward(self, pieces, *args, **options)

    monkeypatch.setattr(TorchModel, "run", counted)
    monkeypatch.setattr("saliscope.cli.writing.REPORTED", 3)
    done = run("explain", "many.fasta", "-m", "esm", "-o", "out", "--method", "masking")
    assert done.code == 0
    assert rows < 10
    assert "... and 997 more" in done.out
    assert len(list((work / "out/records").glob("*.nc"))) == 1
    found = table(work / "out/attributions.csv")
    assert [r["record"] for r in found] == [f"r{i}" for i in range(1000)]
    assert len({json.dumps({**r, "record": ""}) for r in found}) == 1


def test_literal_input(run: Runner, work: Path) -> None:
    done = run("explain", "it isn't bad", "-m", "bert", "-o", "out", "--method", "masking")
    assert (done.code, done.err) == (0, "")
    assert [r["word"] for r in table(work / "out/attributions.csv")] == ["it", "isn't", "bad"]


def test_several_baselines_are_a_background(run: Runner, work: Path) -> None:
    words = ("explain", "MVHLT", "-m", "esm", "-o", "out", "--baseline", "A", "--baseline", "GGGGG")
    done = run(*words, "--method", "expected_gradients")
    assert (done.code, done.err) == (0, "")
    (record,) = (work / "out/records").glob("*.nc")
    assert Attribution.load(record).provenance["background"] == ["A", "GGGGG"]
    refused = run(*words)
    assert refused.code == 2
    assert refused.line == (
        "integrated_gradients starts at one baseline; to average over several use "
        "expected_gradients"
    )
