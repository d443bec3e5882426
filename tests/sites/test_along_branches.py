"""Substitutions along a branch: numbered along the ancestor, gaps passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from saliscope import InputError, OptionError, attention, explain
from saliscope.models.protein import ProteinModel
from saliscope.sites import Lineage, along_branch, along_lineage, read_lineage


def test_rows_are_the_differences_of_two_maps(protein: ProteinModel) -> None:
    found = along_branch(protein, "MV-LTPEEK", "MVHLSPE-V", method="masking", target="likelihood")
    assert found["substitution"].tolist() == ["T4S", "K8V"]
    maps = [explain(protein, s, "masking", "likelihood") for s in ("MVLTPEEK", "MVHLSPEV")]
    seen = [attention(protein, s).received(-1) for s in ("MVLTPEEK", "MVHLSPEV")]
    for row, before, after in ((0, 3, 4), (1, 7, 7)):
        one, two = (float(m.values[i]) for m, i in zip(maps, (before, after), strict=True))
        assert found["attribution_change"][row] == pytest.approx(two - one, abs=1e-12)
        one, two = (float(m.values[i]) * 8 for m, i in zip(seen, (before, after), strict=True))
        assert found["attention_before"][row] == pytest.approx(one, abs=1e-12)
        assert found["attention_change"][row] == pytest.approx(two - one, abs=1e-12)


def test_what_is_no_branch_is_refused(protein: ProteinModel) -> None:
    with pytest.raises(InputError, match="the ancestor has 3 columns and the descendant 4"):
        along_branch(protein, "M-H", "MVHL")
    with pytest.raises(InputError, match="no substitution"):
        along_branch(protein, "MV-", "MVH")
    with pytest.raises(OptionError, match="model of text"):
        along_branch("zoo:sentiment", "MVH", "MVK")


def test_sequences_without_gaps_are_aligned_here(protein: ProteinModel) -> None:
    found = along_branch(
        protein, "MVHLTPEEKSAVTALWGK", "HLTPEEKSGVTALWGK", method="masking", target="likelihood"
    )
    assert found["substitution"].tolist() == ["A11G"]


def test_a_lineage_is_its_branches(protein: ProteinModel) -> None:
    rows = ("MVHLTPEEK", "MVHLTPVEK", "MIHLTP-EK")
    options = {"method": "gradient", "target": "likelihood"}
    found = along_lineage(protein, Lineage(("a", "b", "c"), rows), **options)
    assert found[["branch", "from", "to", "substitution"]].values.tolist() == [
        [1, "a", "b", "E7V"], [2, "b", "c", "V2I"],
    ]  # fmt: skip
    for k in (0, 1):
        alone = along_branch(protein, rows[k], rows[k + 1], **options)
        for column in ("attribution_change", "attention_before", "attention_after"):
            assert found[column][k] == pytest.approx(alone[column][0], abs=1e-9)


TREE = "(((tip:1,x:1)Node3/88:1,y:1)Node2/97:1,z:1,(p:1,q:1)Node4/60:1)Node1;"
ROWS = {"tip": "MVHR", "Node3": "MVHK", "2_Node2": "MVK", "p": "MV", "Node4": "MVV"}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    tree, rows = tmp_path / "a.nwk", tmp_path / "a.fasta"
    tree.write_text(f"{TREE}\n{TREE}\n")
    rows.write_text("".join(f">{name} x\n{row}\n" for name, row in ROWS.items()))
    return tree, rows


def test_the_way_from_the_root_to_a_tip(files: tuple[Path, Path]) -> None:
    way = read_lineage(*files, "tip", number=2)
    assert way.names == ("Node2", "Node3", "tip")
    assert way.sequences == ("MVK", "MVHK", "MVHR")
    assert way.notes == ("Node1, the root, has no sequence; left out",)
    assert read_lineage(*files, "Node3", number=2).names == ("Node2", "Node3")


@pytest.mark.parametrize(
    ("tip", "number", "kind", "words"),
    [
        ("tip", 1, InputError, r"1 of 3 nodes on the way to 'tip'.*first is 'Node2'.*'1_Node2'"),
        ("tpi", 1, OptionError, "no node 'tpi'; did you mean 'tip'"),
        ("tip", 3, OptionError, "has 2 trees; there is no tree 3"),
        ("z", 1, InputError, "'z' have no sequence"),
    ],
)
def test_names_that_do_not_fit_the_tree_are_told(
    files: tuple[Path, Path], tip: str, number: int, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        read_lineage(*files, tip, number=number)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "hello", "((a,b)c", "((a,b)c));", "{}", "(" * 3000])
def test_what_is_no_tree_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.nwk").write_text(text)
    (tmp_path / "a.fasta").write_text(">a\nMV\n")
    with pytest.raises(InputError) as caught:
        read_lineage(tmp_path / "a.nwk", tmp_path / "a.fasta", "a")
    assert str(tmp_path / "a.nwk") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_with_two_sequences_is_refused(files: tuple[Path, Path]) -> None:
    tree, rows = files
    rows.write_text(rows.read_text() + ">tip\nMVHC\n")
    with pytest.raises(InputError, match="'tip' stands twice"):
        read_lineage(tree, rows, "tip", number=2)


def test_an_alignment_of_unequal_lengths_is_refused(protein: ProteinModel) -> None:
    way = Lineage(("a", "b"), ("MV-HK", "MVHK"))
    with pytest.raises(InputError, match="a has 5 columns and b 4"):
        along_lineage(protein, way, target="likelihood")
