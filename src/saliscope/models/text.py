"""Text models: tokens with character offsets, and words over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from saliscope.core.errors import InputError, ModelError, OptionError
from saliscope.core.health import Finding, finding
from saliscope.core.model import Sample
from saliscope.core.units import Units
from saliscope.core.words import TextGroupings
from saliscope.models.continuing import continued, trimmed
from saliscope.models.tokens import TokenModel

__all__ = ["TextModel"]


class TextModel(TokenModel):
    """Hugging Face text models with a fast tokenizer (it knows character offsets)."""

    modality = "text"

    def __init__(self, module: nn.Module, tokenizer: Any, name: str) -> None:
        super().__init__(module, tokenizer, name)
        if not getattr(tokenizer, "is_fast", False):
            msg = f"{name}: its tokenizer knows no character offsets; load a fast tokenizer"
            raise ModelError(msg)

    def token_id(self, text: str) -> int:
        """Return the id of a token."""
        vocabulary: dict[str, int] = self.tokenizer.get_vocab()
        if text in vocabulary:
            return vocabulary[text]
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(ids) != 1:
            msg = f"{text!r} is not one token of {self.name}, but {len(ids)}; give a single token"
            raise OptionError(msg)
        return int(ids[0])

    def prepare(self, raw: object, *, name: str | None = None) -> Sequence[Sample]:
        """Turn a text into one sample; units are tokens, grouped to words and sentences."""
        if not isinstance(raw, str):
            msg = f"a text is a string, not {type(raw).__name__}"
            raise InputError(msg)
        if "next" in self.heads and not self.causal:
            msg = (
                f"{self.name} sees the tokens on both sides, so it cannot say what comes next; "
                "load it with is_decoder=True in its config, or as a masked language model"
            )
            raise ModelError(msg)
        label = name or (" ".join(raw[:28].split()) + ("..." if len(raw) > 28 else ""))
        if not raw.strip():
            msg = f"{label or 'input'}: the text is empty; give at least one word"
            raise InputError(msg)
        coded = self.tokenizer(
            raw, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False
        )
        ids = np.array(coded["input_ids"], dtype=np.int64)
        if self.limit is not None and len(ids) > self.limit:
            msg = (
                f"{label}: has {len(ids):,} tokens; {self.name} takes at most {self.limit:,}; "
                "split the text"
            )
            raise InputError(msg)
        special = np.array(coded["special_tokens_mask"], dtype=bool)
        offsets = [(int(a), int(b)) for a, b in coded["offset_mapping"]]
        spans = [trimmed(raw, a, b) for a, b in offsets]
        if special.all():
            msg = f"{label}: the tokenizer of {self.name} finds no token in it; check the text"
            raise InputError(msg)
        tokens = ["" if s else raw[a:b] for s, (a, b) in zip(special, spans, strict=True)]
        unk = self.tokenizer.unk_token_id
        unknown = [i for i in range(len(ids)) if ids[i] == unk and not special[i]]
        found: list[Finding] = []
        if unknown:
            names = ", ".join(repr(tokens[i]) for i in unknown[:5])
            found.append(finding("unknown_units", count=len(unknown), names=names))
        keep = ~special
        spans = [(0, 0) if s else span for s, span in zip(special, spans, strict=True)]
        units = Units(
            ("position",), (len(ids),), "token",
            {"position": ("position", np.where(keep, np.cumsum(keep), 0).tolist()),
             "token": ("position", tokens),
             "start": ("position", [a for a, _ in spans]),
             "end": ("position", [b for _, b in spans])},
            keep, TextGroupings(raw, spans),
        )  # fmt: skip
        context = {
            "ids": ids, "unknown": frozenset(unknown), "width": self.width,
        }  # fmt: skip
        return [Sample(label, raw, units, None, context, (raw, ids.tobytes()), tuple(found))]

    def continued(
        self, sample: Sample, outputs: Sequence[str | Sequence[int] | None], tokens: int
    ) -> Sample:
        """Return a text with outputs behind it; see `saliscope.models.continuing`."""
        return continued(self, sample, outputs, tokens)
