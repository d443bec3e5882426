"""Probes: what can be read off a representation, beside what the same probe learns by heart.

A probe that is strong enough finds labels in anything. So each task has a control task with labels
that say nothing, drawn once for each word (the residue with both neighbors; of whole proteins the
labels of others, dealt anew a few times), and what counts is selectivity: the task minus its
control (Hewitt and Liang 2019, Designing and Interpreting Probes with Control Tasks, EMNLP,
section 2). Families are never divided between fitting and testing, and intervals come from redrawn
families.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from saliscope.bottleneck.measures import Interval, auroc, interval, rank_correlations
from saliscope.bottleneck.tasks import Task
from saliscope.core.errors import InputError, OptionError
from saliscope.core.target import IntArray
from saliscope.core.units import FloatArray

__all__ = ["PROBES", "Setting", "probe"]

PROBES = ("linear", "nonlinear")
_PLACES = 60  # labelled places of a protein that are looked at
_FITTED = 4000  # rows that a probe is fitted to
_DRAWS = 200
_SHUFFLED = 5  # times that labels of whole proteins are dealt anew, as their control


@dataclass(frozen=True)
class Setting:
    """How probes are fitted.

    Parameters
    ----------
    dimension : int
        Principal components that every representation is cut to, fitted on the training part.
    kinds : tuple of {"linear", "nonlinear"}
        Logistic or ridge regression; a network with one hidden layer of 64 units.
    folds : int
        Parts that families are dealt to.
    seed : int
    """

    dimension: int
    kinds: tuple[str, ...] = PROBES
    folds: int = 5
    seed: int = 0


@dataclass(frozen=True, eq=False)
class _Rows:
    """What a probe is fitted to and asked about: one row per label."""

    protein: IntArray
    first: IntArray
    second: IntArray  # of a pair; otherwise as `first`
    labels: FloatArray  # (rows, outputs)
    controls: tuple[FloatArray, ...]


def probe(
    task: Task, features: Sequence[FloatArray | None], families: Sequence[int],
    sequences: Sequence[str], setting: Setting,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Yield what each probe reads of a task off a representation.

    Parameters
    ----------
    task : Task
    features : sequence of numpy.ndarray or None
        Of each protein: (residues, numbers), or (numbers,) for tasks of proteins.
    families : sequence of int
    sequences : sequence of str
        What words of control tasks are made of.
    setting : Setting

    Yields
    ------
    dict
        With measure ("AUROC", "rank correlation"), value, its interval, control, selectivity and
        its interval, families, labels.

    Raises
    ------
    OptionError
        Fewer families than folds.
    """
    rows = _rows(task, features, sequences, setting.seed)
    own = np.asarray(families)[rows.protein]
    different = np.unique(own)
    if len(different) < setting.folds:
        msg = (
            f"{task.name}: has labels in {len(different)} families, fewer than folds="
            f"{setting.folds}; give more proteins, or fewer folds"
        )
        raise OptionError(msg)
    dealt = np.random.default_rng(setting.seed).permutation(different)
    fold = np.empty(len(own), dtype=np.int64)
    for number, family in enumerate(dealt):
        fold[own == family] = number % setting.folds
    said = {
        (kind, number): np.zeros((len(own), _width(task, rows.labels)))
        for kind in setting.kinds
        for number in range(1 + len(rows.controls))
    }
    asked = (rows.labels, *rows.controls)
    for number in range(setting.folds):
        test = fold == number
        fit = np.flatnonzero(~test)
        if len(fit) > _FITTED:
            rng = np.random.default_rng((setting.seed, number))
            fit = np.sort(rng.choice(fit, _FITTED, replace=False))
        x, z = _cut(task, features, rows, fit, np.flatnonzero(test), setting.dimension)
        for (kind, which), out in said.items():
            y = asked[which][fit]
            out[test] = _predicted(task.kind, kind, x, y, z, out.shape[1], setting.seed)
    for kind in setting.kinds:
        yield {
            "task": task.name, "level": task.level, "probe": kind,
            "measure": "AUROC" if task.kind == "class" else "rank correlation",
            **_scored(
                task, rows, [said[kind, k] for k in range(len(asked))], own, setting.seed
            ),
            "families": len(different), "labels": len(own),
        }  # fmt: skip


# -- rows ------------------------------------------------------------------------------------------


