"""`saliscope audit reasons`."""

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
  saliscope audit reasons applicants.csv -m model.skops --target good -o out/
  saliscope audit reasons new.csv -m model.skops --reference old.csv -o out/

\b
Cost: 2 x (factors - 1) x rows of the reference, model rows per applicant.
Writes codes.csv, factors.csv, applicants.csv, audit.nc, audit.json and
report.html. Rows are counted from 1.
Exit code: 0; 2 on bad input; 1 with --strict where a code names sex, age,
marital status, foreign worker or another ground that is forbidden.
""",
)
def reasons(
    table: Table,
    model: Model,
    out: Out,
    target: Target = None,
    threshold: Annotated[float, typer.Option(help="below it an applicant is declined")] = 0.5,
    reference: Annotated[
        str, typer.Option(metavar="WHOM", help="approved, near, all, or a table")
    ] = "approved",
    scale: Annotated[str, typer.Option(help="log_odds, prob or raw")] = "log_odds",
    groups: Groups = None,
    allowed: Annotated[
        list[str] | None,
        typer.Option(metavar="FACTOR", help="names no forbidden ground after all; repeatable"),
    ] = None,
    applicants: Annotated[int, typer.Option(help="most that get codes, drawn evenly")] = 100,
    references: Annotated[int, typer.Option(help="most rows of the reference")] = 100,
    draws: Annotated[int, typer.Option(help="bootstrap references, for stability")] = 200,
    seed: Seed = 0,
    strict: Strict = False,
    quiet: Quiet = False,
) -> None:
    """Give declined applicants the factors that lowered their score."""
    from pathlib import Path

    from saliscope.audit.tables.reasons import reason_codes
    from saliscope.cli.audit_tables import grouped, read, run

    own = grouped(groups)
    whom = read(reference) if Path(reference).suffix else reference
    run(
        table, model, out,
        lambda adapter, frame: reason_codes(
            adapter, frame, target=target, threshold=threshold, reference=whom, scale=scale,
            groups=own, allowed=allowed or (), applicants=applicants, references=references,
            draws=draws, seed=seed,
        ),
        strict=strict, quiet=quiet,
    )  # fmt: skip
