"""Exports of the gnomAD browser: every header, every real file, every fault by its name."""

from __future__ import annotations

import csv
import functools
import gzip
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.coding.edit import Allele
from saliscope.variants.population.gnomad_csv import read_gnomad_csv
from saliscope.variants.population.load import load_population
from saliscope.variants.population.record import Counts
from variants.population.population_data import GNOMAD, needs_data
from variants.population.synthetic_exports import (
    BAD_F,
    ERAS,
    KINDS,
    names_of,
    row_of,
    text_of,
    write,
)

loaded = functools.cache(load_population)
ALLELE = Allele("17", 43045629, "A", "G")
REAL = {
    "v2.1.1_ACE2_ENSG00000130234_2020_11_05.csv": (243, "gnomAD v2.1.1", "GRCh37", 8),
    "v2.1.1_BRCA1_unnamed_export.csv": (2267, "gnomAD v2", "GRCh37", 8),
    "v2.1.1_HMBS_ENSG00000256269_2023_07_04.csv": (775, "gnomAD v2.1.1", "GRCh37", 8),
    "v2.1.1_PRNP_ENSG00000171867_2020_05_25.csv": (251, "gnomAD v2.1.1", "GRCh37", 8),
    "v2.1.1_VHL_ENSG00000134086_2019_10_04.csv": (385, "gnomAD v2.1.1", "GRCh37", 8),
    "v3.1_ACE2_ENSG00000130234_2021_02_07.csv": (183, "gnomAD v3.1", "GRCh38", 10),
    "v4.0.0_BRCA1_ENSG00000012048_2024_03_04.csv": (5795, "gnomAD v4.0.0", "GRCh38", 10),
    "v4.1.0_IAPP_ENSG00000121351.csv": (209, "gnomAD v4.1.0", "GRCh38", 10),
}


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_real_files_load_and_their_groups_add_up(name: str) -> None:
    rows, source, build, groups = REAL[name]
    found = loaded(GNOMAD / name)
    assert len(found.variants) == rows
    assert found.source == f"{source} browser export"
    assert (found.build, len(found.groups)) == (build, groups)
    assert all(len(group) == 3 or group == "remaining" for group in found.groups)
    with (GNOMAD / name).open(newline="") as lines:
        raw = list(csv.DictReader(lines))
    for variant, row in zip(found.variants.values(), raw, strict=True):
        assert variant.total.ac == int(row["Allele Count"])
        for field in ("ac", "an", "homozygotes"):
            parts = [getattr(counts, field) for counts in variant.groups.values()]
            assert sum(p for p in parts if p is not None) == getattr(variant.total, field)


@needs_data
def test_a_blank_group_is_not_measured_rather_than_zero() -> None:
    found = loaded(GNOMAD / "v4.0.0_BRCA1_ENSG00000012048_2024_03_04.csv")
    blank = [v for v in found.variants.values() if v.groups["ami"] == Counts(None, None)]
    assert len(blank) == 4073
    assert blank[0].groups["ami"].frequency is None
    assert "ami: not measured in 4073 of 5795 rows; not zero" in found.notes


@needs_data
def test_a_known_row_of_iapp() -> None:
    found = loaded(GNOMAD / "v4.1.0_IAPP_ENSG00000121351.csv")
    ser53gly = found.variants[Allele("12", 21378313, "A", "G")]
    assert ser53gly.total == Counts(383, 1614220, 3, 0)
    assert ser53gly.total.carriers == 380
    assert ser53gly.groups["eas"] == Counts(312, 44888, 2, 0)
    assert ser53gly.ids == ("rs1800203",)
    assert (ser53gly.transcript, ser53gly.coding) == ("ENST00000240652.8", "c.157A>G")
    # passed in the genomes; what the joint call failed is told, and does not take the call away
    gly57arg = found.variants[Allele("12", 21378325, "G", "C")]
    assert (gly57arg.filters, gly57arg.flags) == ((), ("joint: AC0",))


@needs_data
def test_xx_and_xy_apart_on_x() -> None:
    found = loaded(GNOMAD / "v3.1_ACE2_ENSG00000130234_2021_02_07.csv")
    one = found.variants[Allele("X", 15564175, "T", "C")]
    assert one.sexes == {"XX": Counts(1220, None, 19), "XY": Counts(462, None, 0, 462)}
    assert one.sexes["XX"].carriers == 1201
    assert one.total.carriers == 1201 + 462


