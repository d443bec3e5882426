"""The attention study: reference and variants, all layers, and what changes between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from saliscope.api.attending import attention
from saliscope.api.inputs import Input
from saliscope.api.measuring import measure
from saliscope.core.errors import InputError, OptionError
from saliscope.core.sequence_target import Substitution
from saliscope.core.units import FloatArray
from saliscope.sites.features import Sites
from saliscope.sites.heads import ContactScan, protein_model, scan_contacts
from saliscope.sites.placing import Placed
from saliscope.sites.scan import SiteScan, scan_sites
from saliscope.study.choose import Choice, Chosen

__all__ = ["AttentionStudy", "study_attention"]

Floats32 = npt.NDArray[np.float32]

DEMO = "zoo:"
"""What names of the small models of the package begin with."""


@dataclass(frozen=True, eq=False)
class AttentionStudy:
    """What a model attends to in a protein and in its variants; made by `study_attention`.

    Attention is the mean over heads; special tokens are left out and rows renormalized.

    Parameters
    ----------
    name, model, sequence : str
    choice : Choice
    groups : mapping of str to tuple of int
        Groups of sites, such as "zinc", from 1.
    window : (int, int)
        First and last residue of the part that pictures and comparisons are about.
    received : numpy.ndarray, shape (1 + variants, layers, residues)
        What each residue receives, the mean over queries; the reference first.
    maps : numpy.ndarray, shape (layers, window, window)
        Of the reference: query by key.
    change : numpy.ndarray, shape (variants, window, window)
        Variant minus reference, mean over layers.
    moved : numpy.ndarray, shape (variants, layers)
        Share of attention that goes elsewhere: half the summed difference of a row, mean over
        queries (total variation).
    toward : numpy.ndarray, shape (2, variants, layers, groups)
        Share of the attention of the variant's own residue that goes to a group, in the reference
        and in the variant.
    ratio : numpy.ndarray, shape (variants,)
        log P(variant) - log P(reference) at the masked residue, in nats.
    measured : tuple of float or None
        A laboratory's score beside each variant.
    assay : str
        What was measured.
    area : numpy.ndarray, shape (residues,)
    scans : mapping of str to SiteScan
        Every head of the reference against each group, within the window.
    contacts : ContactScan, optional
    placed : Placed, optional
    notes : tuple of str
    """

    name: str
    model: str
    sequence: str = field(repr=False)
    choice: Choice = field(repr=False)
    groups: Mapping[str, tuple[int, ...]]
    window: tuple[int, int]
    received: Floats32 = field(repr=False)
    maps: Floats32 = field(repr=False)
    change: Floats32 = field(repr=False)
    moved: FloatArray = field(repr=False)
    toward: FloatArray = field(repr=False)
    ratio: FloatArray
    measured: tuple[float | None, ...]
    assay: str
    area: FloatArray = field(repr=False)
    scans: Mapping[str, SiteScan] = field(repr=False)
    contacts: ContactScan | None = field(repr=False)
    placed: Placed | None = field(repr=False)
    notes: tuple[str, ...]

    @property
    def variants(self) -> tuple[Chosen, ...]:
        """The variants, pathogenic ones first."""
        return self.choice.variants

    @property
    def part(self) -> slice:
        """The window as a slice of the sequence."""
        return slice(self.window[0] - 1, self.window[1])

    @property
    def layers(self) -> int:
        """How many layers the model has."""
        return int(self.received.shape[1])

    @property
    def demo(self) -> bool:
        """Whether the model is a small one of the package."""
        return self.model.startswith(DEMO)

    @property
    def difference(self) -> Floats32:
        """Received attention, variant minus reference: (variants, layers, residues)."""
        return np.asarray(self.received[1:] - self.received[0])

    def apart(self, number: int) -> FloatArray | None:
        """Return the distance of every residue to a variant's, in angstrom; NaN if unresolved."""
        if self.placed is None:
            return None
        place = self.variants[number].variant.position - 1
        rows = dict(zip(self.placed.columns.tolist(), self.placed.rows.tolist(), strict=True))
        if place not in rows:
            return None
        return self.placed.along(self.placed.structure.distances()[rows[place]])

    def variant_frame(self) -> pd.DataFrame:
        """Return a table with a row per variant: what is known, measured, and computed."""
        rows = []
        for number, one in enumerate(self.variants):
            v = one.variant
            rows.append({
                "variant": one.name, "coding": v.coding, "class": one.label, "pair": one.pair,
                "significance": v.significance,
                "stars": "not in this export" if v.stars is None else str(v.stars),
                "relative accessibility": one.area, "measured score": self.measured[number],
                "log likelihood ratio": float(self.ratio[number]),
                "attention moved": float(self.moved[number].mean()),
                **{
                    f"own attention to {name}, {which}": float(self.toward[side, number].mean(0)[k])
                    for k, name in enumerate(self.groups)
                    for side, which in enumerate(("reference", "variant"))
                },
            })  # fmt: skip
        return pd.DataFrame(rows)

    def received_frame(self) -> pd.DataFrame:
        """Return a tidy table of what residues receive: sequence, layer, position, value."""
        names = ["reference", *(v.name for v in self.variants)]
        index = pd.MultiIndex.from_product(
            [names, range(self.layers), range(1, len(self.sequence) + 1)],
            names=["sequence", "layer", "position"],
        )
        frame = pd.DataFrame({"received": self.received.ravel()}, index=index).reset_index()
        frame.insert(3, "residue", list(self.sequence) * (len(names) * self.layers))
        return frame

    def moved_frame(self) -> pd.DataFrame:
        """Return a tidy table of the share of attention that moved: variant, layer, value."""
        return pd.DataFrame([
            {"variant": v.name, "class": v.label, "layer": layer, "moved": float(value)}
            for v, row in zip(self.variants, self.moved, strict=True)
            for layer, value in enumerate(row)
        ])  # fmt: skip

    def head_frame(self) -> pd.DataFrame:
        """Return the tables of all heads against each group of sites, one below the other."""
        parts = [scan.maps.assign(sites=name) for name, scan in self.scans.items()]
        table = pd.concat(parts, ignore_index=True)
        return table[["sites", *(c for c in table if c != "sites")]]


