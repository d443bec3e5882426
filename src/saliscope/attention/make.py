"""Attention maps from a module, its arguments, and the names of its tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import nn

from saliscope.attention.capture import BUDGET, Stream, mask_words, stream
from saliscope.attention.map import AttentionMap
from saliscope.core.errors import OptionError
from saliscope.core.health import Finding, Health, finding
from saliscope.core.units import Units

__all__ = ["attention_map", "attention_maps"]

Bools = npt.NDArray[np.bool_]


def _axis(dim: str, units: Units | None, kept: Bools, specials: str) -> dict[str, Any]:
    """Return the coordinates of one axis: numbers from 1, and what the units say of themselves.

    Specials that are kept have no number of their own: then all tokens are counted, and the
    units' own numbers stand beside (0 for specials).
    """
    index = np.flatnonzero(kept)
    prefix = "" if dim == "position" else f"{dim}_"
    found: dict[str, Any] = {dim: np.arange(1, len(index) + 1)}
    if units is None:
        return found
    for name, (_, labels) in units.coords.items():
        own = np.asarray(labels)[index]
        if name != "position":
            found[prefix + name] = (dim, own)
        elif specials == "drop":
            found[dim] = own
        else:
            found[f"{prefix}number"] = (dim, own)
    return found


def _keep(units: Sequence[Units | None], hidden: Any, word: str) -> torch.Tensor | None:
    """Return which tokens of a padded batch are units, shape (inputs, length), or None for all.

    Parameters
    ----------
    units : sequence of Units or None
        One per input, over its own tokens.
    hidden : torch.Tensor or None, shape (inputs, length)
        The attention mask: says where in the batch the tokens of an input stand.
    word : str
        For messages.
    """
    if all(u is None or u.keep is None for u in units):
        return None
    real = hidden.bool().cpu() if isinstance(hidden, torch.Tensor) and hidden.ndim == 2 else None
    longest = max(u.shape[0] for u in units if u is not None)
    mask = torch.ones(len(units), longest if real is None else real.shape[1], dtype=torch.bool)
    for row, own in enumerate(units):
        if own is None or own.keep is None:
            continue
        places = torch.arange(mask.shape[1]) if real is None else real[row].nonzero()[:, 0]
        if len(own.keep) != len(places):
            msg = (
                f"the {word} of input {row} have {len(own.keep)} tokens, but the model is given "
                f"{len(places)}; pass an attention_mask that hides the padding"
            )
            raise OptionError(msg)
        mask[row, places] = torch.from_numpy(np.asarray(own.keep, dtype=bool))
    return mask


def _dataset(
    found: Stream,
    row: int,
    units: tuple[Units | None, Units | None],
    reals: list[Any],
    specials: str,
) -> xr.Dataset:
    """Return the numbers of one input, cut to what was kept and labelled."""
    received, rolled = found.reduce == "received", found.reduce == "rollout"
    kept = [found.queries[row].numpy(), found.keys[row].numpy()]
    names = ("query", "position" if received else "key")
    coords: dict[str, Any] = {}
    for side in (1,) if received else (0, 1):
        real = reals[side]
        own = kept[side]
        if isinstance(real, torch.Tensor) and real.ndim == 2:
            own = own[real[row].bool().cpu().numpy()]
        coords.update(_axis(names[side], units[side], own, specials))
    values = found.values[row].cpu().numpy()[..., kept[1]]
    if not received:
        values = values[..., kept[0], :]
    dims = {
        "received": ("layer", "head", "position"),
        "mean": ("layer", "query", "key"),
        "full": ("layer", "head", "query", "key"),
        "rollout": ("query", "key"),
    }[found.reduce]
    removed = found.removed[row].cpu().numpy()
    if rolled:
        return xr.Dataset({"values": (dims, values), "removed": ((), removed)}, coords=coords)
    coords["layer"] = list(found.layers)
    coords["module"] = ("layer", np.array(found.modules))
    coords["head"] = list(found.heads)
    seen = found.seen[row].cpu().numpy()[:, kept[1]]
    return xr.Dataset(
        {
            "values": (dims, values),
            "removed": (("layer", "head"), removed),
            "seen": (("layer", names[1]), seen),
        },
        coords=coords,
    )


def _findings(module: nn.Module, given: Iterable[Finding]) -> list[Finding]:
    found = list(given)
    if any(part.training for part in module.modules()):
        found.append(finding("training_mode"))
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), None)
    if dtype in {torch.float16, torch.bfloat16}:
        found.append(finding("reduced_precision", dtype=str(dtype).removeprefix("torch.")))
    return found


def attention_maps(
    module: nn.Module,
    arguments: Mapping[str, Any],
    queries: Sequence[Units | None],
    keys: Sequence[Units | None] | None = None,
    *,
    reduce: str = "received",
    kind: str = "encoder",
    layers: int | Sequence[int] | None = None,
    heads: int | Sequence[int] | None = None,
    specials: str = "drop",
    budget: int = BUDGET,
    seed: int = 0,
    names: Sequence[str] = (),
    texts: Sequence[str] = (),
    findings: Sequence[Iterable[Finding]] = (),
    provenance: Mapping[str, Any] | None = None,
) -> list[AttentionMap]:
    """Return one attention map per input of a batch, from one forward pass.

    Parameters
    ----------
    module : torch.nn.Module
    arguments : mapping
        Keyword arguments of the forward pass; see `stream`.
    queries : sequence of Units or None
        The tokens of each input on the side that looks, padding left out: labels along the axis
        and, in ``keep``, which are not special. None: every token is a unit without a label.
    keys : sequence of Units or None, optional
        The tokens that are looked at. By default the same; needed for kinds "cross" and
        "slots".
    reduce, kind, layers, heads, specials, budget, seed
        See `stream`.
    names, texts : sequence of str
        What each input is called, and how it reads.
    findings : sequence of iterable of Finding
        What is known of each input already.
    provenance : mapping, optional
        The model's name and fingerprint, versions: kept beside the options and the cost.

    Returns
    -------
    list of AttentionMap

    Raises
    ------
    OptionError, RefusedError
        See `stream`; also when units and tokens do not match.

    Examples
    --------
    >>> net = nn.TransformerEncoderLayer(8, 2, batch_first=True).eval()
    >>> letters = Units(("position",), (3,), "residue", {"residue": ("position", list("MVH"))})
    >>> [m] = attention_maps(net, {"": torch.zeros(1, 3, 8)}, [letters])
    >>> m.values.dims, m.values.residue.values.tolist()
    (('layer', 'head', 'position'), ['M', 'V', 'H'])
    """
    others = (
        list(keys)
        if keys is not None
        else [None if kind in {"cross", "slots"} else u for u in queries]
    )
    for own in [*queries, *others]:
        if own is not None and len(own.dims) != 1:
            msg = f"attention is among tokens along one axis; the units have {own.dims}"
            raise OptionError(msg)
    health = _findings(module, ())
    reals = [arguments.get(word) for word in mask_words(module, arguments, kind)]
    found = stream(
        module, arguments, reduce=reduce, kind=kind, layers=layers, heads=heads,
        keep=_keep(queries, reals[0], "queries"), key_keep=_keep(others, reals[1], "keys"),
        specials=specials, budget=budget, seed=seed,
    )  # fmt: skip
    if not len(queries) == len(others) == len(found.values):
        msg = f"{len(queries)} units were given for {len(found.values)} inputs; give one per input"
        raise OptionError(msg)
    options = {
        "reduce": reduce, "kind": kind, "layers": list(found.layers), "heads": list(found.heads),
        "specials": specials, "seed": seed,
    }  # fmt: skip
    maps = []
    for row in range(len(queries)):
        data = _dataset(found, row, (queries[row], others[row]), reals, specials)
        known = [*health, *(findings[row] if findings else ())]
        wrong = int((~np.isfinite(data["values"].values)).sum())
        if wrong:
            known.append(finding("non_finite", count=wrong, total=data["values"].size))
        unit = next((u.kind for u in (others[row], queries[row]) if u is not None), "token")
        meta = {
            "name": names[row] if names else "",
            "text": texts[row] if texts else "",
            "method": "attention",
            "reduce": reduce,
            "kind": kind,
            "unit": unit,
            "signed": False,
            "modules": dict(zip(map(str, found.layers), found.modules, strict=True)),
            "options": options,
            "health": [f.to_dict() for f in Health(known)],
            "provenance": {"route": found.route, "evaluations": 1, **(provenance or {})},
        }
        maps.append(AttentionMap(data, meta))
    return maps


def attention_map(
    module: nn.Module,
    arguments: Mapping[str, Any],
    queries: Units | None = None,
    keys: Units | None = None,
    *,
    reduce: str = "received",
    kind: str = "encoder",
    layers: int | Sequence[int] | None = None,
    heads: int | Sequence[int] | None = None,
    specials: str = "drop",
    budget: int = BUDGET,
    seed: int = 0,
    name: str = "",
    text: str = "",
    findings: Iterable[Finding] = (),
    provenance: Mapping[str, Any] | None = None,
) -> AttentionMap:
    """Return the attention map of a single input; see `attention_maps`.

    Examples
    --------
    >>> net = nn.TransformerEncoderLayer(8, 2, batch_first=True).eval()
    >>> attention_map(net, {"": torch.zeros(1, 3, 8)}, reduce="mean").values.sizes["query"]
    3
    """
    return attention_maps(
        module, arguments, [queries], None if keys is None else [keys], reduce=reduce, kind=kind,
        layers=layers, heads=heads, specials=specials, budget=budget, seed=seed, names=[name],
        texts=[text], findings=[list(findings)], provenance=provenance,
    )[0]  # fmt: skip
