"""`saliscope audit groups`."""

from __future__ import annotations

from typing import Annotated

import typer

from saliscope.cli.audit_tables import Groups, Model, Strict, Table, Target
from saliscope.cli.options import Out, Quiet, Seed

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)


@app.command(
    epilog="""\b
Examples:
  saliscope audit groups people.csv -m model.skops --protected sex \\
    --outcome income -o out/

\b
Cost: a model row per row; for attributions, rows explained x columns x rows
  that stand in for a column (--method none leaves them out).
Writes metrics.csv, attributions.csv, audit.nc, audit.json and report.html.
Exit code: 0; 2 on bad input.
""",
)
def groups(
    table: Table,
    model: Model,
    protected: Annotated[str, typer.Option(metavar="COLUMN", help="column with the groups")],
    outcome: Annotated[str, typer.Option(metavar="COLUMN", help="column with the true outcome")],
    out: Out,
    target: Target = None,
    threshold: Annotated[
        float, typer.Option(help="probability from which on a row is of the class")
    ] = 0.5,
    reference: Annotated[
        str | None, typer.Option(metavar="GROUP", help="compared with (default: the largest)")
    ] = None,
    method: Annotated[str, typer.Option(help="of attributions, or none")] = "masking",
    explained: Annotated[int, typer.Option(help="rows that are explained")] = 100,
    draws: Annotated[int, typer.Option(help="bootstrap samples, for intervals")] = 1000,
    together: Groups = None,
    seed: Seed = 0,
    strict: Strict = False,
    quiet: Quiet = False,
) -> None:
    """Compare predictions, errors and attributions between groups."""
    from saliscope.audit.tables.groups import groups as audit
    from saliscope.cli.audit_tables import grouped, run

    own = grouped(together)
    run(
        table, model, out,
        lambda adapter, frame: audit(
            adapter, frame, protected, outcome, target=target, threshold=threshold,
            reference=reference, method=None if method == "none" else method,
            explained=explained, draws=draws, together=own, seed=seed,
        ),
        strict=strict, quiet=quiet,
    )  # fmt: skip
