"""Rows of one line of handwriting: a map for each of its characters, on `zoo:handwriting`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import torch

import saliscope
from benchmarks.harness import FLOOR, OURS, Case, faster, near_floor

__all__ = ["CHARACTERS"]

PEER = "captum, one call per character"
WINDOW, STRIDE = 8, 4


class Line:
    """A line, and the characters of what is read in it, as plain tensors."""

    def __init__(self) -> None:
        self.model = saliscope.load("zoo:handwriting")
        self.path = str(files("saliscope") / "samples/lines/limousin.jpg")
        self.target = saliscope.Characters()
        (sample,) = self.model.prepare(self.path)
        sample = self.target.on(self.model, sample)
        self.text = sample.context["texts"][None]
        self.bound = self.target.bind(self.model, sample)
        self.pixels = sample.value.permute(2, 0, 1)[None].contiguous()
        self.width = torch.tensor([self.pixels.shape[-1]])
        self.network = self.model.module.eval().requires_grad_(False)
        self.count = self.bound.count
        self.terms = [
            (
                torch.from_numpy(self.bound.position[self.bound.owner == k]),
                torch.from_numpy(self.bound.index[self.bound.owner == k]),
                torch.from_numpy(self.bound.weight[self.bound.owner == k]).float(),
            )
            for k in range(self.count)
        ]

    def read(self, images: torch.Tensor, character: int) -> torch.Tensor:
        """Return the weighted log-probabilities of one character, shape (rows,)."""
        return self.picked(self.logs(images), character)

    def logs(self, images: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities of all frames, shape (rows, frames, outputs)."""
        return self.network(images, self.width.expand(len(images))).log_softmax(-1)

    def picked(self, logs: torch.Tensor, character: int) -> torch.Tensor:
        """Return one character of the log-probabilities of all frames."""
        place, output, weight = self.terms[character]
        return logs[:, place, output] @ weight


@cache
def line() -> Line:
    """Return the line of all rows."""
    return Line()


def slopes() -> Case:
    """Time the gradient of every character."""
    from captum.attr import Saliency

    it = line()
    peer = Saliency(it.read)

    def ours() -> Any:
        found = saliscope.explain(it.model, it.path, "gradient", it.target)
        return np.abs(found.to_numpy())

    def captum() -> Any:
        maps = [
            peer.attribute(it.pixels, additional_forward_args=k).detach().numpy()[0, 0]
            for k in range(it.count)
        ]
        return np.stack(maps)

    def bare() -> None:
        """Run one forward pass, and a backward pass for each character."""
        leaf = it.pixels.clone().requires_grad_()
        logs = it.logs(leaf)
        for k in range(it.count):
            torch.autograd.grad(it.picked(logs, k).sum(), leaf, retain_graph=k + 1 < it.count)

    return Case(
        {OURS: ours, PEER: captum, FLOOR: bare}, (near_floor(),), captum, lambda: it.count,
        warm=lambda: it.logs(it.pixels),
    )  # fmt: skip


def windows() -> Case:
    """Time occlusion by columns of every character."""
    from captum.attr import Occlusion

    it = line()
    paper = it.model.baseline(it.model.prepare(it.path)[0], "paper").value
    tone = paper.permute(2, 0, 1)[None].contiguous()
    peer = Occlusion(it.read)
    steps = (it.pixels.shape[-1] - WINDOW) // STRIDE + 2

    def ours() -> Any:
        found = saliscope.explain(
            it.model, it.path, "occlusion", it.target, window=(48, WINDOW), stride=(48, STRIDE),
            fill="paper",
        )  # fmt: skip
        return found.to_numpy()

    def captum() -> Any:
        maps = [
            peer.attribute(
                it.pixels, (1, 48, WINDOW), (1, 48, STRIDE), baselines=tone,
                additional_forward_args=k, perturbations_per_eval=16,
            ).detach().numpy()[0, 0]
            for k in range(it.count)
        ]  # fmt: skip
        return np.stack(maps)

    def bare() -> None:
        rows = it.pixels.expand(16, -1, -1, -1).contiguous()
        with torch.no_grad():
            for left in range(steps, 0, -16):
                it.logs(rows[:left])

    return Case(
        {OURS: ours, PEER: captum, FLOOR: bare}, (faster(PEER, 5), near_floor()), captum,
        lambda: steps, warm=lambda: it.logs(it.pixels),
    )  # fmt: skip


def looks() -> Case:
    """Time what the decoder looked at for every character."""
    from captum.attr import LayerActivation

    it = line()
    decoder = it.model.with_head("decoder")
    number = {c: i + 1 for i, c in enumerate(it.network.config.alphabet)}
    tap = it.network.get_submodule("layers.1.cross_attention.tap")

    def next_of(images: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        memory, frames = it.network.encode(images, it.width)
        return it.network.decode(memory, frames, before)[:, -1]

    peer = LayerActivation(next_of, tap)

    def ours() -> Any:
        saliscope.attention(decoder, it.path, kind="cross", reduce="mean")

    def captum() -> Any:
        text = decoder.read(it.path).text  # which nobody knows before it was read
        written = torch.tensor([[0, *(number[c] for c in text)]])
        for k in range(len(text)):
            peer.attribute(it.pixels, additional_forward_args=written[:, : k + 1])

    return Case({OURS: ours, PEER: captum}, (faster(PEER, 5),), None, None,
                warm=lambda: it.logs(it.pixels))  # fmt: skip


CHARACTERS: dict[str, Callable[[], Case]] = {
    "gradient of each of 38 characters, zoo:handwriting": slopes,
    "occlusion by columns of each of 38 characters, zoo:handwriting": windows,
    "cross-attention of each of 39 characters, zoo:handwriting": looks,
}
