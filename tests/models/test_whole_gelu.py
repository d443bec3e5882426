"""The GELU of ESM in one operation: the same numbers, only inside, and only where it is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import EsmConfig, EsmForMaskedLM
from transformers.models.esm import modeling_esm

import saliscope
from saliscope.models.gelu import whole_gelu


@pytest.fixture
def esm() -> EsmForMaskedLM:
    torch.manual_seed(0)
    config = EsmConfig(
        vocab_size=33, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, pad_token_id=1, mask_token_id=32, position_embedding_type="rotary",
        token_dropout=False,
    )  # fmt: skip
    return EsmForMaskedLM(config).eval()


IDS = torch.tensor([[0, 5, 6, 7, 20, 9, 2], [0, 8, 8, 4, 23, 2, 1]])
MASK = (IDS != 1).long()


def kinds(output: torch.Tensor) -> list[str]:
    """Return the operations that an output was made by."""
    found, waiting = [], [output.grad_fn]
    seen = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        found.append(node.name())
        waiting += [before for before, _ in node.next_functions]
    return found


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_numbers_and_gradients_stay(esm: EsmForMaskedLM, dtype: torch.dtype) -> None:
    esm.to(dtype)
    plain = esm(IDS, MASK).logits
    with whole_gelu(esm):
        whole = esm(IDS, MASK).logits
    # two layers and a head, and nothing that is spelled out is left
    assert sum(name.startswith("Gelu") for name in kinds(whole)) == 3
    assert not any(name.startswith("Erf") for name in kinds(whole))
    assert sum(name.startswith("Erf") for name in kinds(plain)) == 3
    bound = 40 * torch.finfo(dtype).eps
    torch.testing.assert_close(whole, plain, rtol=bound, atol=bound)
    weight = esm.esm.encoder.layer[0].intermediate.dense.weight
    (one,), (other,) = (torch.autograd.grad(out[0].sum(), weight) for out in (plain, whole))
    torch.testing.assert_close(other, one, rtol=0, atol=float(bound * one.abs().max()))


def test_half_precision_comes_nearer_to_the_truth(esm: EsmForMaskedLM) -> None:
    esm.to(torch.bfloat16)
    exact = EsmForMaskedLM(esm.config).double().eval()
    exact.load_state_dict(esm.state_dict())
    part, true = (m.esm.encoder.layer[0].intermediate for m in (esm, exact))
    x = torch.linspace(-3, 3, 32 * 64).reshape(64, 32).bfloat16()
    with torch.no_grad():
        with whole_gelu(esm):
            whole = part(x).double()
        wanted = true(x.double())
        assert (whole - wanted).abs().mean() <= (part(x).double() - wanted).abs().mean()


def test_everything_is_as_before_also_after_an_error(esm: EsmForMaskedLM) -> None:
    before = [dict(vars(part)) for part in esm.modules()]

    def failing() -> None:
        with whole_gelu(esm), whole_gelu(esm):
            assert any("forward" in vars(part) for part in esm.modules())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert [dict(vars(part)) for part in esm.modules()] == before


def test_hooks_on_parts_are_called(esm: EsmForMaskedLM) -> None:
    calls: list[str] = []
    part = esm.esm.encoder.layer[1].intermediate
    part.register_forward_hook(lambda *_: calls.append("outer"))
    part.dense.register_forward_hook(lambda *_: calls.append("inner"))
    with whole_gelu(esm):
        esm(IDS, MASK)
    assert calls == ["inner", "outer"]


def test_what_is_not_known_is_left_alone(
    esm: EsmForMaskedLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = esm.esm.encoder.layer[0].intermediate
    own.forward = lambda hidden: own.dense(hidden).relu()
    esm.esm.encoder.layer[1].intermediate.__class__ = type(
        "Mine", (modeling_esm.EsmIntermediate,), {"forward": lambda self, x: self.dense(x).tanh()}
    )
    with whole_gelu(esm):
        names = kinds(esm(IDS, MASK).logits)
    assert sum(name.startswith("Gelu") for name in names) == 1  # the head's
    assert "forward" in vars(own)
    monkeypatch.setattr(modeling_esm, "gelu", torch.nn.functional.silu)
    with whole_gelu(esm):
        assert not any(name.startswith("Gelu") for name in kinds(esm(IDS, MASK).logits))


def test_explanations_run_on_it_and_agree_with_the_model_itself() -> None:
    model = saliscope.load("zoo:protein")
    letters = "MKTAYIAKQR"
    score = saliscope.measure(model, letters, saliscope.Likelihood(each=True)).values
    ids = model.prepare(letters)[0].context["ids"]
    with torch.no_grad():
        logits = model.module(**model.arguments([ids])).logits[0].double()
    at = np.arange(1, len(letters) + 1)
    expected = logits.log_softmax(-1)[at, ids[at]].numpy()
    assert np.allclose(score, expected, atol=2e-5)
    spied: list[bool] = []
    handle = model.module.lm_head.register_forward_pre_hook(
        lambda part, _: spied.append("forward" in vars(part))
    )
    saliscope.explain(model, letters, method="integrated_gradients", target=saliscope.Token(2, "K"))
    handle.remove()
    assert spied
    assert all(spied)
