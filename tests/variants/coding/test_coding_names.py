"""HGVS names, read and written: literal cases, a round trip, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.errors import InputError
from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.haplotype import haplotype
from saliscope.variants.coding.hgvs import coding_name
from saliscope.variants.coding.naming import Named, parse_coding, parse_protein
from variants.coding.coding_data import TOY, edits_of, transcripts

# The toy: ATG AAA CGT GGT GGT TGC TAA
A, B = Edit(4, 5, "G"), Edit(16, 17, "A")


@pytest.mark.parametrize(
    ("text", "haplotypes", "phased"),
    [
        ("c.5A>G", ((A,),), True),
        ("NM_000001.2:c.5A>G", ((A,),), True),
        ("NM_000001:c.5A>G", ((A,),), True),
        ("NM_000001.2(TOY):c.5A>G (p.Lys2Arg)", ((A,),), True),
        ("c.[5A>G;17G>A]", ((A, B),), True),
        ("c.[5A>G];[17G>A]", ((A,), (B,)), True),
        ("c.[5A>G];[5A>G]", ((A,), (A,)), True),
        ("c.[5A>G;17G>A];[=]", ((A, B), ()), True),
        ("c.5A>G(;)17G>A", ((A,), (B,)), False),
        ("c.[5A>G](;)[17G>A]", ((A,), (B,)), False),
        ("c.=", ((),), True),
        ("c.5_6del", ((Edit(4, 6, ""),),), True),
        ("c.5_6delAA", ((Edit(4, 6, ""),),), True),
        ("c.13_15dup", ((Edit(15, 15, "GGT"),),), True),
        ("c.13_15dupGGT", ((Edit(15, 15, "GGT"),),), True),
        ("c.21dup", ((Edit(20, 20, "A"),),), True),
        ("c.6_7insTGG", ((Edit(6, 6, "TGG"),),), True),
        ("c.7_12delinsTGG", ((Edit(6, 12, "TGG"),),), True),
        ("c.7_8delCGinsT", ((Edit(6, 8, "T"),),), True),
    ],
)
def test_coding_names(text: str, haplotypes: tuple, phased: bool) -> None:
    assert parse_coding(text, TOY) == Named(haplotypes, phased)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NM_000001.1:c.5A>G", r"NM_000001\.1 is not NM_000001\.2"),
        ("NM_000002.2:c.5A>G", r"NM_000002\.2 is not NM_000001\.2"),
        ("c.100+1G>A", "outside of the coding sequence: not assessed"),
        ("c.7-2A>G", "outside of the coding sequence: not assessed"),
        ("c.-5A>G", "outside of the coding sequence: not assessed"),
        ("c.*3del", "outside of the coding sequence: not assessed"),
        ("c.21_*1insA", "outside of the coding sequence: not assessed"),
        ("c.[5A>G;*3del]", "outside of the coding sequence: not assessed"),
        ("c.22A>G", r"behind the end of NM_000001\.2 \(21 bases\)"),
        ("c.5C>G", r"has A at 5C>G, not C"),
        ("c.5_6delGG", "has AA at 5_6delGG, not GG"),
        ("c.5_7ins", "cannot be read as HGVS"),
        ("c.5_8insA", "adjacent"),
        ("c.8_5del", "cannot be read as HGVS"),
        ("c.5A>N", "cannot be read as HGVS"),
        ("c.[5A>G];[17G>A];[=]", "brackets"),
        ("c.[5A>G", "brackets"),
        ("c.", "cannot be read as HGVS"),
        ("5A>G", r"is not an HGVS name that starts with 'c\.'"),
        ("g.5A>G", r"is not an HGVS name that starts with 'c\.'"),
        ("p.Lys2Arg", r"is not an HGVS name that starts with 'c\.'"),
        ("", "is not an HGVS name"),
    ],
)
def test_coding_names_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        parse_coding(text, TOY)
    assert "\n" not in str(error.value)


@given(st.text(st.sampled_from("c.p:[](;)=0123456789ACGT>_+-*delinsup"), max_size=20))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    for read in (parse_coding, parse_protein):
        for prefix in ("", "c.", "p."):
            message = ""
            try:
                read(prefix + text, TOY)
            except InputError as error:
                message = str(error)
            assert "\n" not in message


@given(st.data())
def test_a_name_leads_back_to_the_same_sequence(data: st.DataObject) -> None:
    transcript = data.draw(transcripts())
    edits = data.draw(edits_of(transcript))
    for edit in edits:
        [[read]] = parse_coding(coding_name(transcript, edit), transcript)
        assert read.apply(transcript.cds) == edit.apply(transcript.cds)
    cut = data.draw(st.integers(0, len(edits)))
    for named in (
        Named((tuple(edits),), phased=True),
        Named((tuple(edits[:cut]), tuple(edits[cut:])), phased=True),
        Named(tuple((edit,) for edit in edits), phased=len(edits) < 2),
    ):
        if not named.haplotypes:
            continue
        again = parse_coding(named.coding(transcript), transcript)
        assert again.coding(transcript) == named.coding(transcript)
        assert (len(again), again.phased) == (len(named), named.phased)


@pytest.mark.parametrize(
    ("text", "edits"),
    [
        ("p.Lys2Arg", [Edit(4, 5, "G")]),
        ("K2R", [Edit(4, 5, "G")]),
        ("p.K2R", [Edit(4, 5, "G")]),
        ("p.(Lys2Arg)", [Edit(4, 5, "G")]),
        ("NM_000001.2:p.Lys2Arg", [Edit(4, 5, "G")]),
        ("NP_000001.1:p.Lys2Arg", [Edit(4, 5, "G")]),
        ("p.Lys2Ter", [Edit(3, 4, "T")]),
        ("p.Lys2*", [Edit(3, 4, "T")]),
        ("K2*", [Edit(3, 4, "T")]),
        ("K2X", [Edit(3, 4, "T")]),
        ("p.Lys2=", [Edit(5, 6, "G")]),
        ("p.Lys2Asn", [Edit(5, 6, "C"), Edit(5, 6, "T")]),
        ("p.Lys2Ser", [Edit(4, 6, "GC"), Edit(4, 6, "GT"), Edit(3, 5, "TC")]),
        ("p.Lys2Leu", [Edit(3, 5, "CT"), Edit(3, 5, "TT")]),
        ("p.Lys2Phe", [Edit(3, 6, "TTC"), Edit(3, 6, "TTT")]),
        ("p.Ter7Gln", [Edit(18, 19, "C")]),
        ("p.Ter7GlnextTer?", [Edit(18, 19, "C")]),
        ("p.Lys2_Arg3del", [Edit(3, 9, "")]),
        ("p.Gly5dup", [Edit(15, 15, "GGT")]),
    ],
)
def test_protein_names(text: str, edits: list[Edit]) -> None:
    assert parse_protein(text, TOY) == edits


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p.Tyr2Cys", "has Lys at 2, not Tyr"),
        ("p.Lys99Cys", "has no residue at 99"),
        ("p.Met1Val", "start codon"),
        ("p.Met1?", "cannot be read"),
        ("p.Arg3fs", r"give the coding name \(c\.\)"),
        ("p.Lys2_Arg3insTrp", r"give the coding name \(c\.\)"),
        ("p.Arg3ValfsTer5", "cannot be read"),
        ("p.Lys2Xyz", "cannot be read"),
        ("NM_000001.1:p.Lys2Arg", r"NM_000001\.1 is not NM_000001\.2"),
        ("c.5A>G", "cannot be read"),
        ("p.(=)", "give the coding name"),
        ("", "cannot be read"),
    ],
)
def test_protein_names_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_protein(text, TOY)


@given(st.data())
def test_protein_names_give_what_they_say(data: st.DataObject) -> None:
    transcript = data.draw(transcripts())
    place = data.draw(st.integers(2, len(transcript.protein)))
    new = data.draw(st.sampled_from("ACDEFGHIKLMNPQRSTVWY*"))
    old = transcript.protein[place - 1]
    if new == old:
        return
    for edit in parse_protein(f"{old}{place}{new}", transcript):
        [change] = haplotype(transcript, [edit]).changes
        assert (change.position, change.ref, change.alt) == (place, old, new)
