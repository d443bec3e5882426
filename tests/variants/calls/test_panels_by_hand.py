"""Panels small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from saliscope.core.errors import InputError
from saliscope.variants.calls.panel import panel
from saliscope.variants.calls.samples import Sample, SampleTable
from saliscope.variants.calls.vcf import read_calls
from variants.calls.calls_data import TOY, vcf

PEOPLE = ["a1", "a2", "a3", "b1", "b2", "kid"]
ROWS = [
    # a1   a2  a3  b1  b2  kid
    "104 A G 0|1 0|0 0|0 0|1 1|1 0|1",  # c.4  K2E
    "106 A C 0|0 0|0 0|1 0|0 1|0 0|0",  # c.6  K2N; with c.4: K2D
    "108 G A 0|1 0|0 ./. 1|0 0|0 0|1",  # c.8  R3H
    "206 A G 0|0 0|1 0|0 0|0 0|0 0|0",  # c.15 synonymous
]
TABLE = SampleTable(
    "t.tsv",
    {
        **{name: Sample(name, name[0].upper()) for name in PEOPLE[:5]},
        "kid": Sample("kid", "A", parents=("a1", "a2")),
        "other": Sample("other", "B"),
    },
    kinship=True,
)


@pytest.fixture
def small(tmp_path):
    return panel(read_calls(vcf(tmp_path / "a.vcf", ROWS, samples=PEOPLE), TOY), TABLE)


def test_counts(small):
    assert small.people == ("a1", "a2", "a3", "b1", "b2")
    assert small.groups == ("A", "B")
    found = {p.haplotype.label: dict(p.counts) for p in small.proteins}
    assert found == {
        "reference": {"A": 3, "B": 0},  # a1, a2 twice, one of them with the synonymous edit
        "p.[Lys2Glu;Arg3His]": {"A": 1, "B": 0},
        "p.Arg3His": {"A": 0, "B": 1},
        "p.Lys2Glu": {"A": 0, "B": 2},
        "p.Lys2Asp": {"A": 0, "B": 1},
        "p.Lys2Asn": {"A": 0, "B": 0},  # of a3, whose other genotype is missing
    }
    assert small.chromosomes == {"A": 4, "B": 4}
    assert small.counts.sum(axis=0).tolist() == [4, 4]
    assert np.allclose(small.frequencies.sum(axis=0), 1)
    reference = next(p for p in small.proteins if p.haplotype.label == "reference")
    assert len(reference.members) == 2
    assert small.having(reference) == ("a1", "a2")
    assert (small.count(reference.haplotype), small.count(reference.haplotype, "B")) == (3, 0)
    assert small.most_frequent("B").haplotype.label == "p.Lys2Glu"
    assert small.notes == (
        "6 samples in table and VCF; 1 only in the table (other)",
        "1 children of people in the panel are left out",
        "2 chromosomes have a genotype that is missing or not assessed, and are not counted",
    )


def test_pairs_of_people(small):
    assert [h.label for h in small.pair("a1")] == ["reference", "p.[Lys2Glu;Arg3His]"]
    assert small.pair("a3") is None
    with pytest.raises(InputError, match="the panel has no 'kid'"):
        small.pair("kid")


def change(panel, short):
    return next(c for h in panel.haplotypes for c in h.changes if c.short == short)


def test_carriers_are_known_where_the_codon_is_called(small):
    """a3's missing genotype at c.8 does not matter for codon 2."""
    carriers = small.carriers(change(small, "K2N"))
    assert carriers.people == {"A": 1, "B": 0}
    assert carriers.chromosomes == {"A": 6, "B": 4}
    assert carriers.names == ("a3",)
    r3h = small.carriers(change(small, "R3H"))
    assert r3h.haplotypes == {"A": 1, "B": 1}
    assert r3h.chromosomes == {"A": 4, "B": 4}
    assert r3h.called == {"A": 2, "B": 2}
    # Both edits of the codon together are another change than one of them.
    assert small.carriers(change(small, "K2E")).haplotypes == {"A": 1, "B": 2}
    assert small.carriers(change(small, "K2D")).haplotypes == {"A": 0, "B": 1}


def test_backgrounds(small):
    k2e = change(small, "K2E")
    found = [(b.haplotype.label, b.without.label, b.counts) for b in small.backgrounds(k2e)]
    assert found == [
        ("p.Lys2Glu", "reference", {"A": 0, "B": 2}),
        ("p.[Lys2Glu;Arg3His]", "p.Arg3His", {"A": 1, "B": 0}),
    ]
    assert small.backgrounds(change(small, "K2N")) == ()


