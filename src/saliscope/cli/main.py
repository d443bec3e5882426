"""The `saliscope` command: declares commands and turns errors into one line and an exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from saliscope.core.errors import SaliscopeError

__all__ = ["app", "main"]

app = typer.Typer(
    name="saliscope",
    help="What a model looked at, and how far the picture can be trusted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Model = Annotated[
    str, typer.Option("--model", "-m", help="hub name, folder, zoo:NAME or package.module:factory")
]
Out = Annotated[str, typer.Option("--out", "-o", help="folder for tables, results and report")]
Target = Annotated[
    list[str] | None,
    typer.Option("--target", "-t", help="class or label, 'a vs b', V6E, likelihood; repeatable"),
]
Budget = Annotated[str | None, typer.Option(help="bytes that a batch may need, e.g. 500MB, 2GiB")]
Seed = Annotated[int, typer.Option(help="seed of the one random generator")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, ...")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="no progress bar, no summary")]


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Example: saliscope explain reviews.txt --model zoo:sentiment --method masking -o out/ "
    "   Further flags are the method's own (see: saliscope methods NAME), e.g. --steps 32. "
    "   Cost: one to a few dozen model passes per record; the report of one protein takes seconds.",
)
def explain(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="INPUT", help="FASTA or text file, or the input")],
    model: Model,
    out: Out,
    method: Annotated[list[str] | None, typer.Option("--method", help="a method; repeatable")] = None,
    target: Target = None,
    baseline: Annotated[str | None, typer.Option(help="start of paths: mask, zero, pad, token")] = None,
    fill: Annotated[str | None, typer.Option(help="in place of a part: mask, delete, a token")] = None,
    tolerance: Annotated[float | None, typer.Option(help="relative error to reach, e.g. 0.01")] = None,
    max_evaluations: Annotated[int | None, typer.Option(help="stop there, with a finding")] = None,
    budget: Budget = None,
    seed: Seed = 0,
    device: Device = "auto",
    strict: Annotated[bool, typer.Option("--strict", help="exit 1 where health has errors")] = False,
    quiet: Quiet = False,
) -> None:
    """Say what a model looked at in each record: tables, results and one report."""
    from saliscope.cli.explain import run

    run(
        source, model, out, methods=method or ["integrated_gradients"], targets=target or [],
        general={"baseline": baseline, "fill": fill, "tolerance": tolerance,
                 "max_evaluations": max_evaluations},
        budget=budget, seed=seed, device=device, strict=strict, quiet=quiet, extra=context.args,
    )  # fmt: skip


@app.command(
    epilog="Example: saliscope attention proteins.fasta --model zoo:protein -o out/   "
    "Cost: one model pass per record; memory of one layer at a time.",
)
def attention(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="FASTA or text file, or the input")],
    model: Model,
    out: Out,
    reduce: Annotated[str, typer.Option(help="received, mean, full or rollout")] = "received",
    kind: Annotated[str | None, typer.Option(help="encoder, decoder or cross")] = None,
    layers: Annotated[str | None, typer.Option(help="which, e.g. 0,1,-1 (default: all)")] = None,
    heads: Annotated[str | None, typer.Option(help="which, e.g. 0,3 (default: all)")] = None,
    specials: Annotated[str, typer.Option(help="drop or keep special tokens")] = "drop",
    budget: Budget = None,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Write where a model attended in each record, and the report."""
    from saliscope.cli.attention import run

    run(
        source, model, out, reduce=reduce, kind=kind, layers=layers, heads=heads,
        specials=specials, budget=budget, seed=seed, device=device, quiet=quiet,
    )  # fmt: skip


@app.command(epilog="Example: saliscope models zoo:protein    Cost: none, no model is run.")
def models(
    name: Annotated[str | None, typer.Argument(help="print this zoo model's card")] = None,
    defaults: Annotated[bool, typer.Option("--defaults", help="print all defaults")] = False,
) -> None:
    """List the models that ship with the package, and what else can be loaded."""
    from saliscope.cli.listing import print_models

    print_models(name, defaults=defaults)


@app.command(epilog="Example: saliscope methods integrated_gradients    Cost: none.")
def methods(
    name: Annotated[str | None, typer.Argument(help="print all about this method")] = None,
) -> None:
    """List the methods, or tell what one costs, takes and where it misleads."""
    from saliscope.cli.listing import print_methods

    print_methods(name)


@app.command(epilog="Example: saliscope demo -o demo/    Cost: one to three minutes on two cores.")
def demo(
    out: Out = "saliscope-demo",
    quiet: Quiet = False,
) -> None:
    """Explain two human proteins and three reviews with the models of the package."""
    from saliscope.cli.demo import run

    run(out, quiet=quiet)


def _version(*, wanted: bool) -> None:
    if wanted:
        from saliscope import __version__

        typer.echo(f"saliscope {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", help="print the version", is_eager=True)
    ] = False,
) -> None:
    _version(wanted=version)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; an error of Saliscope's is one line on standard error."""
    try:
        app(arguments)
    except SaliscopeError as error:
        line = " ".join(str(error).split())
        print(f"saliscope: {line}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("saliscope: interrupted; finished records are kept", file=sys.stderr)
        sys.exit(130)
