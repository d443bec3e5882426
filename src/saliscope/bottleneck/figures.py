"""The figures of an audit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saliscope.bottleneck.record import Audit
from saliscope.show.scene import RISING
from saliscope.show.style import INK, LOWER, MUTED, PLAIN, RAISE, RULE, drawn, new_figure

__all__ = ["figures_of"]

_SHOWN = 4  # variants that are drawn side by side
_NOTHING = 0.005  # selectivity of what is the same for every residue

_COLORS = {
    "bottleneck": RAISE, "decoder, from the bottleneck": "#d9a066",
    "another input's bottleneck": RULE, "slots in another order": "#8c959f",
    "encoder, mean over places": LOWER, "window of residues": "#5d4037", "composition": "#a1887f",
    "reference and variant residue": "#c2185b",
}  # fmt: skip


def _color(name: str) -> str:
    return _COLORS.get(name, "#7fb3bb" if name.endswith("mean over places") else PLAIN)


def figures_of(audit: Audit) -> dict[str, tuple[Figure, str]]:
    """Return the figures that the tables of an audit allow, each with its caption.

    Parameters
    ----------
    audit : Audit

    Returns
    -------
    dict of str to (matplotlib.figure.Figure, str)
    """
    makers: dict[str, tuple[str, Callable[[Audit], Figure], str]] = {
        "rebuilt": ("rebuilt", _rebuilt, (
            "What is written from the bottleneck, beside what is written from wrong ones. Mean "
            "over inputs; lines are 95 % intervals of redrawn families.")),
        "along": ("rebuilt", _along, (
            "The same along the chain, and for each kind of residue, rarest first. Below: how "
            "many residues each value is of.")),
        "slots": ("slots", _slots, (
            "Where each slot looks (mean place, and as many places as the line is long) and how "
            "much of the decoder's cross-attention it receives.")),
        "heads": ("attention", _heads, (
            "How many keys each head looks at (exp of the entropy, mean over queries), as a share "
            "of those that there are: little is focused.")),
        "probes": ("probes", _probes, (
            "Selectivity: what a probe reads of a task, minus what it reads of labels that say "
            "nothing. Equal dimension; families held out; 95 % intervals of redrawn families. A "
            "representation that is one for all residues cannot answer for each and is left out; "
            "above 1, labels that say nothing were read worse than by chance.")),
        "kept": ("kept", _kept, (
            "How far the bottleneck moves, relative to its size, where only the order or only the "
            "letters of a protein change. The line is numeric noise.")),
        "variants": ("variants", _variants, (
            "Missense variants: how far the bottleneck moves, and how surely the variant's residue "
            "is written.")),
        "similarity": ("similarity", _similarity, (
            "Linear centered kernel alignment, over residues, with each layer of the other model; "
            "dashed: with residues shuffled.")),
        "agreement": ("agreement", _agreement, (
            "Attention on the same variants, in the encoder and in the other model: how what "
            "residues receive correlates, and how many of the ten that change most are the same.")),
        "beside": ("beside", _beside, (
            "Side by side: what residues receive more (up) or less (down) in a variant than in the "
            "reference; dashed, the variant's place.")),
    }  # fmt: skip
    found = {}
    for name, (table, make, caption) in makers.items():
        if not audit[table].empty and not (name == "along" and not audit.meta["residues"]):
            found[name] = make(audit), caption
    return found


def _bars(axes: Axes, y: float, row: pd.Series, color: str, *, column: str = "accuracy") -> None:
    axes.barh(y, row[column], height=0.8, color=color, lw=0)
    axes.plot([row["low"], row["high"]], [y, y], color=INK, lw=1.0)


def _powers(axes: Axes) -> None:
    """Write the powers of ten of a logarithmic axis as text."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    axes.xaxis.set_major_locator(LogLocator(numticks=8))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda v, _: f"10{str(round(np.log10(v))).translate(raised)}")
    )
    axes.xaxis.set_minor_formatter(NullFormatter())


