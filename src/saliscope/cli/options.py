"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    "Alto", "Box", "Budget", "Device", "Method", "Model", "Out", "Quiet", "Rows", "Seed", "Sources",
    "Target",
]  # fmt: skip

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...", help="FASTA, text or picture files, folders of them, or one input"
    ),
]  # fmt: skip
Model = Annotated[
    str,
    typer.Option(
        "--model", "-m", metavar="MODEL", help="hub name, folder, zoo:NAME or module:factory"
    ),
]  # fmt: skip
Out = Annotated[
    str, typer.Option("--out", "-o", metavar="FOLDER", help="where tables and report go")
]
Method = Annotated[
    list[str] | None,
    typer.Option(
        "--method", metavar="NAME", help="repeatable (default: integrated_gradients)"
    ),
]  # fmt: skip
Target = Annotated[
    list[str] | None,
    typer.Option(
        "--target", "-t", metavar="TARGET",
        help="class or label, 'a vs b', V6E, likelihood, greedy:5, 'continuation: text', "
        "'whole: a vs b', 3:B-LOC, 'string: a vs b', characters; repeatable",
    ),
]  # fmt: skip
Alto = Annotated[
    str | None, typer.Option(metavar="FILE", help="ALTO with the lines of INPUT, which is a page")
]
Box = Annotated[
    list[str] | None,
    typer.Option(metavar="X,Y,W,H", help="a line of INPUT, which is a page; repeatable"),
]  # fmt: skip
Rows = Annotated[
    str | None, typer.Option(metavar="A-B", help="which rows of a table (CSV), e.g. 1-5,9")
]
Budget = Annotated[
    str | None, typer.Option(metavar="BYTES", help="what a batch may need, e.g. 500MB, 2GiB")
]
Seed = Annotated[int, typer.Option(help="seed of the one random generator")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, ...")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="no progress bar, no summary")]
