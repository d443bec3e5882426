"""Pictures of an audit of spurious cues: a region on examples, and its effect beside controls."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from saliscope.audit.pictures.regions import Region
from saliscope.audit.record import Audit
from saliscope.models.vision.images import kept_picture
from saliscope.show.style import INK, LOWER, MUTED, RAISE, drawn, new_figure, number

__all__ = ["figures"]

_SHOWN = 12  # classes


def figures(audit: Audit) -> dict[str, tuple[Figure, str]]:
    """Return the pictures by name, each with its caption."""
    about = audit.meta["about"]
    region = Region(*about["region"])
    return {
        "example": (
            _example(audit),
            f"The {region} on one pair of pictures, and what the model gives for "
            f"{about['class']!r}: taken out of a picture of it, and pasted into one of another "
            "class. Of all pairs that were tested, the one on which pasting does most.",
        ),
        "controls": (
            _controls(audit),
            "Effect of the region (diamond, with its 95 % interval) beside the controls: patches "
            "of the same size at other places, with what the picture has there and with textures. "
            "The line is the 99th percentile of the controls.",
        ),
    }


@drawn
def _example(audit: Audit) -> Figure:
    about = audit.meta["about"]
    panels: list[dict[str, Any]] = about["panels"]
    x, y, width, height = about["region"]
    figure = new_figure(7.2, 2.5, layout="constrained")
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), place + 1)
        axes.imshow(kept_picture(panel["picture"]), interpolation="nearest")
        axes.add_patch(
            Rectangle((x - 0.5, y - 0.5), width, height, fill=False, edgecolor=RAISE, linewidth=1.8)
        )
        chance = 1 / (1 + np.exp(-panel["odds"]))
        axes.set_title(panel["title"], fontsize=8.5, fontweight="normal")
        axes.set_xlabel(f"P({about['class']}) = {chance:.1%}", fontsize=8.5, color=INK)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
    return figure


@drawn
def _controls(audit: Audit) -> Figure:
    rows = audit["cues"].head(_SHOWN)
    controls = audit["controls"]
    figure = new_figure(7.2, 1.25 + 0.42 * len(rows), layout="constrained")
    axes: Axes = figure.add_subplot()
    spread = np.random.default_rng(0)
    for place, (_, row) in enumerate(rows.iterrows()):
        own = controls[controls["class"] == row["class"]]
        for textures, color, marker, label in (
            (False, MUTED, "o", "other places"), (True, LOWER, "s", "textures there"),
        ):  # fmt: skip
            part = own[(own["content"] != "own") == textures]
            axes.scatter(
                part["effect"], place + spread.uniform(-0.2, 0.2, len(part)), s=14, c=color,
                marker=marker, alpha=0.55, linewidths=0, label=None if place else label,
            )  # fmt: skip
        axes.plot([row["control 99 %"]] * 2, [place - 0.34, place + 0.34], color=INK, linewidth=1.1)
        axes.errorbar(
            row["effect"], place,
            xerr=[[row["effect"] - row["low"]], [row["high"] - row["effect"]]],
            fmt="D", color=RAISE, markersize=6, elinewidth=1.6, capsize=2.5,
            label=None if place else "the region",
        )  # fmt: skip
        axes.annotate(
            f"{number(row['effect'], sign=True)}{', caught' if row['caught'] else ''}",
            (max(row["high"], row["control 99 %"]), place), xytext=(6, 0),
            textcoords="offset points", va="center", fontsize=8,
        )  # fmt: skip
    axes.axvline(0, color=MUTED, linewidth=0.6, zorder=0)
    axes.set_yticks(range(len(rows)), [str(name) for name in rows["class"]])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.margins(x=0.12)
    axes.set_xlabel("mean change of the log-odds of the class")
    figure.legend(loc="outside upper right", ncols=3)
    return figure
