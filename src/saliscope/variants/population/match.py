"""From rows of a population to changes of one transcript, and the rows that are not of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from saliscope.core.errors import InputError
from saliscope.variants.coding.builds import build_name
from saliscope.variants.coding.edit import Allele, Edit
from saliscope.variants.coding.haplotype import Change, haplotype
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.population.consequence import differs
from saliscope.variants.population.record import Population, PopulationVariant

__all__ = ["REASONS", "Matched", "MatchedVariant", "Unmatched", "match"]

REASONS = {
    "transcript": "the source's consequence is of another transcript",
    "outside": "outside of the coding sequence",
    "edge": "reaches over the edge of a coding exon",
    "reference": "its reference bases disagree with the transcript's",
    "consequence": "the source's protein consequence disagrees with ours",
    "same": "gives the transcript's own sequence",
    "unnamed": "the source gives no coding name, and the transcript has no place on a genome",
}
"""Why a row is not matched."""

_Names = Mapping[str, Sequence[str]]


@dataclass(frozen=True, eq=False)
class MatchedVariant:
    """A row of the population with what it does to the transcript."""

    variant: PopulationVariant
    edit: Edit
    change: Change


@dataclass(frozen=True, eq=False)
class Unmatched:
    """A row that is not used, and why: `reason` is a key of `REASONS`, `detail` one sentence."""

    variant: PopulationVariant
    reason: str
    detail: str

    @property
    def row(self) -> int:
        """Line of the file."""
        return self.variant.row


@dataclass(frozen=True, eq=False)
class Matched:
    """All rows of a population, sorted into those of a transcript and the others."""

    population: Population
    transcript: Transcript
    matched: tuple[MatchedVariant, ...]
    unmatched: tuple[Unmatched, ...]

    @cached_property
    def by_edit(self) -> Mapping[Edit, MatchedVariant]:
        """The matched rows by what they do to the coding sequence."""
        return {one.edit: one for one in self.matched}

    @cached_property
    def by_coding(self) -> Mapping[str, MatchedVariant]:
        """The matched rows by HGVS name: one name however an indel was placed in a repeat."""
        return {one.change.coding: one for one in self.matched}

    @property
    def reasons(self) -> Mapping[str, int]:
        """How many rows were not matched, by reason."""
        return Counter(one.reason for one in self.unmatched)

    @property
    def sentence(self) -> str:
        """How many rows were used and why the others were not."""
        total = len(self.matched) + len(self.unmatched)
        text = f"{len(self.matched)} of {total} rows of {self.population.source} are changes of"
        left = "; ".join(f"{n} {REASONS[reason]}" for reason, n in sorted(self.reasons.items()))
        return f"{text} {self.transcript.name}" + (f"; not used: {left}" if left else "")


def match(
    population: Population, transcript: Transcript, *, names: _Names | None = None
) -> Matched:
    """Place the alleles of a population on a transcript.

    Alleles are placed by their position on the genome and their reference bases are compared. For
    a transcript without a place on a genome the source's own coding names (c.) are used. Where the
    source names a transcript or a protein consequence, both must agree; rows that do not are
    listed with the reason, never dropped in silence.

    Parameters
    ----------
    population : Population
    transcript : Transcript
    names : mapping of str to sequence of str, optional
        Other names of the transcript that count as the same, versions apart:
        ``{"NM_007294.4": ("ENST00000357654",)}``.

    Raises
    ------
    InputError
        The two are on different builds, or most reference bases disagree, or no row at all is of
        this transcript.

    Examples
    --------
    >>> from saliscope.variants.population.record import Counts
    >>> t = Transcript("T.1", "T", "ATGAAATAA", "GRCh38", "1", 1, ((99, 108),))
    >>> rows = [Allele("1", 104, "A", "G"), Allele("1", 300, "A", "G"), Allele("1", 103, "C", "G")]
    >>> known = {a: PopulationVariant(a, i, Counts(1, 10)) for i, a in enumerate(rows, 2)}
    >>> m = match(Population("a table", "x.csv", "GRCh38", (), known), t)
    >>> [one.change.protein for one in m.matched], [(one.row, one.reason) for one in m.unmatched]
    (['p.Lys2Arg'], [(3, 'outside'), (4, 'reference')])
    """
    placed = transcript.chrom is not None
    theirs, ours = (build_name(b) if b else None for b in (population.build, transcript.build))
    if placed and theirs and ours and theirs != ours:
        msg = (
            f"{population.file}: is on {theirs}, and {transcript.name} is placed on {ours}; "
            f"give the transcript's positions on {theirs}"
        )
        raise InputError(msg)
    same = _same(transcript, names or {})
    matched: list[MatchedVariant] = []
    unmatched: list[Unmatched] = []
    for variant in population.variants.values():
        found = _matched(variant, transcript, same, placed=placed)
        if isinstance(found, Unmatched):
            unmatched.append(found)
        else:
            matched.append(found)
    result = Matched(population, transcript, tuple(matched), tuple(unmatched))
    _check(result)
    return result


def _bare(name: str) -> str:
    return name.partition(".")[0]


def _same(transcript: Transcript, names: _Names) -> frozenset[str]:
    """Return the names of the transcript, versions left off."""
    own = {_bare(transcript.name)}
    for name, others in names.items():
        if _bare(name) in own:
            listed = (others,) if isinstance(others, str) else others
            own |= {_bare(other) for other in listed}
    return frozenset(own)


def _check(result: Matched) -> None:
    """Refuse a result that can only come from a mistake about transcript or build."""
    population, name = result.population, result.transcript.name
    counts = result.reasons
    if not result.matched and counts.get("transcript", 0):
        of = Counter(u.variant.transcript for u in result.unmatched if u.reason == "transcript")
        most = of.most_common(1)[0][0]
        shown = ", ".join(f"{other} ({n} rows)" for other, n in of.most_common(3))
        msg = (
            f"{population.file}: no row is of {name}; the source names {shown}; if one is the same "
            f"transcript, say names={{{name!r}: ({most!r},)}}, or --same-transcript {most}"
        )
        raise InputError(msg)
    wrong = counts.get("reference", 0)
    if wrong > max(2, len(result.matched)):
        first = next(u for u in result.unmatched if u.reason == "reference")
        msg = (
            f"{population.file}, row {first.row}: {first.detail}; so do {wrong - 1} other rows: "
            "is the transcript of another genome build?"
        )
        raise InputError(msg)


def _matched(
    variant: PopulationVariant, transcript: Transcript, same: frozenset[str], *, placed: bool
) -> MatchedVariant | Unmatched:
    if variant.transcript and _bare(variant.transcript) not in same:
        return Unmatched(variant, "transcript", f"the source's row is of {variant.transcript}")
    found = (_by_place if placed else _by_name)(variant, transcript)
    if isinstance(found, Unmatched):
        return found
    changes = haplotype(transcript, found).changes
    if not changes:
        return Unmatched(variant, "same", f"{variant.allele.label}: {REASONS['same']}")
    change = changes[0]
    detail = differs(variant, transcript, change)
    if detail or len(changes) > 1:
        several = f"{variant.coding} makes several changes of {transcript.name}"
        return Unmatched(variant, "consequence", detail or several)
    return MatchedVariant(variant, found[0], change)


def _by_place(variant: PopulationVariant, transcript: Transcript) -> list[Edit] | Unmatched:
    allele = variant.allele
    try:
        edit = transcript.edit(allele)
    except InputError as error:
        reason = "edge" if _over_edge(transcript, allele) else "reference"
        return Unmatched(variant, reason, str(error))
    if edit is None:
        named = f"; the source calls it {variant.protein}" if variant.protein else ""
        return Unmatched(variant, "outside", f"{allele.label}: {REASONS['outside']}{named}")
    return [edit]


def _over_edge(transcript: Transcript, allele: Allele) -> bool:
    """Whether an allele has bases on both sides of the end of a coding exon."""
    places = range(allele.position, allele.position + max(len(allele.ref), 1))
    inside = [transcript.to_cds(place) for place in places]
    known = [index for index in inside if index is not None]
    return len(known) < len(inside) or max(known) - min(known) + 1 != len(inside)


def _by_name(variant: PopulationVariant, transcript: Transcript) -> list[Edit] | Unmatched:
    """Read the source's own c. name, for a transcript that has no place on a genome."""
    from saliscope.variants.coding.naming import parse_coding

    name = variant.coding.rpartition(":")[2]
    if not name:
        return Unmatched(variant, "unnamed", f"{variant.allele.label}: {REASONS['unnamed']}")
    if any(_beyond(number) for number in _numbers(name)):
        return Unmatched(variant, "outside", f"{name}: {REASONS['outside']}")
    try:
        read = parse_coding(name, transcript)
    except InputError as error:
        return Unmatched(variant, "reference", str(error))
    edits = [edit for group in read for edit in group]
    if not edits:
        return Unmatched(variant, "same", f"{name}: {REASONS['same']}")
    return edits


def _numbers(name: str) -> Iterator[str]:
    """Yield the positions of a c. name: "c.-10-22C>A" has one, "-10-22"."""
    yield from re.findall(r"(?<![\d])([-*]?\d+(?:[-+]\d+)?)", name.removeprefix("c."))


def _beyond(number: str) -> bool:
    """Whether a position of a c. name lies in an intron or beside of the coding sequence."""
    return number.startswith(("-", "*")) or "+" in number or "-" in number
