"""The report: one self-contained page about many records."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from saliscope.core.record import Record
from saliscope.show.canvas import palette
from saliscope.show.reading import method_of
from saliscope.show.scene import Scene, scene_data
from saliscope.show.sections import modality_of, sections
from saliscope.show.style import clip, visible
from saliscope.show.wording import ALWAYS, aim_of, general, health_badge, limits, score_of

__all__ = ["Table", "environment", "html"]

MOST_DRAWN = 200
MOST_LISTED = 2000


@dataclass(frozen=True)
class Table:
    """A table of a page, in texts; the template ``table.html.j2`` lays it out.

    Parameters
    ----------
    caption : str
    head : sequence of str
    rows : sequence of sequence of str
        The first cell of each is its name.
    numeric : collection of int, optional
        Places of the columns of numbers (default: all but the first).
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Collection[int] | None = None

    @property
    def numbers(self) -> Collection[int]:
        """Places of the columns of numbers."""
        return range(1, len(self.head)) if self.numeric is None else self.numeric


@functools.cache
def environment() -> Environment:
    """Return the templates; every value they fill in is escaped."""
    return Environment(
        loader=PackageLoader("saliscope.show", "templates"), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def source(name: str) -> str:
    """Return a style sheet or script of the package as it stands."""
    loader = environment().loader
    assert loader is not None
    return loader.get_source(environment(), name)[0]


def html(
    records: Sequence[Record], *, title: str | None = None, scenes: Sequence[Scene] = ()
) -> str:
    """Return a complete HTML document about records: readable offline, on a phone and in print.

    The first 200 records get a picture, the first 2,000 a line in the summary; the page says so
    where there are more.

    Parameters
    ----------
    records : sequence of Record
        Attributions and maps of attention, in any order; those of one input (same name and text)
        stand together.
    title : str, optional
        Heading of the page.
    scenes : sequence of Scene
        Molecules to turn and look at, before the maps.

    Returns
    -------
    str

    Examples
    --------
    >>> page = html([], title="Nothing <yet>")
    >>> "<h1>Nothing &lt;yet&gt;</h1>" in page
    True
    """
    found = sections(records[:MOST_DRAWN])
    listed = [
        {
            "name": clip(record.name, 80) or "unnamed input",
            "modality": modality_of([record]),
            "method": method_of(record),
            "target": clip(", ".join(record.meta.get("target", [])) or aim_of(record), 60),
            "score": score_of(record),
            "evaluations": f"{record.provenance.get('evaluations', 0):,}",
            "badge": health_badge(record),
            "anchor": f"map-{i}" if i <= MOST_DRAWN else "",
        }
        for i, record in enumerate(records[:MOST_LISTED], 1)
    ]
    strips = any(m.strip is not None for section in found for m in section.maps)
    parts = ["report", *["scene"] * bool(scenes), *["strip"] * strips]
    css, script = ("\n".join(source(f"{part}.{kind}") for part in parts) for kind in ("css", "js"))
    models = {visible(r.provenance.get("model", {}).get("name", "")) for r in records} - {""}
    dates = [str(r.provenance["created"]) for r in records if r.provenance.get("created")]
    page = environment().get_template("report.html.j2").render(
        title=visible(title or "What the model looked at"), css=css, script=script,
        scenes=[scene_data(scene) for scene in scenes], sections=found, listed=listed,
        count=len(records), drawn=min(len(records), MOST_DRAWN), always=ALWAYS,
        general=general(records[:MOST_DRAWN]), limits=limits(records[:MOST_DRAWN]),
        palette=palette(),
        models=sorted(models), created=visible(max(dates, default=""))[:10],
    )  # fmt: skip
    return visible(page)
