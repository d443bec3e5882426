"""Measures for `zoo:sentiment`: accuracy, F1, a bag-of-words baseline, negation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from sentiment_data import Sentences

WORDS = r"(?u)\b\w+(?:'\w+)?\b|[!?]"


@dataclass(frozen=True)
class Baseline:
    """The chosen bag of words, with what was tried and what was chosen."""

    vectorizer: TfidfVectorizer
    model: LogisticRegression
    settings: str
    tried: int
    inner_accuracy: float
    features: int

    def positive(self, texts: list[str]) -> np.ndarray:
        """Return P(positive) of each text."""
        return self.model.predict_proba(self.vectorizer.transform(texts))[:, 1]


def fit_baseline(sentences: Sentences) -> Baseline:
    """Fit tf-idf with logistic regression on the training split; choose on the inner split.

    Single words or words and pairs, words seen once kept or not, four strengths, and hard labels
    (outside the neutral zone) or the same soft labels as the transformer's, each sentence then
    standing once as positive and once as negative with its two weights.
    """
    rows, inner = sentences.where("train"), sentences.where("inner", neutral=False)
    texts = [sentences.texts[i] for i in rows]
    soft, hard = sentences.soft[rows], sentences.hard[rows]
    best: Baseline | None = None
    tried = 0
    for pairs in (1, 2):
        for least in (1, 2):
            vectorizer = TfidfVectorizer(
                ngram_range=(1, pairs), min_df=least, sublinear_tf=True, token_pattern=WORDS
            )
            x = vectorizer.fit_transform(texts)
            unseen = vectorizer.transform([sentences.texts[i] for i in inner])
            for strength in (1.0, 3.0, 10.0, 30.0):
                for kind in ("hard", "soft"):
                    model = LogisticRegression(C=strength, solver="liblinear")
                    if kind == "hard":
                        model.fit(x[hard >= 0], hard[hard >= 0])
                    else:
                        twice = np.repeat([1, 0], len(rows))
                        weight = np.concatenate([soft, 1 - soft])
                        model.fit(scipy.sparse.vstack([x, x]), twice, weight)
                    accuracy = float((model.predict(unseen) == sentences.hard[inner]).mean())
                    tried += 1
                    if best is None or accuracy > best.inner_accuracy:
                        words = "words and pairs of words" if pairs == 2 else "words"
                        settings = (
                            f"{words} seen {least} time(s) or more, {kind} labels, C = {strength:g}"
                        )
                        best = Baseline(
                            vectorizer, model, settings, 0, accuracy, len(vectorizer.vocabulary_)
                        )
    assert best is not None
    return Baseline(
        best.vectorizer, best.model, best.settings, tried, best.inner_accuracy, best.features
    )


@dataclass(frozen=True)
class Score:
    """Accuracy and macro F1 with 95 % bootstrap intervals over sentences."""

    accuracy: float
    accuracy_interval: tuple[float, float]
    f1: float
    f1_interval: tuple[float, float]


def score(positive: np.ndarray, hard: np.ndarray, seed: int) -> Score:
    """Score probabilities against labels; 1,000 redraws of the sentences."""
    said = (positive > 0.5).astype(np.int64)
    draws = np.random.default_rng(seed).integers(0, len(hard), (1000, len(hard)))
    accuracies = (said == hard)[draws].mean(1)
    f1s = [f1_score(hard[d], said[d], average="macro") for d in draws]
    return Score(
        float((said == hard).mean()), _interval(accuracies),
        float(f1_score(hard, said, average="macro")), _interval(np.array(f1s)),
    )  # fmt: skip


def difference(
    ours: np.ndarray, theirs: np.ndarray, hard: np.ndarray, seed: int
) -> tuple[float, tuple[float, float]]:
    """Return accuracy of ours minus theirs on the same sentences, with a paired interval."""
    gain = ((ours > 0.5) == hard).astype(float) - ((theirs > 0.5) == hard)
    draws = np.random.default_rng(seed).integers(0, len(hard), (1000, len(hard)))
    return float(gain.mean()), _interval(gain[draws].mean(1))


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


NEGATIONS = [
    (subject, verb, adjective)
    for subject, verb in (("the food", "was"), ("this movie", "is"), ("the phone", "is"))
    for adjective in ("good", "great", "funny", "useful", "bad", "terrible", "boring", "awful")
]


def negation_pairs() -> list[tuple[str, str]]:
    """Return plain sentences with their negations ("the food was good", "... was not good")."""
    return [(f"{s} {v} {a}.", f"{s} {v} not {a}.") for s, v, a in NEGATIONS]


def negation(plain: np.ndarray, negated: np.ndarray) -> dict[str, float]:
    """Return the shares of pairs that move the right way, and that end on the right side."""
    good = np.array([a in ("good", "great", "funny", "useful") for *_, a in NEGATIONS])
    sign = np.where(good, 1, -1)
    return {
        "pairs": float(len(sign)),
        "plain_right": float(((plain > 0.5) == good).mean()),
        "moved": float(((plain - negated) * sign > 0).mean()),
        "positive_flipped": float((negated[good] < 0.5).mean()),
        "negative_flipped": float((negated[~good] > 0.5).mean()),
    }
