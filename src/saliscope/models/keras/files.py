"""Keras files, read without running anything that is in them.

Before Keras sees a file, it is looked through here: that it is what its ending says, that it does
not unpack to much more than it holds, and that its configuration names only layers of Keras and
classes that this process has registered. Keras then reads it in its own safe mode.
"""

from __future__ import annotations

import importlib
import json
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from saliscope.core.errors import ModelError
from saliscope.models.keras.backend import import_keras

h5py: Any = importlib.import_module("h5py")

__all__ = ["check_config", "is_keras_path", "read_model", "words_beside"]

_FACTORY = "give your own code that builds it as 'package.module:factory'"
_LARGE, _EXPANSION = 1 << 26, 100  # what may not unpack to a hundred times what is stored
_MOST_MEMBERS, _MOST_CONFIG = 10_000, 1 << 26
_RUNS_CODE = {
    "Lambda": "whose code is in the file",
    "__lambda__": "whose code is in the file",
    "TorchModuleWrapper": "which is pickled in the file",
    "TFSMLayer": "which runs a TensorFlow graph from another file",
}
_H5 = b"\x89HDF\r\n\x1a\n"


def is_keras_path(path: Path) -> bool:
    """Return whether a path is one of a Keras or TensorFlow model, by its name or contents.

    Examples
    --------
    >>> is_keras_path(Path("model.keras")), is_keras_path(Path("model.safetensors"))
    (True, False)
    """
    if path.suffix.lower() in {".keras", ".h5", ".hdf5"}:
        return True
    return (path / "saved_model.pb").is_file() or (path / "keras_metadata.pb").is_file()


def words_beside(path: Path, kind: str) -> list[str] | None:
    """Return the lines of ``model.vocab.txt`` or ``model.labels.txt`` beside ``model.keras``.

    Parameters
    ----------
    path : pathlib.Path
        Of the model.
    kind : {"vocab", "labels"}
        Tokens by their id, or labels by the place of their class.

    Raises
    ------
    ModelError
        A word stands there twice, or the file is no text.
    """
    place = path.with_suffix(f".{kind}.txt")
    if not place.is_file():
        return None
    try:
        words = place.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        msg = f"{place}: is not UTF-8 text; write one word per line, the first is number 0"
        raise ModelError(msg) from error
    for number, word in enumerate(words):
        if word in words[:number]:
            first = words.index(word) + 1
            msg = f"{place}, line {number + 1}: {word!r} stands already at line {first}"
            raise ModelError(msg)
    return words


def read_model(path: Path) -> Any:
    """Return the Keras model of a ``.keras`` or ``.h5`` file, not compiled.

    Raises
    ------
    ModelError
        One line with the file, the reason and the remedy.
    """
    if not path.exists():
        msg = f"{path}: there is no such file"
        raise ModelError(msg)
    if path.is_dir():
        msg = (
            f"{path}: is a TensorFlow SavedModel, a compiled graph whose layers Keras 3 cannot "
            "read; open it where it was made and save it with model.save('model.keras')"
        )
        raise ModelError(msg)
    try:
        config = _archive(path) if path.suffix.lower() == ".keras" else _hdf5(path)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError) as error:
        msg = f"{path}: is damaged ({_line(error)}); copy it again, or save the model again"
        raise ModelError(msg) from error
    keras = import_keras()
    check_config(path, config, keras)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return keras.saving.load_model(str(path), compile=False, safe_mode=True)
    except MemoryError as error:
        msg = f"{path}: its layers do not fit into memory"
        raise ModelError(msg) from error
    except Exception as error:  # Keras raises a dozen kinds, all to be told in one line
        raise ModelError(_why(path, error)) from error


def _archive(path: Path) -> Any:
    """Look through a zip archive; return the configuration in it."""
    with path.open("rb") as file:
        head = file.read(8)
    if not zipfile.is_zipfile(path):
        msg = f"{path}: {_no_archive(head)}"
        raise ModelError(msg)
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        for member in members:
            _bounded(path, member.filename, member.file_size, member.compress_size)
        names = {member.filename for member in members}
        if "config.json" not in names or len(members) > _MOST_MEMBERS:
            msg = f"{path}: is a zip archive, but not one of a Keras model; save it with model.save"
            raise ModelError(msg)
        if archive.getinfo("config.json").file_size > _MOST_CONFIG:
            msg = f"{path}: its config.json is larger than {_MOST_CONFIG >> 20} MiB"
            raise ModelError(msg)
        config = _json(path, archive.read("config.json"))
        if "model.weights.h5" in names:
            with archive.open("model.weights.h5") as weights, h5py.File(weights, "r") as file:
                _check_datasets(path, file, archive.getinfo("model.weights.h5").file_size)
    return config


