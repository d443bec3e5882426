"""Adapters of tiny random models, one per way in which attention is read."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
)

from helpers import tokens
from saliscope.models.protein import ProteinModel
from saliscope.models.text import TextModel

SIZES: dict[str, Any] = {
    "vocab_size": len(tokens.WORDS), "hidden_size": 16, "num_hidden_layers": 3,
    "num_attention_heads": 4, "intermediate_size": 24, "pad_token_id": 0,
}  # fmt: skip


def bert(dtype: torch.dtype = torch.float64) -> TextModel:
    return TextModel(tokens.bert(dtype), tokens.word_tokenizer(), "bert")


def esm(dtype: torch.dtype = torch.float64) -> ProteinModel:
    return ProteinModel(tokens.esm(dtype), tokens.esm_tokenizer(), "esm")


def text(module: nn.Module, dtype: torch.dtype = torch.float64) -> TextModel:
    tokens.spread(module, 9, 1.5)
    return TextModel(module.to(dtype).eval(), tokens.word_tokenizer(), type(module).__name__)


def llama() -> TextModel:
    return text(LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=2)))


def gpt2() -> TextModel:
    return text(GPT2ForSequenceClassification(GPT2Config(
        vocab_size=len(tokens.WORDS), n_embd=16, n_layer=3, n_head=4, n_positions=40,
        pad_token_id=0, num_labels=3,
    )))  # fmt: skip


def albert() -> TextModel:
    return text(AlbertForSequenceClassification(
        AlbertConfig(**SIZES, embedding_size=8, num_labels=3)
    ))  # fmt: skip


def deberta(dtype: torch.dtype = torch.float64) -> TextModel:
    return text(DebertaV2ForSequenceClassification(DebertaV2Config(
        **SIZES, relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=4,
        num_labels=3, max_position_embeddings=40, type_vocab_size=0,
    )), dtype)  # fmt: skip
