"""Reason codes: the factors that lowered a declined applicant's score, and how stable they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from saliscope.api.results import versions
from saliscope.audit.record import Audit
from saliscope.audit.tables.forbidden import named
from saliscope.audit.tables.shared import Asked, asked, whole
from saliscope.audit.tables.telling import resampled
from saliscope.audit.tables.walks import Score, Walks
from saliscope.core.errors import InputError, OptionError, nearest
from saliscope.core.health import Finding, finding
from saliscope.core.units import FloatArray
from saliscope.models.table.model import drawn_rows

__all__ = ["MOST", "STABLE", "reason_codes"]

MOST = 4
"""Codes of an applicant at most: more are not likely to help (12 CFR part 1002, supplement I,
comment 9(b)(2)-1)."""
STABLE = 0.8
"""A code that is given with fewer of the bootstrap references is unstable."""

_REFERENCES = {
    "approved": "applicants who were approved",
    "near": "the quarter of approved applicants with the lowest scores",
    "all": "all applicants",
}
_SCALES = ("log_odds", "prob", "raw")
_NEAR = 0.25
_TIE = 1e-6  # of the larger contribution: equal but for rounding

LIMITS = (
    "A code says what lowered this model's score against this reference. It does not say what an "
    "applicant could do, nor what would happen if they did.",
    "Codes depend on the reference; it is part of what they say.",
    "Codes are found to name sex, age, marital status and the like by the words in names and "
    "values of columns. A column that stands for one of them under another name is not seen here: "
    "see the audit of proxies.",
    "These are factors of a model, not notices: whether they are the specific principal reasons "
    "that a law asks for (in the US 12 CFR 1002.9(b)(2)) is not decided here.",
)


def reason_codes(
    model: object, table: Any, *, target: int | str | None = None, threshold: float = 0.5,
    reference: str | pd.DataFrame = "approved", scale: str = "log_odds",
    groups: Mapping[str, Sequence[str]] | None = None, words: Mapping[str, str] | None = None,
    allowed: Sequence[str] = (), applicants: int = 100, references: int = 100, draws: int = 200,
    seed: int = 0,
) -> Audit:  # fmt: skip
    """Give each declined applicant the factors that lowered their score most.

    A factor's contribution is its Shapley value against the reference: the mean change of the score
    when it takes the applicant's value in place of a reference row's, over orders of the factors
    and over reference rows. Each reference row has a random order and its mirror image
    (Štrumbelj & Kononenko 2014). Contributions add up to the applicant's score less the mean score
    of the reference; on a linear model they are ``w_j (x_j - mean_j)``.

    Parameters
    ----------
    model : object
        A fitted estimator, or what `saliscope.table_model` returns.
    table : pandas.DataFrame
        The applicants; those below the threshold are declined, and only they get codes.
    target : int or str, optional
        The class that is good for the applicant (default: the second of two).
    threshold : float
        On its probability (with ``scale="raw"`` on the output itself).
    reference : {"approved", "near", "all"} or pandas.DataFrame
        Whom they are compared with: approved applicants, the quarter of them with the lowest
        scores, all applicants, or rows that you give.
    scale : {"log_odds", "prob", "raw"}
        On which contributions add up.
    groups : mapping of str to sequence of str, optional
        Columns that are one factor. One-hot columns are one factor by themselves.
    words : mapping of str to str, optional
        What a factor is called in a code, where its name will not do.
    allowed : sequence of str
        Factors that seem to name sex, age or the like and do not (the age of an account).
    applicants, references : int
        Most declined applicants that get codes, and most rows of the reference, drawn evenly.
    draws : int
        Bootstrap references, by which stability is judged.
    seed : int

    Returns
    -------
    Audit
        Tables "codes" (per applicant and rank: `code`, `cell`, `contribution`, `stability`,
        `unstable`, `tied`, `names` (the forbidden ground) and `columns`), "factors" (how often
        each is a code) and "applicants". `stability` is the share of bootstrap references with
        which the code is given again; under 0.8 it is unstable. A code that names sex, age, marital
        status, foreign worker or another barred ground is an audit error (`errors`).

    Raises
    ------
    InputError
        Nobody is declined, or nobody is approved; an output that is no probability.
    OptionError
        Options out of range; log-odds of a probability of 0 or 1.

    References
    ----------
    Štrumbelj & Kononenko 2014, Knowledge and Information Systems 41, algorithm 1; ties and
    references: 12 CFR part 1002 (Regulation B), supplement I, comment 9(b)(2).

    Examples
    --------
    >>> import numpy as np, pandas as pd, saliscope
    >>> people = pd.DataFrame({"income": [4.0, 5.0, 1.0], "debts": [1.0, 1.0, 3.0]})
    >>> model = saliscope.table_model(lambda t: t["income"] - 2 * t["debts"], people)
    >>> found = reason_codes(model, people, scale="raw", threshold=0.0)
    >>> found["codes"][["rank", "code", "contribution"]].values.tolist()
    [[1, 'debts', -4.0], [2, 'income', -3.5]]
    """
    if scale not in _SCALES:
        msg = f"scale={scale!r} does not exist: {nearest(scale, _SCALES)}"
        raise OptionError(msg)
    for value, name, least in (
        (applicants, "applicants", 1), (references, "references", 2), (draws, "draws", 20)
    ):  # fmt: skip
        whole(value, name, least)
    rng, limit = np.random.default_rng(whole(seed, "seed", 0)), _limit(threshold, scale)
    chosen = asked(model, table, target, least=1 if isinstance(reference, pd.DataFrame) else 2)
    parts = chosen.units(groups)
    score = Score(chosen, scale)
    said = score.plain(chosen.rows)
    declined = np.flatnonzero(said < limit)
    if not len(declined):
        msg = (
            f"no applicant is declined: the lowest {_called(chosen, scale)} is {said.min():.4g}, "
            f"and the threshold {limit:g}; only who is declined gets reasons"
        )
        raise InputError(msg)
    rows, what = _reference(chosen, reference, said, limit)
    rows = rows.iloc[drawn_rows(len(rows), references)].reset_index(drop=True)
    explained = declined[drawn_rows(len(declined), applicants)]
    walk = Walks(score, parts, rows, rng)
    weights = resampled(len(rows), draws, rng) / len(rows)
    labels = _labels(table)
    found = [
        _Reasons(walk.of(chosen.rows.iloc[[place]]), weights, tuple(parts)) for place in explained
    ]
    texts = chosen.model.columns.encode(chosen.rows.iloc[explained], "table")
    cells = [dict(zip(chosen.rows.columns, chosen.model.columns.texts(row), strict=True))
             for row in texts]  # fmt: skip
    grounds = {
        part: named([part, *columns], chosen.rows[list(columns)])
        for part, columns in parts.items() if part not in allowed
    }  # fmt: skip
    codes = pd.DataFrame(
        [
            {"applicant": labels[place]} | row
            for place, reasons, own in zip(explained, found, cells, strict=True)
            for row in reasons.rows(parts, own, dict(words or {}), grounds)
        ],
        columns=["applicant", "rank", "code", "cell", "contribution", "stability", "unstable",
                 "tied", "names", "columns"],
    ).astype(
        {"rank": int, "contribution": float, "stability": float, "unstable": bool}
    )  # fmt: skip
    people = pd.DataFrame({
        "applicant": [labels[place] for place in explained], "score": said[explained],
        "codes": [len(reasons.codes) for reasons in found],
        "same codes": [reasons.same for reasons in found],
    })  # fmt: skip
    factors = _factors(codes)
    findings = _findings(codes, len(explained))
    return Audit.of(
        "reason codes", model=chosen.model.name, verdict=_verdict(codes, findings),
        sentence=_sentence(codes, factors, len(declined), len(said), what),
        frames={"codes": codes, "factors": factors, "applicants": people},
        captions={
            "codes": f"at most {MOST} for each declined applicant: factors that lowered the score, "
            "the largest first; stability is the share of bootstrap references with which a code "
            "is given again",
            "factors": "how often each factor is a code",
            "applicants": "'same codes' is the share of bootstrap references with which all codes "
            "are the same",
        },
        facts={
            "good outcome": f"{chosen.label}, from {_called(chosen, scale)} {limit:g} on",
            "applicants": f"{len(said):,}, of whom {len(declined):,} are declined and "
            f"{len(explained):,} get codes",
            "reference": f"{what}: {len(rows):,} rows",
            "scale": scale,
            "stability": f"over {draws:,} bootstrap references; unstable under {STABLE:.0%}",
        },
        limits=LIMITS, findings=findings,
        provenance={
            "model": dict(chosen.model.describe()), "evaluations": score.evaluations,
            "calls": score.calls, "seed": seed, "scale": scale, "threshold": limit,
            "reference": what,
            "source": "Shapley values by mirrored orders, Štrumbelj & Kononenko 2014",
            "versions": versions(),
        },
    )  # fmt: skip


@dataclass(eq=False)
class _Reasons:
    """The codes of one applicant."""

    each: FloatArray  # (reference rows, factors)
    weights: FloatArray  # (draws + 1, reference rows)
    parts: tuple[str, ...]

    def __post_init__(self) -> None:
        samples = self.weights @ self.each
        self.values = samples[0]
        self.codes = _lowest(self.values)
        given = [set(_lowest(values)) for values in samples[1:]]
        self.stability = [float(np.mean([code in one for one in given])) for code in self.codes]
        self.same = float(np.mean([set(self.codes) == one for one in given]))

    def rows(
        self, parts: Mapping[str, Sequence[str]], cells: Mapping[str, str],
        words: Mapping[str, str], grounds: Mapping[str, str],
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Return a row of the table for each code."""
        return [
            {
                "rank": rank, "code": words.get(name, name), "columns": ", ".join(parts[name]),
                "cell": ", ".join(_cell(c, cells[c], len(parts[name]) > 1) for c in parts[name]),
                "contribution": float(self.values[code]), "stability": share,
                "unstable": share < STABLE, "tied": self._tied(code, words),
                "names": grounds.get(name) or None,
            }
            for rank, (code, share) in enumerate(zip(self.codes, self.stability, strict=True), 1)
            for name in [self.parts[code]]
        ]  # fmt: skip

    def _tied(self, code: int, words: Mapping[str, str]) -> str | None:
        """Name the factors that lowered the score as much, whether they are codes or not."""
        away = np.abs(self.values - self.values[code])
        with_ = np.flatnonzero(away <= _TIE * abs(self.values[code]))
        names = [words.get(self.parts[i], self.parts[i]) for i in with_ if i != code]
        return ", ".join(names) or None


