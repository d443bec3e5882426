"""Transcripts of GenBank flat files."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from saliscope.core.errors import InputError
from saliscope.core.textfile import Path_, text_of
from saliscope.variants.coding.builds import accession_build, agreed, chromosome
from saliscope.variants.coding.codons import table_number, translate
from saliscope.variants.coding.sequence import checked_cds
from saliscope.variants.coding.transcript import Transcript

__all__ = ["Found", "read_genbank"]


class Found(NamedTuple):
    """A CDS feature with what tells it from the others of its file."""

    name: str
    gene: str
    mane: bool
    record: Any
    feature: Any

    def transcript(self, path: Path_, build: str | None) -> Transcript:
        """Return it as a checked transcript.

        Raises
        ------
        InputError
            Incomplete, not translated by the plain rules, without sequence, or another protein
            than the file's own /translation.
        """
        return _transcript(path, self, build)


def read_genbank(path: Path_) -> list[Found]:
    """Return the CDS features of a GenBank file.

    Raises
    ------
    InputError
        It cannot be read, or has no CDS.
    """
    from Bio import BiopythonWarning, SeqIO

    parse: Any = SeqIO.parse  # has no annotations
    text = text_of(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BiopythonWarning)
            records = list(parse(io.StringIO(text), "genbank"))
    except (ValueError, KeyError, IndexError, AssertionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        msg = f"{path}: cannot be read as GenBank ({reason})"
        raise InputError(msg) from error
    if any(feature.location is None for record in records for feature in record.features):
        msg = f"{path}: has a feature whose location cannot be read"
        raise InputError(msg)
    found = [item for record in records for item in _features(record)]
    if not found:
        msg = f"{path}: has no CDS feature; give a record with an annotated coding sequence"
        raise InputError(msg)
    return found


def _features(record: Any) -> Iterator[Found]:
    messengers = [f for f in record.features if f.type == "mRNA"]
    mane_record = "MANE Select" in " ".join(record.annotations.get("keywords", ()))
    for feature in record.features:
        if feature.type != "CDS":
            continue
        gene = _one(feature, "gene")
        if re.match(r"[NX]M_", record.id):
            yield Found(record.id, gene, mane_record, record, feature)
            continue
        own = [m for m in messengers if _one(m, "gene") == gene and _carries(m, feature)]
        names = {_one(m, "transcript_id") for m in own} - {""}
        protein = _one(feature, "protein_id")
        name = names.pop() if len(names) == 1 else protein or record.id
        tags = [tag for f in (feature, *own) for tag in f.qualifiers.get("tag", ())]
        mane = any(tag.replace("_", " ") == "MANE Select" for tag in tags)
        yield Found(name, gene, mane, record, feature)


def _one(feature: Any, key: str) -> str:
    return str(feature.qualifiers.get(key, [""])[0])


def _carries(messenger: Any, coding: Any) -> bool:
    """Whether an mRNA's exons are those of a coding sequence: the same introns within it."""
    low, high = int(coding.location.start), int(coding.location.end)
    if int(messenger.location.start) > low or int(messenger.location.end) < high:
        return False
    introns = {gap for gap in _introns(messenger) if low < gap[0] and gap[1] < high}
    return introns == _introns(coding)


def _introns(feature: Any) -> set[tuple[int, int]]:
    parts = sorted((int(p.start), int(p.end)) for p in feature.location.parts)
    return {(a[1], b[0]) for a, b in pairwise(parts)}


def _transcript(path: Path_, found: Found, build: str | None) -> Transcript:
    from Bio.Seq import UndefinedSequenceError
    from Bio.SeqFeature import ExactPosition

    record, feature, name = found.record, found.feature, found.name
    parts = feature.location.parts
    exact = all(isinstance(p, ExactPosition) for part in parts for p in (part.start, part.end))
    if not exact or _one(feature, "codon_start") not in {"", "1"}:
        msg = f"{path}: the coding sequence of {name} is incomplete ({feature.location})"
        raise InputError(msg)
    for key in ("transl_except", "ribosomal_slippage", "exception", "pseudo"):
        if key in feature.qualifiers:
            msg = f"{path}: {name} has /{key} {_one(feature, key)}".rstrip()
            msg += ", which is not translated here"
            raise InputError(msg)
    table = table_number(_one(feature, "transl_table"))
    try:
        bases = str(feature.extract(record.seq))
    except UndefinedSequenceError as error:
        msg = f"{path}: {record.id} has no sequence (ORIGIN); download the full record"
        raise InputError(msg) from error
    except ValueError as error:
        msg = f"{path}: {name} has parts in other records, which the file does not hold"
        raise InputError(msg) from error
    cds = checked_cds(bases, f"{path}, {name}", table)
    given = _one(feature, "translation")
    protein = "M" + translate(cds[3:-3], table)
    if given and given != protein:
        pairs = enumerate(zip(given, protein, strict=False), 1)
        place = next((i for i, (a, b) in pairs if a != b), min(len(given), len(protein)) + 1)
        msg = (
            f"{path}: {name} translates to another protein than its /translation, "
            f"from residue {place} on; is /transl_table right?"
        )
        raise InputError(msg)
    chrom, strand, blocks, declared = _place(record, feature)
    if chrom:
        build = agreed(str(path), {record.id: declared}, build)
    return Transcript(
        name, found.gene, cds, build if chrom else None, chrom, strand, blocks, table,
        _one(feature, "protein_id"), ("MANE Select",) if found.mane else (),
    )  # fmt: skip


def _place(
    record: Any, feature: Any
) -> tuple[str | None, int, tuple[tuple[int, int], ...], str | None]:
    """Return chromosome, strand, blocks and build of a record that is (part of) a chromosome."""
    chrom = chromosome(record.id)
    if chrom == record.id:
        return None, 1, (), None
    region = " ".join(record.annotations.get("accessions", ()))
    part = re.search(r"REGION: *(complement\()?(\d+)\.\.(\d+)", region)
    low, high = (int(part[2]), int(part[3])) if part else (1, len(record.seq))
    flipped = bool(part and part[1])
    blocks = [(int(p.start), int(p.end)) for p in feature.location.parts]
    placed = [(high - e, high - s) if flipped else (low - 1 + s, low - 1 + e) for s, e in blocks]
    strand = int(feature.location.strand or 1)
    return chrom, -strand if flipped else strand, tuple(placed), accession_build(record.id)
