"""What edits of one copy do together: literal cases, and a naive translation as reference."""

from __future__ import annotations

import pytest
from Bio.Seq import Seq
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.haplotype import Change, haplotype, missense_changes
from saliscope.variants.coding.transcript import Transcript
from variants.coding.coding_data import CDS, TOY, edits_of, transcripts

# The toy: ATG AAA CGT GGT GGT TGC TAA, M K R G G C *
SINGLE = [
    ([(4, 5, "G")], "missense", 2, "K", "R", "c.5A>G", "p.Lys2Arg", "MRRGGC"),
    ([(4, 5, "G"), (5, 6, "C")], "missense", 2, "K", "S", "c.[5A>G;6A>C]", "p.Lys2Ser", "MSRGGC"),
    ([(5, 6, "G")], "synonymous", 2, "K", "K", "c.6A>G", "p.Lys2=", "MKRGGC"),
    ([(5, 7, "GT")], "missense", 3, "R", "C", "c.6_7delinsGT", "p.Arg3Cys", "MKCGGC"),
    ([(3, 4, "T")], "stop_gained", 2, "K", "*", "c.4A>T", "p.Lys2Ter", "M"),
    ([(18, 19, "C")], "stop_lost", 7, "*", "Q", "c.19T>C", "p.Ter7GlnextTer?", "MKRGGCQ"),
    ([(19, 20, "G")], "synonymous", 7, "*", "*", "c.20A>G", "p.Ter7=", "MKRGGC"),
    ([(18, 21, "")], "stop_lost", 7, "*", "", "c.19_21del", "p.Ter7delextTer?", "MKRGGC"),
    ([(18, 18, "G")], "stop_lost", 7, "*", "V", "c.18_19insG", "p.Ter7ValextTer?", "MKRGGCV"),
    ([(20, 21, "")], "stop_lost", 7, "*", "", "c.21del", "p.Ter7?", "MKRGGC"),
    ([(18, 18, "CAATGA")], "stop_lost", 7, "*", "Q", "c.18_19insCAATGA", "p.Ter7GlnextTer1",
     "MKRGGCQ"),
    ([(18, 18, "TGACAA")], "synonymous", 7, "*", "*", "c.19_20insGACAAT", "p.Ter7=", "MKRGGC"),
    ([(15, 21, "")], "stop_lost", 6, "C*", "", "c.16_21del", "p.Cys6_Ter7delextTer?", "MKRGG"),
    ([(2, 3, "A")], "start_lost", 1, "M", "", "c.3G>A", "p.Met1?", ""),
    ([(0, 21, "")], "start_lost", 1, "M", "", "c.1_21del", "p.Met1?", ""),
    ([(9, 12, "")], "inframe_deletion", 5, "G", "", "c.13_15del", "p.Gly5del", "MKRGC"),
    ([(4, 10, "")], "inframe_delins", 2, "KRG", "S", "c.5_10del", "p.Lys2_Gly4delinsSer", "MSGC"),
    ([(3, 9, "")], "inframe_deletion", 2, "KR", "", "c.4_9del", "p.Lys2_Arg3del", "MGGC"),
    ([(9, 9, "GGT")], "inframe_insertion", 6, "", "G", "c.13_15dup", "p.Gly5dup", "MKRGGGC"),
    ([(6, 6, "TGG")], "inframe_insertion", 3, "", "W", "c.6_7insTGG", "p.Lys2_Arg3insTrp",
     "MKWRGGC"),
    ([(6, 6, "TGGTAA")], "stop_gained", 3, "", "W*", "c.6_7insTGGTAA", "p.Lys2_Arg3insTrpTer",
     "MKW"),
    ([(6, 6, "TAA")], "stop_gained", 3, "R", "*", "c.6_7insTAA", "p.Arg3Ter", "MK"),
    ([(6, 12, "TGG")], "inframe_delins", 3, "RG", "W", "c.7_12delinsTGG", "p.Arg3_Gly4delinsTrp",
     "MKWGC"),
    ([(4, 8, "GTA")], "frameshift", 2, "KRGGC", "SMVVA", "c.5_8delinsGTA", "p.Lys2SerfsTer?",
     "MSMVVA"),
    ([(6, 7, "")], "frameshift", 3, "RGGC", "VVVA", "c.7del", "p.Arg3ValfsTer?", "MKVVVA"),
    ([(7, 7, "CTTAG")], "frameshift", 3, "RGGC", "P", "c.7_8insCTTAG", "p.Arg3ProfsTer2", "MKP"),
    ([(3, 3, "T")], "stop_gained", 2, "K", "*", "c.3_4insT", "p.Lys2Ter", "M"),
    ([(6, 7, ""), (15, 15, "A")], "resolved_frameshift", 3, "RGG", "VVV", "c.[7del;15_16insA]",
     "p.Arg3_Gly5delinsValValVal", "MKVVVC"),
]  # fmt: skip


