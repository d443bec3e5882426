"""A structure colored by values: in the file's B-factors, and as a scene on a page."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from saliscope.core.attribution import Attribution
from saliscope.core.errors import InputError, OptionError
from saliscope.core.files import write_beside
from saliscope.core.textfile import text_of
from saliscope.core.units import FloatArray
from saliscope.sites.placing import Placed
from saliscope.sites.structure import is_mmcif

__all__ = ["Colored", "color_structure", "structure_scene"]

_TOP = 99.0
"""The B-factor of the largest size: a PDB has six columns for it, the sign and two decimals."""


@dataclass(frozen=True)
class Colored:
    """What `color_structure` wrote.

    Parameters
    ----------
    structure, pymol, chimerax : pathlib.Path
        The structure, and scripts that open and color it.
    factor : float
        A value times this is its B-factor.
    residues : int
        Residues that have a value.
    """

    structure: Path
    pymol: Path
    chimerax: Path
    factor: float
    residues: int


def values_of(record: Attribution | npt.ArrayLike, placed: Placed) -> tuple[FloatArray, bool, str]:
    """Return values along the sequence, whether their sign means something, and their unit.

    Raises
    ------
    InputError
        There is not one value per residue of the sequence, or the letters differ.
    OptionError
        The attribution has several targets.
    """
    values = np.asarray(record, dtype=np.float64)
    about = placed.structure.path
    if values.ndim != 1:
        msg = f"{about}: the map has {values.ndim} axes; choose one target, layer or head first"
        raise OptionError(msg)
    if len(values) != len(placed.sequence):
        msg = (
            f"{about}: is placed on {len(placed.sequence):,} residues, the map has "
            f"{len(values):,}; give the map of that sequence"
        )
        raise InputError(msg)
    if not isinstance(record, Attribution):
        finite = values[np.isfinite(values)]
        return values, bool((finite < 0).any()), "value"
    letters = record.data.coords.get("residue")
    if letters is not None and "".join(map(str, letters.to_numpy())) != placed.sequence:
        msg = f"{about}: is placed on another sequence than the map's; place it on {record.name}"
        raise InputError(msg)
    return values, record.signed, str(record.meta.get("unit", "value"))


def color_structure(
    placed: Placed, record: Attribution | npt.ArrayLike, path: str | os.PathLike[str]
) -> Colored:
    """Write the structure with values in place of B-factors, for PyMOL and ChimeraX.

    Every record of the file stays as it is but for the B-factors of atoms: those of the placed
    residues hold the value times a factor (the largest size becomes 99), all others 0. Beside it
    stand two scripts that open the file and color what has values, one for each program.

    Parameters
    ----------
    placed : Placed
    record : Attribution or array-like, shape (residues,)
        One value per residue of the sequence.
    path : path-like
        Ending as the structure itself: ``.pdb`` or ``.cif``.

    Returns
    -------
    Colored

    Raises
    ------
    InputError
        The map is of another sequence, or the file cannot be written.
    OptionError
        The ending does not fit, or nothing but zeros is to be written.
    """
    values, signed, _ = values_of(record, placed)
    target, mmcif = Path(path), is_mmcif(placed.structure.path)
    if is_mmcif(target) != mmcif or target.suffix not in {".pdb", ".ent", ".cif", ".mmcif"}:
        msg = f"{target}: the structure is {'mmCIF, end in .cif' if mmcif else 'PDB, end in .pdb'}"
        raise OptionError(msg)
    own = values[placed.columns]
    top = float(np.abs(own[np.isfinite(own)]).max(initial=0.0))
    if not top:
        msg = f"{target}: all values at resolved residues are zero or missing; nothing to color"
        raise OptionError(msg)
    factor = _TOP / top
    known = {
        placed.structure.numbers[row]: float(value) * factor
        for row, value in zip(placed.rows, own, strict=True)
        if np.isfinite(value)
    }
    text = text_of(placed.structure.path)
    made = (_mmcif if mmcif else _pdb)(text, placed.structure.chain, known)
    write_beside(target, made.encode())
    scripts = _scripts(target.name, placed.structure.chain, sorted(known), signed)
    paths = [target.with_suffix(ending) for ending in (".pml", ".cxc")]
    for script, content in zip(paths, scripts, strict=True):
        write_beside(script, content.encode())
    return Colored(target, paths[0], paths[1], factor, len(known))


_Key = tuple[int, str]


def _pdb(text: str, chain: str, known: Mapping[_Key, float]) -> str:
    lines = text.split("\n")
    for place, line in enumerate(lines):
        if line.startswith(("ATOM  ", "HETATM")) and len(line) >= 54:
            key = int(line[22:26]), line[26].strip()
            value = known.get(key, 0.0) if line[21] == chain else 0.0
            row = line.ljust(66)
            lines[place] = f"{row[:60]}{value:6.2f}{row[66:]}"
    return "\n".join(lines)


def _mmcif(text: str, chain: str, known: Mapping[_Key, float]) -> str:
    from Bio.PDB.MMCIF2Dict import MMCIF2Dict
    from Bio.PDB.mmcifio import MMCIFIO

    make: Any = MMCIF2Dict
    table = make(io.StringIO(text))
    chains = table.get("_atom_site.auth_asym_id", table["_atom_site.label_asym_id"])
    numbers = table.get("_atom_site.auth_seq_id", table["_atom_site.label_seq_id"])
    blank = ["?"] * len(chains)
    codes = table.get("_atom_site.pdbx_PDB_ins_code", blank)
    factors = []
    for name, number, code in zip(chains, numbers, codes, strict=True):
        plain = number.lstrip("-").isdigit()
        key = (int(number), "" if code in {"?", "."} else code) if plain else (0, "?")
        factors.append(f"{known.get(key, 0.0) if name == chain else 0.0:.2f}")
    table["_atom_site.B_iso_or_equiv"] = factors
    save: Any = MMCIFIO
    writer = save()
    writer.set_dict(table)
    out = io.StringIO()
    writer.save(out)
    return out.getvalue()


def _scripts(file: str, chain: str, keys: Sequence[_Key], signed: bool) -> tuple[str, str]:
    """Return a script for PyMOL and one for ChimeraX."""
    numbers = "+".join(f"{n}{code}".replace("-", "\\-") for n, code in keys)
    low = "-99" if signed else "0"
    colors = ["[0.96,0.96,0.96]", "[0.62,0.30,0.00]"]
    if signed:
        colors.insert(0, "[0.00,0.40,0.66]")
    names = [f"saliscope{i}" for i in range(len(colors))]
    object_ = Path(file).stem
    pymol = [
        f"load {file}", "hide everything", "show cartoon", "color gray80",
        *(f"set_color {name}, {color}" for name, color in zip(names, colors, strict=True)),
        f"select mapped, {object_} and chain {chain} and resi {numbers}",
        f"spectrum b, {' '.join(names)}, mapped, minimum={low}, maximum=99", "deselect",
    ]  # fmt: skip
    ramp = "-99,#0067a9:0,#f5f5f5:99,#9e4c00" if signed else "0,#f5f5f5:99,#9e4c00"
    spans = ",".join(f"{n}{code}" for n, code in keys)
    chimera = [
        f"open {file}", "hide atoms", "show cartoons", "color gray",
        f"color bfactor /{chain}:{spans} palette {ramp}",
    ]  # fmt: skip
    return "\n".join(pymol) + "\n", "\n".join(chimera) + "\n"


def structure_scene(
    placed: Placed, record: Attribution | npt.ArrayLike, *, title: str = "",
    marked: Mapping[str, Sequence[int]] | None = None, unit: str | None = None,
    signed: bool | None = None, top: float | None = None, caption: str = "",
) -> Any:  # fmt: skip
    """Return a scene that a report shows: it turns, zooms and names residues, offline.

    Parameters
    ----------
    placed : Placed
    record : Attribution or array-like, shape (residues,)
    title : str
        By default what the attribution is.
    marked : mapping of str to sequence of int, optional
        Groups of residues that get a ring, by their places in the sequence, from 1; those that
        are not resolved are left out.
    unit : str, optional
    signed : bool, optional
        Whether colors diverge about zero.
    top : float, optional
        The value at which colors end; by default the largest.
    caption : str

    Returns
    -------
    saliscope.show.scene.Scene
        For ``saliscope.show.html(records, scenes=[...])``.
    """
    from saliscope.show.scene import Scene, Trace

    values, with_sign, own_unit = values_of(record, placed)
    structure = placed.structure
    columns = placed.columns
    at = {int(c) + 1: i for i, c in enumerate(columns)}
    groups = {name: [at[p] for p in places if p in at] for name, places in (marked or {}).items()}
    if not title and isinstance(record, Attribution):
        title = f"{record.method} of {record.name}: {record.target}"
    alpha = structure.alpha[placed.rows]
    # A peptide bond keeps alpha carbons 3.8 angstrom apart; more is a gap in what was resolved.
    gaps = np.flatnonzero(np.linalg.norm(np.diff(alpha, axis=0), axis=1) > 4.5) + 1
    others = [Trace(o.name, o.trace, o.kind != "ion") for o in structure.others]
    return Scene(
        title or "values", alpha, [f"{placed.sequence[c]}{c + 1}" for c in columns],
        values[columns], gaps.tolist(), {n: g for n, g in groups.items() if g},
        with_sign if signed is None else signed, unit or own_unit, top, others, caption,
    )  # fmt: skip
