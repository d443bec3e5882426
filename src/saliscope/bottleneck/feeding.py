"""How one input gets into an encoder-decoder, and what its output would repeat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from saliscope.core.errors import InputError, OptionError
from saliscope.core.target import IntArray
from saliscope.models.protein import checked_letters
from saliscope.models.rewriting import RewritingModel
from saliscope.models.tokens import TokenModel
from saliscope.models.vision.looking import looking
from saliscope.models.vision.recognizer import Recognizer

__all__ = ["Feed", "feed_of"]


class Feed(NamedTuple):
    """One input as a module takes it.

    Parameters
    ----------
    arguments : mapping
        Of a pass with one row; "" holds a positional argument.
    said : numpy.ndarray of int, shape (length,), optional
        The output index that would repeat the input at each place; -1 where nothing would.
    """

    arguments: Mapping[str, Any]
    said: IntArray | None = None


def feed_of(adapter: Any, name: str) -> Callable[[Any], Feed]:
    """Return how inputs get into a model that is known here."""
    if isinstance(adapter, RewritingModel):
        return lambda raw: _residues(adapter, raw)
    if isinstance(adapter, TokenModel) and adapter.apart:
        return lambda raw: _copied(adapter, raw)
    if isinstance(adapter, Recognizer):
        return lambda raw: _line(adapter, raw)
    msg = f"how an input gets into {name} is not known; give feed=, from one input to a Feed"
    raise OptionError(msg)


def _residues(adapter: RewritingModel, raw: Any) -> Feed:
    if not isinstance(raw, str):
        msg = f"a protein is a string of residue letters, not {type(raw).__name__}"
        raise InputError(msg)
    ids, _ = adapter.coded(checked_letters(raw, raw[:12]), raw[:12])
    # Not by `prepare`: what is longer than the model was made for is measured, too.
    said = np.where(ids == adapter.unknown_id, -1, ids)
    return Feed(adapter.arguments([ids]), said)


def _copied(adapter: TokenModel, raw: Any) -> Feed:
    """Return a source, and the same tokens to be written one place later."""
    (sample,) = adapter.prepare(raw)
    ids = sample.context["ids"]
    config: Any = adapter.module.config
    start = config.decoder_start_token_id
    first = adapter.pad_id if start is None else int(start)
    here = torch.from_numpy(ids)[None].to(adapter.device)
    shown = torch.cat([torch.full_like(here[:, :1], first), here[:, :-1]], 1)
    arguments = {
        "input_ids": here, "attention_mask": torch.ones_like(here), "decoder_input_ids": shown,
        "use_cache": False,
    }  # fmt: skip
    return Feed(arguments, ids)


def _line(adapter: Recognizer, raw: Any) -> Feed:
    (sample,) = adapter.prepare(raw)
    seen = looking(adapter, sample, "cross")
    head: Any = adapter.head
    given = seen.arguments["decoder_input_ids"][0].cpu().numpy()
    return Feed(seen.arguments, np.append(given[1:], head.end).astype(np.int64))
