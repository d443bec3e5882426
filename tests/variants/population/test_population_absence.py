"""What is said of an allele that a population lists, or does not."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.coding.edit import Allele
from saliscope.variants.population.absence import (
    panel_numbers,
    presence,
    read_allele_numbers,
    upper_bound,
)
from saliscope.variants.population.record import Counts, Population, PopulationVariant

SEEN = Allele("6", 100, "A", "G")
NOT_SEEN_IN_NFE = Allele("6", 130, "C", "T")
FAILED = Allele("6", 140, "G", "A")
NOBODY = Allele("6", 149, "G", "A")
INSERTED = Allele("6", 160, "", "CAG")


def _population() -> Population:
    rows = [
        PopulationVariant(SEEN, 2, Counts(5, 5000, 1), {"nfe": Counts(5, 3000, 1)}),
        PopulationVariant(NOT_SEEN_IN_NFE, 3, Counts(1, 4000, 0), {"nfe": Counts(0, 2000, 0)}),
        PopulationVariant(
            FAILED, 4, Counts(3, 900, 0), {"nfe": Counts(None, None)}, filters=("AC0", "RF")
        ),
        PopulationVariant(NOBODY, 5, Counts(0, 0, 0), {"nfe": Counts(0, 0)}),
        PopulationVariant(INSERTED, 6, Counts(1, 3000, 0), {"nfe": Counts(None, None)}),
    ]
    return Population(
        "gnomAD v4.1.0 browser export", "x.csv", "GRCh38", ("nfe",),
        {row.allele: row for row in rows}, name="gnomAD",
    )  # fmt: skip


def test_observed() -> None:
    found = presence(_population(), SEEN)
    assert (found.state, found.an, found.frequency) == ("observed", 5000, 0.001)
    assert found.sentence == (
        "seen in gnomAD v4.1.0 browser export: 5 of 5,000 chromosomes (0.001), carried by 4 people"
    )
    own = presence(_population(), SEEN, group="nfe")
    assert own.sentence.startswith("seen in gnomAD v4.1.0 browser export, gnomAD nfe: 5 of 3,000")


def test_absent_by_its_own_row() -> None:
    found = presence(_population(), NOT_SEEN_IN_NFE, group="nfe")
    assert (found.state, found.an, found.basis) == ("absent", 2000, "row")
    assert found.upper == pytest.approx(1 - 0.05 ** (1 / 2000), rel=1e-12)
    assert "not seen in" in found.sentence
    assert "among 2,000 chromosomes: its frequency is below 0.0015" in found.sentence


def test_absent_by_all_sites_or_a_panel() -> None:
    asked = Allele("6", 120, "AC", "GT")
    found = presence(_population(), asked, called=_sites)
    assert (found.state, found.an, found.basis) == ("absent", 4008, "all sites")
    assert "interpolated" not in found.sentence
    panel = panel_numbers("6", 1, 1000, 5008)
    found = presence(_population(), Allele("6", 900, "A", "G"), called=panel)
    assert (found.state, found.an) == ("absent", 5008)
    assert found.upper == pytest.approx(3 / 5008, rel=2e-3)
    # half of the allele lies outside of the region
    outside = presence(_population(), Allele("6", 1000, "AC", "GT"), called=panel)
    assert outside.state == "unknown"


def _sites(chrom: str, position: int) -> int | None:
    return {("6", 120): 5008, ("6", 121): 4008, ("6", 125): 0}.get((chrom, position))


def test_not_callable() -> None:
    found = presence(_population(), FAILED)
    assert (found.state, found.upper) == ("not callable", None)
    assert found.sentence == (
        "cannot be called in gnomAD v4.1.0 browser export: its call did not pass AC0, RF "
        "(3 copies were counted)"
    )
    assert presence(_population(), NOBODY).state == "not callable"
    assert presence(_population(), Allele("6", 125, "A", "C"), called=_sites).an == 0


def test_interpolated_by_the_median_of_near_sites() -> None:
    # within 50 bases of 115 lie 100, 130, 140, 149 and 160: 5000, 4000, 900, 0, 3000
    found = presence(_population(), Allele("6", 115, "A", "C"))
    assert (found.state, found.an, found.basis) == ("absent", 3000, "interpolated")
    assert "interpolated: median of the sites listed within 50 bases" in found.sentence
    # 50 away still counts, 51 does not
    assert presence(_population(), Allele("6", 50, "A", "C")).an == 5000
    assert presence(_population(), Allele("6", 49, "A", "C")).state == "unknown"
    assert presence(_population(), Allele("7", 100, "A", "C")).state == "unknown"


def test_not_measured_is_unknown_and_not_absent() -> None:
    found = presence(_population(), INSERTED, group="nfe")
    assert (found.state, found.reason) == ("unknown", "the group was not measured")


def test_the_same_insertion_written_elsewhere_is_not_absent() -> None:
    found = presence(_population(), Allele("6", 162, "", "GCA"))
    assert found.state == "unknown"
    assert "6-160---CAG is listed, which may be the same change" in found.sentence
    assert presence(_population(), Allele("6", 162, "", "GAC")).state == "absent"
    assert presence(_population(), Allele("6", 162, "GCA", "")).state == "absent"


def test_frequencies_are_not_counts() -> None:
    row = PopulationVariant(SEEN, 2, Counts(None, None), frequencies={"TOPMED": 0.061, "x": 0.01})
    dbsnp = Population("dbSNP", "x", "GRCh37", (), {SEEN: row})
    found = presence(dbsnp, SEEN)
    assert (found.state, found.frequency, found.an) == ("observed", 0.061, None)
    assert found.sentence == "listed in dbSNP (TOPMED) at 0.061; carriers are not known"
    missing = presence(dbsnp, Allele("6", 101, "A", "C"))
    assert missing.state == "unknown"
    assert "frequencies without counts" in missing.sentence


@given(st.integers(1, 3_000_000))
def test_the_bound_is_the_frequency_at_which_missing_it_has_5_percent(an: int) -> None:
    bound = upper_bound(an)
    missing = math.exp(an * math.log1p(-bound))  # the chance to see no copy among all
    assert missing == pytest.approx(0.05, rel=1e-7)
    assert bound <= 3 / an


def test_bounds_and_groups_that_cannot_be() -> None:
    assert upper_bound(1) == pytest.approx(0.95)
    assert upper_bound(10) == pytest.approx(0.2588655508, rel=1e-9)
    with pytest.raises(OptionError, match="give at least 1"):
        upper_bound(0)
    with pytest.raises(OptionError, match="group 'eur' is not in gnomAD"):
        presence(_population(), SEEN, group="eur")


def test_allele_numbers_of_all_sites(tmp_path: Path) -> None:
    path = tmp_path / "an.tsv"
    path.write_text("locus\tAN\tmore\nchr6:120\t5008\tx\nchr6:121\t4008\tx\n")
    called = read_allele_numbers(path)
    assert (called("6", 120), called("6", 121), called("6", 122)) == (5008, 4008, None)
    path.write_text("chrom,pos,an_nfe\nX,5,7\nX,6,\n")
    called = read_allele_numbers(path, column="AN_nfe", keep=[Allele("X", 5, "A", "G")])
    assert (called("X", 5), called("X", 6)) == (7, None)
    path.write_text("place\tAN\nx\t1\n")
    with pytest.raises(InputError, match="row 1: needs the columns locus"):
        read_allele_numbers(path)
    path.write_text("locus\tAN\nchr6;120\t5\n")
    with pytest.raises(InputError, match="row 2: place or AN cannot be read"):
        read_allele_numbers(path)


def test_words() -> None:
    population = _population()
    asked = [*population.variants, Allele("6", 115, "A", "C"), Allele("9", 1, "A", "C")]
    for allele in asked:
        for group in (None, "nfe"):
            said = presence(population, allele, group=group).sentence.lower()
            assert "novel" not in said
            if "not seen" in said:
                assert "chromosomes" in said
