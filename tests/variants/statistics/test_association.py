"""Association tests against R, exact fractions, and what must hold of any table."""

from __future__ import annotations

import csv
import math
import time
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.statistics.strata import (
    as_tables,
    breslow_day,
    exact,
    informative,
    mantel_haenszel,
)

HERE = Path(__file__).parent / "fixtures"


def _tables() -> dict[str, np.ndarray]:
    tables: dict[str, list[list[list[int]]]] = {}
    with (HERE / "tables.csv").open() as file:
        for row in csv.DictReader(file):
            a, b, c, d = (int(row[x]) for x in "abcd")
            tables.setdefault(row["case"], []).append([[a, b], [c, d]])
    return {case: np.array(rows) for case, rows in tables.items()}


def _r() -> dict[tuple[str, str], dict[str, float]]:
    said: dict[tuple[str, str], dict[str, float]] = {}
    with (HERE / "association.csv").open() as file:
        for row in csv.DictReader(file):
            value = float(row["value"])
            said.setdefault((row["case"], row["test"]), {})[row["name"]] = value
    return said


TABLES, R = _tables(), _r()
CLOSE = {"rel": 1e-9, "abs": 1e-12}


def _same_exact(ours, theirs, **close):
    got = {"p": ours.p, "estimate": ours.odds_ratio, "low": ours.low, "high": ours.high}
    assert got == pytest.approx(theirs, **close)


def test_there_are_enough_cases():
    assert len(TABLES) >= 25
    assert sum(test == "exact.tight" for _, test in R) >= 14


@pytest.mark.parametrize("case", TABLES)
def test_fisher_equals_r(case):
    pooled = TABLES[case].sum(0)
    _same_exact(exact(pooled), R[case, "fisher.tight"], **CLOSE)
    _same_exact(exact(pooled, 0.99), R[case, "fisher.99"], **CLOSE)
    # As printed, R's estimates end at the tolerance of its root finder, and the far ends of
    # intervals, for which it solves 1 / t, may be off by a percent.
    _same_exact(exact(pooled), R[case, "fisher"], rel=2e-2)
    assert exact(pooled).p == pytest.approx(R[case, "fisher"]["p"], rel=1e-9)


@pytest.mark.parametrize("case", [case for case, test in R if test == "exact"])
def test_exact_cochran_mantel_haenszel_equals_r(case):
    _same_exact(exact(TABLES[case]), R[case, "exact.tight"], **CLOSE)
    _same_exact(exact(TABLES[case]), R[case, "exact"], rel=2e-2)


@pytest.mark.parametrize("case", [case for case, test in R if test == "mh"])
def test_mantel_haenszel_equals_r(case):
    ours = mantel_haenszel(TABLES[case])
    theirs = R[case, "mh"]
    assert ours.chi2 == pytest.approx(theirs["chi2"], **CLOSE)
    assert ours.p == pytest.approx(theirs["p"], **CLOSE)
    assert ours.chi2_uncorrected == pytest.approx(R[case, "mh.uncorrected"]["chi2"], **CLOSE)
    assert ours.odds_ratio == pytest.approx(theirs["estimate"], **CLOSE)
    if math.isnan(theirs["low"]):
        assert ours.low is None
        assert ours.high is None
    else:
        assert (ours.low, ours.high) == pytest.approx((theirs["low"], theirs["high"]), **CLOSE)


@pytest.mark.parametrize("case", [case for case, test in R if test == "mh"])
def test_breslow_day_equals_r(case):
    ours = breslow_day(TABLES[case])
    theirs = R.get((case, "breslow.day"))
    if theirs is None:
        assert ours is None
        return
    got = {
        "statistic": ours.statistic, "p": ours.p, "tarone": ours.tarone,
        "tarone.p": ours.tarone_p, "df": ours.df,
    }  # fmt: skip
    assert got == pytest.approx(theirs, **CLOSE)


def _brute(tables) -> tuple[dict[int, Fraction], int]:
    """All ways to fill the tables with the same margins, weighed in exact fractions."""
    ways, observed = [], 0
    for (a, b), (c, d) in tables.tolist():
        m, t, n = a + b, a + c, a + b + c + d
        ways.append(
            [
                (k, Fraction(math.comb(t, k) * math.comb(n - t, m - k), math.comb(n, m)))
                for k in range(max(0, m + t - n), min(m, t) + 1)
            ]
        )
        observed += a
    total: dict[int, Fraction] = {}
    for way in product(*ways):
        weight = Fraction(1)
        for _, share in way:
            weight *= share
        k = sum(k for k, _ in way)
        total[k] = total.get(k, Fraction(0)) + weight
    return total, observed


