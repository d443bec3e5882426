"""Attention of Keras models: what the layers say of themselves, of other processes, of torch."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from helpers import keras_toys
from saliscope import OptionError, attention, load
from saliscope.cli.main import main
from saliscope.models.keras.adapters import from_object
from saliscope.models.keras.backend import import_keras

keras = import_keras()
LETTERS = keras_toys.LETTERS
SEQUENCE = "MVHLTPEEKSAVTALWGK"


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("length", [None, 24])
def test_the_map_is_what_the_layers_return(
    masked: bool, dropout: float, length: int | None
) -> None:
    net = keras_toys.transformer(dropout=dropout, masked=masked, length=length)
    model = from_object(net, LETTERS)
    (sample,) = model.prepare(SEQUENCE)
    ids = sample.context["ids"][None]
    x = net.get_layer("embed")(ids)
    wanted = net.get_layer("attend_0")(x, x, return_attention_scores=True)[1].detach().numpy()[0]
    m = attention(model, SEQUENCE, reduce="full", specials="keep")
    assert m.layers == {0: "attend_0", 1: "attend_1"}
    np.testing.assert_array_equal(m.values[0], wanted)
    received = attention(model, SEQUENCE, specials="keep").values[0]
    np.testing.assert_allclose(received, wanted.mean(1), atol=1e-6)
    dropped = attention(model, SEQUENCE)
    assert "".join(dropped.values.residue.values.tolist()) == SEQUENCE
    part = wanted[:, : len(SEQUENCE), : len(SEQUENCE)]
    np.testing.assert_allclose(
        dropped.values[0], (part / part.sum(-1, keepdims=True)).mean(1), atol=1e-6
    )


SAVES = """
import sys, numpy as np, keras
sys.path.insert(0, {tests!r})
from helpers import keras_toys
net = keras_toys.transformer(seed=11)
ids = np.array([[keras_toys.LETTERS.index(a) + 1 for a in {sequence!r}]])
out, scores = keras_toys.by_hand(net, ids)
net.save("model.keras")
# The seed's recipe: heads, then queries.
recipe = np.mean(np.mean(scores[-1], axis=0), axis=0)
np.savez("said.npz", out=out, recipe=recipe, **{{f"s{{i}}": s for i, s in enumerate(scores)}})
"""


def test_a_model_of_another_process_gives_its_own_scores_and_its_own_table(tmp_path: Path) -> None:
    tests = str(Path(__file__).parents[1])
    script = SAVES.format(tests=tests, sequence=SEQUENCE)
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True)
    said = np.load(tmp_path / "said.npz")
    (tmp_path / "model.vocab.txt").write_text("\n".join(["", *LETTERS]))
    model = load(str(tmp_path / "model.keras"))
    m = attention(model, SEQUENCE, reduce="full", specials="keep")
    for i in range(2):
        np.testing.assert_allclose(m.values[i], said[f"s{i}"], rtol=0, atol=1e-6)
    table = pd.read_csv(io.StringIO(m.received(layer=-1).to_csv()))
    assert np.array_equal(table["value"].to_numpy().astype(np.float32), said["recipe"])
    (tmp_path / "seqs.fasta").write_text(f">one\n{SEQUENCE}\n")
    out = tmp_path / "out"
    main([
        "attention", str(tmp_path / "seqs.fasta"), "--model", str(tmp_path / "model.keras"),
        "--specials", "keep", "--reduce", "full", "-o", str(out),
    ])  # fmt: skip
    written = pd.read_csv(out / "received.csv")
    assert "".join(written["residue"]) == SEQUENCE
    assert np.array_equal(written["value"].to_numpy().astype(np.float32), said["recipe"])
    assert len(pd.read_csv(out / "attention.csv")) == 2 * 2 * len(SEQUENCE) ** 2
    assert (out / "report.html").stat().st_size > 1000


class Twin(nn.Module):
    """The Keras toy in torch, with its weights."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        weights = {v.path: torch.from_numpy(np.array(v.value.detach())) for v in net.variables}
        self.embed = nn.Embedding.from_pretrained(weights["embed/embeddings"])
        width = self.embed.embedding_dim
        self.attends, self.norms = nn.ModuleList(), nn.ModuleList()
        for i in range(2):
            at = nn.MultiheadAttention(width, 2, batch_first=True)
            own = {n: weights[f"attend_{i}/{n}"] for n in (
                "query/kernel", "key/kernel", "value/kernel", "query/bias", "key/bias",
                "value/bias", "attention_output/kernel", "attention_output/bias",
            )}  # fmt: skip
            sides = ("query", "key", "value")
            with torch.no_grad():
                at.in_proj_weight.copy_(
                    torch.cat([own[f"{s}/kernel"].reshape(width, width).T for s in sides])
                )
                at.in_proj_bias.copy_(torch.cat([own[f"{s}/bias"].reshape(-1) for s in sides]))
                at.out_proj.weight.copy_(own["attention_output/kernel"].reshape(width, width).T)
                at.out_proj.bias.copy_(own["attention_output/bias"])
                norm = nn.LayerNorm(width, eps=net.get_layer(f"norm_{i}").epsilon)
                norm.weight.copy_(weights[f"norm_{i}/gamma"])
                norm.bias.copy_(weights[f"norm_{i}/beta"])
            self.attends.append(at)
            self.norms.append(norm)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        for at, norm in zip(self.attends, self.norms, strict=True):
            x = norm(x + at(x, x, x, need_weights=False)[0])
        return x.mean(1)


