"""What a model writes: one teacher-forced pass against a loop over growing prefixes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from helpers import tokens, toys
from helpers.reference import integrated, slopes
from helpers.state import disturb, unchanged
from helpers.writing import (
    CAUSAL,
    CLOSE,
    KINDS,
    OTHER,
    OUTPUT,
    PROMPT,
    ids_of,
    made,
    next_token,
    prompt_of,
)
from saliscope import (
    Continuation,
    InputError,
    ModelError,
    OptionError,
    explain,
    measure,
)
from saliscope.core.model import Piece
from saliscope.core.perturbation import Perturbation
from saliscope.models.text import TextModel


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest) -> TextModel:
    """Return an adapter of every kind, which has looked at its module once."""
    found = made(request.param)
    assert found.causal
    return found


def by_embedding(model: TextModel, wanted: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the same as a function of the embeddings of input and output so far."""

    def score(embedded: torch.Tensor) -> torch.Tensor:
        if not model.apart:
            out = model.module(inputs_embeds=embedded[None])
        else:
            at = len(prompt_of(model))
            begin = model.embedding(torch.tensor([model.module.config.decoder_start_token_id]))
            out = model.module(
                inputs_embeds=embedded[None, :at],
                decoder_inputs_embeds=torch.cat([begin, embedded[at:]])[None],
            )
        return out.logits[0, -1].log_softmax(-1)[wanted][None]

    return score


def loop(
    model: TextModel, explain_one: Callable[[int, list[int], list[int]], np.ndarray],
    output: str = OUTPUT,
) -> np.ndarray:  # fmt: skip
    """Return what `explain_one` gives for each token of the output, special tokens left out."""
    prompt, written = prompt_of(model), ids_of(model, output)
    special = np.isin(prompt, [2, 3])
    rows = []
    for t, wanted in enumerate(written):
        row = np.zeros(len(prompt) + len(written))
        row[: len(prompt) + t] = explain_one(wanted, prompt, written[:t])
        rows.append(np.concatenate([row[: len(prompt)][~special], row[len(prompt) :]]))
    return np.stack(rows)


def embedded(model: TextModel, ids: list[int]) -> torch.Tensor:
    """Return embeddings without a graph."""
    with torch.no_grad():
        return model.embedding(torch.tensor(ids))


@pytest.mark.parametrize("method", ["gradient", "input_x_gradient"])
def test_gradients_equal_the_loop_and_cost_one_forward(model: TextModel, method: str) -> None:
    def one(wanted: int, prompt: list[int], before: list[int]) -> np.ndarray:
        x = embedded(model, [*prompt, *before])
        (slope,) = slopes(by_embedding(model, wanted), x)
        found = slope.norm(dim=-1) if method == "gradient" else (slope * x).sum(-1)
        return found.numpy()

    with toys.Calls(model.module) as calls:
        a = explain(model, PROMPT, method, Continuation(OUTPUT))
    assert calls.sizes == [1]
    assert a.values.dims == ("target", "position")
    assert a.target == ["very at 5", "good at 6", ", at 7", "a at 8", "plot at 9"]
    np.testing.assert_allclose(a.to_numpy(), loop(model, one), rtol=0, atol=CLOSE[model.name])
    later = np.triu(np.ones((5, 5), dtype=bool))
    assert (a.to_numpy()[:, 4:][later] == 0).all()
    streams = ["source" if model.apart else "prompt"] * 4 + ["output"] * 5
    assert a.data["stream"].values.tolist() == streams


def test_integrated_gradients_equal_the_loop(model: TextModel) -> None:
    nodes, weights = np.polynomial.legendre.leggauss(6)

    def one(wanted: int, prompt: list[int], before: list[int]) -> np.ndarray:
        ids = [*prompt, *before]
        masked = [i if i in {2, 3} else model.mask_id for i in ids]
        x, b = embedded(model, ids), embedded(model, masked)
        f = by_embedding(model, wanted)
        return integrated(f, x, b, (nodes + 1) / 2, weights / 2)[0].sum(-1)

    a = explain(model, PROMPT, "integrated_gradients", Continuation(OUTPUT), steps=6)
    np.testing.assert_allclose(a.to_numpy(), loop(model, one), rtol=0, atol=CLOSE[model.name])


