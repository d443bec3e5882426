"""What audits of tables share on the command line: their options, reading, writing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from saliscope.core.errors import InputError, OptionError

if TYPE_CHECKING:
    import pandas as pd

    from saliscope.audit.record import Audit
    from saliscope.core.model import Model as Adapter

__all__ = ["Groups", "Model", "Outcome", "Strict", "Table", "Target", "grouped", "read", "run"]

Table = Annotated[
    str, typer.Argument(metavar="TABLE", help="CSV or TSV, its first line names the columns")
]
Model = Annotated[
    str, typer.Option("--model", "-m", metavar="MODEL", help="a .skops file or module:factory")
]
Target = Annotated[
    str | None,
    typer.Option("--target", "-t", metavar="CLASS", help="class (default: the second of two)"),
]
Outcome = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="column that holds the true outcome")
]
Groups = Annotated[
    str | None, typer.Option(metavar="TEXT", help="columns taken as one: 'home=zip+city,...'")
]
Strict = Annotated[bool, typer.Option("--strict", help="exit 1 where there is an audit error")]


def grouped(text: str | None) -> dict[str, list[str]] | None:
    """Return groups of columns that are written as text.

    Examples
    --------
    >>> grouped("home=zip+city,money=income")
    {'home': ['zip', 'city'], 'money': ['income']}
    """
    if text is None:
        return None
    found: dict[str, list[str]] = {}
    for part in text.split(","):
        name, equals, columns = part.partition("=")
        if not equals or not name.strip() or not columns.strip():
            msg = f"--groups {text!r}: write name=column+column, with commas between groups"
            raise OptionError(msg)
        found[name.strip()] = [column.strip() for column in columns.split("+")]
    return found


def read(path: str) -> pd.DataFrame:
    """Return the rows of a table; of a long file 100,000, drawn evenly."""
    from saliscope.api.rows import read_table

    if not Path(path).is_file():
        msg = f"{path}: there is no such file; an audit of a table takes one CSV or TSV file"
        raise InputError(msg)
    return read_table(path)[0]


def run(
    path: str, model: str, out: str, made: Callable[[Adapter, pd.DataFrame], Audit], *,
    strict: bool, quiet: bool,
) -> None:  # fmt: skip
    """Load, audit, and write what came of it."""
    from saliscope.cli.audit_run import finish
    from saliscope.cli.common import Folder
    from saliscope.models.loading import load

    table = read(path)
    with Folder(out) as folder:
        try:
            audit = made(load(model), table)
        except InputError as error:
            line = str(error)
            if line.startswith(("table:", "table,")):  # as if the file had been named
                raise InputError(path + line.removeprefix("table")) from error
            raise
        finish(audit, folder.path, strict=strict, quiet=quiet)
