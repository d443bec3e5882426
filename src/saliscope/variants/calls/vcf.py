"""Reading the genotypes of one gene from a VCF or BCF."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from saliscope.core.errors import InputError
from saliscope.variants.calls.alleles import edited, matters, placed
from saliscope.variants.calls.builds import agreed_build
from saliscope.variants.calls.genotypes import settled
from saliscope.variants.calls.opening import opened
from saliscope.variants.calls.reading import Reading
from saliscope.variants.calls.record import Calls, Row, brief
from saliscope.variants.coding.edit import Allele
from saliscope.variants.coding.transcript import Transcript

__all__ = ["read_calls"]


def read_calls(
    path: str | os.PathLike[str],
    transcript: Transcript,
    *,
    samples: Iterable[str] | None = None,
    build: str | None = None,
) -> Calls:
    r"""Return every sample's genotypes within a coding sequence.

    The file is read once, from start to end, or by its index where it has one; nothing is written.
    Rows need no order. Contigs may be named with "chr", without, or by accession, and need not be
    declared. A missing genotype is never taken as the reference; the absence of a row is, because
    a VCF lists differences from the genome. Where the genome has another base than the transcript,
    alleles are placed as called, and the absence of a row means the genome's base.

    Parameters
    ----------
    path : path
        VCF (plain, gzip or bgzip) or BCF.
    transcript : Transcript
        With its place on the genome.
    samples : iterable of str, optional
        Read only these, in this order; all samples of the file by default.
    build : str, optional
        Asked for where neither the header nor the reference alleles tell it.

    Raises
    ------
    InputError
        With file and row: see the guide to what is refused (cut off, wrong build, a reference
        allele that disagrees, duplicate rows, mixed numbers of copies, no genotypes, ...).
    OptionError
        The build is not known.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> t = Transcript("T.1", "T", "ATGAAATAA", "GRCh38", "1", 1, ((100, 109),))
    >>> text = (
    ...     "##fileformat=VCFv4.2\n"
    ...     "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tann\n"
    ...     "chr1\t105\trs1\tA\tG\t.\tPASS\t.\tGT\t0|1\n"
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "a.vcf"
    ...     _ = file.write_text(text)
    ...     calls = read_calls(file, t, build="GRCh38")
    >>> calls.genotypes.tolist(), calls.edits([1]), calls.ids[calls.edits([1])[0]]
    ([[[0, 1]]], (Edit(start=4, end=5, alt='G'),), ('rs1',))
    """
    if transcript.chrom is None:
        msg = f"{transcript.name}: has no place on a genome, so no VCF can be read for it"
        raise InputError(msg)
    with opened(path) as source:
        reading = Reading(source, transcript, samples)
        agreed, told_by = agreed_build(
            source.path, transcript.build, build, reading.declared(), transcript.name
        )
        reading.read()
    path = reading.path
    on_genome, same = placed(path, reading.rows, transcript, sure=agreed is not None)
    if agreed is None and transcript.build is not None:
        agreed, told_by = transcript.build, f"REF of {same} bases"
    rows = [edited(row, on_genome) for row in reading.rows]
    kept = [i for i, row in enumerate(rows) if matters(row)]
    kept.sort(key=lambda i: (rows[i].position, rows[i].number))
    chosen = tuple(rows[i] for i in kept)
    _refuse_duplicates(path, chosen)
    genotypes, sets = reading.arrays(kept)
    genotypes = settled(
        genotypes,
        [(row.position, row.ref) for row in chosen],
        reading.samples,
        [f"{path}, {row.where}" for row in chosen],
        autosome=on_genome.chrom not in {"X", "Y", "MT"},
    )
    outside = reading.total - len(kept) if reading.counted else None
    notes = (*_differences(on_genome), *reading.notes(chosen))
    return Calls(
        path, on_genome, agreed, told_by, reading.samples, chosen, genotypes, sets, outside, notes
    )


def _refuse_duplicates(path: str, rows: Sequence[Row]) -> None:
    seen: dict[Allele, Row] = {}
    for row in rows:
        for alternative in row.alternatives:
            if alternative.allele is None:
                continue
            other = seen.setdefault(alternative.allele, row)
            if (
                other is not row
                or sum(a.allele == alternative.allele for a in row.alternatives) > 1
            ):
                change = f"{brief(row.ref)} to {brief(alternative.text)}"
                msg = (
                    f"{path}, {row.where}: {change} stands in {other.where} as well; remove one "
                    "(`bcftools norm -d exact`)"
                )
                raise InputError(msg)


def _differences(transcript: Transcript) -> list[str]:
    """Say where the genome is not the transcript, and what that means for reading."""
    return [
        f"transcript and genome differ at c.{index + 1} ({transcript.cds[index]} in the "
        f"transcript, {base} in {transcript.build or 'the genome'}): alleles are placed as called, "
        "a missing row means the genome's base"
        for index, base in sorted(transcript.genome.items())
    ]
