"""Does attention, or an attribution, fall on annotated sites? Every head, every protein, one test.

The unit of evidence is the protein: each gives one p per head against sites that lie elsewhere
(`saliscope.sites.nulls`). These are combined over proteins by Stouffer's sum of z, and corrected
over all heads by the false discovery rate of Benjamini and Hochberg. Attention cells are never
counted as observations.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from saliscope.api.attending import attention
from saliscope.attention.map import AttentionMap
from saliscope.core.attribution import Attribution
from saliscope.core.errors import InputError, OptionError
from saliscope.core.files import write_beside
from saliscope.core.units import FloatArray
from saliscope.models.loading import load
from saliscope.sites.features import Sites
from saliscope.sites.rivals import certainty, residue_identity
from saliscope.sites.tally import Rows, Tally

__all__ = ["DRAWS", "SiteScan", "compare_maps", "scan_sites"]

DRAWS = 1000
"""Random arrangements of the sites among residues of their types."""


@dataclass(frozen=True, eq=False)
class SiteScan:
    """What was found at the sites, per head and per protein; made by `scan_sites`.

    Parameters
    ----------
    maps : pandas.DataFrame
        A row per head (``layer``, ``head``) or per compared map (``map``): ``proteins``;
        ``enrichment``, the mean at sites over the mean elsewhere (geometric mean over proteins);
        ``auroc``, its mean; ``p_shift`` and ``p_matched``, combined over proteins; and the false
        discovery rates ``q_shift`` and ``q_matched`` over the rows. Blank where nothing can be
        compared.
    proteins : pandas.DataFrame
        The same numbers per protein, with its ``residues`` and ``sites``.
    rivals : pandas.DataFrame
        The same of what knows sites without attention: the type of the residue
        (``residue identity``) and the model's own certainty (``minus entropy``).
    sites : tuple of Sites
    model : str
    notes : tuple of str
        What a reader must know.
    """

    maps: pd.DataFrame = field(repr=False)
    proteins: pd.DataFrame = field(repr=False)
    rivals: pd.DataFrame
    sites: tuple[Sites, ...] = field(repr=False)
    model: str
    notes: tuple[str, ...] = ()

    def top(self, count: int = 10, by: str = "p_shift") -> pd.DataFrame:
        """Return the rows of the smallest p, ties by the larger enrichment.

        Parameters
        ----------
        count : int
        by : {"p_shift", "p_matched"}

        Raises
        ------
        OptionError
            There is no such column.
        """
        if by not in {"p_shift", "p_matched"}:
            msg = f"by={by!r} does not exist; use 'p_shift' or 'p_matched'"
            raise OptionError(msg)
        ranked = self.maps.sort_values([by, "enrichment"], ascending=[True, False], kind="stable")
        return ranked.head(count).reset_index(drop=True)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the table of all maps.

        Raises
        ------
        InputError
            It cannot be written.
        """
        write_beside(path, self.maps.to_csv(index=False).encode())

    def __repr__(self) -> str:
        best = self.top(3)
        residues = sum(len(s.mask[s.part]) for s in self.sites)
        count = sum(int(s.mask[s.part].sum()) for s in self.sites)
        lines = [
            f"SiteScan of {len(self.maps)} maps by {self.model}",
            f"  proteins     {len(self.sites)}: {count:,} sites among {residues:,} residues",
        ]
        for _, row in best.iterrows():
            name = _label(row)
            lines.append(
                f"  {name:<12} enrichment {row['enrichment']:.3g}, AUROC {row['auroc']:.2f}, "
                f"q {row['q_shift']:.2g} (shifts), {row['q_matched']:.2g} (same residues)"
            )
        lines.extend(
            f"  {row['rival']:<12} AUROC {row['auroc']:.2f}, without attention"
            for _, row in self.rivals.iterrows()
        )
        lines.extend(f"  note         {note}" for note in self.notes)
        return "\n".join(lines)


def _label(row: Any) -> str:
    if "map" in row:
        return str(row["map"])
    return f"L{int(row['layer'])} H{int(row['head'])}"