def _check_against_fractions(tables):
    tables = tables[informative(tables)]
    total, observed = _brute(tables)
    assert sum(total.values()) == 1
    limit = total[observed] * (1 + Fraction(1, 10**7))
    p = sum(share for share in total.values() if share <= limit)
    ours = exact(tables)
    assert ours.p == pytest.approx(float(p), rel=1e-9)

    def tilted(odds: float) -> dict[int, Fraction]:
        weights = {k: share * Fraction(odds) ** k for k, share in total.items()}
        whole = sum(weights.values())
        return {k: weight / whole for k, weight in weights.items()}

    if 0 < ours.odds_ratio < math.inf:
        mean = sum(k * share for k, share in tilted(ours.odds_ratio).items())
        assert float(mean) == pytest.approx(observed, rel=1e-9)
    if ours.low > 0:
        upper = sum(share for k, share in tilted(ours.low).items() if k >= observed)
        assert float(upper) == pytest.approx(0.025, rel=1e-9)
    if ours.high < math.inf:
        lower = sum(share for k, share in tilted(ours.high).items() if k <= observed)
        assert float(lower) == pytest.approx(0.025, rel=1e-9)


@pytest.mark.parametrize(
    "case", ["tea", "small_zero", "both_zero", "penicillin", "sparse", "zero_margin", "all_low",
             "all_one_side", "one_informative", "pairs", "rare", "moderate"],
)  # fmt: skip
def test_fixtures_equal_exact_fractions(case):
    _check_against_fractions(TABLES[case])


count = st.integers(0, 9)
table = st.tuples(st.tuples(count, count), st.tuples(count, count))


@given(st.lists(table, min_size=1, max_size=3))
def test_any_small_tables_equal_exact_fractions(tables):
    array = as_tables(tables)
    if not informative(array).any():
        assert exact(array) is None
        assert mantel_haenszel(array) is None
        return
    _check_against_fractions(array)


@given(st.lists(table, min_size=1, max_size=4))
def test_turning_the_columns_inverts_the_odds_ratio(tables):
    array = as_tables(tables)
    one, other = exact(array), exact(array[:, :, ::-1])
    if one is None:
        return

    def inverse(x: float) -> float:
        return math.inf if x == 0 else 0.0 if math.isinf(x) else 1 / x

    assert other.p == pytest.approx(one.p, rel=1e-9)
    assert other.odds_ratio == pytest.approx(inverse(one.odds_ratio), rel=1e-8)
    assert (other.low, other.high) == pytest.approx((inverse(one.high), inverse(one.low)), rel=1e-8)
    assert one.low <= one.odds_ratio <= one.high


@given(table, st.integers(0, 20), st.integers(0, 20))
def test_a_stratum_with_a_zero_margin_changes_nothing(one, b, d):
    alone, beside = exact([one]), exact([one, [[0, b], [0, d]]])
    assert alone == beside
    assert mantel_haenszel([one]) == mantel_haenszel([one, [[0, b], [0, d]]])


def test_simpsons_paradox_changes_sign():
    tables = TABLES["simpson_flip"]
    crude, stratified = exact(tables.sum(0)), exact(tables)
    assert crude.odds_ratio > 4
    assert crude.low > 1
    assert stratified.odds_ratio < 1
    assert mantel_haenszel(tables).odds_ratio < 1
    kidney = TABLES["simpson_kidney"]
    assert [exact(t).odds_ratio > 1 for t in kidney] == [True, True] or [
        exact(t).odds_ratio < 1 for t in kidney
    ] == [True, True]
    assert (exact(kidney).odds_ratio > 1) != (exact(kidney.sum(0)).odds_ratio > 1)


def test_large_strata_stay_exact_far_from_one():
    # The null puts less than 1e-200 on the observed count: the estimate must not suffer from it.
    tables = [[[900, 100], [100, 900]], [[450, 50], [50, 450]]]
    ours, pooled = exact(tables), mantel_haenszel(tables)
    assert ours.p < 1e-200
    assert ours.odds_ratio == pytest.approx(pooled.odds_ratio, rel=2e-2)
    assert ours.low == pytest.approx(pooled.low, rel=2e-2)
    assert ours.high == pytest.approx(pooled.high, rel=2e-2)


def test_a_biobank_is_quick():
    tables = [[[9000 + i, 31000], [45000, 315000 + i]] for i in range(3)]
    start = time.perf_counter()
    ours, pooled = exact(tables), mantel_haenszel(tables)
    assert time.perf_counter() - start < 5
    assert ours.p == 0.0  # below what a double holds
    assert ours.odds_ratio == pytest.approx(pooled.odds_ratio, rel=1e-3)
    assert (ours.low, ours.high) == pytest.approx((pooled.low, pooled.high), rel=1e-3)


def test_mantel_fleiss_criterion():
    assert mantel_haenszel(TABLES["large_strata"]).enough
    assert not mantel_haenszel(TABLES["sparse"]).enough


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ([[1, 2, 3], [4, 5, 6]], "shape"),
        ([[1, -2], [3, 4]], "negative or not whole"),
        ([[1, 2.5], [3, 4]], "negative or not whole"),
        ([[1, float("nan")], [3, 4]], "negative or not whole"),
        ([["x", 2], [3, 4]], "not a count"),
    ],
)
def test_what_is_not_a_table_is_refused(bad, reason):
    with pytest.raises(InputError, match=reason):
        exact(bad)


def test_a_confidence_outside_its_range_is_refused():
    with pytest.raises(OptionError, match="confidence=1"):
        exact([[3, 1], [1, 3]], 1.0)
