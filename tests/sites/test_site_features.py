"""Features of proteins are read as their files have them, or refused in one line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.errors import InputError, OptionError
from saliscope.sites.alignment import conservation
from saliscope.sites.features import Annotation, Feature, Sites
from saliscope.sites.reading import read_features

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "proteins" / "uniprot"
SEQUENCE = "MCHKAWCDEF"


def feature(kind: str, start: object, end: object, **more: object) -> dict[str, object]:
    return {
        "type": kind,
        "location": {"start": {"value": start}, "end": {"value": end}, **more},
        "description": "",
    }


def entry(*features: dict[str, object], sequence: str = SEQUENCE) -> str:
    return json.dumps({
        "primaryAccession": "P1", "features": list(features),
        "sequence": {"value": sequence, "length": len(sequence)},
    })  # fmt: skip


def test_uniprot_json_gives_functional_residues_by_default(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    zinc = feature("Binding site", 2, 3)
    zinc["ligand"] = {"name": "Zn(2+)"}
    file.write_text(entry(zinc, feature("Region", 1, 9), feature("Active site", 7, 7)))
    [found] = read_features(file)
    sites = found.on(SEQUENCE)
    assert sites.positions == (2, 3, 7)
    assert sites.features[0].name == "Zn(2+)"
    assert found.on(SEQUENCE, kinds=["region"]).positions == tuple(range(1, 10))


def test_unknown_ends_are_counted_and_left_out(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(entry(feature("Site", None, 4), feature("Site", 5, 5)))
    [found] = read_features(file)
    assert (found.unplaced, found.on(SEQUENCE).positions) == (1, (5,))


def test_of_a_disulfide_bond_only_the_ends_count(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(entry(feature("Disulfide bond", 2, 7)))
    assert read_features(file)[0].on(SEQUENCE, kinds=["disulfide bond"]).positions == (2, 7)


def test_the_ebi_form_has_positions_as_text(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps({
        "accession": "P1", "sequence": SEQUENCE,
        "features": [{"type": "BINDING", "begin": "2", "end": "3", "description": "zinc"}],
    }))  # fmt: skip
    [found] = read_features(file)
    assert found.on(SEQUENCE).features[0].kind == "Binding site"


def test_gff_with_escapes_a_tenth_column_and_two_proteins(tmp_path: Path) -> None:
    file = tmp_path / "a.gff"
    file.write_text(
        "##gff-version 3\n##sequence-region P1 1 10\n"
        "P1\tUniProtKB\tBinding site\t2\t3\t.\t.\t.\tNote=a%2Cb;evidence=ECO:1\t\n"
        "P2\tUniProtKB\tActive site\t4\t4\t.\t.\t.\tNote=x\t\n"
    )
    one, two = read_features(file)
    assert (one.accession, one.length, two.accession) == ("P1", 10, "P2")
    assert one.on(SEQUENCE).features[0].name == "a,b"


FLAT = """ID   TEST_HUMAN              Reviewed;          10 AA.
AC   P1;
DT   01-JAN-2000, integrated into UniProtKB/Swiss-Prot.
DE   RecName: Full=Test;
OS   Homo sapiens (Human).
OC   Eukaryota.
OX   NCBI_TaxID=9606;
FT   BINDING         2..3
FT                   /ligand="Zn(2+)"
FT   ACT_SITE        7
FT                   /note="Nucleophile"
FT   SITE            ?
FT                   /note="Nobody knows"
SQ   SEQUENCE   10 AA;  1000 MW;  0000000000000000 CRC64;
     MCHKAWCDEF
