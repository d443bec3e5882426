"""No sentence of these statistics claims more than a model can say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest

from saliscope.variants.statistics.agreement import CLASSES, saliency_check
from saliscope.variants.statistics.backgrounds import Background, compare_groups, spread
from saliscope.variants.statistics.clustering import site_clustering
from saliscope.variants.statistics.cohort import associate_tables, correct, synonymous_control
from saliscope.variants.statistics.linkage import correlate_with_linkage, linkage
from saliscope.variants.statistics.matched_null import Pairs, deciles_of, rank_pairs
from saliscope.variants.statistics.noise import read_backgrounds
from saliscope.variants.statistics.reference import stand, standing_sentence

REFUSED = re.compile(
    r"likely real|\bproves?\b|\bcauses?\b|pathogenic effect|(?<!model )epistasis|\bnovel\b"
    r"|(?<![\d.])[+-]?0\.0 sigma|\bnan\b|\binf\b|\bNone\b",
    re.IGNORECASE,
)


def _sentences() -> Iterator[str]:
    sets = (np.linspace(-3, 3, 61), np.zeros(9), np.r_[np.zeros(5), np.ones(5)], np.array([1.0]))
    for members, value in product(sets, (-9.0, -0.01, 0.0, 0.02, 1.0, 9.0)):
        s = stand(value, members)
        yield standing_sentence(s, s)
        yield stand(abs(value), np.abs(members), has_sign=False).sigma_text()
    for gradient, last_out in product((-9.0, 0.0, 9.0), repeat=2):
        yield saliency_check(gradient, last_out, [1.0, 2.0], [1.0, 2.0]).sentence
    for n in range(9):
        yield spread([Background(f"b{i}", i / 3, {"A": i + 1}) for i in range(n)]).text
    for shift in (0.0, 1.0):
        d = compare_groups([shift, 0.0, 2.0], list("abc"), list("XYY"), "X", "Y")
        assert d is not None
        yield d.text
    for shifts, q in product(([], [1.0], [1.0, 1.0], [1.0, 2.0]), (None, 1e-9, 0.01, 1.0)):
        yield read_backgrounds(shifts, 1e-6, q).sentence
    for n, e in product((5, 300), (0.0, 1e-9, 4.0)):
        null = Pairs(np.zeros(n), np.zeros(n), np.full(n, 9), np.linspace(-1, 1, n))
        one = Pairs(np.zeros(1), np.zeros(1), np.array([9]), np.array([e]))
        yield rank_pairs(one, null, deciles_of([0.0, 1.0]))[0].text
    yield linkage(0, 0, 5, 10).text
    yield linkage(1, 2, 5, 10).text
    for n in (2, 6, 8):
        x = np.fromfunction(lambda i, j: 1 / (1 + abs(i - j)), (n, n))
        yield correlate_with_linkage(x, x).text
    for sites in ([1], [5], [1, 2, 3]):
        yield site_clustering(np.arange(9.0), sites, 1).text
    tables = (
        [[3, 1], [1, 3]], [[0, 5], [0, 6]], [[5, 0], [0, 5]], [[0, 5], [5, 0]],
        [[900, 100], [100, 900]],
    )  # fmt: skip
    for model in ("carrier", "recessive", "allelic"):
        for one in tables:
            a = correct([associate_tables("v", {"s1": one, "s2": tables[1]}, model)])
            yield a[0].text
            yield synonymous_control(a).text


def test_there_are_many_sentences_of_one_line():
    sentences = list(_sentences())
    assert len(sentences) > 100
    assert all(s and "\n" not in s for s in sentences)


@pytest.mark.parametrize("sentence", sorted(set(_sentences())))
def test_no_sentence_claims_too_much(sentence):
    assert not REFUSED.search(sentence), sentence


def test_only_silent_in_both_is_suspicious():
    assert [kind for kind, words in CLASSES.items() if "suspicious" in words] == ["silent in both"]


def test_the_pattern_finds_what_it_must():
    for bad in (
        "likely real",
        "this proves",
        "causes harm",
        "epistasis found",
        "novel",
        "0.0 sigma",
    ):
        assert REFUSED.search(bad)
    for good in ("10.0 sigma", "-1.2 sigma", "cases", "model epistasis"):
        assert not REFUSED.search(good)
