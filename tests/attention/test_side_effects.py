"""The model, its configuration and transformers' registries are as before, whatever happens."""

from __future__ import annotations

import copy
import random
import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers.masking_utils import AttentionMaskInterface
from transformers.modeling_utils import AttentionInterface

from saliscope.attention.capture import stream
from saliscope.attention.layers import select_layers

from . import zoo

NAMES = ["esm", "t5", "llama", "trocr", "recognizer", "deberta"]


def state(model: nn.Module) -> dict[str, Any]:
    """Return everything that a call could leave behind."""
    configs = [m.config for m in model.modules() if hasattr(m, "config")]
    return {
        "configs": [(list(vars(c)), copy.deepcopy(vars(c))) for c in configs],
        "parameters": {n: (p.detach().clone(), p.requires_grad, p.grad)
                       for n, p in model.named_parameters()},
        "training": [m.training for m in model.modules()],
        "hooks": [
            {w: len(v) for w, v in vars(m).items() if "hook" in w and hasattr(v, "__len__")}
            for m in model.modules()
        ],
        "attributes": [sorted(vars(m)) for m in model.modules()],
        "functions": dict(AttentionInterface._global_mapping),
        "masks": dict(AttentionMaskInterface._global_mapping),
        "random": (random.getstate(), str(np.random.get_state()), torch.get_rng_state().clone()),  # noqa: NPY002
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "grad": torch.is_grad_enabled(),
    }  # fmt: skip


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [word for word in before if not same(before[word], after[word])]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_behind(name: str) -> None:
    model, arguments = zoo.build(name).train(), zoo.feed(name)
    kinds = zoo.FAMILIES[name].outputs
    next(model.parameters()).requires_grad_(False)
    before = state(model)
    for kind in kinds:
        for reduce in ("received", "mean"):
            stream(model, arguments, kind=kind, reduce=reduce)
    assert changed(before, state(model)) == []


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_behind_by_an_error_in_any_layer(name: str) -> None:
    model, arguments = zoo.build(name), zoo.feed(name)
    kind = list(zoo.FAMILIES[name].outputs)[-1]

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    for layer in select_layers(model, kind):
        for register in ("register_forward_pre_hook", "register_forward_hook"):
            handle = getattr(layer.module, register)(fail)
            before = state(model)
            with pytest.raises(KeyboardInterrupt):
                stream(model, arguments, kind=kind)
            assert changed(before, state(model)) == []
            handle.remove()


def test_a_configuration_that_asks_for_attentions_gets_no_hooks() -> None:
    model = zoo.build("bert")
    model.set_attn_implementation("eager")
    model.config.output_attentions = True
    model.config.output_hidden_states = True
    before = state(model)
    stream(model, zoo.feed("bert"))
    assert changed(before, state(model)) == []
    assert model.config.output_attentions is True


def test_hooks_of_the_user_see_what_they_always_see() -> None:
    model, arguments = zoo.build("trocr"), zoo.feed("trocr")
    seen: list[Any] = []
    attention = select_layers(model, "cross")[0].module
    handle = attention.register_forward_hook(lambda _m, _a, output: seen.append(output[1]))
    stream(model, arguments, kind="cross")
    handle.remove()
    assert seen == [None]


def test_the_output_of_the_model_is_its_own() -> None:
    for name in ("esm", "t5", "llama"):
        model, arguments = zoo.build(name, torch.float64), zoo.feed(name, torch.float64)
        outputs: list[torch.Tensor] = []
        handle = model.register_forward_hook(lambda _m, _a, out, to=outputs: to.append(out.logits))
        with torch.no_grad():
            model(**arguments)
        for reduce in ("received", "mean"):
            kind = list(zoo.FAMILIES[name].outputs)[-1]
            stream(model, arguments, kind=kind, reduce=reduce)
            last = outputs[-1].shape[1]
            torch.testing.assert_close(outputs[-1], outputs[0][:, -last:], atol=1e-10, rtol=0)
        handle.remove()


def test_threads_share_a_model_and_a_configuration() -> None:
    first, arguments = zoo.build("bert"), zoo.feed("bert")
    second = type(first)(first.config)
    second.load_state_dict(first.state_dict())
    second.eval()
    before = state(first)
    wanted = stream(first, arguments).values
    results: list[torch.Tensor] = []
    errors: list[BaseException] = []

    def work(model: nn.Module) -> None:
        try:
            results.extend(stream(model, arguments).values for _ in range(3))
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(m,)) for m in (first, second, first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(results) == 12
    assert all(torch.equal(result, wanted) for result in results)
    # Random states belong to the process: calls on two models at once cannot each restore them.
    assert [w for w in changed(before, state(first)) if w != "random"] == []
