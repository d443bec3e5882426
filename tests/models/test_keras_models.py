"""Keras models: the same numbers as Keras itself, every method, no trace left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from helpers import keras_toys
from saliscope import InputError, ModelError, OptionError, RefusedError, explain, load
from saliscope.core.model import Piece
from saliscope.core.perturbation import Perturbation
from saliscope.core.registry import methods
from saliscope.models.keras.adapters import KerasProtein, KerasTensor, from_object
from saliscope.models.keras.backend import _across, import_keras
from saliscope.models.keras.parts import rebound

keras = import_keras()
LETTERS = keras_toys.LETTERS
SEQUENCES = ("MVHLTPEEK", "MKWX", "ACDEFGHIKLMNP")


def own(net: Any, ids: np.ndarray) -> np.ndarray:
    """Return what Keras gives for ids, as probabilities."""
    return net(ids[None]).detach().numpy()[0]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("length", [None, 16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_unchanged_embedding_gives_the_models_own_output(
    masked: bool, length: int | None, dtype: torch.dtype
) -> None:
    net = keras_toys.transformer(dtype, masked=masked, length=length, end=None)
    model = from_object(net, LETTERS)
    for raw in SEQUENCES:
        (sample,) = model.prepare(raw)
        assert sample.length == (length or len(raw))
        path = Perturbation.path(sample.units, [1.0], model.baseline(sample, "zero"))
        for moved in (path, Perturbation.identity(sample.units)):
            batch = model.realize([Piece(sample, moved, np.array([0]))])
            for gradients in (False, True):
                with torch.set_grad_enabled(gradients):
                    heads, leaf = model.forward(batch, {"classes"}, gradients=gradients)
                assert leaf is not None
                assert np.array_equal(
                    heads["classes"][0].detach().numpy(), own(net, sample.context["ids"])
                )


@pytest.mark.parametrize("end", ["softmax", "sigmoid", None])
def test_what_the_model_ends_in_is_left_out_and_comes_back(end: str | None) -> None:
    net = keras_toys.transformer(torch.float64, end=end)
    model = from_object(net, LETTERS)
    assert model.module.ends_in == (end or "")
    (sample,) = model.prepare("MVHLTPEEK")
    logits = own(keras_toys.transformer(torch.float64, end=None), sample.context["ids"])
    a = explain(model, "MVHLTPEEK", "gradient", 2)
    assert a.score == pytest.approx(float(logits[2]), abs=1e-12)
    if end == "softmax":
        assert a.prediction[0]["probability"] == pytest.approx(
            float(own(net, sample.context["ids"]).max()), abs=1e-12
        )
    assert own(net, sample.context["ids"]).sum() == pytest.approx(
        {"softmax": 1.0, "sigmoid": float((1 / (1 + np.exp(-logits))).sum())}.get(
            end or "", float(logits.sum())
        )
    )


def test_gradients_and_paths_of_a_linear_model_by_hand() -> None:
    net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="linear")])
    net.set_weights([np.array([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]), np.array([0.5, 0.0])])
    x = np.array([[1.0, -1.0, 2.0]], dtype=np.float32)
    slope = explain(net, x, "gradient", 0).to_numpy()[0]
    np.testing.assert_allclose(np.abs(slope), [1, 2, 3], atol=1e-6)
    path = explain(net, x, "integrated_gradients", 1, baseline=[1.0, 0.0, 0.0])
    np.testing.assert_allclose(path.to_numpy()[0], [0, -5, 12], atol=1e-5)
    assert path.score == pytest.approx(11.0)


ABLE = [m for m, spec in methods().items() if spec.needs <= KerasProtein.offers]
UNABLE = [m for m, spec in methods().items() if not spec.needs <= KerasTensor.offers]


@pytest.mark.parametrize("method", ABLE)
def test_every_method_gives_the_same_alone_and_packed(method: str) -> None:
    model = keras_toys.protein(torch.float64)
    options: dict[str, Any] = {"method": method, "target": 1}
    if "max_evaluations" in methods()[method].takes:
        options["max_evaluations"] = 90
    if method in {"expected_gradients", "permutation"}:
        options["baseline"] = ["zero"] * 2
    alone = [explain(model, raw, **options).to_numpy() for raw in SEQUENCES]
    packed = explain(model, list(SEQUENCES), **options)
    for a, b in zip(alone, packed, strict=True):
        assert np.abs(a).max() > 0
        np.testing.assert_allclose(a, b.to_numpy(), rtol=0, atol=1e-11 * np.abs(a).max())


@pytest.mark.parametrize("method", UNABLE)
def test_what_is_not_offered_is_refused_by_name(method: str) -> None:
    with pytest.raises(RefusedError, match=method):
        explain(keras_toys.tensor(torch.float32), np.ones((1, 4, 3)), method, 1)


@pytest.mark.parametrize("masked", [False, True])
def test_padding_is_trusted_only_where_the_model_hides_it(masked: bool) -> None:
    with keras_toys.policy(torch.float64):
        ids = keras.Input((None,), dtype="int32")
        x = keras.layers.Embedding(30, 6, mask_zero=masked, name="embed")(ids)
        x = keras.layers.GlobalAveragePooling1D()(keras.layers.LayerNormalization()(x))
        net = keras_toys.filled(keras.Model(ids, keras.layers.Dense(3)(x)), 1)
    model = from_object(net, LETTERS)
    assert model.hides is masked
    if masked:
        deleted = explain(model, "MVHL", "occlusion", 0, fill="delete", window=1)
        shorter = [explain(model, s, "gradient", 0).score for s in ("MVHL", "VHL")]
        assert float(deleted.values[0]) == pytest.approx(shorter[0] - shorter[1], abs=1e-12)
        return
    with pytest.raises(OptionError, match="does not hide padding"):
        explain(model, "MVHL", "occlusion", 0, fill="delete")


def state(model: Any) -> list[Any]:
    layers = [part.layer for part in model.module._inside] + [model.module.model]
    return [
        [(sorted(vars(layer)), vars(layer).get("activation")) for layer in layers],
        [(id(v.value), v.value.requires_grad, v.value.grad) for v in model.module.model.variables],
        keras.config.is_traceback_filtering_enabled(), torch.get_rng_state().tolist(),
        [layer.training for layer in layers],
    ]  # fmt: skip


def test_nothing_is_left_in_the_model_also_after_exceptions() -> None:
    model = keras_toys.protein(torch.float32)
    before = state(model)
    explain(model, "MVHLTPEEK", "integrated_gradients", 1)
    assert state(model) == before
    layer = model.module.model.get_layer("norm_1")

    def failing(*_args: Any, **_kwargs: Any) -> Any:
        msg = "no"
        raise ArithmeticError(msg)

    with rebound(layer, "call", failing), pytest.raises(ModelError, match="no"):
        explain(model, "MVHLTPEEK", "integrated_gradients", 1)
    assert state(model) == before


def test_token_ids_are_taken_where_no_tokens_are_declared() -> None:
    model = load(keras_toys.transformer())
    assert model is load(model.module.model)
    a = explain(model, np.array([3, 1, 4, 1, 5]), "occlusion", 0, window=1)
    assert a.values.sizes["position"] == 5
    for raw, word in (
        ("MVH", "tokenizer="), (np.array([1.0]), "token ids"), (np.array([[1]]), "one axis"),
        (np.array([3, 99]), "id 99 at token 2"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=word):
            explain(model, raw, "gradient", 0)


def test_a_model_of_one_length_is_filled_up_and_no_further() -> None:
    model = from_object(keras_toys.transformer(length=12), LETTERS)
    assert explain(model, "MVHL", "masking", 0).values.sizes["position"] == 4
    with pytest.raises(InputError, match="takes at most 12"):
        explain(model, "MVHLTPEEKSAVT", "masking", 0)
    with pytest.raises(OptionError, match="exactly 12 tokens"):
        explain(model, "MVHL", "masking", 0, fill="delete")


def test_models_that_cannot_be_read_are_refused() -> None:
    one, two = keras.Input((2,), name="left"), keras.Input((2,), name="right")
    net = keras.Model([one, two], keras.layers.Dense(1)(keras.layers.Add()([one, two])))
    with pytest.raises(ModelError, match=r"2 inputs \(left, right\)"):
        load(net)
    with pytest.raises(ModelError, match="not built"):
        load(keras.Sequential([keras.layers.Dense(2)]))
    ids = keras.Input((4,), dtype="int32")
    with pytest.raises(ModelError, match="no Embedding layer"):
        load(keras.Model(ids, keras.layers.Dense(1)(keras.ops.cast(ids, "float32"))))
    with pytest.raises(OptionError, match="dtype"):
        load(keras_toys.transformer(), dtype="float64")


def test_a_pass_of_another_backend_is_one_operation_of_torch() -> None:
    given = torch.tensor([[1.0, 2.0], [3.0, -1.0]], requires_grad=True)
    calls = []

    def pulling(function: Any, x: Any) -> Any:  # what TensorFlow and JAX do, by hand for x * x
        calls.append("run")
        return function(x), lambda slope: 2 * x * slope

    out = _across(pulling, lambda x: x * x, given)
    (gradient,) = torch.autograd.grad((out * torch.tensor([1.0, 10.0])).sum(), given)
    np.testing.assert_allclose(out.detach(), [[1, 4], [9, 1]])
    np.testing.assert_allclose(gradient, [[2, 40], [6, -20]])
    with torch.no_grad():
        np.testing.assert_allclose(_across(pulling, lambda x: x + 1, given), [[2, 3], [4, 0]])
    assert calls == ["run"]
