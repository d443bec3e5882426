"""A person's variants of one gene, as a model sees them: everything that the report says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from saliscope.api.results import versions
from saliscope.core.engine import Progress
from saliscope.core.units import FloatArray
from saliscope.variants.calls.panel import Panel
from saliscope.variants.calls.person import Configuration, Person, person, weighted
from saliscope.variants.calls.record import Calls
from saliscope.variants.coding.haplotype import Change, Haplotype, haplotype
from saliscope.variants.effects.control import saliency_control
from saliscope.variants.effects.gradients import Gradients, gradients_of
from saliscope.variants.effects.linkage import panel_linkage
from saliscope.variants.effects.pairs import Key, PairResult, compare_pairs, pair_key
from saliscope.variants.effects.population import Backdrop
from saliscope.variants.effects.record import Copy, Effect, Interpretation, Pair
from saliscope.variants.effects.reference import ReferenceSet, comparable, reference_set
from saliscope.variants.effects.scoring import Scorer
from saliscope.variants.population.match import Matched
from saliscope.variants.statistics.agreement import saliency_check
from saliscope.variants.statistics.backgrounds import Background as ShiftOn
from saliscope.variants.statistics.backgrounds import spread
from saliscope.variants.statistics.clustering import site_clustering
from saliscope.variants.statistics.interactions import (
    MOST_PLAYERS,
    coalitions,
    second_difference,
    shapley_values,
)
from saliscope.variants.statistics.noise import below_noise, read_backgrounds
from saliscope.variants.statistics.reference import stand, stand_observed

__all__ = ["MOST_CONFIGURATIONS", "interpret"]

MOST_CONFIGURATIONS = 32
"""Phasings of an unphased person that are scored, the heaviest first."""

_NOT_ASSESSED = {
    "synonymous": "not assessed: the protein is unchanged, and splicing and expression are not "
    "looked at",
    "start_lost": "not assessed: the start codon is lost, and what is translated is not known",
}


def interpret(
    calls: Calls, sample: str, model: object = "zoo:protein", *, panel: Panel | None = None,
    population: Matched | None = None, group: str | None = None,
    readout: str | FloatArray = "likelihood", pairs: int = 1000, budget: int | None = None,
    seed: int = 0, progress: bool | Callable[[Progress], None] = False,
) -> Interpretation:  # fmt: skip
    """Say what a model says of one person's variants of a gene.

    Parameters
    ----------
    calls : Calls
        The person's genotypes within the transcript, from `read_calls`.
    sample : str
    model : object
        A protein language model: anything that `saliscope.load` takes.
    panel : Panel, optional
        A phased panel; the person and known relatives are left out of every count.
    population : Matched, optional
        Allele counts, matched to the transcript.
    group : str, optional
        Group of the panel whose most frequent haplotype is compared with; by default the
        person's own in the sample table, else all.
    readout : "likelihood", "norm" or numpy.ndarray
        See `Scorer`.
    pairs : int
        Null pairs drawn for each kind of tested pair.
    budget : int, optional
    seed : int
    progress : bool or callable

    Returns
    -------
    Interpretation

    Raises
    ------
    InputError
        The file has no such sample, or calls contradict each other.

    Notes
    -----
    *Last-out* is the score of the person's own haplotype minus its score without the change;
    *first-in* is the score of the reference with the change minus that of the reference.
    """
    scorer = Scorer(model, readout, budget=budget, progress=progress)
    subject = person(calls, sample, seed=seed)
    backdrop = Backdrop.of(sample, panel, population, group)
    if backdrop.panel is not None:
        subject = weighted(subject, backdrop.panel)
    considered = subject.configurations[:MOST_CONFIGURATIONS]
    transcript = calls.transcript
    wanted = (*_wanted(considered), *backdrop.proteins(considered))
    compared = any(_compared(copy) for c in considered for copy in c.haplotypes)
    base = reference_set(transcript, scorer, wanted, whole=compared)
    reference, shifts = base.protein, base.shifts
    tested: Mapping[Key, PairResult] = {}
    if scorer.has_sign and compared:
        tested = compare_pairs(
            transcript, scorer, _pairs(considered, backdrop, len(reference)), base.missense,
            base.proteins, shifts, count=pairs, seed=seed,
        )  # fmt: skip
    noise = scorer.noise(reference)
    maker = _Maker(calls, subject, considered, scorer, base, backdrop, tested, noise)
    main = considered[0].haplotypes
    slopes = [gradients_of(scorer, reference, copy.protein) for copy in main]
    effects = tuple(
        maker.effect(number, copy, change, slope)
        for number, (copy, slope) in enumerate(zip(main, slopes, strict=True), 1)
        for change in copy.changes
    )
    return Interpretation(
        sample=sample, gene=transcript.gene, transcript=transcript.name,
        build=calls.build or transcript.build or "", protein_length=len(reference),
        phase=subject.phase,
        configurations=tuple(
            {
                "haplotypes": [h.label for h in c.haplotypes], "weight": c.weight,
                "support": None if c.support is None else list(c.support),
            }
            for c in considered
        ),
        copies=tuple(maker.copy(i, slope) for i, slope in enumerate(slopes)),
        effects=effects,
        pairs=tuple(maker.pairs()),
        reference_set=tuple(shifts.tolist()),
        by_position=tuple(
            (c.position, float(s)) for c, s in zip(base.missense, shifts, strict=True)
        ),
        frequent=backdrop.frequent_text, group=backdrop.group or "", noise=noise,
        readout=scorer.describe, clustering=_clustering(main, slopes),
        population=backdrop.notes, missing=subject.missing,
        not_assessed=(*subject.not_assessed, *(f"{f} (did not pass filters; used)" for f in
                                               subject.filtered)),
        notes=(*calls.notes, *subject.notes, *_cut(subject, considered), *scorer.notes(reference)),
        model=scorer.model.describe(),
        settings={"readout": scorer.kind, "null_pairs": pairs, "seed": seed},
        versions=versions(),
        linkage=None if backdrop.panel is None else panel_linkage(
            backdrop.panel, scorer, main, noise, seed=seed
        ),
        control=saliency_control(scorer, base, seed=seed) if compared else None,
    )  # fmt: skip


def _cut(subject: Person, considered: Sequence[Configuration]) -> Iterator[str]:
    left = len(subject.configurations) - len(considered)
    if left:
        yield f"{left:,} less likely phasings are not scored"


def _wanted(considered: Sequence[Configuration]) -> Iterator[str]:
    """Yield the proteins of a person: every copy, without each change, and each change alone."""
    for copy in {h.key: h for c in considered for h in c.haplotypes}.values():
        yield copy.protein
        for change in copy.changes:
            yield copy.without(change).protein
            yield haplotype(copy.transcript, change.edits).protein


def _acting(copy: Haplotype) -> list[Change]:
    """Return the changes of a copy that show in its protein."""
    return [c for c in copy.changes if c.kind != "synonymous" and not c.silenced]


def _compared(copy: Haplotype) -> bool:
    """Whether a copy has a change that can be compared with others of the transcript."""
    return any(
        comparable(c) and len(copy.protein) == len(copy.without(c).protein) for c in _acting(copy)
    )


def _pairs(
    considered: Sequence[Configuration], backdrop: Backdrop, length: int
) -> Iterator[tuple[Change, Change]]:
    """Yield pairs of comparable changes on one copy, the person's and those of backgrounds."""
    for configuration in considered:
        for copy in configuration.haplotypes:
            if len(copy.protein) != length:
                continue
            acting = [c for c in _acting(copy) if comparable(c)]
            for i, one in enumerate(acting):
                yield from ((one, other) for other in acting[i + 1 :] if _apart(one, other))
                for partner in backdrop.partners(one):
                    if comparable(partner) and _apart(one, partner):
                        yield one, partner


