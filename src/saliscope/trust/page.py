"""The page of tests: verdicts in words, curves, tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from saliscope.show.files import inline_svg
from saliscope.show.report import Table, environment, source
from saliscope.show.style import clip, number, visible
from saliscope.show.wording import ALWAYS
from saliscope.trust.record import Trust

__all__ = ["trust_html", "trust_section"]

MOST_DRAWN = 100

MEASURES: dict[str, str] = {
    "deletion": "mean of the target while parts go, the largest value first; low is good",
    "insertion": "mean of the target while parts come back, the largest value first; high is good",
    "comprehensiveness": "mean fall when the top 1 to 50 % are taken away; high is good",
    "sufficiency": "mean fall when only the top 1 to 50 % are there; low is good",
    "infidelity": "mean squared error of predicted falls; 0 is exact",
    "relative infidelity": "the same as a share of the mean squared fall; a map of zeros has 1",
    "correlation": "of predicted and true falls; 1 is exact",
    "randomized": "rank similarity to maps of random weights; under 0.5 is good",
    "sensitivity": "mean change of the map, relative to its size, at noisy neighbors",
    "largest sensitivity": "the largest of these changes",
    "pointing game": "1 where the largest value lies inside the region",
    "mass in mask": "share of the values inside the region, beside the share of its area",
    "auroc of mask": "how well values tell inside from outside; chance is 0.5",
}
"""What each measure says."""

LIMITS = (
    "A map that passes is true to this model on this input. That says nothing of whether the model "
    "is right, or looks at what it should.",
    "Taking parts away makes inputs that the model may never have seen; another fill may give "
    "another verdict.",
    "Fails means not clearly better than chance; on short inputs few maps can pass.",
)


def trust_section(record: Trust) -> str:
    """Return the part of a page that is about one test, as HTML."""
    part = environment().get_template("trust-part.html.j2").render(test=_part(record, 1))
    return visible(part)


def trust_html(
    records: Sequence[Trust], *, title: str | None = None, summary: pd.DataFrame | None = None
) -> str:
    """Return a complete HTML document about tests; it opens offline.

    Parameters
    ----------
    records : sequence of Trust
        The first hundred are drawn.
    title : str, optional
    summary : pandas.DataFrame, optional
        From `saliscope.trust.summarize`.
    """
    kept = [name for name in MEASURES if any(name in r.data["measure"] for r in records)]
    together = None
    if summary is not None:
        rows = [
            [v if isinstance(v, str) else "–" if pd.isna(v) else number(v) for v in row]
            for row in summary.itertuples(index=False)
        ]
        together = Table("All inputs together", list(summary.columns), rows)
    page = environment().get_template("trust.html.j2").render(
        title=visible(title or "How far these maps can be trusted"), css=source("report.css"),
        always=ALWAYS, tests=[_part(r, i) for i, r in enumerate(records[:MOST_DRAWN], 1)],
        count=len(records), drawn=min(MOST_DRAWN, len(records)),
        meanings=[(name, MEASURES[name]) for name in kept], limits=LIMITS,
        summary=together,
    )  # fmt: skip
    return visible(page).strip() + "\n"


def _part(record: Trust, place: int) -> dict[str, Any]:
    rows = [
        [
            str(row["measure"]), number(row["value"]), _ends(row["low"], row["high"]),
            "–" if pd.isna(row["null"]) else number(row["null"]),
            _ends(row["null_low"], row["null_high"]),
            "–" if pd.isna(row["p"]) else number(row["p"]),
        ]
        for _, row in record.to_frame().iterrows()
    ]  # fmt: skip
    against = []
    if "agreement" in record.data:
        against = [
            (str(name), number(float(value)))
            for name, value in zip(
                record.data["against"].to_numpy(), record.data["agreement"].to_numpy(), strict=True
            )
        ]
    unit, sizes = record.meta["unit_kind"], record.meta["blocks"]
    blocks = f"single {unit}s"
    if max(sizes, default=1) > 1:
        blocks = f"blocks of {' x '.join(map(str, sizes))} {unit}s"
    return {
        "place": place, "name": clip(record.name, 80) or "unnamed input",
        "method": record.method, "target": clip(record.target, 60), "verdict": record.verdict,
        "sentence": visible(record.sentence),
        "measures": Table(
            "Measures",
            ["Measure", "Value", "95 % interval", "By chance", "Middle 95 %", "p"], rows,
        ),
        "against": against,
        "svg": inline_svg(record.plot(), visible(record.sentence)),
        "text": clip(record.meta["text"], 600),
        "cost": (
            f"{record.meta['draws']:,} shuffled copies, moved in {blocks}; {record.evaluations:,} "
            "evaluations of the model"
        ),
    }  # fmt: skip


def _ends(low: float, high: float) -> str:
    return "–" if pd.isna(low) or pd.isna(high) else f"{number(low)} to {number(high)}"
