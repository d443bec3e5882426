"""Keras files: what is read, and what is refused in one line without running anything."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from helpers import keras_toys
from saliscope import explain, load
from saliscope.core.errors import InputError, ModelError, OptionError
from saliscope.models.keras.backend import import_keras
from saliscope.models.keras.files import read_model
from saliscope.models.keras.folders import read_folder, write_folder
from saliscope.models.keras.vocabulary import Vocabulary

keras = import_keras()


class Doubling(keras.layers.Layer):
    """A layer that nobody has registered."""

    def call(self, inputs: Any) -> Any:
        return inputs * 2


def columns(*layers: Any) -> Any:
    return keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(1)])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keras") / "model.keras"
    keras_toys.transformer().save(path)
    return path


def refused(path: Path, *words: str) -> None:
    with pytest.raises(ModelError) as caught:
        load(str(path))
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert all(word in message for word in words), message


def test_a_file_gives_what_the_model_gives(saved: Path) -> None:
    model = load(str(saved), tokenizer=keras_toys.LETTERS)
    assert (model.modality, model.name, model.labels) == ("protein", "model.keras", ("0", "1", "2"))
    (sample,) = model.prepare("MVHLTPEEK")
    own = keras_toys.transformer()(sample.context["ids"][None])[0]
    a = explain(model, "MVHLTPEEK", "gradient", 1)
    assert a.prediction[0]["probability"] == pytest.approx(float(own.detach().max()), abs=1e-6)
    about = model.describe()
    assert about["backend"] == "torch"
    assert about["class"] == "Functional"


def test_the_tokens_stand_beside_the_file(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(saved.read_bytes())
    with pytest.raises(InputError, match=r"model\.vocab\.txt"):
        explain(str(path), "MVH", "gradient")
    tokens = path.with_suffix(".vocab.txt")
    tokens.write_text("\n".join(["", *keras_toys.LETTERS]))
    (sample,) = load(str(path)).prepare("ACX")
    assert sample.context["ids"].tolist() == [1, 2, 21]
    tokens.write_text("A\nC\nA\n")
    with pytest.raises(ModelError, match=r"line 3: 'A' stands already at line 1"):
        load(str(path))


def test_h5_files_are_read(tmp_path: Path) -> None:
    net = columns(keras.layers.Dense(2, activation="relu"))
    net.save(tmp_path / "old.h5")
    x = np.array([[1.0, 2.0, 3.0]], dtype=np.float32)
    a = explain(str(tmp_path / "old.h5"), x, "occlusion", window=1)
    assert a.score == pytest.approx(float(net(x)[0, 0]), abs=1e-6)


def test_code_in_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lambda.keras"
    columns(keras.layers.Lambda(lambda x: x * 2, name="twice")).save(path)
    refused(path, "Lambda", "'twice'", "package.module:factory")


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_an_unregistered_class_is_refused_by_its_name(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"custom{ending}"
    columns(Doubling(name="twice")).save(path)
    refused(path, "Doubling", "register_keras_serializable", "package.module:factory")


def test_a_registered_class_is_read(tmp_path: Path) -> None:
    path = tmp_path / "custom.keras"
    columns(Doubling(name="twice")).save(path)
    with keras.saving.custom_object_scope({"Doubling": Doubling}):
        assert load(str(path)).modality == "tensor"


class Bomb:
    """Would make a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_pickle_with_another_ending_never_runs(tmp_path: Path) -> None:
    for name in ("model.keras", "model.h5"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
        refused(tmp_path / name, "save the model")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("cut", [8, 100, 5_000, -100, -10])
def test_a_cut_file_is_refused(saved: Path, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "cut.keras"
    path.write_bytes(saved.read_bytes()[:cut])
    refused(path, "again")


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_file_is_read_or_refused_in_one_line(
    saved: Path, tmp_path: Path, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    content = bytearray(saved.read_bytes())
    for place in rng.integers(0, len(content), 40):
        content[place] ^= int(rng.integers(1, 256))
    path = tmp_path / "damaged.keras"
    path.write_bytes(content)
    with contextlib.suppress(ModelError):  # whatever else is raised fails
        load(str(path))


def test_what_unpacks_to_much_more_is_refused(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", b"\0" * (1 << 27))
    refused(path, "unpacks from", "model.weights.h5")
    declared = tmp_path / "declared.h5"
    with h5py.File(declared, "w") as file:
        file.attrs["model_config"] = "{}"
        file.create_dataset("huge", (1 << 40,), chunks=(1 << 20,), dtype="f4")
    refused(declared, "unpacks from")
    outside = tmp_path / "outside.h5"
    with h5py.File(outside, "w") as file:
        file.attrs["model_config"] = "{}"
        file.create_dataset("secret", (4,), "f4", external=[(str(saved), 0, 16)])
    refused(outside, "points to another file")


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"", "empty"), (b"hello", "not a Keras file"), (b"\x89HDF\r\n\x1a\n", ".h5")],
)
def test_other_contents_are_told(tmp_path: Path, content: bytes, word: str) -> None:
    (tmp_path / "model.keras").write_bytes(content)
    refused(tmp_path / "model.keras", word)


def test_other_archives_weights_alone_and_saved_models_are_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(tmp_path / "other.keras", "not one of a Keras model")
    with zipfile.ZipFile(tmp_path / "words.keras", "w") as archive:
        archive.writestr("config.json", "{not json")
    refused(tmp_path / "words.keras", "not JSON")
    columns().save_weights(tmp_path / "only.weights.h5")
    refused(tmp_path / "only.weights.h5", "weights without a model")
    (tmp_path / "graph").mkdir()
    (tmp_path / "graph" / "saved_model.pb").touch()
    refused(tmp_path / "graph", "SavedModel", "model.save('model.keras')")
    refused(tmp_path / "none.keras", "no such file")


def test_a_folder_keeps_the_model(tmp_path: Path) -> None:
    net = keras_toys.transformer()
    tokens, labels = ["", *keras_toys.LETTERS], ["a", "b", "c"]
    write_folder(tmp_path, net, tokens, labels, half=False)
    model = load(str(tmp_path))
    assert model.labels == ("a", "b", "c")
    again, *said = read_folder(tmp_path)
    assert said == [tokens, labels]
    ids = np.array([[1, 5, 2]])
    np.testing.assert_array_equal(again(ids).detach().numpy(), net(ids).detach().numpy())
    model.to_keras(tmp_path / "copy.keras")
    assert np.array_equal(
        read_model(tmp_path / "copy.keras").get_weights()[0], net.get_weights()[0]
    )
    with pytest.raises(InputError, match=r"ends in \.keras"):
        model.to_keras(tmp_path / "copy.zip")
    (tmp_path / "model.safetensors").write_bytes(b"short")
    with pytest.raises(ModelError, match="do not fit"):
        load(str(tmp_path))
    config = json.loads((tmp_path / "config.json").read_text())
    config["model"]["config"]["layers"][1]["class_name"] = "Lambda"
    (tmp_path / "config.json").write_text(json.dumps(config))
    refused(tmp_path, "Lambda")


@pytest.mark.parametrize("tokens", ["", "AA", [1, 2], {"A": -1}, {"A": 1, "C": 1}])
def test_tokens_that_make_no_sense_are_refused(tokens: Any) -> None:
    with pytest.raises(OptionError):
        Vocabulary(tokens)


CHOICE = """
import os
import torch
import saliscope
from saliscope.models.keras.backend import import_keras
for said in (None, "torch", "nonsense"):
    if os.fork() == 0:  # what a process has imported stays, so each has one of its own
        if said:
            os.environ["KERAS_BACKEND"] = said
        try:
            print(import_keras().backend.backend(), os.environ.get("KERAS_BACKEND"), flush=True)
        except saliscope.SaliscopeError as error:
            print(error, flush=True)
        os._exit(0)
    os.wait()
"""


def test_who_chooses_the_backend() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", CHOICE], env=environment, capture_output=True, text=True, check=True
    )
    default, torch, nonsense = done.stdout.splitlines()
    assert (default, torch) == ("torch None", "torch torch")
    assert "KERAS_BACKEND=nonsense" in nonsense
