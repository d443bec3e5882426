"""Features of proteins from files: UniProt JSON, text and GFF, EBI JSON, BED, own tables."""

from __future__ import annotations

import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from saliscope.core.errors import InputError
from saliscope.core.textfile import Path_, text_of
from saliscope.sites.features import Annotation, Feature
from saliscope.variants.tables.rows import blank, read_rows

__all__ = ["read_features"]

_WORDS = {
    "ACT_SITE": "Active site", "BINDING": "Binding site", "METAL": "Metal binding",
    "NP_BIND": "Nucleotide binding", "CA_BIND": "Calcium binding", "SITE": "Site",
    "DNA_BIND": "DNA binding", "ZN_FING": "Zinc finger", "MOD_RES": "Modified residue",
    "LIPID": "Lipidation", "CARBOHYD": "Glycosylation", "DISULFID": "Disulfide bond",
    "CROSSLNK": "Cross-link", "DOMAIN": "Domain", "REGION": "Region", "MOTIF": "Motif",
    "REPEAT": "Repeat", "HELIX": "Helix", "STRAND": "Beta strand", "TURN": "Turn",
    "TRANSMEM": "Transmembrane", "INTRAMEM": "Intramembrane", "TOPO_DOM": "Topological domain",
    "SIGNAL": "Signal", "TRANSIT": "Transit peptide", "PROPEP": "Propeptide",
    "PEPTIDE": "Peptide", "CHAIN": "Chain", "INIT_MET": "Initiator methionine",
    "COILED": "Coiled coil", "COMPBIAS": "Compositional bias", "VARIANT": "Natural variant",
    "MUTAGEN": "Mutagenesis", "CONFLICT": "Sequence conflict", "VAR_SEQ": "Alternative sequence",
    "NON_STD": "Non-standard residue", "UNSURE": "Sequence uncertainty",
    "NON_TER": "Non-terminal residue", "NON_CONS": "Non-adjacent residues",
}  # fmt: skip
"""Keys of the flat file, and the words that JSON and GFF have for them."""


def read_features(path: Path_) -> list[Annotation]:
    r"""Read the features of proteins, one annotation for each protein of a file.

    Known are, plain or packed with gzip:

    JSON
        Of UniProt's REST interface (an entry, or a list under "results"), and of the EBI Proteins
        API ("begin" and "end" as text).
    Text
        UniProt's flat file, read by Biopython; whole entries, ending in "//".
    GFF
        As UniProt writes it, one protein or several.
    BED
        By its ending ``.bed``: name, start from 0, end behind the last, a name.
    A table
        CSV or TSV with a header: ``start`` and ``end`` or ``position``, from 1, both within;
        optional ``type``, ``name``, ``residue`` (one letter, checked) and ``protein``.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of Annotation

    Raises
    ------
    InputError
        One line, with the row: what cannot be read, and how to mend it.

    References
    ----------
    .. [1] UniProt Consortium, UniProt Knowledgebase user manual: feature table.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "zinc.csv"
    ...     _ = file.write_text("position,residue,name\n2,C,zinc\n3,H,zinc\n")
    ...     [annotation] = read_features(file)
    >>> annotation.on("MCHK").positions
    (2, 3)
    """
    text = text_of(path, unit="row")
    head = text.lstrip()
    if head.startswith(("{", "[")):
        found = list(_json(path, text))
    elif re.match(r"(ID|AC|FT|DE)   ", head):
        found = list(_flat(path, text))
    elif Path(path).name.removesuffix(".gz").casefold().endswith(".bed"):
        found = _collected(path, _bed(path, text))
    elif _looks_like_gff(head):
        found = _gff(path, text)
    elif head.startswith(">"):
        msg = f"{path}: is FASTA, which has no features; give UniProt JSON, text, GFF, BED or CSV"
        raise InputError(msg)
    else:
        found = _collected(path, _table(path))
    if not any(annotation.features for annotation in found):
        msg = f"{path}: holds no feature that has a place in a sequence"
        raise InputError(msg)
    return found


_Row = tuple[str, Feature]


def _collected(path: Path_, rows: Iterator[_Row]) -> list[Annotation]:
    of: dict[str, list[Feature]] = defaultdict(list)
    for protein, feature in rows:
        of[protein].append(feature)
    return [Annotation(name, tuple(features), str(path)) for name, features in of.items()]


# -- JSON ------------------------------------------------------------------------------------------


def _json(path: Path_, text: str) -> Iterator[Annotation]:
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        msg = f"{path}, row {error.lineno}: is not JSON ({error.msg}); download it again"
        raise InputError(msg) from error
    entries = given.get("results", [given]) if isinstance(given, dict) else given
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("features"), list):
            msg = f"{path}: an entry has no list of features; ask UniProt for the field 'features'"
            raise InputError(msg)
        yield _entry(path, entry)


def _entry(path: Path_, entry: Mapping[str, Any]) -> Annotation:
    accession = str(entry.get("primaryAccession") or entry.get("accession") or "")
    whole = entry.get("sequence", "")
    told = whole if isinstance(whole, Mapping) else {"value": str(whole)}
    letters = str(told.get("value", ""))
    length = int(told.get("length") or len(letters)) or None
    features, unplaced = [], 0
    for number, raw in enumerate(entry["features"], 1):
        feature = _json_feature(f"{path}, feature {number}", raw)
        unplaced += feature is None
        if feature is not None:
            features.append(feature)
    return Annotation(accession, tuple(features), str(path), length, letters, unplaced)


