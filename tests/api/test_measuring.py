"""`measure`: the same numbers that a map has as its score, one pass per distinct input."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import saliscope
from saliscope.core.errors import InputError, SaliscopeError

SEQUENCES = ["MVHLTPEEKSAVT", "MVHLTPVEKSAVT", "MVHLT", "MVHLTPEEKSAVT"]


def test_the_number_is_the_score_of_a_map() -> None:
    got = saliscope.measure("zoo:protein", SEQUENCES)
    maps = saliscope.explain("zoo:protein", SEQUENCES, "gradient")
    for one, a in zip(got, maps, strict=True):
        np.testing.assert_allclose(one.values, a.score, rtol=1e-6)


def test_every_position_is_a_target_and_they_sum_to_the_likelihood() -> None:
    whole = saliscope.measure("zoo:protein", SEQUENCES)
    each = saliscope.measure("zoo:protein", SEQUENCES, saliscope.Likelihood(each=True))
    for one, other, sequence in zip(whole, each, SEQUENCES, strict=True):
        assert other.values.shape == (len(sequence),)
        np.testing.assert_allclose(other.values.sum(), one.values[0], rtol=1e-6)
    assert each[0].targets[0] == "log P(M at 1)"


def test_outputs_of_several_kinds_come_from_one_pass() -> None:
    model = saliscope.load("zoo:protein")
    vector = np.linspace(-1, 1, model.config.hidden_size)
    both = saliscope.Together((saliscope.Likelihood(each=True), saliscope.Embedding()))
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    handle = model.module.register_forward_hook(count)
    got = saliscope.measure(model, SEQUENCES[:1], both)[0]
    handle.remove()
    assert calls == 1
    likelihood = saliscope.measure(model, SEQUENCES[0]).values[0]
    projection = saliscope.measure(model, SEQUENCES[0], saliscope.Projection(vector)).values[0]
    size = len(SEQUENCES[0])
    np.testing.assert_allclose(got.values[:size].sum(), likelihood, rtol=1e-6)
    np.testing.assert_allclose(got.values[size:] @ vector, projection, rtol=1e-5)


def test_the_embedding_at_positions_is_the_mean_over_them() -> None:
    every = [saliscope.Embedding((i,)) for i in (2, 3)]
    some = saliscope.measure("zoo:protein", SEQUENCES[0], saliscope.Embedding((2, 3)))
    apart = [saliscope.measure("zoo:protein", SEQUENCES[0], t).values for t in every]
    np.testing.assert_allclose(some.values, np.mean(apart, axis=0), rtol=1e-5, atol=1e-7)


def test_packing_changes_no_number() -> None:
    both = saliscope.Together((saliscope.Likelihood(each=True), saliscope.Embedding()))
    packed = saliscope.measure("zoo:protein", SEQUENCES, both)
    alone = [saliscope.measure("zoo:protein", s, both, budget=1) for s in SEQUENCES]
    for one, other in zip(packed, alone, strict=True):
        np.testing.assert_allclose(one.values, other.values, rtol=1e-5, atol=1e-5)


def test_steady_batches_give_equal_bits_whatever_ran_before() -> None:
    known = saliscope.load("zoo:protein")
    model = saliscope.load(copy.deepcopy(known.module), tokenizer=known.tokenizer)
    batches: list[list[int]] = []

    def note(_: object, __: object, given: dict[str, torch.Tensor], ___: object) -> None:
        batches[-1].append(len(given["input_ids"]))

    handle = model.module.register_forward_hook(note, with_kwargs=True)
    values = []
    for _ in range(2):
        batches.append([])
        values.append([m.values for m in saliscope.measure(model, SEQUENCES, steady=True)])
    handle.remove()
    assert batches == [[1, 3], [3]]  # what a row needs is found by a pass of its own, once
    for one, other in zip(*values, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_iterator_gives_an_iterator_and_errors_are_collected() -> None:
    stream = saliscope.measure("zoo:protein", iter(["MV", "", "MK"]), errors="collect")
    one, failed, other = stream
    assert one.values.shape == other.values.shape == (1,)
    assert isinstance(failed, SaliscopeError)
    with pytest.raises(InputError, match="empty"):
        saliscope.measure("zoo:protein", ["MV", ""])


def test_examples_of_a_tensor_are_measured_one_by_one() -> None:
    net = nn.Linear(3, 2)
    x = torch.randn(4, 3)
    got = saliscope.measure(net, x, 1)
    np.testing.assert_allclose([m.values[0] for m in got], net(x)[:, 1].detach(), rtol=1e-6)


def test_targets_that_mask_are_refused_beside_others() -> None:
    both = saliscope.Together((saliscope.Likelihood(context=True), saliscope.Embedding()))
    with pytest.raises(saliscope.OptionError, match="mask positions"):
        saliscope.measure("zoo:protein", "MVHLT", both)


def test_several_targets_of_several_numbers_follow_each_other() -> None:
    for pair in (
        (saliscope.Embedding((2,)), saliscope.Embedding((5, 7))),
        (saliscope.Likelihood(each=True), saliscope.Likelihood()),
    ):
        many = saliscope.measure("zoo:protein", SEQUENCES[0], saliscope.Many(pair))
        alone = [saliscope.measure("zoo:protein", SEQUENCES[0], target) for target in pair]
        assert many.targets == tuple(name for one in alone for name in one.targets)
        expected = np.concatenate([one.values for one in alone])
        np.testing.assert_allclose(many.values, expected, rtol=1e-6, atol=1e-6)
