"""What all tests share: one thread, no network, and models that are built once."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
sys.path.insert(0, str(Path(__file__).parent))

import pytest
import torch
from hypothesis import HealthCheck, settings

from helpers import tokens
from saliscope.models.protein import ProteinModel
from saliscope.models.text import TextModel

settings.register_profile(
    "saliscope", deadline=None, max_examples=30, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
settings.load_profile("saliscope")
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def protein() -> ProteinModel:
    """Return a tiny ESM-2 in float64."""
    return ProteinModel(tokens.esm(torch.float64), tokens.esm_tokenizer(), "tiny-esm")


@pytest.fixture(scope="session")
def text() -> TextModel:
    """Return a tiny BERT classifier in float64."""
    return TextModel(tokens.bert(torch.float64), tokens.word_tokenizer(), "tiny-bert")
