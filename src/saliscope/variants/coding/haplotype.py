"""Haplotypes: what all edits of one copy of a gene do to its protein, together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.coding.codons import is_start, long, translate
from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.hgvs import allele_name, coding_name, edits_name, residues_name
from saliscope.variants.coding.transcript import Transcript

__all__ = ["Change", "Haplotype", "haplotype", "missense_changes"]


@dataclass(frozen=True)
class Change:
    """What acts together, and is taken out together: edits of one codon, or of one frame block.

    Parameters
    ----------
    edits : tuple of Edit
    kind : str
        "missense", "synonymous", "stop_gained", "stop_lost", "start_lost", "inframe_insertion",
        "inframe_deletion", "inframe_delins", "frameshift" or "resolved_frameshift".
    position : int
        First residue changed, from 1, numbering of the reference protein. For an insertion: the
        residue that it stands before.
    ref : str
        Reference residues that are replaced; empty for an insertion; "*" is the stop. For a
        frameshift: all that follow, without the stop.
    alt : str
        Residues in their place; empty for a deletion. For a frameshift: the new tail, without
        the stop.
    coding : str
        HGVS name on the coding sequence, of this change alone.
    protein : str
        HGVS name of what it does to the reference protein.
    silenced : bool
        Whether it cannot act on this haplotype, because the protein has ended before, or does not
        start. Kind and names say what it would do by itself.
    """

    edits: tuple[Edit, ...]
    kind: str
    position: int
    ref: str
    alt: str
    coding: str
    protein: str
    silenced: bool = False

    @property
    def short(self) -> str:
        """One word: "Y240C" for a missense change, else the HGVS name without "p."."""
        if self.kind == "missense":
            return f"{self.ref}{self.position}{self.alt}"
        return self.protein.removeprefix("p.")


@dataclass(frozen=True, eq=False)
class Haplotype:
    """One copy of a coding sequence with its edits; made by `haplotype`.

    Parameters
    ----------
    transcript : Transcript
    edits : tuple of Edit
        Sorted, in shortest form; those that change nothing are left out.
    cds : str
        The edited sequence.
    protein : str
        Residues up to the first stop, or as far as the sequence is known (see `ends`); empty after
        the loss of the start codon, because what is translated then is not known.
    changes : tuple of Change
        In order, synonymous ones included; their edits are a partition of `edits`.
    """

    transcript: Transcript
    edits: tuple[Edit, ...]
    cds: str
    protein: str
    changes: tuple[Change, ...]

    @property
    def key(self) -> tuple[Edit, ...]:
        """What tells it from other haplotypes of the transcript."""
        return self.edits

    @property
    def ends(self) -> bool:
        """Whether the protein is known to its end: it starts, and a stop codon was reached."""
        return bool(self.protein) and 3 * len(self.protein) + 3 <= len(self.cds)

    @property
    def label(self) -> str:
        """The protein in HGVS; changes that do not show in it are not named."""
        names = [c.protein for c in self.changes if c.kind != "synonymous" and not c.silenced]
        return allele_name(names) if names else "reference"

    def without(self, change: Change) -> Haplotype:
        """Return the haplotype with one change taken out.

        Raises
        ------
        OptionError
            It is not a change of this haplotype.

        Examples
        --------
        >>> t = Transcript("T.1", "T", "ATGAAATAA")
        >>> h = haplotype(t, [Edit(4, 5, "G")])
        >>> h.label, h.without(h.changes[0]).label
        ('p.Lys2Arg', 'reference')
        """
        if not set(change.edits) <= set(self.edits):
            msg = f"{change.coding}: is not a change of the haplotype {self.label}"
            raise OptionError(msg)
        return haplotype(self.transcript, [e for e in self.edits if e not in change.edits])


def haplotype(transcript: Transcript, edits: Iterable[Edit]) -> Haplotype:
    """Return what edits make of a transcript, on one copy.

    Substitutions in one codon act together. An indel that changes the frame forms a block with all
    edits behind it until the frame is restored (a resolved frameshift), or until its new stop.
    Edits behind a gained stop are changes by themselves, and marked `silenced`.

    Parameters
    ----------
    transcript : Transcript
    edits : iterable of Edit
        In any order.

    Raises
    ------
    InputError
        Two edits overlap, an edit lies outside of the coding sequence, or holds other letters than
        A, C, G, T.

    Examples
    --------
    >>> t = Transcript("T.1", "T", "ATGAAACGTGGTTAA")
    >>> h = haplotype(t, [Edit(4, 5, "G"), Edit(5, 6, "C")])
    >>> h.protein, h.label, h.changes[0].coding
    ('MSRG', 'p.Lys2Ser', 'c.[5A>G;6A>C]')
    >>> [c.protein for c in haplotype(t, [Edit(3, 3, "C"), Edit(8, 9, "")]).changes]
    ['p.Lys2_Arg3delinsGlnThr']
    >>> [(c.protein, c.silenced) for c in haplotype(t, [Edit(3, 3, "T"), Edit(8, 9, "C")]).changes]
    [('p.Lys2Ter', False), ('p.Arg3=', True)]
    """
    kept = tuple(sorted(_checked(transcript, edits)))
    for one, other in pairwise(kept):
        if one.touches(other):
            names = " and ".join(coding_name(transcript, edit) for edit in (one, other))
            msg = f"{transcript.name}: {names} overlap; they cannot stand on one haplotype"
            raise InputError(msg)
    cds = _spliced(transcript.cds, kept, 0, len(transcript.cds))
    protein = ""
    if is_start(cds[:3], transcript.table, transcript.cds[:3]):
        protein = "M" + translate(cds[3:], transcript.table).partition("*")[0]
    changes: list[Change] = []
    silenced = not protein
    for group in _groups(transcript, kept):
        change = _change(transcript, group)
        cut = silenced and change.kind != "start_lost"
        changes.append(replace(change, silenced=cut))
        silenced = silenced or change.kind in {"stop_gained", "frameshift"}
    return Haplotype(transcript, kept, cds, protein, tuple(changes))


def missense_changes(transcript: Transcript) -> list[Change]:
    """Return every single-nucleotide missense change of a transcript, each as one edit.

    Several edits that lead to the same residue are different changes.

    Examples
    --------
    >>> [c.protein for c in missense_changes(Transcript("T.1", "T", "ATGTGGTAA"))]
    ['p.Trp2Arg', 'p.Trp2Arg', 'p.Trp2Gly', 'p.Trp2Ser', 'p.Trp2Leu', 'p.Trp2Cys', 'p.Trp2Cys']
    """
    single = (
        _change(transcript, (Edit(index, index + 1, base),))
        for index, ref in enumerate(transcript.cds)
        for base in "ACGT"
        if base != ref
    )
    return [change for change in single if change.kind == "missense"]


def _checked(transcript: Transcript, edits: Iterable[Edit]) -> Iterator[Edit]:
    """Yield edits in their shortest form, without those that change nothing."""
    cds = transcript.cds
    for edit in edits:
        start, end, alt = edit.start, edit.end, edit.alt
        if set(alt) - set("ACGT"):
            msg = f"{transcript.name}: {edit} holds other letters than A, C, G, T"
            raise InputError(msg)
        inside = 0 <= start <= end <= len(cds)
        while inside and start < end and alt and cds[end - 1] == alt[-1]:
            end, alt = end - 1, alt[:-1]
        while inside and start < end and alt and cds[start] == alt[0]:
            start, alt = start + 1, alt[1:]
        if not inside or (alt and start == end and start in {0, len(cds)}):
            size = len(cds)
            msg = f"{transcript.name}: {edit} lies outside of the coding sequence (length {size})"
            raise InputError(msg)
        if start < end or alt:
            yield Edit(start, end, alt)


def _spliced(cds: str, edits: Sequence[Edit], start: int, end: int) -> str:
    """Return a stretch of a sequence with sorted edits that lie in it."""
    parts, here = [], start
    for edit in edits:
        parts += [cds[here : edit.start], edit.alt]
        here = edit.end
    return "".join(parts) + cds[here:end]


def _groups(transcript: Transcript, edits: Sequence[Edit]) -> Iterator[tuple[Edit, ...]]:
    """Yield the edits that act together; see `haplotype`."""
    group: list[Edit] = []
    for edit in edits:
        if group and not _joins(transcript, group, edit):
            yield tuple(group)
            group = []
        group.append(edit)
    if group:
        yield tuple(group)


def _joins(transcript: Transcript, group: Sequence[Edit], edit: Edit) -> bool:
    """Whether an edit acts together with the edits before it."""
    if sum(e.growth for e in group) % 3 == 0:
        return edit.start // 3 < _codons(group)[1]
    begin, _ = _codons(group)
    shifted = _spliced(transcript.cds, group, 3 * begin, edit.start)
    return "*" not in translate(shifted, transcript.table)


def _codons(group: Sequence[Edit]) -> tuple[int, int]:
    """Return the range of reference codons that sorted edits touch, half open."""
    begin, stop = group[0].start // 3, -(-group[-1].end // 3)
    if begin == 0 and 3 * stop + sum(edit.growth for edit in group) == 0:
        stop += 1  # nothing is left of the start codon: the next one stands in its place
    return begin, stop


@lru_cache(maxsize=1 << 14)  # all single-base changes of a gene, and then those of its people
def _change(transcript: Transcript, edits: tuple[Edit, ...]) -> Change:
    """Name what edits that act together do to the reference protein."""
    kind, position, ref, alt, name = _effect(transcript, edits)
    return Change(edits, kind, position, ref, alt, edits_name(transcript, edits), name)


def _effect(transcript: Transcript, edits: tuple[Edit, ...]) -> tuple[str, int, str, str, str]:
    """Return kind, position, residues lost, residues new and HGVS name.

    With edits of a group, the codons `begin` to `stop` are replaced, or, where the frame stays
    shifted, all from `begin` on.
    """
    cds, table, protein = transcript.cds, transcript.table, f"{transcript.protein}*"
    begin, stop = _codons(edits)
    open_frame = sum(edit.growth for edit in edits) % 3 != 0
    if open_frame:
        stop = len(protein)
    bases = _spliced(cds, edits, 3 * begin, 3 * stop)
    new = translate(bases, table)
    if begin == 0:
        if not is_start(bases[:3], table, cds[:3]):
            return "start_lost", 1, protein[0], "", f"p.{long(protein[0])}1?"
        new = protein[0] + new[1:]
    new, found, _ = new.partition("*")
    new += found
    old = protein[begin:] if found else protein[begin:stop]
    if new == old:
        here = protein[begin]
        return "synonymous", begin + 1, here, here, f"p.{long(here)}{begin + 1}="
    same = _shared(old, new)
    at, old, new = begin + same, old[same:], new[same:]
    if not found and stop == len(protein):
        return _runs_on(old, new, at, open_frame=open_frame)
    if found and old[0] == "*":
        name = f"p.Ter{at + 1}{long(new[0])}extTer{len(new) - 1}"
        return "stop_lost", at + 1, "*", new[:-1], name
    if found and new[0] == "*":
        return "stop_gained", at + 1, old[0], "*", f"p.{long(old[0])}{at + 1}Ter"
    shifts = any(edit.growth % 3 for edit in edits)
    # the frame is restored before the stop codon unless a stop comes up within the block
    in_time = stop == len(protein) and len(bases) == 3 * (same + len(new))
    if shifts and found and (open_frame or not in_time):
        name = f"p.{long(old[0])}{at + 1}{long(new[0])}fsTer{len(new)}"
        return "frameshift", at + 1, old[:-1], new[:-1], name
    return _inframe(protein, at, stop, new, shifts=shifts)


def _shared(one: str, other: str) -> int:
    """Return how many letters two strings share at their start."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _runs_on(old: str, new: str, at: int, *, open_frame: bool) -> tuple[str, int, str, str, str]:
    """Return the effect where no stop is reached in the sequence that is known."""
    here = f"{long(old[0])}{at + 1}"
    if old == "*" and (new or open_frame):
        name = f"p.{here}{long(new[0])}extTer?" if new else f"p.{here}?"
        return "stop_lost", at + 1, old, new, name
    if open_frame:
        name = f"p.{here}{long(new[0])}fsTer?" if new else f"p.{here}fs"
        return "frameshift", at + 1, old[:-1], new, name
    span = here if old == "*" else f"{here}_Ter{at + len(old)}"
    name = f"p.{span}{'delins' if new else 'del'}{long(new)}extTer?"
    return "stop_lost", at + 1, old, new, name


def _inframe(
    protein: str, at: int, stop: int, new: str, *, shifts: bool
) -> tuple[str, int, str, str, str]:
    """Return the effect of residues `at` to `stop` replaced by others."""
    old = protein[at:stop]
    same = _shared(old[::-1], new[::-1])
    old, new = old[: len(old) - same], new[: len(new) - same]
    if "*" in new:
        kind = "stop_gained"
    elif not old or not new:
        kind = "inframe_deletion" if old else "inframe_insertion"
    elif len(old) == len(new) == 1:
        kind = "missense"
    else:
        kind = "resolved_frameshift" if shifts else "inframe_delins"
    return kind, *residues_name(protein, at, old, new)
