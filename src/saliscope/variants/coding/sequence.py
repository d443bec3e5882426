"""Sequences from FASTA files, and what makes a sequence a complete coding sequence."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from Bio.Data import CodonTable

from saliscope.core.errors import InputError
from saliscope.core.textfile import Path_, lines
from saliscope.variants.coding.builds import chromosome
from saliscope.variants.coding.codons import code, translate
from saliscope.variants.coding.edit import reverse_complement

__all__ = ["checked_cds", "genome_contig", "genome_stretches", "named", "read_fasta"]


def read_fasta(path: Path_) -> dict[str, tuple[str, str]]:
    """Return the records of a FASTA file: name to header and sequence, as written.

    Raises
    ------
    InputError
        With file and line: no header, no sequence, a name twice.
    """
    found: dict[str, tuple[int, str, list[str]]] = {}
    parts: list[str] | None = None
    for number, line in lines(path):
        text = line.strip()
        if text.startswith(">"):
            name = (text[1:].split() or [""])[0]
            if not name or name in found:
                what = f"the name {name!r} stands there twice" if name else "the header is empty"
                msg = f"{path}, line {number}: {what}; names must be unique"
                raise InputError(msg)
            parts = []
            found[name] = (number, text[1:].strip(), parts)
        elif text and not text.startswith(";"):
            if parts is None:
                msg = f"{path}, line {number}: is not FASTA; a record starts with a line '>name'"
                raise InputError(msg)
            parts.append(text)
    for name, (number, _, parts) in found.items():
        if not parts:
            msg = f"{path}, line {number}: record {name!r} has no sequence; remove it or add one"
            raise InputError(msg)
    return {name: (header, "".join(parts)) for name, (_, header, parts) in found.items()}


def named(path: Path_, records: Mapping[str, tuple[str, str]], name: str) -> str:
    """Return the record that is a transcript's; the only record need not bear its name.

    Raises
    ------
    InputError
        Another version of the transcript, another transcript, or none of several.
    """
    if name in records:
        return name
    base = _accession(name)
    other = next((own for own in records if base and _accession(own) == base), None)
    if other is not None:
        if "." not in other or "." not in name:
            return other
        msg = f"{path}: holds {other}, which is not {name}; give the sequence of {name}"
        raise InputError(msg)
    only = next(iter(records))
    if len(records) > 1 or (base and _accession(only)):
        shown = ", ".join(list(records)[:5]) + (", ..." if len(records) > 5 else "")
        msg = f"{path}: has no record {name} (it holds {shown}); give its coding sequence"
        raise InputError(msg)
    return only


def _accession(name: str) -> str:
    """Return a RefSeq or Ensembl transcript's name without its version; empty for other names."""
    found = re.match(r"((?:[NX]M_|ENS[A-Z]*T)\d+)(\.\d+)?$", name)
    return found[1] if found else ""


def _problem(cds: str, table: int) -> str:
    """Return why an upper-case sequence of bases is not a complete coding sequence; else empty."""
    codons = CodonTable.unambiguous_dna_by_id[table]
    if len(cds) % 3:
        return f"its length {len(cds)} is not a multiple of three; it must run from start to stop"
    start = cds[:3]
    # Weak start codons of the standard table are far more often a cut or shifted sequence.
    if start not in ({"ATG"} if table == 1 else set(codons.start_codons)):
        return f"starts with {start}, not with a start codon"
    residues = translate(cds[3:], table)
    stop = residues.find("*")
    if stop < 0:
        return f"ends with {cds[-3:]}, not with a stop codon"
    if stop < len(residues) - 1:
        return f"has a stop codon within, at codon {stop + 2} of {len(residues) + 1}"
    return ""


def checked_cds(bases: str, where: str, table: int = 1) -> str:
    """Return a coding sequence in upper case after checking that it is complete.

    Parameters
    ----------
    bases : str
    where : str
        File and record, for messages.
    table : int
        NCBI translation table.

    Raises
    ------
    InputError
        A protein, RNA, other letters than A, C, G, T; a length that is not a multiple of three;
        no start codon; no stop codon at the end, or one before; the wrong strand.

    Examples
    --------
    >>> checked_cds("atgAAAtaa", "a.fa")
    'ATGAAATAA'
    """
    code(table)  # refuses a table that does not exist
    cds = bases.upper()
    odd = set(cds) - set("ACGT")
    if odd:
        letters = {"U"} if odd == {"U"} else odd - set("RYSWKMBDHVN")
        place = next(i for i, base in enumerate(cds) if base in (letters or odd))
        if odd == {"U"}:
            why = "is RNA; write T in place of U"
        elif letters & set("EFIJLOPQXZ*"):
            why = "is a protein; give the coding sequence"
        else:
            why = f"has {cds[place]!r} at base {place + 1}; only A, C, G, T can be translated"
        msg = f"{where}: {why}"
        raise InputError(msg)
    problem = _problem(cds, table) if cds else "is empty"
    if problem:
        if cds and not _problem(reverse_complement(cds), table):
            problem += "; its reverse complement is complete: this is the wrong strand"
        msg = f"{where}: {problem}"
        raise InputError(msg)
    return cds


def _headers(path: Path_) -> Iterator[str]:
    index = Path(f"{path}.fai")
    if index.is_file():
        yield from (line.split("\t")[0] for _, line in lines(index))
        return
    for number, line in lines(path):
        if line.startswith(">"):
            yield (line[1:].split() or [""])[0]
        elif number == 1:
            msg = f"{path}, line 1: is not FASTA; a record starts with a line '>name'"
            raise InputError(msg)


def genome_contig(path: Path_, chrom: str) -> str | None:
    """Return what a FASTA file calls a chromosome; None where it does not hold it.

    Parameters
    ----------
    chrom : str
        Plain name: "6", "MT".
    """
    return next((name for name in _headers(path) if chromosome(name) == chrom), None)


def genome_stretches(path: Path_, contig: str, stretches: Sequence[tuple[int, int]]) -> list[str]:
    """Return stretches (from 0, half open) of a contig; the folder of the file is not written to.

    Raises
    ------
    InputError
        Not indexable (gzip in place of bgzip), or shorter than the stretches.
    """
    import pysam
    from pysam.utils import SamtoolsError

    verbosity = pysam.set_verbosity(0)
    try:
        with tempfile.TemporaryDirectory() as folder:
            beside = Path(f"{path}.fai")
            index = beside if beside.is_file() else Path(folder) / "genome.fai"
            packed = Path(f"{path}.gzi") if beside.is_file() else Path(folder) / "genome.gzi"
            if index != beside:
                pysam.faidx(str(path), "--fai-idx", str(index), "--gzi-idx", str(packed))
            gzi = str(packed) if packed.is_file() else None
            with pysam.FastaFile(
                str(path), filepath_index=str(index), filepath_index_compressed=gzi
            ) as file:
                found = [file.fetch(contig, low, high) for low, high in stretches]
    except (OSError, ValueError, KeyError, SamtoolsError) as error:
        msg = f"{path}: cannot be indexed as FASTA; unpack it, or pack it with bgzip"
        raise InputError(msg) from error
    finally:
        pysam.set_verbosity(verbosity)
    for (low, high), bases in zip(stretches, found, strict=True):
        if len(bases) != high - low:
            msg = (
                f"{path}: {contig} ends before position {high}, where the coding sequence lies; "
                "give the genome of the same build"
            )
            raise InputError(msg)
    return found
