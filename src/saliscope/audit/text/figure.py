"""The picture of an audit of identity terms: an effect and its interval per term."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from saliscope.audit.record import Audit
from saliscope.show.style import INK, LOWER, MUTED, RAISE, RULE, clip, drawn, new_figure

__all__ = ["term_effects", "term_figures"]

_MOST = 60  # rows
_ROW = 0.175  # inches


def term_figures(audit: Audit) -> dict[str, tuple[Figure, str]]:
    """Return the picture of an audit of identity terms, with its caption."""
    count = len(audit["terms"])
    some = f" The {_MOST} of {count} terms furthest from zero are drawn." if count > _MOST else ""
    caption = (
        f"Mean change of {audit.meta['about']['score']} when a term is put into a template, "
        "against the mean of all terms in the same template, with 95 % intervals over templates. "
        f"Filled: clear after correction for all terms.{some}"
    )
    return {"effects": (term_effects(audit), caption)}


@drawn
def term_effects(audit: Audit, *, title: str | None = None) -> Figure:
    """Draw effects and intervals, a row per term, the highest on top.

    Parameters
    ----------
    audit : Audit
        Of identity terms.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    about = audit.meta["about"]
    scale = 100.0 if about["percent"] else 1.0
    table = audit["terms"]
    if len(table) > _MOST:
        chosen = np.sort(np.argsort(-table["effect"].abs().to_numpy(), kind="stable")[:_MOST])
        table = table.iloc[chosen]
    figure = new_figure(6.6, 1.15 + _ROW * len(table), layout="constrained")
    name = title or f"{audit.name}: identity terms in {audit.facts['templates']} templates"
    figure.suptitle(clip(name, 84), x=0.012, ha="left", fontsize=10.5, fontweight="bold")
    axes = figure.subplots()
    rows = np.arange(len(table))
    effect = scale * table["effect"].to_numpy()
    colors = [RAISE if value > 0 else LOWER for value in effect]
    axes.axvline(0, color=MUTED, linewidth=0.8, zorder=1)
    axes.hlines(rows, scale * table["low"], scale * table["high"], colors=colors, linewidth=1.6,
                alpha=0.6, zorder=2)  # fmt: skip
    fill = [color if ok else "white" for color, ok in zip(colors, table["clear"], strict=True)]
    axes.scatter(effect, rows, s=22, c=fill, edgecolors=colors, linewidths=1.1, zorder=3)
    axes.set_yticks(rows, _labels(table))
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.grid(axis="x", color=RULE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}" if value else "0"))
    unit = ", in percentage points" if about["percent"] else ""
    axes.set_xlabel(f"{clip(about['score'], 60)}:\ndifference from the mean of all terms{unit}")
    return figure


def _labels(table: pd.DataFrame) -> list[str]:
    """Return terms, with what they are about where that is known."""
    if "subject" not in table:
        return [clip(term, 34) for term in table["term"]]
    pairs = zip(table["term"], table["subject"], strict=True)
    return [clip(term, 34) + (f"  ({subject})" if subject else "") for term, subject in pairs]
