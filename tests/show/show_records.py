"""Records made by hand, as realistic as the models' own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from saliscope.core.attribution import Attribution
from saliscope.core.health import finding
from saliscope.core.record import Record

HBB = (
    "MVHLTPEEKSAVTALWGKVNVDEVGGEALGRLLVVYPWTQRFFESFGDLSTPDAVMGNPKVKAHGKKVLGAFSDGLAHLDNLKGTFATLSELHCDKLHVDP"
    "ENFRLLGNVLVCVLAHHFGKEFTPPVQAAYQKVVAGVANALAHKYH"
)
FACTS = {"model": "zoo:protein", "probability": 0.9991, "dtype": "float16", "rows": 8, "halved": 4}
REVIEW = "A delightful, unhurried film, but the ending is a dreadful mess."


class AttentionMap(Record):
    """A record of the kind that attention gives."""

    kind: ClassVar[str] = "attention_map"


def provenance(**more: Any) -> dict[str, Any]:
    """Return how a result was made."""
    return {
        "evaluations": 29, "calls": 4, "seconds": 1.25, "tolerance": 0.01, "seed": 0,
        "budget": 268435456, "options": {"steps": None},
        "model": {"name": "zoo:protein", "class": "EsmForMaskedLM", "modality": "protein",
                  "parameters": 4120000, "dtype": "float32", "device": "cpu", "weights": "3f9a12"},
        "versions": {"saliscope": "0.1.0", "torch": "2.13.0"}, "created": "2026-03-01T10:00:00Z",
        **more,
    }  # fmt: skip


def protein(
    sequence: str = HBB, *, targets: Sequence[str] = ("log-probability of the sequence",),
    name: str = "HBB_HUMAN", seed: int = 0, health: Sequence[str] = ("unmasked_copy",), **more: Any,
) -> Attribution:  # fmt: skip
    """Return an attribution along a protein."""
    generator = np.random.default_rng(seed)
    size = len(sequence)
    values = generator.laplace(0, 0.08, (len(targets), size))
    for place, value in ((15, 1.1), (63, 0.9), (92, 1.4), (91, -0.5), (6, -0.7), (98, 0.6)):
        if place < size:
            values[:, place] += value
    several = len(targets) > 1
    dims = ("target", "position") if several else ("position",)
    data = xr.Dataset(
        {"values": (dims, values if several else values[0]),
         "score": (dims[:-1], np.full(len(targets), -3.21) if several else np.float64(-3.21)),
         "baseline_score": (dims[:-1], np.full(len(targets), -5.0) if several else np.float64(-5)),
         "error": (dims[:-1], np.full(len(targets), 0.004) if several else np.float64(0.0042))},
        coords={"position": np.arange(1, size + 1), "residue": ("position", list(sequence))},
    )  # fmt: skip
    meta = {
        "name": name, "text": sequence, "modality": "protein", "method": "integrated_gradients",
        "target": list(targets), "scale": "log_prob", "signed": True, "unit": "score",
        "health": [finding(code, **FACTS).to_dict() for code in health], "provenance": provenance(),
        "misuse": "with a baseline that means something to the model",
        "how": "Gradients along the straight path from a baseline to the input, summed.",
    }  # fmt: skip
    return Attribution(data, {**meta, **more})


def words(
    text: str = REVIEW, pieces: Sequence[tuple[int, int]] | None = None, *, name: str = "review 1",
    values: Sequence[float] | None = None, targets: Sequence[str] = ("positive",), **more: Any,
) -> Attribution:  # fmt: skip
    """Return an attribution along the words of a text."""
    if pieces is None:
        pieces, start = [], 0
        for word in text.replace("\n", " ").split(" "):
            if word:
                pieces.append((start, start + len(word.rstrip(",."))))
            start += len(word) + 1
    generator = np.random.default_rng(3)
    found = np.asarray(values if values is not None else generator.normal(0, 0.4, len(pieces)))
    if values is None:
        for place, word in enumerate(pieces):
            found[place] += {"delightful": 2.0, "dreadful": -2.4, "mess": -1.1}.get(
                text[word[0] : word[1]], 0.0
            )
    data = xr.Dataset(
        {"values": ("position", found), "probability_drop": ("position", found / 6),
         "score": np.float64(1.37)},
        coords={"position": np.arange(1, len(pieces) + 1),
                "word": ("position", [text[s:e] for s, e in pieces] or np.array([], dtype=str)),
                "start": ("position", [s for s, _ in pieces]),
                "end": ("position", [e for _, e in pieces])},
    )  # fmt: skip
    meta = {
        "name": name, "text": text, "modality": "text", "method": "masking",
        "target": list(targets), "scale": "logit", "signed": True, "unit": "score",
        "prediction": [{"label": "positive", "probability": 0.798},
                       {"label": "negative", "probability": 0.202}],
        "health": [], "provenance": provenance(),
        "misuse": "where two units say the same",
    }  # fmt: skip
    return Attribution(data, {**meta, **more})


def tensor(shape: tuple[int, ...] = (2, 6), **more: Any) -> Attribution:
    """Return an attribution of a plain tensor of examples."""
    generator = np.random.default_rng(1)
    dims = ("example", *(f"dim_{k}" for k in range(1, len(shape))))
    data = xr.Dataset({"values": (dims, generator.normal(size=shape))})
    meta = {"name": "tensor", "text": "", "modality": "tensor", "method": "gradient",
            "target": ["class 0"], "signed": True, "unit": "score per unit of input",
            "health": [], "provenance": provenance()}  # fmt: skip
    return Attribution(data, {**meta, **more})


def attention(
    reduce: str = "received", *, sequence: str = HBB, layers: int = 6, heads: int = 4,
    name: str = "HBB_HUMAN", seed: int = 0, **more: Any,
) -> AttentionMap:  # fmt: skip
    """Return a map of attention over a protein."""
    generator = np.random.default_rng(seed)
    size = len(sequence)

    def shares(*shape: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        raw = np.exp(generator.normal(0, 1.0, shape) + 2.0 * (generator.random(shape[-1]) > 0.96))
        return np.asarray(raw / raw.sum(-1, keepdims=True))

    coords: dict[str, Any] = {"residue": ("position", list(sequence))}
    if reduce == "received":
        dims, values = ("layer", "head", "position"), shares(layers, heads, size)
        coords |= {"layer": np.arange(layers), "head": np.arange(heads),
                   "position": np.arange(1, size + 1)}  # fmt: skip
    else:
        near = -np.abs(np.subtract.outer(np.arange(size), np.arange(size))) / 6
        lead = {"mean": (layers,), "full": (layers, heads), "rollout": ()}[reduce]
        values = np.exp(near + generator.normal(0, 0.6, (*lead, size, size)))
        values /= values.sum(-1, keepdims=True)
        dims = (*("layer", "head")[: len(lead)], "query", "key")
        coords = {d: np.arange(s) + (d in {"query", "key"})
                  for d, s in zip(dims, values.shape, strict=True)}  # fmt: skip
        coords |= {"query_residue": ("query", list(sequence)),
                   "key_residue": ("key", list(sequence))}  # fmt: skip
    data = xr.Dataset({"values": (dims, values)}, coords=coords)
    if "layer" in dims:
        paths = [f"esm.encoder.layer.{k}.attention.self" for k in range(layers)]
        data = data.assign_coords(module=("layer", paths))
        data["removed"] = (("layer",), np.full(layers, 0.31))
        data["seen"] = (("layer", dims[-1]), np.full((layers, size), size))
    meta = {"name": name, "text": sequence, "method": "attention", "reduce": reduce,
            "kind": "encoder", "unit": "residue", "signed": False, "health": [],
            "options": {"specials": "drop"}, "provenance": provenance()}  # fmt: skip
    return AttentionMap(data, {**meta, **more})


def written(targets: int, size: int, *, streams: bool = True, signed: bool = True) -> Attribution:
    """Return what explains the last tokens of a text, each by those before it."""
    first = size - targets + 1
    values = np.arange(1.0, targets * size + 1).reshape(targets, size) / 7
    if signed:
        values[:, 1::2] *= -1
    for row in range(targets):
        values[row, first - 1 + row :] = 0
    words_ = [f"w{k + 1}" for k in range(size)]
    coords: dict[str, Any] = {
        "target": [f"token {k} vs other {k} at {k}" for k in range(first, size + 1)],
        "position": np.arange(1, size + 1), "token": ("position", words_),
    }  # fmt: skip
    if streams:
        coords["stream"] = (
            "position", ["prompt"] * (first - 1) + ["output"] * targets
        )  # fmt: skip
    data = xr.Dataset({"values": (("target", "position"), values)}, coords=coords)
    return Attribution(data, {
        "name": "a text", "text": " ".join(words_), "modality": "text", "method": "gradient",
        "target": coords["target"], "signed": signed, "unit": "score", "provenance": {},
    })  # fmt: skip


def pairs(
    size: int = 5, *, targets: Sequence[str] = ("positive",), drawn: bool = True
) -> Attribution:
    """Return Shapley values with interactions, of words with known numbers."""
    values = np.arange(1.0, size + 1)
    rows, columns = np.indices((size, size))
    both = rows + columns
    second = np.where(rows == columns, 0.0, both * np.where(both > 3, -0.5, 0.25))
    names = [f"word{k} {k + 1}" for k in range(size)]
    several = len(targets) > 1
    lead = ("target",) if several else ()
    each = (len(targets),) if several else ()
    data = xr.Dataset(
        {"values": ((*lead, "position"), np.broadcast_to(values, (*each, size)).copy()),
         "stderr": ((*lead, "position"), np.full((*each, size), 0.75 if drawn else 0.0)),
         "interaction": ((*lead, "first", "second"),
                         np.broadcast_to(second, (*each, size, size)).copy()),
         "interaction_stderr": ((*lead, "first", "second"),
                                np.full((*each, size, size), 0.2 if drawn else 0.0))},
        coords={"position": np.arange(1, size + 1), "first": names, "second": names,
                "word": ("position", [f"word{k}" for k in range(size)])},
    )  # fmt: skip
    meta = {"name": "pairs", "text": "", "modality": "text", "method": "shapley",
            "target": list(targets), "signed": True, "unit": "score", "health": [],
            "provenance": provenance()}  # fmt: skip
    return Attribution(data, meta)
