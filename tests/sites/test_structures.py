"""Structures are read, placed, and colored without losing records; what does not fit is refused."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from Bio.PDB.MMCIF2Dict import MMCIF2Dict
from Bio.PDB.mmcifio import MMCIFIO
from Bio.PDB.PDBParser import PDBParser

import saliscope
from saliscope.core.errors import InputError, OptionError
from saliscope.core.textfile import text_of
from saliscope.show import html
from saliscope.show.scene import Scene, Trace, scene_data
from saliscope.sites import color_structure, place, read_structure, structure_scene
from saliscope.sites.structure import Structure

SAMPLES = Path(saliscope.__file__).parent / "samples"
P53 = SAMPLES / "tp53_1tsr_B.pdb.gz"
SEQUENCE = json.loads((SAMPLES / "tp53_features.json").read_text())["sequence"]["value"]


@pytest.fixture(scope="module")
def chain() -> Structure:
    return read_structure(P53)


@pytest.fixture(scope="module")
def cif(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cif") / "p53.cif"
    parsed = PDBParser(QUIET=True).get_structure("s", io.StringIO(text_of(P53)))
    writer = MMCIFIO()
    writer.set_structure(parsed)
    writer.save(str(path))
    return path


def test_p53_and_its_dna(chain: Structure) -> None:
    assert (chain.chain, len(chain.letters), chain.numbers[0], chain.numbers[-1]) == (
        "B", 194, (96, ""), (289, ""),
    )  # fmt: skip
    assert [(o.name, o.kind) for o in chain.others] == [("E", "DNA"), ("F", "DNA"), ("Zn", "ion")]
    placed = place(chain, SEQUENCE)
    assert (placed.how, placed.span, placed.changed) == ("numbers", (96, 289), ())
    near = placed.flags(chain.near(["E", "F"]))
    # Residues that touch DNA in the paper (Cho et al. 1994).
    assert {120, 241, 248, 273, 276, 277, 280, 283} <= set(near)
    assert placed.flags(chain.near(["Zn"])) == (176, 179, 238, 242)


def test_neighbors_equal_a_slow_search(chain: Structure) -> None:
    dna = np.concatenate([o.atoms for o in chain.others if o.kind == "DNA"])
    apart = np.linalg.norm(chain.atoms[:, None] - dna[None], axis=-1).min(1)
    slow = {int(chain.owner[i]) for i in np.flatnonzero(apart < 4)}
    assert set(np.flatnonzero(chain.near(["E", "F"]))) == slow


def test_accessibility_is_that_of_the_chain_alone(chain: Structure) -> None:
    area = place(chain, SEQUENCE).along(chain.area)
    assert np.isnan(area[:95]).all()
    assert float(np.nanmin(area)) == 0.0
    assert area[174] < 0.2  # R175 is buried
    assert area[180] > 0.5  # R181 is not


def test_mmcif_gives_the_same(chain: Structure, cif: Path) -> None:
    other = read_structure(cif, "B")
    assert (other.letters, other.numbers) == (chain.letters, chain.numbers)
    assert other.alpha == pytest.approx(chain.alpha, abs=1e-3)
    assert [o.kind for o in other.others] == ["DNA", "DNA", "ion"]


def test_other_numbers_are_aligned(chain: Structure) -> None:
    placed = place(chain, "GSHM" + chain.letters[:100] + chain.letters[105:] + "GG")
    assert placed.how == "alignment"
    assert len(placed.columns) == 189
    assert (np.diff(placed.columns) > 0).all()
    letters = placed.sequence
    assert all(
        letters[c] == chain.letters[r] for r, c in zip(placed.rows, placed.columns, strict=True)
    )


def test_an_engineered_change_stays_where_it_is(chain: Structure) -> None:
    letters = SEQUENCE[:174] + "H" + SEQUENCE[175:]
    placed = place(chain, letters)
    assert placed.changed == ("H175R",)
    assert placed.identity == pytest.approx(193 / 194)


ROW = (
    "ATOM  {n:5d}  {atom:<3} {res} {chain}{at:4d}    {x:8.3f}   0.000   0.000  1.00 10.00"
    "           {e}  "
)


def rows(*atoms: tuple[str, str, str, int]) -> str:
    lines = [
        ROW.format(n=i, atom=a, res=r, chain=c, at=at, x=4.0 * i, e=a[0])
        for i, (a, r, c, at) in enumerate(atoms, 1)
    ]
    return "\n".join([*lines, "END", ""])


@pytest.mark.parametrize(
    ("text", "asked", "reason"),
    [
        (rows(("CA", "ALA", "A", 1)), "Z", "has no chain 'Z'; it has A"),
        (rows(("N", "ALA", "A", 1), ("C", "ALA", "A", 1)), None,
         "chain A has 1 residues without alpha carbons (CA)"),
        (rows(("CA", "ALA", "A", 1), ("CA", "GLY", "B", 1)), None,
         "has several protein chains (A, B); name one"),
        (rows(("P", " DA", "E", 1)), None, "has no protein chain; it has E"),
        (rows(("P", " DA", "E", 1), ("CA", "ALA", "A", 1)), "E", "chain E is no protein"),
        ("HEADER    NOTHING\n", None, "holds no atoms"),
        ("data_x\nloop_\n", None, "is not a readable structure"),
        ("", None, "is empty"),
    ],
)  # fmt: skip
def test_bad_structures_are_refused_in_one_line(
    tmp_path: Path, text: str, asked: str | None, reason: str
) -> None:
    file = tmp_path / "a.pdb"
    file.write_text(text)
    with pytest.raises(InputError) as error:
        read_structure(file, asked)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_another_protein_is_refused(chain: Structure) -> None:
    other = "MVHLTPEEKSAVTALWGKVNVDEVGGEALGRLLVVYPWTQRFFESFGDLSTPDAVMGNPKVKAHGKKVLGAF" * 3
    with pytest.raises(InputError, match=r"chain B has 194 residues, of which HBB .* has \d+%"):
        place(chain, other, name="HBB")
    with pytest.raises(OptionError, match="has no chain 'X' beside B; it has E, F, Zn"):
        chain.near(["X"])


def test_coloring_changes_b_factors_and_nothing_else(chain: Structure, tmp_path: Path) -> None:
    values = np.zeros(393)
    values[174], values[247] = -0.02, 0.005
    made = color_structure(place(chain, SEQUENCE), values, tmp_path / "a.pdb")
    assert made.factor == pytest.approx(4950)
    before, after = (
        text_of(P53).split("\n"),
        (tmp_path / "a.pdb").read_text().split("\n"),
    )
    assert len(before) == len(after)
    found = {}
    for old, new in zip(before, after, strict=True):
        if old.startswith(("ATOM", "HETATM")):
            assert (old[:60], old[66:]) == (new[:60], new[66:])
            found.setdefault((new[21], int(new[22:26])), set()).add(float(new[60:66]))
        else:
            assert old == new
    assert found["B", 175] == {-99.0}
    assert found["B", 248] == {24.75}
    assert all(b == {0.0} for key, b in found.items() if key not in {("B", 175), ("B", 248)})
    again = read_structure(tmp_path / "a.pdb")
    assert again.letters == chain.letters
    assert "chain B and resi 96+97" in made.pymol.read_text()
    assert "minimum=-99, maximum=99" in made.pymol.read_text()
    assert "color bfactor /B:96,97" in made.chimerax.read_text()


def test_coloring_mmcif_keeps_every_item(cif: Path, tmp_path: Path) -> None:
    values = np.zeros(393)
    values[174] = 1.0
    color_structure(place(read_structure(cif, "B"), SEQUENCE), values, tmp_path / "a.cif")
    before, after = MMCIF2Dict(str(cif)), MMCIF2Dict(str(tmp_path / "a.cif"))
    key = "_atom_site.B_iso_or_equiv"
    assert {k: v for k, v in before.items() if k != key} == {
        k: v for k, v in after.items() if k != key
    }
    chains, numbers = after["_atom_site.auth_asym_id"], after["_atom_site.auth_seq_id"]
    marked = {(c, n) for c, n, b in zip(chains, numbers, after[key], strict=True) if float(b) != 0}
    assert marked == {("B", "175")}


def test_coloring_refuses(chain: Structure, tmp_path: Path) -> None:
    placed = place(chain, SEQUENCE)
    with pytest.raises(InputError, match="placed on 393 residues, the map has 3"):
        color_structure(placed, np.ones(3), tmp_path / "a.pdb")
    with pytest.raises(OptionError, match=r"end in \.pdb"):
        color_structure(placed, np.ones(393), tmp_path / "a.cif")
    with pytest.raises(OptionError, match="zero or missing"):
        color_structure(placed, np.zeros(393), tmp_path / "a.pdb")
    with pytest.raises(OptionError, match="has 2 axes"):
        color_structure(placed, np.ones((2, 393)), tmp_path / "a.pdb")
    assert list(tmp_path.iterdir()) == []


def test_the_scene_on_a_page_is_offline_and_escaped(chain: Structure) -> None:
    placed = place(chain, SEQUENCE)
    values = np.linspace(0, 1, 393)
    values[175] = np.nan
    scene = structure_scene(
        placed, values, title="<b>demo</b>", marked={"</script>": [176, 1]}, unit="share"
    )
    assert (len(scene.names), scene.names[0], scene.marked) == (194, "S96", {"</script>": [80]})
    data = scene_data(scene)
    assert data["told"][80] == "not measured"
    assert data["colors"][80] == "#8f99a3"
    page = html([], title="A structure", scenes=[scene])
    assert not re.search(r"https?://|//cdn|@import|src=", page.replace("http-equiv", ""))
    assert "<b>demo" not in page
    assert page.count("</script>") == page.count("<script")
    assert "molecule" not in html([], title="Nothing")


def test_turning_the_scene_to_the_front_is_no_mirror_image() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(12, 3)) * [5, 3, 1]
    data = scene_data(Scene("x", points, [""] * 12, np.ones(12)))
    turned = np.array(data["points"])
    volume = [np.linalg.det(p[1:4] - p[0]) for p in (points, turned)]
    assert volume[0] == pytest.approx(volume[1], rel=0.05)
    apart = [np.linalg.norm(p[3] - p[9]) for p in (points, turned)]
    assert apart[0] == pytest.approx(apart[1], abs=0.02)


def test_colors_may_end_early_and_say_so() -> None:
    scene = Scene("x", np.eye(3), list("abc"), np.array([0.1, -0.2, 5.0]), signed=True, top=0.5)
    data = scene_data(scene)
    assert (data["low"], data["high"]) == ("≤ −0.5", "≥ +0.5")
    assert data["colors"][2] == data["ramp"][-1]


def test_scenes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(OptionError, match="2 points, 1 names"):
        Scene("x", np.zeros((2, 3)), ["a"], np.zeros(2))
    with pytest.raises(OptionError, match="too large"):
        Scene("x", np.zeros((1, 3)), ["a"], np.zeros(1), others=[Trace("b", np.zeros((20_000, 3)))])
