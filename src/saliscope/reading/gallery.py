"""The confusions of a recognizer over many lines: counted, and shown with what led to each."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from saliscope.core.attribution import Attribution
from saliscope.core.string_target import visible
from saliscope.reading.comparing import Comparison, Mistake

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["confusions", "gallery"]

MOST_KINDS, MOST_EACH, MOST_LISTED, FIRST = 40, 8, 200, 20
_AROUND = 8  # characters of context on each side
_ZOOM = 2


@dataclass
class _Confusion:
    """All mistakes of one kind: this read for that."""

    mistake: Mistake
    count: int = 0
    lines: set[int] = field(default_factory=set)
    sure: list[float] = field(default_factory=list)
    shown: list[dict[str, Any]] = field(default_factory=list)


def confusions(comparisons: Iterable[Comparison]) -> pd.DataFrame:
    """Count what was read for what.

    Parameters
    ----------
    comparisons : iterable of Comparison

    Returns
    -------
    pandas.DataFrame
        One row per confusion, the most frequent first: "kind", "read", "truth", "count", in how
        many "lines", and mean "confidence" of what was read.

    Examples
    --------
    >>> from saliscope.models.vision.reading import Reading
    >>> from saliscope.reading import compare
    >>> lines = [compare(Reading("", t, (), -1.0, "ctc", 9, 9, "ltr", 9), "ann") for t in
    ...          ("auu", "anu", "ann")]
    >>> confusions(lines)[["kind", "read", "truth", "count", "lines"]].values.tolist()
    [['substituted', 'u', 'n', 3, 2]]
    """
    import pandas as pd

    found = _counted((one, None) for one in comparisons)
    columns = ["kind", "read", "truth", "count", "lines", "confidence"]
    rows = [
        [c.mistake.kind, c.mistake.read, c.mistake.truth, c.count, len(c.lines), _mean(c.sure)]
        for c in found
    ]
    return pd.DataFrame(rows, columns=columns)


def gallery(
    found: Iterable[tuple[Comparison, Attribution | None]], *, title: str | None = None
) -> str:
    """Return a page of what was read for what: the most frequent confusions first.

    Each mistake that was explained is shown on its line, under the map of "why this and not the
    truth"; so one can see whether an "n" is read as "u" for its arch or for its neighbors.

    Parameters
    ----------
    found : iterable of (Comparison, Attribution or None)
        As of `explain_mistakes`; used up one by one.
    title : str, optional

    Returns
    -------
    str
        A complete HTML document that needs nothing else.

    Examples
    --------
    >>> "Nothing was compared" in gallery([])
    True
    """
    from saliscope.show.report import environment, source
    from saliscope.show.style import visible as printable

    lines: list[tuple[int, int]] = []
    names: set[str] = set()

    def seen() -> Iterable[tuple[Comparison, Attribution | None]]:
        for comparison, maps in found:
            lines.append((len(comparison.mistakes), comparison.written))
            if maps is not None:
                names.add(f"{maps.meta['provenance']['model'].get('name', '')}, {maps.method}")
            yield comparison, maps

    counted = _counted(seen())
    errors, written = sum(e for e, _ in lines), sum(w for _, w in lines)
    rows = [
        {
            "anchor": f"kind-{n}" if n <= MOST_KINDS else "", "name": str(c.mistake),
            "count": c.count, "lines": len(c.lines), "shown": c.shown,
            "share": round(c.count / counted[0].count, 3), "kind": c.mistake.kind,
            "sure": f"{_mean(c.sure):.2f}" if c.sure else "–",
        }
        for n, c in enumerate(counted[:MOST_LISTED], 1)
    ]  # fmt: skip
    page = environment().get_template("gallery.html.j2").render(
        title=title or "What was read for what", rows=rows, count=len(lines), errors=errors,
        written=written, right=sum(not e for e, _ in lines), kinds=len(counted),
        rate=f"{errors / written:.1%}" if written else "–", shown=MOST_KINDS, each=MOST_EACH,
        first=FIRST, made=sorted(names), css=source("report.css") + source("gallery.css"),
    )  # fmt: skip
    return printable(page)


def _counted(found: Iterable[tuple[Comparison, Attribution | None]]) -> list[_Confusion]:
    """Return confusions, the most frequent first, with pictures of the first few of each."""
    kinds: dict[tuple[str, str], _Confusion] = {}
    for number, (comparison, maps) in enumerate(found):
        crops = {} if maps is None else _crops(maps)
        for index, mistake in enumerate(comparison.mistakes):
            key = mistake.read, mistake.truth
            one = kinds.setdefault(key, _Confusion(mistake))
            one.count += 1
            one.lines.add(number)
            if mistake.confidence is not None:
                one.sure.append(mistake.confidence)
            if len(one.shown) < MOST_EACH:
                one.shown.append(_shown(comparison, mistake, crops.get(index)))
    return sorted(kinds.values(), key=lambda c: (-c.count, c.mistake.truth, c.mistake.read))


def _shown(
    comparison: Comparison, mistake: Mistake, crop: tuple[str, float] | None
) -> dict[str, Any]:
    """Return one mistake for the page: its picture, and the text around it."""
    from saliscope.reading.alignment import characters_of

    text = characters_of(comparison.reading.text)
    start = mistake.number - (mistake.read != "")
    return {
        "name": comparison.reading.name or "line", "picture": None if crop is None else crop[0],
        "score": None if crop is None else f"{crop[1]:+.2f}".replace("-", "−"),
        "before": "".join(text[max(0, start - _AROUND) : start]),
        "read": visible(mistake.read) if mistake.read else "",
        "truth": visible(mistake.truth) if mistake.truth else "",
        "behind": "".join(text[mistake.number : mistake.number + _AROUND]),
        "sure": "" if mistake.confidence is None else f"{mistake.confidence:.2f}",
        "alt": f"{mistake} in {comparison.reading.name}, with the map of why",
    }  # fmt: skip


def _crops(maps: Attribution) -> dict[int, tuple[str, float]]:
    """Return the picture and the score of each mistake that was explained, by its number."""
    from PIL import Image

    from saliscope.show.characters import mistake_crops

    scores: Sequence[float] = maps.data["score"].values.reshape(-1).tolist()
    made = {}
    pairs = zip(maps.meta["compared"]["explained"], mistake_crops(maps), scores, strict=True)
    for index, crop, score in pairs:
        image = Image.fromarray(crop)
        image = image.resize((image.width * _ZOOM, image.height * _ZOOM), Image.Resampling.BICUBIC)
        out = io.BytesIO()
        image.save(out, "WEBP", quality=88, method=4)
        data = base64.b64encode(out.getvalue()).decode("ascii")
        made[index] = (f"data:image/webp;base64,{data}", score)
    return made


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