@pytest.mark.parametrize("era", ERAS)
def test_every_header_reads_the_same(era: str, tmp_path: Path) -> None:
    found = load_population(write(tmp_path, era))
    version = ERAS[era][0].replace("_", " ")
    assert found.source == f"gnomAD v{version} browser export"
    assert found.build == ("GRCh37" if version.startswith("2") else "GRCh38")
    one = found.variants[ALLELE]
    assert one.groups["afr"] == Counts(3, 800, 1, 0)
    assert one.groups["amr"] == Counts(1, 600, 0, 0)
    assert one.groups["nfe"] == Counts(5, 5000, 2, 0)
    assert one.groups["fin"] == Counts(2, 400, 0, 0)
    assert ("ami" in one.groups) == (not version.startswith("2"))
    assert one.ids == ("rs1",)
    assert (one.protein, one.coding, one.consequence) == (
        "p.Tyr1863His", "c.5587T>C", "missense_variant",
    )  # fmt: skip
    assert one.transcript == ("ENST00000357654.9" if era[0] not in "ABCD" else "")
    kept = repr(one)
    for score in ("29.9", "0.917", "0.4321", "0.1234", "7.77", "0.0271", "0.9871"):
        assert score not in kept


def test_version_from_the_header_where_the_name_is_lost(tmp_path: Path) -> None:
    expected = {"A_v2": "v2", "E_v3.1.2": "v3 or v4", "F_v4": "v4", "I_v4.1": "v4"}
    for era, version in expected.items():
        path = tmp_path / f"synthetic_renamed_{era}.csv"
        path.write_text(text_of(names_of(ERAS[era]), [row_of(ERAS[era])]))
        assert load_population(path).source == f"gnomAD {version} browser export"


def test_build_is_asked_for_where_nothing_tells(tmp_path: Path) -> None:
    row = row_of(ERAS["A_v2"])
    row["Allele Number"], row["Allele Number Other"] = "1008000", "1000000"
    path = tmp_path / "synthetic_no_signs.csv"
    path.write_text(text_of(names_of(ERAS["A_v2"]), [row]))
    assert _error(path).endswith("give build='GRCh38'")
    assert read_gnomad_csv(path, build="GRCh38").source == "gnomAD browser export"


