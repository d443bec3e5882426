"""Recognizers: what is read, how far they see, what is refused, heads and attention."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import saliscope
from helpers import lines, state
from helpers.lines import MAKERS
from saliscope import Characters, InputError, ModelError, OptionError, RefusedError, String, explain
from saliscope.attention.make import attention_map
from saliscope.core.model import Piece
from saliscope.core.perturbation import Perturbation
from saliscope.models.vision.declaring import recognizer
from saliscope.models.vision.doubts import memory_of
from saliscope.models.vision.looking import looking

each_maker = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
LINE = lines.line(200, seed=3)


# -- reading ---------------------------------------------------------------------------------------


@each_maker
def test_reading_tells_text_characters_and_how_sure(make: Any) -> None:
    model = make()
    with state.unchanged(model.module):
        reading = model.read(LINE, name="mine.png")
    assert reading.name == "mine.png"
    assert (reading.width, reading.height) == (200, 32)
    assert reading.head == ("ctc" if make in {lines.ctc, lines.line_network} else "decoder")
    score = float(explain(model, LINE, "gradient").score)
    assert abs(reading.log_prob - score) < 1e-10
    assert [c.number for c in reading.characters] == list(range(1, len(reading.characters) + 1))
    assert all(0 < c.confidence <= 1 for c in reading.characters)
    named = explain(model, LINE, "gradient", "characters")
    assert named.meta["reading"]["text"] == reading.text
    if make is not lines.small_trocr:
        assert "".join(c.text for c in reading.characters) == reading.text
    if reading.head == "ctc":
        places = [(c.left, c.right) for c in reading.characters]
        assert all(a is not None and b is not None and 0 <= a < b <= 200 for a, b in places)
        assert places == sorted(places)
        # A frame is four pixels at half the size of the picture: eight.
        first = reading.characters[0]
        assert first.right is not None
        assert first.right == pytest.approx((first.last + 0.5) * 8 + 1)
    assert len(reading.to_frame()) == len(reading.characters)


def test_the_beam_and_a_lexicon() -> None:
    model = lines.ctc()
    path = model.read(LINE)
    found = model.read(LINE, beam_width=200, count=3)
    assert found.log_prob >= path.log_prob
    assert found.alternatives[0][0] == found.text
    scores = [score for _, score in found.alternatives]
    assert scores == sorted(scores, reverse=True)
    assert abs(scores[0] - found.log_prob) < 1e-8
    of_words = model.read(LINE, words=["abab", "dcba", "cc"])
    exact = {w: model.read(LINE, words=[w]).log_prob for w in ("abab", "dcba", "cc")}
    assert of_words.text == max(exact, key=lambda word: exact[word])
    with pytest.raises(OptionError, match="a decoder reads step by step"):
        lines.line_network(head="decoder").read(LINE, beam_width=3)


def test_instead_asks_for_the_exact_contrast() -> None:
    model = lines.ctc()
    reading = model.read(LINE)
    target = reading.instead(2, "d")
    text = reading.text
    assert target == String(text, instead_of=f"{text[0]}d{text[2:]}")
    other = explain(model, LINE, "gradient", target.instead_of)
    wanted = reading.log_prob - float(other.score)
    assert float(explain(model, LINE, "gradient", target).score) == pytest.approx(wanted)
    with pytest.raises(OptionError, match="character 99 does not exist"):
        reading.instead(99, "a")


def test_right_to_left_is_read_in_logical_order() -> None:
    left, right = lines.ctc(), lines.ctc(direction="rtl")
    one, two = left.read(LINE), right.read(LINE)
    assert two.text == one.text[::-1]
    assert [c.left for c in two.characters] == [c.left for c in one.characters][::-1]
    a = explain(left, LINE, "gradient", Characters("abcd"))
    b = explain(right, LINE, "gradient", Characters("dcba"))
    assert b.meta["target"] == ["d at 1", "c at 2", "b at 3", "a at 4"]
    np.testing.assert_allclose(a.to_numpy(), b.to_numpy()[::-1], rtol=0, atol=1e-12)


def test_accents_composed_and_apart() -> None:
    module = lines.Frames().eval()
    composed = recognizer(module, "ab\u00e9d", height=16)
    apart = recognizer(module, "abe\u0301", height=16)
    target = explain(composed, LINE, "gradient", String("ae\u0301"))
    same = explain(composed, LINE, "gradient", String("a\u00e9"))
    assert target.meta["target"] == same.meta["target"] == ["log P('a\u00e9')"]
    assert target.score == same.score
    two = explain(apart, LINE, "gradient", Characters("a\u00e9"))
    assert two.meta["target"] == ["a at 1", "e at 2", "\u25cc\u0301 at 3"]


# -- sight -----------------------------------------------------------------------------------------


def test_stride_and_field_are_measured() -> None:
    sight = lines.ctc().sight
    # Two convolutions of three with steps of two: 3 + 2 * 2 = 7 columns around column 4 t.
    assert (sight.stride, sight.center, sight.field) == (4.0, 0.5, 7)
    assert not sight.whole
    assert sight.beyond == 0
    about = lines.ctc().describe()
    assert about["sight"]["stride"] == 4.0
    assert (about["symbols"], about["blank"]) == (4, 0)


def test_recurrent_layers_make_maps_global_and_that_is_told() -> None:
    model = recognizer(lines.Recurrent().eval(), "abcd", height=16)
    assert model.sight.whole
    assert model.sight.stride == 4.0
    got = explain(model, LINE, "gradient")
    assert "global_frames" in got.health
    assert "global_frames" not in explain(lines.ctc(), LINE, "gradient").health
    cam = explain(model, LINE, "grad_cam")
    assert cam.provenance["layer"]["name"] == "see"


class Mirrored(nn.Module):
    """Frames that run from right to left."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = lines.Frames()

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Turn the line around."""
        out: torch.Tensor = self.inner(rows.flip(-1))
        return out


def test_frames_that_run_from_right_to_left_are_placed_there() -> None:
    model = recognizer(Mirrored().eval(), "abcd", height=16)
    assert model.sight.stride == -4.0
    reading = model.read(LINE)
    places = [c.left for c in reading.characters if c.left is not None]
    assert places == sorted(places, reverse=True)


# -- layouts and refusals --------------------------------------------------------------------------


class Laid(nn.Module):
    """Frames in another layout, as another kind of numbers."""

    def __init__(self, axes: tuple[int, int, int], kind: str = "logits") -> None:
        super().__init__()
        self.inner, self.axes, self.kind = lines.Frames(), axes, kind

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return frames x lines x symbols in the order of `axes`."""
        out: torch.Tensor = self.inner(rows)
        if self.kind != "logits":
            out = out.log_softmax(-1) if self.kind == "log_probs" else out.softmax(-1)
        return out.permute(*self.axes)


