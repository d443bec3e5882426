"""Strings and characters that a recognizer reads, against slow references."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from helpers import lines, state
from helpers.lines import MAKERS
from saliscope import Characters, String, explain
from saliscope.models.vision.ctc import log_probs, occupancies
from saliscope.models.vision.recognizer import Recognizer

each_maker = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
LINE = lines.line(200, seed=3)


def pixels_of(model: Recognizer, picture: Any = LINE) -> torch.Tensor:
    """Return the pixels of a line that the model is explained in, (1, y, x, channels)."""
    (sample,) = model.prepare(picture)
    value: torch.Tensor = sample.value
    return value[None].clone().requires_grad_()


def frames_of(model: Recognizer, pixels: torch.Tensor) -> torch.Tensor:
    """Return log-probabilities of symbols along frames by the module alone."""
    given = pixels.permute(0, 3, 1, 2)
    out: torch.Tensor = model.module(given).transpose(0, 1).log_softmax(-1)
    return out


@contextmanager
def seen_by(module: nn.Module) -> Iterator[list[int]]:
    """Count the lines that the first convolution of a module sees in each pass."""
    first = next(part for part in module.modules() if isinstance(part, nn.Conv2d))
    rows: list[int] = []
    handle = first.register_forward_hook(lambda _m, given, _o: rows.append(len(given[0])))
    try:
        yield rows
    finally:
        handle.remove()


# -- numbers ---------------------------------------------------------------------------------------


def test_a_string_is_explained_by_the_gradient_of_the_exact_log_probability() -> None:
    model = lines.ctc()
    pixels = pixels_of(model)
    wanted = log_probs(frames_of(model, pixels), [(1, 2, 2, 3)])[0, 0]
    (slope,) = torch.autograd.grad(wanted, pixels)
    got = explain(model, LINE, "gradient", String("abbc"))
    assert abs(float(got.score) - wanted.item()) < 1e-10
    np.testing.assert_allclose(got.to_numpy(), slope[0, :, :, 0].numpy(), rtol=0, atol=1e-12)
    assert got.meta["target"] == ["log P('abbc')"]


def test_contrast_of_two_strings_is_the_difference_of_their_maps() -> None:
    for make in MAKERS.values():
        model = make()
        one, two = ("a film", "the film") if make is lines.small_trocr else ("ab", "acb")
        a, b = (explain(model, LINE, "gradient", String(text)) for text in (one, two))
        for given in (String(one) - String(two), (one, two), f"string: {one} vs {two}"):
            got = explain(model, LINE, "gradient", given)
            assert abs(float(got.score - (a.score - b.score))) < 1e-10
            difference = a.to_numpy() - b.to_numpy()
            np.testing.assert_allclose(got.to_numpy(), difference, rtol=0, atol=1e-12)


def test_several_strings_share_one_pass() -> None:
    model = lines.ctc()
    texts = ["ab", "ba", "abc"]
    assert model.sight.stride == 4.0
    with seen_by(model.module) as calls:
        got = explain(model, LINE, "gradient", [String(t) for t in texts])
    assert got.values.dims == ("target", "y", "x")
    assert calls == [1, 1]
    for number, text in enumerate(texts):
        alone = explain(model, LINE, "gradient", text)
        np.testing.assert_allclose(got.to_numpy()[number], alone.to_numpy(), rtol=0, atol=1e-12)


def test_probability_of_a_string() -> None:
    model = lines.ctc()
    log = explain(model, LINE, "gradient", String("abab"))
    got = explain(model, LINE, "gradient", String("abab", scale="prob"))
    assert abs(float(got.score) - np.exp(float(log.score))) < 1e-15
    wanted = log.to_numpy() * np.exp(float(log.score))
    np.testing.assert_allclose(got.to_numpy(), wanted, rtol=1e-9, atol=1e-18)


@each_maker
def test_all_characters_come_from_one_forward_pass_and_equal_one_pass_each(make: Any) -> None:
    model = make()
    text = "a film was" if make is lines.small_trocr else "abca"
    if model.head.kind == "ctc":
        assert model.sight.stride == 4.0  # which is measured once
    with seen_by(model.module) as calls, state.unchanged(model.module):
        together = explain(model, LINE, "gradient", Characters(text))
    count = together.values.sizes["target"]
    assert count == (3 if make is lines.small_trocr else 4)
    # One pass reads the line and one is for the maps of all characters; of a decoder two rows
    # say what it would write without the line.
    assert sum(calls) == (2 if model.head.kind == "ctc" else 1 + 2 + 1)
    for number in range(count):
        alone = explain(model, LINE, "gradient", Characters(text, at=number + 1))
        np.testing.assert_allclose(
            together.to_numpy()[number], alone.to_numpy(), rtol=0, atol=1e-12
        )
        assert abs(float(together.score[number]) - float(alone.score)) < 1e-12


def test_ctc_characters_are_frames_weighted_with_their_occupancy() -> None:
    model = lines.ctc()
    pixels = pixels_of(model)
    frames = frames_of(model, pixels)
    string = (1, 2, 2, 3)
    weights = torch.from_numpy(occupancies(frames[0].detach(), string))
    got = explain(model, LINE, "gradient", Characters("abbc"))
    for place, symbol in enumerate(string):
        wanted = (weights[:, place] * frames[0, :, symbol]).sum()
        (slope,) = torch.autograd.grad(wanted, pixels, retain_graph=True)
        assert abs(float(got.score[place]) - wanted.item()) < 1e-12
        np.testing.assert_allclose(
            got.to_numpy()[place], slope[0, :, :, 0].numpy(), rtol=0, atol=1e-12
        )


def test_characters_and_blanks_sum_to_the_gradient_of_the_string() -> None:
    model = lines.ctc()
    pixels = pixels_of(model)
    frames = frames_of(model, pixels)
    string = (1, 2, 2, 3)
    blank = 1 - torch.from_numpy(occupancies(frames[0].detach(), string)).sum(1)
    (between,) = torch.autograd.grad((blank * frames[0, :, 0]).sum(), pixels)
    characters = explain(model, LINE, "gradient", Characters("abbc")).to_numpy().sum(0)
    whole = explain(model, LINE, "gradient", String("abbc")).to_numpy()
    np.testing.assert_allclose(characters + between[0, :, :, 0].numpy(), whole, rtol=0, atol=1e-12)


def test_decoder_strings_are_the_sum_of_their_steps_with_the_end() -> None:
    for make in (MAKERS["decoder"], MAKERS["trocr"]):
        model = make()
        text = "a film was" if make is MAKERS["trocr"] else "ab c"
        pixels = pixels_of(model)
        head: Any = model.head
        ids = head.spelling.encode(text)
        with torch.no_grad():
            memory = head.memory(model.given(pixels))
            ids = head.check(memory, ids, text, "line")
            wanted = 0.0
            steps = []
            for t, output in enumerate((*ids, head.end)):  # step by step, without forcing
                written = torch.tensor([[head.start, *ids[:t]]])
                row = head.decode(memory, written)[0, -1].log_softmax(-1)
                wanted += float(row[output])
                if output not in head.silent and output != head.end:
                    steps.append(float(row[output]))
        got = explain(model, LINE, "gradient", String(text))
        assert abs(float(got.score) - wanted) < 1e-9
        each = explain(model, LINE, "gradient", Characters(text))
        np.testing.assert_allclose(each.score, steps, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["decoder", "trocr"])
def test_a_decoder_that_remembers_writes_what_it_would_write_anew(name: str) -> None:
    model = MAKERS[name]()
    head: Any = model.head
    with torch.no_grad():
        for seed in range(3):
            (sample,) = model.prepare(lines.line(seed=seed))
            memory = head.memory(model.given(sample.value[None]))
            kept: dict[str, Any] = {}
            written = [head.start]
            while len(written) <= head.limit:
                given = torch.tensor([written])
                anew, after = head.decode(memory, given)[0], head.decode(memory, given, kept)[0]
                assert len(after) == 1
                np.testing.assert_allclose(after[0], anew[-1], rtol=0, atol=1e-10)
                best = int(anew[-1].argmax())
                if best == head.end:
                    break
                written.append(best)
            assert head.read(memory) == tuple(written[1:])
            assert len(written) > 2


@each_maker
def test_a_function_of_the_steps_is_a_target(make: Any) -> None:
    model = make()
    got = explain(model, LINE, "gradient", lambda steps: steps[:, 0, 1])
    assert got.to_numpy().shape == pixels_of(model).shape[1:3]
    assert got.to_numpy().any()


def test_lines_of_one_size_share_batches_whatever_their_strings() -> None:
    model = lines.ctc()
    pictures = [lines.line(120, seed=s) for s in range(3)]
    for target in (None, "characters", String("ab")):
        together = explain(model, pictures, "gradient", target)
        for one, picture in zip(together, pictures, strict=True):
            alone = explain(model, picture, "gradient", target)
            assert one.meta["target"] == alone.meta["target"]
            np.testing.assert_allclose(one.to_numpy(), alone.to_numpy(), rtol=0, atol=1e-12)


def test_paths_account_for_the_change_from_paper() -> None:
    model = lines.ctc()
    got = explain(model, LINE, "integrated_gradients", "characters", tolerance=0.01)
    total = got.to_numpy().sum((1, 2))
    np.testing.assert_allclose(total, got.score - got.baseline_score, atol=0.05)
    assert got.provenance["baseline"] == "paper"
    for baseline in ("zero", "blur", "white", 0.5):
        other = explain(model, LINE, "integrated_gradients", baseline=baseline)
        assert other.provenance["baseline"] in {baseline, "given"}


def test_occlusion_by_columns_and_by_boxes() -> None:
    model = lines.ctc()
    got = explain(model, LINE, "occlusion", String("ab"))
    assert got.provenance["notes"]["window"] == [16, 8]
    assert np.ptp(got.to_numpy(), axis=0).max() == 0  # a column has one value
    boxes = explain(model, LINE, "occlusion", String("ab"), window=(8, 8))
    assert np.ptp(boxes.to_numpy(), axis=0).max() > 0
    columns = explain(model, LINE, "masking", String("ab"))
    assert columns.values.sizes["y"] == 1
