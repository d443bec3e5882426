"""The pictures of an interpretation, each as a matplotlib figure, and all of them as files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saliscope.core.errors import InputError, OptionError
from saliscope.show.files import save_figure
from saliscope.show.style import INK, LOWER, MUTED, PLAIN, RAISE, RULE, clip, drawn, new_figure
from saliscope.variants.effects.record import BackgroundShift, Effect, Interpretation, Pair
from saliscope.variants.report.tracks import (
    COLORS,
    Feature,
    lollipops,
    rolling_band,
    shift_label,
)
from saliscope.variants.report.wording import minus, one_background
from saliscope.variants.statistics.backgrounds import LISTED
from saliscope.variants.statistics.common import said, signed

__all__ = [
    "Feature",
    "background_plot",
    "lollipops",
    "pair_plot",
    "rolling_band",
    "save_figures",
]

WIDTH = 8.6
_KINDS = ("svg", "png", "pdf")


def _occurring(effect: Effect) -> list[BackgroundShift]:
    return [b for b in effect.backgrounds if b.total]


@drawn
def background_plot(interpretation: Interpretation, effect: Effect) -> Figure:
    """Draw what a change does on each background, a row for each group of people.

    Parameters
    ----------
    interpretation : Interpretation
    effect : Effect
        One of its assessed effects.

    Returns
    -------
    matplotlib.figure.Figure
        The area of a dot is in proportion to its haplotypes; the line is the subject.

    Raises
    ------
    OptionError
        The effect has no score, or no background of a population to draw.
    """
    found = _occurring(effect)
    if effect.last_out is None or not found:
        msg = f"{effect.protein}: has no backgrounds with a score; there is nothing to draw"
        raise OptionError(msg)
    groups = list(dict.fromkeys(g for b in found for g in b.counts))
    few = len(found) <= LISTED
    lanes = len(found) if few else 1
    row = max(0.3, 0.21 * lanes + 0.06)
    lines = 1 + (lanes if few and lanes > 1 else 0)
    height = 0.36 + 0.19 * lines + 0.14 + row * len(groups) + 0.52
    figure = new_figure(WIDTH, height)
    left, right, bottom = 1.0, 0.25, 0.52
    axes = figure.add_axes(
        (left / WIDTH, bottom / height, (WIDTH - left - right) / WIDTH, row * len(groups) / height)
    )
    color = COLORS[(effect.copy - 1) % 2]
    most = max(n for b in found for n in b.counts.values())
    for k, background in enumerate(found):
        offset = ((k + 0.5) / lanes - 0.5) * (row - 0.06) / row if few else 0.0
        for i, group in enumerate(groups):
            count = background.counts.get(group, 0)
            if not count:
                continue
            axes.scatter(
                background.shift, i + offset, s=_area(count, most), facecolor=PLAIN,
                alpha=0.85 if few else 0.45, linewidth=0.8, edgecolor=PLAIN, zorder=3,
                clip_on=False,
            )  # fmt: skip
            if few:
                axes.annotate(f"{count:,}", (background.shift, i + offset), xytext=(11, 0),
                              textcoords="offset points", va="center", fontsize=7.5)  # fmt: skip
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_yticks(range(len(groups)), [clip(g, 12) for g in groups])
    for i in range(1, len(groups)):
        axes.axhline(i - 0.5, color=RULE, linewidth=0.7, zorder=1)
    shifts = [*(b.shift for b in found), effect.last_out, 0.0]
    room = 0.09 * (max(shifts) - min(shifts) or 1.0)
    axes.set_xlim(min(shifts) - room, max(shifts) + room)
    axes.axvline(0, color=MUTED, linewidth=0.9, linestyle=":", zorder=1)
    axes.axvline(effect.last_out, color=color, linewidth=1.6, zorder=2)
    axes.set_xlabel(f"{effect.short}: {shift_label(interpretation)}")
    _background_head(figure, interpretation, effect, found, height, most)
    return figure


def _area(count: int, most: int) -> float:
    """Return the area of a dot in square points: in proportion to the haplotypes."""
    return 220.0 * count / most


def _background_head(
    figure: Figure, interpretation: Interpretation, effect: Effect,
    found: Sequence[BackgroundShift], height: float, most: int,
) -> None:  # fmt: skip
    few = len(found) <= LISTED
    assert effect.last_out is not None
    color = COLORS[(effect.copy - 1) % 2]
    sizes = sorted({1, max(1, round(most / 4)), most})
    handles = [
        Line2D([], [], color=color, linewidth=1.6,
               label=minus(f"{clip(interpretation.sample, 24)}, copy {effect.copy}: "
                           f"{signed(effect.last_out)}")),
        *(Line2D([], [], linestyle="none", marker="o", color=PLAIN, markeredgewidth=0.8,
                 markersize=_area(n, most) ** 0.5, label=f"{n:,}") for n in sizes),
    ]  # fmt: skip
    legend = figure.legend(
        handles=handles, loc="upper left", ncols=1 + len(sizes), borderaxespad=0.2,
        bbox_to_anchor=(0.01, 1), handletextpad=0.4, columnspacing=1.3,
    )  # fmt: skip
    legend.get_texts()[-1].set_text(f"{sizes[-1]:,} haplotypes (area of a dot)")
    top = 0.36
    if len(found) == 1:
        figure.text(0.02, 1 - top / height, one_background(found[0]), fontsize=8.5, va="top")
        return
    if not few:
        text = f"{len(found)} backgrounds; a dot is one of them, and its area its haplotypes"
        figure.text(0.02, 1 - top / height, text, fontsize=8.5, va="top")
        return
    figure.text(0.02, 1 - top / height, "Rows of a group from above, with their haplotypes:",
                fontsize=8.5, va="top")  # fmt: skip
    for k, background in enumerate(found):
        own = ", this copy's own background" if background.own else ""
        text = f"{k + 1}.  {clip(background.label, 70)}  {signed(background.shift)}{own}"
        figure.text(0.035, 1 - (top + 0.19 * (k + 1)) / height, minus(text), fontsize=8.5,
                    va="top", fontweight="bold" if background.own else "normal")  # fmt: skip


@drawn
def pair_plot(interpretation: Interpretation, pair: Pair) -> Figure:
    """Draw a pair's interaction among matched pairs, and the four scores it is made of.

    Parameters
    ----------
    interpretation : Interpretation
    pair : Pair

    Returns
    -------
    matplotlib.figure.Figure
        Left: a histogram of the matched null. Right: the diamond of the reference, each change
        alone, and both; the additive point is dashed.
    """
    figure = new_figure(WIDTH, 3.0)
    left, right = (
        figure.add_axes((0.085, 0.17, 0.4, 0.68)),
        figure.add_axes((0.6, 0.17, 0.38, 0.68)),
    )
    _null(left, interpretation, pair)
    _diamond(right, interpretation, pair)
    return figure


def _null(axes: Axes, interpretation: Interpretation, pair: Pair) -> None:
    value = pair.on_reference
    axes.set_title(f"{pair.matches:,} matched pairs", fontsize=9, pad=18)
    axes.set_xlabel(shift_label(interpretation).replace("shift", "model interaction", 1))
    axes.axvline(value, color=RAISE, linewidth=1.8, zorder=3)
    if not pair.null:
        axes.set_yticks([])
        room = abs(value) or 1.0
        axes.set_xlim(-2 * room, 2 * room)
        x = 0.7 if value < 0 else 0.3
        axes.text(x, 0.5, "too few pairs match:\nno comparison", transform=axes.transAxes,
                  ha="center", va="center", color=MUTED)  # fmt: skip
    else:
        null = np.array(pair.null)
        # The outermost half percent would leave one bin for everything else.
        reach = max(float(np.quantile(np.abs(null), 0.995)), 1.15 * abs(value)) or 1.0
        edges = np.linspace(-reach, reach, 42)
        inside = np.clip(null, -reach, reach)
        axes.hist(inside.tolist(), edges.tolist(), color=MUTED, alpha=0.45, linewidth=0, zorder=1)
        axes.set_ylabel("matched pairs")
        axes.set_xlim(-reach * 1.02, reach * 1.02)
        axes.axvline(-value, color=RAISE, linewidth=1.1, linestyle=":", zorder=3)
        beyond = int(np.count_nonzero(np.abs(null) > reach))
        if beyond:
            axes.text(1, 0.98, f"{beyond} beyond the ends\nare in the end bins", ha="right",
                      va="top", transform=axes.transAxes, fontsize=7, color=MUTED)  # fmt: skip
    rank = f", rank {said(pair.p)}" if pair.p is not None else ""
    axes.text(0, 1.03, minus(f"this pair: {signed(value)}{rank}"), color=RAISE, fontsize=8.5,
              transform=axes.transAxes, va="bottom")  # fmt: skip


def _diamond(axes: Axes, interpretation: Interpretation, pair: Pair) -> None:
    first, second = pair.firsts
    points = {"ref": (0.0, 0.0), "v1": (0.88, first), "v2": (1.12, second),
              "both": (2.0, pair.together)}  # fmt: skip
    for one, other in (("ref", "v1"), ("ref", "v2"), ("v1", "both"), ("v2", "both")):
        axes.plot(*zip(points[one], points[other], strict=True), color=MUTED, linewidth=1)
    for one in ("v1", "v2"):
        ends = zip(points[one], (2.0, pair.additive), strict=True)
        axes.plot(*ends, color=LOWER, linewidth=1, linestyle=(0, (4, 3)))
    axes.plot(*zip(*points.values(), strict=True), "o", color=INK, markersize=6, zorder=3)
    axes.plot(2.0, pair.additive, "o", markersize=8, markerfacecolor="none",
              markeredgecolor=LOWER, markeredgewidth=1.4, zorder=3)  # fmt: skip
    low, high = (
        min(0, first, second, pair.together, pair.additive),
        max(0, first, second, pair.together, pair.additive),
    )
    room = 0.16 * (high - low or 1.0)
    axes.set_ylim(low - room, high + room)
    axes.set_xlim(-0.45, 3.05)
    axes.set_xticks([0, 1, 2], ["reference", "one change", "both"])
    axes.set_ylabel(shift_label(interpretation))
    names = f"{clip(pair.first, 14)} and {clip(pair.second, 14)}, on the reference"
    axes.set_title(names, fontsize=9, pad=18)
    upper_first = first >= second
    for (x, y), name, up in (
        (points["v1"], pair.first, upper_first), (points["v2"], pair.second, not upper_first)
    ):  # fmt: skip
        axes.annotate(
            minus(f"{clip(name, 12)} {signed(y)}"), (x, y),
            xytext=(4 if up else -4, 7 if up else -7),
            textcoords="offset points", ha="left" if up else "right",
            va="bottom" if up else "top", fontsize=8,
        )  # fmt: skip
    each = 0.085 * (high - low + 2 * room)
    middle, half = (pair.together + pair.additive) / 2, abs(pair.together - pair.additive) / 2
    half = max(half, each / 2)
    sign = 1 if pair.together >= pair.additive else -1
    axes.text(2.13, middle + sign * half, minus(f"both {signed(pair.together)}"), va="center",
              fontsize=8)  # fmt: skip
    axes.text(2.13, middle - sign * half, minus(f"additive {signed(pair.additive)}"), va="center",
              fontsize=8, color=LOWER)  # fmt: skip


def _each(
    interpretation: Interpretation, domains: Sequence[Feature], structure: Sequence[Feature]
) -> Iterator[tuple[str, Figure]]:
    yield "protein", lollipops(interpretation, domains=domains, structure=structure)
    for effect in interpretation.effects:
        if effect.last_out is not None and _occurring(effect):
            name = f"backgrounds-copy{effect.copy}-{effect.short}"
            yield name, background_plot(interpretation, effect)
    for pair in interpretation.pairs:
        name = f"pair-copy{pair.copy}-{pair.first}-{pair.second}"
        yield name, pair_plot(interpretation, pair)


def save_figures(
    interpretation: Interpretation,
    folder: str | os.PathLike[str],
    *,
    domains: Sequence[Feature] = (),
    structure: Sequence[Feature] = (),
    kinds: Sequence[str] = ("svg", "png"),
) -> list[Path]:
    """Save every picture of an interpretation.

    Parameters
    ----------
    interpretation : Interpretation
    folder : path-like
        An existing one.
    domains, structure : sequence of (int, int, str)
        See `lollipops`.
    kinds : sequence of {"svg", "png", "pdf"}

    Returns
    -------
    list of pathlib.Path

    Raises
    ------
    OptionError
        Another kind.
    InputError
        The folder does not exist or cannot be written.
    """
    for kind in kinds:
        if kind not in _KINDS:
            msg = f"kind {kind!r}: a figure is saved as {', '.join(_KINDS)}"
            raise OptionError(msg)
    target = Path(folder)
    if not target.is_dir():
        msg = f"{target}: is no folder; make it first"
        raise InputError(msg)
    saved, taken = [], set[str]()
    for name, figure in _each(interpretation, domains, structure):
        plain = re.sub(r"[^A-Za-z0-9.-]+", "_", name)[:80]
        safe = plain if plain not in taken else f"{plain}-{len(taken)}"
        taken.add(safe)
        saved += [save_figure(figure, target / f"{safe}.{kind}") for kind in kinds]
    return saved
