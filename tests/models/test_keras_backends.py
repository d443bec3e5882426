"""The same Keras files on TensorFlow and JAX as on torch: values, gradients, attention.

`make test-keras-backends` runs this in an environment of its own; elsewhere what is missing is
skipped. A process has one backend, so each side runs in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if find_spec("keras") is None:
    pytest.skip("Keras is not installed", allow_module_level=True)

SEQUENCE = "MTEQKALVKRITNETKIQIAISLK"
SIDE = """
import sys
import numpy as np
import saliscope
from saliscope.models.keras.backend import import_keras

folder, sequence = sys.argv[1:]
found, scores = {}, {}
for name, given, target in (
    ("ancestry", sequence, "ancestor"), ("toy", sequence[:9], 1),
    ("columns", np.linspace(-1, 1, 12, dtype="float32").reshape(1, 4, 3), 2),
):
    model = saliscope.load(f"{folder}/{name}.keras")
    for method, options in (
        ("gradient", {}), ("integrated_gradients", {"steps": 8}), ("occlusion", {"window": 1}),
    ):  # a fixed number of steps: JAX compiles every new size of a batch
        if name == "columns" and method == "integrated_gradients":
            options = {**options, "baseline": 0.0}
        a = saliscope.explain(model, given, method, target, **options)
        found[f"{name} {method}"] = a.to_numpy()
        found[f"{name} {method} score"] = np.array(a.score)
    if name != "columns":
        found[f"{name} attention"] = saliscope.attention(model, given).received(-1).to_numpy()
np.savez(f"{folder}/{import_keras().backend.backend()}.npz", **found)
"""


def _run(backend: str, code: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


MADE = """
import sys, torch
import saliscope
sys.path.insert(0, sys.argv[2])
from helpers import keras_toys

saliscope.load("zoo:ancestry").to_keras(f"{sys.argv[1]}/ancestry.keras")
for name in ("toy", "columns"):
    made = keras_toys.protein(torch.float32) if name == "toy" else keras_toys.tensor(torch.float32)
    made.to_keras(f"{sys.argv[1]}/{name}.keras")
"""


@pytest.fixture(scope="module")
def side(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """Return a function that gives the numbers of a backend, on files that torch has saved."""
    folder = tmp_path_factory.mktemp("backends")
    known: dict[str, dict[str, Any]] = {}

    def of(backend: str) -> dict[str, Any]:
        if not known:
            _run("torch", MADE, str(folder), str(Path(__file__).parents[1]))
        if backend not in known:
            _run(backend, SIDE, str(folder), SEQUENCE)
            with np.load(folder / f"{backend}.npz") as file:
                known[backend] = dict(file)
        return known[backend]

    return of


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_a_backend_gives_the_numbers_of_torch(
    side: Callable[[str], dict[str, Any]], backend: str
) -> None:
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: make test-keras-backends installs it")
    wanted, found = side("torch"), side(backend)
    assert len(wanted) == len(found) == 20
    for name, value in wanted.items():
        assert np.isfinite(value).all()
        assert np.abs(value).max() > 1e-3, name  # something that can differ
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_what_needs_torch_is_refused_by_name(backend: str) -> None:
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: make test-keras-backends installs it")
    done = _run(
        backend,
        "import saliscope\n"
        "try:\n"
        "    saliscope.explain('zoo:ancestry', 'MTEQKALVK', 'attnlrp')\n"
        "except saliscope.SaliscopeError as error:\n"
        "    print(type(error).__name__, error)\n",
    )
    assert done.stdout.startswith("RefusedError")
    assert done.stdout.count("\n") == 1
