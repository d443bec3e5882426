"""A protein encoder with a closed form: a table of residues by position, and planted couplings."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import MaskedLMOutput

import saliscope
from saliscope.models.protein import ProteinModel

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


class ToyConfig(PretrainedConfig):
    model_type = "toy-protein"

    def __init__(self, vocab_size: int = 33, length: int = 64, **given: Any) -> None:
        super().__init__(**given)
        self.vocab_size, self.length = vocab_size, length


class ToyForMaskedLM(PreTrainedModel):
    """logits[i] = table[i] + sum over couplings (i, j) of matrix @ one-hot of residue j."""

    config_class = ToyConfig

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.vocab_size)
        self.table = nn.Parameter(torch.zeros(config.length, config.vocab_size))
        self.couplings: dict[tuple[int, int], torch.Tensor] = {}
        with torch.no_grad():
            self.embedding.weight.copy_(torch.eye(config.vocab_size))

    def get_input_embeddings(self) -> nn.Module:
        return self.embedding

    def forward(self, input_ids: Any, attention_mask: Any = None, **_: Any) -> MaskedLMOutput:
        rows = self.embedding(input_ids)
        logits = self.table[: rows.shape[1]].expand(len(rows), -1, -1)
        if self.couplings:
            extra = torch.zeros_like(logits)
            for (i, j), matrix in self.couplings.items():
                if max(i, j) < rows.shape[1]:
                    extra[:, i] = extra[:, i] + rows[:, j] @ matrix.to(rows)
            logits = logits + extra
        return MaskedLMOutput(logits=logits, hidden_states=None)


class Toy:
    """The encoder as Saliscope sees it, and its numbers from the formula alone.

    Parameters
    ----------
    residues : int
    seed : int
    plant : (i, a, j, b, size), optional
        Residue `a` at position i gains `size` where residue `b` stands at position j (from 1).
    """

    def __init__(
        self, residues: int, seed: int, plant: tuple[int, str, int, str, float] | None = None
    ) -> None:
        tokenizer = saliscope.load("zoo:protein").tokenizer
        module = ToyForMaskedLM(ToyConfig(len(tokenizer), residues + 2))
        rng = np.random.default_rng(seed)
        ids = [tokenizer.get_vocab()[a] for a in LETTERS]
        self.table = rng.normal(size=(residues, 20))
        self.plant = plant
        with torch.no_grad():
            module.table.fill_(-1e4)
            module.table[1 : residues + 1, ids] = torch.from_numpy(self.table).float()
        if plant is not None:
            i, a, j, b, size = plant
            matrix = torch.zeros(len(tokenizer), len(tokenizer))
            matrix[tokenizer.get_vocab()[b], tokenizer.get_vocab()[a]] = size
            module.couplings[i, j] = matrix  # the start token shifts both by one
        self.model = ProteinModel(module.double().eval(), tokenizer, "toy")

    def score(self, protein: str) -> float:
        total = 0.0
        for i, letter in enumerate(protein):
            logits = self.table[i].astype(np.float32).astype(np.float64)
            if self.plant is not None and i + 1 == self.plant[0]:
                _, a, j, b, size = self.plant
                if protein[j - 1] == b:
                    logits[LETTERS.index(a)] += size
            total += logits[LETTERS.index(letter)] - np.log(np.exp(logits).sum())
        return float(total)