def _rows(
    task: Task, features: Sequence[FloatArray | None], sequences: Sequence[str], seed: int
) -> _Rows:
    proteins, firsts, seconds, labels = [], [], [], []
    for number, (values, own) in enumerate(zip(task.values, features, strict=True)):
        if values is None or own is None:
            continue
        rng = np.random.default_rng((seed, number))
        if task.level == "protein":
            first = second = np.zeros(1, dtype=np.int64)
            found = values[None]
        elif task.level == "residue":
            first = second = _places(values, task.kind == "class", rng)
            found = values[first][:, None]
        else:
            first, second = _pairs(values, rng)
            found = values[first, second][:, None]
        proteins.append(np.full(len(first), number))
        firsts.append(first)
        seconds.append(second)
        labels.append(found)
    if not proteins:
        msg = f"{task.name}: no protein has both labels and a representation"
        raise InputError(msg)
    protein, first, second = map(np.concatenate, (proteins, firsts, seconds))
    y = np.concatenate(labels)
    rng = np.random.default_rng(seed)
    if task.level == "protein":
        controls = tuple(y[rng.permutation(len(y))] for _ in range(_SHUFFLED))
    else:
        places = zip(protein.tolist(), first.tolist(), second.tolist(), strict=True)
        words = [_word(sequences[p], i, j) for p, i, j in places]
        drawn = {w: y[rng.integers(len(y))] for w in sorted(set(words))}
        controls = (np.stack([drawn[w] for w in words]),)
    return _Rows(protein, first, second, y, controls)


