"""A report's content as plain data: what the templates fill in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from saliscope.core.health import Finding
from saliscope.core.record import Record
from saliscope.core.units import FloatArray
from saliscope.show.canvas import views
from saliscope.show.choose import default_kind, plot
from saliscope.show.files import inline_svg
from saliscope.show.interactions import has_pairs, pairs_of, strongest_pairs
from saliscope.show.reading import ATTENTION, Track, has_positions, is_text, method_of, tracks
from saliscope.show.residues import MOST_PANELS
from saliscope.show.segments import FAINT, segments, sign_of, strength
from saliscope.show.strip import Strip, strip_of
from saliscope.show.style import clip, number, visible
from saliscope.show.wording import Limits, facts, health_badge, how_to_read, limits_of, provenance

__all__ = [
    "ColoredText",
    "MapView",
    "Row",
    "Section",
    "colored",
    "map_view",
    "modality_of",
    "picture",
    "sections",
]

ROWS = 10
SHOWN_FINDINGS = 3
MAP_BYTES, PAGE_BYTES = 240_000, 2_400_000
Part = tuple[str, str, float, str, str, bool]


@dataclass(frozen=True)
class ColoredText:
    """A text cut at its units, ready for the page."""

    target: str
    parts: list[Part]
    """(text, tone, strength, sign, tooltip, unsure); the tone is "up", "down", "plain", "lost" or
    "".
    """
    low: str
    high: str
    signed: bool
    unit: str
    unsure: bool


@dataclass(frozen=True)
class Row:
    """One of the strongest units, or pairs of units.

    The length of its bar, and where its standard error begins and ends, are shares of the longest.
    """

    name: str
    position: str
    value: str
    tone: str
    share: float
    ends: tuple[float, float] | None
    drop: str = ""


@dataclass(frozen=True)
class MapView:
    """One record on the page."""

    anchor: str
    title: str
    name: str
    facts: list[tuple[str, str]]
    badge: tuple[str, str]
    findings: tuple[Finding, ...]
    more: tuple[Finding, ...]
    read: list[str]
    limits: Limits
    provenance: list[tuple[str, str]]
    texts: list[ColoredText] = field(default_factory=list)
    svg: str | None = None
    data: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    tables: list[tuple[str, list[Row]]] = field(default_factory=list)
    drops: bool = False
    pairs: str | None = None
    pair_tables: list[tuple[str, list[Row]]] = field(default_factory=list)
    strip: Strip | None = None


@dataclass(frozen=True)
class Section:
    """One input and its maps."""

    anchor: str
    name: str
    modality: str
    text: str
    prediction: list[tuple[str, str, float]]
    maps: list[MapView]
    read: str = ""
    truth: str = ""


def grouped(records: Sequence[Record]) -> list[list[int]]:
    """Return the numbers of the records of each input, in the order of first appearance."""
    groups: dict[tuple[str, str], list[int]] = {}
    for i, record in enumerate(records):
        groups.setdefault((record.name, str(record.meta.get("text", ""))), []).append(i)
    return list(groups.values())


def modality_of(members: Sequence[Record]) -> str:
    """Return the kind of an input, from whichever of its records knows it."""
    for record in members:
        if record.meta.get("modality"):
            return visible(record.meta["modality"])
    labels = {str(c).rpartition("_")[2] for record in members for c in record.data.coords}
    return "protein" if "residue" in labels else "text" if {"token", "word"} & labels else ""


def sections(records: Sequence[Record]) -> list[Section]:
    """Return one section per input: records of the same name and text stand together."""
    count = sum(record.kind == ATTENTION for record in records)
    budget = min(MAP_BYTES, PAGE_BYTES // max(1, count))
    found = []
    for k, group in enumerate(grouped(records), 1):
        members = [records[i] for i in group]
        name, text = members[0].name, str(members[0].meta.get("text", ""))
        maps = [map_view(records[i], f"map-{i + 1}", budget) for i in group]
        guess: list[Any] = next((r.meta["prediction"] for r in members if r.meta.get("prediction")),
                                [])  # fmt: skip
        prediction = [_guess(p) for p in guess[:5]]
        modality = modality_of(members)
        found.append(
            Section(f"input-{k}", clip(name, 160) or f"unnamed input {k}", modality, visible(text),
                    prediction, maps, *_texts(members))
        )  # fmt: skip
    return found


def _texts(members: Sequence[Record]) -> tuple[str, str]:
    """Return what was read in a line of text, and what is written there, where that is known."""
    found = next((r.meta["reading"]["text"] for r in members if r.meta.get("reading")), "")
    truth = next((r.meta["compared"]["truth"] for r in members if r.meta.get("compared")), "")
    return visible(found), visible(truth)


def _guess(item: dict[str, Any]) -> tuple[str, str, float]:
    """Return a label, its probability (or else its score) in words, and the length of its bar."""
    probability = item.get("probability")
    if probability is None:
        return visible(item["label"]), f"score {number(item.get('score'))}", 0.0
    return visible(item["label"]), f"{float(probability):.1%}", float(probability)


def map_view(record: Record, anchor: str, budget: int = MAP_BYTES) -> MapView:
    """Return one record as plain data, its pictures included."""
    name = method_of(record)
    along = _along(record)
    shown = along[:MOST_PANELS]
    texts = []
    if is_text(record) and along == shown and default_kind(record) != "alignment":
        texts = [colored(t) for t in shown]
    data, notes = None, []
    if record.kind == ATTENTION:
        made = views(record, budget)
        data, notes = made.data, list(made.notes)
    several = len(shown) > 1
    tables = [(t.target if several else "", rows(t)) for t in shown if t.most]
    if len(along) > len(shown):
        notes.append(f"The strongest units of the first {len(shown)} of {len(along)} targets are "
                     "listed; the saved record holds all.")  # fmt: skip
    lost = int((~np.isfinite(record.to_numpy())).sum())
    if lost:
        notes.append(f"{lost} of {record.values.size} values are not finite; they are gray or ×.")
    if not lost and not np.any(record.to_numpy()):
        notes.append("All values are zero: there is nothing to see.")
    try:
        svg = None if texts else picture(record)
    except ValueError as error:
        svg = None
        notes.append(f"No picture: {visible(error)}.")
    pairs, pair_tables = _pairs(record)
    listed = tuple(record.health)
    return MapView(
        anchor, f"{name[:1].upper()}{name[1:]}", clip(record.name, 160), facts(record),
        health_badge(record), listed[:SHOWN_FINDINGS], listed[SHOWN_FINDINGS:],
        how_to_read(record, shown[0] if shown else None), limits_of(record), provenance(record),
        texts, svg, data, notes, tables, any(t.drop is not None for t in shown),
        pairs, pair_tables, strip_of(record, budget),
    )  # fmt: skip


def _along(record: Record) -> list[Track]:
    received = record.kind == ATTENTION and "position" in record.values.dims
    if (received or has_positions(record)) and record.values.size:
        return tracks(record)
    return []


def picture(record: Record) -> str | None:
    """Return the picture of a record as inline SVG; of attention, the profile beside its map.

    Raises
    ------
    OptionError
        If the record has too many axes to be drawn.
    """
    if not record.values.size:
        return None
    kind = default_kind(record)
    if record.kind == ATTENTION:
        if "position" not in record.values.dims:
            return None
        kind = "residue_track"
    top = _along(record)
    best = top[0].top(3) if top else []
    strongest = ", ".join(f"{top[0].name(i)} {number(top[0].values[i])}" for i in best)
    label = f"{method_of(record)} of {clip(record.name, 80) or 'the input'}"
    label += f"; strongest: {strongest}" if strongest else ""
    return inline_svg(plot(record, kind=kind, title=""), visible(label))


def colored(track: Track) -> ColoredText:
    """Return a track over a text as parts for the page."""
    parts: list[Part] = []
    for segment in segments(track):
        if segment.value is None:
            parts.append((segment.text, "", 0.0, "", "", False))
            continue
        share = strength(segment.value, track.most)
        tone = "plain" if not track.signed else "up" if segment.value > 0 else "down"
        tone = tone if np.isfinite(segment.value) else "lost"
        tone = tone if share >= FAINT / 5 or tone == "lost" else "faint"
        sign = sign_of(segment.value, track.most, signed=track.signed)
        part = (segment.text, tone, round(share, 3), sign, segment.note, segment.unsure)
        parts.append(part)
    low = number(-track.most) if track.signed else "0"
    return ColoredText(
        track.target, parts, low, number(track.most, sign=track.signed), track.signed, track.unit,
        any(part[-1] for part in parts),
    )  # fmt: skip


def rows(track: Track) -> list[Row]:
    """Return the strongest units of a track, the strongest first."""
    top = track.top(ROWS)
    errors = None if track.stderr is None else track.stderr[top]
    bars = _bars(track.values[top], errors, signed=track.signed)
    return [
        replace(
            bar, name=clip(track.name(i), 40), position=str(track.positions[i]),
            drop="" if track.drop is None else number(track.drop[i], sign=True),
        )
        for i, bar in zip(top, bars, strict=True)
    ]  # fmt: skip


def _pairs(record: Record) -> tuple[str | None, list[tuple[str, list[Row]]]]:
    """Return the picture of the interactions of a record, and tables of the strongest."""
    if not has_pairs(record):
        return None, []
    found = pairs_of(record)[:MOST_PANELS]
    tables = []
    for one in found:
        best = strongest_pairs(one, ROWS)
        errors = None if one.stderr is None else np.array([pair.stderr for pair in best])
        bars = _bars(np.array([pair.value for pair in best]), errors, signed=True)
        named = [
            replace(bar, name=f"{clip(pair.first, 24)} × {clip(pair.second, 24)}")
            for pair, bar in zip(best, bars, strict=True)
        ]
        tables.append((one.target if len(found) > 1 else "", named))
    if not any(named for _, named in tables):
        return None, []
    label = f"Interactions of pairs in {clip(record.name, 80) or 'the input'}"
    return inline_svg(plot(record, kind="pairs", title=""), visible(label)), tables


def _bars(values: FloatArray, stderr: FloatArray | None, *, signed: bool) -> list[Row]:
    """Return the bars of some values and their standard errors, on one scale."""
    spread = np.zeros(len(values)) if stderr is None else np.nan_to_num(stderr)
    longest = float((np.abs(values) + spread).max(initial=0.0)) or 1.0
    found = []
    for value, error in zip(values.tolist(), spread.tolist(), strict=True):
        told, ends = number(value, sign=signed), None
        if stderr is not None:
            told += f" ± {number(float(f'{error:.2g}'))}"
            low, high = max(0.0, abs(value) - error) / longest, (abs(value) + error) / longest
            ends = (round(low, 3), round(high, 3)) if error else None
        tone = "plain" if not signed else "up" if value > 0 else "down"
        found.append(Row("", "", told, tone, round(abs(value) / longest, 3), ends))
    return found