def test_leaving_out(small):
    less = small.without("b2")
    assert less.chromosomes == {"A": 4, "B": 2}
    assert less.people == ("a1", "a2", "a3", "b1")
    assert small.chromosomes == {"A": 4, "B": 4}
    assert "p.Lys2Asp" not in [p.haplotype.label for p in less.proteins]
    family = small.without("a1")
    assert family.people == ("a3", "b1", "b2")
    assert family.notes[-1] == "a1 is left out of every count, and so are relatives: a2"
    assert small.without("a1", relatives=()).people == ("a2", "a3", "b1", "b2")
    kid = small.without("kid")
    assert kid.people == ("a3", "b1", "b2")
    assert kid.notes[-1] == "kid is not in the panel; relatives are left out of every count: a1, a2"
    assert small.without("nobody").chromosomes == small.chromosomes


def test_children_can_stay(tmp_path):
    calls = read_calls(vcf(tmp_path / "a.vcf", ROWS, samples=PEOPLE), TOY)
    assert panel(calls, TABLE, related=True).chromosomes == {"A": 6, "B": 4}


def test_unknown_phase_is_not_counted(tmp_path):
    rows = ["104 A G 0/1 0/1", "108 G A 0/1 0/0"]
    calls = read_calls(vcf(tmp_path / "a.vcf", rows, samples=["a1", "a2"]), TOY)
    small = panel(calls, TABLE)
    assert small.chromosomes == {"A": 2}
    assert small.notes[-1] == "2 chromosomes are of unknown phase, and are not counted"
    assert small.pair("a1") is None


def test_calls_that_exclude_each_other_are_not_counted(tmp_path):
    rows = ["104 AAA A 0|1 0|0", "105 A C 0|1 0|1"]
    calls = read_calls(vcf(tmp_path / "a.vcf", rows, samples=["a1", "a2"]), TOY)
    small = panel(calls, TABLE)
    assert small.chromosomes == {"A": 3}
    assert "1 chromosomes have calls that contradict each other" in small.notes[-1]


def test_alleles_not_assessed_are_not_the_reference(tmp_path):
    rows = ["107 C <DEL> 0|1 0|0#info=END=205", "105 A G 0|0 0|1"]
    calls = read_calls(vcf(tmp_path / "a.vcf", rows, samples=["a1", "a2"]), TOY)
    assert panel(calls, TABLE).chromosomes == {"A": 3}


def test_one_copy_counts_once(tmp_path):
    calls = read_calls(vcf(tmp_path / "a.vcf", ["105 A G 1 0|1"], samples=["a1", "a2"]), TOY)
    small = panel(calls, TABLE)
    assert small.chromosomes == {"A": 3}
    assert [h.label for h in small.pair("a1")] == ["p.Lys2Arg"]
    carriers = small.carriers(small.pair("a1")[0].changes[0])
    assert (carriers.people, carriers.haplotypes) == ({"A": 2}, {"A": 2})
    assert (carriers.called, carriers.chromosomes) == ({"A": 2}, {"A": 3})


def test_no_rows_in_the_gene(tmp_path):
    calls = read_calls(vcf(tmp_path / "a.vcf", ["90 A G 0|1 0|1", "300 A G 0|0 0|0"],
                           samples=["a1", "b1"]), TOY)  # fmt: skip
    small = panel(calls, TABLE)
    assert [(p.haplotype.label, p.counts) for p in small.proteins] == [
        ("reference", {"A": 2, "B": 2})
    ]


def test_no_common_sample(tmp_path):
    calls = read_calls(vcf(tmp_path / "a.vcf", ["105 A G 0|1"], samples=["zoe"]), TOY)
    with pytest.raises(InputError, match=r"t\.tsv: holds none of the samples of the VCF"):
        panel(calls, TABLE)
    with pytest.raises(InputError, match=r"none of the samples of .* has a group"):
        panel(calls, SampleTable("t.tsv", {"zoe": Sample("zoe")}))
    calls = read_calls(vcf(tmp_path / "a.vcf", ["105 A G 0|1"], samples=["a1"]), TOY)
    small = panel(calls, TABLE)
    with pytest.raises(InputError, match="has no group 'EUR'; known: A"):
        small.most_frequent("EUR")