def _apart(one: Change, other: Change) -> bool:
    return one.position != other.position


def _clustering(main: Sequence[Haplotype], slopes: Sequence[Gradients | None]) -> str:
    sites = {c.position for copy in main for c in _acting(copy) if comparable(c)}
    found = next((s for s in slopes if s is not None), None)
    if found is None or not sites:
        return ""
    return site_clustering(found.saliency, sites).text


@dataclass(eq=False)
class _Maker:
    """Makes the parts of a record from scores that are all there."""

    calls: Calls
    subject: Person
    considered: Sequence[Configuration]
    scorer: Scorer
    base: ReferenceSet
    backdrop: Backdrop
    tested: Mapping[Key, PairResult]
    noise: float

    def effect(
        self, number: int, copy: Haplotype, change: Change, slope: Gradients | None
    ) -> Effect:
        """Return what is said of one change on one copy."""
        partners = tuple(c.protein for c in _acting(copy) if c.edits != change.edits)
        ids = dict.fromkeys(i for e in change.edits for i in self.subject.ids.get(e, ()))
        plain = Effect(
            number, change.coding, change.protein, change.short, change.kind, change.position,
            (change.ref, change.alt), tuple(ids), partners, "not assessed",
            presence=self.backdrop.presence(change), **self.backdrop.carriers(change),
        )  # fmt: skip
        if change.silenced:
            note = "not assessed: on this copy the protein ends before it, or does not start"
            return replace(plain, note=note)
        if change.kind in _NOT_ASSESSED:
            return replace(plain, note=_NOT_ASSESSED[change.kind])
        without = copy.without(change)
        if not comparable(change) or len(copy.protein) != len(without.protein):
            return replace(plain, status="length changes", note=_length_note(change, copy, without))
        return self._assessed(plain, copy, without, change, slope)

    def _assessed(
        self, plain: Effect, copy: Haplotype, without: Haplotype, change: Change,
        slope: Gradients | None,
    ) -> Effect:  # fmt: skip
        scorer, base = self.scorer, self.base
        last_out = scorer.shift(copy.protein, without.protein)
        alone = haplotype(copy.transcript, change.edits).protein
        first_in = scorer.shift(alone, base.protein)
        backgrounds = self.backdrop.shifts(scorer, change, without, copy)
        told = [ShiftOn(b.label, b.shift, b.counts) for b in backgrounds]
        q, partner = self._smallest_q(change)
        reading = read_backgrounds([b.shift for b in backgrounds], self.noise, q)
        sentence = reading.sentence
        if reading.dependent and partner:
            sentence += f"; with {partner}"
        elif len(backgrounds) > 1 and not reading.dependent and q is not None:
            sentence += "; groups differ only in how often each background occurs"
        sentence = self.backdrop.in_sight(change, sentence, scorer.reach(base.protein))
        made = replace(
            plain, status="assessed", last_out=last_out, first_in=first_in,
            span=self._span(change), windows=scorer.disagreement(copy.protein, without.protein),
            below_noise=below_noise(last_out, self.noise),
            standing=stand(first_in, base.shifts, has_sign=scorer.has_sign),
            observed=stand_observed(
                first_in, self.backdrop.observed(base.missense, base.shifts),
                has_sign=scorer.has_sign,
            ),
            backgrounds=backgrounds, source=self.backdrop.source(change),
            spread=spread(told).text if told else "", reading=sentence,
        )  # fmt: skip
        if slope is None or scorer.kind != "likelihood":
            return made
        taken = slope.taken_out(change)
        check = saliency_check(taken, last_out, slope.of_all(base.missense), base.shifts)
        return replace(
            made, gradient=taken, agreement=check.kind, agreement_text=check.sentence,
            path=slope.along_path(change),
        )  # fmt: skip

    def _span(self, change: Change) -> tuple[float, float] | None:
        """Return the extremes of last-out over all phasings; None where there is one."""
        if len(self.considered) < 2:
            return None
        found = []
        for copy in (h for c in self.considered for h in c.haplotypes):
            own = next((c for c in copy.changes if c.edits == change.edits), None)
            if own is None or own.silenced:
                continue
            without = copy.without(own)
            if len(without.protein) == len(copy.protein):
                found.append(self.scorer.shift(copy.protein, without.protein))
        return (min(found), max(found)) if found else None

    def _smallest_q(self, change: Change) -> tuple[float | None, str]:
        """Return the smallest q of a pair with a change that tells backgrounds apart."""
        best: tuple[float | None, str] = (None, "")
        for partner in self.backdrop.partners(change):
            result = self.tested.get(pair_key(change, partner))
            q = None if result is None else result.test.q
            if q is not None and (best[0] is None or q < best[0]):
                best = q, partner.protein
        return best

    def copy(self, index: int, slope: Gradients | None) -> Copy:
        """Return what is said of one copy as a whole."""
        configuration = self.considered[0]
        own = configuration.haplotypes[index]
        length = len(self.base.protein)
        frequent = self.backdrop.frequent
        same = len(own.protein) == length
        same_length = frequent is not None and len(frequent.protein) == len(own.protein)
        return Copy(
            own.label, len(own.protein),
            shift=self.scorer.shift(own.protein, self.base.protein) if same else None,
            shift_frequent=self.scorer.shift(own.protein, frequent.protein)
            if same_length and frequent is not None
            else None,
            shapley=self._shapley(own) if same else {},
            path_gap=slope.path.gap if slope is not None and slope.path is not None else None,
            path_error=slope.path.error if slope is not None and slope.path is not None else None,
            support=None if configuration.support is None else configuration.support[index],
            incomplete=configuration.incomplete[index],
        )  # fmt: skip

    def _shapley(self, own: Haplotype) -> dict[str, float]:
        acting = [c for c in _acting(own) if comparable(c)]
        if not self.scorer.has_sign or not 2 <= len(acting) <= MOST_PLAYERS:
            return {}
        proteins = [
            haplotype(
                own.transcript, [e for c, in_ in zip(acting, row, strict=True) if in_
                                 for e in c.edits],
            ).protein
            for row in coalitions(len(acting))
        ]  # fmt: skip
        self.scorer.add(proteins)
        table = [self.scorer.shift(p, self.base.protein) for p in proteins]
        values = shapley_values(table)
        return {c.short: float(v) for c, v in zip(acting, values, strict=True)}

    def pairs(self) -> Iterator[Pair]:
        """Yield the model interactions of changes that stand on one of the person's copies."""
        for number, copy in enumerate(self.considered[0].haplotypes, 1):
            acting = [c for c in _acting(copy) if comparable(c)]
            for i, one in enumerate(acting):
                for other in acting[i + 1 :]:
                    result = self.tested.get(pair_key(one, other))
                    if result is not None:
                        yield self._pair(number, copy, one, other, result)

    def _pair(
        self, number: int, copy: Haplotype, one: Change, other: Change, result: PairResult
    ) -> Pair:
        less_one, less_other = copy.without(one), copy.without(other)
        neither = haplotype(
            copy.transcript, [e for e in copy.edits if e not in {*one.edits, *other.edits}]
        )
        self.scorer.add([neither.protein])
        scores = [
            self.scorer.shift(h.protein, self.base.protein)
            for h in (copy, less_other, less_one, neither)
        ]
        first, second = (
            self.scorer.shift(haplotype(copy.transcript, c.edits).protein, self.base.protein)
            for c in (one, other)
        )
        return Pair(
            number, one.short, other.short, result.test.interaction,
            float(second_difference(*scores)), first + second, result.together, (first, second),
            result.test.n, result.test.p, result.test.q, result.ranked.p,
            tuple(result.null.tolist()), result.test.text,
        )  # fmt: skip


def _length_note(change: Change, copy: Haplotype, without: Haplotype) -> str:
    """Say what a change of length does; its score is not comparable."""
    if not copy.protein or not without.protein:
        return _NOT_ASSESSED["start_lost"]
    before, after = len(without.protein), len(copy.protein)
    what = {
        "stop_gained": f"the protein ends at residue {after} of {before}",
        "stop_lost": "the stop is lost and the protein runs on beyond the coding sequence",
        "frameshift": f"from residue {change.position} on another frame is read, "
        f"for {len(change.alt)} residues; {max(0, before - change.position + 1)} residues are lost",
        "resolved_frameshift": f"{len(change.ref)} residues from {change.position} on are read "
        f"in another frame and become {len(change.alt)}",
    }.get(
        change.kind,
        f"{len(change.ref)} residues at {change.position} become {len(change.alt)} "
        f"({change.ref or 'none'} to {change.alt or 'none'})",
    )
    return f"length changes, score not comparable: {what} ({before} residues before, {after} after)"
