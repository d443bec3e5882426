"""Rules, relevance and attention along what a model writes, of one output and of a contrast."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from helpers import toys
from helpers.relevance import relevance
from helpers.writing import CAUSAL, CLOSE, KINDS, OTHER, OUTPUT, PROMPT, ids_of, made, prompt_of
from saliscope import Continuation, RefusedError, explain


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["deeplift", "attnlrp"])
def test_rules_go_back_through_two_rows_and_two_streams(kind: str, method: str) -> None:
    """A contrast is a difference of two numbers, so what is handed back is one, too."""
    model = made(kind)
    explain(model, PROMPT, "gradient", Continuation(OUTPUT, each=False))  # looks at the module once
    target = Continuation(OUTPUT, instead_of=OTHER, each=False)
    with toys.Calls(model.module) as calls:
        both = explain(model, PROMPT, method, target)
    assert calls.sizes == ([2, 2] if method == "deeplift" else [2])
    one, two = (
        explain(model, PROMPT, method, Continuation(text, each=False)) for text in (OUTPUT, OTHER)
    )
    a, b = one.to_numpy(), two.to_numpy()
    wanted = np.concatenate([a[:4] - b[:4], a[4:], -b[4:]])
    size = np.abs(wanted).sum()
    np.testing.assert_allclose(both.to_numpy(), wanted, rtol=0, atol=CLOSE[model.name] * size)
    assert size > 0.1
    if method == "deeplift":
        assert abs(both.gap) < CLOSE[model.name] * size
        assert abs(both.baseline_score - one.baseline_score + two.baseline_score) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_deeplift_of_every_token_equals_the_loop(kind: str) -> None:
    model = made(kind)
    every = explain(model, PROMPT, "deeplift", Continuation(" good film"))
    assert every.values.sizes == {"target": 2, "position": 6}
    assert (every.to_numpy()[0, 4:] == 0).all()
    first = explain(model, PROMPT, "deeplift", Continuation(" good"))
    np.testing.assert_allclose(
        every.to_numpy()[0, :4], first.to_numpy()[:4], rtol=0, atol=CLOSE[model.name]
    )
    assert np.abs(every.gap).max() < CLOSE[model.name] * np.abs(every.to_numpy()).sum()


@pytest.mark.parametrize("kind", CAUSAL)
def test_relevance_of_a_contrast_is_the_mean_of_all_rows_at_which_it_is_read(kind: str) -> None:
    model = made(kind)
    prompt, good, bad = prompt_of(model), ids_of(model, OUTPUT), ids_of(model, " bad plot")

    def rows(output: list[int], first: int, terms: list[tuple[int, int, float]]) -> np.ndarray:
        """Return the summed rows of R - I from a place on, of weighted log-probabilities."""

        def score(out: Any) -> torch.Tensor:
            found = out.logits[0].log_softmax(-1)
            return sum(found[place, token] * sign for place, token, sign in terms)

        ids = np.array([*prompt, *output])
        whole = relevance(model, ids, score) - torch.eye(len(ids))
        return whole[first:-1].sum(0).numpy()[1:]  # without the token that begins

    last = len(prompt) - 1
    # Both outputs begin behind the same token, where one number is read: the difference.
    terms = [(last + t, token, 1.0) for t, token in enumerate(good)] + [(last, bad[0], -1.0)]
    one = rows(good, last, terms)
    other = rows(bad, last + 1, [(last + 1, bad[1], -1.0)])
    wanted = np.concatenate([one[:4] + other[:4], one[4:], other[4:]]) / 6
    a = explain(
        model, PROMPT, "relevance", Continuation(OUTPUT, instead_of=" bad plot", each=False)
    )
    np.testing.assert_allclose(a, wanted, rtol=0, atol=CLOSE[kind] * wanted.max())
    pair = [PROMPT, "a bad plot"]  # rows of other lengths beside it change nothing
    target = Continuation(" good", instead_of=" bad plot", each=False)
    for together, raw in zip(explain(model, pair, "relevance", target), pair, strict=True):
        np.testing.assert_allclose(
            together, explain(model, raw, "relevance", target), rtol=0, atol=CLOSE[kind]
        )


@pytest.mark.parametrize("method", ["attention", "rollout", "attention_flow"])
def test_maps_of_attention_alone_take_one_output_and_say_what_takes_two(method: str) -> None:
    model = made("gpt2")
    a = explain(model, PROMPT, method, Continuation(" good film"))
    assert a.values.sizes == {"target": 2, "position": 6}
    with pytest.raises(
        RefusedError, match=f"{method} follows one pass.*side by side; use deeplift"
    ):
        explain(model, PROMPT, method, Continuation(" good", instead_of=OTHER))


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_relevance_of_an_encoder_decoder_is_refused_with_what_works(kind: str) -> None:
    with pytest.raises(RefusedError, match=r"relevance needs attention.*use one of:.*deeplift"):
        explain(made(kind), PROMPT, "relevance", Continuation(" good"))
