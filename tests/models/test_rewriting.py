"""Autoencoders of proteins: targets through the bottleneck, attention of four kinds, loading."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import saliscope
from saliscope.core.errors import InputError, ModelError, OptionError, RefusedError
from saliscope.models.dual_llama import DualLlama, DualLlamaConfig
from saliscope.models.rewriting import RewritingModel

SMALL = DualLlamaConfig(
    width=20, heads=2, inner=12, encoder_layers=2, decoder_layers=2, slots=4, slot_width=5,
    positions=40,
)  # fmt: skip
PROTEIN = "MVHLTPEEKSAVTALWGKVNV"


@pytest.fixture(scope="module")
def network() -> DualLlama:
    torch.manual_seed(0)
    return DualLlama(SMALL).double().eval()


@pytest.fixture(scope="module")
def model(network: DualLlama) -> RewritingModel:
    return RewritingModel(network, "tiny")


def expected(network: DualLlama, protein: str) -> torch.Tensor:
    """Return log-probabilities of a rebuilt protein, by the network's own calls."""
    ids = torch.tensor([[SMALL.alphabet.index(a) + 2 for a in protein]])
    with torch.no_grad():
        return network.rebuild(network.compress(ids), len(protein))[0].log_softmax(-1)


def test_targets_are_what_the_bottleneck_alone_gives(
    model: RewritingModel, network: DualLlama
) -> None:
    table = expected(network, PROTEIN)
    said = [SMALL.alphabet.index(a) + 2 for a in PROTEIN]
    whole = saliscope.measure(model, PROTEIN).values[0]
    assert whole == pytest.approx(float(table[range(len(said)), said].sum()), abs=1e-9)
    one = saliscope.measure(model, PROTEIN, "E7V").values[0]
    assert one == pytest.approx(float(table[6, said[1]] - table[6, said[6]]), abs=1e-9)


def test_padding_changes_nothing(model: RewritingModel) -> None:
    alone = [saliscope.explain(model, p, method="gradient") for p in (PROTEIN, "ACDKW")]
    packed = saliscope.explain(model, [PROTEIN, "ACDKW"], method="gradient")
    for one, other in zip(alone, packed, strict=True):
        np.testing.assert_allclose(one.to_numpy(), other.to_numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", ["integrated_gradients", "masking", "attnlrp"])
def test_methods_explain_the_likelihood(model: RewritingModel, method: str) -> None:
    a = saliscope.explain(model, PROTEIN, target="7", method=method)
    assert a.values.sizes["position"] == len(PROTEIN)
    assert np.isfinite(a.to_numpy()).all()
    assert np.abs(a.to_numpy()).max() > 0


def test_attention_of_every_kind_has_its_own_sides(
    model: RewritingModel, network: DualLlama
) -> None:
    length, slots = len(PROTEIN), SMALL.slots
    shapes = {"encoder": (2, 2, length, length), "decoder": (2, 2, length, length),
              "cross": (2, 2, length, slots), "slots": (1, 2, slots, length)}  # fmt: skip
    for kind, shape in shapes.items():
        m = saliscope.attention(model, PROTEIN, kind=kind, reduce="full")
        assert m.values.shape == shape
        np.testing.assert_allclose(m.values.sum("key"), 1.0, atol=1e-9)
    assert m.values["key_residue"].values.tolist() == list(PROTEIN)
    assert m.values["query"].values.tolist() == [1, 2, 3, 4]
    kept: list[torch.Tensor] = []
    handle = network.bottleneck.attention.tap.register_forward_hook(
        lambda _m, _a, out: kept.append(out)
    )
    expected(network, PROTEIN)
    handle.remove()
    np.testing.assert_allclose(m.values[0], kept[0][0].numpy(), atol=1e-12)


def test_what_cannot_be_is_refused(model: RewritingModel) -> None:
    with pytest.raises(RefusedError, match="fills no gaps"):
        saliscope.measure(model, PROTEIN, "7:context")
    with pytest.raises(InputError, match="takes at most 40"):
        saliscope.measure(model, "A" * 25 + "C" * 16)
    with pytest.raises(OptionError, match="rollout follows tokens"):
        saliscope.attention(model, PROTEIN, kind="slots", reduce="rollout")


def test_a_folder_is_loaded_and_a_broken_one_refused(network: DualLlama, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(SMALL.to_dict()))
    save_file({k: v.float() for k, v in network.state_dict().items()},
              tmp_path / "model.safetensors")  # fmt: skip
    loaded = saliscope.load(str(tmp_path))
    assert isinstance(loaded, RewritingModel)
    assert loaded.describe()["bottleneck"] == [4, 5]
    (tmp_path / "config.json").write_text(json.dumps({**SMALL.to_dict(), "width": 24}))
    with pytest.raises(ModelError, match="holds another network"):
        saliscope.load(str(tmp_path))


def test_the_zoo_model_rebuilds_a_protein() -> None:
    value = saliscope.measure("zoo:bottleneck", PROTEIN).values[0]
    assert value / len(PROTEIN) > -0.1
