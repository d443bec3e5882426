"""The first page and the last: lines and tables about one person, whatever the changes are."""

from __future__ import annotations

from collections.abc import Iterator

from saliscope.show.files import inline_svg
from saliscope.show.style import number
from saliscope.variants.effects.record import Copy, Interpretation, Pair
from saliscope.variants.report.figures import pair_plot
from saliscope.variants.report.parts import (
    Picture,
    Stars,
    Table,
    anchor,
    capital,
    listing,
    standing_text,
)
from saliscope.variants.report.wording import (
    ACMG,
    BLIND,
    COUNTED_TWICE,
    DEMONSTRATION,
    PHASES,
    is_demonstration,
    minus,
    shift_text,
    uses_population,
)
from saliscope.variants.statistics.common import said

__all__ = [
    "copies_table",
    "first_page",
    "overview",
    "pair_pictures",
    "pairs_table",
    "phasings",
    "provenance",
]

MOST_PHASINGS = 16
MOST_PAIRS = 12


def first_page(
    interpretation: Interpretation, stars: Stars | None = None
) -> list[tuple[str, list[str]]]:
    """Return the five lines: a word, and sentences."""
    one = interpretation
    copies = [f"Copy {i}: {_named(c, stars)}." for i, c in enumerate(one.copies, 1)]
    missing = [f"Not called, taken as the genome's base: {', '.join(one.missing)}."]
    build = one.build or "genome build not given"
    who = [
        f"{one.sample}; {one.gene}, transcript {one.transcript}, {build}, protein of "
        f"{one.protein_length:,} residues.",
        f"{capital(PHASES.get(one.phase, one.phase))}.",
        *_phasing(one),
        *copies,
        *(missing if one.missing else []),
    ]
    model = str(one.model.get("name", "a protein language model"))
    measured = [
        f"{capital(one.readout)}: the score of this person's own protein with the change minus "
        "without it.",
        f"Model: {model}{', ' + DEMONSTRATION if is_demonstration(one.model) else ''}.",
    ]
    strongest = [_strongest(one, i) for i in range(1, len(one.copies) + 1)]
    cannot = [f"{capital(ACMG)}."]
    if uses_population(one):
        cannot.append(f"{capital(COUNTED_TWICE)}.")
    cannot.append(
        f"Not assessed: {BLIND}. No diagnosis, and no statement on whether a call is right."
    )
    return [
        ("Who", who),
        ("What was measured", measured),
        ("Largest on each copy", strongest),
        ("Compared with whom", list(_compared(one))),
        ("What this is not", cannot),
    ]


def _phasing(interpretation: Interpretation) -> Iterator[str]:
    considered = interpretation.configurations
    if len(considered) > 1:
        weight = 100 * float(considered[0].get("weight", 1.0))
        yield (
            f"{len(considered):,} phasings were considered; this page reads the first (weight "
            f"{weight:.3g} %) and gives the extremes over all."
        )


def _named(copy: Copy, stars: Stars | None) -> str:
    name = copy.label if copy.label != "reference" else "the reference protein"
    if stars and copy.label in stars:
        star, function = stars[copy.label]
        name += f" ({star}, catalogued function: {function})"
    return name


def _strongest(interpretation: Interpretation, copy: int) -> str:
    effects = [e for e in interpretation.effects if e.copy == copy]
    parts = [f"{e.protein}: {minus(e.note)}" for e in effects if e.status == "length changes"]
    scored = [(abs(e.last_out), e) for e in effects if e.last_out is not None]
    if scored:
        effect = max(scored, key=lambda pair: pair[0])[1]
        where = f"with {listing(effect.partners)}" if effect.partners else "alone on its copy"
        parts.append(
            f"{effect.protein} ({where}): last-out {shift_text(effect.last_out)}, first-in "
            f"{shift_text(effect.first_in)} ({standing_text(effect)})"
        )
    if not parts and effects:
        parts = ["no change was assessed (see below)"]
    return f"Copy {copy}: {'; '.join(parts) or 'the reference protein, nothing to take out'}."


def _compared(interpretation: Interpretation) -> Iterator[str]:
    scored = [e for e in interpretation.effects if e.last_out is not None]
    seen: set[str] = set()
    for effect in sorted(scored, key=lambda e: -abs(e.last_out or 0.0)):
        if effect.coding in seen:
            continue
        seen.add(effect.coding)
        if effect.backgrounds:
            carried = sum(effect.carriers.values())
            people = f", {carried:,} people carry it" if effect.called else ""
            told = f"; {effect.spread}" if effect.spread else ""
            yield minus(
                f"{effect.protein}, {effect.source}{people}{told}. {capital(effect.reading)}."
            )
        else:
            yield minus(f"{effect.protein}, {effect.source or 'reference only'}.")
        if len(seen) == 3:
            left = len({e.coding for e in scored}) - 3
            if left > 0:
                yield f"{left} more on their own pages."
            break
    # The first sentence says what the population is; the others are listed behind the changes.
    yield minus(f"Population: {next(iter(interpretation.population), 'none was given')}.")


def overview(interpretation: Interpretation) -> Table:
    """Return one row for each change and copy."""
    rows = []
    for effect in interpretation.effects:
        quantile = "–"
        if effect.standing is not None:
            s = effect.standing
            quantile = f"{said(s.quantile)} [{said(s.low)}, {said(s.high)}]"
        shown = effect.status if effect.status != "assessed" else quantile
        rows.append((
            [effect.protein, f"{effect.copy} of {len(interpretation.copies)}",
             effect.kind.replace("_", " "), shift_text(effect.last_out),
             shift_text(effect.first_in), shown, f"#{anchor(interpretation, effect)}"], "",
        ))  # fmt: skip
    n = len(interpretation.reference_set)
    head = ["Change", "Copy", "Kind", "Last-out", "First-in", "Quantile of first-in"]
    caption = "All changes of the coding sequence"
    caption += f"; quantiles are among {n:,} missense changes" if n else ""
    return Table(caption, head, rows, numeric=3)


