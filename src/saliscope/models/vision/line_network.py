"""The network of `zoo:handwriting`: one encoder of a text line, two ways to write it down.

A convolutional encoder sees each frame (4 pixels) with some 55 pixels to either side, so that what
it says of a character is about that character: no recurrent layer, no normalization over the line.
On it stand a linear head for connectionist temporal classification (Graves et al. 2006) and an
attention decoder that writes character by character (Vaswani et al. 2017). Every attention passes
its probabilities through a module of its own (`Attention.tap`), where they can be read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from saliscope.models.blocks import Attention, Held, Shape, waves

__all__ = ["LineConfig", "LineNetwork", "Written"]


@dataclass(frozen=True)
class LineConfig(Shape):
    """Shape of a `LineNetwork`.

    Parameters
    ----------
    alphabet : tuple of str
        The characters. Output 0 is none of them: the blank of the CTC head, and both ends of what
        the decoder writes; character `i` is output `i + 1`.
    height : int
        Height of a line in pixels.
    channels : tuple of int
        Of the four convolutional stages.
    width, blocks, kernel : int
        Of the one-dimensional part of the encoder.
    decoder_width, decoder_layers, decoder_heads : int
    dropout : float
        While training.
    """

    alphabet: tuple[str, ...]
    height: int = 48
    channels: tuple[int, ...] = (32, 64, 128, 160)
    width: int = 224
    blocks: int = 4
    kernel: int = 5
    decoder_width: int = 160
    decoder_layers: int = 2
    decoder_heads: int = 4
    dropout: float = 0.1
    model_type: str = field(default="saliscope_line", init=False)


class Stage(nn.Module):
    """A convolution that makes the picture smaller, then one that keeps its size, added to it."""

    def __init__(self, before: int, after: int, stride: tuple[int, int], *, deep: bool) -> None:
        super().__init__()
        self.stride = stride
        self.down = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(after)
        self.keep = nn.Conv2d(after, after, 3, 1, 1, bias=False) if deep else None
        self.keep_norm = nn.BatchNorm2d(after) if deep else None

    def forward(self, x: torch.Tensor, widths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the smaller picture, zero outside of each line, and the new widths."""
        widths = torch.div(widths + self.stride[1] - 1, self.stride[1], rounding_mode="floor")
        x = _outside(F.relu(self.norm(self.down(x))), widths)
        if self.keep is not None and self.keep_norm is not None:
            x = _outside(x + F.relu(self.keep_norm(self.keep(x))), widths)
        return x, widths


class Block(nn.Module):
    """A depthwise convolution along the line, then two dense layers (ConvNeXt, Liu et al. 2022)."""

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.along = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, 2 * width)
        self.narrow = nn.Linear(2 * width, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, widths: torch.Tensor) -> torch.Tensor:
        """Take and return (rows, width, frames), zero outside of each line."""
        y = self.norm(self.along(x).transpose(1, 2))
        y = self.narrow(F.gelu(self.wide(y))).transpose(1, 2)
        return _outside(x + self.drop(y), widths)


def _outside(x: torch.Tensor, widths: torch.Tensor) -> torch.Tensor:
    """Set to zero what lies right of each line, as the padding of a convolution does."""
    inside = torch.arange(x.shape[-1], device=x.device) < widths[:, None]
    return x * inside.view(len(x), *(1,) * (x.ndim - 2), -1).to(x.dtype)


class DecoderLayer(nn.Module):
    """Attention to what was written, attention to the line, and two dense layers."""

    def __init__(self, width: int, source: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.self_norm = nn.LayerNorm(width)
        self.self_attention = Attention(width, width, heads)
        self.cross_norm = nn.LayerNorm(width)
        self.cross_attention = Attention(width, source, heads)
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, 3 * width)
        self.narrow = nn.Linear(3 * width, width)
        self.drop = nn.Dropout(dropout)

    def forward(
        self,
        x: torch.Tensor,
        past: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        inside: torch.Tensor,
        held: tuple[Held | None, Held | None] = (None, None),
    ) -> torch.Tensor:
        """Take and return (rows, written, width)."""
        own, line = held
        y = self.self_norm(x)
        x = x + self.drop(self.self_attention(y, y, y, past, own))
        x = x + self.drop(self.cross_attention(self.cross_norm(x), keys, values, inside, line))
        dense: torch.Tensor = self.drop(self.narrow(F.gelu(self.wide(self.norm(x)))))
        return x + dense


class Written:
    """What a decoder remembers of what it wrote, so that a step costs one character.

    Parameters
    ----------
    layers : int
        Of the decoder.
    """

    def __init__(self, layers: int) -> None:
        self.length = 0
        self.keys: torch.Tensor | None = None
        self.held = [(Held(grows=True), Held(grows=False)) for _ in range(layers)]


