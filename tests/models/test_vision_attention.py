"""Attention of a vision transformer over the pixels of a picture, beside its own weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    SwinConfig,
    SwinForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

import saliscope
from helpers import state
from saliscope import RefusedError, explain, image_model
from saliscope.models.vision.classifier import ImageModel

NOISE = np.random.default_rng(0).integers(0, 256, (31, 47, 3), dtype=np.uint8)
GRID = (3, 4)
CLOSE = 1e-6  # transformers takes the softmax of the reference in float32


def vit(kind: str = "sdpa") -> ViTForImageClassification:
    """Return a vision transformer with 3 x 4 patches of 8 pixels."""
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64,
        image_size=(24, 32), patch_size=8, num_labels=3, initializer_range=0.3,
    )  # fmt: skip
    config._attn_implementation = kind
    return ViTForImageClassification(config).double().eval()


def declared(module: Any) -> ImageModel:
    return image_model(module, size=(24, 32), mean=0.5, std=0.5)


@pytest.fixture(scope="module")
def weights() -> list[torch.Tensor]:
    """Return the model's own weights, per layer (head, query, key), read off a copy of it."""
    module = vit("eager")
    model = declared(module)
    given = model.given(model.prepare(NOISE)[0].value[None])
    with torch.no_grad():
        return [a[0] for a in module(given, output_attentions=True).attentions]


def over(patches: Any) -> np.ndarray[Any, Any]:
    """Return values per patch as values per pixel."""
    return np.kron(np.reshape(patches, GRID), np.ones((8, 8)))


def test_rollout_is_the_row_of_the_class_token(weights: list[torch.Tensor]) -> None:
    product = torch.eye(13).double()
    for layer in weights:
        product = (layer.mean(0) + torch.eye(13)) / 2 @ product
    a = explain(declared(vit()), NOISE, "rollout")
    np.testing.assert_allclose(a.to_numpy(), over(product[0, 1:]), rtol=0, atol=CLOSE)


def test_received_attention_leaves_the_class_token_out(weights: list[torch.Tensor]) -> None:
    last = weights[-1][:, 1:, 1:]
    mean = (last / last.sum(-1, keepdim=True)).mean((0, 1))
    model = declared(vit())
    np.testing.assert_allclose(
        explain(model, NOISE, "attention").to_numpy(), over(mean), rtol=0, atol=CLOSE
    )
    m = saliscope.attention(model, NOISE)
    assert m.values.sizes == {"layer": 3, "head": 2, "position": 12}
    assert m.data["patch"].values[5] == "y 1 x 1"
    np.testing.assert_allclose(m.values[-1].mean("head"), mean, rtol=0, atol=CLOSE)
    kept = saliscope.attention(model, NOISE, reduce="full", specials="keep").values
    np.testing.assert_allclose(kept, torch.stack(weights), rtol=0, atol=CLOSE)


def test_relevance_is_gradient_times_attention() -> None:
    """Chefer, Gur & Wolf 2021: R = R + mean over heads of (gradient x attention)+ R."""
    module = vit("eager")
    model = declared(module)
    given = model.given(model.prepare(NOISE)[0].value[None])
    out = module(given, output_attentions=True)
    slopes = torch.autograd.grad(out.logits[0, 1], out.attentions)
    relevance = torch.eye(13).double()
    for weight, slope in zip(out.attentions, slopes, strict=True):
        relevance = relevance + (weight * slope)[0].clamp(min=0).mean(0) @ relevance
    a = explain(declared(vit()), NOISE, "relevance", 1)
    np.testing.assert_allclose(
        a.to_numpy(), over(relevance[0, 1:].detach()), rtol=0, atol=CLOSE
    )  # fmt: skip


def test_flow_is_at_most_what_fits_through() -> None:
    a = explain(declared(vit()), NOISE, "attention_flow").to_numpy()
    assert 0 <= a.min() <= a.max() <= 1
    assert len(np.unique(a)) <= 12


@pytest.mark.parametrize("method", ["attention", "rollout", "relevance"])
def test_nothing_is_left_behind(method: str) -> None:
    model = declared(vit())
    state.disturb(model.module)
    with state.unchanged(model.module):
        many = explain(model, [NOISE, 255 - NOISE], method, 0)
    alone = explain(model, 255 - NOISE, method, 0)
    np.testing.assert_allclose(many[1].to_numpy(), alone.to_numpy(), rtol=0, atol=CLOSE)


def test_tokens_that_are_merged_on_the_way_are_refused() -> None:
    torch.manual_seed(0)
    config = SwinConfig(
        image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 1], window_size=4,
        num_labels=3,
    )  # fmt: skip
    model = image_model(SwinForImageClassification(config).eval(), size=32)
    assert explain(model, NOISE, "grad_cam").values.shape == (32, 32)
    with pytest.raises(RefusedError, match=r"needs attention|layers of equal tokens only"):
        explain(model, NOISE, "rollout")
