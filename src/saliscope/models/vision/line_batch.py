"""Rows of lines for one pass, each piece with the strings that are read off it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from saliscope.models.torch_model import Batch

__all__ = ["LineBatch", "joined", "runs"]

Ids = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class LineBatch(Batch):
    """Rows of lines, and the strings that each piece brings."""

    strings: tuple[tuple[Ids, ...], ...] = ()


def runs(batch: LineBatch) -> list[tuple[int, int, tuple[Ids, ...]]]:
    """Return first row, end and strings of rows that follow each other and bring the same."""
    found: list[tuple[int, int, tuple[Ids, ...]]] = []
    for begin, end, strings in zip(batch.starts[:-1], batch.starts[1:], batch.strings, strict=True):
        if found and found[-1][2] == strings:
            found[-1] = (found[-1][0], end, strings)
        else:
            found.append((begin, end, strings))
    return found


def joined(parts: Sequence[torch.Tensor], axis: int) -> torch.Tensor:
    """Return parts behind each other along rows, the shorter ones padded with zeros."""
    if len(parts) == 1:
        return parts[0]
    longest = max(part.shape[axis] for part in parts)
    padded = []
    for part in parts:
        missing = longest - part.shape[axis]
        zeros = part.new_zeros(*part.shape[:axis], missing, *part.shape[axis + 1 :])
        padded.append(torch.cat([part, zeros], axis) if missing else part)
    return torch.cat(padded)