@pytest.mark.parametrize("case", SINGLE, ids=lambda case: case[6])
def test_one_change(case: tuple) -> None:
    edits, kind, position, ref, alt, coding, protein, sequence = case
    found = haplotype(TOY, [Edit(*edit) for edit in edits])
    assert found.protein == sequence
    [change] = found.changes
    assert (change.kind, change.position, change.ref, change.alt) == (kind, position, ref, alt)
    assert (change.coding, change.protein) == (coding, protein)
    assert not change.silenced
    assert found.ends == (not protein.endswith("?"))


def test_two_indels_of_one_codon_come_to_a_delins() -> None:
    found = haplotype(TOY, [Edit(3, 3, "GG"), Edit(5, 5, "C")])  # GGA ACA CGT
    [change] = found.changes
    assert found.protein == "MGTRGGC"
    assert (change.kind, change.protein) == ("resolved_frameshift", "p.Lys2delinsGlyThr")


def test_short_name_and_label() -> None:
    found = haplotype(TOY, [Edit(16, 17, "A"), Edit(4, 5, "G"), Edit(8, 9, "C")])
    assert [c.short for c in found.changes] == ["K2R", "Arg3=", "C6Y"]
    assert found.label == "p.[Lys2Arg;Cys6Tyr]"
    assert found.key == (Edit(4, 5, "G"), Edit(8, 9, "C"), Edit(16, 17, "A"))
    assert haplotype(TOY, []).label == haplotype(TOY, [Edit(8, 9, "C")]).label == "reference"


def test_what_lies_behind_a_stop_is_silenced() -> None:
    found = haplotype(TOY, [Edit(3, 4, "T"), Edit(16, 17, "A")])
    assert [(c.protein, c.silenced) for c in found.changes] == [
        ("p.Lys2Ter", False), ("p.Cys6Tyr", True),
    ]  # fmt: skip
    assert found.label == "p.Lys2Ter"
    assert found.without(found.changes[0]).label == "p.Cys6Tyr"


def test_what_lies_behind_the_stop_of_a_frameshift_is_no_part_of_its_block() -> None:
    # ATG AAA CCT TAG GTGGT...: a stop at codon 4; the deletion behind it would restore the frame
    found = haplotype(TOY, [Edit(7, 7, "CTTAG"), Edit(15, 17, "")])
    assert [(c.kind, c.silenced) for c in found.changes] == [
        ("frameshift", False), ("frameshift", True),
    ]  # fmt: skip
    assert found.protein == "MKP"


def test_start_loss_silences_all() -> None:
    found = haplotype(TOY, [Edit(0, 1, "C"), Edit(4, 5, "G")])
    assert [(c.kind, c.silenced) for c in found.changes] == [
        ("start_lost", False), ("missense", True),
    ]  # fmt: skip
    assert (found.protein, found.label, found.ends) == ("", "p.Met1?", False)


def test_deletion_over_the_start_that_leaves_a_start() -> None:
    twice = Transcript("T.1", "T", "ATGATGAAATAA")
    [change] = haplotype(twice, [Edit(0, 3, "")]).changes
    assert (change.kind, change.coding, change.protein) == (
        "inframe_deletion", "c.5_7del", "p.Met2del",
    )  # fmt: skip


def test_mitochondrial_code() -> None:
    mitochondrial = Transcript("T.1", "T", "ATAATATGATAA", table=2)
    assert mitochondrial.protein == "MMW"
    assert haplotype(mitochondrial, [Edit(2, 3, "G")]).label == "reference"  # ATG starts as well
    assert haplotype(mitochondrial, [Edit(2, 3, "T")]).label == "p.Met1?"
    assert haplotype(mitochondrial, [Edit(8, 9, "G")]).label == "reference"  # TGG is W as TGA is


