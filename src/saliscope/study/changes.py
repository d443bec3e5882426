"""The figures of the attention study: what changes from the reference to each variant."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from saliscope.core.units import FloatArray
from saliscope.show.style import DIVERGING, INK, MUTED, RULE, drawn, new_figure, quiet_glyphs
from saliscope.study.attend import AttentionStudy
from saliscope.study.figures import (
    COLORS,
    bar,
    by_class,
    contact_heads,
    group_colors,
    head_sites,
    key,
    layer_ticks,
    matched_variants,
    reference_layers,
    reference_matrix,
    rivals,
    span,
)

__all__ = [
    "FIGURES", "change_layers", "change_matrices", "change_profiles", "figures_of",
    "moved_and_distance", "own_attention", "scores", "settled",
]  # fmt: skip


def _panels(
    study: AttentionStudy, height: float, *, width: float = 9.2
) -> tuple[Figure, list[Axes]]:
    rows = -(-len(study.variants) // 2)
    figure = new_figure(width, 1.0 + height * rows, "constrained")
    grid = figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False)
    return figure, list(grid.ravel())


def _name(axes: Axes, study: AttentionStudy, number: int) -> None:
    one = study.variants[number]
    axes.set_title(f"{one.name}  {one.label}, pair {one.pair}", color=COLORS[one.label], fontsize=9)


@drawn
def change_profiles(study: AttentionStudy) -> Figure:
    """Draw what each residue receives more or less in each variant, mean over layers."""
    figure, panels = _panels(study, 1.15)
    change = study.difference.mean(1)[:, study.part] * len(study.sequence)
    edge = float(np.abs(change).max()) or 1.0
    at = np.arange(study.window[0], study.window[1] + 1)
    for axes, (number, one) in zip(panels, by_class(study), strict=False):
        for name, color in group_colors(study).items():
            axes.vlines(study.groups[name], -edge, edge, color=color, lw=0.5, alpha=0.35)
        axes.fill_between(at, change[number], step="mid", color=COLORS[one.label], lw=0)
        axes.axhline(0, color=MUTED, lw=0.5)
        axes.plot(one.variant.position, edge, "v", color=INK, ms=5, clip_on=False)
        axes.set_ylim(-edge, edge)
        _name(axes, study, number)
    for axes in panels[-2:]:
        axes.set_xlabel("residue")
    figure.supylabel(
        "received, variant minus reference\n(times the mean residue's share)", fontsize=8.5
    )
    key(figure, study)
    title = "What each residue receives more (+) or less (−)   ▼ variant"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
    return figure


@drawn
def change_layers(study: AttentionStudy) -> Figure:
    """Draw the same by layer: which layers look elsewhere, and where."""
    figure, panels = _panels(study, max(0.95, 0.45 + 0.06 * study.layers))
    change = study.difference[:, :, study.part] * len(study.sequence)
    edge = float(np.quantile(np.abs(change), 0.998)) or 1.0
    low, high = study.window
    for axes, (number, one) in zip(panels, by_class(study), strict=False):
        image = axes.imshow(
            change[number], aspect="auto", cmap=DIVERGING, norm=Normalize(-edge, edge),
            interpolation="none", extent=(low - 0.5, high + 0.5, study.layers - 0.5, -0.5),
        )  # fmt: skip
        axes.plot(one.variant.position, -0.5, "v", color=INK, ms=5, clip_on=False)
        _name(axes, study, number)
        layer_ticks(axes, study.layers)
    for axes in panels[-2:]:
        axes.set_xlabel("residue")
    for axes in panels[::2]:
        axes.set_ylabel("layer")
    bar(figure, image, panels, "received, variant − reference\n(times the mean residue's share)",
        beyond="both")  # fmt: skip
    figure.suptitle("What each residue receives more or less, layer by layer   ▼ variant",
                    x=0.01, ha="left", fontsize=10.5, fontweight="bold")  # fmt: skip
    return figure


@drawn
def change_matrices(study: AttentionStudy) -> Figure:
    """Draw query by key, variant minus reference, mean over layers and heads."""
    columns = max(1, -(-len(study.variants) // 2))
    figure = new_figure(max(7.0, 2.1 * columns + 0.9), 4.9, "constrained")
    grid = figure.subplots(2, columns, sharex=True, sharey=True, squeeze=False)
    edge = float(np.quantile(np.abs(study.change), 0.999)) or 1.0
    rows = {"pathogenic": 0, "benign": 1}
    image = None
    for axes in grid.ravel():
        axes.set_axis_off()
    for number, one in enumerate(study.variants):
        axes = grid[rows[one.label], one.pair - 1]
        axes.set_axis_on()
        image = axes.imshow(
            study.change[number], cmap=DIVERGING, norm=Normalize(-edge, edge), extent=span(study),
            interpolation="none",
        )  # fmt: skip
        axes.set_title(one.name, color=COLORS[one.label], fontsize=9)
        axes.plot(one.variant.position, span(study)[3], "v", color=INK, ms=4, clip_on=False)
        axes.plot(span(study)[0], one.variant.position, ">", color=INK, ms=4, clip_on=False)
    for row, label in enumerate(rows):
        grid[row, 0].set_ylabel(f"{label}\nquery")
    for axes in grid[1]:
        axes.set_xlabel("key")
    if image is not None:
        bar(figure, image, list(grid.ravel()), "attention, variant minus reference", beyond="both")
    figure.suptitle("Who looks at whom: variant minus reference, mean over layers and heads",
                    x=0.01, ha="left", fontsize=10.5, fontweight="bold")  # fmt: skip
    return figure


@drawn
def own_attention(study: AttentionStudy) -> Figure:
    """Draw how much of the variant residue's own attention goes to each group, before and after."""
    figure = new_figure(max(6.4, 1 + 4 * len(study.groups)), 3.9, "constrained")
    panels = np.atleast_1d(figure.subplots(1, len(study.groups)))
    for k, (axes, name) in enumerate(zip(panels, study.groups, strict=True)):
        share = study.toward[..., k].mean(2)
        order = [i for i, _ in by_class(study)]
        for row, number in enumerate(order):
            one = study.variants[number]
            y = len(order) - 1 - row
            before, after = share[0, number], share[1, number]
            if abs(after - before) > 0.04 * float(share.max()):  # else it would be under the circle
                axes.annotate("", (after, y), (before, y), arrowprops={
                    "arrowstyle": "-|>", "color": COLORS[one.label], "lw": 1.6, "shrinkA": 0,
                    "shrinkB": 0})  # fmt: skip
            axes.plot(before, y, "o", ms=5, color="white", mec=COLORS[one.label], mew=1.4)
        flat = sum(study.window[0] <= p <= study.window[1] for p in study.groups[name])
        axes.axvline(flat / len(study.sequence), color=RULE, zorder=0)
        names = [study.variants[i].name for i in order[::-1]]
        axes.set_yticks(range(len(order)), names if k == 0 else [""] * len(names))
        axes.set_xlim(0, float(share.max()) * 1.12)
        axes.set_xlabel("share of the residue's own attention")
        axes.set_title(f"to {name}")
    for label, number in zip(panels[0].get_yticklabels(), order[::-1], strict=True):
        label.set_color(COLORS[study.variants[number].label])
    told = (
        "circle: reference; arrow: to the variant (none: hardly a change); gray line: an even "
        "spread; mean over layers and heads"
    )
    figure.supxlabel(told, fontsize=8, color=MUTED)
    return figure