def scan_sites(
    model: object, sites: Sites | Sequence[Sites], *, layers: int | Sequence[int] | None = None,
    heads: int | Sequence[int] | None = None,
    rivals: Mapping[str, Sequence[FloatArray]] | None = None, draws: int = DRAWS, seed: int = 0,
) -> SiteScan:  # fmt: skip
    """Test every head of a protein model for attention to annotated sites.

    What a residue receives is the mean over the queries, special tokens left out of both axes and
    rows renormalized. A pass per protein, in the memory of one layer.

    Parameters
    ----------
    model : object
        Anything that `saliscope.load` takes.
    sites : Sites or sequence of Sites
        One per protein.
    layers, heads : int or sequence of int, optional
        Which ones; all by default.
    rivals : mapping of str to sequence of numpy.ndarray, optional
        Further scores along each protein that need no attention, such as `conservation`.
    draws : int
        Random arrangements among residues of the same types. The shifts are all taken.
    seed : int

    Returns
    -------
    SiteScan

    Raises
    ------
    InputError, OptionError
        No proteins, two of one name, or a protein that the model cannot take.

    Notes
    -----
    Small p mean that this head looks at these residues more than at shifted ones, in these
    proteins. They do not say why, nor that the model needs it.

    Examples
    --------
    >>> zinc = Sites.at("MVHLTPEEKSAVTALWGKVNVDEVGGEALGRL", [3, 8, 20], name="HBB")
    >>> found = scan_sites("zoo:protein", zinc, draws=99)
    >>> list(found.maps.columns[:3]), len(found.maps), found.rivals["rival"].tolist()
    (['layer', 'head', 'proteins'], 16, ['residue identity', 'minus entropy'])
    """
    given = _proteins(sites)
    _check_draws(draws)
    adapter = load(model)
    tally, own = Tally(draws, seed), Tally(draws, seed)
    identity = residue_identity(given)
    for number, one in enumerate(given):
        found = attention(adapter, one.sequence, layers=layers, heads=heads, seed=seed)
        tally.add(number, one, _heads(found, one))
        others = {"residue identity": identity[number]}
        sure = certainty(adapter, one.sequence)
        if sure is not None:
            others["minus entropy"] = sure[one.part]
        for word, scores in (rivals or {}).items():
            others[word] = _rival(word, scores, number, one)
        names = pd.DataFrame({"rival": list(others)})
        own.add(number, one, (names, np.stack(list(others.values()))))
    return _result(tally, own, given, str(adapter.name))


def compare_maps(
    maps: Iterable[Attribution | AttentionMap | FloatArray], sites: Sites | Sequence[Sites], *,
    name: str = "map", draws: int = DRAWS, seed: int = 0,
) -> SiteScan:  # fmt: skip
    """Test whether maps that are there already fall on annotated sites.

    Parameters
    ----------
    maps : iterable of Attribution, AttentionMap or numpy.ndarray
        One per protein, in the order of `sites`. Of an attribution the size of each value counts,
        each target for itself; of received attention each head; an array has the shape
        (residues,).
    sites : Sites or sequence of Sites
    name : str
        What an array is called in the table.
    draws, seed : int
        As of `scan_sites`.

    Returns
    -------
    SiteScan
        Its rival is the type of the residue.

    Raises
    ------
    InputError
        A map has another length than its protein, or there are not as many maps as proteins.

    Examples
    --------
    >>> import numpy as np
    >>> sites = Sites.at("MCHKAAWE", [2, 3])
    >>> found = compare_maps([np.array([0, 5.0, 4, 0, 1, 0, 0, 0])], sites, draws=99)
    >>> found.maps[["map", "auroc", "p_shift"]].values.tolist()
    [['map', 1.0, 0.0625]]
    """
    given, records = _proteins(sites), list(maps)
    _check_draws(draws)
    if len(records) != len(given):
        msg = f"{len(records)} maps, {len(given)} proteins: give one map per protein, in order"
        raise InputError(msg)
    tally, own = Tally(draws, seed), Tally(draws, seed)
    identity = residue_identity(given)
    for number, (one, record) in enumerate(zip(given, records, strict=True)):
        tally.add(number, one, _rows(record, one, name))
        own.add(
            number, one, (pd.DataFrame({"rival": ["residue identity"]}), identity[number][None])
        )
    return _result(tally, own, given, "given maps")


def _check_draws(draws: int) -> None:
    if draws < 1:
        msg = f"draws={draws} must be at least 1, e.g. {DRAWS}"
        raise OptionError(msg)


