"""Sequences for `zoo:ancestry`: extant proteins, reconstructed ancestors, and their clades.

His3p (imidazoleglycerol-phosphate dehydratase): 331 extant sequences, and ancestors reconstructed
on 100 trees. Whole clades are held out, over all trees: the leaves of some clades of the first
tree are the test leaves, and an ancestor is a test ancestor where all leaves below it, in its own
tree, are test leaves of one clade; a training ancestor where none is; and is left out where both
are below it, because then it was inferred from both.

PTE (phosphotriesterase) is another family, never trained on. Its ancestors have a residue at
every site of the reconstruction, extant sequences do not, so that length would tell them apart. So
both are trimmed to the columns of the extant alignment that nearly all extant sequences fill.
"""

from __future__ import annotations

import gzip
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from Bio import Phylo
from Bio.Align import PairwiseAligner, substitution_matrices

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
LARGEST_CLADE = 16  # leaves: so that a good number of clades are held out
COMMON = 0.95  # share of extant sequences with a residue in a column that is kept
SEED = 20


@dataclass(frozen=True)
class Sequences:
    """Proteins, what they are, and which clade each belongs to."""

    names: list[str]
    letters: list[str]
    ancestor: np.ndarray  # (n,) bool
    clade: np.ndarray  # (n,) int, -1 for training ancestors that stand above several clades
    split: np.ndarray  # (n,) str: train, inner (chooses the epoch), test

    def where(self, split: str) -> np.ndarray:
        """Return the row numbers of a split."""
        return np.flatnonzero(self.split == split)


def read_fasta(path: Path) -> Iterator[tuple[str, str]]:
    """Yield names and sequences; names may repeat."""
    name, parts = "", list[str]()
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        for line in file:
            if line.startswith(">"):
                if name:
                    yield name, "".join(parts)
                name, parts = line[1:].split()[0], []
            else:
                parts.append(line.strip())
    if name:
        yield name, "".join(parts)


def read_trees(path: Path) -> list[Phylo.BaseTree.Tree]:
    """Return the trees, one per line of a Newick file."""
    with gzip.open(path, "rt") as file:
        return list(Phylo.parse(io.StringIO(file.read()), "newick"))


def node_name(clade: Phylo.BaseTree.Clade) -> str:
    """Return the name of an inner node without its support."""
    return (clade.name or "").split("/")[0]


def leaves_below(tree: Phylo.BaseTree.Tree) -> dict[str, frozenset[str]]:
    """Return for every inner node the leaves below it."""
    found: dict[int, frozenset[str]] = {}
    named = {}
    for clade in tree.find_clades(order="postorder"):
        if clade.is_terminal():
            found[id(clade)] = frozenset([clade.name])
        else:
            found[id(clade)] = frozenset().union(*(found[id(c)] for c in clade.clades))
            named[node_name(clade)] = found[id(clade)]
    return named


def cut(tree: Phylo.BaseTree.Tree, largest: int) -> list[frozenset[str]]:
    """Return the largest clades that have at most so many leaves."""
    found = []
    left = [tree.root]
    while left:
        clade = left.pop()
        leaves = frozenset(t.name for t in clade.get_terminals())
        if len(leaves) <= largest:
            found.append(leaves)
        else:
            left.extend(clade.clades)
    return sorted(found, key=lambda s: (-len(s), min(s)))


def his3p(data: Path) -> Sequences:
    """Return the His3p sequences with their splits."""
    folder = data / "ancestral"
    extant = dict(read_fasta(folder / "His3p_extant.fasta"))
    trees = read_trees(folder / "His3p_trees.nwk.gz")
    clades = cut(trees[0], LARGEST_CLADE)
    order = np.random.default_rng(SEED).permutation(len(clades))
    part = np.full(len(clades), "train", dtype=object)
    for name, share in (("test", 0.3), ("inner", 0.45)):
        count = 0
        for i in order:
            if count >= share * len(extant):
                break
            count += len(clades[i])
            if part[i] == "train":
                part[i] = name
    home = {leaf: i for i, clade in enumerate(clades) for leaf in clade}
    rows = [(n, s, False, home[n], part[home[n]]) for n, s in extant.items()]
    below = [leaves_below(tree) for tree in trees]
    for name, letters in read_fasta(folder / "His3p_ancestors.fasta.gz"):
        number, _, node = name.partition("_")
        inside = {home[leaf] for leaf in below[int(number) - 1][node]}
        parts = {part[i] for i in inside}
        if parts == {"train"}:
            rows.append((name, letters, True, inside.pop() if len(inside) == 1 else -1, "train"))
        elif len(inside) == 1:
            rows.append((name, letters, True, inside.pop(), parts.pop()))
    names, letters, ancestor, clade, split = (list(column) for column in zip(*rows, strict=True))
    return Sequences(names, letters, np.array(ancestor), np.array(clade), np.array(split))


def aligner() -> PairwiseAligner:
    """Return a global aligner with the usual protein scores, free gaps at the ends."""
    made = PairwiseAligner(mode="global")
    made.substitution_matrix = substitution_matrices.load("BLOSUM62")
    made.open_gap_score, made.extend_gap_score = -11.0, -1.0
    made.end_gap_score = 0.0
    return made


def onto(reference: str, sequence: str, align: PairwiseAligner) -> str:
    """Return for each residue of the reference the residue aligned to it, or a gap."""
    row = ["-"] * len(reference)
    first, second = align.align(reference, sequence)[0].aligned
    for (a, b), (c, _) in zip(first, second, strict=True):
        row[a:b] = sequence[c : c + b - a]
    return "".join(row)


def consensus(rows: list[str]) -> str:
    """Return the most frequent letter of each column."""
    return "".join(Counter(column).most_common(1)[0][0] for column in zip(*rows, strict=True))


def pte(data: Path, sample: int = 600) -> Sequences:
    """Return PTE sequences cut to common columns; ancestors are drawn, evenly over the trees."""
    folder = data / "ancestral"
    aligned = dict(read_fasta(folder / "PTE_extant_alignment.fasta"))
    rows = np.array([list(row) for row in aligned.values()])
    kept = np.flatnonzero((rows != "-").mean(0) >= COMMON)
    reference = consensus(["".join(row) for row in rows[:, kept]])
    made = [(n, "".join(row[kept])) for n, row in zip(aligned, rows, strict=True)]
    nodes = [(n, s) for n, s in read_fasta(folder / "PTE_ancestors.fasta.gz") if n != "PTE"]
    chosen = np.linspace(0, len(nodes) - 1, sample).astype(int)
    align = aligner()
    made += [(nodes[i][0], onto(reference, nodes[i][1], align)) for i in chosen]
    letters = [s.replace("-", "") for _, s in made]
    ancestor = np.arange(len(made)) >= len(aligned)
    return Sequences(
        [n for n, _ in made], letters, ancestor, np.arange(len(made)),
        np.full(len(made), "test", dtype=object),
    )  # fmt: skip
