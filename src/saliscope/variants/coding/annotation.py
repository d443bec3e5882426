"""Transcripts of GFF3 and GTF files, in the styles of RefSeq, Ensembl and GENCODE."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote

from saliscope.core.errors import InputError
from saliscope.core.textfile import Path_, lines
from saliscope.variants.coding.builds import accession_build, chromosome
from saliscope.variants.coding.codons import table_number

__all__ = ["Annotation", "Model", "read_annotation"]

Attributes = Mapping[str, tuple[str, ...]]


class Row(NamedTuple):
    """A row with coding bases; from 0, half open."""

    line: int
    contig: str
    start: int
    end: int
    strand: str
    phase: str
    attributes: Attributes


@dataclass(eq=False)
class Model:
    """A transcript of an annotation, its coding rows as the file has them."""

    name: str
    gene: str
    tags: tuple[str, ...]
    notes: Attributes
    rows: list[Row] = field(default_factory=list)
    stops: list[Row] = field(default_factory=list)

    @property
    def chrom(self) -> str:
        """Plain name of the chromosome."""
        return chromosome(self.rows[0].contig)

    @property
    def mane(self) -> bool:
        """Whether it is the one transcript of its gene that MANE selects."""
        return "MANE Select" in self.tags

    @property
    def table(self) -> int:
        """NCBI translation table; that of vertebrate mitochondria on MT where none is given."""
        given = _first(self.rows[0].attributes, "transl_table")
        return table_number(given, default=2 if self.chrom == "MT" else 1)

    @property
    def protein_name(self) -> str:
        """Accession of the protein, with version."""
        return _versioned(self.rows[0].attributes, "protein")

    @property
    def differs(self) -> bool:
        """Whether the annotation says that the transcript's bases are not the genome's."""
        notes = (*self.notes.get("Note", ()), *self.rows[0].attributes.get("Note", ()))
        return any("compared to this genomic sequence" in note for note in notes)


@dataclass(frozen=True, eq=False)
class Annotation:
    """The transcripts with coding rows, and what the file says about its genome build."""

    path: str
    models: tuple[Model, ...]
    builds: Mapping[str, str | None]


def _gff3(text: str) -> Attributes:
    """Read ``ID=a;tag=basic,MANE_Select``: comma lists, percent escapes."""
    pairs = (part.strip().partition("=") for part in text.split(";"))
    return {
        key: tuple(unquote(value) for value in values.split(",")) for key, _, values in pairs if key
    }


def _gtf(text: str) -> Attributes:
    """Read ``gene_id "a"; tag "basic"; tag "MANE_Select";``: keys may stand there repeatedly."""
    found: dict[str, list[str]] = {}
    for key, quoted, bare in re.findall(r'(\w+)\s+(?:"([^"]*)"|([^\s;"]+))\s*(?:;|$)', text):
        found.setdefault(key, []).append(quoted or bare)
    return {key: tuple(values) for key, values in found.items()}


def _first(attributes: Attributes, *keys: str) -> str:
    return next((attributes[key][0] for key in keys if attributes.get(key)), "")


def _versioned(attributes: Attributes, kind: str) -> str:
    """Return an accession with its version, which Ensembl keeps apart."""
    name = _first(attributes, f"{kind}_id")
    version = _first(attributes, f"{kind}_version", "version")
    return f"{name}.{version}" if name and version and "." not in name else name


def read_annotation(path: Path_) -> Annotation:
    """Read the transcripts of a GFF3 or GTF file.

    Raises
    ------
    InputError
        With file and line: not 9 columns, positions that are none, no coding rows.
    """
    nodes: dict[str, Attributes] = {}
    coding: list[Row] = []
    stops: list[Row] = []
    builds: dict[str, str | None] = {}
    gtf: bool | None = None
    for number, line in lines(path):
        if line.startswith(("##FASTA", ">")):
            break
        if line.startswith("#"):
            builds.update(_build(line))
            continue
        if not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) != 9:
            msg = f"{path}, line {number}: has {len(cells)} columns separated by tabs, not 9"
            raise InputError(msg)
        if gtf is None:
            gtf = "=" not in cells[8].split('"')[0]
        kind = cells[2]
        if kind in {"exon", "five_prime_UTR", "three_prime_UTR", "UTR", "start_codon"}:
            continue
        attributes = _gtf(cells[8]) if gtf else _gff3(cells[8])
        if kind in {"CDS", "stop_codon"}:
            row = _row(path, number, cells, attributes)
            (coding if kind == "CDS" else stops).append(row)
        elif gtf:
            if kind == "transcript":
                nodes[_first(attributes, "transcript_id")] = attributes
        elif "ID" in attributes:
            nodes[attributes["ID"][0]] = attributes
    if not coding:
        msg = f"{path}: has no CDS rows; give an annotation with the coding parts of exons"
        raise InputError(msg)
    models = _models(coding, nodes, gtf=bool(gtf))
    if gtf:
        for row in stops:
            owner = models.get(_first(row.attributes, "transcript_id"))
            if owner:
                owner.stops.append(row)
    for model in models.values():
        contig = model.rows[0].contig
        builds.setdefault(contig, accession_build(contig))
    return Annotation(str(path), tuple(models.values()), builds)


def _build(line: str) -> Iterable[tuple[str, str]]:
    """Yield what a comment says about the build, and where."""
    found = re.match(r"#[#!]genome-build\s+(?:\S+\s+)?(\S+)\s*$", line)
    if found:
        yield "its line genome-build", found[1]
    found = re.match(r"##description:.*\((GRC\w+|T2T[\w.-]+)\)", line)
    if found:
        yield "its description", found[1]


def _row(path: Path_, number: int, cells: Sequence[str], attributes: Attributes) -> Row:
    contig, _, _, start, end, _, strand, phase, _ = cells
    if not (start.isdigit() and end.isdigit() and 0 < int(start) <= int(end)):
        msg = f"{path}, line {number}: {start!r} to {end!r} is not a range of positions from 1"
        raise InputError(msg)
    if strand not in {"+", "-"}:
        msg = f"{path}, line {number}: the strand of a CDS row is {strand!r}, not + or -"
        raise InputError(msg)
    if phase not in {"0", "1", "2", "."}:
        msg = f"{path}, line {number}: the phase of a CDS row is {phase!r}, not 0, 1 or 2"
        raise InputError(msg)
    return Row(number, contig, int(start) - 1, int(end), strand, phase, attributes)


def _models(
    coding: Sequence[Row], nodes: Mapping[str, Attributes], *, gtf: bool
) -> dict[str, Model]:
    models: dict[str, Model] = {}
    for row in coding:
        if gtf:
            owners = row.attributes.get("transcript_id", ("",))
        else:
            owners = row.attributes.get("Parent") or row.attributes.get("ID") or ("",)
        for owner in owners:
            if owner not in models:
                models[owner] = _model(row, owner, nodes)
            models[owner].rows.append(row)
    return models


def _model(row: Row, owner: str, nodes: Mapping[str, Attributes]) -> Model:
    """Start a transcript: its node in the file, or a gene's where a gene has coding rows itself."""
    own = nodes.get(owner, {})
    is_gene = bool(own) and "Parent" not in own and not own.get("transcript_id")
    holder = row.attributes if is_gene or not own else own
    name = _versioned(holder, "transcript") or _first(holder, "Name", "protein_id", "ID") or owner
    gene = _first(own, "gene", "gene_name") or _first(row.attributes, "gene", "gene_name")
    if not gene:
        parent = nodes.get(_first(own, "Parent"), own if is_gene else {})
        gene = _first(parent, "Name", "gene", "gene_id")
    gene = gene or _first(row.attributes, "gene_id")
    tags = [*own.get("tag", ()), *row.attributes.get("tag", ())]
    return Model(
        name,
        gene,
        tuple(
            dict.fromkeys(tag.replace("_", " ") if tag.startswith("MANE") else tag for tag in tags)
        ),
        own,
    )