def _json_feature(where: str, raw: Any) -> Feature | None:
    if not isinstance(raw, Mapping) or "type" not in raw:
        msg = f"{where}: has no type; download the file again"
        raise InputError(msg)
    kind = str(raw["type"])
    kind = _WORDS.get(kind, kind)
    place = raw.get("location")
    if isinstance(place, Mapping):
        ends = [place.get("start"), place.get("end")]
        values = [e.get("value") if isinstance(e, Mapping) else e for e in ends]
        isoform = str(place.get("sequence") or "")
    else:
        values, isoform = [raw.get("begin"), raw.get("end")], ""
    if any(value is None or not str(value).isdigit() for value in values):
        return None  # "?", "<1", null: nobody knows
    ligand = raw.get("ligand")
    name = (ligand.get("name") if isinstance(ligand, Mapping) else "") or raw.get("description")
    return Feature(int(str(values[0])), int(str(values[1])), kind, str(name or ""), where, isoform)


# -- the flat file ---------------------------------------------------------------------------------


def _flat(path: Path_, text: str) -> Iterator[Annotation]:
    from Bio import SwissProt

    parse: Any = SwissProt.parse
    if not text.rstrip().endswith("//"):
        msg = f"{path}: its last entry does not end in '//'; download the whole entry in text"
        raise InputError(msg)
    try:
        records = list(parse(io.StringIO(text)))
    except (ValueError, AssertionError, IndexError, KeyError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        msg = f"{path}: is not a UniProt entry in text ({reason}); download it again"
        raise InputError(msg) from error
    for record in records:
        features, unplaced = [], 0
        for number, found in enumerate(record.features, 1):
            place = found.location
            ends = (place.start, place.end)
            if any(type(end).__name__ != "ExactPosition" for end in ends):
                unplaced += 1
                continue
            told = found.qualifiers
            name = str(told.get("ligand") or told.get("note") or "")
            kind = _WORDS.get(found.type, found.type)
            where = f"{path}, feature {number} of {record.accessions[0]}"
            features.append(
                Feature(int(place.start) + 1, int(place.end), kind, name, where, place.ref or "")
            )
        yield Annotation(
            record.accessions[0], tuple(features), str(path), record.sequence_length,
            record.sequence or "", unplaced,
        )  # fmt: skip


# -- GFF, BED, tables ------------------------------------------------------------------------------


def _looks_like_gff(head: str) -> bool:
    if head.startswith("##gff"):
        return True
    first = next((line for line in head.split("\n") if line and not line.startswith("#")), "")
    cells = first.split("\t")
    return len(cells) >= 9 and cells[3].strip().isdigit()


def _gff(path: Path_, text: str) -> list[Annotation]:
    lengths: dict[str, int] = {}
    of: dict[str, list[Feature]] = defaultdict(list)
    unplaced: dict[str, int] = defaultdict(int)
    for line, row in enumerate(text.split("\n"), 1):
        if row.startswith("##sequence-region"):
            parts = row.split()
            if len(parts) == 4 and parts[3].isdigit():
                lengths[parts[1]] = int(parts[3])
        if row.startswith("##FASTA"):
            break
        if row.startswith("#") or not row.strip():
            continue
        cells = [cell.strip() for cell in row.split("\t")]
        where = f"{path}, row {line}"
        if len(cells) < 9:
            msg = f"{where}: has {len(cells)} columns where GFF has nine; mend the row"
            raise InputError(msg)
        protein, kind = cells[0], cells[2]
        of[protein]
        if not (cells[3].isdigit() and cells[4].isdigit()):
            unplaced[protein] += 1
            continue
        told = dict(part.split("=", 1) for part in cells[8].split(";") if "=" in part)
        name = unquote(told.get("Ligand") or told.get("ligand") or told.get("Note") or "").strip()
        kind = _WORDS.get(kind, kind.replace("_", " "))
        of[protein].append(Feature(int(cells[3]), int(cells[4]), kind, name, where))
    return [
        Annotation(name, tuple(found), str(path), lengths.get(name), "", unplaced[name])
        for name, found in of.items()
    ]


def _bed(path: Path_, text: str) -> Iterator[_Row]:
    for line, row in enumerate(text.split("\n"), 1):
        if not row.strip() or row.startswith(("#", "track", "browser")):
            continue
        cells = row.split("\t") if "\t" in row else row.split()
        where = f"{path}, row {line}"
        if len(cells) < 3 or not (cells[1].isdigit() and cells[2].isdigit()):
            msg = f"{where}: is not BED: name, start from 0, end; mend the row"
            raise InputError(msg)
        first, last = int(cells[1]) + 1, int(cells[2])
        if last < first:
            msg = f"{where}: ends at {cells[2]}, before it starts; BED counts starts from 0"
            raise InputError(msg)
        yield cells[0], Feature(first, last, "site", cells[3] if len(cells) > 3 else "", where)


def _table(path: Path_) -> Iterator[_Row]:
    table = read_rows(path)
    single = table.find("position", "pos", "residue_number")
    if single is None:
        first, last = table.need("start", "begin"), table.need("end", "stop")
    else:
        first = last = single
    others = (
        table.find("type", "kind", "feature"), table.find("name", "label", "note", "ligand"),
        table.find("residue", "wt", "aa"), table.find("protein", "accession", "record"),
    )  # fmt: skip
    for line, (start, end, kind, name, residue, protein) in table.cells(first, last, *others):
        where = f"{table.path}, row {line}"
        if blank(start) or blank(end):
            continue
        if not (start.isdigit() and end.isdigit()):
            told = start if start == end else f"{start} to {end}"
            msg = f"{where}: {told} is not a residue number, counted from 1; correct it"
            raise InputError(msg)
        letter = "" if blank(residue) else residue
        if len(letter) > 1:
            msg = f"{where}: residue {letter!r} is not one letter; write C for cysteine"
            raise InputError(msg)
        word = "site" if blank(kind) else kind
        yield protein, Feature(int(start), int(end), word, name, where, "", letter)
