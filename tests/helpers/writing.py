"""Models that write: every kind of them, what they read, and log-probabilities one pass each."""

from __future__ import annotations

import torch

from helpers import tokens
from saliscope.models.text import TextModel

__all__ = [
    "CAUSAL", "CLOSE", "KINDS", "OTHER", "OUTPUT", "PROMPT", "ids_of", "made", "next_token",
    "prompt_of",
]  # fmt: skip

PROMPT, OUTPUT, OTHER = "The film was not", " very good , a plot", " bad"
KINDS = ["gpt2", "llama", "t5", "bart"]
CAUSAL = ["gpt2", "llama"]
# Llama and T5 take the sizes of their norms in float32, whatever type they are in.
CLOSE = {"gpt2": 1e-10, "bart": 1e-10, "llama": 1e-5, "t5": 1e-5}


def made(kind: str, dtype: torch.dtype = torch.float64) -> TextModel:
    """Return an adapter."""
    return TextModel(tokens.writer(kind, dtype), tokens.word_tokenizer(), kind)


def ids_of(model: TextModel, text: str) -> list[int]:
    """Return the ids of a text without special tokens."""
    return [int(i) for i in model.tokenizer(text, add_special_tokens=False)["input_ids"]]


def prompt_of(model: TextModel) -> list[int]:
    """Return what the tokenizer makes of the input; a causal model is not told that it ended."""
    ids = [int(i) for i in model.tokenizer(PROMPT)["input_ids"]]
    return ids if model.apart else ids[:-1]


def next_token(model: TextModel, prompt: list[int], before: list[int], wanted: int) -> float:
    """Return the log-probability of a token after some others, by a pass of its own."""
    with torch.no_grad():
        if model.apart:
            begin = model.module.config.decoder_start_token_id
            decoder = torch.tensor([[begin, *before]])
            out = model.module(input_ids=torch.tensor([prompt]), decoder_input_ids=decoder)
        else:
            out = model.module(input_ids=torch.tensor([[*prompt, *before]]))
    return float(out.logits[0, -1].log_softmax(-1)[wanted])
