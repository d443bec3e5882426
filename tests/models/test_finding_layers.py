"""Layers that are found: convolutional stages, token grids, lines, and what is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    CLIPConfig,
    CLIPForImageClassification,
    ConvNextConfig,
    ConvNextForImageClassification,
    DeiTConfig,
    DeiTForImageClassificationWithTeacher,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersForImageClassification,
    ResNetConfig,
    ResNetForImageClassification,
    SwinConfig,
    SwinForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from helpers import state, toys
from saliscope import ModelError, OptionError, OutOfMemoryError, RefusedError, explain
from saliscope.models.layers import Place
from saliscope.models.tensor import TensorModel

TINY: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "image_size": 32, "patch_size": 8,
}  # fmt: skip


def vit() -> nn.Module:
    """Return a classifier that reads its class token."""
    return ViTForImageClassification(ViTConfig(**TINY))


def dino() -> nn.Module:
    """Return one that reads its class token and the mean of its patches, and has registers."""
    return Dinov2WithRegistersForImageClassification(Dinov2WithRegistersConfig(**TINY))


def swin() -> nn.Module:
    """Return one whose tokens are merged, so that the grid is not that of its patches."""
    return SwinForImageClassification(
        SwinConfig(image_size=64, patch_size=4, embed_dim=8, depths=[1, 2], num_heads=[2, 2],
                   window_size=4)
    )  # fmt: skip


def resnet() -> nn.Module:
    """Return one with residual stages."""
    return ResNetForImageClassification(
        ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 12], depths=[1, 2], layer_type="basic", num_labels=3
        )
    )


def convnext() -> nn.Module:
    """Return one whose blocks put features last and first in turn."""
    return ConvNextForImageClassification(
        ConvNextConfig(hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 1, 1])
    )


class Pooled(nn.Module):
    """A stack like VGG's: convolution, ReLU and pooling, twice."""

    def __init__(self, *, inplace: bool) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace), nn.MaxPool2d(2),
            nn.Conv2d(4, 5, 3, padding=1), nn.ReLU(inplace), nn.MaxPool2d(2),
        )  # fmt: skip
        self.pool, self.drop, self.head = nn.AdaptiveAvgPool2d(2), nn.Dropout(), nn.Linear(20, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return three logits."""
        logits: torch.Tensor = self.head(self.drop(self.pool(self.features(x)).flatten(1)))
        return logits


class Line(nn.Module):
    """A signal of four channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(4, 6, 5, stride=2), nn.Conv1d(6, 7, 3)
        self.head = nn.Linear(7, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return three logits."""
        inner = torch.relu(self.second(torch.relu(self.first(x))))
        logits: torch.Tensor = self.head(inner.mean(-1))
        return logits


class Gray(nn.Module):
    """An image without an axis of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 6, 3, stride=2), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return three logits."""
        logits: torch.Tensor = self.head(torch.relu(self.conv(x[:, None])).mean((2, 3)))
        return logits


class Last(nn.Module):
    """Images with features last, and a norm at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.norm, self.head = nn.Linear(3, 5), nn.LayerNorm(5), nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return three logits."""
        logits: torch.Tensor = self.head(self.norm(torch.relu(self.mix(x))).amax((1, 2)))
        return logits


class Patches(nn.Module):
    """A transformer of torch's own, over patches of four by four."""

    def __init__(self, *, token: bool) -> None:
        super().__init__()
        self.embed = nn.Linear(48, 16)
        self.token = nn.Parameter(torch.randn(1, 1, 16)) if token else None
        block = nn.TransformerEncoderLayer(16, 2, 24, batch_first=True)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return three logits."""
        tokens = self.embed(nn.functional.unfold(x, 4, stride=4).transpose(1, 2))
        if self.token is not None:
            tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], 1)
        out = self.blocks(tokens)
        logits: torch.Tensor = self.head(out.mean(1) if self.token is None else out[:, 0])
        return logits


Found = tuple[str, tuple[str, ...], tuple[int, ...], int, int]
IMAGE = ("dim_2", "dim_3")
CASES: list[tuple[str, Callable[[], nn.Module], tuple[int, ...], Found]] = [
    # name, model, input: name of the layer, dims, grid, features, tokens left out
    ("vit", vit, (3, 32, 32), ("vit.layers.1.layernorm_before", IMAGE, (4, 4), 16, 1)),
    ("distilled", lambda: DeiTForImageClassificationWithTeacher(DeiTConfig(**TINY)), (3, 32, 32),
     ("deit.layers.1.layernorm_before", IMAGE, (4, 4), 16, 2)),
    ("registers", dino, (3, 32, 32), ("dinov2_with_registers.layernorm", IMAGE, (4, 4), 16, 5)),
    ("clip", lambda: CLIPForImageClassification(CLIPConfig(vision_config=TINY)), (3, 32, 32),
     ("vision_model.encoder.layers.1", IMAGE, (4, 4), 16, 1)),
    ("swin", swin, (3, 64, 64), ("swin.layernorm", IMAGE, (8, 8), 16, 0)),
    ("resnet", resnet, (3, 64, 48), ("resnet.encoder.stages.1", IMAGE, (8, 6), 12, 0)),
    ("convnext", convnext, (3, 64, 96), ("convnext.encoder.stages.3", IMAGE, (2, 3), 20, 0)),
    ("pooled", lambda: Pooled(inplace=False), (3, 8, 12), ("features.4", IMAGE, (4, 6), 5, 0)),
    ("in place", lambda: Pooled(inplace=True), (3, 8, 12), ("features.4", IMAGE, (4, 6), 5, 0)),
    ("small", toys.ConvNet, (1, 4, 5), ("late", IMAGE, (2, 3), 4, 0)),
    ("line", Line, (4, 30), ("second", ("dim_2",), (11,), 7, 0)),
    ("gray", Gray, (9, 12), ("conv", ("dim_1", "dim_2"), (4, 5), 6, 0)),
    ("features last", Last, (4, 5, 3), ("norm", ("dim_1", "dim_2"), (4, 5), 5, 0)),
    ("rows", toys.PoolNet, (7, 3), ("lift", ("dim_1",), (7,), 6, 0)),
    ("class token", lambda: Patches(token=True), (3, 8, 16),
     ("blocks.layers.0", IMAGE, (2, 4), 16, 1)),
    ("mean token", lambda: Patches(token=False), (3, 8, 16), ("blocks", IMAGE, (2, 4), 16, 0)),
    ("cube", lambda: nn.Sequential(nn.Conv3d(1, 2, 3), nn.Flatten(), nn.Linear(36, 2)),
     (1, 4, 5, 5),
     ("0", ("dim_2", "dim_3", "dim_4"), (2, 3, 3), 2, 0)),
]  # fmt: skip


def made(build: Callable[[], nn.Module], shape: tuple[int, ...], seed: int = 0) -> Any:
    """Return an adapter, and a sample for it."""
    torch.manual_seed(3)
    module = build().eval()
    for parameter in module.parameters():
        if parameter.ndim > 1:  # as a library begins them, tiny transformers are nearly linear
            nn.init.normal_(parameter, 0, 0.5)
    model = TensorModel(module, "net")
    x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(seed))
    return model, model.prepare(x)[0], x


@pytest.mark.parametrize(("name", "build", "shape", "found"), CASES, ids=[c[0] for c in CASES])
def test_the_last_grid_that_matters_is_found(
    name: str, build: Callable[[], nn.Module], shape: tuple[int, ...], found: Found
) -> None:
    model, sample, _ = made(build, shape)
    with state.unchanged(model.module):
        layer = model.layer(sample)
    got = (layer.name, layer.units.dims, layer.units.shape, layer.features, layer.skipped)
    assert got == found
    assert model.layer(sample, layer.name).units.shape == found[2]
    assert layer.units.kind == "cell"


@pytest.mark.parametrize(("name", "build", "shape", "found"), CASES, ids=[c[0] for c in CASES])
def test_maps_are_those_of_a_plain_pass(
    name: str, build: Callable[[], nn.Module], shape: tuple[int, ...], found: Found
) -> None:
    model, _, x = made(build, shape)
    model.module.double()
    model = TensorModel(model.module, "net")
    layer = model.layer(model.prepare(x)[0])
    kept: list[torch.Tensor] = []
    handle = model.module.get_submodule(found[0]).register_forward_hook(
        lambda _part, _given, output: kept.append(output)
    )
    out = model.module(x.double().requires_grad_())
    handle.remove()
    logits = out if isinstance(out, torch.Tensor) else out.logits
    (slope,) = torch.autograd.grad(logits[0, 1], kept[0])
    features, slopes = (layer.arranged(t.detach())[0].numpy() for t in (kept[0], slope))
    weights = slopes.reshape(len(slopes), -1).mean(1)
    wanted = np.maximum(np.tensordot(weights, features, 1), 0)
    a = explain(model, x, "grad_cam", 1, upsample=False)
    assert np.abs(weights).max() > 0
    np.testing.assert_allclose(a.to_numpy()[0], wanted, rtol=0, atol=1e-12 * max(1, wanted.max()))
    assert a.values.dims == ("example", *found[1])
    assert a.provenance["layer"]["tokens_left_out"] == found[4]
    assert ("tokens_left_out" in a.health) == (found[4] > 0)
    whole = explain(model, x, "grad_cam", 1)
    axes = [int(dim[-1]) - 1 for dim in found[1]]
    assert whole.to_numpy().shape == (1, *(shape[axis] for axis in axes))


def test_tokens_are_laid_out_as_the_patches_lie() -> None:
    model, sample, x = made(vit, (3, 32, 32))
    layer = model.layer(sample, "vit.embeddings.patch_embeddings")
    grid = layer.arranged(model.module.vit.embeddings.patch_embeddings(x))
    assert torch.equal(grid, model.module.vit.embeddings.patch_embeddings.projection(x))
    whole = model.layer(sample, "vit.embeddings")
    assert (whole.skipped, whole.units.shape) == (1, (4, 4))


def test_the_layer_does_not_depend_on_what_the_input_holds() -> None:
    for seed in range(3):
        model, _, x = made(vit, (3, 32, 32), seed)
        for raw in (x, torch.zeros_like(x), -x.abs()):
            layer = TensorModel(model.module, "net").layer(model.prepare(raw)[0])
            assert layer.name == "vit.layers.1.layernorm_before"


def test_layers_are_looked_for_once_per_shape() -> None:
    model, sample, x = made(resnet, (3, 64, 48))
    with toys.Calls(model.module) as calls:
        first = model.layer(sample)
        assert model.layer(sample) is first
        assert TensorModel(model.module, "again").layer(sample) is first
        assert calls.calls == 1
        (other,) = model.prepare(x[..., :32])
        assert model.layer(other).units.shape == (8, 4)
        assert calls.calls == 5  # what it gives, in two orders of memory, and its layers
    model.module.resnet.encoder.stages[1] = nn.Conv2d(8, 12, 1)
    assert model.layer(model.prepare(x)[0]).name == "resnet.encoder.stages.1"
    assert model.layer(model.prepare(x)[0]).units.shape == (16, 12)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("vit.layers.1.dropout", "runs 2 times in a pass"),
        ("vit.pooler", "does not exist in net: "),
        ("vit.layers.3", "did you mean 'vit.layers"),
        ("classifier", r"gives \(1, 2\) for one input, which is no grid"),
        ("vit.layers.1.attention", None),
    ],
)
def test_named_layers(layer: str, words: str | None) -> None:
    model, sample, _ = made(vit, (3, 32, 32))
    if words is None:  # a tuple, whose first tensor is read
        assert model.layer(sample, layer).units.shape == (4, 4)
        return
    with pytest.raises(OptionError, match=words) as caught:
        model.layer(sample, layer)
    assert "\n" not in str(caught.value)


def test_a_layer_that_is_not_reached_is_refused() -> None:
    class Net(Pooled):
        def __init__(self) -> None:
            super().__init__(inplace=False)
            self.spare = nn.Conv2d(3, 3, 1)

    model, sample, _ = made(Net, (3, 8, 12))
    with pytest.raises(OptionError, match="'spare' of net does not run in a pass"):
        model.layer(sample, "spare")


@pytest.mark.parametrize(
    "net",
    [
        toys.two_layer(torch.float32),
        nn.Sequential(nn.Linear(3, 3), nn.ReLU()),
        nn.Sequential(
            nn.Unflatten(1, (3, 1, 1)), nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(4, 2)
        ),
    ],
    ids=["vectors", "no head", "one position"],
)
def test_models_without_a_grid_are_refused(net: nn.Module) -> None:
    model = TensorModel(net, "net")
    (sample,) = model.prepare(torch.ones(1, 3))
    with pytest.raises(RefusedError, match="net has no layers with a grid of positions"):
        model.layer(sample)


def test_what_a_model_raises_while_it_is_looked_at_is_told_in_one_line() -> None:
    model, sample, _ = made(Gray, (9, 12))
    for error, kind in (
        (lambda: RuntimeError("broken\non purpose"), ModelError),
        (lambda: torch.OutOfMemoryError("none"), OutOfMemoryError),
    ):
        broken = toys.Calls(model.module, fail_at=1, error=error)
        with state.unchanged(model.module), broken, pytest.raises(kind) as caught:
            model.layer(sample)
        assert "\n" not in str(caught.value)
    assert isinstance(model.layer(sample), Place)


def test_a_layer_that_gives_something_else_later_is_refused() -> None:
    class Moody(Gray):
        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            Moody.calls += 1
            if Moody.calls > 2:
                self.conv(x[:, None, ::2])
            return super().forward(x)

    with pytest.raises(ModelError, match="layer 'conv' does not give one tensor, once a pass"):
        explain(Moody(), torch.randn(1, 9, 12), "grad_cam", 0)
