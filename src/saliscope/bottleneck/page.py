"""The page of an audit: the analysis, the figures, the probes, what was left out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from saliscope.bottleneck.figures import figures_of
from saliscope.bottleneck.record import TABLES, Audit
from saliscope.bottleneck.words import TITLE, document
from saliscope.core.files import write_beside
from saliscope.show.files import inline_svg
from saliscope.show.report import Table, environment, source
from saliscope.show.style import number, visible
from saliscope.show.wording import ALWAYS

__all__ = ["audit_html"]


def audit_html(
    audit: Audit, path: str | os.PathLike[str], *,
    figures: Mapping[str, tuple[Figure, str]] | None = None,
) -> Path:  # fmt: skip
    """Write an audit as one page that needs nothing else: it opens offline.

    Parameters
    ----------
    audit : Audit
    path : path-like
    figures : mapping of str to (Figure, str), optional
        From `figures_of`, where they are drawn already.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    drawn = figures if figures is not None else figures_of(audit)
    cut = ", ".join(f"{word} {name}" for word, name in audit.parts.items())
    beside = f" Beside it: {audit.rival}." if audit.rival else ""
    demo = (
        f"{audit.model} is a small model of the package: its numbers say how an audit reads, not "
        "how proteins work."
        if audit.meta["demo"] else ""
    )  # fmt: skip
    page = environment().get_template("bottleneck.html.j2").render(
        title=visible(f"The bottleneck of {audit.model}"),
        lead=visible(f"Parts: {cut}. {audit.meta['inputs']:,} inputs.{beside}"),
        css=source("report.css"), always=ALWAYS, demo=visible(demo), analysis=TITLE,
        document=_sections(document(audit).text),
        figures=[
            (name, inline_svg(figure, visible(caption)), visible(caption))
            for name, (figure, caption) in drawn.items()
        ],
        probes=Table(
            "The better of the probes for each task and representation",
            ["Task", "Representation", "Probe", "Value", "95 % interval", "Control",
             "Selectivity", "95 % interval", "Families"],
            _rows(audit), range(3, 9),
        ),
        tables=[(n, TABLES[n]) for n in audit.tables],
        notes=[visible(note) for note in audit.notes],
    )  # fmt: skip
    return write_beside(path, (visible(page).strip() + "\n").encode())


def _sections(text: str) -> list[tuple[str, str]]:
    """Return titles and bodies of a document in Markdown."""
    parts = [part.partition("\n\n") for part in text.split("\n## ")[1:]]
    return [(visible(title), visible(body.strip())) for title, _, body in parts]


def _rows(audit: Audit) -> list[list[str]]:
    table = audit["probes"]
    if table.empty:
        return []
    rows = []
    for (task, features), own in table.groupby(["task", "features"], sort=False):
        best = own.iloc[int(np.argmax(own["value"].to_numpy()))]
        rows.append([
            visible(task), visible(features), str(best["probe"]), number(best["value"]),
            f"{number(best['value low'])} to {number(best['value high'])}",
            number(best["control"]), number(best["selectivity"], sign=True),
            f"{number(best['selectivity low'])} to {number(best['selectivity high'])}",
            str(int(best["families"])),
        ])  # fmt: skip
    return rows
