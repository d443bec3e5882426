"""Headers of the gnomAD browser's export: which column is what, in every form they have had."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from saliscope.core.errors import InputError
from saliscope.variants.population.groups import code_of

__all__ = ["KINDS", "PLACE", "Columns", "columns_of", "is_gnomad_header"]

KINDS = ("Allele Count", "Allele Number", "Homozygote Count", "Hemizygote Count")
_ALIASES = {
    "rsids": ("rsIDs", "rsID"),
    "consequence": ("VEP Annotation", "Annotation"),
    "protein": ("Protein Consequence",),
    "coding": ("Transcript Consequence",),
    "transcript": ("Transcript",),
    "flags": ("Flags",),
    "source": ("Source",),
    "exomes": ("Filters - exomes",),
    "genomes": ("Filters - genomes",),
    "joint": ("Filters - joint",),
}
PLACE = ("Chromosome", "Position", "Reference", "Alternate")


def _plain(name: str) -> str:
    """Return a heading as R's `make.names` leaves it, in lower case, so that both forms agree."""
    return re.sub(r"[^a-z0-9]", ".", name.strip().lower())


def is_gnomad_header(names: Sequence[str]) -> bool:
    """Whether a header is that of a browser export.

    Examples
    --------
    >>> is_gnomad_header(["Position", "Chromosome", "Allele Count", "Source", "Filters - exomes"])
    True
    """
    plain = {_plain(name) for name in names}
    return {"chromosome", "position", "source", "filters...exomes"} <= plain


@dataclass(frozen=True)
class Columns:
    """Where each thing stands in a row."""

    place: Mapping[str, int]
    total: Mapping[str, int]
    groups: Mapping[str, Mapping[str, int]]
    other: Mapping[str, int]
    names: tuple[str, ...]
    resaved: bool


def columns_of(path: str | os.PathLike[str], header: Sequence[str]) -> Columns:
    """Find the columns by name; refuse a header that says one thing twice, or lacks one."""
    plain = [_plain(name) for name in header]
    # spreadsheets and libraries number a heading that occurs twice: "Allele Count African.1"
    bare = [re.sub(r"\.\d$", "", name) for name in plain]
    names = [short if short in plain else name for name, short in zip(plain, bare, strict=True)]
    at = {name: index for index, name in reversed(list(enumerate(names)))}
    groups: dict[str, dict[str, int]] = {}
    twice: dict[str, str] = {}
    for index, name in enumerate(names):
        kind = next((kind for kind in KINDS if name.startswith(_plain(kind) + ".")), None)
        if kind is None:
            continue
        code = code_of(header[index].strip()[len(kind) + 1 : len(name)])
        own = groups.setdefault(code, {})
        if kind in own:
            twice[code] = header[index].strip()[len(kind) + 1 :]
        own[kind] = index
    for code, heading in twice.items():
        _refuse_twice(path, heading, code, groups)
    double = [name for name, count in Counter(names).items() if count > 1 and name]
    if double:
        msg = f"{path}, row 1: the column {header[at[double[0]]]!r} stands there twice; remove one"
        raise InputError(msg)
    for name in (*PLACE, *KINDS[:2]):
        if _plain(name) not in at:
            msg = f"{path}, row 1: the column {name!r} is missing; export the file again"
            raise InputError(msg)
    for group, own in groups.items():
        for kind in KINDS[:2]:
            if kind not in own:
                msg = f"{path}, row 1: the column '{kind}' of {group} is missing; export it again"
                raise InputError(msg)
    other = {
        key: at[_plain(name)] for key, names in _ALIASES.items() for name in names
        if _plain(name) in at
    }  # fmt: skip
    return Columns(
        {name: at[_plain(name)] for name in PLACE},
        {kind: at[_plain(kind)] for kind in KINDS if _plain(kind) in at},
        groups,
        other,
        tuple(names),
        resaved=any(name.strip() == "Allele.Count" for name in header),
    )


def _refuse_twice(
    path: str | os.PathLike[str], heading: str, code: str, codes: Container[str]
) -> NoReturn:
    heading = re.sub(r"\.\d$", "", heading)
    if code == "afr" and "amr" not in codes:
        msg = (
            f"{path}, row 1: the {heading} columns stand there twice and the Admixed American ones "
            "are missing, a known fault of the browser from November 2023 to February 2024; "
            "export the file again"
        )
    else:
        msg = (
            f"{path}, row 1: the ancestry group {heading!r} stands there twice; "
            "which columns are right cannot be known: export the file again"
        )
    raise InputError(msg)
