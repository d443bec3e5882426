"""Encoder-decoders whose parts are known, and declared parts that are not there."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest
import torch
from torch import nn

from helpers import cuts, lines, tokens
from saliscope.bottleneck import Cut, audit, cut_of
from saliscope.core.errors import InputError, ModelError, OptionError
from saliscope.models.dual_llama import DualLlama, DualLlamaConfig
from saliscope.models.rewriting import RewritingModel
from saliscope.models.text import TextModel

TEXTS = ["the good film was bad", "a dull film", "good good bad film was the"]
SMALL = DualLlamaConfig(
    width=20, heads=2, inner=12, encoder_layers=2, decoder_layers=2, slots=4, slot_width=5,
    positions=60,
)  # fmt: skip


@pytest.fixture(scope="module")
def llama() -> RewritingModel:
    torch.manual_seed(0)
    return RewritingModel(DualLlama(SMALL).double().eval(), "tiny")


@pytest.mark.parametrize(
    ("kind", "prefix"), [("t5", ""), ("bart", "model.")]
)  # fmt: skip
def test_encoder_decoders_of_text(kind: str, prefix: str) -> None:
    model = TextModel(tokens.writer(kind), tokens.word_tokenizer(), kind)
    found = audit(model, TEXTS)
    assert dict(found.parts) == {
        "encoder": f"{prefix}encoder", "bottleneck": f"{prefix}encoder",
        "decoder": f"{prefix}decoder",
    }  # fmt: skip
    assert set(found["attention"]["kind"]) == {"encoder", "cross"}
    assert "not from the bottleneck alone" in found.notes[0]
    cut = cut_of(model)
    pressed = cut.press(TEXTS[0])
    ids = torch.from_numpy(model.prepare(TEXTS[0])[0].context["ids"])[None]
    start = model.module.config.decoder_start_token_id
    shown = torch.cat([torch.full((1, 1), start), ids[:, :-1]], 1)
    with torch.no_grad():
        own = model.module(input_ids=ids, decoder_input_ids=shown)
    np.testing.assert_allclose(pressed.numbers, own.encoder_last_hidden_state[0], atol=1e-9)
    assert pressed.written is not None
    np.testing.assert_allclose(pressed.written, own.logits[0].log_softmax(-1), atol=1e-9)


def test_recognizers_are_cut_between_line_and_writer() -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (32, 120), dtype=np.uint8) for _ in range(2)]
    found = audit(lines.small_trocr(), images)
    assert dict(found.parts)["bottleneck"] == "encoder"
    assert found.meta["slots"] == 19
    assert found["slots"]["share"].sum() == pytest.approx(1)
    folder = resources.files("saliscope") / "samples" / "lines"
    names = [str(folder / name) for name in ("limousin.jpg", "norvege.jpg")]
    own = audit("zoo:handwriting#decoder", names)
    right, wrong = (own.accuracy(source=s) for s in ("bottleneck", "slots in another order"))
    assert right is not None
    assert wrong is not None
    assert right["accuracy"] > 0.95 > wrong["accuracy"]


def test_what_is_put_in_is_what_is_written(llama: RewritingModel) -> None:
    cut = cut_of(llama)
    one, other = "MVHLTPEEKSAV", "MKTAYIAKQRQI"
    pressed, theirs = cut.press(one), cut.press(other)
    assert pressed.written is not None
    np.testing.assert_array_equal(cut.write(one, pressed.numbers), pressed.written)
    swapped = cut.write(one, theirs.numbers)
    network = llama.module
    with torch.no_grad():
        expected = network.rebuild(torch.from_numpy(theirs.numbers)[None], len(one))
    np.testing.assert_allclose(swapped, expected[0].log_softmax(-1), atol=1e-9)
    assert np.abs(swapped - pressed.written).max() > 1e-3


def test_what_places_read_is_slots_by_attention(llama: RewritingModel) -> None:
    cut, one = cut_of(llama), "MVHLTPEEKSAV"
    pressed = cut.press(one)
    read = cut.read(one, pressed)
    kept: list[torch.Tensor] = []
    handle = llama.module.decoder[0].cross_attention.tap.register_forward_hook(
        lambda _m, _a, out: kept.append(out)
    )
    cut.press(one)
    handle.remove()
    assert read is not None
    assert read.shape == (len(one), 2 * 2 * SMALL.slot_width)
    first = (kept[0][0, 0] @ torch.from_numpy(pressed.numbers)).numpy()
    np.testing.assert_allclose(read[:, : SMALL.slot_width], first, atol=1e-6)


def test_the_model_is_left_as_it_was(llama: RewritingModel) -> None:
    before = {k: v.clone() for k, v in llama.module.state_dict().items()}
    audit(llama, ["MVHLTPEEKSAVTALWGKV", "MKTAYIAKQRQISFVKSHF"], rival=None, probes=(), variants=2)
    for part in llama.module.modules():
        assert not part._forward_hooks
    for name, value in llama.module.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(p.requires_grad for p in llama.module.parameters())


@pytest.mark.parametrize("word", ["encoder", "bottleneck", "decoder"])
def test_a_declared_module_that_does_not_exist(word: str, llama: RewritingModel) -> None:
    near = {"encoder": "encodr", "bottleneck": "botleneck", "decoder": "decodr"}[word]
    with pytest.raises(OptionError) as caught:
        cut_of(llama, **{word: near})
    text = str(caught.value)
    assert text == f"{word}='{near}': tiny has no module of that name: did you mean '{word}'?"


def test_modules_that_cannot_be_cut(llama: RewritingModel) -> None:
    with pytest.raises(OptionError, match="declare encoder=, bottleneck=, decoder= by names"):
        cut_of(cuts.Planted(cuts.Everything()), feed=cuts.feed)
    with pytest.raises(OptionError, match="give feed="):
        cut_of(cuts.Planted(cuts.Everything()), **cuts.PARTS)
    with pytest.raises(OptionError, match="is a function"):
        cut_of(lambda x: x)

    class Idle(cuts.Planted):
        def __init__(self) -> None:
            super().__init__(cuts.Everything())
            self.idle = nn.Linear(2, 2)

    cut = cut_of(Idle(), feed=cuts.feed, **{**cuts.PARTS, "encoder": "idle"})
    with pytest.raises(ModelError, match="idle of Idle did not run"):
        cut.press("MVHL")


def test_inputs_that_do_not_fit(llama: RewritingModel) -> None:
    with pytest.raises(InputError, match="at least two"):
        audit(llama, ["MVHL"])
    with pytest.raises(InputError, match="at least two"):
        audit(llama, "MVHL")
    with pytest.raises(InputError, match="made for at most 60; give it as longer="):
        audit(llama, ["MVHL" * 16, "MVHL"])
    with pytest.raises(OptionError, match="did you mean 'linear'"):
        audit(llama, ["MVHL", "MKLV"], probes=("liner",))
    with pytest.raises(OptionError, match="is no protein model"):
        audit(llama, ["MVHL", "MKLV"], rival="zoo:sentiment")
    with pytest.raises(InputError, match="1 has V there"):
        audit(llama, ["MVHL", "MKLV"], rival=None, probes=(), variants=["1:E2V"])
    with pytest.raises(OptionError, match="say of which protein"):
        audit(llama, ["MVHL", "MKLV"], rival=None, probes=(), variants=["V2E"])


def test_what_is_longer_than_the_model_is_told_apart(llama: RewritingModel) -> None:
    short = cuts.proteins(3)
    found = audit(
        llama, short, rival=None, probes=(), variants=0, longer=cuts.proteins(2, 1, 90, 100)
    )
    labels = found["rebuilt"].query("group == 'beyond the limit'")["label"].unique().tolist()
    assert labels == ["positions up to 60 of longer proteins", "positions beyond 60"]
    assert isinstance(cut_of(llama), Cut)
