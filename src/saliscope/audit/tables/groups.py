"""Groups: how predictions, errors and attributions differ between groups of people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from saliscope.api.explaining import explain
from saliscope.api.results import versions
from saliscope.audit.record import Audit
from saliscope.audit.tables.differing import Sampled, chance_of_any
from saliscope.audit.tables.shared import Asked, Attribute, asked, attribute, whole
from saliscope.audit.tables.telling import resampled
from saliscope.core.class_target import Class
from saliscope.core.errors import InputError, ModelError, OptionError
from saliscope.core.health import Finding, finding
from saliscope.core.units import FloatArray
from saliscope.models.table.declaring import table_model
from saliscope.models.table.model import EstimatorModel, ModuleModel
from saliscope.tables.scoring import truth_of

__all__ = ["FEWEST", "METRICS", "groups"]

FEWEST = 30
"""Rows that count, of a group, below which its number is shown but not judged."""
_FOUR_FIFTHS = 0.8
_STANDINS = 50  # rows that stand in for a column, where the model has no background of its own

_Mask = npt.NDArray[np.bool_]

METRICS: dict[str, str] = {
    "selection rate": "share of rows that are predicted to be {label}",
    "accuracy": "share of rows that are predicted right",
    "false positive rate": "of rows that are not {label}, the share predicted to be",
    "false negative rate": "of rows that are {label}, the share predicted not to be",
    "calibration": "mean probability of {label} minus its share; 0 is right",
}
"""What is compared, and what it says."""

LIMITS = (
    "Equal rates of all kinds at once are impossible where groups differ in their outcomes "
    "(Kleinberg et al. 2016, Chouldechova 2017): which of them should be equal is a choice, and "
    "not one that numbers make.",
    "The truth is taken as given. Where it was recorded unfairly, errors against it hide that.",
    "A difference that is not clear is not shown to be none, least of all in a small group.",
)


def groups(
    model: object, table: Any, protected: object, outcome: object, *,
    target: int | str | None = None, threshold: float = 0.5, reference: str | None = None,
    method: str | None = "masking", explained: int = 100, draws: int = 1000, seed: int = 0,
    together: Mapping[str, Sequence[str]] | None = None,
) -> Audit:  # fmt: skip
    """Compare predictions, errors and attributions between groups.

    Parameters
    ----------
    model : object
        A fitted estimator, or what `saliscope.table_model` returns.
    table : pandas.DataFrame
        Rows that the model was not trained on. It may have columns that the model does not take.
    protected : str or array
        The groups: a column of the table, or a value for each row. Numbers with more than ten
        values are split at their median.
    outcome : str or array
        The true outcome of each row, or the column that holds it.
    target : int or str, optional
        The class that is looked at, such as the one that is good for people (default: the second
        of two).
    threshold : float
        A row is predicted to be of it from this probability on.
    reference : str, optional
        The group that others are compared with (default: the largest).
    method : str or None
        The method of attributions; None leaves them out.
    explained : int
        Rows that are explained, the same number in each group, but 30 of each at least.
    draws : int
        Bootstrap samples of rows.
    seed : int
    together : mapping of str to sequence of str, optional
        Columns whose attributions are taken as one.

    Returns
    -------
    Audit
        Tables "metrics" (per metric and group: `value`, `difference` to the reference, each with
        the ends of its 95 % interval, `rows` that count, `clear`) and "attributions" (per column,
        `kind` and other group: `value`, that of the `reference`, the `difference` with the ends of
        its interval). A difference is *clear* where
        it is larger than a bootstrap standard error times the normal quantile for a 5 % chance
        that any of all comparisons of its table is so by chance (Bonferroni).

    Raises
    ------
    OptionError, InputError, ModelError
        No such column, group, method; one group only; an output that is no probability; an outcome
        without the class; fairlearn is not installed.

    References
    ----------
    Metrics by group: fairlearn (Weerts et al. 2023, JMLR 24(257)). Kleinberg, Mullainathan &
    Raghavan 2016, arXiv:1609.05807; Chouldechova 2017, arXiv:1703.00056.

    Examples
    --------
    >>> import numpy as np, pandas as pd, saliscope
    >>> draw = np.random.default_rng(0)
    >>> people = pd.DataFrame({"side": draw.choice(["a", "b"], 400), "x": draw.random(400)})
    >>> worse = people["x"] - 0.4 * (people["side"] == "b")
    >>> model = saliscope.table_model(lambda t: t["x"] - 0.4 * (t["side"] == "b") > 0.5)
    >>> found = groups(model, people, "side", worse > 0.5, method=None, reference="a")
    >>> row = found["metrics"].set_index(["metric", "group"]).loc[("selection rate", "b")]
    >>> bool(row["difference"] < -0.3), bool(row["clear"]), found.verdict
    (True, True, 'differences')
    """
    chosen = asked(model, table, target)
    people = attribute(protected, chosen.raw)
    threshold = _threshold(threshold)
    base = people.groups[0] if reference is None else str(reference)
    if base not in people.groups:
        msg = f"reference={base!r} is no group of {people.name}: {', '.join(people.groups)}"
        raise OptionError(msg)
    for value, name, least in ((draws, "draws", 100), (explained, "explained", 2)):
        whole(value, name, least)
    rng = np.random.default_rng(whole(seed, "seed", 0))
    truth = _true(outcome, chosen)
    found = chosen.probabilities(chosen.rows)
    parts = _parts(truth, found, found >= threshold)
    values = _by_group(people, truth, found, found >= threshold)
    weights = resampled(len(found), draws, rng)
    metrics, findings = _metrics(people, base, parts, values, weights)
    frames = {"metrics": metrics}
    captions = {
        "metrics": "; ".join(f"{k}: {v.format(label=chosen.label)}" for k, v in METRICS.items())
    }
    evaluations = len(found)
    if method is not None:
        frames["attributions"], spent = _attributions(
            chosen, people, base, method, explained, draws, together, rng
        )
        evaluations += spent
        captions["attributions"] = (
            f"of each column to the probability of {chosen.label}, by {method}: its mean, and the "
            f"mean of its size, beside those of {base}; the largest difference first"
        )
    if people.median is not None:
        split = f"{people.name} at {people.median:g}"
        findings.append(finding("split_at_median", split=split))
    clear = any(bool(frame["clear"].any()) for frame in frames.values())
    return Audit.of(
        "groups", model=chosen.model.name, verdict="differences" if clear else "no clear one",
        sentence=_sentence(people, base, metrics, frames.get("attributions"), chosen.label),
        frames=frames, captions=captions,
        facts={
            "output": f"{chosen.label}, from a probability of {threshold:g} on",
            "rows": f"{len(found):,}",
            "groups": ", ".join(
                f"{group} ({int((people.values == group).sum()):,})" for group in people.groups
            ),
            "reference": base,
            "intervals": f"95 %, from {draws:,} bootstrap samples of rows",
        },
        limits=LIMITS, findings=findings,
        provenance={
            "model": dict(chosen.model.describe()), "evaluations": evaluations, "seed": seed,
            "method": method or "none", "source": "fairlearn MetricFrame", "versions": versions(),
        },
    )  # fmt: skip


def _threshold(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
        msg = f"threshold={value!r} must be a probability between 0 and 1"
        raise OptionError(msg)
    return float(value)


def _true(outcome: object, chosen: Asked) -> _Mask:
    """Return whether each row is of the class that is looked at."""
    truth = truth_of(outcome, chosen.raw, len(chosen.rows))
    words = np.array([str(_plain(v)) for v in truth])
    label = chosen.label
    if len(chosen.model.labels or ()) < 2 and set(words) <= {
        "0",
        "1",
        "False",
        "True",
        "0.0",
        "1.0",
    }:
        return np.asarray(truth.astype(np.float64) == 1)
    if label not in words:
        some = ", ".join(map(repr, pd.unique(words)[:4].tolist()))
        msg = f"outcome: no row is {label!r}, the class that is looked at; it has {some}"
        raise InputError(msg)
    return np.asarray(words == label)


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def _parts(
    truth: _Mask, found: FloatArray, said: _Mask
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return of each metric what is summed, and over what, per row."""
    one = np.ones(len(truth))
    return {
        "selection rate": (said * one, one),
        "accuracy": ((said == truth) * one, one),
        "false positive rate": ((said & ~truth) * one, ~truth * one),
        "false negative rate": ((~said & truth) * one, truth * one),
        "calibration": (found - truth, one),
    }


