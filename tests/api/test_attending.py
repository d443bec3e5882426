"""`saliscope.attention` as a user calls it, and what the package says of itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

import saliscope
from helpers import tokens
from saliscope.models.protein import ProteinModel
from saliscope.models.text import TextModel

PROTEINS = ["MVHLTPEEK", "MKTAYIAKQR"]


def test_one_many_and_a_stream(protein: ProteinModel) -> None:
    one = saliscope.attention(protein, PROTEINS[0])
    assert isinstance(one, saliscope.AttentionMap)
    assert (one.name, one.text) == ("MVHLTPEEK", "MVHLTPEEK")
    for many in (PROTEINS, tuple(PROTEINS)):
        found = saliscope.attention(protein, many)
        assert [f.text for f in found] == PROTEINS
        assert found[0].equals(one)
    stream = saliscope.attention(protein, iter(PROTEINS))
    assert isinstance(stream, Iterator)
    assert next(stream).equals(one)
    assert saliscope.attention(protein, saliscope.Input("HBB", "MVHL")).name == "HBB"


def test_equal_inputs_run_once(protein: ProteinModel, monkeypatch: pytest.MonkeyPatch) -> None:
    named = [saliscope.Input(f"r{i}", "MVHL") for i in range(5)]
    expected = saliscope.attention(protein, named[4])
    asked = []
    arguments = ProteinModel.arguments
    monkeypatch.setattr(
        ProteinModel, "arguments", lambda self, rows: asked.append(1) or arguments(self, rows)
    )
    found = saliscope.attention(protein, named)
    assert [f.name for f in found] == ["r0", "r1", "r2", "r3", "r4"]
    assert len(asked) == 1
    assert found[4].equals(expected)


def test_errors_raised_or_collected(protein: ProteinModel) -> None:
    with pytest.raises(saliscope.InputError, match="position 3"):
        saliscope.attention(protein, ["MVHL", "MV1L"])
    good, bad = saliscope.attention(protein, ["MVHL", "MV1L"], errors="collect")
    assert isinstance(good, saliscope.AttentionMap)
    assert isinstance(bad, saliscope.InputError)


@pytest.mark.parametrize(
    ("reduce", "dims"),
    [
        ("received", ("layer", "head", "position")),
        ("mean", ("layer", "query", "key")),
        ("full", ("layer", "head", "query", "key")),
        ("rollout", ("query", "key")),
    ],
)
def test_reductions(reduce: str, dims: tuple[str, ...], protein: ProteinModel) -> None:
    found = saliscope.attention(protein, "MVHLTPEEK", reduce=reduce)
    assert found.values.dims == dims
    kept = saliscope.attention(protein, "MVHLTPEEK", reduce=reduce, specials="keep")
    assert kept.values.sizes[dims[-1]] == found.values.sizes[dims[-1]] + 2
    if reduce != "rollout":
        part = saliscope.attention(protein, "MVHLTPEEK", reduce=reduce, layers=-1)
        np.testing.assert_allclose(part.to_numpy()[0], found.to_numpy()[-1], rtol=1e-10)


def test_texts(text: TextModel) -> None:
    found = saliscope.attention(text, "the film was unbelievable")
    assert found.data["token"].to_numpy().tolist() == [
        "the", "film", "was", "un", "believ", "able",
    ]  # fmt: skip
    track = found.received(layer=-1)
    assert isinstance(track, saliscope.Attribution)
    assert track.values.dims == ("position",)
    assert "attention" in saliscope.attention(text, ["the film"])[0].to_html()


def test_mapping_and_module() -> None:
    module = tokens.bert()
    ids = torch.tensor([[2, 5, 6, 7, 3]])
    arguments = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    found = saliscope.attention(module, arguments, specials="keep", reduce="mean")
    assert found.values.sizes == {"layer": 2, "query": 5, "key": 5}
    np.testing.assert_allclose(found.to_numpy().sum(-1), 1, rtol=1e-5)
    net = nn.TransformerEncoderLayer(8, 2, batch_first=True)
    found = saliscope.attention(net, torch.zeros(1, 3, 8))
    assert found.values.sizes == {"layer": 1, "head": 2, "position": 3}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reduce": "recieved"}, "'received'"),
        ({"kind": "encodr"}, "'encoder'"),
        ({"specials": "lose"}, "known: drop, keep"),
        ({"errors": "colect"}, "'collect'"),
        ({"budget": 0}, "positive"),
        ({"layers": 9}, "0 to 1"),
        ({"heads": [0, 9]}, "9"),
    ],
)
def test_bad_options(options: dict[str, object], words: str, protein: ProteinModel) -> None:
    with pytest.raises(saliscope.OptionError, match=words):
        saliscope.attention(protein, "MVHL", **options)  # type: ignore[arg-type]


def test_a_function_has_none() -> None:
    with pytest.raises(saliscope.RefusedError, match="no attention"):
        saliscope.attention(lambda x: x, np.ones((1, 3)))


def test_public_names() -> None:
    assert set(saliscope.__all__) <= set(dir(saliscope))
    for name in saliscope.__all__:
        assert getattr(saliscope, name).__doc__ or name == "DEFAULTS"
    with pytest.raises(AttributeError, match="nothing"):
        saliscope.nothing  # noqa: B018
