"""Case and control: from genotype counts to a corrected result."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.statistics.cohort import (
    associate,
    associate_tables,
    correct,
    synonymous_control,
)
from saliscope.variants.statistics.genotypes import Genotypes
from saliscope.variants.statistics.strata import exact


def test_models_by_hand():
    g = Genotypes(70, 20, 5, missing=9, hemizygous_reference=12, hemizygous=3)
    assert g.counts("carrier") == (28, 82)
    assert g.counts("recessive") == (8, 102)
    assert g.counts("allelic") == (20 + 10 + 3, 2 * 95 + 15 - 33)


counts = st.integers(0, 30)
genotypes = st.builds(Genotypes, counts, counts, counts, counts, counts, counts)


@given(genotypes)
def test_missing_is_in_no_denominator(g):
    called = g.reference + g.heterozygous + g.homozygous + g.hemizygous_reference + g.hemizygous
    assert sum(g.counts("carrier")) == sum(g.counts("recessive")) == called
    assert sum(g.counts("allelic")) == 2 * called - g.hemizygous_reference - g.hemizygous
    other = Genotypes(**{**vars(g), "missing": g.missing + 5})
    assert all(g.counts(m) == other.counts(m) for m in ("carrier", "recessive", "allelic"))


@given(st.lists(st.sampled_from([0, 1, 2, -1, math.nan]), max_size=40))
def test_counting_people(copies):
    g = Genotypes.count(copies)
    assert g.missing == sum(math.isnan(c) or c == -1 for c in copies)
    assert g.heterozygous == copies.count(1)
    assert g.reference + g.heterozygous + g.homozygous + g.missing == len(copies)


@pytest.mark.parametrize(
    ("copies", "ploidy", "reason"),
    [
        ([0, 3], 2, "person 2: 3 copies of 2"),
        ([0, 2], [2, 1], "person 2: 2 copies of 1"),
        ([0.5], 2, "person 1: 0.5 copies"),
        ([1], 3, "person 1: 1 copies of 3"),
    ],
)
def test_impossible_genotypes_are_refused(copies, ploidy, reason):
    with pytest.raises(InputError, match=reason):
        Genotypes.count(copies, ploidy)


def test_bad_counts_and_models_are_refused():
    with pytest.raises(InputError, match="homozygous=-1"):
        Genotypes(1, 1, -1)
    with pytest.raises(OptionError, match="model 'additive'"):
        Genotypes(1, 1, 1).counts("additive")
    with pytest.raises(OptionError, match="model 'additive'"):
        associate_tables("x", {"a": [[1, 1], [1, 1]]}, "additive")
    with pytest.raises(InputError, match="x: has no table"):
        associate_tables("x", {})


STRATA = {
    "EUR": (Genotypes(80, 18, 2, missing=3), Genotypes(190, 10, 0, missing=1)),
    "EAS": (Genotypes(40, 0, 0), Genotypes(50, 0, 0)),
    "AMR": (Genotypes(0, 0, 0, missing=7), Genotypes(20, 3, 0)),
    "AFR": (Genotypes(30, 9, 1), Genotypes(70, 11, 0)),
}


def test_one_variant_in_strata():
    a = associate("p.Tyr240Cys", STRATA)
    assert a.tables["EUR"] == ((20, 80), (10, 190))
    assert a.total == ((30, 150), (24, 330))
    assert a.missing == (10, 1)
    assert dict(a.skipped) == {"EAS": "no person with it", "AMR": "no cases"}
    assert a.stratified == exact([[[20, 80], [10, 190]], [[10, 30], [11, 70]]])
    assert a.crude == exact([[30, 150], [24, 330]])
    assert a.homogeneity.df == 1
    assert a.p == a.stratified.p
    assert a.text == (
        "with the allele: 30 of 180 cases, 24 of 354 controls; odds ratio within strata "
        f"{a.stratified.odds_ratio:.3g} [{a.stratified.low:.3g}, {a.stratified.high:.3g}], "
        "p 9e-05; without information: EAS (no person with it), AMR (no cases); "
        "no call in 10 cases and 1 controls"
    )


def test_row_holds_every_number():
    row = associate("x", STRATA, "allelic").row()
    assert row["strata"] == 2
    assert row["strata_without_information"] == "EAS; AMR"
    assert row["cases_with"] + row["cases_without"] == 2 * 180
    numbers = [
        "odds_ratio",
        "low",
        "high",
        "p",
        "fisher_p",
        "mh_chi2",
        "mh_low",
        "breslow_day_tarone",
    ]
    assert all(math.isfinite(row[name]) for name in numbers)
    nothing = associate("x", {"EAS": STRATA["EAS"]}).row()
    assert {nothing[name] for name in numbers} == {None}


def test_one_stratum_is_fisher():
    a = associate("x", {"EUR": STRATA["EUR"]})
    assert a.stratified == a.crude
    assert a.homogeneity is None


def test_nothing_to_test_is_said():
    a = associate("x", {"EAS": STRATA["EAS"]}, "recessive")
    assert a.p is None
    assert "not tested, no stratum can say anything" in a.text
    with_it = associate_tables("x", {"a": [[5, 0], [3, 0]], "b": [[0, 0], [0, 0]]}, "allelic")
    assert dict(with_it.skipped) == {"a": "no copy without it", "b": "nobody called"}


def test_simpsons_paradox_is_named():
    a = associate_tables("x", {"s1": [[90, 110], [20, 20]], "s2": [[2, 38], [12, 188]]}, "carrier")
    assert a.reversed
    assert a.crude.odds_ratio > 1 > a.stratified.odds_ratio
    why = ("both may be 1", "only one of them is sure", "population structure")
    sure = sum(not e.low <= 1 <= e.high for e in (a.crude, a.stratified))
    assert f"without strata the direction is the opposite ({why[sure]})" in a.text
    small = associate_tables("x", {"s1": [[9, 11], [2, 2]], "s2": [[0, 4], [1, 19]]}, "carrier")
    assert small.reversed
    assert "the opposite (both may be 1)" in small.text


def test_heterogeneity_and_hardy_weinberg_are_named():
    a = associate_tables("x", {"s1": [[20, 30], [10, 60]], "s2": [[8, 52], [24, 36]]}, "allelic")
    assert "odds ratios differ between strata" in a.text
    assert "Hardy-Weinberg" in a.text
    assert "copies of cases" in a.text


def test_correction_leaves_out_what_was_not_tested():
    tested, silent = associate("x", STRATA), associate("y", {"EAS": STRATA["EAS"]})
    done = correct([tested, silent, tested])
    assert [a.variant for a in done] == ["x", "y", "x"]
    assert done[1].q is None
    assert done[0].q == pytest.approx(tested.p)
    assert ", q " in done[0].text


def _cohort(rng: np.random.Generator, bias: float, variants: int = 60) -> list:
    found = []
    for i in range(variants):
        tables = {}
        for name, frequency, size in (("EUR", 0.1, (400, 500)), ("AFR", 0.25, (150, 100))):
            a = rng.binomial(size[0], frequency * bias)
            c = rng.binomial(size[1], frequency)
            tables[name] = [[a, size[0] - a], [c, size[1] - c]]
        found.append(associate_tables(f"s{i}", tables))
    return found


def test_synonymous_control_keeps_its_level():
    controls = [synonymous_control(_cohort(np.random.default_rng(i), 1.0, 6)) for i in range(100)]
    failed = np.mean([not c.passed for c in controls])
    assert failed <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 100)


def test_synonymous_control_finds_a_bias():
    rng = np.random.default_rng(1)
    good, bad = synonymous_control(_cohort(rng, 1.0, 500)), synonymous_control(_cohort(rng, 1.3))
    assert good.variants == good.counted == 500
    assert good.inflation == pytest.approx(1.0, abs=0.3)  # three standard errors of the median
    assert good.passed
    assert ", as expected; inflation" in good.text
    assert not bad.passed
    # 30 % more alleles at frequencies of 0.1 and 0.25: odds ratios of 1.345 and 1.444.
    assert 1.3 < bad.odds_ratio < 1.5
    assert bad.inflation > 2
    assert "cases and controls differ in calling or ancestry" in bad.text


def test_synonymous_control_with_little():
    rare = associate_tables("r", {"all": [[2, 98], [1, 99]]})
    assert (synonymous_control([rare]).odds_ratio, synonymous_control([rare]).high) == (
        rare.stratified.odds_ratio,
        rare.stratified.high,
    )
    few = synonymous_control(_cohort(np.random.default_rng(0), 1.0, 5))
    assert few.inflation is None
    assert few.text.endswith("inflation not given, 5 of 20 variants needed")
    none = synonymous_control([associate("y", {"EAS": STRATA["EAS"]})])
    assert none.passed is None
    assert none.text == "synonymous control: no synonymous variant could be tested"
