"""What the templates fill in: an interpretation as lines, tables and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from saliscope.show.files import inline_svg
from saliscope.show.style import clip, number
from saliscope.variants.effects.record import Copy, Effect, Interpretation, Pair
from saliscope.variants.report.figures import background_plot, pair_plot
from saliscope.variants.report.wording import (
    ACMG,
    BLIND,
    COUNTED_TWICE,
    DEMONSTRATION,
    PHASES,
    SOURCES,
    is_demonstration,
    minus,
    one_background,
    shift_text,
    uses_population,
)
from saliscope.variants.statistics.backgrounds import LISTED
from saliscope.variants.statistics.common import said

__all__ = [
    "Assays",
    "Picture",
    "Stars",
    "Table",
    "VariantPage",
    "copies_table",
    "first_page",
    "overview",
    "pairs_table",
    "phasings",
    "provenance",
    "variant_page",
]

Stars = Mapping[str, tuple[str, str]]
"""Label of a haplotype ("p.Tyr240Cys", "reference"): star-allele name, catalogued function."""
Assays = Mapping[str, tuple[float | str, str]]
"""Short name of a change ("Y240C"): measured value, and where it was measured."""

MOST_PHASINGS = 16
MOST_RESIDUES = 60


@dataclass(frozen=True)
class Table:
    """Head and rows; a row may be marked. Cells from `numeric` on are numbers."""

    caption: str
    head: list[str]
    rows: list[tuple[list[str], str]]
    """Cells, and "own", "sum" or ""."""
    numeric: int = 1


@dataclass(frozen=True)
class Picture:
    """An SVG element, and the words above it."""

    svg: str
    caption: str


@dataclass(frozen=True)
class VariantPage:
    """One change on one copy."""

    anchor: str
    title: str
    ids: str
    place: str
    names: str
    status: str
    reading: str
    numbers: list[tuple[str, str, str]] = field(default_factory=list)
    """Name, value, and what it is compared with."""
    background: Table | None = None
    source: str = ""
    spread: str = ""
    picture: Picture | None = None
    said: list[tuple[str, str]] = field(default_factory=list)
    pairs: list[Picture] = field(default_factory=list)
    residues: list[tuple[str, str]] = field(default_factory=list)


def _anchor(interpretation: Interpretation, effect: Effect) -> str:
    return f"variant-{interpretation.effects.index(effect) + 1}"


def _listing(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _place(interpretation: Interpretation, effect: Effect) -> str:
    beside = f"in cis with {_listing(effect.partners)}" if effect.partners else "alone on its copy"
    return f"haplotype {effect.copy} of {len(interpretation.copies)}, {beside}"


def _standing(effect: Effect) -> str:
    """Return sigma as a unit, then the quantile with its interval."""
    if effect.standing is None:
        return "nothing to compare with"
    return minus(f"{effect.standing.text()}; {effect.standing.sigma_text()}")


# -- the first page ----------------------------------------------------------------------------


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
        f"{_capital(PHASES.get(one.phase, one.phase))}.",
        *copies,
        *(missing if one.missing else []),
    ]
    model = str(one.model.get("name", "a protein language model"))
    measured = [
        f"{_capital(one.readout)}: the score of this person's own protein with the change minus "
        "without it.",
        f"Model: {model}{', ' + DEMONSTRATION if is_demonstration(one.model) else ''}.",
    ]
    strongest = [_strongest(one, i) for i in range(1, len(one.copies) + 1)]
    cannot = [f"{_capital(ACMG)}."]
    if uses_population(one):
        cannot.append(f"{_capital(COUNTED_TWICE)}.")
    cannot.append(
        f"Not assessed: {BLIND}. No diagnosis, and no statement on whether a call is right."
    )
    return [
        ("Who", who),
        ("What was measured", measured),
        ("What stands out", strongest),
        ("Compared with whom", list(_compared(one))),
        ("What this is not", cannot),
    ]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


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
        where = f"with {_listing(effect.partners)}" if effect.partners else "alone on its copy"
        parts.append(
            f"{effect.protein} ({where}): last-out {shift_text(effect.last_out)}, first-in "
            f"{shift_text(effect.first_in)}, {_standing(effect)}"
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
            yield minus(f"{effect.protein}, {effect.source}{people}: {effect.reading}.")
        else:
            yield minus(f"{effect.protein}, {effect.source or 'reference only'}.")
        if len(seen) == 3:
            left = len({e.coding for e in scored}) - 3
            if left > 0:
                yield f"{left} more on their own pages."
            break
    yield minus(f"Population: {'; '.join(interpretation.population) or 'none was given'}.")


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
             shift_text(effect.first_in), shown, f"#{_anchor(interpretation, effect)}"], "",
        ))  # fmt: skip
    n = len(interpretation.reference_set)
    head = ["Change", "Haplotype", "Kind", "Last-out", "First-in",
            f"Quantile of first-in among {n:,} missense changes"]  # fmt: skip
    return Table("All changes of the coding sequence", head, rows, numeric=3)


# -- one change on one copy --------------------------------------------------------------------


def variant_page(
    interpretation: Interpretation, effect: Effect, assays: Assays | None = None
) -> VariantPage:
    """Return everything on the page of one change on one copy."""
    one = interpretation
    build = f", {one.build}" if one.build else ""
    page = VariantPage(
        anchor=_anchor(one, effect), title=effect.protein, ids=", ".join(effect.ids),
        place=_place(one, effect),
        names=f"{effect.coding}, {effect.kind.replace('_', ' ')}; {one.transcript}{build}",
        status=effect.status, reading=minus(effect.reading or effect.note),
        said=list(_said(one, effect, assays)),
        residues=list(_residues(effect)) if effect.status == "length changes" else [],
    )  # fmt: skip
    if effect.last_out is None:
        return page
    occurring = [b for b in effect.backgrounds if b.total]
    spread = minus(_capital(effect.spread))
    return replace(
        page, numbers=list(_numbers(one, effect)), source=_source(effect),
        background=_background(effect) if effect.backgrounds or effect.carriers else None,
        spread=one_background(occurring[0]) if len(occurring) == 1 else spread,
        picture=_background_picture(one, effect, len(occurring)) if occurring else None,
        pairs=[
            _pair_picture(one, p)
            for p in one.pairs
            if p.copy == effect.copy and effect.short in (p.first, p.second)
        ],
    )  # fmt: skip


def _source(effect: Effect) -> str:
    known = SOURCES.get(effect.source or "reference only")
    return known or f"Source: {effect.source}."


def _background_picture(interpretation: Interpretation, effect: Effect, count: int) -> Picture:
    label = (
        f"{effect.protein} on {count} background{'s' if count > 1 else ''} by group, with "
        f"haplotypes; the line is {interpretation.sample} at {shift_text(effect.last_out)}"
    )
    caption = (
        "What the change does on each background; a row is a group, the area of a dot its "
        "haplotypes, the line this person"
    )
    return Picture(inline_svg(background_plot(interpretation, effect), label), caption)


def _numbers(interpretation: Interpretation, effect: Effect) -> Iterator[tuple[str, str, str]]:
    beside = f"with {_listing(effect.partners)}" if effect.partners else "nothing else on the copy"
    yield (
        "last-out, own background",
        shift_text(effect.last_out),
        f"on this person's own copy, {beside}",
    )
    yield "first-in on the reference", shift_text(effect.first_in), _standing(effect)
    if effect.observed is not None:
        observed = effect.observed.text("missense changes seen at least twice in the population")
        yield "", "", minus(observed)
    if effect.path is not None:
        gap = interpretation.copies[effect.copy - 1].path_gap
        told = "integrated gradients from the reference to this copy"
        if gap is not None:
            told += f"; all of the copy's sum to its score, gap {minus(number(gap))}"
        yield "path attribution", shift_text(effect.path), told
    if effect.span is not None:
        low, high = (shift_text(v) for v in effect.span)
        count = len(interpretation.configurations)
        yield "last-out over all phasings", f"{low} to {high}", f"extremes of {count} phasings"
    if effect.windows is not None:
        yield ("windows", f"±{number(effect.windows)}",
               "the protein exceeds the model's input; so far apart are its windows")  # fmt: skip
    if effect.below_noise:
        yield ("below the noise floor", f"< {interpretation.noise:.2g}",
               "last-out is not told apart from the numeric noise of the model")  # fmt: skip


def _background(effect: Effect) -> Table:
    """Return the table of backgrounds by group, and of the people who carry the change."""
    groups = list(dict.fromkeys([g for b in effect.backgrounds for g in b.counts]
                                or list(effect.carriers)))  # fmt: skip
    vectors = any(b.cosine is not None for b in effect.backgrounds)
    head = ["Background", "Shift", *groups, "all", *(["Cosine", "Length ratio"] if vectors else [])]
    rows = []
    for b in effect.backgrounds[:LISTED]:
        cells = [b.label + (" (this copy's own)" if b.own else ""), shift_text(b.shift),
                 *(f"{b.counts.get(g, 0):,}" for g in groups), f"{b.total:,}"]  # fmt: skip
        cells += [minus(number(b.cosine)), number(b.ratio)] if vectors else []
        rows.append((cells, "own" if b.own else ""))
    rest = effect.backgrounds[LISTED:]
    if rest:
        low, high = min(b.shift for b in rest), max(b.shift for b in rest)
        counts = [sum(b.counts.get(g, 0) for b in rest) for g in groups]
        cells = [f"{len(rest)} further backgrounds", f"{shift_text(low)} to {shift_text(high)}",
                 *(f"{n:,}" for n in counts), f"{sum(counts):,}"]  # fmt: skip
        rows.append((cells + (["", ""] if vectors else []), ""))
    for name, counted in (
        ("people carrying it", effect.carriers),
        ("of people called", effect.called),
    ):
        if counted:
            cells = [
                name,
                "",
                *(f"{counted.get(g, 0):,}" for g in groups),
                f"{sum(counted.values()):,}",
            ]
            rows.append((cells + (["", ""] if vectors else []), "sum"))
    return Table("Backgrounds (haplotypes by group)", head, rows)


def _said(
    interpretation: Interpretation, effect: Effect, assays: Assays | None
) -> Iterator[tuple[str, str]]:
    tested = False
    for pair in interpretation.pairs:
        if pair.copy == effect.copy and effect.short in (pair.first, pair.second):
            tested = True
            other = pair.second if pair.first == effect.short else pair.first
            yield f"Model interaction with {other}", _pair_text(pair)
    if effect.partners and effect.last_out is not None and not tested:
        yield "Model interaction", "not tested for this readout or this pair"
    if effect.agreement_text:
        gradient = ""
        if effect.gradient is not None and effect.last_out is not None:
            gradient = (
                f" Predicted for taking it out: {shift_text(effect.gradient)}; "
                f"observed: {shift_text(-effect.last_out)}."
            )
        yield "Saliency check", f"{_capital(minus(effect.agreement_text))}.{gradient}"
    if effect.presence:
        yield "In the population", f"{_capital(minus(effect.presence))}."
    if assays and effect.short in assays:
        value, source = assays[effect.short]
        shown = value if isinstance(value, str) else number(value)
        yield "Measured", f"{shown} ({source})"


def _pair_text(pair: Pair) -> str:
    text = pair.text or f"model interaction {shift_text(pair.on_reference)}"
    more = f"on the reference; on this copy {shift_text(pair.on_own)}"
    if pair.p_ranked is not None:
        more += f"; rank {said(pair.p_ranked)} after a rank transform of the score"
    return minus(f"{_capital(text)} ({more}).")


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


def _residues(effect: Effect) -> Iterator[tuple[str, str]]:
    for name, letters in zip(("Residues replaced", "In their place"), effect.residues, strict=True):
        if letters == "*":
            shown = "the stop"
        elif letters:
            shown = f"{clip(letters, MOST_RESIDUES)} ({len(letters):,})"
        else:
            shown = "none"
        yield f"{name} (from {effect.position:,})", shown


# -- the last page -----------------------------------------------------------------------------


def copies_table(interpretation: Interpretation, stars: Stars | None = None) -> Table:
    """Return what is said of each copy as a whole."""
    head = ["Haplotype", "Protein", "Residues", "Score against the reference",
            "Against the most frequent", "Shapley values", "Path: gap, error",
            "Same protein in the panel"]  # fmt: skip
    rows = []
    for i, copy in enumerate(interpretation.copies, 1):
        name = _named(copy, stars) + (" (a genotype is missing)" if copy.incomplete else "")
        shapley = ", ".join(f"{k} {shift_text(v)}" for k, v in copy.shapley.items()) or "–"
        path = "–" if copy.path_gap is None else (
            f"{minus(number(copy.path_gap))}, {number(copy.path_error)}"
        )  # fmt: skip
        support = "–" if copy.support is None else f"{copy.support:,} chromosomes"
        cells = [str(i), name, f"{copy.residues:,}", shift_text(copy.shift),
                 shift_text(copy.shift_frequent), shapley, path, support]  # fmt: skip
        rows.append((cells, ""))
    return Table("Each haplotype as a whole", head, rows, numeric=2)


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
    ordered = sorted(interpretation.pairs, key=lambda p: p.copy)
    for copy, pairs in groupby(ordered, key=lambda p: p.copy):
        for pair in pairs:
            p, q, ranked = ("–" if v is None else said(v) for v in (pair.p, pair.q, pair.p_ranked))
            cells = [f"{pair.first} and {pair.second}", str(copy), shift_text(pair.on_reference),
                     shift_text(pair.on_own), f"{pair.matches:,}", p, q, ranked]  # fmt: skip
            rows.append((cells, ""))
    head = ["Pair", "Haplotype", "On the reference", "On this copy", "Matched pairs", "Rank (p)",
            "q", "Rank after a rank transform"]  # fmt: skip
    return Table("Model interactions", head, rows) if rows else None


def provenance(interpretation: Interpretation) -> list[tuple[str, str]]:
    """Return how the numbers were made: transcript, model, settings, versions."""
    one = interpretation
    found = [("transcript", one.transcript), ("genome build", one.build or "not given"),
             ("protein, residues", f"{one.protein_length:,}"),
             ("primary set, changes", f"{len(one.reference_set):,}"),
             ("numeric noise floor", f"{one.noise:.2g}")]  # fmt: skip
    for name, held in (("model", one.model), ("setting", one.settings), ("version", one.versions)):
        found += [(f"{name}, {key}", str(value)) for key, value in held.items()]
    return found
