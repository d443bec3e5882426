"""Formulas as pictures that matplotlib sets while pages are built: no network, no script, no TeX.

A Sphinx extension: ``html_math_renderer = "svg"``.
"""

from __future__ import annotations

import html
import re

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath

EM = 10.0  # units of a picture in the size of the letters around it
LARGER = 1.08  # than the letters around: those of the formula are lighter
MARGIN = 0.3
_LETTERS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}
# What matplotlib's mathematics knows by another name, or not at all.
_RENAMED = (
    (r"\\[bB]igl(?![a-z])", r"\\left"), (r"\\[bB]igr(?![a-z])", r"\\right"),
    (r"\\tfrac", r"\\frac"), (r"frac(\w)(\w)", r"frac{\1}{\2}"), (r"\s+", " "),
)  # fmt: skip


def svg(formula: str, *, display: bool = False) -> str:
    """Return a formula as an SVG element that stands on the line of the text around it.

    One on a line of its own (`display`) has fractions of full size.

    Raises
    ------
    ValueError
        Something in it that matplotlib cannot set.
    """
    known = formula.strip()
    if display:
        known = re.sub(r"\\frac(?![a-z])", r"\\dfrac", known)
    for pattern, name in _RENAMED:
        known = re.sub(pattern, name, known)
    font = FontProperties(math_fontfamily="cm")
    path = TextPath((0, 0), f"${known}$", size=EM * LARGER, prop=font)
    low, high = path.vertices.min(0) - MARGIN, path.vertices.max(0) + MARGIN
    wide, tall = (high - low) / EM
    return (
        f'<svg class="formula" role="img" aria-label="{html.escape(formula.strip())}" '
        f'viewBox="{low[0]:.2f} {-high[1]:.2f} {high[0] - low[0]:.2f} {high[1] - low[1]:.2f}" '
        f'style="width:{wide:.3f}em;height:{tall:.3f}em;vertical-align:{low[1] / EM:.3f}em">'
        f'<path d="{_drawn(path)}"/></svg>'
    )


def _drawn(path: Path) -> str:
    """Return the outlines of letters in the words of SVG, whose axis points down."""
    parts = []
    for points, code in path.iter_segments(simplify=False):
        if code == Path.CLOSEPOLY:
            parts.append("Z")
            continue
        turned = np.reshape(points, (-1, 2)) * (1, -1)
        parts.append(_LETTERS[code] + " ".join(f"{x:.2f} {y:.2f}" for x, y in turned))
    return "".join(parts)


def _inline(writer, node):
    """Put a formula into a line."""
    _put(writer, svg(node.astext()))


def _display(writer, node):
    """Put a formula on a line of its own."""
    _put(writer, f'<div class="formula">{svg(node.astext(), display=True)}</div>\n')


def _put(writer, made):
    from docutils import nodes  # here, so that formulas can be set without Sphinx

    writer.body.append(made)
    raise nodes.SkipNode


def setup(app):
    """Tell Sphinx of the renderer."""
    app.add_html_math_renderer("svg", (_inline, None), (_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
