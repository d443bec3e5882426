"""The network of `zoo:bottleneck`: a protein, pressed through a few slots, and written again.

An encoder of Llama blocks (root-mean-square norms, rotary positions, gated linear units; Touvron et
al. 2023) without a causal mask reads the protein. Learned slots attend to it, each position by its
sinusoidal place from the start, and are cut to `slot_width` numbers: the bottleneck. A decoder of
causal Llama blocks attends to the slots and says each residue, from what it is shown of the
residues before; shown none, it rebuilds the protein from the bottleneck alone.
Every attention passes its probabilities through a module of its own (`tap`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from saliscope.models.blocks import Attention, Shape, waves

__all__ = ["DualLlama", "DualLlamaConfig"]


@dataclass(frozen=True)
class DualLlamaConfig(Shape):
    """Shape of a `DualLlama`.

    Parameters
    ----------
    alphabet : str
        The residues; residue `i` is token `i + 2`. Token 0 is padding, token 1 is "not shown".
    width, heads, inner : int
        Of a block: features, attention heads, and features of the gated unit.
    encoder_layers, decoder_layers : int
    slots, slot_width : int
        The bottleneck is `slots` times `slot_width` numbers.
    positions : int
        The longest protein.
    """

    alphabet: str = "ACDEFGHIKLMNPQRSTVWYX"
    width: int = 160
    heads: int = 5
    inner: int = 432
    encoder_layers: int = 3
    decoder_layers: int = 3
    slots: int = 32
    slot_width: int = 40
    positions: int = 400
    model_type: str = field(default="saliscope_dual_llama", init=False)


class GatedUnit(nn.Module):
    """SwiGLU (Shazeer 2020)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, inner, bias=False)
        self.up = nn.Linear(width, inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take and return (rows, length, width)."""
        out: torch.Tensor = self.down(F.silu(self.gate(x)) * self.up(x))
        return out


class LlamaBlock(nn.Module):
    """Attention to itself, to the slots where there are any, and a gated unit."""

    def __init__(self, config: DualLlamaConfig, *, cross: bool) -> None:
        super().__init__()
        width, heads = config.width, config.heads
        self.norm = nn.RMSNorm(width, eps=1e-5)
        self.attention = Attention(width, width, heads, bias=False, rotary=True)
        self.cross_norm = nn.RMSNorm(width, eps=1e-5) if cross else None
        self.cross_attention = (
            Attention(width, config.slot_width, heads, bias=False) if cross else None
        )
        self.unit_norm = nn.RMSNorm(width, eps=1e-5)
        self.unit = GatedUnit(width, config.inner)

    def forward(
        self,
        x: torch.Tensor,
        mask: torch.Tensor,
        keys: torch.Tensor | None = None,
        slots: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Take and return (rows, length, width)."""
        y = self.norm(x)
        x = x + self.attention(y, y, y, mask)
        if self.cross_attention is not None and self.cross_norm is not None:
            assert keys is not None
            assert slots is not None
            everything = torch.ones(1, dtype=torch.bool, device=x.device)
            x = x + self.cross_attention(self.cross_norm(x), keys, slots, everything)
        out: torch.Tensor = x + self.unit(self.unit_norm(x))
        return out


class Bottleneck(nn.Module):
    """Learned slots attend to the protein and are cut to a few numbers each."""

    def __init__(self, config: DualLlamaConfig) -> None:
        super().__init__()
        width = config.width
        # Each slot starts out looking at a stretch of its own: a query equal to the key of a place.
        stretch = config.positions // config.slots
        places = waves(config.positions, width, torch.empty(0))
        self.slots = nn.Parameter(places[stretch // 2 :: stretch][: config.slots].clone())
        self.norm = nn.RMSNorm(width, eps=1e-5)
        self.attention = Attention(width, width, config.heads, bias=False)
        self.attention.learned_queries = True
        nn.init.normal_(self.attention.key.weight, std=2.0 * width**-0.5)
        self.attention.query.weight.data.copy_(self.attention.key.weight)
        self.unit_norm = nn.RMSNorm(width, eps=1e-5)
        self.unit = GatedUnit(width, config.inner)
        self.out_norm = nn.RMSNorm(width, eps=1e-5)
        self.out = nn.Linear(width, config.slot_width, bias=False)

    def forward(self, states: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        """Return the bottleneck, shape (rows, slots, slot_width)."""
        values = self.norm(states)
        keys = values + waves(states.shape[1], states.shape[2], states)
        x = self.slots.expand(len(states), -1, -1)
        x = self.attention(x, keys, values, inside[:, None, None])
        x = x + self.unit(self.unit_norm(x))
        out: torch.Tensor = self.out(self.out_norm(x))
        return out


class DualLlama(nn.Module):
    """An encoder, a bottleneck and a decoder of a protein.

    Parameters
    ----------
    config : DualLlamaConfig

    Examples
    --------
    >>> network = DualLlama(DualLlamaConfig(width=10, heads=1, inner=8, encoder_layers=1,
    ...                                     decoder_layers=1, slots=3, slot_width=4)).eval()
    >>> ids = torch.tensor([[2, 3, 4, 0]])
    >>> slots = network.compress(ids)
    >>> tuple(slots.shape), tuple(network.rebuild(slots, 3).shape)
    ((1, 3, 4), (1, 3, 23))
    """

    PADDING, HIDDEN, FIRST = 0, 1, 2

    def __init__(self, config: DualLlamaConfig) -> None:
        super().__init__()
        self.config = config
        tokens = len(config.alphabet) + self.FIRST
        self.embedding = nn.Embedding(tokens, config.width)
        self.encoder = nn.ModuleList(
            LlamaBlock(config, cross=False) for _ in range(config.encoder_layers)
        )
        self.bottleneck = Bottleneck(config)
        self.places = nn.Parameter(torch.randn(config.slots, config.slot_width))
        self.shown = nn.Embedding(tokens, config.width)
        self.decoder = nn.ModuleList(
            LlamaBlock(config, cross=True) for _ in range(config.decoder_layers)
        )
        self.norm = nn.RMSNorm(config.width, eps=1e-5)
        self.writer = nn.Linear(config.width, tokens, bias=False)

    def get_input_embeddings(self) -> nn.Module:
        """Return what embeds the residues that are read."""
        return self.embedding

    def compress(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the bottleneck of token ids (rows, length), padded with 0."""
        inside = ids != self.PADDING
        x = self.embedding(ids)
        for block in self.encoder:
            x = block(x, inside[:, None, None])
        out: torch.Tensor = self.bottleneck(x, inside)
        return out

    def write(self, slots: torch.Tensor, shown: torch.Tensor) -> torch.Tensor:
        """Return logits (rows, length, tokens) of each residue.

        Parameters
        ----------
        slots : torch.Tensor, shape (rows, slots, slot_width)
        shown : torch.Tensor of int, shape (rows, length)
            The residue before each, or `HIDDEN`; the first is always hidden.
        """
        length = shown.shape[1]
        x = self.shown(shown)
        x = x + waves(length, x.shape[-1], x)
        past = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
        for block in self.decoder:
            x = block(x, past, slots + self.places, slots)
        out: torch.Tensor = self.writer(self.norm(x))
        return out

    def rebuild(self, slots: torch.Tensor, length: int) -> torch.Tensor:
        """Return logits (rows, length, tokens) from the bottleneck alone."""
        hidden = torch.full((len(slots), length), self.HIDDEN, device=slots.device)
        return self.write(slots, hidden)

    def forward(self, ids: torch.Tensor, shown: torch.Tensor | None = None) -> torch.Tensor:
        """Compress and write: shown by default are the residues themselves, one place later."""
        if shown is None:
            shown = F.pad(ids, (1, 0), value=self.HIDDEN)[:, :-1]
        return self.write(self.compress(ids), shown)
