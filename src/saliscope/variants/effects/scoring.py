"""Scores of proteins by a model: one forward pass per distinct protein, remembered by sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from saliscope.api.inputs import Input
from saliscope.api.measuring import measure
from saliscope.core.engine import Progress
from saliscope.core.errors import InputError, OptionError, RefusedError
from saliscope.core.sequence_target import Embedding, Likelihood
from saliscope.core.target import Together
from saliscope.core.units import FloatArray
from saliscope.models.loading import load
from saliscope.models.protein import ProteinModel
from saliscope.variants.effects.windows import central, reach, windowed

__all__ = ["Scored", "Scorer"]


@dataclass(frozen=True, eq=False)
class Scored:
    """What a model says of one protein, in one unmasked pass (or one per window).

    Parameters
    ----------
    protein : str
    likelihoods : numpy.ndarray, shape (residues,)
        log p(x_i | x) of every residue.
    embedding : numpy.ndarray, shape (width,)
        Mean over residues.
    windows : tuple of (int, int)
        Residues (from 0, half open) that were seen at once.
    by_window : tuple of numpy.ndarray
        The log-probabilities in each window, for what windows disagree on.
    """

    protein: str
    likelihoods: FloatArray
    embedding: FloatArray
    windows: tuple[tuple[int, int], ...]
    by_window: tuple[FloatArray, ...]


class Scorer:
    """Scores proteins on one declared scale.

    Parameters
    ----------
    model : object
        A protein language model: anything that `saliscope.load` takes.
    readout : "likelihood", "norm", or numpy.ndarray of shape (width,)
        What a shift is: the pseudo-log-likelihood ratio of one unmasked pass; the length of the
        embedding's shift, which has no sign; or its projection on a given axis.
    budget : int, optional
        Bytes that a batch may need beside the weights.
    progress : bool or callable

    Examples
    --------
    >>> scorer = Scorer("zoo:protein")
    >>> scorer.add(["MVHLTPEEK", "MVHLTPVEK", "MVHLTPEEK"])
    >>> scorer.passes, round(scorer.shift("MVHLTPVEK", "MVHLTPEEK"), 1) < 0
    (2, True)
    """

    def __init__(
        self, model: object, readout: str | FloatArray = "likelihood", *,
        budget: int | None = None, progress: bool | Callable[[Progress], None] = False,
    ) -> None:  # fmt: skip
        adapter = load(model)
        if not isinstance(adapter, ProteinModel) or "tokens" not in adapter.heads:
            msg = (
                f"{adapter.name} is not a protein language model; variants are scored by a "
                "masked model over residues, such as 'zoo:protein' or an ESM-2 checkpoint"
            )
            raise RefusedError(msg)
        self.model = adapter
        self.budget, self.progress = budget, progress
        self.passes = 0
        self._known: dict[str, Scored] = {}
        self.width: int = self.model.prepare("M")[0].context["width"]
        self.axis: FloatArray | None = None
        if isinstance(readout, str):
            if readout not in {"likelihood", "norm"}:
                msg = f"readout={readout!r} does not exist; use 'likelihood', 'norm' or an axis"
                raise OptionError(msg)
            self.kind = readout
        else:
            self.kind, self.axis = "projection", np.asarray(readout, dtype=np.float64)
            if self.axis.shape != (self.width,) or not np.isfinite(self.axis).all():
                msg = f"the axis has shape {self.axis.shape}; give ({self.width},) finite numbers"
                raise OptionError(msg)
        limit = self.model.limit
        specials = len(self.model.prefix) + len(self.model.suffix)
        self.limit: int | None = None if limit is None else limit - specials

    @property
    def has_sign(self) -> bool:
        """Whether a shift has a sign; a norm has none."""
        return self.kind != "norm"

    @property
    def describe(self) -> str:
        """The readout in words, for a report."""
        return {
            "likelihood": "pseudo-log-likelihood ratio of one unmasked pass",
            "projection": "projection of the embedding's shift on the given axis",
            "norm": "length of the embedding's shift (no sign)",
        }[self.kind]

    def add(self, proteins: Iterable[str]) -> None:
        """Score proteins that were not scored yet, together, in batches cut by a fixed rule."""
        fresh = sorted({p for p in proteins if p not in self._known}, key=lambda p: (-len(p), p))
        if not fresh:
            return
        if not all(fresh):
            msg = "a protein without residues (its start is lost) has no score"
            raise InputError(msg)
        plans = {p: windowed(len(p), self.limit) for p in fresh}
        pieces = list(dict.fromkeys(p[low:high] for p in fresh for low, high in plans[p]))
        both = Together((Likelihood(each=True), Embedding()))
        inputs = [Input(f"protein of {len(piece)} residues", piece) for piece in pieces]
        # Given one by one, so that only their numbers are kept of pieces that were run.
        measured = measure(
            self.model, iter(inputs), both, budget=self.budget, steady=True, progress=self.progress,
        )  # fmt: skip
        self.passes += len(pieces)
        found = {piece: m.values for piece, m in zip(pieces, measured, strict=True)}
        for protein in fresh:
            parts = [found[protein[low:high]] for low, high in plans[protein]]
            self._known[protein] = self._assembled(protein, plans[protein], parts)

    def _assembled(
        self, protein: str, windows: tuple[tuple[int, int], ...], parts: Sequence[FloatArray]
    ) -> Scored:
        for (low, high), part in zip(windows, parts, strict=True):
            if len(part) != high - low + self.width:
                msg = f"{protein[:12]}...: holds letters that {self.model.name} does not know"
                raise InputError(msg)
        by_window = tuple(part[: -self.width] for part in parts)
        if len(windows) == 1:
            return Scored(protein, by_window[0], parts[0][-self.width :], windows, by_window)
        choice = np.array(central(len(protein), windows))
        own = np.empty(len(protein))
        for w, (low, high) in enumerate(windows):
            here = choice[low:high] == w
            own[low:high][here] = by_window[w][here]
        # Every residue counts once: a window weighs as many residues as it is the central one of.
        shares = np.bincount(choice, minlength=len(windows)) / len(protein)
        embedding = np.sum([s * p[-self.width :] for s, p in zip(shares, parts, strict=True)], 0)
        return Scored(protein, own, embedding, windows, by_window)

    def __getitem__(self, protein: str) -> Scored:
        if protein not in self._known:
            self.add([protein])
        return self._known[protein]

    def score(self, protein: str) -> float:
        """Return the score of which a shift is the difference (not for a norm)."""
        scored = self[protein]
        if self.kind == "norm":
            msg = "a norm is a property of a shift; one protein alone has none"
            raise OptionError(msg)
        if self.axis is not None:
            return float(scored.embedding @ self.axis)
        return float(scored.likelihoods.sum())

    def shift(self, protein: str, other: str) -> float:
        """Return what `protein` has more than `other`, on the declared scale."""
        one, two = self[protein], self[other]
        if self.kind == "norm":
            return float(np.linalg.norm(one.embedding - two.embedding))
        if self.axis is not None:
            return float((one.embedding - two.embedding) @ self.axis)
        if len(protein) == len(other):  # position by position, so that nothing large cancels
            return float((one.likelihoods - two.likelihoods).sum())
        return float(one.likelihoods.sum() - two.likelihoods.sum())

    def move(self, protein: str, other: str) -> FloatArray:
        """Return the shift of the mean embedding, shape (width,)."""
        moved: FloatArray = self[protein].embedding - self[other].embedding
        return moved

    def disagreement(self, protein: str, other: str) -> float | None:
        """Return how much windows differ in a shift; None for a protein seen at once.

        The spread, over windows that hold a residue in which the two differ, of the
        log-likelihood ratio that each window gives by itself.
        """
        one, two = self[protein], self[other]
        if len(one.windows) == 1 or one.windows != two.windows:
            return None
        moved = [
            float((a - b).sum())
            for (low, high), a, b in zip(one.windows, one.by_window, two.by_window, strict=True)
            if protein[low:high] != other[low:high]
        ]
        return max(moved) - min(moved) if moved else 0.0

    def reach(self, protein: str) -> int | None:
        """Return how far apart changes may be to be seen together; None: however far."""
        return reach(len(protein), self.limit)

    def notes(self, protein: str) -> tuple[str, ...]:
        """Return what a reader must know of a protein that is longer than the model's input."""
        far = self.reach(protein)
        if far is None:
            return ()
        note = (
            f"the protein has {len(protein):,} residues and the model takes {self.limit:,}: it is "
            "seen in windows that overlap by half, the same for both alleles; changes more than "
            f"{far:,} residues apart are not seen together, so that what one does to the other is "
            "not assessed; gradients and paths need the whole protein at once and are left out"
        )
        return (note,)

    def noise(self, protein: str) -> float:
        """Return the numeric noise floor: how far a shift moves by the way of batching alone.

        The protein is scored alone, beside others of its length, and beside shorter ones that pad
        the batch; returned is the largest difference between these, in units of the score.
        """
        piece = protein[: windowed(len(protein), self.limit)[0][1]]
        turned = [piece[i:] + piece[:i] for i in range(1, min(4, len(piece)))]
        shorter = [piece[: len(piece) - i] for i in range(1, max(2, len(piece) // 8))]
        both = Together((Likelihood(each=True), Embedding()))
        values = [
            measure(self.model, [piece, *company], both, budget=self.budget, steady=True)[0].values
            for company in ([], turned, shorter)
        ]
        if self.kind == "likelihood":
            read = [float(v[: -self.width].sum()) for v in values]
        elif self.axis is not None:
            read = [float(v[-self.width :] @ self.axis) for v in values]
        else:
            read = [float(np.linalg.norm((v - values[0])[-self.width :])) for v in values]
        return max(read) - min(read)
