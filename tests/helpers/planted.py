"""An ESM-2 with two heads whose weights were written by hand, and structures made to fit them."""

from __future__ import annotations

import numpy as np
import torch
from transformers import EsmConfig, EsmForMaskedLM

from helpers.tokens import RESIDUES, esm_tokenizer, spread
from saliscope.models.protein import ProteinModel
from saliscope.sites.placing import Placed, place
from saliscope.sites.structure import Structure

LETTERS = "ACDEFGHIKLMNPQRSTVWY"
HEADS, WIDTH = 4, 33
CONTACT_HEAD = (1, 2)
"""Layer and head in which a residue looks at residues of its own type."""
SITE_HEAD = (1, 0)
"""Layer and head in which every residue looks at tryptophans."""


def model() -> ProteinModel:
    """Return the model: two layers, four heads, absolute positions that are zero."""
    size = HEADS * WIDTH
    config = EsmConfig(
        vocab_size=len(RESIDUES), mask_token_id=RESIDUES.index("<mask>"), pad_token_id=1,
        hidden_size=size, num_hidden_layers=2, num_attention_heads=HEADS, intermediate_size=32,
        max_position_embeddings=400, position_embedding_type="absolute", token_dropout=False,
        emb_layer_norm_before=False, tie_word_embeddings=True, layer_norm_eps=1e-5,
    )  # fmt: skip
    module = EsmForMaskedLM(config)
    spread(module, 5, 0.02)
    with torch.no_grad():
        inner = module.esm
        inner.embeddings.position_embeddings.weight.zero_()
        words = inner.embeddings.word_embeddings.weight
        words.zero_()
        words[:, : len(RESIDUES)] = 5 * torch.eye(len(RESIDUES))
        own = inner.encoder.layer[CONTACT_HEAD[0]].attention.self
        rows = slice(CONTACT_HEAD[1] * WIDTH, (CONTACT_HEAD[1] + 1) * WIDTH)
        for part in (own.query, own.key):
            part.weight[rows] = 0
            part.weight[rows, : len(RESIDUES)] = 0.6 * torch.eye(len(RESIDUES))
        rows = slice(SITE_HEAD[1] * WIDTH, (SITE_HEAD[1] + 1) * WIDTH)
        own.query.weight[rows] = 0
        own.query.bias[rows] = 1
        own.key.weight[rows] = 0
        own.key.weight[rows, RESIDUES.index("W")] = 0.15
    return ProteinModel(module.eval(), esm_tokenizer(), "planted")


def protein(seed: int, length: int = 120) -> str:
    """Return a random sequence."""
    return "".join(np.random.default_rng(seed).choice(list(LETTERS), length))


def fitted(sequence: str, name: str = "made.pdb") -> Placed:
    """Return a structure in which residues of one type, and they alone, are in contact."""
    rng = np.random.default_rng(len(sequence))
    middle = {
        letter: 40.0 * np.array([i % 3, i // 3 % 3, i // 9]) for i, letter in enumerate(LETTERS)
    }
    points = np.stack([middle[a] for a in sequence]) + rng.uniform(-1, 1, (len(sequence), 3))
    count = len(sequence)
    chain = Structure(
        name, "A", sequence, tuple((i, "") for i in range(1, count + 1)), points, points, points,
        np.arange(count), np.full(count, 0.5),
    )  # fmt: skip
    return place(chain, sequence)
