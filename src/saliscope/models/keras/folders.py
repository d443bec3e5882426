"""A Keras model as a folder: its configuration, its tokens and labels, and safetensors.

A ``.keras`` file keeps weights in full precision. A folder keeps them in half, which is what the
models that ship with the package are stored in; `KerasModel.to_keras` writes the file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from saliscope.core.errors import ModelError
from saliscope.models.keras.backend import import_keras
from saliscope.models.keras.files import check_config

__all__ = ["is_keras_folder", "read_folder", "write_folder"]

_LIBRARY = "keras"


def is_keras_folder(path: Path) -> bool:
    """Return whether a folder was written by `write_folder`."""
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("library") == _LIBRARY


def write_folder(
    path: Path, model: Any, tokens: Sequence[str], labels: Sequence[str], *, half: bool = True
) -> None:
    """Write a model as a folder.

    Parameters
    ----------
    path : pathlib.Path
        An existing folder.
    model : keras.Model
        Of built-in or registered layers.
    tokens, labels : sequence of str
        By their id, and by the place of their class.
    half : bool
        Store the weights in half precision.
    """
    keras = import_keras()
    config = {
        "library": _LIBRARY, "tokens": list(tokens), "labels": list(labels),
        "model": keras.saving.serialize_keras_object(model),
    }  # fmt: skip
    kind = np.float16 if half else np.float32
    weights = {
        variable.path: np.asarray(keras.ops.convert_to_numpy(variable.value), dtype=kind)
        for variable in model.variables
        if "seed_generator" not in variable.path
    }
    save_file(weights, str(path / "model.safetensors"))
    text = json.dumps(config, indent=1, sort_keys=True) + "\n"
    (path / "config.json").write_text(text, encoding="utf-8")


def read_folder(path: Path) -> tuple[Any, list[str], list[str]]:
    """Return the model of a folder, its tokens and its labels.

    Raises
    ------
    ModelError
        Something is missing, does not fit, or would run code.
    """
    place = path / "config.json"
    try:
        config = json.loads(place.read_text(encoding="utf-8"))
        tokens, labels = [str(t) for t in config["tokens"]], [str(t) for t in config["labels"]]
        described = config["model"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{place}: is not the configuration of a Keras folder ({error})"
        raise ModelError(msg) from error
    keras = import_keras()
    check_config(place, described, keras)
    try:
        model = keras.saving.deserialize_keras_object(described, safe_mode=True)
        weights = load_file(str(path / "model.safetensors"))
        for variable in model.variables:
            if "seed_generator" not in variable.path:
                variable.assign(weights[variable.path].astype(np.float32))
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        msg = f"{path}: its weights do not fit its configuration ({reason}); copy it again"
        raise ModelError(msg) from error
    return model, tokens, labels
