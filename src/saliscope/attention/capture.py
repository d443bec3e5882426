"""One forward pass, its attention reduced as it goes by: the common contract of the routes."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from saliscope.attention.hooks import hooked
from saliscope.attention.interface import Attend, AttentionFunction, as_asked, installed
from saliscope.attention.layers import Layer, find_layers, select_layers, stack_of
from saliscope.attention.reducer import REDUCTIONS, Reducer, Reduction, Side
from saliscope.core.errors import OptionError, RefusedError, nearest
from saliscope.models.quiet import quiet

__all__ = [
    "BUDGET", "Mask", "Stream", "check_blocks", "check_calls", "mask_words", "reading", "routed",
    "stream",
]  # fmt: skip

BUDGET = 1 << 30

Mask = torch.Tensor | Sequence[bool] | Sequence[Sequence[bool]]


@dataclass(frozen=True, eq=False)
class Stream:
    """Reduced attention of a batch, in the length of the model's own tokens.

    Parameters
    ----------
    reduce, kind : str
        As asked.
    route : {"interface", "hooks"}
        How the weights were read.
    layers : tuple of int
        Numbers of the layers, from 0 (rollout: all).
    modules : tuple of str
        Their paths in the model.
    heads : tuple of int
    values : torch.Tensor
        received (batch, layer, head, key), mean (batch, layer, query, key), full (batch, layer,
        head, query, key), rollout (batch, query, key); zero where a token was dropped.
    removed : torch.Tensor, shape (batch, layer, head); rollout: (batch,)
        Mass on dropped special tokens, mean over the kept queries.
    seen : torch.Tensor of int, shape (batch, layer, key); rollout: (batch, 1, key)
        How many kept queries can see each kept key.
    queries, keys : torch.Tensor of bool, shape (batch, length)
        Which tokens were kept.
    """

    reduce: Reduction
    kind: str
    route: Literal["interface", "hooks"]
    layers: tuple[int, ...]
    modules: tuple[str, ...]
    heads: tuple[int, ...]
    values: torch.Tensor
    removed: torch.Tensor
    seen: torch.Tensor
    queries: torch.Tensor
    keys: torch.Tensor


def _numbers(asked: int | Sequence[int] | None, word: str, count: int | None) -> list[int] | None:
    """Return sorted numbers without doubles; with `count`, negative ones count from the end."""
    if asked is None:
        return None
    try:
        items = [operator.index(i) for i in ([asked] if isinstance(asked, int) else asked)]
    except TypeError as error:
        msg = f"{word}={asked!r} is not understood; give a whole number or a list of them"
        raise OptionError(msg) from error
    if not items:
        msg = f"{word} is empty; leave it out for all"
        raise OptionError(msg)
    low = 0 if count is None else -count
    for item in items:
        if item < low or (count is not None and item >= count):
            last = "" if count is None else f" to {count - 1}"
            msg = f"{word}={item} does not exist; the model has {word} 0{last}"
            raise OptionError(msg)
    return sorted({item if count is None else item % count for item in items})


def _mask(mask: Mask | None, word: str) -> torch.Tensor | None:
    if mask is None:
        return None
    found = torch.as_tensor(mask)
    found = found[None] if found.ndim == 1 else found
    if found.ndim != 2:
        msg = f"{word} has {found.ndim} dimensions; give one entry per token: (batch, tokens)"
        raise OptionError(msg)
    return found


def mask_words(module: nn.Module, arguments: Mapping[str, Any], kind: str) -> tuple[str, str]:
    """Return the names of the arguments that hide padding among queries and among keys."""
    config = getattr(module, "config", None)
    two_sided = getattr(config, "is_encoder_decoder", False) is True or any(
        word.startswith("decoder_") for word in arguments
    )
    if kind == "cross":
        if two_sided:
            return "decoder_attention_mask", "attention_mask"
        return "attention_mask", "encoder_attention_mask"
    word = "decoder_attention_mask" if two_sided and kind == "decoder" else "attention_mask"
    return word, word


def _arguments(module: nn.Module, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the pass, without what it would compute for nothing."""
    if arguments.get("past_key_values") is not None:
        msg = "past_key_values hides the earlier queries; pass the whole input without a cache"
        raise RefusedError(msg)
    for word in ("output_attentions", "output_hidden_states"):
        if arguments.get(word):
            msg = f"{word} makes the model keep what is streamed here; leave it out"
            raise OptionError(msg)
    found = dict(arguments)
    known = inspect.signature(module.forward).parameters
    for word, value in (("use_cache", False), ("logits_to_keep", 1)):
        if word in known:
            found.setdefault(word, value)
    return found