//
"""


def test_the_flat_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text(FLAT)
    [found] = read_features(file)
    assert found.on(SEQUENCE).positions == (2, 3, 7)
    assert (found.accession, found.length, found.unplaced) == ("P1", 10, 1)


@given(
    st.lists(
        st.tuples(st.integers(1, 10), st.integers(0, 5)).map(lambda t: (t[0], min(10, sum(t)))),
        min_size=1, max_size=6,
    )
)  # fmt: skip
def test_bed_and_tables_name_the_same_residues(
    tmp_path: Path, spans: list[tuple[int, int]]
) -> None:
    bed, table = tmp_path / "a.bed", tmp_path / "a.csv"
    bed.write_text("".join(f"P1\t{first - 1}\t{last}\tx\n" for first, last in spans))
    table.write_text("start,end\n" + "".join(f"{a},{b}\n" for a, b in spans))
    found = [f.positions for f in read_features(bed)[0].features]
    assert found == [range(a, b + 1) for a, b in spans]
    assert found == [f.positions for f in read_features(table)[0].features]


@pytest.mark.parametrize(
    ("text", "sequence", "reason"),
    [
        (entry(feature("Site", 4, 4)), SEQUENCE + "A",
         "is about P1 of 10 residues, the given sequence has 11; give the features of this"),
        (entry(feature("Site", 4, 4)), "MCHKAWCDEA", "is about P1 with F at 10"),
        (entry(feature("Site", 11, 12)), SEQUENCE,
         "feature 1: Site at 11 to 12 is not within the 10 residues of P1"),
        (entry(feature("Site", 4, 4, sequence="P1-2")), SEQUENCE,
         "feature 1: Site at 4 is counted on isoform P1-2; give that isoform's sequence"),
        (entry(feature("Region", 1, 5)), SEQUENCE, "it has region (1)"),
        ('{"a" 1}', SEQUENCE, "row 1: is not JSON"),
        ('{"a": 1}', SEQUENCE, "an entry has no list of features"),
        (">P1\nMCHK\n", SEQUENCE, "is FASTA, which has no features"),
        (FLAT.replace("//\n", ""), SEQUENCE, "does not end in '//'"),
        ("position,residue\n2,K\n", SEQUENCE, "row 2: site at 2 names residue K, P9 has C"),
        ("position\n0\n", SEQUENCE, "site at 0 is not within"),
        ("position\nx\n", SEQUENCE, "row 2: x is not a residue number"),
        ("kind\nx\n", SEQUENCE, "has no column 'start' or 'begin'"),
        ("##gff-version 3\nP1\tU\tSite\t2\t3\n", SEQUENCE,
         "row 2: has 5 columns where GFF has nine"),
        ("##sequence-region P1 1 12\nP1\tU\tSite\t2\t3\t.\t.\t.\t.\n", SEQUENCE,
         "is about P1 of 12 residues"),
    ],
)  # fmt: skip
def test_bad_features_are_refused_in_one_line(
    tmp_path: Path, text: str, sequence: str, reason: str
) -> None:
    file = tmp_path / "a.txt"
    file.write_text(text)
    name = "P9" if text.startswith("position") else ""
    with pytest.raises((InputError, OptionError)) as error:
        read_features(file)[0].on(sequence, name=name)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_all_or_no_residues_are_no_comparison() -> None:
    with pytest.raises(InputError, match="2 of 2 residues are sites"):
        Sites.at("MC", [1, 2])
    with pytest.raises(InputError, match="not within the 2 residues"):
        Sites.at("MC", [3])
    with pytest.raises(OptionError, match="did you mean 'region'"):
        Annotation("P1", (Feature(1, 2, "Region"),)).on("MCHK", kinds=["regoin"])


@pytest.mark.skipif(not DATA.exists(), reason="needs the shared data")
def test_the_zinc_sites_of_p53() -> None:
    [found] = read_features(DATA / "P04637_TP53_features.json")
    assert found.on(found.sequence).positions == (176, 179, 238, 242)


def test_conservation_by_hand_and_with_insertions(tmp_path: Path) -> None:
    file = tmp_path / "a.a3m"
    file.write_text(">x\nACD\n>own\nAc-D\n>y\nA-E\n")
    # Columns: A A A; C - -; D D E. Weights: column 1: 1/3 each; column 2: x 1; column 3: x and own
    # 1/4, y 1/2. So D weighs 1/3 + 1 + 1/4 + 1/3 + 1/4, E 1/3 + 1/2.
    found = conservation(file, "ACD")
    up, down = 13 / 6, 5 / 6
    p = up / (up + down)
    expected = p * math.log(p) + (1 - p) * math.log(1 - p)
    assert found[0] == 0.0
    assert found[1] == 0.0  # the first sequence that is the protein is x itself
    assert found[2] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (">own\nMCHK\n>b\nMCH\n", "record 2 (b): has 3 aligned columns, own has 4"),
        (">b\nMCHA\n>c\nMCHC\n", "the protein of 4 residues is not among the 2 sequences"),
        (">own\nMCHK\n", "has one sequence"),
        ("MCHK\n", "line 1: is not FASTA"),
    ],
)
def test_bad_alignments_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "a.fasta"
    file.write_text(text)
    with pytest.raises(InputError) as error:
        conservation(file, "MCHK")
    assert reason in str(error.value)
