"""`saliscope trust`: tests of maps."""

from __future__ import annotations

from typing import Annotated

import typer

from saliscope.cli.options import (
    Alto,
    Box,
    Budget,
    Device,
    Method,
    Model,
    Out,
    Quiet,
    Rows,
    Seed,
    Sources,
)  # fmt: skip

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="""\b
Examples:
  saliscope trust reviews.txt -m zoo:sentiment -o out/
  saliscope trust proteins.fasta -m zoo:protein --method occlusion -o out/
  saliscope trust loans.csv -m model.skops --rows 1-5 --method shapley -o out/

\b
Further flags are the method's own: see 'saliscope methods NAME'.
Cost: up to 8,000 model passes per record (each distinct perturbed input
  once), about 800 where a map is no better than chance, and a dozen maps with
  random weights: ten seconds for a sentence, minutes for a protein, on two
  cores.
Writes trust.csv, summary.csv and report.html; failures.csv where needed.
Exit code: 0; 2 on bad input.
""",
)
def trust(
    words: Sources,
    model: Model,
    out: Out,
    method: Method = None,
    target: Annotated[
        str | None, typer.Option("--target", "-t", metavar="TARGET", help="one target")
    ] = None,
    fill: Annotated[
        str | None, typer.Option(help="in place of a part: mask, delete, a token")
    ] = None,
    groups: Annotated[
        str | None, typer.Option(help="taken away together: word, token, residue, ...")
    ] = None,
    draws: Annotated[
        int, typer.Option(help="shuffled copies of the map; a verdict needs 999")
    ] = 999,
    levels: Annotated[int, typer.Option(help="points of each curve")] = 5,
    repeats: Annotated[int, typer.Option(help="sets of random weights")] = 5,
    neighbors: Annotated[int, typer.Option(help="noisy inputs at which the map is made again")] = 0,
    against: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="another method; repeatable")
    ] = None,
    budget: Budget = None,
    seed: Seed = 0,
    device: Device = "auto",
    alto: Alto = None,
    box: Box = None,
    rows: Rows = None,
    quiet: Quiet = False,
) -> None:
    """Test whether maps are true to the model."""
    from saliscope.cli.common import Page, split_words
    from saliscope.cli.trust_run import run

    sources, flags = split_words(words)
    run(
        sources, model, out, methods=method or ["integrated_gradients"], target=target,
        settings={"fill": fill, "groups": groups, "draws": draws, "levels": levels,
                  "repeats": repeats, "neighbors": neighbors, "against": tuple(against or ())},
        budget=budget, seed=seed, device=device, quiet=quiet, extra=flags,
        page=Page(alto, box or (), rows),
    )  # fmt: skip
