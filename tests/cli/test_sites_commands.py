"""`saliscope sites`: what is written, and one line for what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import saliscope
from saliscope.cli.main import main

SAMPLES = Path(saliscope.__file__).parent / "samples"
PDB = SAMPLES / "tp53_1tsr_B.pdb.gz"
FEATURES = SAMPLES / "tp53_features.json"
SEQUENCE = json.loads(FEATURES.read_text())["sequence"]["value"]


def failed(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    with pytest.raises(SystemExit) as left:
        main([str(w) for w in ("sites", *words)])
    assert left.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "p.fasta"
    path.write_text(f">sp|P04637|P53_HUMAN\n{SEQUENCE}\n")
    return path


def test_scan(fasta: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    main(
        ["sites", "scan", str(fasta), "--features", str(FEATURES), "--draws", "99", "-o", str(out)]
    )
    heads = pd.read_csv(out / "sites.csv")
    assert len(heads) == 16
    assert set(pd.read_csv(out / "rivals.csv")["rival"]) == {"residue identity", "minus entropy"}
    assert "4 sites among 393 residues" in capsys.readouterr().out


def test_contacts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    main(["sites", "contacts", f"{PDB}:B", "-o", str(out)])
    heads = pd.read_csv(out / "heads.csv")
    assert len(heads) == 16
    assert {"long P@L", "short P@L/5"} <= set(heads)
    assert not (out / "regression.csv").exists()
    assert "by chance" in capsys.readouterr().out


def test_color(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    saliscope.attention("zoo:protein", saliscope.Input("p53", SEQUENCE)).save("m.nc")
    main(["sites", "color", "m.nc", "--structure", str(PDB), "--layer", "2", "--features",
          str(FEATURES), "-o", "out", "-q"])  # fmt: skip
    assert sorted(p.name for p in Path("out").iterdir()) == [
        "m.cxc", "m.pdb", "m.pml", "report.html",
    ]  # fmt: skip
    page = Path("out/report.html").read_text()
    assert '<figure class="molecule">' in page
    assert "received, encoder layer 2" in page


def test_study_without_a_structure(fasta: Path, tmp_path: Path) -> None:
    area = tmp_path / "area.csv"
    area.write_text("position,rsa\n" + "".join(f"{i},{i % 7 / 7}\n" for i in range(96, 290)))
    out = tmp_path / "out"
    main(["sites", "study", "--clinvar", str(SAMPLES / "tp53_clinvar.csv.gz"), "--protein",
          str(fasta), "--area", str(area), "--site", "zinc=176,179,238,242", "--name", "TP53",
          "--pairs", "1", "-o", str(out), "-q"])  # fmt: skip
    frame = pd.read_csv(out / "variants.csv")
    assert frame["class"].tolist() == ["pathogenic", "benign"]
    assert len(list((out / "figures").iterdir())) == 11
    assert np.isfinite(pd.read_csv(out / "received.csv")["received"]).all()
    assert not (out / "structures").exists()


def test_one_clear_line_for_bad_input(
    fasta: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    dna = tmp_path / "dna.fasta"
    dna.write_text(">P04637\n" + "ACGT" * 20 + "\n")
    other = tmp_path / "other.fasta"
    other.write_text(f">P04637\n{SEQUENCE[:341]}\n")
    uneven = tmp_path / "uneven.fasta"
    uneven.write_text(f">a\n{SEQUENCE}\n>b\nMEE\n")
    beyond = tmp_path / "beyond.csv"
    beyond.write_text("position\n394\n")
    features = ("--features", FEATURES)
    cases = {
        "has no chain 'Z'; it has B, E, F": ("contacts", f"{PDB}:Z", "-o", out),
        "there is no such file": ("contacts", tmp_path / "none.pdb", "-o", out),
        "which is a nucleotide sequence; translate it": ("scan", dna, *features, "-o", out),
        "of 393 residues, P04637 has 341; give the features of this isoform": (
            "scan", other, *features, "-o", out),
        "row 2: site at 394 is not within the 393 residues": (
            "scan", fasta, "--features", beyond, "-o", out),
        "record 2 (b): has 3 aligned columns, a has 393": (
            "scan", fasta, *features, "--alignment", uneven, "-o", out),
        "did you mean 'binding site'": (
            "scan", fasta, *features, "--kind", "bindign site", "-o", out),
        "give --clinvar too": ("study", "--pairs", "3", "-o", out),
        "write a name and residues": (
            "study", "--clinvar", "x.csv", "--site", "zinc", "-o", out),
        "m.nc: there is no such file": (
            "color", tmp_path / "m.nc", "--structure", PDB, "-o", out),
    }  # fmt: skip
    for reason, words in cases.items():
        assert reason in failed(capsys, *words)
    assert not out.exists()


def test_a_record_of_another_protein_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "m.nc"
    saliscope.attention("zoo:protein", saliscope.Input("hbb", "MVHLTPEEKSAVTALWGK")).save(record)
    line = failed(capsys, "color", record, "--structure", PDB, "-o", tmp_path / "out")
    assert "chain B has 194 residues, of which hbb (18 residues)" in line
