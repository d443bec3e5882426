"""Small recognizers for tests: connectionist, recurrent, TrOCR, and the network of the zoo."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from helpers import tokens
from saliscope.models.vision.declaring import recognizer
from saliscope.models.vision.line_model import line_recognizer
from saliscope.models.vision.line_network import LineConfig, LineNetwork
from saliscope.models.vision.recognizer import Recognizer
from saliscope.models.vision.trocr import trocr

HEIGHT = 16


class Frames(nn.Module):
    """Two convolutions with a stride of four columns in all, and a linear layer per frame: TNC."""

    def __init__(self, symbols: int = 5, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        torch.manual_seed(3)
        # Drawn in one type, so that all types have the same weights.
        self.first = nn.Conv2d(1, 6, 3, 2, 1, dtype=torch.float64)
        self.second = nn.Conv2d(6, 6, 3, 2, 1, dtype=torch.float64)
        self.last = nn.Linear(6 * HEIGHT // 4, symbols, dtype=torch.float64)
        with torch.no_grad():
            self.last.weight.mul_(6)
            paper = torch.ones(1, 1, HEIGHT, 8, dtype=torch.float64)
            self.last.bias.sub_(self(paper)[0, 0] / 4)
        self.to(dtype)

    def forward(self, lines: torch.Tensor) -> torch.Tensor:
        """Take (rows, 1, height, width) and return (frames, rows, symbols)."""
        seen = self.second(self.first(lines).relu()).relu()
        out: torch.Tensor = 4 * self.last(seen.flatten(1, 2).transpose(1, 2)).transpose(0, 1)
        return out


class Recurrent(nn.Module):
    """A convolution and an LSTM that reads in both directions."""

    def __init__(self, symbols: int = 5) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.see = nn.Conv2d(1, 6, (HEIGHT, 4), (HEIGHT, 4), dtype=torch.float64)
        self.read = nn.LSTM(6, 8, bidirectional=True, dtype=torch.float64)
        self.last = nn.Linear(16, symbols, dtype=torch.float64)

    def forward(self, lines: torch.Tensor) -> torch.Tensor:
        """Return (frames, rows, symbols)."""
        states, _ = self.read(self.see(lines)[:, :, 0].permute(2, 0, 1))
        out: torch.Tensor = self.last(states)
        return out


def ctc(dtype: torch.dtype = torch.float64, **options: Any) -> Recognizer:
    """Return a recognizer of "abcd" with frames of four columns."""
    return recognizer(Frames(dtype=dtype).eval(), "abcd", height=HEIGHT, **options)


def line_network(dtype: torch.dtype = torch.float64, head: Any = "ctc") -> Recognizer:
    """Return a small network with both heads."""
    torch.manual_seed(5)
    config = LineConfig(
        tuple("abc "), height=HEIGHT, channels=(4, 6, 6, 8), width=12, blocks=1, kernel=3,
        decoder_width=16, decoder_layers=2, decoder_heads=2,
    )  # fmt: skip
    network = LineNetwork(config).to(dtype).eval()
    with torch.no_grad():
        for part in (network.ctc, network.writer):
            part.weight.mul_(6)
    return line_recognizer(network, "line", head)


def small_trocr(dtype: torch.dtype = torch.float64) -> Recognizer:
    """Return a TrOCR built from a configuration, which reads pictures of 24 x 48 pixels."""
    from transformers import (
        TrOCRConfig,
        TrOCRForCausalLM,
        VisionEncoderDecoderModel,
        ViTConfig,
        ViTImageProcessorPil,
        ViTModel,
    )

    tokenizer = tokens.word_tokenizer()
    torch.manual_seed(6)
    seen = ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        image_size=(24, 48), patch_size=8, num_channels=3,
    )  # fmt: skip
    written = TrOCRConfig(
        vocab_size=len(tokenizer), d_model=16, decoder_layers=2, decoder_attention_heads=2,
        decoder_ffn_dim=24, max_position_embeddings=14, cross_attention_hidden_size=16,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id, decoder_start_token_id=tokenizer.cls_token_id,
        init_std=0.4,
    )  # fmt: skip
    module = VisionEncoderDecoderModel(
        encoder=ViTModel(seen, add_pooling_layer=False), decoder=TrOCRForCausalLM(written)
    )
    module.config.decoder_start_token_id = tokenizer.cls_token_id
    module.config.pad_token_id = tokenizer.pad_token_id
    module.config.eos_token_id = tokenizer.sep_token_id
    processor = SimpleNamespace(
        image_processor=ViTImageProcessorPil(size={"height": 24, "width": 48}, image_mean=[0.5] * 3,
                                          image_std=[0.5] * 3),
        tokenizer=tokenizer,
    )  # fmt: skip
    return trocr(module.to(dtype).eval(), processor, "trocr")


def line(width: int = 120, seed: int = 0, height: int = 32) -> np.ndarray[Any, Any]:
    """Return a picture of a line: dark strokes on gray paper, uint8."""
    draw = np.random.default_rng(seed)
    picture = np.full((height, width), 220, dtype=np.uint8)
    for start in range(4, width - 10, 12):
        top, tall = draw.integers(4, height // 2), draw.integers(4, height // 2)
        picture[top : top + tall, start : start + draw.integers(2, 9)] = draw.integers(10, 90)
    return picture


MAKERS = {
    "ctc": ctc, "line": line_network,
    "decoder": lambda: line_network(head="decoder"), "trocr": small_trocr,
}  # fmt: skip
