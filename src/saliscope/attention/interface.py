"""Route "interface": our function in the place of the model's attention function.

Transformers looks the attention function, and the function that makes masks, up by a name in the
model's configuration. Both are registered under a name of their own for the time of one call,
the configurations of the models that support it are set to that name, and all is put back.
"""

from __future__ import annotations

import itertools
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedConfig
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface

from saliscope.attention import kernels
from saliscope.attention.layers import Layer
from saliscope.attention.reducer import Reducer
from saliscope.attention.sums import Places, can_sum, column_sums
from saliscope.core.errors import RefusedError
from saliscope.models.identity import parts_of

__all__ = ["Attend", "AttentionFunction", "Given", "States", "as_asked", "installed"]

States = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

# One call at a time: configurations can be shared by models, and the second of two calls would
# otherwise remember the name of the first as what to put back.
_SWITCH = threading.RLock()
_NUMBERS = itertools.count()

# Arguments that models pass on and that the common kernel leaves alone as well: they speak of
# outputs, caches or positions that were dealt with before.
_HARMLESS = frozenset({
    "cache_position", "deterministic", "logits_to_keep", "num_items_in_batch", "output_attentions",
    "output_hidden_states", "output_router_logits", "position_embeddings", "position_ids",
    "return_dict", "token_type_ids", "use_cache",
})  # fmt: skip


@dataclass(frozen=True, eq=False)
class Given:
    """What a module gives to its attention function, besides the states.

    Parameters
    ----------
    mask : torch.Tensor or None
        Boolean (True is seen) or additive, broadcastable to (batch, heads, queries, keys).
    bias : torch.Tensor or None
        Added to the scores.
    scale : float
    causal : bool
        Whether a query sees earlier keys only, where there is no mask.
    """

    mask: torch.Tensor | None
    bias: torch.Tensor | None
    scale: float
    causal: bool


class AttentionFunction(ABC):
    """A function for transformers' attention interface; a subclass says what it does.

    Parameters
    ----------
    layers : sequence of Layer
        The layers that are looked at; all other modules just get their attention.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.names = {id(layer.module): layer.name for layer in layers}

    def __call__(
        self,
        module: nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        dropout: float = 0.0,
        scaling: float | None = None,
        is_causal: bool | None = None,
        position_bias: torch.Tensor | None = None,
        **extra: Any,
    ) -> tuple[torch.Tensor, None]:
        """Compute attention as transformers' ``sdpa_attention_forward`` does, and look at it."""
        _check(module, attention_mask, key.shape[2], extra)
        causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
        causal = bool(causal) and query.shape[2] > 1 and attention_mask is None
        if causal and query.shape[2] != key.shape[2]:
            msg = f"{type(module).__name__} was given a cache; call without past_key_values"
            raise RefusedError(msg)
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        given = Given(attention_mask, position_bias, scale, causal)

        def plain() -> torch.Tensor:
            output: torch.Tensor
            output, _ = sdpa_attention_forward(
                module, query, key, value, attention_mask, dropout=dropout, scaling=scaling,
                is_causal=causal, position_bias=position_bias,
            )  # fmt: skip
            return output

        name = self.names.get(id(module))
        if name is None:
            return plain(), None
        return self.attend(name, given, (query, key, value), plain), None

    @abstractmethod
    def attend(
        self, name: str, given: Given, states: States, plain: Callable[[], torch.Tensor]
    ) -> torch.Tensor:
        """Return the output of one layer, shape (batch, queries, heads, d).

        Parameters
        ----------
        name : str
        given : Given
        states : tuple of torch.Tensor
            Query, key and value, shape (batch, heads, queries or keys, d).
        plain : callable
            Computes the output.
        """


