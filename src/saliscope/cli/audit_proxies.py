"""`saliscope audit proxies`."""

from __future__ import annotations

from typing import Annotated

import typer

from saliscope.cli.audit_tables import Groups, Model, Outcome, Strict, Table, Target
from saliscope.cli.options import Out, Quiet, Seed

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)


@app.command(
    epilog="""\b
Examples:
  saliscope audit proxies people.csv -m model.skops --protected sex -o out/
  saliscope audit proxies people.csv -m my.module:model --protected sex \\
    --protected race --outcome income -o out/

\b
Cost: 5 model rows per row and column (--repeats), and a small tree per
  column: half a minute for 10,000 rows of 14 columns, on one core.
Writes columns.csv, audit.nc, audit.json and report.html.
Exit code: 0; 2 on bad input.
""",
)
def proxies(
    table: Table,
    model: Model,
    protected: Annotated[
        list[str], typer.Option(metavar="COLUMN", help="attribute to look for; repeatable")
    ],
    out: Out,
    outcome: Outcome = None,
    target: Target = None,
    groups: Groups = None,
    rows: Annotated[int, typer.Option(help="most rows that are used, drawn evenly")] = 10_000,
    repeats: Annotated[int, typer.Option(help="how often each column is drawn anew")] = 5,
    draws: Annotated[int, typer.Option(help="bootstrap samples, for intervals")] = 200,
    seed: Seed = 0,
    strict: Strict = False,
    quiet: Quiet = False,
) -> None:
    """Say which columns stand for a protected attribute."""
    from saliscope.audit.tables.proxies import proxies as audit
    from saliscope.cli.audit_tables import grouped, run

    own = grouped(groups)
    run(
        table, model, out,
        lambda adapter, frame: audit(
            adapter, frame, protected, outcome=outcome, target=target, groups=own, rows=rows,
            repeats=repeats, draws=draws, seed=seed,
        ),
        strict=strict, quiet=quiet,
    )  # fmt: skip