def _places(values: FloatArray, classes: bool, rng: np.random.Generator) -> IntArray:
    known = np.flatnonzero(np.isfinite(values))
    known = rng.permutation(known)
    if not classes or len(known) <= _PLACES:
        return np.sort(known[:_PLACES])
    kinds = np.unique(values[known])
    each = -(-_PLACES // len(kinds))
    first = np.concatenate([known[values[known] == k][:each] for k in kinds])[:_PLACES]
    rest = np.setdiff1d(known, first, assume_unique=True)[: _PLACES - len(first)]
    return np.sort(np.concatenate([first, rest]))


def _pairs(values: FloatArray, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Return pairs in contact, and as many that are as far apart along the chain but are not."""
    i, j = np.nonzero(np.triu(np.nan_to_num(values), 6) > 0)
    kept = rng.permutation(len(i))[: 3 * _PLACES]
    i, j = i[kept], j[kept]
    others_i, others_j = [], []
    for apart in j - i:
        free = np.flatnonzero(np.diagonal(values, int(apart)) == 0)
        if len(free):
            start = int(free[rng.integers(len(free))])
            others_i.append(start)
            others_j.append(start + int(apart))
    return np.append(i, others_i).astype(np.int64), np.append(j, others_j).astype(np.int64)


def _word(sequence: str, i: int, j: int) -> str:
    if i != j:
        return "".join(sorted(sequence[i] + sequence[j]))
    return f"{'' if i == 0 else sequence[i - 1]}|{sequence[i]}|{sequence[i + 1 : i + 2]}"


def _cut(
    task: Task, features: Sequence[FloatArray | None], rows: _Rows, fit: IntArray, test: IntArray,
    dimension: int,
) -> tuple[FloatArray, FloatArray]:  # fmt: skip
    """Return the training and the test part, cut to principal components and of unit variance."""

    def at(places: IntArray, which: IntArray) -> FloatArray:
        found = []
        for row in places:
            own = features[rows.protein[row]]
            assert own is not None
            found.append(own if task.level == "protein" else own[which[row]])
        stacked: FloatArray = np.stack(found).astype(np.float64)
        return stacked

    def parts(places: IntArray) -> list[FloatArray]:
        sides = [rows.first] if task.level != "pair" else [rows.first, rows.second]
        return [at(places, side) for side in sides]

    here, there = parts(fit), parts(test)
    every = np.concatenate(here)
    mean = every.mean(0)
    centered = every - mean
    values, vectors = np.linalg.eigh(centered.T @ centered)
    kept = vectors[:, ::-1][:, : min(dimension, len(every) - 1)]
    kept = kept[:, values[::-1][: kept.shape[1]] > 1e-10 * max(values[-1], 1e-300)]

    def finished(sides: list[FloatArray]) -> FloatArray:
        cut: list[FloatArray] = [(side - mean) @ kept for side in sides]
        if len(cut) == 1:
            return cut[0]
        return np.concatenate([cut[0] * cut[1], np.abs(cut[0] - cut[1])], 1)

    x, z = finished(here), finished(there)
    if not x.shape[1]:  # a representation that says nothing
        return np.zeros((len(x), 1)), np.zeros((len(z), 1))
    middle, spread = x.mean(0), x.std(0)
    spread[spread == 0] = 1.0
    return (x - middle) / spread, (z - middle) / spread


# -- fitting ---------------------------------------------------------------------------------------


def _width(task: Task, labels: FloatArray) -> int:
    return int(labels.max()) + 1 if task.kind == "class" else labels.shape[1]


def _predicted(
    kind: str, which: str, x: FloatArray, y: FloatArray, z: FloatArray, width: int, seed: int
) -> FloatArray:
    """Return a score per class, or the number, of test rows."""
    if kind == "class":
        found = np.zeros((len(z), width))
        classes = y[:, 0].astype(int)
        if len(np.unique(classes)) < 2:
            return found
        model = _classifier(which, len(x), seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it may go on improving
            model.fit(x, classes)
        found[:, model.classes_] = model.predict_proba(z)
        return found
    middle, spread = y.mean(0), y.std(0)
    spread[spread == 0] = 1.0
    model = _regressor(which, len(x), seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scaled = (y - middle) / spread
        model.fit(x, scaled if scaled.shape[1] > 1 else scaled[:, 0])
    found = np.asarray(model.predict(z), dtype=np.float64).reshape(len(z), -1)
    scaled_back: FloatArray = found * spread + middle
    return scaled_back


def _learner(module: str) -> Any:
    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        msg = "probes need scikit-learn; install it with: pip install scikit-learn"
        raise InputError(msg) from error


def _network(rows: int, seed: int) -> dict[str, Any]:
    return {
        "hidden_layer_sizes": (64,), "alpha": 1e-2, "learning_rate_init": 3e-3, "max_iter": 60,
        "early_stopping": rows >= 300, "n_iter_no_change": 5, "random_state": seed,
    }  # fmt: skip


def _classifier(which: str, rows: int, seed: int) -> Any:
    if which == "linear":
        return _learner("linear_model").LogisticRegression(max_iter=200)
    return _learner("neural_network").MLPClassifier(**_network(rows, seed))


def _regressor(which: str, rows: int, seed: int) -> Any:
    if which == "linear":
        return _learner("linear_model").Ridge(alpha=10.0)
    return _learner("neural_network").MLPRegressor(**_network(rows, seed))


# -- scores ----------------------------------------------------------------------------------------


def _one(kind: str, truth: FloatArray, said: FloatArray) -> float:
    """Return the mean over classes or outputs of the area, or the rank correlation."""
    if kind == "class":
        found = [auroc(truth[:, 0] == c, said[:, c]) for c in range(said.shape[1])]
    else:
        found = rank_correlations(truth, said)
    known = [v for v in found if np.isfinite(v)]
    if known:
        return float(np.mean(known))
    # Nothing was said (a constant), where there was something to say: chance.
    constant = truth.std(0).max() == 0 if len(truth) else True
    return float("nan") if constant or kind == "class" else 0.0


def _scored(
    task: Task, rows: _Rows, said: Sequence[FloatArray], families: IntArray, seed: int
) -> dict[str, float]:
    pairs = list(zip((rows.labels, *rows.controls), said, strict=True))
    if task.level != "protein":
        proteins = np.unique(rows.protein)
        own = [families[np.flatnonzero(rows.protein == p)[0]] for p in proteins]
        each = np.array([
            [_one(task.kind, y[rows.protein == p], out[rows.protein == p])
             for y, out in pairs]
            for p in proteins
        ])  # fmt: skip
        of = interval(each[:, 0], own, seed=seed)
        gain = interval(each[:, 0] - each[:, 1], own, seed=seed)
        control = interval(each[:, 1], own, seed=seed).value
        return _row(of, control, gain)
    rng = np.random.default_rng(seed)
    different = np.unique(families)
    members = {f: np.flatnonzero(families == f) for f in different}

    def both(places: IntArray) -> tuple[float, float]:
        found = [_one(task.kind, y[places], out[places]) for y, out in pairs]
        return found[0], float(np.mean(found[1:]))

    value, control = both(np.arange(len(families)))
    drawn = np.array([
        both(np.concatenate([members[f] for f in rng.choice(different, len(different))]))
        for _ in range(_DRAWS)
    ])  # fmt: skip
    low, high = np.nanquantile(drawn[:, 0], [0.025, 0.975])
    under, over = np.nanquantile(drawn[:, 0] - drawn[:, 1], [0.025, 0.975])
    return _row(
        Interval(value, float(low), float(high)), control,
        Interval(value - control, float(under), float(over)),
    )  # fmt: skip


def _row(of: Interval, control: float, gain: Interval) -> dict[str, float]:
    def make(name: str, i: Interval) -> dict[str, float]:
        return {name: i.value, f"{name} low": i.low, f"{name} high": i.high}

    return {**make("value", of), "control": control, **make("selectivity", gain)}