@dataclass(frozen=True, eq=False)
class _Group:
    """Examples of a batch with the same units, and the same further keys that are seen at all.

    Which query sees which key may differ among them.

    Parameters
    ----------
    examples : torch.Tensor of int or slice
    rows, columns : Places
        The queries and keys that are units.
    others : Places
        The further keys that are seen; padding that no query sees needs no place among them.
    """

    examples: torch.Tensor | slice
    rows: Places
    columns: Places
    others: Places

    def clear(self, added: torch.Tensor | None) -> bool:
        """Whether nothing is added to any score of these examples."""
        if added is None:
            return True
        own = added[self.examples] if len(added) > 1 else added
        return not any(bool(at.take(own, 3).any()) for at in (self.columns, self.others))


class Attend(AttentionFunction):
    """The model's own attention, with the probabilities reduced beside.

    Parameters
    ----------
    layers : sequence of Layer
    reducer : Reducer
    """

    def __init__(self, layers: Sequence[Layer], reducer: Reducer) -> None:
        super().__init__(layers)
        self._reducer = reducer
        self._groups: list[_Group] = []
        self._clear: tuple[torch.Tensor | None, list[bool]] | None = None  # of the last mask

    def attend(
        self, name: str, given: Given, states: States, plain: Callable[[], torch.Tensor]
    ) -> torch.Tensor:
        """Reduce, and return the output."""
        query, key, value = states
        mask, queries, keys = given.mask, query.shape[2], key.shape[2]
        shape = (query.shape[0], query.shape[1], queries, keys)
        place = self._reducer.begin(name, shape, query)
        if place is None:
            return plain()
        added = kernels.additive(mask, given.bias, given.causal, queries, keys, query)
        seen = kernels.visible(mask, given.causal, queries, keys, query.device)
        if self._reducer.reduce == "received" and can_sum(query, key, value):
            output = self._sums(place, given, states, added, seen)
            self._reducer.end(place, mask, seen)
            return output
        repeated = kernels.repeat_heads(key, query.shape[1])
        for block in kernels.blocks(query, repeated, added, given.scale, self._reducer.heads):
            self._reducer.take(
                place, block.example, block.heads, block.queries, block.probabilities
            )
        self._reducer.end(place, mask, seen)
        return plain()

    def _sums(
        self, place: int, given: Given, states: States, added: torch.Tensor | None,
        seen: torch.Tensor | None,
    ) -> torch.Tensor:  # fmt: skip
        query, key, value = states
        heads = query.shape[1]
        key, value = kernels.repeat_heads(key, heads), kernels.repeat_heads(value, heads)
        output: torch.Tensor | None = None
        groups = self._alike(seen)
        for group, clear in zip(groups, self._cleared(groups, given, added), strict=True):
            examples = group.examples
            mask = None if clear else added
            if mask is not None and len(mask) > 1:
                mask = mask[examples]
            found, sums, removed = column_sums(
                query[examples], key[examples], value[examples], mask, given.scale,
                rows=group.rows, columns=group.columns, others=group.others,
                heads=self._reducer.heads,
            )  # fmt: skip
            self._reducer.take_sums(place, examples, group.columns, sums, removed)
            found = found.transpose(1, 2).to(query.dtype)
            if len(groups) == 1:
                return found.contiguous()
            output = query.new_empty(len(query), *found.shape[1:]) if output is None else output
            output[examples] = found
        assert output is not None
        return output

    def _cleared(
        self, groups: Sequence[_Group], given: Given, added: torch.Tensor | None
    ) -> list[bool]:
        """Return of which examples the mask hides padding alone; layers that share it, share it."""
        if given.bias is not None or given.causal:
            return [False] * len(groups)
        if self._clear is None or self._clear[0] is not given.mask:
            self._clear = (given.mask, [group.clear(added) for group in groups])
        return self._clear[1]

    def _alike(self, seen: torch.Tensor | None) -> list[_Group]:
        """Return examples together that differ at most in which query sees which key."""
        if self._groups:
            return self._groups
        reducer = self._reducer
        rest = ~reducer.columns
        if seen is not None:
            rest = rest & seen.any(1)
        kinds = (reducer.rows, reducer.columns, rest)
        alike: dict[bytes, list[int]] = {}
        masks = torch.cat(kinds, 1).cpu()
        for example in range(len(masks)):
            alike.setdefault(masks[example].numpy().tobytes(), []).append(example)
        for members in alike.values():
            every = torch.tensor(members, device=rest.device)
            places = (Places.of(mask[members[0]], rest.device) for mask in kinds)
            self._groups.append(_Group(slice(None) if len(alike) == 1 else every, *places))
        return self._groups


