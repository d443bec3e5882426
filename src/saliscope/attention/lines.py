"""Attention of a recognizer, laid over its picture."""

from __future__ import annotations

import numpy as np

from saliscope.attention.make import attention_map
from saliscope.core.units import FloatArray
from saliscope.models.vision.looking import looking
from saliscope.models.vision.recognizer import Recognizer

__all__ = ["attention_over"]


def attention_over(model: Recognizer, image: object, *, per_character: bool) -> FloatArray:
    """Return cross-attention over a picture; see `Recognizer.get_attention`."""
    reader = model.with_head("decoder") if "decoder" in model.others else model
    (sample,) = reader.prepare(image)
    seen = looking(reader, sample, "cross")
    made = attention_map(seen.module, seen.shorter, seen.queries, seen.keys,
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