def _lowest(values: FloatArray) -> list[int]:
    """Return the factors that lowered the score, the lowest first, at most four."""
    clear = values < -1e-9 * np.abs(values).max(initial=0)
    order = np.argsort(values, kind="stable")
    return [int(i) for i in order if clear[i]][:MOST]


def _cell(column: str, text: str, several: bool) -> str:
    return f"{column} {text}" if several else text


def _labels(table: pd.DataFrame) -> list[str]:
    return [str(label) for label in table.index]


def _limit(threshold: object, scale: str) -> float:
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)):
        msg = f"threshold={threshold!r} must be a number"
        raise OptionError(msg)
    if not (np.isfinite(threshold) if scale == "raw" else 0 < threshold < 1):
        msg = f"threshold={threshold!r} must be a probability between 0 and 1 (or give scale='raw')"
        raise OptionError(msg)
    return float(threshold)


def _called(chosen: Asked, scale: str) -> str:
    return f"score ({chosen.label})" if scale == "raw" else f"probability of {chosen.label}"


def _reference(
    chosen: Asked, given: str | pd.DataFrame, said: FloatArray, limit: float
) -> tuple[pd.DataFrame, str]:
    """Return the reference rows, and what they are."""
    if isinstance(given, pd.DataFrame):
        rows = chosen.model.columns.frame(given, "reference")
        chosen.model.columns.encode(rows, "reference")
        return rows, "rows that were given"
    if not isinstance(given, str) or given not in _REFERENCES:
        msg = f"reference={given!r} does not exist: {nearest(str(given), _REFERENCES)}, or rows"
        raise OptionError(msg)
    if given == "all":
        return chosen.rows, _REFERENCES[given]
    approved: npt.NDArray[np.int64] = np.flatnonzero(said >= limit)
    if not len(approved):
        msg = (
            f"no applicant is approved: the highest score is {said.max():.4g}, and the threshold "
            f"{limit:g}; give reference='all', or rows"
        )
        raise InputError(msg)
    if given == "near":
        few = max(1, round(_NEAR * len(approved)))
        approved = np.sort(approved[np.argsort(said[approved], kind="stable")[:few]])
    return chosen.rows.iloc[approved], _REFERENCES[given]


