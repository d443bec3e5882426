"""Tiny token models, built from configurations: nothing is downloaded."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    EsmConfig,
    EsmForMaskedLM,
    EsmTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
)

RESIDUES = [
    "<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO.-", "<null_1>", "<mask>",
]  # fmt: skip
WORDS = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "film", "was", "is", "n", "##t", "good",
    "bad", "very", "not", "un", "##believ", "##able", "a", "and", "it", "'", "t", "s", ",", ".",
    "!", "?", "story", "dull", "fine", "##ly", "isn", "plot", "\u00e9t\u00e9",
]  # fmt: skip


def spread(module: nn.Module, seed: int, scale: float) -> None:
    """Draw matrices anew from one seed, wide enough that inputs matter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, scale / parameter.shape[1] ** 0.5, generator=generator)


def esm_tokenizer() -> EsmTokenizer:
    """Return the tokenizer of ESM-2's alphabet."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vocab.txt"
        path.write_text("\n".join(RESIDUES) + "\n", encoding="utf-8")
        return EsmTokenizer(str(path))


def esm(
    dtype: torch.dtype = torch.float32, *, token_dropout: bool = True, limit: int = 66
) -> EsmForMaskedLM:
    """Return a small ESM-2 with random weights."""
    config = EsmConfig(
        vocab_size=len(RESIDUES), mask_token_id=RESIDUES.index("<mask>"), pad_token_id=1,
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=limit, position_embedding_type="rotary",
        token_dropout=token_dropout, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1,
        emb_layer_norm_before=False, tie_word_embeddings=True, layer_norm_eps=1e-5,
    )  # fmt: skip
    module = EsmForMaskedLM(config)
    spread(module, 3, 1.5)
    return module.to(dtype).eval()


def word_tokenizer() -> PreTrainedTokenizerFast:
    """Return a WordPiece tokenizer over a few words."""
    vocabulary = {word: i for i, word in enumerate(WORDS)}
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        pad_token="[PAD]", mask_token="[MASK]", model_max_length=48,
    )  # fmt: skip


def _sizes() -> dict[str, Any]:
    return {
        "vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 24, "pad_token_id": 0,
    }  # fmt: skip


def bert(
    dtype: torch.dtype = torch.float32,
    labels: tuple[str, ...] = ("negative", "neutral", "positive"),
) -> BertForSequenceClassification:
    """Return a small BERT classifier with random weights."""
    config = BertConfig(
        **_sizes(), max_position_embeddings=64, num_labels=len(labels),
        id2label=dict(enumerate(labels)), label2id={n: i for i, n in enumerate(labels)},
    )  # fmt: skip
    module = BertForSequenceClassification(config)
    spread(module, 4, 2.0)
    return module.to(dtype).eval()


def roberta(dtype: torch.dtype = torch.float32) -> RobertaForSequenceClassification:
    """Return a small RoBERTa classifier, whose positions start behind the padding id."""
    config = RobertaConfig(**_sizes(), max_position_embeddings=64, num_labels=2)
    module = RobertaForSequenceClassification(config)
    spread(module, 5, 2.0)
    return module.to(dtype).eval()


def writer(kind: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Return a small model that writes, with random weights: "gpt2", "llama", "t5" or "bart"."""
    words = len(WORDS)
    ends = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
    made: dict[str, Callable[[], nn.Module]] = {
        "gpt2": lambda: GPT2LMHeadModel(GPT2Config(
            vocab_size=words, n_embd=16, n_layer=2, n_head=2, n_positions=40, **ends,
        )),
        "llama": lambda: LlamaForCausalLM(LlamaConfig(
            **_sizes() | ends, num_key_value_heads=1, max_position_embeddings=40,
        )),
        "t5": lambda: T5ForConditionalGeneration(T5Config(
            vocab_size=words, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2,
            decoder_start_token_id=0, pad_token_id=0, eos_token_id=3,
        )),
        "bart": lambda: BartForConditionalGeneration(BartConfig(
            vocab_size=words, d_model=16, encoder_layers=2, decoder_layers=2,
            encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=24,
            decoder_ffn_dim=24, max_position_embeddings=40, scale_embedding=True,
            decoder_start_token_id=3, **ends,
        )),
    }  # fmt: skip
    module = made[kind]()
    spread(module, 6, 2.0)
    return module.to(dtype).eval()


def tagger(dtype: torch.dtype = torch.float64) -> BertForTokenClassification:
    """Return a small BERT that labels every token, with random weights."""
    labels = dict(enumerate(("O", "B-LOC", "I-LOC")))
    config = BertConfig(**_sizes(), max_position_embeddings=64, id2label=labels)
    module = BertForTokenClassification(config)
    spread(module, 7, 2.0)
    return module.to(dtype).eval()
