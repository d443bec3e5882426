"""Pictures of audits of tables: proxies, groups, reason codes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from saliscope.audit.record import Audit
from saliscope.audit.tables.groups import FEWEST, METRICS
from saliscope.audit.tables.proxies import TELLS, USED
from saliscope.audit.tables.reasons import STABLE
from saliscope.show.style import INK, LOWER, MUTED, PLAIN, RAISE, RULE, clip, drawn, new_figure

__all__ = ["group_figures", "proxy_figures", "reason_figures"]

_NAMED = 5  # columns that get a name, beside those that stand
_FACTORS = 15
_GROUPS = 8
_FLOOR = 1e-4  # shares below it lie on the edge of a logarithmic axis


def proxy_figures(audit: Audit) -> dict[str, tuple[Figure, str]]:
    """Return a map of columns for each attribute: what they tell, and what hangs on them."""
    table = audit["columns"]
    return {
        f"proxies-{place}": (
            _map(own, str(name)),
            f"Each column: how well it tells {name} alone, and the share of the output's variance "
            "that goes when it is drawn anew given the others, with 95 % intervals. Columns in "
            "the upper right stand for it.",
        )
        for place, (name, own) in enumerate(table.groupby("protected", sort=False), 1)
    }


@drawn
def _map(table: pd.DataFrame, name: str) -> Figure:
    figure = new_figure(7.2, 4.2, layout="constrained")
    axes = figure.subplots()
    axes.set_yscale("log")
    x, y = table["auc"].to_numpy(), np.maximum(table["share"].to_numpy(), _FLOOR)
    ends = [np.abs(table[[f"{c}_low", f"{c}_high"]].to_numpy().T - table[c].to_numpy())
            for c in ("auc", "share")]  # fmt: skip
    stands = table["stands"].to_numpy()
    for chosen, color in ((~stands, LOWER), (stands, RAISE)):
        if chosen.any():
            axes.errorbar(
                x[chosen], y[chosen], xerr=ends[0][:, chosen],
                yerr=[np.minimum(ends[1][0, chosen], y[chosen] - _FLOOR / 2), ends[1][1, chosen]],
                fmt="o", color=color, markersize=5, elinewidth=0.9,
            )  # fmt: skip
    telling = set(np.argsort(-x, kind="stable")[:2])
    for place, column in enumerate(table["column"]):
        if stands[place] or place < _NAMED or place in telling:
            axes.annotate(
                clip(column, 28), (x[place], y[place]), xytext=(6, 4), textcoords="offset points",
                fontsize=8, color=INK,
            )  # fmt: skip
    axes.axvline(TELLS, color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.axhline(USED, color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.axvline(0.5, color=RULE, linewidth=0.8)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.4g}"))
    axes.set_xlim(min(0.47, float(np.nanmin(x)) - 0.02), 1.0)
    axes.set_ylim(_FLOOR / 1.5, max(0.5, float(np.nanmax(y)) * 2))
    axes.set_xlabel(f"tells {clip(name, 40)} alone (area under the ROC curve)")
    axes.set_ylabel("share of the output's variance")
    return figure


def group_figures(audit: Audit) -> dict[str, tuple[Figure, str]]:
    """Return the metrics of each group, with intervals."""
    return {
        "groups": (
            _metrics(audit["metrics"]),
            "Each metric in each group, with 95 % intervals; the line is the reference. Orange "
            f"differs clearly; hollow has fewer than {FEWEST} rows that count.",
        )
    }


@drawn
def _metrics(table: pd.DataFrame) -> Figure:
    groups = list(dict.fromkeys(table["group"]))[:_GROUPS]
    figure = new_figure(11.0, 1.3 + 0.34 * len(groups), layout="constrained")
    panels = figure.subplots(1, len(METRICS), sharey=True, squeeze=False)[0]
    for axes, metric in zip(panels, METRICS, strict=True):
        own = table[table["metric"] == metric].set_index("group").loc[groups]
        _panel(axes, own)
        axes.set_title(metric[0].upper() + metric[1:], fontsize=8.5)
    panels[0].set_yticks(np.arange(len(groups)), [clip(g, 26) for g in groups])
    panels[0].invert_yaxis()
    return figure


def _panel(axes: Axes, own: pd.DataFrame) -> None:
    reference = own[own["difference_low"].isna() & (own["difference"] == 0)]
    if len(reference):
        axes.axvline(float(reference["value"].iloc[0]), color=RULE, linewidth=1.2)
    for place, (_, row) in enumerate(own.iterrows()):
        if row["value"] != row["value"]:
            continue
        color = RAISE if row["clear"] else PLAIN
        if row["low"] == row["low"]:
            axes.plot([row["low"], row["high"]], [place, place], color=color, linewidth=1.4)
        axes.plot(
            row["value"], place, "o", color=color, markersize=5,
            markerfacecolor="white" if row["rows"] < FEWEST else color,
        )  # fmt: skip
    axes.set_ylim(-0.6, len(own) - 0.4)
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(axis="y", length=0)


def reason_figures(audit: Audit) -> dict[str, tuple[Figure, str]]:
    """Return how often each factor is a code, and how much of that is unstable."""
    codes = audit["codes"]
    if not len(codes):
        return {}
    return {
        "factors": (
            _bars(codes, len(audit["applicants"])),
            "Of declined applicants with codes, the share who are given each factor. The pale part "
            f"is unstable: given with fewer than {STABLE:.0%} of bootstrap references. Orange "
            "names a forbidden ground.",
        )
    }


@drawn
def _bars(codes: pd.DataFrame, people: int) -> Figure:
    counts = codes.groupby("code").agg(
        all=("applicant", "size"), shaky=("unstable", "sum"), names=("names", "first")
    )
    counts = counts.sort_values("all", ascending=False, kind="stable").head(_FACTORS)
    figure = new_figure(7.2, 0.9 + 0.29 * len(counts), layout="constrained")
    axes = figure.subplots()
    for place, (_, row) in enumerate(counts.iterrows()):
        color = PLAIN if row["names"] is None or row["names"] != row["names"] else RAISE
        firm = (row["all"] - row["shaky"]) / people * 100
        axes.barh(place, firm, color=color, height=0.66)
        axes.barh(place, row["shaky"] / people * 100, left=firm, color=color, alpha=0.35,
                  height=0.66)  # fmt: skip
    axes.set_yticks(np.arange(len(counts)), [clip(code, 34) for code in counts.index])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("declined applicants with this code, %")
    return figure