@pytest.mark.parametrize("reduce", ["received", "mean", "full", "rollout"])
def test_keras_and_torch_with_the_same_weights_give_the_same_table(reduce: str) -> None:
    net = keras_toys.transformer()
    model = from_object(net, LETTERS)
    (sample,) = model.prepare(SEQUENCE)
    ids = torch.from_numpy(sample.context["ids"])[None]
    one = attention(model, SEQUENCE, reduce=reduce)
    two = attention(Twin(net).eval(), {"": ids}, reduce=reduce)
    tables = [pd.read_csv(io.StringIO(m.to_csv())) for m in (one, two)]
    places = [c for c in ("layer", "head", "position", "query", "key") if c in tables[0]]
    pd.testing.assert_frame_equal(tables[0][places], tables[1][places])
    np.testing.assert_allclose(tables[0]["value"], tables[1]["value"], rtol=0, atol=1e-5)


class Block(keras.layers.Layer):
    """An encoder layer of one's own, as in the walk-through."""

    def __init__(self, inner: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = inner
        if inner:
            self.attend = keras.layers.MultiHeadAttention(2, 4, name="attend")
        else:
            self.query, self.key = keras.layers.Dense(8), keras.layers.Dense(8)

    def call(self, inputs: Any, return_attention: bool = False) -> Any:
        if self.inner:
            out, scores = self.attend(inputs, inputs, return_attention_scores=True)
        else:
            similar = keras.ops.matmul(
                self.query(inputs), keras.ops.transpose(self.key(inputs), (0, 2, 1))
            )
            scores = keras.ops.softmax(similar)[:, None]
            out = keras.ops.matmul(scores[:, 0], inputs)
        return (out + inputs, scores) if return_attention else out + inputs


@pytest.mark.parametrize("inner", [True, False])
def test_encoder_layers_of_ones_own_are_read(inner: bool) -> None:
    keras.utils.set_random_seed(3)
    ids = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(30, 8, name="embed")(ids)
    blocks = [Block(inner, name=f"encoder_{i}") for i in range(2)]
    for block in blocks:
        x = block(x)
    net = keras.Model(ids, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(x)))
    model = from_object(net, LETTERS)
    m = attention(model, SEQUENCE, reduce="full")
    names = ["encoder_0.attend", "encoder_1.attend"] if inner else ["encoder_0", "encoder_1"]
    assert list(m.layers.values()) == names
    (sample,) = model.prepare(SEQUENCE)
    embedded = net.get_layer("embed")(sample.context["ids"][None])
    x, first = blocks[0](embedded, return_attention=True)
    _, last = blocks[1](x, return_attention=True)
    np.testing.assert_allclose(m.values[0], first.detach().numpy()[0], atol=1e-6)
    np.testing.assert_allclose(m.values[1], last.detach().numpy()[0], atol=1e-6)


def test_layers_that_look_back_only_are_those_of_a_decoder() -> None:
    ids = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(30, 8, name="embed")(ids)
    attend = keras.layers.MultiHeadAttention(2, 4, name="attend")
    x = attend(x, x, use_causal_mask=True)
    model = from_object(keras.Model(ids, keras.layers.Dense(3)(x)), LETTERS)
    with pytest.raises(OptionError, match="kind='decoder'"):
        attention(model, SEQUENCE)
    full = attention(model, SEQUENCE, kind="decoder", reduce="full").values[0].to_numpy()
    assert not np.triu(full, 1).any()


def test_the_layers_are_as_before_also_after_exceptions() -> None:
    net = keras_toys.transformer(masked=True)
    model = from_object(net, LETTERS)
    before = {layer.name: sorted(vars(layer)) for layer in net._flatten_layers()}
    ids = np.array([[3, 4, 5]])
    said = net(ids).detach().numpy()
    attention(model, SEQUENCE)
    norm = net.get_layer("norm_1")
    norm.axis = [7]
    with pytest.raises(Exception, match=r"."):
        attention(model, SEQUENCE)
    norm.axis = [2]
    assert {layer.name: sorted(vars(layer)) for layer in net._flatten_layers()} == before
    assert np.array_equal(net(ids).detach().numpy(), said)


def test_a_model_without_attention_says_so() -> None:
    ids = keras.Input((None,), dtype="int32")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(30, 8)(ids))
    model = from_object(keras.Model(ids, keras.layers.Dense(2)(x)), LETTERS)
    assert "attention" not in model.offers
    with pytest.raises(Exception, match="no attention layer that can be read"):
        attention(model, SEQUENCE)
