"""A bottleneck beside a protein language model: layers, alignment, attention on the same inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from saliscope.attention.layers import select_layers, stack_of
from saliscope.attention.make import attention_map
from saliscope.bottleneck.cut import Cut
from saliscope.bottleneck.measures import linear_cka, spearman
from saliscope.bottleneck.missense import Variant
from saliscope.core.errors import OptionError, SaliscopeError
from saliscope.core.units import FloatArray
from saliscope.models.loading import load
from saliscope.models.quiet import quiet
from saliscope.models.readout import as_numpy
from saliscope.models.tokens import TokenModel

__all__ = ["Rival", "agreement", "similarity"]

_TOP = 10


class Rival:
    """A protein language model, looked at layer by layer.

    Parameters
    ----------
    model : object
        "zoo:protein", "facebook/esm2_t33_650M_UR50D", ...

    Examples
    --------
    >>> rival = Rival("zoo:protein")
    >>> layers = rival.layers("MVHLTPEEKS")
    >>> layers[-1].shape[0]
    10
    """

    def __init__(self, model: object) -> None:
        adapter = load(model)
        if not isinstance(adapter, TokenModel) or adapter.modality != "protein":
            msg = f"rival={adapter.name} is no protein model; give an ESM-2, or None for none"
            raise OptionError(msg)
        self.adapter, self.name = adapter, adapter.name
        self.limit = adapter.limit
        self._blocks = _blocks(adapter.module)

    def layers(self, sequence: str) -> list[FloatArray]:
        """Return what each block gives for the residues, (residues, numbers)."""
        (sample,) = self.adapter.prepare(sequence)
        kept: list[torch.Tensor] = []
        with _watched(self._blocks, kept), quiet(self.adapter.module, 0), torch.no_grad():
            self.adapter.module(**self.adapter.arguments([sample.context["ids"]]))
        return [as_numpy(t[0])[sample.units.kept] for t in kept]

    def received(self, sequence: str) -> FloatArray:
        """Return what each residue receives, mean over layers and heads."""
        (sample,) = self.adapter.prepare(sequence)
        arguments = self.adapter.arguments([sample.context["ids"]])
        found = attention_map(self.adapter.module, arguments, sample.units)
        return np.asarray(found.values.to_numpy().mean((0, 1)), dtype=np.float64)


def _blocks(module: nn.Module) -> list[nn.Module]:
    stack = module.get_submodule(stack_of(select_layers(module, "encoder")[0].name))
    return list(stack.children())


@contextmanager
def _watched(blocks: Sequence[nn.Module], kept: list[torch.Tensor]) -> Iterator[None]:
    def keep(_module: nn.Module, _args: Any, output: Any) -> None:
        kept.append(output if torch.is_tensor(output) else output[0])

    handles = [block.register_forward_hook(keep) for block in blocks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def similarity(
    own: dict[str, list[FloatArray]], rival: list[list[FloatArray]], *, most: int = 6000,
    seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Return the linear centered kernel alignment of each part with each layer of the rival.

    Parameters
    ----------
    own : mapping of str to list of numpy.ndarray
        Name of a part to what it gives for the residues of each protein.
    rival : list of list of numpy.ndarray
        Of each protein, its layers.
    most : int
        Residues that are compared, drawn by `seed`.

    Returns
    -------
    pandas.DataFrame
        part, layer, cka, and chance: the same with the residues shuffled.
    """
    total = sum(len(layers[0]) for layers in rival)
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(total, min(most, total), replace=False))
    mixed = rng.permutation(len(chosen))
    layers = [np.concatenate([p[k] for p in rival])[chosen] for k in range(len(rival[0]))]
    rows = []
    for part, values in own.items():
        here = np.concatenate(values)[chosen]
        rows += [
            {"part": part, "layer": k, "cka": linear_cka(here, there),
             "chance": linear_cka(here[mixed], there), "residues": len(chosen)}
            for k, there in enumerate(layers)
        ]  # fmt: skip
    return pd.DataFrame(rows)


def agreement(
    cut: Cut, rival: Rival, sequences: Sequence[str], names: Sequence[str],
    variants: Sequence[Variant],
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Compare what residues receive in the encoder and in the rival, for the same variants.

    Returns
    -------
    agreement : pandas.DataFrame
        A row per variant: the rank correlation of what residues of the variant protein receive
        (mean over layers, heads and queries), that of the size of its change, and how many of the
        ten residues that change most are the same, beside what chance would give. Empty where the
        encoder's attention cannot be read.
    beside : pandas.DataFrame
        A row per variant and residue: what it receives in the variant, and how much more than in
        the reference, in both models, as shares of an even spread.
    """
    rows: list[dict[str, Any]] = []
    beside: list[pd.DataFrame] = []
    known: dict[str, tuple[FloatArray, FloatArray]] = {}

    def both(sequence: str) -> tuple[FloatArray, FloatArray] | None:
        if sequence not in known:
            own = cut.attention(sequence, "encoder", "received")
            if own is None or own.values.sizes["position"] != len(sequence):
                return None
            mine = np.asarray(own.values.to_numpy().mean((0, 1)), dtype=np.float64)
            known[sequence] = mine, rival.received(sequence)
        return known[sequence]

    for one in variants:
        sequence = sequences[one.protein].upper()
        try:
            before, after = both(sequence), both(one.of(sequence))
        except SaliscopeError:
            continue
        if before is None or after is None:
            break
        moved = [b - a for a, b in zip(before, after, strict=True)]
        change = [np.abs(m) for m in moved]
        size = len(sequence)
        beside.append(pd.DataFrame({
            "protein": names[one.protein], "variant": one.name,
            "position": np.arange(1, size + 1), "residue": list(one.of(sequence)),
            "encoder": after[0] * size, "rival": after[1] * size,
            "encoder change": moved[0] * size, "rival change": moved[1] * size,
        }))  # fmt: skip
        top = [set(np.argsort(-c, kind="stable")[:_TOP].tolist()) for c in change]
        rows.append({
            "protein": names[one.protein], "variant": one.name, "residues": len(sequence),
            "received": spearman(*after), "change": spearman(*change),
            "same of ten": len(top[0] & top[1]), "by chance": _TOP * _TOP / len(sequence),
            "own place, encoder": int(ranks_down(change[0])[one.position - 1]),
            "own place, rival": int(ranks_down(change[1])[one.position - 1]),
        })  # fmt: skip
    return pd.DataFrame(rows), pd.concat(beside) if beside else pd.DataFrame()


def ranks_down(values: FloatArray) -> FloatArray:
    """Return ranks from 1, the largest first."""
    order = np.argsort(-values, kind="stable")
    found = np.empty(len(values))
    found[order] = np.arange(1, len(values) + 1)
    return found