def check_blocks(module: nn.Module, layers: Sequence[Layer], method: str) -> None:
    """Refuse to follow tokens through a model that has blocks without attention."""
    stack = stack_of(layers[0].name)
    blocks = module.get_submodule(stack) if stack else None
    if isinstance(blocks, (nn.ModuleList, nn.Sequential)):
        here = {layer.name.removeprefix(f"{stack}.").split(".")[0] for layer in layers}
        if len(here) < len(blocks):
            msg = (
                f"{method} needs attention in every block; {type(module).__name__} has it in "
                f"{len(here)} of {len(blocks)}; use attention with reduce='mean'"
            )
            raise RefusedError(msg)


def _check_rollout(module: nn.Module, layers: Sequence[Layer], kind: str, selected: bool) -> None:
    if kind in {"cross", "slots"}:
        msg = "rollout follows tokens through self-attention; use kind='encoder' or 'decoder'"
        raise OptionError(msg)
    if selected:
        msg = "rollout multiplies all layers and heads; leave layers and heads out"
        raise OptionError(msg)
    check_blocks(module, layers, "rollout")


def check_calls(
    module: nn.Module, calls: int, planned: int, kind: str, *, exact: bool = False
) -> None:
    """Check that the layers that ran are the layers that were planned.

    With `exact` not more of them either: then a module that is several layers is refused.
    """
    name = type(module).__name__
    if not calls:
        needed = "encoder_hidden_states, or the input of both sides" if kind == "cross" else "input"
        msg = f"the {kind} attention of {name} did not run; pass its {needed}"
        raise OptionError(msg)
    if calls < planned:
        msg = (
            f"only {calls} of {planned} {kind} attention layers of {name} ran; "
            "its layers cannot be told apart: pass one part of the model"
        )
        raise RefusedError(msg)
    if calls > planned and exact:
        msg = (
            f"{name} uses one attention module for several layers ({calls} calls of "
            f"{planned}); leave layers out and select from the result"
        )
        raise RefusedError(msg)


