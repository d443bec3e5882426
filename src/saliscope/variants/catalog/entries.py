"""What is catalogued: the reference, population variants, haplotypes, missense changes; counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePath
from typing import Any

from saliscope.core.errors import InputError
from saliscope.variants.calls.panel import Panel
from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.haplotype import Haplotype, haplotype, missense_changes
from saliscope.variants.coding.hgvs import edits_name
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.population.match import Matched, match
from saliscope.variants.population.record import Counts, Population, PopulationVariant

__all__ = ["WHAT", "Count", "Entry", "Wanted", "collect"]

WHAT = ("reference", "variant", "haplotype", "missense")
"""What an entry is."""


@dataclass(frozen=True)
class Entry:
    """One row of a catalog: a protein under a name.

    Parameters
    ----------
    what : {"reference", "variant", "haplotype", "missense"}
        A variant of a population alone on the reference; a haplotype of a panel; a single-
        nucleotide missense change, whether anyone has it or not.
    haplotype : Haplotype
    """

    what: str
    haplotype: Haplotype

    @cached_property
    def coding(self) -> str:
        """HGVS name on the coding sequence, of all edits."""
        edits = self.haplotype.edits
        return edits_name(self.haplotype.transcript, edits) if edits else "c.="

    @property
    def id(self) -> str:
        """What an entry is called in every catalog of the transcript: "variant c.719A>G"."""
        return f"{self.what} {self.coding}"

    @property
    def kind(self) -> str:
        """Consequences of its changes, in order, each once; "reference" without a change."""
        kinds = dict.fromkeys(change.kind for change in self.haplotype.changes)
        return "+".join(kinds) or "reference"

    @property
    def name(self) -> str:
        """HGVS name of the protein; of a single synonymous change its own name."""
        changes = self.haplotype.changes
        one = len(changes) == 1 and changes[0].kind == "synonymous"
        return changes[0].protein if one else self.haplotype.label

    @property
    def short(self) -> str:
        """Changes that show in the protein in one word each: "A154T+Y240C"."""
        shown = (c for c in self.haplotype.changes if c.kind != "synonymous" and not c.silenced)
        return "+".join(change.short for change in shown)

    @property
    def note(self) -> str:
        """Why there are no numbers; empty where there are."""
        if not self.haplotype.protein:
            return "the start codon is lost: what is translated is not known"
        if not self.haplotype.ends:
            return "no stop codon is reached: the protein is not known to its end"
        return ""

    @property
    def protein(self) -> str | None:
        """The residues; None where they are not known to the end."""
        return None if self.note else self.haplotype.protein


@dataclass(frozen=True)
class Count:
    """How often a source has an entry.

    Parameters
    ----------
    entry, source : str
    by : {"total", "group", "sex", "study"}
        What the people are told apart by.
    group : str
        The source's own name; empty for the total.
    counts : Counts
        Chromosomes with it and chromosomes called; homozygous and hemizygous people.
    frequency : float, optional
    ids, filters : tuple of str
        What the source says of the allele.
    """

    entry: str
    source: str
    by: str
    group: str
    counts: Counts
    frequency: float | None
    ids: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Wanted:
    """All that a build shall hold.

    Parameters
    ----------
    transcript : Transcript
    entries : mapping of str to Entry
        By id.
    counts : tuple of Count
    sources : mapping of str to mapping
        What is known of each source of counts.
    """

    transcript: Transcript
    entries: Mapping[str, Entry]
    counts: tuple[Count, ...]
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def proteins(self) -> set[str]:
        """The distinct proteins."""
        return {entry.protein for entry in self.entries.values() if entry.protein is not None}


def collect(
    transcript: Transcript,
    population: Population | Matched | None = None,
    panel: Panel | None = None,
    *,
    missense: bool = True,
) -> Wanted:
    """Return what is to be catalogued of a transcript.

    Examples
    --------
    >>> t = Transcript("T.1", "T", "ATGTGGTAA")
    >>> wanted = collect(t)
    >>> len(wanted.entries), len(wanted.proteins), wanted.entries["missense c.4T>A"].short
    (8, 6, 'W2R')
    """
    entries: dict[str, Entry] = {}

    def add(what: str, edits: Iterable[Edit], made: Haplotype | None = None) -> str:
        entry = Entry(what, made or haplotype(transcript, edits))
        entries.setdefault(entry.id, entry)
        return entry.id

    add("reference", ())
    if missense:
        for change in missense_changes(transcript):
            add("missense", change.edits)
    counts: list[Count] = []
    sources: dict[str, dict[str, Any]] = {}
    if population is not None:
        matched = population if isinstance(population, Matched) else match(population, transcript)
        _same(matched.transcript, transcript, matched.population.file)
        own = matched.population
        name = f"{own.source}: {PurePath(own.file).name}"
        sources[name] = {
            "kind": "population", "file": PurePath(own.file).name, "build": own.build,
            "groups": list(own.groups), "notes": [*own.notes, matched.sentence],
        }  # fmt: skip
        for one in matched.matched:
            counts += _variant_counts(add("variant", [one.edit]), name, one.variant)
    if panel is not None:
        _same(panel.calls.transcript, transcript, panel.calls.file)
        name = f"panel: {PurePath(panel.calls.file).name}"
        sources[name] = {
            "kind": "panel", "file": PurePath(panel.calls.file).name, "build": panel.calls.build,
            "groups": list(panel.groups), "people": len(panel.people), "notes": list(panel.notes),
        }  # fmt: skip
        for what, edits, made, groups in _panel_counts(panel):
            counts += _rows(add(what, edits, made), name, groups)
    return Wanted(transcript, entries, tuple(_added(counts)), sources)


def _same(theirs: Transcript, ours: Transcript, file: str) -> None:
    if theirs.cds != ours.cds or theirs.name != ours.name:
        msg = f"{file}: was read for {theirs.name}, not for {ours.name}; read it for this one"
        raise InputError(msg)


_Counted = tuple[str, tuple[Edit, ...], Haplotype | None, dict[str, Counts]]


def _panel_counts(panel: Panel) -> Iterator[_Counted]:
    """Yield haplotypes that somebody is known to have, and changes that somebody carries."""
    sizes = panel.chromosomes
    for each, row in zip(panel.haplotypes, panel.counts.tolist(), strict=True):
        if any(row):
            groups = {g: Counts(n, sizes[g]) for g, n in zip(panel.groups, row, strict=True)}
            yield "haplotype", each.edits, each, groups
    changes = {change.edits: change for each in panel.haplotypes for change in each.changes}
    for edits, change in sorted(changes.items()):
        have = panel.carriers(change)
        if have.names:
            copies = have.haplotypes
            groups = {
                g: Counts(copies[g], have.chromosomes[g], copies[g] - have.people[g])
                for g in panel.groups
            }
            yield "variant", edits, None, groups


def _rows(entry: str, source: str, groups: Mapping[str, Counts]) -> Iterator[Count]:
    """Yield counts by group with their total."""
    yield _count(entry, source, "total", "", _sum(groups.values()))
    for group, counts in groups.items():
        yield _count(entry, source, "group", group, counts)


def _variant_counts(entry: str, source: str, variant: PopulationVariant) -> Iterator[Count]:
    said = {"ids": variant.ids, "filters": variant.filters}
    yield _count(entry, source, "total", "", variant.total, **said)
    for by, named in (("group", variant.groups), ("sex", variant.sexes)):
        for group, counts in named.items():
            yield _count(entry, source, by, group, counts, **said)
    for study, frequency in variant.frequencies.items():
        yield Count(entry, source, "study", study, Counts(None, None), frequency, **said)


def _count(
    entry: str, source: str, by: str, group: str, counts: Counts, *,
    ids: tuple[str, ...] = (), filters: tuple[str, ...] = (),
) -> Count:  # fmt: skip
    return Count(entry, source, by, group, counts, counts.frequency, ids, filters)


def _sum(many: Iterable[Counts]) -> Counts:
    """Add counts; what is not known of one is not known of all."""
    rows = [(c.ac, c.an, c.homozygotes, c.hemizygotes) for c in many]
    sums = [
        None if any(cell is None for cell in column) else sum(cell or 0 for cell in column)
        for column in zip(*rows, strict=True)
    ]
    return Counts(*sums)


def _added(counts: Sequence[Count]) -> Iterator[Count]:
    """Put together alleles that a source writes in several ways and that give one sequence."""
    found: dict[tuple[str, str, str, str], list[Count]] = {}
    for one in counts:
        found.setdefault((one.entry, one.source, one.by, one.group), []).append(one)
    for same in found.values():
        if len(same) == 1:
            yield same[0]
            continue
        first = same[0]
        both = _sum(one.counts for one in same)
        both = Counts(both.ac, first.counts.an, both.homozygotes, both.hemizygotes)
        yield _count(
            first.entry, first.source, first.by, first.group, both,
            ids=tuple(dict.fromkeys(i for one in same for i in one.ids)),
            filters=tuple(dict.fromkeys(f for one in same for f in one.filters)),
        )  # fmt: skip
