"""From a row's alleles to edits: what can be placed on a coding sequence, and what cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from saliscope.core.errors import InputError
from saliscope.variants.calls.builds import LENGTHS
from saliscope.variants.calls.record import Alternative, Row, brief
from saliscope.variants.coding.edit import Allele, Edit, reverse_complement
from saliscope.variants.coding.files import with_genome
from saliscope.variants.coding.haplotype import haplotype
from saliscope.variants.coding.transcript import Transcript

__all__ = ["edited", "matters", "placed"]

ENOUGH = 3
"""Bases that must agree before REF alone tells a build: by chance they do in 1 of 64 files."""


def edited(row: Row, transcript: Transcript) -> Row:
    """Return a row with what each alternative does to the coding sequence, or why that is unknown.

    Its reference has been compared before; see `placed`.

    Examples
    --------
    >>> t = Transcript("T.1", "T", "ATGAAATAA", "GRCh38", "1", 1, ((100, 104), (200, 205)))
    >>> alternatives = tuple(map(Alternative, ("G", "*", "<DEL>", "AT")))
    >>> row = Row(1, "1", 104, "A", alternatives, (), (), 3, 4)
    >>> [a.edit or a.reason for a in edited(row, t).alternatives]
    ... # doctest: +NORMALIZE_WHITESPACE
    [Edit(start=3, end=4, alt='G'), '', 'symbolic allele',
     'inserts at the edge of an exon, where splicing decides what it does']
    """
    return replace(
        row, alternatives=tuple(_edited(row, a.text, transcript) for a in row.alternatives)
    )


def matters(row: Row) -> bool:
    """Whether a row tells of the coding sequence: it has an allele there, or only its call."""
    return not row.alternatives or any(a.edit or a.reason for a in row.alternatives)


def placed(
    path: str, rows: Sequence[Row], transcript: Transcript, *, sure: bool
) -> tuple[Transcript, int]:
    """Compare all reference alleles with the transcript.

    Parameters
    ----------
    path : str
        For messages.
    rows : sequence of Row
    transcript : Transcript
    sure : bool
        Whether the build is known from elsewhere, so that a disagreement is not the build's.

    Returns
    -------
    transcript : Transcript
        With the bases in which the genome is seen to differ from it.
    same : int
        How many bases agree.

    Raises
    ------
    InputError
        Rows contradict each other, or the transcript by more than it may differ from its genome
        (see `with_genome`), or do not tell the build.
    """
    seen: dict[int, tuple[str, Row]] = {}
    for row in rows:
        for index, base in _bases(row, transcript):
            before, other = seen.setdefault(index, (base, row))
            if before != base:
                msg = (
                    f"{path}, {row.where}: its REF {brief(row.ref)} contradicts REF "
                    f"{brief(other.ref)} of {other.where}; one of them is not the genome's"
                )
                raise InputError(msg)
    wrong = [i for i, (base, _) in seen.items() if base != transcript.genome_base(i)]
    same = len(seen) - len(wrong)
    if not sure and transcript.build is not None:
        _tell_build(path, transcript, same, len(seen))
    if not wrong:
        return transcript, same
    try:
        refs = [Allele(row.chrom, row.position, row.ref, "") for row in rows]
        return with_genome(transcript, refs), same
    except InputError as error:
        index = wrong[0]
        base, row = seen[index]
        # A file of one person may hold too few rows for that; its build is known, then.
        if sure and len(wrong) == 1 and _other_allele(row, index, base, transcript):
            return replace(transcript, genome={**transcript.genome, index: base}), same
        here = transcript.genome_base(index)
        if transcript.strand < 0:
            here = reverse_complement(here)
        msg = (
            f"{path}, {row.where}: REF {brief(row.ref)} disagrees with {transcript.name}, which "
            f"has {here} there on {transcript.build or 'its genome'} (c.{index + 1}); check the "
            "build, and whether REF and ALT were swapped"
        )
        raise InputError(msg) from error


def _tell_build(path: str, transcript: Transcript, same: int, seen: int) -> None:
    """Refuse a file whose reference bases do not tell that it is on the transcript's build."""
    if same >= ENOUGH and 2 * same > seen:
        return
    if seen >= ENOUGH and 2 * same < seen:
        msg = (
            f"{path}: its REF disagrees with {transcript.name} at {seen - same} of {seen} bases, "
            f"so it is not on {transcript.build}; give the transcript's positions on its build"
        )
    else:
        msg = (
            f"{path}: neither its header nor its {seen} reference bases within {transcript.name} "
            f"tell the genome build; give the build ({' or '.join(LENGTHS)})"
        )
    raise InputError(msg)


def _other_allele(row: Row, index: int, base: str, transcript: Transcript) -> bool:
    """Whether transcript and genome have two alleles of a row that code for one residue."""
    if base not in "ACGT":
        return False
    offered = {b for a in row.alternatives for b in _at(row, a, index, transcript)}
    change = haplotype(transcript, [Edit(index, index + 1, base)]).changes[0]
    return transcript.cds[index] in offered and change.kind == "synonymous"


def _bases(row: Row, transcript: Transcript) -> Iterator[tuple[int, str]]:
    """Yield the reference bases of a row by their index, on the coding strand."""
    for offset, base in enumerate(row.ref):
        index = transcript.to_cds(row.position + offset)
        if index is not None:
            yield index, base if transcript.strand > 0 else reverse_complement(base)


def _at(row: Row, alternative: Alternative, index: int, transcript: Transcript) -> Iterator[str]:
    """Yield the base that an alternative of the reference's length has at an index."""
    alt = alternative.text.upper()
    if len(alt) == len(row.ref):
        yield from (b for i, b in _bases(replace(row, ref=alt), transcript) if i == index)


def _edited(row: Row, text: str, transcript: Transcript) -> Alternative:
    alt = text.upper()
    if alt in {"*", "."}:
        return Alternative(text)
    if alt.startswith("<"):
        return Alternative(text, reason="symbolic allele")
    if "[" in alt or "]" in alt:
        return Alternative(text, reason="breakend")
    if set(alt + row.ref) - set("ACGT"):
        return Alternative(text, reason="letters other than A, C, G, T")
    allele = Allele.of(row.chrom, row.position, row.ref, alt)
    try:
        edit = transcript.edit(allele)
    except InputError:
        return Alternative(text, allele, reason="reaches over the edge of an exon")
    if edit is None and not allele.ref and _at_edge(allele.position, transcript):
        reason = "inserts at the edge of an exon, where splicing decides what it does"
        return Alternative(text, allele, reason=reason)
    return Alternative(text, allele, edit)


def _at_edge(position: int, transcript: Transcript) -> bool:
    """Whether the place before a base lies between an intron and a coding base."""
    beside = [transcript.to_cds(position - 1), transcript.to_cds(position)]
    inside = [index for index in beside if index is not None]
    return len(inside) == 1 and inside[0] not in {0, len(transcript.cds) - 1}