@pytest.mark.parametrize("method", ["masking", "occlusion"])
def test_what_is_taken_away_equals_the_loop(model: TextModel, method: str) -> None:
    def one(wanted: int, prompt: list[int], before: list[int]) -> np.ndarray:
        whole = next_token(model, prompt, before, wanted)
        drops = []
        for place in range(len(prompt) + len(before)):
            ids = [*prompt, *before]
            ids[place] = model.mask_id
            left = ids[: len(prompt)], ids[len(prompt) :]
            drops.append(whole - next_token(model, *left, wanted))
        return np.array(drops)

    options = {"groups": "token"} if method == "masking" else {"window": 1, "stride": 1}
    a = explain(model, PROMPT, method, Continuation(OUTPUT), **options)
    np.testing.assert_allclose(a.to_numpy(), loop(model, one), rtol=0, atol=CLOSE[model.name])
    later = np.triu(np.ones((5, 5), dtype=bool))
    assert (a.to_numpy()[:, 4:][later] == 0).all()


def test_the_whole_output_is_the_sum_of_its_tokens(model: TextModel) -> None:
    each = explain(model, PROMPT, "input_x_gradient", Continuation(OUTPUT))
    whole = explain(model, PROMPT, "input_x_gradient", Continuation(OUTPUT, each=False))
    assert whole.target == "very good , a plot"
    np.testing.assert_allclose(
        whole.to_numpy(), each.to_numpy().sum(0), rtol=0, atol=CLOSE[model.name]
    )
    prompt, written = prompt_of(model), ids_of(model, OUTPUT)
    wanted = sum(next_token(model, prompt, written[:t], i) for t, i in enumerate(written))
    assert whole.score == pytest.approx(wanted, abs=1e-12)
    read = measure(model, PROMPT, Continuation(OUTPUT, each=False))
    assert read.values == pytest.approx([wanted], abs=1e-12)


def test_a_contrast_is_the_difference_of_two_outputs(model: TextModel) -> None:
    options = {"method": "input_x_gradient"}
    target = Continuation(OUTPUT, instead_of=OTHER, each=False)
    with toys.Calls(model.module) as calls:
        both = explain(model, PROMPT, target=target, **options)
    assert calls.sizes == [2]
    one, two = (
        explain(model, PROMPT, target=Continuation(text, each=False), **options)
        for text in (OUTPUT, OTHER)
    )
    assert both.score == pytest.approx(one.score - two.score, abs=1e-12)
    a, b = one.to_numpy(), two.to_numpy()
    np.testing.assert_allclose(both.to_numpy()[:4], a[:4] - b[:4], rtol=0, atol=CLOSE[model.name])
    np.testing.assert_allclose(
        both.to_numpy()[4:], [*a[4:], *-b[4:]], rtol=0, atol=CLOSE[model.name]
    )
    assert both.data["stream"].values.tolist()[4:] == ["output"] * 5 + ["instead"]
    assert both.text == f"{PROMPT}{chr(10) if model.apart else ''}{OUTPUT}\n{OTHER}"


def test_a_contrast_token_by_token(model: TextModel) -> None:
    target = Continuation(" good film", instead_of=" bad plot")
    both = explain(model, PROMPT, "masking", target, groups="token")
    assert both.target == ["good vs bad at 5", "film vs plot at 6"]
    one, two = (
        explain(model, PROMPT, "masking", Continuation(text), groups="token")
        for text in (" good film", " bad plot")
    )
    scores = np.asarray(one.score) - np.asarray(two.score)
    np.testing.assert_allclose(both.score, scores, atol=1e-12)
    a, b = one.to_numpy(), two.to_numpy()
    np.testing.assert_allclose(
        both.to_numpy()[:, :4], a[:, :4] - b[:, :4], rtol=0, atol=CLOSE[model.name]
    )
    own = [a[1, 4], 0, -b[1, 4], 0]
    np.testing.assert_allclose(both.to_numpy()[1, 4:], own, atol=CLOSE[model.name])
    assert (both.to_numpy()[0, 4:] == 0).all()
    with pytest.raises(OptionError, match=r"5 and 1 tokens.*each=False"):
        explain(model, PROMPT, "gradient", Continuation(OUTPUT, instead_of=OTHER))


