"""Colors, numbers and type: what every picture shares.

Figures are made with the object-oriented interface of matplotlib, inside `rc_context`, so nothing
global changes and no window system is needed.
"""

from __future__ import annotations

import functools
import math
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, ParamSpec

import numpy as np
from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.text import Text

from saliscope.core.units import FloatArray

__all__ = [
    "DIVERGING",
    "INK",
    "LOWER",
    "MUTED",
    "PLAIN",
    "RAISE",
    "RULE",
    "STYLE",
    "clip",
    "color_scale",
    "drawn",
    "largest",
    "new_figure",
    "number",
    "pick_font",
    "quiet_glyphs",
    "visible",
]

INK, MUTED, RULE = "#1f2328", "#59636e", "#d0d7de"
RAISE, LOWER, PLAIN = "#b85c10", "#1f6fb2", "#2f6f7e"

# Both arms fall from CIELAB lightness 96.5 to 42 in equal steps, at hues 270 and 62: equal
# magnitudes look equally strong, in every kind of color vision and in gray for |value|.
_BLUE = ("#0067a9", "#2e78b9", "#5488c3", "#719acd", "#8cabd7", "#a7bde0", "#c0cfe9", "#dae2f0")
_ORANGE = ("#f3decf", "#ecc7ae", "#e3b28f", "#d79d71", "#cb8854", "#bd7438", "#ae6019", "#9e4c00")
DIVERGING: Colormap = LinearSegmentedColormap.from_list(
    "saliscope_diverging", [*_BLUE, "#f5f5f5", *_ORANGE], N=257
).with_extremes(bad="#bdbdbd")
SEQUENTIAL = "cividis"

STYLE: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.7,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
}

P = ParamSpec("P")
# C0 and C1 controls but for tab and newline, lone surrogates, and the bidirectional overrides with
# which a name could reorder the text around it.
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def visible(text: object) -> str:
    """Return `text` with what no page or picture can hold shown as the replacement character.

    Examples
    --------
    >>> visible("a" + chr(0) + "b")
    'a\N{REPLACEMENT CHARACTER}b'
    """
    return _HIDDEN.sub("\N{REPLACEMENT CHARACTER}", str(text).replace("\r\n", "\n"))


def clip(text: object, length: int) -> str:
    """Return `text` on one line, cut to `length` characters with an ellipsis.

    Examples
    --------
    >>> clip("a long name", 6)
    'a lon…'
    """
    line = " ".join(visible(text).split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def number(value: object, *, sign: bool = False) -> str:
    """Return a number for a reader: three digits, a true minus, an en dash for what is missing.

    Examples
    --------
    >>> number(-0.01234), number(2.0, sign=True), number(float("nan")), number(None)
    ('−0.0123', '+2', 'not finite', '–')
    """
    if value is None:
        return "–"
    found = float(str(value))
    if not math.isfinite(found):
        return "not finite"
    text = f"{found:.3g}"
    if "e" in text:
        digits, _, power = text.partition("e")
        text = f"{digits}e{int(power)}"
    if sign and found > 0:
        text = "+" + text
    return text.replace("-", "−")


def largest(values: FloatArray) -> float:
    """Return the largest finite magnitude, or 0 where there is none."""
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max(initial=0.0))


def color_scale(
    values: FloatArray, *, signed: bool, root: bool = False
) -> tuple[Normalize, Colormap]:
    """Return the norm and map of colors: diverging about zero if signed, else from zero up."""
    from matplotlib import colormaps

    top = largest(values) or 1.0
    if signed:
        return Normalize(-top, top), DIVERGING
    sequential = colormaps[SEQUENTIAL].with_extremes(bad="#bdbdbd")
    low = min(0.0, float(np.nanmin(values, initial=0.0)))
    return (PowerNorm(0.5, low, top) if root else Normalize(low, top)), sequential


@functools.cache
def pick_font() -> tuple[str, ...]:
    """Return the fonts to draw with: DejaVu Sans, then installed ones with further scripts."""
    wanted = ("Noto Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans Arabic",
              "Noto Sans Hebrew", "Noto Sans Devanagari", "Noto Emoji", "Symbola",
              "Arial Unicode MS", "Hiragino Sans", "Microsoft YaHei",
              "Segoe UI Symbol")  # fmt: skip
    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    return ("DejaVu Sans", *(name for name in wanted if name in installed))


@contextmanager
def quiet_glyphs() -> Iterator[None]:
    """Leave out the warning for each character that no installed font has; a box is drawn."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def new_figure(width: float, height: float, layout: Literal["constrained"] | None = None) -> Figure:
    """Return an empty figure (inches) with its own canvas."""
    figure = Figure(figsize=(width, height), dpi=100, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def drawn(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate a function that draws: the style holds within it and is fixed in its figure."""

    @functools.wraps(function)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with rc_context({**STYLE, "font.family": list(pick_font())}), quiet_glyphs():
            figure = function(*args, **kwargs)
            for axes in figure.axes:
                _fix_ticks(axes)
            for text in figure.findobj(Text):
                if isinstance(text, Text):
                    # Names come from outside: a dollar sign in them is no mathematics.
                    text.set_parse_math(False)
        return figure

    return styled


def _fix_ticks(axes: Axes) -> None:
    """Make ticks now, while the style holds; matplotlib would make them at first drawing."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_majorticklabels()
