"""The figures of the attention study: the protein, the reference, its sites and contacts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from saliscope.core.errors import OptionError
from saliscope.core.units import FloatArray
from saliscope.show.scene import RISING
from saliscope.show.style import DIVERGING, INK, LOWER, MUTED, RAISE, RULE, drawn, new_figure
from saliscope.sites.contacts import apc, symmetric
from saliscope.study.attend import AttentionStudy

__all__ = [
    "COLORS",
    "contact_heads",
    "head_sites",
    "matched_variants",
    "reference_layers",
    "reference_matrix",
    "rivals",
    "site_ticks",
]  # fmt: skip

COLORS = {"pathogenic": RAISE, "benign": LOWER}
GROUPS = ("#6a1b9a", "#00796b", "#c2185b", "#5d4037")
"""Of the groups of sites, in their order."""


def group_colors(study: AttentionStudy) -> dict[str, str]:
    """Return the color of each group of sites."""
    return {name: GROUPS[i % len(GROUPS)] for i, name in enumerate(study.groups)}


def site_ticks(axes: Axes, study: AttentionStudy) -> None:
    """Mark the sites of every group above the axes; the title moves up to make room."""
    for row, (name, color) in enumerate(group_colors(study).items()):
        at = [p for p in study.groups[name] if study.window[0] <= p <= study.window[1]]
        for place in at:
            axes.annotate(
                "▼", (place, 1), (0, 2 + 7 * row), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="center", va="bottom", fontsize=5.5, color=color,
                annotation_clip=False,
            )  # fmt: skip
    axes.set_title(axes.get_title(loc="left"), pad=8 + 7 * len(study.groups), loc="left")


def key(figure: Figure, study: AttentionStudy, *, classes: bool = False, y: float = 0.995) -> None:
    """Write the legend of groups, and of classes where they are drawn."""
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], marker="v", ls="", color=color, ms=5, label=name)
        for name, color in group_colors(study).items()
    ]
    if classes:
        marks += [
            Line2D([], [], marker="o", ls="", color=color, ms=6, label=label)
            for label, color in COLORS.items()
        ]
    figure.legend(
        handles=marks, loc="upper right", ncols=len(marks), fontsize=8, handletextpad=0.2,
        columnspacing=1.0, borderaxespad=0.2, bbox_to_anchor=(0.995, y),
    )  # fmt: skip


def span(study: AttentionStudy) -> tuple[float, float, float, float]:
    """Return the extent of a matrix over the window, query downward."""
    low, high = study.window[0] - 0.5, study.window[1] + 0.5
    return low, high, high, low


def bar(figure: Figure, image: Any, axes: Any, label: str, *, beyond: str = "neither") -> None:
    """Draw a color bar, with an arrow where values go `beyond` its end: "max", "min", "both"."""
    made = figure.colorbar(image, ax=axes, pad=0.02, fraction=0.05, extend=beyond)
    made.set_label(label, fontsize=8)
    made.outline.set_visible(False)
    made.ax.tick_params(labelsize=7.5)


@drawn
def matched_variants(study: AttentionStudy) -> Figure:
    """Draw where the variants and sites lie, over the relative accessibility of residues."""
    figure = new_figure(9.2, 3.6, "constrained")
    axes = figure.add_subplot()
    low, high = study.window
    at = np.arange(low, high + 1)
    area = study.area[study.part]
    axes.fill_between(at, 0, area, step="mid", color=RULE, lw=0)
    axes.plot(at, area, drawstyle="steps-mid", color=MUTED, lw=0.6)
    for pair in sorted({v.pair for v in study.variants}):
        two = [v for v in study.variants if v.pair == pair]
        axes.plot(
            [v.variant.position for v in two], [v.area for v in two], ":", color=MUTED, lw=0.9
        )
    labels = sorted(study.variants, key=lambda v: v.variant.position)
    heights: list[tuple[float, float]] = []
    top = max(1.0, float(np.nanmax(area)) if np.isfinite(area).any() else 1.0)
    for v in labels:
        y = top * 1.12
        while any(abs(x - v.variant.position) < (high - low) * 0.065 and abs(y - h) < top * 0.09
                  for x, h in heights):  # fmt: skip
            y += top * 0.1
        heights.append((v.variant.position, y))
        axes.plot([v.variant.position] * 2, [v.area, y - top * 0.02], color=COLORS[v.label], lw=0.8)
        axes.plot(v.variant.position, v.area, "o", color=COLORS[v.label], ms=6.5, mec="white")
        axes.text(v.variant.position, y, f"{v.name} ({v.pair})", ha="center", fontsize=8,
                  color=COLORS[v.label], fontweight="bold")  # fmt: skip
    axes.set_xlim(low - 1, high + 1)
    axes.set_ylim(0, max([top * 1.15, *(h for _, h in heights)]) + top * 0.14)
    axes.set_yticks(np.arange(0, top + 0.01, 0.25))  # above that there are only names
    axes.set_xlabel(f"residue of {study.name}")
    axes.set_ylabel("relative solvent accessibility")
    axes.set_title("The variants: pairs (numbered) of nearest accessibility")
    site_ticks(axes, study)
    key(figure, study, classes=True)
    return figure


@drawn
def reference_layers(study: AttentionStudy) -> Figure:
    """Draw what every residue of the reference receives, layer by layer."""
    figure = new_figure(9.2, max(2.6, 1.7 + 0.16 * study.layers), "constrained")
    axes = figure.add_subplot()
    values = study.received[0][:, study.part] * len(study.sequence)
    edge = float(np.quantile(values, 0.995))
    low, high = study.window
    image = axes.imshow(
        values, aspect="auto", interpolation="none", cmap=RISING, norm=Normalize(0, edge),
        extent=(low - 0.5, high + 0.5, study.layers - 0.5, -0.5),
    )  # fmt: skip
    layer_ticks(axes, study.layers)
    axes.set_xlabel(f"residue of {study.name}")
    axes.set_ylabel("layer")
    axes.set_title("Attention received in the reference, mean over heads and queries")
    site_ticks(axes, study)
    bar(figure, image, axes, "times the mean residue's share", beyond="max")
    key(figure, study)
    return figure


def layer_ticks(axes: Axes, layers: int, *, which: str = "y") -> None:
    """Put at most a dozen numbers along an axis of layers or heads."""
    step = max(1, -(-layers // 12))
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_ticks(np.arange(0, layers, step))


def _grid(table: Any, column: str) -> FloatArray:
    frame = table.pivot_table(index="layer", columns="head", values=column, dropna=False)
    return np.asarray(frame.to_numpy(), dtype=np.float64)


@drawn
def head_sites(study: AttentionStudy) -> Figure:
    """Draw how much more every head of the reference looks at each group than elsewhere."""
    names = list(study.scans)
    heads = study.scans[names[0]].maps["head"].nunique()
    figure = new_figure(
        max(6.4, len(names) * (1.6 + 0.2 * heads)), max(3.0, 1.8 + 0.17 * study.layers),
        "constrained",
    )  # fmt: skip
    grids = {n: np.log2(_grid(study.scans[n].maps, "enrichment")) for n in names}
    every = np.concatenate([g[np.isfinite(g)] for g in grids.values()])
    # A head that gives nothing to a handful of sites says little, and would pale all others.
    most = max(float(every.max()), float(np.quantile(np.abs(every), 0.75))) or 1.0
    panels = np.atleast_1d(figure.subplots(1, len(names), sharey=True))
    for axes, name in zip(panels, names, strict=True):
        table = study.scans[name].maps
        image = axes.imshow(
            grids[name], cmap=DIVERGING, norm=Normalize(-most, most), interpolation="none",
            aspect="auto",
        )  # fmt: skip
        strong = table[table["q_shift"] < 0.05]
        axes.plot(strong["head"], strong["layer"], "*", color="black", ms=11, mec="white", mew=0.8)
        count = int(study.scans[name].sites[0].mask[study.part].sum())
        axes.set_title(f"{name} ({count} residues)")
        axes.set_xlabel("head")
        layer_ticks(axes, study.layers)
        layer_ticks(axes, heads, which="x")
    panels[0].set_ylabel("layer")
    bar(figure, image, list(panels), "log2 of received at sites / elsewhere", beyond="min")
    figure.suptitle("Attention that sites receive, head by head",
                    x=0.01, ha="left", fontsize=10.5, fontweight="bold")  # fmt: skip
    told = "star: false discovery rate under 5 % against shifted sites, this protein only"
    figure.supxlabel(told, fontsize=8, color=MUTED)
    return figure


@drawn
def rivals(study: AttentionStudy) -> Figure:
    """Draw how well heads tell sites from other residues, beside what needs no attention."""
    names = list(study.scans)
    figure = new_figure(8.2, 1.5 + 1.1 * len(names), "constrained")
    axes = figure.add_subplot()
    rng = np.random.default_rng(0)
    for row, name in enumerate(names):
        scan = study.scans[name]
        y = len(names) - 1 - row
        values = scan.maps["auroc"].to_numpy()
        heights = y + rng.uniform(-0.16, 0.16, len(values))
        color, first = group_colors(study)[name], int(np.argmax(values))
        axes.plot(values, heights, "o", ms=4, color=color, alpha=0.6, mec="white", mew=0.4)
        axes.plot(values[first], heights[first], "o", ms=8, mfc="none", mec=INK, mew=0.9)
        best = scan.maps.iloc[first]
        axes.annotate(
            f"L{int(best['layer'])} H{int(best['head'])}", (values[first], heights[first]),
            (values[first], y + 0.37), ha="center", va="center", fontsize=7.5,
            arrowprops={"arrowstyle": "-", "color": INK, "lw": 0.7, "shrinkB": 4, "shrinkA": 1},
        )  # fmt: skip
        last = -np.inf
        for k, (_, rival) in enumerate(scan.rivals.sort_values("auroc").iterrows()):
            style = "-" if rival["rival"] == "residue identity" else (0, (2, 1.2))
            axes.plot([rival["auroc"]] * 2, [y - 0.33, y + 0.33], color=INK, lw=1.6, ls=style)
            lower = 12 if k and rival["auroc"] - last < 0.2 else 3
            last = rival["auroc"]
            axes.annotate(
                str(rival["rival"]), (rival["auroc"], y - 0.35), (0, -lower),
                textcoords="offset points", ha="center", va="top", fontsize=7.5, color=INK,
            )  # fmt: skip
    axes.axvline(0.5, color=RULE, zorder=0)
    axes.set_yticks(range(len(names)), names[::-1])
    axes.set_ylim(-0.7, len(names) - 0.4)
    axes.set_xlim(-0.04, 1.04)
    axes.set_xlabel("AUROC: chance that a site has a larger value than another residue")
    title = "Each head (dots; ring: the best) beside what knows sites without attention (lines)"
    axes.set_title(title)
    return figure


@drawn
def reference_matrix(study: AttentionStudy, layer: int | None = None) -> Figure:
    """Draw query by key in the reference, raw and corrected beside the contacts of the structure.

    Parameters
    ----------
    study : AttentionStudy
    layer : int, optional
        By default the layer of the head that finds contacts best, or the last.
    """
    if layer is None:
        contacts = study.contacts
        layer = study.layers - 1 if contacts is None else int(contacts.top(1)["layer"].iloc[0])
    if not 0 <= layer < study.layers:
        msg = f"layer={layer} does not exist; the model has layers 0 to {study.layers - 1}"
        raise OptionError(msg)
    figure = new_figure(9.4, 4.5, "constrained")
    left, right = figure.subplots(1, 2)
    values = study.maps[layer].astype(np.float64)
    image = left.imshow(
        values, cmap=RISING, norm=Normalize(0, float(np.quantile(values, 0.99))),
        extent=span(study), interpolation="none",
    )  # fmt: skip
    bar(figure, image, left, "attention", beyond="max")
    left.set_title(f"Layer {layer}, mean over heads")
    left.set_xlabel("key (residue)")
    left.set_ylabel("query (residue)")
    site_ticks(left, study)
    corrected = apc(symmetric(values))
    band = np.abs(np.subtract.outer(*[np.arange(len(values))] * 2)) >= 6
    upper = np.where(band & np.triu(np.ones_like(band)), corrected, np.nan)
    top = float(np.quantile(corrected[band], 0.99))
    shown = right.imshow(
        upper, cmap=RISING.with_extremes(bad="white"), norm=Normalize(0, top),
        extent=span(study), interpolation="none",
    )  # fmt: skip
    bar(figure, shown, right, "attention, symmetrized, APC", beyond="both")
    placed = study.placed
    if placed is not None:
        first, second = np.nonzero(np.triu(placed.contacts(), 6))
        columns = placed.columns
        inside = (columns >= study.window[0] - 1) & (columns < study.window[1])
        kept = inside[first] & inside[second]
        right.plot(columns[first[kept]] + 1, columns[second[kept]] + 1, "s", ms=1.1, color=INK)
        right.set_title("Above: attention; below: contacts < 8 Å")
    else:
        right.set_title("Above the diagonal: attention")
    right.set_xlabel("residue (pairs under 6 apart are left out)")
    right.set_xlim(span(study)[:2])
    right.set_ylim(span(study)[2:])
    right.set_title(right.get_title(loc="left"), pad=8 + 7 * len(study.groups), loc="left")
    figure.suptitle(" ", fontsize=16)  # room for the legend
    key(figure, study)
    return figure


@drawn
def contact_heads(study: AttentionStudy) -> Figure:
    """Draw the precision of every head for contacts, by how far apart residues are."""
    contacts = study.contacts
    if contacts is None:
        msg = "the study has no structure, so there are no contacts to draw"
        raise OptionError(msg)
    words = ("short", "medium", "long")
    heads = contacts.heads["head"].nunique()
    figure = new_figure(
        max(8.2, 3 * (1.0 + 0.16 * heads)), max(3.0, 1.8 + 0.17 * study.layers), "constrained"
    )
    panels = np.atleast_1d(figure.subplots(1, 3, sharey=True))
    grids = {w: _grid(contacts.heads, f"{w} P@L") for w in words}
    chances = {w: float(contacts.chance[w].iloc[0]) for w in words}
    most = max(float(np.nanmax(np.abs(grids[w] - chances[w]))) for w in words) or 1.0
    apart = {"short": "6 to 11", "medium": "12 to 23", "long": "24 and more"}
    for axes, word in zip(panels, words, strict=True):
        image = axes.imshow(
            grids[word] - chances[word], cmap=DIVERGING, norm=Normalize(-most, most),
            interpolation="none", aspect="auto",
        )  # fmt: skip
        axes.set_title(f"{word}: {apart[word]} apart", fontsize=9.5)
        axes.set_xlabel(f"head\nbest {np.nanmax(grids[word]):.3f}, chance {chances[word]:.3f}")
        layer_ticks(axes, study.layers)
        layer_ticks(axes, heads, which="x")
    panels[0].set_ylabel("layer")
    bar(figure, image, list(panels), "precision of the L strongest pairs\nminus chance")
    figure.suptitle("Contacts among the strongest pairs of every head, beside chance",
                    x=0.01, ha="left", fontsize=10.5, fontweight="bold")  # fmt: skip
    return figure


def by_class(study: AttentionStudy) -> Iterable[tuple[int, Any]]:
    """Yield the numbers and variants, the pairs below each other: pathogenic left, benign right."""
    order = sorted(range(len(study.variants)), key=lambda i: (
        study.variants[i].pair, study.variants[i].label != "pathogenic"))  # fmt: skip
    return [(i, study.variants[i]) for i in order]
