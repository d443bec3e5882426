"""The nulls equal slow references; shuffled sites are significant one time in twenty."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import combine_pvalues

from saliscope.core.units import FloatArray
from saliscope.sites.nulls import auroc, enrichment, matched_masks, matched_p, shift_p


def slow_shift_p(values: FloatArray, mask: np.ndarray) -> float:
    observed = sum(v for v, m in zip(values, mask, strict=True) if m)
    larger = equal = 0
    for shift in range(len(values)):
        moved = np.roll(mask, shift)
        total = sum(v for v, m in zip(values, moved, strict=True) if m)
        larger += total > observed + 1e-9
        equal += abs(total - observed) <= 1e-9
    return (larger + equal / 2) / len(values)


@pytest.mark.parametrize("length", [7, 300])
def test_shifts_equal_a_slow_loop(length: int) -> None:
    rng = np.random.default_rng(length)
    values = rng.integers(0, 4, (3, length)).astype(float)  # with ties
    mask = rng.random(length) < 0.3
    mask[:2] = True, False
    expected = [slow_shift_p(row, mask) for row in values]
    assert shift_p(values, mask) == pytest.approx(expected, abs=1e-12)


def test_shifts_of_a_flat_map_are_one_half() -> None:
    mask = np.array([True, False, False, True])
    assert shift_p(np.full((1, 4), 0.1), mask).tolist() == [0.5]


def test_auroc_and_enrichment_by_hand() -> None:
    mask = np.array([True, False, True, False])
    values = np.array([[4.0, 1.0, 2.0, 3.0], [1.0, 1.0, 1.0, 1.0]])
    assert auroc(values, mask).tolist() == [0.75, 0.5]
    assert enrichment(values, mask).tolist() == [1.5, 1.0]


def test_matched_sites_keep_the_residues() -> None:
    mask = np.array([True, False, False, True, False, False])
    letters = "CCCHHA"
    made = matched_masks(mask, letters, 400, np.random.default_rng(0))
    assert made is not None
    assert (made[:3].sum(0) == 1).all()
    assert (made[3:5].sum(0) == 1).all()
    assert not made[5].any()
    assert made[:3].mean(1) == pytest.approx([1 / 3] * 3, abs=0.08)


def test_where_all_residues_of_a_type_are_sites_there_is_no_p() -> None:
    mask = np.array([True, True, False])
    rng = np.random.default_rng(0)
    assert np.isnan(matched_p(np.ones((2, 3)), mask, "CCA", draws=9, rng=rng)).all()


def smooth(rng: np.random.Generator, length: int) -> FloatArray:
    """Return values that neighbors share, as attention along a chain does."""
    raw = rng.gamma(0.6, size=length + 8)
    return np.convolve(raw, np.ones(9) / 9, "valid")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shuffled_annotation_is_significant_one_time_in_twenty(seed: int) -> None:
    rng = np.random.default_rng(seed)
    letters = [rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), 100) for _ in range(3)]
    values = [smooth(rng, 100)[None] for _ in range(3)]
    found: dict[str, list[float]] = {"shift": [], "matched": [], "combined": []}
    for _ in range(1000):
        each = []
        for own, kinds in zip(values, letters, strict=True):
            mask = np.zeros(100, dtype=bool)
            mask[rng.choice(100, 6, replace=False)] = True
            each.append(float(shift_p(own, mask)[0]))
            if len(each) == 1:
                found["matched"].append(
                    float(matched_p(own, mask, "".join(kinds), draws=199, rng=rng)[0])
                )
        found["shift"].append(each[0])
        found["combined"].append(float(combine_pvalues(each, "stouffer").pvalue))
    for name, p in found.items():
        rate = float((np.array(p) <= 0.05).mean())
        assert 0.035 <= rate <= 0.065, f"{name}: {rate}"
        assert np.mean(p) == pytest.approx(0.5, abs=0.035), name
