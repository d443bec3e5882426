"""Sequences for `zoo:protein`: read, cluster, split and weight them.

Sources are those of the data folder: 20,000 UniProt sequences, the FLIP proteins, 2,525 human
proteins, and three protein families (beta-lactamase, hemoglobin alpha, calsequestrin).

Two MMseqs2 clusterings do the work that a random split cannot:

* at 30 % identity: whole clusters go to training or to the held-out set, so that held-out
  perplexity is not memory. A cluster with a family member always trains, and a cluster with a FLIP
  secondary-structure *test* protein never does.
* at 80 % identity: a sequence is drawn with weight 1 / (size of its cluster), so that a hundred
  copies of one polyprotein count as one.
"""

from __future__ import annotations

import csv
import gzip
import re
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RESIDUES = "LAGVSERTIDPKQNFYMHWCXBUZO"
FAMILIES = {
    "beta-lactamase": "proteins/msa/BLAT_ECOLX.a2m.gz",
    "hemoglobin": "proteins/msa/1A00_A_hemoglobin_alpha_uniref90.a3m.gz",
    "calsequestrin": "proteins/msa/eggnog_calsequestrin_119_orthologs.fasta",
}


@dataclass(frozen=True)
class Corpus:
    """Sequences with the source, sampling weight and split of each."""

    sequences: list[str]
    source: np.ndarray  # (n,) str
    weight: np.ndarray  # (n,) float64, 1 / size of the cluster at 80 % identity
    held_out: np.ndarray  # (n,) bool, by clusters at 30 % identity


def parse_fasta(text: str) -> list[tuple[str, str]]:
    """Return (header, sequence) pairs; alignment gaps are dropped, insertions upper-cased."""
    records: list[tuple[str, str]] = []
    for block in text.split(">")[1:]:
        header, _, body = block.partition("\n")
        records.append((header.strip(), re.sub(r"[\s.\-*]", "", body).upper()))
    return records


def _open(path: Path) -> str:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()


def read_sources(data: Path) -> list[tuple[str, str]]:
    """Return (source, sequence) pairs, exact duplicates removed (the first source keeps it)."""
    found: list[tuple[str, str]] = []
    for name, file in FAMILIES.items():
        found += [(name, s) for _, s in parse_fasta(_open(data / file))]
    folder = data / "secondary_structure"
    with zipfile.ZipFile(folder / "flip_secondary_structure_splits.zip") as archive:
        labels = parse_fasta(archive.read("splits/sampled.fasta").decode())
        proteins = {
            h.split()[0]: s for h, s in parse_fasta(archive.read("splits/sequences.fasta").decode())
        }
    test = {h.split()[0] for h, _ in labels if "SET=test" in h}
    found += [("flip-ss-test" if h in test else "flip", s) for h, s in proteins.items()]
    for name in ("flip_conservation_splits.zip", "flip_binding_residue_splits.zip"):
        with zipfile.ZipFile(folder / name) as archive:
            text = archive.read("splits/sequences.fasta").decode()
        found += [("flip", s) for _, s in parse_fasta(text)]
    human = data / "proteins/proteingym_clinical_reference_2525_human_proteins.csv"
    with human.open(newline="") as handle:
        found += [("human", row["target_seq"]) for row in csv.DictReader(handle)]
    uniprot = _open(data / "proteins/uniprot_20k_mmseqs2_example.fasta.gz")
    found += [("uniprot", s) for _, s in parse_fasta(uniprot)]
    unique: dict[str, str] = {}
    for source, sequence in found:
        if len(sequence) >= 30 and set(sequence) <= set(RESIDUES):
            unique.setdefault(sequence, source)
    return [(source, sequence) for sequence, source in unique.items()]


def cluster(sequences: list[str], identity: float, threads: int = 2) -> np.ndarray:
    """Return the cluster number of each sequence (MMseqs2 easy-cluster, coverage 0.5)."""
    if shutil.which("mmseqs") is None:
        msg = "mmseqs is not installed; on Debian: apt-get install mmseqs2"
        raise SystemExit(msg)
    with tempfile.TemporaryDirectory() as folder:
        fasta = Path(folder) / "in.fasta"
        fasta.write_text("".join(f">{i}\n{s}\n" for i, s in enumerate(sequences)))
        places = [str(fasta), f"{folder}/out", f"{folder}/work"]
        how = ["--min-seq-id", str(identity), "-c", "0.5", "--cov-mode", "1"]
        quiet = ["--threads", str(threads), "-v", "1"]
        subprocess.run(["mmseqs", "easy-cluster", *places, *how, *quiet], check=True)
        table = np.loadtxt(f"{folder}/out_cluster.tsv", dtype=np.int64)
    labels = np.empty(len(sequences), dtype=np.int64)
    labels[table[:, 1]] = table[:, 0]
    return labels


def build(data: Path, cache: Path, *, held_out_share: float = 0.02, seed: int = 0) -> Corpus:
    """Read, cluster and split; the clusterings are kept in `cache` (an .npz file)."""
    pairs = read_sources(data)
    source = np.array([s for s, _ in pairs])
    sequences = [s for _, s in pairs]
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cache, at30=cluster(sequences, 0.3), at80=cluster(sequences, 0.8))
    saved = np.load(cache)
    at30, at80 = saved["at30"], saved["at80"]
    if len(at30) != len(sequences):
        msg = f"{cache}: made from other data; delete it"
        raise SystemExit(msg)
    must_train = np.unique(at30[np.isin(source, list(FAMILIES))])
    must_test = np.setdiff1d(np.unique(at30[source == "flip-ss-test"]), must_train)
    free = np.setdiff1d(np.unique(at30), np.union1d(must_train, must_test))
    drawn = np.random.default_rng(seed).permutation(free)[: int(held_out_share * len(free))]
    _, inverse, counts = np.unique(at80, return_inverse=True, return_counts=True)
    return Corpus(
        sequences, source, 1.0 / counts[inverse], np.isin(at30, np.union1d(drawn, must_test))
    )