def copies_table(interpretation: Interpretation, stars: Stars | None = None) -> Table:
    """Return what is said of each copy as a whole: a column for each, a row for each fact."""
    copies = interpretation.copies
    head = ["", *(f"Copy {i}" for i in range(1, len(copies) + 1))]
    frequent = interpretation.frequent.partition(" (")[0] or "none given"

    def path(copy: Copy) -> str:
        if copy.path_gap is None:
            return "–"
        return minus(f"{number(copy.path_gap)}, {number(copy.path_error)}")

    def shapley(copy: Copy) -> str:
        return ", ".join(f"{k} {shift_text(v)}" for k, v in copy.shapley.items()) or "–"

    facts: list[tuple[str, list[str]]] = [
        ("Protein", [_named(c, stars) for c in copies]),
        ("Residues", [f"{c.residues:,}" for c in copies]),
        ("Score against the reference", [shift_text(c.shift) for c in copies]),
        (f"Score against the most frequent haplotype ({frequent})",
         [shift_text(c.shift_frequent) for c in copies]),
        ("Shapley value of each change, on the reference", [shapley(c) for c in copies]),
        ("Path from the reference: completeness gap, relative error", [path(c) for c in copies]),
        ("Panel chromosomes with the same protein",
         ["–" if c.support is None else f"{c.support:,}" for c in copies]),
    ]  # fmt: skip
    if any(c.incomplete for c in copies):
        told = ["a genotype is missing on it" if c.incomplete else "complete" for c in copies]
        facts.append(("Genotypes", told))
    rows = [([name, *cells], "") for name, cells in facts]
    return Table("Each copy as a whole", head, rows, numeric=len(head))


def phasings(interpretation: Interpretation) -> Table:
    """Return the phasings considered, the heaviest first."""
    rows = []
    for i, found in enumerate(interpretation.configurations[:MOST_PHASINGS], 1):
        support = found.get("support")
        told = "–" if support is None else " : ".join(f"{n:,}" for n in support)
        weight = float(found.get("weight", 1.0))
        cells = [" / ".join(str(h) for h in found.get("haplotypes", ())),
                 f"{100 * weight:.3g} %", told]  # fmt: skip
        rows.append((cells, "own" if i == 1 else ""))
    left = interpretation.configurations[MOST_PHASINGS:]
    if left:
        weight = sum(float(c.get("weight", 0.0)) for c in left)
        rows.append(([f"{len(left)} further phasings", f"{100 * weight:.3g} %", ""], ""))
    head = ["Haplotypes (first row: the one this report reads)", "Weight",
            "Chromosomes of the panel with each protein"]  # fmt: skip
    return Table("Haplotypes and phasings considered", head, rows)


def pairs_table(interpretation: Interpretation) -> Table | None:
    """Return all pairs on one copy with their ranks."""
    rows = []
    for pair in sorted(interpretation.pairs, key=lambda p: p.copy):
        p, q, ranked = ("–" if v is None else said(v) for v in (pair.p, pair.q, pair.p_ranked))
        cells = [f"{pair.first} and {pair.second}", str(pair.copy), shift_text(pair.on_reference),
                 shift_text(pair.on_own), f"{pair.matches:,}", p, q, ranked]  # fmt: skip
        rows.append((cells, ""))
    head = ["Pair", "Copy", "On the reference", "On this copy", "Matched pairs", "Rank (p)",
            "q", "Rank (p) after a rank transform"]  # fmt: skip
    return Table("Model interactions", head, rows) if rows else None


def provenance(interpretation: Interpretation) -> list[tuple[str, str]]:
    """Return how the numbers were made: transcript, model, settings, versions."""
    one = interpretation
    found = [("transcript", one.transcript), ("genome build", one.build or "not given"),
             ("protein, residues", f"{one.protein_length:,}"),
             ("primary set, changes", f"{len(one.reference_set):,}" if one.reference_set
              else "not scored: no change to compare"),
             ("numeric noise floor", f"{one.noise:.2g}")]  # fmt: skip
    for name, held in (("model", one.model), ("setting", one.settings), ("version", one.versions)):
        found += [(f"{name}, {key}", str(value)) for key, value in held.items()]
    return found


def pair_pictures(interpretation: Interpretation) -> list[Picture]:
    """Return a picture of every distinct pair, the most unusual first, up to twelve of them."""
    ranked = sorted(interpretation.pairs, key=lambda p: 2.0 if p.p is None else p.p)
    distinct = {(p.first, p.second): p for p in reversed(ranked)}
    chosen = [p for p in ranked if distinct[p.first, p.second] is p]
    return [_pair_picture(interpretation, p) for p in chosen[:MOST_PAIRS]]


def _pair_picture(interpretation: Interpretation, pair: Pair) -> Picture:
    label = (
        f"Model interaction of {pair.first} and {pair.second}, {shift_text(pair.on_reference)}, "
        f"among {pair.matches:,} matched pairs; and the shifts of each alone and of both"
    )
    caption = (
        f"{pair.first} and {pair.second}: this pair among matched pairs (dotted: the same size "
        "with the other sign), and the shifts that it is made of (dashed: as if they added up)"
    )
    return Picture(inline_svg(pair_plot(interpretation, pair), label), caption)