class LineNetwork(nn.Module):
    """A text line as gray pixels in, characters out, by two heads.

    Parameters
    ----------
    config : LineConfig

    Examples
    --------
    >>> network = LineNetwork(LineConfig(alphabet=tuple("ab"), channels=(4, 4, 4, 4), width=8,
    ...                                  blocks=1, decoder_width=8, decoder_heads=2)).eval()
    >>> memory, frames = network.encode(torch.ones(1, 1, 48, 30), torch.tensor([30]))
    >>> tuple(memory.shape), frames.tolist(), tuple(network.ctc(memory).shape)
    ((1, 8, 8), [8], (1, 8, 3))
    >>> tuple(network.decode(memory, frames, torch.tensor([[0, 1]])).shape)
    (1, 2, 3)
    """

    #: Pixels from one frame to the next.
    stride = 4

    def __init__(self, config: LineConfig) -> None:
        super().__init__()
        self.config = config
        outputs = len(config.alphabet) + 1
        strides = [(2, 2), (2, 2), (2, 1), (2, 1)]
        self.stages = nn.ModuleList(
            Stage(before, after, stride, deep=depth > 0)
            for depth, (before, after, stride) in enumerate(
                zip((1, *config.channels[:-1]), config.channels, strides, strict=True)
            )
        )
        self.flatten = nn.Linear(config.channels[-1] * (config.height // 16), config.width)
        self.blocks = nn.ModuleList(
            Block(config.width, config.kernel, config.dropout) for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(config.width)
        self.ctc = nn.Linear(config.width, outputs)
        self.embedding = nn.Embedding(outputs, config.decoder_width)
        self.layers = nn.ModuleList(
            DecoderLayer(config.decoder_width, config.width, config.decoder_heads, config.dropout)
            for _ in range(config.decoder_layers)
        )
        self.decoder_norm = nn.LayerNorm(config.decoder_width)
        self.writer = nn.Linear(config.decoder_width, outputs)

    def encode(
        self, images: torch.Tensor, widths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the heads read, and its length.

        Parameters
        ----------
        images : torch.Tensor, shape (rows, 1, height, width)
            Gray values, 0 black and 1 white.
        widths : torch.Tensor of int, shape (rows,)
            What lies right of a line's width has no influence.

        Returns
        -------
        memory : torch.Tensor, shape (rows, frames, features)
        frames : torch.Tensor of int, shape (rows,)
            ceil(width / 4).
        """
        x = _outside(1.0 - images, widths)
        for stage in self.stages:
            x, widths = stage(x, widths)
        x = self.flatten(x.flatten(1, 2).transpose(1, 2)).transpose(1, 2)
        x = _outside(x, widths)
        for block in self.blocks:
            x = block(x, widths)
        memory: torch.Tensor = self.norm(x.transpose(1, 2))
        return memory, widths

    def decode(
        self, memory: torch.Tensor, frames: torch.Tensor, written: torch.Tensor,
        known: Written | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """Return the logits of each next character.

        Parameters
        ----------
        memory, frames
            What `encode` returned.
        written : torch.Tensor of int, shape (rows, length)
            Output numbers; the first is 0.
        known : Written, optional
            What is remembered of the same lines and an earlier part of the same text, which is
            not gone through again; it remembers the rest after the call.

        Returns
        -------
        torch.Tensor, shape (rows, length, outputs)
            At position `i` for the character after `written[:, : i + 1]`; 0 is the end. With
            `known` only the positions that are new.
        """
        length, begin = written.shape[1], 0 if known is None else known.length
        x = self.embedding(written[:, begin:])
        x = x + waves(length, x.shape[-1], x)[begin:]
        keys = None if known is None else known.keys
        if keys is None:
            keys = memory + waves(memory.shape[1], memory.shape[-1], memory)
        past = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()[begin:]
        inside = torch.arange(memory.shape[1], device=x.device) < frames[:, None]
        for number, layer in enumerate(self.layers):
            held = (None, None) if known is None else known.held[number]
            x = layer(x, past, keys, memory, inside[:, None, None], held)
        if known is not None:
            known.length, known.keys = length, keys
        logits: torch.Tensor = self.writer(self.decoder_norm(x))
        return logits

    def forward(self, images: torch.Tensor, widths: torch.Tensor) -> torch.Tensor:
        """Return the logits of the CTC head, shape (rows, frames, outputs)."""
        memory, _ = self.encode(images, widths)
        logits: torch.Tensor = self.ctc(memory)
        return logits
