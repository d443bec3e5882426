"""One person's haplotypes: phase known, unknown, in sets; what is missing or not assessed."""

from __future__ import annotations

import pytest

from saliscope.core.errors import InputError
from saliscope.variants.calls.panel import panel
from saliscope.variants.calls.person import person, weighted
from saliscope.variants.calls.samples import Sample, SampleTable
from saliscope.variants.calls.vcf import read_calls
from saliscope.variants.coding.transcript import Transcript
from variants.calls.calls_data import TOY, vcf

# TOY: ATG AAA CGT at 101 to 109, GGT GAA TAA at 201 to 209: M K R G E.
K2R, R3H, G4D = "105 A G", "108 G A", "202 G A"


def who(tmp_path, *rows, sample="ann", keys="GT", **options):
    cells = [row.replace("@", "0|0") for row in rows]
    calls = read_calls(vcf(tmp_path / "a.vcf", cells, samples=["ann"], keys=keys), TOY)
    return person(calls, sample, **options)


def pairs(someone):
    return {frozenset(h.label for h in c.haplotypes) for c in someone.configurations}


@pytest.mark.parametrize(
    ("rows", "phase", "units", "expected"),
    [
        ([f"{K2R} 0|0"], "homozygous", 0, [{"reference"}]),
        ([f"{K2R} 1/1"], "homozygous", 0, [{"p.Lys2Arg"}]),
        ([f"{K2R} 0/1"], "phased", 1, [{"reference", "p.Lys2Arg"}]),
        ([f"{K2R} 0/1", f"{R3H} 1/1"], "phased", 1, [{"p.Arg3His", "p.[Lys2Arg;Arg3His]"}]),
        ([f"{K2R} 0|1", f"{R3H} 0|1"], "phased", 1, [{"reference", "p.[Lys2Arg;Arg3His]"}]),
        ([f"{K2R} 0|1", f"{R3H} 1|0"], "phased", 1, [{"p.Lys2Arg", "p.Arg3His"}]),
        (
            [f"{K2R} 0/1", f"{R3H} 0/1"], "unphased", 2,
            [{"reference", "p.[Lys2Arg;Arg3His]"}, {"p.Lys2Arg", "p.Arg3His"}],
        ),
        ([f"{K2R},C 1/2"], "phased", 1, [{"p.Lys2Arg", "p.Lys2Thr"}]),
        ([f"{K2R} 1"], "hemizygous", 0, [{"p.Lys2Arg"}]),
    ],
)  # fmt: skip
def test_pairs(tmp_path, rows, phase, units, expected):
    found = who(tmp_path, *rows)
    assert (found.phase, found.units) == (phase, units)
    assert pairs(found) == set(map(frozenset, expected))
    size = 1 if phase == "hemizygous" else 2
    assert all(len(c.haplotypes) == size for c in found.configurations)
    assert sum(c.weight for c in found.configurations) == 1


def test_edits_of_one_codon_act_together_where_they_are_in_cis(tmp_path):
    found = who(tmp_path, "104 A G 0/1", "106 A C 0/1")
    assert pairs(found) == {
        frozenset({"reference", "p.Lys2Asp"}), frozenset({"p.Lys2Glu", "p.Lys2Asn"})
    }  # fmt: skip


def test_phase_sets_turn_as_one(tmp_path):
    rows = [f"{K2R} 0|1:1", f"{R3H} 0|1:1", f"{G4D} 0|1:2"]
    found = who(tmp_path, *rows, keys="GT:PS")
    assert (found.phase, found.units) == ("phase sets", 2)
    assert pairs(found) == {
        frozenset({"reference", "p.[Lys2Arg;Arg3His;Gly4Asp]"}),
        frozenset({"p.[Lys2Arg;Arg3His]", "p.Gly4Asp"}),
    }
    rows[2] = f"{G4D} 0/1:."
    found = who(tmp_path, *rows, keys="GT:PS")
    assert (found.phase, len(found.configurations)) == ("unphased", 2)


def test_a_known_number_of_pairs(tmp_path):
    found = who(tmp_path, *[f"{102 + i} {b} A 0/1" for i, b in enumerate("TG")], f"{G4D} 0/1")
    assert len(found.configurations) == 4
    assert len({c.haplotypes[0].key for c in found.configurations}) == 4


LONG = Transcript("T.3", "T", "ATG" + "AAA" * 20 + "TAA", "GRCh38", "6", 1, ((100, 166),))


def many(tmp_path, units):
    rows = [f"{104 + 3 * i} A G 0/1" for i in range(units)]
    return read_calls(vcf(tmp_path / "a.vcf", rows, samples=["ann"]), LONG)


