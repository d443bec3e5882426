"""What `saliscope audit terms` does."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from saliscope.audit.text.terms import PLACE, identity_terms, swapped
from saliscope.cli.audit_run import finish
from saliscope.cli.common import Folder, read_bytes
from saliscope.core.errors import InputError, OptionError
from saliscope.core.textfile import lines
from saliscope.datasets.reading import read_table
from saliscope.datasets.swaps import hatecheck, identity_phrases, winobias
from saliscope.models.loading import load

__all__ = ["read_cases", "run"]

_COLUMNS = {"template", "term", "text"}


def run(
    model: str, out: str, cases: Sequence[str], *, words: str | None, target: str | None,
    draws: int, budget: str | None, seed: int, device: str, quiet: bool,
) -> None:  # fmt: skip
    """Audit a model and write what came of it."""
    table = read_cases(cases, words)
    bytes_ = read_bytes(budget)
    adapter = load(model, device=device)
    with Folder(out) as folder:
        found = identity_terms(
            adapter, table, target=target, draws=draws, budget=bytes_, seed=seed,
            progress=not quiet,
        )  # fmt: skip
        finish(found, folder.path, strict=False, quiet=quiet)


def read_cases(cases: Sequence[str], words: str | None = None) -> pd.DataFrame:
    """Return rows of template, term and text, from files of every kind that is known.

    Raises
    ------
    InputError, OptionError
        A file of no kind that is known; terms without lines to put them into, or the reverse.
    """
    if words is not None:
        return _lines(cases, words)
    if not cases:
        return identity_phrases()
    if len(cases) == 2:
        return winobias(*cases)
    if len(cases) > 2:
        msg = f"{len(cases)} files of sentences were given; give one, or the two of WinoBias"
        raise OptionError(msg)
    (path,) = cases
    _, head = next(iter(lines(path)))
    if "case_templ" in head:
        return hatecheck(path, swaps=True)
    names = {name.strip().strip('"') for name in head.split(",")}
    if names >= _COLUMNS:
        return read_table(path, "a CSV with template, term and text")
    if PLACE in head:
        msg = f"{path}: has lines with {PLACE}; give the terms that go there by --terms"
        raise OptionError(msg)
    msg = (
        f"{path}: is neither a CSV with template, term and text, nor HateCheck, nor lines with "
        f"{PLACE} for --terms"
    )
    raise InputError(msg)


def _lines(cases: Sequence[str], words: str) -> pd.DataFrame:
    if len(cases) != 1:
        msg = f"--terms go into the lines of one file with {PLACE} in each; {len(cases)} were given"
        raise OptionError(msg)
    terms = [word.strip() for word in words.split(",")]
    if not all(terms):
        msg = f"--terms {words!r} has an empty term; separate terms by one comma each"
        raise OptionError(msg)
    templates = [text.strip() for _, text in lines(cases[0]) if text.strip()]
    return swapped(list(dict.fromkeys(templates)), terms)
