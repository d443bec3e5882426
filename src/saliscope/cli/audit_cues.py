"""`saliscope audit cues`: whether a place in the picture decides for a class."""

from __future__ import annotations

from typing import Annotated

import typer

from saliscope.cli.options import Budget, Device, Model, Out, Quiet, Seed

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)


@app.command(
    epilog="""\b
Examples:
  saliscope audit cues sample -m zoo:marked -o out/
  saliscope audit cues sample -m zoo:marked-honest --region 1,1,4,4 -o out/
  saliscope audit cues photos/ -m ./classifier --target wolf -o out/
  saliscope audit cues photos/ --labels photos.tsv -m ./classifier -o out/

\b
INPUT is picture files, folders of them, or 'sample': 200 pictures of clothes
with a mark on every coat. Without --labels the class of a picture is the name
of the folder that it lies in; FILE has the columns file and label,
between tabs.
Cost: for each class some 8,000 model passes, and 3,000 to search; seconds for
a small model, minutes per class for a large one without a GPU.
Writes cues.csv, controls.csv, windows.csv, audit.nc, audit.json, report.html.
Exit code: 0; 1 with --strict where a cue is caught; 2 on bad input.
""",
)
def cues(
    sources: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="pictures, folders, or 'sample'")
    ],
    model: Model,
    out: Out,
    labels: Annotated[
        str | None, typer.Option(metavar="FILE", help="table with the columns file and label (TSV)")
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(metavar="X,Y,W,H", help="in the model's pixels (default: search for one)"),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", "-t", metavar="CLASS", help="the one class to test")
    ] = None,
    pairs: Annotated[int, typer.Option(help="pairs of pictures per class, at most")] = 200,
    places: Annotated[int, typer.Option(help="other places per class")] = 50,
    edge: Annotated[
        int | None, typer.Option(help="largest cue to search for, in pixels (default: a quarter)")
    ] = None,
    saliency: Annotated[
        str, typer.Option(metavar="NAME", help="method whose share is shown, or none")
    ] = "integrated_gradients",
    budget: Budget = None,
    seed: Seed = 0,
    device: Device = "auto",
    strict: Annotated[bool, typer.Option("--strict", help="exit 1 where a cue is caught")] = False,
    quiet: Quiet = False,
) -> None:
    """Test whether a place in the picture decides for a class."""
    from saliscope.cli.audit_cues_run import run

    run(
        sources, model, out, labels=labels, region=region, target=target, strict=strict,
        budget=budget, device=device, quiet=quiet, seed=seed,
        settings={"pairs": pairs, "places": places, "edge": edge,
                  "saliency": None if saliency == "none" else saliency},
    )  # fmt: skip
