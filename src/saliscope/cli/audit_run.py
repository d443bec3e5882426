"""What all commands of `saliscope audit` do at the end."""

from __future__ import annotations

from pathlib import Path

from saliscope.audit.record import Audit
from saliscope.cli.common import say
from saliscope.core.errors import ToleranceError
from saliscope.core.files import write_beside

__all__ = ["finish"]


def finish(audit: Audit, folder: Path, *, strict: bool, quiet: bool) -> None:
    """Write an audit into a folder that exists, and say what came of it.

    Writes a CSV per table, audit.nc, audit.json and report.html.

    Raises
    ------
    ToleranceError
        With `strict`, after everything is written: there is an audit error. Exit code 1.
    """
    audit.to_csv(folder)
    audit.save(folder / "audit.nc")
    audit.to_json(folder / "audit.json")
    write_beside(folder / "report.html", audit.to_html().encode())
    say(repr(audit), quiet=quiet)
    print(folder / "report.html")
    if strict and audit.errors:
        msg = f"{audit.name}: {audit.errors[0].sentence}"
        raise ToleranceError(msg)
