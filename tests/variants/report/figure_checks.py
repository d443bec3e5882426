"""What the tests of pictures ask of a figure."""

from __future__ import annotations

import itertools

from matplotlib.figure import Figure
from matplotlib.text import Text


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Return the pairs of texts that lie on each other, and texts that leave the figure."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    boxes = [
        (text.get_text(), text.get_window_extent(renderer))
        for text in figure.findobj(Text)
        if text.get_text().strip() and text.get_visible()
    ]
    whole = figure.bbox
    found = [
        (a, b)
        for (a, one), (b, other) in itertools.combinations(boxes, 2)
        if one.shrunk(0.94, 0.8).overlaps(other.shrunk(0.94, 0.8))
    ]
    found += [(a, "edge") for a, b in boxes if b.x0 < whole.x0 - 1 or b.x1 > whole.x1 + 1
              or b.y0 < whole.y0 - 1 or b.y1 > whole.y1 + 1]  # fmt: skip
    return found
