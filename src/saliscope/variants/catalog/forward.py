"""From proteins to numbers: what is run, in which batches, and what is read off each pass."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from saliscope.api.inputs import Input
from saliscope.api.measuring import measure
from saliscope.core.errors import InputError, RefusedError
from saliscope.core.target import BoundTarget, Target
from saliscope.models.loading import load
from saliscope.models.memory import uncollected
from saliscope.models.protein import ProteinModel
from saliscope.variants.catalog.storage import arrow, digest, parquet_bytes
from saliscope.variants.effects.windows import central, windowed

if TYPE_CHECKING:
    from saliscope.core.model import Model, Sample

__all__ = [
    "BATCH", "REACH", "Batch", "Piece", "Reader", "batches", "pieces_of", "protein_model",
    "residues_text", "run_batch", "sites", "spans_text", "total", "width_of",
]  # fmt: skip

BATCH = 32_768
"""Residues of a batch, which is run, kept and, after a cut, redone as a whole."""

REACH = 8
"""Residues on both sides of a variant site that its window holds."""

Span = tuple[int, int]
Residues = tuple[int, ...]
Place = tuple[Span, Residues, Residues]


def protein_model(model: object) -> ProteinModel:
    """Return a protein language model with an embedding.

    Raises
    ------
    RefusedError
        It is another kind of model.
    """
    adapter = load(model)
    if not isinstance(adapter, ProteinModel) or "tokens" not in adapter.heads:
        msg = (
            f"{adapter.name} is not a protein language model; catalogs are made by a masked model "
            "over residues, such as 'zoo:protein' or an ESM-2 checkpoint"
        )
        raise RefusedError(msg)
    return adapter


def width_of(model: ProteinModel) -> int:
    """Return the width of a model's embedding."""
    width: int = model.prepare("M")[0].context["width"]
    return width


def spans_text(spans: Iterable[Span]) -> str:
    """Return ranges (from 0, half open) as numbers from 1, both ends included.

    Examples
    --------
    >>> spans_text([(0, 10), (5, 6)])
    '1-10,6'
    """
    return ",".join(f"{a + 1}" if b == a + 1 else f"{a + 1}-{b}" for a, b in spans)


@lru_cache(maxsize=4096)  # changes of one residue have the same sites
def residues_text(residues: Residues) -> str:
    """Return sorted residues (from 0) as ranges from 1.

    Examples
    --------
    >>> residues_text((3,)), residues_text((3, 4, 5, 9))
    ('4', '4-6,10')
    """
    runs = groupby(enumerate(residues), key=lambda pair: pair[1] - pair[0])
    lists = [[residue for _, residue in run] for _, run in runs]
    return spans_text((run[0], run[-1] + 1) for run in lists)


def sites(reference: str, protein: str) -> Residues:
    """Return where two proteins of one length differ (from 0); nothing for another length."""
    if len(reference) != len(protein):
        return ()
    one, other = (np.frombuffer(s.encode("utf-32-le"), np.uint32) for s in (reference, protein))
    return tuple(np.flatnonzero(one != other).tolist())


@dataclass(frozen=True)
class Piece:
    """A stretch of residues that a model sees at once, and where its embedding is averaged.

    Parameters
    ----------
    letters : str
        A protein, or one window of a protein that is too long for the model.
    sets : tuple of tuple of int
        Residues (from 0, of the piece) of each mean.
    """

    letters: str
    sets: tuple[Residues, ...] = ()

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"protein of {len(self.letters):,} residues"


@dataclass(frozen=True, eq=False)
class Reader:
    """Which pieces a protein is seen in, and where its variant sites are read.

    Parameters
    ----------
    reference : str
    limit : int, optional
        Residues that the model takes.
    """

    reference: str
    limit: int | None
    _known: dict[str, Place | None] = field(default_factory=dict, init=False, repr=False)

    def windows(self, protein: str | int) -> tuple[Span, ...]:
        """Return the windows over a protein, or over a length."""
        length = protein if isinstance(protein, int) else len(protein)
        return windowed(length, self.limit)

    def place(self, protein: str) -> Place | None:
        """Return the window in which variant sites are read, the sites, and those around them.

        None for the reference and for proteins of another length. In a protein that is too long
        for the model only what stands in the window of the first site is read.
        """
        if protein not in self._known:
            self._known[protein] = self._place(protein)
        return self._known[protein]

    def _place(self, protein: str) -> Place | None:
        where = sites(self.reference, protein)
        if not where:
            return None
        spans = self.windows(protein)
        low, high = spans[central(len(protein), spans)[where[0]]] if len(spans) > 1 else spans[0]
        inside = tuple(i for i in where if low <= i < high)
        near = {j for i in inside for j in range(max(low, i - REACH), min(high, i + REACH + 1))}
        return (low, high), inside, tuple(sorted(near))


def pieces_of(proteins: Iterable[str], reader: Reader) -> list[Piece]:
    """Return the distinct pieces of proteins, sorted by length and content."""
    wanted: dict[str, set[Residues]] = {}
    for protein in proteins:
        for low, high in reader.windows(protein):
            sets = wanted.setdefault(protein[low:high], set())
            if protein == reader.reference:
                sets |= {(i,) for i in range(high - low)}
        place = reader.place(protein)
        if place:
            (low, high), site, near = place
            own = wanted[protein[low:high]]
            own |= {tuple(i - low for i in site), tuple(i - low for i in near)}
    made = [Piece(letters, tuple(sorted(sets))) for letters, sets in wanted.items()]
    return sorted(made, key=lambda piece: (len(piece.letters), digest(piece.letters.encode())))


