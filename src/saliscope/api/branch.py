"""Substitutions along a branch of a tree: how attention and attribution change at each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from saliscope.api.attending import attention
from saliscope.api.explaining import explain
from saliscope.core.errors import InputError, OptionError
from saliscope.models.loading import load

__all__ = ["along_branch"]


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
        Aligned: of equal length, with ``-`` where one has no residue.
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
        The sequences are not of one length, or do not differ.
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
    if len(ancestor) != len(descendant):
        msg = (
            f"the ancestor has {len(ancestor)} letters and the descendant {len(descendant)}; align "
            "them, with '-' for gaps"
        )
        raise InputError(msg)
    loaded = load(model)
    if loaded.modality != "protein":
        msg = f"{loaded.name} is a model of {loaded.modality}; branches are of proteins"
        raise OptionError(msg)
    pair = [s.upper() for s in (ancestor, descendant)]
    place = [np.cumsum([a != "-" for a in s]) for s in pair]
    columns = [
        i for i, (a, b) in enumerate(zip(*pair, strict=True)) if a != b and "-" not in {a, b}
    ]
    if not columns:
        msg = "the two sequences have no substitution between them"
        raise InputError(msg)
    whole = [s.replace("-", "") for s in pair]
    if target is None and "classes" in loaded.heads:
        target = str(explain(loaded, whole[1], "gradient").target)
    read = [
        (
            attention(loaded, s).received(layer).to_numpy() * len(s),
            explain(loaded, s, method, target, **options).to_numpy(),
        )
        for s in whole
    ]
    rows = []
    for i in columns:
        before, after = (int(p[i]) for p in place)
        row: dict[str, Any] = {
            "substitution": f"{pair[0][i]}{before}{pair[1][i]}", "position": before,
        }  # fmt: skip
        for name, k in (("attention", 0), ("attribution", 1)):
            old, new = float(read[0][k][before - 1]), float(read[1][k][after - 1])
            row |= {f"{name}_before": old, f"{name}_after": new, f"{name}_change": new - old}
        rows.append(row)
    return pd.DataFrame(rows)
