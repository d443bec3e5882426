"""What attention of a recognizer is read from: a module, its arguments, and both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from saliscope.core.errors import RefusedError
from saliscope.core.grids import centers
from saliscope.core.health import Finding
from saliscope.core.model import Sample
from saliscope.core.string_target import visible
from saliscope.core.units import Units
from saliscope.models.vision.heads import StepHead

if TYPE_CHECKING:
    from saliscope.models.vision.recognizer import Recognizer

__all__ = ["Looking", "looking"]

_LEADING = 16  # class and register tokens that may lead the cells of a picture


@dataclass(frozen=True, eq=False)
class Looking:
    """A pass through which attention is read.

    Parameters
    ----------
    module : torch.nn.Module
    arguments : dict
    queries, keys : Units
    text : str
        What is written in this pass.
    findings : tuple of Finding
        What was noticed of the line and its text.
    memory : torch.Tensor, optional
        What the encoder gave for the line, where the pass need not begin before it.
    """

    module: nn.Module
    arguments: dict[str, Any]
    queries: Units
    keys: Units
    text: str
    findings: tuple[Finding, ...]
    memory: torch.Tensor | None = None

    @property
    def shorter(self) -> dict[str, Any]:
        """The arguments of a pass that begins where the line was read already."""
        if self.memory is None:
            return self.arguments
        rest = {name: given for name, given in self.arguments.items() if name != "pixel_values"}
        return {**rest, "encoder_outputs": (self.memory,)}


def looking(model: Recognizer, sample: Sample, kind: str) -> Looking:
    """Return how attention of a kind is read while a decoder writes its own text.

    Parameters
    ----------
    model : Recognizer
        With a decoder.
    sample : Sample
    kind : {"encoder", "decoder", "cross"}
        The queries of "decoder" and "cross" are the characters that are written: attention at the
        step at which a character is chosen, before it is known.

    Raises
    ------
    RefusedError
        The head is connectionist: it has no attention.
    """
    head = model.head
    if not isinstance(head, StepHead):
        msg = (
            f"the CTC head of {model.name} has no attention; use head='decoder' where there is "
            "one, or a gradient or occlusion"
        )
        raise RefusedError(msg)
    sample = model.continued(sample, [None])
    text: str = sample.context["texts"][None]
    ids: tuple[int, ...] = sample.context["ids"][text]
    given = torch.tensor([[head.start, *ids]], device=model.device)
    arguments = {"pixel_values": model.given(sample.value[None]), "decoder_input_ids": given}
    chosen = _written(head, (*ids, head.end))
    # A picture of any width gives frames along it; one of a fixed size may be cut into patches.
    patches = model.preparation.size is not None
    seen = _cells(sample, int(sample.context["memory"].shape[1]), patches=patches)
    if kind == "encoder" and model.eye is not None:
        eye = model.module.get_submodule(model.eye)
        pixels = {"pixel_values": arguments["pixel_values"]}
        return Looking(eye, pixels, seen, seen, text, sample.findings)
    memory: torch.Tensor | None = sample.context["memory"]
    if kind == "encoder":
        queries = keys = seen
        memory = None
    elif kind == "decoder":
        queries, keys = chosen, _written(head, (head.start, *ids))
    else:
        queries, keys = chosen, seen
    return Looking(model.writer, arguments, queries, keys, text, sample.findings, memory)


def _written(head: StepHead, ids: tuple[int, ...]) -> Units:
    """Return what is written as units; starts, ends and silent outputs are special."""
    special = {head.start, head.end} | head.silent
    keep = np.array([i not in special for i in ids])
    names = [
        visible(head.spelling.decode([i])) if real else ""
        for i, real in zip(ids, keep, strict=True)
    ]  # fmt: skip
    numbers = np.where(keep, np.cumsum(keep), 0).tolist()
    coords = {"position": ("position", numbers), "character": ("position", names)}
    return Units(("position",), (len(ids),), "character", coords, keep)


def _cells(sample: Sample, count: int, *, patches: bool) -> Units:
    """Return what the encoder gives as units: frames along the line, or patches of the picture.

    Their centers are in pixels of the model's input.
    """
    high, wide = sample.units.shape
    rows, columns, leading = 1, count, 0
    patch = sample.units.groupings["patch"]
    if patches and patch.grid:
        down, across = map(len, patch.grid)
        if 0 <= count - down * across <= _LEADING and down * across > 1:
            rows, columns, leading = down, across, count - down * across
    y = np.repeat(centers(rows, high), columns)
    x = np.tile(centers(columns, wide), rows)
    nothing = [-1.0] * leading
    numbers = [0] * leading + list(range(1, rows * columns + 1))
    keep = np.array([False] * leading + [True] * (rows * columns))
    return Units(
        ("position",), (count,), "cell",
        {"position": ("position", numbers), "y": ("position", [*nothing, *y.tolist()]),
         "x": ("position", [*nothing, *x.tolist()])},
        keep,
    )  # fmt: skip
