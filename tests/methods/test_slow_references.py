"""Engine results against slow float64 references: two independent ways to the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from helpers import reference, toys
from saliscope import explain
from saliscope.core.quadrature import fixed_rule

SHAPES = [(5,), (3, 4), (2, 3, 2)]
NETS = [(nn.ReLU, 0), (nn.GELU, 1), (nn.Tanh, 2)]


def setting(shape: tuple[int, ...], activation: Any, seed: int) -> tuple[Any, ...]:
    """Return a network, an input, a baseline, and the network as a function of one input."""
    size = int(np.prod(shape))
    net = nn.Sequential(nn.Flatten(), toys.random_net(seed, (size, 7, 5, 3), activation, 3.0))
    generator = torch.Generator().manual_seed(100 + seed)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    b = torch.randn(shape, generator=generator, dtype=torch.float64)
    return net.eval(), x, b, lambda one: net(one[None])[0]


def close(got: np.ndarray, wanted: np.ndarray) -> None:
    """Equal to 1e-10 of the largest value."""
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-10 * max(1.0, np.abs(wanted).max()))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("activation", "seed"), NETS)
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("gradient", {}),
        ("gradient", {"absolute": True}),
        ("input_x_gradient", {}),
        ("integrated_gradients", {"tolerance": 1e-3, "max_evaluations": 65}),
        ("integrated_gradients", {"steps": 5}),
        ("integrated_gradients", {"steps": 6, "rule": "trapezoid"}),
        ("occlusion", {"window": 2, "stride": 1}),
        ("masking", {}),
    ],
    ids=str,
)
def test_the_engine_equals_the_plain_driver(
    method: str, options: dict[str, Any], shape: tuple[int, ...], activation: Any, seed: int
) -> None:
    net, x, b, f = setting(shape, activation, seed)
    wanted = reference.reference_drive(method, f, x, b, **options)
    place = {
        "occlusion": {"fill": b},
        "masking": {"fill": b},
        "integrated_gradients": {"baseline": b},
    }
    a = explain(net, x[None], method=method, target=[0, 1, 2], **options, **place.get(method, {}))
    close(a.to_numpy()[:, 0], wanted.values)
    close(a.score.values[:, 0], wanted.score)
    if wanted.error is not None:
        close(a.error.values[:, 0], wanted.error)
        assert a.provenance["notes"]["nodes"] == wanted.notes["nodes"]
    if wanted.baseline_score is not None:
        close(a.baseline_score.values[:, 0], wanted.baseline_score)
    found = {f.code for f in a.health}
    assert {f.code for f in wanted.findings} <= found


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("activation", "seed"), NETS)
def test_the_engine_equals_the_papers(shape: tuple[int, ...], activation: Any, seed: int) -> None:
    net, x, b, f = setting(shape, activation, seed)
    every = [0, 1, 2]
    slopes = np.stack([s.numpy() for s in reference.slopes(f, x)])
    close(explain(net, x[None], "gradient", every).to_numpy()[:, 0], slopes)
    product = explain(net, x[None], "input_x_gradient", every)
    close(product.to_numpy()[:, 0], slopes * x.numpy())
    one = explain(net, x[None], "masking", every, fill=b)
    close(one.to_numpy()[:, 0], reference.masked(f, x, b))
    axes = len(shape)
    for window, stride in ((1, 1), (2, 1), (2, 2)):
        a = explain(net, x[None], "occlusion", every, fill=b, window=window, stride=stride)
        wanted = reference.occluded(f, x, b, (window,) * axes, (stride,) * axes)
        close(a.to_numpy()[:, 0], wanted)
    for rule, steps in (("trapezoid", 4), ("midpoint", 3), ("gauss_legendre", 6)):
        a = explain(net, x[None], "ig", every, baseline=b, steps=steps, rule=rule)
        close(a.to_numpy()[:, 0], reference.integrated(f, x, b, *fixed_rule(rule, steps)))


# Kinks can hide between nodes; test_path_error.py counts how often.
@pytest.mark.parametrize(("activation", "seed"), NETS[1:])
def test_adaptive_paths_equal_a_dense_rule_within_their_error(activation: Any, seed: int) -> None:
    net, x, b, f = setting((4,), activation, seed)
    dense = reference.integrated(f, x, b, *fixed_rule("midpoint", 600))
    a = explain(net, x[None], "ig", [0, 1, 2], baseline=b, tolerance=0.01)
    for target, values in enumerate(a.to_numpy()[:, 0]):
        change = abs(float(a.score[target, 0] - a.baseline_score[target, 0]))
        scale = max(change, np.abs(values).sum())
        true = np.abs(values - dense[target]).sum() / scale
        assert true <= float(a.error[target, 0])
        assert float(a.error[target, 0]) <= 0.01


def test_masking_of_groups_equals_a_loop() -> None:
    net, x, b, f = setting((6,), nn.GELU, 4)
    labels = [3, -1, 0, 3, 0, 7]
    a = explain(net, x[None], "masking", 0, fill=b, groups=labels)
    whole = f(x)[0].item()
    wanted = []
    for group in (0, 3, 7):
        without = x.clone()
        for unit, label in enumerate(labels):
            if label == group:
                without[unit] = b[unit]
        wanted.append(whole - f(without)[0].item())
    close(a.to_numpy()[0], np.array(wanted))
    assert a.data["group"].values.tolist() == ["0", "3", "7"]


# -- token models: the embedding is the input space ------------------------------------------


def embedded(model: Any, sample: Any) -> tuple[torch.Tensor, Any]:
    """Return the embedding of an input and the module as a function of it."""
    ids = torch.from_numpy(sample.context["ids"])[None]
    attention = torch.ones_like(ids)

    def run(embedding: torch.Tensor) -> torch.Tensor:
        handle = model.embedding.register_forward_hook(lambda *_: embedding[None].clone())
        try:
            return model.module(input_ids=ids, attention_mask=attention).logits[0]
        finally:
            handle.remove()

    return model.embed(sample.context["ids"]), run


def test_a_text_against_embeddings_moved_by_hand(text: Any) -> None:
    (sample,) = text.prepare("It isn't a dull film")
    here, run = embedded(text, sample)
    kept = sample.units.kept
    zero = here.clone()
    zero[kept] = 0.0
    slope = reference.slopes(run, here)[2]
    first = explain(text, sample.text, "gradient", "positive").to_numpy()
    close(first, slope.norm(dim=-1).numpy()[kept])
    second = explain(text, sample.text, "input_x_gradient", "positive").to_numpy()
    close(second, (slope * here).sum(-1).numpy()[kept])
    path = explain(text, sample.text, "ig", "positive", baseline="zero", steps=7)
    rule = fixed_rule("gauss_legendre", 7)
    wanted = reference.integrated(run, here, zero, *rule)[2].sum(-1)
    close(path.to_numpy(), wanted[kept])
    assert np.abs(np.delete(wanted, kept)).max() == 0  # special tokens do not move


def test_a_protein_against_masked_and_scaled_embeddings(protein: Any) -> None:
    (sample,) = protein.prepare("MVHLT")
    ids = torch.from_numpy(sample.context["ids"])

    def likelihood(given: torch.Tensor) -> float:
        with torch.no_grad():
            mask = torch.ones_like(given)[None]
            logits = protein.module(input_ids=given[None], attention_mask=mask).logits[0]
        return float(logits.log_softmax(-1)[range(1, 6), ids[1:6]].sum())

    whole, drops = likelihood(ids), []
    for at in range(1, 6):
        without = ids.clone()
        without[at] = protein.mask_id
        drops.append(whole - likelihood(without))
    a = explain(protein, "MVHLT", "masking")
    close(a.to_numpy(), np.array(drops))
    assert a.score == pytest.approx(whole, abs=1e-10)
    assert "token_dropout" in a.health
    assert "unmasked_copy" in a.health


@pytest.mark.parametrize("fill", ["mask", "A"])
def test_likelihood_in_context_masks_what_it_reads_after_the_fill(protein: Any, fill: str) -> None:
    (sample,) = protein.prepare("MVHL")
    ids = torch.from_numpy(sample.context["ids"])
    put = protein.mask_id if fill == "mask" else protein.vocabulary[fill]

    def pseudo(given: torch.Tensor) -> float:
        total = 0.0
        for at in range(1, 5):  # one pass per position, each with that position masked
            seen = given.clone()
            seen[at] = protein.mask_id
            with torch.no_grad():
                logits = protein.module(
                    input_ids=seen[None], attention_mask=torch.ones_like(seen)[None]
                ).logits[0, at]
            total += float(logits.log_softmax(-1)[ids[at]])
        return total

    whole, drops = pseudo(ids), []
    for at in range(1, 5):
        without = ids.clone()
        without[at] = put
        drops.append(whole - pseudo(without))
    a = explain(protein, "MVHL", "masking", "likelihood:context", fill=fill)
    assert a.score == pytest.approx(whole, abs=1e-10)
    close(a.to_numpy(), np.array(drops))