def study_attention(
    model: object, sequence: str, choice: Choice, groups: Mapping[str, Sequence[int]], *,
    name: str = "", area: FloatArray | None = None, placed: Placed | None = None,
    measured: Mapping[str, float] | None = None, assay: str = "",
    window: tuple[int, int] | None = None, seed: int = 0,
) -> AttentionStudy:  # fmt: skip
    """Compare the attention in a protein with that in its variants, and with its sites.

    A pass for the reference, one per variant, and one per group of sites and for contacts.

    Parameters
    ----------
    model : object
        A protein model: "facebook/esm2_t33_650M_UR50D", "zoo:protein", ...
    sequence : str
        The reference.
    choice : Choice
        From `choose_variants`.
    groups : mapping of str to sequence of int
        Groups of sites, from 1.
    name : str
        Of the gene.
    area : numpy.ndarray, shape (residues,), optional
        Relative accessibility; by default the structure's.
    placed : Placed, optional
        A structure on this sequence.
    measured : mapping of str to float, optional
        Score by change.
    assay : str
        What was measured.
    window : (int, int), optional
        The part of the protein that is compared; by default what the structure resolves.
    seed : int

    Returns
    -------
    AttentionStudy

    Raises
    ------
    InputError
        A variant or site does not fit the sequence.
    OptionError
        The window does not hold all variants, there are no groups, or the model is none of
        proteins.
    """
    adapter = protein_model(model)
    letters = sequence.upper()
    if not groups:
        msg = "no groups of sites: give at least one, e.g. {'zinc': [176, 179, 238, 242]}"
        raise OptionError(msg)
    first, last = window or (placed.span if placed is not None else (1, len(letters)))
    variants = choice.variants
    for one in variants:
        v = one.variant
        if not (1 <= v.position <= len(letters) and letters[v.position - 1] == v.ref):
            msg = f"{v.name}: the sequence does not have {v.ref} at {v.position}"
            raise InputError(msg)
        if not first <= v.position <= last:
            msg = f"{v.name}: is outside of the window {first} to {last}; widen it"
            raise OptionError(msg)
    sites = {
        word: Sites.at(letters, places, name=name or "the protein", within=(first, last))
        for word, places in groups.items()
    }
    part = slice(first - 1, last)
    reference = _head_mean(adapter, letters, name or "reference", seed)
    received, change, moved, toward = [_received(reference)], [], [], []
    for one in variants:
        v = one.variant
        changed = letters[: v.position - 1] + v.alt + letters[v.position :]
        own = _head_mean(adapter, changed, one.name, seed)
        received.append(_received(own))
        change.append((own - reference)[:, part, part].mean(0))
        moved.append(np.abs(own - reference).sum(-1).mean(-1, dtype=np.float64) / 2)
        toward.append([
            np.stack([
                rows[:, v.position - 1][:, _others(places, v.position)].sum(-1)
                for places in groups.values()
            ], -1)
            for rows in (reference, own)
        ])  # fmt: skip
    targets = [Substitution(v.variant.position, v.variant.alt, context=True) for v in variants]
    ratio = np.array([float(measure(adapter, letters, t, seed=seed).values[0]) for t in targets])
    known = measured or {}
    scans = {word: scan_sites(adapter, one, seed=seed) for word, one in sites.items()}
    contacts = scan_contacts(adapter, placed, seed=seed) if placed is not None else None
    if area is None:
        flat = np.full(len(letters), np.nan)
        area = flat if placed is None else placed.along(placed.structure.area)
    notes = [*choice.notes]
    if str(adapter.name).startswith(DEMO):
        notes.append(
            f"{adapter.name} is a small demonstration model: these pictures show the method; for "
            "the question itself name a full-size ESM-2, such as facebook/esm2_t33_650M_UR50D"
        )
    notes.append(
        f"{len(variants)} variants show, they do not test: no p-value compares the two classes"
    )
    missing = [v.name for v in variants if known and v.name not in known]
    if missing:
        notes.append(f"not measured: {', '.join(missing)}")
    return AttentionStudy(
        name or "protein", str(adapter.name), letters, choice,
        {word: one.positions for word, one in sites.items()}, (first, last),
        np.stack(received), reference[:, part, part].copy(), np.stack(change),
        np.stack(moved), np.stack(toward, 1).astype(np.float64), ratio,
        tuple(known.get(v.name) for v in variants), assay, area, scans, contacts, placed,
        tuple(notes),
    )  # fmt: skip


def _head_mean(adapter: Any, letters: str, name: str, seed: int) -> Floats32:
    found = attention(adapter, Input(name, letters), reduce="mean", seed=seed)
    return np.asarray(found.to_numpy(), dtype=np.float32)


def _received(maps: Floats32) -> Floats32:
    """Return the mean over queries: (layers, residues)."""
    return np.asarray(maps.mean(1, dtype=np.float64), dtype=np.float32)


def _others(places: Sequence[int], position: int) -> list[int]:
    """Return places from 0, without the residue itself."""
    return [p - 1 for p in places if p != position]
