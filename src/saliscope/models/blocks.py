"""Parts that the package's own networks share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import nn

__all__ = ["Attention", "Held", "Pair", "Shape", "turned", "waves"]

Pair = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Shape:
    """Base of the configurations of the package's own networks: to and from plain values."""

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Read a configuration that `to_dict` wrote; `model_type` stands for the class."""
        plain = {k: v for k, v in given.items() if k != "model_type"}
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()})


def waves(length: int, width: int, like: torch.Tensor) -> torch.Tensor:
    """Return sinusoidal positions (Vaswani et al. 2017, section 3.5), shape (length, width)."""
    place = torch.arange(length, device=like.device, dtype=torch.float32)[:, None]
    rate = torch.exp(
        torch.arange(0, width, 2, device=like.device, dtype=torch.float32)
        * (-math.log(10000.0) / width)
    )
    both = torch.stack([torch.sin(place * rate), torch.cos(place * rate)], dim=-1)
    return both.flatten(1).to(like.dtype)


def turned(x: torch.Tensor) -> torch.Tensor:
    """Turn (rows, heads, length, width) by position: rotary embedding (Su et al. 2021, eq. 34)."""
    sines, cosines = waves(x.shape[-2], x.shape[-1], x).unflatten(-1, (-1, 2)).unbind(-1)
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
    pairs = torch.stack(
        [first * cosines - second * sines, first * sines + second * cosines], dim=-1
    )
    out: torch.Tensor = pairs.flatten(-2)
    return out


class Held:
    """Keys and values that an attention keeps from one step of writing to the next.

    Parameters
    ----------
    grows : bool
        Whether each step adds its own (attention to what was written), or the first step's serve
        all (attention to the line).

    Examples
    --------
    >>> held = Held(grows=True)
    >>> one = torch.ones(1, 2, 1, 3)
    >>> [tuple(held.after(lambda: (one, one))[0].shape) for _ in range(2)]
    [(1, 2, 1, 3), (1, 2, 2, 3)]
    """

    def __init__(self, *, grows: bool) -> None:
        self.grows = grows
        self.pair: Pair | None = None

    def after(self, fresh: Callable[[], Pair]) -> Pair:
        """Return keys and values, (rows, heads, key, features), of all steps up to this one."""
        if self.pair is None:
            self.pair = fresh()
        elif self.grows:
            old, new = self.pair, fresh()
            self.pair = torch.cat([old[0], new[0]], 2), torch.cat([old[1], new[1]], 2)
        return self.pair


class Attention(nn.Module):
    """Multi-head attention whose probabilities pass through `tap`: (rows, heads, query, key).

    Parameters
    ----------
    width, source : int
        Features of what attends, and of what is attended to.
    heads : int
    bias : bool
        Of the four linear maps.
    rotary : bool
        Whether queries and keys are turned by their positions.
    """

    learned_queries = False
    """Whether what attends is learned, the same for every input (the slots of a bottleneck)."""

    def __init__(
        self, width: int, source: int, heads: int, *, bias: bool = True, rotary: bool = False
    ) -> None:
        super().__init__()
        self.heads = heads
        self.rotary = rotary
        self.query = nn.Linear(width, width, bias=bias)
        self.key = nn.Linear(source, width, bias=bias)
        self.value = nn.Linear(source, width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)
        self.tap = nn.Identity()

    def forward(
        self, x: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor,
        held: Held | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """Attend from (rows, query, width) to (rows, key, source); `mask` is True where allowed.

        With `held`, keys and values of earlier steps are attended to as well; not with `rotary`.
        """

        def split(tensor: torch.Tensor) -> torch.Tensor:
            parts: torch.Tensor = tensor.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            return parts

        def fresh() -> Pair:
            return split(self.key(keys)), split(self.value(values))

        query = split(self.query(x))
        key, value = fresh() if held is None else held.after(fresh)
        if self.rotary:
            query, key = turned(query), turned(key)
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        probabilities = self.tap(torch.softmax(scores, dim=-1))
        mixed: torch.Tensor = (probabilities @ value).transpose(1, 2).flatten(2)
        out: torch.Tensor = self.out(mixed)
        return out
