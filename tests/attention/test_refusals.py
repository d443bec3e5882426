"""What cannot be read rightly is refused in one line that names the remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    CLIPConfig,
    CLIPModel,
    Gemma2Config,
    Gemma2ForCausalLM,
    GptOssConfig,
    GptOssForCausalLM,
    LongformerConfig,
    LongformerModel,
    SwinConfig,
    SwinModel,
)

from saliscope.attention.capture import stream
from saliscope.attention.interface import Attend
from saliscope.attention.reducer import Reducer, Side
from saliscope.core.errors import OptionError, RefusedError, SaliscopeError

from . import zoo

MODEL = zoo.build("bert")
FEED = zoo.feed("bert")


@pytest.mark.parametrize(("options", "word"), [
    ({"reduce": "recieved"}, "did you mean 'received'"),
    ({"kind": "both"}, "encoder, decoder, cross"),
    ({"kind": "decoder"}, "use kind='encoder'"),
    ({"kind": "cross"}, "use kind='encoder'"),
    ({"specials": "maybe"}, "'drop' or 'keep'"),
    ({"layers": 3}, "layers 0 to 2"),
    ({"layers": -4}, "layers 0 to 2"),
    ({"layers": []}, "empty"),
    ({"layers": "all"}, "whole number"),
    ({"layers": [0.5]}, "whole number"),
    ({"heads": 4}, "heads 0 to 3"),
    ({"heads": -1}, "heads"),
    ({"reduce": "rollout", "layers": 1}, "leave layers and heads out"),
    ({"reduce": "rollout", "heads": 1}, "leave layers and heads out"),
    ({"budget": 0}, "positive"),
    ({"keep": torch.ones(2, 5, dtype=torch.bool)}, "one entry per token"),
    ({"keep": torch.zeros(2, 9, dtype=torch.bool)}, "specials='keep'"),
    ({"keep": torch.ones(1, 2, 9, dtype=torch.bool)}, "dimensions"),
])  # fmt: skip
def test_options(options: dict[str, Any], word: str) -> None:
    with pytest.raises(OptionError, match=word) as caught:
        stream(MODEL, FEED, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reduce", ["full", "mean"])
def test_what_is_not_affordable_is_refused_with_its_bytes(reduce: str) -> None:
    needed = 2 * 3 * (4 if reduce == "full" else 1) * 9 * 9 * 4
    stream(MODEL, FEED, reduce=reduce, budget=needed)
    with pytest.raises(RefusedError, match=f"needs {needed:,} bytes.*select layers"):
        stream(MODEL, FEED, reduce=reduce, budget=needed - 1)


def test_arguments_that_defeat_streaming() -> None:
    with pytest.raises(OptionError, match="leave it out"):
        stream(MODEL, {**FEED, "output_attentions": True})
    with pytest.raises(RefusedError, match="past_key_values"):
        stream(zoo.build("gpt2"), {**zoo.feed("gpt2"), "past_key_values": object()}, kind="decoder")
    with pytest.raises(OptionError, match="rollout follows"):
        stream(zoo.build("t5"), zoo.feed("t5"), kind="cross", reduce="rollout")
    with pytest.raises(OptionError, match="encoder_hidden_states"):
        stream(zoo.build("trocr"), zoo.ids(length=6), kind="cross")
    with pytest.raises(OptionError, match="use kind='decoder'"):
        stream(zoo.build("gpt2"), zoo.feed("gpt2"))
    with pytest.raises(RefusedError, match="several layers"):
        stream(zoo.build("albert"), zoo.feed("albert"), layers=0)


def _clip() -> nn.Module:
    text = {**zoo.SMALL, "projection_dim": 8, "max_position_embeddings": 40}
    vision = {**zoo._VIT, "projection_dim": 8}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))


def _longformer() -> nn.Module:
    return LongformerModel(LongformerConfig(**zoo.SMALL, attention_window=4))


@pytest.mark.parametrize(("build", "feed", "kind", "word"), [
    (lambda: nn.Sequential(nn.Linear(2, 2)), dict, "encoder", "Sequential has no attention"),
    (_clip, dict, "encoder", "2 stacks of encoder attention"),
    (_longformer, zoo.ids, "encoder", "Longformer"),
    (lambda: SwinModel(SwinConfig(
        image_size=16, patch_size=2, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4,
    )), lambda: {"pixel_values": torch.randn(1, 3, 16, 16)}, "encoder", "no common map|Swin"),
    (lambda: GptOssForCausalLM(GptOssConfig(
        **zoo.SMALL, num_local_experts=2, head_dim=4, num_key_value_heads=2,
    )), zoo.ids, "decoder", "GptOss"),
    (lambda: Gemma2ForCausalLM(Gemma2Config(
        **zoo.SMALL, head_dim=4, num_key_value_heads=2,
    )), zoo.ids, "decoder", "Gemma2Attention"),
])  # fmt: skip
def test_models(
    build: Callable[[], nn.Module], feed: Callable[[], dict[str, Any]], kind: str, word: str
) -> None:
    model = build().eval()
    with pytest.raises(SaliscopeError, match=word) as caught:
        stream(model, feed(), kind=kind)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("word", "value"), [
    ("softcap", 30.0), ("s_aux", torch.zeros(4)), ("sliding_window", 3), ("anything", True),
])  # fmt: skip
def test_arguments_of_the_attention_function(word: str, value: object) -> None:
    reducer = Reducer("received", 1, None, None, Side(None, None, drop=True, name="query"),
                      Side(None, None, drop=True, name="key"), budget=1 << 20)  # fmt: skip
    attend = Attend([], reducer)
    states = torch.randn(1, 2, 5, 4)
    output, _ = attend(nn.Identity(), states, states, states, None, is_causal=False)
    assert output.shape == (1, 5, 2, 4)
    with pytest.raises(RefusedError, match=word):
        attend(nn.Identity(), states, states, states, None, **{word: value})
    attend(nn.Identity(), states, states, states, None, sliding_window=5, use_cache=True)
