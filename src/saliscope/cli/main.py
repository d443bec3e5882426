"""The `saliscope` command: declares commands and turns errors into one line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from saliscope.cli.audit import app as audit
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
    Target,
)  # fmt: skip
from saliscope.cli.sites import app as sites
from saliscope.cli.trust import app as trust
from saliscope.cli.variants import app as variants
from saliscope.core.errors import SaliscopeError

__all__ = ["app", "main"]

app = typer.Typer(
    name="saliscope",
    help="What a model looked at, and how far the picture can be trusted.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(audit)
app.add_typer(sites)
app.add_typer(trust)
app.add_typer(variants)

# What typer raises for a command that is typed wrong; newer versions carry their own copy of click.
_USAGE: type[Exception] = next(
    c for c in reversed(typer.BadParameter.__mro__) if hasattr(c, "format_message")
)

_INTERRUPTED = 130


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="""\b
Examples:
  saliscope explain reviews.txt -m zoo:sentiment --method masking -o out/
  saliscope explain proteins.fasta -m zoo:protein --target V6E -o out/
  saliscope explain MVHLTPEEKSAVTALWGK -m zoo:protein --steps 32 -o out/
  saliscope explain reviews/ -m zoo:sentiment --by word --workers 4 -o out/
  saliscope explain line.jpg -m zoo:handwriting --per-character -o out/
  saliscope explain table.csv -m model.skops --rows 1-5 -o out/

\b
Further flags are the method's own: see 'saliscope methods NAME'.
Cost: one to a few dozen model passes per record, one per word or residue for
  masking; seconds per protein on one core. A run that was cut off goes on
  where it was when the same command is given again.
  With --trust up to 8,000 passes more per map.
