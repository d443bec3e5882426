"""Star alleles of five genes: their core variants give the changes that their table names."""

from __future__ import annotations

import csv
import re

import pytest

from saliscope.variants.coding.edit import Allele
from saliscope.variants.coding.haplotype import haplotype
from variants.calls.calls_data import KG, gene, kg, needs_data

pytestmark = needs_data
GENES = ("CYP2C9", "NAT2", "NUDT15", "TPMT", "VKORC1")
NAMES = "AlaArgAsnAspCysGlnGluGlyHisIleLeuLysMetPheProSerThrTrpTyrVal"
LETTERS = dict(zip(re.findall("...", NAMES), "ARNDCQEGHILKMFPSTWYV", strict=True))

# What the table says, and what the bases give.
DIFFERENT = {
    ("NAT2", "*4"): (["K268R"], ["R268K"]),  # named from the allele to the reference
    ("NUDT15", "*16"): (["L30V"], ["L30F"]),  # c.88C>T: CTC to TTC
    ("TPMT", "*42"): (["K32fs"], ["W33fs"]),  # the first residue that changes is the next one
}
# Without an effect on the coding sequence, so not assessed.
BESIDE = {
    ("CYP2C9", "*68"): ["Splice Defect"],
    ("TPMT", "*4"): ["Splice Defect"],
    ("TPMT", "*15"): ["Splice Defect"],
    ("VKORC1", "rs9923231"): ["Promoter Defect"],
}


def in_table_words(change) -> str:
    """Return a change as the table would write it: "Y240C", "K273fs", "C216X", "M1?"."""
    if change.kind == "missense":
        return change.short
    text = re.sub("[A-Z][a-z]{2}fsTer[0-9]+$", "fs", re.sub("Ter$", "X", change.short))
    return re.sub("([A-Z][a-z]{2})(?=[0-9])", lambda m: LETTERS[m[1]], text)


@pytest.mark.parametrize("build", ["GRCh37", "GRCh38"])
def test_cores(build):
    with (KG / "pypgx_variant_table.csv").open() as file:
        impacts = {(r["Gene"], r[f"{build}Name"]): r["Impact"] for r in csv.DictReader(file)}
    with (KG / "pypgx_allele_table.csv").open() as file:
        stars = [row for row in csv.DictReader(file) if row["Gene"] in GENES]
    different, beside, silent = {}, {}, []
    for row in stars:
        name, star = row["Gene"], row["StarAllele"]
        transcript = kg(name, build).transcript if name == "TPMT" else gene(name, build)
        expected, edits = [], []
        for core in row[f"{build}Core"].split(","):
            if core == "N/A":
                continue
            chrom, position, ref, alt = core.split("-")
            edit = transcript.edit(Allele.of(chrom, int(position), ref, alt))
            if edit is None:
                beside.setdefault((name, star), []).append(impacts[name, core])
                continue
            edits.append(edit)
            if impacts[name, core] == "N/A":
                silent.append((name, star))
            else:
                expected.append(re.sub("^M1[A-Z]$", "M1?", impacts[name, core]))
        changes = [c for c in haplotype(transcript, edits).changes if c.kind != "synonymous"]
        found = [in_table_words(change) for change in changes]
        if sorted(found) != sorted(expected):
            different[name, star] = (expected, found)
    assert len(stars) == 157
    assert different == DIFFERENT
    assert beside == BESIDE
    assert silent == [("NAT2", "*11"), ("NAT2", "*13"), ("NAT2", "*20")]
