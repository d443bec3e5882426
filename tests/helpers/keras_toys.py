"""Small Keras models, the same in every floating type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch

from saliscope.models.keras.adapters import from_object
from saliscope.models.keras.backend import import_keras

if find_spec("keras") is None:
    pytest.skip("Keras is not installed", allow_module_level=True)

LETTERS = "ACDEFGHIKLMNPQRSTVWYX"


@contextmanager
def policy(dtype: torch.dtype) -> Iterator[Any]:
    """Let Keras build in a floating type."""
    keras = import_keras()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(str(dtype).removeprefix("torch."))
    try:
        yield keras
    finally:
        keras.config.set_dtype_policy(before)


def filled(net: Any, seed: int) -> Any:
    """Give a model weights that do not depend on its type."""
    rng = np.random.default_rng(seed)
    net.set_weights([rng.normal(0.0, 0.5, w.shape) for w in net.get_weights()])
    return net


def tensor(dtype: torch.dtype) -> Any:
    """Return a classifier of rows (time, 3) of any length."""
    with policy(dtype) as keras:
        layers = keras.layers
        net = keras.Sequential([
            keras.Input((None, 3)),
            layers.Conv1D(5, 3, padding="same", activation="softplus", name="conv"),
            layers.GlobalAveragePooling1D(name="pool"),
            layers.Dense(6, activation="tanh", name="hidden"),
            layers.Dense(4, activation="softmax", name="classes"),
        ], name="keras_tensor")  # fmt: skip
    return from_object(filled(net, 4), name="keras tensor")


def transformer(
    dtype: torch.dtype = torch.float32, *, length: int | None = None, dropout: float = 0.0,
    masked: bool = False, classes: int = 3, end: str | None = "softmax", seed: int = 5,
) -> Any:  # fmt: skip
    """Return a model of two encoder blocks, from token ids to classes."""
    with policy(dtype) as keras:
        layers = keras.layers
        ids = keras.Input((length,), dtype="int32", name="ids")
        x = layers.Embedding(30, 8, mask_zero=masked, name="embed")(ids)
        for i in range(2):
            attend = layers.MultiHeadAttention(2, 4, dropout=dropout, name=f"attend_{i}")
            x = layers.Add(name=f"add_{i}")([x, attend(x, x)])
            x = layers.LayerNormalization(name=f"norm_{i}")(x)
        x = layers.GlobalAveragePooling1D(name="pool")(x)
        net = keras.Model(ids, layers.Dense(classes, activation=end, name="end")(x), name="toy")
    return filled(net, seed)


def protein(dtype: torch.dtype) -> Any:
    """Return the transformer as a model of proteins."""
    return from_object(transformer(dtype), LETTERS, "keras protein")


def by_hand(net: Any, ids: np.ndarray, blocks: int = 2) -> tuple[np.ndarray, list[np.ndarray]]:
    """Go through the layers as the walk-through does; return the output and all scores."""
    x = net.get_layer("embed")(ids)
    scores = []
    for i in range(blocks):
        seen, weights = net.get_layer(f"attend_{i}")(x, x, return_attention_scores=True)
        scores.append(weights.detach().numpy()[0])
        x = net.get_layer(f"norm_{i}")(net.get_layer(f"add_{i}")([x, seen]))
    out = net.get_layer("end")(net.get_layer("pool")(x))
    return out.detach().numpy()[0], scores