Writes attributions.csv, report.html, records/*.nc; with --trust verdicts.csv;
failures.csv where needed.
Exit code: 0; 2 on bad input; 1 with --strict where health has errors.
""",
)
def explain(
    words: Sources,
    model: Model,
    out: Out,
    method: Method = None,
    target: Target = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            help="start of paths: mask, zero, pad, token; repeatable where a method averages"
        ),
    ] = None,
    fill: Annotated[
        str | None, typer.Option(help="in place of a part: mask, delete, a token")
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="relative error to reach (paths: 0.01)")
    ] = None,
    max_evaluations: Annotated[int | None, typer.Option(help="stop there, with a finding")] = None,
    budget: Budget = None,
    seed: Seed = 0,
    device: Device = "auto",
    by: Annotated[
        str | None,
        typer.Option(metavar="WHAT", help="group results: word, sentence, codon, or a number"),
    ] = None,
    reduce: Annotated[str, typer.Option(help="of a group: sum, mean, max, norm or absmax")] = "sum",
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="processes (default: this one)")
    ] = None,
    engine: Annotated[str, typer.Option(help="where workers run: local or ray")] = "local",
    shard: Annotated[
        str | None, typer.Option(metavar="K/N", help="only the K-th of N parts, into records/")
    ] = None,
    per_character: Annotated[
        bool, typer.Option("--per-character", help="a map for each character that is read")
    ] = False,
    pixels: Annotated[
        bool, typer.Option("--pixels", help="of characters a row per pixel, not per column")
    ] = False,
    alto: Alto = None,
    box: Box = None,
    rows: Rows = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="test every map as well; see 'saliscope trust'")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="exit 1 where health has errors")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Say what a model looked at, in each record."""
    from saliscope.cli.common import Page, split_words
    from saliscope.cli.explain import Many, run

    sources, flags = split_words(words)
    run(
        sources, model, out, methods=method or ["integrated_gradients"], targets=target or [],
        general={"baseline": baseline, "fill": fill, "tolerance": tolerance,
                 "max_evaluations": max_evaluations},
        budget=budget, seed=seed, device=device, strict=strict, quiet=quiet, extra=flags,
        many=Many(workers, engine, shard, by, reduce), page=Page(alto, box or (), rows),
        per_character=per_character, pixels=pixels, trust=trust,
    )  # fmt: skip


@app.command(
    epilog="""\b
Examples:
  saliscope attention proteins.fasta -m zoo:protein -o out/
  saliscope attention proteins.fasta -m zoo:protein --reduce rollout -o out/

\b
Cost: one model pass per record, in the memory of one layer.
Writes attention.csv (every layer and head), received.csv (one score per
position: the last layer, mean over heads, mean over queries) and report.html;
failures.csv where needed.
Exit code: 0; 2 on bad input.
""",
)
def attention(
    sources: Sources,
    model: Model,
    out: Out,
    reduce: Annotated[str, typer.Option(help="received, mean, full or rollout")] = "received",
    kind: Annotated[str | None, typer.Option(help="encoder, decoder, cross or slots")] = None,
    layers: Annotated[str | None, typer.Option(help="which, e.g. 0,1,-1 (default: all)")] = None,
    heads: Annotated[str | None, typer.Option(help="which, e.g. 0,3 (default: all)")] = None,
    specials: Annotated[str, typer.Option(help="drop or keep special tokens")] = "drop",
    budget: Budget = None,
    seed: Seed = 0,
    device: Device = "auto",
    alto: Alto = None,
    box: Box = None,
    quiet: Quiet = False,
) -> None:
    """Say where a model attended, in each record."""
    from saliscope.cli.attention import run
    from saliscope.cli.common import Page

    run(
        sources, model, out, reduce=reduce, kind=kind, layers=layers, heads=heads,
        specials=specials, budget=budget, seed=seed, device=device, quiet=quiet,
        page=Page(alto, box or ()),
    )  # fmt: skip


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="""\b
Examples:
  saliscope read lines/ -m zoo:handwriting -o out/
  saliscope read lines/ -m zoo:handwriting#decoder --truth lines.tsv -o out/
  saliscope read page.jpg -m zoo:handwriting --alto page.xml -o out/

\b
Further flags are the method's own: see 'saliscope methods NAME'.
Cost: one model pass per line; with --truth and occlusion one pass for every
  4 pixels of each line that gets maps, twice.
Writes lines.csv and characters.csv; with --truth errors.csv, gallery.html
(what was read for what) and report.html (a map for each mistake, then for
each character); failures.csv where needed.
Exit code: 0; 2 on bad input.
""",
)
def read(
    words: Sources,
    model: Model,
    out: Out,
    truth: Annotated[
        str | None, typer.Option(metavar="FILE", help="table with the columns file and text (TSV)")
    ] = None,
    method: Annotated[str, typer.Option(help="that explains mistakes")] = "occlusion",
    maps: Annotated[
        int, typer.Option(metavar="N", help="lines that get maps, those with most mistakes first")
    ] = 20,
    beam: Annotated[
        int | None, typer.Option(metavar="N", help="search with so many prefixes (CTC)")
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="of the method")] = None,
    fill: Annotated[str | None, typer.Option(help="of the method")] = None,
    tolerance: Annotated[float | None, typer.Option(help="of the method")] = None,
    budget: Budget = None,
    seed: Seed = 0,
    device: Device = "auto",
    alto: Alto = None,
    box: Box = None,
    quiet: Quiet = False,
) -> None:
    """Read lines of text, and say what was read wrong, and why."""
    from saliscope.cli.common import Page, split_words
    from saliscope.cli.read import Maps, run

    sources, flags = split_words(words)
    general = {"baseline": baseline, "fill": fill, "tolerance": tolerance}
    run(
        sources, model, out, truth=truth, page=Page(alto, box or ()),
        maps=Maps(method, maps, general, flags), beam=beam, budget=budget, seed=seed,
        device=device, quiet=quiet,
    )  # fmt: skip


@app.command(
    epilog="""\b
Examples:
  saliscope bottleneck sample -o out/
  saliscope bottleneck proteins.fasta --variants E7V,K9E --probes none -o out/
  saliscope bottleneck proteins.fasta --labels 'binding=sites.fasta' -o out/
  saliscope bottleneck sample -m package.module:factory --encoder enc \\
      --bottleneck slots --decoder dec -o out/

\b
INPUT is FASTA, a folder with the files of FLIP, or 'sample'. Labels: FASTA
with a letter or digit for each residue, or CSV with name,value. Probes need
scikit-learn.
Cost: about thirty model passes per protein and ten per variant; probes take
  minutes.
Writes a CSV per table, analysis.md and its numbers in analysis.csv, figures/
and report.html.
Exit code: 0; 2 on bad input.
""",
)
def bottleneck(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="FASTA, a folder of FLIP, or 'sample'")
    ],
    out: Out,
    model: Model = "zoo:bottleneck",
    encoder: Annotated[str | None, typer.Option(metavar="MODULE", help="name of a module")] = None,
    part: Annotated[
        str | None, typer.Option("--bottleneck", metavar="MODULE", help="name of a module")
    ] = None,
    decoder: Annotated[str | None, typer.Option(metavar="MODULE", help="name of a module")] = None,
    labels: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FILE", help="what is asked about; repeatable")
    ] = None,
    most: Annotated[int, typer.Option(help="proteins with labels of each kind")] = 96,
    variants: Annotated[
        str, typer.Option(help="missense variants: a number by chance, or E7V,NAME:E7V")
    ] = "24",
    rival: Annotated[str, typer.Option(help="protein model beside it, or none")] = "zoo:protein",
    probes: Annotated[str, typer.Option(help="linear,nonlinear, one of them, or none")] = (
        "linear,nonlinear"
    ),
    folds: Annotated[int, typer.Option(help="parts that families are dealt to")] = 5,
    dimension: Annotated[
        int | None, typer.Option(help="of every representation (default: numbers of a slot)")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Say what goes through the bottleneck of an encoder-decoder."""
    from saliscope.cli.bottleneck import run

    run(
        source, model, out, parts=(encoder, part, decoder), labels=labels or [], most=most,
        variants=variants, rival=rival, probes=probes, folds=folds, dimension=dimension, seed=seed,
        device=device, quiet=quiet,
    )  # fmt: skip


@app.command(epilog="Example: saliscope models zoo:protein\n\nCost: none, no model is run.")
def models(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="print this zoo model's card")
    ] = None,
    defaults: Annotated[bool, typer.Option("--defaults", help="print all defaults")] = False,
) -> None:
    """List the models of the package, or show a card."""
    from saliscope.cli.listing import print_models

    print_models(name, defaults=defaults)


@app.command(
    epilog="Example: saliscope methods integrated_gradients\n\nCost: none, no model is run."
)
def methods(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="print all about this method")
    ] = None,
) -> None:
    """List the methods, or tell all about one."""
    from saliscope.cli.listing import print_methods

    print_methods(name)


@app.command(epilog="Example: saliscope demo -o demo/\n\nCost: one to three minutes on two cores.")
def demo(
    out: Out = "saliscope-demo",
    quiet: Quiet = False,
) -> None:
    """Explain proteins, reviews, handwriting, loans (with an audit) and variants."""
    from saliscope.cli.demo import run

    run(out, quiet=quiet)


def _version(*, wanted: bool) -> None:
    if wanted:
        from saliscope import __version__

        typer.echo(f"saliscope {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _common(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="print the version", is_eager=True)
    ] = False,
) -> None:
    _version(wanted=version)
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; an error is one line on standard error, and an exit code."""
    try:
        code = app(arguments, prog_name="saliscope", standalone_mode=False)
    except SaliscopeError as error:
        _fail(str(error), error.exit_code)
    except _USAGE as error:
        _fail(_usage(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except BrokenPipeError:  # nobody reads our output any more, as in: saliscope methods | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}", 2)
    if code == _INTERRUPTED:  # typer makes this code of Ctrl-C
        _fail(
            "interrupted; nothing is half-written, and explain goes on when run again", _INTERRUPTED
        )
    if code:
        sys.exit(code)


def _fail(text: str, code: int) -> NoReturn:
    print(f"saliscope: {' '.join(text.split())}", file=sys.stderr)
    sys.exit(code)


def _usage(error: Exception) -> str:
    """Return what is wrong with the command as typed, and where its help is."""
    text = str(error.format_message() if hasattr(error, "format_message") else error)
    text = text.strip().rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "saliscope"
    return f"{text[:1].lower()}{text[1:]}; see '{command} --help'"
