"""Structures of proteins: one chain of a PDB or mmCIF file, its atoms, and what it lies against."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError, OptionError
from saliscope.core.textfile import Path_, text_of
from saliscope.core.units import FloatArray

__all__ = ["CONTACT", "NEAR", "OtherChain", "Structure", "is_mmcif", "read_structure"]

CONTACT, NEAR = 8.0, 4.0
"""Angstrom: between beta carbons of residues in contact, and between atoms that touch."""


@dataclass(frozen=True, eq=False)
class OtherChain:
    """What else the file has: a nucleic acid, another protein, or single atoms such as zinc.

    Parameters
    ----------
    name : str
        The chain, or the element of single atoms.
    kind : {"DNA", "RNA", "protein", "ion"}
    trace : numpy.ndarray, shape (points, 3)
        Phosphorus (or C1'), alpha carbons, or the atoms themselves, in angstrom.
    atoms : numpy.ndarray, shape (atoms, 3)
    """

    name: str
    kind: str
    trace: FloatArray = field(repr=False)
    atoms: FloatArray = field(repr=False)


@dataclass(frozen=True, eq=False)
class Structure:
    """The residues of one protein chain that are resolved; made by `read_structure`.

    Parameters
    ----------
    path : str
    chain : str
    letters : str
        One letter per residue; modified ones as their parent ("M" of MSE), else "X".
    numbers : tuple of (int, str)
        Number and insertion code in the file.
    alpha, beta : numpy.ndarray, shape (residues, 3)
        Alpha carbons, and beta carbons (the alpha carbon of glycine and where there is no beta).
    atoms : numpy.ndarray, shape (atoms, 3)
        All heavy atoms of the chain's residues.
    owner : numpy.ndarray of int, shape (atoms,)
        The residue that an atom belongs to.
    area : numpy.ndarray, shape (residues,)
        Relative solvent accessibility of the chain alone, 0 to about 1; NaN for "X".
    others : tuple of OtherChain
    models : int
        Models in the file, of which the first is taken.
    """

    path: str
    chain: str
    letters: str
    numbers: tuple[tuple[int, str], ...] = field(repr=False)
    alpha: FloatArray = field(repr=False)
    beta: FloatArray = field(repr=False)
    atoms: FloatArray = field(repr=False)
    owner: npt.NDArray[np.int64] = field(repr=False)
    area: FloatArray = field(repr=False)
    others: tuple[OtherChain, ...] = ()
    models: int = 1

    def distances(self) -> FloatArray:
        """Return the distances between beta carbons in angstrom, shape (residues, residues)."""
        from scipy.spatial.distance import cdist

        return np.asarray(cdist(self.beta, self.beta))

    def near(self, chains: Sequence[str], cutoff: float = NEAR) -> npt.NDArray[np.bool_]:
        """Return which residues have an atom nearer than `cutoff` to an atom of other chains.

        Parameters
        ----------
        chains : sequence of str
            Names in `others`, e.g. of the two strands of a DNA.
        cutoff : float
            In angstrom.

        Raises
        ------
        OptionError
            There is no such chain.
        """
        from scipy.spatial import cKDTree

        known = {other.name: other for other in self.others}
        missing = [name for name in chains if name not in known]
        if missing:
            has = ", ".join(known) or "no other chain"
            msg = f"{self.path}: has no chain {missing[0]!r} beside {self.chain}; it has {has}"
            raise OptionError(msg)
        if not chains:
            msg = "no chains were named; give e.g. the strands of the DNA"
            raise OptionError(msg)
        tree = cKDTree(np.concatenate([known[name].atoms for name in chains]))
        apart, _ = tree.query(self.atoms, distance_upper_bound=cutoff)
        touched = np.zeros(len(self.letters), dtype=bool)
        touched[self.owner[np.asarray(apart) < cutoff]] = True
        return touched


def is_mmcif(path: Path_) -> bool:
    """Return whether a file is named as mmCIF.

    Examples
    --------
    >>> is_mmcif("1tsr.cif.gz"), is_mmcif("1tsr.pdb")
    (True, False)
    """
    return Path(path).name.removesuffix(".gz").casefold().endswith((".cif", ".mmcif"))


def read_structure(path: Path_, chain: str | None = None) -> Structure:
    """Read one protein chain of a PDB or mmCIF file, plain or packed with gzip.

    Of several models the first is taken, of alternative places the one of the highest occupancy.
    Accessibility is that of the chain alone (Shrake and Rupley 1973), over the largest that a
    residue of its type can have [1]_.

    Parameters
    ----------
    path : path
    chain : str, optional
        Which chain; by default the only protein chain there is. In mmCIF the author's name.

    Raises
    ------
    InputError
        One line: not a structure, no such chain, several to choose from, no alpha carbons.

    References
    ----------
    .. [1] Tien et al. (2013), Maximum allowed solvent accessibilites of residues in proteins,
       PLoS ONE 8(11): e80635.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> row = "ATOM      1  CA  ALA A   1      11.104   6.134  -6.504  1.00 10.00           C  "
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "one.pdb"
    ...     _ = file.write_text(row + chr(10) + "END" + chr(10))
    ...     one = read_structure(file)
    >>> one.chain, one.letters, one.numbers
    ('A', 'A', ((1, ''),))
    """
    models = _parsed(path)
    first = models[0]
    residues = {part.id: [r for r in part if _letter(r)] for part in first}
    proteins = [name for name, found in residues.items() if found]
    chosen = _choose(path, chain, [part.id for part in first], proteins)
    own = residues[chosen]
    kept = [r for r in own if "CA" in r]
    if not kept:
        msg = (
            f"{path}: chain {chosen} has {len(own):,} residues without alpha carbons (CA); "
            "give a structure with the protein's backbone"
        )
        raise InputError(msg)
    heavy = [(i, a) for i, r in enumerate(kept) for a in r if a.element not in {"H", "D"}]
    return Structure(
        str(path), chosen, "".join(_letter(r) for r in kept),
        tuple((int(r.id[1]), str(r.id[2]).strip()) for r in kept),
        np.array([r["CA"].coord for r in kept], dtype=float),
        np.array([r["CB" if "CB" in r else "CA"].coord for r in kept], dtype=float),
        np.array([a.coord for _, a in heavy], dtype=float),
        np.array([i for i, _ in heavy], dtype=np.int64),
        _accessibility(kept), tuple(_others(first, chosen)), len(models),
    )  # fmt: skip


def _parsed(path: Path_) -> list[Any]:
    from Bio.PDB.MMCIFParser import MMCIFParser
    from Bio.PDB.PDBExceptions import PDBConstructionException
    from Bio.PDB.PDBParser import PDBParser

    text = text_of(path)
    mmcif = is_mmcif(path) or text.lstrip().startswith("data_")
    make: Any = MMCIFParser if mmcif else PDBParser
    parser = make(QUIET=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            models = list(parser.get_structure("s", io.StringIO(text)))
    except (PDBConstructionException, ValueError, KeyError, IndexError, TypeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        msg = f"{path}: is not a readable structure ({reason}); download it again"
        raise InputError(msg) from error
    if not models or not len(models[0]):
        kind = "mmCIF" if mmcif else "PDB"
        msg = f"{path}: holds no atoms; give a structure in {kind} format"
        raise InputError(msg)
    return models


def _choose(path: Path_, chain: str | None, known: Sequence[str], proteins: Sequence[str]) -> str:
    has = ", ".join(name if name.strip() else "without a name" for name in known)
    if chain is not None:
        if chain not in known:
            msg = f"{path}: has no chain {chain!r}; it has {has}"
            raise InputError(msg)
        if chain not in proteins:
            msg = f"{path}: chain {chain} is no protein; protein chains: {', '.join(proteins)}"
            raise InputError(msg)
        return chain
    if not proteins:
        msg = f"{path}: has no protein chain; it has {has}"
        raise InputError(msg)
    if len(proteins) > 1:
        msg = f"{path}: has several protein chains ({', '.join(proteins)}); name one"
        raise InputError(msg)
    return proteins[0]


def _letter(residue: Any) -> str:
    """Return the letter of an amino acid, "" of anything else (water, ions, nucleotides)."""
    from Bio.Data.PDBData import protein_letters_3to1_extended as letters

    name = residue.get_resname().strip().upper()
    hetero = residue.id[0].strip()
    if hetero == "W":
        return ""
    found = letters.get(name, "")
    if found:
        return found if found in "ACDEFGHIKLMNPQRSTVWY" else "X"
    return "X" if "CA" in residue and "N" in residue and "C" in residue else ""


def _accessibility(residues: Sequence[Any]) -> FloatArray:
    from Bio.PDB.Chain import Chain
    from Bio.PDB.DSSP import residue_max_acc
    from Bio.PDB.SASA import ShrakeRupley

    largest = residue_max_acc["Wilke"]
    make: Any = Chain
    solve: Any = ShrakeRupley
    alone = make("A")
    for number, residue in enumerate(residues):
        own = residue.copy()
        own.id = (" ", number, " ")
        for atom in [a for a in own if a.element in {"H", "D"}]:
            own.detach_child(atom.id)
        alone.add(own)
    solve().compute(alone, level="R")
    names = [_parent(r) for r in residues]
    return np.array(
        [r.sasa / largest[n] if n in largest else np.nan for r, n in zip(alone, names, strict=True)]
    )


def _parent(residue: Any) -> str:
    from Bio.Data.PDBData import protein_letters_1to3

    return str(protein_letters_1to3.get(_letter(residue), "")).upper()


def _others(model: Any, chosen: str) -> Iterable[OtherChain]:
    ions: dict[str, list[Any]] = {}
    for part in model:
        heavy = [a for r in part for a in r if a.element not in {"H", "D"} and r.id[0] != "W"]
        for residue in part:
            only = list(residue)
            if residue.id[0].startswith("H_") and len(only) == 1:
                ions.setdefault(only[0].element.capitalize(), []).append(only[0].coord)
        if part.id == chosen:
            continue
        trace = [r["CA"].coord for r in part if "CA" in r and "N" in r]
        kind = "protein"
        if not trace:
            names = {r.get_resname().strip() for r in part}
            kind = "DNA" if names & {"DA", "DC", "DG", "DT", "T"} else "RNA"
            trace = [r[n].coord for r in part for n in ("P", "C1'") if n in r and _first(r, n)]
        if trace:
            yield OtherChain(
                part.id, kind, np.array(trace, dtype=float),
                np.array([a.coord for a in heavy], dtype=float),
            )  # fmt: skip
    for element, places in ions.items():
        spots = np.array(places, dtype=float)
        yield OtherChain(element, "ion", spots, spots)


def _first(residue: Any, name: str) -> bool:
    return name == "P" or "P" not in residue
