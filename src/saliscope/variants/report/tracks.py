"""Where the changes stand along the protein: lollipops of both copies over the usual range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon, Rectangle

from saliscope.core.errors import InputError
from saliscope.core.units import FloatArray
from saliscope.show.style import INK, LOWER, MUTED, RAISE, RULE, clip, drawn, new_figure
from saliscope.variants.effects.record import Effect, Interpretation

__all__ = ["Feature", "lollipops", "rolling_band", "shift_label"]

Feature = tuple[int, int, str]
"""First residue, last residue (from 1, both within), and a name."""

COLORS, MARKERS = (RAISE, LOWER), ("o", "s")
BAND = "#8c959f"
WINDOW = 15
LEAST_IN_WINDOW = 20
MOST_NAMED = 12
# Inches.
WIDTH, LEFT, RIGHT, PANEL, HEAD, TIER, FOOT, LANE = 8.6, 0.78, 0.15, 1.25, 0.42, 0.17, 0.5, 0.24
GAP, LETTER = 0.16, 0.066


def shift_label(interpretation: Interpretation) -> str:
    """Return the name of a shift with its unit, for an axis."""
    unit = {
        "likelihood": "log-likelihood ratio, nats",
        "projection": "units of the given axis",
        "norm": "length in embedding units, no sign",
    }.get(str(interpretation.settings.get("readout")), "units of the score")
    return f"shift ({unit})"


def rolling_band(
    by_position: Sequence[tuple[int, float]], length: int, window: int = WINDOW
) -> tuple[FloatArray, FloatArray]:
    """Return the 5 % and 95 % quantiles of shifts around every residue.

    Parameters
    ----------
    by_position : sequence of (int, float)
        Residue, from 1, and shift of every change.
    length : int
        Residues of the protein.
    window : int
        Residues that are taken together, about the middle one.

    Returns
    -------
    tuple of numpy.ndarray, shape (length,)
        NaN where a window holds fewer than 20 changes.

    Examples
    --------
    >>> low, high = rolling_band([(1, float(i)) for i in range(101)], 3, window=3)
    >>> low.tolist(), high.tolist()
    ([5.0, 5.0, nan], [95.0, 95.0, nan])
    """
    low, high = np.full(length, np.nan), np.full(length, np.nan)
    if not by_position:
        return low, high
    places = np.array([p for p, _ in by_position])
    shifts = np.array([s for _, s in by_position], dtype=np.float64)
    for i in range(length):
        near = shifts[np.abs(places - 1 - i) <= window // 2]
        if len(near) >= LEAST_IN_WINDOW:
            low[i], high[i] = np.quantile(near, (0.05, 0.95))
    return low, high


@dataclass(frozen=True)
class _Name:
    """A label above a panel: where it points, where it stands, and in which tier."""

    effect: Effect
    text: str
    x: float
    tier: int


@drawn
def lollipops(
    interpretation: Interpretation,
    *,
    domains: Sequence[Feature] = (),
    structure: Sequence[Feature] = (),
    copies: Sequence[int] | None = None,
) -> Figure:
    """Draw the changes of each copy along the protein.

    A filled head is the shift on the person's own copy (last-out), an open one the shift alone on
    the reference (first-in). The gray band holds 90 % of all single-nucleotide missense changes,
    over 15 residues.

    Parameters
    ----------
    interpretation : Interpretation
    domains, structure : sequence of (int, int, str)
        First and last residue with a name. Names that begin with "helix" or "strand" (or are
        "beta strand") in `structure` are drawn as such.
    copies : sequence of int, optional
        Which copies, from 1; all by default.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        A copy that there is not, or a domain outside of the protein.
    """
    length = interpretation.protein_length
    chosen = list(copies or range(1, len(interpretation.copies) + 1))
    if not chosen or not all(1 <= c <= len(interpretation.copies) for c in chosen):
        msg = f"copies {chosen}: this person has copies 1 to {len(interpretation.copies)}"
        raise InputError(msg)
    features = [_checked(f, length) for f in (*domains, *structure)]
    lanes = [*_lanes(features[: len(domains)]), *_lanes(features[len(domains) :])]
    across = WIDTH - LEFT - RIGHT
    names = {c: _names(interpretation, c, across, length) for c in chosen}
    rooms = {c: TIER * (1 + max((n.tier for n in names[c]), default=-1)) + 0.3 for c in chosen}
    height = HEAD + sum(GAP + PANEL + rooms[c] for c in chosen) + LANE * len(lanes) + FOOT
    height += 0.1 if lanes else 0.0
    figure = new_figure(WIDTH, height)
    band = rolling_band(interpretation.by_position, length)
    ends = _ends(interpretation, band)
    y = HEAD
    for copy in chosen:
        y += GAP + rooms[copy]
        box = (LEFT / WIDTH, 1 - (y + PANEL) / height, across / WIDTH, PANEL / height)
        axes = figure.add_axes(box)
        _panel(axes, interpretation, copy, band, ends, names[copy])
        axes.text(0, 1 + (rooms[copy] - 0.13) / PANEL, _title(interpretation, copy), fontsize=9,
                  fontweight="bold", transform=axes.transAxes, va="center")  # fmt: skip
        y += PANEL
        last = copy == chosen[-1]
        axes.tick_params(axis="x", labelbottom=last and not lanes)
    axes = figure.axes[-1]
    if lanes:
        y += 0.1
        for row, kind in ((0, "domains"), (len(_lanes(features[: len(domains)])), "structure")):
            if domains if kind == "domains" else structure:
                figure.text((LEFT - 0.08) / WIDTH, 1 - (y + LANE * (row + 0.5)) / height, kind,
                            fontsize=7.5, ha="right", va="center", color=MUTED)  # fmt: skip
        box = (LEFT / WIDTH, 1 - (y + LANE * len(lanes)) / height, across / WIDTH,
               LANE * len(lanes) / height)  # fmt: skip
        axes = figure.add_axes(box)
        _features(axes, lanes, length, across)
    axes.set_xlabel(f"residue of the reference protein (1 to {length})")
    middle = figure.axes[: len(chosen)]
    bottom, top = middle[-1].get_position().y0, middle[0].get_position().y1
    figure.text(0.16 / WIDTH, (bottom + top) / 2, shift_label(interpretation), rotation=90,
                ha="center", va="center", fontsize=9)  # fmt: skip
    _legend(figure, interpretation)
    return figure


def _checked(feature: Feature, length: int) -> Feature:
    start, end, name = feature
    if not 1 <= start <= end <= length:
        msg = f"domain {name!r}: runs from {start} to {end}; give residues within 1 to {length}"
        raise InputError(msg)
    return feature


def _title(interpretation: Interpretation, copy: int) -> str:
    count = len(interpretation.copies)
    label = clip(interpretation.copies[copy - 1].label, 70)
    return f"copy {copy} of {count}: {label}"


def _lanes(features: Sequence[Feature]) -> list[list[Feature]]:
    """Return features in rows in which none overlaps another."""
    lanes: list[list[Feature]] = []
    for feature in sorted(features):
        for lane in lanes:
            if lane[-1][1] < feature[0]:
                lane.append(feature)
                break
        else:
            lanes.append([feature])
    return lanes


def _ends(
    interpretation: Interpretation, band: tuple[FloatArray, FloatArray]
) -> tuple[float, float]:
    shifts = [s for e in interpretation.effects for s in (e.last_out, e.first_in) if s is not None]
    known = np.concatenate([*band, shifts, [0.0]])
    low, high = float(np.nanmin(known)), float(np.nanmax(known))
    room = 0.08 * (high - low or 1.0)
    return low - room, high + room


def _size(effect: Effect) -> float:
    return abs(effect.last_out) if effect.last_out is not None else float("inf")


def _names(interpretation: Interpretation, copy: int, across: float, length: int) -> list[_Name]:
    """Return the names of the loudest changes, and of those without a number, in tiers."""
    effects = [e for e in interpretation.effects if e.copy == copy]
    silent = [e for e in effects if e.status == "not assessed"]
    loud = sorted((e for e in effects if e not in silent), key=_size, reverse=True)
    shown = sorted([*loud, *silent][:MOST_NAMED], key=lambda e: e.position)
    ends: list[float] = []
    found = []
    for effect in shown:
        text = clip(effect.short, 22)
        wide = (0.075 * len(text) + 0.1) / across * length
        x = min(max(effect.position, wide / 2), length + 1 - wide / 2)
        tier = next((i for i, end in enumerate(ends) if end < x - wide / 2), len(ends))
        ends[tier : tier + 1] = [x + wide / 2]
        found.append(_Name(effect, text, x, tier))
    return found


def _panel(
    axes: Axes, interpretation: Interpretation, copy: int, band: tuple[FloatArray, FloatArray],
    ends: tuple[float, float], names: Sequence[_Name],
) -> None:  # fmt: skip
    length = interpretation.protein_length
    color, marker = COLORS[(copy - 1) % 2], MARKERS[(copy - 1) % 2]
    residues = np.arange(1, length + 1)
    axes.fill_between(residues, *band, color=BAND, alpha=0.3, linewidth=0, zorder=1)
    axes.axhline(0, color=MUTED, linewidth=0.8, zorder=2)
    axes.set_xlim(0, length + 1)
    axes.set_ylim(*ends)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="x", length=2)
    found = [e for e in interpretation.effects if e.copy == copy]
    for effect in found:
        x = effect.position
        if effect.last_out is not None and effect.first_in is not None:
            reach = max((effect.last_out, effect.first_in), key=abs)
            axes.plot([x, x], [0, reach], color=color, linewidth=1.3, zorder=3)
            axes.plot(x, effect.last_out, marker, color=color, markersize=6, zorder=5)
            axes.plot(x, effect.first_in, marker, markersize=9.5, markerfacecolor="none",
                      markeredgecolor=color, markeredgewidth=1.4, zorder=4)  # fmt: skip
        elif effect.status == "length changes":
            axes.plot(x, 0, "X", color=color, markersize=7, markeredgewidth=0, zorder=5)
        else:
            axes.plot(x, 0, "|", color=INK, markersize=9, markeredgewidth=1.5, zorder=5)
    if not found:
        axes.text(0.5, 0.5, "no change of the coding sequence: nothing is taken out",
                  transform=axes.transAxes, ha="center", va="center", color=MUTED)  # fmt: skip
    top = ends[1]
    each = TIER / PANEL * (ends[1] - ends[0])
    for name in names:
        at = top + each * (name.tier + 0.15)
        axes.plot([name.effect.position, name.effect.position], [0, at], color=RULE, linewidth=0.7,
                  clip_on=False, zorder=1.5)  # fmt: skip
        axes.text(name.x, at, name.text, fontsize=8, ha="center", va="bottom", color=INK)


def _features(axes: Axes, lanes: Sequence[Sequence[Feature]], length: int, across: float) -> None:
    axes.set_xlim(0, length + 1)
    axes.set_ylim(len(lanes), 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    for row, lane in enumerate(lanes):
        for start, end, name in lane:
            kind = name.casefold()
            if kind.startswith(("strand", "beta strand")):
                head = min(2.0, (end - start + 1) / 2)
                points = [(start - 0.5, row + 0.35), (end + 0.5 - head, row + 0.35),
                          (end + 0.5 - head, row + 0.2), (end + 0.5, row + 0.5),
                          (end + 0.5 - head, row + 0.8), (end + 0.5 - head, row + 0.65),
                          (start - 0.5, row + 0.65)]  # fmt: skip
                axes.add_patch(Polygon(points, facecolor=BAND, alpha=0.75, linewidth=0))
                continue
            helix = kind.startswith("helix")
            axes.add_patch(Rectangle(
                (start - 0.5, row + 0.12), end - start + 1, 0.76, facecolor=BAND,
                alpha=0.75 if helix else 0.25, linewidth=0.7, edgecolor=MUTED,
                hatch="////" if helix else None,
            ))  # fmt: skip
            if not helix:
                _feature_name(axes, lane, (start, end, name), row, (length + 1) / across)


def _feature_name(
    axes: Axes, lane: Sequence[Feature], feature: Feature, row: int, inch: float
) -> None:
    """Write a name into its box; else behind it, where there is room; else cut to the box."""
    start, end, name = feature
    wide = (LETTER * len(clip(name, 40)) + 0.08) * inch
    following = min((s for s, _, _ in lane if s > end), default=axes.get_xlim()[1])
    inside = wide <= end - start + 1
    behind = not inside and wide + 1 <= following - end
    letters = 40 if inside or behind else int((end - start + 1) / inch / LETTER)
    if letters < 3:
        return
    x = end + 1.0 + 0.04 * inch if behind else (start + end) / 2
    axes.text(x, row + 0.52, clip(name, letters), fontsize=7.5, va="center",
              ha="left" if behind else "center", color=INK)  # fmt: skip


def _legend(figure: Figure, interpretation: Interpretation) -> None:
    effects = interpretation.effects

    def head(marker: str, face: str, edge: str, label: str, size: float = 7) -> Line2D:
        return Line2D([], [], linestyle="none", marker=marker, markerfacecolor=face,
                      markeredgecolor=edge, markersize=size, label=label)  # fmt: skip

    items: list[Line2D | Patch] = [
        head("o", MUTED, MUTED, "last-out: on this person's own copy", 6),
        head("o", "none", MUTED, "first-in: alone on the reference", 9),
    ]
    if any(e.status == "length changes" for e in effects):
        items.append(head("X", MUTED, MUTED, "length changes, no score"))
    if any(e.status == "not assessed" for e in effects):
        items.append(head("|", INK, INK, "not assessed", 9))
    if interpretation.by_position:
        label = "90 % of all missense changes (first-in)"
        items.append(Patch(facecolor=BAND, alpha=0.3, label=label))
    figure.legend(handles=items, loc="upper left", bbox_to_anchor=(LEFT / WIDTH - 0.01, 1),
                  ncols=3, borderaxespad=0.3, handletextpad=0.4, columnspacing=1.4)  # fmt: skip