def test_the_model_writes_what_is_most_probable(model: TextModel) -> None:
    prompt, written = prompt_of(model), list[int]()
    for _ in range(4):
        if written[-1:] == [3]:
            break
        every = [next_token(model, prompt, written, i) for i in range(len(tokens.WORDS))]
        written.append(int(np.argmax(every)))
    a = explain(model, PROMPT, "gradient", Continuation(tokens=4))
    assert len(a.target) == len(written)
    again = explain(model, PROMPT, "gradient", Continuation(written))
    assert again.equals(a)
    default = explain(model, PROMPT, "gradient")
    np.testing.assert_allclose(default.to_numpy(), a.to_numpy()[0, : 4 + 1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("contrast", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_unchanged_embedding_gives_the_models_own_output(
    kind: str, contrast: bool, dtype: torch.dtype
) -> None:
    model = made(kind, dtype)
    given = [OUTPUT, " very bad , a film"][: 1 + contrast]
    (alone,) = model.prepare(PROMPT)
    assert model.causal
    sample = model.continued(alone, given, 1)
    rows = [(prompt_of(model), ids_of(model, text)) for text in given]
    if model.apart:
        begin = model.module.config.decoder_start_token_id
        own = {
            "input_ids": torch.tensor([row[0] for row in rows]),
            "decoder_input_ids": torch.tensor([[begin, *row[1]] for row in rows]),
        }
        first = 0
    else:
        own = {"input_ids": torch.tensor([[*row[0], *row[1]] for row in rows])}
        first = len(rows[0][0]) - 1
    own |= {f"{k.removesuffix('input_ids')}attention_mask": torch.ones_like(own[k]) for k in own}
    path = Perturbation.path(sample.units, [1.0], model.baseline(sample, "mask"))
    for moved, gradients in itertools.product((path, Perturbation.identity(sample.units)), (0, 1)):
        batch = model.realize([Piece(sample, moved, np.array([0]))])
        with torch.set_grad_enabled(bool(gradients)):
            wanted = model.module(**own).logits  # kernels may differ where gradients are wanted
            heads, leaf = model.forward(batch, {"next", "call"}, gradients=bool(gradients))
        assert torch.equal(heads["call"].logits, wanted)
        reads = sample.context["reads"][sample.context["outputs"][0]]
        assert torch.equal(heads["next"][0, reads], wanted[0, first:-1])
        assert leaf is not None or not gradients


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_behind_in_the_model(kind: str) -> None:
    model = made(kind)
    disturb(model.module)
    with unchanged(model.module):
        explain(model, PROMPT, "gradient", Continuation(tokens=2))
        explain(model, PROMPT, "masking", Continuation(OUTPUT, instead_of=OTHER, each=False))


def test_inputs_of_different_lengths_share_batches_and_change_nothing(model: TextModel) -> None:
    texts = [PROMPT, "dull", "It is a very fine story ."]
    for target in (Continuation(OUTPUT), Continuation(OUTPUT, instead_of=OTHER, each=False)):
        for method in ("masking", "input_x_gradient"):
            together = explain(model, texts, method, target)
            for raw, got in zip(texts, together, strict=True):
                alone = explain(model, raw, method, target).to_numpy()
                np.testing.assert_allclose(got.to_numpy(), alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", CAUSAL)
def test_likelihood_of_a_causal_model_reads_each_token_one_place_before(kind: str) -> None:
    model = made(kind)
    ids = [int(i) for i in model.tokenizer(PROMPT)["input_ids"]]
    wanted = [next_token(model, ids[:t], [], ids[t]) for t in range(1, 5)]
    assert explain(model, PROMPT, "gradient", "likelihood").score == pytest.approx(sum(wanted))
    assert explain(model, PROMPT, "gradient", "2").score == pytest.approx(wanted[1])
    with pytest.raises(OptionError, match="left to right"):
        explain(model, PROMPT, "gradient", "2:context")


@pytest.mark.parametrize(
    ("target", "error", "match"),
    [
        (Continuation("  "), InputError, "has no token"),
        (Continuation([]), OptionError, "ids from 0 to"),
        (Continuation([1, 900]), OptionError, "ids from 0 to"),
        (Continuation(" good", instead_of=" good"), OptionError, "same tokens"),
        (Continuation(" good" * 60), InputError, "takes at most 4"),
        ([Continuation(" good"), Continuation(" bad")], OptionError, "explain them apart"),
        ("greedy:0", OptionError, "tokens=0"),
        ("gredy", OptionError, "did you mean 'greedy'"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_one_line(
    model: TextModel, target: Any, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match) as caught:
        explain(model, PROMPT, "gradient", target)
    assert "\n" not in str(caught.value)


def test_a_continuation_needs_a_model_that_writes(text: TextModel) -> None:
    with pytest.raises(OptionError, match="output of next"):
        explain(text, PROMPT, "gradient", Continuation(" good"))


def test_a_model_that_sees_both_sides_writes_nothing() -> None:
    from transformers import BertConfig, BertLMHeadModel

    config = BertConfig(
        vocab_size=len(tokens.WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=24,
    )  # fmt: skip
    module = BertLMHeadModel(config)
    tokens.spread(module, 2, 2.0)
    with pytest.raises(ModelError, match="both sides"):
        explain(TextModel(module.eval(), tokens.word_tokenizer(), "bert"), PROMPT, "gradient")


@pytest.mark.parametrize(
    ("words", "same"),
    [
        ("greedy", Continuation()),
        ("greedy:3", Continuation(tokens=3)),
        ("continuation: very good", Continuation(" very good")),
        ("whole: very good", Continuation(" very good", each=False)),
        ("continuation: good vs bad", Continuation(" good", instead_of=" bad")),
        ("whole: good film vs bad", Continuation(" good film", instead_of=" bad", each=False)),
    ],
)
def test_spellings(words: str, same: Continuation) -> None:
    from saliscope.core.target_spec import as_target

    assert as_target(words, made("gpt2")) == same


def test_whole_words_and_groups_of_an_output(model: TextModel) -> None:
    a = explain(model, PROMPT, "masking", Continuation(" unbelievable film"))
    words = ["The", "film", "was", "not", "unbelievable", "film"]
    assert a.data["word"].values.tolist() == words
    assert a.data["stream"].values.tolist()[3:] == [a.data["stream"].values[0], "output", "output"]
    assert a.target == ["un at 5", "believ at 6", "able at 7", "film at 8"]
    assert (a.to_numpy()[0, 4:] == 0).all()
    assert (a.to_numpy()[:, 5] == 0).all()
    assert a.to_numpy()[2, 4] != 0
    sentences = explain(model, PROMPT, "masking", Continuation(" film"), groups="sentence")
    assert sentences.data["sentence"].values.tolist() == [PROMPT, "film"]
    assert sentences.data["stream"].values.tolist() == [a.data["stream"].values[0], "output"]
    assert a.group("sentence").data["stream"].values.tolist()[0] == a.data["stream"].values[0]


def bytewise() -> TextModel:
    """Return a GPT-2 over bytes and a few merges, as its real vocabulary is made."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from tokenizers import trainers as training
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = training.BpeTrainer(
        vocab_size=300, initial_alphabet=alphabet, special_tokens=["<end>"], show_progress=False
    )
    inner.train_from_iterator(["a good film", "a very good plot was not a good film"] * 4, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>")
    module = GPT2LMHeadModel(
        GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, n_positions=64,
                   bos_token_id=0, eos_token_id=0)
    )  # fmt: skip
    tokens.spread(module, 3, 2.0)
    return TextModel(module.double().eval(), tokenizer, "bytes")


def test_byte_level_tokens_keep_their_place_in_the_text() -> None:
    model = bytewise()
    given = " good \u00e9t\u00e9"
    a = explain(model, "a film was", "gradient", Continuation(given))
    assert a.text == "a film was" + given
    ids = model.tokenizer("a film was" + given)["input_ids"]
    count = len(ids) - len(model.tokenizer("a film was")["input_ids"])
    again = explain(model, "a film was", "gradient", Continuation(ids[-count:]))
    assert again.text == a.text
    np.testing.assert_allclose(again.to_numpy(), a.to_numpy(), rtol=0, atol=1e-12)
    assert len(a.target) == count
    assert a.target[0].startswith("good at ")
    assert a.provenance.get("baseline") is None
    masked = explain(model, "a film was", "masking", Continuation(given), groups="token")
    assert masked.provenance["fill"] == "pad"  # there is neither a mask nor a padding token


def test_an_output_that_would_melt_into_the_input_keeps_to_itself() -> None:
    model = bytewise()
    a = explain(model, "a go", "gradient", Continuation("od film"))
    before = len(model.tokenizer("a go")["input_ids"])
    assert a.data["stream"].values.tolist().count("prompt") == before
    assert a.text == "a good film"
