"""Plain tables of counts, and the sums of groups."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.coding.edit import Allele
from saliscope.variants.population.groups import pooled
from saliscope.variants.population.load import load_population
from saliscope.variants.population.reading import whole
from saliscope.variants.population.record import Counts

HEAD = "chrom,pos,ref,alt,ac,an,hom,ac_EUR,an_EUR,hom_EUR,id,protein"
ROW = "chr6,18130918,T,C,40,1000,1,30,800,1,rs1142345,p.Tyr240Cys"


def _file(folder: Path, text: str) -> Path:
    path = folder / "cohort.csv"
    path.write_text(text)
    return path


def test_a_table(tmp_path: Path) -> None:
    more = "6,18130919,TA,T,3,900,0,,,,,"
    found = load_population(_file(tmp_path, f"{HEAD}\n{ROW}\n{more}\n"), build="hg19")
    assert (found.source, found.build, found.groups) == ("table of counts", "GRCh37", ("EUR",))
    one = found.variants[Allele("6", 18130918, "T", "C")]
    assert (one.total, one.groups["EUR"]) == (Counts(40, 1000, 1), Counts(30, 800, 1))
    assert (one.total.carriers, one.ids, one.protein) == (39, ("rs1142345",), "p.Tyr240Cys")
    two = found.variants[Allele("6", 18130920, "A", "")]
    assert (two.groups["EUR"], two.row) == (Counts(None, None), 3)
    assert found.notes == ()


def test_without_homozygotes_carriers_are_not_known(tmp_path: Path) -> None:
    found = load_population(_file(tmp_path, "POS\tCHROM\tREF\tALT\tAC\tAN\n5\t1\tA\tG\t2\t9\n"))
    one = found.variants[Allele("1", 5, "A", "G")]
    assert (one.total.carriers, found.build) == (None, None)
    assert found.notes == ("no column hom: carriers are not known",)


FAULTS = {
    "semicolons": (f"{HEAD}\n{ROW}".replace(",", ";"), "row 1: cells are separated by semicolons"),
    "header only": (HEAD, "has a header and no rows"),
    "no an": ("chrom,pos,ref,alt,ac\n1,2,A,G,1", "row 1: the column an is missing"),
    "no an of a group": (
        "chrom,pos,ref,alt,ac,an,ac_EUR\n1,2,A,G,1,9,1", "row 1: the column an_EUR is missing",
    ),
    "unknown column": (
        "chrom,pos,ref,alt,ac,an,count_EUR\n1,2,A,G,1,9,1", "the column 'count_EUR' is not known",
    ),
    "column twice": ("chrom,pos,ref,alt,ac,an,AC\n1,2,A,G,1,9,1", "'AC' stands there twice"),
    "text": (f"{HEAD}\n{ROW}".replace(",40,", ",many,"), "row 2: 'ac' of total is 'many'"),
    "blank": (f"{HEAD}\n{ROW}".replace(",40,", ",,"), "row 2: ac or an is blank"),
    "more than total": (f"{HEAD}\n{ROW}".replace(",30,", ",41,"), "group EUR has more than the"),
    "more than called": (f"{HEAD}\n{ROW}".replace(",40,", ",1040,"), "among only 1000 chromosomes"),
    "allele": (f"{HEAD}\n{ROW}".replace("T,C", "T,-"), "row 2: '-' is not an allele"),
    "position": (f"{HEAD}\n{ROW}".replace("18130918", "0"), "row 2: the position is '0'"),
    "twice": (f"{HEAD}\n{ROW}\n{ROW}", "row 3: 6-18130918-T-C stands in row 2 already"),
    "short row": (f"{HEAD}\n{ROW[:-30]}", "row 2: "),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(fault: str, tmp_path: Path) -> None:
    text, told = FAULTS[fault]
    path = _file(tmp_path, text)
    with pytest.raises(InputError) as caught:
        load_population(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert told in message
    assert "\n" not in message


def test_an_unknown_build(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="build 'mine' is not known"):
        load_population(_file(tmp_path, f"{HEAD}\n{ROW}"), build="mine")


_counts = st.tuples(st.integers(0, 99), st.integers(100, 999), st.integers(0, 40)).map(
    lambda t: Counts(t[0], t[1], min(t[2], t[0] // 2))
)
_maybe = st.one_of(_counts, st.just(Counts(None, None)))


@given(st.lists(_maybe, max_size=6))
def test_groups_together_are_the_people_measured(parts: list[Counts]) -> None:
    known = [part for part in parts if part.an is not None]
    found = pooled(parts)
    if not known:
        assert found == Counts(None, None)
        return
    assert found.ac == sum(part.ac or 0 for part in known)
    assert found.an == sum(part.an or 0 for part in known)
    assert found.carriers == sum(part.carriers or 0 for part in known)


@given(st.integers(0, 10**9))
def test_counts_as_programs_write_them(number: int) -> None:
    assert whole(str(number)) == whole(f" {number}.0 ") == number


@pytest.mark.parametrize("text", ["few", "1.5", "1,000", "nan", "0x1f", "--"])
def test_what_is_no_count(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        whole(text)
