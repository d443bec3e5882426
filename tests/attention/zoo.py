"""Tiny models of every family, and the weights that an eager copy of each returns."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import (
    AlbertConfig,
    AlbertModel,
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForSequenceClassification,
    BertLMHeadModel,
    DebertaV2Config,
    DebertaV2Model,
    EsmConfig,
    EsmForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
    TrOCRConfig,
    TrOCRForCausalLM,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
    ViTForImageClassification,
)

Arguments = dict[str, Any]
SMALL: Arguments = {
    "vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 4,
    "intermediate_size": 24, "max_position_embeddings": 40,
}  # fmt: skip
LENGTH = 9


@dataclass(frozen=True)
class Family:
    """One model family: how to build it, what to feed it, and where its weights come out."""

    build: Callable[[], nn.Module]
    feed: Callable[[], Arguments]
    outputs: dict[str, str]


def ids(*, pad: str = "right", rows: int = 2, length: int = LENGTH, prefix: str = "") -> Arguments:
    """Return token ids with padding in the second row."""
    made = torch.Generator().manual_seed(length)
    tokens = torch.randint(4, 20, (rows, length), generator=made)
    mask = torch.ones_like(tokens)
    if pad == "right":
        mask[1, -3:] = 0
    elif pad == "left":
        mask[1, :3] = 0
    tokens[mask == 0] = 1
    return {f"{prefix}input_ids": tokens, f"{prefix}attention_mask": mask}


def both() -> Arguments:
    return {**ids(), **ids(length=6, prefix="decoder_")}


def pixels() -> Arguments:
    return {"pixel_values": torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))}


def states() -> Arguments:
    made = torch.Generator().manual_seed(1)
    return {**ids(length=6), "encoder_hidden_states": torch.randn(2, 7, 16, generator=made)}


def _esm() -> nn.Module:
    return EsmForMaskedLM(EsmConfig(
        **SMALL, position_embedding_type="rotary", token_dropout=True, mask_token_id=3,
        pad_token_id=1,
    ))  # fmt: skip


def _t5() -> nn.Module:
    return T5ForConditionalGeneration(T5Config(
        vocab_size=20, d_model=16, d_kv=4, d_ff=24, num_layers=2, num_decoder_layers=3,
        num_heads=4, pad_token_id=1, decoder_start_token_id=0,
    ))  # fmt: skip


def _bart() -> nn.Module:
    return BartForConditionalGeneration(BartConfig(
        vocab_size=20, d_model=16, encoder_layers=2, decoder_layers=3, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=24, decoder_ffn_dim=24, pad_token_id=1,
        max_position_embeddings=40, decoder_start_token_id=2,
    ))  # fmt: skip


def _gpt2() -> nn.Module:
    return GPT2LMHeadModel(GPT2Config(
        vocab_size=20, n_embd=16, n_layer=3, n_head=4, n_positions=40, bos_token_id=0,
        eos_token_id=0,
    ))  # fmt: skip


def _trocr_config(width: int) -> TrOCRConfig:
    return TrOCRConfig(
        vocab_size=20, d_model=16, decoder_layers=3, decoder_attention_heads=4,
        decoder_ffn_dim=24, max_position_embeddings=40, cross_attention_hidden_size=width,
        pad_token_id=1, is_decoder=True, add_cross_attention=True, decoder_start_token_id=0,
    )  # fmt: skip


_VIT: Arguments = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "image_size": 8, "patch_size": 4,
}  # fmt: skip


def _recognizer() -> nn.Module:
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        ViTConfig(**_VIT), _trocr_config(16)
    )
    return VisionEncoderDecoderModel(config)


FAMILIES: dict[str, Family] = {
    "esm": Family(_esm, ids, {"encoder": "attentions"}),
    "bert": Family(
        lambda: BertForSequenceClassification(BertConfig(**SMALL)), ids, {"encoder": "attentions"}
    ),
    "bert_decoder": Family(
        lambda: BertLMHeadModel(BertConfig(**SMALL, is_decoder=True, add_cross_attention=True)),
        states, {"decoder": "attentions", "cross": "cross_attentions"},
    ),
    "albert": Family(
        lambda: AlbertModel(AlbertConfig(**SMALL, embedding_size=8)), ids,
        {"encoder": "attentions"},
    ),
    "vit": Family(
        lambda: ViTForImageClassification(ViTConfig(**_VIT)), pixels, {"encoder": "attentions"}
    ),
    "t5": Family(_t5, both, {
        "encoder": "encoder_attentions", "decoder": "decoder_attentions",
        "cross": "cross_attentions",
    }),
    "bart": Family(_bart, both, {
        "encoder": "encoder_attentions", "decoder": "decoder_attentions",
        "cross": "cross_attentions",
    }),
    "gpt2": Family(_gpt2, ids, {"decoder": "attentions"}),
    "llama": Family(
        lambda: LlamaForCausalLM(LlamaConfig(**SMALL, num_key_value_heads=2)),
        lambda: ids(pad="left"), {"decoder": "attentions"},
    ),
    "llama_unpadded": Family(
        lambda: LlamaForCausalLM(LlamaConfig(**SMALL, num_key_value_heads=2)),
        lambda: ids(pad="none"), {"decoder": "attentions"},
    ),
    "mistral_window": Family(
        lambda: MistralForCausalLM(
            MistralConfig(**SMALL, num_key_value_heads=2, sliding_window=4)
        ), ids, {"decoder": "attentions"},
    ),
    "trocr": Family(
        lambda: TrOCRForCausalLM(_trocr_config(16)), states,
        {"decoder": "attentions", "cross": "cross_attentions"},
    ),
    "recognizer": Family(
        _recognizer, lambda: {**pixels(), **ids(length=6, prefix="decoder_")},
        {"encoder": "encoder_attentions", "decoder": "decoder_attentions",
         "cross": "cross_attentions"},
    ),
    "deberta": Family(
        lambda: DebertaV2Model(DebertaV2Config(
            **SMALL, relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=4,
        )), ids, {"encoder": "attentions"},
    ),
}  # fmt: skip
# Their eager attention rounds every softmax to float32, in a float64 model too.
ROUNDED = {"vit", "llama", "llama_unpadded", "mistral_window", "recognizer"}
CASES = [(name, kind) for name, family in FAMILIES.items() for kind in family.outputs]


def build(name: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return a model with weights large enough that attention is far from uniform."""
    torch.manual_seed(0)
    model = FAMILIES[name].build()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0, 0.2)
    return model.to(dtype).eval()


def feed(name: str, dtype: torch.dtype = torch.float32) -> Arguments:
    return {
        word: value.to(dtype) if value.is_floating_point() else value
        for word, value in FAMILIES[name].feed().items()
    }


def eager(model: nn.Module, arguments: Arguments, kind: str, name: str) -> torch.Tensor:
    """Return the weights of an eager copy, shape (batch, layer, head, query, key)."""
    twin = copy.deepcopy(model)
    twin.set_attn_implementation("eager")
    with torch.no_grad():
        output = twin(**arguments, output_attentions=True)
    return torch.stack(output[FAMILIES[name].outputs[kind]], 1)
