"""What an audit of cues says: sentence, tables, and the pair of pictures that it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from saliscope.api.results import versions
from saliscope.audit.pictures.regions import TEXTURES
from saliscope.audit.pictures.study import Found
from saliscope.audit.pictures.swapping import Stream, log_odds
from saliscope.audit.record import Audit
from saliscope.core.health import finding
from saliscope.models.vision.images import read_image
from saliscope.show.style import number

__all__ = ["audit_of"]

LIMITS = (
    "Only what stands at one place in all pictures is tested. A cue that moves, or that is spread "
    "over the picture (a color, a blur), is not seen.",
    "Pasting makes pictures that the model may never have seen; what it says of them may differ "
    "from what it does in use.",
    "Whether a place that decides belongs to the thing itself, only somebody who looks at the "
    "pictures can say.",
    "The share of saliency is shown beside the test and decides nothing.",
)


def audit_of(
    stream: Stream, found: Sequence[Found], looked: pd.DataFrame | None,
    which: npt.NDArray[np.int64], settings: Mapping[str, Any], seed: int, evaluations: int,
) -> Audit:  # fmt: skip
    """Put the audit together: the class that is caught, or nearest to it, first."""
    order = sorted(
        found, key=lambda f: (not f.row["caught"], f.row["control 99 %"] - f.row["effect"])
    )
    best, caught = order[0], [f for f in order if f.row["caught"]]
    searched = looked is not None
    controls = pd.DataFrame([
        {"class": each.row["class"], "content": content, **place._asdict(),
         "effect": float(effect.mean()), "flip rate": float(flips.mean())}
        for each in order
        for (content, place), effect, flips in zip(
            each.names, each.controls.effect, each.controls.flips, strict=True
        )
    ])  # fmt: skip
    frames = {"cues": pd.DataFrame([each.row for each in order]), "controls": controls}
    captions = {
        "cues": "effect of the region on the log-odds of a class, beside its controls",
        "controls": "the same for patches of that size elsewhere: what is there, and textures",
    }
    if looked is not None:
        frames["windows"] = looked
        captions["windows"] = "effect of each window in the search, on half of the pictures"
    places = len(best.names) // 2
    right = float((stream.predicted == which).mean())
    return Audit.of(
        "spurious cues", model=stream.model.name, verdict="caught" if caught else "not caught",
        sentence=_sentence(order, searched=searched), frames=frames, captions=captions,
        facts={
            "Pictures": f"{len(which):,} of {len(set(which.tolist()))} classes",
            "Right on them": f"{right:.1%}",
            "Region": "searched for on half of the pictures" if searched else str(best.region),
            "Controls": f"{places} other places, {len(TEXTURES)} textures in turn",
        },
        limits=LIMITS,
        findings=[
            *stream.model.findings,
            *(finding(
                "spurious_cue", region=str(f.region), label=f.row["class"],
                flips=f.row["flip rate"],
            ) for f in caught[:1]),
        ],
        provenance={
            "model": dict(stream.model.describe()), "seed": seed, "settings": dict(settings),
            "evaluations": evaluations, "versions": versions(),
        },
        about=_example(stream, best),
    )  # fmt: skip


def _sentence(order: Sequence[Found], *, searched: bool) -> str:
    best, region = order[0].row, order[0].region
    label = repr(best["class"])
    numbers = (
        f"Swapped between {best['pairs']} pairs of a picture of it and one of another class, they "
        f"move its log-odds by {number(best['effect'])} (95 % interval {number(best['low'])} to "
        f"{number(best['high'])}); 99 % of the controls stay under "
        f"{number(best['control 99 %'])}. Pasted, they turn {best['flip rate']:.0%} "
        f"({best['flip low']:.0%} to {best['flip high']:.0%}) of the other pictures into {label}."
    )
    if best["caught"]:
        how = ", found without being told," if searched else ""
        also = [f"{f.row['class']!r} ({f.region})" for f in order[1:] if f.row["caught"]]
        more = f" Caught too: {', '.join(also)}." if also else ""
        return f"Caught: the {region}{how} decide for {label}. {numbers}{more}"
    if searched:
        return (
            f"Not caught: no place was found that decides for a class. The nearest to it are the "
            f"{region}, for {label}. {numbers}"
        )
    tested = f"for {label}" if len(order) == 1 else f"for any of {len(order)} classes"
    nearest = "" if len(order) == 1 else f"The nearest to it is {label}. "
    return f"Not caught: the {region} do not decide {tested}. {nearest}{numbers}"


def _example(stream: Stream, best: Found) -> dict[str, Any]:
    """Return the pair on which pasting did most, as pictures with what the model says of them."""
    at = int(np.argmax(best.own.gain[0]))
    own, other = best.pairs.own[at], best.pairs.other[at]
    values = [np.asarray(stream.samples[i].value, dtype=np.float64) for i in (own, other)]
    pasted, removed = values[1].copy(), values[0].copy()
    pasted[best.region.box], removed[best.region.box] = (
        values[0][best.region.box], values[1][best.region.box],
    )  # fmt: skip
    before = [_odds(stream, i, best.pairs.which) for i in (own, other)]
    after = [before[1] + float(best.own.gain[0, at]), before[0] - float(best.own.loss[0, at])]
    bgr = getattr(getattr(stream.model, "preparation", None), "colors", "") == "BGR"
    panels = [
        {"title": title, "odds": odds,
         "picture": read_image(np.clip(v[..., ::-1] if bgr else v, 0, 1)).kept()}
        for title, odds, v in zip(
            (f"{best.row['class']}, as it is", "its region taken out", "another class, as it is",
             "the region pasted"),
            (before[0], after[1], before[1], after[0]),
            (values[0], removed, values[1], pasted), strict=True,
        )
    ]  # fmt: skip
    return {"panels": panels, "region": list(best.region), "class": best.row["class"]}


def _odds(stream: Stream, number: int, which: int) -> float:
    return float(log_odds(stream.logits[number], which))
