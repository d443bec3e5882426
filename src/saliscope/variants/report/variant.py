"""One change on one copy: everything on its page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from saliscope.show.files import inline_svg
from saliscope.show.style import clip, number
from saliscope.variants.effects.record import Effect, Interpretation, Pair
from saliscope.variants.report.figures import background_plot
from saliscope.variants.report.parts import (
    Assays,
    Picture,
    Table,
    anchor,
    capital,
    listing,
    standing_text,
)
from saliscope.variants.report.wording import SOURCES, minus, one_background, shift_text
from saliscope.variants.statistics.backgrounds import LISTED
from saliscope.variants.statistics.common import said

__all__ = ["VariantPage", "variant_page"]

MOST_RESIDUES = 60


@dataclass(frozen=True)
class VariantPage:
    """One change on one copy."""

    anchor: str
    title: str
    ids: str
    place: str
    names: str
    status: str
    reading: tuple[str, str]
    """What kind of sentence, and the sentence."""
    numbers: list[tuple[str, str, str]] = field(default_factory=list)
    """Name, value, and what it is compared with."""
    background: Table | None = None
    source: str = ""
    spread: str = ""
    picture: Picture | None = None
    said: list[tuple[str, str]] = field(default_factory=list)
    residues: list[tuple[str, str]] = field(default_factory=list)


def _place(interpretation: Interpretation, effect: Effect) -> str:
    beside = f"in cis with {listing(effect.partners)}" if effect.partners else "alone on its copy"
    return f"copy {effect.copy} of {len(interpretation.copies)}, {beside}"


def variant_page(
    interpretation: Interpretation, effect: Effect, assays: Assays | None = None
) -> VariantPage:
    """Return everything on the page of one change on one copy."""
    one = interpretation
    build = f", {one.build}" if one.build else ""
    page = VariantPage(
        anchor=anchor(one, effect), title=effect.protein, ids=", ".join(effect.ids),
        place=_place(one, effect),
        names=f"{effect.coding}, {effect.kind.replace('_', ' ')}; {one.transcript}{build}",
        status=effect.status, reading=_reading(effect),
        said=list(_said(one, effect, assays)),
        background=_background(effect) if effect.backgrounds or effect.carriers else None,
        residues=list(_residues(effect)) if effect.status == "length changes" else [],
    )  # fmt: skip
    if effect.last_out is None:
        return page
    occurring = [b for b in effect.backgrounds if b.total]
    spread = minus(capital(effect.spread))
    return replace(
        page, numbers=list(_numbers(one, effect)), source=_source(effect),
        spread=one_background(occurring[0]) if len(occurring) == 1 else spread,
        picture=_background_picture(one, effect, len(occurring)) if occurring else None,
    )  # fmt: skip


def _reading(effect: Effect) -> tuple[str, str]:
    if effect.status == "assessed":
        return "Reading", capital(minus(effect.reading))
    lead, _, rest = minus(effect.note).partition(": ")
    return capital(lead or effect.status), capital(rest)


def _source(effect: Effect) -> str:
    source = effect.source or "reference only"
    return SOURCES.get(source, f"Source: {source}.")


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
    beside = f"with {listing(effect.partners)}" if effect.partners else "nothing else on the copy"
    yield (
        "last-out, own background",
        shift_text(effect.last_out),
        f"on this person's own copy, {beside}",
    )
    yield "first-in on the reference", shift_text(effect.first_in), standing_text(effect)
    if effect.observed is not None:
        observed = effect.observed.text("missense changes seen twice or more in the population")
        yield "", "", minus(observed)
    if effect.path is not None:
        gap = interpretation.copies[effect.copy - 1].path_gap
        told = "integrated gradients from the reference"
        if gap is not None:
            told += f"; those of the copy sum to its score, gap {minus(number(gap))}"
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
    given = [effect.carriers, *(b.counts for b in effect.backgrounds)]
    groups = list(dict.fromkeys(group for counts in reversed(given) for group in counts))
    vectors = any(b.cosine is not None for b in effect.backgrounds)
    scored = bool(effect.backgrounds)
    rows: list[tuple[list[str], str]] = []

    def add(name: str, shift: str, counts: Mapping[str, int], like: list[str], mark: str) -> None:
        numbers = [*(f"{counts.get(g, 0):,}" for g in groups), f"{sum(counts.values()):,}"]
        cells = [name, *([shift] if scored else []), *numbers, *(like if vectors else [])]
        rows.append((cells, mark))

    # This copy's own background is listed however rare it is.
    listed = [b for i, b in enumerate(effect.backgrounds) if i < LISTED or b.own]
    for b in listed:
        name = f"{b.label} (this copy's own)" if b.own else b.label
        like = [_three(b.cosine), _three(b.ratio)]
        add(name, shift_text(b.shift), b.counts, like, "own" if b.own else "")
    rest = [b for b in effect.backgrounds if b not in listed]
    if rest:
        low, high = (shift_text(end(b.shift for b in rest)) for end in (min, max))
        counts = {g: sum(b.counts.get(g, 0) for b in rest) for g in groups}
        add(f"{len(rest)} further", f"{low} to {high}", counts, ["", ""], "")
    counted = {"people carrying it": effect.carriers, "of people called": effect.called}
    for name, people in counted.items():
        if people:
            add(name, "", people, ["", ""], "sum")
    first = ["Background", "Shift"] if scored else ["People"]
    last = ["Cosine", "Length ratio"] if vectors else []
    caption = "Backgrounds (haplotypes by group)" if scored else "People of the panel by group"
    return Table(caption, [*first, *groups, "all", *last], rows)


def _three(value: float | None) -> str:
    return "–" if value is None else minus(f"{value:.3f}")


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
        yield "Saliency check", f"{capital(minus(effect.agreement_text))}.{gradient}"
    if effect.presence:
        yield "In the population", f"{capital(minus(effect.presence))}."
    if assays and effect.short in assays:
        value, source = assays[effect.short]
        shown = value if isinstance(value, str) else number(value)
        yield (
            "Laboratory value",
            f"{shown} ({source}); not of this person, and not seen by the model",
        )


def _pair_text(pair: Pair) -> str:
    text = pair.text or f"model interaction {shift_text(pair.on_reference)}"
    more = f"on the reference; on this copy {shift_text(pair.on_own)}"
    if pair.p_ranked is not None:
        more += f"; rank {said(pair.p_ranked)} after a rank transform of the score"
    return minus(f"{capital(text)} ({more}).")


def _residues(effect: Effect) -> Iterator[tuple[str, str]]:
    for name, letters in zip(("Residues replaced", "In their place"), effect.residues, strict=True):
        if letters == "*":
            shown = "the stop"
        elif letters:
            shown = f"{clip(letters, MOST_RESIDUES)} ({len(letters):,})"
        else:
            shown = "none"
        yield f"{name} (from {effect.position:,})", shown
