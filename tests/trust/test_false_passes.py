"""Meaningless maps do not pass, true ones do: a small part of `benchmarks/trusting.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from benchmarks.trusting import MAPS, MODELS, judged, passes, planted  # noqa: E402

SEEDS = 8


@pytest.mark.parametrize("kind", MODELS)
def test_meaningless_maps_do_not_pass(kind: str) -> None:
    passed = 0
    for make in MAPS.values():
        for seed in range(SEEDS):
            model = planted(kind, seed, pairs=True)
            passed += passes(judged(model, make(model, np.random.default_rng([seed, 2])), seed))
    assert passed <= 4  # of 48; at one in a hundred, five or more come once in 8,000 times


@pytest.mark.parametrize("kind", MODELS)
def test_exact_shapley_values_pass(kind: str) -> None:
    passed = [
        passes(judged(model := planted(kind, seed, pairs=seed % 2 == 1), model.shapley(), seed))
        for seed in range(4)
    ]
    assert sum(passed) >= 3


@pytest.mark.parametrize("kind", ["protein", "image"])
def test_the_map_of_another_model_does_not_pass(kind: str) -> None:
    passed = 0
    for seed in range(10):
        other = planted(kind, seed + 500, pairs=True).shapley()
        passed += passes(judged(planted(kind, seed, pairs=True), other, seed))
    assert passed <= 1
