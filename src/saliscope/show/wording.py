"""The sentences of a report: how a map is read, and what it does not say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from saliscope.core.attribution import Attribution
from saliscope.core.record import Record
from saliscope.show.reading import ATTENTION, Track, method_of, stderr_of, unsure
from saliscope.show.style import number, visible

__all__ = [
    "ALWAYS",
    "Limits",
    "aim_of",
    "facts",
    "general",
    "health_badge",
    "how_to_read",
    "limits",
    "limits_of",
    "provenance",
    "score_of",
    "verdict",
]

ALWAYS = "Saliency is the sensitivity of this model, not cause and not biology."
NOT_ASSESSED = (
    "Not assessed in this report: whether the output falls when the top units are removed "
    "(faithfulness), whether a model with random weights would give the same map (randomization), "
    "and whether other methods, seeds or similar inputs agree."
)
TESTED = (
    "The verdicts say whether the order of a map beats chance, and whether random weights give "
    "another map. That the model is right, or looks at what it should, they do not say."
)
ATTENTION_LIMIT = (
    "Attention says where information was read from, not whether it changed the output; a "
    "position may draw attention only because the model parks it there."
)


def score_of(record: Record) -> str:
    """Return the score in a few letters, for a table."""
    if not isinstance(record, Attribution) or record.score is None:
        return "–"
    if isinstance(record.score, float):
        return number(record.score)
    scores = np.asarray(record.score).ravel()
    if len(scores) > 3:
        return f"{len(scores)} scores"
    return ", ".join(number(v) for v in scores)


def health_badge(record: Record) -> tuple[str, str]:
    """Return the worst severity ("none" without findings) and the counts in words."""
    counts = {"error": 0, "warning": 0, "note": 0}
    for item in record.health:
        counts[item.severity] += 1
    parts = [f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in counts.items() if n]
    worst = next((kind for kind, n in counts.items() if n), "none")
    return worst, " · ".join(parts) or "nothing found"


def aim_of(record: Record) -> str:
    """Return what a map without a target is about: "encoder attention", or a dash."""
    return f"{record.meta['kind']} attention" if "kind" in record.meta else "–"


def general(records: Sequence[Record]) -> tuple[str, ...]:
    """Return what holds for all maps of a page."""
    tested = sum("trust" in record.meta for record in records)
    untested = () if tested and tested == len(records) else (NOT_ASSESSED,)
    if tested and untested:
        untested = (f"Of maps without a verdict: {NOT_ASSESSED[0].lower()}{NOT_ASSESSED[1:]}",)
    return (ALWAYS, *([TESTED] if tested else []), *untested)


def verdict(record: Record) -> str:
    """Return the verdict on a map in words; empty where it was not tested."""
    said = record.meta.get("trust", [])
    if len(said) == 1:
        return visible(said[0]["sentence"])
    words = [one["verdict"] for one in said]
    counts = [f"{word} {words.count(word):,}" for word in dict.fromkeys(words)]
    return f"{', '.join(counts)} (of {len(said):,} examples)" if said else ""


def facts(record: Record) -> list[tuple[str, str]]:
    """Return the numbers above a map."""
    found: list[tuple[str, str]] = []
    if isinstance(record, Attribution):
        names = [visible(n) for n in record.meta["target"]]
        shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        found.append(("Target", shown))
        scale = str(record.meta.get("scale", "")).replace("_", " ")
        found.append(("Score", score_of(record) + (f" ({visible(scale)})" if scale else "")))
        for label, value in (("Baseline score", record.baseline_score), ("Gap", record.gap)):
            if isinstance(value, float):
                found.append((label, number(value)))
        if record.layer:
            found.append(("Layer", visible(record.layer)))
        found += [
            ("Grouped", visible("{reduce} by {by} ({groups:,})".format(**step)))
            for step in record.provenance.get("grouped", ())
        ]
        if isinstance(record.error, float):
            found.append(("Estimated error", f"{record.error:.2%} of the map"))
        if verdict(record):
            found.append(("Verdict", verdict(record)))
    else:
        settings = {**record.meta.get("options", {}), **record.meta}
        for label, key in (("Reduced to", "reduce"), ("Attention", "kind"),
                           ("Special tokens", "specials")):  # fmt: skip
            if key in settings:
                found.append((label, visible(settings[key])))
    evaluations = record.provenance.get("evaluations")
    if evaluations is not None:
        found.append(("Evaluations", f"{evaluations:,}"))
    return found


def how_to_read(record: Record, track: Track | None) -> list[str]:
    """Return how the map is read, one sentence or two each.

    Parameters
    ----------
    record : Record
    track : Track or None
        Its first track, where it runs along positions.
    """
    if record.kind == ATTENTION:
        return _read_attention(record)
    found = [visible(record.meta["how"])] if record.meta.get("how") else []
    signed = bool(record.meta.get("signed", True))
    unit = visible(record.meta.get("unit", "the target's own unit"))
    if signed:
        found.append("+ (orange) pushes the target up, − (blue) pushes it down. Color and length "
                     f"grow with the value, whose unit is: {unit}.")  # fmt: skip
    else:
        found.append(f"More color or length means a stronger effect; the unit is: {unit}. The map "
                     "has no sign: it does not say up or down.")  # fmt: skip
    if isinstance(record, Attribution):
        score, base, gap = record.score, record.baseline_score, record.gap
        if isinstance(score, float) and isinstance(base, float) and isinstance(gap, float):
            found.append(f"The values sum to the score minus the baseline score, {number(score)} − "
                         f"{_bracket(base)} = {number(score - base)}, but for a gap of "
                         f"{number(gap)}.")  # fmt: skip
    if track is not None and track.drop is not None:
        found.append("Probability drop: how far the probability of the target falls without the "
                     "unit (in units of probability; negative: it rises).")  # fmt: skip
    stderr = stderr_of(record)
    if stderr is not None:
        table = "column" in record.values.dims
        if table and "example" not in record.values.dims:
            found.append("Thin lines are 95 % intervals, 1.96 standard errors to each side.")
        elif not table:
            found.append("± and thin bars (of lines, the gray band) are one standard error.")
        count = int(unsure(record.to_numpy(), stderr.values).sum())
        if count:
            marks = "" if table else "; a dotted line or a ring marks them where there is room"
            found.append(f"{count:,} of {stderr.size:,} values lie within two standard errors of "
                         f"zero, so that even their sign is not sure{marks}.")  # fmt: skip
    if "interaction" in record.data:
        found.append("The interaction of two units is what they do together beyond what each does "
                     "alone, averaged over which of the others are there (Shapley interaction "
                     "index): + more together than apart, − less.")  # fmt: skip
    return found


def _bracket(value: float) -> str:
    return f"({number(value)})" if value < 0 else number(value)


def _read_attention(record: Record) -> list[str]:
    sizes = record.values.sizes
    found = [visible(record.meta["how"])] if record.meta.get("how") else []
    if {"query", "key"} <= set(sizes):
        found.append("Each row is a position that attends, each column one that is attended to; a "
                     "cell is the share of the row's attention.")  # fmt: skip
        even = 1 / max(1, sizes["key"])
    else:
        found.append("Each cell is the share of attention that a position receives in one layer, "
                     "averaged over the positions that attend; the bars (or the colored text) are "
                     "the mean over all layers and heads.")  # fmt: skip
        even = 1 / max(1, sizes.get("position", 1))
    found.append(f"Spread evenly, every share would be {number(even)}. Color follows the square "
                 "root of the share, so that small shares stay visible.")  # fmt: skip
    removed = float(record.data["removed"].mean()) if "removed" in record.data else 0.0
    if removed > 0:
        found.append(f"Special tokens are left out; on average they drew {removed:.0%} of the "
                     "attention.")  # fmt: skip
    return found


class Limits(NamedTuple):
    """What the maps of one method do not say, beside what holds for all (`general`)."""

    anchor: str
    name: str
    sentences: tuple[str, ...]


def limits_of(record: Record) -> Limits:
    """Return what the method of a record does not say; maps of attention are of one method."""
    method = method_of(record)
    name = "attention" if record.kind == ATTENTION else method
    found = [ATTENTION_LIMIT] if record.kind == ATTENTION else []
    misuse = visible(record.meta.get("misuse", "")).strip().rstrip(".")
    if misuse:
        found.append(f"{method[:1].upper()}{method[1:]} misleads {misuse}.")
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return Limits(f"limits-{slug}" if found else "limits", name, tuple(found))


def limits(records: Sequence[Record]) -> list[Limits]:
    """Return what each method among the records does not say, once each."""
    found: dict[str, Limits] = {}
    for one in map(limits_of, records):
        known = found.get(one.anchor, one._replace(sentences=()))
        both = dict.fromkeys((*known.sentences, *one.sentences))
        found[one.anchor] = known._replace(sentences=tuple(both))
    return [one for one in found.values() if one.sentences]


def provenance(record: Record) -> list[tuple[str, str]]:
    """Return everything about how the map was made, flat: ("model, name", "zoo:protein"), ..."""
    found: list[tuple[str, str]] = []

    def walk(path: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                walk(f"{path}, {key}" if path else str(key), inner)
        else:
            shown = "not set" if value is None or value == {} else str(value)
            found.append((visible(path), visible(shown)))

    walk("", dict(record.provenance))
    return found
