"""DeepLIFT and AttnLRP of whole strings: what is sent back through the sum over alignments."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers import lines
from saliscope import Call, RefusedError, String, explain
from saliscope.models.rules.strings import alignments
from saliscope.models.rules.tape import Step, Tape
from saliscope.models.vision.ctc import log_probs, occupancies

LINE = lines.line(200, seed=3)
STRINGS = [(1, 2), (2, 2), (), (1, 2, 1, 2, 1)]


def drawn(seed: int, rows: int = 2, sharp: float = 6.0) -> torch.Tensor:
    """Return log-probabilities along frames, (rows, 5, 3), most of them sure."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(rows, 5, 3, dtype=torch.float64, generator=generator)
    return (sharp * scores).log_softmax(-1)


def step_of(frames: torch.Tensor) -> Step:
    tape = Tape(lambda *_: True)
    with tape:
        log_probs(frames.clone().requires_grad_(), STRINGS)
    (step,) = [step for step in tape.steps if step.kind == "ctc"]
    return step


def sent(one: torch.Tensor, two: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    multipliers, *others = alignments(step_of(one), step_of(two))((weight,))
    assert others == [None, None, None]
    assert multipliers is not None
    return multipliers


def test_multipliers_are_the_mean_gradient_on_the_line_between_both_runs() -> None:
    one, two = drawn(0), drawn(1)
    weight = torch.tensor([[1.0, -0.5, 2.0, 0.25], [0.0, 1.0, -1.0, 3.0]], dtype=torch.float64)
    count = 4_000
    share = ((torch.arange(count) + 0.5) / count).double()[:, None, None, None]
    between = torch.lerp(two, one, share).flatten(0, 1).requires_grad_()
    wanted = (log_probs(between, STRINGS).unflatten(0, (count, 2)) * weight).sum() / count
    (slope,) = torch.autograd.grad(wanted, between)
    found = sent(one, two, weight)
    np.testing.assert_allclose(found, slope.unflatten(0, (count, 2)).sum(0), rtol=0, atol=1e-6)


def test_multipliers_account_for_the_whole_difference() -> None:
    one, two = drawn(0, sharp=40.0), drawn(10, sharp=40.0)
    change = log_probs(one, STRINGS) - log_probs(two, STRINGS)
    back = alignments(step_of(one), step_of(two))
    for number in range(len(STRINGS)):
        weight = torch.zeros(2, len(STRINGS), dtype=torch.float64)
        weight[:, number] = 1
        multipliers = back((weight,))[0]
        assert multipliers is not None
        got = (multipliers * (one - two)).sum((1, 2))
        np.testing.assert_allclose(got, change[:, number], rtol=1e-10, atol=1e-10)


def test_a_string_with_one_alignment_is_linear() -> None:
    one, two = drawn(2, rows=1), drawn(3, rows=1)
    weight = torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
    one_hot = torch.eye(3, dtype=torch.float64)[list(STRINGS[3])]
    np.testing.assert_allclose(sent(one, two, weight)[0], one_hot, atol=1e-12)


def test_a_symbol_that_cannot_be_is_refused() -> None:
    one, two = drawn(4), drawn(5)
    one[0, 0, 0] = -torch.inf
    with pytest.raises(RefusedError, match="a symbol that has a probability of zero"):
        sent(one, two, torch.ones(2, len(STRINGS), dtype=torch.float64))


@pytest.mark.parametrize("target", [String(), String("ab"), String("ab", instead_of="cab")])
def test_deeplift_of_strings_sums_to_the_change_of_the_score(target: String) -> None:
    found = explain(lines.ctc(), LINE, "deeplift", target)
    assert abs(found.gap) < 1e-12
    assert abs(found.to_numpy().sum() - (found.score - found.baseline_score)) < 1e-12
    assert np.abs(found.to_numpy()).sum() > 0.5


def test_attnlrp_sends_the_posterior_at_the_line_itself() -> None:
    model = lines.ctc()
    text = "ab"
    (sample,) = model.prepare(LINE)
    ids = model.head.spelling.encode(text)
    with torch.no_grad():
        frames = model.head.memory(model.given(sample.value[None]))[0].log_softmax(-1)
    said = torch.zeros_like(frames)
    weights = torch.from_numpy(occupancies(frames, ids))
    for place, symbol in enumerate(ids):
        said[:, symbol] += weights[:, place]
    said[:, 0] = 1 - weights.sum(1)

    def expected(steps: torch.Tensor) -> torch.Tensor:
        return (steps.log_softmax(-1) * said).sum((1, 2))

    got = explain(model, LINE, "attnlrp", String(text)).to_numpy()
    wanted = explain(model, LINE, "attnlrp", Call(expected)).to_numpy()
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12)
    assert np.abs(got).max() > 0