def test_the_limit(tmp_path):
    found = person(many(tmp_path, 10), "ann")
    assert len(found.configurations) == 512
    assert {c.weight for c in found.configurations} == {1 / 512}
    calls = many(tmp_path, 11)
    with pytest.raises(InputError, match=r"has 11 heterozygous rows .* more than 10; phase"):
        person(calls, "ann")
    drawn = person(calls, "ann", seed=5)
    assert len(drawn.configurations) == 512
    assert drawn.notes == ("512 of 1,024 phasings drawn at random (seed 5)",)
    keys = [[h.key for h in c.haplotypes] for c in drawn.configurations]
    assert keys == [
        [h.key for h in c.haplotypes] for c in person(calls, "ann", seed=5).configurations
    ]
    assert len({frozenset(pair) for pair in keys}) == 512
    assert len(person(calls, "ann", limit=11).configurations) == 1024


def test_missing_is_not_the_reference(tmp_path):
    found = who(tmp_path, f"{K2R} ./.", f"{R3H} .|1", f"{G4D} 0|1")
    assert found.missing == ("c.5", "c.8 (one copy)")
    (only,) = found.configurations
    assert only.incomplete == (True, True)
    assert [h.label for h in only.haplotypes] == ["reference", "p.[Arg3His;Gly4Asp]"]
    found = who(tmp_path, f"{R3H} .|1", f"{G4D} 0|1")
    assert found.configurations[0].incomplete == (True, False)
    found = who(tmp_path, f"{R3H} ./1", f"{G4D} 0/1")
    assert {c.incomplete for c in found.configurations} == {(True, False)}
    assert who(tmp_path, f"{K2R} .", f"{R3H} 1").missing == ("c.5",)


def test_what_is_not_assessed_is_listed(tmp_path):
    rows = ["107 C <DEL> 0|1#info=END=205 id=sv1", "108 GT G 0|0", f"{K2R} 1|0#filter=q10"]
    found = who(tmp_path, *rows)
    assert found.not_assessed == ("6-107-C-<DEL> (sv1): symbolic allele",)
    assert found.filtered == ("6-105-A-G: q10",)
    assert found.configurations[0].incomplete == (False, True)
    assert [h.label for h in found.configurations[0].haplotypes] == ["p.Lys2Arg", "reference"]


def test_alleles_that_exclude_each_other_are_on_two_copies(tmp_path):
    found = who(tmp_path, "104 AAA A 0/1", "105 A C,* 0/1")
    (only,) = found.configurations
    assert only.weight == 1
    assert found.notes[0].startswith("1 of 2 phasings are impossible")
    with pytest.raises(InputError, match="are called on one copy"):
        who(tmp_path, "104 AAA A 0|1", "105 A C 0|1")


def test_a_spanning_deletion_is_one_change(tmp_path):
    found = who(tmp_path, "103 GAAA G 0|1", "105 A C,* 1|2")
    (only,) = found.configurations
    assert [h.label for h in only.haplotypes] == ["p.Lys2Thr", "p.Lys2del"]


def crowd(tmp_path, *cells):
    """Return a panel of people with K2R and R3H called as given."""
    names = [f"p{i}" for i in range(len(cells))]
    rows = [
        f"{row} {' '.join(cell.split(',')[i] for cell in cells)}"
        for i, row in enumerate((K2R, R3H))
    ]
    calls = read_calls(vcf(tmp_path / "p.vcf", rows, samples=names), TOY)
    return panel(calls, SampleTable("t.tsv", {name: Sample(name, "EUR") for name in names}))


def test_weights_are_products_of_counts(tmp_path):
    """Chromosomes: 3 reference, 2 K2R, 2 R3H, 1 both; so 2 * 3 * 1 against 2 * 2 * 2."""
    people = crowd(tmp_path, "0|0,0|0", "0|1,0|1", "1|0,0|1", "1|0,0|1")
    someone = who(tmp_path, f"{K2R} 0/1", f"{R3H} 0/1")
    first, second = weighted(someone, people).configurations
    assert (sorted(first.support), sorted(second.support)) == ([2, 2], [1, 3])
    assert (first.weight, second.weight) == (8 / 14, 6 / 14)
    again = weighted(weighted(someone, people), people).configurations
    assert [c.weight for c in again] == [first.weight, second.weight]
    assert (first.least, second.least) == (2, 1)


def test_a_panel_that_supports_nothing(tmp_path):
    people = crowd(tmp_path, "0|0,0|0")
    someone = weighted(who(tmp_path, f"{K2R} 0/1", f"{R3H} 0/1"), people)
    assert [c.weight for c in someone.configurations] == [0.5, 0.5]
    assert "no phasing is supported by the panel" in someone.notes[-1]
