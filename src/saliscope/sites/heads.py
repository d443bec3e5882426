"""Which heads attend to residues in contact: every head against the structure of every protein."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from saliscope.attention.capture import stream
from saliscope.core.errors import InputError, OptionError
from saliscope.core.files import write_beside
from saliscope.core.units import FloatArray
from saliscope.models.loading import load
from saliscope.models.tokens import TokenModel
from saliscope.sites.contacts import LEAST_APART, RANGES, apc, precision_at, symmetric, within
from saliscope.sites.placing import Placed
from saliscope.sites.structure import CONTACT

__all__ = ["ContactScan", "each_head", "protein_model", "scan_contacts"]

PARTS = (1, 2, 5)


@dataclass(frozen=True, eq=False)
class ContactScan:
    """How well each head finds contacts; made by `scan_contacts`.

    Parameters
    ----------
    heads : pandas.DataFrame
        A row per head: ``layer``, ``head``, ``proteins``, and for each range (``short``: 6 to 11
        residues apart, ``medium``: 12 to 23, ``long``: 24 and more) ``P@L``, ``P@L/2``,
        ``P@L/5``, means over proteins.
    proteins : pandas.DataFrame
        The same per protein, with its ``residues`` and ``contacts`` of each range.
    chance : pandas.DataFrame
        A row: the share of contacts among the pairs of each range, which a random order finds.
    cutoff : float
        Angstrom between beta carbons.
    model : str
    """

    heads: pd.DataFrame = field(repr=False)
    proteins: pd.DataFrame = field(repr=False)
    chance: pd.DataFrame
    cutoff: float
    model: str

    def top(self, count: int = 10, by: str = "long P@L") -> pd.DataFrame:
        """Return the heads of the highest precision.

        Raises
        ------
        OptionError
            There is no such column.
        """
        known = [c for c in map(str, self.heads) if "P@" in c]
        if by not in known:
            msg = f"by={by!r} does not exist; use one of {', '.join(known)}"
            raise OptionError(msg)
        ranked = self.heads.sort_values(by, ascending=False, kind="stable", na_position="last")
        return ranked.head(count).reset_index(drop=True)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the table of heads.

        Raises
        ------
        InputError
            It cannot be written.
        """
        write_beside(path, self.heads.to_csv(index=False).encode())

    def __repr__(self) -> str:
        lines = [
            f"ContactScan of {len(self.heads)} heads by {self.model}",
            f"  proteins     {self.proteins['protein'].nunique()}; beta carbons under "
            f"{self.cutoff:g} angstrom, pairs at least {LEAST_APART} apart",
        ]
        for _, row in self.top(3).iterrows():
            lines.append(
                f"  L{int(row['layer'])} H{int(row['head'])}{'':<7} long range P@L "
                f"{row['long P@L']:.3f}, P@L/5 {row['long P@L/5']:.3f}"
            )
        lines.append(f"  by chance    long range {float(self.chance['long'].iloc[0]):.3f}")
        return "\n".join(lines)


def protein_model(model: object) -> TokenModel:
    """Return a loaded model whose attention is among residues.

    Raises
    ------
    OptionError
        It is no model of proteins.
    """
    adapter = load(model)
    if not isinstance(adapter, TokenModel) or adapter.modality != "protein":
        msg = f"{adapter.name}: contacts are among residues; give a protein model"
        raise OptionError(msg)
    return adapter


def each_head(
    adapter: TokenModel, sequence: str, take: Callable[[int, int, FloatArray], None], *,
    name: str = "", seed: int = 0,
) -> None:  # fmt: skip
    """Hand over the attention of every head, symmetrized and corrected (APC), one after another.

    One pass; one layer is held at a time, and one matrix in float64.

    Parameters
    ----------
    adapter : TokenModel
    sequence : str
    take : callable
        Is given layer, head, and the matrix, shape (residues, residues).
    name : str
        For messages.
    seed : int
    """
    (sample,) = adapter.prepare(sequence, name=name or None)
    keep = np.zeros(sample.units.shape[0], dtype=bool)
    keep[sample.units.kept] = True
    kept = np.flatnonzero(keep)

    def layer(number: int, _path: str, values: Any) -> None:
        for head in range(values.shape[1]):
            own = values[0, head].cpu().numpy()
            take(number, head, apc(symmetric(own[np.ix_(kept, kept)])))

    stream(
        adapter.module, adapter.arguments([sample.context["ids"]]), reduce="full",
        keep=keep.tolist(), seed=seed, each=layer,
    )  # fmt: skip


