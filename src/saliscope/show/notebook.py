"""What a notebook shows of a record: its picture and its health, in a few lines of HTML."""

from __future__ import annotations

from saliscope.core.record import Record
from saliscope.show.choose import plot
from saliscope.show.files import inline_svg
from saliscope.show.reading import ATTENTION
from saliscope.show.report import environment
from saliscope.show.sections import map_view
from saliscope.show.style import clip, visible

__all__ = ["notebook"]


def notebook(record: Record) -> str:
    """Return a fragment of HTML: the picture, the numbers and the three worst findings.

    Parameters
    ----------
    record : Record
        An attribution or a map of attention.

    Returns
    -------
    str
    """
    view = map_view(record, "map")
    svg = view.svg
    if record.kind == ATTENTION and record.values.size:
        # A notebook runs no script of the page: the map itself is the picture.
        label = f"{view.title} of {clip(record.name, 80) or 'the input'}"
        svg = inline_svg(plot(record, title=" "), label)
    template = environment().get_template("notebook.html.j2")
    return visible(template.render(view=view, svg=svg))