def _too_high(y_true: FloatArray, _said: FloatArray, p: FloatArray) -> float:
    """Return how far probabilities are too high on average; the arguments are fairlearn's."""
    return float(np.mean(p) - np.mean(y_true))


def _by_group(people: Attribute, truth: _Mask, found: FloatArray, said: _Mask) -> pd.DataFrame:
    """Return the metrics of each group, by fairlearn."""
    try:
        metrics, scores = import_module("fairlearn.metrics"), import_module("sklearn.metrics")
    except ImportError as error:
        msg = "an audit of groups needs fairlearn; install it: pip install fairlearn"
        raise ModelError(msg) from error
    functions: dict[str, Callable[..., Any]] = {
        "selection rate": metrics.selection_rate, "accuracy": scores.accuracy_score,
        "false positive rate": metrics.false_positive_rate,
        "false negative rate": metrics.false_negative_rate,
        "calibration": _too_high,
    }  # fmt: skip
    frame = metrics.MetricFrame(
        metrics=functions, y_true=truth.astype(int), y_pred=said.astype(int),
        sensitive_features=pd.Series(people.values, name=people.name),
        sample_params={"calibration": {"p": found}},
    )  # fmt: skip
    table: pd.DataFrame = frame.by_group
    return table


def _metrics(
    people: Attribute, base: str, parts: Mapping[str, tuple[FloatArray, FloatArray]],
    values: pd.DataFrame, weights: FloatArray,
) -> tuple[pd.DataFrame, list[Finding]]:  # fmt: skip
    rows: list[dict[str, Any]] = []
    small: dict[str, list[str]] = {}
    member = {group: people.values == group for group in people.groups}
    limit = chance_of_any(len(parts) * (len(people.groups) - 1))
    for metric, (top, under) in parts.items():
        known = values[metric].to_dict()
        sampled = {
            group: Sampled.share(
                weights[:, own], top[own], under[own], counted=metric != "calibration"
            )
            for group, own in member.items()
        }
        for group, own in member.items():
            count = int(under[own].sum())
            row = {"metric": metric, "group": group, "rows": count}
            number = float(known[group]) if count else float("nan")
            few = count < FEWEST
            row["value"] = number
            row |= sampled[group].beside(None if group == base else sampled[base], limit)
            row["clear"] = bool(row["clear"]) and not few and under[member[base]].sum() >= FEWEST
            if few:
                small.setdefault(group, []).append(f"{metric} ({count})")
            rows.append(row)
    text = "; ".join(f"{group}: {', '.join(metrics)}" for group, metrics in small.items())
    found = [finding("small_group", least=FEWEST, groups=text)] if small else []
    return pd.DataFrame(rows), found


