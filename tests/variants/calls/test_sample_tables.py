"""Sample tables: the forms that exist, relatives, broken files."""

from __future__ import annotations

import gzip

import pytest

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.calls.samples import Sample, read_samples
from variants.calls.calls_data import KG, kg, needs_data

PEDIGREE = """\
FamilyID SampleID FatherID MotherID Sex Population Superpopulation
BB01 HG01879 0 0 1 ACB AFR
BB01 HG01880 0 0 2 ACB AFR
BB01 HG01881 HG01879 HG01880 2 ACB AFR
BB02 HG01882 0 0 1 ACB AFR
"""


def table(tmp_path, text, name="t.txt"):
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_pedigree_of_the_30x_panel(tmp_path):
    found = read_samples(table(tmp_path, PEDIGREE))
    assert found.samples["HG01881"] == Sample(
        "HG01881", "AFR", "ACB", "female", ("HG01879", "HG01880")
    )
    assert found.samples["HG01879"].parents == ()
    assert found.children(list(found.samples)) == ("HG01881",)
    assert found.children(["HG01881", "HG01882"]) == ()
    assert found.relatives("HG01879") == {"HG01880", "HG01881"}
    assert found.relatives("HG01882") == frozenset()
    assert found.kinship


def test_a_pedigree_beside_a_table(tmp_path):
    groups = table(tmp_path, "sample\tgroup\nHG01879\tx\nHG01881\tx\n")
    assert not read_samples(groups).kinship
    both = read_samples(groups, pedigree=table(tmp_path, PEDIGREE, "p.txt"))
    assert both.samples["HG01881"].parents == ("HG01879", "HG01880")
    assert both.samples["HG01881"].group == "x"
    assert both.samples["HG01880"].group == ""
    assert both.children(["HG01879", "HG01881"]) == ("HG01881",)


@pytest.mark.parametrize(
    "text",
    [
        "sample,group\nann,X\nben,Y\n",
        "Sample name\tSuperpopulation code\nann\tX\nben\tY\n",
        "#sample\tsuperpop\tpopulation\nann\tX\tp\nben\tY\tq\n",
        'sample;group\n"ann";X\n\nben;Y\n',
        "sample\tpop\nann\tX\nben\tY\n",
        "sample\tpop\tsuper_pop\tgender\t\t\nann\tp\tX\tmale\nben\tq\tY\tfemale\n",
        "sample group\nann X\nben Y\n",
        "\ufeffsample,group\r\nann,X\r\nben,Y\r\n",
    ],
)
def test_forms(tmp_path, text):
    for data in (text.encode(), gzip.compress(text.encode(), mtime=0)):
        found = read_samples(table(tmp_path, data))
        assert {name: s.group for name, s in found.samples.items()} == {"ann": "X", "ben": "Y"}
        assert found.groups == ("X", "Y")


def test_named_relatives(tmp_path):
    text = "Individual ID\tPopulation\tSiblings\tSecond Order\na\tX\tb,c\t0\nb\tX\t\td\nc\tX\t\t\n"
    found = read_samples(table(tmp_path, text))
    assert found.relatives("a") == {"b", "c", "d"}
    assert found.kinship


def test_another_column_for_the_groups(tmp_path):
    file = table(tmp_path, "sample\tpop\tsuper_pop\nann\tGBR\tEUR\n")
    assert read_samples(file, group="pop").samples["ann"].group == "GBR"
    with pytest.raises(OptionError, match="has no column 'popp'; did you mean 'pop'"):
        read_samples(file, group="popp")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("sample\tgroup\n", "has a header and no sample"),
        ("sample\tage\nann\t7\n", "has no column that makes groups (columns: sample, age)"),
        ("who\tgroup\nann\tX\n", "line 1: has no column 'sample' (columns: who, group)"),
        ("sample\tgroup\nann\tX\nann\tY\n", "line 3: sample 'ann' stands here a second time"),
        ("sample\tgroup\nann\n", "line 2: has 1 columns, too few to name its group"),
        ("sample\tgroup\n\tX\n", "line 2: has no sample name"),
        ("sample\tgroup\n".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        (b"sample\tgroup\nann\xff\tX\n", "line 2: is not UTF-8"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (gzip.compress(b"sample\tgroup\nann\tX\n", mtime=0)[:30], "is cut off or damaged"),
    ],
)
def test_broken_tables(tmp_path, text, reason):
    file = table(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_samples(file)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(file))
    assert reason in str(caught.value)


def test_a_pedigree_without_parents(tmp_path):
    groups = table(tmp_path, "sample\tgroup\nann\tX\n")
    with pytest.raises(InputError, match="names no parent of anybody"):
        read_samples(groups, pedigree=groups)


@needs_data
def test_tables_of_1000_genomes():
    phase3 = read_samples(KG / "integrated_call_samples_v3.20130502.ALL.panel")
    assert len(phase3.samples) == 2535
    assert phase3.samples["HG00096"] == Sample("HG00096", "EUR", "GBR", "male")
    match = phase3.match(kg("TPMT", "GRCh37").samples)
    assert (len(match.both), len(match.only_table), match.only_vcf) == (2504, 31, ())
    assert match.note.startswith("2,504 samples in table and VCF; 31 only in the table (HG00124,")
    igsr = read_samples(KG / "igsr_samples.tsv.gz")
    assert len(igsr.samples) == 4974
    assert {"AFR", "AMR", "EAS", "EUR", "SAS"} == set(igsr.groups)
    populations = read_samples(KG / "igsr_samples.tsv.gz", group="Population code")
    assert populations.samples["HG00108"].group == "GBR"
