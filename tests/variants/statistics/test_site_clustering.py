"""Saliency around variant sites against all circular shifts of the sites."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.statistics.clustering import codon_of, site_clustering


def test_bases_to_codons():
    assert [codon_of(b) for b in (1, 2, 3, 4, 460, 719)] == [1, 1, 1, 2, 154, 240]
    with pytest.raises(InputError, match="base 0"):
        codon_of(0)


def test_by_hand():
    c = site_clustering([1, 5, 5, 1, 0, 0, 0, 0], [2, 3], window=0)
    # Shifts of the two neighbors: means 5, 3, .5, 0, 0, 0, .5, 3.
    assert (c.near, c.elsewhere, c.p, c.shifts) == (5.0, pytest.approx(2 / 6), 1 / 8, 7)
    c = site_clustering([1, 5, 5, 1, 0, 0, 0, 0], [1, 1, 3], window=0)
    assert (c.near, c.sites, c.p) == (3.0, 2, 2 / 8)  # 1 + 5, 5 + 1, 5, 1, 0, 0, 1, 5
    assert c.text == (
        "saliency within 0 codons of 2 variant sites averages 3, elsewhere 1; not clearly higher "
        "than at other placements of the same sites (p 0.25, 7 circular shifts)"
    )


@given(st.lists(st.floats(0, 100), min_size=2, max_size=40), st.integers(0, 4), st.data())
def test_equals_a_slow_reference(values, window, data):
    n = len(values)
    sites = data.draw(st.lists(st.integers(1, n), min_size=1, max_size=5))

    def statistic(shift: int) -> float:
        near = {(s - 1 + shift + k) % n for s in sites for k in range(-window, window + 1)}
        return sum(values[i] for i in sorted(near)) / len(near)

    null = [statistic(k) for k in range(1, n)]
    c = site_clustering(values, sites, window)
    assert c.near == pytest.approx(statistic(0), rel=1e-9, abs=1e-12)
    slack = 1e-9 * max(values)
    most = sum(x >= c.near - slack for x in null)
    least = sum(x >= c.near + slack for x in null)
    assert (1 + least) / n <= c.p <= (1 + most) / n


@given(st.lists(st.floats(0, 100), min_size=5, max_size=40), st.integers(0, 39))
def test_turning_the_ring_changes_nothing(values, turn):
    one = site_clustering(values, [1, 3], 1)
    turned = np.roll(values, turn)
    other = site_clustering(turned, [turn % len(values) + 1, (turn + 2) % len(values) + 1], 1)
    assert other.near == pytest.approx(one.near, rel=1e-9, abs=1e-12)
    assert abs(other.p - one.p) <= 1e-9


def test_planted_sites_are_found_and_random_ones_keep_the_level():
    rng = np.random.default_rng(0)
    smooth = np.convolve(rng.gamma(1, 1, 400), np.ones(9) / 9, "same")
    p = [site_clustering(smooth, rng.integers(1, 401, 6), 3).p for _ in range(300)]
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)
    sites = [40, 150, 310]
    smooth[np.add.outer(np.array(sites) - 1, [-1, 0, 1]).ravel()] += 3
    found = site_clustering(smooth, sites, 2)
    assert found.p <= 0.01
    assert "higher than at other placements" in found.text


def test_a_long_protein_is_computed_in_parts():
    n = 34_350
    values = np.random.default_rng(0).random(n)
    c = site_clustering(values, range(1, n, 300), 3)
    assert c.shifts == n - 1
    assert 0.001 < c.p <= 1


def test_windows_over_everything():
    c = site_clustering([1, 2, 3], [2], 5)
    assert (c.near, c.elsewhere, c.p) == (2.0, 2.0, 1.0)


@pytest.mark.parametrize(
    ("values", "sites", "reason"),
    [
        ([1.0], [1], "two codons"),
        ([1.0, -1.0], [1], "give magnitudes"),
        ([1.0, 2.0], [], "sites none"),
        ([1.0, 2.0], [0], r"sites \[0\]"),
        ([1.0, 2.0], [3], "codons from 1 to 2"),
        ([1.0, float("nan")], [1], "not a finite number"),
    ],
)
def test_refusals(values, sites, reason):
    with pytest.raises(InputError, match=reason):
        site_clustering(values, sites)


def test_a_negative_window_is_refused():
    with pytest.raises(OptionError, match="window=-1"):
        site_clustering([1.0, 2.0], [1], -1)
