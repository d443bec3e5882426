"""TrOCR and its kin: an encoder of pictures and a decoder of word pieces (Li et al. 2021)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from saliscope.core.errors import InputError, ModelError
from saliscope.models.vision.heads import StepHead
from saliscope.models.vision.preparing import prepared_as
from saliscope.models.vision.recognizer import Recognizer

__all__ = ["Pieces", "Processor", "reads_lines", "trocr"]

Ids = tuple[int, ...]
_MOST = 256  # steps, where a decoder would take more


class Pieces:
    """The word pieces of a tokenizer as the outputs of a decoder.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase
    """

    direction: Literal["ltr", "rtl"] = "ltr"  # a decoder writes in logical order

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.special = frozenset(int(i) for i in tokenizer.all_special_ids)
        self.unknown: int | None = tokenizer.unk_token_id

    def encode(self, text: str) -> Ids:
        """Return the pieces of a text.

        Raises
        ------
        InputError
            The tokenizer has no piece for a part of it.
        """
        given = unicodedata.normalize("NFC", text)
        ids = self.tokenizer(given, add_special_tokens=False, verbose=False)["input_ids"]
        if self.unknown is not None and self.unknown in ids:
            msg = f"{text!r} has characters that the model's tokenizer does not know; write others"
            raise InputError(msg)
        return tuple(int(i) for i in ids)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of pieces."""
        text: str = self.tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return unicodedata.normalize("NFC", text)

    def logical(self, count: int) -> range:
        """Return the places of pieces, which are written as they are read."""
        return range(count)


class Processor(NamedTuple):
    """An image processor and a tokenizer, which a checkpoint holds apart."""

    image_processor: Any
    tokenizer: Any

    @classmethod
    def from_pretrained(cls, source: str, **options: Any) -> Processor:
        """Load both."""
        import transformers

        return cls(
            transformers.AutoImageProcessor.from_pretrained(source, **options),
            transformers.AutoTokenizer.from_pretrained(source, **options),
        )


def reads_lines(module: nn.Module) -> bool:
    """Return whether a module is an encoder of pictures with a decoder of text."""
    return any(c.__name__ == "VisionEncoderDecoderModel" for c in type(module).__mro__)


def trocr(module: nn.Module, processor: Any, name: str) -> Recognizer:
    """Return a `VisionEncoderDecoderModel` as a recognizer.

    Parameters
    ----------
    module : transformers.VisionEncoderDecoderModel
    processor : transformers.TrOCRProcessor
        Or anything that holds an `image_processor` and a `tokenizer`.
    name : str

    Raises
    ------
    ModelError
        There is no image processor or tokenizer, or the model names no token to begin with.
    """
    images = getattr(processor, "image_processor", None)
    tokenizer = getattr(processor, "tokenizer", None)
    if images is None or tokenizer is None:
        msg = (
            f"{name} reads pictures and writes text: give tokenizer= a processor that holds an "
            "image_processor and a tokenizer (TrOCRProcessor)"
        )
        raise ModelError(msg)
    whole: Any = module
    start = _named(whole, "decoder_start_token_id", "bos_token_id")
    end = _named(whole, "eos_token_id", "sep_token_id")
    if start is None or end is None:
        missing = "decoder_start_token_id" if start is None else "eos_token_id"
        msg = f"{name} names no {missing}; set it in its config (tokenizer.cls_token_id as a rule)"
        raise ModelError(msg)
    pieces = Pieces(tokenizer)

    def encode(pictures: torch.Tensor) -> torch.Tensor:
        seen: torch.Tensor = whole.encoder(pixel_values=pictures).last_hidden_state
        return seen

    def decode(
        memory: torch.Tensor, written: torch.Tensor, kept: dict[str, Any] | None = None
    ) -> torch.Tensor:
        begin, past = (0, None) if kept is None else (kept.get("length", 0), kept.get("past"))
        said = whole(
            encoder_outputs=(memory,), decoder_input_ids=written[:, begin:],
            past_key_values=past, use_cache=kept is not None,
        )  # fmt: skip
        # A decoder that keeps nothing is shown the whole text at each step.
        if kept is not None and said.past_key_values is not None:
            kept.update(past=said.past_key_values, length=written.shape[1])
        logits: torch.Tensor = said.logits
        return logits

    positions = getattr(whole.decoder.config, "max_position_embeddings", None) or _MOST
    head = StepHead(
        encode, decode, pieces, start=start, end=end, limit=min(_MOST, int(positions) - 2),
        silent=pieces.special - {end},
    )  # fmt: skip
    preparation = prepared_as(images, name)
    return Recognizer(module, name, preparation, head, eye="encoder")


def _named(module: Any, *names: str) -> int | None:
    """Return the first id of these names that a model, or its decoder, is configured with."""
    decoder = getattr(module.config, "decoder", None)
    for name in names:
        for config in (module.config, getattr(module, "generation_config", None), decoder):
            found = getattr(config, name, None)
            if isinstance(found, list) and found:
                found = found[0]
            if isinstance(found, int):
                return found
    return None