def test_names_are_not_moved_over_an_exon_junction() -> None:
    spliced = Transcript("T.1", "T", CDS, "GRCh38", "1", 1, ((100, 112), (200, 209)))
    [change] = haplotype(spliced, [Edit(9, 12, "")]).changes
    assert (change.coding, change.protein) == ("c.10_12del", "p.Gly5del")


def test_edits_are_taken_in_shortest_form() -> None:
    found = haplotype(TOY, [Edit(3, 9, "AGACGT"), Edit(15, 18, "TGC")])
    assert found.edits == (Edit(4, 5, "G"),)


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ([Edit(4, 7, ""), Edit(6, 7, "A")], r"c\.5_7del and c\.7C>A overlap"),
        ([Edit(4, 7, ""), Edit(5, 5, "A")], "overlap"),
        ([Edit(4, 4, "G"), Edit(4, 4, "T")], "overlap"),
        ([Edit(0, 0, "A")], "outside"),
        ([Edit(21, 21, "A")], "outside"),
        ([Edit(20, 22, "A")], "outside"),
        ([Edit(4, 5, "N")], "other letters"),
    ],
)
def test_refusals(edits: list[Edit], message: str) -> None:
    with pytest.raises(InputError, match=message):
        haplotype(TOY, edits)


def test_only_own_changes_can_be_taken_out() -> None:
    change = haplotype(TOY, [Edit(4, 5, "G")]).changes[0]
    with pytest.raises(OptionError, match=r"c\.5A>G: is not a change"):
        haplotype(TOY, [Edit(16, 17, "A")]).without(change)


def test_missense_changes_against_translation_of_every_substitution() -> None:
    expected = []
    for index, ref in enumerate(CDS):
        for base in "ACGT":
            if base == ref or index < 3:
                continue
            protein = str(Seq(CDS[:index] + base + CDS[index + 1 :]).translate())
            place = index // 3
            if protein[place] != "*" and "MKRGGC*"[place] not in {"*", protein[place]}:
                expected.append((Edit(index, index + 1, base), place + 1, protein[place]))
    found = missense_changes(TOY)
    assert [(c.edits[0], c.position, c.alt) for c in found] == expected


def _naive(transcript: Transcript, edits: list[Edit]) -> str:
    cds = transcript.cds
    for edit in sorted(edits, reverse=True):
        cds = cds[: edit.start] + edit.alt + cds[edit.end :]
    if not cds.startswith("ATG"):
        return ""
    return str(Seq(cds[: len(cds) // 3 * 3]).translate(to_stop=True))


@given(st.data())
def test_protein_equals_a_naive_translation(data: st.DataObject) -> None:
    transcript = data.draw(transcripts())
    edits = data.draw(edits_of(transcript))
    found = haplotype(transcript, edits)
    assert found.protein == _naive(transcript, edits)
    assert tuple(e for c in found.changes for e in c.edits) == found.edits
    for change in found.changes:
        assert not change.silenced or found.changes[0] != change
        without = found.without(change)
        again = haplotype(transcript, [*without.edits, *change.edits])
        assert (again.edits, again.cds, again.changes) == (found.edits, found.cds, found.changes)


def _rebuilt(transcript: Transcript, change: Change) -> str:
    """Put a change into the reference protein by its position and residues alone."""
    head = f"{transcript.protein}*"[: change.position - 1]
    tail = f"{transcript.protein}*"[change.position - 1 :]
    if change.kind == "synonymous":
        return transcript.protein
    if change.kind in {"frameshift", "stop_lost"}:
        return head + change.alt
    assert tail.startswith(change.ref)
    return (head + change.alt + tail[len(change.ref) :]).partition("*")[0]


@given(st.data())
def test_a_change_alone_rebuilds_the_protein(data: st.DataObject) -> None:
    transcript = data.draw(transcripts())
    for change in haplotype(transcript, data.draw(edits_of(transcript))).changes:
        alone = haplotype(transcript, change.edits)
        if change.kind == "start_lost":
            assert alone.protein == ""
        else:
            assert alone.protein == _rebuilt(transcript, change)
        assert [c.protein for c in alone.changes] == [change.protein]