def stream(
    module: nn.Module,
    arguments: Mapping[str, Any],
    *,
    reduce: str = "received",
    kind: str = "encoder",
    layers: int | Sequence[int] | None = None,
    heads: int | Sequence[int] | None = None,
    keep: Mask | None = None,
    key_keep: Mask | None = None,
    specials: str = "drop",
    budget: int = BUDGET,
    seed: int = 0,
    each: Callable[[int, str, torch.Tensor], None] | None = None,
) -> Stream:
    """Run a model once and reduce its attention layer by layer.

    The model is left as it was, also when it raises; it is never asked to output attentions.

    Parameters
    ----------
    module : torch.nn.Module
        A transformers model, or a module built of `torch.nn.MultiheadAttention`.
    arguments : mapping
        Keyword arguments of the forward pass, a batch; "" holds a positional input. Padding is
        what `attention_mask` (and `decoder_attention_mask`) hides; it is always dropped.
    reduce : {"received", "mean", "full", "rollout"}
        Mean over the queries that see a key; mean over heads; everything; or the product of
        the layers' head means, each half identity [1]_.
    kind : {"encoder", "decoder", "cross", "slots"}
    layers, heads : int or sequence of int, optional
        Which to reduce. Negative layers count from the last.
    keep : array-like of bool, shape (batch, queries) or (queries,), optional
        False for special tokens. Default: every token is a unit.
    key_keep : array-like of bool, optional
        The same for keys; by default `keep` for self-attention, every token for kinds "cross" and
        "slots".
    specials : {"drop", "keep"}
        Drop: without special queries and keys, each row divided by what is left of it, the mass
        that went away in `removed`. Rollout is computed with all tokens, special rows and
        columns are left out at the end, and nothing is divided.
    budget : int
        Most bytes that the values may take.
    seed : int
        For models that draw random numbers.
    each : callable, optional
        Is given the number of a layer, its path, and its values (batch, ...) as it ends; they are
        overwritten by the next layer, so copy what shall last. Then one layer is held at a time,
        and the values of the result are those of the last.

    Returns
    -------
    Stream

    Raises
    ------
    OptionError
        An option does not exist or is out of range, or this kind of attention did not run.
    RefusedError
        The attention of this model cannot be read rightly, or the values exceed `budget`.

    References
    ----------
    .. [1] Abnar and Zuidema (2020), Quantifying Attention Flow in Transformers, ACL.

    Examples
    --------
    >>> net = nn.TransformerEncoderLayer(8, 2, batch_first=True)
    >>> found = stream(net, {"": torch.zeros(1, 4, 8)})
    >>> found.values.shape, found.values[0, 0, 0].tolist()
    (torch.Size([1, 1, 2, 4]), [0.25, 0.25, 0.25, 0.25])

    One layer at a time:

    >>> _ = stream(net, {"": torch.zeros(1, 4, 8)}, reduce="full",
    ...            each=lambda number, path, values: print(number, path, tuple(values.shape)))
    0 self_attn (1, 2, 4, 4)
    """
    if reduce not in REDUCTIONS:
        msg = f"reduce={reduce!r} does not exist: {nearest(reduce, REDUCTIONS)}"
        raise OptionError(msg)
    if specials not in {"drop", "keep"}:
        msg = f"specials={specials!r} does not exist; use 'drop' or 'keep'"
        raise OptionError(msg)
    if budget <= 0:
        msg = f"budget={budget} is not a number of bytes; give a positive one"
        raise OptionError(msg)
    wanted: Reduction = next(r for r in REDUCTIONS if r == reduce)
    drop = specials == "drop"
    every = find_layers(module)
    chosen = select_layers(module, kind, every)
    if wanted == "rollout":
        _check_rollout(module, chosen, kind, layers is not None or heads is not None)
    numbers = _numbers(layers, "layers", len(chosen))
    units = [_mask(keep, "keep"), _mask(key_keep, "key_keep")]
    if units[1] is None and kind not in {"cross", "slots"}:
        units[1] = units[0]
    sides = [
        Side(_mask(arguments.get(word), word), mask, drop=drop, name=name)
        for word, mask, name in zip(
            mask_words(module, arguments, kind), units, ("query", "key"), strict=True
        )
    ]
    reducer = Reducer(
        wanted, len(chosen), numbers, _numbers(heads, "heads", None), sides[0], sides[1],
        budget=budget, each=each,
    )  # fmt: skip
    ready = _arguments(module, arguments)
    positional = [ready.pop("")] if "" in ready else []
    with quiet(module, seed), torch.no_grad():
        with reading(module, chosen, every, reducer):
            module(*positional, **ready)
        check_calls(module, reducer.calls, len(chosen), kind, exact=numbers is not None)
        reducer.finish()
    return Stream(
        wanted, kind, chosen[0].route, tuple(reducer.numbers), tuple(reducer.names),
        tuple(reducer.heads), reducer.values, reducer.removed, reducer.seen,
        reducer.query_keep, reducer.key_keep,
    )  # fmt: skip


@contextmanager
def routed(
    module: nn.Module,
    layers: Sequence[Layer],
    every: Sequence[Layer],
    function: AttentionFunction,
    hooks: Callable[[], AbstractContextManager[None]],
) -> Iterator[None]:
    """Look at layers by the route that they have, in passes inside the context.

    Parameters
    ----------
    module : torch.nn.Module
    layers : sequence of Layer
        Of one route.
    every : sequence of Layer
        All that the module has.
    function : AttentionFunction
        What route "interface" calls.
    hooks : callable
        Puts on what route "hooks" needs.
    """
    # A configuration may ask for what would keep all layers.
    silent = {"_output_attentions": False, "output_hidden_states": False}
    with as_asked(module, silent, None):
        if layers[0].route == "hooks":
            with hooks():
                yield
            return
        alike = [layer for layer in every if layer.route == "interface"]
        with installed(module, alike, function):
            yield


def reading(
    module: nn.Module, layers: Sequence[Layer], every: Sequence[Layer], reducer: Reducer
) -> AbstractContextManager[None]:
    """Return the context in which the attention of layers is reduced."""
    return routed(module, layers, every, Attend(layers, reducer), lambda: hooked(layers, reducer))