def _error(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_population(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


def test_african_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "synthetic_gnomAD_v2.1.1_ENSG00000012048_2024_01_22.csv"
    path.write_text(text_of(names_of(BAD_F), [row_of(BAD_F)]))
    told = _error(path)
    assert "African/African American columns stand there twice" in told
    assert "Admixed American ones are missing" in told
    assert "November 2023 to February 2024" in told
    # libraries number the second one
    names = names_of(BAD_F)
    again = [f"{n}.1" if n in names[:i] else n for i, n in enumerate(names)]
    cells = text_of(names, [row_of(BAD_F)]).splitlines()[1]
    path.write_text(",".join(again) + "\n" + cells + "\n")
    assert "Admixed American ones are missing" in _error(path)


def test_blank_remaining_of_v2_is_told(tmp_path: Path) -> None:
    era = ERAS["now_v2"]
    row = row_of(era)
    for kind in KINDS:
        row[f"{kind} Remaining"] = ""
    found = load_population(write(tmp_path, "now_v2", text=text_of(names_of(era), [row])))
    assert found.variants[ALLELE].groups["remaining"] == Counts(None, None)
    assert any("group remaining is blank in every row" in note for note in found.notes)


def test_hemizygotes_on_an_autosome_are_not_kept(tmp_path: Path) -> None:
    era = ERAS["A_v2"]
    row = row_of(era)
    row["Hemizygote Count European (non-Finnish)"] = "2"
    found = load_population(write(tmp_path, "A_v2", text=text_of(names_of(era), [row])))
    assert found.variants[ALLELE].groups["nfe"].hemizygotes is None
    assert any("hemizygotes on diploid chromosomes in 1 rows" in note for note in found.notes)


def test_headings_rewritten_by_r(tmp_path: Path) -> None:
    import re

    era = ERAS["H_v4.1"]
    blank = ("Amish",)
    names = names_of(era)
    lines = text_of(names, [row_of(era, blank=blank)], end="\n").splitlines()
    header = ",".join(f'"{re.sub("[^A-Za-z0-9]", ".", name)}"' for name in names)
    body = re.sub(r",(?=,|$)", ",NA", lines[1])
    found = load_population(write(tmp_path, "H_v4.1", text=f"{header}\n{body}\n"))
    assert "Filters...exomes" in header
    assert found.variants[ALLELE].groups["nfe"] == Counts(5, 5000, 2, 0)
    assert found.variants[ALLELE].groups["ami"] == Counts(None, None)
    assert any("rewritten by R" in note for note in found.notes)


@given(st.data())
def test_shuffled_columns_read_the_same(data: st.DataObject) -> None:
    era = ERAS[data.draw(st.sampled_from(sorted(ERAS)))]
    groups = era[2].split("|")
    rows = []
    for index in range(data.draw(st.integers(1, 4))):
        row = row_of(era, position=1000 + index)
        total = [0, 0, 0, 0]
        for group in groups:
            measured = group != "Amish" or data.draw(st.booleans())
            an = data.draw(st.integers(0, 2000))
            ac = data.draw(st.integers(0, an))
            hom = data.draw(st.integers(0, ac // 2))
            for i, value in enumerate((ac, an, hom, 0)):
                row[f"{KINDS[i]} {group}"] = str(value) if measured else ""
                total[i] += value * measured
        row |= dict(zip(KINDS, map(str, total), strict=True))
        rows.append(row)
    names = names_of(era)
    shuffled = data.draw(st.permutations(names))
    mark = data.draw(st.sampled_from(["", "\ufeff"]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"synthetic_gnomAD_v{era[0]}_x.csv"
        path.write_text(text_of(names, rows), newline="")
        plain = load_population(path)
        path.write_text(mark + text_of(shuffled, rows, end="\n"), encoding="utf-8", newline="")
        again = load_population(path)
    assert set(plain.groups) == set(again.groups)
    for allele, variant in plain.variants.items():
        other = again.variants[allele]
        assert (variant.total, variant.groups) == (other.total, dict(other.groups))
        for group, heading in zip(plain.groups, groups, strict=True):
            cell = rows[variant.row - 2][f"Allele Count {heading}"]
            assert variant.groups[group].ac == (int(cell) if cell else None)


NAMES = names_of(ERAS["I_v4.1"])
ROW = row_of(ERAS["I_v4.1"])
GOOD = text_of(NAMES, [ROW])


def _with(**cells: str) -> str:
    return text_of(NAMES, [ROW | {name.replace("_", " "): v for name, v in cells.items()}])


TWICE = text_of([*NAMES, NAMES[-1]], [ROW])
BROKEN = {
    "empty": (b"", ": is empty"),
    "blank": (b"\n\n", ": is empty"),
    "header only": (GOOD.split("\r\n")[0].encode(), "has a header and no rows"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS"),
    "utf-16": (GOOD.encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
    "utf-16 without mark": (GOOD.encode("utf-16-le"), "row 1: holds null bytes"),
    "latin-1": (GOOD.replace("rs1", "é").encode("latin-1"), "row 2: is not UTF-8"),
    "workbook": (b"PK\x03\x04rest", "is compressed (a zip archive or a workbook)"),
    "cut gzip": (gzip.compress(GOOD.encode(), mtime=0)[:-9], "is cut off or damaged"),
    "semicolons": (GOOD.replace(",", ";").encode(), "row 1: cells are separated by semicolons"),
    "tabs": (GOOD.replace(",", "\t").encode(), "row 1: cells are separated by tabs"),
    "other table": (b"gene,score\nA,1\n", "row 1: is not an export of the gnomAD browser"),
    "html": (b"<!DOCTYPE html>\n<p>", "row 1: is not an export of the gnomAD browser"),
    "text in a count": (_with(Allele_Count_Amish="few"), "row 2: 'Allele Count' of ami is 'few'"),
    "half a person": (_with(Allele_Count_Amish="0.5"), "row 2: 'Allele Count' of ami is '0.5'"),
    "infinite": (_with(Allele_Count_Amish="1e999"), "row 2: 'Allele Count' of ami is '1e999'"),
    "negative": (_with(Allele_Count="-1"), "row 2: the allele count of total is negative (-1)"),
    "more than all": (
        _with(Allele_Count_Amish="91"), "row 2: ami has 91 copies of the allele among only 90",
    ),
    "homozygotes": (_with(Homozygote_Count_Amish="1"), "row 2: ami has 1 homozygotes with only 0"),
    "sum of counts": (
        _with(Allele_Count_Amish="1"), "row 2: the allele counts of the groups add up to 14, the",
    ),
    "sum of numbers": (
        _with(Allele_Number_Amish="91"), "row 2: the allele numbers of the groups add up to",
    ),
    "no total": (_with(Allele_Number=""), "row 2: 'Allele Count' or 'Allele Number' is blank"),
    "position": (_with(Position="1e7"), "row 2: the position is '1e7'"),
    "allele": (_with(Alternate="<DEL>"), "row 2: '<DEL>' is not an allele"),
    "twice": (text_of(NAMES, [ROW, ROW]), "row 3: 17-43045629-A-G stands in row 2 already"),
    "group twice": (TWICE, "row 1: the ancestry group 'Remaining' stands there twice"),
    "column twice": (
        text_of([*NAMES, "Position"], [ROW]), "row 1: the column 'Position' stands there twice",
    ),
    "no numbers of a group": (
        text_of([n for n in NAMES if n != "Allele Number Amish"], [ROW]),
        "row 1: the column 'Allele Number' of ami is missing",
    ),
    "no allele": (
        text_of([n for n in NAMES if n != "Alternate"], [ROW]), "the column 'Alternate' is missing",
    ),
    "cut row": (GOOD[:-40], "row 2: "),
    "bad quotes": (
        GOOD.replace("rs1", '"a ""b" c "d""'), "badly escaped; a known fault of the browser",
    ),
    "open quote": (GOOD.replace(",rs1,", ',"rs1,'), "badly escaped; a known fault of the browser"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_files_get_one_line(fault: str, tmp_path: Path) -> None:
    raw, told = BROKEN[fault]
    path = tmp_path / "gnomAD_v4.1.0_ENSG00000012048.csv"
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    assert told in _error(path)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    assert _error(tmp_path / "none.csv") == ": there is no such file"
    assert _error(tmp_path) == ": is a folder; give a file"


def test_a_name_or_a_build_that_disagrees(tmp_path: Path) -> None:
    path = tmp_path / "gnomAD_v2.1.1_ENSG00000012048.csv"
    path.write_text(GOOD, newline="")
    assert "is called gnomAD v2 and has the columns of v4" in _error(path)
    path = path.rename(tmp_path / "gnomAD_v4.1.0_ENSG00000012048.csv")
    with pytest.raises(InputError, match="is on GRCh38, not GRCh37"):
        load_population(path, build="GRCh37")


def test_gzip_and_region_and_groups(tmp_path: Path) -> None:
    path = tmp_path / "gnomAD_v4.1.0_ENSG00000012048.csv.gz"
    rows = [ROW, *(row_of(ERAS["I_v4.1"], position=place) for place in (500, 60_000_000))]
    path.write_bytes(gzip.compress(text_of(NAMES, rows).encode(), mtime=0))
    found = load_population(
        path, region=("chr17", 1000, 50_000_000), groups={"EUR": ("nfe", "fin"), "AFR": ("afr",)}
    )
    assert list(found.variants) == [ALLELE]
    assert found.variants[ALLELE].groups == {
        "EUR": Counts(7, 5400, 2, 0), "AFR": Counts(3, 800, 1, 0),
    }  # fmt: skip
    assert found.label("EUR") == "EUR (gnomAD nfe + fin)"
    assert "EUR = nfe + fin; AFR = afr; in none of them: amr, asj, eas" in found.notes[-1]
    assert load_population(path).label("nfe") == "gnomAD nfe"
    with pytest.raises(OptionError, match="no group 'eur'"):
        load_population(path, groups={"EUR": ("eur",)})
    with pytest.raises(OptionError, match="use it once"):
        load_population(path, groups={"EUR": ("nfe",), "ALL": ("nfe", "afr")})
    with pytest.raises(OptionError, match="needs a list"):
        load_population(path, groups={"EUR": "nfe"})
