"""Haplotypes that frequencies let expect: exact products, of whom, and what is left out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.haplotype import haplotype
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.population.expected import ExpectedHaplotypes
from saliscope.variants.population.groups import parts_of
from saliscope.variants.population.match import match
from saliscope.variants.population.record import Counts, Population, PopulationVariant
from saliscope.variants.statistics.equilibrium import combinations

# M K R W G L D *
CDS = "ATGAAACGTTGGGGTCTGGACTAA"
TOY = Transcript("T.1", "T", CDS, "GRCh38", "1", 1, ((100, 100 + len(CDS)),))
K2R, K2E, W4R, G5S = Edit(4, 5, "G"), Edit(3, 4, "G"), Edit(9, 10, "C"), Edit(12, 13, "A")
SILENT, NO_START = Edit(8, 9, "A"), Edit(0, 1, "G")

Rows = Mapping[Edit, Mapping[str, Counts]]


def expected(
    rows: Rows, transcript: Transcript = TOY, *, others: tuple[int, int] = (0, 0),
    filtered: tuple[Edit, ...] = (),
) -> ExpectedHaplotypes:  # fmt: skip
    """Return what counts by group let expect; `others` are copies and chromosomes of no group."""
    variants = {}
    for number, (edit, groups) in enumerate(rows.items(), 2):
        allele = transcript.allele(edit)
        known = [c for c in groups.values() if c.ac is not None and c.an is not None]
        total = Counts(
            sum(c.ac or 0 for c in known) + others[0], sum(c.an or 0 for c in known) + others[1]
        )
        variants[allele] = PopulationVariant(
            allele, number, total, groups, filters=("AC0",) if edit in filtered else ()
        )
    names = tuple(dict.fromkeys(g for groups in rows.values() for g in groups))
    return ExpectedHaplotypes(match(Population("x", "x.csv", None, names, variants), transcript))


def table(found: ExpectedHaplotypes, *change: Edit) -> dict[str, dict[str, int]]:
    own = haplotype(found.matched.transcript, change).changes[0] if change else None
    return {one.haplotype.label: dict(one.counts) for one in found.of(own)}


# AFR: 0.25 and 0.5 of 800; NFE: 0.2 and 0 of 1,000.
TWO: Rows = {
    K2R: {"afr": Counts(200, 800), "nfe": Counts(200, 1000)},
    W4R: {"afr": Counts(400, 800), "nfe": Counts(0, 1000)},
}


def test_counts_are_the_products_of_frequencies() -> None:
    found = expected(TWO)
    assert table(found) == {
        "reference": {"afr": 300, "nfe": 800},
        "p.Lys2Arg": {"afr": 100, "nfe": 200},
        "p.Trp4Arg": {"afr": 300, "nfe": 0},
        "p.[Lys2Arg;Trp4Arg]": {"afr": 100, "nfe": 0},
    }
    assert found.of()[0].shares == {"afr": 0.375, "nfe": 0.8}
    assert found.of() is found.of()
    assert "linkage is not known" in found.sentence
    assert "those of at least 1 % of some group hold 100 % (afr) of chromosomes" in found.sentence


def test_a_change_is_put_on_what_the_other_variants_make() -> None:
    found = expected(TWO)
    alone = {"reference": {"afr": 600, "nfe": 800}, "p.Lys2Arg": {"afr": 200, "nfe": 200}}
    assert table(found, W4R) == alone
    # another allele of the same codon: what stands there is left aside too
    assert table(found, Edit(11, 12, "T")) == alone
    assert table(found, G5S) == table(found)


def test_what_is_not_used() -> None:
    more = {
        **TWO,
        SILENT: {"afr": Counts(400, 800), "nfe": Counts(500, 1000)},
        G5S: {"afr": Counts(400, 800), "nfe": Counts(500, 1000)},
        Edit(13, 14, "A"): {"afr": Counts(0, 800), "nfe": Counts(0, 1000)},
    }
    assert table(expected(more, filtered=(G5S,))) == table(expected(TWO))
    assert table(expected(more)) != table(expected(TWO))


def test_alleles_of_one_base_exclude_each_other() -> None:
    three = {
        K2R: {"afr": Counts(25, 100)},
        Edit(4, 5, "T"): {"afr": Counts(50, 100)},
        W4R: {"afr": Counts(50, 100)},
    }
    shares = {one.haplotype.label: one.shares["afr"] for one in expected(three).of()}
    assert shares == {
        "p.Lys2Ile": 0.25, "p.[Lys2Ile;Trp4Arg]": 0.25, "reference": 0.125, "p.Trp4Arg": 0.125,
        "p.Lys2Arg": 0.125, "p.[Lys2Arg;Trp4Arg]": 0.125,
    }  # fmt: skip


def test_two_bases_of_one_codon_act_together() -> None:
    found = expected({K2E: {"afr": Counts(50, 100)}, K2R: {"afr": Counts(50, 100)}})
    assert table(found) == {
        "p.Lys2Arg": {"afr": 25}, "p.Lys2Glu": {"afr": 25}, "p.Lys2Gly": {"afr": 25},
        "reference": {"afr": 25},
    }  # fmt: skip


def test_rare_ones_lower_the_others_and_are_not_listed() -> None:
    found = expected({**TWO, G5S: {"afr": Counts(4, 800), "nfe": Counts(9, 1000)}})
    assert {one.haplotype.label for one in found.of()} == set(table(expected(TWO)))
    assert found.of()[0].shares["nfe"] == pytest.approx(0.8 * 0.991)
    assert "hold 99 % (nfe) to 100 % (afr) of chromosomes" in found.sentence


def test_a_protein_without_a_start_is_no_background() -> None:
    found = expected({NO_START: {"afr": Counts(50, 100)}})
    assert table(found) == {"reference": {"afr": 50}}


def test_a_group_that_was_not_measured_is_left_out_and_named() -> None:
    rows = {
        K2R: {**TWO[K2R], "ami": Counts(1, 10)},
        W4R: {**TWO[W4R], "ami": Counts(None, None)},
    }
    found = expected(rows)
    assert table(found) == table(expected(TWO))
    assert found.unmeasured == ("ami",)
    assert "a common variant was not measured: ami" in found.sentence
    # of a variant that is rare where it was measured, nothing is lost
    rare = {K2R: rows[K2R], G5S: {"afr": Counts(1, 800), "ami": Counts(None, None)}}
    assert set(expected(rare).chromosomes) == {"afr", "nfe", "ami"}


def test_people_of_no_group_are_others_and_without_groups_everyone() -> None:
    found = expected(TWO, others=(40, 80))
    assert found.chromosomes == {"afr": 800, "nfe": 1000, "others": 80}
    assert table(found)["p.[Lys2Arg;Trp4Arg]"] == {"afr": 100, "nfe": 0, "others": 20}
    plain = expected({K2R: {}, W4R: {}}, others=(40, 80))
    assert table(plain)["p.[Lys2Arg;Trp4Arg]"] == {"everyone": 20}


def test_overlapping_groups_are_said() -> None:
    found = expected(TWO, others=(-200, -900))
    assert "groups overlap, so that the sum over groups counts people twice" in found.sentence
    assert "overlap" not in expected(TWO).sentence


def test_where_the_genome_is_not_the_transcript() -> None:
    other = replace(TOY, genome={12: "A"})
    found = expected(TWO, other)
    assert table(found)["p.Gly5Ser"] == {"afr": 300, "nfe": 800}
    assert "reference" not in table(found)


def test_frequencies_without_counts_let_nothing_be_expected() -> None:
    allele = TOY.allele(K2R)
    row = PopulationVariant(allele, 2, Counts(None, None), frequencies={"TOPMED": 0.3})
    one = ExpectedHaplotypes(match(Population("dbSNP", "x", None, (), {allele: row}), TOY))
    assert one.of() == ()
    assert one.chromosomes == {}


def test_parts_never_become_negative() -> None:
    allele = TOY.allele(K2R)
    groups = {"a": Counts(5, 60), "b": Counts(5, 60)}
    assert set(parts_of(PopulationVariant(allele, 2, Counts(7, 100), groups))) == {"a", "b"}
    some = {"a": Counts(5, 60), "b": Counts(None, None)}
    assert parts_of(PopulationVariant(allele, 2, Counts(7, 100), some))["others"] == Counts(2, 40)


SITE = st.integers(1, 3).flatmap(
    lambda n: arrays.arrays(np.float64, (n, 2), elements=st.floats(0, 1 / n))
)


@given(st.lists(SITE, max_size=4), st.floats(0.001, 0.5))
def test_combinations_equal_the_whole_product(sites: list[np.ndarray], least: float) -> None:
    whole = {}
    for picks in itertools.product(*(range(-1, len(site)) for site in sites)):
        share = np.ones(2 if sites else 1)
        for site, pick in zip(sites, picks, strict=True):
            share = share * (site[pick] if pick >= 0 else np.maximum(0, 1 - site.sum(0)))
        whole[tuple((i, p) for i, p in enumerate(picks) if p >= 0)] = share
    found = dict(combinations(sites, least))
    assert set(found) == {key for key, share in whole.items() if share.max() >= least}
    for key, share in found.items():
        np.testing.assert_allclose(share, whole[key], rtol=1e-12)


def test_what_combinations_refuse() -> None:
    for least in (0.0, 1.5):
        with pytest.raises(OptionError, match="above 0 and at most 1"):
            combinations([], least)
    with pytest.raises(InputError, match="not a finite number"):
        combinations([np.array([[np.nan]])], 0.1)
