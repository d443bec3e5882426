"""Measures for `zoo:handwriting`: readings in batches, error rates with intervals, controls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from handwriting_data import Line, best_path, edits
from saliscope.models.vision.line_network import LineNetwork

_LIMIT = 200  # characters that the decoder writes at most, as in `saliscope.load`


@dataclass(frozen=True)
class Rate:
    """An error rate (edits over true length, all lines together) and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2%} ({self.low:.2%} to {self.high:.2%})"


@dataclass(frozen=True)
class Readings:
    """What both heads read in some lines, and how often the decoder names the next character.

    Parameters
    ----------
    ctc, decoder : list of str
        By the best path, and greedily.
    right, elsewhere : np.ndarray of int, shape (lines,)
        Characters of the true text that the decoder finds most probable, given the true ones before
        them, with this line before its eyes, and with another line of similar width.
    """

    ctc: list[str]
    decoder: list[str]
    right: np.ndarray
    elsewhere: np.ndarray


@torch.inference_mode()
def readings(
    model: LineNetwork, images: Sequence[np.ndarray], texts: Sequence[str], rows: int = 8
) -> Readings:
    """Read lines of similar width together."""
    alphabet = model.config.alphabet
    number = {c: i + 1 for i, c in enumerate(alphabet)}
    ctc, decoder = [""] * len(images), [""] * len(images)
    right, elsewhere = np.zeros((2, len(images)), dtype=np.int64)
    order = np.argsort([image.shape[1] for image in images], kind="stable")
    for chosen in np.array_split(order, -(-len(order) // rows)):
        memory, frames = model.encode(*_stacked([images[i] for i in chosen]))
        logits = model.ctc(memory).numpy()
        for row, i in enumerate(chosen):
            ctc[i] = best_path(logits[row, : int(frames[row])], alphabet)
        written = _greedy(model, memory, frames, [[number[c] for c in ctc[i]] for i in chosen])
        for codes, i in zip(written, chosen, strict=True):
            decoder[i] = "".join(alphabet[c - 1] for c in codes)
        true = _padded([[number.get(c, -1) for c in texts[i]] for i in chosen])
        before = torch.cat([torch.zeros(len(chosen), 1, dtype=torch.long), true[:, :-1]], 1)
        turned = (memory.roll(1, 0), frames.roll(1, 0))
        for into, (what, count) in ((right, (memory, frames)), (elsewhere, turned)):
            said = model.decode(what, count, before.clamp(min=0)).argmax(-1)
            into[chosen] = ((said == true) & (true > 0)).sum(1).numpy()
    return Readings(ctc, decoder, right, elsewhere)


def _stacked(images: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return lines (rows, 1, 48, widest) in [0, 1], white right of each, and their widths."""
    widths = [image.shape[1] for image in images]
    out = np.ones((len(images), 1, images[0].shape[0], max(widths)), dtype=np.float32)
    for row, image in zip(out, images, strict=True):
        row[0, :, : image.shape[1]] = image / np.float32(255)
    return torch.from_numpy(out), torch.tensor(widths)


def _padded(codes: Sequence[Sequence[int]], more: int = 0) -> torch.Tensor:
    out = torch.zeros(len(codes), max(map(len, codes)) + more, dtype=torch.long)
    for row, code in zip(out, codes, strict=True):
        row[: len(code)] = torch.tensor(code)
    return out


def _greedy(
    model: LineNetwork, memory: torch.Tensor, frames: torch.Tensor, draft: list[list[int]]
) -> list[list[int]]:
    """Return what the decoder writes: always the most probable character, until the end.

    A draft is written anew, all places at once, until it no longer changes. What stays is what
    writing one character after the other gives, since the first place depends on no other, the
    second on the first alone, and so on; a good draft only makes it fast (Jacobi iteration).
    """
    written = _padded(draft, more=12)
    while True:
        length = written.shape[1]
        place = torch.arange(length)
        for _ in range(length + 1):
            before = torch.cat([torch.zeros(len(written), 1, dtype=torch.long), written[:, :-1]], 1)
            following = model.decode(memory, frames, before).argmax(-1)
            ends = torch.where(following == 0, place, length).amin(1)
            same = (following == written) | (place > ends[:, None])
            written = following
            if bool(same.all()):
                break
        if length >= _LIMIT or bool((ends < length).all()):
            return [row[:end].tolist() for row, end in zip(written, ends.tolist(), strict=True)]
        more = min(length, _LIMIT - length)
        written = torch.cat([written, torch.zeros(len(written), more, dtype=torch.long)], 1)


def rate(
    found: Sequence[str],
    true: Sequence[str],
    groups: Sequence[str],
    split: Callable[[str], Sequence[str]] = lambda text: text,
) -> Rate:
    """Return the error of readings; the interval redraws whole groups (writers) 2,000 times."""
    wrong = np.array([edits(split(f), split(t)) for f, t in zip(found, true, strict=True)])
    length = np.array([len(split(t)) for t in true])
    names, of = np.unique(np.asarray(groups), return_inverse=True)
    by_group = np.stack([np.bincount(of, weights) for weights in (wrong, length)])
    draws = np.random.default_rng(0).integers(0, len(names), (2000, len(names)))
    above, below = by_group[:, draws].sum(-1)
    low, high = np.quantile(above / below, [0.025, 0.975])
    return Rate(float(wrong.sum() / length.sum()), float(low), float(high))


def shuffled(image: np.ndarray, rng: np.random.Generator, width: int = 4) -> np.ndarray:
    """Return a line whose columns, in strips of `width` pixels, stand in another order."""
    strips = np.array_split(image, max(1, image.shape[1] // width), axis=1)
    return np.concatenate([strips[i] for i in rng.permutation(len(strips))], axis=1)


def constant(train: Sequence[Line], sample: int = 120) -> str:
    """Return the training text that is nearest to the others: the best answer without a look."""
    chosen = np.random.default_rng(0).choice(len(train), sample, replace=False)
    texts = [train[i].text for i in chosen]
    away = [sum(edits(text, other) for other in texts) for text in texts]
    return texts[int(np.argmin(away))]


def commonest(train: Sequence[Line], test: Sequence[str]) -> float:
    """Return how often the next character is the one that most often follows the one before it.

    The table of pairs is counted on the training texts: what a decoder without eyes and with a
    memory of one character would do.
    """
    pairs = Counter(p for line in train for p in zip(" " + line.text, line.text, strict=False))
    best: dict[str, str] = {}
    for (before, after), _ in pairs.most_common():
        best.setdefault(before, after)
    right = sum(best.get(b) == a for text in test for b, a in zip(" " + text, text, strict=False))
    return right / sum(map(len, test))