@drawn
def moved_and_distance(study: AttentionStudy) -> Figure:
    """Draw the share of attention that goes elsewhere by layer, and its fall with distance."""
    figure = new_figure(10.4, 3.9, "constrained")
    axes, left, right = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
    _moved(axes, study)
    change = np.abs(study.difference.mean(1)) * len(study.sequence)
    chain = np.array([0, 1, 2, 4, 8, 16, 32, 64, 128, 1 << 20], dtype=float)
    space = np.array([0.0, 0.1, 6, 8, 10, 12, 16, 20, 25, 30, 1e9])
    at = np.arange(1, len(study.sequence) + 1)
    for number, one in enumerate(study.variants):
        _decay(left, np.abs(at - one.variant.position), change[number], chain, one.label)
        away = study.apart(number)
        if away is not None:
            _decay(right, away, change[number], space, one.label)
    for panel, edges, word in ((left, chain, "residues along the chain"),
                               (right, space, "Å between beta carbons")):  # fmt: skip
        inner = list(pairwise(edges[1:-1].tolist()))
        if edges is chain:
            names = [f"{a:g}" if b - a == 1 else f"{a:g}–{b - 1:g}" for a, b in inner]
        else:
            names = [f"< {edges[2]:g}", *(f"{a:g}–{b:g}" for a, b in inner[1:])]
        names = ["itself", *names, f"≥ {edges[-2]:g}"]
        panel.set_xticks(range(len(names)), names, rotation=50, ha="right")
        panel.set_xlabel(word)
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter(lambda value, _place: f"{value:g}")
    right.sharey(left)
    if study.placed is None:
        right.set_axis_off()
    left.set_ylabel("mean size of the change in what is\nreceived (times the mean residue's share)")
    left.set_title("by distance in the chain", fontsize=9)
    right.set_title(
        "and in space (lines: variants)" if study.placed is not None else "", fontsize=9
    )
    return figure


