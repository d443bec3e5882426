"""What attention of a recognizer is read from: a module, its arguments, and both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from saliscope.core.errors import RefusedError
from saliscope.core.grids import centers
from saliscope.core.model import Sample
from saliscope.core.string_target import visible
from saliscope.core.units import FloatArray, Units
from saliscope.models.vision.heads import StepHead

if TYPE_CHECKING:
    from saliscope.models.vision.recognizer import Recognizer

__all__ = ["Looking", "attention_over", "looking"]

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
    """

    module: nn.Module
    arguments: dict[str, Any]
    queries: Units
    keys: Units
    text: str


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
        return Looking(eye, {"pixel_values": arguments["pixel_values"]}, seen, seen, text)
    if kind == "encoder":
        queries = keys = seen
    elif kind == "decoder":
        queries, keys = chosen, _written(head, (head.start, *ids))
    else:
        queries, keys = chosen, seen
    return Looking(model.writer, arguments, queries, keys, text)


def attention_over(model: Recognizer, image: object, *, per_character: bool) -> FloatArray:
    """Return cross-attention over a picture; see `Recognizer.get_attention`."""
    from saliscope.attention.make import attention_map  # a layer above: only when it is asked for

    reader = model.with_head("decoder") if "decoder" in model.others else model
    (sample,) = reader.prepare(image)
    seen = looking(reader, sample, "cross")
    made = attention_map(seen.module, seen.arguments, seen.queries, seen.keys,
                         reduce="mean", kind="cross")  # fmt: skip
    weights = made.values.mean("layer").transpose("query", "key").to_numpy()
    grid = [len(np.unique(made.data[name].to_numpy())) for name in ("key_y", "key_x")]
    cells = weights.reshape(-1, *grid)
    picture, box = sample.context["source"], sample.context["picture"]["box"]
    places = []
    for side, count, first, last in (
        (picture.height, grid[0], box[1], box[3]), (picture.width, grid[1], box[0], box[2]),
    ):  # fmt: skip
        at = np.floor((np.arange(side) + 0.5 - first) / (last - first) * count).astype(int)
        places.append(np.where((at >= 0) & (at < count), at, count))  # not seen: the added cell
    padded = np.pad(cells, ((0, 0), (0, 1), (0, 1)))
    laid: FloatArray = padded[:, places[0][:, None], places[1]]
    return laid if per_character else laid.mean(0)


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
