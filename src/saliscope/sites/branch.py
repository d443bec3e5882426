"""Substitutions along the branches of a tree: how attention and attribution change at each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from saliscope.api.attending import attention
from saliscope.api.explaining import explain
from saliscope.api.inputs import Input
from saliscope.core.errors import InputError, OptionError
from saliscope.core.units import FloatArray
from saliscope.models.loading import load
from saliscope.sites.aligning import align_globally
from saliscope.sites.tree import Lineage

__all__ = ["along_branch", "along_lineage"]


def along_branch(
    model: object, ancestor: str, descendant: str, *, method: str = "integrated_gradients",
    target: Any = None, layer: int = -1, **options: Any,
) -> pd.DataFrame:  # fmt: skip
    """Return the substitutions between two sequences, and what changes at each for a model.

    Parameters
    ----------
    model : object
        Anything that `load` takes, of proteins and with attention.
    ancestor, descendant : str
        Aligned: of equal length, with ``-`` where one has no residue. Without any gap and of two
        lengths they are aligned here (global, BLOSUM62).
    method, target, **options
        As in `saliscope.explain`; both sequences are explained for the same target (default of a
        classifier: the class that is predicted for the descendant).
    layer : int
        Whose attention is taken: received, mean over heads.

    Returns
    -------
    pandas.DataFrame
        One row per substitution, in order: ``substitution`` ("A12V", numbered along the
        ancestor), ``position``, and ``attention``, ``attribution`` of the ancestor (``_before``),
        the descendant (``_after``), and their difference (``_change``). Attention received is in
        multiples of 1 / length, so that 1 is the mean. Insertions and deletions have no row.

    Raises
    ------
    InputError
        The sequences have gaps and are not of one length, or do not differ.
    OptionError
        The model is not one of proteins.

    Notes
    -----
    A change is a change of this model's reading. It is no evidence that the substitution mattered
    to the protein, and all that changed along the branch acts at once.

    Examples
    --------
    >>> found = along_branch("zoo:protein", "MVHLTPEEK", "MVHLTPVEK", target="likelihood")
    >>> found["substitution"].tolist(), "attention_change" in found
    (['E7V'], True)
    """
    names = ("the ancestor", "the descendant")
    pair = Lineage(names, (ancestor.upper(), descendant.upper()))
    found = along_lineage(model, pair, method=method, target=target, layer=layer, **options)
    if found.empty:
        msg = "the two sequences have no substitution between them"
        raise InputError(msg)
    return found.drop(columns=["branch", "from", "to"])


def along_lineage(
    model: object, lineage: Lineage, *, method: str = "integrated_gradients", target: Any = None,
    layer: int = -1, **options: Any,
) -> pd.DataFrame:  # fmt: skip
    """Return the substitutions on all branches of a lineage, and what changes at each for a model.

    Parameters
    ----------
    model : object
        As in `along_branch`.
    lineage : Lineage
        See `read_lineage`.
    method, target, layer, **options
        As in `along_branch`; the default target of a classifier is the class that is predicted
        for the last sequence.

    Returns
    -------
    pandas.DataFrame
        As `along_branch`, with ``branch`` (from 1, the oldest), ``from`` and ``to`` before.
        Substitutions are numbered along the sequence that the branch begins with.
        ``attrs["target"]`` says what was explained.

    Raises
    ------
    InputError
        The sequences have gaps and are not of one length.
    OptionError
        The model is not one of proteins.

    Examples
    --------
    >>> way = Lineage(("old", "middle", "new"), ("MVHLTPEEK", "MVHLTPVEK", "MIHLTPVEK"))
    >>> found = along_lineage("zoo:protein", way, target="likelihood")
    >>> found[["branch", "to", "substitution"]].values.tolist()
    [[1, 'middle', 'E7V'], [2, 'new', 'V2I']]
    """
    loaded = load(model)
    if loaded.modality != "protein":
        msg = f"{loaded.name} is a model of {loaded.modality}; branches are of proteins"
        raise OptionError(msg)
    pairs = _columns(lineage)
    whole = [row.replace("-", "").replace(".", "").upper() for row in lineage.sequences]
    if target is None and "classes" in loaded.heads:
        target = str(explain(loaded, whole[-1], "gradient").target)
    given = [Input(n, s) for n, s in zip(lineage.names, whole, strict=True)]
    maps = explain(loaded, given, method, target, **options)
    seen = attention(loaded, given)
    values: list[tuple[FloatArray, FloatArray]] = [
        (np.asarray(m.received(layer).to_numpy()) * len(s), np.asarray(a.to_numpy()))
        for s, m, a in zip(whole, seen, maps, strict=True)
    ]
    rows = []
    for k, columns in enumerate(pairs):
        for before, after in columns:
            old, new = whole[k][before], whole[k + 1][after]
            if old == new:
                continue
            row: dict[str, Any] = {
                "branch": k + 1, "from": lineage.names[k], "to": lineage.names[k + 1],
                "substitution": f"{old}{before + 1}{new}", "position": before + 1,
            }  # fmt: skip
            for word, kind in (("attention", 0), ("attribution", 1)):
                one, other = float(values[k][kind][before]), float(values[k + 1][kind][after])
                row |= {
                    f"{word}_before": one, f"{word}_after": other, f"{word}_change": other - one
                }  # fmt: skip
            rows.append(row)
    columns_of = ["branch", "from", "to", "substitution", "position"] + [
        f"{word}_{when}"
        for word in ("attention", "attribution")
        for when in ("before", "after", "change")
    ]
    found = pd.DataFrame(rows, columns=columns_of)
    found.attrs["target"] = str(maps[0].target)
    return found


def _columns(lineage: Lineage) -> list[list[tuple[int, int]]]:
    """Return which residues of each two neighbors stand in one column."""
    rows = [row.replace(".", "-") for row in lineage.sequences]
    steps = list(itertools.pairwise(rows))
    if len({len(row) for row in rows}) == 1:
        return [_same_columns(one, other) for one, other in steps]
    if any("-" in row for row in rows):
        odd = next(i for i, row in enumerate(rows) if len(row) != len(rows[0]))
        where = f"{lineage.path}: " if lineage.path else ""
        msg = (
            f"{where}{lineage.names[0]} has {len(rows[0])} columns and {lineage.names[odd]} "
            f"{len(rows[odd])}; sequences with gaps are aligned, and equally long: align them "
            "again, or leave out the gaps"
        )
        raise InputError(msg)
    return [align_globally(one.upper(), other.upper()) for one, other in steps]


def _same_columns(one: str, other: str) -> list[tuple[int, int]]:
    places: Sequence[FloatArray] = [np.cumsum([a != "-" for a in row]) - 1 for row in (one, other)]
    return [
        (int(places[0][i]), int(places[1][i]))
        for i, (a, b) in enumerate(zip(one, other, strict=True))
        if "-" not in {a, b}
    ]
