"""A token model's inputs and target as plain tensors: what peers and bare passes are given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

__all__ = ["Plain"]


@dataclass(frozen=True, eq=False)
class Plain:
    """Some texts, padded to the longest.

    Parameters
    ----------
    adapter : saliscope.models.tokens.TokenModel
    targets : list of saliscope.core.target.BoundTarget
        Of each text: a class, or a projection of the pooled embedding.
    ids, base, attention : torch.Tensor, shape (texts, tokens)
        Token ids, those of the baseline, and the attention mask.
    kept : torch.Tensor of bool, shape (texts, tokens)
        Tokens that are no special ones.
    """

    adapter: Any
    targets: list[Any]
    ids: torch.Tensor
    base: torch.Tensor
    attention: torch.Tensor
    kept: torch.Tensor

    @classmethod
    def of(cls, adapter: Any, target: Any, texts: Sequence[str]) -> Plain:
        """Prepare texts; the parameters are frozen, as Saliscope does, so that all sides are."""
        adapter.module.eval().requires_grad_(False)
        samples = [adapter.prepare(text)[0] for text in texts]
        given = adapter.arguments([s.context["ids"] for s in samples])
        fills = [np.asarray(adapter.baseline(s, None).ids) for s in samples]
        kept = torch.zeros_like(given["input_ids"], dtype=torch.bool)
        for row, sample in enumerate(samples):
            kept[row, sample.units.kept] = True
        return cls(
            adapter, [target.bind(adapter, s) for s in samples], given["input_ids"],
            adapter.arguments(fills)["input_ids"], given["attention_mask"], kept,
        )  # fmt: skip

    def rows(self, chosen: Sequence[int]) -> Plain:
        """Return some rows, cut to the longest of them."""
        at = list(chosen)
        width = int(self.attention[at].sum(1).max())
        tensors = (t[at, :width] for t in (self.ids, self.base, self.attention, self.kept))
        return Plain(self.adapter, [self.targets[i] for i in at], *tensors)

    def each(self) -> list[Plain]:
        """Return every text on its own."""
        return [self.rows([i]) for i in range(len(self.ids))]

    def packed(self, size: int) -> Iterator[Plain]:
        """Cut into batches, the longest first, so that little is padded."""
        order = self.attention.sum(1).argsort(descending=True).tolist()
        for start in range(0, len(order), size):
            yield self.rows(order[start : start + size])

    def read(self, ids: torch.Tensor, attention: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        """Run the module and read the target off each row."""
        out = self.adapter.module(input_ids=ids, attention_mask=attention)
        first = self.targets[0]
        if "classes" in self.adapter.heads:
            picked: torch.Tensor = out.logits[:, first.index[0]]
            return picked
        pooled = (out[0] * kept[..., None]).sum(1) / kept.sum(1, keepdim=True)
        score: torch.Tensor = pooled @ torch.from_numpy(first.weight).to(pooled)
        return score

    @property
    def extra(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What `read` takes beside the token ids."""
        return self.attention, self.kept

    def pass_(self, repeats: int = 1) -> None:
        """Run one forward and one backward pass, every row `repeats` times over."""
        seen: list[torch.Tensor] = []

        def hook(_module: Any, _given: Any, out: torch.Tensor) -> torch.Tensor:
            seen.append(out.detach().requires_grad_())
            return seen[0]

        handle = self.adapter.embedding.register_forward_hook(hook)
        try:
            given = (t.repeat_interleave(repeats, 0) for t in (self.ids, *self.extra))
            torch.autograd.grad(self.read(*given).sum(), seen)
        finally:
            handle.remove()

    def units(self, values: torch.Tensor) -> np.ndarray[Any, Any]:
        """Return values (rows, tokens) of the kept tokens alone, one row behind the other."""
        found: np.ndarray[Any, Any] = values[self.kept].detach().numpy()
        return found