@pytest.mark.parametrize("kind", ["logits", "log_probs", "probs"])
@pytest.mark.parametrize(("layout", "axes"), [("NTC", (1, 0, 2)), ("NCT", (1, 2, 0))])
def test_layouts_and_kinds_of_output_say_the_same(layout: Any, axes: Any, kind: Any) -> None:
    model = recognizer(Laid(axes, kind).eval(), "abcd", height=16, layout=layout, output=kind)
    wanted = explain(lines.ctc(), LINE, "gradient", String("abc"))
    got = explain(model, LINE, "gradient", String("abc"))
    np.testing.assert_allclose(got.to_numpy(), wanted.to_numpy(), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"alphabet": "abc"}, ModelError, "5 symbols per frame, and the alphabet has 3"),
        ({"alphabet": "abcdef"}, ModelError, "the alphabet has 6 and a blank"),
        ({"alphabet": "abca"}, OptionError, "holds 'a' (U+0061) twice"),
        ({"alphabet": ""}, OptionError, "holds no symbol"),
        ({"blank": 5}, OptionError, "blank=5 is out of range; 4 symbols and the blank are"),
        ({"blank": -6}, OptionError, "blank=-6 is out of range"),
        ({"layout": "NTC"}, ModelError, "which is not NTC; use layout='TNC'"),
        ({"layout": "CTN"}, OptionError, "layout='CTN' does not exist"),
        ({"output": "probs"}, ModelError, "output='probs', but the symbols of a frame"),
        ({"output": "log_probs"}, ModelError, "use output='logits'"),
        ({"height": 0}, OptionError, "height=0 is not a number of pixels"),
        ({"height": 40}, ModelError, "does not take a line of"),
        ({"direction": "up"}, OptionError, "direction='up' does not exist"),
    ],
)  # fmt: skip
def test_a_wrong_declaration_is_one_clear_line(options: Any, error: Any, words: str) -> None:
    given = {"alphabet": "abcd", "height": 16, **options}
    with pytest.raises(error) as caught:
        recognizer(lines.Frames().eval(), given.pop("alphabet"), **given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_blank_that_is_never_said_is_a_finding() -> None:
    module = lines.Frames().eval()
    with torch.no_grad():
        module.last.bias[4] += 100
    wrong = explain(recognizer(module, "abcd", height=16), LINE, "gradient")
    assert "unlikely_blank" in wrong.health
    right = explain(recognizer(module, "abcd", height=16, blank=-1), LINE, "gradient", String("ab"))
    assert "unlikely_blank" not in right.health


def test_what_cannot_be_said_is_refused() -> None:
    model = lines.ctc()
    short = lines.line(48)  # 24 columns at the model's height: 6 frames
    assert np.isfinite(float(explain(model, short, "gradient", String("abcdab")).score))
    with pytest.raises(RefusedError, match="CTC cannot emit 'abcdabc': 7 characters need 7 frames"):
        explain(model, short, "gradient", String("abcdabc"))
    with pytest.raises(RefusedError, match="a blank in each of 2 repeats need 7 frames, and the"):
        explain(model, short, "gradient", String("aabbc"))
    with pytest.raises(InputError, match=r"'axb' has 'x' \(U\+0078\)"):
        explain(model, LINE, "gradient", String("axb"))
    with pytest.raises(OptionError, match="both are 'ab'"):
        explain(model, LINE, "gradient", ("ab", "ab"))
    with pytest.raises(OptionError, match="character 9 does not exist; 'ab' has 1 to 2"):
        explain(model, LINE, "gradient", Characters("ab", at=9))
    with pytest.raises(OptionError, match="so there is no character to explain"):
        explain(model, LINE, "gradient", Characters(""))
    assert float(explain(model, LINE, "gradient", String("")).score) < 0
    with pytest.raises(OptionError, match="a string needs a model with an output of strings"):
        explain("zoo:sentiment", "good", "gradient", String("a"))


def test_a_page_is_refused_with_the_remedy() -> None:
    page = np.full((900, 700), 200, dtype=np.uint8)
    with pytest.raises(InputError, match=r"700 x 900 pixels, which is a page.*--alto page\.xml"):
        lines.ctc().read(page)
    assert lines.ctc().read(np.full((60, 60), 200, dtype=np.uint8)).steps == 4


def test_long_thin_and_tiny_lines() -> None:
    model = lines.ctc(torch.float32)
    long = explain(model, lines.line(30_000), "gradient", String("ab"))
    assert long.values.shape == (16, 15_000)
    assert np.isfinite(long.to_numpy()).all()
    assert model.read(np.zeros((1, 1), dtype=np.uint8)).steps == 4


# -- heads -----------------------------------------------------------------------------------------


def test_two_heads_of_one_network() -> None:
    model = lines.line_network()
    other = model.with_head("decoder")
    assert (model.head.kind, other.head.kind) == ("ctc", "decoder")
    assert other.module is model.module
    assert other.with_head("ctc").read(LINE).text == model.read(LINE).text
    loaded: Any = saliscope.load(model, head="decoder")
    assert loaded.head.kind == "decoder"
    with pytest.raises(OptionError, match="head='word' does not exist; line has decoder and ctc"):
        model.with_head("word")
    with pytest.raises(OptionError, match="does not read lines of text and has no such heads"):
        saliscope.load("zoo:sentiment", head="ctc")


def test_a_decoder_that_writes_from_memory_is_told() -> None:
    model = lines.line_network(head="decoder")
    network: Any = model.module
    with torch.no_grad():  # no value of the line reaches it
        for layer in network.layers:
            layer.cross_attention.out.weight.zero_()
    got = explain(model, LINE, "gradient")
    assert "language_memory" in got.health
    assert "language_memory" in saliscope.attention(model, LINE).health
    (sample,) = model.prepare(LINE)
    # Steps of "ab" and its end, by hand.
    steps = model.head.steps(model.head.memory(model.given(sample.value[None])), [(1, 2)])
    chosen = steps[0].log_softmax(-1)[[0, 1, 2], [1, 2, 0]]
    about = memory_of(model, sample, (1, 2), chosen.sum().item())
    assert about["line"] == pytest.approx(about["blank"])
    assert about["line"] == pytest.approx(about["shuffled"])
    assert about["line"] == pytest.approx(chosen.mean().exp().item())


def test_every_gradient_is_that_of_finite_differences() -> None:
    for make, target in itertools.product(
        (MAKERS["line"], MAKERS["decoder"]), (String("ab"), Characters("ab", at=2))
    ):
        model = make()
        (sample,) = model.prepare(LINE)
        sample = target.on(model, sample)
        bound = target.bind(model, sample)
        got = explain(model, LINE, "gradient", target).to_numpy()
        draw = np.random.default_rng(0)
        for y, x in draw.integers(0, got.shape, (4, 2)).tolist():
            scores = []
            for step in (1e-5, -1e-5):
                moved = sample.value.clone()
                moved[y, x, 0] += step
                piece = Piece(
                    type(sample)(sample.name, "", sample.units, moved, sample.context),
                    Perturbation.identity(sample.units), np.zeros(1, dtype=np.int64),
                )  # fmt: skip
                with torch.no_grad():
                    outputs, _ = model.forward(
                        model.realize([piece]), {bound.head}, gradients=False
                    )
                out = outputs[bound.head]
                if bound.head == "steps":
                    out = out.log_softmax(-1)[:, bound.position, bound.index]
                    scores.append(float((out * torch.from_numpy(bound.weight)).sum()))
                else:
                    scores.append(float(out[0, bound.index[0]]))
            assert got[y, x] == pytest.approx((scores[0] - scores[1]) / 2e-5, abs=1e-6, rel=1e-4)


# -- attention -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["decoder", "trocr"])
def test_attention_that_begins_behind_the_encoder_is_that_of_the_whole_pass(name: str) -> None:
    model = MAKERS[name]()
    (sample,) = model.prepare(LINE)
    for kind in ("cross", "decoder"):
        seen = looking(model, sample, kind)
        assert set(seen.arguments) == {"pixel_values", "decoder_input_ids"}
        assert set(seen.shorter) == {"encoder_outputs", "decoder_input_ids"}
        sides = (seen.queries, seen.keys)
        maps = [
            attention_map(seen.module, given, *sides, reduce="full", kind=kind).to_numpy()
            for given in (seen.arguments, seen.shorter)
        ]
        np.testing.assert_array_equal(*maps)


@pytest.mark.parametrize("name", ["decoder", "trocr"])
def test_cross_attention_of_each_character(name: str) -> None:
    model = MAKERS[name]()
    reading = model.read(LINE)
    full = saliscope.attention(model, LINE, kind="cross", reduce="full", specials="keep")
    whole = saliscope.attention(model, LINE, reduce="mean")
    assert whole.meta["kind"] == "cross"
    characters = [c.text.replace(" ", "\u2423") for c in reading.characters]
    assert whole.values["query_character"].values.tolist() == characters
    np.testing.assert_allclose(full.values.sum("key"), 1, atol=1e-9)
    if name == "trocr":
        assert whole.values.sizes["key"] == 3 * 6  # patches, the class token left out
        assert full.values.sizes["key"] == 19
        assert whole.values["key_x"].values[:6].tolist() == [3.5, 11.5, 19.5, 27.5, 35.5, 43.5]
        module: Any = model.module
        head: Any = model.head
        (sample,) = model.prepare(LINE)
        sample = model.continued(sample, [None])
        ids = next(iter(sample.context["ids"].values()))
        with torch.no_grad():
            eager = module(
                pixel_values=model.given(sample.value[None]),
                decoder_input_ids=torch.tensor([[head.start, *ids]]),
                output_attentions=True, use_cache=False,
            ).cross_attentions  # fmt: skip
        np.testing.assert_allclose(
            full.to_numpy(), torch.stack(eager)[:, 0].numpy(), rtol=0, atol=1e-9
        )
        seen = saliscope.attention(model, LINE, kind="encoder", reduce="mean")
        assert seen.values.shape == (2, 18, 18)
    own = saliscope.attention(model, LINE, kind="decoder", reduce="mean")
    assert own.values.sizes["query"] == len(reading.characters)


def test_a_ctc_head_has_no_attention() -> None:
    with pytest.raises(RefusedError, match="the CTC head of line has no attention"):
        saliscope.attention(lines.line_network(), LINE)
