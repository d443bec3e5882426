"""The example notebooks run from their first cells to their last."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
NOTEBOOKS = [*sorted(DOCS.glob("notebooks/*.ipynb")), *sorted(DOCS.glob("tutorials/*.ipynb"))]
PROGRAM = Path(__file__).parents[1] / "helpers" / "notebooks.py"


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run all notebooks, and return the errors of those that fail."""
    folder = tmp_path_factory.mktemp("errors")
    subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), *map(str, NOTEBOOKS)],
        # Threads that wait for each other are slow where other tests or programs take their cores.
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_the_notebook_runs(path: Path, errors: dict[str, str]) -> None:
    assert path.stem not in errors, errors[path.stem]
