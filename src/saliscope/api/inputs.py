"""Inputs: named records from FASTA and text files, read strictly and one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from saliscope.core.errors import InputError
from saliscope.core.textfile import lines

__all__ = ["Input", "read_fasta", "read_records", "read_texts"]


_FASTA = {".fa", ".faa", ".fasta"}
_NO_RECORD = "holds no record; a FASTA record starts with a line '>name'"
_NO_TEXT = "holds no text; write one text per line"


class Input(NamedTuple):
    """An input with the name that results call it by."""

    name: str
    raw: Any


def read_fasta(path: str | os.PathLike[str]) -> Iterator[Input]:
    """Yield the records of a FASTA file; the name is the header's first word.

    Raises
    ------
    InputError
        With file and line: no header, an empty record, a name that occurs twice, an empty file,
        bytes that are not UTF-8 text.
    """
    name, line_of, parts = "", 0, list[str]()
    seen: dict[str, int] = {}
    for number, line in lines(path, unpack=False, empty=_NO_RECORD):
        text = line.strip()
        if text.startswith(">"):
            if line_of:
                yield _record(path, name, line_of, parts)
            words = text[1:].split()
            if not words:
                msg = f"{path}, line {number}: the header is empty; write a name behind '>'"
                raise InputError(msg)
            name, line_of, parts = words[0], number, []
            if name in seen:
                msg = (
                    f"{path}, line {number}: the name {name!r} stands already at line "
                    f"{seen[name]}; names must be unique"
                )
                raise InputError(msg)
            seen[name] = number
        elif text and not text.startswith(";"):
            if not line_of:
                msg = (
                    f"{path}, line {number}: sequence without a header; a FASTA record starts "
                    "with a line '>name'"
                )
                raise InputError(msg)
            parts.append(text)
    if not line_of:
        msg = f"{path}: {_NO_RECORD}"
        raise InputError(msg)
    yield _record(path, name, line_of, parts)


def _record(path: str | os.PathLike[str], name: str, line: int, parts: list[str]) -> Input:
    if not parts:
        msg = f"{path}, line {line}: record {name!r} has no sequence; remove it or add one"
        raise InputError(msg)
    return Input(name, "".join(parts))


def read_texts(path: str | os.PathLike[str]) -> Iterator[Input]:
    """Yield the lines of a text file as inputs, named "line 1", ...; empty lines are skipped."""
    for number, line in lines(path, unpack=False, empty=_NO_TEXT):
        if line.strip():
            yield Input(f"line {number}", line.strip())


def read_records(path: str | os.PathLike[str], modality: str) -> Iterator[Input]:
    """Yield the records of a file in the form that a modality takes."""
    if modality == "protein":
        return read_fasta(path)
    if modality == "text":
        if Path(path).suffix.lower() in _FASTA:
            msg = f"{path}: is a FASTA file, and this model takes text; give a protein model"
            raise InputError(msg)
        return read_texts(path)
    msg = f"{path}: the command line reads FASTA and text; give tensors from Python"
    raise InputError(msg)
