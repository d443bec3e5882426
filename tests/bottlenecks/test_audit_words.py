"""The document, the page and the tables of an audit; reading labels; the command."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saliscope.api.inputs import Input
from saliscope.bottleneck import (
    Audit,
    audit,
    document,
    families_of,
    figures_of,
    read_audit,
    read_flip,
    read_labels,
    sample,
)
from saliscope.bottleneck.measures import (
    auroc,
    effective_rank,
    explained,
    interval,
    linear_cka,
    spearman,
)
from saliscope.cli.main import main
from saliscope.core.errors import InputError

# A number that stands by itself: not the 2 of ESM-2, not the 33 of esm2_t33.
NUMBER = re.compile(r"(?<![\w.,:+−-])[+−]?\d[\d,]*(?:\.\d+)?%?(?![\w-])")


@pytest.fixture(scope="module")
def found() -> Audit:
    known = sample(4)
    return audit(
        "zoo:bottleneck", known.proteins, tasks=known.tasks, families=known.families, folds=2,
        variants=3, probes=("linear",),
    )  # fmt: skip


def test_every_number_of_the_document_is_in_its_table(found: Audit, tmp_path: Path) -> None:
    text = document(found)
    said = NUMBER.findall(text.text)
    assert len(said) > 40
    assert sorted(said) == sorted(text.numbers["written"])
    found.to_csv(tmp_path)
    for _, row in text.numbers.iterrows():
        written = row["written"].replace(",", "").replace("−", "-").removesuffix("%")
        scale = 100 if row["written"].endswith("%") else 1
        digits = len(written.partition(".")[2])
        assert float(written) == pytest.approx(row["value"] * scale, abs=0.51 * 10**-digits)
        assert (tmp_path / row["table"]).exists()
    again = document(read_audit(tmp_path))
    assert again.text == text.text


def test_numbers_come_from_the_cells_they_name(found: Audit) -> None:
    numbers = document(found).numbers.set_index("what")["value"]
    rebuilt = found["rebuilt"].set_index(["group", "label", "from"])["accuracy"]
    assert numbers["all, bottleneck"] == rebuilt["all", "all", "bottleneck"]
    assert numbers["all, composition"] == rebuilt["all", "all", "composition"]
    assert numbers["survive"] == found["variants"]["survives"].mean()
    table = found["probes"].query("task == 'residue' and features == 'bottleneck'")
    assert numbers["residue, bottleneck"] == table["value"].max()


def test_the_zoo_model_beats_wrong_bottlenecks_and_composition(found: Audit) -> None:
    own = found.accuracy()
    assert own is not None
    for source in ("slots in another order", "another input's bottleneck", "composition"):
        other = found.accuracy(source=source)
        assert other is not None
        assert own["low"] > 0.95 > 0.3 > other["high"]
    assert found.keeps == "both"
    assert found["similarity"]["cka"].gt(found["similarity"]["chance"]).all()


def test_figures_and_page(found: Audit, tmp_path: Path) -> None:
    figures = figures_of(found)
    assert list(figures) == [
        "rebuilt", "along", "slots", "heads", "probes", "kept", "variants", "similarity",
        "agreement", "beside",
    ]  # fmt: skip
    for figure, caption in figures.values():
        assert caption.endswith(".")
        assert figure.axes
    page = found.to_html(tmp_path / "page.html").read_text("utf-8")
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert page.count("<figure") == len(figures)
    assert "Bottleneck architecture analysis" in page
    assert "small model of the package" in page


def test_the_command_writes_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fasta = tmp_path / "p.fasta"
    fasta.write_text(">HBB\nMVHLTPEEKSAVTALWGKVNVDEV\n>other\nMKTAYIAKQRQISFVKSHFSRQ\n")
    out = tmp_path / "out"
    main([
        "bottleneck", str(fasta), "--variants", "HBB:E7V", "--probes", "none", "--rival", "none",
        "-o", str(out),
    ])  # fmt: skip
    assert capsys.readouterr().out.strip().endswith("report.html")
    table = pd.read_csv(out / "variants.csv")
    assert table["written"].tolist() == ["variant"]
    text = (out / "analysis.md").read_text("utf-8")
    written = pd.read_csv(out / "analysis.csv", dtype=str)["written"]
    assert sorted(NUMBER.findall(text)) == sorted(written)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no.fasta"], "there is no such file"),
        (["sample", "--bottleneck", "botleneck"], "did you mean 'bottleneck'?"),
        (["sample", "--probes", "liner"], "did you mean 'linear'?"),
        (["sample", "--labels", "a=b.fasta"], "is for the proteins of a FASTA file"),
        (["."], "holds no file of FLIP"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["bottleneck", *arguments, "-o", "out"])
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


# -- labels ----------------------------------------------------------------------------------------

PROTEINS = [Input("a", "MVHL"), Input("b", "MKT"), Input("c", "GG")]


def test_labels_are_read_by_letter_and_by_number(tmp_path: Path) -> None:
    letters = tmp_path / "secondary_structure.fasta"
    letters.write_text(">a\nHE-C\n>b\nHHE\n")
    task = read_labels(letters, PROTEINS)
    assert (task.name, task.level, task.kind) == ("secondary structure", "residue", "class")
    np.testing.assert_array_equal(task.values[0], [2, 1, np.nan, 0])
    assert task.values[2] is None
    digits = tmp_path / "d.fasta"
    digits.write_text(">a\n9?17\n")
    task = read_labels(digits, PROTEINS, "conservation")
    assert task.kind == "number"
    np.testing.assert_array_equal(task.values[0], [9, np.nan, 1, 7])
    table = tmp_path / "stability.csv"
    table.write_text("a,1.5\nb,-2\n")
    task = read_labels(table, PROTEINS)
    assert (task.level, task.kind) == ("protein", "number")
    assert task.values[1] is not None
    assert task.values[1].tolist() == [-2.0]


def test_labels_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "x.fasta"
    path.write_text(">a\nHE\n")
    with pytest.raises(InputError, match="a has 2 labels and 4 residues"):
        read_labels(path, PROTEINS)
    path.write_text(">z\nHE\n")
    with pytest.raises(InputError, match="none of its records"):
        read_labels(path, PROTEINS)
    table = tmp_path / "x.csv"
    table.write_text("a,1,2\n")
    with pytest.raises(InputError, match="line 1: has 3 cells"):
        read_labels(table, PROTEINS)


def test_flip_is_read_as_it_is_published(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "flip_secondary_structure_splits.zip", "w") as archive:
        archive.writestr("splits/sequences.fasta", ">1abc-A\nMVHL\n>2xyz-B\nMKTAY\n")
        archive.writestr("splits/sampled.fasta", ">1abc-A SET=train\nCHEC\n>2xyz-B SET=t\nHHHHH\n")
        archive.writestr("splits/mask.fasta", ">1abc-A\n0111\n>2xyz-B\n11111\n")
    with zipfile.ZipFile(tmp_path / "flip_binding_residue_splits.zip", "w") as archive:
        archive.writestr("splits/sequences.fasta", ">P1\nMVHL\n")
        archive.writestr("splits/from_publication.fasta", ">P1 SET=train\n0410\n")
    known = read_flip(tmp_path, most=1)
    assert [p.name for p in known.proteins] == ["1abc-A"]  # has labels of both kinds
    structure, binding = known.tasks
    np.testing.assert_array_equal(structure.values[0], [np.nan, 0, 1, 2])
    np.testing.assert_array_equal(binding.values[0], [0, 1, 1, 0])
    assert len(read_flip(tmp_path, only={"MKTAY"}).proteins) == 1


def test_families_share_words() -> None:
    one = "MVHLTPEEKSAVTALWGKVNVDEVGGEALG"
    assert families_of([one, one[:20] + "A" * 10, "GSTNQCYWFPLIVMKRHDEGSTNQCYWFPL"]) == [0, 0, 2]


# -- measures --------------------------------------------------------------------------------------


def test_measures_by_hand() -> None:
    rng = np.random.default_rng(0)
    assert effective_rank(rng.normal(size=(4000, 5))) == pytest.approx(5, abs=0.01)
    line = np.outer(rng.normal(size=50), [1.0, 2.0, 3.0])
    assert effective_rank(line) == pytest.approx(1)
    assert explained(line, 0.99) == 1
    assert effective_rank(np.ones((3, 2))) == 0
    x = rng.normal(size=(60, 4))
    turn, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    assert linear_cka(x, 3 * x @ turn + 5) == pytest.approx(1)
    assert linear_cka(x, rng.normal(size=(60, 4))) < 0.3
    assert auroc(np.array([1, 0]), np.array([1.0, 1.0])) == 0.5
    assert np.isnan(auroc(np.array([1, 1]), np.array([1.0, 2.0])))
    assert spearman(np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])) == -1
    wide = interval(np.array([0.0, 1.0] * 8), [f"f{i % 2}" for i in range(16)])
    tight = interval(np.array([0.0, 1.0] * 8), list(range(16)))
    assert (wide.low, wide.high) == (0.0, 1.0)
    assert tight.low > 0.2