def check_placed(placed: Placed | Sequence[Placed]) -> list[Placed]:
    """Return a list of placed structures.

    Raises
    ------
    InputError
        There is none, or one has too few residues for any pair.
    """
    given = [placed] if isinstance(placed, Placed) else list(placed)
    if not given:
        msg = "no structures: give at least one"
        raise InputError(msg)
    for one in given:
        if int(one.columns[-1] - one.columns[0]) < LEAST_APART:
            msg = (
                f"{one.structure.path}: the placed residues span {one.span[0]} to {one.span[1]}; "
                f"contacts need residues at least {LEAST_APART} apart"
            )
            raise InputError(msg)
    return given


def name_of(one: Placed) -> str:
    """Return what tables call a placed structure."""
    return f"{Path(one.structure.path).name} chain {one.structure.chain}"


def scan_contacts(
    model: object, placed: Placed | Sequence[Placed], *, cutoff: float = CONTACT, seed: int = 0
) -> ContactScan:
    """Measure for every head how many of its strongest pairs are in contact.

    Parameters
    ----------
    model : object
        A protein model, as `saliscope.load` takes it.
    placed : Placed or sequence of Placed
        Structures on the sequences that the model is given; see `place`. Only resolved residues
        are compared; L is their number.
    cutoff : float
        Angstrom between beta carbons.
    seed : int

    Returns
    -------
    ContactScan

    References
    ----------
    .. [1] Rao et al. (2021), Transformer protein language models are unsupervised structure
       learners, ICLR.

    Notes
    -----
    Symmetrizing, average product correction, and the pairs counted are as there. The best head
    of many is best by chance too: judge it on proteins that it was not chosen on
    (`fit_contacts`).

    Examples
    --------
    >>> import numpy as np
    >>> from saliscope.sites.placing import place
    >>> from saliscope.sites.structure import Structure
    >>> turn = np.linspace(0, 6.28, 40)
    >>> ring = np.stack([10 * np.cos(turn), 10 * np.sin(turn), 0 * turn], 1)
    >>> chain = Structure("ring.pdb", "A", "MVHLTPEEKS" * 4, tuple((i, "") for i in range(1, 41)),
    ...                   ring, ring, ring, np.arange(40), np.ones(40))
    >>> found = scan_contacts("zoo:protein", place(chain, "MVHLTPEEKS" * 4))
    >>> len(found.heads), found.chance.round(2).iloc[0].tolist()
    (16, [0.0, 0.0, 0.15])
    """
    given, adapter = check_placed(placed), protein_model(model)
    if cutoff <= 0:
        msg = f"cutoff={cutoff} must be a positive number of angstrom, e.g. {CONTACT:g}"
        raise OptionError(msg)
    rows: list[dict[str, Any]] = []
    chances = []
    for one in given:
        truth = np.zeros((len(one.sequence),) * 2, dtype=bool)
        at = np.ix_(one.columns, one.columns)
        truth[at] = one.contacts(cutoff)
        facts, places = {}, {}
        for word, band in RANGES.items():  # masks: a sixteenth of the pairs' numbers
            places[word] = np.zeros_like(truth)
            places[word][at] = within(one.columns, band)
            facts[word] = truth[places[word]]
        chances.append({w: float(t.mean()) if len(t) else np.nan for w, t in facts.items()})
        about = {
            "protein": name_of(one), "residues": len(one.columns),
            **{f"{word} contacts": int(fact.sum()) for word, fact in facts.items()},
        }  # fmt: skip

        def take(
            layer: int, head: int, matrix: FloatArray, *, places: Any = places,
            facts: Any = facts, about: Any = about,
        ) -> None:  # fmt: skip
            precise = {
                f"{word} P@L{'' if part == 1 else f'/{part}'}": precision_at(
                    matrix[places[word]], facts[word], about["residues"], part
                )
                for word in RANGES
                for part in PARTS
            }
            rows.append({"layer": layer, "head": head, **about, **precise})

        each_head(adapter, one.sequence, take, name=name_of(one), seed=seed)
    every = pd.DataFrame(rows)
    numbers = [c for c in map(str, every) if "P@" in c]
    grouped = every.groupby(["layer", "head"], sort=False)
    table = grouped[numbers].mean().reset_index()
    table.insert(2, "proteins", grouped.size().to_numpy())
    chance = pd.DataFrame([pd.DataFrame(chances).mean().to_dict()])
    return ContactScan(table, every, chance, cutoff, str(adapter.name))
