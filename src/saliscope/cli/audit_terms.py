"""`saliscope audit terms`: identity terms swapped in text."""

from __future__ import annotations

from typing import Annotated

import typer

from saliscope.cli.options import Budget, Device, Model, Out, Quiet, Seed

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)


@app.command(
    epilog="""\b
Examples:
  saliscope audit terms -m zoo:sentiment -o out/
  saliscope audit terms test_suite_cases.csv -m zoo:sentiment -o out/
  saliscope audit terms pro_type2.txt anti_type2.txt -m zoo:sentiment -o out/
  saliscope audit terms lines.txt --terms "women,men" -m zoo:sentiment -o out/

\b
CASES: a CSV with template, term and text; HateCheck's test_suite_cases.csv;
  the two files of WinoBias; or a text file with {term} in each line, with
  --terms. Without CASES: the 3,774 phrases of the package.
A difference is one of the score: with a model of sentiment, of sentiment.
Cost: a model pass per different text.
Writes terms.csv, templates.csv, audit.nc, audit.json, report.html.
Exit code: 0; 2 on bad input.
"""
)
def terms(
    model: Model,
    out: Out,
    cases: Annotated[
        list[str] | None, typer.Argument(metavar="CASES", help="sentences; see below")
    ] = None,
    words: Annotated[
        str | None,
        typer.Option("--terms", metavar="A,B", help="terms for lines with {term}, by commas"),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target", "-t", metavar="TARGET",
            help="class whose probability is compared (default: the second of two)",
        ),
    ] = None,
    draws: Annotated[int, typer.Option(help="bootstrap samples, and random flips")] = 9999,
    budget: Budget = None,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Swap identity terms in sentences and see the score move."""
    from saliscope.cli import audit_terms_run

    audit_terms_run.run(
        model, out, cases or [], words=words, target=target, draws=draws, budget=budget, seed=seed,
        device=device, quiet=quiet,
    )  # fmt: skip
