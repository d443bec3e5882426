"""AttentionMap: labels, derived scores, selection, files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from saliscope.attention import AttentionMap, attention_map, attention_maps, stream
from saliscope.core.errors import InputError, OptionError
from saliscope.core.units import Units

from . import zoo


def residues(letters: str) -> Units:
    """Return the units of a protein between two special tokens."""
    count = len(letters)
    keep = np.array([False, *[True] * count, False])
    return Units(
        ("position",), (count + 2,), "residue",
        {"position": ("position", [0, *range(1, count + 1), 0]),
         "residue": ("position", ["", *letters, ""])}, keep,
    )  # fmt: skip


ESM = zoo.build("esm")
FEED = zoo.ids()
UNITS = [residues("MVHLTPE"), residues("MKTA")]


def one(**options: object) -> AttentionMap:
    return attention_maps(ESM, FEED, UNITS, names=["a", "b"], **options)[0]


@pytest.mark.parametrize(("reduce", "dims"), [
    ("received", ("layer", "head", "position")),
    ("mean", ("layer", "query", "key")),
    ("full", ("layer", "head", "query", "key")),
    ("rollout", ("query", "key")),
])  # fmt: skip
def test_dims_labels_and_files(reduce: str, dims: tuple[str, ...], tmp_path: Path) -> None:
    for m, letters in zip(attention_maps(ESM, FEED, UNITS, reduce=reduce), ("MVHLTPE", "MKTA"),
                          strict=True):  # fmt: skip
        assert m.values.dims == dims
        for dim, label in (("position", "residue"), ("query", "query_residue"),
                           ("key", "key_residue")):  # fmt: skip
            if dim in dims:
                assert "".join(m.values[label].values) == letters
                assert m.values[dim].values.tolist() == list(range(1, len(letters) + 1))
        if "layer" in dims:
            assert m.values["module"].values[0] == "esm.encoder.layer.0.attention.self"
        m.save(tmp_path / "m.nc")
        assert AttentionMap.load(tmp_path / "m.nc").equals(m)
        assert len(m.to_frame()) == m.values.size
        assert m.to_csv().count("\n") == m.values.size + 1
        assert len(repr(m).splitlines()) < 12
        assert m.provenance["evaluations"] == 1


def test_received_is_the_same_from_every_reduction() -> None:
    wanted = one().received(layer=-1)
    assert wanted.values.dims == ("position",)
    assert wanted.method == "attention"
    assert wanted.signed is False
    assert wanted.values.sum() == pytest.approx(1)
    assert "".join(wanted.values["residue"].values) == "MVHLTPE"
    for reduce in ("mean", "full"):
        found = one(reduce=reduce).received(layer=-1)
        np.testing.assert_allclose(found.to_numpy(), wanted.to_numpy(), atol=1e-6)
        assert found.values.identical(wanted.values.copy(data=found.values.values))
    assert one(layers=1).received(layer=1).equals(one(layers=[1]).received(layer=-1))
    assert wanted.top(1)["residue"].item() in "MVHLTPE"
    with pytest.raises(OptionError, match="rollout"):
        one(reduce="rollout").received()


def test_received_of_a_causal_model_divides_by_who_can_see() -> None:
    model = zoo.build("llama")
    tokens = {"input_ids": torch.arange(4, 10)[None]}
    first = attention_map(model, tokens, kind="decoder")
    full = attention_map(model, tokens, kind="decoder", reduce="full")
    assert first.data["seen"].values[0].tolist() == [6, 5, 4, 3, 2, 1]
    last = full.values.values[-1].mean(0)
    by_hand = [last[i:, i].mean() for i in range(6)]
    for m in (first, full):
        np.testing.assert_allclose(m.received().to_numpy(), by_hand, atol=1e-6)


def test_special_tokens_can_be_kept() -> None:
    m = one(specials="keep")
    assert m.values["position"].values.tolist() == list(range(1, 10))
    assert m.values["number"].values.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 0]
    assert float(m.removed.max()) == 0
    assert float(one().removed.min()) > 0


def test_cross_attention_has_two_sides() -> None:
    model, arguments = zoo.build("bart"), zoo.feed("bart")
    arguments = {w: v[:1] for w, v in arguments.items()}
    m = attention_map(
        model, arguments, None, residues("MVHLTPE"), kind="cross", reduce="mean", layers=[0, -1]
    )
    assert m.values.shape == (2, 6, 7)
    assert "".join(m.values["key_residue"].values) == "MVHLTPE"
    assert m.layers == {
        0: "model.decoder.layers.0.encoder_attn", 2: "model.decoder.layers.2.encoder_attn"
    }  # fmt: skip
    assert m.received(layer=2).values.sizes == {"position": 7}


def test_select() -> None:
    m = one(reduce="full")
    part = m.select(layer=-1, head=2)
    np.testing.assert_array_equal(part.to_numpy()[0, 0], m.to_numpy()[-1, 2])
    assert part.layers == {2: "esm.encoder.layer.2.attention.self"}
    with pytest.raises(OptionError, match="layer=7 is not in this map; it has 0, 1, 2"):
        m.select(layer=7)
    with pytest.raises(OptionError, match="head"):
        one(reduce="mean").select(head=0)
    with pytest.raises(OptionError, match="rollout"):
        one(reduce="rollout").select(layer=0)
    with pytest.raises(OptionError, match="reduce='rollout'"):
        _ = m.rollout
    assert one(reduce="rollout").rollout.dims == ("query", "key")


def test_health() -> None:
    model = zoo.build("esm").bfloat16().train()
    m = attention_maps(model, FEED, UNITS)[0]
    assert {f.code for f in m.health} == {"training_mode", "reduced_precision"}
    assert model.training


def test_units_that_do_not_fit_the_tokens() -> None:
    with pytest.raises(OptionError, match=r"7 tokens|9 tokens"):
        attention_maps(ESM, FEED, [residues("MVHLT"), residues("MKTA")])
    with pytest.raises(OptionError, match="one per input"):
        attention_maps(ESM, FEED, [None])
    with pytest.raises(OptionError, match="one axis"):
        attention_map(ESM, FEED, Units(("y", "x"), (3, 3), "pixel"))


def test_a_map_opens_without_torch(tmp_path: Path) -> None:
    path = one().save(tmp_path / "m.nc")
    code = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "from saliscope.attention import AttentionMap\n"
        f"print(AttentionMap.load({str(path)!r}).received().values.size)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "7"
    with pytest.raises(InputError, match="no such file"):
        AttentionMap.load(tmp_path / "other.nc")


def test_stream_is_exported() -> None:
    assert stream(ESM, FEED).route == "interface"
    assert stream(zoo.build("deberta"), FEED).route == "hooks"
