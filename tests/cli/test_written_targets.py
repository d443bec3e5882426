"""`--target` for models that write and for models that label tokens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import saliscope
from cli.conftest import Run, table
from helpers import tokens

Runner = Callable[..., Run]
KINDS: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: tokens.writer("gpt2"),
    "t5": lambda: tokens.writer("t5"),
    "tagger": tokens.tagger,
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, work: Path) -> str:
    """Return the name of a saved model."""
    KINDS[request.param]().save_pretrained(work / request.param)
    tokens.word_tokenizer().save_pretrained(work / request.param)
    return str(request.param)


def test_each_token_has_its_rows(run: Runner, work: Path, kind: str) -> None:
    target = "tags" if kind == "tagger" else "continuation: very good"
    done = run(
        "explain", "the film was", "-m", kind, "-o", "out", "--method", "gradient", "-t", target
    )
    assert (done.code, done.err) == (0, "")
    rows = table(work / "out/attributions.csv")
    output = [] if kind == "tagger" else ["very", "good"]
    targets = 3 if kind == "tagger" else 2
    assert [r["token"] for r in rows] == ["the", "film", "was", *output] * targets
    assert len({r["target"] for r in rows}) == targets
    spelled = None if kind == "tagger" else saliscope.Continuation(" very good")
    direct = saliscope.explain(str(work / kind), "the film was", "gradient", spelled)
    np.testing.assert_allclose(
        [float(r["value"]) for r in rows], direct.to_numpy().ravel(), rtol=1e-5
    )
    assert "<svg" in (work / "out/report.html").read_text() or kind == "tagger"


def test_unknown_targets_are_refused_in_one_line(run: Runner, kind: str) -> None:
    done = run(
        "explain", "the film was", "-m", kind, "-o", "out", "--method", "gradient", "-t", "gredy"
    )
    assert done.code == 2
    assert "gredy" in done.line