def _no_archive(head: bytes) -> str:
    if head.startswith(b"\x80"):
        return (
            "is a pickle with the ending .keras, which could run code; save the model with "
            "model.save('model.keras')"
        )
    if head.startswith(b"PK"):
        return "is cut off (the end of the zip archive is missing); copy it again"
    if head.startswith(_H5):
        return "is an HDF5 file; give it the ending .h5"
    return (
        "is empty; save the model again" if not head else
        "is not a Keras file (a zip archive); save the model with model.save('model.keras')"
    )  # fmt: skip


def _hdf5(path: Path) -> Any:
    """Look through an HDF5 file; return the configuration in it."""
    with path.open("rb") as source:
        if source.read(8) != _H5:
            msg = f"{path}: is not an HDF5 file; save the model with model.save('model.keras')"
            raise ModelError(msg)
    with h5py.File(path, "r") as file:
        text = file.attrs.get("model_config")
        if text is None:
            msg = (
                f"{path}: holds weights without a model; build the model in your own code, load "
                "the weights there, and give 'package.module:factory'"
            )
            raise ModelError(msg)
        _check_datasets(path, file, path.stat().st_size)
    return _json(path, text if isinstance(text, bytes) else str(text).encode())


def _check_datasets(path: Path, file: Any, size: int) -> None:
    """Refuse arrays that are declared much larger than the file that holds them."""
    total = 0

    def add(name: str, part: object) -> None:
        nonlocal total
        if isinstance(part, h5py.Dataset):
            if part.external or part.is_virtual:
                msg = f"{path}: {name} points to another file; save the model again as one file"
                raise ModelError(msg)
            total += part.size * part.dtype.itemsize

    file.visititems(add)
    _bounded(path, "its weights", total, size)


def _bounded(path: Path, name: str, size: int, stored: int) -> None:
    if size > _LARGE and size > _EXPANSION * max(stored, 1):
        msg = (
            f"{path}: {name} unpacks from {stored:,} to {size:,} bytes, which no model does; "
            "get the file from somebody you trust"
        )
        raise ModelError(msg)


def _json(path: Path, text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"{path}: its configuration is not JSON ({_line(error)}); save the model again"
        raise ModelError(msg) from error


def _named(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every part of a configuration that names a class."""
    left = [config]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            if isinstance(part.get("class_name"), str):
                yield part
            left.extend(part.values())
        elif isinstance(part, list):
            left.extend(part)


def check_config(path: Path, config: Any, keras: Any) -> None:
    """Refuse configurations that hold code, or name classes that nobody has registered."""
    for part in _named(config):
        kind = str(part["class_name"])
        inner = part.get("config")
        name = inner.get("name", kind) if isinstance(inner, dict) else kind
        if kind in _RUNS_CODE:
            what = "a function" if kind == "__lambda__" else f"layer {name!r} of class {kind}"
            msg = f"{path}: holds {what}, {_RUNS_CODE[kind]}; {_FACTORY}"
            raise ModelError(msg)
        if not _known(part, keras):
            msg = (
                f"{path}: {name!r} is of a class {kind} that is not registered here; register it "
                "with keras.saving.register_keras_serializable() and import that module before "
                f"loading, or {_FACTORY}"
            )
            raise ModelError(msg)


def _known(part: dict[str, Any], keras: Any) -> bool:
    """Whether Keras itself, or this process, knows the class of a part."""
    if str(part["class_name"]).startswith("__"):  # tensors, arrays, slices: Keras' own spelling
        return True
    module = part.get("module")
    names = [part.get("registered_name"), part["class_name"]]
    if any(isinstance(n, str) and keras.saving.get_registered_object(n) for n in names):
        return True
    if isinstance(module, str):
        return module.split(".")[0] in {"keras", "keras_hub", "builtins"}
    if "module" in part:  # null, beside a registered name
        return part.get("registered_name") is None
    # Files of Keras 2 name the class alone: a layer, or something small such as an initializer.
    if part["class_name"] == "Functional":
        return True
    return "config" not in part or any(
        hasattr(place, str(part["class_name"]))
        for place in (keras, keras.layers, keras.initializers, keras.regularizers,
                      keras.constraints, keras.optimizers, keras.dtype_policies)
    )  # fmt: skip


def _line(error: BaseException) -> str:
    return next((s.strip() for s in str(error).splitlines() if s.strip()), type(error).__name__)


def _why(path: Path, error: Exception) -> str:
    text = str(error)
    if isinstance(error, ImportError) and "tensorflow" in text.lower():
        return (
            f"{path}: holds a layer that needs tensorflow, such as TextVectorization; save the "
            f"part of the model behind it, with its vocabulary in {path.stem}.vocab.txt"
        )
    if path.suffix.lower() != ".keras":
        return (
            f"{path}: Keras cannot read it back ({_line(error)[:200]}), as it happens with the old "
            "HDF5 format; save it where it was made with model.save('model.keras')"
        )
    return (
        f"{path}: Keras cannot read it ({_line(error)[:200]}); save it again with this version of "
        f"Keras, or {_FACTORY}"
    )
