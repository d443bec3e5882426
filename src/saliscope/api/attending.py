"""`attention`: where a model attended, reduced while the model runs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from torch import nn

from saliscope.api.inputs import Input
from saliscope.api.results import versions
from saliscope.attention.capture import BUDGET
from saliscope.attention.layers import KINDS
from saliscope.attention.make import attention_map
from saliscope.attention.map import AttentionMap
from saliscope.core.errors import OptionError, RefusedError, SaliscopeError, nearest
from saliscope.core.units import Units
from saliscope.models.loading import load
from saliscope.models.rewriting import RewritingModel
from saliscope.models.tensor import TensorModel
from saliscope.models.tokens import TokenModel
from saliscope.models.torch_model import TorchModel
from saliscope.models.vision.classifier import ImageModel
from saliscope.models.vision.looking import looking
from saliscope.models.vision.recognizer import Recognizer

__all__ = ["attention", "attention_each"]

REDUCE = ("received", "mean", "full", "rollout")
KIND = KINDS
SPECIALS = ("drop", "keep")
_SMALL, _HELD = 20_000, 64  # numbers in a map that is held, and maps that are


def attention(
    model: object, inputs: Any, *, reduce: str = "received", kind: str | None = None,
    layers: int | Sequence[int] | None = None, heads: int | Sequence[int] | None = None,
    specials: str = "drop", budget: int | None = None, seed: int = 0,
    errors: Literal["raise", "collect"] = "raise", tokenizer: Any = None,
) -> Any:  # fmt: skip
    """Return where a model attended.

    Probabilities are reduced layer by layer while the model runs, so memory does not grow with
    layers x heads x length squared.

    Parameters
    ----------
    model : object
        Anything that `load` takes.
    inputs : object
        A protein, a text, a picture of a line; a tensor, or a mapping of forward arguments, for
        other models. A list gives a list, an iterator an iterator.
    reduce : {"received", "mean", "full", "rollout"}
        Attention that each position receives (mean over queries); the mean over heads; all
        weights (where they fit into `budget`); or attention rollout (Abnar & Zuidema 2020).
    kind : {"encoder", "decoder", "cross", "slots"}, optional
        By default the encoder's, or the decoder's of a model that has no encoder. Of a model that
        reads a line: "cross", from each character that it writes to the picture. "slots": from the
        learned slots of a bottleneck to the residues.
    layers, heads : int or sequence of int, optional
        Which ones; negative numbers count from the end.
    specials : {"drop", "keep"}
        Leave special tokens out (rows are renormalized, the removed mass is stored) or in.
    budget : int, optional
        Bytes that ``reduce="full"`` may take (default 1 GiB).
    seed : int
        For models that draw random numbers even in evaluation mode.
    errors : {"raise", "collect"}
        "collect" puts the error in place of a result that failed.
    tokenizer : transformers.PreTrainedTokenizerBase, optional
        For a `PreTrainedModel` that takes token ids.

    Returns
    -------
    AttentionMap, list of AttentionMap or iterator of AttentionMap

    Raises
    ------
    SaliscopeError
        `InputError`, `OptionError`, `ModelError`; `RefusedError` where no route is right.

    Examples
    --------
    >>> import saliscope
    >>> m = saliscope.attention("zoo:protein", "MVHLTPEEKSAVTALWGK")
    >>> m.values.dims, m.values.sizes["position"]
    (('layer', 'head', 'position'), 18)
    >>> m.received(layer=-1).top(1).shape[0]
    1
    """
    for value, known, name in (
        (reduce, REDUCE, "reduce"), (kind, (*KIND, None), "kind"), (specials, SPECIALS, "specials"),
        (errors, ("raise", "collect"), "errors"),
    ):  # fmt: skip
        if value not in known:
            hint = nearest(str(value), [k for k in known if k])
            msg = f"{name}={value!r} does not exist: {hint}"
            raise OptionError(msg)
    if budget is not None and budget < 1:
        msg = f"budget={budget} must be a positive number of bytes, e.g. 2 * 2**30"
        raise OptionError(msg)
    settings: dict[str, Any] = {
        "reduce": reduce, "kind": kind, "layers": layers, "heads": heads, "specials": specials,
        "budget": budget or BUDGET, "seed": seed,
    }  # fmt: skip
    if isinstance(inputs, Mapping):
        module = model if isinstance(model, nn.Module) else _adapter(model, tokenizer).module
        return attention_map(module, inputs, **{**settings, "kind": kind or _kind(module)})
    adapter = _adapter(model, tokenizer)
    many = isinstance(inputs, (list, tuple)) and not isinstance(inputs, Input)
    stream = isinstance(inputs, Iterator)
    source: Iterable[Any] = inputs if many or stream else [inputs]
    results = attention_each(adapter, source, settings, collect=errors == "collect")
    if stream:
        return results
    return list(results) if many else next(iter(results))


def _adapter(model: object, tokenizer: Any) -> TorchModel:
    adapter = load(model, tokenizer=tokenizer)
    if not isinstance(adapter, TorchModel) or "gradients" not in adapter.offers:
        msg = f"{adapter.name} is a function, which has no attention; use masking or occlusion"
        raise RefusedError(msg)
    return adapter


def _kind(module: nn.Module) -> str:
    config = getattr(module, "config", None)
    causal = type(module).__name__.endswith(("ForCausalLM", "LMHeadModel"))
    alone = not getattr(config, "is_encoder_decoder", False)
    return "decoder" if causal and alone else "encoder"


def attention_each(
    adapter: TorchModel, inputs: Iterable[Any], settings: Mapping[str, Any], *, collect: bool
) -> Iterator[Any]:
    """Yield a map per input, in order; errors are yielded too with `collect`.

    Inputs run one at a time: nothing is padded, and a batch would only multiply the one layer
    that is in memory.
    """
    usual = "cross" if isinstance(adapter, Recognizer) else _kind(adapter.module)
    chosen = {**settings, "kind": settings["kind"] or usual}
    provenance = {"model": dict(adapter.describe()), "versions": versions()}
    held: OrderedDict[str, AttentionMap] = OrderedDict()  # equal inputs run once
    for raw in inputs:
        named = raw if isinstance(raw, Input) else Input("", raw)
        known = held.get(named.raw) if isinstance(named.raw, str) else None
        if known is not None and named.name:
            yield AttentionMap(known.data, {**known.meta, "name": named.name})
            continue
        try:
            made = _one(adapter, named, chosen, provenance)
            if isinstance(named.raw, str) and made.values.size <= _SMALL:
                held[named.raw] = made
                if len(held) > _HELD:
                    held.popitem(last=False)
            yield made
        except SaliscopeError as error:
            if not collect:
                raise
            yield error


def _one(
    adapter: TorchModel, named: Input, chosen: Mapping[str, Any], provenance: Mapping[str, Any]
) -> AttentionMap:
    if isinstance(adapter, Recognizer):
        (sample,) = adapter.prepare(named.raw, name=named.name or None)
        seen = looking(adapter, sample, chosen["kind"])
        made = attention_map(
            seen.module, seen.shorter, seen.queries, seen.keys, name=sample.name, text=seen.text,
            findings=[*adapter.findings, *seen.findings], provenance=provenance, **chosen,
        )  # fmt: skip
        kept = {"modality": adapter.modality, "picture": sample.context["picture"]}
        return AttentionMap(made.data, {**made.meta, **kept})
    if isinstance(adapter, ImageModel):
        (sample,) = adapter.prepare(named.raw, name=named.name or None)
        given = adapter.given(sample.value[None])
        units = adapter.token_units(sample) if "attention" in adapter.offers else None
        return attention_map(
            adapter.module, {"": given}, units, name=sample.name,
            findings=[*adapter.findings, *sample.findings], provenance=provenance, **chosen,
        )  # fmt: skip
    if isinstance(adapter, TensorModel):
        return attention_map(
            adapter.module, {"": named.raw}, name=named.name, findings=adapter.findings,
            provenance=provenance, **chosen,
        )  # fmt: skip
    assert isinstance(adapter, TokenModel)
    (sample,) = adapter.prepare(named.raw, name=named.name or None)
    sides: tuple[Units, Units | None] = sample.units, None
    if isinstance(adapter, RewritingModel):
        sides = adapter.sides(sample, chosen["kind"])
    made = attention_map(
        adapter.module, adapter.arguments([sample.context["ids"]]), *sides,
        name=sample.name, text=sample.text, findings=[*adapter.findings, *sample.findings],
        provenance=provenance, **chosen,
    )  # fmt: skip
    return AttentionMap(made.data, {**made.meta, "modality": adapter.modality})
