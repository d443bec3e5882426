"""Transcripts from files: GFF3 or GTF with sequences, GenBank, or a bare coding sequence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from saliscope.core.errors import InputError
from saliscope.core.textfile import Path_, lines
from saliscope.variants.coding.annotation import read_annotation
from saliscope.variants.coding.builds import agreed
from saliscope.variants.coding.codons import translate
from saliscope.variants.coding.edit import Allele, reverse_complement
from saliscope.variants.coding.genbank import read_genbank
from saliscope.variants.coding.placing import blocks_of, chosen
from saliscope.variants.coding.sequence import (
    checked_cds,
    genome_contig,
    genome_stretches,
    named,
    read_fasta,
)
from saliscope.variants.coding.transcript import Transcript

__all__ = ["read_transcript", "with_genome"]

_DIFFERENT = 3 / 1000  # of the coding bases may differ between a transcript and its genome


def read_transcript(
    path: Path_,
    *,
    sequence: Path_ | Sequence[Path_] | None = None,
    name: str | None = None,
    gene: str | None = None,
    build: str | None = None,
) -> Transcript:
    r"""Read a transcript with a complete coding sequence.

    Parameters
    ----------
    path : path
        GFF3 or GTF (with `sequence`), GenBank, or a FASTA file of coding sequences; plain or gzip.
    sequence : path or sequence of paths, optional
        For GFF3 and GTF: a FASTA file of the genome or of the coding sequence. Where both are
        given, the coding sequence counts, and `Transcript.genome` holds the differences.
    name : str, optional
        Which transcript, with or without version; else the MANE Select one, else the only one.
    gene : str, optional
        Which gene of the file. For a FASTA file: the gene's name, to be shown.
    build : str, optional
        Genome build, where the file does not name it.

    Raises
    ------
    InputError
        One line with file, line and reason; see the tests of broken files for the list.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "t.fa").write_text(">T.1\natgaaa\ntaa\n")
    >>> rows = "1\t.\tCDS\t101\t109\t.\t-\t0\tID=c;Parent=T.1;transcript_id=T.1;gene=G\n"
    >>> _ = (folder / "t.gff3").write_text("#!genome-build GRCh38\n" + rows)
    >>> t = read_transcript(folder / "t.gff3", sequence=folder / "t.fa")
    >>> t.name, t.gene, t.cds, t.build, t.strand, t.blocks
    ('T.1', 'G', 'ATGAAATAA', 'GRCh38', -1, ((100, 109),))
    """
    first = next(line for _, line in lines(path) if line.strip())
    if first.startswith((">", "LOCUS")):
        if sequence is not None:
            msg = f"{path}: holds its own sequence; leave the second file out"
            raise InputError(msg)
        reader = _from_fasta if first.startswith(">") else _from_genbank
        return reader(path, name, gene, build)
    if not first.startswith("#") and first.count("\t") != 8:
        msg = f"{path}: is not GFF3, GTF, GenBank or FASTA; its first line is {first[:40]!r}"
        raise InputError(msg)
    if sequence is None:
        msg = f"{path}: holds no sequence; give a FASTA file of the genome or coding sequence too"
        raise InputError(msg)
    given = [sequence] if isinstance(sequence, str | os.PathLike) else list(sequence)
    return _from_annotation(path, given, name, gene, build)


def _unplaced(path: Path_, build: str | None) -> None:
    if build is not None:
        msg = f"{path}: has no place on a genome, so that build {build!r} cannot apply; give GFF3"
        raise InputError(msg)


def _from_fasta(path: Path_, name: str | None, gene: str | None, build: str | None) -> Transcript:
    _unplaced(path, build)
    records = read_fasta(path)
    if name is None and len(records) > 1:
        shown = ", ".join(list(records)[:6]) + (", ..." if len(records) > 6 else "")
        msg = f"{path}: has several records; choose one by name: {shown}"
        raise InputError(msg)
    found = named(path, records, name) if name else next(iter(records))
    cds = checked_cds(records[found][1], f"{path}, {found}")
    return Transcript(found, gene or "", cds)


def _from_genbank(path: Path_, name: str | None, gene: str | None, build: str | None) -> Transcript:
    found = read_genbank(path)
    for what, wanted in (("gene", gene), ("name", name)):
        if wanted is None:
            continue
        matching = [
            f for f in found
            if wanted in ({f.gene} if what == "gene" else {f.name, f.name.partition(".")[0]})
        ]  # fmt: skip
        if not matching:
            shown = ", ".join(dict.fromkeys(getattr(f, what) for f in found))
            msg = f"{path}: has no coding sequence of {what} {wanted}; it has {shown}"
            raise InputError(msg)
        found = matching
    found = [f for f in found if f.mane] or found
    if len(found) > 1:
        shown = ", ".join(f"{f.name} ({f.gene})" for f in found[:6])
        msg = f"{path}: has several coding sequences; choose one by name: {shown}"
        raise InputError(msg)
    transcript = found[0].transcript(path, build)
    if transcript.chrom is None:
        _unplaced(path, build)
    return transcript


def _from_annotation(
    path: Path_,
    sequences: Sequence[Path_],
    name: str | None,
    gene: str | None,
    build: str | None,
) -> Transcript:
    annotation = read_annotation(path)
    model = chosen(annotation, name, gene)
    blocks = blocks_of(path, model)
    contig = model.rows[0].contig
    said = {
        where: text
        for where, text in annotation.builds.items()
        if where == contig or where.startswith("its ")
    }
    strand = 1 if model.rows[0].strand == "+" else -1
    size = sum(high - low for low, high in blocks)
    spliced: dict[str, str] = {}  # "genome" and "coding": their bases
    files: dict[str, Path_] = {}
    for file in sequences:
        on = genome_contig(file, model.chrom)
        kind = "genome" if on else "coding"
        if kind in files:
            msg = f"{file}: is a second {kind} sequence beside {files[kind]}; give one of them"
            raise InputError(msg)
        files[kind] = file
        if on:
            parts = genome_stretches(file, on, blocks)
            spliced[kind] = "".join(p if strand > 0 else _other(p) for p in parts).upper()
        else:
            records = read_fasta(file)
            found = named(file, records, model.name)
            spliced[kind] = checked_cds(records[found][1], f"{file}, {found}", model.table)
            _same_length(path, size, file, len(spliced[kind]))
    if "coding" not in spliced:
        if model.differs:
            msg = (
                f"{path}: says that the bases of {model.name} differ from the genome's; "
                "give the FASTA file of its coding sequence too"
            )
            raise InputError(msg)
        where = f"{files['genome']}, {model.name} by {path}"
        spliced["coding"] = checked_cds(spliced["genome"], where, model.table)
    transcript = Transcript(
        model.name, model.gene or gene or "", spliced["coding"],
        agreed(str(path), said, build), model.chrom, strand, blocks, model.table,
        model.protein_name, model.tags,
    )  # fmt: skip
    pairs = enumerate(zip(spliced["coding"], spliced.get("genome", ""), strict=False))
    differing = {index: base for index, (own, base) in pairs if base != own}
    return _differing(transcript, differing, size - len(differing))


def _other(bases: str) -> str:
    return reverse_complement(bases.upper())


def _same_length(path: Path_, rows: int, file: Path_, bases: int) -> None:
    if rows == bases:
        return
    hint = "give both of the same transcript version"
    if bases - rows == 3:
        hint = "the CDS rows leave the stop codon out; give rows that hold it"
    msg = f"{path}: its CDS rows span {rows} bases, and {file} has {bases}; {hint}"
    raise InputError(msg)


def with_genome(transcript: Transcript, alleles: Iterable[Allele]) -> Transcript:
    """Return the transcript with the places at which the genome has another base than it.

    What the reference alleles of VCF rows say about the genome is compared with the transcript.
    Real transcripts differ from the genome in few bases (TPMT c.474); a file of another build
    differs nearly everywhere. So a difference is accepted where the residue stays the same, at
    most 3 of 1,000 coding bases differ (one in short genes), and at least twice as many of the
    bases seen agree.

    Parameters
    ----------
    transcript : Transcript
    alleles : iterable of Allele
        Of all rows; those outside of the coding sequence say nothing.

    Raises
    ------
    InputError
        The differences are others than that, or two rows call different reference bases.

    Examples
    --------
    >>> t = Transcript("T.1", "T", "ATGAAATAA", "GRCh38", "1", 1, ((100, 109),))
    >>> calls = [("A", 104), ("A", 105), ("G", 106)]
    >>> with_genome(t, [Allele("1", place, ref, "C") for ref, place in calls]).genome
    {5: 'G'}
    """
    seen: dict[int, str] = {}
    for allele in alleles:
        if allele.chrom != transcript.chrom:
            continue
        for offset, letter in enumerate(allele.ref):
            index = transcript.to_cds(allele.position + offset)
            if index is None:
                continue
            base = letter if transcript.strand > 0 else reverse_complement(letter)
            if seen.setdefault(index, base) != base:
                place = f"{transcript.chrom}:{allele.position + offset}"
                msg = f"{place}: two rows call different reference bases; check the file"
                raise InputError(msg)
    differing = {i: base for i, base in seen.items() if base != transcript.genome_base(i)}
    return _differing(transcript, differing, len(seen) - len(differing))


def _differing(transcript: Transcript, bases: Mapping[int, str], agreeing: int) -> Transcript:
    """Return the transcript with a genome that differs, where that can be believed."""
    known = {i: b for i, b in {**transcript.genome, **bases}.items() if b != transcript.cds[i]}
    if not bases:
        return transcript
    cds, table = transcript.cds, transcript.table
    genome = "".join(known.get(i, base) for i, base in enumerate(cds))
    changed = [
        i for i in bases
        if translate(genome[i - i % 3 :][:3], table) != translate(cds[i - i % 3 :][:3], table)
    ]  # fmt: skip
    few = len(known) <= max(1, _DIFFERENT * len(cds)) and agreeing >= 2 * len(bases)
    if few and not changed:
        return replace(transcript, genome=dict(sorted(known.items())))
    index = min(changed or bases)
    here, own = bases[index], cds[index]
    if transcript.strand < 0:
        here, own = reverse_complement(here), reverse_complement(own)
    place = f"{transcript.chrom}:{transcript.to_genome(index)}"
    msg = (
        f"{place}: the reference base is {here}, and {transcript.name} has {own} there "
        f"({len(bases)} of {len(bases) + agreeing} coding bases differ); check the genome build"
    )
    raise InputError(msg)
