"""Loading: from names, folders, modules and functions, and what is refused in one line."""

from __future__ import annotations

import gc
import json
import pickle
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoConfig, BertModel

import saliscope
from helpers import tokens, toys
from saliscope import InputError, ModelError, OptionError, explain, load
from saliscope.models.function import FunctionModel
from saliscope.models.protein import ProteinModel
from saliscope.models.tensor import TensorModel
from saliscope.models.text import TextModel
from saliscope.models.zoo import zoo_names


def one_line(error: pytest.ExceptionInfo[BaseException], *words: str) -> None:
    """The message is one line with these words."""
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a classifier and its tokenizer."""
    path = tmp_path_factory.mktemp("bert")
    tokens.bert().save_pretrained(path)
    tokens.word_tokenizer().save_pretrained(path)
    return path


def test_a_folder_is_loaded_as_what_it_is(folder: Path) -> None:
    model = load(str(folder))
    assert isinstance(model, TextModel)
    assert model.labels == ("negative", "neutral", "positive")
    assert not model.findings
    direct = TextModel(tokens.bert(), tokens.word_tokenizer(), "bert")
    a, b = (explain(m, "a good film", "gradient", 0, budget=1) for m in (model, direct))
    np.testing.assert_allclose(a.to_numpy(), b.to_numpy(), rtol=1e-6)
    assert load(folder).name == folder.name
    assert load(folder, name="mine").name == "mine"


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", torch.float16])
def test_a_folder_is_loaded_in_the_precision_that_is_asked(folder: Path, dtype: Any) -> None:
    model = load(folder, dtype=dtype)
    assert model.module.dtype == (
        dtype if isinstance(dtype, torch.dtype) else getattr(torch, dtype)
    )
    assert np.isfinite(explain(model, "good", "gradient", 0).to_numpy()).all()


def test_a_protein_folder_is_a_protein_model(tmp_path: Path) -> None:
    tokens.esm().save_pretrained(tmp_path)
    tokens.esm_tokenizer().save_pretrained(tmp_path)
    model = load(tmp_path)
    assert isinstance(model, ProteinModel)
    assert not model.findings
    assert explain(model, "MVHLT", "gradient").values.dims == ("position",)


def test_a_head_that_was_not_in_the_checkpoint_is_an_error_finding(tmp_path: Path) -> None:
    BertModel(tokens.bert().config).save_pretrained(tmp_path)
    tokens.word_tokenizer().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["architectures"] = ["BertForSequenceClassification"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    a = explain(load(tmp_path), "a good film", "gradient", 0)
    (found,) = a.health.errors
    assert found.code == "head_newly_initialized"
    assert "classifier.weight" in found.sentence
    with pytest.raises(saliscope.ToleranceError, match="random"):
        explain(load(tmp_path), "a good film", "gradient", 0, strict=True)


def test_folders_without_a_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load(tmp_path)
    one_line(caught, "no config.json")
    (tmp_path / "config.json").write_text("{broken")
    with pytest.raises(ModelError) as caught:
        load(tmp_path)
    one_line(caught, str(tmp_path), "cannot be loaded")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError) as caught:
        load(tmp_path)
    one_line(caught, str(tmp_path))


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize(
    "name", ["model.bin", "model.pt", "model.PTH", "model.pkl", "model.joblib"]
)
def test_pickles_are_never_opened(tmp_path: Path, name: str) -> None:
    path, mark = tmp_path / name, tmp_path / "exploded"
    path.write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(ModelError) as caught:
        load(path)
    one_line(caught, "pickled", "save_pretrained")
    assert not mark.exists()


def test_a_folder_whose_weights_run_code_is_refused(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        if file.suffix == ".json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    mark = tmp_path / "exploded"
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(ModelError) as caught:
        load(tmp_path)
    one_line(caught, str(tmp_path))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/nowhere/at/all", "there is no such folder"), ("./nowhere", "there is no such folder"),
        ("a b c", "there is no such folder"), ("", "is empty"), (" ", "is empty"),
        ("zoo:proteinn", "there is no model 'zoo:proteinn'"), ("zoo:", "there is no model"),
        ("no.such.module:build", "cannot import"), ("helpers.toys:two_layerr", "two_layer"),
        ("helpers.toys:Calls", "the factory failed with TypeError"),
    ],
)  # fmt: skip
def test_names_that_are_nothing(name: str, words: str) -> None:
    with pytest.raises(ModelError) as caught:
        load(name)
    one_line(caught, words)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("x/y is not a valid model identifier listed on the hub\nmore", "hub model"),
        ("404 Client Error", "hub model"),
        ("We couldn't connect to 'https://huggingface.co'\nto load", "hub cannot be reached"),
    ],
)
def test_hub_names_without_network_or_model(
    monkeypatch: pytest.MonkeyPatch, message: str, words: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(message)

    monkeypatch.setattr(AutoConfig, "from_pretrained", fail)
    with pytest.raises(ModelError) as caught:
        load("owner/name")
    one_line(caught, "owner/name", words)


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("hello")
    with pytest.raises(ModelError) as caught:
        load(path)
    one_line(caught, "is a file")


def test_factories_modules_functions_and_adapters() -> None:
    made = load("helpers.toys:two_layer")
    assert isinstance(made, TensorModel)
    assert made.name == "helpers.toys:two_layer"
    net = toys.two_layer()
    assert load(net).name == "Sequential"
    assert load(made) is made
    black = load(toys.numpy_softplus)
    assert isinstance(black, FunctionModel)
    assert black.offers == {"values"}
    for thing in (3, None, {"a": 1}, [net]):
        with pytest.raises(ModelError, match="is not a model"):
            load(thing)


def test_a_token_model_needs_its_tokenizer() -> None:
    with pytest.raises(ModelError) as caught:
        load(tokens.bert())
    one_line(caught, "tokenizer=")


def test_one_module_has_one_adapter_that_goes_with_it() -> None:
    module, tokenizer = tokens.bert(), tokens.word_tokenizer()
    model = load(module, tokenizer=tokenizer)
    assert load(module, tokenizer=tokenizer) is model
    assert load(module, tokenizer=tokens.word_tokenizer()) is not model
    explain(model, "good", "gradient", 0)
    gone = weakref.ref(module)
    del model, module
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("device", ["nowhere", "cuda:99"])
def test_devices_that_are_not_there(folder: Path, device: str) -> None:
    with pytest.raises(OptionError) as caught:
        load(folder, device=device)
    one_line(caught, device)


def test_a_dtype_that_does_not_exist(folder: Path) -> None:
    with pytest.raises(OptionError) as caught:
        load(folder, dtype="float23")
    one_line(caught, "did you mean 'float32'")


@pytest.mark.parametrize("name", zoo_names())
def test_zoo_models_say_that_they_are_demonstrations(name: str) -> None:
    model = load(f"zoo:{name}")
    assert [f.code for f in model.findings] == ["demonstration_model"]
    assert next(model.module.parameters()).dtype == torch.float32


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (torch.tensor([[1, 2, 3]]), "int64, which has no gradients"),
        (torch.tensor([[1.0, float("nan"), 2.0]]), "1 of 3 numbers are not finite"),
        (torch.tensor(1.0), "leading example axis"), (torch.zeros(0, 3), "leading example axis"),
        (torch.ones(1, 4), "does not take an input of shape (1, 4)"),
        ("text", "torch.Tensor, not str"), (None, "torch.Tensor, not NoneType"),
        (np.array([["a"]]), "not ndarray"), (torch.ones(1, 3, dtype=torch.complex64), "complex64"),
    ],
    ids=str,
)  # fmt: skip
def test_tensors_that_cannot_be_explained(raw: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        explain(toys.two_layer(), raw, "gradient", 0)
    one_line(caught, words)


@pytest.mark.parametrize(
    "baseline",
    ["mask", torch.ones(4), torch.full((3,), float("nan")), float("inf"), [1, "a"], object()],
)
def test_baselines_of_tensors_that_do_not_fit(baseline: Any) -> None:
    with pytest.raises(OptionError) as caught:
        explain(toys.two_layer(), torch.ones(1, 3), "ig", 0, baseline=baseline)
    one_line(caught, "baseline")


class Odd(nn.Module):
    """Returns something that is no output, or raises something that is no usual error."""

    def __init__(self, what: Any) -> None:
        super().__init__()
        self.what = what

    def forward(self, rows: torch.Tensor) -> Any:
        """Return or raise it."""
        if isinstance(self.what, Exception):
            raise self.what
        return self.what


@pytest.mark.parametrize(
    "what",
    [None, "text", torch.ones(3), torch.tensor(1.0), (), {}, AssertionError("shape\nis off"),
     KeyError("x"), StopIteration(), ZeroDivisionError()],
    ids=repr,
)  # fmt: skip
def test_modules_that_give_nothing_to_explain(what: Any) -> None:
    with pytest.raises((ModelError, InputError)) as caught:
        explain(Odd(what), torch.ones(1, 3), "masking", 0)
    one_line(caught)


def test_functions_on_arrays() -> None:
    a = explain(lambda rows: rows @ np.array([1.0, 2.0]), np.array([[3, 4]]), "masking", 0)
    np.testing.assert_allclose(a.to_numpy(), [[3, 8]])
    for wrong in (lambda rows: "text", lambda rows: rows[:0], lambda rows: 3.0):
        with pytest.raises((ModelError, InputError)) as caught:
            explain(wrong, np.ones((2, 3)), "masking", 0)
        one_line(caught)
    with pytest.raises(InputError):
        explain(lambda rows: rows, np.array([["a"]]), "masking", 0)