@drawn
def _rebuilt(audit: Audit) -> Figure:
    table = audit["rebuilt"]
    far = table[table["group"] == "beyond the limit"]["label"].unique()
    groups = [("all", "all"), ("conservation", "conserved"), ("conservation", "not conserved"),
              ("binding", "binding"), ("binding", "not binding"),
              *(("beyond the limit", str(name)) for name in far)]  # fmt: skip
    shown = [pair for pair in groups if audit.accuracy(*pair) is not None]
    sources = list(dict.fromkeys(table["from"]))
    figure = new_figure(8.2, 1.3 + 0.24 * len(sources) * len(shown), "constrained")
    axes = figure.add_subplot()
    ticks = []
    for number, (group, label) in enumerate(shown):
        base = -number * (len(sources) + 1.2)
        ticks.append((base - (len(sources) - 1) / 2, label))
        for k, source in enumerate(sources):
            row = audit.accuracy(group, label, source)
            if row is not None:
                _bars(axes, base - k, row, _color(source))
                axes.annotate(
                    f"{row['accuracy']:.1%}", (row["high"], base - k), (4, 0),
                    textcoords="offset points", va="center", fontsize=7.5, color=MUTED,
                )  # fmt: skip
    axes.set_yticks([t for t, _ in ticks], [name for _, name in ticks])
    axes.set_xlim(0, 1.12)
    axes.set_xticks(np.arange(0, 1.01, 0.2), [f"{v:.0%}" for v in np.arange(0, 1.01, 0.2)])
    axes.set_xlabel("share of places written rightly")
    axes.set_title("Rebuilt from the bottleneck")
    words = {"composition": "always the commonest residue (composition)"}
    _key(figure, {words.get(s, s): _color(s) for s in sources})
    return figure


def _key(figure: Figure, colors: dict[str, str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=color, label=name) for name, color in colors.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(3, len(handles)))


@drawn
def _along(audit: Audit) -> Figure:
    from matplotlib.ticker import PercentFormatter

    table = audit["rebuilt"]
    own = table[table["from"] == "bottleneck"]
    figure = new_figure(9.4, 4.0, "constrained")
    panels = figure.subplots(2, 2, sharex="col", height_ratios=[3, 1])
    for column, group in enumerate(("position", "residue")):
        rows = own[own["group"] == group]
        if group == "residue":
            rows = rows.sort_values("places")
        labels = [str(v).replace(" to ", "–") for v in rows["label"]]
        at = np.arange(len(rows))
        top, below = panels[0, column], panels[1, column]
        top.vlines(at, rows["low"], rows["high"], color=RAISE, lw=1.4)
        top.plot(at, rows["accuracy"], "o", color=RAISE, ms=5)
        low = min(0.95, float(rows["low"].min()) - 0.01)
        top.set_ylim(low, 1.005)
        top.set_title(f"By {group}")
        top.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        below.bar(at, rows["places"], color=RULE)
        below.set_xticks(at, labels, rotation=0 if group == "residue" else 45,
                         ha="center" if group == "residue" else "right")  # fmt: skip
        below.set_ylabel("residues")
        top.set_ylabel(f"rebuilt (from {low:.0%} up)")
    return figure


