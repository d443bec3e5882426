"""What can go wrong, as classes whose message is one line: what, where, why, and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "InputError",
    "ModelError",
    "OptionError",
    "OutOfMemoryError",
    "RefusedError",
    "SaliscopeError",
    "ToleranceError",
    "nearest",
]


class SaliscopeError(Exception):
    """Base of every error that Saliscope raises on purpose.

    The command line prints the message as one line and leaves with exit code 2, or with
    `exit_code` of the class.

    Examples
    --------
    >>> try:
    ...     raise InputError("a.fasta, record 2: empty sequence; remove the record")
    ... except SaliscopeError as error:
    ...     print(error)
    a.fasta, record 2: empty sequence; remove the record
    """

    exit_code = 2


class InputError(SaliscopeError, ValueError):
    """The data cannot be explained as given: file, row, reason, remedy."""


class OptionError(SaliscopeError, ValueError):
    """An option, a name or a target is not one that exists, or is out of range."""


class ModelError(SaliscopeError, RuntimeError):
    """A model could not be loaded, or failed on an input."""


class RefusedError(SaliscopeError, RuntimeError):
    """A method or route that could not give a right answer here, and therefore gives none."""


class OutOfMemoryError(SaliscopeError, MemoryError):
    """A single row does not fit into memory, so no smaller batch could help."""


class ToleranceError(SaliscopeError, RuntimeError):
    """With ``strict=True``: a result whose health has errors."""

    exit_code = 1


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint naming the known word nearest to `word`, or listing a few known ones.

    Examples
    --------
    >>> nearest("gradeint", ["gradient", "masking"])
    "did you mean 'gradient'?"
    """
    names = sorted(known)
    close = difflib.get_close_matches(word.lower(), [n.lower() for n in names], n=1, cutoff=0.5)
    if close:
        name = next(n for n in names if n.lower() == close[0])
        return f"did you mean {name!r}?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"known: {shown}"