def _check(
    module: nn.Module, mask: torch.Tensor | None, keys: int, extra: Mapping[str, Any]
) -> None:
    """Refuse what would change the result in a way that is not computed here."""
    for word, value in extra.items():
        if value is None or word in _HARMLESS:
            continue
        # The window of a sliding layer is in its mask, where it matters at all.
        if word == "sliding_window" and (mask is not None or keys <= int(value)):
            continue
        msg = (
            f"{type(module).__name__} passes {word!r} to its attention, which streaming "
            "attention does not compute; use a gradient or masking method instead"
        )
        raise RefusedError(msg)
    if mask is not None and (mask.ndim != 4 or mask.shape[-1] != keys):
        msg = (
            f"{type(module).__name__} was given an attention mask of shape "
            f"{tuple(mask.shape)}; give one of shape (batch, tokens)"
        )
        raise RefusedError(msg)


_ABSENT = object()


def _has(part: nn.Module, name: str) -> bool:
    """Whether a part has an attribute; `nn.Module` looks for one that it lacks for long."""
    return name in vars(part) or hasattr(type(part), name)


@contextmanager
def as_asked(
    module: nn.Module, settings: Mapping[str, Any], only: set[int] | None
) -> Iterator[None]:
    """Set entries of the configurations inside a module, and put the dictionaries back.

    Parameters
    ----------
    module : torch.nn.Module
    settings : mapping of str to value
        Raw entries of the configurations' dictionaries.
    only : set of int or None
        Identities of the configurations to change; None for all that have the entry.
    """
    # Parts may hold another object than the model around them (an encoder put into a larger model).
    found = (getattr(part, "config", None) for part in parts_of(module) if _has(part, "config"))
    configs = {id(config): config for config in found if isinstance(config, PreTrainedConfig)}
    before: list[tuple[dict[str, Any], str, Any]] = []
    try:
        for number, config in configs.items():
            entries = vars(config)
            for word, value in settings.items():
                if (only is None and word in entries) or (only is not None and number in only):
                    before.append((entries, word, entries.get(word, _ABSENT)))
                    entries[word] = value
        yield
    finally:
        for entries, word, value in reversed(before):
            if value is _ABSENT:
                entries.pop(word, None)
            else:
                entries[word] = value


@contextmanager
def installed(
    module: nn.Module, layers: Sequence[Layer], attend: AttentionFunction
) -> Iterator[None]:
    """Let the attention layers of a module call `attend` for the time of the context.

    Parameters
    ----------
    module : torch.nn.Module
    layers : sequence of Layer
        All layers of route "interface", of every kind: a model must not run one side with
        masks of another implementation.
    attend : AttentionFunction
    """
    only = {id(layer.owner.config) for layer in layers if layer.owner is not None}
    only |= {id(getattr(layer.module, "config", None)) for layer in layers}
    with _SWITCH:
        name = f"saliscope_{next(_NUMBERS)}"
        try:
            AttentionInterface.register(name, attend)
            AttentionMaskInterface.register(name, sdpa_mask)
            with as_asked(module, {"_attn_implementation_internal": name}, only):
                yield
        finally:
            AttentionInterface._global_mapping.pop(name, None)  # noqa: SLF001 - has no unregister
            AttentionMaskInterface._global_mapping.pop(name, None)  # noqa: SLF001
