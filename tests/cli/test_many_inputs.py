"""Several files and folders, grouped results, workers and shards on the command line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.conftest import Run, table
from saliscope.core.attribution import Attribution

Runner = Callable[..., Run]


@pytest.fixture
def folder(work: Path) -> Path:
    """Return a folder of two files whose records have equal names, and of others."""
    (work / "set" / "below").mkdir(parents=True)
    (work / "set" / "b.faa").write_text(">one\nMVHL\n>two\nMKTA\n")
    (work / "set" / "a.fasta").write_text(">one\nMKTAY\n")
    for name in ("notes.md", ".hidden.fasta", "below/c.fasta"):
        (work / "set" / name).write_text("not read")
    return work


def records(rows: list[dict[str, str]]) -> list[str]:
    """Return the names of the records of a table, in order."""
    return list(dict.fromkeys(row["record"] for row in rows))


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a folder."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_a_folder_is_read_in_order_and_names_stay_apart(run: Runner, folder: Path) -> None:
    for command, name in (("explain", "attributions.csv"), ("attention", "attention.csv")):
        more = ["--method", "gradient"] if command == "explain" else []
        done = run(command, "set", "-m", "esm", "-o", command, *more)
        assert (done.code, done.err) == (0, "")
        rows = table(folder / command / name)
        assert records(rows) == ["a.fasta: one", "b.faa: one", "b.faa: two"]
    assert "set by esm" in (folder / "explain/report.html").read_text()


def test_several_sources_are_each_read_once(run: Runner, folder: Path) -> None:
    done = run(
        "explain", "set/b.faa", "proteins.fasta", "--method", "gradient", "set", "-m", "esm",
        "-o", "out",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert records(table(folder / "out/attributions.csv")) == [
        "set/b.faa: one", "set/b.faa: two", "proteins.fasta: first", "proteins.fasta: second",
        "proteins.fasta: third", "set/a.fasta: one",
    ]  # fmt: skip
    assert "3 inputs by esm" in (folder / "out/report.html").read_text()


def test_flags_of_a_method_among_several_inputs(run: Runner, folder: Path) -> None:
    done = run(
        "explain", "set/a.fasta", "--steps", "4", "set/b.faa", "-m", "esm", "-o", "out", "-q"
    )
    assert (done.code, done.err) == (0, "")
    assert len(records(table(folder / "out/attributions.csv"))) == 3


def test_a_bad_file_among_others_is_named(run: Runner, folder: Path) -> None:
    (folder / "set" / "c.fa").write_text("MVH\n")
    done = run("explain", "set", "-m", "esm", "-o", "out")
    assert (done.code, done.new) == (2, [])
    assert "set/c.fa, line 1: sequence without a header" in done.line
    (folder / "set" / "c.fa").write_text(">bad\nM1\n")
    done = run("explain", "set", "-m", "esm", "-o", "out", "--method", "gradient")
    assert done.code == 2
    assert "the first: c.fa: bad (gradient): position 2 is '1'" in done.line


def test_results_by_word_and_by_sentence(run: Runner, work: Path) -> None:
    (work / "texts.txt").write_text("it isn't bad. unbelievable!\n")
    command = ["explain", "texts.txt", "-m", "bert", "-t", "positive", "-o", "out"]
    assert run(*command).code == 0
    tokens = table(work / "out/attributions.csv")
    done = run(*command, "--by", "word")
    assert (done.code, done.err) == (0, "")
    words = table(work / "out/attributions.csv")
    assert list(words[0]) == [
        "record", "method", "target", "position", "word", "start", "end", "units", "value",
    ]  # fmt: skip
    assert [(r["word"], r["units"]) for r in words] == [
        ("it", "1"), ("isn't", "3"), ("bad", "1"), (".", "1"), ("unbelievable", "3"), ("!", "1"),
    ]  # fmt: skip
    assert sum(float(r["value"]) for r in words) == pytest.approx(
        sum(float(r["value"]) for r in tokens)
    )
    assert not [name for name in done.new if name.endswith(".nc")]  # kept by token, grouped anew
    (saved,) = (Attribution.load(file) for file in (work / "out/records").glob("*.nc"))
    assert saved.meta["unit_kind"] == "token"
    (work / "texts.txt").write_text("it isn't bad. Unbelievable!\n")
    done = run(*command, "--by", "sentence", "--reduce", "absmax")
    rows = table(work / "out/attributions.csv")
    assert [r["sentence"] for r in rows] == ["it isn't bad.", "Unbelievable!"]
    assert "has the value of largest size of its units" in done.out
    page = (work / "out/report.html").read_text()
    assert "absmax by sentence (2)" in page
    done = run("explain", "proteins.fasta", "-m", "esm", "-o", "p", "--method", "gradient",
               "--by", "4", "-q")  # fmt: skip
    assert [r["window"] for r in table(work / "p/attributions.csv")][:3] == ["1-4", "5-8", "9"]


def test_a_result_that_cannot_be_grouped_is_a_failure_of_its_own(run: Runner, work: Path) -> None:
    """Masking gives words already, so they cannot be taken as tokens."""
    done = run("explain", "texts.txt", "-m", "bert", "-o", "out", "--by", "token",
               "--method", "masking", "--method", "gradient")  # fmt: skip
    assert done.code == 2
    assert "groups by 'token' do not exist for this result; it has: word, sentence" in done.line
    assert {r["method"] for r in table(work / "out/attributions.csv")} == {"gradient"}


def test_workers_and_shards_end_in_the_same_files(
    run: Runner, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saliscope.api.store._LETTERS", 12)
    monkeypatch.setattr("saliscope.cli.writing.REPORTED", 1)
    command = ["explain", "proteins.fasta", "-m", "esm", "--method", "gradient", "--method",
               "masking"]  # fmt: skip
    assert run(*command, "-o", "one").code == 0
    done = run(*command, "-o", "workers", "--workers", "1")  # a process of its own, for both
    assert (done.code, done.err) == (0, "")
    assert hashes(work / "workers") == hashes(work / "one")
    for shard, inputs in (("2/2", 1), ("1/2", 2)):
        done = run(*command, "-o", "shards", "--shard", shard)
        assert (done.code, done.err) == (0, "")
        assert f"({inputs} chunks, {inputs} inputs)" in done.out
        assert "when all 2 shards are done, give the same command without --shard" in done.out
        assert sorted(p.name for p in (work / "shards").iterdir()) == ["records"]
    monkeypatch.setattr("saliscope.api.sharing.compute", None)  # everything is there
    assert run(*command, "-o", "shards").code == 0
    assert hashes(work / "shards") == hashes(work / "one")