def _attributions(
    chosen: Asked, people: Attribute, base: str, method: str, explained: int, draws: int,
    together: Mapping[str, Sequence[str]] | None, rng: np.random.Generator,
) -> tuple[pd.DataFrame, int]:  # fmt: skip
    """Return mean attributions of each column in each group, and what they cost."""
    each = max(FEWEST, explained // len(people.groups))
    rows = np.concatenate(
        [_some(np.flatnonzero(people.values == group), each, rng) for group in people.groups]
    )
    model = chosen.model
    if model.rows is None and isinstance(model, EstimatorModel):
        model = table_model(
            model.predictor.source or model.predictor.function, chosen.rows, name=model.name,
            labels=model.labels if len(model.labels or ()) > 1 else None, groups=model.groups,
            rows=_STANDINS,
        )  # fmt: skip
    options: dict[str, Any] = {} if not together else {"groups": dict(together)}
    # A torch module says logits; all others are explained as they are, which is in probability.
    scale = "prob" if isinstance(model, ModuleModel) else None
    aim = None if chosen.place is None else Class(chosen.place, scale=scale)
    made = explain(model, chosen.rows.iloc[rows], method=method, target=aim, **options)
    table = np.asarray(made.to_numpy(), dtype=np.float64)
    names = [str(name) for name in made.values["column"].values]
    groups_of = people.values[rows]
    limit = chance_of_any(2 * len(names) * (len(people.groups) - 1))
    sampled: dict[str, tuple[FloatArray, FloatArray]] = {}
    for group in people.groups:
        own = table[groups_of == group]
        weights = resampled(len(own), draws, rng) / len(own)
        sampled[group] = weights @ own, weights @ np.abs(own)
    found = []
    for j, name in enumerate(names):
        for kind, which in (("mean", 0), ("mean size", 1)):
            for group in people.groups:
                if group == base:
                    continue
                own, other = sampled[group][which][:, j], sampled[base][which][:, j]
                count = int((groups_of == group).sum())
                row = Sampled(own).beside(Sampled(other), limit)
                found.append({
                    "column": name, "kind": kind, "group": group, "value": float(own[0]),
                    "reference": float(other[0]), "difference": row["difference"],
                    "low": row["difference_low"], "high": row["difference_high"],
                    "clear": bool(row["clear"]) and count >= FEWEST,
                })  # fmt: skip
    differences = pd.DataFrame(found)
    order = differences["difference"].abs().to_numpy().argsort(kind="stable")[::-1]
    return differences.iloc[order].reset_index(drop=True), int(made.evaluations)


def _some(
    places: npt.NDArray[np.int64], most: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    if len(places) <= most:
        return places
    return np.sort(rng.choice(places, most, replace=False))


def _sentence(
    people: Attribute, base: str, metrics: pd.DataFrame, maps: pd.DataFrame | None, label: str
) -> str:
    """Say where groups differ clearly, the largest difference of each metric first."""
    said = []
    clear = metrics[metrics["clear"]]
    for metric in METRICS:
        own = clear[clear["metric"] == metric]
        if len(own):
            row = _largest(own)
            more = f" (and {len(own) - 1} more)" if len(own) > 1 else ""
            said.append(
                f"the {metric} of {row['group']} is {row['value']:.1%}, that of {base} "
                f"{row['value'] - row['difference']:.1%}: {100 * row['difference']:+.1f} "
                f"percentage points ({100 * row['difference_low']:+.1f} to "
                f"{100 * row['difference_high']:+.1f}){more}"
            )
    found = f"Between groups of {people.name} " + (
        "there are clear differences: " + "; ".join(said) if said else
        "no difference of predictions or errors is clear"
    )  # fmt: skip
    few = metrics[(metrics["metric"] == "selection rate") & (metrics["rows"] < FEWEST)]
    if len(few):
        found += f" (too few rows to judge: {', '.join(few['group'])})"
    rates = metrics[(metrics["metric"] == "selection rate") & (metrics["rows"] >= FEWEST)]
    if len(rates) > 1 and rates["value"].max() > 0:
        order = rates["value"].to_numpy().argsort(kind="stable")
        low, high = rates.iloc[int(order[0])], rates.iloc[int(order[-1])]
        ratio = low["value"] / high["value"]
        found += (
            f". {low['group']} is predicted {label} {ratio:.2f} times as often as {high['group']}"
            + (" (under four fifths)" if ratio < _FOUR_FIFTHS else "")
        )
    if maps is not None:
        most = maps[maps["clear"] & (maps["kind"] == "mean size")]
        if len(most):
            row = _largest(most)
            word = "larger" if row["difference"] > 0 else "smaller"
            found += (
                f". The column {row['column']} has a {word} part in predictions for {row['group']} "
                f"than for {base} (mean size {row['value']:.3f}, {row['difference']:+.3f})"
            )
    return f"{found}."


def _largest(table: pd.DataFrame) -> pd.Series:
    return table.iloc[int(table["difference"].abs().to_numpy().argmax())]
