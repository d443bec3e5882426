"""Find the attention layers of a module: where they are, what they attend to, how to read them.

Three routes exist. "interface": the module calls the function that transformers' attention
interface names, so that function can be ours. "hooks": the module returns its weights when it is
asked to, one layer at a time. Anything else cannot be read, and is refused by name.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface

from saliscope.core.errors import OptionError, RefusedError
from saliscope.models.identity import named_parts_of

__all__ = [
    "KINDS", "Kind", "Layer", "find_layers", "one_stack", "planned", "select_layers", "stack_of",
    "tap_of",
]  # fmt: skip

Kind = Literal["encoder", "decoder", "cross", "slots"]
Route = Literal["interface", "hooks"]
KINDS: tuple[Kind, ...] = ("encoder", "decoder", "cross", "slots")

_CROSS = re.compile(r"cross|encoder_attn|encdec|multihead_attn", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Layer:
    """One attention module.

    Parameters
    ----------
    name : str
        Path of the module in the model: "esm.encoder.layer.0.attention.self".
    module : torch.nn.Module
    kind : {"encoder", "decoder", "cross", "slots"}
        Attention among the tokens of an encoder, among those of a decoder, from the decoder
        to the encoder, or from learned queries (the slots of a bottleneck) to the encoder.
    route : {"interface", "hooks"}
    owner : transformers.PreTrainedModel or None
        The innermost model around it, whose configuration it follows.
    """

    name: str
    module: nn.Module
    kind: Kind
    route: Route
    owner: PreTrainedModel | None


def _interfaces(cls: type[nn.Module]) -> Iterator[AttentionInterface]:
    """Yield the attention interfaces that the methods of a class look functions up in."""
    for base in cls.__mro__:
        if base is nn.Module:
            return
        for member in vars(base).values():
            if not inspect.isfunction(member):
                continue
            function = inspect.unwrap(member)
            for word in function.__code__.co_names:
                found = function.__globals__.get(word)
                if isinstance(found, AttentionInterface):
                    yield found


def _gives_weights(cls: type[nn.Module]) -> bool:
    """Whether a class is an attention module that returns its weights when it is asked to."""
    if "attention" not in cls.__name__.lower():
        return False
    return "output_attentions" in inspect.signature(inspect.unwrap(cls.forward)).parameters


_Written = tuple[list[AttentionInterface], bool]
"""What is written in a class: interfaces that it looks up, and whether it gives weights."""


def _route(
    module: nn.Module, owner: PreTrainedModel | None, known: dict[type, _Written]
) -> Route | None:
    """Return the route that fits one module, or None; `known` is what was seen of its class."""
    cls = type(module)
    if isinstance(module, PreTrainedModel):
        return None
    if cls not in known:
        known[cls] = list(_interfaces(cls)), _gives_weights(cls)
    found, gives = known[cls]
    if found:
        # A model with an interface of its own has attention that the common kernel is not, and so
        # has one whose class does not claim that the common kernel serves it (attention sinks).
        usable = (
            owner is not None
            and owner._can_set_attn_implementation()  # noqa: SLF001 - what transformers asks
            and owner._supports_sdpa  # noqa: SLF001
        )
        common = all(interface is ALL_ATTENTION_FUNCTIONS for interface in found)
        return "interface" if usable and common else None
    if isinstance(module, nn.MultiheadAttention) or tap_of(module) is not None:
        return "hooks"
    return "hooks" if gives else None


def tap_of(module: nn.Module) -> nn.Identity | None:
    """Return the part of an attention module through which it passes its probabilities.

    Modules of Saliscope's own have one, called `tap`: (rows, heads, queries, keys) go through it.
    """
    found = module._modules.get("tap")  # noqa: SLF001 - `getattr` would find attributes of any kind
    return found if isinstance(found, nn.Identity) else None


def _side(
    name: str, module: nn.Module, owners: list[PreTrainedModel], two_sided: bool
) -> Literal["encoder", "decoder"]:
    """Return which side of a model a self-attention module is on."""
    if two_sided:
        for part in name.split("."):
            if part == "encoder":
                return "encoder"
            if part == "decoder":
                return "decoder"
    for flag in ("is_causal", "is_decoder"):
        value = getattr(module, flag, None)
        if value is True:
            return "decoder"
        if value is False and flag == "is_causal":
            return "encoder"
    if any(getattr(owner.config, "is_decoder", False) is True for owner in owners):
        return "decoder"
    # Left: modules that say nothing of themselves. A model that generates text is causal, unless
    # it is told otherwise above.
    return "decoder" if any(isinstance(o, GenerationMixin) for o in owners) else "encoder"


def find_layers(module: nn.Module) -> list[Layer]:
    """Find every attention layer that can be read.

    Parameters
    ----------
    module : torch.nn.Module
        A transformers model, or any module built of `torch.nn.MultiheadAttention`.

    Returns
    -------
    list of Layer
        In the order of the module tree.

    Raises
    ------
    RefusedError
        If there is none: the message names the class.

    Examples
    --------
    >>> net = nn.TransformerEncoderLayer(8, 2, batch_first=True)
    >>> [(layer.name, layer.kind, layer.route) for layer in find_layers(net)]
    [('self_attn', 'encoder', 'hooks')]
    """
    owners: dict[str, list[PreTrainedModel]] = {}
    found: list[tuple[str, nn.Module, Route]] = []
    unreadable: list[str] = []
    known: dict[type, _Written] = {}
    for name, part in named_parts_of(module):
        parent = owners.get(name.rpartition(".")[0], []) if name else []
        owners[name] = [*parent, part] if isinstance(part, PreTrainedModel) else parent
        route = _route(part, owners[name][-1] if owners[name] else None, known)
        if route is not None:
            found.append((name, part, route))
        elif "attention" in type(part).__name__.lower():
            unreadable.append(type(part).__name__)
    names = [name for name, _, _ in found]
    # A wrapper hands `output_attentions` down to the module that computes: only the innermost
    # counts, or every layer would be read twice.
    inner = [
        entry for entry in found
        if not any(n != entry[0] and n.startswith(f"{entry[0]}." if entry[0] else "")
                   for n in names)
    ]  # fmt: skip
    if not inner:
        seen = f" (its {', '.join(sorted(set(unreadable)))} gives no weights)" if unreadable else ""
        msg = (
            f"{type(module).__name__} has no attention layer that can be read{seen}; "
            "use a gradient or masking method instead"
        )
        raise RefusedError(msg)
    paths = [name.split(".") for name in names]
    first = {next((p for p in path if p in {"encoder", "decoder"}), "") for path in paths}
    two_sided = {"encoder", "decoder"} <= first
    layers = []
    for name, part, route in inner:
        own = owners[name]
        cross = getattr(part, "is_cross_attention", None) is True or bool(_CROSS.search(name))
        kind: Kind = "cross" if cross else _side(name, part, own, two_sided)
        if getattr(part, "learned_queries", None) is True:
            kind = "slots"
        layers.append(Layer(name, part, kind, route, own[-1] if own else None))
    return layers


def stack_of(name: str) -> str:
    """Return the list of blocks that a layer is in: the path before its first number."""
    parts = name.split(".")
    numbers = [i for i, part in enumerate(parts) if part.isdecimal()]
    return ".".join(parts[: numbers[0]]) if numbers else ""


def select_layers(
    module: nn.Module, kind: str, every: Sequence[Layer] | None = None
) -> list[Layer]:
    """Return the attention layers of one kind.

    Parameters
    ----------
    module : torch.nn.Module
    kind : {"encoder", "decoder", "cross", "slots"}
    every : sequence of Layer, optional
        All of them, where they are known.

    Raises
    ------
    OptionError
        If `kind` is no such word, or the model has no such layers.
    RefusedError
        If the model has several stacks of that kind (two towers), or no readable attention.
    """
    if kind not in KINDS:
        msg = f"kind={kind!r} does not exist; use one of {', '.join(KINDS)}"
        raise OptionError(msg)
    layers = find_layers(module) if every is None else every
    chosen = [layer for layer in layers if layer.kind == kind]
    if not chosen:
        there = [k for k in KINDS if any(layer.kind == k for layer in layers)]
        options = " or ".join(f"kind={k!r}" for k in there)
        msg = f"{type(module).__name__} has no {kind} attention; use {options}"
        raise OptionError(msg)
    stacks = sorted({stack_of(layer.name) for layer in chosen})
    if len(stacks) > 1:
        msg = (
            f"{type(module).__name__} has {len(stacks)} stacks of {kind} attention "
            f"({', '.join(stacks)}); pass the part that is meant"
        )
        raise RefusedError(msg)
    if len({layer.route for layer in chosen}) > 1:
        msg = f"{type(module).__name__} mixes two kinds of attention modules; pass one part of it"
        raise RefusedError(msg)
    return chosen


def one_stack(module: nn.Module, every: Sequence[Layer] | None = None) -> list[Layer]:
    """Return the attention layers of a model that has self-attention of one kind, and no other.

    Parameters
    ----------
    module : torch.nn.Module
    every : sequence of Layer, optional
        All of them, where they are known.

    Raises
    ------
    RefusedError
        If there is attention of several kinds (encoder and decoder), or none that can be read.

    Examples
    --------
    >>> [layer.name for layer in one_stack(nn.TransformerEncoderLayer(8, 2))]
    ['self_attn']
    """
    every = find_layers(module) if every is None else every
    kinds = sorted({layer.kind for layer in every}, key=KINDS.index)
    if len(kinds) > 1 or kinds[0] in {"cross", "slots"}:
        msg = (
            f"{type(module).__name__} has {' and '.join(kinds)} attention, and no map of one "
            "stack is a map of the model; use saliscope.attention with kind="
        )
        raise RefusedError(msg)
    return select_layers(module, kinds[0], every)


def planned(module: nn.Module, layers: list[Layer]) -> int:
    """Return how many layers will run: a module with shared weights can stand for several."""
    said = getattr(getattr(module, "config", None), "num_hidden_layers", None)
    shared = isinstance(said, int) and len(layers) == 1
    return said if isinstance(said, int) and shared else len(layers)
