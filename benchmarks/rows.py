"""The rows of the table: Saliscope, the peer that a user would pick instead, the bare passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

import saliscope
from benchmarks.characters import CHARACTERS
from benchmarks.digits import DIGITS
from benchmarks.harness import FLOOR, OURS, Best, Case, Goal, faster, near_floor, overhead
from benchmarks.paths import PATHS
from benchmarks.photographs import PHOTOGRAPHS

__all__ = ["ROWS"]

DEFAULT, MANY = "captum", "captum, 16 at once"


def untrained() -> tuple[Any, str]:
    """Return a model of one small layer, and a text of 510 tokens."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    donor = saliscope.load("zoo:sentiment")
    config = BertConfig(
        vocab_size=donor.config.vocab_size, hidden_size=32, num_hidden_layers=1,
        num_attention_heads=2, intermediate_size=32, max_position_embeddings=512,
    )  # fmt: skip
    tokenizer = donor.tokenizer
    tokenizer.model_max_length = 512
    module = BertForSequenceClassification(config).eval().requires_grad_(False)
    return saliscope.load(module, tokenizer=tokenizer), _words(510)


def trained() -> tuple[Any, str]:
    """Return the classifier of the zoo, and a text as long as it takes."""
    return saliscope.load("zoo:sentiment"), _words(126)


def _words(count: int) -> str:
    return " ".join(["good", "bad", "film", "food"] * 128)[: -len(" film food")].rsplit(
        " ", max(0, 510 - count)
    )[0]


def masking(make: Callable[[], tuple[Any, str]], goals: Sequence[Goal]) -> Case:
    """Masking each token of a text: what is left beside the calls themselves."""
    from captum.attr import FeatureAblation

    adapter, text = make()
    module = adapter.module.eval().requires_grad_(False)
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

    def captum(batch: int) -> Any:
        mask = adapter.tokenizer.mask_token_id
        found = peer.attribute(ids, mask, perturbations_per_eval=batch)
        return found[0, kept].numpy()

    def truth() -> Any:
        """Return the peer's map in double precision: its values are small differences of scores."""
        module.double()
        try:
            return captum(16)
        finally:
            module.float()

    bare = _forwards(read, ids, len(kept) + 1)
    return Case(
        {OURS: ours, DEFAULT: partial(captum, 1), MANY: partial(captum, 16), FLOOR: bare},
        goals, truth, lambda: len(kept) + 1, warm=lambda: read(ids), overhead=True,
    )  # fmt: skip


def occlusion() -> Case:
    """Occlusion of a 224 x 224 image, window 16, stride 8."""
    from captum.attr import Occlusion

    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 7, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
        nn.Linear(128, 10),
    ).eval().requires_grad_(False)  # fmt: skip
    image = torch.randn(1, 3, 224, 224)
    peer = Occlusion(net)
    windows = ((224 - 16) // 8 + 1) ** 2

    def ours() -> Any:
        a = saliscope.explain(net, image, "occlusion", 3, window=(3, 16, 16), stride=(3, 8, 8))
        return a.to_numpy()

    def captum(batch: int) -> Any:
        found = peer.attribute(
            image, sliding_window_shapes=(3, 16, 16), strides=(3, 8, 8), target=3,
            perturbations_per_eval=batch,
        )  # fmt: skip
        return found.detach().numpy()

    bare = _forwards(net, image, windows + 1)
    return Case(
        {OURS: ours, DEFAULT: partial(captum, 1), MANY: partial(captum, 16), FLOOR: bare},
        (faster(DEFAULT, 5), faster(MANY, 5)), partial(captum, 1),
        lambda: windows + 1, warm=lambda: net(image),
    )  # fmt: skip


def _forwards(read: Callable[[torch.Tensor], Any], row: torch.Tensor, count: int) -> Best:
    """Return `count` bare forward passes of a row."""

    def run(size: int) -> None:
        rows = row.expand(min(size, count), *row.shape[1:]).contiguous()
        with torch.no_grad():
            for left in range(count, 0, -size):
                read(rows[:left])

    return Best(run)


ROWS: dict[str, Callable[[], Case]] = {
    **PATHS,
    **DIGITS,
    **PHOTOGRAPHS,
    **CHARACTERS,
    "masking, 126 tokens, zoo:sentiment": partial(masking, trained, (near_floor(),)),
    "masking, 510 tokens": partial(masking, untrained, (overhead(DEFAULT, 10),)),
    "occlusion, 224 x 224, window 16, stride 8": occlusion,
}
