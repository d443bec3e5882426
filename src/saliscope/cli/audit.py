"""`saliscope audit`: what a model responds to, and should not. One file per command."""

from __future__ import annotations

import typer

__all__ = ["app"]

app = typer.Typer(
    name="audit",
    help="What a model responds to, and should not.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
