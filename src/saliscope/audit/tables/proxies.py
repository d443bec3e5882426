"""Proxies: columns that tell a protected attribute, and that the model's output hangs on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from saliscope.api.results import versions
from saliscope.audit.record import Audit
from saliscope.audit.tables.shared import Asked, Attribute, asked, attribute, whole
from saliscope.audit.tables.telling import auc_of, folds_of, interval, levels_of, resampled, told
from saliscope.core.errors import InputError, ModelError
from saliscope.core.health import finding
from saliscope.core.units import FloatArray
from saliscope.models.table.model import drawn_rows

__all__ = ["TELLS", "USED", "proxies"]

TELLS = 0.6
"""A column that alone tells an attribute with at least this area (at the low end of its interval)
is called a proxy if the model uses it."""
USED = 0.01
"""... and it uses it if at least this share of the output's variance goes (at the low end)."""

ROWS = 10_000
FEWEST = 20
LEAF = 30
LEAVES = 200
SOURCE = (
    "share of variance: Jansen 1999, Computer Physics Communications 117, total effect, with draws "
    "within subgroups of a tree on the other columns (Molnar et al. 2023, arXiv:2006.04628)"
)
LIMITS = (
    "Columns that say the same hide each other: drawn anew given the others, each hardly moves the "
    "output. Give columns that belong together as one (groups=).",
    "The share is of the variance of this model's output on these rows. A proxy that moves the "
    "output of few people may still decide over them.",
    "A column with little to tell alone may tell much together with others; only columns and "
    "groups are looked at.",
)


def proxies(
    model: object, table: Any, protected: object, *, outcome: object = None,
    target: int | str | None = None, groups: Mapping[str, Sequence[str]] | None = None,
    rows: int = ROWS, repeats: int = 5, draws: int = 200, seed: int = 0,
) -> Audit:  # fmt: skip
    """Say which columns stand for a protected attribute in the output of a model.

    For each column two numbers are found, and multiplied: how much it tells of the attribute,
    taken alone (the area under the ROC curve, cross-fitted, less the one half of guessing; of
    several groups the mean over one against the rest, weighted by rows), and the share of the
    output's variance that goes when the column is drawn anew within its conditional, given the
    other columns of the model but not the attribute:
    ``mean((f(x) - f(x'))²) / (2 var f)``.

    Parameters
    ----------
    model : object
        A fitted estimator, or what `saliscope.table_model` returns.
    table : pandas.DataFrame
        Rows like those that the model is used on. It may have columns that the model does not take.
    protected : str or array, or list of str
        The attribute: a column of the table, several, or a value for each row. Numbers with more
        than ten values are split at their median.
    outcome : str or array, optional
        The true outcome: what each column tells of it stands beside.
    target : int or str, optional
        The class whose probability is the output (default: the second of two).
    groups : mapping of str to sequence of str, optional
        Columns that are taken as one. One-hot columns are taken as one by themselves.
    rows : int
        Most rows that are used, drawn evenly.
    repeats : int
        How often each column is drawn anew.
    draws : int
        Bootstrap samples of rows, for the intervals.
    seed : int

    Returns
    -------
    Audit
        Table "columns", ranked: `protected`, `column`, `auc`, `share` and `proxy` (the product),
        each with the ends of its 95 % interval, `stands` (both are clear), and `outcome_auc`.

    Raises
    ------
    OptionError
        No such column (the nearest is named), options out of range.
    InputError
        One group only, columns that do not fit, an output that is the same for all rows.

    References
    ----------
    Jansen 1999, Computer Physics Communications 117(1-2), 35-43 (total effect); Molnar, König,
    Bischl & Casalicchio 2023, arXiv:2006.04628 (subgroups of a tree); Datta et al. 2017,
    arXiv:1707.08120 (a proxy is associated with the attribute, and has influence).

    Examples
    --------
    >>> import numpy as np, pandas as pd, saliscope
    >>> draw = np.random.default_rng(0)
    >>> sex = draw.choice(["f", "m"], 400)
    >>> people = pd.DataFrame({"sex": sex, "skill": draw.normal(size=400),
    ...     "height": draw.normal(size=400) + 3 * (sex == "m")})
    >>> model = saliscope.table_model(lambda t: t.sum(axis=1), columns=["skill", "height"])
    >>> found = proxies(model, people, "sex", draws=50)
    >>> found.verdict, found["columns"]["column"].tolist()
    ('found', ['height', 'skill'])
    """
    for value, name, least in ((rows, "rows", 20), (repeats, "repeats", 1), (draws, "draws", 20)):
        whole(value, name, least)
    rng = np.random.default_rng(whole(seed, "seed", 0))
    wanted: Sequence[object] = [protected]
    if isinstance(protected, (list, tuple)) and all(isinstance(p, str) for p in protected):
        wanted = protected
    everyone = asked(model, table, target, least=FEWEST)
    chosen = asked(model, table, target, rows=rows)
    keep = drawn_rows(len(everyone.rows), rows)
    about = [_cut(attribute(one, everyone.raw), keep) for one in wanted]
    end = None if outcome is None else _cut(attribute(outcome, everyone.raw, "outcome"), keep)
    folds, weights = folds_of(len(chosen.rows), rng), resampled(len(chosen.rows), draws, rng)
    parts = chosen.units(groups)
    moved = _Moved(chosen, parts, repeats, weights, rng)
    frames = [
        _ranked(_table(one, end, moved, folds, weights, chosen))
        for one in about
    ]  # fmt: skip
    found = pd.concat(frames, ignore_index=True)
    split = "; ".join(f"{one.name} at {one.median:g}" for one in about if one.median is not None)
    findings = [finding("split_at_median", split=split)] if split else []
    return Audit.of(
        "proxies", model=chosen.model.name,
        verdict="found" if found["stands"].any() else "none found",
        sentence=" ".join(
            _sentence(one, frame, one.name in chosen.rows.columns)
            for one, frame in zip(about, frames, strict=True)
        ),
        frames={"columns": found},
        captions={
            "columns": "what each column tells of the attribute alone (area under the ROC curve), "
            "the share of the output's variance that goes when it is drawn anew given the others, "
            "and excess area times share"
        },
        facts={
            "output": chosen.label, "rows": f"{len(chosen.rows):,}",
            "protected": "; ".join(f"{one.name} ({', '.join(one.groups)})" for one in about),
            "intervals": f"95 %, from {draws:,} bootstrap samples of rows",
            "called a proxy": f"area at least {TELLS} and share at least {USED:.0%}, both at the "
            "low end of their intervals",
        },
        limits=LIMITS, findings=findings,
        provenance={
            "model": dict(chosen.model.describe()), "evaluations": moved.evaluations,
            "calls": moved.calls, "repeats": repeats, "seed": seed, "source": SOURCE,
            "versions": versions(),
        },
    )  # fmt: skip


