"""Where the encoder and the decoder look, slot by slot, and what changes the bottleneck at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from saliscope.bottleneck.cut import Cut, Pressed
from saliscope.bottleneck.measures import effective_rank, explained
from saliscope.bottleneck.missense import distance
from saliscope.bottleneck.tasks import AMINO
from saliscope.core.units import FloatArray

__all__ = ["attention_table", "kept_table", "looked_at", "rank_table", "slot_table"]


def _spread(weights: FloatArray) -> FloatArray:
    """Return exp of the entropy of rows of probabilities: how many keys they look at."""
    safe = np.where(weights > 0, weights, 1.0)
    found: FloatArray = np.exp(-(weights * np.log(safe)).sum(-1))
    return found


def looked_at(cut: Cut, raws: Sequence[Any]) -> dict[str, list[FloatArray]]:
    """Return the attention of each kind that can be read, (layers, heads, queries, keys) each."""
    found: dict[str, list[FloatArray]] = {}
    for kind in ("encoder", "slots", "cross"):
        for raw in raws:
            seen = cut.attention(raw, kind)
            if seen is None:
                found.pop(kind, None)
                break
            found.setdefault(kind, []).append(seen.values.to_numpy().astype(np.float32))
    return found


def attention_table(looked: Mapping[str, Sequence[FloatArray]]) -> pd.DataFrame:
    """Return how wide and how far each head looks: a row per kind, layer and head.

    Returns
    -------
    pandas.DataFrame
        kind, layer, head, keys (how many it looks at: exp of the entropy, mean over queries and
        inputs), of (how many there are), and for self-attention distance (mean places between
        query and key).
    """
    rows = []
    for kind, maps in looked.items():
        wide = np.mean([_spread(w).mean(-1) for w in maps], axis=0)
        far = np.mean([
            (w * np.abs(np.subtract.outer(*(np.arange(n) for n in w.shape[-2:])))).sum(-1).mean(-1)
            for w in maps
        ], axis=0)  # fmt: skip
        rows += [
            {"kind": kind, "layer": layer, "head": head, "keys": float(wide[layer, head]),
             "of": float(np.mean([w.shape[-1] for w in maps])),
             "distance": float(far[layer, head]) if kind == "encoder" else float("nan")}
            for layer in range(wide.shape[0]) for head in range(wide.shape[1])
        ]  # fmt: skip
    return pd.DataFrame(rows, columns=["kind", "layer", "head", "keys", "of", "distance"])


def slot_table(looked: Mapping[str, Sequence[FloatArray]]) -> pd.DataFrame:
    """Return what each slot looks at, and who looks at it.

    Returns
    -------
    pandas.DataFrame
        A row per slot: share of the decoder's cross-attention (mean over layers, heads, places and
        inputs); reader, the mean place of the output that looks at it; where its own attention is
        read, center (mean place it looks at) and width (places it looks at: exp of the entropy).
        Empty where slots are not the same for all inputs.
    """
    cross = [w.mean((0, 1)) for w in looked.get("cross", ())]
    if not cross or len({w.shape[1] for w in cross}) > 1:
        return pd.DataFrame()
    readers = [
        np.arange(1, len(w) + 1) @ w / np.maximum(w.sum(0), 1e-12) for w in cross
    ]  # fmt: skip
    found = pd.DataFrame({
        "slot": np.arange(1, cross[0].shape[1] + 1),
        "share": np.mean([w.mean(0) for w in cross], 0), "reader": np.mean(readers, 0),
    })  # fmt: skip
    own = [w.mean((0, 1)) for w in looked.get("slots", ())]
    if own:
        found["center"] = np.mean([w @ np.arange(1, w.shape[1] + 1) for w in own], 0)
        found["width"] = np.mean([_spread(w) for w in own], 0)
    return found


def rank_table(named: dict[str, FloatArray]) -> pd.DataFrame:
    """Return how many directions representations use.

    Parameters
    ----------
    named : mapping of str to numpy.ndarray, shape (rows, numbers)

    Returns
    -------
    pandas.DataFrame
        what, rows, numbers, effective rank, and how many components hold 90 and 99 % of variance.
    """
    return pd.DataFrame([
        {"what": name, "rows": len(x), "numbers": x.shape[1], "effective rank": effective_rank(x),
         "components for 90 %": explained(x, 0.9), "components for 99 %": explained(x, 0.99)}
        for name, x in named.items()
    ])  # fmt: skip


def kept_table(
    cut: Cut, sequences: Sequence[str], pressed: Sequence[Pressed], noise: float, seed: int = 0
) -> pd.DataFrame:
    """Return how far the bottleneck moves where only one thing about a protein changes.

    Two changes tell apart what is kept, without any label or probe: the same residues in another
    order, which leaves composition as it was; and every kind of residue called by the name of
    another, which leaves the order of equal and unequal residues as it was. A bottleneck that does
    not move keeps nothing of what changed.

    Returns
    -------
    pandas.DataFrame
        A row per protein and change ("order", "letters"): distance, relative to the size of the
        bottleneck, and times noise.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for number, (sequence, own) in enumerate(zip(sequences, pressed, strict=True)):
        letters = np.array(list(sequence.upper()))
        turn = int(rng.integers(1, len(AMINO)))
        mixed = rng.permutation(list(AMINO))
        renamed = dict(zip(mixed.tolist(), np.roll(mixed, turn).tolist(), strict=True))
        changed = {
            "order": "".join(rng.permutation(letters)),
            "letters": "".join(renamed.get(a, a) for a in letters.tolist()),
        }
        for what, other in changed.items():
            moved = cut.press(other).numbers
            same = moved.shape == own.numbers.shape
            away = distance(moved, own.numbers) if same else float("nan")
            rows.append({
                "protein": number + 1, "change": what, "distance": away, "times noise": away / noise
            })  # fmt: skip
    return pd.DataFrame(rows)
