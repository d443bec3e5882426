"""A BERT-type model over an amino-acid alphabet, as ProtBert is: letters, [CLS] and [SEP]."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertForMaskedLM, BertTokenizer

import saliscope
from saliscope.models.protein import ProteinModel

LETTERS = "LAGVESIKRDTPNQFYMHCWXUBZO"
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS]


def model(folder: Path) -> ProteinModel:
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(TOKENS) + "\n")
    tokenizer = BertTokenizer(str(vocabulary), do_lower_case=False)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(TOKENS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=40,
    )  # fmt: skip
    loaded = saliscope.load(BertForMaskedLM(config).eval(), tokenizer=tokenizer)
    assert isinstance(loaded, ProteinModel)
    return loaded


def test_residues_are_units_and_the_likelihood_is_the_models_own(tmp_path: Path) -> None:
    bert = model(tmp_path)
    sequence = "MVHLTPEEK"
    a = saliscope.explain(bert, sequence, "masking")
    assert "".join(a.values["residue"].values) == sequence
    ids = torch.tensor([[2, *(TOKENS.index(x) for x in sequence), 3]])
    with torch.no_grad():
        log_prob = bert.module(ids, attention_mask=torch.ones_like(ids)).logits.log_softmax(-1)
    own = sum(float(log_prob[0, i, ids[0, i]]) for i in range(1, len(sequence) + 1))
    np.testing.assert_allclose(a.score, own, rtol=1e-5)
    m = saliscope.attention(bert, sequence)
    assert m.values.sizes["position"] == len(sequence)


def test_a_substitution_by_integrated_gradients_adds_up(tmp_path: Path) -> None:
    bert = model(tmp_path)
    a = saliscope.explain(bert, "MVHLTPEEK", "integrated_gradients", "E7V")
    assert a.health.ok
    size = max(abs(a.score - a.baseline_score), np.abs(a.to_numpy()).sum())
    assert abs(a.gap) <= 0.01 * size
