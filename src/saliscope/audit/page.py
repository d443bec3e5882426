"""The page of audits: sentences first, then pictures, tables, limits, and how it was made."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from saliscope.audit.record import LIMITS, Audit
from saliscope.core.health import Finding
from saliscope.show.files import inline_svg
from saliscope.show.report import Table, environment, source
from saliscope.show.style import clip, number, visible
from saliscope.show.wording import ALWAYS

__all__ = ["FIGURES", "audit_html", "audit_section", "figures_of"]

FIGURES: dict[str, str] = {
    "groups": "saliscope.audit.tables.figures:group_figures",
    "proxies": "saliscope.audit.tables.figures:proxy_figures",
    "reason codes": "saliscope.audit.tables.figures:reason_figures",
    "identity terms": "saliscope.audit.text.figure:term_figures",
    "spurious cues": "saliscope.audit.pictures.figures:figures",
}
"""Of each kind of audit: "module:function" of the package, which takes an `Audit` and returns its
pictures by name, each with a caption."""

MOST_ROWS = 40
"""Rows of a table that a page shows; all stand in the CSV."""


def figures_of(audit: Audit) -> dict[str, tuple[Figure, str]]:
    """Return the pictures of an audit by name, each with its caption."""
    if audit.what not in FIGURES:
        return {}
    module, _, name = FIGURES[audit.what].partition(":")
    found: dict[str, tuple[Figure, str]] = getattr(importlib.import_module(module), name)(audit)
    return found


def audit_section(audit: Audit) -> str:
    """Return the part of a page that is about one audit, with its limits, as HTML."""
    part = (
        environment()
        .get_template("audit-part.html.j2")
        .render(audit=_part(audit, 1), limits=[visible(line) for line in audit.limits])
    )
    return visible(part)


def audit_html(audits: Sequence[Audit], *, title: str | None = None) -> str:
    """Return a complete HTML document about audits; it opens offline.

    Parameters
    ----------
    audits : sequence of Audit
        In the order in which they shall be read.
    title : str, optional

    Examples
    --------
    >>> import pandas as pd
    >>> made = Audit.of(
    ...     "a check", model="toy", verdict="none found", sentence="No column is <one>.",
    ...     frames={"columns": pd.DataFrame({"column": ["age"]})},
    ...     captions={"columns": "how well each column tells sex"},
    ... )
    >>> "No column is &lt;one&gt;." in audit_html([made])
    True
    """
    models = list(dict.fromkeys(audit.name for audit in audits))
    kinds = list(dict.fromkeys(audit.what for audit in audits))
    page = environment().get_template("audit.html.j2").render(
        title=visible(title or f"Audit of {', '.join(models)}: {', '.join(kinds)}"),
        css=source("report.css"), always=ALWAYS, limits=LIMITS,
        audits=[_part(audit, place) for place, audit in enumerate(audits, 1)],
    )  # fmt: skip
    return visible(page).strip() + "\n"


def _part(audit: Audit, place: int) -> dict[str, Any]:
    return {
        "place": place, "title": f"{audit.what[:1].upper()}{audit.what[1:]}",
        "name": clip(audit.name, 80), "verdict": visible(audit.verdict),
        "sentence": visible(audit.sentence),
        "facts": [(visible(label), visible(text)) for label, text in audit.facts.items()],
        "findings": [_finding(found) for found in audit.health],
        "figures": [
            (f"{place}-{name}", inline_svg(figure, visible(caption)), visible(caption))
            for name, (figure, caption) in audit.figures().items()
        ],
        "tables": [_table(audit, name, table) for name, table in audit.frames.items()],
        "own": [visible(line) for line in audit.limits if line not in LIMITS],
        "provenance": _provenance(audit),
    }  # fmt: skip


def _finding(found: Finding) -> tuple[str, str, str, str]:
    word = "audit error" if found.severity == "error" else found.severity
    return found.severity, word, visible(found.sentence), visible(found.remedy)


def _table(audit: Audit, name: str, table: pd.DataFrame) -> dict[str, Any]:
    shown = table.head(MOST_ROWS)
    caption = visible(audit.caption(name))
    made = Table(
        f"{caption[:1].upper()}{caption[1:]}", [visible(label) for label in table.columns],
        [[_cell(v) for v in row] for row in shown.itertuples(index=False, name=None)],
        [i for i, kind in enumerate(table.dtypes) if kind.kind in "iuf"],
    )  # fmt: skip
    return {"name": name, "shown": made, "more": len(table) - len(shown), "count": len(table)}


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "–"
    return visible(value) if isinstance(value, str) else number(value)


def _provenance(audit: Audit) -> list[tuple[str, str]]:
    """Return how an audit was made, flat: names and values in words."""
    found: list[tuple[str, str]] = []
    for label, value in audit.provenance.items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for key, each in parts:
            if each not in (None, "", [], {}):
                text = f"{each:,}" if type(each) is int else clip(each, 90)
                found.append((visible(f"{label}, {key}" if key else label), text))
    return found
