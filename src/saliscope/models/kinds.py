"""What can be read off a transformers model: its outputs, its limits, how it embeds its input."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from saliscope.core.errors import ModelError, SaliscopeError

__all__ = [
    "embedding_of", "heads_of", "position_limit", "readable", "reads_both_ways", "writes_apart",
]  # fmt: skip

_OFFSET_POSITIONS = {"esm", "roberta", "xlm-roberta", "camembert", "longformer", "mpnet"}
_HEADS = {
    "ForSequenceClassification": {"classes", "embedding"},
    "ForTokenClassification": {"tags", "embedding"},
    "ForMaskedLM": {"tokens", "embedding"},
    "ForCausalLM": {"next", "embedding"},
    "LMHeadModel": {"next", "embedding"},
}


def readable(module: nn.Module) -> bool:
    """Return whether there is one stack of self-attention that can be read."""
    from saliscope.attention.layers import one_stack

    try:
        return bool(one_stack(module))
    except SaliscopeError:
        return False


def position_limit(config: Any, tokenizer: Any) -> int | None:
    """Return how many tokens, specials included, a model can take; None where unlimited."""
    limits = []
    positions = getattr(config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        if config.model_type in _OFFSET_POSITIONS:  # their positions start behind the padding id
            positions -= (config.pad_token_id or 0) + 1
        limits.append(positions)
    length = getattr(tokenizer, "model_max_length", None)
    if isinstance(length, int) and 0 < length < 1_000_000:
        limits.append(length)
    return min(limits) if limits else None


def writes_apart(module: nn.Module) -> bool:
    """Return whether an encoder reads the input and a decoder writes the output."""
    written = type(module).__name__.endswith(("ForConditionalGeneration", "MTModel"))
    return written and bool(getattr(module.config, "is_encoder_decoder", False))


def heads_of(module: nn.Module) -> frozenset[str]:
    """Return the outputs that targets can be read off.

    An encoder-decoder has an output only for what it is given to write, so no embedding of the
    input alone.
    """
    if writes_apart(module):
        return frozenset({"next"})
    kind = type(module).__name__
    return frozenset(next((h for k, h in _HEADS.items() if k in kind), {"embedding"}))


def embedding_of(module: nn.Module, name: str) -> tuple[nn.Module, tuple[nn.Module, ...]]:
    """Return the module that embeds token ids, and all that do so in one pass, each once.

    The encoder and the decoder may share a module or have one each; both must give the same.
    """
    streams = [module]
    if writes_apart(module):
        whole: Any = module
        streams = [whole.get_encoder(), whole.get_decoder()]
    found: list[nn.Module] = []
    for stream in streams:
        find = getattr(stream, "get_input_embeddings", None)
        embedding = find() if find is not None else None
        if not isinstance(embedding, nn.Module):
            kind = type(module).__name__
            msg = f"{name}: {kind} names no embedding module; it cannot be explained"
            raise ModelError(msg)
        if embedding not in found:
            found.append(embedding)
    if len(found) > 1:
        device = next(module.parameters()).device
        with torch.no_grad():
            some = torch.arange(2, device=device)[None]
            one, two = (embedding(some) for embedding in found)
        if not torch.equal(one, two):
            msg = f"{name} embeds its input and its output differently; it cannot be explained"
            raise ModelError(msg)
    return found[0], tuple(found)


def reads_both_ways(module: nn.Module, device: torch.device) -> bool:
    """Return whether what follows a token changes what a model says at it."""
    ids = torch.tensor([[1, 0], [1, 2]], device=device)
    with torch.no_grad():
        logits: Any = module(input_ids=ids, attention_mask=torch.ones_like(ids))
    one, two = logits.logits[:, 0].double()
    return not torch.allclose(one, two, rtol=1e-3, atol=1e-3 * float(one.abs().max()))
