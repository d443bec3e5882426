"""Case and control: genotype counts to tables, tests within strata, and a negative control."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.statistics.common import benjamini_hochberg, said
from saliscope.variants.statistics.genotypes import MODELS, Genotypes
from saliscope.variants.statistics.strata import (
    Exact,
    Homogeneity,
    Pooled,
    as_tables,
    breslow_day,
    exact,
    informative,
    mantel_haenszel,
)

__all__ = [
    "Association",
    "SynonymousControl",
    "associate",
    "associate_tables",
    "correct",
    "odds_text",
    "synonymous_control",
]

_MEDIAN_CHI2 = 0.454936423119572
_LEAST_VARIANTS = 20
_DIFFERENT = 0.05


@dataclass(frozen=True)
class Association:
    """Everything that a table says of one variant.

    Parameters
    ----------
    variant, model : str
    tables : mapping of str to 2x2 tuple
        By stratum: cases with and without, controls with and without.
    missing : tuple of int
        Cases and controls without a call, left out of every denominator.
    skipped : mapping of str to str
        Strata that contribute nothing, with the reason.
    crude : Exact, optional
        Fisher's test of all strata together, not adjusted.
    stratified : Exact, optional
        Exact Cochran-Mantel-Haenszel; equal to Fisher's where there is one stratum.
    pooled : Pooled, optional
        Mantel-Haenszel odds ratio and chi-square.
    homogeneity : Homogeneity, optional
        Breslow-Day with Tarone's correction.
    q : float, optional
        Benjamini-Hochberg over variants; see `correct`.
    """

    variant: str
    model: str
    tables: Mapping[str, tuple[tuple[int, int], tuple[int, int]]]
    missing: tuple[int, int]
    skipped: Mapping[str, str]
    crude: Exact | None
    stratified: Exact | None
    pooled: Pooled | None
    homogeneity: Homogeneity | None
    q: float | None = None

    @property
    def p(self) -> float | None:
        """The stratified p; None where no stratum can say anything."""
        return None if self.stratified is None else self.stratified.p

    @property
    def total(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """All strata together."""
        (a, b), (c, d) = np.sum(list(self.tables.values()), axis=0).tolist()
        return (a, b), (c, d)

    @property
    def reversed(self) -> bool:
        """Whether crude and stratified odds ratios lie on different sides of 1."""
        if self.crude is None or self.stratified is None:
            return False
        crude, within = self.crude.odds_ratio, self.stratified.odds_ratio
        return (crude - 1) * (within - 1) < 0

    @property
    def text(self) -> str:
        """What a report says of it."""
        (a, b), (c, d) = self.total
        of = " copies of" if self.model == "allelic" else ""
        start = (
            f"{MODELS[self.model]}: {a:,} of {a + b:,}{of} cases, {c:,} of {c + d:,}{of} controls"
        )
        if self.stratified is None:
            parts = [f"{start}; not tested, no stratum can say anything"]
        else:
            s = self.stratified
            parts = [
                f"{start}; odds ratio within strata {odds_text(s.odds_ratio)} "
                f"[{odds_text(s.low)}, {odds_text(s.high)}], p {said(s.p)}"
                + ("" if self.q is None else f", q {said(self.q)}")
            ]
        if self.reversed and self.crude is not None and self.stratified is not None:
            sure = sum(not e.low <= 1 <= e.high for e in (self.crude, self.stratified))
            why = ("both may be 1", "only one of them is sure", "population structure")[sure]
            parts.append(f"without strata the direction is the opposite ({why})")
        if self.homogeneity is not None and self.homogeneity.tarone_p < _DIFFERENT:
            parts.append(f"odds ratios differ between strata (p {said(self.homogeneity.tarone_p)})")
        if self.skipped:
            names = ", ".join(f"{name} ({why})" for name, why in self.skipped.items())
            parts.append(f"without information: {names}")
        if any(self.missing):
            parts.append(f"no call in {self.missing[0]:,} cases and {self.missing[1]:,} controls")
        if self.model == "allelic":
            parts.append("takes the copies of a person as independent (Hardy-Weinberg)")
        return "; ".join(parts)

    def row(self) -> dict[str, str | int | float | None]:
        """Return one flat row of a table; None where there is nothing to say."""
        (a, b), (c, d) = self.total
        row: dict[str, str | int | float | None] = {
            "variant": self.variant,
            "model": self.model,
            "cases_with": a,
            "cases_without": b,
            "controls_with": c,
            "controls_without": d,
            "missing_cases": self.missing[0],
            "missing_controls": self.missing[1],
            "strata": len(self.tables) - len(self.skipped),
            "strata_without_information": "; ".join(self.skipped),
            "q": self.q,
        }
        test = ("odds_ratio", "low", "high", "p")
        for prefix, part, names in (
            ("", self.stratified, test),
            ("fisher_", self.crude, test),
            ("mh_", self.pooled, (*test, "chi2")),
            ("breslow_day_", self.homogeneity, ("statistic", "p", "tarone", "tarone_p")),
        ):
            for name in names:
                row[prefix + name] = None if part is None else getattr(part, name)
        return row


def odds_text(value: float) -> str:
    """Return an odds ratio for a reader.

    Examples
    --------
    >>> odds_text(1.0437), odds_text(12345.6), odds_text(math.inf)
    ('1.04', '12,346', 'infinite')
    """
    if math.isinf(value):
        return "infinite"
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _reason(table: npt.NDArray[np.int64], model: str) -> str:
    """Return why a table has a margin of zero."""
    rows, columns = table.sum(1), table.sum(0)
    if not rows.any():
        return "nobody called"
    if not rows.all():
        return "no cases" if not rows[0] else "no controls"
    what = "copy" if model == "allelic" else "person"
    return f"no {what} with it" if not columns[0] else f"no {what} without it"


def associate_tables(
    variant: str,
    tables: Mapping[str, npt.ArrayLike],
    model: str = "allelic",
    *,
    missing: tuple[int, int] = (0, 0),
    confidence: float = 0.95,
) -> Association:
    """Return the association of one variant from 2x2 tables, one per stratum.

    For controls of which only allele counts are known (gnomAD), with the model "allelic".

    Parameters
    ----------
    variant : str
    tables : mapping of str to array of int, shape (2, 2)
        Rows: cases, controls; columns: with, without.
    model : str
        What was counted, one of `MODELS`.
    missing : tuple of int
        Cases and controls that were left out.
    confidence : float

    Raises
    ------
    InputError
        Without tables, or for what is not a table of counts.
    OptionError
        For a model that does not exist.

    Examples
    --------
    >>> a = associate_tables("x", {"EUR": [[3, 1], [1, 3]], "EAS": [[0, 5], [0, 6]]}, "carrier")
    >>> round(a.p, 6), dict(a.skipped), a.stratified == a.crude
    (0.485714, {'EAS': 'no person with it'}, False)
    """
    if model not in MODELS:
        msg = f"model {model!r}: does not exist; take one of {', '.join(MODELS)}"
        raise OptionError(msg)
    if not tables:
        msg = f"{variant}: has no table; give one stratum at least"
        raise InputError(msg)
    counts = as_tables([np.asarray(t) for t in tables.values()])
    names = list(tables)
    says = informative(counts)
    return Association(
        variant=variant,
        model=model,
        tables={
            name: ((a, b), (c, d))
            for name, ((a, b), (c, d)) in zip(names, counts.tolist(), strict=True)
        },
        missing=missing,
        skipped={
            name: _reason(table, model)
            for name, table, spoke in zip(names, counts, says, strict=True)
            if not spoke
        },
        crude=exact(counts.sum(0), confidence),
        stratified=exact(counts, confidence),
        pooled=mantel_haenszel(counts, confidence),
        homogeneity=breslow_day(counts),
    )


def associate(
    variant: str,
    strata: Mapping[str, tuple[Genotypes, Genotypes]],
    model: str = "carrier",
    *,
    confidence: float = 0.95,
) -> Association:
    """Return the association of one variant from genotype counts, one pair per stratum.

    Parameters
    ----------
    variant : str
    strata : mapping of str to (Genotypes, Genotypes)
        Cases and controls.
    model : str
        "carrier" (dominant), "recessive" or "allelic".
    confidence : float

    Examples
    --------
    >>> cases, controls = Genotypes(1, 3, 0, missing=2), Genotypes(3, 1, 0)
    >>> a = associate("x", {"all": (cases, controls)})
    >>> a.total, a.missing, round(a.p, 6)
    (((3, 1), (1, 3)), (2, 0), 0.485714)
    """
    return associate_tables(
        variant,
        {
            name: [case.counts(model), control.counts(model)]
            for name, (case, control) in strata.items()
        },
        model,
        missing=(
            sum(case.missing for case, _ in strata.values()),
            sum(control.missing for _, control in strata.values()),
        ),
        confidence=confidence,
    )


def correct(associations: Sequence[Association]) -> tuple[Association, ...]:
    """Return the associations with their q, over those that could be tested.

    Examples
    --------
    >>> a = associate_tables("x", {"all": [[3, 1], [1, 3]]})
    >>> [round(x.q, 4) for x in correct([a, a])]
    [0.4857, 0.4857]
    """
    corrected = benjamini_hochberg([a.p for a in associations])
    return tuple(replace(a, q=q) for a, q in zip(associations, corrected, strict=True))


@dataclass(frozen=True)
class SynonymousControl:
    """Synonymous variants, of which no association is expected.

    Parameters
    ----------
    variants : int
        Tested.
    odds_ratio, low, high : float, optional
        Common to all variants and strata; 1 is expected. Mantel-Haenszel with the interval of
        Robins, Breslow and Greenland where counts allow it, else exact; None without any test.
    inflation : float, optional
        Median chi-square over its expectation, 0.455, as genomic control has it; None with fewer
        than 20 variants whose counts allow the chi-square.
    counted : int
        Variants in `inflation`.
    """

    variants: int
    odds_ratio: float | None
    low: float | None
    high: float | None
    inflation: float | None
    counted: int

    @property
    def passed(self) -> bool | None:
        """Whether 1 lies in the interval; None where nothing could be tested."""
        return None if self.low is None or self.high is None else self.low <= 1 <= self.high

    @property
    def text(self) -> str:
        """What a report says of it."""
        if self.odds_ratio is None or self.low is None or self.high is None:
            return "synonymous control: no synonymous variant could be tested"
        verdict = (
            "as expected"
            if self.passed
            else "not 1 as expected: cases and controls differ in calling or ancestry, and no "
            "association here should be read before that is understood"
        )
        inflation = (
            f"inflation not given, {self.counted} of {_LEAST_VARIANTS} variants needed"
            if self.inflation is None
            else f"inflation {self.inflation:.2f} over {self.counted} variants"
        )
        low, high = odds_text(self.low), odds_text(self.high)
        return (
            f"synonymous control: {self.variants} variant{'s' if self.variants != 1 else ''}, "
            f"common odds ratio {odds_text(self.odds_ratio)} [{low}, {high}], {verdict}; "
            f"{inflation}"
        )


def synonymous_control(
    associations: Iterable[Association], confidence: float = 0.95
) -> SynonymousControl:
    """Return the negative control: synonymous variants together, expected odds ratio 1.

    Variants are taken as independent strata; where they are linked, the interval is too narrow.

    Examples
    --------
    >>> a = associate_tables("x", {"all": [[30, 70], [31, 69]]})
    >>> c = synonymous_control([a])
    >>> c.passed, c.inflation
    (True, None)
    """
    tested = [a for a in associations if a.pooled is not None]
    tables = [table for a in tested for table in a.tables.values()]
    chi2 = [a.pooled.chi2_uncorrected for a in tested if a.pooled is not None and a.pooled.enough]
    common: Exact | Pooled | None = mantel_haenszel(tables, confidence) if tables else None
    if isinstance(common, Pooled) and not common.enough:
        common = exact(tables, confidence)
    return SynonymousControl(
        variants=len(tested),
        odds_ratio=None if common is None else common.odds_ratio,
        low=None if common is None else common.low,
        high=None if common is None else common.high,
        inflation=float(np.median(chi2)) / _MEDIAN_CHI2 if len(chi2) >= _LEAST_VARIANTS else None,
        counted=len(chi2),
    )
