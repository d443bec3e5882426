"""Encoder-decoders of which it is known what their bottleneck keeps."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from saliscope.bottleneck import Feed
from saliscope.bottleneck.tasks import AMINO

WIDTH = len(AMINO)


class OneHot(nn.Module):
    """Residues as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return F.one_hot(ids, WIDTH) * self.scale


class Everything(nn.Module):
    """Each residue in a slot of its own."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return states


class Composition(nn.Module):
    """How often each residue occurs: one slot."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return states.mean(1, keepdim=True)


class Order(nn.Module):
    """Which places hold equal residues: each residue by when it was first seen, not by name."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        letters = states[0].argmax(-1).tolist()
        first = {letter: i for i, letter in enumerate(dict.fromkeys(letters))}
        codes = torch.tensor([[first[letter] for letter in letters]])
        return F.one_hot(codes, WIDTH).to(states.dtype)


class Constant(nn.Module):
    """Nothing."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return torch.zeros(1, 1, WIDTH, dtype=states.dtype)


class Told(nn.Module):
    """A property of residues that are far apart, which no window of residues shows."""

    APART = 9

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        number = states[0].argmax(-1)
        both = (number + number.roll(self.APART)) % 2
        noise = torch.cos(torch.arange(len(both) * 3, dtype=states.dtype) ** 2).reshape(-1, 3)
        return torch.cat([both[:, None].to(states.dtype), noise], -1)[None]

    @classmethod
    def of(cls, sequence: str) -> np.ndarray:
        number = np.array([AMINO.index(a) for a in sequence])
        return ((number + np.roll(number, cls.APART)) % 2).astype(float)


class Writer(nn.Module):
    """Writes what the slots say: at each place its own, or the same everywhere."""

    def forward(self, numbers: torch.Tensor, length: int) -> torch.Tensor:
        logits = 10 * numbers[..., :WIDTH]
        if logits.shape[-1] < WIDTH:
            logits = F.pad(logits, (0, WIDTH - logits.shape[-1]))
        return logits if logits.shape[1] == length else logits[:, :1].expand(-1, length, -1)


class Planted(nn.Module):
    """An encoder, a bottleneck that is given, and a decoder."""

    def __init__(self, between: nn.Module) -> None:
        super().__init__()
        self.reader = OneHot()
        self.squeeze = between
        self.writer = Writer()

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.writer(self.squeeze(self.reader(ids)), ids.shape[1])
        return out


PARTS = {"encoder": "reader", "bottleneck": "squeeze", "decoder": "writer"}


def feed(raw: str) -> Feed:
    """Return a protein as a `Planted` takes it."""
    ids = np.array([AMINO.index(a) for a in raw])
    return Feed({"": torch.from_numpy(ids)[None]}, ids)


def proteins(count: int, seed: int = 0, low: int = 40, high: int = 61) -> list[str]:
    """Return random proteins of different composition."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        share = rng.dirichlet(np.full(WIDTH, 1.0))
        found.append("".join(rng.choice(list(AMINO), int(rng.integers(low, high)), p=share)))
    return found
