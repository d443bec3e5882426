"""The control of the saliency check: exact agreement, chance, and nothing left behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.effects.control import randomized, saliency_control
from saliscope.variants.effects.path import LETTERS, substitution_gradients
from saliscope.variants.effects.reference import ReferenceSet, reference_set
from saliscope.variants.effects.scoring import Scorer
from saliscope.variants.report.words import check_words
from variants.effects.toy_encoder import Toy
from variants.effects.toy_people import transcript_of

RESIDUES = 61


@pytest.fixture(scope="module")
def transcript() -> Transcript:
    return transcript_of(RESIDUES)


def scored(toy: Toy, transcript: Transcript) -> tuple[Scorer, ReferenceSet]:
    scorer = Scorer(toy.model)
    return scorer, reference_set(transcript, scorer)


def test_an_additive_model_agrees_and_its_randomized_copies_do_not(transcript: Transcript) -> None:
    scorer, base = scored(Toy(RESIDUES, 3), transcript)
    found = saliency_control(scorer, base, copies=4)
    assert found is not None
    assert found.trained.spearman == pytest.approx(1.0, abs=1e-6)
    assert found.trained.same_sign == 1.0
    assert len(found.randomized) == 4
    for chance in found.randomized:
        assert chance.n == len(base.missense)
        assert chance.spearman is not None
        assert abs(chance.spearman) < 0.3
    assert "with randomized weights, against the ablation of the trained model" in found.text
    assert "that comes from trained weights" in found.text
    assert check_words(found.text) == []


def test_the_control_compares_random_gradients_with_trained_ablations(
    transcript: Transcript,
) -> None:
    scorer, base = scored(Toy(RESIDUES, 4), transcript)
    found = saliency_control(scorer, base, copies=2, seed=7)
    assert found is not None
    for number, one in enumerate(found.randomized):
        table = substitution_gradients(randomized(scorer.model, 7 + number), base.protein)
        put_in = [table[c.position - 1, LETTERS.index(c.alt)] for c in base.missense]
        assert one.spearman == pytest.approx(spearmanr(put_in, base.shifts).statistic, abs=1e-9)


def test_a_model_without_learned_weights_is_told(transcript: Transcript) -> None:
    toy = Toy(RESIDUES, 3)
    table = toy.model.module.table.detach()
    del toy.model.module.table
    toy.model.module.register_buffer("table", table)
    found = saliency_control(*scored(toy, transcript), copies=2)
    assert found is not None
    assert {c.spearman for c in found.randomized} == {found.trained.spearman}
    assert "agreement says nothing of what the model has learned" in found.text


def test_randomizing_leaves_no_trace_in_the_model(transcript: Transcript) -> None:
    toy = Toy(RESIDUES, 3)
    module = toy.model.module.train()
    module.embedding.weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - the state of the caller is what is looked at
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    saliency_control(*scored(toy, transcript), copies=1)
    assert all(torch.equal(before[n], t) for n, t in module.state_dict().items())
    assert module.training
    assert module.table.requires_grad
    assert not module.embedding.weight.requires_grad
    assert all(p.grad is None for p in module.parameters())
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])  # noqa: NPY002


@torch.no_grad()
def test_mean_and_spread_are_kept_and_ties_stay() -> None:
    model = Scorer("zoo:protein").model
    copy = randomized(model, 0)
    parts = [dict(m.module.named_parameters()) for m in (model, copy)]
    assert parts[0].keys() == parts[1].keys()
    for old, new in zip(*(p.values() for p in parts), strict=True):
        assert new.dtype == old.dtype
        if old.numel() > 10_000:
            assert float(new.mean()) == pytest.approx(
                float(old.mean()), abs=0.05 * float(old.std())
            )
            assert float(new.std()) == pytest.approx(float(old.std()), rel=0.05)
            both = torch.stack([old.flatten(), new.flatten()])
            assert abs(float(torch.corrcoef(both)[0, 1])) < 0.05
    tied = model.module.get_output_embeddings().weight is model.module.get_input_embeddings().weight
    assert tied == (
        copy.module.get_output_embeddings().weight is copy.module.get_input_embeddings().weight
    )


def test_other_readouts_have_no_control(transcript: Transcript) -> None:
    scorer = Scorer("zoo:protein", "norm")
    assert saliency_control(scorer, reference_set(transcript, scorer)) is None


def test_without_memory_for_a_copy_the_report_says_so(
    transcript: Transcript, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer, base = scored(Toy(RESIDUES, 3), transcript)

    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("saliscope.variants.effects.control.randomized", full)
    found = saliency_control(scorer, base)
    assert found is not None
    assert found.randomized == ()
    assert "no memory for a second copy" in found.text
