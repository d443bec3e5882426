"""The CTC forward algorithm against brute force over every alignment, and finite differences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saliscope.models.vision.beam import Words, beam
from saliscope.models.vision.ctc import best_path, frames_needed, log_probs, occupancies

FRAMES, SYMBOLS = 4, 3
ALIGNMENTS = list(itertools.product(range(SYMBOLS), repeat=FRAMES))  # all 81


def collapsed(alignment: tuple[int, ...], blank: int = 0) -> tuple[int, ...]:
    """Merge repeats, then drop blanks."""
    return tuple(s for s, _ in itertools.groupby(alignment) if s != blank)


STRINGS = sorted({collapsed(alignment) for alignment in ALIGNMENTS})


def normalized(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).log_softmax(-1)


def brute(frames: torch.Tensor, string: tuple[int, ...], blank: int = 0) -> torch.Tensor:
    """Add up all alignments of one string; frames (frames, symbols)."""
    every = itertools.product(range(frames.shape[1]), repeat=len(frames))
    ways = [
        torch.stack([frames[t, symbol] for t, symbol in enumerate(alignment)]).sum()
        for alignment in every
        if collapsed(alignment, blank) == string
    ]
    return torch.stack(ways).logsumexp(0)


def test_there_are_81_alignments_of_15_strings() -> None:
    assert len(ALIGNMENTS) == 81
    assert len(STRINGS) == 15


@pytest.mark.parametrize("blank", [0, 1, 2])
def test_values_and_gradients_equal_brute_force(blank: int) -> None:
    strings = sorted({collapsed(alignment, blank) for alignment in ALIGNMENTS})
    for seed in range(3):
        frames = normalized(seed, 1, FRAMES, SYMBOLS).requires_grad_()
        together = log_probs(frames, strings, blank)
        assert together.dtype == torch.float64
        for number, string in enumerate(strings):
            wanted = brute(frames[0], string, blank)
            assert abs((together[0, number] - wanted).item()) < 1e-10
            (slope,) = torch.autograd.grad(together[0, number], frames, retain_graph=True)
            (exact,) = torch.autograd.grad(wanted, frames)
            np.testing.assert_allclose(slope.numpy(), exact.numpy(), rtol=0, atol=1e-10)
        assert abs(together.exp().sum().item() - 1) < 1e-12


def test_gradients_equal_finite_differences() -> None:
    logits = torch.randn(2, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    strings = [(1, 2, 2), (3,), (), (1, 1, 1)]

    def function(x: torch.Tensor) -> torch.Tensor:
        return log_probs(x.log_softmax(-1), strings)

    assert torch.autograd.gradcheck(function, logits.requires_grad_(), atol=1e-8)


def test_rows_and_strings_go_together() -> None:
    frames = normalized(3, 5, 9, 6)
    strings = [(1, 2, 3), (4, 4), (), (5, 1, 5, 1), (2,)]
    together = log_probs(frames, strings)
    graded = log_probs(frames.clone().requires_grad_(), strings)
    np.testing.assert_allclose(together.numpy(), graded.detach().numpy(), rtol=0, atol=1e-12)
    for row, number in itertools.product(range(5), range(5)):
        alone = log_probs(frames[row : row + 1], [strings[number]])
        assert abs(float(alone) - float(together[row, number])) < 1e-12


def test_values_equal_those_of_torch() -> None:
    frames = normalized(4, 1, 40, 12)
    string = [
        int(i) for i in torch.randint(1, 12, (15,), generator=torch.Generator().manual_seed(2))
    ]
    loss = torch.nn.functional.ctc_loss(
        frames.transpose(0, 1), torch.tensor([string]), torch.tensor([40]), torch.tensor([15]),
        reduction="none",
    )  # fmt: skip
    assert abs(float(log_probs(frames, [string])) + float(loss)) < 1e-9


def test_occupancies_are_the_posterior_of_alignments() -> None:
    frames = normalized(5, FRAMES, SYMBOLS)
    for string in STRINGS:
        got = occupancies(frames, string)
        wanted = np.zeros((FRAMES, len(string)))
        total = float(brute(frames, string))
        for alignment in ALIGNMENTS:
            if collapsed(alignment) != string:
                continue
            share = np.exp(sum(float(frames[t, s]) for t, s in enumerate(alignment)) - total)
            character = -1
            for t, symbol in enumerate(alignment):
                if symbol and (t == 0 or alignment[t - 1] != symbol):
                    character += 1
                if symbol:
                    wanted[t, character] += share
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12)


def test_occupancies_with_blanks_sum_to_one_at_each_frame_and_are_the_gradient() -> None:
    frames = normalized(6, 1, 30, 8).requires_grad_()
    string = (3, 3, 1, 7, 2, 2, 2)
    (slope,) = torch.autograd.grad(log_probs(frames, [string]).sum(), frames)
    np.testing.assert_allclose(slope[0].sum(1).numpy(), 1.0, rtol=0, atol=1e-12)
    got = occupancies(frames[0].detach(), string)
    for symbol in set(string):
        own = [i for i, s in enumerate(string) if s == symbol]
        np.testing.assert_allclose(got[:, own].sum(1), slope[0, :, symbol].numpy(), atol=1e-12)


def test_long_lines_do_not_underflow() -> None:
    # 2,000 frames that say nothing but the string at one in a million each: P is 1e-12000.
    frames = torch.full((1, 2000, 3), np.log(1e-6), dtype=torch.float32)
    frames[..., 0] = np.log(1 - 2e-6)
    frames[..., 1] = np.log(1e-6)
    string = [1] * 900
    wide = frames.requires_grad_()
    got = log_probs(wide, [string])
    # Alignments of n repeats: more than one frame for a symbol is negligible to 1e-5.
    value = got.item()
    assert np.isfinite(value)
    assert value < -10_000
    (slope,) = torch.autograd.grad(got.sum(), wide)
    np.testing.assert_allclose(slope.sum(-1).numpy(), 1.0, atol=1e-4)
    assert slope.dtype == torch.float32


@given(st.lists(st.integers(1, 3), max_size=5))
def test_what_needs_more_frames_than_there_are_cannot_be(string: list[int]) -> None:
    frames = normalized(7, 1, 5, 4).requires_grad_()
    got = log_probs(frames, [string])
    possible = frames_needed(string) <= 5
    assert bool(torch.isfinite(got)) == possible
    (slope,) = torch.autograd.grad(got.sum(), frames)
    assert bool(torch.isfinite(slope).all())
    assert bool(slope.any()) == possible
    assert occupancies(frames[0].detach(), string).any() == (possible and len(string) > 0)


def test_symbols_that_never_happen_are_no_numbers_out_of_nothing() -> None:
    frames = torch.tensor([[[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]], dtype=torch.float64).log()
    frames.requires_grad_()
    got = log_probs(frames, [(1,), (2,)])
    assert abs(got[0, 0].exp().item() - 0.75) < 1e-12
    assert got[0, 1].item() == -np.inf
    (slope,) = torch.autograd.grad(got[0, 0], frames)
    assert bool(torch.isfinite(slope).all())


def test_best_path_of_a_single_frame_and_of_blanks() -> None:
    assert best_path(np.eye(3)[[0, 0]]) == []
    (run,) = best_path(np.eye(3)[[2]])
    assert (run.symbol, run.first, run.last) == (2, 0, 0)


@given(st.integers(0, 10_000))
def test_a_wide_beam_finds_the_most_probable_string(seed: int) -> None:
    frames = normalized(seed, FRAMES, SYMBOLS)
    exact = sorted(((float(brute(frames, s)), s) for s in STRINGS), reverse=True)
    found = beam(frames.numpy(), width=64, count=5)
    for (score, string), (wanted, same) in zip(found, exact, strict=False):
        assert string == same
        assert abs(score - wanted) < 1e-10


def test_best_path_is_not_the_most_probable_string() -> None:
    # Graves 2012, figure 7.5: two blanks are the best path, "a" the best string.
    frames = np.log(np.array([[0.6, 0.4], [0.6, 0.4]]))
    assert best_path(frames) == []
    score, string = beam(frames)[0]
    assert string == (1,)
    assert abs(np.exp(score) - 0.64) < 1e-12


def test_a_beam_of_words_says_only_those() -> None:
    frames = normalized(8, 7, 4)  # 1 = a, 2 = b, 3 = space
    words = Words([(1, 2), (2,)], between=3)
    allowed = {
        string
        for count in range(1, 4)
        for parts in itertools.product([(1, 2), (2,)], repeat=count)
        for string in [tuple(itertools.chain(*((*p, 3) for p in parts)))[:-1]]
    }
    found = beam(frames.numpy(), width=5000, words=words, count=4)
    scores = {s: float(log_probs(frames[None], [s])) for s in allowed if frames_needed(s) <= 7}
    best = sorted(((v, s) for s, v in scores.items()), reverse=True)[:4]
    assert [s for _, s in found] == [s for _, s in best]
    np.testing.assert_allclose([v for v, _ in found], [v for v, _ in best], atol=1e-10)


def test_a_lexicon_of_whole_strings() -> None:
    frames = normalized(9, 6, 4)
    words = Words([(1, 1), (3, 2), (2,)])
    found = beam(frames.numpy(), width=1000, words=words)
    assert found[0][1] in {(1, 1), (3, 2), (2,)}
    wanted = max(float(log_probs(frames[None], [s])) for s in [(1, 1), (3, 2), (2,)])
    assert abs(found[0][0] - wanted) < 1e-10
