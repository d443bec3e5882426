"""Domains and secondary structure of a protein, for the track of the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from urllib.parse import unquote

from saliscope.core.errors import InputError
from saliscope.core.textfile import Path_, lines
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.tables.rows import Rows, blank, own_protein, read_rows

__all__ = ["FeatureTable", "read_features"]

Feature = tuple[int, int, str]

_STRUCTURE = {
    "helix": "helix", "alpha helix": "helix", "beta strand": "strand", "strand": "strand",
    "sheet": "strand",
}  # fmt: skip
"""Types of secondary structure, and how the track names them; turns are not drawn."""
_DOMAINS = frozenset({
    "domain", "region", "repeat", "motif", "zinc finger", "dna binding", "dna-binding region",
    "coiled coil", "transmembrane", "intramembrane", "topological domain", "signal",
    "signal peptide", "propeptide", "transit peptide", "binding site", "active site", "site",
    "nucleotide binding", "calcium binding",
})  # fmt: skip
"""Types of UniProt that the track shows; chains, variants and modified residues are not."""


@dataclass(frozen=True)
class FeatureTable:
    """Domains and secondary structure; made by `read_features`.

    Parameters
    ----------
    file : str
    domains, structure : tuple of (int, int, str)
        First and last residue, from 1, and a name.
    """

    file: str
    domains: tuple[Feature, ...]
    structure: tuple[Feature, ...]

    @property
    def note(self) -> str:
        """Where the features are from."""
        return f"domains and secondary structure from {self.file}"


def read_features(path: Path_, transcript: Transcript) -> FeatureTable:
    r"""Read domains and secondary structure of a transcript's protein.

    Three kinds of file are known:

    GFF
        Of UniProt: nine columns without a header. Types such as Domain, Region, Motif, Binding
        site are domains, named by their Note; Helix and Beta strand are structure; other types are
        left out.
    ``start``, ``end``, ``name`` and, if wanted, ``type``
        A table, CSV or TSV: residues from 1, both within. Rows of type "helix" or "strand" are
        structure, all others domains.
    ``position`` with ``helix`` or ``sheet``
        A table with a row per residue, and 1 where it is of a helix or a strand, such as those
        published with VAMP-seq.

    Parameters
    ----------
    path : path
    transcript : Transcript

    Raises
    ------
    InputError
        One line: a column is missing; with its row, residues that the protein does not have; a GFF
        of several proteins or of one of another length.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "a.csv"
    ...     _ = file.write_text("start,end,name,type\n1,2,lid,domain\n2,3,,helix\n")
    ...     table = read_features(file, Transcript("T.1", "T", "ATGAAACGTTAA"))
    >>> table.domains, table.structure
    (((1, 2, 'lid'),), ((2, 3, 'helix'),))
    """
    first = next((t for _, t in lines(path) if t.strip() and not t.startswith("#")), "")
    if first.count("\t") >= 8 and first.split("\t")[3].strip().isdigit():
        found = list(_gff(path, transcript))
    else:
        table = read_rows(path)
        by_residue = table.find("position") is not None and table.find("helix", "sheet") is not None
        found = list((_residues if by_residue else _spans)(table, transcript))
    if not found:
        msg = f"{path}: holds no domain and no secondary structure"
        raise InputError(msg)
    domains = tuple((a, b, name) for a, b, name, kind in found if not kind)
    structure = tuple((a, b, kind) for a, b, _, kind in found if kind)
    return FeatureTable(Path(path).name, domains, structure)


_Found = tuple[int, int, str, str]
"""First, last, name, and the kind of structure; empty for a domain."""


def _span(path: str, line: int, cells: Sequence[str], transcript: Transcript) -> tuple[int, int]:
    length = len(transcript.protein)
    try:
        first, last = (int(cell) for cell in cells)
    except ValueError as error:
        msg = f"{path}, row {line}: {' to '.join(cells)} are not residue numbers; correct them"
        raise InputError(msg) from error
    if not 1 <= first <= last <= length:
        msg = (
            f"{path}, row {line}: residues {first} to {last} are not within the {length:,} of "
            f"{transcript.name}; give the features of this protein"
        )
        raise InputError(msg)
    return first, last


def _gff(path: Path_, transcript: Transcript) -> Iterator[_Found]:
    proteins: dict[str, int] = {}
    length = len(transcript.protein)
    for line, text in lines(path, unit="row"):
        if text.startswith("##sequence-region"):
            parts = text.split()
            if len(parts) == 4 and parts[3].isdigit() and int(parts[3]) != length:
                msg = (
                    f"{path}, row {line}: is of a protein with {int(parts[3]):,} residues, "
                    f"{transcript.name} has {length:,}; give the features of this protein"
                )
                raise InputError(msg)
        if text.startswith("#") or not text.strip():
            continue
        cells = [cell.strip() for cell in text.split("\t")]
        if len(cells) < 9:
            msg = f"{path}, row {line}: has {len(cells)} columns where GFF has nine; mend the row"
            raise InputError(msg)
        proteins.setdefault(cells[0], line)
        if len(proteins) > 1:
            msg = f"{path}, row {line}: {cells[0]} is a second protein; leave one in the file"
            raise InputError(msg)
        kind = cells[2].replace("_", " ").casefold()
        if kind in _STRUCTURE or kind in _DOMAINS:
            first, last = _span(str(path), line, cells[3:5], transcript)
            yield first, last, _gff_name(cells[8]) or cells[2], _STRUCTURE.get(kind, "")


def _gff_name(attributes: str) -> str:
    """Return the name of a feature.

    Examples
    --------
    >>> _gff_name("ID=a;Note=S-adenosyl%2DL-methionine;Ontology_term=ECO:1")
    'S-adenosyl-L-methionine'
    """
    known = dict(part.split("=", 1) for part in attributes.split(";") if "=" in part)
    return unquote(known.get("Note") or known.get("Name") or known.get("description") or "").strip()


def _spans(table: Rows, transcript: Transcript) -> Iterator[_Found]:
    places = table.need("start", "begin"), table.need("end", "stop"), table.find("name", "label")
    kinds = table.find("type", "kind")
    if places[2] is None and kinds is None:
        table.need("name", "label")
    for line, (start, end, label, kind) in table.cells(*places, kinds):
        first, last = _span(table.path, line, (start, end), transcript)
        structure = _STRUCTURE.get((kind or label).replace("_", " ").casefold(), "")
        yield first, last, label or kind, structure


def _residues(table: Rows, transcript: Transcript) -> Iterator[_Found]:
    of = {"helix": table.find("helix"), "strand": table.find("sheet")}
    kinds: dict[int, str] = {}
    named = []
    columns = table.need("position"), table.find("start", "residue", "wt"), *of.values()
    for line, (position, residue, *flags) in table.cells(*columns):
        if blank(position):
            continue
        at, _ = _span(table.path, line, (position, position), transcript)
        named.append((line, residue, at))
        kinds[at] = next((k for k, flag in zip(of, flags, strict=True) if _set(flag)), "")
    if columns[1] is not None:
        own_protein(table, transcript, named)
    for kind, run in groupby(
        range(1, len(transcript.protein) + 1), key=lambda at: kinds.get(at, "")
    ):
        members = list(run)
        if kind:
            yield members[0], members[-1], kind, kind


def _set(flag: str) -> bool:
    return flag.casefold() in {"1", "1.0", "true", "yes"}
