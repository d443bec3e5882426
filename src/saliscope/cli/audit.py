"""`saliscope audit`: what a model responds to, and should not. One file per command."""

from __future__ import annotations

import typer

from saliscope.cli.audit_cues import app as cues
from saliscope.cli.audit_groups import app as groups
from saliscope.cli.audit_proxies import app as proxies
from saliscope.cli.audit_reasons import app as reasons
from saliscope.cli.audit_terms import app as terms

__all__ = ["app"]

app = typer.Typer(
    name="audit",
    help="What a model responds to, and should not.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

app.add_typer(cues)
app.add_typer(proxies)
app.add_typer(groups)
app.add_typer(reasons)
app.add_typer(terms)
