"""Every bad input: one line on standard error, exit code 2, and no file left behind."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.conftest import Run

Runner = Callable[..., Run]

FILES: dict[str, tuple[bytes, list[str]]] = {
    "empty": (b"", ["bad.fasta", "holds no record", ">name"]),
    "blank lines": (b"\n\n", ["bad.fasta", "holds no record"]),
    "no header": (b"MVH\n", ["bad.fasta, line 1", "without a header"]),
    "empty header": (b">\nMVH\n", ["bad.fasta, line 1", "header is empty"]),
    "no sequence": (b">a\n>b\nMV\n", ["bad.fasta, line 1", "'a' has no sequence"]),
    "duplicate": (b">a\nMV\n>a\nMV\n", ["bad.fasta, line 3", "'a'", "line 1", "unique"]),
    "digits": (b">a\nMV1H\n", ["bad.fasta, a: position 3 is '1'", "remove"]),
    "nucleotides": (
        b">a\nATGGTGCATCTGACTCCTGAGGAG\n",
        ["bad.fasta, a", "nucleotide", "translate"],
    ),
    "gaps": (b">a\n----\n", ["bad.fasta, a", "only gaps"]),
    "inner gap": (b">a\nMV-H\n", ["bad.fasta, a: position 3 is '-'", "gap"]),
    "inner stop": (b">a\nMV*H\n", ["bad.fasta, a: position 3 is '*'", "stop"]),
    "5,000 residues": (
        b">a\n" + b"MVHLT" * 1000,
        ["bad.fasta, a", "5,000 residues", "at most", "cut"],
    ),
    "binary": (bytes(range(256)) * 8, ["bad.fasta, line 1", "null bytes"]),
    "UTF-16": (">a\nMVH\n".encode("utf-16"), ["bad.fasta", "UTF-16", "UTF-8"]),
    "UTF-16 without mark": (">a\nMVH\n".encode("utf-16-le"), ["bad.fasta, line 1", "null bytes"]),
    "null byte": (b">a\nMV\x00H\n", ["bad.fasta, line 2", "null bytes"]),
    "Latin-1": (b">caf\xe9\nMVH\n", ["bad.fasta, line 1", "0xe9", "column 5", "UTF-8"]),
    "gzip": (b"\x1f\x8b\x08\x00", ["bad.fasta", "compressed", "unpack"]),
}


@pytest.mark.parametrize("case", FILES)
def test_bad_file(case: str, run: Runner, work: Path) -> None:
    data, words = FILES[case]
    (work / "bad.fasta").write_bytes(data)
    done = run("explain", "bad.fasta", "-m", "esm", "-o", "out/deep", "--method", "gradient")
    assert (done.code, done.out, done.new) == (2, "", [])
    assert all(word in done.line for word in words), done.line


def test_bad_file_with_an_output_folder_that_exists(run: Runner, work: Path) -> None:
    (work / "out").mkdir()
    (work / "out" / "mine.txt").write_text("x")
    (work / "bad.fasta").write_text(">a\n----\n")
    for command in ("explain", "attention"):
        done = run(command, "bad.fasta", "-m", "esm", "-o", "out")
        assert (done.code, done.new) == (2, [])
        assert "bad.fasta, a: the sequence is only gaps" in done.line
    assert (work / "out" / "mine.txt").read_text() == "x"


EXPLAIN: dict[str, tuple[list[str], list[str]]] = {
    "label": (["texts.txt", "-m", "bert", "-t", "positiv"], ["'positiv'", "'positive'"]),
    "negative target": (["texts.txt", "-m", "bert", "-t", "-1"], ["-1 is negative", "0 to 2"]),
    "target out of range": (["texts.txt", "-m", "bert", "-t", "7"], ["7 is out of range"]),
    "contrast with itself": (["texts.txt", "-m", "bert", "-t", "positive vs positive"], ["twice"]),
    "wild type": (["-t", "V6E"], ["proteins.fasta, first: V6E", "has P at position 6"]),
    "position": (["-t", "V60E"], ["position 60 does not exist", "1 to 9"]),
    "target word": (["-t", "liklihood"], ["'liklihood'", "'likelihood'"]),
    "method": (["--method", "gradeint"], ["'gradeint'", "'gradient'"]),
    "option": (["--method", "occlusion", "--windo", "3"], ["'windo'", "'window'"]),
    "stray word": (["--method", "gradient", "more"], ["'more'"]),
    "window 0": (["--method", "occlusion", "--window", "0"], ["window=0", "at least 1"]),
    "window": (["--method", "occlusion", "--window", "99"], ["window=99", "longer", "units"]),
    "window word": (["--method", "occlusion", "--window", "wide"], ["window='wide'"]),
    "tolerance 0": (["--tolerance", "0"], ["tolerance=0", "between 0 and 1"]),
    "tolerance nan": (["--tolerance", "nan"], ["tolerance=nan"]),
    "tolerance word": (["--tolerance", "low"], ["--tolerance", "valid"]),
    "tolerance unused": (["--method", "gradient", "--tolerance", "0.1"], ["gradient", "tolerance"]),
    "evaluations": (["--max-evaluations", "1"], ["max_evaluations=1", "at least"]),
    "budget": (["--budget", "-5"], ["--budget -5", "positive"]),
    "budget word": (["--budget", "lots"], ["--budget 'lots'", "500MB"]),
    "seed": (["--seed", "-1"], ["seed=-1", "at least 0"]),
    "device": (["--device", "abacus"], ["'abacus'", "'cpu'"]),
    "rule": (["--rule", "simpson"], ["rule='simpson'", "trapezoid"]),
    "steps": (["--steps", "0"], ["steps=0"]),
    "missing file": (["none.fasta"], ["none.fasta", "no such file"]),
    "missing file in a folder": (["a/b"], ["a/b", "no such file"]),
    "folder without files": (["esm"], ["esm", "holds no FASTA file", ".fasta"]),
    "one of several": (["proteins.fasta", "MKV"], ["'MKV'", "no such file or folder"]),
    "shard": (["--shard", "5/4"], ["--shard '5/4'", "from 1 to N"]),
    "workers": (["--workers", "0"], ["workers=0", "positive"]),
    "engine": (["--engine", "rya"], ["'rya'", "'ray'"]),
    "by": (["--by", "word"], ["protein model", "'word'", "codon"]),
    "by 0": (["--by", "0"], ["'0'", "a number of units"]),
    "reduce": (["--by", "codon", "--reduce", "avg"], ["--reduce 'avg'", "mean"]),
    "reduce alone": (["--reduce", "mean"], ["--reduce mean", "--by"]),
    "proteins for a text model": (["proteins.fasta", "-m", "bert"], ["FASTA", "takes text"]),
    "empty input": ([" "], ["INPUT is empty"]),
    "not a protein": (["hello world!"], ["input: position 11 is '!'"]),
    "zoo": (["-m", "zoo:protien"], ["zoo:protien", "'protein'"]),
    "hub name without network": (["-m", "owner/model"], ["owner/model", "network"]),
    "not a name": (["-m", "what is this"], ["what is this", "no such folder"]),
    "empty name": (["-m", ""], ["empty"]),
    "factory": (["-m", "json:dump"], ["json:dump"]),
    "no module": (["-m", "nowhere:make"], ["nowhere", "import"]),
    "file as output": (["-o", "texts.txt"], ["texts.txt", "is a file"]),
    "device file as output": (["-o", "/dev/null"], ["/dev/null"]),
    "unwritable output": (["-o", "/proc/here"], ["/proc/here", "cannot be written", "choose"]),
    "file above the output": (["-o", "texts.txt/out"], ["cannot be written"]),
    "empty output": (["-o", ""], ["-o is empty"]),
    "null byte in output": (["-o", "a\0b"], ["cannot be written"]),
}  # fmt: skip


@pytest.mark.parametrize("case", EXPLAIN)
def test_bad_option(case: str, run: Runner) -> None:
    given, words = EXPLAIN[case]
    source = [] if given[0] and not given[0].startswith("-") else ["proteins.fasta"]
    defaults = {"-m": "esm", "-o": "out"}
    rest = [x for flag, value in defaults.items() if flag not in given for x in (flag, value)]
    done = run("explain", *source, *given, *rest)
    assert (done.code, done.out, done.new) == (2, "", [])
    assert all(word in done.line for word in words), done.line


ATTENTION: dict[str, tuple[list[str], str]] = {
    "reduce": (["--reduce", "recieved"], "'received'"),
    "kind": (["--kind", "cross"], "no cross attention"),
    "layers": (["--layers", "99"], "layers 0 to 1"),
    "layers word": (["--layers", "all"], "--layers 'all'"),
    "heads": (["--heads", "9"], "heads"),
    "specials": (["--specials", "lose"], "'lose'"),
    "flag": (["--steps", "3"], "--steps"),
    "budget": (["--budget", "0"], "--budget 0"),
}


@pytest.mark.parametrize("case", ATTENTION)
def test_bad_option_of_attention(case: str, run: Runner) -> None:
    given, word = ATTENTION[case]
    done = run("attention", "proteins.fasta", "-m", "esm", "-o", "out", *given)
    assert (done.code, done.out, done.new) == (2, "", [])
    assert word in done.line


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["explain"], ["missing", "INPUT", "explain --help"]),
        (["explain", "x", "-m", "esm"], ["missing option", "--out"]),
        (["explain", "x", "-o", "out"], ["missing option", "--model"]),
        (["explian", "x"], ["explian", "explain"]),
        (["demo", "--wrong"], ["--wrong", "demo --help"]),
        (["methods", "gradeint"], ["'gradient'"]),
        (["models", "zoo:protien"], ["'protein'"]),
        (["--wrong"], ["--wrong"]),
    ],
)
def test_usage(typed: list[str], words: list[str], run: Runner) -> None:
    done = run(*typed)
    assert (done.code, done.out, done.new) == (2, "", [])
    assert all(word in done.line for word in words), done.line


def test_folder_without_config(run: Runner, work: Path) -> None:
    (work / "model").mkdir()
    done = run("explain", "MKV", "-m", "model", "-o", "out")
    assert (done.code, done.new) == (2, [])
    assert "no config.json" in done.line
    (work / "model" / "config.json").write_text("{")
    done = run("explain", "MKV", "-m", "model", "-o", "out")
    assert (done.code, done.new) == (2, [])
    assert "config.json" in done.line


def test_a_folder_never_touches_the_network(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        asked.append(arguments)
        msg = "no network here"
        raise OSError(msg)

    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for model in ("esm", "zoo:protein"):
        done = run("explain", "MKV", "-m", model, "-o", "out", "--method", "gradient", "-q")
        assert (done.code, done.err) == (0, "")
    assert not asked
    start = time.perf_counter()  # a name of the hub is asked for once, and then given up
    done = run("explain", "MKV", "-m", "owner/model", "-o", "other")
    assert (done.code, done.new) == (2, [])
    assert "hub cannot be reached" in done.line
    assert asked
    assert time.perf_counter() - start < 3


def test_pickled_weights(run: Runner, work: Path, models: Path) -> None:
    ran = work / "ran"
    code = f"cbuiltins\nopen\n(S'{ran}'\nS'w'\ntR.".encode()
    (work / "model.bin").write_bytes(code)
    done = run("explain", "MKV", "-m", "model.bin", "-o", "out")
    assert (done.code, done.new) == (2, [])
    assert "pickle" in done.line
    (work / "folder").mkdir()
    for file in (models / "bert").iterdir():
        if file.suffix == ".json":
            (work / "folder" / file.name).write_bytes(file.read_bytes())
    (work / "folder" / "pytorch_model.bin").write_bytes(code)
    done = run("explain", "MKV", "-m", "folder", "-o", "out")
    assert (done.code, done.new) == (2, [])
    assert "pickled" in done.line
    assert not ran.exists()