def _proteins(sites: Sites | Sequence[Sites]) -> list[Sites]:
    given = [sites] if isinstance(sites, Sites) else list(sites)
    if not given:
        msg = "no proteins: give the sites of at least one"
        raise InputError(msg)
    names = [s.name for s in given]
    double = next((n for n in names if n and names.count(n) > 1), None)
    if double:
        msg = f"{double}: stands twice among the proteins; each may count once"
        raise InputError(msg)
    return given


def _rival(word: str, scores: Sequence[FloatArray], number: int, one: Sites) -> FloatArray:
    """Return what a rival says of the part of one protein; where it says nothing, its mean."""
    own = np.asarray(scores[number], dtype=np.float64) if number < len(scores) else np.zeros(0)
    if own.shape != (len(one.sequence),):
        msg = (
            f"{one.name or 'the protein'}: {word} has {own.size:,} values for "
            f"{len(one.sequence):,} residues; give one array per protein, in order"
        )
        raise InputError(msg)
    part = own[one.part]
    known = np.isfinite(part)
    if not known.any():
        msg = f"{one.name or 'the protein'}: {word} is known of no residue; leave it out"
        raise InputError(msg)
    return np.where(known, part, part[known].mean())


def _heads(found: AttentionMap, one: Sites) -> Rows:
    values = found.to_numpy()
    if values.shape[-1] != len(one.sequence):
        msg = (
            f"{one.name or 'the protein'}: has {len(one.sequence):,} residues, its map "
            f"{values.shape[-1]:,}; give the map of this sequence"
        )
        raise InputError(msg)
    index = pd.MultiIndex.from_product(
        [found.data["layer"].to_numpy(), found.data["head"].to_numpy()], names=["layer", "head"]
    )
    flat = values.reshape(len(index), -1)[:, one.part].astype(np.float64)
    return index.to_frame(index=False), flat


def _rows(record: Attribution | AttentionMap | FloatArray, one: Sites, name: str) -> Rows:
    if isinstance(record, AttentionMap):
        if record.reduce != "received":
            msg = f"{record.name or 'a map'}: holds {record.reduce!r}; use reduce='received'"
            raise OptionError(msg)
        return _heads(record, one)
    values = np.abs(np.asarray(record, dtype=np.float64))
    values = values.reshape(-1, values.shape[-1]) if values.ndim else values.reshape(1, 1)
    if values.shape[-1] != len(one.sequence):
        msg = (
            f"{one.name or 'the protein'}: has {len(one.sequence):,} residues, its map "
            f"{values.shape[-1]:,}; give the map of this sequence"
        )
        raise InputError(msg)
    if not np.isfinite(values[:, one.part]).all():
        msg = f"{one.name or 'the protein'}: its map holds values that are not finite; mend it"
        raise InputError(msg)
    names = [name]
    if isinstance(record, Attribution):
        targets = record.target if isinstance(record.target, list) else [record.target]
        names = [f"{record.method}: {target}" for target in targets]
    if len(names) != len(values):
        names = [f"{names[0]} {i}" for i in range(1, len(values) + 1)]
    return pd.DataFrame({"map": names}), values[:, one.part]


def _result(tally: Tally, own: Tally, sites: Sequence[Sites], model: str) -> SiteScan:
    maps, proteins = tally.frames()
    rivals, _ = own.frames()
    notes = []
    if len(sites) < 6:
        notes.append(
            f"{len(sites)} protein{'s' if len(sites) > 1 else ''}: the p are about "
            f"{'these' if len(sites) > 1 else 'this one'}, not about proteins in general"
        )
    fixed = [s.name or f"protein {i}" for i, s in enumerate(sites, 1) if _fixed(s)]
    if fixed:
        notes.append(
            f"{', '.join(fixed[:3])}: all residues of the sites' types are sites, so nothing can "
            "be compared among equal residues"
        )
    lost = sum(s.unplaced for s in sites)
    if lost:
        notes.append(f"{lost:,} features have no known place and are left out")
    # Among equal residues, residue identity is a constant but for the one that is left out.
    rivals.loc[rivals["rival"] == "residue identity", "p_matched"] = np.nan
    shown = rivals.drop(columns=["enrichment", "q_shift", "q_matched"])
    return SiteScan(maps, proteins, shown, tuple(sites), model, tuple(notes))


def _fixed(one: Sites) -> bool:
    mask, letters = one.mask[one.part], one.sequence[one.part]
    types = {a for a, site in zip(letters, mask, strict=True) if site}
    return all(site for a, site in zip(letters, mask, strict=True) if a in types)
