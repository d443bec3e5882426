"""Linkage from haplotype counts, and its correlation with attributions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.statistics.linkage import (
    attribution_correlation,
    correlate_with_linkage,
    linkage,
    pairwise_linkage,
)


def test_tpmt_star_3a():
    # GRCh37, EUR: 28 of 29 haplotypes with A154T carry Y240C too.
    x = linkage(both=28, first=29, second=29, haplotypes=1006)
    d = 28 / 1006 - (29 / 1006) ** 2
    assert x.d == pytest.approx(d, rel=1e-12)
    assert x.d_prime == pytest.approx(d / (29 / 1006 * 977 / 1006), rel=1e-12)
    assert x.r2 == pytest.approx(d**2 / (29 / 1006 * 977 / 1006) ** 2, rel=1e-12)
    assert x.text == "r2 0.93, D' +0.96 (29 and 29 of 1,006 haplotypes, 28 with both)"


def test_never_together_is_minus_one_and_independent_is_zero():
    assert linkage(0, 10, 20, 100).d_prime == -1.0
    independent = linkage(2, 10, 20, 100)
    assert (independent.d, independent.d_prime, independent.r2) == (0.0, 0.0, 0.0)
    assert linkage(5, 5, 5, 100).r2 == 1.0


def test_an_allele_that_does_not_vary():
    for x in (linkage(0, 0, 5, 10), linkage(5, 10, 5, 10)):
        assert x.r2 is None
        assert x.d_prime is None
        assert x.text.startswith("linkage undefined")


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60))
def test_r2_is_the_squared_correlation_and_d_prime_is_bounded(rows):
    a, b = np.array(rows).T
    x = linkage(int((a & b).sum()), int(a.sum()), int(b.sum()), len(rows))
    if x.r2 is None:
        assert a.all() or b.all() or not a.any() or not b.any()
        return
    assert x.r2 == pytest.approx(np.corrcoef(a, b)[0, 1] ** 2, abs=1e-12)
    assert x.d == pytest.approx(np.cov(a, b, bias=True)[0, 1], abs=1e-12)
    assert abs(x.d_prime) <= 1
    assert np.sign(x.d_prime) == np.sign(x.d)


def test_pairs_of_a_panel():
    carried = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]])
    found = {(i, j): x for i, j, x in pairwise_linkage(carried, [28, 1, 40, 900])}
    assert list(found) == [(0, 1), (0, 2), (1, 2)]
    assert found[0, 1] == linkage(28, 29, 28, 969)
    assert found[0, 2] == linkage(0, 29, 40, 969)


@pytest.mark.parametrize(
    "counts", [(5, 4, 9, 100), (-1, 4, 9, 100), (1, 60, 60, 100), (0, 0, 0, 0)]
)
def test_impossible_counts_are_refused(counts):
    with pytest.raises(InputError, match=r"correct them|more carriers"):
        linkage(*counts)


def _symmetric(rng: np.random.Generator, n: int) -> np.ndarray:
    m = rng.random((n, n))
    return (m + m.T) / 2


def test_rho_is_spearmans_over_pairs():
    rng = np.random.default_rng(0)
    one, other = _symmetric(rng, 9), _symmetric(rng, 9)
    upper = np.triu_indices(9, 1)
    c = correlate_with_linkage(one, other)
    assert (c.pairs, c.variants) == (36, 9)
    assert c.rho == pytest.approx(spearmanr(one[upper], other[upper]).statistic, rel=1e-12)
    assert "variants permuted" in c.text


def test_fewer_than_twenty_pairs_are_not_tested():
    rng = np.random.default_rng(0)
    six = _symmetric(rng, 6)
    c = correlate_with_linkage(six, six)
    assert (c.pairs, c.rho, c.p) == (15, pytest.approx(1.0), None)
    assert c.text.endswith("not tested, 20 pairs are needed")
    seven = _symmetric(rng, 7)
    assert correlate_with_linkage(seven, seven).p is not None
    seven[0, 1] = seven[1, 0] = np.nan
    seven[0, 2] = seven[2, 0] = np.nan
    c = correlate_with_linkage(seven, _symmetric(rng, 7))
    assert (c.pairs, c.p) == (19, None)


def test_level_is_kept_though_pairs_share_variants():
    """Each variant has its own size: pairs are far from independent, the level still holds."""
    rng = np.random.default_rng(7)
    ps = []
    for i in range(100):
        one, other = (np.add.outer(v, v) for v in rng.random((2, 10)))
        ps.append(correlate_with_linkage(one, other, draws=99, seed=i).p)
    assert np.mean(np.array(ps) <= 0.05) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 100)


def test_nothing_that_varies():
    flat = np.ones((8, 8))
    c = correlate_with_linkage(flat, flat)
    assert (c.rho, c.p) == (None, None)
    assert c.text.endswith("not assessed")


def test_bad_matrices_are_refused():
    with pytest.raises(InputError, match="two square ones"):
        correlate_with_linkage(np.ones((3, 4)), np.ones((3, 4)))
    with pytest.raises(InputError, match="not symmetric"):
        correlate_with_linkage(np.arange(9.0).reshape(3, 3), np.ones((3, 3)))
    with pytest.raises(OptionError, match="draws=0"):
        correlate_with_linkage(np.ones((3, 3)), np.ones((3, 3)), draws=0)
    with pytest.raises(InputError, match="a count per row"):
        list(pairwise_linkage(np.ones((2, 2)), [1]))
    with pytest.raises(InputError, match="a count per row"):
        attribution_correlation(np.ones((2, 2)), [1])


def test_attribution_correlation_weighs_haplotypes():
    values = np.array([[1.0, 2.0, np.nan], [2.0, 1.0, 3.0], [4.0, 7.0, np.nan]])
    c = attribution_correlation(values, [5, 1, 2])
    often = np.repeat(values[:, :2], [5, 1, 2], axis=0)
    assert c[0, 1] == pytest.approx(np.corrcoef(often.T)[0, 1], rel=1e-12)
    assert np.isnan(c[0, 2])
    assert c[1, 0] == c[0, 1]