def _factors(codes: pd.DataFrame) -> pd.DataFrame:
    """Return how often each factor is a code."""
    total = codes["applicant"].nunique()
    found = codes.groupby("code", sort=False).agg(
        applicants=("applicant", "nunique"), contribution=("contribution", "mean"),
        stability=("stability", "mean"), names=("names", "first"),
    ).reset_index()  # fmt: skip
    found.insert(2, "share", found["applicants"] / max(1, total))
    return found.sort_values("applicants", ascending=False, kind="stable", ignore_index=True)


def _findings(codes: pd.DataFrame, total: int) -> list[Finding]:
    found: list[Finding] = []
    bad = codes[codes["names"].notna()]
    if len(bad):
        count = int(bad["applicant"].nunique())
        found.append(finding("forbidden_reason", codes=_barred(codes), count=count, total=total))
    unstable = int(codes["unstable"].sum())
    if unstable:
        share = 1 - STABLE
        found.append(
            finding("unstable_reasons", count=unstable, total=len(codes), share=share)
        )  # fmt: skip
    return found


def _verdict(codes: pd.DataFrame, findings: Sequence[Finding]) -> str:
    if any(one.severity == "error" for one in findings):
        return "audit error"
    return "unstable" if codes["unstable"].any() else "stable"


def _sentence(
    codes: pd.DataFrame, factors: pd.DataFrame, declined: int, total: int, what: str
) -> str:  # fmt: skip
    head = f"{declined:,} of {total:,} applicants are declined. Against {what}, "
    if not len(codes):
        return f"{head}no factor lowered the score of any of them."
    often = [f"{row.code} ({row.share:.0%})" for row in factors.head(MOST).itertuples()]
    unstable = int(codes["unstable"].sum())
    said = (
        f"{head}the most frequent reasons are {', '.join(often)}; "
        + (f"{unstable:,} of {len(codes):,} codes are unstable" if unstable else
           f"all {len(codes):,} codes are stable")
    )  # fmt: skip
    ties = int(codes["tied"].notna().sum())
    said += f"; {ties:,} are tied with another factor" if ties else ""
    bad = _barred(codes)
    return f"{said}. Audit error: {bad}." if bad else f"{said}."


def _barred(codes: pd.DataFrame) -> str:
    """Name the codes that name a forbidden ground, and the ground."""
    bad = codes[codes["names"].notna()].drop_duplicates("code")
    return "; ".join(f"{row.code} names {row.names}" for row in bad.itertuples())