def _moved(axes: Axes, study: AttentionStudy) -> None:
    layers = np.arange(study.layers)
    order = np.argsort(study.moved[:, -1], kind="stable")
    room, places = float(study.moved.max()) * 0.056, study.moved[order, -1].astype(np.float64)
    for _ in range(200):  # names that are too near push each other away
        push = np.maximum(room - np.diff(places), 0) / 2
        places[:-1] -= push
        places[1:] += push
    for number, place in zip(order, places, strict=True):
        one, own = study.variants[number], study.moved[number]
        style = "-" if one.label == "pathogenic" else (0, (4, 1.6))
        dots = "o" if study.layers <= 12 else ""
        axes.plot(layers, own, ls=style, marker=dots, ms=3, lw=1.3, color=COLORS[one.label])
        axes.annotate(
            one.name, (layers[-1], own[-1]), (layers[-1] + 0.06 * max(1, layers[-1]), place),
            fontsize=7.5, va="center", color=COLORS[one.label],
            arrowprops={"arrowstyle": "-", "color": COLORS[one.label], "lw": 0.5, "alpha": 0.7},
        )  # fmt: skip
    axes.set_xlim(-0.1, layers[-1] * 1.32 + 0.1)
    axes.set_ylim(0, max(float(study.moved.max()), *places) * 1.06)
    layer_ticks(axes, study.layers, which="x")
    axes.set_xlabel("layer")
    axes.set_ylabel("share of attention that moved")
    axes.set_title("Attention that goes elsewhere, by layer")


def _decay(
    axes: Axes, apart: FloatArray, change: FloatArray, edges: FloatArray, label: str
) -> None:
    bins = np.digitize(apart, edges[1:])
    parts = [change[(bins == k) & np.isfinite(apart)] for k in range(len(edges) - 1)]
    # A mean of two or three residues that hardly change would fall off the axis.
    y = np.array(
        [p.mean() if len(p) > (3 if k > 2 else 0) else np.nan for k, p in enumerate(parts)]
    )
    axes.plot(np.arange(len(y)), y, "-o", ms=2.6, lw=1, alpha=0.8, color=COLORS[label])


@drawn
def scores(study: AttentionStudy) -> Figure:
    """Draw how far attention moved beside the measured score and the model's own ratio."""
    figure = new_figure(9.0, 3.9, "constrained")
    panels = figure.subplots(1, 3)
    moved = study.moved.mean(1)
    measured = np.array([np.nan if m is None else m for m in study.measured])
    triples = (
        (measured, moved, study.assay or "measured score", "share of attention that moved"),
        (study.ratio, moved, "log P(variant) − log P(reference), nats", ""),
        (
            measured,
            study.ratio,
            study.assay or "measured score",
            "log P(variant) − log P(reference)",
        ),
    )
    for axes, (x, y, across, up) in zip(panels, triples, strict=True):
        axes.margins(0.2)
        _name_points(axes, study, x, y)
        axes.set_xlabel(across, fontsize=8)
        axes.set_ylabel(up, fontsize=8)
    if not np.isfinite(measured).any():
        for axes in (panels[0], panels[2]):
            axes.text(0.5, 0.5, "not measured", ha="center", transform=axes.transAxes, color=MUTED)
            axes.set_axis_off()
    panels[0].set_title("Ten points show, they do not test" if len(moved) == 10 else "Each variant")
    return figure


_AROUND = ((0, 6), (0, -12), (22, -3), (-22, -3), (18, 8), (-18, 8), (18, -13), (-18, -13),
           (32, -8), (-32, -8), (0, 17), (0, -23), (26, 16), (-26, 16))  # fmt: skip
"""Where a name may stand about its point, in points."""


