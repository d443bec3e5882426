"""What should make a reader of a line doubt its recognizer: measured on the line itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from saliscope.core.health import Finding, finding
from saliscope.core.string_target import visible
from saliscope.models.vision.heads import FrameHead
from saliscope.models.vision.lines import paper

if TYPE_CHECKING:
    from saliscope.core.model import Sample
    from saliscope.models.vision.recognizer import Recognizer

__all__ = ["language_memory", "memory_of", "shuffled", "unlikely_blank"]

_MOSTLY = 0.5  # share of frames that one symbol has in place of the blank
_FRAMES = 8  # fewer say nothing of what is usual
_REMEMBERED = 0.5  # share of a step's probability that is left without the line


def unlikely_blank(head: FrameHead, memory: torch.Tensor) -> list[Finding]:
    """Return a finding where the declared blank is said at no frame, and a symbol at most."""
    best = memory[0].argmax(-1)
    if len(best) < _FRAMES or bool((best == head.blank).any()):
        return []
    symbol = int(best.mode().values)
    share = float((best == symbol).double().mean())
    if share < _MOSTLY:
        return []
    name = visible(head.spelling.symbols[symbol])
    return [finding("unlikely_blank", blank=head.blank, symbol=name, output=symbol, share=share)]


def shuffled(value: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Return a line whose pieces, half as wide as it is high, stand in another order.

    It has the same ink and paper, and no text that could be read.

    Parameters
    ----------
    value : torch.Tensor, shape (y, x, channels)
    seed : int

    Examples
    --------
    >>> line = torch.arange(8.0).expand(4, 8)[..., None]
    >>> sorted(shuffled(line)[0, :, 0].tolist()) == list(range(8))
    True
    """
    pieces = list(value.split(max(1, value.shape[0] // 2), 1))
    order = np.random.default_rng(seed).permutation(len(pieces))
    return torch.cat([pieces[i] for i in order], 1)


def memory_of(
    model: Recognizer, sample: Sample, ids: tuple[int, ...], log_prob: float
) -> dict[str, float]:
    """Return how probable a decoder finds its text with the line, and without it.

    Parameters
    ----------
    model : Recognizer
        With a decoder.
    sample : Sample
    ids : tuple of int
        What it wrote.
    log_prob : float
        Of that, with the line.

    Returns
    -------
    dict of str to float
        Geometric mean of the probabilities of the steps, given what was written before: with the
        "line", with its pieces "shuffled", and with "blank" paper.
    """
    value: torch.Tensor = sample.value
    blank = paper(value).expand(value.shape)
    with model.quiet(0), torch.no_grad():
        memory: Any = model.alone(torch.stack([shuffled(value), blank]))
        steps = model.head.steps(memory, [ids])
        scores = [log_prob, *model.head.scores(steps, [ids])[:, 0].tolist()]
    means = (math.exp(score / (len(ids) + 1)) for score in scores)
    return dict(zip(("line", "shuffled", "blank"), means, strict=True))


def language_memory(
    model: Recognizer, sample: Sample, ids: tuple[int, ...], log_prob: float
) -> list[Finding]:
    """Return a finding where a decoder is about as sure of its text without the line."""
    if not ids:
        return []
    found = memory_of(model, sample, ids, log_prob)
    without = max(found["shuffled"], found["blank"])
    if without < _REMEMBERED * found["line"]:
        return []
    return [finding("language_memory", **found)]