def _cut(one: Attribute, keep: npt.NDArray[np.int64]) -> Attribute:
    return Attribute(one.name, one.values[keep], one.groups, one.median)


class _Moved:
    """The share of the output's variance that goes with each part, in each bootstrap sample."""

    def __init__(
        self, chosen: Asked, parts: Mapping[str, Sequence[str]], repeats: int,
        weights: FloatArray, rng: np.random.Generator,
    ) -> None:  # fmt: skip
        self._chosen, self._repeats, self._rng = chosen, repeats, rng
        self.parts, self._weights = parts, weights
        self.output = chosen.scores(chosen.rows)
        self.calls, self.evaluations = 1, len(chosen.rows)
        if np.ptp(self.output) == 0:
            msg = (
                f"{chosen.model.name} returned {self.output[0]:.6g} for every row, so nothing can "
                "stand for anything in it; give rows that it tells apart"
            )
            raise InputError(msg)
        self._cells = chosen.model.columns.encode(chosen.rows, "table")
        total = weights.sum(1)
        mean = weights @ self.output / total
        self._variance = weights @ self.output**2 / total - mean**2
        self._known: dict[tuple[str, frozenset[str]], FloatArray] = {}

    def share(self, part: str, left_out: frozenset[str]) -> FloatArray:
        """Return it for one part, given all columns but those that are left out."""
        key = (part, left_out & frozenset(self._chosen.rows.columns))
        if key not in self._known:
            change = self._change(list(self.parts[part]), left_out)
            with np.errstate(invalid="ignore", divide="ignore"):
                found = self._weights @ change / self._weights.sum(1) / (2 * self._variance)
            self._known[key] = found
        return self._known[key]

    def _change(self, columns: Sequence[str], left_out: frozenset[str]) -> FloatArray:
        """Return the mean squared change of the output of each row."""
        rows, count = self._chosen.rows, self._repeats
        names = list(rows.columns)
        given = [j for j, n in enumerate(names) if n not in left_out and n not in columns]
        leaf = self._subgroups(self._cells[:, given], rows[list(columns)])
        copies = pd.concat([rows] * count, ignore_index=True)
        came = np.concatenate([_within(leaf, self._rng) for _ in range(count)])
        for column in columns:
            copies[column] = rows[column].take(came).reset_index(drop=True)
        self.calls += 1
        self.evaluations += len(copies)
        moved = self._chosen.scores(copies).reshape(count, len(rows))
        return np.asarray(((moved - self.output) ** 2).mean(0))

    def _subgroups(self, given: FloatArray, own: pd.DataFrame) -> npt.NDArray[np.int64]:
        """Return the leaf of each row in a tree that predicts a part from the other columns.

        A tree for each half of the rows, grown on the other half.
        """
        if not given.shape[1]:
            return np.zeros(len(own), dtype=np.int64)
        try:
            trees = import_module("sklearn.tree")
        except ImportError as error:
            msg = "an audit of proxies needs scikit-learn; install it: pip install scikit-learn"
            raise ModelError(msg) from error
        levels = levels_of(own)
        half = folds_of(len(own), self._rng, 2)
        found = np.empty(len(own), dtype=np.int64)
        for side in (0, 1):
            # Grown on the other half: a tree that saw these rows would hold them too close.
            grown, used = half != side, half == side
            tree = trees.DecisionTreeClassifier(
                min_samples_leaf=min(LEAF, max(2, len(own) // 10)), max_leaf_nodes=LEAVES,
                random_state=0,
            )  # fmt: skip
            tree.fit(given[grown], levels[grown])
            found[used] = 2 * tree.apply(given[used]) + side
        return found


def _within(leaf: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the row that each row's cells come from: another of its leaf, each used once.

    Rows of a leaf are put in a circle in random order, and each takes from the next. A row that
    is alone in its leaf keeps its own.
    """
    circle = np.lexsort((rng.random(len(leaf)), leaf))
    starts = np.flatnonzero(np.diff(leaf[circle], prepend=leaf.min() - 1))
    following = np.arange(1, len(leaf) + 1)
    following[np.append(starts[1:], len(leaf)) - 1] = starts
    came = np.empty(len(leaf), dtype=np.int64)
    came[circle] = circle[following]
    return came


def _table(
    one: Attribute, end: Attribute | None, moved: _Moved, folds: npt.NDArray[np.int64],
    weights: FloatArray, chosen: Asked,
) -> pd.DataFrame:  # fmt: skip
    found = []
    for part, columns in moved.parts.items():
        if one.name in columns:
            continue  # the attribute itself is no proxy of itself
        levels = levels_of(chosen.rows[list(columns)])
        area = _tells(levels, one, folds, weights)
        share = moved.share(part, frozenset({one.name}))
        product = np.maximum(area - 0.5, 0) * share
        row: dict[str, Any] = {"protected": one.name, "column": part}
        for name, values in (("proxy", product), ("auc", area), ("share", share)):
            row[name] = float(values[0])
            row[f"{name}_low"], row[f"{name}_high"] = interval(values[1:])
        row["stands"] = bool(row["auc_low"] >= TELLS and row["share_low"] >= USED)
        if end is not None:
            row["outcome_auc"] = float(_tells(levels, end, folds, weights[:1])[0])
        found.append(row)
    if not found:
        msg = f"the model takes {one.name} and no other column; there is no proxy to look for"
        raise InputError(msg)
    return pd.DataFrame(found)


def _tells(
    levels: npt.NDArray[np.int64], one: Attribute, folds: npt.NDArray[np.int64],
    weights: FloatArray,
) -> FloatArray:  # fmt: skip
    """Return the area of a column for an attribute: one group against the rest, by rows."""
    groups = one.groups[:1] if len(one.groups) == 2 else one.groups
    areas, sizes = [], []
    for group in groups:
        own = one.values == group
        areas.append(auc_of(told(levels, own, folds), own, folds, weights))
        sizes.append(own.sum())
    table, size = np.array(areas), np.array(sizes, dtype=np.float64)[:, None]
    known = np.isfinite(table)
    with np.errstate(invalid="ignore"):  # a sample may hold no pair to compare
        return np.asarray((np.where(known, table, 0.0).T @ size)[:, 0] / (known.T @ size)[:, 0])


def _ranked(table: pd.DataFrame) -> pd.DataFrame:
    by = ["proxy", "share"]
    return table.sort_values(by, ascending=False, kind="stable").reset_index(drop=True)


def _sentence(one: Attribute, table: pd.DataFrame, taken: bool) -> str:
    """Say which columns stand for an attribute, and which tells most of it."""
    stands = table[table["stands"]]
    tells = table.iloc[int(table["auc"].to_numpy().argmax())]
    itself = f"The model takes {one.name} itself. " if taken else ""
    if len(stands):
        first = stands.iloc[0]
        names = [str(name) for name in stands["column"]]
        said = (
            f"{itself}{_listed(names)} {'stands' if len(names) == 1 else 'stand'} for {one.name}: "
            f"alone, {first['column']} tells {one.name} with an area under the curve of "
            f"{first['auc']:.2f}, and {first['share']:.1%} of the output's variance goes when it "
            "is drawn anew given the other columns"
        )
    else:
        first = table.iloc[0]
        said = (
            f"{itself}No column stands for {one.name}: none clearly both tells it with an area of "
            f"at least {TELLS} and carries at least {USED:.0%} of the output's variance (the "
            f"nearest is {first['column']}: {first['auc']:.2f} and {first['share']:.1%})"
        )
    if tells["column"] == first["column"]:
        return f"{said}. No other column tells more of {one.name}."
    return (
        f"{said}. {tells['column']} tells most of {one.name} (area {tells['auc']:.2f}; its share "
        f"of the variance is {tells['share']:.1%})."
    )


def _listed(names: Sequence[str]) -> str:
    shown = [*names[:4], f"{len(names) - 4} more"] if len(names) > 5 else list(names)
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
