"""What a bottleneck may keep: labels of residues, pairs and proteins, and how they are read."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from saliscope.api.inputs import Input, read_fasta
from saliscope.core.errors import InputError, OptionError
from saliscope.core.textfile import lines
from saliscope.core.units import FloatArray

__all__ = [
    "AMINO", "Labelled", "Task", "composition", "families_of", "read_flip", "read_labels", "sample",
]  # fmt: skip

AMINO = "ACDEFGHIKLMNPQRSTVWY"
_UNKNOWN = set("-.?_")
_FILES = {
    "secondary structure": ("flip_secondary_structure_splits.zip", "splits/sampled.fasta"),
    "conservation": ("flip_conservation_splits.zip", "splits/sampled.fasta"),
    "binding": ("flip_binding_residue_splits.zip", "splits/from_publication.fasta"),
}
_CODES = {"H": 0.0, "E": 1.0, "C": 2.0}


@dataclass(frozen=True, eq=False)
class Task:
    """What is asked of a representation.

    Parameters
    ----------
    name : str
    level : {"residue", "pair", "protein"}
        What has a label.
    kind : {"class", "number"}
        Classes are compared by the area under the receiver operating characteristic, each against
        the rest; numbers by rank correlation.
    values : tuple of numpy.ndarray or None
        Of each protein: (residues,), NaN where unknown; (residues, residues) of pairs, NaN where
        unknown; (numbers,) of the protein itself. None where nothing is known.
    """

    name: str
    level: Literal["residue", "pair", "protein"]
    kind: Literal["class", "number"]
    values: tuple[FloatArray | None, ...] = field(repr=False)

    def at(self, places: Sequence[int]) -> Task:
        """Return the task of some of the proteins."""
        return Task(self.name, self.level, self.kind, tuple(self.values[i] for i in places))


class Labelled(NamedTuple):
    """Proteins, what is known of them, and the family of each."""

    proteins: list[Input]
    tasks: list[Task]
    families: list[int]


def composition(sequence: str) -> FloatArray:
    """Return the share of each of the twenty residues.

    Examples
    --------
    >>> composition("AAC")[:2].round(3).tolist()
    [0.667, 0.333]
    """
    counts = Counter(sequence)
    return np.array([counts[a] for a in AMINO]) / max(1, len(sequence))


def own_tasks(proteins: Sequence[Input]) -> list[Task]:
    """Return the tasks that need no labels: composition, length, and which residue stands where."""
    letters = [str(p.raw) for p in proteins]
    known = {a: float(i) for i, a in enumerate(AMINO)}
    residues = tuple(np.array([known.get(a, np.nan) for a in s]) for s in letters)
    return [
        Task("composition", "protein", "number", tuple(composition(s) for s in letters)),
        Task("length", "protein", "number", tuple(np.array([float(len(s))]) for s in letters)),
        Task("residue", "residue", "class", residues),
    ]


def families_of(sequences: Sequence[str], *, word: int = 5, share: float = 0.1) -> list[int]:
    """Return the family of each sequence: those that share words, directly or over others.

    Two sequences are of one family where the shorter shares a tenth of its words of five residues
    with the longer: about 60 % identity and more. Relatives beyond that stay apart; give families
    of a clustering program (MMseqs2 at 30 % identity) where it matters.

    Parameters
    ----------
    sequences : sequence of str
    word : int
        Residues of a word.
    share : float
        Of the shorter one's words.

    Examples
    --------
    >>> families_of(["MVHLTPEEKSAV", "MVHLTPEEKSAVTA", "GGGGGGGGGGGG"])
    [0, 0, 2]
    """
    words = [{s[i : i + word] for i in range(max(1, len(s) - word + 1))} for s in sequences]
    parent = list(range(len(sequences)))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    holders: dict[str, list[int]] = {}
    for i, own in enumerate(words):
        shared = Counter(j for w in own for j in holders.get(w, ()))
        for j, count in shared.items():
            if count >= share * min(len(own), len(words[j])):
                a, b = sorted((root(i), root(j)))
                parent[b] = a
        for w in own:
            holders.setdefault(w, []).append(i)
    return [root(i) for i in range(len(sequences))]


def read_labels(
    path: str | os.PathLike[str], proteins: Sequence[Input], name: str = "",
    level: Literal["residue", "protein"] | None = None,
) -> Task:  # fmt: skip
    """Read labels of proteins: a FASTA file of letters, or a table ``name,value``.

    Parameters
    ----------
    path : path-like
        FASTA: a letter for each residue (digits are numbers where more than two occur; "-", ".",
        "?" and "_" are unknown). CSV: a row per protein, its name and a number or a word.
    proteins : sequence of Input
        Whose names the file uses.
    name : str
        Of the task; by default the file's.
    level : {"residue", "protein"}, optional
        By default by the file's ending.

    Raises
    ------
    InputError
        A record without a protein is passed over; no record with one, or labels of another length.
    """
    label = name or Path(path).name.split(".")[0].replace("_", " ")
    table = Path(path).suffix.lower() in {".csv", ".tsv"} if level is None else level == "protein"
    if table:
        return _from_table(path, proteins, label)
    found = {record.name: str(record.raw) for record in read_fasta(path)}
    _some(path, found, proteins)
    seen = set("".join(found.values())) - _UNKNOWN
    numeric = seen <= set("0123456789") and len(seen) > 2
    codes = {c: float(c) if numeric else float(i) for i, c in enumerate(sorted(seen))}
    values: list[FloatArray | None] = []
    for protein in proteins:
        text = found.get(protein.name)
        if text is not None and len(text) != len(str(protein.raw)):
            msg = (
                f"{path}: {protein.name} has {len(text)} labels and {len(str(protein.raw))} "
                "residues; give one letter per residue, '-' where unknown"
            )
            raise InputError(msg)
        values.append(None if text is None else np.array([codes.get(c, np.nan) for c in text]))
    return Task(label, "residue", "number" if numeric else "class", tuple(values))


def _from_table(path: str | os.PathLike[str], proteins: Sequence[Input], label: str) -> Task:
    found: dict[str, str] = {}
    for number, line in lines(path, empty="holds no row; write name,value"):
        cells = [c.strip() for c in re.split(r"[,\t]", line.strip())]
        if len(cells) != 2:
            msg = f"{path}, line {number}: has {len(cells)} cells; write name,value"
            raise InputError(msg)
        found[cells[0]] = cells[1]
    _some(path, found, proteins)
    given = {p.name: found[p.name] for p in proteins if p.name in found}
    numbers: dict[str, float] = {}
    try:
        numbers = {n: float(v) for n, v in given.items()}
        kind: Literal["class", "number"] = "number"
    except ValueError:
        codes = {v: float(i) for i, v in enumerate(sorted(set(given.values())))}
        numbers, kind = {n: codes[v] for n, v in given.items()}, "class"
    values = tuple(np.array([numbers[p.name]]) if p.name in numbers else None for p in proteins)
    return Task(label, "protein", kind, values)


def _some(path: str | os.PathLike[str], found: Mapping[str, str], named: Sequence[Input]) -> None:
    if not {p.name for p in named} & set(found):
        first = ", ".join(list(found)[:3])
        msg = f"{path}: none of its records ({first}, ...) is named as a protein; rename them"
        raise InputError(msg)


def read_flip(
    folder: str | os.PathLike[str], *, most: int = 200, longest: int = 400,
    only: Container[str] | None = None, seed: int = 0,
) -> Labelled:  # fmt: skip
    """Read proteins with labels of FLIP (Dallago et al. 2021): three files as they are published.

    Secondary structure (helix, strand, coil, where resolved), conservation (ConSurf classes 1 to
    9), and binding residues.

    Parameters
    ----------
    folder : path-like
        With ``flip_secondary_structure_splits.zip``, ``flip_conservation_splits.zip`` and
        ``flip_binding_residue_splits.zip``; each may be missing, not all.
    most : int
        Proteins with labels of each file, drawn by `seed`; those in two files come first.
    longest : int
        Residues.
    only : container of str, optional
        Sequences to choose from: those that a model never saw, for example.
    seed : int

    Raises
    ------
    InputError
        There is none of the files, or none of the proteins.
    """
    records: dict[str, dict[str, FloatArray]] = {}
    names: dict[str, str] = {}
    there = [task for task, (file, _) in _FILES.items() if (Path(folder) / file).is_file()]
    if not there:
        first = _FILES["secondary structure"][0]
        msg = f"{folder}: holds no file of FLIP such as {first}; give the folder that holds them"
        raise InputError(msg)
    for task in there:
        for name, sequence, labels in _flip(Path(folder), task):
            if len(sequence) > longest or (only is not None and sequence not in only):
                continue
            names.setdefault(sequence, name)
            records.setdefault(sequence, {})[task] = labels
    order = np.random.default_rng(seed).permutation(sorted(records)).tolist()
    order.sort(key=lambda s: -len(records[s]))
    left = dict.fromkeys(there, most)
    chosen = []
    for sequence in order:
        if any(left[task] > 0 for task in records[sequence]):
            chosen.append(sequence)
            for task in records[sequence]:
                left[task] -= 1
    if not chosen:
        msg = f"{folder}: no protein of at most {longest} residues is left to choose from"
        raise InputError(msg)
    return _labelled([(names[s], s, records[s]) for s in chosen], families_of(chosen))


def _flip(folder: Path, task: str) -> list[tuple[str, str, FloatArray]]:
    file, member = _FILES[task]
    with zipfile.ZipFile(folder / file) as archive:
        sequences = _fasta(archive.read("splits/sequences.fasta").decode())
        labels = _fasta(archive.read(member).decode())
        mask = _fasta(archive.read("splits/mask.fasta").decode()) if task.startswith("sec") else {}
    found = []
    for name, text in labels.items():
        if task == "secondary structure":
            values = np.array([_CODES.get(c, np.nan) for c in text])
            values[np.array([c == "0" for c in mask[name]])] = np.nan
        elif task == "conservation":
            values = np.array([float(c) for c in text])
        else:
            values = np.array([float(c != "0") for c in text])
        if len(values) == len(sequences[name]):
            found.append((name, sequences[name], values))
    return found


def _fasta(text: str) -> dict[str, str]:
    parts = (block.partition("\n") for block in text.split(">")[1:])
    return {head.split()[0]: "".join(body.split()) for head, _, body in parts}


def _labelled(
    rows: Sequence[tuple[str, str, Mapping[str, FloatArray]]], families: list[int]
) -> Labelled:
    kinds: dict[str, Literal["class", "number"]] = {
        "secondary structure": "class", "conservation": "number", "binding": "class",
    }  # fmt: skip
    tasks = [
        Task(name, "residue", kind, tuple(labels.get(name) for _, _, labels in rows))
        for name, kind in kinds.items()
        if any(name in labels for _, _, labels in rows)
    ]
    return Labelled([Input(name, sequence) for name, sequence, _ in rows], tasks, families)


def sample(most: int | None = None) -> Labelled:
    """Return the labelled proteins of the package: 96 of FLIP, of clusters held out in training.

    FLIP splits (Dallago et al. 2021, NeurIPS Datasets and Benchmarks), AFL-3.0: secondary structure
    of NetSurfP-2.0 (Klausen et al. 2019), conservation of VESPA (Marquet et al. 2021), binding
    residues of bindEmbed21 (Littmann et al. 2021).

    Parameters
    ----------
    most : int, optional
        The first so many.

    Examples
    --------
    >>> known = sample(8)
    >>> len(known.proteins), [task.name for task in known.tasks]
    (8, ['secondary structure', 'conservation', 'binding'])
    """
    from importlib import resources

    if most is not None and most < 2:
        msg = f"most={most}: at least two proteins are needed"
        raise OptionError(msg)
    path = Path(str(resources.files("saliscope"))) / "samples" / "flip_held_out.json.gz"
    text = "\n".join(line for _, line in lines(path))
    rows: list[Any] = json.loads(text)["proteins"][:most]
    return _labelled(
        [
            (row["name"], row["sequence"], {t: _decoded(t, v) for t, v in row["labels"].items()})
            for row in rows
        ],
        [row["family"] for row in rows],
    )


def _decoded(task: str, text: str) -> FloatArray:
    codes = _CODES if task == "secondary structure" else {c: float(c) for c in "0123456789"}
    return np.array([codes.get(c, np.nan) for c in text])
