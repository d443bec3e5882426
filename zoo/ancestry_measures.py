"""What `zoo:ancestry` is measured against, and how sure the numbers are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ancestry_data import AMINO_ACIDS, aligner, consensus, onto

DRAWS = 2000


@dataclass(frozen=True)
class Area:
    """An area under the curve with its 95 % interval over clades."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def composition(letters: list[str]) -> np.ndarray:
    """Return the share of each amino acid, shape (n, 20)."""
    return np.array([[s.count(a) / len(s) for a in AMINO_ACIDS] for s in letters])


def distance(letters: list[str], reference: str) -> np.ndarray:
    """Return the share of the reference's sites at which a sequence differs, gaps included."""
    align = aligner()
    rows = [onto(reference, s, align) for s in letters]
    return np.array(
        [np.mean([a != b for a, b in zip(row, reference, strict=True)]) for row in rows]
    )


def reference_of(letters: list[str], first: str) -> str:
    """Return the consensus of sequences along the sites of one of them."""
    align = aligner()
    found = consensus([onto(first, s, align) for s in letters])
    return "".join(b if a == "-" else a for a, b in zip(found, first, strict=True))


class Baselines:
    """Four things that are no biology of ancestors, each learned on the training sequences.

    Parameters
    ----------
    letters : list of str
    ancestor : numpy.ndarray of bool
    reference : str
        What the distance is taken to.
    """

    names = ("length", "first residue", "composition", "distance to consensus")

    def __init__(self, letters: list[str], ancestor: np.ndarray, reference: str) -> None:
        self.reference = reference
        self.models = {}
        for name, values in self._values(letters).items():
            scale = (
                OneHotEncoder(handle_unknown="ignore")
                if name == "first residue"
                else StandardScaler()
            )
            model = make_pipeline(scale, LogisticRegression(class_weight="balanced", max_iter=2000))
            self.models[name] = model.fit(values, ancestor)

    def _values(self, letters: list[str]) -> dict[str, np.ndarray]:
        return {
            "length": np.array([[len(s)] for s in letters], dtype=float),
            "first residue": np.array([[s[0]] for s in letters]),
            "composition": composition(letters),
            "distance to consensus": distance(letters, self.reference)[:, None],
        }

    def scores(self, letters: list[str], reference: str | None = None) -> dict[str, np.ndarray]:
        """Return the log-odds of an ancestor by each; another family has its own consensus."""
        own = self.reference
        self.reference = reference or own
        try:
            values = self._values(letters)
        finally:
            self.reference = own
        return {n: m.decision_function(values[n]) for n, m in self.models.items()}


def draws(clade: np.ndarray, seed: int = 0) -> list[np.ndarray]:
    """Return rows of resampled clades: what is alike by descent stays together."""
    rng = np.random.default_rng(seed)
    rows = {c: np.flatnonzero(clade == c) for c in np.unique(clade)}
    known = list(rows)
    return [np.concatenate([rows[c] for c in rng.choice(known, len(known))]) for _ in range(DRAWS)]


def area(truth: np.ndarray, score: np.ndarray, resampled: list[np.ndarray]) -> Area:
    """Return the area under the curve, with its interval."""
    values = [roc_auc_score(truth[r], score[r]) for r in resampled if 0 < truth[r].mean() < 1]
    low, high = np.quantile(values, [0.025, 0.975])
    return Area(float(roc_auc_score(truth, score)), float(low), float(high))


def difference(
    truth: np.ndarray, one: np.ndarray, two: np.ndarray, resampled: list[np.ndarray]
) -> Area:
    """Return by how much the area of one score is larger, on the same clades."""
    values = [
        roc_auc_score(truth[r], one[r]) - roc_auc_score(truth[r], two[r])
        for r in resampled
        if 0 < truth[r].mean() < 1
    ]
    low, high = np.quantile(values, [0.025, 0.975])
    here = roc_auc_score(truth, one) - roc_auc_score(truth, two)
    return Area(float(here), float(low), float(high))
