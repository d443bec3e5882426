"""Autoencoders of proteins: what is explained is what comes back out of the bottleneck alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import torch

from saliscope.core.errors import ModelError, RefusedError
from saliscope.core.model import Sample
from saliscope.core.perturbation import Baseline, Perturbation
from saliscope.core.units import Units
from saliscope.models.dual_llama import DualLlama, DualLlamaConfig
from saliscope.models.protein import ProteinModel
from saliscope.models.substituting import substituted
from saliscope.models.tokens import Ids, TokenBatch, mean_over
from saliscope.models.torch_model import Batch

__all__ = ["RewritingModel", "is_dual_llama", "load_dual_llama"]


class _Alphabet:
    """What `ProteinModel` asks of a tokenizer: one letter, one token, no specials."""

    mask_token_id = None  # what is hidden from this encoder would be missing from the bottleneck
    eos_token_id = None
    pad_token_id = DualLlama.PADDING

    def __init__(self, letters: str) -> None:
        self._ids = {letter: DualLlama.FIRST + i for i, letter in enumerate(letters)}
        self.unk_token_id = self._ids["X"]

    def get_vocab(self) -> dict[str, int]:
        return dict(self._ids)

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": [self._ids.get(letter, self.unk_token_id) for letter in text]}


class RewritingModel(ProteinModel):
    """A `DualLlama`: log-probabilities of residues are those that it rebuilds.

    The decoder is shown no residue, so that every target (a residue, a substitution, the whole
    sequence) is a statement about what went through the bottleneck. The embedding of a protein is
    the mean over its residues of what the encoder gives.

    Parameters
    ----------
    module : DualLlama
    name : str

    Examples
    --------
    >>> network = DualLlama(DualLlamaConfig(width=10, heads=1, inner=8, encoder_layers=1,
    ...                                     decoder_layers=1, slots=3, slot_width=4)).eval()
    >>> model = RewritingModel(network, "tiny")
    >>> sorted(model.heads), [sample.length for sample in model.prepare("MVHL")]
    (['embedding', 'tokens'], [4])
    """

    module: DualLlama

    def __init__(self, module: DualLlama, name: str) -> None:
        super().__init__(module, _Alphabet(module.config.alphabet), name)
        self.heads = frozenset({"tokens", "embedding"})
        self.offers = self.offers | {"attention"}
        self.limit = module.config.positions

    def baseline(self, sample: Sample, given: object) -> Baseline:
        """Return what stands in place of residues: by default X, the residue that is not known."""
        return super().baseline(sample, "X" if given is None else given)

    def sides(self, sample: Sample, kind: str) -> tuple[Units, Units | None]:
        """Return what looks and what is looked at: residues, or the slots of the bottleneck."""
        count = self.module.config.slots
        numbers = list(range(1, count + 1))
        slots = Units(("position",), (count,), "slot", {"position": ("position", numbers)})
        if kind == "slots":
            return slots, sample.units
        return sample.units, slots if kind == "cross" else None

    def _row_ids(self, sample: Sample, moved: Perturbation, row: int, view: tuple[int, ...]) -> Ids:
        if view:
            msg = (
                f"{self.name} rebuilds what it has read and fills no gaps, so there is no "
                "likelihood in context; leave out the context"
            )
            raise RefusedError(msg)
        return super()._row_ids(sample, moved, row, view)

    def _passed(self, ids: Sequence[torch.Tensor], masks: Sequence[torch.Tensor]) -> dict[str, Any]:
        """Return the residues, of which the decoder is shown none; padding hides itself."""
        return {"ids": ids[0], "shown": torch.full_like(ids[0], DualLlama.HIDDEN)}

    def forward(
        self, batch: Batch, heads: Set[str], *, gradients: bool
    ) -> tuple[dict[str, Any], torch.Tensor | None]:
        """Rebuild with the embedding substituted (or only observed)."""
        assert isinstance(batch, TokenBatch)
        states: list[torch.Tensor] = []

        def observe(_module: object, _args: object, output: torch.Tensor) -> None:
            states.append(output)

        last = self.module.encoder[-1].register_forward_hook(observe)
        try:
            with substituted(
                self.embeddings, batch.leaf, batch.spread, self.name, gradients=gradients
            ) as seen:
                logits = self.module(**batch.arguments)
        finally:
            last.remove()
        hidden = states[0]
        outputs: dict[str, Any] = {"call": logits, "tokens": logits, "hidden": hidden}
        if "embedding" in heads:
            outputs["embedding"] = mean_over(hidden, batch.pool)
        return outputs, seen.leaf

    def describe(self) -> Mapping[str, Any]:
        """Return what provenance says of the model."""
        config = self.module.config
        return {**super().describe(), "bottleneck": [config.slots, config.slot_width]}


def is_dual_llama(folder: Path) -> bool:
    """Return whether a folder holds a `DualLlama`."""
    try:
        about = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and about.get("model_type") == DualLlamaConfig().model_type


def load_dual_llama(
    folder: Path, name: str, *, device: torch.device, dtype: torch.dtype | None = None
) -> RewritingModel:
    """Load a `DualLlama` from a folder with config.json and model.safetensors.

    Raises
    ------
    ModelError
        Weights that are missing, or are those of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        about = json.loads((folder / "config.json").read_text("utf-8"))
        network = DualLlama(DualLlamaConfig.from_dict(about))
        network.load_state_dict(load_file(folder / "model.safetensors"))
    except (OSError, SafetensorError, TypeError, KeyError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        msg = f"{name}: cannot be loaded ({reason[:160]}); its folder holds another network"
        raise ModelError(msg) from error
    return RewritingModel(network.to(device, dtype or torch.float32).eval(), name)