@drawn
def _slots(audit: Audit) -> Figure:
    table = audit["slots"]
    looks = "center" in table
    figure = new_figure(9.2, max(3.0, 1.2 + 0.12 * len(table)), "constrained")
    panels = np.atleast_1d(figure.subplots(1, 1 + looks, sharey=True))
    if looks:
        left = panels[0]
        half = table["width"] / 2
        left.hlines(table["slot"], table["center"] - half, table["center"] + half, color=RULE, lw=4)
        left.plot(table["center"], table["slot"], "o", color=RAISE, ms=4, label="looks at")
        left.plot(table["reader"], table["slot"], "x", color=LOWER, ms=5, label="is looked at from")
        left.set_xlabel("residue")
        left.set_title("Where slots look")
        left.legend(loc="upper right")
    right = panels[-1]
    right.barh(table["slot"], table["share"], color=PLAIN, height=0.8)
    right.axvline(1 / len(table), color=INK, lw=0.8, ls=(0, (3, 2)))
    right.set_xlabel("share of cross-attention (dashed: even)")
    right.set_title("What the decoder looks up")
    panels[0].set_ylabel("slot")
    step = max(1, len(table) // 8)
    panels[0].set_yticks([1, *range(step, len(table) + 1, step)] if step > 1 else table["slot"])
    panels[0].set_ylim(len(table) + 0.7, 0.3)
    return figure


@drawn
def _probes(audit: Audit) -> Figure:
    table = audit["probes"]
    ends = table[["selectivity low", "selectivity high"]].abs().max(axis=1)
    table = table[ends > _NOTHING]
    tasks = list(dict.fromkeys(table["task"]))
    names = list(dict.fromkeys(table["features"]))
    count = {t: table[table["task"] == t]["features"].nunique() for t in tasks}
    figure = new_figure(9.2, 1.5 + sum(0.2 * c + 0.26 for c in count.values()), "constrained")
    axes = figure.add_subplot()
    y, ticks = 0.0, []
    for task in tasks:
        own = table[table["task"] == task]
        start = y
        for name in [n for n in names if n in set(own["features"])]:
            for _, row in own[own["features"] == name].iterrows():
                nonlinear = row["probe"] == "nonlinear"
                at = y + (0.18 if nonlinear else -0.18)
                axes.plot([row["selectivity low"], row["selectivity high"]], [at, at],
                          color=_color(name), lw=1.2)  # fmt: skip
                axes.plot(row["selectivity"], at, "o", ms=5, mec=_color(name), mew=1.2,
                          color=_color(name) if nonlinear else "white")  # fmt: skip
            y -= 1
        ticks.append(((start + y + 1) / 2, task))
        axes.axhline(y + 0.3, color=RULE, lw=0.6)
        y -= 0.4
    axes.axvline(0, color=INK, lw=0.8)
    axes.set_yticks([t for t, _ in ticks], [name for _, name in ticks])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(y + 0.7, 0.7)
    axes.set_xlabel("selectivity: task minus control (AUROC, or rank correlation)")
    axes.set_title(
        "What can be read off, at equal dimension (filled: nonlinear probe, open: linear)"
    )
    _key(figure, {n: _color(n) for n in names})
    return figure


@drawn
def _kept(audit: Audit) -> Figure:
    table = audit["kept"]
    figure = new_figure(6.4, 2.4, "constrained")
    axes = figure.add_subplot()
    rng = np.random.default_rng(0)
    words = {"order": "same letters,\nother order", "letters": "other letters,\nsame order"}
    for y, (what, _) in enumerate(words.items()):
        values = np.maximum(table[table["change"] == what]["distance"], 1e-12)
        axes.plot(values, y + rng.uniform(-0.15, 0.15, len(values)), "o", color=RAISE, ms=5,
                  alpha=0.7, mec="white", mew=0.5)  # fmt: skip
    axes.axvline(audit.meta["noise"], color=INK, lw=1.0, ls=(0, (3, 2)))
    axes.annotate("numeric noise", (audit.meta["noise"], 1.42), (4, 0),
                  textcoords="offset points", fontsize=8, color=INK)  # fmt: skip
    axes.set_xscale("log")
    _powers(axes)
    axes.set_ylim(-0.5, 1.7)
    axes.set_yticks(range(2), list(words.values()))
    axes.set_xlabel("change of the bottleneck, relative to its size")
    words = {
        "both": "Order and composition both move it", "order": "The order moves it",
        "composition": "The composition moves it", "neither": "Neither moves it",
    }  # fmt: skip
    axes.set_title(words[audit.keeps])
    return figure


@drawn
def _variants(audit: Audit) -> Figure:
    table = audit["variants"]
    traced = "slots" in table
    figure = new_figure(9.2, 3.2, "constrained")
    panels = np.atleast_1d(figure.subplots(1, 1 + traced))
    colors = {"variant": RAISE, "reference": LOWER, "another": MUTED}
    for what, color in colors.items():
        own = table[table["written"] == what]
        if len(own):
            panels[0].plot(
                own["times noise"], own["probability"], "o", color=color, ms=5, alpha=0.75,
                mec="white", mew=0.5, label=f"{what} ({len(own)})",
            )  # fmt: skip
    panels[0].set_xscale("log")
    moved = table["times noise"].replace(0, np.nan)
    if moved.notna().any():
        low, high = np.floor(np.log10(moved.min())), np.ceil(np.log10(moved.max()))
        panels[0].set_xlim(10.0**low, 10.0 ** max(high, low + 1))
    _powers(panels[0])
    panels[0].set_ylim(-0.05, 1.05)
    panels[0].set_xlabel("change of the bottleneck, times numeric noise")
    panels[0].set_ylabel("P(variant's residue)")
    panels[0].set_title("What is written at the variant's place")
    panels[0].legend(loc="center left", title="written")
    if traced:
        most = int(table["slots"].max())
        panels[1].hist(table["slots"], bins=np.arange(0.5, most + 1.5), color=PLAIN, rwidth=0.85)
        panels[1].set_xticks(range(1, most + 1, max(1, most // 8)))
        panels[1].set_xlabel("slots that hold nine tenths of the change")
        panels[1].set_ylabel("variants")
        panels[1].set_title("How many slots carry a variant")
    return figure


@drawn
def _similarity(audit: Audit) -> Figure:
    table = audit["similarity"]
    figure = new_figure(7.4, 3.0, "constrained")
    axes = figure.add_subplot()
    colors = (LOWER, RAISE, PLAIN)
    for (part, own), color in zip(table.groupby("part", sort=False), colors, strict=False):
        axes.plot(own["layer"], own["cka"], "-o", color=color, ms=5, label=str(part))
        axes.plot(own["layer"], own["chance"], "--", color=color, lw=0.9)
    axes.plot([], [], "--", color=MUTED, lw=0.9, label="residues shuffled")
    axes.set_xticks(np.unique(table["layer"]))
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel(f"layer of {audit.rival}")
    axes.set_ylabel("CKA")
    axes.set_title("Alignment of representations")
    axes.legend(loc="center right")
    return figure


@drawn
def _agreement(audit: Audit) -> Figure:
    table = audit["agreement"]
    figure = new_figure(8.6, 2.9, "constrained")
    left, right = figure.subplots(1, 2)
    rng = np.random.default_rng(0)
    for y, column in enumerate(("received", "change")):
        values = table[column]
        left.plot(values, y + rng.uniform(-0.16, 0.16, len(values)), "o", color=PLAIN, ms=4.5,
                  alpha=0.7, mec="white", mew=0.4)  # fmt: skip
        left.plot([values.mean()] * 2, [y - 0.3, y + 0.3], color=INK, lw=1.6)
        left.annotate(f"{values.mean():+.2f}".replace("-", "−"), (values.mean(), y + 0.33),
                      ha="center", fontsize=8)  # fmt: skip
    left.axvline(0, color=RULE, zorder=0)
    left.set_yticks([0, 1], ["what residues\nreceive", "how much\nthat changes"])
    left.set_xlim(-1.02, 1.02)
    left.set_ylim(-0.6, 1.6)
    left.set_xlabel("rank correlation over residues")
    left.set_title("Each variant (line: mean)")
    counts = np.bincount(table["same of ten"].astype(int), minlength=11)
    right.bar(range(11), counts, color=PLAIN)
    right.axvline(table["by chance"].mean(), color=INK, lw=1.0, ls=(0, (3, 2)))
    right.set_xticks(range(11))
    right.set_xlabel("same of ten that change most (dashed: chance)")
    right.set_ylabel("variants")
    right.set_title("Agreement on what changes")
    return figure


@drawn
def _heads(audit: Audit) -> Figure:
    table = audit["attention"]
    kinds = list(dict.fromkeys(table["kind"]))
    figure = new_figure(9.2, 2.6, "constrained")
    panels = np.atleast_1d(figure.subplots(1, len(kinds)))
    words = {"encoder": "encoder, self", "slots": "slots to encoder", "cross": "decoder to slots"}
    for axes, kind in zip(panels, kinds, strict=True):
        own = table[table["kind"] == kind]
        keys = float(own["of"].iloc[0])
        grid = own.pivot_table(index="layer", columns="head", values="keys").to_numpy() / keys
        image = axes.imshow(grid, cmap=RISING, vmin=0, vmax=1, aspect="auto", interpolation="none")
        axes.set_title(f"{words[kind]} ({keys:.0f} keys)", fontsize=9.5)
        axes.set_xlabel("head")
        axes.set_xticks(range(0, grid.shape[1], max(1, grid.shape[1] // 8)))
        axes.set_yticks(range(0, grid.shape[0], max(1, grid.shape[0] // 8)))
    made = figure.colorbar(image, ax=list(panels), pad=0.02, fraction=0.05)
    made.outline.set_visible(False)
    made.set_label("share of the keys\nthat a head looks at", fontsize=8)
    panels[0].set_ylabel("layer")
    figure.suptitle("How focused the heads are", x=0.01, ha="left", fontweight="bold")
    return figure


@drawn
def _beside(audit: Audit) -> Figure:
    table = audit["beside"]
    chosen = table[["protein", "variant"]].drop_duplicates().head(_SHOWN)
    figure = new_figure(9.2, 0.7 + 1.5 * len(chosen), "constrained")
    panels = np.atleast_1d(figure.subplots(len(chosen), 1))
    names = {"encoder change": (audit.model, RAISE), "rival change": (audit.rival, LOWER)}
    for axes, (protein, variant) in zip(panels, chosen.itertuples(index=False), strict=True):
        own = table[(table["protein"] == protein) & (table["variant"] == variant)]
        for column, (name, color) in names.items():
            most = own[column].abs().max() or 1.0
            axes.plot(own["position"], own[column] / most, color=color, lw=1.0, label=name)
        axes.axvline(int(str(variant)[1:-1]), color=INK, lw=0.8, ls=(0, (3, 2)), zorder=0,
                     label="the variant")  # fmt: skip
        axes.axhline(0, color=RULE, lw=0.6, zorder=0)
        axes.set_ylim(-1.08, 1.08)
        axes.set_xlim(0, int(own["position"].max()) + 1)
        axes.set_title(f"{variant} in {protein}", fontsize=9.5)
    panels[0].legend(loc="upper right", ncols=3, bbox_to_anchor=(1.0, 1.3))
    panels[-1].set_xlabel("residue")
    figure.supylabel("change of what each residue receives (the largest is 1)", fontsize=8.5)
    return figure
