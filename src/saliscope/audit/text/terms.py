"""Identity terms in text: what a score does when nothing but the term is swapped."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from saliscope.api.measuring import measure
from saliscope.api.results import versions
from saliscope.audit.record import Audit
from saliscope.audit.text.effects import NOISE, Effects, effects_of, in_reach
from saliscope.audit.text.words import Scored, sentence
from saliscope.core.class_target import Class, Predicted
from saliscope.core.engine import Progress
from saliscope.core.errors import InputError, ModelError, OptionError
from saliscope.core.health import Finding, finding
from saliscope.core.model import Model
from saliscope.core.target_spec import as_target
from saliscope.core.units import FloatArray
from saliscope.models.loading import load

__all__ = ["PLACE", "identity_terms", "swapped"]

PLACE = "{term}"
"""Where a term stands in a template that is written as text."""
_FEWEST_DRAWS = 999

LIMITS = (
    "Each term is compared with the mean of all terms, so effects sum to zero: with other terms "
    "beside it a term has another effect.",
    "Terms also differ in grammar, length and frequency. An effect says that the swap moves the "
    "score, not why it does.",
    "Templates are short and made up. Intervals say how an effect varies over templates like "
    "these, not over what people write.",
)


def swapped(templates: Sequence[str], terms: Sequence[str]) -> pd.DataFrame:
    """Return every term in the place of every template.

    Parameters
    ----------
    templates : sequence of str
        With "{term}" where a term stands; more than once if need be.
    terms : sequence of str
        With their article, if they need one ("an old man").

    Returns
    -------
    pandas.DataFrame
        Rows of `template`, `term`, `text`; what `saliscope.audit.identity_terms` takes.

    Raises
    ------
    InputError
        A template without a place, or an empty term.

    Examples
    --------
    >>> swapped(["I met {term}.", "{term} called."], ["Ann", "Bob"])["text"].tolist()
    ['I met Ann.', 'I met Bob.', 'Ann called.', 'Bob called.']
    """
    for template in templates:
        if PLACE not in template:
            msg = f"the template {template!r} has no place for a term; write {PLACE} there"
            raise InputError(msg)
    rows = [(each, term, each.replace(PLACE, term)) for each in templates for term in terms]
    return pd.DataFrame(rows, columns=["template", "term", "text"])


def identity_terms(
    model: object, templates: pd.DataFrame | Sequence[str], terms: Sequence[str] | None = None, *,
    target: object = None, draws: int = 9999, budget: int | None = None, seed: int = 0,
    progress: bool | Callable[[Progress], None] = False, tokenizer: Any = None,
) -> Audit:  # fmt: skip
    """Swap identity terms in sentences that stay the same otherwise, and see the score move.

    Parameters
    ----------
    model : object
        A text model, as of `saliscope.load`, or a function from a list of texts to a score each
        (or a row of scores each, of which `target` picks one).
    templates : pandas.DataFrame or sequence of str
        Rows of `template`, `term` and `text`, as `saliscope.datasets` has them
        (`identity_phrases`, `hatecheck(..., swaps=True)`, `winobias`); or texts with "{term}"
        where a term stands. Only templates that have every term are used.
    terms : sequence of str, optional
        For templates that are texts.
    target : object, optional
        Whose score is compared; a class by its number or label stands for its probability
        (default: the second of two classes). Else as of `saliscope.explain`.
    draws : int
        Bootstrap samples of templates, and random flips of the test; at least 999.
    budget, seed, progress, tokenizer
        As of `saliscope.explain`.

    Returns
    -------
    Audit
        Tables "terms" (`effect`: mean over templates of the score minus the template's mean, in
        units of the score; `low` and `high` of its 95 % interval over templates; `p` of a sign-flip
        test and `corrected p` by Holm; `above`, the share of templates in which it is above the
        mean; `clear` from a corrected p of 0.05 down) and "templates" (`mean`, `range`, and the
        terms with the lowest and highest score, the widest first).

    Raises
    ------
    InputError, OptionError, ModelError
        Rows that are not what they should be; fewer than two terms or templates; a score that is
        not finite; no class to compare by default.

    Notes
    -----
    The score decides what a difference means. With a model of sentiment it is one of sentiment,
    not of hate; whether a text is hateful, only a model of hate says.

    References
    ----------
    Dixon et al. 2018, Measuring and Mitigating Unintended Bias in Text Classification, AIES;
    Roettger et al. 2021, HateCheck, ACL; Zhao et al. 2018, WinoBias, NAACL. Holm 1979,
    Scandinavian Journal of Statistics 6.

    Examples
    --------
    >>> worth = {"kind": 1.0, "rude": -1.0, "old": -0.5}
    >>> def model(texts):
    ...     return [sum(worth.get(word, 0.0) for word in text.split()) for text in texts]
    >>> phrases = [f"the {{term}} {who} is {how}" for who in ("cook", "clerk", "guard", "judge")
    ...            for how in ("kind", "rude")]
    >>> found = identity_terms(model, phrases, ["old", "young"])
    >>> found["terms"][["term", "effect", "clear"]].to_numpy().tolist()
    [['young', 0.25, True], ['old', -0.25, True]]
    >>> found.verdict
    'differences'
    """
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < _FEWEST_DRAWS:
        msg = f"draws={draws!r} must be a whole number, at least {_FEWEST_DRAWS}"
        raise OptionError(msg)
    cases, left = _cases(templates, terms)
    texts = cases.texts.ravel().tolist()
    distinct = list(dict.fromkeys(texts))
    scored = _scored(
        model, distinct, target, tokenizer, budget=budget, seed=seed, progress=progress
    )
    if not np.isfinite(scored.values).all():
        worst = distinct[int(np.argmin(np.isfinite(scored.values)))]
        msg = f"the score of {worst!r} is not finite, so it cannot be compared"
        raise ModelError(msg)
    known = dict(zip(distinct, scored.values.tolist(), strict=True))
    scores = np.array([known[text] for text in texts]).reshape(cases.texts.shape)
    effects = effects_of(scores, draws=draws, seed=seed)
    table = _terms(cases, effects)
    many = in_reach(len(scores), len(cases.terms), draws)
    facts = {
        "score": scored.score,
        "templates": f"{len(scores):,}"
        + (f" ({left:,} without every term left out)" if left else ""),
        "terms": f"{len(cases.terms):,}",
        "texts": f"{len(distinct):,} different ones, each scored once",
        "intervals": f"95 %, from {draws:,} bootstrap samples of templates",
    }
    about = (
        f"What is compared is {scored.score}: a difference of that, and of nothing else. With a "
        "model of sentiment it is one of sentiment, not of hate, and not of how anybody is treated."
    )
    clear = bool(effects.clear.any())
    return Audit.of(
        "identity terms", model=scored.model,
        verdict="differences" if clear else "no clear one" if many else "not assessed",
        sentence=sentence(scored, table, scores, many=many),
        frames={"terms": table, "templates": _templates(cases, scores)},
        captions={
            "terms": f"mean change of {scored.score} against the mean of all terms in the same "
            "template",
            "templates": f"{scored.score}: its range over terms, and the terms at its ends",
        },
        facts=facts, limits=(about, *LIMITS), findings=_findings(cases, scores),
        provenance={
            "model": scored.about, "evaluations": len(distinct), "seed": seed, "draws": draws,
            "versions": versions(),
        },
        about={"score": scored.score, "percent": scored.percent},
    )  # fmt: skip


# -- what is given -------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class _Cases:
    """Texts, one per template (row) and term (column)."""

    templates: list[str]
    terms: list[str]
    texts: np.ndarray[Any, Any]
    subjects: Mapping[str, str]


def _cases(
    templates: pd.DataFrame | Sequence[str], terms: Sequence[str] | None
) -> tuple[_Cases, int]:
    """Return the templates that have every term, and how many others there are."""
    if isinstance(templates, pd.DataFrame):
        if terms is not None:
            msg = "a table of templates has its terms in it; leave out terms="
            raise OptionError(msg)
        frame = templates
    else:
        if isinstance(templates, str) or terms is None or isinstance(terms, str):
            msg = "give templates as a list of texts, and the terms to put into them as a list"
            raise OptionError(msg)
        frame = swapped(templates, terms)
    for column in ("template", "term", "text"):
        if column not in frame:
            msg = f"the table of templates has no column {column!r}; it needs template, term, text"
            raise InputError(msg)
        empty = frame[column].isna() | (frame[column].astype(str).str.strip() == "")
        if empty.any():
            msg = f"row {int(empty.to_numpy().argmax()) + 1} of the templates has no {column}"
            raise InputError(msg)
    twice = frame.duplicated(["template", "term"])
    if twice.any():
        row = frame[twice].iloc[0]
        msg = f"the term {row['term']!r} is there twice in the template {row['template']!r}"
        raise InputError(msg)
    names = list(dict.fromkeys(frame["term"].astype(str)))
    if len(names) < 2:
        msg = f"there is {len(names)} term; two or more are needed to swap one for another"
        raise InputError(msg)
    wide = frame.pivot_table("text", "template", "term", aggfunc="first")
    wide = wide.loc[list(dict.fromkeys(frame["template"])), names]
    whole = wide.dropna()
    if len(whole) < 2:
        msg = (
            f"{len(whole)} of {len(wide)} templates have each of the {len(names)} terms; two or "
            "more must"
        )
        raise InputError(msg)
    subjects = {}
    if "subject" in frame:
        subjects = dict(zip(frame["term"].astype(str), frame["subject"].astype(str), strict=True))
    cases = _Cases([str(t) for t in whole.index], names, whole.to_numpy(dtype=object), subjects)
    return cases, len(wide) - len(whole)


# -- what is asked -------------------------------------------------------------------------------


def _scored(model: object, texts: list[str], target: object, tokenizer: Any, **how: Any) -> Scored:
    if inspect.isroutine(model) or isinstance(model, functools.partial):
        return _called(model, texts, target)
    adapter = load(model, tokenizer=tokenizer)
    wanted = as_target(_default(adapter) if target is None else target, adapter)
    plain = target is None or isinstance(target, (int, str))
    percent = plain and isinstance(wanted, Class) and len(adapter.labels or ()) > 1
    if percent:
        wanted = dataclasses.replace(wanted, scale="prob")
    if isinstance(wanted, Predicted):
        msg = "the predicted class differs from text to text; name the class that is compared"
        raise OptionError(msg)
    found = measure(adapter, texts, wanted, steady=True, **how)
    name = found[0].targets[0]
    if found[0].values.size != 1:
        msg = f"the target has {found[0].values.size} numbers; name one that is compared"
        raise OptionError(msg)
    values = np.array([one.values[0] for one in found])
    score = f"the probability of {name}" if percent else name
    return Scored(adapter.name, score, percent, dict(adapter.describe()), values)


def _called(model: Callable[..., Any], texts: list[str], target: object) -> Scored:
    """Return the scores that a function gives."""
    name = getattr(model, "__name__", "function")
    values = np.asarray(model(texts))
    if values.dtype.kind not in "fiub" or values.shape[:1] != (len(texts),) or values.ndim > 2:
        msg = (
            f"{name} returned {values.dtype} of shape {values.shape} for {len(texts)} texts; "
            "it must return a number, or a row of numbers, for each"
        )
        raise ModelError(msg)
    values = values.astype(np.float64)
    if values.ndim == 1 and target is None:
        return Scored(name, "the score", False, {"name": name}, values)
    rows = values.reshape(len(texts), -1)
    if isinstance(target, bool) or not isinstance(target, int) or not 0 <= target < rows.shape[1]:
        msg = f"{name} returns {rows.shape[1]} numbers per text; target= picks one, from 0"
        raise OptionError(msg)
    return Scored(name, f"score {target}", False, {"name": name}, rows[:, target])


def _default(model: Model) -> object:
    """Return the class that is compared where none is named."""
    labels = model.labels or ()
    if "classes" not in model.heads or len(labels) > 2:
        some = ", ".join(labels[:6]) or "none"
        msg = f"name the class whose score is compared (target=); {model.name} has: {some}"
        raise OptionError(msg)
    return len(labels) - 1


# -- what came of it -----------------------------------------------------------------------------


def _terms(cases: _Cases, found: Effects) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "term": cases.terms, "effect": found.effect, "low": found.low, "high": found.high,
            "p": found.p, "corrected p": found.corrected, "above": found.above,
            "clear": found.clear,
        }
    )  # fmt: skip
    if cases.subjects:
        table.insert(1, "subject", [cases.subjects[term] for term in cases.terms])
    return table.sort_values("effect", ascending=False, kind="stable", ignore_index=True)


def _templates(cases: _Cases, scores: FloatArray) -> pd.DataFrame:
    low, high = scores.argmin(1), scores.argmax(1)
    table = pd.DataFrame(
        {
            "template": cases.templates, "mean": scores.mean(1), "range": np.ptp(scores, axis=1),
            "lowest": [cases.terms[i] for i in low], "highest": [cases.terms[i] for i in high],
        }
    )  # fmt: skip
    return table.sort_values("range", ascending=False, kind="stable", ignore_index=True)


def _findings(cases: _Cases, scores: FloatArray) -> list[Finding]:
    """Return a finding where some terms, but not all, are one and the same to the model."""
    near = np.round(scores / (NOISE * max(1.0, float(np.abs(scores).max()))))
    groups: dict[bytes, list[str]] = {}
    for term, column in zip(cases.terms, near.T, strict=True):
        groups.setdefault(column.tobytes(), []).append(term)
    alike = [names for names in groups.values() if len(names) > 1]
    if not alike or len(groups) == 1:
        return []
    return [finding("terms_alike", names="; ".join(", ".join(names) for names in alike))]