@dataclass(frozen=True)
class Batch:
    """Pieces that are run together, and all that their numbers depend on."""

    number: int
    pieces: tuple[Piece, ...]
    settings: Mapping[str, Any]

    @cached_property
    def file(self) -> str:
        """Name of its file: a number, and a hash of content and settings."""
        content = [[piece.letters, piece.sets] for piece in self.pieces]
        text = json.dumps([self.settings, content], sort_keys=True)
        return f"{self.number:05d}-{hashlib.sha256(text.encode()).hexdigest()[:32]}.parquet"


def batches(pieces: Sequence[Piece], settings: Mapping[str, Any]) -> list[Batch]:
    """Cut sorted pieces by a fixed rule: a batch ends once it holds `BATCH` residues."""
    cut: list[list[Piece]] = []
    residues = BATCH
    for piece in pieces:
        if residues >= BATCH:
            cut.append([])
            residues = 0
        cut[-1].append(piece)
        residues += len(piece.letters)
    return [Batch(number, tuple(own), settings) for number, own in enumerate(cut)]


@dataclass(frozen=True, eq=False)
class _Reading(Target):
    """All that is read off one pass: log-likelihoods, the mean embedding, and further means.

    As `Together` of `Likelihood(each=True)`, `Embedding()` and `Embedding(positions)` of sets that
    depend on the input, but without a name for each of hundreds of numbers.
    """

    sets: Mapping[str, tuple[Residues, ...]]

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return the three parts.

        Raises
        ------
        InputError
            The model does not know a letter.
        """
        if sample.context["unknown"]:
            msg = f"{sample.text[:12]}...: holds letters that {model.name} does not know"
            raise InputError(msg)
        width: int = sample.context["width"]
        kept, sets = sample.units.kept, self.sets[sample.text]
        places = kept[[residue for one in sets for residue in one]]
        sizes = tuple(len(one) for one in sets)
        parts = (
            _part("log_prob", "tokens", kept, sample.context["ids"][kept], (1,) * len(kept)),
            _part("raw", "embedding", _zeros(1), _zeros(1), (1,), width),
            _part("raw", "hidden", places, _zeros(len(places)), sizes, width),
        )
        return BoundTarget(
            ("",) * sum(part.count for part in parts), "raw", "several",
            _zeros(0), _zeros(0), _zeros(0), np.zeros(0), parts=parts,
            key=("catalog", sample.key, sizes, places.tobytes()),
        )  # fmt: skip


def _part(
    scale: str, head: str, position: npt.NDArray[np.int64], index: npt.NDArray[np.int64],
    sizes: tuple[int, ...], width: int = 0,
) -> BoundTarget:  # fmt: skip
    """Return a target of numbers, or of vectors, each the mean of so many terms."""
    owner, weight, view = _terms(sizes)
    names = ("",) * (len(sizes) * (width or 1))
    return BoundTarget(names, scale, head, owner, position, index, weight, view=view, width=width)


@lru_cache(maxsize=64)
def _terms(sizes: tuple[int, ...]) -> tuple[npt.NDArray[Any], ...]:
    """Return owner, weight and view of the terms of some means, shared by targets of these."""
    each = np.array(sizes, dtype=np.int64)
    owner = np.repeat(np.arange(len(each)), each)
    return owner, (1.0 / each)[owner], _zeros(len(owner))


@lru_cache(maxsize=64)
def _zeros(count: int) -> npt.NDArray[np.int64]:
    """Return zeros, shared by targets of as many terms."""
    return np.zeros(count, dtype=np.int64)


@uncollected()
def run_batch(model: ProteinModel, batch: Batch, budget: int | None) -> bytes:
    """Run the pieces of a batch, a forward pass each, and return their numbers as Parquet.

    Columns: `piece` (SHA-256 of its letters), `likelihoods` (log p of each residue, float64),
    `mean` (embedding, float32), `sets` (residues of each further mean, from 1 of the piece) and
    `means` (float32, one after another).
    """
    pa = arrow()
    reading = _Reading({piece.letters: piece.sets for piece in batch.pieces})
    inputs = [Input(piece.name, piece.letters) for piece in batch.pieces]
    measured = measure(model, inputs, reading, steady=True, budget=budget)
    width = width_of(model)
    columns: dict[str, list[Any]] = {"likelihoods": [], "mean": [], "means": []}
    for piece, one in zip(batch.pieces, measured, strict=True):
        size = len(piece.letters)
        if not np.isfinite(one.values).all():
            msg = f"{piece.letters[:12]}...: {model.name} gives numbers that are not finite"
            raise InputError(msg)
        columns["likelihoods"].append(one.values[:size])
        columns["mean"].append(one.values[size : size + width].astype(np.float32))
        columns["means"].append(one.values[size + width :].astype(np.float32))
    return parquet_bytes(
        pa.table({
            "piece": pa.array([digest(piece.letters.encode()) for piece in batch.pieces]),
            "likelihoods": pa.array(columns["likelihoods"], pa.list_(pa.float64())),
            "mean": pa.array(columns["mean"], pa.list_(pa.float32())),
            "sets": pa.array(
                [[residues_text(one) for one in piece.sets] for piece in batch.pieces],
                pa.list_(pa.string()),
            ),
            "means": pa.array(columns["means"], pa.list_(pa.float32())),
        })
    )  # fmt: skip


def total(likelihoods: Iterable[float]) -> float:
    """Return the exact sum, rounded once: the same however the numbers are ordered."""
    return math.fsum(likelihoods)
