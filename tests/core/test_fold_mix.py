"""A mix of targets is differentiated in one pass and equals the sum of the parts."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from saliscope.core.ask import Ask, Estimate, Fold, Question, Steps
from saliscope.core.class_target import Class
from saliscope.core.engine import Job, drive
from saliscope.core.perturbation import Perturbation
from saliscope.core.target import Many
from saliscope.models.tensor import TensorModel


def test_a_mix_is_the_weighted_sum_of_the_targets_per_row() -> None:
    torch.manual_seed(0)
    model = TensorModel(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double(), "net")
    (sample,) = model.prepare(torch.randn(1, 4, dtype=torch.float64))
    target = Many((Class(0), Class(2))).bind(model, sample)
    baseline = model.baseline(sample, None)
    nodes = [0.0, 0.25, 0.5, 1.0]
    mix = np.array([[1.0, 0.0], [0.25, -2.0], [0.5, 0.5], [0.0, 3.0]])
    got = {}

    def ask(name: str, fold: Fold) -> Steps:
        path = Perturbation.path(sample.units, nodes, baseline)
        answer = yield Ask(path, fold)
        got[name] = answer.gradients
        return Estimate(answer.values[:, :1].T, answer.values[0])

    def run(name: str, fold: Fold, budget: int | None) -> None:
        question = Question(sample.units, 2, baseline, None, None, np.random.default_rng(0))
        job = Job(sample, target, question, lambda _: ask(name, fold))
        with model.quiet(0):
            (outcome,) = drive(model, [job], budget=budget)
        assert outcome.error is None

    run("each", Fold("difference"), None)
    run("mixed", Fold("difference", mix=mix), None)
    run("cut", Fold("difference", mix=mix), 1)
    run("summed", Fold("difference", mix=mix, rows=np.array([[1.0, 2.0, 0.0, 4.0]])), 1)
    expected = np.einsum("rt,rtu->ru", mix, got["each"])[:, None]
    np.testing.assert_allclose(got["mixed"], expected, rtol=1e-12)
    np.testing.assert_allclose(got["cut"], expected, rtol=1e-12)
    total = np.einsum("r,rtu->tu", [1.0, 2.0, 0.0, 4.0], expected)[None]
    np.testing.assert_allclose(got["summed"], total, rtol=1e-12)