def _name_points(axes: Axes, study: AttentionStudy, x: FloatArray, y: FloatArray) -> None:
    """Draw points and their names, each where it covers neither a point nor a name."""
    known = [i for i in range(len(x)) if np.isfinite(x[i]) and np.isfinite(y[i])]
    for i in known:
        color = COLORS[study.variants[i].label]
        axes.plot(x[i], y[i], "o", ms=6, color=color, mec="white")
    if not known:
        return
    wide, high = (max(float(np.ptp(v[known])), 1e-12) * 1.4 for v in (x, y))
    spots = {i: ((x[i] / wide) * 170, (y[i] / high) * 190) for i in known}  # roughly, in points
    taken = list(spots.values())
    leader = {"arrowstyle": "-", "color": MUTED, "lw": 0.5, "shrinkA": 0, "shrinkB": 3}
    for i in known:
        px, py = spots[i]
        free = [
            (dx, dy) for dx, dy in _AROUND
            if all(abs(px + dx - a) > 27 or abs(py + dy + 3 - b) > 8 for a, b in taken
                   if (a, b) != (px, py))
        ]  # fmt: skip
        dx, dy = (free or [_AROUND[0]])[0]
        taken.append((px + dx, py + dy + 3))
        axes.annotate(
            study.variants[i].name, (x[i], y[i]), (dx, dy), textcoords="offset points",
            ha="center", fontsize=7, color=COLORS[study.variants[i].label],
            arrowprops=leader if (dx, dy) not in _AROUND[:2] else None,
        )  # fmt: skip


FIGURES: dict[str, tuple[Callable[[AttentionStudy], Figure], str]] = {
    "01_variants": (
        matched_variants,
        "Where the variants lie, over the relative solvent accessibility of every residue. "
        "Numbers in brackets and dotted lines: pairs that are matched by accessibility.",
    ),
    "02_reference_layers": (
        reference_layers,
        "What every residue receives in the reference, by layer: mean over heads and queries, "
        "special tokens left out, 1 is an even spread. Colors end at the 99.5th percentile.",
    ),
    "03_heads_and_sites": (
        head_sites,
        "Attention received at sites over that elsewhere, for every head. A star: false discovery "
        "rate under 5 % against all circular shifts of the sites, within the window.",
    ),
    "04_rivals": (
        rivals,
        "How well each head tells sites from other residues, beside the type of the residue and "
        "the model's certainty. A head left of a line says no more than that line does.",
    ),
    "05_reference_matrix": (
        reference_matrix,
        "Query by key in the reference in the layer whose head finds contacts best; beside it "
        "symmetrized and corrected (APC), with the contacts of the structure below the diagonal.",
    ),
    "06_contacts": (
        contact_heads,
        "Precision of the L strongest pairs of every head, minus that of a random order. The best "
        "of many heads is best by chance too: trust the number on held-out proteins.",
    ),
    "07_change_profiles": (
        change_profiles,
        "What each residue receives in the variant minus in the reference, mean over layers. "
        "Thin lines: sites.",
    ),
    "08_change_layers": (
        change_layers,
        "The same for every layer. Colors end at the 99.8th percentile of all panels.",
    ),
    "09_change_matrices": (
        change_matrices,
        "Which query looks at which key more (orange) or less (blue) in the variant. Triangles: "
        "the variant's row and column. Colors end at the 99.9th percentile of sizes.",
    ),
    "10_own_attention": (
        own_attention,
        "Where the variant's own residue looks: share of its attention that goes to each group of "
        "sites, in the reference and in the variant.",
    ),
    "11_moved": (
        moved_and_distance,
        "The share of attention that goes elsewhere in the variant, for every layer, and the size "
        "of the change by the distance from the variant, along the chain and in space.",
    ),
    "12_scores": (
        scores,
        "How far attention moved, beside a laboratory's score and the model's own ratio.",
    ),
}
"""Name, function and caption of every figure, in their order."""


def figures_of(study: AttentionStudy) -> dict[str, tuple[Figure, str]]:
    """Return the figures of a study with their captions; without a structure, one less.

    Parameters
    ----------
    study : AttentionStudy

    Returns
    -------
    dict of str to (matplotlib.figure.Figure, str)
    """
    return {
        name: (settled(draw(study)), caption)
        for name, (draw, caption) in FIGURES.items()
        if study.contacts is not None or draw is not contact_heads
    }


def settled(figure: Figure) -> Figure:
    """Lay a figure out once and for all: layouts are slow, and a second one moves things a bit."""
    with quiet_glyphs():
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure
