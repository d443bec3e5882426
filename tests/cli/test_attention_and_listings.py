"""`saliscope attention`, the listings, help, the demo, and what is imported when."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import Run, table
from helpers import tokens
from saliscope.cli import demo
from saliscope.core.defaults import DEFAULTS
from saliscope.core.registry import methods
from saliscope.models.zoo import zoo_names

Runner = Callable[..., Run]


@pytest.mark.parametrize(
    ("reduce", "columns"),
    [
        ("received", ["layer", "module", "head", "position", "residue"]),
        ("mean", ["layer", "module", "query", "key", "query_residue", "key_residue"]),
        ("rollout", ["query", "key", "query_residue", "key_residue"]),
    ],
)
def test_attention(reduce: str, columns: list[str], run: Runner, work: Path) -> None:
    done = run("attention", "proteins.fasta", "-m", "esm", "-o", "out", "--reduce", reduce)
    assert (done.code, done.err) == (0, "")
    each = [] if reduce == "rollout" else ["out/received.csv"]
    assert done.new == ["out", "out/attention.csv", *each, "out/report.html"]
    if each:  # one score per position: they sum to 1 over the 9, 3 and 4 residues
        scores = table(work / "out/received.csv")
        assert sum(float(r["value"]) for r in scores) == pytest.approx(3, abs=1e-4)
    rows = table(work / "out/attention.csv")
    assert set(rows[0]) == {"record", "method", "value", *columns}
    assert {r["record"] for r in rows} == {"first", "second", "third"}
    first = [r for r in rows if r["record"] == "first"]
    assert len(first) == {"received": 2 * 2 * 9, "mean": 2 * 81, "rollout": 81}[reduce]
    if reduce == "rollout":
        total = np.array([float(r["value"]) for r in first]).reshape(9, 9).sum(1)
        assert (total < 1 + 1e-5).all()


def test_attention_of_chosen_layers_and_heads(run: Runner, work: Path) -> None:
    done = run(
        "attention", "texts.txt", "-m", "bert", "-o", "out", "--layers", "-1", "--heads", "0", "-q"
    )
    assert (done.code, done.out, done.err) == (0, "", "")
    rows = table(work / "out/attention.csv")
    assert {(r["layer"], r["head"]) for r in rows} == {("1", "0")}


def test_attention_keeps_the_records_that_do_not_fail(run: Runner, work: Path) -> None:
    (work / "mixed.fasta").write_text(">good\nMVHL\n>bad\nMV1L\n")
    done = run("attention", "mixed.fasta", "-m", "esm", "-o", "out")
    assert done.code == 2
    assert "1 of 2 records failed" in done.line
    assert {r["record"] for r in table(work / "out/attention.csv")} == {"good"}


def test_methods(run: Runner) -> None:
    done = run("methods")
    assert done.code == 0
    assert all(name in done.out for name in methods())
    for name in methods():
        done = run("methods", name)
        assert (done.code, done.err) == (0, "")
        assert "it misleads" in done.out
    assert "integrated_gradients" in run("methods", "IG").out
    assert "--window" in run("methods", "occlusion").out


def test_models(run: Runner) -> None:
    done = run("models")
    assert done.code == 0
    assert all(f"zoo:{name}" in done.out for name in zoo_names())
    assert all(len(line) <= 100 for line in done.out.splitlines())
    assert "# zoo:protein" in run("models", "zoo:protein").out
    assert run("models", "protein").out == run("models", "zoo:protein").out
    done = run("models", "--defaults")
    assert all(modality in done.out for modality in DEFAULTS)


@pytest.mark.parametrize(
    "command",
    ["explain", "attention", "read", "trust", "bottleneck", "methods", "models", "demo"],
)
def test_help(command: str, run: Runner) -> None:
    done = run(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"saliscope {command}" in done.out
    assert "Example" in done.out
    assert "Cost:" in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines())
    assert run(command, "-h").out == done.out


def test_no_command_and_version(run: Runner) -> None:
    done = run()
    assert done.code == 0
    assert done.out == run("--help").out
    assert run("--version").out.startswith("saliscope 0.")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, saliscope\n"
        "heavy = {'torch', 'transformers', 'matplotlib', 'pandas', 'xarray', 'rich'}\n"
        "assert not heavy & set(sys.modules), 'import saliscope'\n"
        "assert {'explain', 'attention', 'load', 'Attribution'} <= set(dir(saliscope))\n"
        "from saliscope.cli.main import main\n"
        "main(['explain', '--help'])\n"
        "assert not heavy & set(sys.modules), sorted(heavy & set(sys.modules))\n"
        "from saliscope.core.registry import methods\n"
        "methods()\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_demo(run: Runner, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert demo.PROTEIN.removeprefix("zoo:") in zoo_names()
    tokens.esm(limit=300).save_pretrained(work / "small")  # as quick as it is small
    tokens.esm_tokenizer().save_pretrained(work / "small")
    monkeypatch.setattr(demo, "PROTEIN", "small")
    done = run("demo", "-o", "demo", "-q")
    assert (done.code, done.err) == (0, "")
    names = ["report", "audit", "variants"]
    assert done.out.splitlines() == [f"demo/{name}.html" for name in names]
    report, audit, variants = ((work / f"demo/{name}.html").read_text() for name in names)
    for word in ("HG01183", "p.[Ala154Thr;Tyr240Cys]", "2,503 people"):
        assert word in variants
    for word in ("TPMT", "HBB", "not worth your time", "zoo:sentiment", "zoo:handwriting"):
        assert word in report
    for word in ("german credit", "credit_history", "no account"):
        assert word in report
    assert "applicant" in audit
